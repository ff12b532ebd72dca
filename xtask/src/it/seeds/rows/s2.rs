//! S2: what several brokers are good for; three of them in one machine.

use super::Row;
use super::Weight::{P0, P1, P2};

pub const ROWS: &[Row] = &[
    ("S2-01", P0, "three files, three brokers; or `ottla dev --nodes 3`"),
    ("S2-02", P0, "tools without .sh"),
    ("S2-03", P1, "a Korean placeholder as topic name: refused, shown as typed"),
    ("S2-04", P0, "more replicas than brokers: how many are wanted, registered, alive"),
    ("S2-05", P0, "three partitions, three leaders"),
    ("S2-06", P0, "followers refuse and say who leads; clients move at once"),
    ("S2-07", P2, "the docs explain controllers"),
    ("S2-08", P1, "an address that is down is named with its cause"),
    ("S2-09", P0, "every broker knows all leaders"),
    ("S2-10", P1, "a broker joins while running; how to give it partitions"),
    ("S2-11", P2, "partitions count from 0; the docs say so"),
];
