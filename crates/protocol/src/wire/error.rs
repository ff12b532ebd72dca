//! What can be wrong with bytes that claim to be a message, and with a message that is to become bytes.

use thiserror::Error;

/// Why bytes are not the message they claim to be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("byte {position}: {kind}")]
pub struct DecodeError {
    /// Bytes read before the trouble, from the start of the message.
    pub position: usize,
    /// What was wrong there.
    pub kind: DecodeErrorKind,
}

/// The kinds of [`DecodeError`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeErrorKind {
    /// The bytes end before the field does.
    #[error("the message ends {missing} bytes short")]
    Short {
        /// How many more bytes the field asked for.
        missing: usize,
    },
    /// A length below -1, or above what its type allows.
    #[error("length {0} is not a length")]
    Length(i64),
    /// An array claims more elements than the bytes that are left can hold.
    #[error("an array of {count} elements does not fit into the {left} bytes that are left")]
    Count {
        /// Elements claimed.
        count: u64,
        /// Bytes left.
        left: usize,
    },
    /// A field that may not be null in this version is null.
    #[error("non-nullable field {0} was serialized as null")]
    Null(&'static str),
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    Utf8,
    /// A varint of more than five (ten) bytes.
    #[error("a variable-length integer is too long")]
    Varint,
    /// A known tagged field is shorter or longer than its declared size.
    #[error("tagged field {tag} does not fill its declared size")]
    Tag {
        /// The tag.
        tag: u32,
    },
    /// Bytes are left over after the last field.
    #[error("{0} bytes are left over after the last field")]
    Trailing(usize),
    /// The version is outside of the message's range.
    #[error("version {version} of {name} is not supported")]
    Version {
        /// The message's name in the schema.
        name: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// Decoding would allocate more than the bytes that were received justify.
    #[error("decoding would allocate more than four times the bytes received")]
    Budget,
    /// A metadata record's frame version, or record id, that 4.3.1 does not know.
    #[error("unknown {what} {value}")]
    Unknown {
        /// What is unknown.
        what: &'static str,
        /// Its value.
        value: i64,
    },
}

/// Why a message cannot be written in the version asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// A field that the version lacks, and that may not be dropped, has a value of its own.
    #[error("attempted to write a non-default {field} at version {version}")]
    Field {
        /// `Struct.field`.
        field: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// A field is null in a version in which it may not be.
    #[error("{field} may not be null at version {version}")]
    Null {
        /// `Struct.field`.
        field: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// A string, array or message is longer than its length field can say.
    #[error("{0} bytes or elements are more than the length field can say")]
    Long(usize),
    /// The version is outside of the message's range.
    #[error("version {version} of {name} is not supported")]
    Version {
        /// The message's name in the schema.
        name: &'static str,
        /// The version asked for.
        version: i16,
    },
}
