//! 1: at most one leader per epoch.

use std::collections::BTreeMap;

use super::hold;

/// Who led which epoch.
#[derive(Debug, Default)]
pub struct Leaders(BTreeMap<i32, usize>);

impl Leaders {
    /// Notes a leader; true when its lead is news.
    pub fn leads(&mut self, node: usize, epoch: i32) -> bool {
        match self.0.insert(epoch, node) {
            None => true,
            Some(first) => {
                hold!(1, first == node, "nodes {} and {} both lead epoch {epoch}", first + 1, node + 1);
                false
            }
        }
    }
}
