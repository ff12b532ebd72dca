//! `kraft.version` 0 to 1: the static voters become a voter set in the log.

use ottla_records::ids::LeaderEpoch;

use crate::node::Node;
use crate::outcome::{NotLeader, UpgradeError};
use crate::role::Role;
use crate::{Body, Control, Millis};

impl Node {
    /// Upgrades `kraft.version`, as UpdateFeatures asks for. Every static voter must have told this leader
    /// its directory id and a range that includes `to`. Returns whether a record was (or, with
    /// `validate_only`, would be) written; `false` if the level holds already.
    pub fn upgrade_kraft_version(
        &mut self,
        now: Millis,
        epoch: LeaderEpoch,
        to: i16,
        validate_only: bool,
    ) -> Result<bool, UpgradeError> {
        let from = self.kraft_version();
        let not_leader = NotLeader { leader: self.leader(), epoch: self.epoch };
        let invalid = |why| Err(UpgradeError::Invalid { from, to, why });
        let current = self.epoch;
        let Role::Leader(role) = &mut self.role else { return Err(not_leader.into()) };
        if epoch != current {
            return Err(not_leader.into());
        }
        if role.upgrading == Some(to) || from == to {
            return Ok(false);
        }
        if to < from {
            return invalid("the new version is a downgrade");
        }
        if to != 1 {
            return invalid("no such version");
        }
        let Some(told) = role.volatile_voters.clone() else { return invalid("the voters are not known") };
        if !told.iter().all(|voter| voter.kraft_versions.contains(to)) {
            return invalid("not all of the voters support it");
        }
        if told.iter().any(|voter| voter.key.directory.is_none()) {
            return invalid("directory ids of some voters are not known yet");
        }
        if validate_only {
            return Ok(true);
        }
        role.upgrading = Some(to);
        role.volatile_voters = None;
        self.append(now, Body::Control(vec![Control::KraftVersion(to), Control::Voters(told)]));
        self.advance_watermark(now);
        self.drive(now);
        Ok(true)
    }
}
