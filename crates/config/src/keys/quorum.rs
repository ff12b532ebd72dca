//! The controllers' quorum and its log.

keys! {
    QUORUM

    List "controller.listener.names" = required, SOME_LIST, High, ReadOnly, Served,
        "Names of the listeners that controllers use; needed on brokers too, so that they find them.";
    Long internal "controller.performance.always.log.threshold.ms" = "2000", AtLeast(0.0), Medium, ReadOnly,
        Later("metrics"),
        "Controller events slower than this are logged at once.";
    Long internal "controller.performance.sample.period.ms" = "60000", AtLeast(100.0), Medium, ReadOnly,
        Later("metrics"),
        "Period over which slow controller events are summed up.";
    Int "controller.quorum.append.linger.ms" = "25", AtLeast(0.0), Medium, ReadOnly,
        NoEffect("records are written at once; what waits for the disk is flushed together"),
        "How long the leader gathers records before it writes and flushes them together.";
    Boolean "controller.quorum.auto.join.enable" = "false", Any, Low, ReadOnly, Served,
        "Whether a controller adds itself to the voters of its cluster.";
    List "controller.quorum.bootstrap.servers" = "", BootstrapServers, High, ReadOnly, Served,
        "host:port of some controllers, to find the quorum whose voters live in the metadata log.";
    Int "controller.quorum.election.backoff.max.ms" = "1000", AtLeast(0.0), High, ReadOnly, Served,
        "Upper bound of the random pause between elections that nobody wins.";
    Int "controller.quorum.election.timeout.ms" = "1000", AtLeast(0.0), High, ReadOnly, Served,
        "A voter that sees no leader for this long starts an election.";
    Int "controller.quorum.fetch.max.bytes" = "1048576", AtLeast(1.0), Low, ReadOnly, Served,
        "Most bytes of the metadata log in one fetch; one batch always fits.";
    Int "controller.quorum.fetch.snapshot.max.bytes" = "1048576", AtLeast(1.0), Low, ReadOnly, Served,
        "Most bytes of a metadata snapshot in one answer.";
    Int "controller.quorum.fetch.timeout.ms" = "2000", AtLeast(0.0), High, ReadOnly, Served,
        "Without a fetch for this long, followers start an election and a leader resigns.";
    Int "controller.quorum.request.timeout.ms" = "2000", AtLeast(0.0), Medium, ReadOnly, Served,
        "Longest wait for an answer of another controller.";
    Int "controller.quorum.retry.backoff.ms" = "20", AtLeast(0.0), Low, ReadOnly, Served,
        "Pause before a failed request to a controller is sent again.";
    List "controller.quorum.voters" = "", Voters, High, ReadOnly, Served,
        "Fixed list of controllers, id@host:port each; empty where the voters live in the metadata log.";
    Int "controller.socket.timeout.ms" = "30000", Any, Medium, ReadOnly, Served,
        "Longest wait of a broker for the controller's answer before it asks again.";
    Long internal "internal.metadata.delete.delay.millis" = "60000", Any, Low, ReadOnly,
        NoEffect("for Kafka's own tests"),
        "Delay before doomed files of the metadata log are deleted.";
    Int internal "internal.metadata.log.segment.bytes" = null, Any, Low, ReadOnly, Served,
        "Segment size of the metadata log without its lower bound.";
    Int internal "internal.metadata.max.batch.size.in.bytes" = "8388608", Any, Low, ReadOnly,
        NoEffect("for Kafka's own tests"),
        "Largest batch of the metadata log.";
    String "metadata.log.dir" = null, Any, High, ReadOnly, Served,
        "Directory of the metadata log; the first entry of log.dirs by default.";
    Long "metadata.log.max.record.bytes.between.snapshots" = "20971520", AtLeast(1.0), High, ReadOnly, Served,
        "A metadata snapshot is taken after this many bytes of new records.";
    Long "metadata.log.max.snapshot.interval.ms" = "3600000", AtLeast(0.0), High, ReadOnly, Served,
        "A metadata snapshot is taken at least this often while there are changes; 0 turns this off.";
    Int "metadata.log.segment.bytes" = "1073741824", AtLeast(8388608.0), High, ReadOnly, Served,
        "Size at which a segment of the metadata log is closed.";
    Long "metadata.log.segment.ms" = "604800000", Any, High, ReadOnly, Served,
        "Age at which a segment of the metadata log is closed.";
    Int "metadata.max.idle.interval.ms" = "500", AtLeast(0.0), Low, ReadOnly, Served,
        "An idle leader writes an empty record this often, which keeps time moving; 0 turns it off.";
    Long "metadata.max.retention.bytes" = "104857600", Any, High, ReadOnly, Served,
        "Above this size of log and snapshots, the oldest snapshots and what they cover are deleted.";
    Long "metadata.max.retention.ms" = "604800000", Any, High, ReadOnly, Served,
        "Snapshots older than this, and what they cover, are deleted.";
    Boolean internal "ottla.early.election.enable" = "true", Any, Low, ReadOnly, Served,
        "Not in Kafka. A voter whose leader's endpoint refuses connections starts an election at once, not after the fetch timeout; one that begins without a leader asks for votes at once, not after the election timeout.";
    Boolean internal "ottla.early.fencing.enable" = "true", Any, Low, ReadOnly, Served,
        "Not in Kafka. The active controller fences a broker whose connection broke and whose listener refuses another at once, not after the session timeout. One that is started again meanwhile is let in as soon as it shows that it holds the directories of the former life. A broker that was stopped in order has its former registration taken out where the controller would wait for that session to expire.";
    Boolean internal "ottla.voter.change.enable" = "false", Any, Low, ReadOnly, Served,
        "Not in Kafka. Whether a controller that was the only voter starts although controller.quorum.voters names another one beside it. For one start; every other change of that list is refused.";
    String "sasl.mechanism.controller.protocol" = "GSSAPI", Any, High, ReadOnly, Later("SASL"),
        "SASL mechanism between controllers, and from brokers to them.";
}
