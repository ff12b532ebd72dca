//! A whole cluster: controllers that decide, brokers that register, lead, follow and are fenced, producers that write
//! all the while. Under it the quorum, the logs and the disks of every node.
//!
//! | room | holds |
//! |---|---|
//! | `plan` | what a seed stands for: nodes, partitions, kinds of trouble |
//! | `world` | the events, one after the other |
//! | `node` | one machine: its disk, its clocks, the process on it |
//! | `ear` | what a node's quorum tells and sends |
//! | `desk` | the controller of a node: decides, appends, answers when it is committed |
//! | `follow` | committed metadata: the image, and what it means for the partitions here |
//! | `partition`, `lead`, `copy` | a partition's log and the machine of its role |
//! | `life` | registration, heartbeats, changes of in-sync replicas, fetching, the way out |
//! | `serve` | what a node is asked |
//! | `ask` | what nodes and clients ask of each other |
//! | `producers` | clients that write, each record once |
//! | `seats` | group coordinators on the partitions of `__consumer_offsets` that a node leads |
//! | `members` | members of consumer groups |
//! | `troubles` | kills, power cuts, partitions, empty disks, reassignments ... |
//! | `rules/` | what must hold, one file each |

mod ask;
mod copy;
mod desk;
mod ear;
mod follow;
mod lead;
mod life;
mod members;
mod node;
mod partition;
pub mod plan;
mod producers;
mod rules;
mod seats;
mod serve;
mod troubles;
pub mod world;
