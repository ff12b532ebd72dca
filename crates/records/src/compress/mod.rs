//! The four codecs of Kafka, both ways, with contexts and buffers that are used again.
//!
//! Decompression never makes more than the caller's cap, and never reserves more than the compressed bytes
//! can possibly become: a header that promises gigabytes is refused or ignored, not believed. Every format
//! is read whole: bytes behind its end are an error, and concatenated frames or members are read one after
//! the other.

mod gzip;
mod lz4;
mod snappy;
mod xxh32;
mod zstd;

use crate::record::RecordIter;
use crate::{Batch, Compression};

/// Why bytes could not be decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecompressError {
    /// They are (or claim to be) more than the cap allows.
    #[error("decompressed data exceeds the limit of {cap} bytes")]
    TooLarge {
        /// The caller's cap in bytes.
        cap: usize,
    },
    /// They are not what the codec writes.
    #[error("corrupt {codec} data: {fault}")]
    Corrupt {
        /// The codec.
        codec: Compression,
        /// What is wrong.
        fault: &'static str,
    },
    /// The compression id of the batch is none that Kafka defines.
    #[error("unknown compression type id {id}")]
    UnknownCodec {
        /// The id, 5 to 7.
        id: u8,
    },
}

/// Decompresses into a buffer of its own; keep one per thread.
pub struct Decompressor {
    output: Vec<u8>,
    gzip: gzip::Reader,
    snappy: snap::raw::Decoder,
    zstd: zstd::Reader,
}

impl Default for Decompressor {
    fn default() -> Self {
        Decompressor::new()
    }
}

impl std::fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decompressor").field("buffered", &self.output.len()).finish_non_exhaustive()
    }
}

impl Decompressor {
    /// Allocates nothing before it is used; contexts are made on first use of their codec.
    pub fn new() -> Decompressor {
        Decompressor {
            output: Vec::new(),
            gzip: gzip::Reader::default(),
            snappy: snap::raw::Decoder::new(),
            zstd: zstd::Reader::default(),
        }
    }

    /// Decompresses `input`, at most `cap` bytes of output. With [`Compression::None`] the input comes back.
    pub fn decompress<'s>(
        &'s mut self,
        codec: Compression,
        input: &'s [u8],
        cap: usize,
    ) -> Result<&'s [u8], DecompressError> {
        self.run(codec, input, cap, lz4::HeaderChecksum::Checked)
    }

    /// As [`Decompressor::decompress`], for the value of a magic 0 wrapper: old clients wrote a wrong header
    /// checksum into its LZ4 frames (KAFKA-3160), which is therefore not looked at.
    pub(crate) fn decompress_magic_0<'s>(
        &'s mut self,
        codec: Compression,
        input: &'s [u8],
        cap: usize,
    ) -> Result<&'s [u8], DecompressError> {
        self.run(codec, input, cap, lz4::HeaderChecksum::Ignored)
    }

    fn run<'s>(
        &'s mut self,
        codec: Compression,
        input: &'s [u8],
        cap: usize,
        lz4_header: lz4::HeaderChecksum,
    ) -> Result<&'s [u8], DecompressError> {
        let mut output = Output { codec, buffer: &mut self.output, used: 0, cap };
        match codec {
            Compression::None if input.len() > cap => return Err(DecompressError::TooLarge { cap }),
            Compression::None => return Ok(input),
            Compression::Gzip => self.gzip.decompress(input, &mut output)?,
            Compression::Snappy => snappy::decompress(&mut self.snappy, input, &mut output)?,
            Compression::Lz4 => lz4::decompress(input, &mut output, lz4_header)?,
            Compression::Zstd => self.zstd.decompress(input, &mut output)?,
        }
        let used = output.used;
        Ok(&self.output[..used])
    }

    /// The records of a batch, decompressed first if need be, to at most `cap` bytes.
    pub fn records<'s>(
        &'s mut self,
        batch: &Batch<'s>,
        cap: usize,
    ) -> Result<RecordIter<'s>, DecompressError> {
        Ok(RecordIter::new(batch.header(), self.body(batch, cap)?))
    }

    /// The body of a batch, decompressed first if need be, to at most `cap` bytes. A batch that compaction has
    /// emptied keeps its compression bits but has no body.
    pub fn body<'s>(&'s mut self, batch: &Batch<'s>, cap: usize) -> Result<&'s [u8], DecompressError> {
        let codec = batch
            .compression()
            .ok_or(DecompressError::UnknownCodec { id: batch.attributes.compression_id() })?;
        if batch.count == 0 && batch.body().is_empty() {
            return Ok(&[]);
        }
        self.decompress(codec, batch.body(), cap)
    }

    /// Gives the output buffer back to the allocator if it has grown beyond `keep` bytes.
    pub fn shrink(&mut self, keep: usize) {
        if self.output.capacity() > keep {
            self.output = Vec::new();
        }
    }
}

/// Where a decoder writes: a buffer that keeps its initialised length between uses.
struct Output<'a> {
    codec: Compression,
    buffer: &'a mut Vec<u8>,
    used: usize,
    cap: usize,
}

impl Output<'_> {
    /// At least `wanted` bytes to write to, or as many as the cap leaves if that is less.
    fn room(&mut self, wanted: usize) -> &mut [u8] {
        let wanted = wanted.min(self.cap - self.used);
        let needed = self.used + wanted;
        if self.buffer.len() < needed {
            if self.used == 0 {
                // Zeroed by the allocator: pages that are not written to are never touched.
                *self.buffer = Vec::new();
                *self.buffer = vec![0; needed];
            } else {
                self.buffer.reserve_exact(needed - self.buffer.len());
                self.buffer.resize(needed, 0);
            }
        }
        &mut self.buffer[self.used..needed]
    }

    /// What was written so far, and exactly `wanted` (or what the cap leaves) bytes to write to.
    fn split(&mut self, wanted: usize) -> (&[u8], &mut [u8]) {
        let wanted = self.room(wanted).len();
        let (written, free) = self.buffer.split_at_mut(self.used);
        (written, &mut free[..wanted])
    }

    /// Refuses when `more` bytes do not fit under the cap.
    fn require(&self, more: usize) -> Result<(), DecompressError> {
        if more > self.cap - self.used { Err(self.too_large()) } else { Ok(()) }
    }

    fn left(&self) -> usize {
        self.cap - self.used
    }

    fn too_large(&self) -> DecompressError {
        DecompressError::TooLarge { cap: self.cap }
    }

    fn corrupt(&self, fault: &'static str) -> DecompressError {
        DecompressError::Corrupt { codec: self.codec, fault }
    }
}

/// Compresses; keep one per thread. Output is what the Java clients write: gzip with their header, snappy in
/// xerial framing, independent 64 KiB lz4 blocks, one zstd frame.
pub struct Compressor {
    gzip: gzip::Writer,
    snappy: snap::raw::Encoder,
    lz4: Option<Box<lz4_flex::block::CompressTable>>,
    zstd: zstd::Writer,
}

impl Default for Compressor {
    fn default() -> Self {
        Compressor::new()
    }
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}

impl Compressor {
    /// Contexts are made on first use of their codec.
    pub fn new() -> Compressor {
        Compressor {
            gzip: gzip::Writer::default(),
            snappy: snap::raw::Encoder::new(),
            lz4: None,
            zstd: zstd::Writer::default(),
        }
    }

    /// Compresses `input` and appends the result to `out`.
    ///
    /// `level` is the topic's `compression.gzip.level` (-1, 1 to 9; default -1) or `compression.zstd.level`
    /// (-131072 to 22; default 3); other values are taken as the nearest. Snappy has none, and lz4 is always
    /// compressed with the fast method, which is what Kafka does at its default level.
    pub fn compress(&mut self, codec: Compression, level: Option<i32>, input: &[u8], out: &mut Vec<u8>) {
        match codec {
            Compression::None => out.extend_from_slice(input),
            Compression::Gzip => self.gzip.compress(level, input, out),
            Compression::Snappy => snappy::compress(&mut self.snappy, input, out),
            Compression::Lz4 => lz4::compress(self.lz4.get_or_insert_default(), input, out),
            Compression::Zstd => self.zstd.compress(level, input, out),
        }
    }
}

#[cfg(test)]
mod tests;
