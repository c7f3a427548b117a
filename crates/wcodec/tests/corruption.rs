//! Damage of every kind is an error, and the right one. Longer runs: `WCODEC_FLIPS=8388608` flips
//! as many bits of a file of about 1 MiB, `WCODEC_BURSTS=1000000`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use rayon::prelude::*;
use support::{Rng, bf16, count, f32s, int8, safetensors, tensor};
use wcodec::{EncodeOptions, ErrorKind, Limits, Reader, encode_bytes};

/// Coded, raw, constant, Zstandard and side blocks, tile maps, several groups, tiny layers.
fn original(scale: usize) -> Vec<u8> {
    let mut rng = Rng::new(42);
    let ramp = (0..128 * 128u64).map(|i| ((i / 128 + i % 128) / 2 + rng.below(8)) as u8).collect();
    let side = 256 * scale;
    safetensors(&[
        tensor("int8", "I8", &[side as u64, 300], int8(&mut rng, side * 300)),
        tensor("bf16", "BF16", &[200, side as u64], bf16(&mut rng, 200 * side)),
        tensor("fp32", "F32", &[90, 200], f32s(&mut rng, 90 * 200)),
        tensor("ramp", "U8", &[128, 128], ramp),
        tensor("zero", "F16", &[64, 64], vec![0; 64 * 64 * 2]),
        tensor("noise", "U8", &[100, 100], rng.bytes(10_000)),
        tensor("narrow", "I8", &[900, 3], int8(&mut rng, 2700)),
        tensor("tiny", "F32", &[3], f32s(&mut rng, 3)),
        tensor("index", "I64", &[700], (0..700u64).flat_map(u64::to_le_bytes).collect()),
    ])
}

fn encode(original: &[u8]) -> Vec<u8> {
    let mut options = EncodeOptions::default();
    options.block = Some((128, 128));
    encode_bytes(original, &options, &()).unwrap().0
}

/// What a file decodes to, or why not.
fn decode(file: &[u8]) -> wcodec::Result<Vec<u8>> {
    let mut out = Vec::new();
    Reader::open(file, &Limits::default())?.restore(&mut out, &())?;
    Ok(out)
}

#[test]
fn every_flipped_bit_is_noticed() {
    let file = encode(&original(1));
    let bits = file.len() as u64 * 8;
    let index = Reader::open(file.as_slice(), &Limits::default()).unwrap();
    let body = file.len() as u64 - 128 - index.blocks() * 24;
    // All of header, block table, directory and footer, and a sample of the rest.
    let mut rng = Rng::new(1);
    let sample = (0..2000).map(|_| rng.below(bits));
    let flips: Vec<u64> = (0..64 * 8).chain(body * 8 - 600..bits).chain(sample).collect();
    let silent: Vec<u64> = flips
        .into_par_iter()
        .filter(|&bit| {
            let mut damaged = file.clone();
            damaged[bit as usize / 8] ^= 1 << (bit % 8);
            decode(&damaged).is_ok()
        })
        .collect();
    assert_eq!(silent, [0u64; 0], "flips that went unnoticed");
}

/// A file with one bit flipped, without copying it.
struct Flipped<'a> {
    file: &'a [u8],
    bit: u64,
}

impl wcodec::ReadAt for Flipped<'_> {
    fn size(&self) -> std::io::Result<u64> {
        Ok(self.file.len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> std::io::Result<()> {
        let start = at as usize;
        buffer.copy_from_slice(&self.file[start..start + buffer.len()]);
        if let Some(byte) = (self.bit / 8).checked_sub(at).and_then(|k| buffer.get_mut(k as usize))
        {
            *byte ^= 1 << (self.bit % 8);
        }
        Ok(())
    }
}

/// Every bit of a file of many layers of one block each: a flip in a block is looked for in its
/// layer alone, which makes 8,388,608 of them affordable (`WCODEC_FLIPS=8388608`).
#[test]
fn every_flipped_bit_is_noticed_in_its_layer() {
    let wanted = count("WCODEC_FLIPS", 20_000);
    let mut rng = Rng::new(3);
    let tensors: Vec<_> = (0..(wanted / 15_000).max(8))
        .map(|k| {
            let name = format!("l{k}");
            match k % 4 {
                0 => tensor(&name, "I8", &[48, 64], int8(&mut rng, 48 * 64)),
                1 => tensor(&name, "BF16", &[32, 64], bf16(&mut rng, 32 * 64)),
                2 => {
                    let slope = (0..48 * 64u64).map(|i| (i / 64 + i % 64 + rng.below(6)) as u8);
                    tensor(&name, "U8", &[48, 64], slope.collect())
                }
                _ => tensor(&name, "F32", &[32, 40], f32s(&mut rng, 32 * 40)),
            }
        })
        .collect();
    let file = encode(&safetensors(&tensors));
    let reader = Reader::open(file.as_slice(), &Limits::default()).unwrap();
    // Segment 0 is the safetensors header, and every layer is a segment of one block behind it.
    assert_eq!(reader.blocks(), tensors.len() as u64 + 1);
    let footer = &file[file.len() - 128..];
    let table_at = u64::from_le_bytes(footer[..8].try_into().unwrap()) as usize;
    let ends: Vec<usize> = file[table_at..table_at + 24 * reader.blocks() as usize]
        .chunks(24)
        .map(|r| {
            let at = u64::from_le_bytes(r[..8].try_into().unwrap()) as usize;
            at + u32::from_le_bytes(r[16..20].try_into().unwrap()) as usize
        })
        .collect();
    let bits = (file.len() as u64 * 8).min(wanted);
    let step = (file.len() as u64 * 8 / bits).max(1);
    let silent = (0..bits)
        .into_par_iter()
        .map(|k| k * step)
        .filter(|&bit| {
            let flipped = Flipped { file: &file, bit };
            let Ok(reader) = Reader::open(flipped, &Limits::default()) else { return false };
            match ends.iter().position(|&end| (bit / 8) < end as u64) {
                Some(0) | None => reader.verify(&()).is_ok(),
                Some(block) => reader.decode_layer(block - 1).is_ok(),
            }
        })
        .count();
    eprintln!("{bits} flips in a file of {} bytes, {silent} unnoticed", file.len());
    assert_eq!(silent, 0);
}

#[test]
fn every_prefix_is_truncated_and_every_tail_trailing() {
    let file = encode(&safetensors(&[tensor("w", "I8", &[64, 64], int8(&mut Rng::new(5), 4096))]));
    for length in 0..file.len() {
        let error = decode(&file[..length]).unwrap_err();
        let expected = if length == 0 {
            matches!(error.kind(), ErrorKind::NotWcodec)
        } else {
            matches!(error.kind(), ErrorKind::Truncated { have } if *have == length as u64)
        };
        assert!(expected, "{length}: {error}");
    }
    let mut longer = file.clone();
    for extra in 1..=4096u64 {
        longer.push((extra * 37) as u8);
        let error = decode(&longer).unwrap_err();
        let right = matches!(error.kind(), ErrorKind::TrailingBytes { extra: e } if *e == extra);
        assert!(right, "{extra}: {error}");
    }
}

#[test]
fn bursts_are_noticed_and_placed() {
    let file = encode(&original(1));
    let reader = Reader::open(file.as_slice(), &Limits::default()).unwrap();
    assert!(reader.blocks() > 10);
    let missed: u64 = (0..count("WCODEC_BURSTS", 400))
        .into_par_iter()
        .map(|seed| {
            let mut rng = Rng::new(seed);
            let mut damaged = file.clone();
            let at = rng.below(file.len() as u64 - 64) as usize;
            match rng.below(3) {
                0 => {
                    let length = 2 + rng.below(63) as usize;
                    let burst = rng.bytes(length);
                    damaged[at..at + length].copy_from_slice(&burst);
                }
                1 => {
                    let end = (at + 4096).min(file.len());
                    damaged[at..end].fill(0);
                }
                _ => {
                    let sectors = file.len() as u64 / 512;
                    let (a, b) =
                        (rng.below(sectors) as usize * 512, rng.below(sectors) as usize * 512);
                    for k in 0..512 {
                        damaged.swap(a + k, b + k);
                    }
                }
            }
            u64::from(damaged != file && decode(&damaged).is_ok())
        })
        .sum();
    assert_eq!(missed, 0);
}

#[test]
fn a_damaged_block_is_named() {
    let file = encode(&original(1));
    let reader = Reader::open(file.as_slice(), &Limits::default()).unwrap();
    let index = reader.find("bf16").unwrap();
    // Find a byte of that layer by trying: damage one byte after another until it is hit.
    let mut found = 0;
    for at in (64..file.len()).step_by(997) {
        let mut damaged = file.clone();
        damaged[at] ^= 0x10;
        let Ok(reader) = Reader::open(damaged.as_slice(), &Limits::default()) else { continue };
        if let Err(error) = reader.decode_layer(index) {
            assert_eq!(error.layer(), Some("bf16"), "{error}");
            assert!(error.block().is_some() && error.byte().is_some(), "{error}");
            assert!(
                reader.decode_layer(reader.find("int8").unwrap()).is_ok(),
                "others still decode"
            );
            found += 1;
        }
    }
    assert!(found > 5);
}

/// Every pair of blocks of the same size in the file, and of two files of the same shapes.
#[test]
fn swapped_blocks_are_noticed() {
    let mut rng = Rng::new(8);
    let layer = |rng: &mut Rng| tensor("w", "U8", &[40, 64], rng.bytes(40 * 64));
    let mut options = EncodeOptions::default();
    options.block = Some((4, 64));
    let (a, b) = (safetensors(&[layer(&mut rng)]), safetensors(&[layer(&mut rng)]));
    let (a, b) =
        (encode_bytes(&a, &options, &()).unwrap().0, encode_bytes(&b, &options, &()).unwrap().0);
    assert_eq!(a.len(), b.len(), "raw blocks of the same shapes");
    let blocks: Vec<usize> = (0..10).map(|k| a.len() - 128 - 24 * 11 - 4 * 64 * (k + 1)).collect();
    let mut tried = 0;
    for &x in &blocks {
        for &y in &blocks {
            for other in [&a, &b] {
                let (x, y) = (x / 64 * 64, y / 64 * 64);
                let mut damaged = a.clone();
                damaged[x..x + 256].copy_from_slice(&other[y..y + 256]);
                if damaged != a {
                    assert!(decode(&damaged).is_err(), "{x} {y}");
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 100);
}
