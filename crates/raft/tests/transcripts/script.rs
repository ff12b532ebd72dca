//! The commands of a transcript.

use std::collections::HashMap;
use std::str::FromStr;

use bytes::Bytes;
use ottla_raft::message::*;
use ottla_raft::{
    BatchMeta, Config, Control, Effect, Election, Endpoints, EpochEnd, Fault, History, HostPort, LogView,
    Node, ReplicaKey, Request, RequestId, Response, Restored, SnapshotContent, SnapshotId, VersionRange,
    Voter, VoterSet,
};
use uuid::Uuid;

use crate::words;

/// One command line: a verb and `key=value` arguments.
struct Line<'a> {
    verb: &'a str,
    args: HashMap<&'a str, &'a str>,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Self {
        let mut parts = line.split_whitespace();
        let verb = parts.next().expect("a verb");
        let args = parts.map(|part| part.split_once('=').unwrap_or((part, ""))).collect();
        Self { verb, args }
    }

    fn has(&self, key: &str) -> bool {
        self.args.contains_key(key)
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.args.get(key).copied()
    }

    fn get<T: FromStr>(&self, key: &str) -> Option<T> {
        self.text(key).map(|text| text.parse().unwrap_or_else(|_| panic!("{key}={text} is not right")))
    }

    fn or<T: FromStr>(&self, key: &str, default: T) -> T {
        self.get(key).unwrap_or(default)
    }

    fn list(&self, key: &str) -> Vec<i32> {
        let text = self.text(key).unwrap_or_default();
        text.split(',').filter(|id| !id.is_empty()).map(|id| id.parse().expect("ids")).collect()
    }

    /// `a:b`
    fn pair<A: FromStr, B: FromStr>(&self, key: &str) -> Option<(A, B)> {
        let (a, b) = self.text(key)?.split_once(':')?;
        Some((a.parse().ok()?, b.parse().ok()?))
    }
}

pub fn play(text: &str) -> String {
    let mut stage = Stage { node: None, now: 0, sent: Vec::new(), requests: 0, tokens: Vec::new() };
    let mut out = Vec::new();
    for block in text.trim_end().split("\n\n") {
        let commands: Vec<&str> = block.lines().take_while(|line| *line != "---").collect();
        let mut lines: Vec<String> = commands.iter().map(|line| (*line).to_owned()).collect();
        let acting: Vec<&&str> = commands.iter().filter(|line| !line.starts_with('#')).collect();
        if !acting.is_empty() {
            lines.push("---".to_owned());
            for command in acting {
                stage.act(&Line::parse(command), &mut lines);
            }
            lines.push(stage.summary());
        }
        out.push(lines.join("\n"));
    }
    out.join("\n\n") + "\n"
}

pub fn voter(id: i32) -> Voter {
    Voter {
        key: ReplicaKey::new(id, Uuid::from_u128(id as u128)),
        endpoints: Endpoints::single("CONTROLLER", HostPort::new(format!("n{id}"), 9000)),
        kraft_versions: VersionRange { min: 0, max: 1 },
    }
}

struct Stage {
    node: Option<Node>,
    now: i64,
    /// Requests that wait for an answer: (peer, correlation).
    sent: Vec<(i32, u64)>,
    requests: u64,
    tokens: Vec<u64>,
}

impl Stage {
    fn act(&mut self, line: &Line, out: &mut Vec<String>) {
        self.now = line.or("at", self.now);
        match line.verb {
            "new" => self.create(line),
            "wait" => {
                self.now += line.or("ms", 0);
                let now = self.now;
                self.node().handle_timeout(now);
            }
            "flushed" => {
                let (now, token) = (self.now, self.tokens.pop().expect("a flush was asked for"));
                self.node().handle_flushed(now, token);
            }
            "propose" => {
                let (now, values) = (self.now, vec![Bytes::from_static(b"v"); line.or("n", 1)]);
                let result = self.node().propose(now, values);
                out.push(match result {
                    Ok(at) => format!("proposed {}..={} epoch {}", at.base_offset, at.last_offset, at.epoch),
                    Err(error) => format!("refused: {error}"),
                });
            }
            "resign" => {
                let (now, epoch) = (self.now, line.or("epoch", self.node().epoch()));
                self.node().resign(now, epoch);
            }
            "refused" => {
                let (now, peer) = (self.now, line.or("peer", 2));
                self.node().handle_peer_refused(now, peer);
            }
            "shutdown" => {
                let (now, ms) = (self.now, line.or("ms", 1000));
                self.node().shutdown(now, ms);
            }
            "upgrade" => {
                let (now, epoch) = (self.now, self.node().epoch());
                let result =
                    self.node().upgrade_kraft_version(now, epoch, line.or("to", 1), line.has("check"));
                out.push(match result {
                    Ok(written) => format!("upgrade: {written}"),
                    Err(error) => format!("upgrade refused: {error}"),
                });
            }
            "installed" => {
                let (now, (epoch, end_offset)) = (self.now, line.pair("id").expect("id=epoch:end"));
                let id = SnapshotId { epoch, end_offset };
                self.node().handle_snapshot_installed(
                    now,
                    id,
                    line.or("size", 0),
                    SnapshotContent::default(),
                );
            }
            "snapshot" => {
                let (epoch, end_offset) = line.pair("id").expect("id=epoch:end");
                let id = SnapshotId { epoch, end_offset };
                out.push(format!("allowed: {}", self.node().may_snapshot(id)));
                if self.node().may_snapshot(id) {
                    self.node().snapshot_created(id, line.or("size", 100));
                    self.node().log_start_raised(end_offset);
                }
            }
            "answer" | "fail" => self.answer(line),
            _ => {
                let request = self.request(line);
                self.requests += 1;
                let (now, id) = (self.now, RequestId(self.requests));
                self.node().handle_request(now, id, "CONTROLLER", request);
            }
        }
        self.drain(out);
    }

    fn node(&mut self) -> &mut Node {
        self.node.as_mut().expect("`new` comes first")
    }

    fn create(&mut self, line: &Line) {
        let id = line.or("id", 1);
        let own = voter(id);
        let mut config = Config::new("c", id, own.key.directory.expect("voters have one"));
        config.endpoints = own.endpoints;
        config.can_become_voter = !line.has("broker");
        config.auto_join = line.has("join");
        config.early_election = !line.has("patient");
        config.early_start = line.has("hasty");
        let mut voters = History::default();
        let mut kraft_versions = History::default();
        if line.has("dynamic") {
            let set = line.list("voters").into_iter().map(voter);
            voters.add(line.or("set_at", -1), VoterSet::from_voters(set));
            kraft_versions.add(line.or("set_at", -1), 1);
            config.bootstrap =
                line.list("voters").iter().map(|id| HostPort::new(format!("n{id}"), 9000)).collect();
        } else {
            let at = line.list("voters").into_iter().map(|id| (id, HostPort::new(format!("n{id}"), 9000)));
            config.static_voters = VoterSet::from_static("CONTROLLER", at);
        }
        // log=epoch:count,epoch:count
        let (mut epochs, mut end) = (Vec::new(), line.or("start", 0));
        for part in line.text("log").unwrap_or_default().split(',').filter(|part| !part.is_empty()) {
            let (epoch, count) = part.split_once(':').expect("epoch:count");
            epochs.push((epoch.parse().expect("an epoch"), end));
            end += count.parse::<i64>().expect("a count");
        }
        let snapshot =
            line.pair("snapshot").map(|(epoch, end_offset)| (SnapshotId { epoch, end_offset }, 100));
        let log = LogView::new(line.or("start", 0), end, epochs, snapshot);
        let election = line.has("epoch").then(|| Election {
            epoch: line.or("epoch", 0),
            leader: line.get("leader"),
            voted: line.get("voted").map(|id: i32| voter(id).key),
            voters: Vec::new(),
            kraft_version: 0,
        });
        let restored = Restored { election, log, voters, kraft_versions };
        self.sent.clear();
        self.tokens.clear();
        self.node = Some(Node::new(config, restored, self.now, line.or("seed", 1)).expect("a sound start"));
    }

    fn request(&self, line: &Line) -> Request {
        let (from, epoch) = (line.or("from", 0), line.or("epoch", 0));
        let cluster_id = line.text("cluster").map(str::to_owned);
        let key = if line.has("nodir") { ReplicaKey { id: from, directory: None } } else { voter(from).key };
        let meant = line.get("to").map(|id: i32| voter(id).key);
        let subject = voter(line.or("voter", 0));
        match line.verb {
            "vote" | "prevote" => {
                let (last_epoch, end_offset) = line.pair("last").unwrap_or((0, 0));
                let pre_vote = line.verb == "prevote";
                let candidate = key;
                Request::Vote(VoteRequest {
                    cluster_id,
                    voter: meant,
                    candidate,
                    epoch,
                    last_epoch,
                    end_offset,
                    pre_vote,
                })
            }
            "begin" => Request::BeginQuorumEpoch(BeginEpochRequest {
                cluster_id,
                voter: meant,
                leader_id: from,
                epoch,
                endpoints: voter(from).endpoints,
            }),
            "end" => Request::EndQuorumEpoch(EndEpochRequest {
                cluster_id,
                leader_id: from,
                epoch,
                successors: line.list("successors").into_iter().map(|id| voter(id).key).collect(),
                endpoints: voter(from).endpoints,
            }),
            "fetch" => Request::Fetch(FetchRequest {
                cluster_id,
                replica: key,
                epoch,
                offset: line.or("offset", 0),
                last_epoch: line.or("last", 0),
                high_watermark: line.or("hw", -1),
                max_wait_ms: line.or("wait", 500),
                max_bytes: 1 << 20,
            }),
            "fetch-snapshot" => {
                let (snapshot_epoch, end_offset) = line.pair("id").expect("id=epoch:end");
                Request::FetchSnapshot(FetchSnapshotRequest {
                    cluster_id,
                    replica: key,
                    epoch,
                    snapshot: SnapshotId { epoch: snapshot_epoch, end_offset },
                    position: line.or("position", 0),
                    max_bytes: 64,
                })
            }
            "describe" => Request::DescribeQuorum,
            "add" => Request::AddVoter(AddVoterRequest {
                cluster_id,
                timeout_ms: 1000,
                voter: subject.key,
                endpoints: subject.endpoints,
                ack_when_committed: !line.has("early"),
            }),
            "remove" => Request::RemoveVoter(RemoveVoterRequest { cluster_id, voter: subject.key }),
            "update" => Request::UpdateVoter(UpdateVoterRequest {
                cluster_id,
                epoch,
                voter: Voter {
                    endpoints: Endpoints::single("CONTROLLER", HostPort::new("moved", line.or("port", 9000))),
                    ..subject
                },
            }),
            verb => panic!("no command {verb}"),
        }
    }

    fn answer(&mut self, line: &Line) {
        // Without `from` it is the request that was sent last.
        let at = match line.get::<i32>("from") {
            Some(from) => self.sent.iter().position(|(peer, _)| *peer == from),
            None => self.sent.len().checked_sub(1),
        };
        let at = at.expect("a request to answer");
        let (_, correlation) = self.sent.remove(at);
        let response = (line.verb == "answer").then(|| self.response(line));
        let now = self.now;
        self.node().handle_response(now, correlation, response);
    }

    fn response(&mut self, line: &Line) -> Response {
        let error = Fault::from_code(line.or("error", 0));
        let id: Option<i32> = line.get("leader");
        let at = id.map(|id| HostPort::new(format!("n{id}"), 9000));
        let leader = Leader { id, epoch: line.or("epoch", self.node().epoch()), at };
        let end = self.node().log().end();
        let kind =
            ["vote", "begin", "end", "fetch", "fetch-snapshot", "update", "versions", "refused", "change"]
                .into_iter()
                .find(|kind| line.has(kind))
                .expect("a kind of answer");
        match kind {
            "vote" => {
                Response::Vote(VoteResponse { error, leader, granted: line.text("vote") == Some("yes") })
            }
            "begin" => Response::BeginQuorumEpoch(EpochResponse { error, leader }),
            "end" => Response::EndQuorumEpoch(EpochResponse { error, leader }),
            "update" => Response::UpdateVoter(UpdateVoterResponse { error, leader }),
            "versions" => {
                let kraft_versions = line.pair("versions").map(|(min, max)| VersionRange { min, max });
                Response::ApiVersions(ApiVersionsResponse { error, kraft_versions })
            }
            "refused" => Response::Refused(error),
            "change" => Response::AddVoter(ChangeResponse { error, message: None }),
            "fetch" => {
                let batches = batches(line.or("base", end), line);
                Response::Fetch(FetchResponse {
                    error,
                    leader,
                    high_watermark: line.or("hw", -1),
                    log_start: 0,
                    diverging: line
                        .pair("diverging")
                        .map(|(epoch, end_offset)| EpochEnd { epoch, end_offset }),
                    snapshot: line
                        .pair("snapshot")
                        .map(|(epoch, end_offset)| SnapshotId { epoch, end_offset }),
                    records: Bytes::from(vec![0; batches.iter().map(|batch| batch.len).sum()]),
                    batches,
                })
            }
            _ => Response::FetchSnapshot(FetchSnapshotResponse {
                error,
                leader,
                snapshot: line.pair("id").map(|(epoch, end_offset)| SnapshotId { epoch, end_offset }),
                size: line.or("size", 0),
                position: line.or("position", 0),
                bytes: Bytes::from(vec![0; line.or("bytes", 0)]),
            }),
        }
    }

    fn drain(&mut self, out: &mut Vec<String>) {
        while let Some(effect) = self.node().poll_effect() {
            match &effect {
                Effect::Send { to, correlation, .. } => {
                    self.sent.retain(|(peer, _)| *peer != to.id);
                    self.sent.push((to.id, *correlation));
                }
                Effect::Flush { token, .. } => self.tokens.push(*token),
                _ => {}
            }
            out.push(words::effect(&effect));
        }
    }

    fn summary(&mut self) -> String {
        let now = self.now;
        let node = self.node();
        let wake = match node.next_timeout() {
            i64::MAX => "never".to_owned(),
            at => format!("in {} ms", at - now),
        };
        let hw = node.high_watermark().map_or("-".to_owned(), |hw| hw.to_string());
        format!(
            "= {} epoch {} leader {} log {}..{} hw {hw} wake {wake}",
            node.role().name(),
            node.epoch(),
            node.leader().map_or("-".to_owned(), |id| id.to_string()),
            node.log().start(),
            node.log().end(),
        )
    }
}

/// records=epoch:count,...; a batch each. `voters=1,2` puts a voter set into the last batch.
fn batches(mut base: i64, line: &Line) -> Vec<BatchMeta> {
    let mut all = Vec::new();
    for part in line.text("records").unwrap_or_default().split(',').filter(|part| !part.is_empty()) {
        let (epoch, count) = part.split_once(':').expect("epoch:count");
        let last_offset = base + count.parse::<i64>().expect("a count") - 1;
        let epoch = epoch.parse().expect("an epoch");
        all.push(BatchMeta { base_offset: base, last_offset, epoch, len: 10, control: Vec::new() });
        base = last_offset + 1;
    }
    if let (true, Some(last)) = (line.has("voters"), all.last_mut()) {
        let set = VoterSet::from_voters(line.list("voters").into_iter().map(voter));
        last.control.push((last.base_offset, Control::Voters(set)));
    }
    all
}
