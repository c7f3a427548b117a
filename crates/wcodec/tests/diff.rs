//! What differs between two files: what is found, and what is counted.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::path::Path;
use support::gguf::{Gguf, blocks};
use support::{Rng, bf16, int8, safetensors, tensor};
use wcodec::{
    Bases, DecodeOptions, Diff, ElementType, EncodeOptions, Error, ErrorKind, Layer, LayerDiff,
    Observer, Relation, encode_bytes, encode_layer,
};

fn with(a: &[u8], b: &[u8], options: &DecodeOptions) -> Result<Diff, Error> {
    wcodec::diff((Path::new("a"), &a), (Path::new("b"), &b), options, &())
}

fn diff(a: &[u8], b: &[u8]) -> Diff {
    with(a, b, &DecodeOptions::default()).unwrap()
}

fn encode(file: &[u8]) -> Vec<u8> {
    encode_bytes(file, &EncodeOptions::default(), &()).unwrap().0
}

fn layer<'a>(diff: &'a Diff, name: &str) -> &'a LayerDiff {
    diff.layers.iter().find(|diff| diff.layer().unwrap().name == name).unwrap()
}

/// A tensor of each element type, some of one shape.
fn model(rng: &mut Rng) -> Vec<support::Tensor> {
    let elements = ElementType::all().filter(|&element| element != ElementType::Bytes);
    let tensors = elements.map(|element| {
        let data = rng.bytes(200 * 300 * element.size());
        tensor(element.name(), element.name(), &[200, 300], data)
    });
    let mut tensors: Vec<_> = tensors.collect();
    tensors.push(tensor("scalar", "F32", &[], rng.bytes(4)));
    tensors.push(tensor("none", "F32", &[0, 3], Vec::new()));
    tensors
}

#[test]
fn a_file_is_identical_to_itself_whatever_holds_it() {
    let file = safetensors(&model(&mut Rng::new(1)));
    let coded = encode(&file);
    for a in [&file, &coded] {
        for b in [&file, &coded] {
            let diff = diff(a, b);
            assert!(diff.identical() && diff.outside_same);
            assert_eq!(diff.layers.len(), 17);
            for layer in &diff.layers {
                assert_eq!((layer.relation, layer.changed), (Relation::Identical, 0), "{layer:?}");
                assert_eq!(layer.compared, layer.b.as_ref().unwrap().elements().unwrap());
                assert_eq!((layer.difference_bits, layer.expected_bytes), (0.0, 0));
            }
        }
    }
}

#[test]
fn one_bit_of_any_type_is_found() {
    let tensors = model(&mut Rng::new(2));
    let file = safetensors(&tensors);
    let mut end = file.len();
    for tensor in tensors.iter().rev() {
        let start = end - tensor.data.len();
        for at in [start, (start + end) / 2, end.saturating_sub(1)] {
            if start == end {
                continue;
            }
            let mut other = file.clone();
            other[at] ^= 1 << (at % 8);
            let coded = if at == (start + end) / 2 { encode(&other) } else { Vec::new() };
            for b in [other, coded].iter().filter(|file| !file.is_empty()) {
                let diff = diff(&file, b);
                assert!(!diff.identical() && diff.outside_same);
                let changed: Vec<_> = diff.layers.iter().filter(|l| l.changed > 0).collect();
                assert_eq!(changed.len(), 1);
                let name = &changed[0].b.as_ref().unwrap().name;
                assert_eq!((name, changed[0].changed), (&tensor.name, 1));
                let scalar = name == "scalar";
                let relation = if scalar { Relation::Unrelated } else { Relation::Similar };
                assert_eq!(changed[0].relation, relation);
                // Tables count: 6 bits for each of 2 or 3 symbols of a plane.
                assert!(scalar || changed[0].bits_per_weight().unwrap() < 0.01);
                assert!(changed[0].expected_bytes <= 80, "{:?}", changed[0]);
            }
        }
        end = start;
    }
    // In the header, which belongs to no layer.
    let mut other = file.clone();
    let space = other.windows(4).position(|bytes| bytes == b"\"pt\"").unwrap();
    other[space + 1] = b'q';
    let diff = diff(&file, &other);
    assert!(!diff.identical() && !diff.outside_same);
    assert!(diff.layers.iter().all(|layer| layer.relation == Relation::Identical));
}

#[test]
fn layers_are_similar_or_unrelated_by_what_their_difference_takes() {
    let rng = &mut Rng::new(3);
    let base = int8(rng, 256 * 1024);
    let near: Vec<u8> =
        base.iter().map(|b| b.wrapping_add(rng.below(3) as u8).wrapping_sub(1)).collect();
    let other = int8(rng, 256 * 1024);
    let file = |first: &[u8], second: &[u8]| {
        let tensor = |name, data: &[u8]| tensor(name, "I8", &[256, 1024], data.to_vec());
        safetensors(&[tensor("first", first), tensor("second", second)])
    };
    let diff = diff(&file(&base, &base), &file(&near, &other));
    let (first, second) = (layer(&diff, "first"), layer(&diff, "second"));
    assert_eq!((first.relation, second.relation), (Relation::Similar, Relation::Unrelated));
    // Three values, equally often: log2(3) bits, and two of them are a change.
    assert!((first.bits_per_weight().unwrap() - 3f64.log2()).abs() < 0.01);
    assert!((first.changed_share().unwrap() - 2.0 / 3.0).abs() < 0.01);
    let mut options = EncodeOptions::default();
    options.bases = Bases::new();
    options.bases.add_source("a", file(&base, &base));
    let coded = encode_bytes(&file(&near, &other), &options, &()).unwrap().0.len() as u64;
    assert!(diff.expected_bytes().abs_diff(coded) < coded / 50, "{coded} {diff:?}");
}

#[test]
fn renamed_layers_are_found_also_beyond_the_sign() {
    let rng = &mut Rng::new(4);
    let (x, y, z) = (int8(rng, 9000), int8(rng, 9000), bf16(rng, 9000));
    let shifted: Vec<u8> = x.iter().map(|byte| byte ^ 0x80).collect();
    let ones = vec![1; 9000];
    let a = safetensors(&[
        tensor("x", "I8", &[90, 100], x.clone()),
        tensor("y", "I8", &[90, 100], y.clone()),
        tensor("z", "BF16", &[9000], z.clone()),
        tensor("same", "I8", &[9000], x),
        tensor("ones", "BOOL", &[9000], ones.clone()),
        tensor("gone", "F32", &[2], rng.bytes(8)),
        tensor("other", "F32", &[2, 1], rng.bytes(8)),
    ]);
    let b = safetensors(&[
        tensor("z2", "BF16", &[9000], z),
        tensor("y2", "I8", &[90, 100], y),
        tensor("x2", "U8", &[90, 100], shifted.clone()),
        tensor("same", "U8", &[9000], shifted),
        tensor("ones2", "BOOL", &[9000], ones),
        tensor("other", "F32", &[1, 2], rng.bytes(8)),
        tensor("new", "F64", &[1], rng.bytes(8)),
    ]);
    let diff = diff(&a, &b);
    for (name, partner) in
        [("z2", "z"), ("y2", "y"), ("x2", "x"), ("same", "same"), ("ones2", "ones")]
    {
        let layer = layer(&diff, name);
        // The same numbers in other bytes are not identical.
        let flipped = ["x", "same"].contains(&partner);
        let relation = if flipped { Relation::Similar } else { Relation::Identical };
        assert_eq!((layer.relation, layer.changed), (relation, 0), "{name}");
        assert_eq!(layer.a.as_ref().unwrap().name, partner);
        assert_eq!(
            (layer.renamed(), layer.flipped),
            (name != "same", partner == "x" || name == "same")
        );
    }
    let relation = |name| layer(&diff, name).relation;
    assert_eq!(relation("other"), Relation::OtherForm);
    assert_eq!((relation("new"), relation("gone")), (Relation::OnlyInB, Relation::OnlyInA));
    assert!(!diff.identical());
}

#[test]
fn layers_of_other_dtypes_are_not_identical() {
    let numbers = int8(&mut Rng::new(15), 90 * 100);
    let shifted: Vec<u8> = numbers.iter().map(|x| x ^ 0x80).collect();
    let layer = |element, data: &[u8]| {
        let layer = Layer::new("w", element, vec![90, 100]);
        encode_layer(data, &layer, &EncodeOptions::default()).unwrap().0
    };
    let (a, b) = (layer(ElementType::I8, &numbers), layer(ElementType::U8, &shifted));
    assert!(!diff(&a, &b).identical());
    assert!(diff(&a, &a).identical());
}

#[test]
fn gguf_is_compared_code_by_code() {
    let rng = &mut Rng::new(5);
    let tensors: Vec<_> =
        ["Q4_0", "Q6_K", "Q8_0"].iter().map(|name| blocks(rng, name, 16, 512)).collect();
    let file = Gguf::new(tensors).build();
    // The last block of Q8_0: its last code, and its scale.
    for (back, changed) in [(1, 1), (34, 1)] {
        let mut other = file.clone();
        let at = other.len() - back;
        other[at] ^= 4;
        for (a, b) in [(&file, &other), (&encode(&file), &other), (&file, &encode(&other))] {
            let diff = diff(a, b);
            let layer = layer(&diff, "w.Q8_0");
            assert_eq!((layer.relation, layer.changed), (Relation::Similar, changed));
            // 32 codes and a scale for each block.
            assert_eq!(layer.compared, 16 * 512 / 32 * 33);
            assert_eq!(diff.layers.iter().filter(|l| l.changed > 0).count(), 1);
        }
    }
}

#[test]
fn files_without_layers_are_compared_as_bytes() {
    let text = b"neither tensors nor arrays\n".repeat(9999);
    let mut other = text.clone();
    assert!(diff(&text, &encode(&other)).identical());
    other[100_000] ^= 1;
    assert!(!diff(&text, &other).identical());
    assert!(!diff(&text, &text[1..]).identical());
    assert!(!diff(&text, b"").identical());
    assert!(diff(b"", b"").identical());
    // A format of no layers is not another one.
    assert!(!diff(&safetensors(&[]), &text).identical());
}

#[test]
fn the_same_weights_in_two_formats_are_identical() {
    let data = int8(&mut Rng::new(6), 5000);
    let file = |name: &str| safetensors(&[tensor(name, "I8", &[50, 100], data.clone())]);
    let mut npy = Vec::new();
    wcodec::write_npy(&mut npy, ElementType::I8, &[50, 100], &data).unwrap();
    let name = diff(&npy, &npy).layers[0].b.as_ref().unwrap().name.clone();
    assert!(diff(&file(&name), &npy).identical());
    let renamed = diff(&file("x"), &npy);
    assert!(renamed.layers[0].renamed() && !renamed.identical());
}

#[test]
fn bases_are_needed_and_damage_is_told() {
    let rng = &mut Rng::new(7);
    let data = int8(rng, 1 << 18);
    let base = safetensors(&[tensor("w", "I8", &[1 << 9, 1 << 9], data.clone())]);
    let fine = data.iter().map(|byte| byte.wrapping_add(rng.below(2) as u8)).collect();
    let fine = safetensors(&[tensor("w", "I8", &[1 << 9, 1 << 9], fine)]);
    let mut options = EncodeOptions::default();
    options.bases.add_source("base", base.clone());
    let coded = encode_bytes(&fine, &options, &()).unwrap().0;
    let error = with(&base, &coded, &DecodeOptions::default()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Base(_)), "{error}");
    assert_eq!(error.file(), Some(Path::new("b")));
    let mut found = DecodeOptions::default();
    found.bases.add_source("base", base.clone());
    assert!(with(&fine, &coded, &found).unwrap().identical());

    let coded = encode(&fine);
    let mut damaged = coded.clone();
    damaged[coded.len() / 2] ^= 1;
    let error = with(&damaged, &fine, &DecodeOptions::default()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Checksum { .. } | ErrorKind::Corrupt(_)));
    assert_eq!(error.file(), Some(Path::new("a")));
    let error = with(&fine, &coded[..coded.len() - 1], &DecodeOptions::default()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Truncated { .. }));
    // What breaks the rules of its format is bytes of no structure.
    assert!(!diff(&fine, &fine[..fine.len() - 1]).identical());
}

#[test]
fn the_result_does_not_depend_on_threads_and_the_call_can_be_stopped() {
    struct Stop;
    impl Observer for Stop {
        fn cancelled(&self) -> bool {
            true
        }
    }
    let rng = &mut Rng::new(8);
    let (a, b) = (safetensors(&model(rng)), safetensors(&model(rng)));
    let all = [1, 2, 5].map(|threads| {
        let mut options = DecodeOptions::default();
        options.threads = Some(threads);
        with(&a, &b, &options).unwrap().layers
    });
    assert!(all.iter().all(|layers| *layers == all[0]));
    let options = DecodeOptions::default();
    let stopped = wcodec::diff((Path::new("a"), &a), (Path::new("b"), &b), &options, &Stop);
    assert!(matches!(stopped.unwrap_err().kind(), ErrorKind::Interrupted));
}

/// Bytes that are counted as they are read.
struct Counted<'a>(&'a [u8], std::sync::atomic::AtomicUsize);

impl wcodec::ReadAt for Counted<'_> {
    fn size(&self) -> std::io::Result<u64> {
        self.0.size()
    }

    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> std::io::Result<()> {
        self.1.fetch_add(buffer.len(), std::sync::atomic::Ordering::Relaxed);
        self.0.read_exact_at(buffer, at)
    }
}

#[test]
fn small_layers_of_one_block_are_decoded_together() {
    let rng = &mut Rng::new(3);
    let name = |number: usize| format!("layer {number}");
    let tensors = (0..1000).map(|n| tensor(&name(n), "F32", &[8, 8], rng.bytes(256)));
    let file = safetensors(&tensors.collect::<Vec<_>>());
    let coded = encode(&file);
    let counted = Counted(&coded, 0.into());
    let (a, b) = ((Path::new("a"), &counted as _), (Path::new("b"), &file as _));
    let found = wcodec::diff(a, b, &DecodeOptions::default(), &()).unwrap();
    assert!(found.identical() && found.layers.len() == 1000);
    // Threads may each decode it, time and again at most.
    let read = counted.1.into_inner();
    assert!(read < 100 * coded.len(), "{read} of {} bytes", coded.len());
}
