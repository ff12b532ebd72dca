//! Share groups, streams groups, and the state they keep.

keys! {
    SHARE

    Int "group.share.assignment.interval.ms" = "1000", AtLeast(0.0), Medium, ClusterWide,
        Later("share groups"),
        "Shortest time between two assignments of a share group.";
    List "group.share.assignors" = "simple", SOME_LIST, Medium, ReadOnly, Later("share groups"),
        "The assignor of share groups; exactly one.";
    Int "group.share.delivery.count.limit" = "5", Between(2.0, 10.0), Medium, ReadOnly, Later("share groups"),
        "Times a record is handed out before it is given up.";
    Int "group.share.heartbeat.interval.ms" = "5000", AtLeast(1.0), Medium, ReadOnly, Later("share groups"),
        "Time between heartbeats that members are told.";
    Int internal "group.share.initialize.retry.interval.ms" = "30000", AtLeast(1.0), Low, ReadOnly,
        Later("share groups"),
        "Pause before the state of a share partition is initialised again.";
    Int "group.share.max.assignment.interval.ms" = "15000", AtLeast(0.0), Medium, ReadOnly,
        Later("share groups"),
        "Largest assignment interval a share group may set.";
    Int "group.share.max.delivery.count.limit" = "10", Between(5.0, 25.0), Medium, ReadOnly,
        Later("share groups"),
        "Largest delivery count limit a share group may set.";
    Int "group.share.max.heartbeat.interval.ms" = "15000", AtLeast(1.0), Medium, ReadOnly,
        Later("share groups"),
        "Longest heartbeat interval a share group may set.";
    Int "group.share.max.partition.max.record.locks" = "4000", Between(2000.0, 10000.0), Medium, ReadOnly,
        Later("share groups"),
        "Largest limit of records in flight a share group may set.";
    Int "group.share.max.record.lock.duration.ms" = "60000", Between(30000.0, 3600000.0), Medium, ReadOnly,
        Later("share groups"),
        "Longest lock duration a share group may set.";
    Int "group.share.max.session.timeout.ms" = "60000", AtLeast(1.0), Medium, ReadOnly, Later("share groups"),
        "Longest session timeout a share group may set.";
    Int "group.share.max.share.sessions" = "2000", AtLeast(1.0), Medium, ReadOnly, Later("share groups"),
        "Share sessions that this broker keeps.";
    Int "group.share.max.size" = "200", Between(1.0, 1000.0), Medium, ReadOnly, Later("share groups"),
        "Most members of one share group.";
    Int "group.share.min.assignment.interval.ms" = "0", AtLeast(0.0), Medium, ReadOnly, Later("share groups"),
        "Smallest assignment interval a share group may set.";
    Int "group.share.min.delivery.count.limit" = "2", Between(2.0, 5.0), Medium, ReadOnly,
        Later("share groups"),
        "Smallest delivery count limit a share group may set.";
    Int "group.share.min.heartbeat.interval.ms" = "5000", AtLeast(1.0), Medium, ReadOnly,
        Later("share groups"),
        "Shortest heartbeat interval a share group may set.";
    Int "group.share.min.partition.max.record.locks" = "100", Between(100.0, 2000.0), Medium, ReadOnly,
        Later("share groups"),
        "Smallest limit of records in flight a share group may set.";
    Int "group.share.min.record.lock.duration.ms" = "15000", Between(1000.0, 30000.0), Medium, ReadOnly,
        Later("share groups"),
        "Shortest lock duration a share group may set.";
    Int "group.share.min.session.timeout.ms" = "45000", AtLeast(1.0), Medium, ReadOnly, Later("share groups"),
        "Shortest session timeout a share group may set.";
    Int "group.share.partition.max.record.locks" = "2000", Between(100.0, 10000.0), Medium, ReadOnly,
        Later("share groups"),
        "Most records in flight for one partition of a share group.";
    String internal "group.share.persister.class.name" =
        "org.apache.kafka.server.share.persister.DefaultStatePersister", Any, Medium, ReadOnly,
        Later("share groups"),
        "Java class that stores the state of share partitions.";
    Int "group.share.record.lock.duration.ms" = "30000", Between(1000.0, 3600000.0), Medium, ReadOnly,
        Later("share groups"),
        "How long a consumer holds the records it was given before others may get them.";
    Int "group.share.session.timeout.ms" = "45000", AtLeast(1.0), Medium, ReadOnly, Later("share groups"),
        "A member that is silent for this long leaves its share group.";
    Int "group.streams.assignment.interval.ms" = "1000", AtLeast(0.0), Medium, ClusterWide,
        Later("streams groups"),
        "Shortest time between two assignments of a streams group.";
    Int "group.streams.heartbeat.interval.ms" = "5000", AtLeast(1.0), Medium, ReadOnly,
        Later("streams groups"),
        "Time between heartbeats that members are told.";
    Int "group.streams.initial.rebalance.delay.ms" = "3000", AtLeast(0.0), Medium, ReadOnly,
        Later("streams groups"),
        "How long the first rebalance of an empty streams group waits for more members.";
    Int "group.streams.max.assignment.interval.ms" = "15000", AtLeast(0.0), Medium, ReadOnly,
        Later("streams groups"),
        "Largest assignment interval a streams group may set.";
    Int "group.streams.max.heartbeat.interval.ms" = "15000", AtLeast(1.0), Medium, ReadOnly,
        Later("streams groups"),
        "Longest heartbeat interval a streams group may set.";
    Int "group.streams.max.session.timeout.ms" = "60000", AtLeast(1.0), Medium, ReadOnly,
        Later("streams groups"),
        "Longest session timeout a streams group may set.";
    Int "group.streams.max.size" = "2147483647", AtLeast(1.0), Medium, ReadOnly, Later("streams groups"),
        "Most members of one streams group.";
    Int "group.streams.max.standby.replicas" = "2", AtLeast(0.0), Medium, ReadOnly, Later("streams groups"),
        "Most standby copies a streams group may set.";
    Int "group.streams.min.assignment.interval.ms" = "0", AtLeast(0.0), Medium, ReadOnly,
        Later("streams groups"),
        "Smallest assignment interval a streams group may set.";
    Int "group.streams.min.heartbeat.interval.ms" = "5000", AtLeast(1.0), Medium, ReadOnly,
        Later("streams groups"),
        "Shortest heartbeat interval a streams group may set.";
    Int "group.streams.min.session.timeout.ms" = "45000", AtLeast(1.0), Medium, ReadOnly,
        Later("streams groups"),
        "Shortest session timeout a streams group may set.";
    Int "group.streams.num.standby.replicas" = "0", AtLeast(0.0), Medium, ReadOnly, Later("streams groups"),
        "Standby copies of each task's state.";
    Int "group.streams.session.timeout.ms" = "45000", AtLeast(1.0), Medium, ReadOnly, Later("streams groups"),
        "A member that is silent for this long leaves its streams group.";
    Int "share.coordinator.append.linger.ms" = "-1", AtLeast(-1.0), Medium, ReadOnly, Later("share groups"),
        "How long share records are gathered before they are written; -1 adapts.";
    Int "share.coordinator.cached.buffer.max.bytes" = "1048588", AtLeast(524288.0), Medium, ClusterWide,
        Later("share groups"),
        "Largest buffer that is kept for the next append.";
    Int internal "share.coordinator.cold.partition.snapshot.interval.ms" =
        "300000", AtLeast(1.0), Low, ReadOnly,
        Later("share groups"),
        "How often share partitions without traffic write a snapshot.";
    Int "share.coordinator.load.buffer.size" = "5242880", AtLeast(1.0), High, ReadOnly, Later("share groups"),
        "Bytes read at once while state is loaded from __share_group_state.";
    Int "share.coordinator.snapshot.update.records.per.snapshot" =
        "500", Between(0.0, 500.0), Medium, ReadOnly,
        Later("share groups"),
        "Changes written between two full snapshots of a share partition's state.";
    Int "share.coordinator.state.topic.compression.codec" = "0", Any, High, ReadOnly, Later("share groups"),
        "Compression of __share_group_state by number.";
    Short "share.coordinator.state.topic.min.isr" = "2", AtLeast(1.0), High, ReadOnly, Later("share groups"),
        "min.insync.replicas of __share_group_state.";
    Int "share.coordinator.state.topic.num.partitions" = "50", AtLeast(1.0), High, ReadOnly,
        Later("share groups"),
        "Partitions of __share_group_state; not to be changed once it exists.";
    Int internal "share.coordinator.state.topic.prune.interval.ms" = "300000", AtLeast(1.0), Low, ReadOnly,
        Later("share groups"),
        "How often records of __share_group_state that nobody needs are deleted.";
    Short "share.coordinator.state.topic.replication.factor" = "3", AtLeast(1.0), High, ReadOnly,
        Later("share groups"),
        "Replicas of __share_group_state.";
    Int "share.coordinator.state.topic.segment.bytes" = "104857600", AtLeast(1.0), High, ReadOnly,
        Later("share groups"),
        "Segment size of __share_group_state.";
    Int "share.coordinator.threads" = "1", AtLeast(1.0), Medium, ReadOnly, Later("share groups"),
        "Threads of the share coordinator.";
    Int "share.coordinator.write.timeout.ms" = "5000", AtLeast(1.0), High, ReadOnly, Later("share groups"),
        "How long a write waits for the replicas of __share_group_state.";
    Int "share.fetch.purgatory.purge.interval.requests" = "1000", Any, Medium, ReadOnly,
        Later("share groups"),
        "Finished share fetches that may pile up before they are cleared.";
}
