//! What is wrong, or merely odd, about a configuration: where it stands, what it says, what may stand there,
//! and what to do next. Nothing is printed here; a [`Problem`] prints itself.

use std::fmt;

/// Stands in the next step of a [`Problem`] where an address of this machine may be written. This crate does not know the machine;
/// whoever prints a problem may put its addresses in.
pub const OWN_ADDRESS: &str = "HOST";

/// One error or warning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problem {
    /// `file:line`, `--override` or `environment`; `None` for what no single line says.
    pub place: Option<String>,
    /// The key in question.
    pub key: Option<String>,
    /// Its value as written, `[hidden]` for passwords.
    pub value: Option<String>,
    /// What is wrong, in one sentence.
    pub message: String,
    /// The message of Apache Kafka for the same thing, where it differs from ours.
    pub kafka: Option<String>,
    /// What may stand there.
    pub allowed: Option<String>,
    /// What to type or change next.
    pub next: Option<String>,
}

impl Problem {
    /// A problem that consists of its message.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    pub(crate) fn kafka(mut self, message: impl Into<String>) -> Self {
        self.kafka = Some(message.into());
        self
    }

    pub(crate) fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = Some(allowed.into());
        self
    }

    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)?;
        for (label, text) in [("", &self.kafka), ("allowed: ", &self.allowed), ("next: ", &self.next)] {
            if let Some(text) = text {
                write!(f, "\n    {label}{text}")?;
            }
        }
        Ok(())
    }
}

/// A configuration that cannot be used: every error that was found, and the warnings beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// What must be changed; never empty.
    pub errors: Vec<Problem>,
    /// What should be looked at.
    pub warnings: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.errors.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
