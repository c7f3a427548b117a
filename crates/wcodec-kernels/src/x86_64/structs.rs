//! Structs of packed bits.

use crate::Level;
use crate::level::Set;
use crate::structs::PutTable;
use std::arch::x86_64::*;

/// Twin of [`crate::PutPivots::put`] for groups of 16 or 32 codes.
pub(crate) fn put_pivots(
    level: Level,
    group: usize,
    tables: &[PutTable],
    left: &[u8],
    places: &[&[u8]],
    codes: &mut [u8],
) {
    assert_eq!(level.set(), Set::Avx512);
    let groups = codes.len() / group;
    assert!(groups * group == codes.len() && places.iter().all(|places| places.len() == groups));
    assert_eq!(left.len(), groups * (group - tables.len()));
    // SAFETY: the level says that the processor has the instructions; there are as many codes and places
    // as groups want.
    unsafe {
        match (group, tables, places) {
            (16, [a], [p]) => put::<16, 1>([a], left, [p], codes),
            (16, [a, b], [p, q]) => put::<16, 2>([a, b], left, [p, q], codes),
            (32, [a], [p]) => put::<32, 1>([a], left, [p], codes),
            (32, [a, b], [p, q]) => put::<32, 2>([a, b], left, [p, q], codes),
            _ => unreachable!("groups of 16 or 32 codes with 1 or 2 pivots"),
        }
    }
}

/// # Safety
/// `codes` must be whole groups, `left` and `places` have what as many groups want.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn put<const GROUP: usize, const PIVOTS: usize>(
    tables: [&PutTable; PIVOTS],
    left: &[u8],
    places: [&[u8]; PIVOTS],
    codes: &mut [u8],
) {
    let numbers: [u8; 32] = std::array::from_fn(|k| k as u8);
    // SAFETY: the array has the 32 bytes that are read.
    let numbers = unsafe { _mm256_loadu_si256(numbers.as_ptr().cast()) };
    let present = (u32::MAX >> (32 - GROUP)) & (u32::MAX << PIVOTS);
    for (group, codes) in codes.chunks_exact_mut(GROUP).enumerate() {
        let from = left.as_ptr().wrapping_add(group * (GROUP - PIVOTS)).wrapping_sub(PIVOTS);
        // SAFETY: the mask leaves the codes of this group.
        let mut all = unsafe { _mm256_maskz_loadu_epi8(present, from.cast()) };
        for first in (0..PIVOTS).rev() {
            let told = usize::from(places[first][group]);
            let place = _mm256_set1_epi32(tables[first].place[told] as i32);
            let code = _mm256_set1_epi32(tables[first].code[told] as i32);
            // The code that stands there moves to the front, the pivot takes its place.
            let from = _mm256_mask_mov_epi8(numbers, 1 << first, place);
            all = _mm256_permutexvar_epi8(from, all);
            let here = _mm256_cmpeq_epi8_mask(numbers, place);
            all = _mm256_mask_mov_epi8(all, here, code);
        }
        // SAFETY: the group has the 16 or 32 bytes that are written.
        unsafe {
            if GROUP == 16 {
                _mm_storeu_si128(codes.as_mut_ptr().cast(), _mm256_castsi256_si128(all));
            } else {
                _mm256_storeu_si256(codes.as_mut_ptr().cast(), all);
            }
        }
    }
}

/// Twin of what the portable loop does with a bit of each of 32 codes: bit `up` of a code minus `bias`,
/// side by side from byte `at` of each struct of `len` bytes. A struct has `codes.0` codes, of which
/// `codes.1` has the first 32 and those of all structs behind.
pub(crate) fn bits_of_32(
    level: Level,
    (len, at): (usize, usize),
    structs: &mut [u8],
    codes: (usize, &[u8]),
    (up, bias): (u32, u8),
) {
    assert_eq!(level.set(), Set::Avx512);
    // SAFETY: the level says that the processor has the instructions.
    unsafe { bits(len, at, structs, codes, up, bias) };
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn bits(
    len: usize,
    at: usize,
    structs: &mut [u8],
    (count, codes): (usize, &[u8]),
    up: u32,
    bias: u8,
) {
    let (bias, bit) = (_mm256_set1_epi8(bias as i8), _mm256_set1_epi8((1u8 << up) as i8));
    for (number, one) in structs.chunks_exact_mut(len).enumerate() {
        let codes = &codes[number * count..][..32];
        // SAFETY: the codes are the 32 bytes that are read.
        let codes = unsafe { _mm256_loadu_si256(codes.as_ptr().cast()) };
        let bits = _mm256_test_epi8_mask(_mm256_sub_epi8(codes, bias), bit);
        one[at..at + 4].copy_from_slice(&bits.to_le_bytes());
    }
}
