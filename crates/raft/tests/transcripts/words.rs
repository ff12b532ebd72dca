//! Effects in words.

use ottla_raft::message::Leader;
use ottla_raft::{Body, Control, Effect, Fault, Read, ReplicaKey, Request, Response, SnapshotId};

fn id(id: &Option<i32>) -> String {
    id.map_or("-".to_owned(), |id| id.to_string())
}

fn key(key: &ReplicaKey) -> String {
    let directory = key.directory.map_or("?".to_owned(), |directory| directory.as_u128().to_string());
    format!("{}/{directory}", key.id)
}

fn snapshot(id: &SnapshotId) -> String {
    format!("{}:{}", id.epoch, id.end_offset)
}

fn fault(fault: Fault) -> String {
    if fault.is_none() { String::new() } else { format!(" {fault:?}") }
}

fn leader(leader: &Leader) -> String {
    let at = leader.at.as_ref().map_or(String::new(), |at| format!(" at {}", at.host));
    format!(" leader {} epoch {}{at}", id(&leader.id), leader.epoch)
}

fn control(record: &Control) -> String {
    match record {
        Control::LeaderChange { leader, voters, granting } => {
            format!("LEADER_CHANGE {leader} of {voters:?} by {granting:?}")
        }
        Control::KraftVersion(level) => format!("KRAFT_VERSION {level}"),
        Control::Voters(set) => {
            let voters: Vec<String> = set
                .iter()
                .map(|voter| {
                    let at = voter.endpoints.get("CONTROLLER").map_or("nowhere", |at| at.host.as_str());
                    format!("{}@{at}", key(&voter.key))
                })
                .collect();
            format!("KRAFT_VOTERS {}", voters.join(" "))
        }
    }
}

fn request(request: &Request) -> String {
    match request {
        Request::Vote(vote) => format!(
            "{} epoch {} last {}:{}",
            if vote.pre_vote { "pre-vote" } else { "vote" },
            vote.epoch,
            vote.last_epoch,
            vote.end_offset
        ),
        Request::BeginQuorumEpoch(begin) => format!("begin-epoch {}", begin.epoch),
        Request::EndQuorumEpoch(end) => {
            let successors: Vec<String> = end.successors.iter().map(|key| key.id.to_string()).collect();
            format!("end-epoch {} successors {}", end.epoch, successors.join(","))
        }
        Request::Fetch(fetch) => format!(
            "fetch epoch {} offset {} last {} hw {}",
            fetch.epoch, fetch.offset, fetch.last_epoch, fetch.high_watermark
        ),
        Request::FetchSnapshot(fetch) => {
            format!("fetch-snapshot {} from {}", snapshot(&fetch.snapshot), fetch.position)
        }
        Request::AddVoter(add) => format!("add-voter {}", key(&add.voter)),
        Request::RemoveVoter(remove) => format!("remove-voter {}", key(&remove.voter)),
        Request::UpdateVoter(update) => format!("update-voter {}", key(&update.voter.key)),
        Request::ApiVersions => "api-versions".to_owned(),
        Request::DescribeQuorum => "describe".to_owned(),
    }
}

fn response(response: &Response) -> String {
    match response {
        Response::Refused(why) => format!("refused{}", fault(*why)),
        Response::Vote(vote) => format!(
            "vote {}{}{}",
            if vote.granted { "yes" } else { "no" },
            fault(vote.error),
            leader(&vote.leader)
        ),
        Response::BeginQuorumEpoch(answer) => {
            format!("begin{}{}", fault(answer.error), leader(&answer.leader))
        }
        Response::EndQuorumEpoch(answer) => format!("end{}{}", fault(answer.error), leader(&answer.leader)),
        Response::Fetch(fetch) => {
            let mut out = format!("fetch{}{}", fault(fetch.error), leader(&fetch.leader));
            out += &format!(" hw {} start {}", fetch.high_watermark, fetch.log_start);
            if let Some(end) = fetch.diverging {
                out += &format!(" diverging {}:{}", end.epoch, end.end_offset);
            }
            if let Some(id) = fetch.snapshot {
                out += &format!(" snapshot {}", snapshot(&id));
            }
            out
        }
        Response::FetchSnapshot(fetch) => {
            let which = fetch.snapshot.as_ref().map_or("none".to_owned(), snapshot);
            let slice = format!("{which} size {} position {}", fetch.size, fetch.position);
            format!("fetch-snapshot{} {slice}", fault(fetch.error))
        }
        Response::DescribeQuorum(report) => {
            let info = |replica: &ottla_raft::message::ReplicaInfo| {
                let time = |at: Option<i64>| at.map_or("-".to_owned(), |at| at.to_string());
                let (fetched, caught_up) = (time(replica.last_fetch), time(replica.last_caught_up));
                format!(
                    "{} end {} fetched {fetched} caught-up {caught_up}",
                    key(&replica.key),
                    replica.end_offset
                )
            };
            let mut out = format!("describe{} hw {}", fault(report.error), report.high_watermark);
            report.voters.iter().for_each(|voter| out += &format!("\n    voter {}", info(voter)));
            report.observers.iter().for_each(|other| out += &format!("\n    observer {}", info(other)));
            out
        }
        Response::AddVoter(change) | Response::RemoveVoter(change) => {
            let words = change.message.as_ref().map_or(String::new(), |words| format!(": {words}"));
            format!(
                "change{}{words}",
                if change.error.is_none() { " done".into() } else { fault(change.error) }
            )
        }
        Response::UpdateVoter(update) => format!("update{}{}", fault(update.error), leader(&update.leader)),
        Response::ApiVersions(_) => "api-versions".to_owned(),
    }
}

pub fn effect(effect: &Effect) -> String {
    match effect {
        Effect::PersistElection(election) => {
            let voted = election.voted.as_ref().map_or("-".to_owned(), key);
            format!("persist epoch {} leader {} voted {voted}", election.epoch, id(&election.leader))
        }
        Effect::Append(append) => match &append.body {
            Body::Data(values) => {
                format!("append {} epoch {}: {} records", append.base_offset, append.epoch, values.len())
            }
            Body::Control(records) => {
                let records: Vec<String> = records.iter().map(control).collect();
                format!("append {} epoch {}: {}", append.base_offset, append.epoch, records.join("; "))
            }
        },
        Effect::AppendFetched { base_offset, last_offset, .. } => {
            format!("append fetched {base_offset}..={last_offset}")
        }
        Effect::Flush { up_to, .. } => format!("flush to {up_to}"),
        Effect::Truncate { to } => format!("truncate to {to}"),
        Effect::BeginSnapshot { id } => format!("begin snapshot {}", snapshot(id)),
        Effect::WriteSnapshot { id, position, bytes } => {
            format!("write snapshot {} at {position}: {} bytes", snapshot(id), bytes.len())
        }
        Effect::InstallSnapshot { id, size } => format!("install snapshot {} size {size}", snapshot(id)),
        Effect::AbandonSnapshot { id } => format!("abandon snapshot {}", snapshot(id)),
        Effect::Send { to, request: body, .. } => format!("send {}: {}", to.id, request(body)),
        Effect::Reply { request, response: body, read } => {
            let read = match read {
                None => String::new(),
                Some(Read::Log { from, .. }) => format!(" + log from {from}"),
                Some(Read::Snapshot { position, max_bytes, .. }) => {
                    format!(" + snapshot bytes {position}, at most {max_bytes}")
                }
            };
            format!("reply {}: {}{read}", request.0, response(body))
        }
        Effect::HighWatermark(to) => format!("high watermark {to}"),
        Effect::LeaderChanged(change) => format!(
            "leader is {} in epoch {}{}",
            id(&change.leader),
            change.epoch,
            change.epoch_start.map_or(String::new(), |start| format!(", from offset {start}"))
        ),
        Effect::Notice(notice) => format!("notice: {notice}"),
        Effect::ShutdownComplete { graceful } => format!("shutdown complete, graceful: {graceful}"),
    }
}
