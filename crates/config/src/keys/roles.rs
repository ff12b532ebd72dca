//! Process, identity and the nodes' start.

keys! {
    ROLES

    Int "background.threads" = "10", AtLeast(1.0), High, ClusterWide,
        NoEffect("background work shares a small pool of its own size"),
        "Threads for background work such as retention.";
    Int "broker.heartbeat.interval.ms" = "2000", Any, Medium, ReadOnly, Served,
        "Time between a broker's heartbeats to the active controller.";
    Int "broker.id" = "-1", Any, High, ReadOnly, Served,
        "Old name of node.id; where both are set they must agree.";
    String "broker.rack" = null, Any, Medium, ReadOnly, Served,
        "Rack or zone of this broker; replicas of a partition are spread over racks.";
    Int "broker.session.timeout.ms" = "9000", Any, Medium, ReadOnly, Served,
        "A broker that is silent for this long is fenced and loses its leaderships.";
    List "config.providers" = "", ANY_LIST, Low, ClusterWide, Later("config providers"),
        "Names of providers that resolve ${provider:path:key} in values.";
    Boolean "controlled.shutdown.enable" = "true", Any, Medium, ReadOnly, Served,
        "Hand partition leadership to other brokers before stopping.";
    Boolean "delete.topic.enable" = "true", Any, High, ReadOnly, Served,
        "Whether topics may be deleted at all.";
    List "early.start.listeners" = null, ANY_LIST_OR_NULL, High, ReadOnly, Later("access control"),
        "Listeners that accept connections before the authorizer is ready; controllers' by default.";
    Int "initial.broker.registration.timeout.ms" = "60000", Any, Medium, ReadOnly, Served,
        "How long a starting broker tries to register before the process gives up.";
    Int "node.id" = required, AtLeast(0.0), High, ReadOnly, Served,
        "Number of this node, unique in the cluster; formatting writes it into every data directory.";
    Int "num.io.threads" = "8", AtLeast(1.0), High, ClusterWide,
        NoEffect("requests are served on the network threads"),
        "Threads that serve requests.";
    List "process.roles" =
        required, Entries { empty: false, null: false, of: &["broker", "controller"] }, High, ReadOnly,
        Served,
        "What this process is: broker, controller, or both.";
    Int "request.timeout.ms" = "30000", Any, High, ReadOnly, Served,
        "Longest wait of a broker for another broker's answer about transactions, and for the topics it creates for clients.";
    Long internal "server.max.startup.time.ms" = "9223372036854775807", AtLeast(0.0), Medium, ReadOnly,
        NoEffect("a start that hangs reports what it waits for instead"),
        "Longest time a start may take.";
    Boolean internal "unstable.api.versions.enable" = "false", Any, High, ReadOnly, Served,
        "Offer request versions that are still being worked on.";
    Boolean internal "unstable.feature.versions.enable" = "false", Any, High, ReadOnly,
        NoEffect("only finished versions are offered"),
        "Offer feature levels that are still being worked on.";
}
