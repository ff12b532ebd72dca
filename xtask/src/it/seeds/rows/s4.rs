//! S4: the ZooKeeper era: three brokers on one server.

use super::Row;
use super::Weight::{P0, P1, P2};

pub const ROWS: &[Row] = &[
    ("S4-01", P1, "a ZooKeeper-era file: said so, a converted copy, never in place"),
    ("S4-02", P2, "zookeeper-server-start.sh: not needed, exit 0"),
    ("S4-03", P1, "stale state is found out by ids, with what to do"),
    ("S4-04", P2, "the docs: no ZooKeeper, one process can be everything"),
    ("S4-05", P0, "server.properties, server2.properties, server3.properties"),
    ("S4-06", P0, "broker.id is node.id; two that differ are refused"),
    ("S4-07", P1, "clients on 9091, 9092, 9093; one port for two listeners is refused"),
    ("S4-08", P0, "log directories broker1 to broker3"),
    ("S4-09", P1, "transaction replicas and their smallest number in sync; a warning when equal"),
    ("S4-10", P1, "a flush after every 2 messages, with a warning; the largest number is accepted"),
    ("S4-11", P0, "three terminals; log lines say which node"),
    ("S4-12", P0, "from within bin/: create with three servers, replicas and ten partitions"),
    ("S4-13", P0, "ten partitions, leaders 4/3/3, three in sync"),
    ("S4-14", P0, "--broker-list works, with a line that it is old"),
    ("S4-15", P0, "the console consumer reads all of it"),
    ("S4-16", P0, "the console shows topic, partitions, messages"),
    ("S4-17", P2, "the docs: when more brokers on one server help"),
];
