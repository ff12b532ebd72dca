//! Topics by id and by name.

use std::sync::Arc;

use uuid::Uuid;

use super::map::SharedMap;
use super::partition::Partition;

/// A topic and its partitions.
#[derive(Debug, Clone, PartialEq)]
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    /// Its id.
    pub id: Uuid,
    /// Its partitions by index.
    pub partitions: SharedMap<i32, Partition>,
}

impl Topic {
    /// The partition with this index.
    pub fn partition(&self, index: i32) -> Option<&Partition> {
        self.partitions.get(&index)
    }
}

/// All topics.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Topics {
    by_id: SharedMap<Uuid, Arc<Topic>>,
    ids: SharedMap<Arc<str>, Uuid>,
    /// Names with a dot or an underscore, under the form in which they collide in metric names.
    colliding: SharedMap<Arc<str>, Vec<Arc<str>>>,
    partitions: usize,
}

impl Topics {
    /// How many topics there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// True when there is no topic.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// How many partitions all topics have together.
    pub fn partition_count(&self) -> usize {
        self.partitions
    }

    /// The topic with this id.
    pub fn by_id(&self, id: Uuid) -> Option<&Arc<Topic>> {
        self.by_id.get(&id)
    }

    /// The topic with this name.
    pub fn by_name(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_id.get(self.ids.get(name)?)
    }

    /// The id of the topic with this name.
    pub fn id_of(&self, name: &str) -> Option<Uuid> {
        self.ids.get(name).copied()
    }

    /// All topics in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Topic>> + '_ {
        self.by_id.values()
    }

    /// All topics in the order of their names.
    pub fn iter_by_name(&self) -> impl Iterator<Item = &Arc<Topic>> + '_ {
        self.ids.values().filter_map(|id| self.by_id.get(id))
    }

    /// Topics in the order of their names, from `first` on: what a paged listing continues with.
    pub fn iter_by_name_from<'a>(&'a self, first: &str) -> impl Iterator<Item = &'a Arc<Topic>> + 'a {
        let entries = self.ids.iter_from(first);
        entries.filter_map(|(_, id)| self.by_id.get(id))
    }

    /// A topic whose name differs from `name` only in dots and underscores, if there is one.
    pub fn colliding_with(&self, name: &str) -> Option<&Arc<str>> {
        if !has_collision_chars(name) {
            return None;
        }
        self.colliding.get(collision_form(name).as_str())?.first()
    }

    /// Adds a topic. False, and nothing happens, if its name or its id is in use.
    pub(crate) fn add(&mut self, topic: Topic) -> bool {
        if self.ids.contains_key(&*topic.name) || self.by_id.contains_key(&topic.id) {
            return false;
        }
        if has_collision_chars(&topic.name) {
            let form: Arc<str> = collision_form(&topic.name).into();
            match self.colliding.get_mut(&*form) {
                Some(names) => {
                    let at = names.partition_point(|name| *name < topic.name);
                    names.insert(at, topic.name.clone());
                }
                None => {
                    self.colliding.insert(form, vec![topic.name.clone()]);
                }
            }
        }
        self.partitions += topic.partitions.len();
        self.ids.insert(topic.name.clone(), topic.id);
        self.by_id.insert(topic.id, Arc::new(topic));
        true
    }

    /// Takes a topic out.
    pub(crate) fn remove(&mut self, id: Uuid) -> Option<Arc<Topic>> {
        let topic = self.by_id.remove(&id)?;
        self.ids.remove(&*topic.name);
        self.partitions -= topic.partitions.len();
        if has_collision_chars(&topic.name) {
            let form = collision_form(&topic.name);
            let emptied = self.colliding.get_mut(form.as_str()).is_some_and(|names| {
                names.retain(|name| *name != topic.name);
                names.is_empty()
            });
            if emptied {
                self.colliding.remove(form.as_str());
            }
        }
        Some(topic)
    }

    /// Puts a partition in its topic and gives back the one it replaces. Nothing happens without the topic.
    pub(crate) fn put_partition(&mut self, id: Uuid, index: i32, partition: Partition) -> Option<Partition> {
        let topic = Arc::make_mut(self.by_id.get_mut(&id)?);
        let before = topic.partitions.insert(index, partition);
        self.partitions += usize::from(before.is_none());
        before
    }
}

/// Whether a name has characters that metric names cannot tell apart.
pub fn has_collision_chars(name: &str) -> bool {
    name.contains(['.', '_'])
}

/// A name as it appears in metric names: dots are underscores.
pub fn collision_form(name: &str) -> String {
    name.replace('.', "_")
}
