//! The figures of a node under the names that dashboards of Apache Kafka know: those that its JMX exporter's rules for
//! KRaft make (`kafka_<domain>_<type>_<name>`, meters as `_total`), those of kafka_exporter for topics, and our own under
//! `ottla_`. Everything is read when it is asked for; only what leads or coordinates something tells of it, so that
//! nothing is counted twice when the figures of all nodes are added.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use ottla_metadata::Image;

use super::TopicTraffic;
use super::count::Count;
use crate::node::Node;
use crate::partition::{LedFigures, Partition, PartitionFigures};

/// What kind of figures a family has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FigureKind {
    /// They only grow, until the node starts anew.
    Counter,
    /// They go up and down.
    Gauge,
}

/// Figures of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// The name, with `_total` where it is a counter.
    pub name: &'static str,
    /// One line on what it is.
    pub help: &'static str,
    /// Its kind.
    pub kind: FigureKind,
}

const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, help, kind: FigureKind::Gauge }
}

const fn counter(name: &'static str, help: &'static str) -> Family {
    Family { name, help, kind: FigureKind::Counter }
}

/// Where figures go: the family, labels, the value. All figures of a family come one after the other.
pub type Tell<'a> = dyn FnMut(&Family, &[(&str, &str)], f64) + 'a;

/// Partitions of which each has figures of its own; a node with more gives their sums and says that it does.
const MOST_PARTITIONS: usize = 10_000;

impl Node {
    /// Tells every figure of this node. The figures of a family come one after the other.
    pub fn measure(&self, tell: &mut Tell<'_>) {
        let image = self.image();
        self.tell_node(tell);
        if self.static_config().roles.broker {
            self.tell_broker(tell);
        }
        if self.static_config().roles.controller {
            self.tell_controller(&image, tell);
        }
        self.tell_quorum(&image, tell);
    }

    fn tell_node(&self, tell: &mut Tell<'_>) {
        const PHASE: Family = gauge(
            "kafka_server_kafkaserver_brokerstate",
            "State of the node: 1 starting, 2 recovering, 3 running, 6 and 7 stopping.",
        );
        const REQUESTS: Family =
            counter("kafka_network_requestmetrics_requests_total", "Requests that came, by API.");
        const CONNECTIONS: Family = gauge(
            "kafka_server_socket_server_metrics_connection_count",
            "Connections that are open, by listener.",
        );
        const OFFLINE: Family =
            gauge("kafka_log_logmanager_offlinelogdirectorycount", "Log directories that failed.");
        tell(&PHASE, &[], f64::from(self.phase() as u8));
        for (api, count) in self.requests().seen() {
            tell(&REQUESTS, &[("request", api)], count as f64);
        }
        let mut open: BTreeMap<Arc<str>, usize> =
            self.bound().iter().map(|(name, _)| (name.as_str().into(), 0)).collect();
        open.extend(self.admission().open());
        for (listener, count) in open {
            tell(&CONNECTIONS, &[("listener", &listener)], count as f64);
        }
        tell(&OFFLINE, &[], self.offline_dirs().count() as f64);
        const FREE: Family = gauge("ottla_log_directory_free_bytes", "Free bytes of a log directory's disk.");
        const SIZE: Family = gauge("ottla_log_directory_size_bytes", "Bytes of a log directory's disk.");
        let spaces: Vec<(String, (u64, u64))> = self
            .dirs()
            .iter()
            .filter_map(|dir| Some((dir.path().display().to_string(), dir.space()?)))
            .collect();
        for (path, (_, free)) in &spaces {
            tell(&FREE, &[("directory", path)], *free as f64);
        }
        for (path, (size, _)) in &spaces {
            tell(&SIZE, &[("directory", path)], *size as f64);
        }
    }

    fn tell_broker(&self, tell: &mut Tell<'_>) {
        let mut held: Vec<(Arc<Partition>, PartitionFigures)> = self
            .partitions()
            .all()
            .into_iter()
            .filter_map(|partition| partition.figures().map(|figures| (partition, figures)))
            .collect();
        held.sort_by(|(a, _), (b, _)| (a.topic(), a.index()).cmp(&(b.topic(), b.index())));
        tell_traffic(&held, tell);
        tell_replicas(&held, tell);
        const SHRINKS: Family = counter(
            "kafka_server_replicamanager_isrshrinks_total",
            "Times that replicas fell out of sync with partitions led here.",
        );
        const EXPANDS: Family = counter(
            "kafka_server_replicamanager_isrexpands_total",
            "Times that replicas came back into sync with partitions led here.",
        );
        let (shrinks, expands) = self.isr_changes();
        tell(&SHRINKS, &[], shrinks as f64);
        tell(&EXPANDS, &[], expands as f64);
        const LEFT_OUT: Family = gauge(
            "ottla_metrics_partitions_without_figures",
            "Partitions that have no figures of their own because there are too many.",
        );
        let all = held.len() > MOST_PARTITIONS;
        tell(&LEFT_OUT, &[], if all { held.len() as f64 } else { 0.0 });
        if !all {
            tell_logs(&held, tell);
            tell_led(&held, self.node_id(), tell);
        }
    }

    /// The controllers' view of the cluster. As in Kafka every controller tells it; `activecontrollercount` adds up to
    /// one.
    fn tell_controller(&self, image: &Image, tell: &mut Tell<'_>) {
        let is_active = self.controller_if_started().is_some_and(|host| host.is_active());
        let fenced = image.brokers.values().filter(|broker| broker.fenced).count();
        let (mut offline, mut imbalanced) = (0_usize, 0_usize);
        for (_, _, partition) in image.partitions() {
            offline += usize::from(!partition.has_leader());
            imbalanced += usize::from(!partition.has_preferred_leader());
        }
        const ACTIVE: Family = gauge(
            "kafka_controller_kafkacontroller_activecontrollercount",
            "1 on the active controller, else 0.",
        );
        const BROKERS: Family =
            gauge("kafka_controller_kafkacontroller_activebrokercount", "Brokers that serve.");
        const FENCED: Family =
            gauge("kafka_controller_kafkacontroller_fencedbrokercount", "Brokers that are fenced.");
        const TOPICS: Family =
            gauge("kafka_controller_kafkacontroller_globaltopiccount", "Topics of the cluster.");
        const PARTITIONS: Family =
            gauge("kafka_controller_kafkacontroller_globalpartitioncount", "Partitions of the cluster.");
        const OFFLINE: Family =
            gauge("kafka_controller_kafkacontroller_offlinepartitionscount", "Partitions that nobody leads.");
        const IMBALANCED: Family = gauge(
            "kafka_controller_kafkacontroller_preferredreplicaimbalancecount",
            "Partitions that another replica leads than the one that should.",
        );
        tell(&ACTIVE, &[], yes(is_active));
        tell(&BROKERS, &[], (image.brokers.len() - fenced) as f64);
        tell(&FENCED, &[], fenced as f64);
        tell(&TOPICS, &[], image.topics.len() as f64);
        tell(&PARTITIONS, &[], image.topics.partition_count() as f64);
        tell(&OFFLINE, &[], offline as f64);
        tell(&IMBALANCED, &[], imbalanced as f64);
        if is_active {
            const ALL: Family = gauge("kafka_brokers", "Brokers that serve.");
            const TOPIC: Family = gauge("kafka_topic_partitions", "Partitions of a topic.");
            tell(&ALL, &[], (image.brokers.len() - fenced) as f64);
            if image.topics.len() <= MOST_PARTITIONS {
                for topic in image.topics.iter_by_name() {
                    tell(&TOPIC, &[("topic", &topic.name)], topic.partitions.len() as f64);
                }
            }
        }
    }

    fn tell_quorum(&self, image: &Image, tell: &mut Tell<'_>) {
        const STATE: Family = gauge(
            "kafka_server_raftmetrics_current_state",
            "1 for the state that this node has in the metadata quorum.",
        );
        const LEADER: Family =
            gauge("kafka_server_raftmetrics_current_leader", "Node id of the quorum's leader; -1 for none.");
        const EPOCH: Family = gauge("kafka_server_raftmetrics_current_epoch", "Epoch of the quorum.");
        const WATERMARK: Family = gauge(
            "kafka_server_raftmetrics_high_watermark",
            "Offset below which the metadata is committed; -1 when not known.",
        );
        const END: Family =
            gauge("kafka_server_raftmetrics_log_end_offset", "End of this node's metadata log.");
        const VOTERS: Family =
            gauge("kafka_server_raftmetrics_number_of_voters", "Voters of the metadata quorum.");
        const APPLIED: Family = gauge(
            "kafka_server_brokermetadatametrics_last_applied_record_offset",
            "Offset up to which this node knows the metadata.",
        );
        let Some(host) = self.controller_if_started() else { return };
        let status = host.quorum().status();
        tell(&STATE, &[("state", &status.role.to_lowercase())], 1.0);
        tell(&LEADER, &[], f64::from(status.leader.unwrap_or(-1)));
        tell(&EPOCH, &[], f64::from(status.epoch));
        tell(&WATERMARK, &[], status.high_watermark as f64);
        tell(&END, &[], status.log_end as f64);
        tell(&VOTERS, &[], status.voters.len() as f64);
        tell(&APPLIED, &[], image.provenance.offset as f64);
    }
}

fn yes(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

type Held = [(Arc<Partition>, PartitionFigures)];

/// What went in and out, by topic.
fn tell_traffic(held: &Held, tell: &mut Tell<'_>) {
    type Read = fn(&TopicTraffic) -> &Count;
    const FAMILIES: &[(Family, Read)] = &[
        (
            counter("kafka_server_brokertopicmetrics_messagesin_total", "Records that producers wrote."),
            |traffic| &traffic.messages_in,
        ),
        (
            counter("kafka_server_brokertopicmetrics_bytesin_total", "Bytes that producers wrote."),
            |traffic| &traffic.bytes_in,
        ),
        (
            counter("kafka_server_brokertopicmetrics_bytesout_total", "Bytes that consumers read."),
            |traffic| &traffic.bytes_out,
        ),
        (
            counter(
                "kafka_server_brokertopicmetrics_totalproducerequests_total",
                "Requests to write to a partition.",
            ),
            |traffic| &traffic.produce_requests,
        ),
        (
            counter(
                "kafka_server_brokertopicmetrics_totalfetchrequests_total",
                "Requests of consumers to read from a partition.",
            ),
            |traffic| &traffic.fetch_requests,
        ),
        (
            counter(
                "kafka_server_brokertopicmetrics_failedproducerequests_total",
                "Requests to write to a partition that failed.",
            ),
            |traffic| &traffic.failed_produce_requests,
        ),
        (
            counter(
                "kafka_server_brokertopicmetrics_failedfetchrequests_total",
                "Requests to read from a partition that failed.",
            ),
            |traffic| &traffic.failed_fetch_requests,
        ),
        (
            counter(
                "kafka_server_brokertopicmetrics_replicationbytesin_total",
                "Bytes that this node fetched from the leaders it follows.",
            ),
            |traffic| &traffic.replication_bytes_in,
        ),
        (
            counter(
                "kafka_server_brokertopicmetrics_replicationbytesout_total",
                "Bytes that followers fetched from this node.",
            ),
            |traffic| &traffic.replication_bytes_out,
        ),
    ];
    let mut met = HashSet::new();
    let topics: Vec<&Arc<Partition>> = held
        .iter()
        .map(|(partition, _)| partition)
        .filter(|partition| met.insert(partition.topic_id()))
        .collect();
    for (family, read) in FAMILIES {
        for partition in &topics {
            tell(family, &[("topic", partition.topic())], read(partition.traffic()).get() as f64);
        }
    }
}

/// What this node leads and follows, in numbers.
fn tell_replicas(held: &Held, tell: &mut Tell<'_>) {
    const LEADERS: Family =
        gauge("kafka_server_replicamanager_leadercount", "Partitions that this node leads.");
    const PARTITIONS: Family =
        gauge("kafka_server_replicamanager_partitioncount", "Partitions that this node has a replica of.");
    const UNDER: Family = gauge(
        "kafka_server_replicamanager_underreplicatedpartitions",
        "Partitions led here of which a replica is missing or behind.",
    );
    const UNDER_MIN: Family = gauge(
        "kafka_server_replicamanager_underminisrpartitioncount",
        "Partitions led here with fewer replicas in sync than min.insync.replicas.",
    );
    const AT_MIN: Family = gauge(
        "kafka_server_replicamanager_atminisrpartitioncount",
        "Partitions led here with just as many replicas in sync as min.insync.replicas.",
    );
    let led = || held.iter().filter_map(|(_, figures)| figures.leads);
    tell(&LEADERS, &[], led().count() as f64);
    tell(&PARTITIONS, &[], held.len() as f64);
    tell(&UNDER, &[], led().filter(|leads| leads.is_under_replicated).count() as f64);
    tell(&UNDER_MIN, &[], led().filter(|leads| leads.is_under_min_isr).count() as f64);
    tell(&AT_MIN, &[], led().filter(|leads| leads.is_at_min_isr).count() as f64);
}

/// The log of every partition that is here.
fn tell_logs(held: &Held, tell: &mut Tell<'_>) {
    type Read = fn(&PartitionFigures) -> f64;
    const FAMILIES: &[(Family, Read)] = &[
        (gauge("kafka_log_log_size", "Bytes of a partition's log."), |f| f.size_bytes as f64),
        (gauge("kafka_log_log_logstartoffset", "First offset of a partition's log."), |f| f.log_start as f64),
        (gauge("kafka_log_log_logendoffset", "Next offset of a partition's log."), |f| f.log_end as f64),
        (gauge("kafka_log_log_numlogsegments", "Segments of a partition's log."), |f| f.segments as f64),
    ];
    for (family, read) in FAMILIES {
        for (partition, figures) in held {
            let index = partition.index().to_string();
            tell(family, &[("topic", partition.topic()), ("partition", &index)], read(figures));
        }
    }
}

/// Every partition that this node leads.
fn tell_led(held: &Held, own: i32, tell: &mut Tell<'_>) {
    type Read = fn(&PartitionFigures, &LedFigures, i32) -> f64;
    const FAMILIES: &[(Family, Read)] = &[
        (gauge("kafka_cluster_partition_replicascount", "Replicas of a partition."), |_, led, _| {
            led.replicas as f64
        }),
        (
            gauge("kafka_cluster_partition_insyncreplicascount", "Replicas of a partition in sync."),
            |_, led, _| led.in_sync as f64,
        ),
        (
            gauge("kafka_cluster_partition_underreplicated", "1 where a replica is missing or behind."),
            |_, led, _| yes(led.is_under_replicated),
        ),
        (
            gauge("kafka_cluster_partition_underminisr", "1 where too few replicas are in sync."),
            |_, led, _| yes(led.is_under_min_isr),
        ),
        (
            gauge("kafka_cluster_partition_atminisr", "1 where just enough replicas are in sync."),
            |_, led, _| yes(led.is_at_min_isr),
        ),
        (
            gauge("kafka_topic_partition_current_offset", "Offset behind the last committed record."),
            |figures, _, _| figures.high_watermark as f64,
        ),
        (gauge("kafka_topic_partition_oldest_offset", "First offset that is kept."), |figures, _, _| {
            figures.log_start as f64
        }),
        (gauge("kafka_topic_partition_leader", "Node id of a partition's leader."), |_, _, own| {
            f64::from(own)
        }),
        (
            gauge("kafka_topic_partition_leader_is_preferred", "1 where the replica leads that should."),
            |_, led, _| yes(led.preferred),
        ),
        (gauge("kafka_topic_partition_replicas", "Replicas of a partition."), |_, led, _| {
            led.replicas as f64
        }),
        (gauge("kafka_topic_partition_in_sync_replica", "Replicas of a partition in sync."), |_, led, _| {
            led.in_sync as f64
        }),
        (
            gauge(
                "kafka_topic_partition_under_replicated_partition",
                "1 where a replica is missing or behind.",
            ),
            |_, led, _| yes(led.is_under_replicated),
        ),
    ];
    for (family, read) in FAMILIES {
        for (partition, figures) in held {
            let Some(led) = &figures.leads else { continue };
            let index = partition.index().to_string();
            let value = read(figures, led, own);
            tell(family, &[("topic", partition.topic()), ("partition", &index)], value);
        }
    }
}
