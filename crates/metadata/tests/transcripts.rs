//! Golden transcripts: `testscripts/*.txt` hold commands (lines that begin with `>`) and what the controller answers
//! and writes. A change in behaviour shows as a changed transcript; `UPDATE_TRANSCRIPTS=1` writes them anew.

mod support;

use std::fmt::Write as _;
use std::path::Path;

use ottla_metadata::image::NO_LEADER;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use ottla_protocol::messages::alter_partition_request::{
    AlterPartitionRequest, BrokerState, PartitionData, TopicData,
};
use ottla_protocol::messages::create_topics_request::CreatableReplicaAssignment;
use ottla_protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use ottla_protocol::messages::elect_leaders_request::ElectLeadersRequest;
use ottla_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use ottla_protocol::metadata_records::MetadataRecord;
use support::{Cluster, incarnation, topic};
use uuid::Uuid;

struct Transcript {
    cluster: Cluster,
    shown: usize,
}

fn ids(list: &str) -> Vec<i32> {
    list.split(',').filter(|id| !id.is_empty()).map(|id| id.parse().unwrap()).collect()
}

fn said(code: i16, message: Option<&str>) -> String {
    match (ErrorCode::from_i16(code).unwrap(), message) {
        (ErrorCode::None, _) => "ok".to_owned(),
        (code, Some(message)) => format!("{code}: {message}"),
        (code, None) => code.to_string(),
    }
}

/// The value of `key=` among a command's words.
fn option<'a>(words: &[&'a str], key: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

fn partition_of(name: &str) -> (&str, i32) {
    let (topic, index) = name.rsplit_once('-').expect("topic-partition");
    (topic, index.parse().unwrap())
}

impl Transcript {
    fn new() -> Transcript {
        Transcript { cluster: Cluster::latest(), shown: 0 }
    }

    fn command(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (&verb, rest) = words.split_first().expect("a command");
        let mut out = match verb {
            "cluster" => {
                *self = Transcript { cluster: Cluster::at(rest[0].parse().unwrap()), shown: 0 };
                String::new()
            }
            "start" => {
                self.cluster.start(&rest.iter().flat_map(|list| ids(list)).collect::<Vec<_>>());
                String::new()
            }
            "register" => self.register(rest),
            "heartbeat" => self.heartbeat(rest),
            "expire-except" => {
                self.cluster.expire_except(&ids(rest.first().unwrap_or(&"")));
                String::new()
            }
            "create" => self.create(rest),
            "alter" => self.alter(rest),
            "elect" => self.elect(rest),
            "balance" => {
                let decision = self.cluster.controller.view().balance_leaders();
                format!("again={}\n", self.cluster.run(decision))
            }
            "reassign" => self.reassign(rest),
            "config" => self.config(rest),
            "delete" => self.delete(rest),
            "quiet" => {
                self.shown = self.cluster.log.len();
                return String::new();
            }
            other => panic!("unknown command {other}"),
        };
        self.cluster.check();
        self.show_log(&mut out);
        out
    }

    fn register(&mut self, rest: &[&str]) -> String {
        let id = rest[0].parse().unwrap();
        let mut request = self.cluster.registration(id);
        if let Some(life) = option(rest, "life") {
            request.incarnation_id = incarnation(id, life.parse().unwrap());
        }
        request.rack = option(rest, "rack").map(str::to_owned);
        if rest.contains(&"clean") {
            request.previous_broker_epoch = self.cluster.image().broker(id).map_or(-1, |broker| broker.epoch);
        }
        let response = self.cluster.register(&request);
        format!("{} epoch={}\n", said(response.error_code, None), response.broker_epoch)
    }

    fn heartbeat(&mut self, rest: &[&str]) -> String {
        let mut request = self.cluster.heartbeat_request(rest[0].parse().unwrap());
        request.want_fence = rest.contains(&"fence");
        request.want_shut_down = rest.contains(&"shutdown");
        if let Some(behind) = option(rest, "behind") {
            request.current_metadata_offset -= behind.parse::<i64>().unwrap();
        }
        let response = self.cluster.heartbeat(&request);
        format!(
            "{} caught-up={} fenced={} stop={}\n",
            said(response.error_code, None),
            response.is_caught_up,
            response.is_fenced,
            response.should_shut_down
        )
    }

    fn create(&mut self, rest: &[&str]) -> String {
        let number = |key| option(rest, key).map_or(-1, |text| text.parse::<i32>().unwrap());
        let mut wished = topic(rest[0], number("partitions"), number("rf") as i16);
        if let Some(lists) = option(rest, "on") {
            wished.assignments = (0..)
                .zip(lists.split('/'))
                .map(|(partition_index, list)| CreatableReplicaAssignment {
                    partition_index,
                    broker_ids: ids(list),
                })
                .collect();
        }
        let result = self.cluster.create(vec![wished]).remove(0);
        said(result.error_code, result.error_message.as_deref()) + "\n"
    }

    fn alter(&mut self, rest: &[&str]) -> String {
        let (name, index) = partition_of(rest[0]);
        let image = self.cluster.image();
        let partition = image.partition(name, index).unwrap();
        let epoch = |id: i32| image.broker(id).map_or(-1, |broker| broker.epoch);
        let leader = option(rest, "by").map_or(partition.leader, |id| id.parse().unwrap());
        let isr = ids(option(rest, "isr").unwrap());
        let wished = PartitionData {
            partition_index: index,
            leader_epoch: partition.leader_epoch,
            partition_epoch: partition.partition_epoch,
            new_isr_with_epochs: isr
                .iter()
                .map(|&id| BrokerState { broker_id: id, broker_epoch: epoch(id) })
                .collect(),
            leader_recovery_state: 0,
            new_isr: Vec::new(),
        };
        let topic_id = image.topics.id_of(name).unwrap();
        let request = AlterPartitionRequest {
            broker_id: leader,
            broker_epoch: epoch(leader),
            topics: vec![TopicData { topic_id, partitions: vec![wished] }],
        };
        let decision = self.cluster.controller.view().alter_partition(&request, 3);
        let response = self.cluster.run(decision);
        said(response.topics[0].partitions[0].error_code, None) + "\n"
    }

    fn elect(&mut self, rest: &[&str]) -> String {
        let election_type = i8::from(rest[0] == "unclean");
        let request = ElectLeadersRequest { election_type, topic_partitions: None, ..Default::default() };
        let decision = self.cluster.controller.view().elect_leaders(&request);
        let response = self.cluster.run(decision);
        let mut out = String::new();
        for result in response.replica_election_results {
            for partition in result.partition_result {
                let said = said(partition.error_code, partition.error_message.as_deref());
                writeln!(out, "{}-{}: {said}", result.topic, partition.partition_id).unwrap();
            }
        }
        out
    }

    fn reassign(&mut self, rest: &[&str]) -> String {
        let (name, partition_index) = partition_of(rest[0]);
        let partition = ReassignablePartition { partition_index, replicas: option(rest, "to").map(ids) };
        let topics = vec![ReassignableTopic { name: name.to_owned(), partitions: vec![partition] }];
        let request = AlterPartitionReassignmentsRequest { topics, ..Default::default() };
        let decision = self.cluster.controller.view().alter_partition_reassignments(&request);
        let result = self.cluster.run(decision).responses.remove(0).partitions.remove(0);
        said(result.error_code, result.error_message.as_deref()) + "\n"
    }

    fn config(&mut self, rest: &[&str]) -> String {
        let (key, value) = rest[1].split_once('=').unwrap();
        let config =
            AlterableConfig { name: key.to_owned(), config_operation: 0, value: Some(value.to_owned()) };
        let (resource_type, resource_name) =
            if rest[0] == "cluster" { (4, String::new()) } else { (2, rest[0].to_owned()) };
        let resource = AlterConfigsResource { resource_type, resource_name, configs: vec![config] };
        let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
        let decision = self.cluster.controller.view().incremental_alter_configs(&request, false);
        let result = self.cluster.run(decision).responses.remove(0);
        said(result.error_code, result.error_message.as_deref()) + "\n"
    }

    fn delete(&mut self, rest: &[&str]) -> String {
        let topics = vec![DeleteTopicState { name: Some(rest[0].to_owned()), topic_id: Uuid::nil() }];
        let request = DeleteTopicsRequest { topics, ..Default::default() };
        let decision = self.cluster.controller.view().delete_topics(&request, 6, &|_, _| true);
        let result = self.cluster.run(decision).responses.remove(0);
        said(result.error_code, result.error_message.as_deref()) + "\n"
    }

    fn show_log(&mut self, out: &mut String) {
        // Names of topics that are gone are found where they were made.
        let mut names = std::collections::BTreeMap::new();
        for record in &self.cluster.log {
            if let MetadataRecord::TopicRecord(topic) = record {
                names.insert(topic.topic_id, topic.name.clone());
            }
        }
        for (offset, record) in self.cluster.log.iter().enumerate().skip(self.shown) {
            writeln!(out, "{offset:>4} {}", show(record, &|id| names[&id].clone())).unwrap();
        }
        self.shown = self.cluster.log.len();
    }
}

/// A record on one line: what differs from its defaults.
fn show(record: &MetadataRecord, name: &dyn Fn(Uuid) -> String) -> String {
    let list = |key: &str, ids: &Option<Vec<i32>>| {
        ids.as_ref().map(|ids| format!(" {key}={ids:?}")).unwrap_or_default()
    };
    let filled = |key: &str, ids: &Vec<i32>| list(key, &Some(ids.clone()).filter(|ids| !ids.is_empty()));
    let kind = record.name().trim_end_matches("Record");
    let rest = match record {
        MetadataRecord::TopicRecord(r) => r.name.clone(),
        MetadataRecord::RemoveTopicRecord(r) => name(r.topic_id),
        MetadataRecord::PartitionRecord(r) => {
            let place = format!("{}-{} leader={}", name(r.topic_id), r.partition_id, r.leader);
            place + &filled("replicas", &r.replicas) + &filled("isr", &r.isr)
        }
        MetadataRecord::PartitionChangeRecord(r) => {
            let mut line = format!("{}-{}", name(r.topic_id), r.partition_id);
            match r.leader {
                -2 => {}
                NO_LEADER => line.push_str(" leader=none"),
                leader => write!(line, " leader={leader}").unwrap(),
            }
            line += &list("isr", &r.isr);
            line += &list("replicas", &r.replicas);
            line += &list("removing", &r.removing_replicas);
            line += &list("adding", &r.adding_replicas);
            line += &list("elr", &r.eligible_leader_replicas);
            line += &list("last-known", &r.last_known_elr);
            match r.leader_recovery_state {
                -1 => {}
                0 => line.push_str(" recovered"),
                _ => line.push_str(" RECOVERING"),
            }
            if let Some(directories) = &r.directories {
                write!(line, " directories={}", directories.len()).unwrap();
            }
            line
        }
        MetadataRecord::ConfigRecord(r) => {
            format!("{}:{:?} {}={:?}", r.resource_type, r.resource_name, r.name, r.value)
        }
        MetadataRecord::RegisterBrokerRecord(r) => {
            format!("{} epoch={} fenced={} rack={:?}", r.broker_id, r.broker_epoch, r.fenced, r.rack)
        }
        MetadataRecord::BrokerRegistrationChangeRecord(r) => {
            let fenced = ["unfence", "", "fence"][(r.fenced + 1) as usize];
            let leaving = if r.in_controlled_shutdown == 1 { "controlled-shutdown" } else { "" };
            format!("{} {fenced}{leaving}", r.broker_id)
        }
        MetadataRecord::FeatureLevelRecord(r) => format!("{}={}", r.name, r.feature_level),
        MetadataRecord::ClearElrRecord(r) => format!("{:?}", r.topic_name),
        MetadataRecord::BeginTransactionRecord(r) => format!("{:?}", r.name),
        _ => String::new(),
    };
    format!("{kind} {rest}").trim_end().to_owned()
}

fn run(script: &str) -> String {
    let mut transcript = Transcript::new();
    let mut out = String::new();
    for line in script.lines() {
        match line.strip_prefix("> ") {
            Some(command) => {
                writeln!(out, "> {command}").unwrap();
                out += &transcript.command(command);
                out.push('\n');
            }
            None if line.starts_with('#') => writeln!(out, "{line}").unwrap(),
            None => {}
        }
    }
    out
}

#[test]
fn controllers_do_what_the_transcripts_say() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testscripts");
    let mut scripts: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.sort();
    assert!(scripts.len() >= 4, "the transcripts are there");
    for path in scripts {
        let expected = std::fs::read_to_string(&path).unwrap();
        let actual = run(&expected);
        if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
            std::fs::write(&path, &actual).unwrap();
        } else {
            assert!(expected == actual, "{} differs; now it is:\n{actual}", path.display());
        }
    }
}
