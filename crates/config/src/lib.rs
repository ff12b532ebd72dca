//! Every Kafka configuration key: type, default, validator, documentation; the .properties parser.

pub mod duration;
pub mod endpoint;
pub mod key;
pub mod keys;
pub mod properties;
mod suggest;
pub mod value;
