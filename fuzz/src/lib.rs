//! What the fuzz targets do with their bytes: what a node would do with the same bytes from a socket or a disk.
//!
//! None of it may panic, and what it accepts must hold together: what was read can be written and read again, what
//! was opened can be closed and opened again.

mod frame;
mod log_files;
pub mod pack;
mod properties;
mod records;
mod seal;
mod snapshot;

pub use frame::frame;
pub use log_files::log_files;
pub use properties::properties;
pub use records::records;
pub use snapshot::snapshot;

/// The most that compressed bytes may become.
const DECOMPRESSED_BYTES: usize = 1 << 20;

/// 14 November 2023, in milliseconds since 1970.
const NOW_MS: i64 = 1_700_000_000_000;
