//! Every Kafka configuration key: type, default, validator, documentation; the .properties parser.
//!
//! The way in for a server or tool is [`NodeConfig::load`], which turns the bytes of `server.properties` and the
//! overrides of the command line into a typed, checked configuration, or into a list of everything that is wrong
//! with its places. The way in for the rooms that serve AlterConfigs and DescribeConfigs is [`alter`] and
//! [`describe`]; topics have their [`TopicConfig`].
//!
//! The crate touches no file, prints nothing and knows no protocol structs: numbers that go on the wire (types,
//! sources, resources, operations) are given by methods called `wire`.

// The program in the README is compiled with the documentation's tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod alter;
pub mod client_metrics;
pub mod describe;
pub mod duration;
pub mod dynamic;
pub mod endpoint;
pub mod group;
pub mod key;
pub mod keys;
pub mod node;
mod problem;
pub mod properties;
mod refusal;
pub mod settings;
mod suggest;
pub mod topic;
pub mod value;

pub use alter::Resource;
pub use describe::BrokerConfigs;
pub use endpoint::{HostPort, Listener, SecurityProtocol, Voter};
pub use key::{Key, Kind};
pub use node::{Loaded, NodeConfig};
pub use problem::{OWN_ADDRESS, Problem, Problems};
pub use properties::Properties;
pub use refusal::Refusal;
pub use suggest::nearest;
pub use topic::{Overrides, TopicConfig};
