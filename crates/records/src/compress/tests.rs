//! Tests of the codecs, both ways and with hostile input.

use super::*;

const CODECS: [Compression; 4] =
    [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

/// Text-like bytes: compressible, but not trivially.
fn sample(len: usize) -> Vec<u8> {
    let mut state = 7u32;
    (0..len)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if i % 7 < 5 { b"order:"[i % 6] } else { (state >> 24) as u8 }
        })
        .collect()
}

fn packed(codec: Compression, input: &[u8]) -> Vec<u8> {
    let mut out = b"front".to_vec();
    Compressor::new().compress(codec, None, input, &mut out);
    assert_eq!(&out[..5], b"front", "output is appended");
    out.split_off(5)
}

#[test]
fn every_size_round_trips_through_reused_contexts() {
    let (mut compressor, mut decompressor) = (Compressor::new(), Decompressor::new());
    for len in [0, 1, 100, 32 * 1024, 64 * 1024, 64 * 1024 + 1, 300_000, 5_000, 1_500_000, 0] {
        let input = sample(len);
        for codec in Compression::ALL {
            let mut packed = Vec::new();
            compressor.compress(codec, None, &input, &mut packed);
            let unpacked = decompressor.decompress(codec, &packed, len);
            assert!(unpacked == Ok(&input[..]), "{codec} of {len} bytes");
            if codec != Compression::None && len > 1000 {
                assert!(packed.len() < len, "{codec} of {len} bytes: {}", packed.len());
            }
        }
    }
}

#[test]
fn levels_are_honoured() {
    let input = sample(100_000);
    for (codec, low, high) in [(Compression::Gzip, 1, 9), (Compression::Zstd, -5, 19)] {
        let mut compressor = Compressor::new();
        let sizes = [low, high, low].map(|level| {
            let mut out = Vec::new();
            compressor.compress(codec, Some(level), &input, &mut out);
            assert!(Decompressor::new().decompress(codec, &out, input.len()) == Ok(&input[..]));
            out.len()
        });
        assert!(sizes[0] > sizes[1] && sizes[0] == sizes[2], "{codec}: {sizes:?}");
    }
}

#[test]
fn one_byte_above_the_cap_is_refused() {
    let input = sample(200_000);
    for codec in Compression::ALL {
        let packed = packed(codec, &input);
        for cap in [0, 1, 100, 65_536, 131_072, input.len() - 1] {
            let result = Decompressor::new().decompress(codec, &packed, cap).map(<[u8]>::len);
            assert_eq!(result, Err(DecompressError::TooLarge { cap }), "{codec}");
        }
        assert_eq!(Decompressor::new().decompress(codec, &packed, input.len()).unwrap().len(), input.len());
    }
}

#[test]
fn incompressible_bytes_round_trip() {
    let mut state = 1u64;
    let input: Vec<u8> = (0..200_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect();
    for codec in CODECS {
        assert!(Decompressor::new().decompress(codec, &packed(codec, &input), input.len()) == Ok(&input[..]));
    }
}

#[test]
fn cut_off_data_is_refused_at_every_length() {
    let input = sample(3_000);
    for codec in CODECS {
        let packed = packed(codec, &input);
        for len in 0..packed.len() {
            let mut decompressor = Decompressor::new();
            let result = decompressor.decompress(codec, &packed[..len], 1 << 20);
            // A framed snappy stream has no end mark: it may end behind any chunk, also behind its header.
            if codec == Compression::Snappy && len == 16 {
                assert_eq!(result, Ok(&[][..]));
            } else {
                assert!(
                    matches!(result, Err(DecompressError::Corrupt { .. })),
                    "{codec} at {len}: {result:?}"
                );
            }
        }
    }
}

#[test]
fn bytes_behind_the_end_are_refused() {
    for codec in CODECS {
        let mut packed = packed(codec, b"content");
        packed.extend_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        let mut decompressor = Decompressor::new();
        let result = decompressor.decompress(codec, &packed, 1 << 20);
        assert!(matches!(result, Err(DecompressError::Corrupt { .. })), "{codec}: {result:?}");
    }
}

#[test]
fn concatenated_frames_are_one_stream() {
    let input = sample(150_000);
    for codec in CODECS {
        let both = [packed(codec, &input), packed(codec, b""), packed(codec, &input[..777])].concat();
        let expected = [&input[..], &input[..777]].concat();
        assert!(Decompressor::new().decompress(codec, &both, expected.len()) == Ok(&expected[..]), "{codec}");
        let cap = expected.len() - 1;
        assert_eq!(
            Decompressor::new().decompress(codec, &both, cap),
            Err(DecompressError::TooLarge { cap }),
            "{codec}"
        );
    }
}

#[test]
fn raw_snappy_is_read_too() {
    let input = sample(100_000);
    let raw = snap::raw::Encoder::new().compress_vec(&input).unwrap();
    assert!(Decompressor::new().decompress(Compression::Snappy, &raw, input.len()) == Ok(&input[..]));
}

#[test]
fn lz4_frames_of_every_kind_are_read() {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    use std::io::Write;
    let input = sample(700_000);
    for block_mode in [BlockMode::Independent, BlockMode::Linked] {
        for block_size in [BlockSize::Max64KB, BlockSize::Max1MB, BlockSize::Max4MB] {
            for flags in 0..8 {
                let info = FrameInfo::new()
                    .block_mode(block_mode)
                    .block_size(block_size)
                    .block_checksums(flags & 1 != 0)
                    .content_checksum(flags & 2 != 0)
                    .content_size((flags & 4 != 0).then_some(input.len() as u64));
                let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
                encoder.write_all(&input).unwrap();
                let mut frame = encoder.finish().unwrap();
                assert!(
                    Decompressor::new().decompress(Compression::Lz4, &frame, input.len()) == Ok(&input[..])
                );
                if flags & 3 != 0 {
                    let at = frame.len() - 5 - 4 * usize::from(flags & 2 != 0);
                    frame[at] ^= 1;
                    assert!(
                        Decompressor::new().decompress(Compression::Lz4, &frame, input.len()).is_err(),
                        "a checksum is checked: {flags}"
                    );
                }
            }
        }
    }
}

#[test]
fn our_lz4_frames_are_read_by_another_decoder() {
    use std::io::Read;
    let input = sample(200_000);
    let mut out = Vec::new();
    let frame = packed(Compression::Lz4, &input);
    lz4_flex::frame::FrameDecoder::new(&frame[..]).read_to_end(&mut out).unwrap();
    assert!(out == input);
}

#[test]
fn the_lz4_header_checksum_is_ignored_for_magic_0_only() {
    let mut frame = packed(Compression::Lz4, b"content");
    frame[6] ^= 0x55;
    let mut decompressor = Decompressor::new();
    let refused = decompressor.decompress(Compression::Lz4, &frame, 100);
    assert!(matches!(refused, Err(DecompressError::Corrupt { fault: "frame header checksum mismatch", .. })));
    assert_eq!(decompressor.decompress_magic_0(Compression::Lz4, &frame, 100), Ok(&b"content"[..]));
}

#[test]
fn gzip_headers_with_all_optional_fields_are_read() {
    let plain = packed(Compression::Gzip, b"content");
    let mut header = vec![0x1f, 0x8b, 8, 0x1e, 1, 2, 3, 4, 0, 3, 3, 0, b'x', b'y', b'z'];
    header.extend_from_slice(b"name\0comment\0");
    let crc = crc32fast::hash(&header) as u16;
    header.extend_from_slice(&crc.to_le_bytes());
    let mut member = [&header[..], &plain[10..]].concat();
    assert_eq!(Decompressor::new().decompress(Compression::Gzip, &member, 100), Ok(&b"content"[..]));
    member[16] ^= 1;
    assert!(Decompressor::new().decompress(Compression::Gzip, &member, 100).is_err());
}

#[test]
fn gzip_checksum_and_size_are_checked() {
    let good = packed(Compression::Gzip, b"content");
    for from_end in 1..=8 {
        let mut bad = good.clone();
        let at = bad.len() - from_end;
        bad[at] ^= 1;
        assert!(Decompressor::new().decompress(Compression::Gzip, &bad, 100).is_err(), "{from_end}");
    }
}

#[test]
fn zstd_made_by_streams_without_content_size_is_read() {
    let input = sample(500_000);
    for (level, checksum) in [(1, false), (3, true), (22, false)] {
        let mut encoder = ::zstd::Encoder::new(Vec::new(), level).unwrap();
        encoder.include_checksum(checksum).unwrap();
        for part in input.chunks(10_000) {
            std::io::Write::write_all(&mut encoder, part).unwrap();
        }
        let frame = encoder.finish().unwrap();
        assert!(Decompressor::new().decompress(Compression::Zstd, &frame, input.len()) == Ok(&input[..]));
        let cap = input.len() - 1;
        assert_eq!(
            Decompressor::new().decompress(Compression::Zstd, &frame, cap),
            Err(DecompressError::TooLarge { cap })
        );
    }
}

#[test]
fn bombs_reserve_no_more_than_the_cap() {
    let zeros = vec![0; 50_000_000];
    for codec in CODECS {
        let bomb = packed(codec, &zeros);
        let cap = 1 << 20;
        let mut decompressor = Decompressor::new();
        assert_eq!(decompressor.decompress(codec, &bomb, cap), Err(DecompressError::TooLarge { cap }));
        assert!(decompressor.output.capacity() <= cap, "{codec}: {}", decompressor.output.capacity());
    }
}

#[test]
fn promises_are_not_believed() {
    // A raw snappy block that claims 4 GiB, and one that claims 1 MB in 10 bytes.
    let mut decompressor = Decompressor::new();
    for block in [&[0xff, 0xff, 0xff, 0xff, 0x0f, 0][..], &[0xc0, 0x84, 0x3d, 0, 0, 0, 0, 0, 0, 0]] {
        assert!(decompressor.decompress(Compression::Snappy, block, 1 << 24).is_err());
        assert_eq!(decompressor.output.capacity(), 0);
    }
    // An lz4 frame of 4 MiB blocks with a block of five bytes.
    let mut frame = vec![4, 0x22, 0x4d, 0x18, 0x60, 0x70, 0x73, 5, 0, 0, 0, 0x10, 7, 9, 0, 0, 0, 0, 0, 0];
    assert!(decompressor.decompress(Compression::Lz4, &frame, 1 << 24).is_err());
    assert!(decompressor.output.capacity() < 2_000, "{}", decompressor.output.capacity());
    frame[6] = 0;
    assert!(decompressor.decompress(Compression::Lz4, &frame, 1 << 24).is_err());
    // A gzip trailer that claims 4 GiB.
    let mut member = packed(Compression::Gzip, b"content");
    let at = member.len() - 4;
    member[at..].fill(0xff);
    assert!(decompressor.decompress(Compression::Gzip, &member, 1 << 30).is_err());
    assert!(decompressor.output.capacity() < 100_000, "{}", decompressor.output.capacity());
}

#[test]
fn the_buffer_is_given_back_on_request() {
    let packed = packed(Compression::Zstd, &sample(1_000_000));
    let mut decompressor = Decompressor::new();
    decompressor.decompress(Compression::Zstd, &packed, 1 << 21).unwrap();
    decompressor.shrink(2 << 20);
    assert!(decompressor.output.capacity() >= 1_000_000);
    decompressor.shrink(100_000);
    assert_eq!(decompressor.output.capacity(), 0);
}
