//! Transactions and the topic that holds them.

keys! {
    TRANSACTIONS

    Int "add.partitions.to.txn.retry.backoff.max.ms" = "100", AtLeast(0.0), High, ReadOnly,
        Served,
        "Longest pause before a failed partition check is tried again.";
    Int "add.partitions.to.txn.retry.backoff.ms" = "20", AtLeast(1.0), High, ReadOnly, Served,
        "First pause before a failed partition check is tried again.";
    Int "transaction.abort.timed.out.transaction.cleanup.interval.ms" = "10000", AtLeast(1.0), Low, ReadOnly,
        Served,
        "How often transactions past their timeout are aborted.";
    Int "transaction.max.timeout.ms" = "900000", AtLeast(1.0), High, ReadOnly, Served,
        "Longest transaction timeout a producer may ask for.";
    Boolean "transaction.partition.verification.enable" = "true", Any, Low, ClusterWide,
        Served,
        "Check that a partition belongs to the transaction before its records are taken.";
    Int "transaction.remove.expired.transaction.cleanup.interval.ms" = "3600000", AtLeast(1.0), Low, ReadOnly,
        Served,
        "How often expired transactional ids are looked for.";
    Int "transaction.state.log.load.buffer.size" = "5242880", AtLeast(1.0), High, ReadOnly,
        NoEffect("the log is read in steps of a fixed size"),
        "Bytes read at once while transactions are loaded from __transaction_state.";
    Int "transaction.state.log.min.isr" = "2", AtLeast(1.0), High, ReadOnly, Served,
        "min.insync.replicas of __transaction_state.";
    Int "transaction.state.log.num.partitions" = "50", AtLeast(1.0), High, ReadOnly, Served,
        "Partitions of __transaction_state; not to be changed once it exists.";
    Short "transaction.state.log.replication.factor" = "3", AtLeast(1.0), High, ReadOnly,
        Served,
        "Replicas of __transaction_state; it is created when that many brokers are there.";
    Int "transaction.state.log.segment.bytes" = "104857600", AtLeast(1.0), High, ReadOnly,
        Served,
        "Segment size of __transaction_state; small ones load and compact faster.";
    Boolean "transaction.two.phase.commit.enable" = "false", Any, Low, ReadOnly, Served,
        "Whether producers may keep a transaction open for an outside coordinator.";
    Int "transactional.id.expiration.ms" = "604800000", AtLeast(1.0), High, ReadOnly, Served,
        "A transactional id unused for this long is forgotten.";
}
