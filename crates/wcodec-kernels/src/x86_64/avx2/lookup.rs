//! Tables of up to 64 bytes in vectors of 16, and how the 32 lanes of a step lie in two vectors.
//!
//! Lanes 0 to 7 and 16 to 23 are the halves of the first vector, 8 to 15 and 24 to 31 those of the second:
//! packing both to bytes gives the lanes in order, and unpacking such bytes gives both.

use crate::LANES;
use crate::slots::SplitBytes;
use std::arch::x86_64::*;

/// The lane of a number of a vector.
pub(super) fn lane(vector: usize, number: usize) -> usize {
    8 * vector + number + number / 8 * 8
}

/// All bits of the lanes of `active`.
#[target_feature(enable = "avx2")]
pub(super) fn active_lanes(active: u32) -> [__m256i; 2] {
    let mask = |lane: usize| if active >> lane & 1 == 1 { u16::MAX } else { 0 };
    in_lanes(mask)
}

/// The number of each lane.
#[target_feature(enable = "avx2")]
pub(super) fn in_lanes(number: impl Fn(usize) -> u16) -> [__m256i; 2] {
    let numbers = |vector| -> [u16; LANES / 2] { std::array::from_fn(|k| number(lane(vector, k))) };
    [load(&numbers(0)), load(&numbers(1))]
}

/// The number of each lane, from vectors.
#[target_feature(enable = "avx2")]
pub(super) fn of_lanes(vectors: [__m256i; 2]) -> [u16; LANES] {
    let mut lanes = [0; LANES];
    for (vector, numbers) in vectors.into_iter().enumerate() {
        let mut stored = [0u16; LANES / 2];
        // SAFETY: the array has the 32 bytes that are written.
        unsafe { _mm256_storeu_si256(stored.as_mut_ptr().cast(), numbers) };
        for (k, number) in stored.into_iter().enumerate() {
            lanes[lane(vector, k)] = number;
        }
    }
    lanes
}

/// 32 bytes as a vector.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load<T: Copy, const N: usize>(numbers: &[T; N]) -> __m256i {
    const { assert!(size_of::<[T; N]>() == 32) };
    // SAFETY: the numbers are the 32 bytes that are read.
    unsafe { _mm256_loadu_si256(numbers.as_ptr().cast()) }
}

/// Two vectors of 16 bytes as one.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn join(low: __m128i, high: __m128i) -> __m256i {
    _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high)
}

/// Indices into tables of 64, with 16 taken off once more for each quarter: below zero, a shuffle gives
/// zero.
#[derive(Clone, Copy)]
pub(super) struct Indices([__m256i; 4]);

impl Indices {
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn of(indices: __m256i) -> Indices {
        let less = |n| _mm256_sub_epi8(indices, _mm256_set1_epi8(n));
        Indices([indices, less(16), less(32), less(48)])
    }

    /// A byte for each index, all of which lie in the first `QUARTERS`.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn look_up<const QUARTERS: usize>(self, table: &SplitBytes) -> __m256i {
        let mut found = _mm256_setzero_si256();
        for (quarter, indices) in table[..QUARTERS].iter().zip(self.0) {
            // SAFETY: a quarter has the 16 bytes that are read.
            let quarter = unsafe { _mm_loadu_si128(quarter.as_ptr().cast()) };
            let quarter = _mm256_broadcastsi128_si256(quarter);
            found = _mm256_xor_si256(found, _mm256_shuffle_epi8(quarter, indices));
        }
        found
    }

    /// A number of 16 bits for each index, in the order of the lanes.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn numbers<const QUARTERS: usize>(self, table: &[SplitBytes; 2]) -> [__m256i; 2] {
        unpack([0, 1].map(|half| self.look_up::<QUARTERS>(&table[half])))
    }
}

/// Lower and upper bytes of the lanes as numbers.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn unpack([low, high]: [__m256i; 2]) -> [__m256i; 2] {
    [_mm256_unpacklo_epi8(low, high), _mm256_unpackhi_epi8(low, high)]
}
