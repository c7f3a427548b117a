//! The field split: which bits of an element make a plane. FORMAT.md section 5.

use crate::dtype::ElementType;
use wcodec_kernels::{Level, Transform};

/// Most planes of a block.
pub(crate) const MAX_PLANES: usize = 16;
/// Widest raw plane.
pub(crate) const MAX_RAW_WIDTH: u32 = 8;

/// Bits `shift..shift + width` of every element, the informative bits of an element first.
pub(crate) fn extract(
    level: Level,
    element: ElementType,
    bytes: &[u8],
    shift: u32,
    width: u32,
) -> Vec<u16> {
    let mut symbols = Vec::new();
    wcodec_kernels::extract(level, element.kernel(), bytes, shift, width, &mut symbols);
    symbols
}

/// The bits of an element that are not the same in all elements, the informative bits first.
pub(crate) fn varying_bits(level: Level, element: ElementType, bytes: &[u8]) -> u64 {
    let varying = wcodec_kernels::varying_bits(level, element.kernel(), bytes);
    match element.kernel().transform() {
        Transform::RotateSign => {
            let bits = element.bits();
            let mask = u64::MAX >> (64 - bits);
            (varying << 1 | varying >> (bits - 1)) & mask
        }
        Transform::Identity | Transform::FlipSign => varying,
    }
}

/// Widths of the planes below the first one of `first` bits: runs of bits that never change are
/// cut off, the rest goes in bytes counted from the lowest bit.
pub(crate) fn low_widths(element: ElementType, first: u32, varying: u64) -> Vec<u32> {
    /// A shorter run of constant bits is not worth a plane.
    const MIN_RUN: u32 = 4;
    // Where runs are many, the shorter ones stay with their neighbours.
    (MIN_RUN..element.bits())
        .map(|least| cut_runs(element.bits() - first, varying, least))
        .find(|widths| widths.len() < MAX_PLANES)
        .unwrap_or_default()
}

/// Cuts the lowest `bits` bits at runs of at least `least` constant bits.
fn cut_runs(bits: u32, varying: u64, least: u32) -> Vec<u32> {
    let mut runs: Vec<(bool, u32)> = Vec::new();
    for bit in (0..bits).rev() {
        let constant = varying >> bit & 1 == 0;
        match runs.last_mut() {
            Some((kind, length)) if *kind == constant => *length += 1,
            _ => runs.push((constant, 1)),
        }
    }
    let mut merged: Vec<(bool, u32)> = Vec::new();
    for (constant, length) in runs {
        let constant = constant && length >= least;
        match merged.last_mut() {
            Some((kind, sum)) if *kind == constant => *sum += length,
            _ => merged.push((constant, length)),
        }
    }
    let mut widths = Vec::new();
    for (_, length) in merged {
        if length % MAX_RAW_WIDTH > 0 {
            widths.push(length % MAX_RAW_WIDTH);
        }
        widths.extend((0..length / MAX_RAW_WIDTH).map(|_| MAX_RAW_WIDTH));
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn planes_are_never_too_many(varying: u64, holes: u64, first in 1u32..=12) {
            for element in ElementType::all().filter(|e| e.bits() > first) {
                for pattern in [varying, varying & holes, 0x8421_0842_1084_2108, 0x1041_0410_4104_1041] {
                    let widths = low_widths(element, first, pattern);
                    prop_assert!(widths.len() < MAX_PLANES);
                    prop_assert_eq!(widths.iter().sum::<u32>(), element.bits() - first);
                }
            }
        }
    }

    #[test]
    fn constant_runs_are_cut_off() {
        // bf16 values in fp32: 16 low mantissa bits are zero, the sign below them is not.
        let bytes: Vec<u8> = (0..200u32).flat_map(|i| ((i * 0x9e37) << 16).to_le_bytes()).collect();
        let varying = varying_bits(Level::SCALAR, ElementType::F32, &bytes);
        assert_eq!(low_widths(ElementType::F32, 9, varying), [6, 8, 8, 1]);
        assert_eq!(low_widths(ElementType::F32, 9, u64::MAX), [7, 8, 8]);
        assert_eq!(low_widths(ElementType::Bf16, 8, u64::MAX), [8]);
        assert!(low_widths(ElementType::I8, 8, u64::MAX).is_empty());
    }
}
