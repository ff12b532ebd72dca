//! Changes of log levels (KIP-412). This broker's log is set up when it starts and has no loggers with names of
//! Java classes, so every change is refused with what Kafka says of a logger that does not exist.

use ottla_config::alter::Operation;
use ottla_metadata::Refusal;
use ottla_protocol::ErrorCode;

use super::invalid;

/// Checks changes of the loggers of node `name`; without any change there is nothing to refuse.
pub(super) fn check(
    node_id: i32,
    name: &str,
    changes: &[(String, i8, Option<String>)],
) -> Result<(), Refusal> {
    let Ok(id) = name.parse::<i32>() else {
        return Err(invalid(format!("Node id must be an integer, but it is: {name}")));
    };
    if id != node_id {
        return Err(invalid(format!("Unexpected node id. Expected {node_id}, but received {id}")));
    }
    let Some((logger, operation, _)) = changes.first() else { return Ok(()) };
    let not_allowed =
        |what: String| Err(invalid(format!("{what} is not allowed for the BROKER_LOGGER resource")));
    match Operation::of_wire(*operation) {
        Ok(Operation::Set | Operation::Delete) => {
            Err(Refusal::new(ErrorCode::InvalidConfig, format!("Logger {logger} does not exist!")))
        }
        Ok(Operation::Append) => not_allowed("APPEND operation".to_owned()),
        Ok(Operation::Subtract) => not_allowed("SUBTRACT operation".to_owned()),
        Err(_) => not_allowed(format!("Unknown operation type {operation}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_logger_exists() {
        let set = |operation| [("kafka.server".to_owned(), operation, Some("DEBUG".to_owned()))];
        let told =
            |name: &str, operation| check(1, name, &set(operation)).unwrap_err().message.unwrap_or_default();
        assert_eq!(told("1", 0), "Logger kafka.server does not exist!");
        assert_eq!(told("1", 2), "APPEND operation is not allowed for the BROKER_LOGGER resource");
        assert_eq!(told("2", 0), "Unexpected node id. Expected 1, but received 2");
        assert_eq!(told("", 0), "Node id must be an integer, but it is: ");
        assert!(told("1", 9).starts_with("Unknown operation type 9"));
        assert_eq!(check(1, "1", &[]), Ok(()));
    }
}
