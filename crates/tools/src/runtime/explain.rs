//! Errors of a cluster as a person reads them: Kafka's sentence, then the cause, then what to do.

use ottla_client::{ClusterError, ConnectError};

/// Kafka's first line (`class: message`), the causes and the next command.
pub fn failure(error: &ClusterError) -> String {
    let (class, message) = error.exception();
    let causes = causes(error);
    let line_feed = if causes.is_empty() { "" } else { "\n" };
    format!("{class}: {message}{line_feed}{causes}")
}

/// What comes after the first line: each address with its own cause, and what to do next. Empty if there is nothing
/// to add.
pub fn causes(error: &ClusterError) -> String {
    let (_, message) = error.exception();
    let cause = match error {
        ClusterError::Timeout { cause, .. } => cause,
        other => other,
    };
    let mut text = cause.to_string();
    if text == message {
        text.clear();
    }
    if let Some(next) = next(cause) {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&next);
    }
    text
}

/// What to type or to look at now.
fn next(error: &ClusterError) -> Option<String> {
    let attempts = error.attempts();
    let refused = |why: &ConnectError| why.is_refused();
    if !attempts.is_empty() && attempts.iter().all(|(_, why)| refused(why)) {
        return Some(
            "    next: is the server started? bin/kafka-server-start.sh config/server.properties (its log says \"Kafka Server started\")"
                .into(),
        );
    }
    if attempts.iter().any(|(_, why)| matches!(why, ConnectError::NotYet { .. })) {
        return Some(
            "    next: start the controllers that are missing; it serves once a majority is there".into(),
        );
    }
    if attempts.iter().any(|(_, why)| matches!(why, ConnectError::Unresolved { .. })) {
        return Some("    next: check the name in DNS or /etc/hosts, or give the address instead".into());
    }
    if attempts.iter().any(|(_, why)| matches!(why, ConnectError::Timeout { .. })) {
        return Some("    next: check the port, and firewalls between here and there".into());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_listening_is_said_with_the_address_and_the_next_command() {
        let refused = ConnectError::Refused { at: "127.0.0.1:1".parse().expect("an address") };
        let error = ClusterError::Bootstrap { attempts: vec![("localhost:1".into(), refused)] };
        let text = failure(&error);
        let mut lines = text.lines();
        assert_eq!(
            lines.next(),
            Some("org.apache.kafka.common.errors.TimeoutException: Timed out waiting for a node assignment.")
        );
        assert!(text.contains("localhost:1") && text.contains("refused"), "{text}");
        assert!(lines.next_back().is_some_and(|line| line.contains("kafka-server-start.sh")), "{text}");
    }

    #[test]
    fn a_name_without_address_points_to_dns() {
        let nameless = ConnectError::Unresolved { host: "nowhere".into(), why: None };
        let error = ClusterError::Bootstrap { attempts: vec![("nowhere:9092".into(), nameless)] };
        assert!(causes(&error).contains("/etc/hosts"));
    }
}
