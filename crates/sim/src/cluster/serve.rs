//! What a node is asked: the controller's requests go to its desk, the others to a partition.

use ottla_metadata::Decision;
use ottla_metadata::decide::{CreateContext, RegistrationContext};
use ottla_protocol::ErrorCode;

use super::ask::{Answer, Ask, Key, Route};
use super::lead::Written;
use super::partition::{Parked, Waiting};
use super::world::World;

/// How long a fetch waits for something to fetch (`replica.fetch.wait.max.ms`).
const FETCH_WAIT_MS: i64 = 400;
/// How long an acks=all produce waits for the in-sync replicas.
const PRODUCE_WAIT_MS: i64 = 2_000;

impl World {
    /// A question has arrived at a node that runs.
    pub(super) fn serve(&mut self, node: usize, route: Route, ask: Ask) {
        match ask {
            Ask::Fetch { key, replica, broker_epoch, fetch } => {
                let max = self.plan.fetch_bytes;
                let served = self.at_broker(node, key, |partition, around| {
                    partition.serve(replica, broker_epoch, &fetch, true, max, around)
                });
                match served {
                    Ok((_, true)) => {
                        let until_ms = self.now + FETCH_WAIT_MS;
                        let parked = Parked { route, replica, fetch, until_ms };
                        let process = self.nodes[node].process.as_mut();
                        if let Some(partition) = process.and_then(|it| it.partitions.get_mut(&key)) {
                            partition.parked.push(parked);
                        }
                    }
                    Ok((fetched, false)) => self.answer(node, route, Answer::Fetched(Ok(fetched))),
                    Err(error) => self.answer(node, route, Answer::Fetched(Err(error))),
                }
            }
            Ask::Offset { key, query } => {
                let found = self.at_broker(node, key, |partition, _| partition.end_of(&query));
                self.answer(node, route, Answer::Offset(found));
            }
            Ask::Produce { key, acks_all, number, records } => {
                let written = self
                    .at_broker(node, key, |partition, around| partition.produce(&records, acks_all, around));
                match &written {
                    Ok(Written::Now { base } | Written::Waits { base, .. }) => {
                        self.note(format_args!("{} has {number} at {base}", node + 1));
                    }
                    Err(_) => {}
                }
                match written {
                    Err(error) => self.answer(node, route, Answer::Produced(Err(error))),
                    Ok(Written::Now { base }) => {
                        if acks_all {
                            self.acknowledged(node, key, base, number);
                        }
                        self.answer(node, route, Answer::Produced(Ok(base)));
                    }
                    Ok(Written::Waits { base, required }) => {
                        let until_ms = self.now + PRODUCE_WAIT_MS;
                        let process = self.nodes[node].process.as_mut();
                        let Some(partition) = process.and_then(|it| it.partitions.get_mut(&key)) else {
                            return;
                        };
                        let leader_epoch = partition.leader_epoch;
                        partition.waiting.push(Waiting {
                            route,
                            leader_epoch,
                            base,
                            required,
                            number,
                            until_ms,
                        });
                        self.tell(node, key);
                    }
                }
            }
            Ask::Group { index, version, request } => {
                self.coordinate(node, route, index, (version, *request))
            }
            ask => self.at_desk(node, route, ask),
        }
    }

    /// Has a partition of a broker that serves answer.
    fn at_broker<R>(
        &mut self,
        node: usize,
        key: Key,
        act: impl FnOnce(&mut super::partition::Partition, &super::partition::Around<'_>) -> Result<R, ErrorCode>,
    ) -> Result<R, ErrorCode> {
        let process = self.nodes[node].process.as_ref();
        if !process.is_some_and(|process| process.life.serving) {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        let done = self.with(node, key, |partition, around, _| Ok(act(partition, around)));
        done.unwrap_or(Err(ErrorCode::UnknownTopicOrPartition))
    }

    fn at_desk(&mut self, node: usize, route: Route, ask: Ask) {
        let (now, time) = (self.now, self.nodes[node].time(self.now));
        let host = &mut self.nodes[node];
        let Some(process) = &mut host.process else { return };
        if !process.is_active() {
            return self.answer(node, route, Answer::NotController);
        }
        let kraft_version = process.replica.node().kraft_version();
        let desk = process.desk.as_mut().expect("SIM: it is active");
        let (next_offset, controller) = (desk.next_offset, &mut desk.controller);
        let (decision, answer) = match ask {
            Ask::Register(request) => {
                let context = RegistrationContext {
                    request_version: 4,
                    next_offset,
                    kraft_version,
                    now_ms: now,
                    own_process: false,
                };
                apart(controller.register_broker(&request, context).map(Answer::Registered))
            }
            Ask::Heartbeat(request) => {
                apart(controller.broker_heartbeat(&request, next_offset, now).map(Answer::Beat))
            }
            Ask::AlterPartition(request) => {
                apart(controller.view().alter_partition(&request, 3).map(Answer::Altered))
            }
            Ask::CreateTopics(request) => {
                let mut context =
                    CreateContext { access: &|_, _| true, forwarded: false, random: &mut desk.random };
                apart(controller.view().create_topics(&request, &mut context).map(|_| Answer::Administered))
            }
            Ask::Reassign(request) => {
                apart(controller.view().alter_partition_reassignments(&request).map(|_| Answer::Administered))
            }
            Ask::Elect(request) => {
                apart(controller.view().elect_leaders(&request).map(|_| Answer::Administered))
            }
            Ask::AssignDirs(request) => {
                apart(controller.view().assign_replicas_to_dirs(&request).map(|_| Answer::Administered))
            }
            Ask::Fetch { .. } | Ask::Offset { .. } | Ask::Produce { .. } | Ask::Group { .. } => return,
        };
        let answers = super::desk::append(process, &host.said, time, decision, Some((route, answer)));
        self.answer_all(node, answers);
        self.step(node, |_, _| {});
    }

    /// Brings what a partition did to whoever waits for it, and before the rules.
    pub(super) fn tell(&mut self, node: usize, key: Key) {
        let (now, max) = (self.now, self.plan.fetch_bytes);
        let id = self.nodes[node].id();
        let mut acked = Vec::new();
        let mut answers = Vec::new();
        {
            let time = self.nodes[node].time(now);
            let World { nodes, rules, plan, .. } = self;
            let Some(process) = &mut nodes[node].process else { return };
            let super::node::Process { partitions, brokers, to_propose, life, image, .. } = process;
            let Some(partition) = partitions.get_mut(&key) else { return };
            let registered = image.broker(id).is_some_and(|it| it.incarnation_id == life.incarnation_id);
            rules.look(node, partition, registered && life.serving);
            to_propose.extend(partition.proposals.drain(..).map(|proposal| (key, proposal)));
            let around = super::node::around(id, time, brokers, plan);
            for waiting in std::mem::take(&mut partition.waiting) {
                match partition.acked(waiting.leader_epoch, waiting.required) {
                    None if waiting.until_ms > now => partition.waiting.push(waiting),
                    None => answers.push((waiting.route, Answer::Produced(Err(ErrorCode::RequestTimedOut)))),
                    Some(Err(error)) => answers.push((waiting.route, Answer::Produced(Err(error)))),
                    Some(Ok(())) => {
                        acked.push((waiting.base, waiting.number));
                        answers.push((waiting.route, Answer::Produced(Ok(waiting.base))));
                    }
                }
            }
            for parked in std::mem::take(&mut partition.parked) {
                match partition.serve(parked.replica, -1, &parked.fetch, false, max, &around) {
                    Ok((_, true)) if parked.until_ms > now => partition.parked.push(parked),
                    Ok((fetched, _)) => answers.push((parked.route, Answer::Fetched(Ok(fetched)))),
                    Err(error) => answers.push((parked.route, Answer::Fetched(Err(error)))),
                }
            }
        }
        for (base, number) in acked {
            self.acknowledged(node, key, base, number);
        }
        self.answer_all(node, answers);
        self.compare_with_newest(key);
        self.tell_seat(node, key);
    }

    fn acknowledged(&mut self, node: usize, key: Key, base: i64, number: u64) {
        let process = self.nodes[node].process.as_ref();
        let epoch = process.and_then(|it| it.partitions.get(&key)).map_or(-1, |it| it.leader_epoch);
        self.note(format_args!("{} acknowledges {number} at {base} of -{} in {epoch}", node + 1, key.1));
        self.rules.acknowledged(key, epoch, base, number);
    }
}

fn apart(decision: Decision<Answer>) -> (Decision<()>, Answer) {
    let Decision { records, atomic, reply } = decision;
    (Decision { records, atomic, reply: () }, reply)
}
