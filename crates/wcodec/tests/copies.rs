//! Equal parts of a file are stored once.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use support::gguf::{Gguf, quantised};
use support::{Rng, bf16, f32s, int8, safetensors, tensor};
use wcodec::{Bases, EncodeOptions, EncodeStats, Limits, Reader, encode_bytes, estimate};

fn encode(original: &[u8], options: &EncodeOptions) -> (Vec<u8>, EncodeStats) {
    encode_bytes(original, options, &()).unwrap()
}

fn open(file: &[u8]) -> Reader<&[u8]> {
    Reader::open(file, &Limits::default()).unwrap()
}

fn restored(reader: &Reader<&[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    reader.restore(&mut out, &()).unwrap();
    out
}

#[test]
fn a_layer_that_occurs_twice_costs_nothing() {
    let mut rng = Rng::new(71);
    let (weights, other) = (int8(&mut rng, 400 * 300), int8(&mut rng, 400 * 300));
    let once = safetensors(&[tensor("a", "I8", &[400, 300], weights.clone())]);
    let twice = safetensors(&[
        tensor("a", "I8", &[400, 300], weights.clone()),
        tensor("b", "I8", &[400, 300], other.clone()),
        tensor("tied", "I8", &[400, 300], weights.clone()),
        tensor("turned", "U8", &[30, 4000], weights.clone()),
    ]);
    let (coded_once, _) = encode(&once, &EncodeOptions::default());
    let (coded, stats) = encode(&twice, &EncodeOptions::default());
    assert_eq!(stats.copied_elements, 240_000);
    assert!((480_000..481_000).contains(&stats.elements), "{stats:?}");
    assert!(coded.len() < 2 * coded_once.len() + 500, "{} {}", coded.len(), coded_once.len());
    let reader = open(&coded);
    assert!(restored(&reader) == twice);
    for name in ["tied", "turned"] {
        let layer = reader.find(name).unwrap();
        assert!(reader.decode_layer(layer).unwrap() == weights);
        let stats = reader.layer_stats(layer).unwrap();
        assert_eq!((stats.coded_bytes, stats.blocks, stats.copied_elements), (0, 0, 120_000));
    }
    let turned = reader.find("turned").unwrap();
    let slice = reader.decode_slice(turned, 7..9, 100..1100).unwrap();
    let rows: Vec<u8> =
        (7..9).flat_map(|row| &weights[row * 4000 + 100..][..1000]).copied().collect();
    assert!(slice == rows);
    let all: Vec<u8> = reader.decode_range(200_000..400_000).unwrap();
    assert!(all == twice[200_000..400_000]);
    let expected = estimate(("".as_ref(), &twice), &EncodeOptions::default(), &())
        .unwrap()
        .total
        .expected_bytes;
    assert!(expected.abs_diff(coded.len() as u64) < 500, "{expected} {}", coded.len());
}

#[test]
fn equal_bytes_of_other_types_are_copies_too() {
    let mut rng = Rng::new(72);
    let floats = f32s(&mut rng, 90 * 70);
    let file = safetensors(&[
        tensor("floats", "F32", &[90, 70], floats.clone()),
        tensor("words", "I64", &[45, 70], floats.clone()),
        tensor("bytes", "U8", &[25_200], floats.clone()),
    ]);
    let (coded, stats) = encode(&file, &EncodeOptions::default());
    assert_eq!(stats.copied_elements, 2 * 90 * 70);
    let reader = open(&coded);
    assert!(restored(&reader) == file);
    let words = reader.find("words").unwrap();
    let slice = reader.decode_slice(words, 3..4, 5..9).unwrap();
    assert_eq!(slice, &floats[(3 * 70 + 5) * 8..(3 * 70 + 9) * 8]);
    let bytes = reader.find("bytes").unwrap();
    assert_eq!(reader.decode_slice(bytes, 0..1, 13..17).unwrap(), &floats[13..17]);
}

#[test]
fn nearly_equal_layers_are_no_copies() {
    let mut rng = Rng::new(73);
    let weights = bf16(&mut rng, 300 * 200);
    let mut layers = vec![tensor("0", "BF16", &[300, 200], weights.clone())];
    for number in 1..20usize {
        let mut changed = weights.clone();
        changed[number * 5000 + 301] ^= 1;
        layers.push(tensor(&number.to_string(), "BF16", &[300, 200], changed.clone()));
        layers.push(tensor(&format!("again {number}"), "BF16", &[300, 200], changed));
    }
    let file = safetensors(&layers);
    let (coded, stats) = encode(&file, &EncodeOptions::default());
    // Of many that look alike, the later ones are not kept for comparison.
    assert!((5 * 60_000..=19 * 60_000).contains(&stats.copied_elements), "{stats:?}");
    assert!(restored(&open(&coded)) == file);
}

#[test]
fn packings_are_copied_field_by_field() {
    let mut rng = Rng::new(74);
    let [a, second] = [(); 2].map(|()| quantised(&mut rng, "Q4_1", 64, 1024));
    let alone = Gguf::new(vec![a.clone()]).build();
    let blocks = a.data.clone();
    let mut file = Gguf::new(vec![a.clone(), second, a]);
    for (tensor, name) in file.tensors.iter_mut().zip(["a", "c", "b"]) {
        tensor.name = name.to_owned();
    }
    let file = file.build();
    let (coded_alone, _) = encode(&alone, &EncodeOptions::default());
    let (coded, stats) = encode(&file, &EncodeOptions::default());
    assert_eq!(stats.copied_elements, 65_536);
    assert!((3 * 65_536..3 * 65_536 + 1000).contains(&stats.elements), "{stats:?}");
    assert!(coded.len() < 2 * coded_alone.len() + 1000);
    let reader = open(&coded);
    assert!(restored(&reader) == file);
    let b = reader.find("b").unwrap();
    assert!(reader.decode_layer(b).unwrap() == blocks);
    let stats = reader.layer_stats(b).unwrap();
    assert_eq!((stats.coded_bytes, stats.elements, stats.copied_elements), (0, 65_536, 65_536));
    let row = blocks.len() / 64;
    assert!(reader.decode_slice(b, 5..7, 0..1024).unwrap() == blocks[5 * row..7 * row]);
}

#[test]
fn what_is_copied_may_be_predicted_from_a_base() {
    let mut rng = Rng::new(75);
    let base = int8(&mut rng, 300 * 300);
    let fine: Vec<u8> = base.iter().map(|&b| b.wrapping_add(u8::from(rng.below(9) == 0))).collect();
    let base_file = safetensors(&[tensor("a", "I8", &[300, 300], base)]);
    let file = safetensors(&[
        tensor("a", "I8", &[300, 300], fine.clone()),
        tensor("b", "I8", &[300, 300], fine.clone()),
    ]);
    let mut bases = Bases::new();
    bases.add_source("base.safetensors", base_file);
    let mut options = EncodeOptions::default();
    options.bases = bases.clone();
    let (coded, stats) = encode(&file, &options);
    assert_eq!((stats.base_elements, stats.copied_elements), (90_000, 90_000));
    let reader = Reader::open_with(coded.as_slice(), &Limits::default(), &bases).unwrap();
    assert!(restored(&reader) == file);
    assert!(reader.decode_layer(1).unwrap() == fine);
    assert_eq!(reader.decode_slice(1, 3..5, 7..11).unwrap()[4..], fine[4 * 300 + 7..4 * 300 + 11]);
    // Without the base, both are refused.
    let reader = open(&coded);
    for layer in 0..2 {
        let error = reader.decode_layer(layer).unwrap_err().to_string();
        assert!(error.contains("which was not given"), "{error}");
    }
}

#[test]
fn damage_of_the_source_is_damage_of_the_copy() {
    let mut rng = Rng::new(76);
    let weights = int8(&mut rng, 200 * 200);
    let layers = ["a", "b"].map(|name| tensor(name, "I8", &[200, 200], weights.clone()));
    let mut coded = encode(&safetensors(&layers), &EncodeOptions::default()).0;
    let place = coded.len() / 2;
    coded[place] ^= 4;
    let reader = open(&coded);
    for (layer, name) in ["a", "b"].into_iter().enumerate() {
        let error = reader.decode_layer(layer).unwrap_err();
        assert_eq!(error.layer(), Some(name), "{error}");
    }
}

/// Readers refuse files whose copies have very many blocks, so none are made.
#[test]
fn copies_of_many_blocks_are_left_out() {
    let weights = int8(&mut Rng::new(77), 1100 * 2048);
    let names = ["a", "b", "c"];
    let layer = |name: &str| tensor(name, "I8", &[1100, 2048], weights.clone());
    let file = safetensors(&names.map(layer));
    let mut options = EncodeOptions::default();
    options.block = Some((1, 64));
    let (coded, stats) = encode(&file, &options);
    assert_eq!(stats.copied_elements, 1100 * 2048);
    assert!(restored(&open(&coded)) == file);
}
