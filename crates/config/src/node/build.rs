//! From checked settings to the typed configuration.

use super::{
    Broker, Cleaner, Dirs, Groups, Log, Metadata, NodeConfig, OpsListener, OpsPorts, Quorum, Replication,
    Requests, Roles, Sockets, Topics, Transactions, listeners, rules,
};
use crate::endpoint::{parse_host_port, parse_map, parse_voter};
use crate::keys::{node_key, node_keys};
use crate::problem::Problem;
use crate::settings::{Place, Settings};
use crate::topic::TopicConfig;

impl NodeConfig {
    /// The configuration of a node with exactly these settings.
    ///
    /// # Errors
    /// Everything that is wrong: first the values by themselves; where those are right, the rules between them.
    pub fn of_settings(mut settings: Settings) -> Result<Self, Vec<Problem>> {
        let mut errors = Vec::new();
        one_id(&mut settings, &mut errors);
        check_values(&settings, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        let roles = roles(&settings);
        let quorum = quorum(&settings);
        let node_id = settings.int("node.id");
        let own_voter = quorum.voters.iter().find(|voter| voter.id == node_id);
        let listeners = listeners::build(&settings, own_voter, roles, &mut errors);
        let sockets = sockets(&settings, &mut errors);
        let ops_listener = ops_listener(&settings, node_id, &mut errors);
        let Some(listeners) = listeners else { return Err(errors) };
        let config = Self {
            roles,
            node_id,
            rack: settings.text("broker.rack"),
            listeners,
            dirs: dirs(&settings),
            quorum,
            metadata: metadata(&settings),
            broker: broker(&settings),
            sockets,
            requests: requests(&settings),
            topics: topics(&settings),
            topic_defaults: TopicConfig::of_node(&settings),
            log: log(&settings),
            cleaner: cleaner(&settings),
            replication: replication(&settings),
            groups: groups(&settings),
            transactions: transactions(&settings),
            ops_listener,
            settings,
        };
        rules::check(&config, &mut errors);
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }
}

/// `broker.id` and `node.id` are one number: each stands for the other where only one is set.
fn one_id(settings: &mut Settings, errors: &mut Vec<Problem>) {
    let (node, broker) = (settings.raw("node.id"), settings.raw("broker.id"));
    match (node.map(str::trim), broker.map(str::trim)) {
        (Some(node), None) => {
            let node = node.to_owned();
            settings.set("broker.id", &node, Place::Synonym);
        }
        (None, Some(broker)) => {
            let broker = broker.to_owned();
            settings.set("node.id", &broker, Place::Synonym);
        }
        (Some(node), Some(broker)) if node.parse::<i32>() != broker.parse::<i32>() => errors.push(
            settings
                .problem("broker.id", format!("node.id is {node}, but its old name broker.id is {broker}"))
                .kafka("You must set `node.id` to the same value as `broker.id`.")
                .next("remove the line of broker.id"),
        ),
        _ => {}
    }
}

/// Every value by itself: its type, its check, and that mandatory keys are there.
fn check_values(settings: &Settings, errors: &mut Vec<Problem>) {
    for key in node_keys() {
        if key.fallback == crate::key::Fallback::Required && !settings.is_set(key.name) {
            let kafka =
                format!("Missing required configuration \"{}\" which has no default value.", key.name);
            let (message, next) = match key.name {
                "process.roles" => (
                    "process.roles is missing: it says what this process is",
                    "add process.roles=broker,controller for a node that does everything",
                ),
                "node.id" => (
                    "node.id is missing: every node has a number of its own",
                    "add node.id=1 (another number on every node)",
                ),
                _ => (
                    "controller.listener.names is missing: brokers and controllers need the name of the \
                     controllers' listener",
                    "add controller.listener.names=CONTROLLER",
                ),
            };
            errors.push(Problem {
                key: Some(key.name.to_owned()),
                ..Problem::new(message).kafka(kafka).next(next)
            });
        }
    }
    for (name, setting) in settings.iter() {
        let base = crate::keys::listener_base(name).unwrap_or(name);
        let Some(key) = node_key(base) else { continue };
        let Err(error) = key.parse(&setting.value) else { continue };
        // A value that was derived is reported where it was written.
        if setting.place == Place::Synonym {
            continue;
        }
        let mut problem = settings.value_problem(base, &error);
        if base != name {
            problem.place = Some(setting.place.to_string());
            problem.key = Some(name.to_owned());
            problem.message = problem.message.replacen(base, name, 1);
        }
        problem.next = advice(name);
        errors.push(problem);
    }
    let written = settings.raw("process.roles").map(crate::value::split_list).unwrap_or_default();
    for (at, role) in written.iter().enumerate() {
        if written[..at].contains(role) && !role.is_empty() {
            errors.push(
                settings
                    .problem("process.roles", format!("process.roles names the role '{role}' twice"))
                    .allowed("broker, controller, or broker,controller"),
            );
        }
    }
}

/// What to write where a value is wrong, for the keys that tutorials make people edit.
fn advice(key: &str) -> Option<String> {
    let text = match key {
        "node.id" | "broker.id" => "give this node a number of its own, for example node.id=1",
        "process.roles" => "write process.roles=broker,controller, or one of the two",
        "controller.quorum.voters" => {
            "write one id@host:port for each controller, for example 1@localhost:9093"
        }
        "controller.quorum.bootstrap.servers" => {
            "write host:port of the controllers, for example localhost:9093"
        }
        "listeners" => "write NAME://host:port entries, for example PLAINTEXT://:9092,CONTROLLER://:9093",
        _ => return None,
    };
    Some(text.to_owned())
}

fn roles(settings: &Settings) -> Roles {
    let roles = settings.list("process.roles");
    let has = |role: &str| roles.iter().any(|entry| entry == role);
    Roles { broker: has("broker"), controller: has("controller") }
}

fn dirs(settings: &Settings) -> Dirs {
    let data = settings.list_or_none("log.dirs").unwrap_or_else(|| settings.list("log.dir"));
    let metadata = settings.text("metadata.log.dir").unwrap_or_else(|| data[0].clone());
    let mut cordoned = settings.list("cordoned.log.dirs");
    if cordoned.iter().any(|dir| dir == "*") {
        cordoned.clone_from(&data);
    }
    Dirs { data, metadata, cordoned }
}

fn quorum(settings: &Settings) -> Quorum {
    let checked = "CONFIG-9: the entries were checked before they are read";
    let mut voters: Vec<crate::endpoint::Voter> = Vec::new();
    for entry in settings.list("controller.quorum.voters") {
        let voter = parse_voter(&entry).expect(checked);
        // Of two entries with one id the last one counts, as in Kafka; a warning names them.
        voters.retain(|other| other.id != voter.id);
        voters.push(voter);
    }
    let servers = settings.list("controller.quorum.bootstrap.servers");
    Quorum {
        voters,
        bootstrap_servers: servers.iter().map(|entry| parse_host_port(entry).expect(checked)).collect(),
        election_timeout_ms: settings.int("controller.quorum.election.timeout.ms"),
        fetch_timeout_ms: settings.int("controller.quorum.fetch.timeout.ms"),
        election_backoff_max_ms: settings.int("controller.quorum.election.backoff.max.ms"),
        append_linger_ms: settings.int("controller.quorum.append.linger.ms"),
        request_timeout_ms: settings.int("controller.quorum.request.timeout.ms"),
        retry_backoff_ms: settings.int("controller.quorum.retry.backoff.ms"),
        auto_join: settings.boolean("controller.quorum.auto.join.enable"),
        fetch_max_bytes: settings.int("controller.quorum.fetch.max.bytes"),
        fetch_snapshot_max_bytes: settings.int("controller.quorum.fetch.snapshot.max.bytes"),
        early_election: settings.boolean("ottla.early.election.enable"),
        early_fencing: settings.boolean("ottla.early.fencing.enable"),
        voter_change: settings.boolean("ottla.voter.change.enable"),
    }
}

fn metadata(settings: &Settings) -> Metadata {
    let segment = settings.integer_or_none("internal.metadata.log.segment.bytes");
    Metadata {
        segment_bytes: segment.map_or_else(
            || settings.int("metadata.log.segment.bytes"),
            |_| settings.int("internal.metadata.log.segment.bytes"),
        ),
        segment_ms: settings.long("metadata.log.segment.ms"),
        retention_bytes: settings.long("metadata.max.retention.bytes"),
        retention_ms: settings.long("metadata.max.retention.ms"),
        snapshot_after_bytes: settings.long("metadata.log.max.record.bytes.between.snapshots"),
        snapshot_interval_ms: Some(settings.long("metadata.log.max.snapshot.interval.ms"))
            .filter(|&ms| ms > 0),
        idle_interval_ms: Some(settings.int("metadata.max.idle.interval.ms")).filter(|&ms| ms > 0),
    }
}

fn broker(settings: &Settings) -> Broker {
    Broker {
        heartbeat_interval_ms: settings.int("broker.heartbeat.interval.ms"),
        session_timeout_ms: settings.int("broker.session.timeout.ms"),
        registration_timeout_ms: settings.int("initial.broker.registration.timeout.ms"),
        controlled_shutdown: settings.boolean("controlled.shutdown.enable"),
        controller_socket_timeout_ms: settings.int("controller.socket.timeout.ms"),
        log_dir_failure_timeout_ms: settings.long("log.dir.failure.timeout.ms"),
    }
}

fn sockets(settings: &Settings, errors: &mut Vec<Problem>) -> Sockets {
    const OVERRIDES: &str = "max.connections.per.ip.overrides";
    let mut overrides = Vec::new();
    let text = settings.text(OVERRIDES).unwrap_or_default();
    match parse_map(&text) {
        Ok(pairs) => {
            for (host, limit) in pairs {
                match limit.parse() {
                    Ok(limit) if limit >= 0 => overrides.push((host, limit)),
                    _ => errors.push(
                        settings
                            .problem(OVERRIDES, format!("{OVERRIDES}: '{limit}' is no number of connections"))
                            .allowed("host:number pairs, for example 127.0.0.1:200"),
                    ),
                }
            }
        }
        Err(entry) => errors.push(
            settings
                .problem(OVERRIDES, format!("{OVERRIDES}: '{entry}' is no host:number pair"))
                .kafka(format!("Error parsing configuration property '{OVERRIDES}'"))
                .allowed("host:number pairs, for example 127.0.0.1:200"),
        ),
    }
    let buffer = |key: &str| Some(settings.int(key)).filter(|&bytes| bytes >= 0);
    Sockets {
        send_buffer_bytes: buffer("socket.send.buffer.bytes"),
        receive_buffer_bytes: buffer("socket.receive.buffer.bytes"),
        backlog: settings.int("socket.listen.backlog.size"),
        request_max_bytes: settings.int("socket.request.max.bytes"),
        max_idle_ms: Some(settings.long("connections.max.idle.ms")).filter(|&ms| ms >= 0),
        max_connections: settings.int("max.connections"),
        max_connections_per_ip: settings.int("max.connections.per.ip"),
        max_connections_overrides: overrides,
        max_creation_rate: settings.int("max.connection.creation.rate"),
        network_threads: settings.int("num.network.threads"),
        failed_authentication_delay_ms: settings.int("connection.failed.authentication.delay.ms"),
        connection_setup_timeout_ms: settings.long("socket.connection.setup.timeout.ms"),
        connection_setup_timeout_max_ms: settings.long("socket.connection.setup.timeout.max.ms"),
    }
}

/// Where nothing can be read in the value, the node is to be refused: nobody looks for a console that silently is not there.
fn ops_listener(settings: &Settings, node_id: i32, errors: &mut Vec<Problem>) -> OpsListener {
    const KEY: &str = "ottla.ops.listener";
    let default = OpsListener::AnyOf(OpsPorts::of(node_id));
    let Some(text) = settings.text(KEY) else { return default };
    if text.eq_ignore_ascii_case("off") {
        return OpsListener::Off;
    }
    match parse_host_port(&text) {
        Ok(at) if !at.host.is_empty() => OpsListener::At(at),
        _ => {
            let problem = settings.problem(KEY, format!("{KEY}: '{text}' is no host:port"));
            errors.push(problem.allowed("host:port, for example 127.0.0.1:8780 or 0.0.0.0:8780, or off"));
            default
        }
    }
}

fn requests(settings: &Settings) -> Requests {
    Requests {
        fetch_max_bytes: settings.int("fetch.max.bytes"),
        fetch_session_slots: settings.int("max.incremental.fetch.session.cache.slots"),
        partition_limit: settings.int("max.request.partition.size.limit"),
        timeout_ms: settings.int("request.timeout.ms"),
    }
}

fn topics(settings: &Settings) -> Topics {
    Topics {
        auto_create: settings.boolean("auto.create.topics.enable"),
        partitions: settings.int("num.partitions"),
        replication_factor: settings.int("default.replication.factor"),
        delete_enabled: settings.boolean("delete.topic.enable"),
    }
}

fn log(settings: &Settings) -> Log {
    Log {
        retention_check_interval_ms: settings.long("log.retention.check.interval.ms"),
        flush_scheduler_interval_ms: settings.long("log.flush.scheduler.interval.ms"),
        recovery_point_checkpoint_interval_ms: settings.int("log.flush.offset.checkpoint.interval.ms"),
        start_offset_checkpoint_interval_ms: settings.int("log.flush.start.offset.checkpoint.interval.ms"),
        initial_task_delay_ms: settings.long("log.initial.task.delay.ms"),
        recovery_threads_per_dir: settings.int("num.recovery.threads.per.data.dir"),
        producer_id_expiration_ms: settings.int("producer.id.expiration.ms"),
        producer_id_check_interval_ms: settings.int("producer.id.expiration.check.interval.ms"),
        high_watermark_checkpoint_interval_ms: settings.long("replica.high.watermark.checkpoint.interval.ms"),
    }
}

fn cleaner(settings: &Settings) -> Cleaner {
    Cleaner {
        enabled: settings.boolean("log.cleaner.enable"),
        threads: settings.int("log.cleaner.threads"),
        dedupe_buffer_bytes: settings.long("log.cleaner.dedupe.buffer.size"),
        io_buffer_bytes: settings.int("log.cleaner.io.buffer.size"),
        load_factor: settings.double("log.cleaner.io.buffer.load.factor"),
        max_bytes_per_second: settings.double("log.cleaner.io.max.bytes.per.second"),
        backoff_ms: settings.long("log.cleaner.backoff.ms"),
    }
}

fn replication(settings: &Settings) -> Replication {
    let receive_buffer = "replica.socket.receive.buffer.bytes";
    Replication {
        lag_time_max_ms: settings.long("replica.lag.time.max.ms"),
        fetch_max_bytes: settings.int("replica.fetch.max.bytes"),
        fetch_wait_max_ms: settings.int("replica.fetch.wait.max.ms"),
        fetch_min_bytes: settings.int("replica.fetch.min.bytes"),
        fetch_response_max_bytes: settings.int("replica.fetch.response.max.bytes"),
        fetch_backoff_ms: settings.int("replica.fetch.backoff.ms"),
        socket_timeout_ms: settings.int("replica.socket.timeout.ms"),
        // Kafka's default would hold a follower to 64 KiB for each way to its leader and back.
        socket_receive_buffer_bytes: u32::try_from(settings.int(receive_buffer))
            .ok()
            .filter(|_| settings.is_set(receive_buffer)),
        fetchers: settings.int("num.replica.fetchers"),
        auto_leader_rebalance: settings.boolean("auto.leader.rebalance.enable"),
        leader_imbalance_check_interval_ms: settings
            .long("leader.imbalance.check.interval.seconds")
            .saturating_mul(1000),
        unclean_election_interval_ms: settings.long("unclean.leader.election.interval.ms"),
    }
}

fn groups(settings: &Settings) -> Groups {
    let protocols = settings.list("group.coordinator.rebalance.protocols");
    Groups {
        min_session_timeout_ms: settings.int("group.min.session.timeout.ms"),
        max_session_timeout_ms: settings.int("group.max.session.timeout.ms"),
        initial_rebalance_delay_ms: settings.int("group.initial.rebalance.delay.ms"),
        max_size: settings.int("group.max.size"),
        protocols: protocols.iter().map(|protocol| protocol.to_lowercase()).collect(),
        offsets_partitions: settings.int("offsets.topic.num.partitions"),
        offsets_replication_factor: settings.short("offsets.topic.replication.factor"),
        offsets_segment_bytes: settings.int("offsets.topic.segment.bytes"),
        offsets_compression_codec: settings.int("offsets.topic.compression.codec"),
        offsets_load_buffer_bytes: settings.int("offsets.load.buffer.size"),
        offsets_commit_timeout_ms: settings.int("offsets.commit.timeout.ms"),
        offsets_retention_ms: settings.long("offsets.retention.minutes").saturating_mul(60_000),
        offsets_retention_check_interval_ms: settings.long("offsets.retention.check.interval.ms"),
        offset_metadata_max_bytes: settings.int("offset.metadata.max.bytes"),
    }
}

fn transactions(settings: &Settings) -> Transactions {
    Transactions {
        max_timeout_ms: settings.int("transaction.max.timeout.ms"),
        id_expiration_ms: settings.int("transactional.id.expiration.ms"),
        state_partitions: settings.int("transaction.state.log.num.partitions"),
        state_replication_factor: settings.short("transaction.state.log.replication.factor"),
        state_min_isr: settings.int("transaction.state.log.min.isr"),
        state_segment_bytes: settings.int("transaction.state.log.segment.bytes"),
        state_load_buffer_bytes: settings.int("transaction.state.log.load.buffer.size"),
        abort_check_interval_ms: settings.int("transaction.abort.timed.out.transaction.cleanup.interval.ms"),
        expiration_check_interval_ms: settings
            .int("transaction.remove.expired.transaction.cleanup.interval.ms"),
        verify_partitions: settings.boolean("transaction.partition.verification.enable"),
        two_phase_commit: settings.boolean("transaction.two.phase.commit.enable"),
    }
}
