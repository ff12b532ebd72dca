//! The troubles that the authors met, and what answers them.

use super::Row;
use super::Weight::P1;

pub const ROWS: &[Row] = &[
    ("T-01", P1, "a silent end at the second server"),
    ("T-02", P1, "voters that differ from the state file"),
    ("T-03", P1, "\"already formatted\", so the data is deleted"),
    ("T-04", P1, "an endless \"still catching up\""),
    ("T-05", P1, "\"Node 2 disconnected\""),
    ("T-06", P1, "scarce documentation of several brokers"),
    ("T-07", P1, "broken links and file names"),
    ("T-08", P1, "a start forgotten, a command missing, a wrong port"),
    ("T-09", P1, "how long a failover takes"),
    ("T-10", P1, "misspelt keys, paths, addresses"),
    ("T-11", P1, "networks of WSL, NAT, host-only"),
    ("T-12", P1, "no web interface"),
    ("T-13", P1, "lag watched through a JVM that starts every second"),
    ("T-14", P1, "one or two voters are fragile"),
    ("T-15", P1, "the ritual of cleaning ZooKeeper"),
    ("T-16", P1, "formatting anew after every change"),
    ("T-17", P1, "__consumer_offsets keeps one replica"),
    ("T-18", P1, "two processes share logs and ports"),
    ("T-19", P1, "the tutorial's code runs on no Python"),
    ("T-20", P1, "three files edited by hand three times"),
];
