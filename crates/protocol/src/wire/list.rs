//! Arrays that are not turned into objects: passed over once when the message is read, read when they are walked.

use std::fmt;
use std::marker::PhantomData;

use uuid::Uuid;

use super::error::{DecodeError, DecodeErrorKind};
use super::reader::Reader;
use super::skip::Skip;

/// Something that an array holds.
pub trait Element<'a>: Sized {
    /// The fewest bytes that one element takes in any version.
    const SMALLEST_BYTES: usize;

    /// Reads one element in the reader's version.
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError>;
}

/// Something that a [`List`] holds.
pub trait Listed<'a>: Element<'a> {
    /// Its bytes, where they are as many in every element of every version.
    const FIXED_BYTES: Option<usize> = None;

    /// Passes over one element; true exactly when [`Element::read`] would succeed.
    fn skip(s: &mut Skip<'a>) -> bool;
}

macro_rules! fixed {
    ($($ty:ty, $read:ident, $bytes:expr;)*) => { $(
        impl<'a> Element<'a> for $ty {
            const SMALLEST_BYTES: usize = $bytes;
            #[inline]
            fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> { r.$read() }
        }
        impl<'a> Listed<'a> for $ty {
            const FIXED_BYTES: Option<usize> = Some($bytes);
            #[inline]
            fn skip(s: &mut Skip<'a>) -> bool { s.bytes($bytes) }
        }
    )* };
}
fixed! { bool, bool, 1; i8, i8, 1; i16, i16, 2; u16, u16, 2; i32, i32, 4; u32, u32, 4; i64, i64, 8; f64, f64, 8; Uuid, uuid, 16; }

impl<'a> Element<'a> for &'a str {
    const SMALLEST_BYTES: usize = 1;
    #[inline]
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        r.str("element")
    }
}

impl<'a> Listed<'a> for &'a str {
    #[inline]
    fn skip(s: &mut Skip<'a>) -> bool {
        s.text(false)
    }
}

impl<'a> Element<'a> for String {
    const SMALLEST_BYTES: usize = 1;
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        r.string("element")
    }
}

/// An array as it lies in the received bytes: 32 bytes, whatever it holds. Walking it allocates nothing.
pub struct List<'a, T> {
    bytes: &'a [u8],
    count: u32,
    version: i16,
    flexible: bool,
    element: PhantomData<fn() -> T>,
}

impl<'a, T: Listed<'a>> List<'a, T> {
    /// Reads and checks a nullable array.
    #[inline]
    pub fn read_nullable(r: &mut Reader<'a>) -> Result<Option<List<'a, T>>, DecodeError> {
        let Some(count) = r.count(T::SMALLEST_BYTES)? else { return Ok(None) };
        let start = r.position();
        let mut skip = r.skipping();
        if !skip.elements::<T>(count) {
            return Err(Self::what_is_wrong(r, count));
        }
        r.skipped(&skip);
        Ok(Some(List {
            bytes: r.since(start),
            count: count as u32,
            version: r.version(),
            flexible: r.flexible(),
            element: PhantomData,
        }))
    }

    #[cold]
    fn what_is_wrong(r: &mut Reader<'a>, count: usize) -> DecodeError {
        for _ in 0..count {
            if let Err(error) = T::read(r) {
                return error;
            }
        }
        panic!("elements that cannot be passed over can be read");
    }

    /// Reads and checks an array; `field` is named when it is null.
    #[inline]
    pub fn read(r: &mut Reader<'a>, field: &'static str) -> Result<List<'a, T>, DecodeError> {
        match Self::read_nullable(r)? {
            Some(list) => Ok(list),
            None => Err(r.error(DecodeErrorKind::Null(field))),
        }
    }

    /// How many elements it has.
    #[inline]
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether it has none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Walks the elements.
    #[inline]
    pub fn iter(&self) -> Iter<'a, T> {
        Iter {
            reader: Reader::again(self.bytes, self.version, self.flexible),
            left: self.count,
            element: PhantomData,
        }
    }
}

impl<T> Clone for List<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for List<'_, T> {}

impl<T> Default for List<'_, T> {
    fn default() -> Self {
        List { bytes: &[], count: 0, version: 0, flexible: false, element: PhantomData }
    }
}

impl<'a, T: Listed<'a> + fmt::Debug> fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, T: Listed<'a>> IntoIterator for List<'a, T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;
    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// Walks a [`List`].
pub struct Iter<'a, T> {
    reader: Reader<'a>,
    left: u32,
    element: PhantomData<fn() -> T>,
}

impl<'a, T: Listed<'a>> Iterator for Iter<'a, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        match T::read(&mut self.reader) {
            Ok(element) => Some(element),
            Err(error) => failed_again(&error),
        }
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl<'a, T: Listed<'a>> ExactSizeIterator for Iter<'a, T> {}

/// The list was passed over once in whole: the same bytes cannot fail now.
#[cold]
fn failed_again(error: &DecodeError) -> ! {
    panic!("a checked list failed to read again: {error}")
}
