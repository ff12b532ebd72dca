//! Topic data on disk: the defaults of topics, and the log directories.

keys! {
    LOG

    Class "alter.config.policy.class.name" = null, Any, Low, ReadOnly, Refused("plug-in classes"),
        "Java class that may refuse a change of configuration.";
    Boolean "auto.create.topics.enable" = "true", Any, High, ReadOnly, Served,
        "Whether asking for the metadata of an unknown topic creates it.";
    Int "compression.gzip.level" = "-1", GzipLevel, Medium, ClusterWide, Served,
        "Level when we compress with gzip.";
    Int "compression.lz4.level" = "9", Between(1.0, 17.0), Medium, ClusterWide, Served,
        "Level when we compress with lz4.";
    String "compression.type" =
        "producer", OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), High, ClusterWide,
        Served,
        "Compression of topics: producer keeps what was sent, anything else makes us recompress.";
    Int "compression.zstd.level" = "3", Between(-131072.0, 22.0), Medium, ClusterWide, Served,
        "Level when we compress with zstd.";
    List "cordoned.log.dirs" = "", ANY_LIST_OR_NULL, Medium, PerBroker, Served,
        "Data directories that get no new partitions, or * for all.";
    Class "create.topic.policy.class.name" = null, Any, Low, ReadOnly, Refused("plug-in classes"),
        "Java class that may refuse the creation of a topic.";
    Long "log.cleaner.backoff.ms" = "15000", AtLeast(0.0), Medium, ClusterWide, Later("compaction"),
        "Pause of a compaction thread that finds nothing to do.";
    Long "log.cleaner.dedupe.buffer.size" = "134217728", Any, Medium, ClusterWide, Later("compaction"),
        "Memory for the key maps of all compaction threads together.";
    Long "log.cleaner.delete.retention.ms" = "86400000", AtLeast(0.0), Medium, ClusterWide,
        Later("compaction"),
        "How long a deletion mark stays readable in a compacted topic.";
    Boolean "log.cleaner.enable" = "true", Any, Medium, ReadOnly, Later("compaction"),
        "Whether compacted topics are compacted.";
    Double "log.cleaner.io.buffer.load.factor" = "0.9", Any, Medium, ClusterWide, Later("compaction"),
        "How full a key map may become.";
    Int "log.cleaner.io.buffer.size" = "524288", AtLeast(0.0), Medium, ClusterWide, Later("compaction"),
        "Memory for the read and write buffers of all compaction threads together.";
    Double "log.cleaner.io.max.bytes.per.second" = "1.7976931348623157E308", Any, Medium, ClusterWide,
        Later("compaction"),
        "Most bytes that compaction reads and writes in a second.";
    Long "log.cleaner.max.compaction.lag.ms" = "9223372036854775807", AtLeast(1.0), Medium, ClusterWide,
        Later("compaction"),
        "Records older than this are compacted even if little else is.";
    Double "log.cleaner.min.cleanable.ratio" = "0.5", Between(0.0, 1.0), Medium, ClusterWide,
        Later("compaction"),
        "Share of uncompacted bytes from which on a log is compacted.";
    Long "log.cleaner.min.compaction.lag.ms" = "0", AtLeast(0.0), Medium, ClusterWide, Later("compaction"),
        "Records younger than this are not compacted.";
    Int "log.cleaner.threads" = "1", AtLeast(0.0), Medium, ClusterWide, Later("compaction"),
        "Threads that compact.";
    List "log.cleanup.policy" =
        "delete", Entries { empty: true, null: false, of: &["compact", "delete"] }, Medium, ClusterWide,
        Served,
        "What becomes of old segments: delete, compact, or both; empty keeps everything.";
    List "log.dir" = "/tmp/kafka-logs", SOME_LIST, High, ReadOnly, Served,
        "Data directories where log.dirs is not set.";
    Long "log.dir.failure.timeout.ms" = "30000", AtLeast(1.0), Low, ReadOnly, Served,
        "A broker that cannot report a failed directory within this time stops.";
    List "log.dirs" = null, SOME_LIST_OR_NULL, High, ReadOnly, Served,
        "Data directories, separated by commas; each partition lives in one of them.";
    Long "log.flush.interval.messages" = "9223372036854775807", AtLeast(1.0), High, ClusterWide, Served,
        "Records a partition takes before it is flushed to the disk.";
    Long "log.flush.interval.ms" = null, Any, High, ClusterWide, Served,
        "Longest time records stay unflushed; log.flush.scheduler.interval.ms where not set.";
    Int "log.flush.offset.checkpoint.interval.ms" = "60000", AtLeast(0.0), High, ReadOnly, Served,
        "How often the offset up to which a log is known to be flushed is written down.";
    Long "log.flush.scheduler.interval.ms" = "9223372036854775807", Any, High, ReadOnly, Served,
        "How often partitions are looked through for records to flush.";
    Int "log.flush.start.offset.checkpoint.interval.ms" = "60000", AtLeast(0.0), High, ReadOnly, Served,
        "How often the start offset of each log is written down.";
    Int "log.index.interval.bytes" = "4096", AtLeast(0.0), Medium, ClusterWide, Served,
        "Bytes of records between two entries of the offset index.";
    Int "log.index.size.max.bytes" = "10485760", AtLeast(4.0), Medium, ClusterWide, Served,
        "Largest size of an offset or time index; a full index closes the segment.";
    Long internal "log.initial.task.delay.ms" = "30000", AtLeast(0.0), Low, ReadOnly,
        NoEffect("background work begins one interval after the start"),
        "Pause after the start before retention and flushing begin.";
    Long "log.message.timestamp.after.max.ms" = "3600000", AtLeast(0.0), Medium, ClusterWide, Served,
        "Records whose time is further in the future than this are refused.";
    Long "log.message.timestamp.before.max.ms" = "9223372036854775807", AtLeast(0.0), Medium, ClusterWide,
        Served,
        "Records whose time is further in the past than this are refused.";
    String "log.message.timestamp.type" =
        "CreateTime", OneOf(&["CreateTime", "LogAppendTime"]), Medium, ClusterWide,
        Served,
        "Whose clock stamps records: the producer's (CreateTime) or ours (LogAppendTime).";
    Boolean "log.preallocate" = "false", Any, Medium, ClusterWide,
        NoEffect("files grow as they are written"),
        "Give a new segment its full size at once.";
    Long "log.retention.bytes" = "-1", Any, High, ClusterWide, Served,
        "A partition that is larger loses its oldest segments; -1 is no limit.";
    Long "log.retention.check.interval.ms" = "300000", AtLeast(1.0), Medium, ReadOnly, Served,
        "How often segments are looked through for those to delete.";
    Int "log.retention.hours" = "168", Any, High, ReadOnly, Served,
        "Retention in hours; log.retention.ms and log.retention.minutes go before it.";
    Int "log.retention.minutes" = null, Any, High, ReadOnly, Served,
        "Retention in minutes; log.retention.ms goes before it, log.retention.hours after it.";
    Long "log.retention.ms" = null, Any, High, ClusterWide, Served,
        "Segments older than this are deleted, -1 keeps them; log.retention.minutes where not set.";
    Int "log.roll.hours" = "168", AtLeast(1.0), High, ReadOnly, Served,
        "Age in hours at which a segment is closed; log.roll.ms goes before it.";
    Int "log.roll.jitter.hours" = "0", AtLeast(0.0), High, ReadOnly, Served,
        "Random share in hours taken off the age of a segment; log.roll.jitter.ms goes before it.";
    Long "log.roll.jitter.ms" = null, Any, High, ClusterWide, Served,
        "Random share taken off log.roll.ms, so that segments do not all close at once.";
    Long "log.roll.ms" = null, Any, High, ClusterWide, Served,
        "Age at which a segment is closed even if it is small; log.roll.hours where not set.";
    Int "log.segment.bytes" = "1073741824", AtLeast(1048576.0), High, ClusterWide, Served,
        "Size at which a segment is closed and the next one begins.";
    Long "log.segment.delete.delay.ms" = "60000", AtLeast(0.0), High, ClusterWide, Served,
        "Files of a deleted segment stay this long, so that running reads finish.";
    Int "message.max.bytes" = "1048588", AtLeast(0.0), High, ClusterWide, Served,
        "Largest record batch that is taken, compressed size and header included.";
    Int "min.insync.replicas" = "1", AtLeast(1.0), High, ClusterWide, Served,
        "Replicas that must hold a record before acks=all is answered.";
    Int "num.partitions" = "1", AtLeast(1.0), Medium, ReadOnly, Served,
        "Partitions of a topic created without a count, automatically created ones included.";
    Int "num.recovery.threads.per.data.dir" = "2", AtLeast(1.0), High, ClusterWide, Served,
        "Logs of one directory that are recovered at the same time after an unclean stop.";
    Int "num.replica.alter.log.dirs.threads" = null, Any, High, ReadOnly, Later("moving replicas between directories"),
        "Threads that move partitions between directories; one for each directory by default.";
    Int internal "producer.id.expiration.check.interval.ms" = "600000", AtLeast(1.0), Low, ReadOnly, Served,
        "How often unused producer ids are looked for.";
    Int "producer.id.expiration.ms" = "86400000", AtLeast(1.0), Low, ClusterWide, Served,
        "A producer id unused for this long is forgotten.";
}
