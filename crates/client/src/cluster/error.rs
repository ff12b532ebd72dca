//! Why a cluster did not answer, in Kafka's words and with the address and the cause.

use std::fmt::Write as _;

use ottla_protocol::ErrorCode;
use thiserror::Error;

use super::Node;
use crate::properties::PropertiesError;
use crate::{CallError, ConnectError, exception};

/// Why a call to a cluster has no answer.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The client's configuration will not do.
    #[error(transparent)]
    Properties(#[from] PropertiesError),
    /// The bootstrap list is none, in the words of Kafka's `ClientUtils`.
    #[error("{0}")]
    BadBootstrap(String),
    /// None of the bootstrap addresses answered.
    #[error("{}", bootstrap_lines(.attempts))]
    Bootstrap {
        /// Every address as it was given, with its own cause.
        attempts: Vec<(String, ConnectError)>,
    },
    /// A controller's listener was given for a broker's, or the reverse.
    #[error("{}", wrong_listener(.at, *.is_controller))]
    WrongListener {
        /// The address as it was given.
        at: String,
        /// Whether a controller listens there.
        is_controller: bool,
    },
    /// The call was tried until its time was over.
    #[error("{text}: {cause}")]
    Timeout {
        /// What Kafka's admin client says.
        text: String,
        /// What stood in the way the last time.
        cause: Box<ClusterError>,
    },
    /// The cluster has no live node of this id.
    #[error("the cluster has no live node {0}")]
    UnknownNode(i32),
    /// No connection to a node that the cluster names.
    #[error("{}", unreachable(.node, .why))]
    Connect {
        /// The node as the cluster advertises it.
        node: Box<Node>,
        /// Why.
        why: ConnectError,
    },
    /// A node did not answer a request, or not in a way that can be read.
    #[error("{at}: {api}: {why}")]
    Call {
        /// `host:port` of the node.
        at: String,
        /// The request's name.
        api: &'static str,
        /// Why.
        why: CallError,
    },
    /// An answer that is an error as a whole.
    #[error("{}", .message.as_deref().unwrap_or_else(|| exception::message(*.code)))]
    Code {
        /// The request's name.
        api: &'static str,
        /// The error.
        code: ErrorCode,
        /// What the server said to it.
        message: Option<String>,
    },
    /// Something that this release does not do.
    #[error("{0}")]
    NotServed(String),
}

impl ClusterError {
    /// The Java exception that stands for it, and that exception's message.
    pub fn exception(&self) -> (&'static str, String) {
        const TIMEOUT: &str = "org.apache.kafka.common.errors.TimeoutException";
        match self {
            ClusterError::Properties(error) => {
                ("org.apache.kafka.common.config.ConfigException", error.to_string())
            }
            ClusterError::BadBootstrap(text) => {
                ("org.apache.kafka.common.config.ConfigException", text.clone())
            }
            ClusterError::Bootstrap { attempts } if attempts.iter().all(|(_, why)| unresolved(why)) => (
                "org.apache.kafka.common.config.ConfigException",
                "No resolvable bootstrap urls given in bootstrap.servers".to_owned(),
            ),
            ClusterError::Bootstrap { .. } | ClusterError::UnknownNode(_) | ClusterError::Connect { .. } => {
                (TIMEOUT, "Timed out waiting for a node assignment.".to_owned())
            }
            ClusterError::Timeout { text, .. } => (TIMEOUT, text.clone()),
            ClusterError::WrongListener { .. } => {
                ("org.apache.kafka.common.errors.MismatchedEndpointTypeException", self.to_string())
            }
            ClusterError::Call { why: CallError::Unsupported { api, .. }, .. } => (
                exception::class(ErrorCode::UnsupportedVersion),
                format!("The node does not support {}", upper(api.name())),
            ),
            ClusterError::Call { why: CallError::Timeout(_), .. } => (TIMEOUT, self.to_string()),
            ClusterError::Call { why: CallError::Closed(_), .. } => (
                "org.apache.kafka.common.errors.DisconnectException",
                "Cancelled request due to node being disconnected".to_owned(),
            ),
            ClusterError::Call { .. } => ("org.apache.kafka.common.KafkaException", self.to_string()),
            ClusterError::Code { code, .. } => (exception::class(*code), self.to_string()),
            ClusterError::NotServed(text) => (exception::class(ErrorCode::UnsupportedVersion), text.clone()),
        }
    }

    /// Kafka's error code, where one is behind it.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            ClusterError::Code { code, .. } => Some(*code),
            ClusterError::Timeout { cause, .. } => cause.code(),
            ClusterError::Call { why: CallError::Unsupported { .. }, .. } => {
                Some(ErrorCode::UnsupportedVersion)
            }
            _ => None,
        }
    }

    /// The bootstrap addresses, each with its own cause; empty for every other error.
    pub fn attempts(&self) -> &[(String, ConnectError)] {
        match self {
            ClusterError::Bootstrap { attempts } => attempts,
            ClusterError::Timeout { cause, .. } => cause.attempts(),
            _ => &[],
        }
    }

    pub(crate) fn of_code(api: &'static str, code: i16, message: Option<String>) -> ClusterError {
        let code = ErrorCode::from_i16(code).unwrap_or(ErrorCode::UnknownServerError);
        ClusterError::Code { api, code, message }
    }
}

/// Whether the name was the trouble.
pub(super) fn unresolved(why: &ConnectError) -> bool {
    matches!(why, ConnectError::Unresolved { .. })
}

/// `DescribeLogDirs` as `DESCRIBE_LOG_DIRS`.
fn upper(name: &str) -> String {
    let mut text = String::new();
    for (at, letter) in name.chars().enumerate() {
        if letter.is_ascii_uppercase() && at > 0 {
            text.push('_');
        }
        text.push(letter.to_ascii_uppercase());
    }
    text
}

fn bootstrap_lines(attempts: &[(String, ConnectError)]) -> String {
    let mut text = match attempts {
        [_] => "the bootstrap server did not answer:".to_owned(),
        several => format!("none of the {} bootstrap servers answered:", several.len()),
    };
    for (address, why) in attempts {
        write!(text, "\n  {address}: {}", cause(why)).expect("writing to a String cannot fail");
    }
    text
}

/// The cause without the address, which stands before it.
fn cause(why: &ConnectError) -> String {
    match why {
        ConnectError::Refused { at } => format!("connection refused ({at}): nobody listens there"),
        ConnectError::Unresolved { why, .. } => match why {
            Some(why) => format!("the host name does not resolve: {why}"),
            None => "the host name has no address".to_owned(),
        },
        ConnectError::Timeout { after, .. } => format!("no answer within {} ms", after.as_millis()),
        ConnectError::Io { kind, message, .. } => format!("{kind}: {message}"),
        ConnectError::NotYet { why, .. } => format!("it does not serve yet: {why}"),
        ConnectError::Handshake { why, .. } => {
            format!(
                "connected, but it did not tell its API versions ({why}): is it a Kafka listener without TLS?"
            )
        }
    }
}

fn wrong_listener(at: &str, is_controller: bool) -> String {
    if is_controller {
        format!(
            "{at} is a controller's listener: give a broker's listener with --bootstrap-server, \
             or this address with --bootstrap-controller"
        )
    } else {
        format!(
            "{at} is a broker's listener: give a controller's listener with --bootstrap-controller, \
             or this address with --bootstrap-server"
        )
    }
}

fn unreachable(node: &Node, why: &ConnectError) -> String {
    let (id, host, port) = (node.id, &node.host, node.port);
    if unresolved(why) {
        format!(
            "the bootstrap server answers, but node {id} advertises {host}:{port}, and that name does not \
             resolve here: add it to DNS or /etc/hosts, or change advertised.listeners of node {id} ({})",
            cause(why)
        )
    } else {
        format!(
            "node {id} at {host}:{port}, as it advertises itself: {}; if it runs, change its advertised.listeners to an \
             address that is reached from here",
            cause(why)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_its_own_line_and_cause() {
        let refused = ConnectError::Refused { at: "127.0.0.1:1".parse().unwrap() };
        let nameless = ConnectError::Unresolved { host: "nowhere".to_owned(), why: None };
        let attempts = vec![("localhost:1".to_owned(), refused), ("nowhere:2".to_owned(), nameless.clone())];
        let error = ClusterError::Bootstrap { attempts };
        let text = error.to_string();
        assert_eq!(text.lines().count(), 3);
        assert!(text.contains("localhost:1: connection refused (127.0.0.1:1)"), "{text}");
        assert!(text.contains("nowhere:2: the host name has no address"), "{text}");
        assert_eq!(error.exception().1, "Timed out waiting for a node assignment.");
        let error = ClusterError::Bootstrap { attempts: vec![("nowhere:2".to_owned(), nameless)] };
        assert_eq!(error.exception().1, "No resolvable bootstrap urls given in bootstrap.servers");
    }

    #[test]
    fn a_name_that_is_advertised_and_not_known_here_is_explained() {
        let node =
            Box::new(Node { id: 1, host: "kafka1.lan".to_owned(), port: 9092, rack: None, fenced: false });
        let why = ConnectError::Unresolved { host: "kafka1.lan".to_owned(), why: None };
        let text = ClusterError::Connect { node, why }.to_string();
        assert!(
            text.contains("advertises kafka1.lan:9092") && text.contains("advertised.listeners"),
            "{text}"
        );
    }

    #[test]
    fn an_advertised_address_where_nobody_listens_is_explained() {
        let node = Box::new(Node { id: 1, host: "localhost".to_owned(), port: 9, rack: None, fenced: false });
        let why = ConnectError::Refused { at: "127.0.0.1:9".parse().unwrap() };
        let text = ClusterError::Connect { node, why }.to_string();
        assert!(text.contains("localhost:9, as it advertises itself: connection refused"), "{text}");
        assert!(text.contains("advertised.listeners"), "{text}");
    }

    #[test]
    fn names_of_apis_are_those_of_java() {
        assert_eq!(upper("DescribeLogDirs"), "DESCRIBE_LOG_DIRS");
    }
}
