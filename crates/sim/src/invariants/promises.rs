//! 4, from the follower's side: a fetch says "I have everything before this offset", and no power cut may make
//! that a lie.

use super::hold;
use crate::durable::Durable;

/// A fetch from `offset` leaves a node whose log would end where `durable` says.
pub fn is_kept(node: usize, offset: i64, durable: &Durable) {
    let Durable::LogEnd(end) = durable else { return };
    hold!(4, offset <= *end, "node {} fetches from {offset} with {end} offsets on disk", node + 1);
}
