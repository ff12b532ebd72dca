//! A cursor over received bytes. Every length is checked against the bytes that are there before anything is
//! allocated, and what owned decoding allocates is bounded by a budget that the bytes themselves set.

use bytes::Bytes;
use uuid::Uuid;

use super::error::{DecodeError, DecodeErrorKind};
use super::list::Element;
use super::skip::{Skip, uvarint};

/// What owned decoding may allocate beyond four times its input: the structs of a small message are larger than its bytes.
pub const BUDGET_FLOOR_BYTES: usize = 64 * 1024;

/// Reads one message's fields in order. Strings and byte fields are borrowed from the input.
#[derive(Debug)]
pub struct Reader<'a> {
    all: &'a [u8],
    rest: &'a [u8],
    version: i16,
    flexible: bool,
    budget_bytes: usize,
    owner: Option<&'a Bytes>,
    /// The bytes were read once before without an error.
    trusted: bool,
}

type Result<T> = std::result::Result<T, DecodeError>;

impl<'a> Reader<'a> {
    /// A reader of `buf` for fields of `version`; `flexible` picks the compact encodings (KIP-482).
    pub fn new(buf: &'a [u8], version: i16, flexible: bool) -> Reader<'a> {
        let budget_bytes = buf.len().saturating_mul(4).saturating_add(BUDGET_FLOOR_BYTES);
        Reader { all: buf, rest: buf, version, flexible, budget_bytes, owner: None, trusted: false }
    }

    /// A reader whose byte fields are slices of `owner` instead of copies. They keep all of `owner` alive.
    pub fn sharing(owner: &'a Bytes, version: i16, flexible: bool) -> Reader<'a> {
        Reader { owner: Some(owner), ..Reader::new(owner, version, flexible) }
    }

    /// A reader of bytes that were read once before without an error: nothing is left to charge.
    #[inline]
    pub(super) fn again(buf: &'a [u8], version: i16, flexible: bool) -> Reader<'a> {
        Reader {
            all: buf,
            rest: buf,
            version,
            flexible,
            budget_bytes: usize::MAX,
            owner: None,
            trusted: true,
        }
    }

    /// The version whose fields are read.
    #[inline]
    pub fn version(&self) -> i16 {
        self.version
    }

    /// Whether the compact encodings and tagged fields are in use.
    #[inline]
    pub fn flexible(&self) -> bool {
        self.flexible
    }

    /// Bytes read so far.
    #[inline]
    pub fn position(&self) -> usize {
        self.all.len() - self.rest.len()
    }

    /// The bytes that are left.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The bytes from `start` (an earlier [`Reader::position`]) up to here.
    #[inline]
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        &self.all[start..self.position()]
    }

    /// A cursor to pass over what is left.
    #[inline]
    pub(super) fn skipping(&self) -> Skip<'a> {
        Skip::new(self.rest, self.version, self.flexible, self.trusted)
    }

    /// Goes on where `skip`, which came from [`Reader::skipping`], stands.
    #[inline]
    pub(super) fn skipped(&mut self, skip: &Skip<'a>) {
        self.rest = skip.rest();
    }

    /// An error at the present position.
    #[cold]
    pub fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError { position: self.position(), kind }
    }

    /// Fails when bytes are left over.
    pub fn finish(&self) -> Result<()> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(self.error(DecodeErrorKind::Trailing(left))),
        }
    }

    /// Takes `bytes` of what owned decoding may allocate.
    pub fn charge(&mut self, bytes: usize) -> Result<()> {
        match self.budget_bytes.checked_sub(bytes) {
            Some(left) => {
                self.budget_bytes = left;
                Ok(())
            }
            None => Err(self.error(DecodeErrorKind::Budget)),
        }
    }

    /// The next `n` bytes.
    #[inline]
    pub fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        match self.rest.split_at_checked(n) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(self.error(DecodeErrorKind::Short { missing: n - self.rest.len() })),
        }
    }

    #[inline]
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.rest.split_first_chunk::<N>() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(*bytes)
            }
            None => Err(self.error(DecodeErrorKind::Short { missing: N - self.rest.len() })),
        }
    }

    /// One byte, 0 or not 0.
    #[inline]
    pub fn bool(&mut self) -> Result<bool> {
        Ok(self.fixed::<1>()? != [0])
    }

    /// A signed byte.
    #[inline]
    pub fn i8(&mut self) -> Result<i8> {
        Ok(i8::from_be_bytes(self.fixed()?))
    }

    /// A big-endian 16-bit integer.
    #[inline]
    pub fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.fixed()?))
    }

    /// A big-endian unsigned 16-bit integer.
    #[inline]
    pub fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.fixed()?))
    }

    /// A big-endian 32-bit integer.
    #[inline]
    pub fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.fixed()?))
    }

    /// A big-endian unsigned 32-bit integer.
    #[inline]
    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.fixed()?))
    }

    /// A big-endian 64-bit integer.
    #[inline]
    pub fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.fixed()?))
    }

    /// A big-endian IEEE 754 double.
    #[inline]
    pub fn f64(&mut self) -> Result<f64> {
        Ok(f64::from_be_bytes(self.fixed()?))
    }

    /// Sixteen bytes.
    #[inline]
    pub fn uuid(&mut self) -> Result<Uuid> {
        Ok(Uuid::from_bytes(self.fixed()?))
    }

    /// An unsigned base-128 integer of at most 32 bits.
    #[inline]
    pub fn uvarint(&mut self) -> Result<u32> {
        match uvarint(self.rest) {
            Some((value, rest)) => {
                self.rest = rest;
                Ok(value)
            }
            None => Err(self.bad_uvarint()),
        }
    }

    #[cold]
    fn bad_uvarint(&self) -> DecodeError {
        let cut_off = self.rest.len() < 5 && self.rest.iter().all(|byte| *byte >= 0x80);
        self.error(if cut_off { DecodeErrorKind::Short { missing: 1 } } else { DecodeErrorKind::Varint })
    }

    /// The length of a nullable field: compact or `i32`, `None` for null.
    #[inline]
    fn length(&mut self) -> Result<Option<usize>> {
        if self.flexible {
            return Ok((self.uvarint()? as usize).checked_sub(1));
        }
        match self.i32()? {
            -1 => Ok(None),
            n if n < -1 => Err(self.error(DecodeErrorKind::Length(n.into()))),
            n => Ok(Some(n as usize)),
        }
    }

    /// A nullable string in this version's encoding.
    #[inline]
    pub fn nullable_str(&mut self) -> Result<Option<&'a str>> {
        if !self.flexible {
            return self.nullable_str_inflexible();
        }
        match (self.uvarint()? as usize).checked_sub(1) {
            None => Ok(None),
            Some(n) if n > i16::MAX as usize => Err(self.error(DecodeErrorKind::Length(n as i64))),
            Some(n) => self.text(n).map(Some),
        }
    }

    /// A nullable string with its length in 16 bits, whatever the version.
    pub fn nullable_str_inflexible(&mut self) -> Result<Option<&'a str>> {
        match self.i16()? {
            -1 => Ok(None),
            n if n < -1 => Err(self.error(DecodeErrorKind::Length(n.into()))),
            n => self.text(n as usize).map(Some),
        }
    }

    /// A string; `field` is named when it is null.
    #[inline]
    pub fn str(&mut self, field: &'static str) -> Result<&'a str> {
        match self.nullable_str()? {
            Some(text) => Ok(text),
            None => Err(self.error(DecodeErrorKind::Null(field))),
        }
    }

    fn text(&mut self, n: usize) -> Result<&'a str> {
        let bytes = self.take(n)?;
        std::str::from_utf8(bytes).map_err(|_| self.error(DecodeErrorKind::Utf8))
    }

    /// An owned string; `field` is named when it is null.
    pub fn string(&mut self, field: &'static str) -> Result<String> {
        let text = self.str(field)?;
        self.charge(text.len())?;
        Ok(text.to_owned())
    }

    /// An owned nullable string.
    pub fn nullable_string(&mut self) -> Result<Option<String>> {
        let text = self.nullable_str()?;
        self.charge(text.map_or(0, str::len))?;
        Ok(text.map(str::to_owned))
    }

    /// A nullable byte field (also a `records` field), borrowed.
    #[inline]
    pub fn nullable_slice(&mut self) -> Result<Option<&'a [u8]>> {
        match self.length()? {
            None => Ok(None),
            Some(n) => self.take(n).map(Some),
        }
    }

    /// A byte field, borrowed; `field` is named when it is null.
    pub fn slice(&mut self, field: &'static str) -> Result<&'a [u8]> {
        match self.nullable_slice()? {
            Some(bytes) => Ok(bytes),
            None => Err(self.error(DecodeErrorKind::Null(field))),
        }
    }

    /// A nullable byte field: a slice of the owner where there is one ([`Reader::sharing`]), else a copy.
    pub fn nullable_bytes(&mut self) -> Result<Option<Bytes>> {
        let Some(bytes) = self.nullable_slice()? else { return Ok(None) };
        if let Some(owner) = self.owner {
            return Ok(Some(owner.slice_ref(bytes)));
        }
        self.charge(bytes.len())?;
        Ok(Some(Bytes::copy_from_slice(bytes)))
    }

    /// As [`Reader::nullable_bytes`]; `field` is named when it is null.
    pub fn bytes(&mut self, field: &'static str) -> Result<Bytes> {
        match self.nullable_bytes()? {
            Some(bytes) => Ok(bytes),
            None => Err(self.error(DecodeErrorKind::Null(field))),
        }
    }

    /// An array's element count, refused when `count` elements of at least `smallest` bytes do not fit into what is left.
    #[inline]
    pub fn count(&mut self, smallest: usize) -> Result<Option<usize>> {
        let Some(count) = self.length()? else { return Ok(None) };
        let left = self.rest.len();
        if count.saturating_mul(smallest.max(1)) > left {
            return Err(self.error(DecodeErrorKind::Count { count: count as u64, left }));
        }
        Ok(Some(count))
    }

    /// A nullable array, owned.
    pub fn nullable_vec<T: Element<'a>>(&mut self) -> Result<Option<Vec<T>>> {
        let Some(count) = self.count(T::SMALLEST_BYTES)? else { return Ok(None) };
        self.charge(count.saturating_mul(size_of::<T>()))?;
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(T::read(self)?);
        }
        Ok(Some(elements))
    }

    /// An array, owned; `field` is named when it is null.
    pub fn vec<T: Element<'a>>(&mut self, field: &'static str) -> Result<Vec<T>> {
        match self.nullable_vec()? {
            Some(elements) => Ok(elements),
            None => Err(self.error(DecodeErrorKind::Null(field))),
        }
    }

    /// Whether a nullable struct is there (one byte, -1 for null).
    pub fn present(&mut self) -> Result<bool> {
        Ok(self.i8()? >= 0)
    }

    /// The head of a tagged field: its tag, and where it ends.
    pub fn tag(&mut self) -> Result<(u32, usize)> {
        let tag = self.uvarint()?;
        let size = self.uvarint()? as usize;
        let left = self.rest.len();
        if size > left {
            return Err(self.error(DecodeErrorKind::Short { missing: size - left }));
        }
        Ok((tag, self.position() + size))
    }

    /// Checks that the tagged field that was just read ended at `end`.
    pub fn end_tag(&mut self, tag: u32, end: usize) -> Result<()> {
        if self.position() != end {
            return Err(self.error(DecodeErrorKind::Tag { tag }));
        }
        Ok(())
    }

    /// Skips an unknown tagged field.
    pub fn skip_to(&mut self, end: usize) {
        self.rest = &self.all[end..];
    }

    /// Skips a whole tagged block (of a struct with no known tags).
    #[inline]
    pub fn skip_tags(&mut self) -> Result<()> {
        if !self.flexible {
            return Ok(());
        }
        let tags = self.uvarint()?;
        if tags == 0 {
            return Ok(());
        }
        for _ in 0..tags {
            let (_, end) = self.tag()?;
            self.skip_to(end);
        }
        Ok(())
    }
}
