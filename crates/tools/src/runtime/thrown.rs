//! An error as Kafka's tools throw it: the Java class, its message, and what we add.

use ottla_client::{ClusterError, exception};
use ottla_protocol::ErrorCode;

use super::{Stop, causes};

/// An exception of Kafka's tools, before the tool has decided how to say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thrown {
    /// The Java class.
    pub class: &'static str,
    /// Its message.
    pub message: String,
    /// What we know beyond it: addresses, causes, the next command. May be empty.
    pub causes: String,
}

impl Thrown {
    /// `java.lang.IllegalArgumentException`.
    pub fn illegal_argument(message: impl Into<String>) -> Thrown {
        Thrown::new("java.lang.IllegalArgumentException", message)
    }

    /// Any class.
    pub fn new(class: &'static str, message: impl Into<String>) -> Thrown {
        Thrown { class, message: message.into(), causes: String::new() }
    }

    /// What an answer says of one of its items: nothing if the code is 0.
    ///
    /// # Errors
    /// The exception that Java's client throws for the code.
    pub fn of_item(code: i16, message: Option<&str>) -> Result<(), Thrown> {
        if code == 0 {
            return Ok(());
        }
        let code = ErrorCode::from_i16(code).unwrap_or(ErrorCode::UnknownServerError);
        let message = message.unwrap_or_else(|| exception::message(code));
        Err(Thrown::new(exception::class(code), message))
    }

    /// With what we know beyond its message.
    pub fn caused(mut self, causes: &str) -> Thrown {
        self.causes = causes.to_owned();
        self
    }

    /// As an uncaught exception is printed: `class: message`, then what we add.
    pub fn text(&self) -> String {
        let line_feed = if self.causes.is_empty() { "" } else { "\n" };
        format!("{}: {}{line_feed}{}", self.class, self.message, self.causes)
    }

    /// Names the call for which no node was found, as Kafka's admin client does.
    pub fn calling(mut self, call: &str) -> Thrown {
        const FOR_A_NODE: &str = "a node assignment.";
        if let Some(at) = self.message.find(FOR_A_NODE) {
            self.message.truncate(at + FOR_A_NODE.len());
            self.message = format!("{} Call: {call}", self.message);
        }
        self
    }
}

impl From<ClusterError> for Thrown {
    fn from(error: ClusterError) -> Thrown {
        let (class, message) = error.exception();
        Thrown { class, message, causes: causes(&error) }
    }
}

impl From<Thrown> for Stop {
    fn from(thrown: Thrown) -> Stop {
        Stop::error(thrown.text())
    }
}
