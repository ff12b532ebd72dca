//! Clusters of real `ottla` processes on this machine: formatted, started, killed, paused, wiped, asked.
//!
//! | module | what it knows |
//! | --- | --- |
//! | `topology` | which nodes there are, and how the quorum is known to them |
//! | `ports` | free ports |
//! | `properties` | a node's configuration file |
//! | `node` | one process: spawn, signals, its log |
//! | `cluster` | all of them |
//! | `ask` | who leads what, asked over the wire |
//! | `spawner` | the thread that owns every process |
#![doc = include_str!("../README.md")]

mod ask;
mod cluster;
mod node;
mod ports;
mod properties;
mod spawner;
mod topology;

pub use ask::{Leader, Partition, View, quorum_leader, view};
pub use cluster::Cluster;
pub use node::Node;
pub use ports::free_ports;
pub use spawner::OWNER;
pub use topology::{Quorum, Role, Topology};
