//! Estimates against what encoding makes.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::path::Path;
use support::gguf::{Gguf, with_contexts};
use support::{Rng, bf16, safetensors, scaled, tensor, with_means};
use wcodec::{
    Effort, ElementType, EncodeOptions, ErrorKind, Estimate, Observer, Result, SourceKind,
    encode_bytes,
};

fn estimate(file: &[u8], options: &EncodeOptions, observer: &dyn Observer) -> Result<Estimate> {
    wcodec::estimate((Path::new("model"), &file), options, observer)
}

fn model() -> Vec<u8> {
    let rng = &mut Rng::new(7);
    safetensors(&[
        tensor("means", "I8", &[512, 768], with_means(rng, ElementType::I8, 512, 768)),
        tensor("scaled", "I8", &[600, 512], scaled(rng, ElementType::I8, 600, 512)),
        tensor("plain", "BF16", &[700, 256], bf16(rng, 700 * 256)),
        tensor("random", "U8", &[1 << 16], rng.bytes(1 << 16)),
        tensor("small", "F32", &[8], rng.bytes(32)),
    ])
}

#[test]
fn small_files_are_estimated_as_they_are_encoded() {
    let file = model();
    for effort in [Effort::Fast, Effort::Default] {
        let mut options = EncodeOptions::default();
        options.effort = effort;
        let estimate = estimate(&file, &options, &()).unwrap();
        let (_, stats) = encode_bytes(&file, &options, &()).unwrap();
        assert_eq!(estimate.source, SourceKind::Safetensors);
        assert_eq!(estimate.total.original_bytes, file.len() as u64);
        assert_eq!(estimate.sampled_bytes, file.len() as u64);
        let off = estimate.total.expected_bytes.abs_diff(stats.coded_bytes);
        // But for the padding between a segment's blocks and the next.
        assert!(off < 100, "{} and {}", estimate.total.expected_bytes, stats.coded_bytes);
        let layer =
            |name: &str| estimate.layers.iter().find(|(layer, _)| layer.name == name).unwrap().1;
        assert!(layer("plain").worth_it() && estimate.total.worth_it());
        assert!(!layer("random").worth_it(), "random bytes cannot be coded");
        assert!(layer("random").order0_bytes > (1 << 16) - 300);
        let tried = effort > Effort::Fast;
        assert_eq!(layer("scaled").classes_saved_bytes > 5000, tried);
        assert_eq!(layer("means").means_saved_bytes > 5000, tried);
        let sum: u64 = estimate.layers.iter().map(|(_, e)| e.expected_bytes).sum();
        assert!(sum <= estimate.total.expected_bytes);
    }
}

#[test]
fn blocks_with_pivots_and_contexts_are_estimated_too() {
    let mut rng = Rng::new(3);
    let tensors = ["Q8_0", "Q4_1", "Q6_K"].map(|name| with_contexts(&mut rng, name, 700, 1024));
    let file = Gguf::new(tensors.to_vec()).build();
    for effort in [Effort::Fast, Effort::Default] {
        let mut options = EncodeOptions::default();
        options.effort = effort;
        let found = estimate(&file, &options, &()).unwrap().total.expected_bytes;
        let (coded, _) = encode_bytes(&file, &options, &()).unwrap();
        let off = found.abs_diff(coded.len() as u64);
        assert!(off < coded.len() as u64 / 30, "{effort:?}: {found} for {}", coded.len());
    }
}

#[test]
fn bytes_of_no_structure_are_estimated_too() {
    let options = EncodeOptions::default();
    let random = estimate(&Rng::new(3).bytes(100_000), &options, &()).unwrap();
    assert!(!random.total.worth_it() && random.layers.is_empty());
    let text = b"neither tensors nor arrays\n".repeat(9999);
    let text = estimate(&text, &options, &()).unwrap();
    assert!(text.total.worth_it() && text.source == SourceKind::Opaque);
    let empty = estimate(&[], &options, &()).unwrap();
    assert!(!empty.total.worth_it() && empty.total.ratio() >= 1.0);
}

#[test]
fn the_estimate_does_not_depend_on_threads_and_can_be_stopped() {
    struct Stop;
    impl Observer for Stop {
        fn cancelled(&self) -> bool {
            true
        }
    }
    let file = model();
    let totals = [1, 2, 5].map(|threads| {
        let mut options = EncodeOptions::default();
        options.threads = Some(threads);
        estimate(&file, &options, &()).unwrap().total
    });
    assert!(totals.iter().all(|total| *total == totals[0]));
    let stopped = estimate(&file, &EncodeOptions::default(), &Stop).unwrap_err();
    assert!(matches!(stopped.kind(), ErrorKind::Interrupted));
}
