//! Snappy, raw and in the stream framing of xerial's snappy-java, which Kafka's Java clients write.
//!
//! The framing: magic, i32 version, i32 lowest compatible version, then chunks of i32 length and a raw
//! snappy block each. Streams may be concatenated: a header may stand where a chunk is expected.

use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::{DecompressError, Output};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const HEADER_SIZE: usize = 16;
/// What one chunk of [`compress`] holds: the default of snappy-java.
const BLOCK_SIZE: usize = 32 * 1024;

/// A copy of 64 bytes takes three, so no snappy block can become more than this.
fn most_from(block: usize) -> usize {
    block.saturating_mul(22)
}

pub(super) fn decompress(
    decoder: &mut Decoder,
    input: &[u8],
    output: &mut Output<'_>,
) -> Result<(), DecompressError> {
    if !input.starts_with(&MAGIC) {
        return block(decoder, input, output);
    }
    // All lengths are known before the first block is decompressed, so that the output grows once.
    let mut total = 0usize;
    for chunk in chunks(input) {
        total = total.saturating_add(block_size(chunk.map_err(|fault| output.corrupt(fault))?, output)?);
        output.require(total)?;
    }
    output.room(total);
    for chunk in chunks(input) {
        block(decoder, chunk.expect("RECORDS-5: chunks were walked before"), output)?;
    }
    Ok(())
}

fn block_size(block: &[u8], output: &Output<'_>) -> Result<usize, DecompressError> {
    let size = decompress_len(block).map_err(|_| output.corrupt("invalid block header"))?;
    output.require(size)?;
    if size > most_from(block.len()) {
        return Err(output.corrupt("block claims more than it can hold"));
    }
    Ok(size)
}

fn block(decoder: &mut Decoder, block: &[u8], output: &mut Output<'_>) -> Result<(), DecompressError> {
    let size = block_size(block, output)?;
    match decoder.decompress(block, output.room(size)) {
        Ok(written) => output.used += written,
        Err(_) => return Err(output.corrupt("invalid block")),
    }
    Ok(())
}

/// The raw blocks of a framed stream.
fn chunks(input: &[u8]) -> impl Iterator<Item = Result<&[u8], &'static str>> {
    let mut rest = input;
    std::iter::from_fn(move || {
        while rest.starts_with(&MAGIC) {
            match rest.get(HEADER_SIZE..) {
                Some(behind) => rest = behind,
                None => return Some(Err(cut_off(&mut rest))),
            }
        }
        if rest.is_empty() {
            return None;
        }
        let Some((length, behind)) = rest.split_first_chunk::<4>() else {
            return Some(Err(cut_off(&mut rest)));
        };
        match usize::try_from(i32::from_be_bytes(*length)) {
            Ok(length) if length <= behind.len() => {
                let (chunk, next) = behind.split_at(length);
                rest = next;
                Some(Ok(chunk))
            }
            _ => Some(Err(cut_off(&mut rest))),
        }
    })
}

fn cut_off(rest: &mut &[u8]) -> &'static str {
    *rest = &[];
    "stream framing is cut off"
}

pub(super) fn compress(encoder: &mut Encoder, input: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
    for block in input.chunks(BLOCK_SIZE) {
        let length_at = out.len();
        out.resize(length_at + 4 + max_compress_len(block.len()), 0);
        let written = encoder
            .compress(block, &mut out[length_at + 4..])
            .expect("RECORDS-6: the output has the largest possible size");
        out[length_at..length_at + 4].copy_from_slice(&(written as i32).to_be_bytes());
        out.truncate(length_at + 4 + written);
    }
}
