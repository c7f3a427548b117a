//! Predicted signs of floats of two bytes, put back.

use super::products::{Pair, sums_of_64};
use crate::Level;
use crate::level::Set;
use std::arch::x86_64::*;

/// Floats of a step, and their bytes.
const STEP: usize = 64;
const STEP_BYTES: usize = 2 * STEP;

/// Twin of [`crate::predict_signs`] for most of a row of floats of two bytes; returns how many floats. Each product must
/// have a column factor for each float.
pub(crate) fn restore<'a>(
    level: Level,
    mantissa: u32,
    products: impl Iterator<Item = Pair<'a>> + Clone,
    bytes: &mut [u8],
) -> usize {
    if level.set() != Set::Avx512 {
        return 0;
    }
    assert!(products.clone().all(|(_, cols)| cols.len() >= bytes.len() / 2));
    // SAFETY: the level says that the processor has the instructions; there are as many columns as floats.
    unsafe { restore_avx512(mantissa, products, bytes) }
}

/// # Safety
/// Each product must have a column factor for each float.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi2")]
unsafe fn restore_avx512<'a>(
    mantissa: u32,
    products: impl Iterator<Item = Pair<'a>> + Clone,
    bytes: &mut [u8],
) -> usize {
    let top = _mm512_set1_epi16(i16::MIN);
    let exponent = _mm512_set1_epi16(i16::MAX >> mantissa << mantissa);
    let to_top = _mm512_set1_epi16(15 - mantissa as i16);
    let (steps, _) = bytes.as_chunks_mut::<STEP_BYTES>();
    for (step, floats) in steps.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        let sums = unsafe { sums_of_64(products.clone(), step * STEP, _mm512_setzero_si512()) };
        let [a, b, c, d] = sums.map(|sum| u32::from(_mm512_movepi32_mask(sum)));
        for (floats, negative) in
            floats.as_chunks_mut::<64>().0.iter_mut().zip([b << 16 | a, d << 16 | c])
        {
            // SAFETY: 32 floats are the 64 bytes that are read.
            let hidden = unsafe { _mm512_loadu_si512(floats.as_ptr().cast()) };
            // From the highest bit: exponent, sign, mantissa.
            let ordered = _mm512_shldi_epi16::<1>(hidden, hidden);
            let sign = _mm512_sllv_epi16(ordered, to_top);
            let sign = _mm512_mask_add_epi16(sign, negative, sign, top);
            // The bits of the first where the mask has ones, of the second elsewhere.
            let magnitude = _mm512_ternarylogic_epi32::<0xca>(exponent, hidden, ordered);
            let float = _mm512_ternarylogic_epi32::<0xca>(top, sign, magnitude);
            // SAFETY: as above.
            unsafe { _mm512_storeu_si512(floats.as_mut_ptr().cast(), float) };
        }
    }
    STEP * steps.len()
}
