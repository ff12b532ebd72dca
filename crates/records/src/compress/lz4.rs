//! The LZ4 frame format, over the block functions of lz4_flex, which write straight into our buffers.
//!
//! Read: frames of every flag combination, linked blocks included, several frames in a row, skippable ones
//! left out. Written: what Kafka writes, independent 64 KiB blocks without content size or checksums.

use lz4_flex::block::{
    CompressTable, compress_into_with_table, decompress_into_with_dict, get_maximum_output_size,
};

use super::xxh32::xxh32;
use super::{DecompressError, Output};

const MAGIC: u32 = 0x184d_2204;
const SKIPPABLE_MAGIC: u32 = 0x184d_2a50;
const FLG_VERSION: u8 = 0x40;
const FLG_INDEPENDENT: u8 = 0x20;
const FLG_BLOCK_CHECKSUM: u8 = 0x10;
const FLG_CONTENT_SIZE: u8 = 0x08;
const FLG_CONTENT_CHECKSUM: u8 = 0x04;
const FLG_DICTIONARY: u8 = 0x01;
const UNCOMPRESSED: u32 = 0x8000_0000;
/// How far back a linked block may refer.
const WINDOW: usize = 64 * 1024;
/// One byte of a match length stands for at most 255 bytes, and a block's first sequence for a few more.
const MOST_PER_BYTE: usize = 255;
const BLOCK_SIZE: usize = 64 * 1024;

/// Whether the checksum of a frame's header is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderChecksum {
    Checked,
    Ignored,
}

struct FrameHeader {
    independent: bool,
    block_checksum: bool,
    content_checksum: bool,
    content_size: Option<u64>,
    block_max: usize,
}

pub(super) fn decompress(
    mut input: &[u8],
    output: &mut Output<'_>,
    header_checksum: HeaderChecksum,
) -> Result<(), DecompressError> {
    let mut frames = 0;
    while !input.is_empty() || frames == 0 {
        frames += 1;
        let (magic, rest) = read_u32(input).ok_or_else(|| output.corrupt("frame is cut off"))?;
        input = if magic & !0xf == SKIPPABLE_MAGIC {
            read_u32(rest)
                .and_then(|(size, rest)| rest.get(size as usize..))
                .ok_or_else(|| output.corrupt("skippable frame is cut off"))?
        } else if magic == MAGIC {
            frame(rest, output, header_checksum)?
        } else {
            return Err(output.corrupt("not a frame"));
        };
    }
    Ok(())
}

/// Reads one frame behind its magic and returns what follows it.
fn frame<'i>(
    input: &'i [u8],
    output: &mut Output<'_>,
    header_checksum: HeaderChecksum,
) -> Result<&'i [u8], DecompressError> {
    let (header, body) = frame_header(input, header_checksum).map_err(|fault| output.corrupt(fault))?;
    // A first walk over the block sizes tells how large the frame can become, so that the output grows once.
    let (mut rest, mut possible) = (body, 0usize);
    while let Some((block, behind)) = next_block(rest, &header).map_err(|fault| output.corrupt(fault))? {
        possible = possible.saturating_add(block.most(&header));
        rest = behind;
    }
    output.room(possible);

    let start = output.used;
    let mut rest = body;
    while let Some((block, behind)) = next_block(rest, &header).map_err(|fault| output.corrupt(fault))? {
        rest = behind;
        if block.checksum.is_some_and(|stored| stored != xxh32(block.bytes)) {
            return Err(output.corrupt("block checksum mismatch"));
        }
        if !block.compressed {
            output.require(block.bytes.len())?;
            output.room(block.bytes.len()).copy_from_slice(block.bytes);
            output.used += block.bytes.len();
            continue;
        }
        let most = block.most(&header);
        let capped = output.left() < most;
        let (written, free) = output.split(most);
        let dictionary = if header.independent {
            &[]
        } else {
            &written[start.max(written.len().saturating_sub(WINDOW))..]
        };
        match decompress_into_with_dict(block.bytes, free, dictionary) {
            Ok(size) => output.used += size,
            Err(lz4_flex::block::DecompressError::OutputTooSmall { .. }) if capped => {
                return Err(output.too_large());
            }
            Err(_) => return Err(output.corrupt("invalid block")),
        }
    }
    // The end mark, a size of 0.
    rest = &rest[4..];
    let content = &output.buffer[start..output.used];
    if header.content_size.is_some_and(|size| size != content.len() as u64) {
        return Err(output.corrupt("content size mismatch"));
    }
    if header.content_checksum {
        let (stored, behind) = read_u32(rest).ok_or_else(|| output.corrupt("content checksum is cut off"))?;
        if stored != xxh32(content) {
            return Err(output.corrupt("content checksum mismatch"));
        }
        rest = behind;
    }
    Ok(rest)
}

fn frame_header(input: &[u8], checksum: HeaderChecksum) -> Result<(FrameHeader, &[u8]), &'static str> {
    const CUT_OFF: &str = "frame header is cut off";
    let [flg, bd, rest @ ..] = input else { return Err(CUT_OFF) };
    if flg & 0xc2 != FLG_VERSION || bd & 0x8f != 0 {
        return Err("unknown frame version or reserved bits");
    }
    if flg & FLG_DICTIONARY != 0 {
        return Err("frame needs a dictionary");
    }
    let block_max = match bd >> 4 {
        size @ 4..=7 => 1usize << (8 + 2 * size),
        _ => return Err("unknown block size"),
    };
    let (content_size, rest) = if flg & FLG_CONTENT_SIZE != 0 {
        let (size, rest) = rest.split_first_chunk::<8>().ok_or(CUT_OFF)?;
        (Some(u64::from_le_bytes(*size)), rest)
    } else {
        (None, rest)
    };
    let descriptor = &input[..input.len() - rest.len()];
    let (&stored, rest) = rest.split_first().ok_or(CUT_OFF)?;
    if checksum == HeaderChecksum::Checked && stored != (xxh32(descriptor) >> 8) as u8 {
        return Err("frame header checksum mismatch");
    }
    let header = FrameHeader {
        independent: flg & FLG_INDEPENDENT != 0,
        block_checksum: flg & FLG_BLOCK_CHECKSUM != 0,
        content_checksum: flg & FLG_CONTENT_CHECKSUM != 0,
        content_size,
        block_max,
    };
    Ok((header, rest))
}

struct Block<'i> {
    bytes: &'i [u8],
    compressed: bool,
    checksum: Option<u32>,
}

impl Block<'_> {
    /// The most bytes this block can become.
    fn most(&self, header: &FrameHeader) -> usize {
        if self.compressed {
            header.block_max.min(self.bytes.len().saturating_mul(MOST_PER_BYTE).saturating_add(64))
        } else {
            self.bytes.len()
        }
    }
}

/// The block at the start of `input` and what follows it; `None` at the end mark.
fn next_block<'i>(
    input: &'i [u8],
    header: &FrameHeader,
) -> Result<Option<(Block<'i>, &'i [u8])>, &'static str> {
    const CUT_OFF: &str = "block is cut off";
    let (size, rest) = read_u32(input).ok_or(CUT_OFF)?;
    let compressed = size & UNCOMPRESSED == 0;
    let size = (size & !UNCOMPRESSED) as usize;
    if size == 0 {
        return Ok(None);
    }
    if size > header.block_max {
        return Err("block is larger than the frame allows");
    }
    let (bytes, rest) = rest.split_at_checked(size).ok_or(CUT_OFF)?;
    let (checksum, rest) = if header.block_checksum {
        let (stored, rest) = read_u32(rest).ok_or(CUT_OFF)?;
        (Some(stored), rest)
    } else {
        (None, rest)
    };
    Ok(Some((Block { bytes, compressed, checksum }, rest)))
}

fn read_u32(input: &[u8]) -> Option<(u32, &[u8])> {
    input.split_first_chunk::<4>().map(|(word, rest)| (u32::from_le_bytes(*word), rest))
}

pub(super) fn compress(table: &mut CompressTable, input: &[u8], out: &mut Vec<u8>) {
    let descriptor = [FLG_VERSION | FLG_INDEPENDENT, 4 << 4];
    out.extend_from_slice(&MAGIC.to_le_bytes());
    out.extend_from_slice(&descriptor);
    out.push((xxh32(&descriptor) >> 8) as u8);
    for block in input.chunks(BLOCK_SIZE) {
        let size_at = out.len();
        out.resize(size_at + 4 + get_maximum_output_size(block.len()), 0);
        let mut size = compress_into_with_table(block, &mut out[size_at + 4..], table)
            .expect("RECORDS-7: the output has the largest possible size");
        let mut mark = size as u32;
        if size >= block.len() {
            size = block.len();
            mark = size as u32 | UNCOMPRESSED;
            out[size_at + 4..size_at + 4 + size].copy_from_slice(block);
        }
        out[size_at..size_at + 4].copy_from_slice(&mark.to_le_bytes());
        out.truncate(size_at + 4 + size);
    }
    out.extend_from_slice(&[0; 4]);
}
