//! Primitive encodings: reading with bounds, writing with gathered record data, lists that are walked in place.

mod error;
mod list;
mod message;
mod reader;
mod skip;
mod writer;

pub use error::{DecodeError, DecodeErrorKind, EncodeError};
pub use list::{Element, Iter, List, Listed};
pub use message::{Message, Request, View};
pub use reader::{BUDGET_FLOOR_BYTES, Reader};
pub use skip::Skip;
pub use writer::{Gathered, Records, Writer};
