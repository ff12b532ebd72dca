//! Listeners, sockets and limits of connections and requests.

keys! {
    NETWORK

    List "advertised.listeners" = null, SOME_LIST_OR_NULL, High, ReadOnly, Served,
        "Addresses that clients and other nodes are told; the listeners themselves by default.";
    Int "connection.failed.authentication.delay.ms" = "100", AtLeast(0.0), Low, ReadOnly, Later("SASL"),
        "Pause before a connection that failed to authenticate is closed.";
    Long "connections.max.idle.ms" = "600000", Any, Medium, ReadOnly, Served,
        "Connections without a request for this long are closed.";
    Long "connections.max.reauth.ms" = "0", Any, Medium, ReadOnly, Later("SASL"),
        "Longest life of a SASL session before the client must authenticate again; 0 is no limit.";
    Int "delete.records.purgatory.purge.interval.requests" = "1", Any, Medium, ReadOnly,
        NoEffect("waiting requests leave nothing behind"),
        "Finished DeleteRecords requests that may pile up before they are cleared.";
    Int "fetch.max.bytes" = "57671680", AtLeast(1024.0), Medium, ReadOnly, Served,
        "Most bytes in the answer to one fetch; one batch always fits.";
    Int "fetch.purgatory.purge.interval.requests" = "1000", Any, Medium, ReadOnly,
        NoEffect("waiting requests leave nothing behind"),
        "Finished fetches that may pile up before they are cleared.";
    String "inter.broker.listener.name" = null, Any, Medium, ReadOnly, Served,
        "Listener that brokers use among themselves.";
    String "listener.security.protocol.map" =
        "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT", Any, Low, PerBroker,
        Served,
        "Security protocol of each listener name, NAME:PROTOCOL each.";
    List "listeners" = "PLAINTEXT://:9092", SOME_LIST, High, PerBroker, Served,
        "Where this node listens: NAME://host:port each; an empty host is every interface.";
    Int "max.connection.creation.rate" = "2147483647", AtLeast(0.0), Medium, ClusterWide, Served,
        "Most new connections in a second; a listener may have its own limit.";
    Int "max.connections" = "2147483647", AtLeast(0.0), Medium, ClusterWide, Served,
        "Most connections of this broker at any time; a listener may have its own limit.";
    Int "max.connections.per.ip" = "2147483647", AtLeast(0.0), Medium, ClusterWide, Served,
        "Most connections from one address.";
    String "max.connections.per.ip.overrides" = "", Any, Medium, ClusterWide, Served,
        "Other limits for some addresses or host names, as host:number each.";
    Int "max.incremental.fetch.session.cache.slots" = "1000", AtLeast(0.0), Medium, ReadOnly, Served,
        "Fetch sessions that this broker keeps.";
    Int "max.request.partition.size.limit" = "2000", AtLeast(1.0), Medium, ReadOnly, Served,
        "Most partitions in one answer of DescribeTopicPartitions.";
    Int "num.network.threads" = "3", AtLeast(1.0), High, ClusterWide, Served,
        "Threads that read requests and write answers, for each listener.";
    Int "producer.purgatory.purge.interval.requests" = "1000", Any, Medium, ReadOnly,
        NoEffect("waiting requests leave nothing behind"),
        "Finished produce requests that may pile up before they are cleared.";
    Long "queued.max.request.bytes" = "-1", Any, Medium, ReadOnly,
        NoEffect("a request is served on the thread that read it, so none queue up"),
        "Most bytes of requests that wait.";
    Int "queued.max.requests" = "500", AtLeast(1.0), High, ReadOnly,
        NoEffect("a request is served on the thread that read it, so none queue up"),
        "Most requests that wait for a thread.";
    String "security.inter.broker.protocol" =
        "PLAINTEXT", OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]), Medium, ReadOnly,
        Served,
        "Security protocol among brokers where inter.broker.listener.name is not set.";
    Long "socket.connection.setup.timeout.max.ms" = "30000", Any, Medium, ReadOnly, Served,
        "Upper bound of the time limit of connecting to another node.";
    Long "socket.connection.setup.timeout.ms" = "10000", Any, Medium, ReadOnly, Served,
        "First time limit of connecting to another node; it doubles with each failure.";
    Int "socket.listen.backlog.size" = "50", AtLeast(1.0), Medium, ReadOnly, Served,
        "Connections the system may hold before they are accepted.";
    Int "socket.receive.buffer.bytes" = "102400", Any, High, ReadOnly, Served,
        "SO_RCVBUF of accepted sockets; -1 leaves it to the system.";
    Int "socket.request.max.bytes" = "104857600", AtLeast(1.0), High, ReadOnly, Served,
        "Largest request that is read; a connection that announces more is closed.";
    Int "socket.send.buffer.bytes" = "102400", Any, High, ReadOnly, Served,
        "SO_SNDBUF of accepted sockets; -1 leaves it to the system.";
}
