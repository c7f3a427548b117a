//! What a caller's buffer holds after decoding: everything, or nothing. Longer run:
//! `WCODEC_HYGIENE=10000000`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use rayon::prelude::*;
use support::{Rng, bf16, count, int8};
use wcodec::{
    ElementType, EncodeOptions, Layer, Limits, Reader, Scan, Span, decode_layer_into, encode_layer,
};

const GUARD: usize = 64;

/// Decodes between two guards into a buffer filled with `fill`; checks the guards.
fn decode(coded: &[u8], length: usize, fill: u8) -> Result<Vec<u8>, Vec<u8>> {
    let mut memory = vec![0xa5; GUARD + length + GUARD];
    let (_, rest) = memory.split_at_mut(GUARD);
    let (out, _) = rest.split_at_mut(length);
    out.fill(fill);
    let result = decode_layer_into(coded, out);
    assert!(memory[..GUARD].iter().chain(&memory[GUARD + length..]).all(|&b| b == 0xa5));
    let out = memory[GUARD..GUARD + length].to_vec();
    if result.is_ok() { Ok(out) } else { Err(out) }
}

#[test]
fn a_buffer_holds_the_layer_or_zeros() {
    let mut rng = Rng::new(11);
    let mut files = Vec::new();
    for (element, data) in
        [(ElementType::I8, int8(&mut rng, 9000)), (ElementType::Bf16, bf16(&mut rng, 4500))]
    {
        for scan in [Scan::Row, Scan::Column] {
            let layer = Layer::new("w", element, vec![90, 9000 / 90 / element.size() as u64]);
            let mut options = EncodeOptions::default();
            options.block = Some((32, 40));
            options.scan = Some(scan);
            files.push((encode_layer(&data, &layer, &options).unwrap().0, data.clone()));
        }
    }
    (0..count("WCODEC_HYGIENE", 4000)).into_par_iter().for_each(|seed| {
        let mut rng = Rng::new(seed);
        let (coded, data) = &files[rng.below(files.len() as u64) as usize];
        let mut coded = coded.clone();
        let damaged = rng.below(4) > 0;
        if damaged {
            let at = rng.below(coded.len() as u64) as usize;
            coded[at] ^= 1 << rng.below(8);
        }
        let with_zeros = decode(&coded, data.len(), 0);
        let with_ones = decode(&coded, data.len(), 0xff);
        assert_eq!(with_zeros, with_ones, "seed {seed}: what was there before shows through");
        match with_zeros {
            Ok(out) => assert!(out == *data && !damaged, "seed {seed}"),
            Err(out) => assert!(out.iter().all(|&b| b == 0) && damaged, "seed {seed}"),
        }
    });
}

#[test]
fn a_buffer_of_another_size_is_refused_and_cleared() {
    let layer = Layer::new("w", ElementType::U8, vec![10, 10]);
    let (coded, _) = encode_layer(&[3; 100], &layer, &EncodeOptions::default()).unwrap();
    for length in [0, 99, 101] {
        let mut out = vec![0xff; length];
        let error = decode_layer_into(&coded, &mut out).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("layer \"w\": buffer of {length} bytes, expected 100")
        );
        assert!(out.iter().all(|&b| b == 0));
    }
}

/// A buffer may be memory that nobody has touched, and more of it than there is.
#[test]
fn buffers_of_a_reader_are_not_touched_if_one_does_not_fit() {
    let layer = Layer::new("w", ElementType::U8, vec![10, 10]);
    let (coded, _) = encode_layer(&[3; 100], &layer, &EncodeOptions::default()).unwrap();
    let reader = Reader::open(coded.as_slice(), &Limits::default()).unwrap();
    for length in [0, 99, 101] {
        let (mut right, mut wrong) = (vec![0xff; 100], vec![0xff; length]);
        reader.decode_layers_into(&mut [(0, &mut right), (0, &mut wrong)]).unwrap_err();
        assert!(right.iter().chain(&wrong).all(|&b| b == 0xff));
        let spans = [Span::from(0..10), Span::from(0..10)];
        reader.decode_part_into(0, &spans, &mut wrong, &()).unwrap_err();
        assert!(wrong.iter().all(|&b| b == 0xff));
    }
    let mut right = vec![0xff; 100];
    reader.decode_layers_into(&mut [(0, &mut right), (1, &mut [])]).unwrap_err();
    assert!(right.iter().all(|&b| b == 0xff));
}
