//! The desk on a real quorum of one voter, without the rest of the node.

use std::path::Path;
use std::sync::{Arc, Weak, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use ottla_config::NodeConfig;
use ottla_log::{DirOptions, LogDir};
use ottla_metadata::decide::{Bootstrap, CreateContext};
use ottla_metadata::{Controller, Image, Loader, MetadataVersion, Settings};
use ottla_protocol::messages::create_topics_request::CreatableTopic;
use ottla_protocol::messages::{
    AllocateProducerIdsRequest, BrokerRegistrationRequest, CreateTopicsRequest, CreateTopicsResponse,
};
use ottla_quorum::{Driver, DriverConfig, Handle, LogLimits, ReplicaConfig, Retention};
use ottla_raft::{Endpoints, HostPort, VoterSet};
use uuid::Uuid;

use super::desk::{Desk, Event, Periods};
use super::ear::Ear;
use super::follower::News;
use super::lead::Lead;
use super::{Answer, Turn, Unavailable};
use crate::config_rules::Rules;

const CLUSTER: &str = "test-cluster";
const PATIENCE: Duration = Duration::from_secs(20);

/// The only voter speaks to nobody.
struct Nobody(Handle);

impl ottla_quorum::Transport for Nobody {
    fn send(&mut self, _to: ottla_raft::Destination, correlation: u64, _request: ottla_raft::Request) {
        self.0.response(correlation, None);
    }
}

struct Host {
    quorum: Handle,
    driver: Driver,
    desk: JoinHandle<()>,
    events: mpsc::Sender<Event>,
    news: mpsc::Receiver<News>,
    lead: Lead,
}

impl Host {
    fn start(directory: &Path, no_op_ms: Option<i64>) -> Host {
        let (events, inbox) = mpsc::channel();
        let (sender, news) = mpsc::channel();
        let at = HostPort::new("localhost", 9093);
        let raft = ottla_raft::Config {
            endpoints: Endpoints::single("CONTROLLER", at.clone()),
            static_voters: VoterSet::from_static("CONTROLLER", [(1, at)]),
            election_timeout_ms: 20,
            ..ottla_raft::Config::new(CLUSTER, 1, Uuid::from_u128(0xd1))
        };
        let log_dir = LogDir::open(directory, DirOptions::default()).expect("a directory");
        let (limits, retention) = (LogLimits::default(), Retention::default());
        let replica = ReplicaConfig { log_dir, clean: false, raft, limits, retention, seed: 1 };
        let ear = Ear::new(events.clone(), sender, Weak::new(), Arc::default());
        let (driver, quorum) = Driver::start(DriverConfig::new(replica), ear, Nobody).expect("a quorum");
        let file =
            b"process.roles=broker,controller\nnode.id=1\nlisteners=PLAINTEXT://:9092,CONTROLLER://:9093\n\
                     controller.listener.names=CONTROLLER\ncontroller.quorum.voters=1@localhost:9093\n";
        let config = Arc::new(NodeConfig::load("test", file, &[]).expect("a valid file").config);
        let rules = Rules::new(config.clone(), move || config.clone());
        let controller = Controller::new(Settings::new(1, CLUSTER), Box::new(rules));
        let bootstrap = Bootstrap::formatted(MetadataVersion::LATEST);
        let periods = Periods { no_op_ms, balance_ms: Some(1), unclean_ms: 1 };
        let lead = Lead::default();
        let desk = Desk::new(controller, quorum.clone(), events.clone(), 7, bootstrap, lead.clone(), periods);
        let desk = std::thread::spawn(move || desk.run(&inbox));
        assert!(lead.wait(PATIENCE), "a lone voter leads");
        Host { quorum, driver, desk, events, news, lead }
    }

    fn ask<R: Send + 'static>(
        &self,
        decide: impl FnOnce(&mut Turn<'_>) -> ottla_metadata::Decision<R> + Send + 'static,
    ) -> mpsc::Receiver<Answer<R>> {
        let (sender, receiver) = mpsc::channel();
        let job: super::desk::Job =
            Box::new(move |desk| desk.decide(decide, move |answer| _ = sender.send(answer)));
        self.events.send(Event::Job(job)).expect("a running desk");
        receiver
    }

    /// Registers broker 1; gives its epoch and the offset of the commit.
    fn register(&self) -> (i64, i64) {
        let request = BrokerRegistrationRequest {
            broker_id: 1,
            cluster_id: CLUSTER.to_owned(),
            incarnation_id: Uuid::new_v4(),
            features: ottla_metadata::features::supported()
                .into_iter()
                .map(|(name, range)| ottla_protocol::messages::broker_registration_request::Feature {
                    name,
                    min_supported_version: range.min,
                    max_supported_version: range.max,
                })
                .collect(),
            log_dirs: vec![Uuid::from_u128(0xaaaa_0000_0000_0000_0000)],
            ..Default::default()
        };
        let answer = self.ask(move |turn| {
            let context = ottla_metadata::decide::RegistrationContext {
                request_version: 4,
                next_offset: turn.next_offset,
                kraft_version: turn.quorum.status().kraft_version,
                now_ms: turn.now_ms,
                own_process: true,
            };
            turn.controller.register_broker(&request, context)
        });
        let (response, offset) = answer.recv_timeout(PATIENCE).expect("an answer").expect("decided");
        assert_eq!(response.error_code, 0);
        (response.broker_epoch, offset)
    }

    fn create(&self, name: &str) -> mpsc::Receiver<Answer<CreateTopicsResponse>> {
        let topic = CreatableTopic {
            name: name.to_owned(),
            num_partitions: 3,
            replication_factor: 1,
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
        self.ask(move |turn| {
            let mut context =
                CreateContext { access: &|_, _| true, forwarded: true, random: &mut *turn.random };
            turn.controller.view().create_topics(&request, &mut context)
        })
    }

    fn allocate(&self, broker_epoch: i64) -> mpsc::Receiver<Answer<i64>> {
        let request = AllocateProducerIdsRequest { broker_id: 1, broker_epoch };
        self.ask(move |turn| {
            turn.controller.view().allocate_producer_ids(&request).map(|response| response.producer_id_start)
        })
    }

    /// The controller's own image, once everything before is committed.
    fn image(&self) -> Image {
        loop {
            let answer = self.ask(|turn| ottla_metadata::Decision::read(turn.controller.image().clone()));
            match answer.recv_timeout(PATIENCE).expect("an answer") {
                Ok((image, _)) => return image,
                // The lead may still be on its way out; it comes back.
                Err(error) => assert_eq!(error, Unavailable::NotController),
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Stops everything; gives what a follower of the log has come to.
    fn stop(self) -> Image {
        self.quorum.shutdown(1_000).expect("running");
        self.driver.join().expect("no failure");
        self.events.send(Event::Stop).expect("a running desk");
        self.desk.join().expect("no broken invariant");
        let mut loader = Loader::default();
        for news in self.news.try_iter() {
            match news {
                News::Snapshot(image) => _ = loader.load_snapshot(image),
                News::Committed(batch) if batch.records.is_empty() => {
                    loader.skip(batch.last_offset, batch.epoch, batch.timestamp_ms);
                }
                News::Committed(batch) => {
                    let (base, epoch, at) = (batch.base_offset, batch.epoch, batch.timestamp_ms);
                    loader.batch(base, epoch, at, &batch.records).expect("what was decided can be replayed");
                }
            }
        }
        _ = loader.publish();
        loader.image().clone()
    }
}

#[test]
fn a_new_cluster_begins_with_its_bootstrap_records() {
    let directory = tempfile::tempdir().expect("a directory");
    let host = Host::start(directory.path(), None);
    let image = host.image();
    assert_eq!(image.metadata_version(), MetadataVersion::LATEST);
    assert!(image.features.elr_enabled());
    assert_eq!(host.stop(), image);

    let host = Host::start(directory.path(), None);
    assert_eq!(host.image(), image, "written once");
    host.stop();
}

#[test]
fn answers_come_when_committed_and_say_where() {
    let directory = tempfile::tempdir().expect("a directory");
    let host = Host::start(directory.path(), Some(1));
    let (epoch, offset) = host.register();
    assert_eq!(epoch, offset, "a broker's epoch is the offset of its registration");
    let first: Vec<_> = (0..50).map(|_| host.allocate(epoch)).collect();
    let mut last = offset;
    for (number, answer) in first.into_iter().enumerate() {
        let (start, offset) = answer.recv_timeout(PATIENCE).expect("an answer").expect("decided");
        assert_eq!(start, number as i64 * 1_000, "each sees what those before it decided");
        assert!(offset > last);
        last = offset;
    }
    let refused = host.allocate(epoch + 1).recv_timeout(PATIENCE).expect("an answer").expect("decided");
    assert!(refused.1 >= last, "an answer without records is true after those before it");
    let image = host.image();
    assert_eq!(image.next_producer_id.0, 50_000);
    assert_eq!(host.stop().next_producer_id, image.next_producer_id);
}

#[test]
fn rafts_own_records_between_decisions_shift_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let host = Host::start(directory.path(), None);
    let (epoch, _) = host.register();
    let before = host.allocate(epoch);
    let raised = host.ask(|turn| {
        let raised = turn.quorum.upgrade_kraft_version(turn.epoch, 1, false);
        ottla_metadata::Decision::read(raised)
    });
    let after: Vec<_> = (0..5).map(|_| host.allocate(epoch)).collect();
    assert!(before.recv_timeout(PATIENCE).expect("an answer").is_ok());
    let raised = raised.recv_timeout(PATIENCE).expect("an answer").expect("decided").0;
    assert_eq!(raised, Ok(Ok(true)));
    for answer in after {
        assert!(answer.recv_timeout(PATIENCE).expect("an answer").is_ok());
    }
    // From here on the count is exact again: the next registration gets its own offset.
    let (epoch, offset) = host.register();
    assert_eq!(epoch, offset);
    let image = host.image();
    assert_eq!(host.stop(), image);
}

#[test]
fn a_lost_lead_loses_no_answer_and_no_record() {
    let directory = tempfile::tempdir().expect("a directory");
    let host = Host::start(directory.path(), Some(2));
    let (broker_epoch, _) = host.register();
    let mut granted = 0;
    for _ in 0..5 {
        let epoch = host.quorum.status().epoch;
        let answers: Vec<_> = (0..20)
            .map(|n| {
                if n == 10 {
                    host.quorum.resign(epoch);
                }
                host.allocate(broker_epoch)
            })
            .collect();
        for answer in answers {
            match answer.recv_timeout(PATIENCE).expect("every request is answered") {
                Ok(_) => granted += 1,
                Err(error) => assert_eq!(error, Unavailable::NotController),
            }
        }
        assert!(host.lead.wait(PATIENCE), "it leads again");
    }
    let mut again = Err(Unavailable::NotController);
    for _ in 0..1_000 {
        again = host.allocate(broker_epoch).recv_timeout(PATIENCE).expect("an answer");
        if again.is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(again.is_ok_and(|(start, _)| start >= granted * 1_000), "it decides again");
    granted += 1;
    // What was granted is there; what was refused may be there.
    let image = host.image();
    assert!(image.next_producer_id.0 >= granted * 1_000, "{granted} blocks, {:?}", image.next_producer_id);
    assert_eq!(host.stop(), image);
}

#[test]
fn two_clients_that_create_one_topic_get_one_topic() {
    let directory = tempfile::tempdir().expect("a directory");
    let host = Host::start(directory.path(), None);
    let (broker_epoch, offset) = host.register();
    let request = ottla_protocol::messages::BrokerHeartbeatRequest {
        broker_id: 1,
        broker_epoch,
        current_metadata_offset: offset,
        ..Default::default()
    };
    let beat =
        host.ask(move |turn| turn.controller.broker_heartbeat(&request, turn.next_offset, turn.now_ms));
    assert!(!beat.recv_timeout(PATIENCE).expect("an answer").expect("decided").0.is_fenced);
    let answers = [host.create("t"), host.create("t")];
    let codes = answers.map(|answer| {
        let (response, _) = answer.recv_timeout(PATIENCE).expect("an answer").expect("decided");
        response.topics[0].error_code
    });
    assert_eq!(codes, [0, 36], "the second is told that the topic exists");
    let image = host.stop();
    assert_eq!((image.topics.len(), image.topics.partition_count()), (1, 3));
}

#[test]
fn a_desk_that_stopped_answers_nobody_twice() {
    let directory = tempfile::tempdir().expect("a directory");
    let host = Host::start(directory.path(), None);
    let (epoch, _) = host.register();
    let answers: Vec<_> = (0..30).map(|_| host.allocate(epoch)).collect();
    host.stop();
    for answer in answers {
        // Committed, refused, or dropped with the desk: never silence for ever.
        let first = answer.recv_timeout(PATIENCE);
        assert!(!matches!(first, Err(mpsc::RecvTimeoutError::Timeout)));
        assert!(answer.try_recv().is_err(), "at most one answer");
    }
}

#[test]
fn what_is_unavailable_has_a_code_and_words() {
    use ottla_protocol::ErrorCode;
    let told = |error: Unavailable| (error.code(), error.to_string());
    let nobody = "No controller appears to be active.".to_owned();
    assert_eq!(told(Unavailable::NotController), (ErrorCode::NotController, nobody));
    assert_eq!(
        told(Unavailable::TimedOut),
        (ErrorCode::RequestTimedOut, "The request timed out.".to_owned())
    );
    let gone = "no controller: 1@h:9093 unreachable since 2026-11-21 14:39:07 UTC (connection refused)";
    let said = told(Unavailable::NoController(gone.into()));
    assert_eq!(
        said,
        (ErrorCode::RequestTimedOut, gone.to_owned()),
        "Kafka's clients show it, and do not ask again"
    );
    assert_eq!(Unavailable::Stopped.code(), ErrorCode::NotController);
    assert_eq!(Unavailable::TooLarge.code(), ErrorCode::UnknownServerError);
}
