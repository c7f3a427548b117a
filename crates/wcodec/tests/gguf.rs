//! GGUF: blocks are split into fields and come back; what is not as it should be is kept as bytes.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use proptest::prelude::*;
use std::sync::Mutex;
use support::Rng;
use support::gguf::{BLOCKS, Gguf, Tensor, array, blocks, pair, quantised, string, with_contexts};
use wcodec::{
    Effort, ElementType, EncodeOptions, Limits, Observer, Reader, SourceKind, Span, encode_bytes,
};

/// Keeps warnings.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Observer for Warnings {
    fn warn(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

/// Encodes and restores; returns the coded file and the warnings.
fn round_trip(original: &[u8], effort: Effort) -> (Vec<u8>, Vec<String>) {
    let warnings = Warnings::default();
    let mut options = EncodeOptions::default();
    (options.effort, options.verify) = (effort, false);
    let (coded, _) = encode_bytes(original, &options, &warnings).unwrap();
    let mut back = Vec::new();
    let reader = Reader::open(coded.as_slice(), &Limits::default()).unwrap();
    reader.restore(&mut back, &()).unwrap();
    assert!(back == original);
    (coded, warnings.0.into_inner().unwrap())
}

fn open(coded: &[u8]) -> Reader<&[u8]> {
    Reader::open(coded, &Limits::default()).unwrap()
}

#[test]
fn every_type_of_block_comes_back() {
    let mut rng = Rng::new(1);
    let tensors = BLOCKS.map(|(name, ..)| blocks(&mut rng, name, 70, 512)).to_vec();
    let file = Gguf::new(tensors.clone());
    for effort in [Effort::Fast, Effort::Default] {
        let (coded, warnings) = round_trip(&file.build(), effort);
        assert_eq!(warnings, [""; 0]);
        let reader = open(&coded);
        assert_eq!(reader.source_kind(), SourceKind::Gguf);
        let layers: Vec<_> = reader.layers().cloned().collect();
        assert_eq!(layers.len(), tensors.len());
        for (index, (layer, tensor)) in layers.iter().zip(&tensors).enumerate() {
            let (dtype, _, values, bytes) = BLOCKS[index];
            assert_eq!((layer.name.as_str(), layer.dtype.as_str()), (tensor.name.as_str(), dtype));
            assert_eq!(layer.shape, [70, 512]);
            assert!(reader.decode_layer(index).unwrap() == tensor.data, "{dtype}");
            let shape = vec![70, 512 / values * bytes];
            assert_eq!(reader.layer_array(index).unwrap(), Some((ElementType::U8, shape)));
            let stats = reader.layer_stats(index).unwrap();
            assert_eq!((stats.original_bytes, stats.elements), (layer.bytes, 70 * 512));
            assert!(stats.scaled_elements <= stats.elements);
        }
        assert!(coded.len() < file.build().len() * 97 / 100, "nibbles take fewer than 4 bits");
    }
}

/// Several packings: the layer is larger than one.
#[test]
fn parts_are_whole_blocks() {
    let mut rng = Rng::new(2);
    let (rows, cols) = (1100, 8192);
    let tensor = blocks(&mut rng, "Q8_0", rows, cols);
    let original = Gguf::new(vec![tensor.clone()]).build();
    let (coded, _) = round_trip(&original, Effort::Fast);
    let reader = open(&coded);
    let row = cols as usize / 32 * 34;
    let of = |rows: std::ops::Range<usize>, blocks: std::ops::Range<usize>| -> Vec<u8> {
        let row = |r: usize| &tensor.data[r * row..][blocks.start * 34..blocks.end * 34];
        rows.flat_map(row).copied().collect()
    };
    for (rows, blocks) in [(0..1, 0..256), (540..560, 0..256), (0..1100, 7..9), (3..3, 0..1)] {
        let cols = blocks.start as u64 * 32..blocks.end as u64 * 32;
        let found = reader.decode_slice(0, rows.start as u64..rows.end as u64, cols).unwrap();
        assert!(found == of(rows.clone(), blocks.clone()), "{rows:?} {blocks:?}");
    }
    let mut out = vec![0; 220 * 34];
    let spans = [Span { start: 4, count: 220, step: 5 }, Span::from(64..96)];
    reader.decode_part_into(0, &spans, &mut out, &()).unwrap();
    let expected: Vec<u8> = (0..220).flat_map(|k| of(4 + 5 * k..5 + 5 * k, 2..3)).collect();
    assert!(out == expected);
    for cols in [0..31, 1..33, 5..10] {
        let error = reader.decode_slice(0, 0..1, cols).unwrap_err().to_string();
        assert!(error.contains("cut blocks of 32 elements"), "{error}");
    }
    // The original is bytes: ranges may cut blocks.
    let n = original.len() as u64;
    for range in [0..n, 0..500, 1000..1001, n - 1..n, 8_999_990..9_300_000, n / 2..n / 2] {
        let found = reader.decode_range(range.clone()).unwrap();
        assert!(found == original[range.start as usize..range.end as usize], "{range:?}");
    }
    // Whole structs' worth of bytes, wherever the tensor begins.
    let structs = |first: u64| (first / 34..first / 34 + 9).map(|k| 34 * k);
    let data = n - tensor.data.len() as u64;
    for start in [0, data, data + (4 << 20), data + (8 << 20)].into_iter().flat_map(structs) {
        for end in structs(start).chain([n / 34 * 34]) {
            let found = reader.decode_range(start..end).unwrap();
            assert!(found == original[start as usize..end as usize], "{start}:{end}");
        }
    }
}

/// So small that all elements lie in the tail.
#[test]
fn small_tensors_with_contexts_come_back() {
    for (name, _, values, bytes) in BLOCKS {
        let least = 2048u64.div_ceil(bytes);
        for rows in [1, least.div_ceil(3), least, 2 * least] {
            let tensor = blocks(&mut Rng::new(5), name, rows, 3 * values);
            let (coded, _) = round_trip(&Gguf::new(vec![tensor.clone()]).build(), Effort::Default);
            assert!(open(&coded).decode_layer(0).unwrap() == tensor.data, "{name} {rows}");
        }
    }
}

/// Codes that every block has are told by their places, unless they are none.
#[test]
fn pivots_come_back_in_parts_too() {
    for (name, bytes) in [("Q8_0", 34), ("Q4_1", 20)] {
        let tensor = quantised(&mut Rng::new(4), name, 300, 512);
        let (coded, _) = round_trip(&Gguf::new(vec![tensor.clone()]).build(), Effort::Default);
        assert_eq!(coded[10], 4, "the version with pivots");
        let reader = open(&coded);
        let row = 16 * bytes;
        let expected: Vec<u8> = (100..130)
            .flat_map(|r| &tensor.data[r * row + bytes..r * row + 3 * bytes])
            .copied()
            .collect();
        assert!(reader.decode_slice(0, 100..130, 32..96).unwrap() == expected);
        assert_eq!(reader.layer_stats(0).unwrap().elements, 300 * 512);
        let mut other = tensor.clone();
        let last = other.data.len() - bytes + 2;
        other.data[last..].iter_mut().for_each(|byte| *byte = *byte & 0x37 | 0xc1);
        // Without contexts, which are of the same version.
        let fast = |tensor| round_trip(&Gguf::new(vec![tensor]).build(), Effort::Fast).0;
        let (with, without) = (fast(tensor), fast(other));
        // A code of 8 bits has no room beside the places; one of 4 bits has.
        assert_eq!(without[10], if name == "Q8_0" { 3 } else { 4 });
        let larger = if name == "Q8_0" { 500 } else { 0 };
        assert!(with.len() + larger <= without.len(), "{} {}", with.len(), without.len());
    }
}

/// Codes whose distribution their scales and minima tell are smaller, whole and in parts.
#[test]
fn contexts_come_back_in_parts_too() {
    for (name, values, bytes) in [("Q8_0", 32, 34), ("Q4_1", 32, 20), ("Q6_K", 256, 210)] {
        // Several blocks across and down.
        let tensor = with_contexts(&mut Rng::new(5), name, 700, 1536);
        let file = Gguf::new(vec![tensor.clone()]).build();
        let (coded, _) = round_trip(&file, Effort::Default);
        let (fast, _) = round_trip(&file, Effort::Fast);
        assert!(coded.len() + coded.len() / 100 < fast.len(), "{} {}", coded.len(), fast.len());
        let reader = open(&coded);
        let elements = reader.layer_stats(0).unwrap();
        assert_eq!(elements.elements, 700 * 1536);
        // A block may be smaller with a table of its own.
        assert!(elements.scaled_elements >= 700 * 1536 / 10 * 9, "{}", elements.scaled_elements);
        let row = 1536 / values * bytes;
        for (rows, structs) in [(0..700, 0..6), (100..130, 1..3), (699..700, 2..6), (3..400, 5..6)]
        {
            let columns = structs.start as u64 * values as u64..structs.end as u64 * values as u64;
            let found =
                reader.decode_slice(0, rows.start as u64..rows.end as u64, columns).unwrap();
            let of_row = |r: usize| {
                &tensor.data[r * row + structs.start * bytes..r * row + structs.end * bytes]
            };
            let expected: Vec<u8> = rows.flat_map(of_row).copied().collect();
            assert!(found == expected, "{name}");
        }
        // Ranges may cut structs.
        let at = file.len() as u64 - 100_001;
        assert!(reader.decode_range(at..at + 50_000).unwrap() == file[at as usize..][..50_000]);
        // A copy has the contexts of its source.
        let twice = Tensor { name: "again".to_owned(), ..tensor.clone() };
        let (twice, _) = round_trip(&Gguf::new(vec![tensor, twice]).build(), Effort::Default);
        assert!(twice.len() < coded.len() + 1000, "{} {}", twice.len(), coded.len());
    }
}

/// What is damaged of the scales is noticed before it is used for codes.
#[test]
fn damaged_contexts_are_noticed() {
    let tensor = with_contexts(&mut Rng::new(6), "Q6_K", 32, 1024);
    let (coded, _) = round_trip(&Gguf::new(vec![tensor]).build(), Effort::Default);
    let mut rng = Rng::new(7);
    for at in (0..coded.len()).step_by(101) {
        let mut damaged = coded.clone();
        damaged[at] ^= 1 << rng.below(8);
        let Ok(reader) = Reader::open(damaged.as_slice(), &Limits::default()) else { continue };
        assert!(reader.verify(&()).is_err(), "byte {at}");
        let mut part = vec![1; 210];
        let structs = [Span::from(3..4), Span::from(256..512)];
        if reader.decode_part_into(0, &structs, &mut part, &()).is_err() {
            assert!(part.iter().all(|&byte| byte == 0), "byte {at}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_shape_comes_back(rows in 0u64..40, across in 0u64..6, kind in 0..BLOCKS.len(), deep in 1u64..3, seed: u64) {
        let (name, _, values, _) = BLOCKS[kind];
        let mut tensor = blocks(&mut Rng::new(seed), name, rows * deep, across * values);
        tensor.dims = vec![across * values, rows, deep];
        let (coded, warnings) = round_trip(&Gguf::new(vec![tensor.clone()]).build(), Effort::Default);
        prop_assert_eq!(warnings, [""; 0]);
        let reader = open(&coded);
        prop_assert_eq!(&reader.layers().next().unwrap().shape, &[deep, rows, across * values]);
        prop_assert!(reader.decode_layer(0).unwrap() == tensor.data);
    }
}

fn sound() -> Gguf {
    let mut rng = Rng::new(3);
    let mut second = blocks(&mut rng, "Q4_1", 8, 64);
    second.name = "second".to_owned();
    Gguf::new(vec![blocks(&mut rng, "Q8_0", 40, 96), second])
}

/// The cases of robustness: each is a file that breaks one rule, and a part of the warning.
fn broken() -> Vec<(&'static str, Vec<u8>)> {
    let gguf = |change: &dyn Fn(&mut Gguf)| {
        let mut gguf = sound();
        change(&mut gguf);
        gguf.build()
    };
    let tensor = |change: &dyn Fn(&mut Tensor)| gguf(&|g| change(&mut g.tensors[1]));
    let value = |kind: u32, bytes: &[u8]| gguf(&|g| g.pairs.push(pair("k", kind, bytes)));
    let long = |length: u64| [&length.to_le_bytes()[..], b"x"].concat();
    let nested = (0..9).fold(vec![0; 12], |inner, _| array(9, 1, &inner));
    let mut cut = sound().build();
    cut.truncate(cut.len() - 1);
    vec![
        ("version 1, 2 or 3 expected", gguf(&|g| g.version = 1)),
        ("version 50331648,", gguf(&|g| g.version = 3u32.swap_bytes())),
        // Counts that wrap when they are multiplied by what one takes.
        ("tensors do not fit", gguf(&|g| g.more.0 = u64::MAX / 2)),
        ("tensors do not fit", gguf(&|g| g.more.0 = u64::MAX - 5)),
        ("key-values do not fit", gguf(&|g| g.more.1 = u64::MAX / 16 + 2)),
        ("end behind byte", gguf(&|g| g.more.1 = 300)),
        // Strings and arrays of absurd lengths.
        ("end behind byte", value(8, &long(u64::MAX))),
        ("end behind byte", value(8, &long(1 << 40))),
        ("elements of an array do not fit", value(9, &array(0, u64::MAX, &[]))),
        ("elements of an array do not fit", value(9, &array(12, u64::MAX / 8 + 1, &[]))),
        ("elements of an array do not fit", value(9, &array(8, 1 << 60, &[]))),
        ("elements of an array do not fit", value(9, &array(9, 1 << 61, &[]))),
        ("arrays in arrays", value(9, &nested)),
        ("unknown type 13", value(13, &[0; 8])),
        ("unknown type 13", value(9, &array(13, 1, &[0; 8]))),
        ("unknown type 4294967295", value(u32::MAX, &[])),
        // Alignments.
        ("alignment 0 is no power", gguf(&|g| g.pairs.push(pair("general.alignment", 4, &[0; 4])))),
        (
            "alignment 48 is no power",
            gguf(&|g| g.pairs.push(pair("general.alignment", 4, &48u32.to_le_bytes()))),
        ),
        (
            "aligned to 2147483648",
            gguf(&|g| g.pairs.push(pair("general.alignment", 4, &(1u32 << 31).to_le_bytes()))),
        ),
        ("alignment has type 10", {
            gguf(&|g| g.pairs.push(pair("general.alignment", 10, &32u64.to_le_bytes())))
        }),
        // Tensors.
        ("a tensor's name: invalid utf-8", {
            let mut file = sound().build();
            let at = file.windows(6).position(|w| w == b"second").unwrap();
            file[at] = 0xff;
            file
        }),
        ("a tensor's name has", {
            let mut file = sound().build();
            let at = file.windows(6).position(|w| w == b"second").unwrap();
            file[at - 8..at].copy_from_slice(&u64::MAX.to_le_bytes());
            file
        }),
        ("is listed twice", tensor(&|t| t.name = "w.Q8_0".to_owned())),
        ("9 dimensions, at most 8", tensor(&|t| t.dims = vec![1; 9])),
        ("dimensions, at most 8", {
            let mut file = sound().build();
            let at = file.windows(6).position(|w| w == b"second").unwrap();
            file[at + 6..at + 10].fill(0xff);
            file
        }),
        ("has shape [4294967296, 4294967296, 32]", {
            tensor(&|t| t.dims = vec![32, 1 << 32, 1 << 32])
        }),
        ("has shape", tensor(&|t| t.dims = vec![u64::MAX / 32 * 32, 64])),
        // Elements fit 64 bits, bytes do not.
        ("has shape", tensor(&|t| (t.kind, t.dims) = (28, vec![1 << 62]))),
        ("has shape", tensor(&|t| (t.kind, t.dims) = (15, vec![u64::MAX / 256 * 256]))),
        ("blocks of 32 values", tensor(&|t| t.dims = vec![16, 32])),
        ("blocks of 32 values", tensor(&|t| t.dims = vec![])),
        ("ends behind the end", tensor(&|t| t.dims = vec![64, 9])),
        ("ends behind the end", tensor(&|t| t.dims = vec![64, 1 << 50])),
        ("ends behind the end", cut),
        ("aligned to 32", tensor(&|t| t.shift = 8)),
        ("begins at", tensor(&|t| t.shift = u64::MAX - 31 - 4096)),
        ("ends behind the end", tensor(&|t| t.shift = 1 << 62)),
        ("overlaps", tensor(&|t| t.shift = 0u64.wrapping_sub(32))),
    ]
}

#[test]
fn broken_files_are_bytes() {
    let (_, warnings) = round_trip(&sound().build(), Effort::Fast);
    assert_eq!(warnings, [""; 0]);
    for (reason, file) in broken() {
        let (coded, warnings) = round_trip(&file, Effort::Fast);
        assert_eq!(warnings.len(), 1, "{reason}");
        assert!(warnings[0].starts_with("not a valid GGUF file: "), "{warnings:?}");
        assert!(warnings[0].contains(reason), "{warnings:?} for {reason:?}");
        assert_eq!(open(&coded).source_kind(), SourceKind::Opaque);
    }
}

/// A tensor of an unknown type is bytes; the others are layers.
#[test]
fn unknown_types_are_bytes() {
    for kind in [4, 5, 31, 38, 42, u32::MAX] {
        let mut gguf = sound();
        gguf.tensors[0].kind = kind;
        let (coded, warnings) = round_trip(&gguf.build(), Effort::Fast);
        assert!(warnings[0].contains(&format!("unknown type {kind}")), "{warnings:?}");
        let reader = open(&coded);
        assert!(reader.layers().map(|layer| &layer.name).eq(["second"]));
    }
}

/// Tensors without elements, keys twice, other alignments, version 2: unusual, and sound.
#[test]
fn unusual_files_are_read() {
    let mut gguf = sound();
    (gguf.version, gguf.alignment) = (2, 4096);
    gguf.pairs.push(pair("general.alignment", 4, &4096u32.to_le_bytes()));
    gguf.pairs.push(pair("flag", 7, &[0]));
    gguf.pairs.push(pair("", 8, &string("")));
    let empty = |name: &str, dims: &[u64], kind| Tensor {
        name: name.to_owned(),
        dims: dims.to_vec(),
        kind,
        data: vec![],
        shift: 0,
    };
    gguf.tensors.insert(1, empty("none", &[0, 3], 0));
    gguf.tensors.push(empty("wide", &[32, 0, u64::MAX], 2));
    gguf.tensors.push(Tensor { data: vec![1, 2, 3, 4], ..empty("scalar", &[], 0) });
    let (coded, warnings) = round_trip(&gguf.build(), Effort::Default);
    assert_eq!(warnings, [""; 0]);
    let reader = open(&coded);
    let index = reader.find("scalar").unwrap();
    assert_eq!(reader.decode_layer(index).unwrap(), [1, 2, 3, 4]);
    assert_eq!(reader.layers().len(), 5);
    // No tensors at all.
    let (coded, warnings) = round_trip(&Gguf::new(vec![]).build(), Effort::Default);
    assert_eq!((warnings, open(&coded).source_kind()), (vec![], SourceKind::Gguf));
}

/// However a file ends or is damaged, it comes back.
#[test]
fn every_prefix_and_flip_comes_back() {
    let file = sound().build();
    let header = file.len() - sound().tensors.iter().map(|t| t.data.len()).sum::<usize>();
    for length in (0..header).chain([file.len() - 7]) {
        round_trip(&file[..length], Effort::Fast);
    }
    let mut rng = Rng::new(8);
    for _ in 0..support::count("WCODEC_GGUF_FLIPS", 2000) {
        let mut file = file.clone();
        for _ in 0..1 + rng.below(2) {
            let at = rng.below(header as u64) as usize;
            file[at] =
                if rng.below(2) == 0 { file[at] ^ 1 << rng.below(8) } else { rng.next() as u8 };
        }
        round_trip(&file, Effort::Fast);
    }
}
