//! The rules between keys: Kafka's `KafkaConfig.validateValues`, `GroupCoordinatorConfig`, `ShareGroupConfig` and
//! `LogConfig.validateBrokerLogConfigValues`, each with Kafka's sentence, and a few of our own for slips that
//! Kafka lets pass.

use super::NodeConfig;
use crate::endpoint::Listener;
use crate::problem::Problem;
use crate::settings::Settings;

/// Adds what is wrong with `config` to `errors`.
pub(super) fn check(config: &NodeConfig, errors: &mut Vec<Problem>) {
    let mut rules = Rules { config, settings: &config.settings, errors };
    rules.logs();
    rules.replication();
    rules.quorum();
    rules.controller_role();
    rules.broker_role();
    rules.advertised();
    rules.own_voter();
    rules.connections();
    rules.groups();
    rules.share_groups();
}

struct Rules<'a> {
    config: &'a NodeConfig,
    settings: &'a Settings,
    errors: &'a mut Vec<Problem>,
}

fn names(listeners: &[Listener]) -> String {
    listeners.iter().map(|listener| listener.name.as_str()).collect::<Vec<_>>().join(",")
}

impl Rules<'_> {
    /// Kafka's `require`: unless `holds`, the sentence is an error at the place of `key`.
    fn require(&mut self, holds: bool, key: &str, sentence: impl Into<String>, next: &str) {
        if !holds {
            let problem = self.settings.problem(key, sentence);
            self.errors.push(if next.is_empty() { problem } else { problem.next(next) });
        }
    }

    fn at_least(&mut self, key: &str, least: &str) {
        let holds = self.settings.long(key) >= self.settings.long(least);
        self.ordered(holds, key, "must be greater than or equal to", least);
    }

    fn at_most(&mut self, key: &str, most: &str) {
        let holds = self.settings.long(key) <= self.settings.long(most);
        self.ordered(holds, key, "must be less than or equal to", most);
    }

    fn below(&mut self, key: &str, bound: &str) {
        let holds = self.settings.long(key) < self.settings.long(bound);
        self.ordered(holds, key, "must be less than", bound);
    }

    fn ordered(&mut self, holds: bool, key: &str, relation: &str, other: &str) {
        if !holds {
            let values =
                format!("{key} is {}, {other} is {}", self.settings.long(key), self.settings.long(other));
            // Reported where something was written, which may be the other key.
            let at = if self.settings.is_set(key) || !self.settings.is_set(other) { key } else { other };
            self.errors.push(self.settings.problem(at, format!("{key} {relation} {other}")).next(values));
        }
    }

    fn logs(&mut self) {
        let topic = &self.config.topic_defaults;
        self.require(
            topic.segment_ms >= 1,
            "log.roll.ms",
            "log.roll.ms must be greater than or equal to 1",
            "",
        );
        self.require(
            topic.segment_jitter_ms >= 0,
            "log.roll.jitter.ms",
            "log.roll.jitter.ms must be greater than or equal to 0",
            "",
        );
        self.require(
            topic.retention_ms != 0,
            "log.retention.ms",
            "log.retention.ms must be unlimited (-1) or, greater than or equal to 1",
            "",
        );
        if let Err(refusal) = topic.consistent() {
            self.errors.push(self.settings.problem("log.cleaner.min.compaction.lag.ms", refusal.to_string()));
        }
        if self.settings.boolean("remote.log.storage.system.enable") {
            let checked = topic.remote_retention(
                ["local.retention.ms", "retention.ms"],
                ["local.retention.bytes", "retention.bytes"],
            );
            if let Err(refusal) = checked {
                self.errors.push(self.settings.problem("log.local.retention.ms", refusal.to_string()));
            }
        }
        let cleaner = &self.config.cleaner;
        // Kafka divides and so cannot start with no thread at all.
        self.require(
            cleaner.threads > 0 && cleaner.dedupe_buffer_bytes / i64::from(cleaner.threads) > 1024 * 1024,
            "log.cleaner.dedupe.buffer.size",
            "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.",
            "",
        );
        let written = self.settings.list("cordoned.log.dirs");
        if self.config.roles.broker && written.iter().any(|dir| dir == "*") {
            self.require(
                written.len() == 1,
                "cordoned.log.dirs",
                "When cordoned.log.dirs is set to *, it must not contain other values",
                "",
            );
        } else if self.config.roles.broker {
            let dirs = &self.config.dirs;
            let unknown: Vec<&str> =
                dirs.cordoned.iter().filter(|dir| !dirs.data.contains(dir)).map(String::as_str).collect();
            let sentence = format!(
                "All entries in cordoned.log.dirs must be present in log.dirs or log.dir. Missing entries : {}",
                unknown.join(", ")
            );
            self.require(unknown.is_empty(), "cordoned.log.dirs", sentence, "");
        }
    }

    fn replication(&mut self) {
        let replication = &self.config.replication;
        let wait = i64::from(replication.fetch_wait_max_ms);
        self.require(
            wait <= i64::from(replication.socket_timeout_ms),
            "replica.socket.timeout.ms",
            "replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms to prevent unnecessary \
             socket timeouts",
            "",
        );
        self.require(
            wait <= replication.lag_time_max_ms,
            "replica.lag.time.max.ms",
            "replica.fetch.wait.max.ms should always be less than or equal to replica.lag.time.max.ms to prevent \
             frequent changes in ISR",
            "",
        );
    }

    fn quorum(&mut self) {
        let quorum = &self.config.quorum;
        self.require(
            !quorum.voters.is_empty() || !quorum.bootstrap_servers.is_empty(),
            "controller.quorum.voters",
            "If using process.roles, either controller.quorum.bootstrap.servers must contain the set of bootstrap \
             controllers or controller.quorum.voters must contain a parseable set of controllers.",
            "add controller.quorum.voters=1@localhost:9093 (every controller as id@host:port), or \
             controller.quorum.bootstrap.servers=localhost:9093 and format with --standalone",
        );
        for voter in &quorum.voters {
            let problem = format!("the voter {voter} has no host that other nodes could reach");
            self.require(
                !voter.address.host.is_empty(),
                "controller.quorum.voters",
                problem,
                "write id@host:port",
            );
        }
    }

    /// Voter ids as Kafka's messages show them.
    fn voter_ids(&self) -> String {
        let ids: Vec<String> = self.config.quorum.voters.iter().map(|voter| voter.id.to_string()).collect();
        format!("controller.quorum.voters=Set({})", ids.join(", "))
    }

    fn controller_role(&mut self) {
        let config = self.config;
        if !config.roles.controller {
            return;
        }
        let id = config.node_id;
        let listed =
            config.quorum.voters.is_empty() || config.quorum.voters.iter().any(|voter| voter.id == id);
        if !listed {
            let own = config.listeners.controllers().next();
            let own = own.map_or_else(
                || "host:port".to_owned(),
                |l| crate::endpoint::host_port(l.host.as_deref().unwrap_or("localhost"), l.port),
            );
            let sentence = format!(
                "If process.roles contains the 'controller' role, the node id {id} must be included in the set of \
                 voters {}",
                self.voter_ids()
            );
            let next =
                format!("add {id}@{own} to controller.quorum.voters on every node, or correct node.id");
            self.require(false, "controller.quorum.voters", sentence, &next);
        }
        let listeners = &config.listeners;
        let some = !listeners.advertised_controllers.is_empty();
        let wanted = &listeners.controller_names[0];
        let next = format!("add {wanted}://:9093 to listeners, or correct controller.listener.names");
        self.require(
            some,
            "controller.listener.names",
            "controller.listener.names must contain at least one value appearing in the 'listeners' configuration \
             when running the KRaft controller role",
            &next,
        );
        let all_bound = listeners
            .controller_names
            .iter()
            .all(|name| listeners.bound.iter().any(|bound| bound.name == *name));
        self.require(
            !some || all_bound,
            "controller.listener.names",
            "controller.listener.names must only contain values appearing in the 'listeners' configuration when \
             running the KRaft controller role",
            &next,
        );
        if config.roles.broker {
            return;
        }
        let clients: Vec<Listener> = listeners.brokers().cloned().collect();
        let next = format!("remove {} from listeners, or add the broker role", names(&clients));
        self.require(
            !some || !all_bound || clients.is_empty(),
            "listeners",
            "The listeners config must only contain KRaft controller listeners from controller.listener.names when \
             process.roles=controller",
            &next,
        );
        let explicit = self.settings.is_set("inter.broker.listener.name");
        self.require(
            !explicit || !listeners.is_controller(&listeners.inter_broker_name),
            "inter.broker.listener.name",
            "controller.listener.names must not contain an explicitly set inter.broker.listener.name configuration \
             value when process.roles=controller'",
            "remove inter.broker.listener.name",
        );
    }

    fn broker_role(&mut self) {
        let config = self.config;
        if !config.roles.broker {
            return;
        }
        let listeners = &config.listeners;
        if !config.roles.controller {
            let id = config.node_id;
            let sentence = format!(
                "If process.roles contains just the 'broker' role, the node id {id} must not be included in the set \
                 of voters {}",
                self.voter_ids()
            );
            let listed = config.quorum.voters.iter().any(|voter| voter.id == id);
            let next = format!(
                "write process.roles=broker,controller if this node is a controller too; else give it another \
                 node.id, or take {id}@... out of controller.quorum.voters"
            );
            self.require(!listed, "controller.quorum.voters", sentence, &next);
            let next = format!(
                "remove {} from listeners: controllers listen there, a broker only needs the name to find them",
                listeners.controller_names.join(",")
            );
            self.require(
                listeners.controllers().next().is_none(),
                "listeners",
                "controller.listener.names must not contain a value appearing in the 'listeners' configuration when \
                 running KRaft with just the broker role",
                &next,
            );
            self.require(
                !config.quorum.auto_join,
                "controller.quorum.auto.join.enable",
                "controller.quorum.auto.join.enable is only supported when process.roles contains the 'controller' \
                 role.",
                "remove controller.quorum.auto.join.enable",
            );
        }
        if listeners.advertised.is_empty() {
            self.require(
                false,
                "listeners",
                "There must be at least one broker advertised listener. Perhaps all listeners appear in \
                 controller.listener.names?",
                "add PLAINTEXT://:9092 to listeners",
            );
            return;
        }
        let advertised = names(&listeners.advertised);
        let inter_broker = &listeners.inter_broker_name;
        let sentence = format!(
            "inter.broker.listener.name must be a listener name defined in advertised.listeners. The valid options \
             based on currently configured listeners are {advertised}"
        );
        let next = format!("{inter_broker} is not among them: write inter.broker.listener.name={advertised}");
        self.require(
            listeners.advertised.iter().any(|listener| listener.name == *inter_broker),
            "inter.broker.listener.name",
            sentence,
            &next,
        );
        let bound = names(&listeners.bound);
        let sentence = format!(
            "advertised.listeners listener names must be equal to or a subset of the ones defined in listeners. \
             Found {advertised}. The valid options based on the current configuration are {bound}"
        );
        let subset = listeners
            .advertised
            .iter()
            .all(|said| listeners.bound.iter().any(|bound| bound.name == said.name));
        self.require(subset, "advertised.listeners", sentence, "");
    }

    fn advertised(&mut self) {
        let listeners = &self.config.listeners;
        let meta = |listener: &&Listener| listener.host.as_deref() == Some("0.0.0.0");
        let wrong = listeners.advertised.iter().chain(&listeners.advertised_controllers).find(meta);
        if let Some(wrong) = wrong {
            let at = if self.settings.is_set("advertised.listeners") {
                "advertised.listeners"
            } else {
                "listeners"
            };
            let next = format!(
                "write the name or address by which clients reach this machine: \
                 advertised.listeners={name}://{}:{port}, or {name}://localhost:{port} while everything runs on this \
                 machine",
                crate::problem::OWN_ADDRESS,
                name = wrong.name,
                port = wrong.port
            );
            self.require(
                false,
                at,
                "advertised.listeners cannot use the nonroutable meta-address 0.0.0.0. Use a routable IP address.",
                &next,
            );
        }
    }

    /// The slip of pointing a voter at the port for clients: the quorum would never form.
    fn own_voter(&mut self) {
        let config = self.config;
        let own = config.quorum.voters.iter().find(|voter| voter.id == config.node_id);
        let (Some(voter), true) = (own, config.roles.controller) else { return };
        let port = voter.address.port;
        if config.listeners.controllers().any(|listener| listener.port == port || listener.port == 0) {
            return;
        }
        let Some(client) = config.listeners.brokers().find(|listener| listener.port == port) else { return };
        let Some(controller) = config.listeners.controllers().next() else { return };
        let message = format!(
            "controller.quorum.voters says node {} is at {}, but {port} is the {} (client) listener; the controller \
             listener is {}. Use {}@{}",
            voter.id,
            voter.address,
            client.name,
            controller.port,
            voter.id,
            crate::endpoint::host_port(&voter.address.host, controller.port),
        );
        self.require(false, "controller.quorum.voters", message, "change it on every node: all must agree");
    }

    fn connections(&mut self) {
        let config = self.config;
        let listeners = &config.listeners;
        if listeners.inter_broker_protocol.uses_sasl() && config.roles.broker {
            let mechanism = self.settings.text("sasl.mechanism.inter.broker.protocol").unwrap_or_default();
            let enabled = self
                .settings
                .value_for_listener(&listeners.inter_broker_name, "sasl.enabled.mechanisms")
                .ok()
                .flatten()
                .is_some_and(|value| crate::value::split_list(&value.to_java()).contains(&mechanism));
            self.require(
                enabled,
                "sasl.mechanism.inter.broker.protocol",
                "sasl.mechanism.inter.broker.protocol must be included in sasl.enabled.mechanisms when SASL is used \
                 for inter-broker communication",
                "",
            );
        }
        let queued = self.settings.long("queued.max.request.bytes");
        self.require(
            queued <= 0 || queued >= i64::from(config.sockets.request_max_bytes),
            "queued.max.request.bytes",
            "queued.max.request.bytes must be larger or equal to socket.request.max.bytes",
            "",
        );
        let overrides = &config.sockets.max_connections_overrides;
        self.require(
            config.sockets.max_connections_per_ip != 0 || !overrides.is_empty(),
            "max.connections.per.ip",
            "max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set.",
            "",
        );
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-%._:".contains(c);
        let invalid: Vec<&str> = overrides
            .iter()
            .map(|(host, _)| host.as_str())
            .filter(|host| !host.chars().all(is_host))
            .collect();
        let sentence =
            format!("max.connections.per.ip.overrides contains invalid addresses : {}", invalid.join(","));
        self.require(invalid.is_empty(), "max.connections.per.ip.overrides", sentence, "");
        if let Some(idle) = config.sockets.max_idle_ms {
            let delay = i64::from(config.sockets.failed_authentication_delay_ms);
            let sentence = format!(
                "connection.failed.authentication.delay.ms={delay} should always be less than \
                 connections.max.idle.ms={idle} to prevent failed authentication responses from timing out"
            );
            self.require(delay < idle, "connections.max.idle.ms", sentence, "");
        }
    }

    fn groups(&mut self) {
        let protocols = &self.config.groups.protocols;
        self.require(
            protocols.iter().any(|protocol| protocol == "classic"),
            "group.coordinator.rebalance.protocols",
            "Disabling the 'classic' protocol is not supported.",
            "remove group.coordinator.rebalance.protocols",
        );
        let codec = self.config.groups.offsets_compression_codec;
        let sentence = format!("Unknown compression type id: {codec}");
        self.require((0..=4).contains(&codec), "offsets.topic.compression.codec", sentence, "");
        for group in ["consumer", "share", "streams"] {
            let key = |name: &str| format!("group.{group}.{name}");
            for what in ["heartbeat.interval.ms", "session.timeout.ms"] {
                let (value, min, max) = (key(what), key(&format!("min.{what}")), key(&format!("max.{what}")));
                self.at_least(&max, &min);
                self.at_least(&value, &min);
                self.at_most(&value, &max);
            }
            self.below(&key("heartbeat.interval.ms"), &key("session.timeout.ms"));
            let what = "assignment.interval.ms";
            let (value, min, max) = (key(what), key(&format!("min.{what}")), key(&format!("max.{what}")));
            self.at_least(&max, &min);
            self.at_least(&value, &min);
            self.at_most(&value, &max);
        }
        let assignors = self.settings.list("group.share.assignors").len();
        let sentence =
            format!("group.share.assignors must contain exactly one assignor, but found {assignors}");
        self.require(assignors == 1, "group.share.assignors", sentence, "");
        self.at_most("group.streams.num.standby.replicas", "group.streams.max.standby.replicas");
    }

    fn share_groups(&mut self) {
        for what in ["delivery.count.limit", "partition.max.record.locks"] {
            let value = format!("group.share.{what}");
            self.at_least(&format!("group.share.max.{what}"), &value);
            self.at_least(&value, &format!("group.share.min.{what}"));
        }
        let what = "record.lock.duration.ms";
        let value = format!("group.share.{what}");
        self.at_least(&value, &format!("group.share.min.{what}"));
        self.at_least(&format!("group.share.max.{what}"), &value);
        self.at_least("group.share.max.share.sessions", "group.share.max.size");
    }
}
