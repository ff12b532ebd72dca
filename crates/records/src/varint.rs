//! Variable-length integers: groups of seven bits, lowest first, the top bit meaning "more follows".
//!
//! Records use the zig-zag form (small negative numbers stay short); flexible messages use the unsigned one.
//! As in Kafka's `ByteUtils`, an int has at most five bytes and a long at most ten; bits of the last byte
//! that do not fit are dropped.

/// A number ran off the end of the input, or has more bytes than its type allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("variable-length integer is cut off or too long")]
pub struct VarintError;

/// Reads an unsigned 32-bit number at `*at` and moves `*at` behind it.
#[inline]
pub fn read_u32(bytes: &[u8], at: &mut usize) -> Result<u32, VarintError> {
    // One byte holds everything up to 127, which nearly every field of a record is.
    match bytes.get(*at) {
        Some(&byte) if byte < 0x80 => {
            *at += 1;
            Ok(u32::from(byte))
        }
        _ => read_u32_long(bytes, at),
    }
}

fn read_u32_long(bytes: &[u8], at: &mut usize) -> Result<u32, VarintError> {
    let mut value = 0u32;
    for group in 0..5 {
        let byte = *bytes.get(*at + group).ok_or(VarintError)?;
        value |= u32::from(byte & 0x7f) << (7 * group);
        if byte < 0x80 {
            *at += group + 1;
            return Ok(value);
        }
    }
    Err(VarintError)
}

/// Reads an unsigned 64-bit number at `*at` and moves `*at` behind it.
#[inline]
pub fn read_u64(bytes: &[u8], at: &mut usize) -> Result<u64, VarintError> {
    match bytes.get(*at) {
        Some(&byte) if byte < 0x80 => {
            *at += 1;
            Ok(u64::from(byte))
        }
        _ => read_u64_long(bytes, at),
    }
}

fn read_u64_long(bytes: &[u8], at: &mut usize) -> Result<u64, VarintError> {
    let mut value = 0u64;
    for group in 0..10 {
        let byte = *bytes.get(*at + group).ok_or(VarintError)?;
        value |= u64::from(byte & 0x7f) << (7 * group);
        if byte < 0x80 {
            *at += group + 1;
            return Ok(value);
        }
    }
    Err(VarintError)
}

/// Reads a zig-zag 32-bit number at `*at` and moves `*at` behind it.
#[inline]
pub fn read_i32(bytes: &[u8], at: &mut usize) -> Result<i32, VarintError> {
    read_u32(bytes, at).map(|raw| (raw >> 1) as i32 ^ -((raw & 1) as i32))
}

/// Reads a zig-zag 64-bit number at `*at` and moves `*at` behind it.
#[inline]
pub fn read_i64(bytes: &[u8], at: &mut usize) -> Result<i64, VarintError> {
    read_u64(bytes, at).map(|raw| (raw >> 1) as i64 ^ -((raw & 1) as i64))
}

/// Appends an unsigned 32-bit number.
#[inline]
pub fn write_u32(out: &mut Vec<u8>, value: u32) {
    write_u64(out, u64::from(value));
}

/// Appends an unsigned 64-bit number.
#[inline]
pub fn write_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a zig-zag 32-bit number.
#[inline]
pub fn write_i32(out: &mut Vec<u8>, value: i32) {
    write_u32(out, zigzag32(value));
}

/// Appends a zig-zag 64-bit number.
#[inline]
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    write_u64(out, zigzag64(value));
}

/// Bytes [`write_u32`] takes for `value`.
#[inline]
pub fn size_of_u32(value: u32) -> usize {
    size_of_u64(u64::from(value))
}

/// Bytes [`write_u64`] takes for `value`.
#[inline]
pub fn size_of_u64(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Bytes [`write_i32`] takes for `value`.
#[inline]
pub fn size_of_i32(value: i32) -> usize {
    size_of_u32(zigzag32(value))
}

/// Bytes [`write_i64`] takes for `value`.
#[inline]
pub fn size_of_i64(value: i64) -> usize {
    size_of_u64(zigzag64(value))
}

#[inline]
fn zigzag32(value: i32) -> u32 {
    (value << 1 ^ value >> 31) as u32
}

#[inline]
fn zigzag64(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_boundary_round_trips_and_has_its_computed_size() {
        let mut values = vec![0i64, -1, 1, i64::MAX, i64::MIN];
        for bits in 1..63 {
            values.extend([(1 << bits) - 1, 1 << bits, -(1 << bits), -(1 << bits) - 1]);
        }
        for value in values {
            let mut out = vec![];
            write_i64(&mut out, value);
            assert_eq!(out.len(), size_of_i64(value));
            let mut at = 0;
            assert_eq!((read_i64(&out, &mut at), at), (Ok(value), out.len()));
            if let Ok(value) = i32::try_from(value) {
                let mut out = vec![];
                write_i32(&mut out, value);
                assert_eq!(out.len(), size_of_i32(value));
                let mut at = 0;
                assert_eq!((read_i32(&out, &mut at), at), (Ok(value), out.len()));
            }
        }
    }

    #[test]
    fn known_bytes() {
        let mut out = vec![];
        for value in [0, -1, 1, 63, -64, 64, 8191, -8193, i32::MAX, i32::MIN] {
            write_i32(&mut out, value);
        }
        assert_eq!(
            out,
            [
                0, 1, 2, 0x7e, 0x7f, 0x80, 1, 0xfe, 0x7f, 0x81, 0x80, 1, 0xfe, 0xff, 0xff, 0xff, 0xf, 0xff,
                0xff, 0xff, 0xff, 0xf
            ]
        );
    }

    #[test]
    fn cut_off_and_endless_numbers_are_refused_and_do_not_move_the_position() {
        for bytes in [&[][..], &[0x80], &[0x80; 4], &[0x80; 5], &[0xff; 20]] {
            let mut at = 0;
            assert_eq!(read_u32(bytes, &mut at), Err(VarintError));
            assert_eq!(at, 0);
        }
        for bytes in [&[][..], &[0x80; 9], &[0x80; 10], &[0xff; 20]] {
            let mut at = 0;
            assert_eq!(read_u64(bytes, &mut at), Err(VarintError));
            assert_eq!(at, 0);
        }
        let mut at = 9;
        assert_eq!(read_u32(&[1], &mut at), Err(VarintError));
    }
}
