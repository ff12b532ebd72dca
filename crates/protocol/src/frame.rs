//! The head of a request and of a response: which API, which version, which of the connection's requests.

use thiserror::Error;

use crate::api::ApiKey;
use crate::wire::{DecodeError, EncodeError, Gathered, Message, Reader, Writer};

/// Bytes of a frame's own length, in front of every request and response.
pub const LENGTH_BYTES: usize = 4;

/// The head of a request, borrowed from its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHead<'a> {
    /// The API.
    pub api: ApiKey,
    /// The version of the request.
    pub version: i16,
    /// Given back in the response's head.
    pub correlation_id: i32,
    /// The name the client gives itself; `None` when it gives none.
    pub client_id: Option<&'a str>,
}

/// Why a frame has no head that a request could be answered by.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HeadError {
    /// No API of 4.3.1 has this key.
    #[error("unknown API key {key} (version {version})")]
    Key {
        /// The key.
        key: i16,
        /// The version that came with it.
        version: i16,
    },
    /// The bytes are no head.
    #[error("malformed request header: {0}")]
    Malformed(#[from] DecodeError),
}

impl<'a> RequestHead<'a> {
    /// Reads the head of `frame` (without its length); the body's bytes follow in the second value.
    ///
    /// The tagged fields of a flexible head are skipped without being kept: their number costs nothing. An
    /// ApiVersions request of a version that is not known is read as far as its correlation id (KIP-511).
    pub fn read(frame: &'a [u8]) -> Result<(RequestHead<'a>, &'a [u8]), HeadError> {
        let mut r = Reader::new(frame, 1, false);
        let (key, version, correlation_id) = (r.i16()?, r.i16()?, r.i32()?);
        let Some(api) = ApiKey::from_i16(key) else { return Err(HeadError::Key { key, version }) };
        let head = RequestHead { api, version, correlation_id, client_id: None };
        let info = api.info();
        if api == ApiKey::ApiVersions && !(info.min_version..=info.max_version).contains(&version) {
            return Ok((head, &[]));
        }
        let client_id = r.nullable_str_inflexible()?;
        let mut r = Reader::new(r.rest(), 2, api.request_header_version(version) == 2);
        r.skip_tags()?;
        Ok((RequestHead { client_id, ..head }, r.rest()))
    }

    /// Appends the head to `out`, in the header version that the API's version asks for.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let mut w = Writer::new(std::mem::take(out), 1, false);
        w.i16(self.api as i16);
        w.i16(self.version);
        w.i32(self.correlation_id);
        let written = w.nullable_str(self.client_id);
        if self.api.request_header_version(self.version) == 2 {
            w.uvarint(0);
        }
        *out = w.into_bytes();
        written
    }
}

/// A whole response, ready for a vectored write: its length, head and body in `bytes`, with record data in between.
#[derive(Debug, Default)]
pub struct ResponseFrame {
    /// Everything but the gathered record data.
    pub bytes: Vec<u8>,
    /// Record data and the places it belongs to.
    pub gathered: Vec<Gathered>,
}

impl ResponseFrame {
    /// Frames `body` as the answer to the request `correlation_id` of `version`; `buf` is an empty buffer to use.
    pub fn new<M: Message>(
        buf: Vec<u8>,
        api: ApiKey,
        version: i16,
        correlation_id: i32,
        body: &M,
    ) -> Result<ResponseFrame, EncodeError> {
        let mut w = Writer::new(buf, version, false);
        let start = w.buf().len();
        w.i32(0);
        w.i32(correlation_id);
        if api.response_header_version(version) == 1 {
            w.uvarint(0);
        }
        w.set_version(version, M::is_flexible(version));
        body.write(&mut w)?;
        let size = w.written_bytes() - start - LENGTH_BYTES;
        let Ok(length) = i32::try_from(size) else { return Err(EncodeError::Long(size)) };
        w.buf()[start..start + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        let (bytes, gathered) = w.into_parts();
        Ok(ResponseFrame { bytes, gathered })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{ApiVersionsResponse, MetadataResponse};

    #[test]
    fn heads_go_round() {
        for (api, version) in [(ApiKey::Metadata, 0), (ApiKey::Metadata, 12), (ApiKey::OffsetDelete, 0)] {
            let head = RequestHead { api, version, correlation_id: 7, client_id: Some("c") };
            let mut bytes = Vec::new();
            head.write(&mut bytes).unwrap();
            bytes.push(9);
            assert_eq!(RequestHead::read(&bytes), Ok((head, &[9][..])));
        }
    }

    #[test]
    fn a_flood_of_tags_is_skipped_in_place() {
        let mut bytes = vec![0, 18, 0, 3, 0, 0, 0, 1, 0xff, 0xff];
        bytes.extend([0x80, 0x80, 0x04]);
        for tag in 0..65536u32 {
            bytes.extend([(tag & 0x7f) as u8, 0]);
        }
        let (head, body) = RequestHead::read(&bytes).unwrap();
        assert_eq!((head.api, head.client_id, body.len()), (ApiKey::ApiVersions, None, 0));
    }

    #[test]
    fn an_unknown_api_versions_still_has_a_head() {
        let (head, body) = RequestHead::read(&[0, 18, 0, 99, 0, 0, 0, 5, 1, 2, 3]).unwrap();
        assert_eq!((head.version, head.correlation_id, body), (99, 5, &[][..]));
        assert!(matches!(
            RequestHead::read(&[0, 4, 0, 0, 0, 0, 0, 5]),
            Err(HeadError::Key { key: 4, version: 0 })
        ));
        assert!(matches!(RequestHead::read(&[0, 3, 0]), Err(HeadError::Malformed(_))));
    }

    #[test]
    fn responses_carry_their_length() {
        let frame =
            ResponseFrame::new(Vec::new(), ApiKey::ApiVersions, 3, 42, &ApiVersionsResponse::default())
                .unwrap();
        assert_eq!(frame.bytes[..8], [0, 0, 0, frame.bytes.len() as u8 - 4, 0, 0, 0, 42]);
        let frame =
            ResponseFrame::new(Vec::new(), ApiKey::Metadata, 9, 1, &MetadataResponse::default()).unwrap();
        assert_eq!(frame.bytes[8], 0, "a flexible response has a flexible head");
    }
}
