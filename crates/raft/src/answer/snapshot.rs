//! Answers to FetchSnapshot, and the end of a download.

use super::Common;
use crate::message::FetchSnapshotResponse;
use crate::node::Node;
use crate::outcome::SnapshotContent;
use crate::role::{Download, Role};
use crate::{Effect, Fault, Millis, Notice, SnapshotId};

impl Node {
    pub(super) fn snapshot_answered(
        &mut self,
        now: Millis,
        peer: i32,
        answer: FetchSnapshotResponse,
    ) -> bool {
        match self.common(now, peer, answer.error, &answer.leader) {
            Common::Done(well) => return well,
            Common::Continue => {}
        }
        let Role::Follower(role) = &mut self.role else { return true };
        let Some(download) = &mut role.download else { return true };
        let Download { id, position, .. } = *download;
        if answer.error == Fault::SnapshotNotFound {
            // It was replaced by a newer one: the next Fetch will name that.
            role.download = None;
            self.effects.push_back(Effect::AbandonSnapshot { id });
            self.fetch_succeeded(now);
            return true;
        }
        if !answer.error.is_none() {
            return self.unexpected(peer, answer.error);
        }
        let end = position + answer.bytes.len() as u64;
        let fits = answer.snapshot == Some(id)
            && u64::try_from(answer.position) == Ok(position)
            && u64::try_from(answer.size).is_ok_and(|size| end <= size)
            && !answer.bytes.is_empty();
        if !fits {
            role.download = None;
            self.effects.push_back(Effect::AbandonSnapshot { id });
            self.notice(Notice::SnapshotOutOfOrder { wanted: id, position });
            return false;
        }
        download.position = end;
        let whole = end == answer.size as u64;
        download.installing = whole;
        self.effects.push_back(Effect::WriteSnapshot { id, position, bytes: answer.bytes });
        if whole {
            self.effects.push_back(Effect::InstallSnapshot { id, size: end });
        }
        self.fetch_succeeded(now);
        true
    }

    /// The snapshot of [`Effect::InstallSnapshot`] is in place and the log starts after it.
    pub fn handle_snapshot_installed(
        &mut self,
        now: Millis,
        id: SnapshotId,
        size: u64,
        content: SnapshotContent,
    ) {
        self.restart_from(id, size, content);
        if let Role::Follower(role) = &mut self.role {
            role.download = None;
        }
        self.follow_watermark(id.end_offset);
        self.drive(now);
    }

    /// What arrived is not a valid snapshot; nothing was changed. It is fetched again.
    pub fn handle_snapshot_rejected(&mut self, now: Millis) {
        if let Role::Follower(role) = &mut self.role {
            role.download = None;
        }
        self.drive(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshot_ids_order_by_epoch_first() {
        let old = SnapshotId { epoch: 1, end_offset: 900 };
        let new = SnapshotId { epoch: 2, end_offset: 100 };
        assert!(old < new);
    }
}
