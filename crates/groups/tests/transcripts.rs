//! Golden transcripts: every file of `tests/transcripts` is a conversation with one shard.
//!
//! A block is a command, `----`, what the shard does about it, and an empty line. `UPDATE_TRANSCRIPTS=1 cargo test` writes
//! what it does into the files, to be read before it is committed. Member ids end in `#n` for the n-th uuid
//! drawn. Appends get their outcome by `ok N` and `fail N ERROR`, or at once after `auto on`. `wall` sets the wall
//! clock, which is the same as the other one until then. `failover above=N` is a new shard that has read the log while
//! the high watermark was N; what is above it is settled by `ok`, too.

mod support;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use bytes::Bytes;
use ottla_groups::{Append, Client, Config, Effect, Marker, Request, Shard};
use ottla_protocol::consumer_protocol::consumer_protocol_subscription::ConsumerProtocolSubscription;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::heartbeat_request::HeartbeatRequest;
use ottla_protocol::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla_protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use ottla_protocol::messages::list_groups_request::ListGroupsRequest;
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_protocol::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use ottla_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use ottla_protocol::wire::Message;
use support::{Log, check_encodable, long, short, show_effect, uuid};

/// The words of a command: `name`, then `key=value`s and plain words.
struct Words<'a> {
    plain: Vec<&'a str>,
    named: HashMap<&'a str, &'a str>,
}

impl<'a> Words<'a> {
    fn of(line: &'a str) -> Words<'a> {
        let mut words = Words { plain: Vec::new(), named: HashMap::new() };
        for word in line.split_whitespace() {
            match word.split_once('=') {
                Some((key, value)) => drop(words.named.insert(key, value)),
                None => words.plain.push(word),
            }
        }
        words
    }

    fn text(&self, key: &str, default: &str) -> String {
        long(self.named.get(key).unwrap_or(&default))
    }

    fn option(&self, key: &str) -> Option<String> {
        self.named.get(key).map(|value| long(value))
    }

    fn number<N: std::str::FromStr>(&self, key: &str, default: N) -> N {
        match self.named.get(key) {
            Some(value) => value.parse().unwrap_or_else(|_| panic!("{key}={value} is not a number")),
            None => default,
        }
    }

    fn list(&self, key: &str) -> Vec<String> {
        let listed = self.named.get(key).into_iter().flat_map(|value| value.split(','));
        listed.filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }
}

struct Stage {
    shard: Shard,
    config: Config,
    log: Log,
    now_ms: i64,
    drawn: u64,
    is_auto: bool,
    tokens: Vec<(String, i16)>,
    open: BTreeMap<u64, Append>,
    /// Offsets of records that were read above the high watermark.
    read: BTreeMap<u64, i64>,
}

impl Stage {
    fn new() -> Stage {
        let config = Config::default();
        Stage {
            shard: Shard::new(config.clone()),
            config,
            log: Log::default(),
            now_ms: 0,
            drawn: 0,
            is_auto: false,
            tokens: Vec::new(),
            open: BTreeMap::new(),
            read: BTreeMap::new(),
        }
    }

    fn run(&mut self, command: &str) -> String {
        let words = Words::of(command);
        let argument = |i: usize| words.plain.get(i).copied().unwrap_or("");
        match words.plain[0] {
            "config" => {
                self.configure(&words);
                self.shard = Shard::new(self.config.clone());
            }
            "loaded" => self.shard.loaded(self.now_ms),
            "unload" => self.shard.unload(),
            "auto" => self.is_auto = argument(1) == "on",
            "at" => {
                self.now_ms = argument(1).parse().unwrap();
                self.shard.tick(self.now_ms);
            }
            "wall" => self.shard.set_wall_clock(self.now_ms, argument(1).parse().unwrap()),
            "failover" => {
                self.open.clear();
                let (shard, read) =
                    self.log.read_up_to(self.config.clone(), self.now_ms, words.number("above", 0));
                (self.shard, self.read) = (shard, read);
            }
            "later" => self.now_ms = argument(1).parse().unwrap(),
            "deadline" => return format!("{:?}\n", self.shard.next_deadline()),
            "ok" | "fail" => {
                let id = argument(1).parse().unwrap();
                if let Some(base) = self.read.remove(&id) {
                    self.shard.appended(self.now_ms, id, Ok(base));
                    return self.effects();
                }
                if !self.open.contains_key(&id) {
                    return format!("no append {id} is open\n");
                }
                self.settle(id, (words.plain[0] == "fail").then(|| argument(2)));
            }
            "topic-deleted" => {
                let id = words.option("id").map(|id| id.parse().unwrap()).unwrap_or_default();
                self.shard.topics_deleted(self.now_ms, &[(argument(1), id)]);
            }
            "dump" => return self.shard.dump().iter().map(|line| short(line) + "\n").collect(),
            "reload" => {
                self.configure(&words);
                let reloaded = self.log.reload(self.config.clone(), self.now_ms);
                let lines = reloaded.dump();
                let verdict = if lines == self.shard.dump() { "as it was" } else { "different" };
                self.shard = reloaded;
                return format!("{verdict}\n{}", self.effects());
            }
            _ => self.request(&words),
        }
        self.effects()
    }

    fn configure(&mut self, words: &Words) {
        let c = &mut self.config;
        c.initial_rebalance_delay_ms = words.number("delay", c.initial_rebalance_delay_ms);
        c.max_size = words.number("max-size", c.max_size);
        c.offset_metadata_max_size = words.number("metadata", c.offset_metadata_max_size);
        c.offsets_retention_ms = words.number("retention", c.offsets_retention_ms);
        c.offsets_retention_check_interval_ms = words.number("check", c.offsets_retention_check_interval_ms);
    }

    fn settle(&mut self, id: u64, error: Option<&str>) {
        let append = self.open.remove(&id).expect("an open append");
        let outcome = match error {
            None => Ok(self.log.append(&append)),
            Some(name) => {
                let known = (0..134).filter_map(ErrorCode::from_i16).find(|e| e.name() == name);
                Err(known.expect("an error's name"))
            }
        };
        self.shard.appended(self.now_ms, id, outcome);
    }

    fn effects(&mut self) -> String {
        let mut out = String::new();
        while let Some(effect) = self.shard.poll_effect() {
            let line = match &effect {
                Effect::Reply { token, response } => {
                    let (name, version) = &self.tokens[*token as usize];
                    check_encodable(response, *version);
                    format!("reply {name} {}", show_effect(&effect))
                }
                Effect::Append(append) => {
                    self.open.insert(append.id, append.clone());
                    show_effect(&effect)
                }
                Effect::Notice(_) => show_effect(&effect),
            };
            out += &short(&line);
            out += "\n";
            if let (Effect::Append(append), true) = (&effect, self.is_auto) {
                self.settle(append.id, None);
            }
        }
        out
    }

    fn request(&mut self, words: &Words) {
        let group_id = words.text("group", "g");
        let member_id = words.text("member", "");
        let group_instance_id = words.option("instance");
        let generation_id = words.number("gen", -1);
        let (version, request) = match words.plain[0] {
            "join" => {
                self.drawn += 1;
                let protocols = words.named.get("protocols").unwrap_or(&"range:m").split(',');
                let protocols = protocols.filter(|p| !p.is_empty()).map(|protocol| {
                    let (name, metadata) = protocol.split_once(':').unwrap_or((protocol, ""));
                    JoinGroupRequestProtocol { name: name.to_owned(), metadata: metadata_of(metadata) }
                });
                let request = JoinGroupRequest {
                    group_id,
                    session_timeout_ms: words.number("session", 10_000),
                    rebalance_timeout_ms: words.number("rebalance", 60_000),
                    member_id,
                    group_instance_id,
                    protocol_type: words.text("type", "consumer"),
                    protocols: protocols.collect(),
                    reason: words.option("reason"),
                };
                (9, Request::JoinGroup { request, fresh: uuid(self.drawn) })
            }
            "sync" => {
                let assignments = words.list("assign").into_iter().map(|pair| {
                    let (member, assignment) = pair.split_once(':').unwrap();
                    SyncGroupRequestAssignment {
                        member_id: long(member),
                        assignment: Bytes::copy_from_slice(assignment.as_bytes()),
                    }
                });
                let request = SyncGroupRequest {
                    group_id,
                    generation_id,
                    member_id,
                    group_instance_id,
                    protocol_type: words.option("type"),
                    protocol_name: words.option("protocol"),
                    assignments: assignments.collect(),
                };
                (4, Request::SyncGroup(request))
            }
            "heartbeat" => {
                let request = HeartbeatRequest { group_id, generation_id, member_id, group_instance_id };
                (4, Request::Heartbeat(request))
            }
            "leave" => {
                let members = words.list("members").into_iter().map(|member| {
                    let (id, instance) = member.split_once('@').unwrap_or((&member, ""));
                    MemberIdentity {
                        member_id: long(id),
                        group_instance_id: (!instance.is_empty()).then(|| instance.to_owned()),
                        reason: None,
                    }
                });
                let members = members.collect();
                (5, Request::LeaveGroup(LeaveGroupRequest { group_id, member_id, members }))
            }
            "commit" => {
                let topics = words.plain[2..].iter().map(|at| {
                    let (topic, partition) = at.split_once('-').unwrap();
                    OffsetCommitRequestTopic {
                        name: topic.to_owned(),
                        topic_id: words.option("id").map(|id| id.parse().unwrap()).unwrap_or_default(),
                        partitions: vec![OffsetCommitRequestPartition {
                            partition_index: partition.parse().unwrap(),
                            committed_offset: words.number("offset", 0),
                            committed_leader_epoch: words.number("epoch", -1),
                            committed_metadata: words.option("metadata"),
                        }],
                    }
                });
                let request = OffsetCommitRequest {
                    group_id,
                    generation_id_or_member_epoch: generation_id,
                    member_id,
                    group_instance_id,
                    retention_time_ms: words.number("retention", -1),
                    topics: topics.collect(),
                };
                (9, Request::OffsetCommit(request))
            }
            "txn-commit" => {
                let topics = words.plain[2..].iter().map(|at| {
                    let (topic, partition) = at.split_once('-').unwrap();
                    TxnOffsetCommitRequestTopic {
                        name: topic.to_owned(),
                        partitions: vec![TxnOffsetCommitRequestPartition {
                            partition_index: partition.parse().unwrap(),
                            committed_offset: words.number("offset", 0),
                            committed_leader_epoch: words.number("epoch", -1),
                            committed_metadata: words.option("metadata"),
                        }],
                    }
                });
                let request = TxnOffsetCommitRequest {
                    transactional_id: words.text("tx", "tx"),
                    group_id,
                    producer_id: words.number("producer", 70),
                    producer_epoch: words.number("of", 0),
                    generation_id,
                    member_id,
                    group_instance_id,
                    topics: topics.collect(),
                };
                let guard = words.option("guard").map(|guard| guard.parse().unwrap());
                (3, Request::TxnOffsetCommit { request, guard })
            }
            "marker" => {
                let producer = (words.number("producer", 70), words.number("of", 0));
                let marker = Marker {
                    commit: words.plain[2] == "commit",
                    coordinator_epoch: words.number("coordinator", 1),
                    transaction_version: words.number("tv", 2),
                };
                (0, Request::EndTransaction { producer, marker })
            }
            "fetch" => {
                let topics = words.plain[2..].iter().filter(|word| word.contains('-')).map(|at| {
                    let (topic, partition) = at.split_once('-').unwrap();
                    OffsetFetchRequestTopics {
                        name: topic.to_owned(),
                        topic_id: words.option("id").map(|id| id.parse().unwrap()).unwrap_or_default(),
                        partition_indexes: vec![partition.parse().unwrap()],
                    }
                });
                let is_all = words.plain.contains(&"all");
                let group = OffsetFetchRequestGroup {
                    group_id,
                    topics: (!is_all).then(|| topics.collect()),
                    ..Default::default()
                };
                let require_stable = words.plain.contains(&"stable");
                (9, Request::OffsetFetch { group, require_stable })
            }
            "delete-offsets" => {
                let topics = words.plain[2..].iter().map(|at| {
                    let (topic, partition) = at.split_once('-').unwrap();
                    OffsetDeleteRequestTopic {
                        name: topic.to_owned(),
                        partitions: vec![OffsetDeleteRequestPartition {
                            partition_index: partition.parse().unwrap(),
                        }],
                    }
                });
                (0, Request::OffsetDelete(OffsetDeleteRequest { group_id, topics: topics.collect() }))
            }
            "describe" => {
                (5, Request::DescribeGroups(words.plain[2..].iter().map(|g| g.to_string()).collect()))
            }
            "list" => {
                let request = ListGroupsRequest {
                    states_filter: words.list("states"),
                    types_filter: words.list("types"),
                };
                (5, Request::ListGroups(request))
            }
            "delete" => (2, Request::DeleteGroups(words.plain[2..].iter().map(|g| g.to_string()).collect())),
            other => panic!("no command {other}"),
        };
        let token = self.tokens.len() as u64;
        let api_version = words.number("v", version);
        self.tokens.push((words.plain[1].to_owned(), api_version));
        let id = words.text("client", "c");
        let client = Client { id: &id, host: "/10.0.0.1", api_version };
        self.shard.handle(self.now_ms, client, token, request);
    }
}

/// A consumer's metadata is written `t1+t2`: a subscription to these topics. Other text stands as it is.
fn metadata_of(text: &str) -> Bytes {
    match text.strip_prefix('>') {
        None => Bytes::copy_from_slice(text.as_bytes()),
        Some(topics) => {
            let topics = topics.split('+').map(str::to_owned).collect();
            let subscription = ConsumerProtocolSubscription { topics, ..Default::default() };
            let mut bytes = vec![0, 0];
            subscription.encode(&mut bytes, 0).unwrap();
            bytes.into()
        }
    }
}

fn replayed(text: &str) -> String {
    let mut stage = Stage::new();
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            out += line;
            out += "\n";
            continue;
        }
        let mut commands = vec![line];
        while let Some(next) = lines.next_if(|next| *next != "----" && !next.is_empty()) {
            commands.push(next);
        }
        lines.next_if_eq(&"----");
        while lines.next_if(|next| !next.is_empty()).is_some() {}
        let mut done = String::new();
        for command in &commands {
            out += &format!("{command}\n");
            done += &stage.run(command);
        }
        out += "----\n";
        out += &done;
    }
    out
}

#[test]
fn transcripts_are_as_written() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 8, "the transcripts are there");
    let mut different = Vec::new();
    for file in files {
        let expected = fs::read_to_string(&file).unwrap();
        let actual = replayed(&expected);
        if actual == expected {
            continue;
        }
        if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
            fs::write(&file, actual).unwrap();
            continue;
        }
        let line = expected.lines().zip(actual.lines()).take_while(|(e, a)| e == a).count();
        different.push(format!(
            "{}:{}\n  expected: {}\n  actual:   {}",
            file.display(),
            line + 1,
            expected.lines().nth(line).unwrap_or("(end)"),
            actual.lines().nth(line).unwrap_or("(end)")
        ));
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
