//! Gzip (RFC 1952) over raw deflate contexts, which unlike the gzip ones can be reset and used again.

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

use super::{DecompressError, Output};

const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
const FHCRC: u8 = 2;
const FEXTRA: u8 = 4;
const FNAME: u8 = 8;
const FCOMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;
/// Deflate cannot make more than 1032 bytes out of one.
const MOST_PER_BYTE: usize = 1032;

#[derive(Default)]
pub(super) struct Reader {
    inflate: Option<Decompress>,
}

impl Reader {
    pub(super) fn decompress(
        &mut self,
        mut input: &[u8],
        output: &mut Output<'_>,
    ) -> Result<(), DecompressError> {
        loop {
            input = self.member(input, output)?;
            if input.is_empty() {
                return Ok(());
            }
        }
    }

    /// Reads one member and returns what follows it.
    fn member<'i>(&mut self, input: &'i [u8], output: &mut Output<'_>) -> Result<&'i [u8], DecompressError> {
        let mut input =
            skip_header(input).ok_or_else(|| output.corrupt("not a gzip header, or one that is cut off"))?;
        let inflate = self.inflate.get_or_insert_with(|| Decompress::new(false));
        inflate.reset(false);
        let start = output.used;
        let possible = input.len().saturating_mul(MOST_PER_BYTE);
        // The last four bytes usually are the size; as a hint it costs nothing to be wrong.
        let hint = input.last_chunk::<4>().map_or(0, |size| u32::from_le_bytes(*size) as usize);
        let mut wanted = hint.clamp(64, possible.max(64));
        let mut probe = [0];
        loop {
            let full = output.left() == 0;
            let room = if full { &mut probe[..] } else { output.room(wanted) };
            let (consumed, produced) = (inflate.total_in(), inflate.total_out());
            let status = inflate
                .decompress(input, room, FlushDecompress::None)
                .map_err(|_| output.corrupt("invalid deflate data"))?;
            let consumed = (inflate.total_in() - consumed) as usize;
            let produced = (inflate.total_out() - produced) as usize;
            input = &input[consumed..];
            if full && produced > 0 {
                return Err(output.too_large());
            }
            output.used += produced;
            match status {
                Status::StreamEnd => break,
                _ if consumed == 0 && produced == 0 => return Err(output.corrupt("deflate data is cut off")),
                _ => wanted = (output.used - start).max(4096),
            }
        }
        let (trailer, rest) =
            input.split_first_chunk::<8>().ok_or_else(|| output.corrupt("trailer is cut off"))?;
        let member = &output.buffer[start..output.used];
        let (crc, size) = trailer.split_at(4);
        if crc != crc32fast::hash(member).to_le_bytes() {
            return Err(output.corrupt("checksum mismatch"));
        }
        if size != (member.len() as u32).to_le_bytes() {
            return Err(output.corrupt("size mismatch"));
        }
        Ok(rest)
    }
}

fn skip_header(input: &[u8]) -> Option<&[u8]> {
    let (fixed, mut rest) = input.split_first_chunk::<10>()?;
    let flags = fixed[3];
    if fixed[..3] != MAGIC || flags & RESERVED != 0 {
        return None;
    }
    if flags & FEXTRA != 0 {
        let (length, behind) = rest.split_first_chunk::<2>()?;
        rest = behind.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for flag in [FNAME, FCOMMENT] {
        if flags & flag != 0 {
            let end = rest.iter().position(|&byte| byte == 0)?;
            rest = &rest[end + 1..];
        }
    }
    if flags & FHCRC != 0 {
        let (stored, behind) = rest.split_first_chunk::<2>()?;
        let header = &input[..input.len() - rest.len()];
        if u16::from_le_bytes(*stored) != crc32fast::hash(header) as u16 {
            return None;
        }
        rest = behind;
    }
    Some(rest)
}

#[derive(Default)]
pub(super) struct Writer {
    deflate: Option<(i32, Compress)>,
}

impl Writer {
    pub(super) fn compress(&mut self, level: Option<i32>, input: &[u8], out: &mut Vec<u8>) {
        // -1 is zlib's own default, which is 6.
        let level = match level.unwrap_or(-1) {
            -1 => 6,
            level => level.clamp(1, 9),
        };
        if self.deflate.as_ref().is_none_or(|(made_for, _)| *made_for != level) {
            self.deflate = Some((level, Compress::new(flate2::Compression::new(level as u32), false)));
        }
        let (_, deflate) = self.deflate.as_mut().expect("made above");
        deflate.reset();
        // No time stamp, no flags, operating system unknown: as java.util.zip.GZIPOutputStream.
        out.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
        out.reserve(input.len() / 4 + 64);
        loop {
            let consumed = deflate.total_in() as usize;
            let status = deflate
                .compress_vec(&input[consumed..], out, FlushCompress::Finish)
                .expect("RECORDS-4: deflating into a growing vector cannot fail");
            if status == Status::StreamEnd {
                break;
            }
            out.reserve((input.len() - deflate.total_in() as usize) / 2 + 256);
        }
        out.extend_from_slice(&crc32fast::hash(input).to_le_bytes());
        out.extend_from_slice(&(input.len() as u32).to_le_bytes());
    }
}
