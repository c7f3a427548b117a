//! Tables of more than 64 symbols, whose slots follow one another: frequencies are gathered.
//!
//! The quotient is a product with a float reciprocal that is a little too small: it is right or one
//! too small, which the remainder tells.

use super::{Lanes, ODD_LANES, Step, Wide, ranks_at};
use crate::{EncodeTable, LANES, MAX_SYMBOLS};
use std::arch::x86_64::*;

/// The ranks of even or odd places, in the lowest byte of 32 bits each.
const fn places(odd: usize) -> [u8; 64] {
    let mut places = [0; 64];
    let mut byte = 0;
    while byte < 64 {
        places[byte] = (LANES - 1 - byte / 4 * 2 - odd) as u8;
        byte += 1;
    }
    places
}

const EVEN: [u8; 64] = places(0);
const ODD: [u8; 64] = places(1);

/// A little below `1 / f`, so that `x * reciprocal` rounded down is `x / f` or one less for every
/// `x < f << 16`: one step of Newton's method from an estimate good to 2^-14, with `2 - 2^-20` for 2, ends
/// 2^-20 below, give or take 2^-23, on every processor. That is more than the two roundings (of `x` and
/// of the product, 2^-24 each) can add, and takes at most a 16th off a quotient.
#[inline]
#[target_feature(enable = "avx512f")]
fn reciprocal(f: __m512i) -> __m512 {
    let f = _mm512_cvtepi32_ps(f);
    let estimate = _mm512_rcp14_ps(f);
    let two = _mm512_set1_ps(2.0 - 1.0 / 1_048_576.0);
    _mm512_mul_ps(estimate, _mm512_fnmadd_ps(f, estimate, two))
}

/// About `x / f`.
#[inline]
#[target_feature(enable = "avx512f")]
fn quotient(x: __m512i, f: __m512i) -> __m512i {
    _mm512_cvttps_epu32(_mm512_mul_ps(_mm512_cvtepi32_ps(x), reciprocal(f)))
}

/// Upper halves of these numbers of 32 bits, and lower halves, each as one vector of 16 bits.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn split(even: __m512i, odd: __m512i) -> (__m512i, __m512i) {
    let high = _mm512_mask_mov_epi16(_mm512_srli_epi32::<16>(even), ODD_LANES, odd);
    let low = _mm512_mask_mov_epi16(even, ODD_LANES, _mm512_slli_epi32::<16>(odd));
    (high, low)
}

impl Step for Wide {
    type Table = [u32; MAX_SYMBOLS];

    #[inline(always)]
    fn table(table: &EncodeTable) -> &[u32; MAX_SYMBOLS] {
        table.wide()
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
    unsafe fn step(
        lanes: &mut Lanes<'_>,
        table: &[u32; MAX_SYMBOLS],
        ranks: &[u8; LANES],
        active: u32,
    ) {
        let look_up = |places: &[u8; 64]| {
            let ranks = _mm512_and_si512(ranks_at(places, ranks), _mm512_set1_epi32(0xff));
            // SAFETY: ranks are bytes, and the table has 256 entries.
            unsafe { _mm512_i32gather_epi32::<4>(ranks, table.as_ptr().cast()) }
        };
        let (even, odd) = (look_up(&EVEN), look_up(&ODD));
        let (frequency, base) = split(even, odd);
        let (high, low) = lanes.emit(frequency, active);

        // The states of even places and of odd ones.
        let x_even = _mm512_mask_mov_epi16(low, ODD_LANES, _mm512_slli_epi32::<16>(high));
        let x_odd = _mm512_mask_mov_epi16(_mm512_srli_epi32::<16>(low), ODD_LANES, high);
        let even = quotient(x_even, _mm512_srli_epi32::<16>(even));
        let odd = quotient(x_odd, _mm512_srli_epi32::<16>(odd));
        let estimate = _mm512_mask_mov_epi16(even, ODD_LANES, _mm512_slli_epi32::<16>(odd));
        let rest = _mm512_sub_epi16(low, _mm512_mullo_epi16(estimate, frequency));
        let short = _mm512_cmpge_epu16_mask(rest, frequency);
        let position = _mm512_mask_sub_epi16(rest, short, rest, frequency);
        let one = _mm512_set1_epi16(1);
        let quotient = _mm512_mask_add_epi16(estimate, short, estimate, one);
        lanes.set(quotient, _mm512_add_epi16(base, position), active);
    }
}
