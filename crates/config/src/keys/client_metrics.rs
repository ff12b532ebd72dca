//! Configuration of a client metrics subscription.

keys! {
    CLIENT_METRICS

    Int "interval.ms" = "300000", Any, Medium, ClusterWide, Later("client telemetry"),
        "How often matching clients push their metrics, from 100 ms to an hour.";
    List "match" = "", ANY_LIST, Medium, ClusterWide, Later("client telemetry"),
        "Which clients push: name=pattern pairs over id, software, version and address.";
    List "metrics" = "", ANY_LIST, Medium, ClusterWide, Later("client telemetry"),
        "Prefixes of the metrics that are pushed; * is all of them.";
}
