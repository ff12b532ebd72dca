//! Writes one message's fields in order. Record data is gathered, not copied: the writer remembers where it belongs.

use bytes::Bytes;
use uuid::Uuid;

use super::error::EncodeError;

/// Record data below this many bytes is copied into the message: a gather part would cost more.
const COPY_BELOW_BYTES: usize = 512;

/// The value of a `records` field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Records {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes that somebody else will put there, a file's for example.
    Elsewhere {
        /// How many.
        len: usize,
        /// What the one who writes the message knows them by.
        token: usize,
    },
}

impl Records {
    /// How many bytes.
    pub fn len(&self) -> usize {
        match self {
            Records::Bytes(bytes) => bytes.len(),
            Records::Elsewhere { len, .. } => *len,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, where they are in memory.
    pub fn as_bytes(&self) -> Option<&Bytes> {
        match self {
            Records::Bytes(bytes) => Some(bytes),
            Records::Elsewhere { .. } => None,
        }
    }
}

impl Default for Records {
    fn default() -> Records {
        Records::Bytes(Bytes::new())
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Records {
        Records::Bytes(bytes)
    }
}

/// Record data and the place in the written bytes before which it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gathered {
    /// The data goes in front of this byte of [`Writer::buf`].
    pub at: usize,
    /// The data.
    pub records: Records,
}

/// The bytes of a message under way.
#[derive(Debug, Default)]
pub struct Writer {
    buf: Vec<u8>,
    version: i16,
    flexible: bool,
    gathered: Vec<Gathered>,
    gathered_bytes: usize,
}

type Result<T> = std::result::Result<T, EncodeError>;

impl Writer {
    /// A writer that appends to `buf`.
    pub fn new(buf: Vec<u8>, version: i16, flexible: bool) -> Writer {
        Writer { buf, version, flexible, gathered: Vec::new(), gathered_bytes: 0 }
    }

    /// Goes on with fields of another version (a header's, then a body's).
    pub fn set_version(&mut self, version: i16, flexible: bool) {
        self.version = version;
        self.flexible = flexible;
    }

    /// The version whose fields are written.
    pub fn version(&self) -> i16 {
        self.version
    }

    /// Whether the compact encodings and tagged fields are in use.
    pub fn flexible(&self) -> bool {
        self.flexible
    }

    /// Bytes written so far, gathered ones included.
    pub fn written_bytes(&self) -> usize {
        self.buf.len() + self.gathered_bytes
    }

    /// The bytes written so far, without the gathered ones.
    pub fn buf(&mut self) -> &mut Vec<u8> {
        &mut self.buf
    }

    /// The message: its own bytes, and the record data that belongs between them.
    pub fn into_parts(self) -> (Vec<u8>, Vec<Gathered>) {
        (self.buf, self.gathered)
    }

    /// The message as one run of bytes. Panics when it holds [`Records::Elsewhere`], whose bytes it cannot know.
    pub fn into_bytes(self) -> Vec<u8> {
        if self.gathered.is_empty() {
            return self.buf;
        }
        let mut whole = Vec::with_capacity(self.buf.len() + self.gathered_bytes);
        let mut from = 0;
        for part in &self.gathered {
            whole.extend_from_slice(&self.buf[from..part.at]);
            from = part.at;
            whole.extend_from_slice(part.records.as_bytes().expect("record data that lies in memory"));
        }
        whole.extend_from_slice(&self.buf[from..]);
        whole
    }

    /// `Err` for a field that the version lacks.
    #[cold]
    pub fn absent(&self, field: &'static str) -> EncodeError {
        EncodeError::Field { field, version: self.version }
    }

    /// `Err` for a field that is null where it may not be.
    #[cold]
    pub fn null(&self, field: &'static str) -> EncodeError {
        EncodeError::Null { field, version: self.version }
    }

    /// One byte, 0 or 1.
    pub fn bool(&mut self, value: bool) {
        self.buf.push(value.into());
    }

    /// A signed byte.
    pub fn i8(&mut self, value: i8) {
        self.buf.push(value as u8);
    }

    /// A big-endian 16-bit integer.
    pub fn i16(&mut self, value: i16) {
        self.buf.extend_from_slice(&value.to_be_bytes());
    }

    /// A big-endian unsigned 16-bit integer.
    pub fn u16(&mut self, value: u16) {
        self.buf.extend_from_slice(&value.to_be_bytes());
    }

    /// A big-endian 32-bit integer.
    pub fn i32(&mut self, value: i32) {
        self.buf.extend_from_slice(&value.to_be_bytes());
    }

    /// A big-endian unsigned 32-bit integer.
    pub fn u32(&mut self, value: u32) {
        self.buf.extend_from_slice(&value.to_be_bytes());
    }

    /// A big-endian 64-bit integer.
    pub fn i64(&mut self, value: i64) {
        self.buf.extend_from_slice(&value.to_be_bytes());
    }

    /// A big-endian IEEE 754 double.
    pub fn f64(&mut self, value: f64) {
        self.buf.extend_from_slice(&value.to_be_bytes());
    }

    /// Sixteen bytes.
    pub fn uuid(&mut self, value: Uuid) {
        self.buf.extend_from_slice(value.as_bytes());
    }

    /// An unsigned base-128 integer.
    pub fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.buf.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.buf.push(value as u8);
    }

    /// The length of a field or the count of an array, `None` for null.
    pub fn length(&mut self, n: Option<usize>) -> Result<()> {
        if n.is_some_and(|n| n > i32::MAX as usize) {
            return Err(EncodeError::Long(n.unwrap_or_default()));
        }
        if self.flexible {
            self.uvarint(n.map_or(0, |n| n as u32 + 1));
        } else {
            self.i32(n.map_or(-1, |n| n as i32));
        }
        Ok(())
    }

    /// A nullable string.
    pub fn nullable_str(&mut self, value: Option<&str>) -> Result<()> {
        if !self.flexible {
            return self.nullable_str_inflexible(value);
        }
        let n = value.map_or(0, |v| v.len() + 1);
        if n > i16::MAX as usize + 1 {
            return Err(EncodeError::Long(n - 1));
        }
        self.uvarint(n as u32);
        self.buf.extend_from_slice(value.unwrap_or_default().as_bytes());
        Ok(())
    }

    /// A nullable string with its length in 16 bits, whatever the version.
    pub fn nullable_str_inflexible(&mut self, value: Option<&str>) -> Result<()> {
        match value {
            None => self.i16(-1),
            Some(text) => {
                self.i16(i16::try_from(text.len()).map_err(|_| EncodeError::Long(text.len()))?);
                self.buf.extend_from_slice(text.as_bytes());
            }
        }
        Ok(())
    }

    /// A string.
    pub fn str(&mut self, value: &str) -> Result<()> {
        self.nullable_str(Some(value))
    }

    /// A nullable byte field.
    pub fn nullable_bytes(&mut self, value: Option<&[u8]>) -> Result<()> {
        self.length(value.map(<[u8]>::len))?;
        self.buf.extend_from_slice(value.unwrap_or_default());
        Ok(())
    }

    /// A `records` field: small data in memory is copied, all else is gathered.
    pub fn records(&mut self, value: Option<&Records>) -> Result<()> {
        self.length(value.map(Records::len))?;
        match value {
            None => {}
            Some(Records::Bytes(bytes)) if bytes.len() < COPY_BELOW_BYTES => {
                self.buf.extend_from_slice(bytes)
            }
            Some(records) => {
                self.gathered_bytes += records.len();
                self.gathered.push(Gathered { at: self.buf.len(), records: records.clone() });
            }
        }
        Ok(())
    }

    /// A tagged field: `tag`, the payload's size, and what `payload` writes.
    pub fn tagged(&mut self, tag: u32, payload: impl FnOnce(&mut Writer) -> Result<()>) -> Result<()> {
        self.uvarint(tag);
        let size_at = self.buf.len();
        self.buf.push(0);
        payload(self)?;
        let size = self.buf.len() - size_at - 1;
        let Ok(mut left) = u32::try_from(size) else { return Err(EncodeError::Long(size)) };
        if left < 0x80 {
            self.buf[size_at] = left as u8;
            return Ok(());
        }
        // Rare: the size needs more than the one byte that was kept free for it.
        let mut encoded = Vec::with_capacity(5);
        while left >= 0x80 {
            encoded.push(left as u8 | 0x80);
            left >>= 7;
        }
        encoded.push(left as u8);
        self.buf.splice(size_at..=size_at, encoded);
        Ok(())
    }
}
