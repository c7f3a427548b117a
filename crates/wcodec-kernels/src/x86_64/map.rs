//! Bytes by a table of 256, which is four vectors.

use crate::Level;
use crate::level::Set;
use std::arch::x86_64::*;

/// Twin of [`crate::map_bytes`] for most of the bytes; returns how many.
pub(crate) fn map_bytes(level: Level, table: &[u8; 256], bytes: &[u8], out: &mut [u8]) -> usize {
    assert_eq!(level.set(), Set::Avx512);
    // SAFETY: the level says that the processor has the instructions.
    unsafe { map_avx512(table, bytes, out) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn map_avx512(table: &[u8; 256], bytes: &[u8], out: &mut [u8]) -> usize {
    let (quarters, _) = table.as_chunks::<64>();
    // SAFETY: a quarter has the 64 bytes that are read.
    let quarter = |k: usize| unsafe { _mm512_loadu_si512(quarters[k].as_ptr().cast()) };
    let table = [quarter(0), quarter(1), quarter(2), quarter(3)];
    let (from, _) = bytes.as_chunks::<64>();
    let (to, _) = out.as_chunks_mut::<64>();
    for (from, to) in from.iter().zip(&mut *to) {
        // SAFETY: both chunks have 64 bytes.
        unsafe {
            let indices = _mm512_loadu_si512(from.as_ptr().cast());
            let lower = _mm512_permutex2var_epi8(table[0], indices, table[1]);
            let upper = _mm512_permutex2var_epi8(table[2], indices, table[3]);
            let is_upper = _mm512_movepi8_mask(indices);
            let found = _mm512_mask_mov_epi8(lower, is_upper, upper);
            _mm512_storeu_si512(to.as_mut_ptr().cast(), found);
        }
    }
    from.len() * 64
}
