//! Configuration of a group.

keys! {
    GROUP

    Int "consumer.assignment.interval.ms" = "1000", AtLeast(0.0), Medium, ClusterWide,
        Later("consumer groups of KIP-848"),
        "Shortest time between two assignments of the group.";
    Int "consumer.heartbeat.interval.ms" = "5000", AtLeast(1.0), Medium, ClusterWide,
        Later("consumer groups of KIP-848"),
        "Time between heartbeats that the members are told.";
    Int "consumer.session.timeout.ms" = "45000", AtLeast(1.0), Medium, ClusterWide,
        Later("consumer groups of KIP-848"),
        "A member that is silent for this long leaves the group.";
    Int "share.assignment.interval.ms" = "1000", AtLeast(0.0), Medium, ClusterWide, Later("share groups"),
        "Shortest time between two assignments of the group.";
    String "share.auto.offset.reset" = "latest", ShareOffsetReset, Medium, ClusterWide, Later("share groups"),
        "Where a partition without a start offset begins: earliest, latest or by_duration:PnDTnHnMn.nS.";
    Int "share.delivery.count.limit" = "5", AtLeast(2.0), Medium, ClusterWide, Later("share groups"),
        "Times a record is handed out before it is given up.";
    Int "share.heartbeat.interval.ms" = "5000", AtLeast(1.0), Medium, ClusterWide, Later("share groups"),
        "Time between heartbeats that the members are told.";
    String "share.isolation.level" =
        "read_uncommitted", OneOf(&["read_committed", "read_uncommitted"]), Medium, ClusterWide,
        Later("share groups"),
        "Whether records of transactions that were aborted are delivered.";
    Int "share.partition.max.record.locks" = "2000", AtLeast(100.0), Medium, ClusterWide,
        Later("share groups"),
        "Most records in flight for one partition.";
    Int "share.record.lock.duration.ms" = "30000", AtLeast(1000.0), Medium, ClusterWide,
        Later("share groups"),
        "How long a consumer holds the records it was given before others may get them.";
    Boolean "share.renew.acknowledge.enable" = "true", Any, Medium, ClusterWide, Later("share groups"),
        "Whether a consumer may renew its hold on a record.";
    Int "share.session.timeout.ms" = "45000", AtLeast(1.0), Medium, ClusterWide, Later("share groups"),
        "A member that is silent for this long leaves the group.";
    Int "streams.assignment.interval.ms" = "1000", AtLeast(0.0), Medium, ClusterWide, Later("streams groups"),
        "Shortest time between two assignments of the group.";
    Int "streams.heartbeat.interval.ms" = "5000", AtLeast(1.0), Medium, ClusterWide, Later("streams groups"),
        "Time between heartbeats that the members are told.";
    Int "streams.initial.rebalance.delay.ms" = "3000", AtLeast(0.0), Medium, ClusterWide,
        Later("streams groups"),
        "How long the first rebalance of the empty group waits for more members.";
    Int "streams.num.standby.replicas" = "0", AtLeast(0.0), Medium, ClusterWide, Later("streams groups"),
        "Standby copies of each task's state.";
    Int "streams.session.timeout.ms" = "45000", AtLeast(1.0), Medium, ClusterWide, Later("streams groups"),
        "A member that is silent for this long leaves the group.";
}
