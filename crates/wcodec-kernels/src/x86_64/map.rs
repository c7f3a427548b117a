//! Bytes by a table of 256, which is four vectors.

use crate::level::Set;
use crate::{LANES, Level};
use std::arch::x86_64::*;
use std::mem::MaybeUninit;

/// Twin of [`crate::map_bytes`] for most of the bytes; returns how many.
pub(crate) fn map_bytes(
    level: Level,
    table: &[u8; 256],
    bytes: &[u8],
    out: &mut [MaybeUninit<u8>],
) -> usize {
    assert_eq!(level.set(), Set::Avx512);
    // SAFETY: the level says that the processor has the instructions.
    unsafe { map_avx512(table, bytes, out) }
}

/// Twin of [`crate::map_steps`] for full steps; returns how many.
pub(crate) fn map_steps(
    level: Level,
    tables: &[&[u8; 256]],
    of_step: &[u8],
    bytes: &[[u8; LANES]],
    out: &mut [[MaybeUninit<u8>; LANES]],
) -> usize {
    assert_eq!(level.set(), Set::Avx512);
    // SAFETY: the level says that the processor has the instructions.
    unsafe { map_steps_avx512(tables, of_step, bytes, out) };
    bytes.len()
}

/// The quarters of a table.
#[inline]
#[target_feature(enable = "avx512f")]
fn quarters(table: &[u8; 256]) -> [__m512i; 4] {
    let (quarters, _) = table.as_chunks::<64>();
    // SAFETY: a quarter has the 64 bytes that are read.
    let quarter = |k: usize| unsafe { _mm512_loadu_si512(quarters[k].as_ptr().cast()) };
    [quarter(0), quarter(1), quarter(2), quarter(3)]
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn look_up(table: [__m512i; 4], indices: __m512i) -> __m512i {
    let lower = _mm512_permutex2var_epi8(table[0], indices, table[1]);
    let upper = _mm512_permutex2var_epi8(table[2], indices, table[3]);
    _mm512_mask_mov_epi8(lower, _mm512_movepi8_mask(indices), upper)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn map_steps_avx512(
    tables: &[&[u8; 256]],
    of_step: &[u8],
    bytes: &[[u8; LANES]],
    out: &mut [[MaybeUninit<u8>; LANES]],
) {
    for ((&class, bytes), out) in of_step.iter().zip(bytes).zip(out) {
        let table = quarters(tables[usize::from(class)]);
        // SAFETY: a step has the 32 bytes that are read and written.
        unsafe {
            let indices = _mm512_castsi256_si512(_mm256_loadu_si256(bytes.as_ptr().cast()));
            let found = _mm512_castsi512_si256(look_up(table, indices));
            _mm256_storeu_si256(out.as_mut_ptr().cast(), found);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn map_avx512(table: &[u8; 256], bytes: &[u8], out: &mut [MaybeUninit<u8>]) -> usize {
    let table = quarters(table);
    let (from, _) = bytes.as_chunks::<64>();
    let (to, _) = out.as_chunks_mut::<64>();
    for (from, to) in from.iter().zip(&mut *to) {
        // SAFETY: both chunks have 64 bytes.
        unsafe {
            let found = look_up(table, _mm512_loadu_si512(from.as_ptr().cast()));
            _mm512_storeu_si512(to.as_mut_ptr().cast(), found);
        }
    }
    from.len() * 64
}
