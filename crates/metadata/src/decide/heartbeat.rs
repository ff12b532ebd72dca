//! Brokers coming and going: heartbeats, fencing, unfencing, controlled shutdown, failed directories.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::broker_heartbeat_request::BrokerHeartbeatRequest;
use ottla_protocol::messages::broker_heartbeat_response::BrokerHeartbeatResponse;
use ottla_protocol::messages::unregister_broker_request::UnregisterBrokerRequest;
use ottla_protocol::messages::unregister_broker_response::UnregisterBrokerResponse;
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_protocol::metadata_records::broker_registration_change_record::BrokerRegistrationChangeRecord;
use ottla_protocol::metadata_records::unregister_broker_record::UnregisterBrokerRecord;
use ottla_records::mutant;
use uuid::Uuid;

use super::elect::Movement;
use super::{BrokerState, Decision, Record, Refusal, Sessions, View};
use crate::image::Broker;

/// Values of `BrokerRegistrationChangeRecord.Fenced`.
const FENCE: i8 = 1;
const UNFENCE: i8 = -1;

fn change(broker: &Broker) -> BrokerRegistrationChangeRecord {
    BrokerRegistrationChangeRecord {
        broker_id: broker.id,
        broker_epoch: broker.epoch,
        ..BrokerRegistrationChangeRecord::default()
    }
}

fn fencing(broker: &Broker, fenced: i8) -> Record {
    let record = BrokerRegistrationChangeRecord { fenced, ..change(broker) };
    (MetadataRecord::BrokerRegistrationChangeRecord(record), 0)
}

impl View<'_> {
    /// A broker's heartbeat. `registration_offset` is where its registration stands in the log (nothing if this
    /// controller has replayed none), `next_offset` where the decision's records will go.
    ///
    /// The contact itself must be noted before (see [`Sessions::contact`]), so that it counts however long the
    /// request waits.
    pub fn broker_heartbeat(
        &self,
        request: &BrokerHeartbeatRequest,
        sessions: &mut Sessions,
        registration_offset: Option<i64>,
        next_offset: i64,
    ) -> Decision<BrokerHeartbeatResponse> {
        let refuse = |refusal: Refusal| {
            let error_code = refusal.code.code();
            Decision::read(BrokerHeartbeatResponse { error_code, ..BrokerHeartbeatResponse::default() })
        };
        let id = request.broker_id;
        if let Err(refusal) = self.check_broker_epoch(id, request.broker_epoch) {
            return refuse(refusal);
        }
        let (Some(registration_offset), Some(broker)) = (registration_offset, self.image.broker(id)) else {
            return refuse(Refusal::code(ErrorCode::StaleBrokerEpoch));
        };
        let leads = || self.image.partitions().any(|(_, _, partition)| partition.leader == id);
        let states = sessions.next_state(request, registration_offset, leads);
        let Some((current, next)) = states else {
            return refuse(Refusal::code(ErrorCode::StaleBrokerEpoch));
        };
        let mut records = Vec::new();
        if current != next {
            match next {
                BrokerState::Fenced | BrokerState::ShutdownNow => self.fence(broker, &mut records),
                BrokerState::Unfenced => self.unfence(broker, &mut records),
                BrokerState::ControlledShutdown => self.begin_shutdown(broker, &mut records),
            }
        }
        sessions.touch(id, next.is_fenced(), request.current_metadata_offset);
        if next == BrokerState::ShutdownNow {
            sessions.end(id, request.broker_epoch);
        }
        let version = self.image.metadata_version();
        if version.has_directories() {
            self.directories_offline(broker, &request.offline_log_dirs, &mut records);
        }
        if version.has_cordoned_dirs() {
            directories_cordoned(broker, request.cordoned_log_dirs.as_deref(), &mut records);
        }
        if next == BrokerState::ControlledShutdown {
            sessions.begin_shutdown(id, next_offset + records.len() as i64 - 1);
        }
        let response = BrokerHeartbeatResponse {
            is_caught_up: request.current_metadata_offset >= registration_offset,
            is_fenced: next.is_fenced(),
            should_shut_down: next == BrokerState::ShutdownNow,
            ..BrokerHeartbeatResponse::default()
        };
        Decision::of(records, response)
    }

    /// Fences one broker that was not heard of within its session, if there is one. At most one, so that what
    /// fencing it leads to is seen before the next. True in the reply: there was one, look again at once.
    pub fn fence_stale_broker(&self, sessions: &mut Sessions, now_ms: i64) -> Decision<bool> {
        let Some((id, epoch)) = sessions.take_expired(now_ms) else {
            return Decision::read(false);
        };
        let mut records = Vec::new();
        match self.image.broker(id) {
            None => sessions.remove(id),
            // A former life of a broker that has registered again since, or one that is fenced already.
            Some(broker) if broker.epoch != epoch || broker.fenced => {}
            Some(broker) => {
                self.fence(broker, &mut records);
                sessions.fence(id);
            }
        }
        Decision::of(records, true)
    }

    /// Fences a broker that is known to be gone, in the life that has this epoch, without waiting for its session to
    /// expire. True in the reply if it was not fenced before.
    pub fn fence_lost_broker(&self, sessions: &mut Sessions, id: i32, epoch: i64) -> Decision<bool> {
        let lives = self.image.broker(id).filter(|broker| broker.epoch == epoch && !broker.fenced);
        let Some(broker) = lives else { return Decision::read(false) };
        // Whoever starts it again need not wait either.
        sessions.end(id, epoch);
        let mut records = Vec::new();
        self.fence(broker, &mut records);
        sessions.fence(id);
        Decision::of(records, true)
    }

    /// Forgets a broker for good (UnregisterBroker).
    pub fn unregister_broker(&self, request: &UnregisterBrokerRequest) -> Decision<UnregisterBrokerResponse> {
        let id = request.broker_id;
        let Some(broker) = self.image.broker(id) else {
            return Decision::read(UnregisterBrokerResponse {
                error_code: ErrorCode::BrokerIdNotRegistered.code(),
                error_message: Some(format!("Broker ID {id} is not currently registered")),
                throttle_time_ms: 0,
            });
        };
        let mut records = Vec::new();
        self.leave(broker, &mut records);
        let unregister = UnregisterBrokerRecord { broker_id: id, broker_epoch: broker.epoch };
        records.push((MetadataRecord::UnregisterBrokerRecord(unregister), 0));
        Decision::of(records, UnregisterBrokerResponse { error_message: None, ..Default::default() })
    }

    /// Takes a broker that is about to be unregistered out of every ISR and ELR.
    fn leave(&self, broker: &Broker, records: &mut Vec<Record>) {
        let id = broker.id;
        let movement = Movement { removed: Some(id), unclean: Some(id), ..Movement::default() };
        let affected = |p: &crate::image::Partition| p.isr.contains(&id) || p.elr().contains(&id);
        self.leader_and_isr_updates(movement, affected, records);
    }

    /// Takes a broker out of the ISRs, then fences it.
    fn fence(&self, broker: &Broker, records: &mut Vec<Record>) {
        let id = broker.id;
        let movement = Movement { removed: Some(id), ..Movement::default() };
        if !mutant::is("fenced-stays-in-sync") {
            self.leader_and_isr_updates(movement, |partition| partition.isr.contains(&id), records);
        }
        records.push(fencing(broker, FENCE));
    }

    /// Unfences a broker, then lets it lead what nobody leads.
    fn unfence(&self, broker: &Broker, records: &mut Vec<Record>) {
        records.push(fencing(broker, UNFENCE));
        let movement = Movement { added: Some(broker.id), ..Movement::default() };
        self.leader_and_isr_updates(movement, |partition| !partition.has_leader(), records);
    }

    /// Marks a broker as leaving, then moves its leaderships and takes it out of the ISRs.
    fn begin_shutdown(&self, broker: &Broker, records: &mut Vec<Record>) {
        let id = broker.id;
        if !broker.in_controlled_shutdown {
            let record = BrokerRegistrationChangeRecord { in_controlled_shutdown: 1, ..change(broker) };
            records.push((MetadataRecord::BrokerRegistrationChangeRecord(record), 1));
        }
        let movement = Movement { removed: Some(id), ..Movement::default() };
        self.leader_and_isr_updates(movement, |partition| partition.isr.contains(&id), records);
    }

    /// Cleans up after a former life of a broker: cleanly stopped it only leaves the ISRs; otherwise it may have
    /// lost what was not flushed, and with ELR on it leaves every ELR as well.
    pub(super) fn clean_up_former_life(&self, id: i32, clean: bool, records: &mut Vec<Record>) {
        if self.image.features.elr_enabled() && (!clean && !mutant::is("every-stop-is-clean")) {
            let movement = Movement { unclean: Some(id), ..Movement::default() };
            let affected = |p: &crate::image::Partition| p.isr.contains(&id) || p.elr().contains(&id);
            self.leader_and_isr_updates(movement, affected, records);
        } else {
            let movement = Movement { removed: Some(id), ..Movement::default() };
            self.leader_and_isr_updates(movement, |partition| partition.isr.contains(&id), records);
        }
    }

    /// Directories a broker reports as failed: what they hold moves away, the others stay online.
    fn directories_offline(&self, broker: &Broker, offline: &[Uuid], records: &mut Vec<Record>) {
        let (failed, online): (Vec<Uuid>, Vec<Uuid>) =
            broker.directories.iter().partition(|dir| offline.contains(dir));
        if failed.is_empty() {
            return;
        }
        let id = broker.id;
        let movement = Movement { removed: Some(id), ..Movement::default() };
        let affected = |p: &crate::image::Partition| p.directory(id).is_some_and(|dir| failed.contains(&dir));
        self.leader_and_isr_updates(movement, affected, records);
        let record = BrokerRegistrationChangeRecord { log_dirs: online, ..change(broker) };
        records.push((MetadataRecord::BrokerRegistrationChangeRecord(record), 2));
    }
}

/// Directories a broker reports as cordoned; it reports none until it has caught up.
fn directories_cordoned(broker: &Broker, cordoned: Option<&[Uuid]>, records: &mut Vec<Record>) {
    let Some(cordoned) = cordoned else { return };
    let same = broker.cordoned.as_ref().is_some_and(|known| {
        known.iter().all(|dir| cordoned.contains(dir)) && cordoned.iter().all(|dir| known.contains(dir))
    });
    if !same {
        let record =
            BrokerRegistrationChangeRecord { cordoned_log_dirs: Some(cordoned.to_vec()), ..change(broker) };
        records.push((MetadataRecord::BrokerRegistrationChangeRecord(record), 3));
    }
}
