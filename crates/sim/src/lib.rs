//! Seeded simulation of a whole cluster: clock, network, disks, nodes, workload, invariants.
//!
//! A seed goes in, a verdict comes out. The machines are the real ones (`ottla-raft` and `ottla-log`, joined by
//! `ottla_quorum::Replica`, `ottla-metadata`, `ottla-replication`); what is simulated is the world around them. There is one thread, no clock and no
//! source of chance but the seed, so a seed that fails fails every time, on every machine.
//!
//! Two kinds of world are simulated: the metadata quorum alone, with everything that may happen to voters, in the rooms
//! below; and a whole cluster on top of such a quorum, in `cluster`.
//!
//! | room | holds |
//! |---|---|
//! | `plan` | what a seed stands for: nodes, kinds of trouble, sizes |
//! | `world` | the events, one after the other; what a step did and said |
//! | `host` | one node: disk, process, clocks |
//! | `network` | loss, delay, duplication, cuts |
//! | `troubles` | kills, power cuts, partitions, slow disks, voter changes ... |
//! | `machine`, `proposals` | the state machine under the quorum, and who writes to it |
//! | `durable` | what a power cut would leave, to judge promises by |
//! | `invariants/` | what must hold, one file each |
//! | `case` | a seed of a kind of world, perhaps with less in it |
//! | `run` | one seed, many seeds, each seed twice, the corpus, smaller cases |
//! | `cluster` | controllers, brokers, partitions and clients |
//! | `mutants` | bugs put in on purpose, which must be found |

// A test house: `pub` here means "for the rest of it".
#![allow(unreachable_pub)]

pub mod case;
mod cluster;
mod durable;
mod host;
mod invariants;
mod machine;
pub mod mutants;
mod network;
mod plan;
mod proposals;
mod random;
pub mod run;
mod trace;
mod troubles;
mod words;
mod world;
