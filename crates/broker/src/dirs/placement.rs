//! In which directory a replica lies, or is to lie.

use std::sync::Arc;

use ottla_metadata::image::directory::UNASSIGNED;
use uuid::Uuid;

use super::Dir;

/// Where a replica lies: where it was found, else where the metadata says, else where there are the fewest of those
/// `held`. `one_is_offline` says that there are directories nobody can look into.
///
/// Nothing where the replica may lie in one of those (Kafka's `Partition.createLogInAssignedDirectoryId`): made anew
/// elsewhere, it would have forgotten all that it acknowledged.
pub(crate) fn place(
    dirs: &[Arc<Dir>],
    one_is_offline: bool,
    (topic, index): (&Arc<str>, i32),
    assigned: Option<Uuid>,
    held: &[usize],
) -> Option<usize> {
    if let Some(at) = dirs.iter().position(|dir| dir.holds(topic, index)) {
        return Some(at);
    }
    if let Some(at) = assigned.and_then(|id| dirs.iter().position(|dir| dir.id() == id)) {
        return Some(at);
    }
    if one_is_offline && assigned.is_some_and(|id| id != UNASSIGNED) {
        return None;
    }
    let usable = |(at, dir): (usize, &Arc<Dir>)| (dir.is_online() && !dir.is_cordoned()).then_some(at);
    Some(dirs.iter().enumerate().filter_map(usable).min_by_key(|&at| held[at]).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::tests::dir;
    use super::*;

    #[test]
    fn a_replica_that_may_lie_in_a_failed_directory_is_not_made_anew() {
        let temps = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let [first, second] = [0, 1].map(|n| Arc::new(dir(temps[n].path(), true, (1 + n as u128) * 0x100)));
        let dirs = [first, second];
        // Both helpers hold orders-0; the first one that does counts.
        dirs[0].take_checkpointed(&"orders".into(), 0);
        let place = |offline, (topic, index): (&str, i32), assigned: Option<u128>| {
            place(&dirs, offline, (&topic.into(), index), assigned.map(Uuid::from_u128), &[5, 3])
        };
        let (orders, fresh) = (("orders", 0), ("fresh", 7));
        for offline in [false, true] {
            assert_eq!(place(offline, orders, Some(0x999)), Some(1), "where it was found");
            assert_eq!(place(offline, fresh, Some(0x200)), Some(1), "where the metadata says");
            assert_eq!(place(offline, fresh, Some(1)), Some(1), "where there are the fewest");
        }
        assert_eq!(place(false, fresh, Some(0x999)), Some(1), "no directory is missing");
        assert_eq!(place(true, fresh, Some(0x999)), None);
        assert_eq!(place(true, fresh, Some(0)), None, "from before directories were recorded");
        assert_eq!(place(true, fresh, Some(2)), None, "lost");
    }
}
