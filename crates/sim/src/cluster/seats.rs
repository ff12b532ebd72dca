//! Group coordinators: one for each partition of `__consumer_offsets` that a node leads. It reads the partition's log
//! piece by piece, serves its groups, and goes when the lead goes.

use std::collections::BTreeMap;

use ottla_groups::{Client, Config, Journal, Keeper, Moment, Request, Said, TransactionCheck};
use ottla_log::ReadUpTo;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_records::Decompressor;
use uuid::Uuid;

use super::ask::{Answer, Key, Party, Purpose, Route};
use super::members::READ;
use super::partition::{Around, Partition};
use super::plan::Plan;
use super::world::{Event, TOPIC, World};

/// Bytes of a log that are read at once.
const LOAD_BYTES: usize = 2_000;
/// What reading a piece takes at most, in milliseconds.
const LOAD_MS: i64 = 60;

/// A coordinator.
pub struct Seat {
    keeper: Keeper,
    key: Key,
    /// Tells it from the one that sat here before.
    number: u64,
    /// Where the log is to be read on, and where it ended when the lead began; nothing once that is done.
    loading: Option<(i64, i64)>,
    tokens: u64,
    waiting: BTreeMap<u64, (Route, Request)>,
}

/// A partition as its coordinator writes to it.
struct Desk<'a, 'b> {
    partition: &'a mut Partition,
    around: &'a Around<'b>,
}

impl Journal for Desk<'_, '_> {
    fn append(
        &mut self,
        batch: &[u8],
        leader_epoch: i32,
        _: i64,
        _: TransactionCheck,
    ) -> Result<(i64, i64), ErrorCode> {
        self.partition.append_own(batch, leader_epoch, self.around)
    }

    fn high_watermark(&self, leader_epoch: i32) -> Option<i64> {
        let leads = self.partition.leader_epoch == leader_epoch && self.partition.check_leader(-1).is_ok();
        leads.then(|| self.partition.log.high_watermark())
    }
}

fn config(plan: &Plan) -> Config {
    Config {
        min_session_timeout_ms: 1,
        initial_rebalance_delay_ms: plan.delay_ms as i32,
        write_timeout_ms: 2_000,
        ..Config::default()
    }
}

impl World {
    fn moment(&self, node: usize) -> Moment {
        let time = self.nodes[node].time(self.now);
        Moment { running_ms: time.monotonic, wall_ms: time.wall }
    }

    fn seat(&mut self, node: usize, index: i32) -> Option<&mut Seat> {
        self.nodes[node].process.as_mut()?.seats.get_mut(&index)
    }

    /// A node leads a partition of `__consumer_offsets` in a new epoch.
    pub(super) fn take_seat(&mut self, node: usize, key: Key, epoch: i32) {
        if let Some(seat) = self.seat(node, key.1)
            && seat.key == key
        {
            seat.keeper.lead_on(epoch);
            return self.settle_seat(node, key.1);
        }
        self.leave_seat(node, key.1);
        let number = self.random.bits();
        let keeper = Keeper::new(config(&self.plan), epoch);
        let Some(process) = &mut self.nodes[node].process else { return };
        let Some(partition) = process.partitions.get(&key) else { return };
        let loading = Some((partition.log.log_start(), partition.log.log_end()));
        let seat = Seat { keeper, key, number, loading, tokens: 0, waiting: BTreeMap::new() };
        process.seats.insert(key.1, seat);
        self.read_on(node, key.1, number);
    }

    fn read_on(&mut self, node: usize, index: i32, seat: u64) {
        let incarnation = self.nodes[node].incarnation;
        let after = self.random.between(1, LOAD_MS);
        self.post(after, Event::Load { node, incarnation, index, seat });
    }

    /// A node gives a partition of `__consumer_offsets` up, if it had it: whoever waits is told so.
    pub(super) fn leave_seat(&mut self, node: usize, index: i32) {
        let now = self.moment(node);
        let seat = self.nodes[node].process.as_mut().and_then(|it| it.seats.remove(&index));
        let Some(mut seat) = seat else { return };
        self.note(format_args!("{} no longer coordinates -{index}", node + 1));
        let mut said = Vec::new();
        seat.keeper.unload(now);
        seat.keeper.settle(None, now, &mut |it| said.push(it));
        self.hand_out(node, &mut seat, said);
    }

    /// A process that stops gives everything up.
    pub(super) fn leave_seats(&mut self, node: usize) {
        let seats = self.nodes[node].process.as_ref().map(|it| it.seats.keys().copied().collect::<Vec<_>>());
        for index in seats.unwrap_or_default() {
            self.leave_seat(node, index);
        }
    }

    /// The next piece of a partition's log.
    pub(super) fn load_seat(&mut self, node: usize, index: i32, number: u64) {
        let now = self.moment(node);
        let Some(process) = &mut self.nodes[node].process else { return };
        let Some(seat) = process.seats.get_mut(&index).filter(|seat| seat.number == number) else { return };
        let (Some((at, end)), Some(partition)) = (seat.loading, process.partitions.get(&seat.key)) else {
            return;
        };
        if at < end {
            let read = partition.log.read(at, LOAD_BYTES, true, ReadUpTo::LogEnd);
            let bytes = read.ok().and_then(|read| read.slice.to_vec().ok());
            let bytes = bytes.expect("invariant 17 broken: a log cannot be read");
            let leads = partition.leader_epoch == seat.keeper.leader_epoch();
            let high_watermark = leads.then(|| partition.log.high_watermark());
            let read = seat.keeper.read(&mut Decompressor::new(), &bytes, at, high_watermark);
            let (_, next) = read.expect("invariant 34 broken: a coordinator cannot read its log");
            seat.loading = Some((next, end));
            return self.read_on(node, index, number);
        }
        seat.loading = None;
        seat.keeper.loaded(now);
        let epoch = seat.keeper.leader_epoch();
        self.note(format_args!("{} coordinates -{index} in {epoch}, has read to {end}", node + 1));
        self.settle_seat(node, index);
    }

    /// A request for a group has arrived.
    pub(super) fn coordinate(&mut self, node: usize, route: Route, index: i32, asked: (i16, Request)) {
        let (version, mut request) = asked;
        let now = self.moment(node);
        if let Request::JoinGroup { fresh, .. } = &mut request {
            *fresh = Uuid::from_u64_pair(self.random.bits(), self.random.bits());
        }
        let serves = self.nodes[node].process.as_ref().is_some_and(|it| it.life.serving);
        let Some(seat) = self.seat(node, index).filter(|_| serves) else {
            return self.answer(node, route, Answer::NotCoordinator);
        };
        seat.tokens += 1;
        let token = seat.tokens;
        let name = match route.party {
            Party::Member(member) => format!("m{member}"),
            _ => String::new(),
        };
        seat.waiting.insert(token, (route, request.clone()));
        let client = Client { id: &name, host: "/10.0.0.1", api_version: version };
        seat.keeper.handle(now, client, token, request);
        self.settle_seat(node, index);
    }

    /// Deadlines of a node's coordinators.
    pub(super) fn tick_seats(&mut self, node: usize) {
        let now = self.moment(node);
        let Some(process) = &mut self.nodes[node].process else { return };
        let mut due = Vec::new();
        for (index, seat) in &mut process.seats {
            if seat.keeper.next_deadline().is_some_and(|deadline| deadline <= now.running_ms) {
                seat.keeper.tick(now);
                due.push(*index);
            }
        }
        for index in due {
            self.settle_seat(node, index);
        }
    }

    /// A partition has changed: perhaps its coordinator waited for that.
    pub(super) fn tell_seat(&mut self, node: usize, key: Key) {
        let waits = self.seat(node, key.1).is_some_and(|seat| seat.key == key && seat.keeper.waits());
        if waits {
            self.settle_seat(node, key.1);
        }
    }

    /// Has a coordinator do what it wants to do.
    fn settle_seat(&mut self, node: usize, index: i32) {
        let now = self.moment(node);
        // While it works it is not in its place: what its appends cause comes back here through `tell_seat`.
        let seat = self.nodes[node].process.as_mut().and_then(|it| it.seats.remove(&index));
        let Some(mut seat) = seat else { return };
        let mut said = Vec::new();
        let keeper = &mut seat.keeper;
        let done = self.with(node, seat.key, |partition, around, _| {
            let mut desk = Desk { partition, around };
            keeper.settle(Some(&mut desk), now, &mut |it| said.push(it));
            Ok(())
        });
        if done.is_none() {
            // The process is gone, and with it what it would have said.
            return;
        }
        self.hand_out(node, &mut seat, said);
        if let Some(process) = &mut self.nodes[node].process {
            process.seats.insert(index, seat);
        }
    }

    fn hand_out(&mut self, node: usize, seat: &mut Seat, said: Vec<Said>) {
        for said in said {
            match said {
                Said::Notice(notice) => self.note(format_args!("{} says: {notice}", node + 1)),
                Said::Reply { token, response } => {
                    let waiting = seat.waiting.remove(&token);
                    let (route, request) =
                        waiting.expect("invariant 43 broken: a coordinator answers a request twice");
                    let epoch = seat.keeper.leader_epoch();
                    self.rules.coordinator_answers(seat.key, epoch, &request, &response);
                    if route.party != Party::Nobody {
                        self.answer(node, route, Answer::Group(Box::new(response)));
                    }
                }
            }
        }
    }

    /// Has the coordinators that serve show every group's offsets, to judge them.
    pub(super) fn probe(&mut self) {
        for node in 0..self.nodes.len() {
            let seats = match &self.nodes[node].process {
                Some(process) if process.life.serving && self.nodes[node].held_until <= self.now => process
                    .seats
                    .iter()
                    .filter(|(_, seat)| seat.loading.is_none() && !seat.keeper.awaits_tail()),
                _ => continue,
            };
            let seats: Vec<i32> = seats.map(|(index, _)| *index).collect();
            for index in seats {
                for group in 0..self.plan.groups {
                    if self.coordinator_of(group) == index {
                        let group = fetch(&super::members::group_name(group), 0..READ);
                        let request = Request::OffsetFetch { group, require_stable: false };
                        let route = Route { party: Party::Nobody, id: 0, purpose: Purpose::Nothing };
                        self.coordinate(node, route, index, (8, request));
                    }
                }
            }
        }
    }

    /// The partition of `__consumer_offsets` that a group lives on.
    pub(super) fn coordinator_of(&self, group: usize) -> i32 {
        ottla_groups::partition_for(&super::members::group_name(group), self.plan.offsets_partitions)
    }
}

/// Asks for what is committed of these partitions.
pub fn fetch(group: &str, partitions: impl IntoIterator<Item = u8>) -> OffsetFetchRequestGroup {
    let topic = OffsetFetchRequestTopics {
        name: TOPIC.to_owned(),
        partition_indexes: partitions.into_iter().map(i32::from).collect(),
        ..OffsetFetchRequestTopics::default()
    };
    OffsetFetchRequestGroup {
        group_id: group.to_owned(),
        topics: Some(vec![topic]),
        ..OffsetFetchRequestGroup::default()
    }
}
