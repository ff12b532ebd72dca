//! A partition has one leader in an epoch.

use std::collections::BTreeMap;

use super::hold;
use crate::cluster::ask::Key;

/// Who led.
#[derive(Debug, Default)]
pub struct Leaders(BTreeMap<(Key, i32), usize>);

impl Leaders {
    /// A node leads a partition in an epoch.
    pub fn begins(&mut self, key: Key, epoch: i32, node: usize) {
        let first = *self.0.entry((key, epoch)).or_insert(node);
        hold!(
            1,
            first == node,
            "nodes {} and {} lead partition {} in epoch {epoch}",
            first + 1,
            node + 1,
            key.1
        );
    }
}
