//! Strips of 32 rows, decoded column by column, turned to rows.
//!
//! A line holds two columns, of each row the bytes of both: a strip is a matrix of 16-bit numbers that lies
//! transposed. Three rounds of interleaving vectors `k` and `k + 4` transpose 8 x 8 of them in each
//! quarter of eight vectors.

use crate::LANES;
use crate::lines::LINE;
use std::arch::x86_64::*;

/// Columns that are turned at a time.
const COLS: usize = 16;
/// Vectors that they lie in, and rows in a quarter of each.
const VECTORS: usize = COLS / 2;

/// Puts the columns of a strip, two in each line of `coded`, in rows of `cols` bytes that begin at `starts`.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn to_rows(coded: &[u8], cols: usize, starts: &[usize; LANES], out: &mut [u8]) {
    assert!(coded.len() / LINE >= cols.div_ceil(2), "a strip has all columns");
    let room = out.len().checked_sub(cols);
    assert!(starts.iter().all(|&start| room.is_some_and(|room| start <= room)), "rows fit");
    let whole = cols / COLS * COLS;
    for column in (0..whole).step_by(COLS) {
        let lines = &coded[column / 2 * LINE..][..VECTORS * LINE];
        // SAFETY: each of the lines has the 64 bytes that are read.
        let vectors = turned(std::array::from_fn(|k| unsafe {
            _mm512_loadu_si512(lines.as_ptr().add(k * LINE).cast())
        }));
        for (row, vector) in vectors.into_iter().enumerate() {
            let start = out.as_mut_ptr();
            let to = |quarter: usize| start.wrapping_add(starts[VECTORS * quarter + row] + column);
            // SAFETY: these 16 columns of each row lie in `out`.
            unsafe {
                _mm_storeu_si128(to(0).cast(), _mm512_castsi512_si128(vector));
                _mm_storeu_si128(to(1).cast(), _mm512_extracti32x4_epi32::<1>(vector));
                _mm_storeu_si128(to(2).cast(), _mm512_extracti32x4_epi32::<2>(vector));
                _mm_storeu_si128(to(3).cast(), _mm512_extracti32x4_epi32::<3>(vector));
            }
        }
    }
    for column in whole..cols {
        let pairs = &coded[column / 2 * LINE..][..LINE];
        for (pair, &start) in pairs.chunks_exact(2).zip(starts) {
            out[start + column] = pair[column % 2];
        }
    }
}

/// Transposes 8 x 8 numbers of 16 bits in each quarter of the vectors.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn turned(mut vectors: [__m512i; VECTORS]) -> [__m512i; VECTORS] {
    for _ in 0..VECTORS.ilog2() {
        let before = vectors;
        for k in 0..VECTORS / 2 {
            vectors[2 * k] = _mm512_unpacklo_epi16(before[k], before[k + VECTORS / 2]);
            vectors[2 * k + 1] = _mm512_unpackhi_epi16(before[k], before[k + VECTORS / 2]);
        }
    }
    vectors
}
