//! Configuration of a topic.

keys! {
    TOPIC

    List "cleanup.policy" =
        "delete", Entries { empty: true, null: false, of: &["compact", "delete"] }, Medium, ClusterWide,
        Served,
        "What becomes of old segments: delete, compact, or both; empty keeps everything.";
    Int "compression.gzip.level" = "-1", GzipLevel, Medium, ClusterWide, Served,
        "Level when the broker compresses with gzip.";
    Int "compression.lz4.level" = "9", Between(1.0, 17.0), Medium, ClusterWide, Served,
        "Level when the broker compresses with lz4.";
    String "compression.type" =
        "producer", OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), Medium, ClusterWide,
        Served,
        "Compression on disk: producer keeps what was sent, anything else makes the broker recompress.";
    Int "compression.zstd.level" = "3", Between(-131072.0, 22.0), Medium, ClusterWide, Served,
        "Level when the broker compresses with zstd.";
    Long "delete.retention.ms" = "86400000", AtLeast(0.0), Medium, ClusterWide, Later("compaction"),
        "How long a deletion mark stays readable in a compacted topic.";
    Long "file.delete.delay.ms" = "60000", AtLeast(0.0), Medium, ClusterWide, Served,
        "Files of a deleted segment stay this long, so that running reads finish.";
    Long "flush.messages" = "9223372036854775807", AtLeast(1.0), Medium, ClusterWide, Served,
        "Records a partition takes before it is flushed to the disk; 1 flushes before every answer.";
    Long "flush.ms" = "9223372036854775807", AtLeast(0.0), Medium, ClusterWide, Served,
        "Longest time records stay unflushed.";
    List "follower.replication.throttled.replicas" = "", ThrottledReplicas, Medium, ClusterWide,
        Served,
        "Replicas whose fetching is throttled: partition:broker pairs, or * for all.";
    Int "index.interval.bytes" = "4096", AtLeast(0.0), Medium, ClusterWide, Served,
        "Bytes of records between two entries of the offset index.";
    Int internal "internal.segment.bytes" = null, Any, Medium, ClusterWide, Served,
        "Segment size without its lower bound, for tests.";
    List "leader.replication.throttled.replicas" = "", ThrottledReplicas, Medium, ClusterWide,
        Served,
        "Replicas whose sending is throttled: partition:broker pairs, or * for all.";
    Long "local.retention.bytes" = "-2", AtLeast(-2.0), Medium, ClusterWide, Later("tiered storage"),
        "Bytes of a partition that stay on the broker once stored remotely; -2 follows retention.bytes.";
    Long "local.retention.ms" = "-2", AtLeast(-2.0), Medium, ClusterWide, Later("tiered storage"),
        "How long segments stay on the broker once stored remotely; -2 follows retention.ms.";
    Long "max.compaction.lag.ms" = "9223372036854775807", AtLeast(1.0), Medium, ClusterWide,
        Later("compaction"),
        "Records older than this are compacted even if little else is.";
    Int "max.message.bytes" = "1048588", AtLeast(0.0), Medium, ClusterWide, Served,
        "Largest record batch that is taken, compressed size and header included.";
    Long "message.timestamp.after.max.ms" = "3600000", AtLeast(0.0), Medium, ClusterWide, Served,
        "Records whose time is further in the future than this are refused.";
    Long "message.timestamp.before.max.ms" = "9223372036854775807", AtLeast(0.0), Medium, ClusterWide, Served,
        "Records whose time is further in the past than this are refused.";
    String "message.timestamp.type" =
        "CreateTime", OneOf(&["CreateTime", "LogAppendTime"]), Medium, ClusterWide,
        Served,
        "Whose clock stamps records: the producer's (CreateTime) or the broker's (LogAppendTime).";
    Double "min.cleanable.dirty.ratio" = "0.5", Between(0.0, 1.0), Medium, ClusterWide, Later("compaction"),
        "Share of uncompacted bytes from which on a partition is compacted.";
    Long "min.compaction.lag.ms" = "0", AtLeast(0.0), Medium, ClusterWide, Later("compaction"),
        "Records younger than this are not compacted.";
    Int "min.insync.replicas" = "1", AtLeast(1.0), Medium, ClusterWide, Served,
        "Replicas that must hold a record before acks=all is answered.";
    Boolean "preallocate" = "false", Any, Medium, ClusterWide, NoEffect("files grow as they are written"),
        "Give a new segment its full size at once.";
    Boolean "remote.log.copy.disable" = "false", Any, Medium, ClusterWide, Later("tiered storage"),
        "Stop copying to remote storage while what is there stays readable.";
    Boolean "remote.log.delete.on.disable" = "false", Any, Medium, ClusterWide, Later("tiered storage"),
        "Delete what is stored remotely when remote storage is turned off.";
    Boolean "remote.storage.enable" = "false", Any, Medium, ClusterWide, Later("tiered storage"),
        "Whether old segments move to remote storage.";
    Long "retention.bytes" = "-1", Any, Medium, ClusterWide, Served,
        "A partition that is larger loses its oldest segments; -1 is no limit.";
    Long "retention.ms" = "604800000", AtLeast(-1.0), Medium, ClusterWide, Served,
        "Segments older than this are deleted; -1 keeps them.";
    Int "segment.bytes" = "1073741824", AtLeast(1048576.0), Medium, ClusterWide, Served,
        "Size at which a segment is closed and the next one begins.";
    Int "segment.index.bytes" = "10485760", AtLeast(4.0), Medium, ClusterWide, Served,
        "Largest size of an offset or time index; a full index closes the segment.";
    Long "segment.jitter.ms" = "0", AtLeast(0.0), Medium, ClusterWide, Served,
        "Random share taken off segment.ms, so that segments do not all close at once.";
    Long "segment.ms" = "604800000", AtLeast(1.0), Medium, ClusterWide, Served,
        "Age at which a segment is closed even if it is small.";
    Boolean "unclean.leader.election.enable" = "false", Any, Medium, ClusterWide, Served,
        "Whether a replica that lags behind may lead when no other is left, which loses records.";
}
