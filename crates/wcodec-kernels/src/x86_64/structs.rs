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

/// A piece of as many codes as a span has bytes, in each struct.
pub(crate) struct SpanPart<'a> {
    /// From the codes of a struct to those of the next.
    pub(crate) stride: usize,
    /// From the first one on.
    pub(crate) codes: &'a [u8],
    /// Where the piece lies in a code, and in a byte of the span.
    pub(crate) up: u32,
    pub(crate) down: u32,
    /// Its bits, lowest first, in every byte.
    pub(crate) mask: u64,
    /// The bits of a code to be inverted, in every byte.
    pub(crate) flip: u64,
}

/// Twin of the portable loop that writes a span: `place.2` bytes (16, 32 or 64) from byte `place.1` on of each
/// struct of `place.0` bytes, all of whose bits are those of the parts.
pub(crate) fn fill_span<const PARTS: usize>(
    level: Level,
    place: (usize, usize, usize),
    structs: &mut [u8],
    parts: &[SpanPart<'_>; PARTS],
) {
    let (len, at, bytes) = place;
    assert_eq!(level.set(), Set::Avx512);
    assert!(at + bytes <= len, "the span lies within a struct");
    let last = (structs.len() / len).saturating_sub(1);
    assert!(parts.iter().all(|part| last * part.stride + bytes <= part.codes.len()));
    // SAFETY: the level says that the processor has the instructions; there are codes for all structs.
    unsafe {
        match bytes {
            16 => fill_16(len, at, structs, parts),
            32 => fill_32(len, at, structs, parts),
            64 => fill_64(len, at, structs, parts),
            _ => unreachable!("spans of 16, 32 or 64 bytes"),
        }
    }
}

/// A loop over structs for vectors of one size.
macro_rules! fill {
    ($name:ident: $load:ident, $store:ident, $set:ident, $zero:ident, $xor:ident, $right:ident, $and:ident, $left:ident, $or:ident) => {
        /// # Safety
        /// The span must lie within a struct; of each part there must be a vector of codes for each struct.
        #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
        unsafe fn $name<const PARTS: usize>(
            len: usize,
            at: usize,
            structs: &mut [u8],
            parts: &[SpanPart<'_>; PARTS],
        ) {
            let all = |of: fn(&SpanPart<'_>) -> u64| {
                std::array::from_fn::<_, PARTS, _>(|p| $set(of(&parts[p]) as i64))
            };
            let flips = all(|part| part.flip);
            let ups = all(|part| part.up.into());
            let masks = all(|part| part.mask);
            let downs = all(|part| part.down.into());
            let mut codes: [*const u8; PARTS] = std::array::from_fn(|p| parts[p].codes.as_ptr());
            let strides: [usize; PARTS] = std::array::from_fn(|p| parts[p].stride);
            for one in structs.chunks_exact_mut(len) {
                let mut sum = $zero();
                for p in 0..PARTS {
                    // SAFETY: the caller's promise.
                    let piece = $xor(unsafe { $load(codes[p].cast()) }, flips[p]);
                    codes[p] = codes[p].wrapping_add(strides[p]);
                    let piece = $and($right(piece, ups[p]), masks[p]);
                    sum = $or(sum, $left(piece, downs[p]));
                }
                // SAFETY: the caller's promise.
                unsafe { $store(one.as_mut_ptr().add(at).cast(), sum) };
            }
        }
    };
}

fill!(fill_16: _mm_loadu_si128, _mm_storeu_si128, _mm_set1_epi64x, _mm_setzero_si128, _mm_xor_si128, _mm_srlv_epi64, _mm_and_si128, _mm_sllv_epi64, _mm_or_si128);
fill!(fill_32: _mm256_loadu_si256, _mm256_storeu_si256, _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_xor_si256, _mm256_srlv_epi64, _mm256_and_si256, _mm256_sllv_epi64, _mm256_or_si256);
fill!(fill_64: _mm512_loadu_si512, _mm512_storeu_si512, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_xor_si512, _mm512_srlv_epi64, _mm512_and_si512, _mm512_sllv_epi64, _mm512_or_si512);
