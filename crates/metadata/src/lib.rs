//! The controller's pure machine: the metadata image, how records change it, and how requests become records.
//!
//! Nothing here opens a socket, a file or a clock. A *decision* reads an [`image::Image`] plus a little volatile
//! state and answers with records and a reply; *replay* turns records into the next image. The two never mix: a
//! decision changes nothing by itself, so what a follower replays is all that ever happened.
//!
//! * [`image`]: the cluster's metadata at one offset; immutable for its readers, cheap to clone.
//! * [`delta`]: replaying records, what changed between two images, metadata transactions.
//! * [`snapshot`]: an image as records, in the order Kafka's own nodes write them.
//! * [`decide`]: one file per kind of request.
//! * [`controller`]: the active or standby controller that holds all of it together.
//! * [`features`]: the metadata versions and feature levels of Kafka 4.3.

// The program in the README is compiled with the documentation's tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod controller;
pub mod decide;
pub mod delta;
pub mod error;
pub mod features;
pub mod image;
pub mod random;
pub mod snapshot;
mod understood;

pub use controller::Controller;
pub use decide::{Decision, Record, Refusal, Settings};
pub use delta::{Delta, Loader};
pub use error::MetadataError;
pub use features::MetadataVersion;
pub use image::Image;
pub use understood::understood;
