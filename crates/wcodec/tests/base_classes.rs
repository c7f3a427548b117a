//! Floats whose tables the exponents of their partners choose: what comes back, whole and in parts, and what is refused.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use support::{Rng, noisy, planes_with_base_classes, safetensors, scaled, tensor};
use wcodec::{
    Bases, Effort, ElementType, EncodeOptions, Limits, Reader, Scan, encode_archive, encode_bytes,
};

fn bases(files: &[(&str, &[u8])]) -> Bases {
    let mut bases = Bases::new();
    files.iter().for_each(|(name, file)| bases.add_source(name, file.to_vec()));
    bases
}

fn encode(original: &[u8], options: &EncodeOptions) -> Vec<u8> {
    encode_bytes(original, options, &()).unwrap().0
}

fn open<'a>(file: &'a [u8], bases: &Bases) -> Reader<&'a [u8]> {
    Reader::open_with(file, &Limits::default(), bases).unwrap()
}

fn restored(file: &[u8], bases: &Bases) -> Vec<u8> {
    let mut out = Vec::new();
    open(file, bases).restore(&mut out, &()).unwrap();
    out
}

fn model(element: ElementType, shape: (u64, u64), data: Vec<u8>) -> Vec<u8> {
    safetensors(&[tensor("w", element.name(), &[shape.0, shape.1], data)])
}

/// A layer and the next step of it.
fn pair(rng: &mut Rng, element: ElementType, shape: (u64, u64)) -> (Vec<u8>, Vec<u8>) {
    let base = scaled(rng, element, shape.0, shape.1);
    let next = noisy(rng, element, &base);
    (model(element, shape, base), model(element, shape, next))
}

#[test]
fn floats_of_all_types_and_shapes_come_back_in_whole_and_in_parts() {
    use ElementType::{Bf16, F8E4M3, F8E5M2, F16, F32, F64};
    let mut rng = Rng::new(71);
    for element in [Bf16, F16, F32, F64, F8E4M3, F8E5M2] {
        let mut classed = 0;
        for shape in [(130, 150), (64, 512), (1, 9000), (9000, 1), (3, 7), (517, 33)] {
            let (base, next) = pair(&mut rng, element, shape);
            let given = bases(&[("base", &base)]);
            for (block, scan, effort) in [
                (None, None, Effort::Default),
                (Some((40, 64)), Some(Scan::Column), Effort::Max),
                (Some((13, 33)), Some(Scan::Row), Effort::Fast),
            ] {
                let mut options = EncodeOptions::default();
                (options.block, options.scan, options.effort) = (block, scan, effort);
                options.bases = given.clone();
                let file = encode(&next, &options);
                let planes = planes_with_base_classes(&file);
                classed += planes;
                assert!(restored(&file, &given) == next, "{element:?} {shape:?} {block:?}");
                let reader = open(&file, &given);
                let stats = reader.layer_stats(0).unwrap();
                assert_eq!(stats.base_class_elements > 0, planes > 0, "{element:?} {shape:?}");
                assert!(stats.base_class_elements <= stats.base_elements);
                let (row, col) = (rng.below(shape.0), rng.below(shape.1));
                let (rows, cols) = (row..shape.0.min(row + 50), col..shape.1.min(col + 70));
                let part = reader.decode_slice(0, rows.clone(), cols.clone()).unwrap();
                let size = element.size() as u64;
                let start = next.len() as u64 - shape.0 * shape.1 * size;
                let expected = rows.flat_map(|row| {
                    let at = |col: u64| (start + (row * shape.1 + col) * size) as usize;
                    next[at(cols.start)..at(cols.end)].to_vec()
                });
                assert!(part == expected.collect::<Vec<u8>>(), "{element:?} {shape:?} {block:?}");
            }
        }
        let few = matches!(element, F8E4M3 | F8E5M2);
        assert!(few || classed > 5, "{element:?}: {classed} planes with base classes");
    }
}

#[test]
fn they_make_noise_of_one_size_smaller() {
    let mut rng = Rng::new(72);
    let (base, next) = pair(&mut rng, ElementType::Bf16, (300, 400));
    let given = bases(&[("base", &base)]);
    let mut options = EncodeOptions::default();
    options.bases = given.clone();
    let file = encode(&next, &options);
    assert!(planes_with_base_classes(&file) > 0);
    // What one table takes at least: the entropy of the steps.
    let partners = base.chunks_exact(2).zip(next.chunks_exact(2)).skip(base.len() / 2 - 120_000);
    let mut counts = std::collections::HashMap::new();
    for (base, next) in partners {
        // Their places in the order of floats.
        let place = |b: &[u8]| {
            let magnitude = i32::from(u16::from_le_bytes([b[0], b[1] & 0x7f]));
            if b[1] > 0x7f { -magnitude } else { magnitude }
        };
        *counts.entry(place(next) - place(base)).or_insert(0u32) += 1;
    }
    let entropy = |count: &u32| f64::from(*count) * (120_000.0 / f64::from(*count)).log2();
    let bytes = counts.values().map(entropy).sum::<f64>() / 8.0;
    assert!((file.len() as f64) < 0.95 * bytes, "{} of {bytes}", file.len());
}

#[test]
fn steps_of_a_chain_and_of_an_archive_have_them() {
    let mut rng = Rng::new(73);
    let (element, shape) = (ElementType::Bf16, (200, 160));
    let mut data = scaled(&mut rng, element, shape.0, shape.1);
    let mut steps = Vec::new();
    for _ in 0..4 {
        steps.push(model(element, shape, data.clone()));
        data = noisy(&mut rng, element, &data);
    }
    let mut chain = bases(&[("0", &steps[0])]);
    for (number, step) in (1..).zip(&steps[1..]) {
        let mut options = EncodeOptions::default();
        options.bases = bases(&[("before", &steps[number - 1])]);
        let file = encode(step, &options);
        assert!(planes_with_base_classes(&file) > 0, "{number}");
        assert!(restored(&file, &chain) == *step, "{number}");
        chain.add_source(&number.to_string(), file);
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("steps");
    std::fs::create_dir(&root).unwrap();
    for (number, step) in steps.iter().enumerate() {
        std::fs::write(root.join(number.to_string()), step).unwrap();
    }
    let coded = folder.path().join("coded");
    encode_archive(&root, &coded, &EncodeOptions::default(), &()).unwrap();
    let file = std::fs::read(coded).unwrap();
    assert!(planes_with_base_classes(&file) > 0);
    assert!(restored(&file, &Bases::new()) == steps.concat());
}

#[test]
fn every_flipped_bit_is_an_error_and_never_wrong_output() {
    let mut rng = Rng::new(74);
    let (base, next) = pair(&mut rng, ElementType::Bf16, (60, 100));
    let given = bases(&[("base", &base)]);
    let mut options = EncodeOptions::default();
    options.bases = given.clone();
    let mut file = encode(&next, &options);
    assert!(planes_with_base_classes(&file) > 0);
    for bit in 0..8 * file.len() {
        file[bit / 8] ^= 1 << (bit % 8);
        let opened = Reader::open_with(file.as_slice(), &Limits::default(), &given);
        assert!(opened.and_then(|reader| reader.verify(&())).is_err(), "bit {bit}");
        file[bit / 8] ^= 1 << (bit % 8);
    }
}
