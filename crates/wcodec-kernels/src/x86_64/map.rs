//! Bytes by a table of 256: four vectors of 64 bytes, or 16 of 16.

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
    assert!(level.set() >= Set::Avx2);
    // SAFETY: the level says that the processor has the instructions.
    unsafe {
        match level.set() {
            Set::Avx512 => map_avx512(table, bytes, out),
            _ => map_avx2(table, bytes, out),
        }
    }
}

/// Twin of [`crate::map_steps`] for full steps; returns how many.
pub(crate) fn map_steps(
    level: Level,
    tables: &[&[u8; 256]],
    of_step: &[u8],
    bytes: &[[u8; LANES]],
    out: &mut [[MaybeUninit<u8>; LANES]],
) -> usize {
    assert!(level.set() >= Set::Avx2);
    // SAFETY: the level says that the processor has the instructions.
    unsafe {
        match level.set() {
            Set::Avx512 => map_steps_avx512(tables, of_step, bytes, out),
            _ => map_steps_avx2(tables, of_step, bytes, out),
        }
    }
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

/// A table in two halves of eight vectors, each vector but the first of a half XORed with the one before.
/// With 16 taken off an index for each vector, which shuffles take for 0 once it is negative, the bytes of
/// the wrong vectors cancel out.
type Split = [[u8; 16]; 16];

fn split(table: &[u8; 256]) -> Split {
    std::array::from_fn(|vector| {
        std::array::from_fn(|k| {
            let at = 16 * vector + k;
            table[at] ^ if vector % 8 > 0 { table[at - 16] } else { 0 }
        })
    })
}

#[inline]
#[target_feature(enable = "avx2")]
fn look_up_split(table: &Split, indices: __m256i) -> __m256i {
    let mut at = _mm256_and_si256(indices, _mm256_set1_epi8(i8::MAX));
    let mut halves = [_mm256_setzero_si256(); 2];
    for k in 0..8 {
        for (half, found) in halves.iter_mut().enumerate() {
            // SAFETY: a vector of the table has the 16 bytes that are read.
            let vector = unsafe { _mm_loadu_si128(table[8 * half + k].as_ptr().cast()) };
            let vector = _mm256_broadcastsi128_si256(vector);
            *found = _mm256_xor_si256(*found, _mm256_shuffle_epi8(vector, at));
        }
        at = _mm256_sub_epi8(at, _mm256_set1_epi8(16));
    }
    _mm256_blendv_epi8(halves[0], halves[1], indices)
}

#[target_feature(enable = "avx2")]
fn map_steps_avx2(
    tables: &[&[u8; 256]],
    of_step: &[u8],
    bytes: &[[u8; LANES]],
    out: &mut [[MaybeUninit<u8>; LANES]],
) {
    let tables: Vec<Split> = tables.iter().map(|table| split(table)).collect();
    for ((&class, bytes), out) in of_step.iter().zip(bytes).zip(out) {
        // SAFETY: a step has the 32 bytes that are read and written.
        unsafe {
            let indices = _mm256_loadu_si256(bytes.as_ptr().cast());
            let found = look_up_split(&tables[usize::from(class)], indices);
            _mm256_storeu_si256(out.as_mut_ptr().cast(), found);
        }
    }
}

#[target_feature(enable = "avx2")]
fn map_avx2(table: &[u8; 256], bytes: &[u8], out: &mut [MaybeUninit<u8>]) -> usize {
    let table = split(table);
    let (from, _) = bytes.as_chunks::<LANES>();
    let (to, _) = out.as_chunks_mut::<LANES>();
    for (from, to) in from.iter().zip(&mut *to) {
        // SAFETY: both chunks have 32 bytes.
        unsafe {
            let indices = _mm256_loadu_si256(from.as_ptr().cast());
            _mm256_storeu_si256(to.as_mut_ptr().cast(), look_up_split(&table, indices));
        }
    }
    from.len() * LANES
}
