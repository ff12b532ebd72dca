//! Replicas, their leaders, and who follows them.

keys! {
    REPLICATION

    Boolean "auto.leader.rebalance.enable" = "true", Any, High, ReadOnly, Served,
        "Whether leadership goes back to the preferred replica by itself.";
    Int "default.replication.factor" = "1", Any, Medium, ReadOnly, Served,
        "Replicas of a topic created without a number, automatically created ones included.";
    Boolean "follower.fetch.last.tiered.offset.enable" = "false", Any, Medium, ClusterWide,
        Later("tiered storage"),
        "Whether a new follower begins where the local copy of its leader begins.";
    Long "follower.replication.throttled.rate" = "9223372036854775807", AtLeast(0.0), Medium, ClusterWide,
        Served,
        "Bytes a second that followers fetch for the replicas in the topics' throttled lists.";
    Long "leader.imbalance.check.interval.seconds" = "300", AtLeast(1.0), High, ReadOnly, Served,
        "How often leaders that are not the preferred replica are looked for.";
    Long "leader.replication.throttled.rate" = "9223372036854775807", AtLeast(0.0), Medium, ClusterWide,
        Served,
        "Bytes a second that leaders send for the replicas in the topics' throttled lists.";
    Int "num.replica.fetchers" = "1", AtLeast(1.0), High, ClusterWide, Served,
        "Fetchers for each broker that this one follows.";
    Long "replica.alter.log.dirs.io.max.bytes.per.second" =
        "9223372036854775807", AtLeast(0.0), Medium, ClusterWide,
        Later("quotas"),
        "Bytes a second that moves between log directories may use.";
    Int "replica.fetch.backoff.ms" = "1000", AtLeast(0.0), Medium, ReadOnly, Served,
        "Pause of a partition whose fetch failed.";
    Int "replica.fetch.max.bytes" = "1048576", AtLeast(0.0), Medium, ReadOnly, Served,
        "Most bytes of one partition in one fetch of a follower; one batch always fits.";
    Int "replica.fetch.min.bytes" = "1", Any, High, ReadOnly, Served,
        "Bytes a follower's fetch waits for.";
    Int "replica.fetch.response.max.bytes" = "10485760", AtLeast(0.0), Medium, ReadOnly, Served,
        "Most bytes in the answer to one fetch of a follower; one batch always fits.";
    Int "replica.fetch.wait.max.ms" = "500", Any, High, ReadOnly, Served,
        "Longest wait of a follower's fetch for new records.";
    Long "replica.high.watermark.checkpoint.interval.ms" = "5000", Any, High, ReadOnly, Served,
        "How often the high watermark of each partition is written down.";
    Long "replica.lag.time.max.ms" = "30000", Any, High, ReadOnly, Served,
        "A follower that has not caught up for this long leaves the in-sync replicas.";
    String "replica.selector.class" = null, Any, Medium, ReadOnly, Served,
        "Java class that chooses the replica a consumer reads from.";
    Int "replica.socket.receive.buffer.bytes" = "65536", Any, High, ReadOnly, Served,
        "SO_RCVBUF of a follower's connection to its leader; where it is -1 or not set, the system lets it grow.";
    Int "replica.socket.timeout.ms" = "30000", Any, High, ReadOnly, Served,
        "Socket timeout of a follower's connection to its leader.";
    Boolean "unclean.leader.election.enable" = "false", Any, High, ClusterWide, Served,
        "Whether a replica that lags behind may lead when no other is left, which loses records.";
    Long internal "unclean.leader.election.interval.ms" = "300000", AtLeast(1.0), Medium, ReadOnly, Served,
        "How often partitions without a leader are looked for, where unclean election is on.";
}
