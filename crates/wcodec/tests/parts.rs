//! Parts of layers and of the original, and observers of decoding.

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use support::forge::{Forge, LayerEntry, raw};
use support::{Rng, int8, safetensors, tensor};
use wcodec::{
    ElementType, EncodeOptions, ErrorKind, Layer, Limits, Observer, Reader, Span, encode_bytes,
    encode_layer, encode_layer_from,
};

fn model(rng: &mut Rng) -> Vec<u8> {
    let wide = int8(rng, 700 * 600);
    let cube = rng.bytes(2 * 40 * 50 * 30);
    safetensors(&[
        tensor("wide", "I8", &[700, 600], wide),
        tensor("cube", "F16", &[40, 50, 30], cube),
        tensor("small", "F32", &[3, 5], rng.bytes(60)),
        tensor("scalar", "I64", &[], rng.bytes(8)),
        tensor("none", "F32", &[0, 4], vec![]),
    ])
}

/// The part, element by element.
fn naive(data: &[u8], shape: &[u64], spans: &[Span], size: usize) -> Vec<u8> {
    let mut elements = vec![0u64];
    for (dim, span) in shape.iter().zip(spans) {
        let indices = (0..span.count).map(|k| span.start + k * span.step);
        elements =
            elements.iter().flat_map(|e| indices.clone().map(move |i| e * dim + i)).collect();
    }
    elements.iter().flat_map(|&e| data[e as usize * size..][..size].to_vec()).collect()
}

#[test]
fn parts_are_what_the_whole_says() {
    let mut rng = Rng::new(11);
    let (coded, _) = encode_bytes(&model(&mut rng), &EncodeOptions::default(), &()).unwrap();
    let reader = Reader::open(coded.as_slice(), &Limits::default()).unwrap();
    for (index, layer) in reader.layers().enumerate() {
        let data = reader.decode_layer(index).unwrap();
        let size = layer.element().unwrap().size();
        for _ in 0..60 {
            let spans: Vec<Span> = layer
                .shape
                .iter()
                .map(|&dim| {
                    let (start, step) = (rng.below(dim), 1 + rng.below(9) / 5 * rng.below(dim));
                    let most = dim.saturating_sub(start).div_ceil(step);
                    Span { start, count: rng.below(most + 1), step }
                })
                .collect();
            let expected = naive(&data, &layer.shape, &spans, size);
            let mut part = vec![1; expected.len()];
            reader.decode_part_into(index, &spans, &mut part, &()).unwrap();
            assert!(part == expected, "{} {spans:?}", layer.name);
        }
    }
}

/// Only what is needed is read: a part decodes though a block outside it is damaged.
#[test]
fn parts_do_not_read_other_blocks() {
    let mut rng = Rng::new(12);
    let data = int8(&mut rng, 1024 * 64);
    let layer = Layer::new("w", ElementType::I8, vec![1024, 64]);
    let mut options = EncodeOptions::default();
    options.block = Some((64, 64));
    let (mut coded, _) = encode_layer(&data, &layer, &options).unwrap();
    // Its middle lies in a block.
    let byte = coded.len() / 2;
    coded[byte] ^= 1;
    let reader = Reader::open(coded.as_slice(), &Limits::default()).unwrap();
    let error = reader.decode_layer(0).unwrap_err();
    let damaged = error.block().unwrap();
    assert_eq!(error.layer(), Some("w"));
    let mut sound = 0;
    for band in 0..16u64 {
        let spans = [Span { start: 64 * band, count: 2, step: 63 }, Span::from(3..60)];
        let mut part = vec![7; 2 * 57];
        match reader.decode_part_into(0, &spans, &mut part, &()) {
            Ok(_) => {
                assert_eq!(part, naive(&data, &[1024, 64], &spans, 1));
                sound += 1;
            }
            Err(error) => {
                assert_eq!(error.block(), Some(damaged));
                assert!(part.iter().all(|&b| b == 0), "zeroed after an error");
            }
        }
    }
    assert_eq!(sound, 15);
}

#[test]
fn ranges_are_bytes_of_the_original() {
    let mut rng = Rng::new(13);
    let original = model(&mut rng);
    let (coded, _) = encode_bytes(&original, &EncodeOptions::default(), &()).unwrap();
    let reader = Reader::open(coded.as_slice(), &Limits::default()).unwrap();
    let len = original.len() as u64;
    for _ in 0..200 {
        let start = rng.below(len + 1);
        let end = start + rng.below(len - start + 1) / (1 + rng.below(400));
        let bytes = reader.decode_range(start..end).unwrap();
        assert!(bytes == original[start as usize..end as usize], "{start}..{end}");
    }
    assert!(reader.decode_range(0..len).unwrap() == original);
    let error = reader.decode_range(1..len + 1).unwrap_err();
    assert_eq!(error.to_string(), format!("bytes 1:{} are not within 0:{len}", len + 1));
}

/// Notes what it is told, and stops if it should.
#[derive(Default)]
struct Noting {
    most: AtomicU64,
    total: AtomicU64,
    stop: bool,
}

impl Observer for Noting {
    fn progress(&self, done: u64, total: u64) {
        self.most.fetch_max(done, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    fn cancelled(&self) -> bool {
        self.stop
    }
}

#[test]
fn decoding_layers_reports_and_stops() {
    let data = int8(&mut Rng::new(14), 4096 * 1024);
    let layer = Layer::new("w", ElementType::I8, vec![4096, 1024]);
    let (coded, _) = encode_layer(&data, &layer, &EncodeOptions::default()).unwrap();
    let reader = Reader::open(coded.as_slice(), &Limits::default()).unwrap();
    let mut out = vec![0; data.len()];
    let noting = Noting::default();
    reader.decode_layers_observed(&mut [(0, &mut out)], &noting).unwrap();
    assert!(out == data);
    let (most, total) = (noting.most.into_inner(), noting.total.into_inner());
    assert_eq!((most, total), (data.len() as u64, data.len() as u64));

    let stopping = Noting { stop: true, ..Noting::default() };
    let error = reader.decode_layers_observed(&mut [(0, &mut out)], &stopping).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Interrupted));
    assert!(out.iter().all(|&b| b == 0), "zeroed after an interruption");

    let spans = [Span::from(0..4096), Span { start: 0, count: 512, step: 2 }];
    let mut part = vec![1; 4096 * 512];
    let error = reader.decode_part_into(0, &spans, &mut part, &stopping).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Interrupted));
    assert!(part.iter().all(|&b| b == 0), "zeroed after an interruption");
}

#[test]
fn encoding_a_layer_can_be_stopped() {
    let data = int8(&mut Rng::new(15), 1 << 16);
    let layer = Layer::new("w", ElementType::I8, vec![256, 256]);
    let options = EncodeOptions::default();
    let stopping = Noting { stop: true, ..Noting::default() };
    let error = encode_layer_from(&data, &layer, &options, &stopping).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Interrupted));
    let (coded, _) = encode_layer_from(&data, &layer, &options, &()).unwrap();
    assert_eq!(coded, encode_layer(&data, &layer, &options).unwrap().0);
}

#[test]
fn small_layers_come_out_of_blocks_side_by_side() {
    let (rows, cols, block) = (32u64, 24u64, (16u32, 8u32));
    let original: Vec<u8> = (0..rows * cols).map(|k| (k * 7 % 251) as u8).collect();
    let mut forge = Forge::new(raw(&original));
    let segment = &mut forge.segments[0];
    (segment.block, segment.rows, segment.cols) = (block, rows, cols);
    segment.blocks.clear();
    for first in (0..rows as usize).step_by(block.0 as usize) {
        for left in (0..cols as usize).step_by(block.1 as usize) {
            let row = |row| &original[row * cols as usize + left..][..block.1 as usize];
            let bytes: Vec<u8> = (first..first + block.0 as usize).flat_map(row).copied().collect();
            segment.blocks.push(raw(&bytes));
        }
    }
    let one = forge.layers.remove(0);
    let mut at = 0;
    for len in (1..=9u64).cycle() {
        if at + len > rows * cols {
            break;
        }
        let name = format!("{at}").into_bytes();
        forge.layers.push(LayerEntry {
            name,
            shape: vec![len],
            offset: at,
            length: len,
            ..one.clone()
        });
        at += len;
    }
    let file = forge.build();
    let reader = Reader::open(file.as_slice(), &Limits::default()).unwrap();
    let layers: Vec<(usize, u64)> = reader.layers().map(|l| l.bytes).enumerate().collect();
    let mut out: Vec<Vec<u8>> = layers.iter().map(|&(_, bytes)| vec![0; bytes as usize]).collect();
    let mut wanted: Vec<(usize, &mut [u8])> =
        out.iter_mut().map(Vec::as_mut_slice).enumerate().collect();
    reader.decode_layers_into(&mut wanted).unwrap();
    assert!(out.concat() == original[..at as usize]);
}
