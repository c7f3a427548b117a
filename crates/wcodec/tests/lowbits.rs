//! Codes of a few bits, packed in integers: tensors stay what they are, and get smaller where their
//! scales tell how.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use support::{Rng, Tensor, safetensors, tensor};
use wcodec::{Effort, ElementType, EncodeOptions, Layer, Limits, Reader, Span, encode_bytes};

const GROUP: usize = 128;
/// Inputs and outputs of a layer.
const INPUTS: usize = 1024;
const OUTPUTS: usize = 384;

/// Codes of `bits` bits for all inputs of each output. Those of a group share a zero point.
fn codes(bits: u32) -> Vec<u8> {
    let mut rng = Rng::new(3);
    let most = (1i64 << bits) - 1;
    let mut zero = 0;
    (0..INPUTS * OUTPUTS)
        .map(|k| {
            if k % GROUP == 0 {
                zero = rng.below(most as u64 + 1) as i64;
            }
            (zero + rng.bell() / 3800).clamp(0, most) as u8
        })
        .collect()
}

/// Codes of E2M1 whose spread depends on the input.
fn floats() -> Vec<u8> {
    let mut rng = Rng::new(5);
    let spread = |k: usize| 1 + (k % INPUTS % 7) as i64 * 3;
    let code = |k| {
        let value = rng.bell() * spread(k) / 25_000;
        (value.unsigned_abs().min(7) | u64::from(value < 0) << 3) as u8
    };
    (0..INPUTS * OUTPUTS).map(code).collect()
}

/// Integers of so many codes, the first one lowest.
fn pack(codes: impl IntoIterator<Item = u8>, bits: u32) -> Vec<u8> {
    let codes: Vec<u8> = codes.into_iter().collect();
    let of_byte = codes.chunks((8 / bits) as usize);
    of_byte.map(|codes| codes.iter().rev().fold(0, |byte, code| byte << bits | code)).collect()
}

/// Codes of each input for all outputs.
fn turned(codes: &[u8]) -> impl Fn(usize, usize) -> u8 + '_ {
    |input, output| codes[output * INPUTS + input]
}

/// AutoGPTQ: eight inputs in a word, rows of outputs.
fn gptq(codes: &[u8]) -> Tensor {
    let code = turned(codes);
    let words = (0..INPUTS / 8).flat_map(|word| (0..OUTPUTS).map(move |output| (word, output)));
    let code = &code;
    let data = pack(words.flat_map(|(w, o)| (0..8).map(move |k| code(w * 8 + k, o))), 4);
    tensor("m.qweight", "I32", &[INPUTS as u64 / 8, OUTPUTS as u64], data)
}

/// AutoAWQ: eight outputs in a word, even ones first.
fn awq(codes: &[u8]) -> Tensor {
    let code = turned(codes);
    let words = (0..INPUTS).flat_map(|input| (0..OUTPUTS / 8).map(move |word| (input, word)));
    let (code, order) = (&code, [0, 2, 4, 6, 1, 3, 5, 7]);
    let data = pack(words.flat_map(|(i, w)| order.map(move |k| code(i, w * 8 + k))), 4);
    tensor("m.qweight", "I32", &[INPUTS as u64, OUTPUTS as u64 / 8], data)
}

fn scales(name: &str, rows: usize, cols: usize) -> Tensor {
    let data = (0..rows * cols).flat_map(|k| [(k % 251) as u8, 0x20 + (k % 3) as u8]).collect();
    tensor(name, "F16", &[rows as u64, cols as u64], data)
}

fn encode(tensors: &[Tensor], effort: Effort) -> Vec<u8> {
    let mut options = EncodeOptions::default();
    options.effort = effort;
    let original = safetensors(tensors);
    let (coded, _) = encode_bytes(&original, &options, &()).unwrap();
    let mut back = Vec::new();
    open(&coded).restore(&mut back, &()).unwrap();
    assert!(back == original);
    coded
}

fn open(coded: &[u8]) -> Reader<&[u8]> {
    Reader::open(coded, &Limits::default()).unwrap()
}

/// Checks that the tensor comes back, as it was and in parts, and that knowing its scales takes at least `gain`
/// parts of a thousand off it.
fn check(weights: Tensor, scales: Tensor, gain: usize) {
    let coded = encode(&[weights.clone(), scales.clone()], Effort::Default);
    let reader = open(&coded);
    let index = reader.find(&weights.name).unwrap();
    let element = ElementType::from_name(weights.dtype).unwrap();
    let layer = Layer::new(&weights.name, element, weights.shape.clone());
    assert_eq!(reader.layers().nth(index), Some(&layer));
    assert_eq!(reader.layer_array(index).unwrap(), Some((element, weights.shape.clone())));
    assert!(reader.decode_layer(index).unwrap() == weights.data);
    let stats = reader.layer_stats(index).unwrap();
    assert_eq!(Some(stats.elements), layer.elements());
    assert!(stats.scaled_elements <= stats.elements);

    let size = element.size() as u64;
    let (rows, cols) = layer.matrix();
    let part = cols / 3..cols.div_ceil(2);
    for (rows, cols) in
        [(0..1, 0..cols), (rows / 2..rows, part.clone()), (rows / 3..rows / 2, part)]
    {
        let part = reader.decode_slice(index, rows.clone(), cols.clone()).unwrap();
        let want = rows.flat_map(|row| {
            let start = ((row * layer.matrix().1 + cols.start) * size) as usize;
            &weights.data[start..start + ((cols.end - cols.start) * size) as usize]
        });
        assert!(part.iter().eq(want), "a part of {}", weights.name);
    }
    let every_third = Span { start: 1, count: rows / 3, step: 3 };
    let mut spans: Vec<Span> = weights.shape.iter().map(|&dim| Span::from(0..dim)).collect();
    spans[0] = every_third;
    let row_bytes = (cols * size) as usize;
    let mut part = vec![0; rows as usize / 3 * row_bytes];
    reader.decode_part_into(index, &spans, &mut part, &()).unwrap();
    let want = weights.data.chunks(row_bytes).skip(1).step_by(3);
    assert!(part.chunks(row_bytes).zip(want).all(|(part, want)| part == want));

    let plain = Tensor { name: "another".to_owned(), ..weights };
    let plain = encode(&[plain, Tensor { name: "others".to_owned(), ..scales }], Effort::Default);
    let least = plain.len() - plain.len() * gain / 1000;
    assert!(coded.len() <= least, "{} bytes, {} as they are", coded.len(), plain.len());
}

#[test]
fn nibbles_side_by_side() {
    let data = pack(codes(4), 4);
    let (rows, words) = (OUTPUTS as u64, INPUTS as u64 / 8);
    let of = |name: &str| scales(name, OUTPUTS, INPUTS / GROUP);
    let packed = tensor("m.weight_packed", "I32", &[rows, words], data.clone());
    check(packed, of("m.weight_scale"), 100);
    let mlx = tensor("m.weight", "U32", &[rows, words], data.clone());
    check(mlx, of("m.scales"), 100);
    let bytes = tensor("m.weight", "U8", &[rows * words * 4, 1], data);
    check(bytes, tensor("m.weight.absmax", "F32", &[3072], vec![0x3f; 4 * 3072]), 100);
}

#[test]
fn nibbles_below_each_other() {
    check(awq(&codes(4)), scales("m.scales", INPUTS / GROUP, OUTPUTS), 100);
    check(gptq(&codes(4)), scales("m.scales", INPUTS / GROUP, OUTPUTS), 100);
}

#[test]
fn floats_of_four_bits() {
    let data = pack(floats(), 4);
    let (rows, blocks) = (OUTPUTS as u64, INPUTS as u64 / 32);
    let mxfp4 = tensor("m.experts.up_proj_blocks", "U8", &[2, rows / 2, blocks, 16], data.clone());
    let exponents = vec![120; OUTPUTS * INPUTS / 32];
    let of = tensor("m.experts.up_proj_scales", "U8", &[2, rows / 2, blocks], exponents);
    check(mxfp4, of, 5);
    let nvfp4 = tensor("m.weight", "U8", &[rows, INPUTS as u64 / 2], data);
    let of =
        tensor("m.weight_scale", "F8_E4M3", &[rows, blocks * 2], vec![56; OUTPUTS * INPUTS / 16]);
    check(nvfp4, of, 5);
}

#[test]
fn two_bits() {
    let packed = tensor("m.codes", "U8", &[OUTPUTS as u64, INPUTS as u64 / 4], pack(codes(2), 2));
    check(packed, scales("m.scales", OUTPUTS, INPUTS / GROUP), 50);
}

/// Bytes that have nothing of codes beside what may be scales, of every number.
#[test]
fn what_does_not_gain_stays_as_it_is() {
    let mut rng = Rng::new(8);
    let bytes = rng.bytes(OUTPUTS * 512);
    for (rows, cols) in [(OUTPUTS, 8), (OUTPUTS, 7), (1, 1), (OUTPUTS * 512, 1), (96, 96), (0, 5)] {
        let weights = tensor("m.weight", "U8", &[OUTPUTS as u64, 512], bytes.clone());
        let coded = encode(&[weights.clone(), scales("m.scale", rows, cols)], Effort::Default);
        let plain = encode(&[weights, scales("m.other", rows, cols)], Effort::Default);
        assert!(coded.len().abs_diff(plain.len()) < 64, "{} and {}", coded.len(), plain.len());
    }
}

#[test]
fn the_fastest_effort_looks_for_nothing() {
    let weights =
        tensor("m.qweight", "I32", &[INPUTS as u64, OUTPUTS as u64 / 8], pack(codes(4), 4));
    let coded = encode(&[weights, scales("m.scales", INPUTS / GROUP, OUTPUTS)], Effort::Fast);
    assert_eq!(coded[10], 0, "no packings, of version 1.3");
}
