//! 12 and 14: who is in the ISR or the ELR has everything that is committed; what a replica takes for committed is.

use ottla_metadata::image::Partition as Registered;

use super::hold;
use super::records::Chapter;
use crate::cluster::partition::Partition;

/// A broker whose present life is registered.
pub fn has_everything(id: i32, partition: &Partition, registered: &Registered, chapter: &Chapter) {
    let member = registered.isr.contains(&id) || registered.elr().contains(&id);
    if !member || chapter.is_open() {
        return;
    }
    let end = partition.log.log_end();
    hold!(
        14,
        end >= chapter.end(),
        "{id} is in ISR {:?} or ELR {:?} of {} and ends at {end}, committed is {}",
        registered.isr,
        registered.elr(),
        partition.key.1,
        chapter.end()
    );
}

/// A replica's log below its own high watermark is the committed one.
pub fn is_prefix(id: i32, partition: &Partition, chapter: &Chapter) {
    let high_watermark = partition.log.high_watermark();
    if chapter.had_unclean_election() {
        return;
    }
    let known = chapter.end();
    hold!(12, high_watermark <= known, "{id} takes {high_watermark} for committed, {known} is");
    chapter.same(&partition.log, high_watermark, 12);
}
