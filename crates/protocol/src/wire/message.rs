//! What every generated message can do.

use bytes::Bytes;

use super::error::{DecodeError, DecodeErrorKind, EncodeError};
use super::reader::Reader;
use super::writer::Writer;

/// A message of the schema, owned.
pub trait Message: Sized + Default {
    /// Its name in the schema.
    const NAME: &'static str;
    /// API key, record id or record type; -1 where the schema gives none.
    const KEY: i16;
    /// The lowest version that 4.3.1 knows.
    const MIN_VERSION: i16;
    /// The highest version that 4.3.1 knows.
    const MAX_VERSION: i16;
    /// The first version with compact encodings and tagged fields; `i16::MAX` for none.
    const FLEXIBLE_FROM: i16;

    /// Writes the fields in the writer's version.
    fn write(&self, w: &mut Writer) -> Result<(), EncodeError>;

    /// Reads the fields in the reader's version.
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Whether `version` has compact encodings and tagged fields.
    fn is_flexible(version: i16) -> bool {
        version >= Self::FLEXIBLE_FROM
    }

    /// Fails when the message has no such version.
    fn check_version(version: i16) -> Result<(), DecodeErrorKind> {
        if (Self::MIN_VERSION..=Self::MAX_VERSION).contains(&version) {
            return Ok(());
        }
        Err(DecodeErrorKind::Version { name: Self::NAME, version })
    }

    /// Appends the message to `out`.
    fn encode(&self, out: &mut Vec<u8>, version: i16) -> Result<(), EncodeError> {
        if Self::check_version(version).is_err() {
            return Err(EncodeError::Version { name: Self::NAME, version });
        }
        let mut w = Writer::new(std::mem::take(out), version, Self::is_flexible(version));
        let written = self.write(&mut w);
        *out = w.into_bytes();
        written
    }

    /// The message's bytes.
    fn to_vec(&self, version: i16) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::new();
        self.encode(&mut out, version)?;
        Ok(out)
    }

    /// The message that fills `bytes`.
    fn decode(bytes: &[u8], version: i16) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes, version, Self::is_flexible(version));
        Self::decode_all(&mut r, version)
    }

    /// The message that fills `bytes`; its byte fields are slices of them.
    fn decode_sharing(bytes: &Bytes, version: i16) -> Result<Self, DecodeError> {
        let mut r = Reader::sharing(bytes, version, Self::is_flexible(version));
        Self::decode_all(&mut r, version)
    }

    /// The message at the front of `bytes`, whatever follows: Apache Kafka does not look at what is behind a request,
    /// and clients exist that send more.
    fn decode_front(bytes: &[u8], version: i16) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes, version, Self::is_flexible(version));
        Self::check_version(version).map_err(|kind| r.error(kind))?;
        Self::read(&mut r)
    }

    #[doc(hidden)]
    fn decode_all(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        Self::check_version(version).map_err(|kind| r.error(kind))?;
        let message = Self::read(r)?;
        r.finish()?;
        Ok(message)
    }
}

/// A request, and the response that answers it.
pub trait Request: Message {
    /// The answer.
    type Response: Message;
}

/// A request borrowed from the bytes it came in: reading it allocates nothing.
pub trait View<'a>: Sized {
    /// The owned form of the same request.
    type Owned: Message;

    /// Reads the fields in the reader's version.
    fn read_view(r: &mut Reader<'a>) -> Result<Self, DecodeError>;

    /// The request at the front of `bytes`, whatever follows ([`Message::decode_front`]).
    fn view_front(bytes: &'a [u8], version: i16) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes, version, Self::Owned::is_flexible(version));
        Self::Owned::check_version(version).map_err(|kind| r.error(kind))?;
        Self::read_view(&mut r)
    }

    /// The request that fills `bytes`.
    fn view(bytes: &'a [u8], version: i16) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes, version, Self::Owned::is_flexible(version));
        Self::Owned::check_version(version).map_err(|kind| r.error(kind))?;
        let view = Self::read_view(&mut r)?;
        r.finish()?;
        Ok(view)
    }
}
