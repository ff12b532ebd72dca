//! Loading: file, environment and command line become one configuration, or a list of everything that is wrong.

use std::sync::Arc;

use super::{NodeConfig, advice, legacy};
use crate::dynamic;
use crate::problem::{Problem, Problems};
use crate::properties::Properties;
use crate::settings::{Place, Settings};
use crate::topic::Overrides;

/// A configuration that can be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: NodeConfig,
    /// What should be shown at the start, in the order of the file.
    pub warnings: Vec<Problem>,
    /// Values that promise what is not served yet (TLS listeners, an authorizer ...). Tools that only read the
    /// file may go on; a server must refuse to start and show these.
    pub unserved: Vec<Problem>,
}

impl Loaded {
    /// Warnings as errors, for `--strict`.
    ///
    /// # Errors
    /// There are warnings.
    pub fn strict(self) -> Result<Self, Problems> {
        if self.warnings.is_empty() {
            return Ok(self);
        }
        Err(Problems { errors: self.warnings, warnings: Vec::new() })
    }
}

impl NodeConfig {
    /// Reads `server.properties`. `file` is the name that messages show; `overrides` are the `key=value` pairs
    /// of `--override`, which win.
    ///
    /// # Errors
    /// Everything that is wrong, each with its place.
    pub fn load(file: &str, bytes: &[u8], overrides: &[(String, String)]) -> Result<Loaded, Problems> {
        Self::load_all(file, bytes, &[], overrides)
    }

    /// As [`Self::load`], with `environment` between the file and the overrides: keys as
    /// [`environment_key`] gives them.
    ///
    /// # Errors
    /// Everything that is wrong, each with its place.
    pub fn load_all(
        file: &str,
        bytes: &[u8],
        environment: &[(String, String)],
        overrides: &[(String, String)],
    ) -> Result<Loaded, Problems> {
        let properties = Properties::parse(file, bytes).map_err(|error| Problems {
            errors: vec![Problem {
                place: Some(format!("{}:{}", error.file, error.line)),
                ..Problem::new(error.what)
            }],
            warnings: Vec::new(),
        })?;
        let mut settings = Settings::default();
        let name: Arc<str> = Arc::from(file);
        for entry in properties.entries() {
            settings.set(&entry.key, &entry.value, Place::File(Arc::clone(&name), entry.line));
        }
        let mut warnings: Vec<Problem> = properties
            .overwritten()
            .map(|(entry, by)| Problem {
                place: Some(format!("{file}:{}", entry.line)),
                key: Some(entry.key.clone()),
                ..Problem::new(format!("{} is set again in line {by}, which counts", entry.key))
            })
            .collect();
        for (pairs, place) in [(environment, Place::Environment), (overrides, Place::Override)] {
            for (key, value) in pairs {
                settings.set(key.trim(), value, place.clone());
            }
        }
        if legacy::is_zookeeper_era(&settings) {
            return Err(Problems { errors: vec![zookeeper_era(file)], warnings });
        }
        let known = |config: Result<&NodeConfig, &Settings>| {
            let settings = config.map_or_else(|settings| settings, NodeConfig::settings);
            advice::keys(settings)
        };
        match Self::of_settings(settings.clone()) {
            Ok(config) => {
                warnings.extend(known(Ok(&config)));
                warnings.extend(advice::whole(&config));
                in_file_order(&mut warnings);
                let unserved = advice::unserved(&config);
                Ok(Loaded { config, warnings, unserved })
            }
            Err(mut errors) => {
                warnings.extend(known(Err(&settings)));
                in_file_order(&mut warnings);
                in_file_order(&mut errors);
                Err(Problems { errors, warnings })
            }
        }
    }

    /// This node with dynamic values on top: those of the cluster, then those of this broker (Kafka's
    /// `DynamicBrokerConfig`). Entries that cannot be applied are left out, as Kafka does with records it cannot
    /// apply; their problems come back beside the configuration.
    #[must_use]
    pub fn with_dynamic(&self, cluster: &Overrides, broker: &Overrides) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let cluster = dynamic::applicable(cluster, false, &mut problems);
        let broker = dynamic::applicable(broker, true, &mut problems);
        match self.overlaid(&cluster, &broker, &mut problems) {
            Ok(config) => (config, problems),
            Err(errors) => {
                problems.extend(errors);
                (self.clone(), problems)
            }
        }
    }

    /// As [`Self::with_dynamic`], for entries that were filtered before.
    pub(crate) fn overlaid(
        &self,
        cluster: &Overrides,
        broker: &Overrides,
        problems: &mut Vec<Problem>,
    ) -> Result<Self, Vec<Problem>> {
        let mut settings = self.settings.overlaid(cluster).overlaid(broker);
        clamp_intervals(&mut settings, problems);
        Self::of_settings(settings)
    }
}

/// The intervals between assignments are brought within the node's bounds: they may have been set when the bounds
/// were others (Kafka's `GroupCoordinatorConfig.clampDynamicConfigs`).
fn clamp_intervals(settings: &mut Settings, problems: &mut Vec<Problem>) {
    for group in ["consumer", "share", "streams"] {
        let key = |what: &str| format!("group.{group}.{what}assignment.interval.ms");
        let (name, least, most) = (key(""), key("min."), key("max."));
        if settings.place(&name) != Some(&Place::Dynamic) {
            continue;
        }
        let (value, least, most) = (settings.int(&name), settings.int(&least), settings.int(&most));
        let held = value.clamp(least, most.max(least));
        if held != value {
            let message = format!("{name}={value} lies outside the bounds of this node; {held} counts");
            problems.push(settings.problem(&name, message));
            settings.set(&name, &held.to_string(), Place::Dynamic);
        }
    }
}

fn zookeeper_era(file: &str) -> Problem {
    Problem {
        place: Some(file.to_owned()),
        key: Some("process.roles".to_owned()),
        ..Problem::new("this is a ZooKeeper-era file: it has no process.roles, and there is no ZooKeeper any more")
            .kafka("Missing required configuration \"process.roles\" which has no default value.")
            .next(format!(
                "ottla config migrate {file} (writes {file}.kraft beside it; several brokers of one cluster: ottla config \
                 init --nodes HOST,HOST,HOST)"
            ))
    }
}

/// By line of the file; what has no line comes last, everything else keeps its order.
fn in_file_order(problems: &mut [Problem]) {
    problems.sort_by_key(|problem| {
        let line = problem.place.as_deref().and_then(|place| place.rsplit_once(':'));
        line.and_then(|(_, line)| line.parse::<u32>().ok()).unwrap_or(u32::MAX)
    });
}

/// The key that an environment variable of the container images sets, `KAFKA_LOG_DIRS` being `log.dirs`: the
/// prefix goes, `___` is `-`, `__` is `_`, `_` is `.`. `None` for other variables, and for those that configure a
/// JVM, scripts or tools.
#[must_use]
pub fn environment_key(variable: &str) -> Option<String> {
    const OTHER: [&str; 15] = [
        "KAFKA_BOOTSTRAP_SERVERS",
        "KAFKA_CLUSTER_ID",
        "KAFKA_DEBUG",
        "KAFKA_HOME",
        "KAFKA_VERSION",
        "KAFKA_HEAP_OPTS",
        "KAFKA_LOG4J_OPTS",
        "KAFKA_OPTS",
        "KAFKA_JMX_OPTS",
        "KAFKA_JVM_PERFORMANCE_OPTS",
        "KAFKA_GC_LOG_OPTS",
        "KAFKA_LOG4J_ROOT_LOGLEVEL",
        "KAFKA_LOG4J_LOGGERS",
        "KAFKA_TOOLS_LOG4J_LOGLEVEL",
        "KAFKA_JMX_HOSTNAME",
    ];
    let rest = variable.strip_prefix("KAFKA_").filter(|rest| !rest.is_empty())?;
    if OTHER.contains(&variable) {
        return None;
    }
    // Longest first; the marks stand for what the shorter replacements must not see.
    let key = rest
        .to_lowercase()
        .replace("___", "-")
        .replace("__", "\u{0}")
        .replace('_', ".")
        .replace('\u{0}', "_");
    Some(key)
}
