//! A sorted map whose clones share everything they have in common.
//!
//! Two levels: a spine of chunks, each a short sorted run of entries behind an `Arc`. Cloning the map copies one
//! pointer; changing an entry of a clone copies the spine once and then the chunk it lies in, so the first change
//! after a clone of a map with 100,000 entries copies a few thousand pointers and 64 entries, not the world.
//! Order is the key's order, so everything that walks a map is deterministic.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Entries a chunk holds at most; halves are split off above it.
const CHUNK: usize = 64;

/// A persistent sorted map (see the file's head for its shape and cost).
pub struct SharedMap<K, V> {
    spine: Arc<Vec<Chunk<K, V>>>,
    len: usize,
}

/// One run of entries; never empty while it is in a spine.
struct Chunk<K, V> {
    first: K,
    entries: Arc<Vec<(K, V)>>,
}

impl<K: Clone, V> Clone for Chunk<K, V> {
    fn clone(&self) -> Self {
        Chunk { first: self.first.clone(), entries: self.entries.clone() }
    }
}

impl<K, V> Clone for SharedMap<K, V> {
    fn clone(&self) -> Self {
        SharedMap { spine: self.spine.clone(), len: self.len }
    }
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        SharedMap { spine: Arc::new(Vec::new()), len: 0 }
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for SharedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && (self.is_same(other) || self.iter().eq(other.iter()))
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for SharedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K, V> SharedMap<K, V> {
    /// How many entries the map has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when both are the very same map, clones without a change since. Costs one comparison; two maps with
    /// equal entries need not be the same.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.spine, &other.spine)
    }

    /// True when the map has no entry.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All entries in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> + '_ {
        self.spine.iter().flat_map(|chunk| chunk.entries.iter().map(|(k, v)| (k, v)))
    }

    /// All keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> + '_ {
        self.iter().map(|(k, _)| k)
    }

    /// All values in key order.
    pub fn values(&self) -> impl Iterator<Item = &V> + '_ {
        self.iter().map(|(_, v)| v)
    }
}

impl<K: Ord + Clone, V> SharedMap<K, V> {
    /// Index of the chunk that holds `key` if any chunk does.
    fn chunk_of<Q: Ord + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        self.spine.partition_point(|chunk| chunk.first.borrow() <= key).saturating_sub(1)
    }

    /// The value stored under `key`.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let entries = &self.spine.get(self.chunk_of(key))?.entries;
        let at = entries.binary_search_by(|(k, _)| k.borrow().cmp(key)).ok()?;
        Some(&entries[at].1)
    }

    /// True when `key` has a value.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }

    /// Entries from the first key that is not below `key`, in order.
    pub fn iter_from<Q: Ord + ?Sized>(&self, key: &Q) -> impl Iterator<Item = (&K, &V)> + '_
    where
        K: Borrow<Q>,
    {
        let chunk = self.chunk_of(key);
        let skip = match self.spine.get(chunk) {
            Some(chunk) => chunk.entries.partition_point(|(k, _)| k.borrow() < key),
            None => 0,
        };
        self.spine[chunk.min(self.spine.len())..]
            .iter()
            .flat_map(|chunk| chunk.entries.iter().map(|(k, v)| (k, v)))
            .skip(skip)
    }
}

impl<K: Ord + Clone, V: Clone> SharedMap<K, V> {
    /// The value under `key` for changing it; copies what clones share on the way.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let index = self.chunk_of(key);
        let at = {
            let entries = &self.spine.get(index)?.entries;
            entries.binary_search_by(|(k, _)| k.borrow().cmp(key)).ok()?
        };
        let chunk = &mut Arc::make_mut(&mut self.spine)[index];
        Some(&mut Arc::make_mut(&mut chunk.entries)[at].1)
    }

    /// Puts `value` under `key` and gives back what was there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let index = self.chunk_of::<K>(&key);
        let spine = Arc::make_mut(&mut self.spine);
        let Some(chunk) = spine.get_mut(index) else {
            spine.push(Chunk { first: key.clone(), entries: Arc::new(vec![(key, value)]) });
            self.len = 1;
            return None;
        };
        let entries = Arc::make_mut(&mut chunk.entries);
        let at = match entries.binary_search_by(|(k, _)| k.cmp(&key)) {
            Ok(at) => return Some(std::mem::replace(&mut entries[at].1, value)),
            Err(at) => at,
        };
        self.len += 1;
        if entries.len() < CHUNK {
            if at == 0 {
                chunk.first = key.clone();
            }
            entries.insert(at, (key, value));
            return None;
        }
        // Full. A key after the last one opens a new chunk (ascending inserts keep chunks full); any other
        // position splits the chunk in the middle.
        if at == entries.len() {
            let next = Chunk { first: key.clone(), entries: Arc::new(vec![(key, value)]) };
            spine.insert(index + 1, next);
            return None;
        }
        let mut tail = entries.split_off(CHUNK / 2);
        if at <= CHUNK / 2 {
            if at == 0 {
                chunk.first = key.clone();
            }
            entries.insert(at, (key, value));
        } else {
            tail.insert(at - CHUNK / 2, (key, value));
        }
        spine.insert(index + 1, Chunk { first: tail[0].0.clone(), entries: Arc::new(tail) });
        None
    }

    /// Takes `key` out and gives back its value.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let index = self.chunk_of(key);
        let at = {
            let entries = &self.spine.get(index)?.entries;
            entries.binary_search_by(|(k, _)| k.borrow().cmp(key)).ok()?
        };
        let spine = Arc::make_mut(&mut self.spine);
        let entries = Arc::make_mut(&mut spine[index].entries);
        let (_, value) = entries.remove(at);
        self.len -= 1;
        if entries.is_empty() {
            spine.remove(index);
            return Some(value);
        }
        if at == 0 {
            spine[index].first = spine[index].entries[0].0.clone();
        }
        // Keep the spine short after many removals: a chunk joins its successor when both are small.
        if index + 1 < spine.len() && spine[index].entries.len() + spine[index + 1].entries.len() <= CHUNK / 2
        {
            let next = spine.remove(index + 1);
            Arc::make_mut(&mut spine[index].entries).extend(next.entries.iter().cloned());
        }
        Some(value)
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for SharedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = SharedMap::default();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u16, u8),
        Remove(u16),
        Change(u16, u8),
        Fork,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0u16..600, any::<u8>()).prop_map(|(k, v)| Step::Insert(k, v)),
            3 => (0u16..600).prop_map(Step::Remove),
            1 => (0u16..600, any::<u8>()).prop_map(|(k, v)| Step::Change(k, v)),
            1 => Just(Step::Fork),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn behaves_like_a_btree_and_forks_never_see_later_changes(
            steps in proptest::collection::vec(step(), 0..900)
        ) {
            let mut map = SharedMap::default();
            let mut model = BTreeMap::new();
            let mut forks = Vec::new();
            for step in steps {
                match step {
                    Step::Insert(k, v) => prop_assert_eq!(map.insert(k, v), model.insert(k, v)),
                    Step::Remove(k) => prop_assert_eq!(map.remove(&k), model.remove(&k)),
                    Step::Change(k, v) => {
                        if let Some(value) = map.get_mut(&k) { *value = v; }
                        if let Some(value) = model.get_mut(&k) { *value = v; }
                    }
                    Step::Fork => forks.push((map.clone(), model.clone())),
                }
                prop_assert_eq!(map.len(), model.len());
            }
            forks.push((map, model));
            for (map, model) in &forks {
                prop_assert!(map.iter().eq(model.iter()));
                for key in 0u16..600 {
                    prop_assert_eq!(map.get(&key), model.get(&key));
                }
                prop_assert!(map.iter_from(&300).eq(model.range(300..)));
                prop_assert!(map.spine.iter().all(|c| !c.entries.is_empty() && c.first == c.entries[0].0));
            }
        }
    }

    #[test]
    fn one_change_after_a_clone_copies_one_chunk() {
        let mut map: SharedMap<u32, u32> = (0..100_000).map(|n| (n, n)).collect();
        let before = map.clone();
        *map.get_mut(&50_000).unwrap() = 7;
        let copied =
            map.spine.iter().zip(before.spine.iter()).filter(|(a, b)| !Arc::ptr_eq(&a.entries, &b.entries));
        assert_eq!(copied.count(), 1);
        assert_eq!(before.get(&50_000), Some(&50_000));
    }
}
