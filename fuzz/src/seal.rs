//! Puts right what a mutation cannot hit: the checksums of batches.

use ottla_records::crc::crc32c;

const LENGTH_AT: usize = 8;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const BODY_AT: usize = 21;
const HEADER_BYTES: usize = 61;

/// Gives every batch of magic 2 at the front of `bytes` the CRC that its bytes have.
pub fn seal(bytes: &mut [u8]) {
    let mut rest = bytes;
    while rest.len() >= HEADER_BYTES && rest[MAGIC_AT] == 2 {
        let mut length = [0; 4];
        length.copy_from_slice(&rest[LENGTH_AT..LENGTH_AT + 4]);
        let Some(size) = usize::try_from(i32::from_be_bytes(length)).ok().map(|n| n + LENGTH_AT + 4) else {
            return;
        };
        if size < HEADER_BYTES || size > rest.len() {
            return;
        }
        let (batch, behind) = rest.split_at_mut(size);
        let crc = crc32c(&batch[BODY_AT..]);
        batch[CRC_AT..BODY_AT].copy_from_slice(&crc.to_be_bytes());
        rest = behind;
    }
}
