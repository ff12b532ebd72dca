//! Tiered storage.

keys! {
    REMOTE

    Long "log.local.retention.bytes" = "-2", AtLeast(-2.0), Medium, ClusterWide, Later("tiered storage"),
        "Bytes of a partition that stay here too; -2 follows log.retention.bytes.";
    Long "log.local.retention.ms" = "-2", AtLeast(-2.0), Medium, ClusterWide, Later("tiered storage"),
        "How long segments stay here too once they are stored remotely; -2 follows log.retention.ms.";
    Int "remote.fetch.max.wait.ms" = "500", AtLeast(1.0), Medium, ClusterWide, Later("tiered storage"),
        "Longest wait of a fetch for remote storage.";
    Long "remote.list.offsets.request.timeout.ms" = "30000", AtLeast(1.0), Medium, ClusterWide,
        Later("tiered storage"),
        "Longest wait of ListOffsets for remote storage.";
    Long "remote.log.index.file.cache.total.size.bytes" = "1073741824", AtLeast(1.0), Low, ClusterWide,
        Later("tiered storage"),
        "Disk space for indexes fetched from remote storage.";
    Long internal "remote.log.index.file.cache.ttl.ms" = "900000", AtLeast(-1.0), Low, ReadOnly,
        Later("tiered storage"),
        "How long an unused remote index is kept.";
    Int "remote.log.manager.copier.thread.pool.size" = "10", AtLeast(1.0), Medium, ClusterWide,
        Later("tiered storage"),
        "Threads that copy segments to remote storage.";
    Long "remote.log.manager.copy.max.bytes.per.second" =
        "9223372036854775807", AtLeast(1.0), Medium, ClusterWide,
        Later("tiered storage"),
        "Most bytes a second copied to remote storage.";
    Int "remote.log.manager.copy.quota.window.num" = "11", AtLeast(1.0), Medium, ReadOnly,
        Later("tiered storage"),
        "Windows kept for the copy quota.";
    Int "remote.log.manager.copy.quota.window.size.seconds" = "1", AtLeast(1.0), Medium, ReadOnly,
        Later("tiered storage"),
        "Length of a window for the copy quota.";
    Int "remote.log.manager.expiration.thread.pool.size" = "10", AtLeast(1.0), Medium, ClusterWide,
        Later("tiered storage"),
        "Threads that delete expired remote segments.";
    Long "remote.log.manager.fetch.max.bytes.per.second" =
        "9223372036854775807", AtLeast(1.0), Medium, ClusterWide,
        Later("tiered storage"),
        "Most bytes a second fetched from remote storage.";
    Int "remote.log.manager.fetch.quota.window.num" = "11", AtLeast(1.0), Medium, ReadOnly,
        Later("tiered storage"),
        "Windows kept for the fetch quota.";
    Int "remote.log.manager.fetch.quota.window.size.seconds" = "1", AtLeast(1.0), Medium, ReadOnly,
        Later("tiered storage"),
        "Length of a window for the fetch quota.";
    Int "remote.log.manager.follower.thread.pool.size" = "2", AtLeast(1.0), Medium, ClusterWide,
        Later("tiered storage"),
        "Threads that keep followers' view of remote segments up to date.";
    Long "remote.log.manager.task.interval.ms" = "30000", AtLeast(1.0), Low, ReadOnly,
        Later("tiered storage"),
        "How often each partition is looked at for segments to copy or delete.";
    Long internal "remote.log.manager.task.retry.backoff.max.ms" = "30000", AtLeast(1.0), Low, ReadOnly,
        Later("tiered storage"),
        "Longest pause before a failed task is tried again.";
    Long internal "remote.log.manager.task.retry.backoff.ms" = "500", AtLeast(1.0), Low, ReadOnly,
        Later("tiered storage"),
        "First pause before a failed task is tried again.";
    Double internal "remote.log.manager.task.retry.jitter" = "0.2", Between(0.0, 0.5), Low, ReadOnly,
        Later("tiered storage"),
        "Random share added to that pause.";
    Int "remote.log.manager.thread.pool.size" = "2", AtLeast(1.0), Medium, ReadOnly, Later("tiered storage"),
        "Threads of tiered storage, an old key that others replace.";
    Int "remote.log.metadata.custom.metadata.max.bytes" = "128", AtLeast(0.0), Low, ReadOnly,
        Later("tiered storage"),
        "Most bytes a remote storage manager may attach to a segment.";
    String "remote.log.metadata.manager.class.name" =
        "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager", NonEmpty, Medium, ReadOnly,
        Later("tiered storage"),
        "Java class that keeps the index of remote segments.";
    String "remote.log.metadata.manager.class.path" = null, Any, Medium, ReadOnly, Later("tiered storage"),
        "Class path of the remote metadata manager.";
    String "remote.log.metadata.manager.impl.prefix" = "rlmm.config.", NonEmpty, Medium, ReadOnly,
        Later("tiered storage"),
        "Prefix of the keys that the remote metadata manager gets.";
    String "remote.log.metadata.manager.listener.name" = null, NonEmpty, Medium, ReadOnly,
        Later("tiered storage"),
        "Listener through which the remote metadata manager reaches the brokers.";
    Int "remote.log.reader.max.pending.tasks" = "100", AtLeast(1.0), Medium, ReadOnly,
        Later("tiered storage"),
        "Remote reads that may wait for a thread.";
    Int "remote.log.reader.threads" = "10", AtLeast(1.0), Medium, ClusterWide, Later("tiered storage"),
        "Threads that read remote segments for consumers.";
    String "remote.log.storage.manager.class.name" = null, NonEmpty, Medium, ReadOnly,
        Later("tiered storage"),
        "Java class that stores segments remotely.";
    String "remote.log.storage.manager.class.path" = null, Any, Medium, ReadOnly, Later("tiered storage"),
        "Class path of the remote storage manager.";
    String "remote.log.storage.manager.impl.prefix" = "rsm.config.", NonEmpty, Medium, ReadOnly,
        Later("tiered storage"),
        "Prefix of the keys that the remote storage manager gets.";
    Boolean "remote.log.storage.system.enable" = "false", Any, Medium, ReadOnly, Refused("tiered storage"),
        "Whether this broker can move old segments to remote storage.";
}
