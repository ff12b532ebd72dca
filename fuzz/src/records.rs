//! Record batches: from a segment, from a producer, compressed, and the values of control records.

use ottla_records::{Compressor, Decompressor, fuzz};

use crate::DECOMPRESSED_BYTES;
use crate::seal::seal;

/// The first byte says whether checksums are put right (bit 7) and what the rest is taken for.
pub fn records(input: &[u8]) {
    let [kind, bytes @ ..] = input else { return };
    let mut bytes = bytes.to_vec();
    if kind & 0x80 != 0 {
        seal(&mut bytes);
    }
    let mut decompressor = Decompressor::new();
    match kind & 0x7f {
        0 => drop(fuzz::log(&bytes, &mut decompressor, DECOMPRESSED_BYTES)),
        1 => drop(fuzz::produce(&bytes, &mut decompressor, DECOMPRESSED_BYTES)),
        2 => drop(fuzz::decompress(&bytes, &mut decompressor, DECOMPRESSED_BYTES)),
        3 => {
            fuzz::recompressed(&bytes, &mut decompressor, &mut Compressor::new(), DECOMPRESSED_BYTES);
        }
        4 => drop(fuzz::control(&bytes)),
        _ => {}
    }
}
