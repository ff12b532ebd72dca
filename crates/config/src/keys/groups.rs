//! Consumer groups and the topic that holds their offsets.

keys! {
    GROUPS

    Int "group.consumer.assignment.interval.ms" = "1000", AtLeast(0.0), Medium, ClusterWide,
        Later("consumer groups of KIP-848"),
        "Shortest time between two assignments of a group.";
    List "group.consumer.assignors" = "uniform,range", SOME_LIST, Medium, ReadOnly,
        Later("consumer groups of KIP-848"),
        "Assignors of the broker; the first is used where a group names none.";
    Int "group.consumer.heartbeat.interval.ms" = "5000", AtLeast(1.0), Medium, ReadOnly,
        Later("consumer groups of KIP-848"),
        "Time between heartbeats that members are told.";
    Int "group.consumer.max.assignment.interval.ms" = "15000", AtLeast(0.0), Medium, ReadOnly,
        Later("consumer groups of KIP-848"),
        "Largest assignment interval a group may set.";
    Int "group.consumer.max.heartbeat.interval.ms" = "15000", AtLeast(1.0), Medium, ReadOnly,
        Later("consumer groups of KIP-848"),
        "Longest heartbeat interval a group may set.";
    Int "group.consumer.max.session.timeout.ms" = "60000", AtLeast(1.0), Medium, ReadOnly,
        Later("consumer groups of KIP-848"),
        "Longest session timeout a group may set.";
    Int "group.consumer.max.size" = "2147483647", AtLeast(1.0), Medium, ReadOnly,
        Later("consumer groups of KIP-848"),
        "Most members of one group.";
    String "group.consumer.migration.policy" =
        "bidirectional", OneOfAnyCase(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"]), Medium, ReadOnly,
        Later("consumer groups of KIP-848"),
        "Which way groups may change between the classic and the consumer protocol.";
    Int "group.consumer.min.assignment.interval.ms" = "0", AtLeast(0.0), Medium, ReadOnly,
        Later("consumer groups of KIP-848"),
        "Smallest assignment interval a group may set.";
    Int "group.consumer.min.heartbeat.interval.ms" = "5000", AtLeast(1.0), Medium, ReadOnly,
        Later("consumer groups of KIP-848"),
        "Shortest heartbeat interval a group may set.";
    Int "group.consumer.min.session.timeout.ms" = "45000", AtLeast(1.0), Medium, ReadOnly,
        Later("consumer groups of KIP-848"),
        "Shortest session timeout a group may set.";
    Int internal "group.consumer.regex.refresh.interval.ms" = "600000", AtLeast(10000.0), Medium, ReadOnly,
        Later("consumer groups of KIP-848"),
        "How often subscriptions by pattern are matched against the topics again.";
    Int "group.consumer.session.timeout.ms" = "45000", AtLeast(1.0), Medium, ReadOnly,
        Later("consumer groups of KIP-848"),
        "A member that is silent for this long leaves its group.";
    Int "group.coordinator.append.linger.ms" = "-1", AtLeast(-1.0), Medium, ReadOnly,
        NoEffect("what arrives together is written together"),
        "How long group records are gathered before they are written; -1 adapts.";
    Int "group.coordinator.background.threads" = "2", AtLeast(1.0), High, ReadOnly,
        NoEffect("assignments are computed where the group lives"),
        "Threads for long computations of the group coordinator.";
    Int "group.coordinator.cached.buffer.max.bytes" = "1048588", AtLeast(524288.0), Medium, ClusterWide,
        NoEffect("buffers are not kept for reuse"),
        "Largest buffer that is kept for the next append.";
    List "group.coordinator.rebalance.protocols" =
        "classic,consumer,streams", Entries { empty: false, null: false, of: &["consumer", "classic", "share", "streams"] }, Medium, ReadOnly,
        Later("consumer groups of KIP-848"),
        "Group protocols on offer; to be dropped in 5.0, where features decide.";
    Int "group.coordinator.threads" = "4", AtLeast(1.0), High, ReadOnly,
        NoEffect("a coordinator shard belongs to the thread that serves it"),
        "Threads of the group coordinator.";
    Int "group.initial.rebalance.delay.ms" = "3000", Any, Medium, ReadOnly, Served,
        "How long the first rebalance of an empty group waits for more members.";
    Int "group.max.session.timeout.ms" = "1800000", Any, Medium, ReadOnly, Served,
        "Longest session timeout that a member may ask for.";
    Int "group.max.size" = "2147483647", AtLeast(1.0), Medium, ReadOnly, Served,
        "Most members of one classic group.";
    Int "group.min.session.timeout.ms" = "6000", Any, Medium, ReadOnly, Served,
        "Shortest session timeout that a member may ask for.";
    Int "offset.metadata.max.bytes" = "4096", Any, High, ReadOnly, Served,
        "Longest text a client may store with a committed offset.";
    Int "offsets.commit.timeout.ms" = "5000", AtLeast(1.0), High, ReadOnly, Served,
        "How long an offset commit waits for the replicas of __consumer_offsets.";
    Int "offsets.load.buffer.size" = "5242880", AtLeast(1.0), High, ReadOnly,
        NoEffect("the log is read in steps of a fixed size"),
        "Bytes read at once while groups are loaded from __consumer_offsets.";
    Long "offsets.retention.check.interval.ms" = "600000", AtLeast(1.0), High, ReadOnly, Served,
        "How often expired offsets are looked for.";
    Int "offsets.retention.minutes" = "10080", AtLeast(1.0), High, ReadOnly, Served,
        "Offsets of a group without members are kept this long.";
    Int "offsets.topic.compression.codec" = "0", Any, High, ReadOnly,
        NoEffect("records of groups are written uncompressed"),
        "Compression of __consumer_offsets by number: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.";
    Int "offsets.topic.num.partitions" = "50", AtLeast(1.0), High, ReadOnly, Served,
        "Partitions of __consumer_offsets; not to be changed once it exists.";
    Short "offsets.topic.replication.factor" = "3", AtLeast(1.0), High, ReadOnly, Served,
        "Replicas of __consumer_offsets; it is created when that many brokers are there.";
    Int "offsets.topic.segment.bytes" = "104857600", AtLeast(1.0), High, ReadOnly, Served,
        "Segment size of __consumer_offsets; small ones load and compact faster.";
}
