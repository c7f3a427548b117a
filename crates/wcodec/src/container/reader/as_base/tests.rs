#![allow(clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::base::bases::Bases;
use crate::base::{BaseRef, OWN};
use crate::container::bases::Reference;
use crate::container::directory::{Directory, LayerEntry};
use crate::container::footer::SourceKind;
use crate::dtype::ElementType;
use crate::encoder::layer_segment;
use crate::error::ErrorKind;
use crate::file::encode_layer;
use crate::layer::Layer;
use crate::limits::Limits;
use crate::options::EncodeOptions;
use crate::writer::{Writer, batches};

fn noise(seed: usize, bytes: usize) -> Vec<u8> {
    let mix = |k: usize| (k as u32 ^ (seed as u32) << 20).wrapping_mul(0x9e37_79b9);
    (0..bytes).map(|k| ((mix(k) ^ mix(k) >> 15).wrapping_mul(0x85eb_ca6b) >> 25) as u8).collect()
}

fn alone<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(work)
}

#[test]
fn blocks_cut_across_each_other_are_decoded_once() {
    const SHAPE: [u64; 2] = [256, 2048];
    const BYTES: u64 = SHAPE[0] * SHAPE[1];
    let layer = Layer::new("w", ElementType::U8, SHAPE.to_vec());
    let mut data = noise(1, BYTES as usize);
    let mut bases = Bases::new();
    let mut file = encode_layer(&data, &layer, &EncodeOptions::default()).unwrap().0;
    for level in 1..=6 {
        bases.add_source("before", file);
        data.iter_mut().step_by(5 + level).for_each(|byte| *byte ^= 1);
        let block = Some(if level % 2 == 0 { (4, 2048) } else { (256, 32) });
        let options = EncodeOptions { block, bases: bases.clone(), ..EncodeOptions::default() };
        let stats;
        (file, stats) = encode_layer(&data, &layer, &options).unwrap();
        assert_eq!(stats.base_elements, BYTES);
    }
    alone(|| {
        let reader = Reader::open_with(file.as_slice(), &Limits::default(), &bases).unwrap();
        assert_eq!(reader.base_depth(), Some(6));
        assert!(reader.decode_layer(0).unwrap() == data);
        let once = work::cost(BYTES, 64);
        assert!(reader.work.done() <= 6 * once, "{}", reader.work.done());
        // A row takes a band of each file, or two.
        let before = reader.work.done();
        assert!(reader.decode_slice(0, 7..8, 0..2048).unwrap() == data[7 * 2048..8 * 2048]);
        assert!(reader.work.done() <= before + 6 * once);
        // Rows in order decode each band once.
        let before = reader.work.done();
        for row in 0..SHAPE[0] {
            reader.decode_slice(0, row..row + 1, 0..2048).unwrap();
        }
        assert!(reader.work.done() <= before + 6 * once, "{}", reader.work.done() - before);
    });
}

/// A file of segments that have their partners far from each other in a coded base.
fn scattered(count: usize, bands: usize) -> (Vec<u8>, Bases) {
    const BAND: usize = 512 << 10;
    const BYTES: usize = 1024;
    let mut original = vec![0; bands * BAND];
    let pieces = original.chunks_exact_mut(BAND).enumerate();
    pieces.for_each(|(k, band)| band[..BYTES].copy_from_slice(&noise(k, BYTES)));
    let layer = Layer::new("w", ElementType::U8, vec![(bands * BAND / 1024) as u64, 1024]);
    let options =
        EncodeOptions { block: Some((512, 1024)), verify: false, ..EncodeOptions::default() };
    let (base, _) = encode_layer(&original, &layer, &options).unwrap();
    let mut bases = Bases::new();
    bases.add_source("base", base);

    let (found, work) = bases.open_given(&Limits::default(), &()).unwrap();
    work.allow(u64::MAX);
    let mut directory = Directory { bases: vec![found[0].base.clone()], ..Directory::default() };
    let mut data = Vec::new();
    let small = Layer::new("s", ElementType::U8, vec![32, 32]);
    for segment in 0..count {
        let at = segment % bands * BAND;
        data.extend_from_slice(&original[at..at + BYTES]);
        directory.segments.push(layer_segment(&small, &options).unwrap());
        let base = BaseRef { base: 0, flip: false, at: at as u64 };
        directory.references.push(Reference { segment: segment as u32, base });
    }
    let mut file = Vec::new();
    let kind = SourceKind::Opaque;
    let mut writer = Writer::planned(&mut file, kind, directory, &found, &options).unwrap();
    let pieces = writer.pieces(0).unwrap();
    for (batch, range) in batches(&pieces) {
        writer.encode(batch, &data[range.start as usize..range.end as usize], None).unwrap();
    }
    let stats = writer.finish().unwrap();
    assert_eq!(stats.base_elements as usize, data.len());
    (file, bases)
}

#[test]
fn what_is_wanted_here_and_there_has_a_bound() {
    alone(|| {
        let (file, bases) = scattered(2600, 40);
        let reader = Reader::open_with(file.as_slice(), &Limits::default(), &bases).unwrap();
        let error = reader.verify(&()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Limit { .. }), "{error}");
        // As many as are kept are decoded once.
        let (file, bases) = scattered(2600, 30);
        let reader = Reader::open_with(file.as_slice(), &Limits::default(), &bases).unwrap();
        reader.verify(&()).unwrap();
        assert!(reader.work.done() < 16 << 20, "{}", reader.work.done());
    });
}

/// A file of two layers, the second of which is predicted from the first.
fn of_itself(layers: [&Layer; 2], original: &[u8], options: &EncodeOptions) -> Vec<u8> {
    let base = BaseRef { base: OWN, flip: false, at: 0 };
    let entry =
        |(segment, layer): (u32, &Layer)| LayerEntry { layer: layer.clone(), segment, offset: 0 };
    let directory = Directory {
        layers: (0..).zip(layers).map(entry).collect(),
        segments: layers.map(|layer| layer_segment(layer, options).unwrap()).to_vec(),
        references: vec![Reference { segment: 1, base }],
        ..Directory::default()
    };
    let mut file = Vec::new();
    let kind = SourceKind::Opaque;
    let mut writer = Writer::planned(&mut file, kind, directory, &[], options).unwrap();
    let pieces = writer.pieces(0).unwrap();
    for (batch, range) in batches(&pieces) {
        let bytes = &original[range.start as usize..range.end as usize];
        writer.encode(batch, bytes, Some(&original)).unwrap();
    }
    assert_eq!(writer.finish().unwrap().base_elements * 2, original.len() as u64);
    file
}

#[test]
fn what_a_base_decodes_of_itself_is_counted() {
    const BYTES: u64 = 256 * 1024;
    let layer = |name: &str| Layer::new(name, ElementType::U8, vec![256, 1024]);
    let first = noise(1, BYTES as usize);
    let near = |data: &[u8], step: usize| {
        let mut data = data.to_vec();
        data.iter_mut().step_by(step).for_each(|byte| *byte ^= 1);
        data
    };
    let second = near(&first, 7);
    let original = [first.as_slice(), &second].concat();
    let plain = EncodeOptions::default();
    let base = of_itself([&layer("first"), &layer("second")], &original, &plain);
    let mut bases = Bases::new();
    bases.add_source("base", base);
    let done = |name: &str, partner: &[u8]| {
        let data = near(partner, 11);
        let options = EncodeOptions { bases: bases.clone(), ..EncodeOptions::default() };
        let (file, stats) = encode_layer(&data, &layer(name), &options).unwrap();
        assert_eq!(stats.base_elements, BYTES);
        let reader = Reader::open_with(file.as_slice(), &Limits::default(), &bases).unwrap();
        assert!(reader.decode_layer(0).unwrap() == data);
        reader.work.done()
    };
    alone(|| {
        let (once, twice) = (done("first", &first), done("second", &second));
        assert!((BYTES..=work::cost(BYTES, 64)).contains(&once), "{once}");
        assert!((2 * BYTES..=2 * work::cost(BYTES, 64)).contains(&twice), "{twice}");
    });
}
