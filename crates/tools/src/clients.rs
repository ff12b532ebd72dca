//! What the tools that read and write records share: a producer or a consumer for the cluster that was named, and the
//! end that a signal asks for.

use ottla_client::{Cluster, Consumer, ConsumerError, Producer, ProducerError, Properties, Role};

use crate::runtime::{self, Stop};

impl From<ProducerError> for Stop {
    fn from(error: ProducerError) -> Stop {
        match error {
            ProducerError::Cluster(error) => Stop::from(error),
            error => said(error.exception()),
        }
    }
}

impl From<ConsumerError> for Stop {
    fn from(error: ConsumerError) -> Stop {
        match error {
            ConsumerError::Cluster(error) => Stop::from(error),
            error => said(error.exception()),
        }
    }
}

fn said((class, message): (&'static str, String)) -> Stop {
    Stop::error(format!("{class}: {message}"))
}

/// Connects, and warns of keys that nobody knows.
pub(crate) async fn cluster(bootstrap: &str, properties: &Properties, role: Role) -> Result<Cluster, Stop> {
    let unknown = properties
        .check(role)
        .map_err(|error| Stop::error(format!("org.apache.kafka.common.config.ConfigException: {error}")))?;
    for unknown in unknown {
        runtime::warn(unknown);
    }
    Ok(Cluster::connect(bootstrap, properties).await?)
}

/// A producer for the cluster.
pub(crate) async fn producer(bootstrap: &str, properties: &Properties) -> Result<Producer, Stop> {
    let cluster = cluster(bootstrap, properties, Role::Producer).await?;
    Ok(Producer::new(cluster, properties).await?)
}

/// A consumer for the cluster.
pub(crate) async fn consumer(bootstrap: &str, properties: &Properties) -> Result<(Cluster, Consumer), Stop> {
    let cluster = cluster(bootstrap, properties, Role::Consumer).await?;
    let consumer = Consumer::new(cluster.clone(), properties)?;
    Ok((cluster, consumer))
}

/// The exit code of a process that Ctrl-C ended.
pub(crate) const INTERRUPTED: u8 = 130;

/// The signals that end a tool in its own time: Ctrl-C and a plain `kill`.
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    /// From here on the two signals no longer end the process by themselves.
    pub(crate) fn listen() -> Result<Signals, Stop> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The next signal, as the exit code that a shell gives a process which it ended.
    pub(crate) async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => INTERRUPTED,
            _ = self.terminate.recv() => 143,
        }
    }
}

/// Subscribes to every topic whose whole name the pattern means, as Java's `Pattern` does.
pub(crate) fn subscribe_matching(consumer: &mut Consumer, pattern: &str) -> Result<(), Stop> {
    let regex = regex_lite::Regex::new(&format!("^(?:{pattern})$")).map_err(|error| {
        Stop::error(format!("java.util.regex.PatternSyntaxException: {error} near index 0\n{pattern}"))
    })?;
    Ok(consumer.subscribe_matching(move |topic| regex.is_match(topic), true)?)
}
