//! Log directory ids (KIP-858).

use std::cmp::Ordering;

use uuid::Uuid;

/// The replica's directory was not recorded yet, because the cluster came from before directory ids.
pub const MIGRATING: Uuid = Uuid::from_u128(0);
/// The replica was not placed in a directory yet.
pub const UNASSIGNED: Uuid = Uuid::from_u128(1);
/// The replica's directory is one that failed, but which one is not known.
pub const LOST: Uuid = Uuid::from_u128(2);

/// True for ids no directory can have: Kafka sets the first hundred values aside.
///
/// The lower half is compared signed, as Kafka's `DirectoryId` does.
pub fn is_reserved(id: Uuid) -> bool {
    let (high, low) = id.as_u64_pair();
    high == 0 && (low as i64) < 100
}

/// The order in which Kafka keeps directory lists: both halves signed.
pub fn compare(a: &Uuid, b: &Uuid) -> Ordering {
    let key = |id: &Uuid| {
        let (high, low) = id.as_u64_pair();
        (high as i64, low as i64)
    };
    key(a).cmp(&key(b))
}

/// Whether a replica's directory is online, given its broker's online directories.
///
/// No list at all means that the broker registered before directories existed: then every one counts as online
/// (KAFKA-16162).
pub fn is_online(directory: Uuid, online: &[Uuid]) -> bool {
    match directory {
        MIGRATING | UNASSIGNED => true,
        LOST => false,
        _ => online.is_empty() || online.contains(&directory),
    }
}
