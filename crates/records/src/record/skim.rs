//! Walking over records whose contents nobody wants: what the check of every produced batch does.

use super::{RecordFault, read_record};

/// What a check of a batch needs to know of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Skimmed {
    pub(crate) timestamp_delta: i64,
    pub(crate) offset_delta: i32,
    pub(crate) has_key: bool,
}

/// As [`read_record`], for callers that want no contents.
///
/// Nearly all records have short numbers and no headers; these are checked to the last byte here with a
/// handful of well predicted branches. All others go through [`read_record`].
#[inline]
pub(crate) fn skim_record(body: &[u8], at: &mut usize) -> Result<Skimmed, RecordFault> {
    if let Some((skimmed, end)) = skim_short(body, *at) {
        *at = end;
        return Ok(skimmed);
    }
    let record = read_record(body, at)?;
    Ok(Skimmed {
        timestamp_delta: record.timestamp_delta,
        offset_delta: record.offset_delta,
        has_key: record.key.is_some(),
    })
}

/// Numbers of up to three bytes and no headers; anything else, sound or not, is `None`.
#[inline]
fn skim_short(body: &[u8], at: usize) -> Option<(Skimmed, usize)> {
    // Four numbers of up to three bytes, and the attributes.
    let window: &[u8; 16] = body.get(at..)?.first_chunk()?;
    let mut pos = 0;
    let size = short_number(window, &mut pos)?;
    let end = at + pos + (size >> 1) as usize;
    pos += 1;
    let timestamp = short_number(window, &mut pos)?;
    let offset = short_number(window, &mut pos)?;
    let key = short_number(window, &mut pos)?;
    let value_at = at + pos + length_of(key);
    let window: &[u8; 4] = body.get(value_at..)?.first_chunk()?;
    let mut pos = 0;
    let value = short_number(window, &mut pos)?;
    let count_at = value_at + pos + length_of(value);
    // Nothing but the header count, 0, may be left of the record.
    if size & 1 == 1 || count_at + 1 != end || body.get(count_at) != Some(&0) {
        return None;
    }
    let skimmed = Skimmed {
        timestamp_delta: i64::from((timestamp >> 1) as i32 ^ -((timestamp & 1) as i32)),
        offset_delta: (offset >> 1) as i32 ^ -((offset & 1) as i32),
        has_key: key & 1 == 0,
    };
    Some((skimmed, end))
}

/// A still zig-zag number of one to three bytes. The mask spares a bounds check: `N` is a power of two and
/// the caller stays inside the window.
#[inline]
fn short_number<const N: usize>(window: &[u8; N], pos: &mut usize) -> Option<u32> {
    let byte = |pos: usize| u32::from(window[pos & (N - 1)]);
    let first = byte(*pos);
    if first < 0x80 {
        *pos += 1;
        return Some(first);
    }
    let second = byte(*pos + 1);
    if second < 0x80 {
        *pos += 2;
        return Some(first & 0x7f | second << 7);
    }
    let third = byte(*pos + 2);
    *pos += 3;
    (third < 0x80).then_some(first & 0x7f | (second & 0x7f) << 7 | third << 14)
}

/// Bytes that follow a zig-zag length; negative ones mean null.
#[inline]
fn length_of(zigzag: u32) -> usize {
    if zigzag & 1 == 0 { (zigzag >> 1) as usize } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::varint::{write_i32, write_i64};

    /// A record made of numbers that need not fit each other.
    fn record(slack: i32, numbers: [i64; 4], contents: usize, headers: i32) -> Vec<u8> {
        let mut body = vec![0];
        write_i64(&mut body, numbers[0]);
        write_i32(&mut body, numbers[1] as i32);
        for length in &numbers[2..] {
            write_i32(&mut body, *length as i32);
            body.extend(vec![7; (*length).clamp(0, contents as i64) as usize]);
        }
        write_i32(&mut body, headers);
        let mut out = vec![];
        write_i32(&mut out, body.len() as i32 + slack);
        out.extend_from_slice(&body);
        out
    }

    #[test]
    fn skimming_agrees_with_reading_on_sound_and_unsound_records() {
        let edges = [
            -2,
            -1,
            0,
            1,
            63,
            64,
            127,
            128,
            8191,
            8192,
            -8193,
            1 << 20,
            (1 << 20) - 1,
            -(1 << 20) - 1,
            i64::from(i32::MAX),
        ];
        let (mut sound, mut short) = (0, 0);
        for first in edges {
            for second in edges {
                for (slack, headers) in [(0, 0), (0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)] {
                    for (behind, numbers) in [
                        (0, [first, second, -1, 5]),
                        (20, [0, 0, first, second]),
                        (3, [0, 5, second, first]),
                        (20, [first << 20, 1, second, 3]),
                    ] {
                        let mut body = record(slack, numbers, 1 << 20, headers);
                        body.extend(vec![0; behind]);
                        let (mut at, mut skim_at) = (0, 0);
                        let read = read_record(&body, &mut at).map(|record| Skimmed {
                            timestamp_delta: record.timestamp_delta,
                            offset_delta: record.offset_delta,
                            has_key: record.key.is_some(),
                        });
                        assert_eq!(skim_record(&body, &mut skim_at), read, "{numbers:?} {slack} {headers}");
                        if read.is_ok() {
                            assert_eq!(at, skim_at);
                            sound += 1;
                        }
                        if let Some((skimmed, end)) = skim_short(&body, 0) {
                            assert_eq!((Ok(skimmed), end), (read, at));
                            short += 1;
                        }
                    }
                }
            }
        }
        assert!(sound > 500 && short > 300 && short < sound, "{sound} sound, {short} of them short");
    }

    #[test]
    fn skimming_agrees_with_reading_at_every_cut() {
        let mut body = record(0, [300, 5, 3, 100], 1 << 20, 0);
        body.extend(record(0, [9, 6, -1, 0], 0, 0));
        for cut in 0..=body.len() {
            let body = &body[..cut];
            let (mut at, mut skim_at) = (0, 0);
            loop {
                let read = read_record(body, &mut at).map(|record| record.offset_delta);
                let skimmed = skim_record(body, &mut skim_at).map(|record| record.offset_delta);
                assert_eq!(skimmed, read, "{cut}");
                if read.is_err() {
                    break;
                }
                assert_eq!(at, skim_at);
            }
        }
    }
}
