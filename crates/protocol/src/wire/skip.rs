//! Passing over bytes that claim to be fields: every length and text is checked, nothing is built. This is what makes a
//! [`List`](super::List) cheap: it is passed over once when its message is read, and read when it is walked.
//!
//! What is wrong is not said here, only that something is: the caller reads the same bytes again with a
//! [`Reader`](super::Reader) to tell.

use super::list::Listed;

/// An unsigned base-128 integer of at most 32 bits, and what follows it; `None` when it is cut off or longer.
#[inline(always)]
pub(super) fn uvarint(bytes: &[u8]) -> Option<(u32, &[u8])> {
    // One byte counts most arrays and texts, two or three most record sets.
    match bytes {
        [a, rest @ ..] if *a < 0x80 => Some((u32::from(*a), rest)),
        [a, b, rest @ ..] if *b < 0x80 => Some((u32::from(a & 0x7f) | u32::from(*b) << 7, rest)),
        [a, b, c, rest @ ..] if *c < 0x80 => {
            Some((u32::from(a & 0x7f) | u32::from(b & 0x7f) << 7 | u32::from(*c) << 14, rest))
        }
        _ => long_uvarint(bytes),
    }
}

#[cold]
fn long_uvarint(mut bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0;
    for shift in (0..35).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        bytes = rest;
        if shift == 28 && byte > 0x0f {
            return None;
        }
        value |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((value, bytes));
        }
    }
    None
}

/// A cursor that is small enough to live in registers.
#[derive(Debug, Clone, Copy)]
pub struct Skip<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
    /// The bytes were passed over once before without complaint: only their ends are looked for.
    trusted: bool,
}

// Inlined by force: one call that is not keeps the cursor in memory for all of them.
impl<'a> Skip<'a> {
    #[inline(always)]
    pub(super) fn new(rest: &'a [u8], version: i16, flexible: bool, trusted: bool) -> Skip<'a> {
        Skip { rest, version, flexible, trusted }
    }

    /// The bytes that are left.
    #[inline(always)]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The version whose fields are passed over.
    #[inline(always)]
    pub fn version(&self) -> i16 {
        self.version
    }

    /// Whether the compact encodings and tagged fields are in use.
    #[inline(always)]
    pub fn flexible(&self) -> bool {
        self.flexible
    }

    /// Passes over `n` bytes; false when there are fewer.
    #[inline(always)]
    pub fn bytes(&mut self, n: usize) -> bool {
        match self.rest.get(n..) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// An unsigned base-128 integer of at most 32 bits.
    #[inline(always)]
    pub fn uvarint(&mut self) -> Option<u32> {
        let (value, rest) = uvarint(self.rest)?;
        self.rest = rest;
        Some(value)
    }

    /// The length of a byte field or the count of an array: the outer `None` when it is none, the inner one for null.
    #[inline(always)]
    fn length(&mut self) -> Option<Option<usize>> {
        if self.flexible {
            return Some((self.uvarint()? as usize).checked_sub(1));
        }
        let (n, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        match i32::from_be_bytes(*n) {
            -1 => Some(None),
            n => usize::try_from(n).ok().map(Some),
        }
    }

    /// A byte field.
    #[inline(always)]
    pub fn blob(&mut self, nullable: bool) -> bool {
        match self.length() {
            Some(Some(n)) => self.bytes(n),
            Some(None) => nullable,
            None => false,
        }
    }

    /// A string in this version's encoding.
    #[inline(always)]
    pub fn text(&mut self, nullable: bool) -> bool {
        if !self.flexible {
            return self.text_inflexible(nullable);
        }
        match self.uvarint() {
            Some(0) => nullable,
            Some(n) if n <= i16::MAX as u32 + 1 => self.letters(n as usize - 1),
            _ => false,
        }
    }

    /// A string with its length in 16 bits, whatever the version.
    #[inline(always)]
    pub fn text_inflexible(&mut self, nullable: bool) -> bool {
        let Some((n, rest)) = self.rest.split_first_chunk() else { return false };
        self.rest = rest;
        match i16::from_be_bytes(*n) {
            -1 => nullable,
            n => usize::try_from(n).is_ok_and(|n| self.letters(n)),
        }
    }

    #[inline(always)]
    fn letters(&mut self, n: usize) -> bool {
        let Some((text, rest)) = self.rest.split_at_checked(n) else { return false };
        self.rest = rest;
        self.trusted || std::str::from_utf8(text).is_ok()
    }

    /// An array.
    #[inline(always)]
    pub fn list<T: Listed<'a>>(&mut self, nullable: bool) -> bool {
        match self.length() {
            Some(Some(count)) => self.elements::<T>(count),
            Some(None) => nullable,
            None => false,
        }
    }

    /// The elements of an array.
    #[inline(always)]
    pub(super) fn elements<T: Listed<'a>>(&mut self, count: usize) -> bool {
        if let Some(size) = T::FIXED_BYTES {
            return count.checked_mul(size).is_some_and(|n| self.bytes(n));
        }
        // Elements of no bytes at all do not exist, so a count that does not fit ends the loop early.
        (0..count).all(|_| T::skip(self))
    }

    /// Whether a nullable struct is there: a signed byte, or in the tagged block a varint.
    #[inline(always)]
    pub fn present(&mut self, tagged: bool) -> Option<bool> {
        if tagged {
            return Some(self.uvarint()? > 0);
        }
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some((byte as i8) >= 0)
    }

    /// The head of a tagged field: its tag, and how many bytes are left behind its end.
    #[inline]
    pub fn tag(&mut self) -> Option<(u32, usize)> {
        let tag = self.uvarint()?;
        let size = self.uvarint()? as usize;
        Some((tag, self.rest.len().checked_sub(size)?))
    }

    /// Passes over what a tagged field holds.
    #[inline]
    #[allow(clippy::wrong_self_convention, reason = "it moves the cursor to the end")]
    pub fn to_end(&mut self, left: usize) {
        self.rest = &self.rest[self.rest.len() - left..];
    }

    /// Whether the cursor stands at the end of a tagged field.
    #[inline]
    pub fn at_end(&self, left: usize) -> bool {
        self.rest.len() == left
    }

    /// Passes over a whole tagged block (of a struct with no known tags).
    #[inline(always)]
    pub fn tags(&mut self) -> bool {
        if !self.flexible {
            return true;
        }
        match self.uvarint() {
            Some(0) => true,
            Some(n) => self.some_tags(n),
            None => false,
        }
    }

    #[inline(never)]
    fn some_tags(&mut self, n: u32) -> bool {
        for _ in 0..n {
            let Some((_, left)) = self.tag() else { return false };
            self.to_end(left);
        }
        true
    }
}
