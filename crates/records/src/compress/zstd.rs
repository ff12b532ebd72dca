//! Zstandard with contexts that are used again, whole frames at a time.
//!
//! Decompressing straight into the output needs no window buffer, so a frame that declares a window of
//! gigabytes costs nothing. How much a frame can become is read off its block headers, not its claims.

use zstd::zstd_safe::{CCtx, CParameter, DCtx, compress_bound, get_error_name};

use super::{DecompressError, Output};

const MAGIC: u32 = 0xfd2f_b528;
const SKIPPABLE_MAGIC: u32 = 0x184d_2a50;
const BLOCK_MAX: u64 = 128 * 1024;
const DEFAULT_LEVEL: i32 = 3;

#[derive(Default)]
pub(super) struct Reader {
    context: Option<DCtx<'static>>,
}

impl Reader {
    pub(super) fn decompress(
        &mut self,
        input: &[u8],
        output: &mut Output<'_>,
    ) -> Result<(), DecompressError> {
        let possible = most_from(input).map_err(|fault| output.corrupt(fault))?;
        let capped = output.left() < possible;
        let context = self.context.get_or_insert_with(DCtx::create);
        match context.decompress(output.room(possible), input) {
            Ok(written) => output.used += written,
            Err(code) if capped && get_error_name(code) == "Destination buffer is too small" => {
                return Err(output.too_large());
            }
            Err(_) => return Err(output.corrupt("invalid frame")),
        }
        Ok(())
    }
}

/// The most bytes the frames in `input` can become: the exact sizes of plain and repeated blocks, and the
/// largest size of compressed ones (RFC 8878, 3.1.1).
fn most_from(mut input: &[u8]) -> Result<usize, &'static str> {
    const CUT_OFF: &str = "frame is cut off";
    if input.is_empty() {
        return Err(CUT_OFF);
    }
    let mut total = 0u64;
    while !input.is_empty() {
        let (magic, rest) = input.split_first_chunk::<4>().ok_or(CUT_OFF)?;
        let magic = u32::from_le_bytes(*magic);
        if magic & !0xf == SKIPPABLE_MAGIC {
            let (size, rest) = rest.split_first_chunk::<4>().ok_or(CUT_OFF)?;
            input = rest.get(u32::from_le_bytes(*size) as usize..).ok_or(CUT_OFF)?;
            continue;
        }
        if magic != MAGIC {
            return Err("not a frame");
        }
        let (block_max, checksum, mut rest) = frame_header(rest).ok_or(CUT_OFF)?;
        loop {
            let (header, behind) = rest.split_first_chunk::<3>().ok_or(CUT_OFF)?;
            let header = u32::from_le_bytes([header[0], header[1], header[2], 0]);
            let size = u64::from(header >> 3);
            let (carried, becomes) = match header >> 1 & 3 {
                0 => (size, size),
                1 => (1, size),
                2 => (size, block_max),
                _ => return Err("reserved block type"),
            };
            if size > BLOCK_MAX {
                return Err("block is larger than the format allows");
            }
            total = total.saturating_add(becomes);
            rest = behind.get(carried as usize..).ok_or(CUT_OFF)?;
            if header & 1 == 1 {
                break;
            }
        }
        input = rest.get(if checksum { 4 } else { 0 }..).ok_or(CUT_OFF)?;
    }
    Ok(usize::try_from(total).unwrap_or(usize::MAX))
}

/// Largest block, whether a checksum ends the frame, and what follows the header.
fn frame_header(input: &[u8]) -> Option<(u64, bool, &[u8])> {
    let (&descriptor, mut rest) = input.split_first()?;
    let single_segment = descriptor & 0x20 != 0;
    let mut window = u64::MAX;
    if !single_segment {
        let (&byte, behind) = rest.split_first()?;
        let base = 1u64 << (10 + (byte >> 3));
        window = base + base / 8 * u64::from(byte & 7);
        rest = behind;
    }
    rest = rest.get([0, 1, 2, 4][usize::from(descriptor & 3)]..)?;
    let size_bytes = match descriptor >> 6 {
        0 => usize::from(single_segment),
        1 => 2,
        2 => 4,
        _ => 8,
    };
    let (size, rest) = rest.split_at_checked(size_bytes)?;
    if single_segment {
        let mut wide = [0; 8];
        wide[..size_bytes].copy_from_slice(size);
        window = u64::from_le_bytes(wide) + if size_bytes == 2 { 256 } else { 0 };
    }
    Some((window.min(BLOCK_MAX), descriptor & 4 != 0, rest))
}

#[derive(Default)]
pub(super) struct Writer {
    context: Option<(i32, CCtx<'static>)>,
}

impl Writer {
    pub(super) fn compress(&mut self, level: Option<i32>, input: &[u8], out: &mut Vec<u8>) {
        let level = level.unwrap_or(DEFAULT_LEVEL).clamp(-131_072, 22);
        let (made_for, context) = self.context.get_or_insert_with(|| (i32::MIN, CCtx::create()));
        if *made_for != level {
            context
                .set_parameter(CParameter::CompressionLevel(level))
                .expect("RECORDS-8: the level is in zstd's range");
            *made_for = level;
        }
        let start = out.len();
        out.resize(start + compress_bound(input.len()), 0);
        let written = context
            .compress2(&mut out[start..], input)
            .expect("RECORDS-9: the output has the largest possible size");
        out.truncate(start + written);
    }
}
