//! Strips of 32 rows turned 16 columns at a time.
//!
//! Four rounds of interleaving vectors `k` and `k + 8` transpose 16 vectors of 16 bytes; the two
//! halves of a 256-bit vector do that side by side, one for the upper 16 rows, one for the lower.

use crate::level::Set;
use crate::turn::{transpose, untranspose};
use crate::{LANES, Level};
use std::arch::x86_64::*;

/// Columns that are turned at a time.
const COLS: usize = 16;

/// Twin of [`crate::turn::to_rows`] for one strip of 32 rows.
pub(crate) fn to_rows(level: Level, coded: &[u8], cols: usize, out: &mut [u8]) {
    check(level, coded, out, cols);
    // SAFETY: the level says that the processor has the instructions.
    unsafe { to_rows_avx2(coded, cols, out) };
    transpose(coded, LANES, cols / COLS * COLS..cols, out);
}

/// Twin of [`crate::turn::to_coding_order`] for one strip of 32 rows.
pub(crate) fn to_coded(level: Level, rows: &[u8], cols: usize, out: &mut [u8]) {
    check(level, rows, out, cols);
    // SAFETY: the level says that the processor has the instructions.
    unsafe { to_coded_avx2(rows, cols, out) };
    untranspose(rows, LANES, cols / COLS * COLS..cols, out);
}

fn check(level: Level, from: &[u8], to: &[u8], cols: usize) {
    assert!(level.set() >= Set::Avx2);
    assert!(from.len() == LANES * cols && to.len() == LANES * cols, "a strip has 32 rows");
}

#[target_feature(enable = "avx2")]
pub(super) fn to_rows_avx2(coded: &[u8], cols: usize, out: &mut [u8]) {
    for column in (0..cols / COLS * COLS).step_by(COLS) {
        let columns = &coded[LANES * column..][..LANES * COLS];
        // SAFETY: each of the 16 columns has the 32 bytes that are read.
        let vectors = turned(std::array::from_fn(|k| unsafe {
            _mm256_loadu_si256(columns.as_ptr().add(LANES * k).cast())
        }));
        let out = &mut out[column..][..(LANES - 1) * cols + COLS];
        for (row, vector) in vectors.into_iter().enumerate() {
            // SAFETY: `out` ends 16 bytes behind the beginning of row 31.
            unsafe {
                let upper = out.as_mut_ptr().add(row * cols);
                _mm_storeu_si128(upper.cast(), _mm256_castsi256_si128(vector));
                let lower = out.as_mut_ptr().add((row + COLS) * cols);
                _mm_storeu_si128(lower.cast(), _mm256_extracti128_si256::<1>(vector));
            }
        }
    }
}

#[target_feature(enable = "avx2")]
fn to_coded_avx2(rows: &[u8], cols: usize, out: &mut [u8]) {
    for column in (0..cols / COLS * COLS).step_by(COLS) {
        let rows = &rows[column..][..(LANES - 1) * cols + COLS];
        // SAFETY: `rows` ends 16 bytes behind the beginning of row 31.
        let vectors = turned(std::array::from_fn(|row| unsafe {
            let upper = _mm_loadu_si128(rows.as_ptr().add(row * cols).cast());
            let lower = _mm_loadu_si128(rows.as_ptr().add((row + COLS) * cols).cast());
            _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(upper), lower)
        }));
        let out = &mut out[LANES * column..][..LANES * COLS];
        for (k, vector) in vectors.into_iter().enumerate() {
            // SAFETY: each of the 16 columns has the 32 bytes that are written.
            unsafe { _mm256_storeu_si256(out.as_mut_ptr().add(LANES * k).cast(), vector) };
        }
    }
}

/// Transposes 16 x 16 bytes in each half of the vectors.
#[inline]
#[target_feature(enable = "avx2")]
fn turned(mut vectors: [__m256i; COLS]) -> [__m256i; COLS] {
    for _ in 0..COLS.ilog2() {
        let before = vectors;
        for k in 0..COLS / 2 {
            vectors[2 * k] = _mm256_unpacklo_epi8(before[k], before[k + COLS / 2]);
            vectors[2 * k + 1] = _mm256_unpackhi_epi8(before[k], before[k + COLS / 2]);
        }
    }
    vectors
}
