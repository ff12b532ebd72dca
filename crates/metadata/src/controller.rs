//! The controller of one node: standby while it follows the log, active while its node leads the quorum.
//!
//! Standby, it replays what is committed. Active, its decisions' records are replayed on its image at once, before
//! they are committed, so that the next decision sees them; should the node lose leadership, the image goes back to
//! the last committed batch. Replies must wait for the commit.

use ottla_records::mutant;
use std::collections::{BTreeMap, VecDeque};

use ottla_protocol::messages::broker_heartbeat_request::BrokerHeartbeatRequest;
use ottla_protocol::messages::broker_heartbeat_response::BrokerHeartbeatResponse;
use ottla_protocol::messages::broker_registration_request::BrokerRegistrationRequest;
use ottla_protocol::messages::broker_registration_response::BrokerRegistrationResponse;
use ottla_protocol::metadata_records::MetadataRecord;

use crate::decide::{
    Bootstrap, ConfigRules, Decision, MAX_RECORDS_PER_BATCH, Record, RegistrationContext, Sessions, Settings,
    View, activation,
};
use crate::delta::{Changes, LoadError, replay};
use crate::error::MetadataError;
use crate::image::Image;

/// State that records determine and that going back must restore.
#[derive(Debug, Clone, Default)]
struct State {
    image: Image,
    /// Offset of each broker's registration: a broker that has not read its own may not be unfenced.
    registrations: BTreeMap<i32, i64>,
    /// Image before the transaction that is open, if one is.
    transaction: Option<Image>,
}

/// The controller machine of one node.
pub struct Controller {
    settings: Settings,
    rules: Box<dyn ConfigRules + Send + Sync>,
    state: State,
    /// State at the last committed batch.
    committed: State,
    /// States at the ends of batches that are not committed yet.
    pending: VecDeque<(i64, State)>,
    sessions: Option<Sessions>,
}

impl Controller {
    /// A standby controller that has read nothing.
    pub fn new(settings: Settings, rules: Box<dyn ConfigRules + Send + Sync>) -> Controller {
        Controller {
            settings,
            rules,
            state: State::default(),
            committed: State::default(),
            pending: VecDeque::new(),
            sessions: None,
        }
    }

    /// What decisions are made on. Call its methods for every request that needs no session; then
    /// [`Controller::append`] the records.
    pub fn view(&self) -> View<'_> {
        View { image: &self.state.image, settings: &self.settings, rules: &*self.rules }
    }

    /// The newest image, uncommitted records included. Its provenance only keeps the offset.
    pub fn image(&self) -> &Image {
        &self.state.image
    }

    /// The image at the last committed batch; inside an open transaction with what it did so far.
    pub fn committed_image(&self) -> &Image {
        &self.committed.image
    }

    /// The node's settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes the node's settings, when its own configuration changes.
    pub fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// Whether this controller decides.
    pub fn is_active(&self) -> bool {
        self.sessions.is_some()
    }

    /// What this controller remembers about brokers; nothing while standby.
    pub fn sessions(&self) -> Option<&Sessions> {
        self.sessions.as_ref()
    }

    /// Standby: replays a committed batch. Records already replayed on this controller's own account must not be
    /// given again; call [`Controller::commit`] for those.
    pub fn replay_committed(
        &mut self,
        base_offset: i64,
        records: &[MetadataRecord],
    ) -> Result<(), LoadError> {
        for (offset, record) in (base_offset..).zip(records) {
            self.replay(offset, record).map_err(|source| LoadError { offset, source })?;
        }
        self.committed = self.state.clone();
        Ok(())
    }

    /// Standby: replaces everything by a snapshot's image. Registrations count as read at its offset.
    pub fn load_snapshot(&mut self, image: Image) {
        let registrations = image.brokers.keys().map(|&id| (id, image.provenance.offset)).collect();
        self.state = State { image, registrations, transaction: None };
        self.committed = self.state.clone();
        self.pending.clear();
    }

    /// Becomes active, once everything up to the begin of this node's term was replayed. The records are to be
    /// appended like any other decision's.
    pub fn activate(&mut self, bootstrap: &Bootstrap, now_ms: i64) -> Decision<()> {
        assert!(!self.is_active(), "an active controller cannot become active");
        self.sessions = Some(Sessions::begin(&self.state.image, self.settings.session_timeout_ms, now_ms));
        activation(
            &self.state.image,
            bootstrap,
            self.state.transaction.is_some(),
            self.settings.static_min_insync_replicas,
        )
    }

    /// Becomes standby: goes back to what is committed.
    pub fn deactivate(&mut self) {
        self.sessions = None;
        self.pending.clear();
        if !mutant::is("uncommitted-kept") {
            self.state = self.committed.clone();
        }
    }

    /// Active: replays a decision's records, which were or are about to be appended from `base_offset` on, in as
    /// many batches as [`batches`] cuts them into.
    ///
    /// Panics if a record does not fit: a decision whose records cannot be replayed is a broken one, and every
    /// other node would stumble over them.
    pub fn append(&mut self, base_offset: i64, records: &[Record], atomic: bool) {
        let mut offset = base_offset;
        for batch in batches(records, atomic) {
            for (record, _) in batch {
                if let Err(error) = self.replay(offset, record) {
                    panic!("a decided record cannot be replayed at offset {offset}: {error} ({record:?})");
                }
                offset += 1;
            }
            self.pending.push_back((offset - 1, self.state.clone()));
        }
    }

    /// Active: everything up to and including this offset is committed.
    pub fn commit(&mut self, offset: i64) {
        while let Some((end, _)) = self.pending.front() {
            if *end > offset {
                break;
            }
            if let Some((_, state)) = self.pending.pop_front() {
                self.committed = state;
            }
        }
    }

    fn replay(&mut self, offset: i64, record: &MetadataRecord) -> Result<(), MetadataError> {
        let open = self.state.transaction.is_some();
        let unexpected = |record| Err(MetadataError::Transaction { record, open });
        match record {
            MetadataRecord::BeginTransactionRecord(_) if open => return unexpected("BeginTransactionRecord"),
            MetadataRecord::BeginTransactionRecord(_) => {
                self.state.transaction = Some(self.state.image.clone());
            }
            MetadataRecord::EndTransactionRecord(_) if !open => return unexpected("EndTransactionRecord"),
            MetadataRecord::EndTransactionRecord(_) => self.state.transaction = None,
            MetadataRecord::AbortTransactionRecord(_) => match self.state.transaction.take() {
                None => return unexpected("AbortTransactionRecord"),
                Some(before) => self.state.image = before,
            },
            record => {
                let mut changes = Changes::default();
                replay(&mut self.state.image, record, &mut changes)?;
                self.follow_brokers(offset, record, &changes);
            }
        }
        self.state.image.provenance.offset = offset;
        Ok(())
    }

    /// Keeps registrations and sessions in step with the brokers.
    fn follow_brokers(&mut self, offset: i64, record: &MetadataRecord, changes: &Changes) {
        for &id in &changes.brokers {
            match self.state.image.broker(id) {
                None => {
                    self.state.registrations.remove(&id);
                    if let Some(sessions) = &mut self.sessions {
                        sessions.remove(id);
                    }
                }
                Some(broker) => {
                    if matches!(record, MetadataRecord::RegisterBrokerRecord(_)) {
                        self.state.registrations.insert(id, offset);
                    }
                    if let Some(sessions) = &mut self.sessions {
                        sessions.register(id, broker.fenced);
                    }
                }
            }
        }
    }

    fn active(&mut self) -> (View<'_>, &mut Sessions, &BTreeMap<i32, i64>) {
        let sessions = self.sessions.as_mut().expect("only an active controller decides");
        let view = View { image: &self.state.image, settings: &self.settings, rules: &*self.rules };
        (view, sessions, &self.state.registrations)
    }

    /// Notes that a broker was heard of, as soon as its heartbeat arrives and whatever becomes of it. What is said in
    /// the name of a life that is not registered counts for nothing: anybody can invent epochs.
    pub fn contact(&mut self, broker: i32, epoch: i64, now_ms: i64) {
        let is_known = self.state.image.broker(broker).is_some_and(|known| known.epoch == epoch);
        if let Some(sessions) = &mut self.sessions
            && is_known
        {
            sessions.contact(broker, epoch, now_ms);
        }
    }

    /// Notes that a broker may be gone: its connection broke. Its session goes on, but the broker's next life need not
    /// wait for the end of it, unless a heartbeat says that it lives.
    pub fn doubt(&mut self, broker: i32, epoch: i64) {
        if let Some(sessions) = &mut self.sessions {
            sessions.doubt(broker, epoch);
        }
    }

    /// Active: decides on a heartbeat. `next_offset` is where its records will go.
    pub fn broker_heartbeat(
        &mut self,
        request: &BrokerHeartbeatRequest,
        next_offset: i64,
        now_ms: i64,
    ) -> Decision<BrokerHeartbeatResponse> {
        self.contact(request.broker_id, request.broker_epoch, now_ms);
        let (view, sessions, registrations) = self.active();
        let registration = registrations.get(&request.broker_id).copied();
        view.broker_heartbeat(request, sessions, registration, next_offset)
    }

    /// Active: decides on a broker's registration.
    pub fn register_broker(
        &mut self,
        request: &BrokerRegistrationRequest,
        context: RegistrationContext,
    ) -> Decision<BrokerRegistrationResponse> {
        let (view, sessions, _) = self.active();
        view.register_broker(request, sessions, context)
    }

    /// Active: fences a broker that is known to be gone before its session expires.
    pub fn fence_lost_broker(&mut self, id: i32, epoch: i64) -> Decision<bool> {
        let (view, sessions, _) = self.active();
        view.fence_lost_broker(sessions, id, epoch)
    }

    /// Active: fences at most one broker whose session has expired; call it again at once while the reply is true,
    /// otherwise every eighth of the session timeout.
    pub fn fence_stale_broker(&mut self, now_ms: i64) -> Decision<bool> {
        let (view, sessions, _) = self.active();
        view.fence_stale_broker(sessions, now_ms)
    }
}

/// A decision's records as the batches they are appended in: one if they are atomic, else of
/// [`MAX_RECORDS_PER_BATCH`] records at most.
pub fn batches(records: &[Record], atomic: bool) -> impl Iterator<Item = &[Record]> {
    let size = if atomic { records.len().max(1) } else { MAX_RECORDS_PER_BATCH };
    records.chunks(size)
}
