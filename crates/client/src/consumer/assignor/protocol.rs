//! What members and leader write to each other (`ConsumerProtocol`): a version, then the message.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::consumer_protocol::consumer_protocol_assignment as given;
use ottla_protocol::consumer_protocol::consumer_protocol_subscription as wanted;
use ottla_protocol::consumer_protocol::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use ottla_protocol::wire::{DecodeError, Message};

use super::Strategy;
use crate::TopicPartition;

/// What a member wants, and what it has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::consumer) struct Subscription {
    pub(in crate::consumer) topics: Vec<Arc<str>>,
    pub(in crate::consumer) owned: Vec<TopicPartition>,
    /// The generation in which it got what it has; −1 for none.
    pub(in crate::consumer) generation: i32,
    pub(in crate::consumer) rack: Option<String>,
}

fn by_topic(partitions: &[TopicPartition]) -> BTreeMap<&Arc<str>, Vec<i32>> {
    let mut topics: BTreeMap<&Arc<str>, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition);
    }
    topics
}

fn with_version<M: Message>(message: &M) -> Bytes {
    let mut bytes = M::MAX_VERSION.to_be_bytes().to_vec();
    message.encode(&mut bytes, M::MAX_VERSION).expect("CLIENT-31 a message of our own can be written");
    bytes.into()
}

/// A message of whatever version: later ones only add to what is known.
fn of_version<M: Message>(bytes: &Bytes) -> Result<M, DecodeError> {
    let Some((version, rest)) = bytes.split_first_chunk::<2>() else {
        return M::decode(bytes, M::MIN_VERSION);
    };
    let version = i16::from_be_bytes(*version).clamp(M::MIN_VERSION, M::MAX_VERSION);
    M::decode_front(rest, version)
}

/// A subscription for one strategy. The cooperative one repeats the generation as user data, for leaders that read
/// older versions.
pub(in crate::consumer) fn write_subscription(subscription: &Subscription, strategy: Strategy) -> Bytes {
    let user_data = match strategy {
        Strategy::CooperativeSticky => Some(Bytes::copy_from_slice(&subscription.generation.to_be_bytes())),
        Strategy::Sticky if !subscription.owned.is_empty() => Some(sticky_data(subscription)),
        _ => None,
    };
    let owned = by_topic(&subscription.owned)
        .into_iter()
        .map(|(topic, partitions)| wanted::TopicPartition { topic: topic.to_string(), partitions });
    with_version(&ConsumerProtocolSubscription {
        topics: subscription.topics.iter().map(ToString::to_string).collect(),
        user_data,
        owned_partitions: owned.collect(),
        generation_id: subscription.generation,
        rack_id: subscription.rack.clone(),
    })
}

/// The user data of the eager sticky strategy (`StickyAssignor`, version 1): array of topic and partitions, generation.
fn sticky_data(subscription: &Subscription) -> Bytes {
    let topics = by_topic(&subscription.owned);
    let mut bytes = (topics.len() as i32).to_be_bytes().to_vec();
    for (topic, partitions) in topics {
        bytes.extend((topic.len() as i16).to_be_bytes());
        bytes.extend(topic.as_bytes());
        bytes.extend((partitions.len() as i32).to_be_bytes());
        partitions.iter().for_each(|partition| bytes.extend(partition.to_be_bytes()));
    }
    bytes.extend(subscription.generation.to_be_bytes());
    bytes.into()
}

fn read_sticky_data(mut bytes: &[u8]) -> Option<(Vec<TopicPartition>, i32)> {
    fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
        let (front, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        Some(front)
    }
    fn int(bytes: &mut &[u8]) -> Option<i32> {
        Some(i32::from_be_bytes(take(bytes, 4)?.try_into().ok()?))
    }
    let mut owned = Vec::new();
    for _ in 0..int(&mut bytes)? {
        let length = i16::from_be_bytes(take(&mut bytes, 2)?.try_into().ok()?);
        let topic: Arc<str> =
            std::str::from_utf8(take(&mut bytes, usize::try_from(length).ok()?)?).ok()?.into();
        for _ in 0..int(&mut bytes)? {
            owned.push(TopicPartition::new(topic.clone(), int(&mut bytes)?));
        }
    }
    // Version 0 had no generation.
    Some((owned, int(&mut bytes).unwrap_or(-1)))
}

/// A member's subscription.
pub(in crate::consumer) fn read_subscription(
    bytes: &Bytes,
    strategy: Strategy,
) -> Result<Subscription, DecodeError> {
    let read: ConsumerProtocolSubscription = of_version(bytes)?;
    let owned = read.owned_partitions.into_iter().flat_map(|topic| {
        let name: Arc<str> = topic.topic.into();
        topic.partitions.into_iter().map(move |partition| TopicPartition::new(name.clone(), partition))
    });
    let mut subscription = Subscription {
        topics: read.topics.into_iter().map(Arc::from).collect(),
        owned: owned.collect(),
        generation: read.generation_id,
        rack: read.rack_id,
    };
    let user_data = read.user_data.unwrap_or_default();
    match strategy {
        Strategy::CooperativeSticky if subscription.generation < 0 => {
            if let Some(generation) = user_data.first_chunk::<4>() {
                subscription.generation = i32::from_be_bytes(*generation);
            }
        }
        // What is written there is the member's own memory: nonsense means that it has none.
        Strategy::Sticky => {
            let (owned, generation) = read_sticky_data(&user_data).unwrap_or((Vec::new(), -1));
            (subscription.owned, subscription.generation) = (owned, generation);
        }
        _ => {}
    }
    Ok(subscription)
}

/// What a member is given.
pub(in crate::consumer) fn write_assignment(partitions: &[TopicPartition]) -> Bytes {
    let assigned = by_topic(partitions)
        .into_iter()
        .map(|(topic, partitions)| given::TopicPartition { topic: topic.to_string(), partitions });
    with_version(&ConsumerProtocolAssignment { assigned_partitions: assigned.collect(), user_data: None })
}

/// The partitions that a member is given; an empty message gives none.
pub(in crate::consumer) fn read_assignment(bytes: &Bytes) -> Result<Vec<TopicPartition>, DecodeError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let read: ConsumerProtocolAssignment = of_version(bytes)?;
    let topics = read.assigned_partitions.into_iter().flat_map(|topic| {
        let name: Arc<str> = topic.topic.into();
        topic.partitions.into_iter().map(move |partition| TopicPartition::new(name.clone(), partition))
    });
    Ok(topics.collect())
}
