//! Quotas, metrics and telemetry.

keys! {
    QUOTA

    Int "alter.log.dirs.replication.quota.window.num" = "11", AtLeast(1.0), Low, ReadOnly, Later("quotas"),
        "Windows kept for the quota of moves between log directories.";
    Int "alter.log.dirs.replication.quota.window.size.seconds" = "1", AtLeast(1.0), Low, ReadOnly,
        Later("quotas"),
        "Length of a window for the quota of moves between log directories.";
    Class "client.quota.callback.class" = null, Any, Low, ReadOnly, Refused("plug-in classes"),
        "Java class that decides the quotas of clients.";
    Int "controller.quota.window.num" = "11", AtLeast(1.0), Low, ReadOnly, Later("quotas"),
        "Windows kept for the quota of topic changes.";
    Int "controller.quota.window.size.seconds" = "1", AtLeast(1.0), Low, ReadOnly, Later("quotas"),
        "Length of a window for the quota of topic changes.";
    Int "kafka.metrics.polling.interval.secs" = "10", AtLeast(1.0), Low, ReadOnly,
        NoEffect("there is no JMX here"),
        "How often Yammer reporters are called.";
    List "kafka.metrics.reporters" = "", ANY_LIST, Low, ReadOnly, NoEffect("there is no JMX here"),
        "Java classes that report Yammer metrics.";
    List "metric.reporters" = "org.apache.kafka.common.metrics.JmxReporter", ANY_LIST, Low, ClusterWide,
        NoEffect("there is no JMX here"),
        "Java classes that report metrics.";
    Int "metrics.num.samples" = "2", AtLeast(1.0), Low, ReadOnly,
        NoEffect("metrics are counters and histograms, not sampled windows"),
        "Windows kept for rates and averages.";
    String "metrics.recording.level" = "INFO", Any, Low, ReadOnly, NoEffect("every metric is recorded"),
        "How much detail metrics record.";
    Long "metrics.sample.window.ms" = "30000", AtLeast(1.0), Low, ReadOnly,
        NoEffect("metrics are counters and histograms, not sampled windows"),
        "Length of a window for rates and averages.";
    String internal "ottla.ops.listener" = null, NonEmpty, Low, ReadOnly, Served,
        "Not in Kafka. host:port of the node's console, its JSON API, /metrics, /livez and /readyz; off for none. Unset: 127.0.0.1, port 8780 plus the last two digits of node.id, or the next one that is free up to 8879.";
    Int "quota.window.num" = "11", AtLeast(1.0), Low, ReadOnly, Later("quotas"),
        "Windows kept for client quotas.";
    Int "quota.window.size.seconds" = "1", AtLeast(1.0), Low, ReadOnly, Later("quotas"),
        "Length of a window for client quotas.";
    Int "replication.quota.window.num" = "11", AtLeast(1.0), Low, ReadOnly, Served,
        "Windows kept for replication quotas.";
    Int "replication.quota.window.size.seconds" = "1", AtLeast(1.0), Low, ReadOnly, Served,
        "Length of a window for replication quotas.";
    Int "telemetry.max.bytes" = "1048576", AtLeast(1.0), Low, ReadOnly, Later("client telemetry"),
        "Largest batch of metrics that a client may push.";
}
