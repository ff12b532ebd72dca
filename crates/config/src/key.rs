//! What one configuration key is: its type, default, check, importance, when it may change, whether this
//! product serves it, and what it means.

use crate::value::{Value, ValueError};

/// The type of a value, as Kafka's `ConfigDef.Type` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `true` or `false`, in any case.
    Boolean,
    /// Any text; blanks around it are dropped.
    String,
    /// A 32-bit signed integer.
    Int,
    /// A 16-bit signed integer.
    Short,
    /// A 64-bit signed integer.
    Long,
    /// A 64-bit floating point number.
    Double,
    /// Texts separated by commas; blanks around the commas are dropped.
    List,
    /// The name of a Java class.
    Class,
    /// Text that is never shown.
    Password,
}

impl Kind {
    /// The number of this type in a DescribeConfigs response (`ConfigType`; 0 is "unknown").
    #[must_use]
    pub fn wire(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::String => 2,
            Self::Int => 3,
            Self::Short => 4,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
            Self::Class => 8,
            Self::Password => 9,
        }
    }

    /// Kafka's upper-case name of the type, as its messages print it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }

    /// The type in plain words with its article: "an integer".
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Boolean => "true or false",
            Self::String => "text",
            Self::Int | Self::Short | Self::Long => "an integer",
            Self::Double => "a number",
            Self::List => "a comma separated list",
            Self::Class => "a class name",
            Self::Password => "a password",
        }
    }
}

/// What a key is when nobody sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// It must be set.
    Required,
    /// It has no value of its own; other keys decide.
    Null,
    /// This text, in the form Kafka prints it.
    Text(&'static str),
}

/// Which values are allowed beyond the type: one variant for each kind of validator in Kafka's definitions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Check {
    /// Every value of the type.
    Any,
    /// A number not below this one.
    AtLeast(f64),
    /// A number within both bounds, bounds included.
    Between(f64, f64),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// One of these upper-case texts, whatever the case.
    OneOfAnyCase(&'static [&'static str]),
    /// A text that is not empty, or no value at all.
    NonEmpty,
    /// Some value must be there.
    NonNull,
    /// A list of distinct, non-empty entries; duplicates are dropped before the check.
    Entries {
        /// Whether the list may be empty.
        empty: bool,
        /// Whether there may be no value at all.
        null: bool,
        /// The entries allowed; none means all are.
        of: &'static [&'static str],
    },
    /// gzip: -1 or 1 to 9.
    GzipLevel,
    /// `*`, or `partition:broker` pairs.
    ThrottledReplicas,
    /// `id@host:port` entries.
    Voters,
    /// `host:port` entries.
    BootstrapServers,
    /// `earliest`, `latest` or `by_duration:<ISO 8601 duration>`.
    ShareOffsetReset,
}

/// How much Kafka's documentation says a key matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Importance {
    /// Read it before production.
    High,
    /// Worth knowing.
    Medium,
    /// Rarely touched.
    Low,
}

/// When a broker key may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// With a restart of the node.
    ReadOnly,
    /// While running, for one broker at a time.
    PerBroker,
    /// While running, for one broker or as the default of the cluster.
    ClusterWide,
}

/// What this product does with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It works.
    Served,
    /// It is read and checked, and changes nothing; why.
    NoEffect(&'static str),
    /// It is read and checked, and will work with the feature named here.
    Later(&'static str),
    /// A value other than the default would promise something that is not there yet, such as access control:
    /// a server refuses to start on it. The feature that is missing.
    Refused(&'static str),
}

/// One configuration key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The key as it is written.
    pub name: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// What it is when not set.
    pub fallback: Fallback,
    /// Which values are allowed.
    pub check: Check,
    /// Kafka's importance.
    pub importance: Importance,
    /// When it may change (broker keys; other resources' keys can always be changed).
    pub update: Update,
    /// Whether Kafka hides it from its documentation.
    pub internal: bool,
    /// What this product does with it.
    pub support: Support,
    /// One line on what it means.
    pub doc: &'static str,
}

impl Key {
    /// Reads and checks `text` as a value of this key.
    ///
    /// # Errors
    /// The type or the check refuses it; the error prints Kafka's message.
    pub fn parse(&self, text: &str) -> Result<Value, ValueError> {
        let value = Value::parse(self.name, self.kind, text)?;
        self.check.allow(self.name, value, text)
    }

    /// The value when nobody sets the key: `None` where Kafka's default is null or the key is mandatory.
    #[must_use]
    pub fn default_value(&self) -> Option<Value> {
        let Fallback::Text(text) = self.fallback else { return None };
        let value = Value::parse(self.name, self.kind, text);
        Some(
            value.unwrap_or_else(|error| panic!("CONFIG-1: the table's own default does not parse: {error}")),
        )
    }

    /// The default in the form Kafka prints it.
    #[must_use]
    pub fn default_text(&self) -> Option<&'static str> {
        match self.fallback {
            Fallback::Text(text) => Some(text),
            Fallback::Required | Fallback::Null => None,
        }
    }

    /// Whether the value must never be shown.
    #[must_use]
    pub fn is_sensitive(&self) -> bool {
        self.kind == Kind::Password
    }

    /// Whether it can be changed while the broker runs.
    #[must_use]
    pub fn is_dynamic(&self) -> bool {
        self.update != Update::ReadOnly
    }

    /// What may be written for this key, in plain words: "an integer from 1 to 17".
    #[must_use]
    pub fn allowed(&self) -> String {
        self.check.words(self.kind)
    }
}
