//! AddRaftVoter, RemoveRaftVoter and UpdateRaftVoter (KIP-853): one change at a time, each committed before
//! the next, none before the leader has committed something of its own epoch.

use ottla_records::ids::Offset;
use ottla_records::mutant;

use crate::message::{
    AddVoterRequest, ApiVersionsResponse, ChangeResponse, RemoveVoterRequest, UpdateVoterRequest,
    UpdateVoterResponse,
};
use crate::node::Node;
use crate::role::{Adding, Removing, Role};
use crate::{
    Body, Control, Destination, Fault, Millis, Request, RequestId, Response, Voter, VoterSet, invariants,
};

type Refusal = (Fault, Option<String>);

impl Node {
    pub(super) fn serve_add_voter(&mut self, now: Millis, request: RequestId, add: AddVoterRequest) {
        if let Err((error, message)) = self.start_adding(now, request, add) {
            self.reply(request, Response::AddVoter(ChangeResponse { error, message }));
        }
    }

    fn start_adding(&mut self, now: Millis, request: RequestId, add: AddVoterRequest) -> Result<(), Refusal> {
        self.check_change(&add.cluster_id)?;
        let listener = self.config.listener.clone();
        let invalid = |why: String| Err((Fault::InvalidRequest, Some(why)));
        if add.voter.id < 0 || add.voter.directory.is_none() {
            return invalid("Add voter request didn't include a valid voter".to_owned());
        }
        let Some(at) = add.endpoints.get(&listener).cloned() else {
            return invalid(format!("Add voter request has no endpoint for the default listener {listener}"));
        };
        let voters = self.committed_voters(now, "adding")?;
        if voters.get(add.voter.id).is_some() {
            let why = format!("The voter id {} is already part of the set of voters", add.voter.id);
            return Err((Fault::DuplicateVoter, Some(why)));
        }
        // The new voter must support the finalized kraft.version: ask it.
        let to = Destination { id: add.voter.id, at };
        let (sent, until) = self.try_send(now, to, |_| Request::ApiVersions);
        if !sent {
            let why = format!("New voter {} is not ready to receive requests", add.voter.id);
            return Err((Fault::RequestTimedOut, Some(why)));
        }
        if let Role::Leader(role) = &mut self.role {
            role.adding = Some(Adding {
                request: Some(request),
                voter: add.voter,
                endpoints: add.endpoints,
                ack_when_committed: add.ack_when_committed,
                appended: None,
                until,
            });
        }
        Ok(())
    }

    /// The would-be voter said which `kraft.version` levels it supports, or failed to.
    pub(crate) fn new_voter_answered(
        &mut self,
        now: Millis,
        peer: i32,
        answer: Option<ApiVersionsResponse>,
    ) -> bool {
        let finalized = self.kraft_version();
        let Role::Leader(role) = &self.role else { return true };
        let Some(adding) = role.adding.clone().filter(|a| a.voter.id == peer && a.appended.is_none()) else {
            return true;
        };
        let supported = match answer {
            Some(ApiVersionsResponse { error: Fault::None, kraft_versions }) => {
                kraft_versions.unwrap_or_default()
            }
            failed => {
                let code = failed.map_or(Fault::BrokerNotAvailable, |answer| answer.error).code();
                let why = format!("Aborted add voter operation: API_VERSIONS returned error {code}");
                self.finish_adding(Fault::RequestTimedOut, Some(why));
                return false;
            }
        };
        if !supported.contains(finalized) {
            let why = format!(
                "Aborted add voter operation for {peer}: its kraft.version range (min: {}, max: {}) doesn't \
                 support the finalized version {finalized}",
                supported.min, supported.max
            );
            self.finish_adding(Fault::InvalidRequest, Some(why));
            return true;
        }
        if !role.is_caught_up(&adding.voter, now) {
            let why = format!("Aborted add voter operation for {peer} since it is lagging behind");
            self.finish_adding(Fault::RequestTimedOut, Some(why));
            return true;
        }
        let voter =
            Voter { key: adding.voter, endpoints: adding.endpoints.clone(), kraft_versions: supported };
        let Some(next) = self.voters().with_added(voter) else {
            self.finish_adding(Fault::DuplicateVoter, None);
            return true;
        };
        let appended = self.append_voters(now, next);
        if let Role::Leader(role) = &mut self.role
            && let Some(current) = &mut role.adding
        {
            current.appended = Some(appended);
            if !current.ack_when_committed
                && let Some(request) = current.request.take()
            {
                let done = ChangeResponse { error: Fault::None, message: None };
                self.reply(request, Response::AddVoter(done));
            }
        }
        self.advance_watermark(now);
        true
    }

    fn finish_adding(&mut self, error: Fault, message: Option<String>) {
        let Role::Leader(role) = &mut self.role else { return };
        if let Some(request) = role.adding.take().and_then(|adding| adding.request) {
            self.reply(request, Response::AddVoter(ChangeResponse { error, message }));
        }
    }

    pub(super) fn serve_remove_voter(&mut self, now: Millis, request: RequestId, remove: RemoveVoterRequest) {
        if let Err((error, message)) = self.start_removing(now, request, remove) {
            self.reply(request, Response::RemoveVoter(ChangeResponse { error, message }));
        }
    }

    fn start_removing(
        &mut self,
        now: Millis,
        request: RequestId,
        remove: RemoveVoterRequest,
    ) -> Result<(), Refusal> {
        self.check_change(&remove.cluster_id)?;
        if remove.voter.id < 0 || remove.voter.directory.is_none() {
            let why = "Remove voter request didn't include a valid voter".to_owned();
            return Err((Fault::InvalidRequest, Some(why)));
        }
        let voters = self.committed_voters(now, "removing")?;
        let Some(next) = voters.with_removed(&remove.voter) else {
            let why = format!("Cannot remove voter {} from the set of voters", remove.voter.id);
            return Err((Fault::VoterNotFound, Some(why)));
        };
        let appended = self.append_voters(now, next);
        let until = now + self.config.request_timeout_ms;
        if let Role::Leader(role) = &mut self.role {
            role.removing = Some(Removing { request, appended, until });
        }
        self.advance_watermark(now);
        Ok(())
    }

    pub(super) fn serve_update_voter(
        &mut self,
        now: Millis,
        request: RequestId,
        listener: &str,
        update: UpdateVoterRequest,
    ) {
        let error = match self.update_voter(now, update) {
            Ok(()) => Fault::None,
            Err(fault) => fault,
        };
        let leader = self.leader_info(listener);
        self.reply(request, Response::UpdateVoter(UpdateVoterResponse { error, leader }));
    }

    fn update_voter(&mut self, now: Millis, update: UpdateVoterRequest) -> Result<(), Fault> {
        if self.is_other_cluster(&update.cluster_id) {
            return Err(Fault::InconsistentClusterId);
        }
        match self.check_leader_request(update.epoch) {
            Fault::None => {}
            fault => return Err(fault),
        }
        let UpdateVoterRequest { voter, .. } = update;
        let nameless = voter.key.id < 0 || voter.key.directory.is_none();
        let homeless = voter.endpoints.get(&self.config.listener).is_none();
        if nameless || homeless || !voter.kraft_versions.is_valid() {
            return Err(Fault::InvalidRequest);
        }
        let (local, timeout, version) =
            (self.config.node_id, self.check_quorum_timeout(), self.kraft_version());
        let known = if version >= 1 {
            self.committed_voters(now, "updating").map_err(|_| Fault::RequestTimedOut)?
        } else {
            let Role::Leader(role) = &self.role else { return Err(Fault::NotLeaderOrFollower) };
            let idle = role.high_watermark.is_some() && role.adding.is_none() && role.removing.is_none();
            role.volatile_voters.clone().filter(|_| idle).ok_or(Fault::RequestTimedOut)?
        };
        if !voter.kraft_versions.contains(version) {
            return Err(Fault::InvalidRequest);
        }
        let key = voter.key;
        if version >= 1 {
            let next = known.with_updated(voter).ok_or(Fault::VoterNotFound)?;
            if next != known {
                self.append_voters(now, next);
            }
        } else {
            let next = known.with_updated_by_id(voter).ok_or(Fault::VoterNotFound)?;
            if let Role::Leader(role) = &mut self.role {
                role.volatile_voters = Some(next);
            }
        }
        if let Role::Leader(role) = &mut self.role {
            role.heard_from(&key, local, now, timeout);
        }
        self.advance_watermark(now);
        Ok(())
    }

    fn check_change(&self, cluster_id: &Option<String>) -> Result<(), Refusal> {
        if self.is_other_cluster(cluster_id) {
            let given = cluster_id.as_deref().unwrap_or_default();
            let why = format!(
                "The given id \"{given}\" doesn't match the cluster id \"{}\"",
                self.config.cluster_id
            );
            return Err((Fault::InconsistentClusterId, Some(why)));
        }
        match self.check_leader_request(self.epoch) {
            Fault::None => Ok(()),
            fault => Err((fault, None)),
        }
    }

    /// The voter set, if it may be changed now.
    fn committed_voters(&mut self, now: Millis, doing: &str) -> Result<VoterSet, Refusal> {
        self.expire_changes(now);
        let Role::Leader(role) = &self.role else { return Err((Fault::NotLeaderOrFollower, None)) };
        let wait = |what: &str| {
            Err((Fault::RequestTimedOut, Some(format!("Request timed out waiting for leader to {what}"))))
        };
        if mutant::is("two-changes") {
            return Ok(self.voters().clone());
        }
        if role.adding.is_some() || role.removing.is_some() {
            return wait("handle previous voter change request");
        }
        let Some(high_watermark) = role.high_watermark else {
            return wait("establish HWM and fence previous voter changes");
        };
        let version = self.kraft_version();
        if version < 1 {
            let why = format!(
                "Cluster doesn't support {doing} voter because the kraft.version feature is {version}"
            );
            return Err((Fault::UnsupportedVersion, Some(why)));
        }
        match self.voters_offset() {
            Some(changed) if changed < high_watermark => Ok(self.voters().clone()),
            changed => {
                let why = format!(
                    "Request timed out waiting for voters to commit the latest voter change at {changed:?} \
                     with HWM {high_watermark}"
                );
                Err((Fault::RequestTimedOut, Some(why)))
            }
        }
    }

    fn append_voters(&mut self, now: Millis, next: VoterSet) -> Offset {
        let Role::Leader(role) = &self.role else { return self.log.end() };
        let removing = role.removing.is_some();
        let adding = role.adding.as_ref().is_some_and(|adding| adding.appended.is_some());
        if mutant::is("two-changes") {
            return self.append(now, Body::Control(vec![Control::Voters(next)]));
        }
        invariants::change_is_alone(self.voters_offset(), role.high_watermark, removing || adding);
        self.append(now, Body::Control(vec![Control::Voters(next)]))
    }

    /// Changes that took too long are answered; what they appended stays and may yet commit.
    pub(crate) fn expire_changes(&mut self, now: Millis) {
        let Role::Leader(role) = &mut self.role else { return };
        let late_removal = role.removing.take_if(|removing| removing.until <= now);
        if role.adding.as_ref().is_some_and(|adding| adding.until <= now) {
            self.finish_adding(Fault::RequestTimedOut, None);
        }
        if let Some(late) = late_removal {
            let answer = ChangeResponse { error: Fault::RequestTimedOut, message: None };
            self.reply(late.request, Response::RemoveVoter(answer));
        }
    }

    /// The high watermark moved: answers changes it passed. A leader that is no voter any more resigns.
    pub(crate) fn changes_committed(&mut self, _now: Millis) {
        let local = self.key();
        let still_voter = self.voters().contains(&local);
        let voters_offset = self.voters_offset();
        let Role::Leader(role) = &mut self.role else { return };
        let Some(committed) = role.high_watermark else { return };
        if !still_voter && voters_offset.is_some_and(|changed| changed < committed) {
            role.resign_requested = true;
        }
        let removed = role.removing.take_if(|removing| removing.appended < committed);
        if role.adding.as_ref().is_some_and(|a| a.appended.is_some_and(|appended| appended < committed)) {
            self.finish_adding(Fault::None, None);
        }
        if let Some(removed) = removed {
            let done = ChangeResponse { error: Fault::None, message: None };
            self.reply(removed.request, Response::RemoveVoter(done));
        }
    }
}
