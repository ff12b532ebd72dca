//! The quorum on real files: one node, then three, through restarts, snapshots and failing disks.

#![allow(unreachable_pub)]

mod bench;
mod crash;
mod durability;
mod formatting;
mod node;
mod single;
mod three;
