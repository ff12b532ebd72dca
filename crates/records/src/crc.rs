//! CRC-32C, which guards a magic 2 batch and a producer snapshot, and CRC-32, which guarded magic 0 and 1.

use crc_fast::{CrcAlgorithm, Digest};

/// CRC-32C (Castagnoli) of `bytes`.
#[inline]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// CRC-32C of `head` followed by `tail`, as if they were one run of bytes.
#[inline]
pub fn crc32c_of_two(head: &[u8], tail: &[u8]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    digest.update(head);
    digest.update(tail);
    digest.finalize() as u32
}

/// CRC-32 (IEEE 802.3) of `bytes`: the checksum of magic 0 and 1 messages.
#[inline]
pub fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// Compares the fast implementation picked for this processor with a bitwise one on inputs of many lengths.
///
/// A server calls it once at start: a wrong checksum would silently make a log that nobody else can read.
pub fn self_check() -> bool {
    let bytes: Vec<u8> = (0..700u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    [0, 1, 7, 8, 15, 16, 31, 33, 63, 64, 65, 127, 129, 255, 256, 257, 511, 513, 700].iter().all(|&len| {
        let run = &bytes[..len];
        let expected = bitwise(run, 0x82f6_3b78);
        crc32c(run) == expected
            && crc32c_of_two(&run[..len / 3], &run[len / 3..]) == expected
            && crc32(run) == bitwise(run, 0xedb8_8320)
    })
}

fn bitwise(bytes: &[u8], reversed_polynomial: u32) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (reversed_polynomial & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_values_of_both_polynomials() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c_of_two(b"1234", b"56789"), 0xe306_9283);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32c(b""), 0);
    }

    #[test]
    fn this_processors_implementation_agrees_with_the_bitwise_one() {
        assert!(self_check());
    }
}
