//! What the machines ask about other brokers, answered from the newest metadata image.

/// A broker's id, as in `node.id`.
pub type BrokerId = i32;
/// The epoch of a broker's registration: grows with every new incarnation.
pub type BrokerEpoch = i64;
/// Version of a partition's registration: grows with every change of it.
pub type PartitionEpoch = i32;

/// The broker epoch of a follower that did not say one (Fetch before v15); it is not compared then (KIP-903).
pub const UNKNOWN_BROKER_EPOCH: BrokerEpoch = -1;

/// A registered broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broker {
    /// The epoch of its registration.
    pub epoch: BrokerEpoch,
    /// The controller does not hear it, or it has not caught up yet.
    pub fenced: bool,
    /// It is in controlled shutdown.
    pub shutting_down: bool,
}

/// The brokers of the newest metadata image. A closure from id to broker is one.
pub trait Brokers {
    /// The broker with this id, if it is registered.
    fn broker(&self, id: BrokerId) -> Option<Broker>;

    /// The epoch of a broker that is registered and not fenced.
    fn alive_epoch(&self, id: BrokerId) -> Option<BrokerEpoch> {
        self.broker(id).filter(|broker| !broker.fenced).map(|broker| broker.epoch)
    }

    /// When a broker last fetched from this node as a replica, whichever partitions, in ms. To be said where a fetch is
    /// told to [`crate::Leader::follower_fetched`] only of the partitions in which something changed.
    fn last_fetch_ms(&self, _: BrokerId) -> Option<i64> {
        None
    }
}

impl<F: Fn(BrokerId) -> Option<Broker>> Brokers for F {
    fn broker(&self, id: BrokerId) -> Option<Broker> {
        self(id)
    }
}
