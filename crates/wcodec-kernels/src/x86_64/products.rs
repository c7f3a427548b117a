//! Predicted means, two products to a multiplication.

use crate::level::Set;
use crate::{Level, products::PRODUCT_BITS};
use std::arch::x86_64::*;

/// The factors of a row for two products, and those of the columns.
pub(super) type Pair<'a> = ([i16; 2], &'a [[i16; 2]]);

const ROUND: i32 = 1 << (PRODUCT_BITS - 1);

/// Twin of [`crate::add_products`] for all bytes or most; returns how many. Each product must have a
/// column factor for each byte.
pub(crate) fn add<'a>(
    level: Level,
    products: impl Iterator<Item = Pair<'a>> + Clone,
    subtract: bool,
    bytes: &mut [u8],
) -> usize {
    assert!(products.clone().all(|(_, cols)| cols.len() >= bytes.len()));
    // SAFETY: the level says that the processor has the instructions; there are as many columns as
    // bytes.
    unsafe {
        match level.set() {
            Set::Avx512 => add_avx512(products, subtract, bytes),
            Set::Avx2 => add_avx2(products, subtract, bytes),
            _ => 0,
        }
    }
}

/// Sets `sums` to the sums of the products for the columns, or most of them; returns how many.
pub(crate) fn sum<'a>(
    level: Level,
    products: impl Iterator<Item = Pair<'a>> + Clone,
    sums: &mut [i32],
) -> usize {
    assert!(products.clone().all(|(_, cols)| cols.len() >= sums.len()));
    // SAFETY: the level says that the processor has the instructions; there are as many columns as
    // sums.
    unsafe {
        match level.set() {
            Set::Avx512 => sum_avx512(products, sums),
            Set::Avx2 => sum_avx2(products, sums),
            _ => 0,
        }
    }
}

/// The sums of the products for 64 columns, added to `start`.
///
/// # Safety
/// Each product must have factors for 64 columns from `first` on.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn sums_of_64<'a>(
    products: impl Iterator<Item = Pair<'a>>,
    first: usize,
    start: __m512i,
) -> [__m512i; 4] {
    let mut sums = [start; 4];
    for (row, cols) in products {
        let row = _mm512_set1_epi32(joined(row));
        let cols = cols.as_ptr().wrapping_add(first);
        for (k, sum) in sums.iter_mut().enumerate() {
            // SAFETY: 16 of the columns, of 4 bytes each.
            let cols = unsafe { _mm512_loadu_si512(cols.add(16 * k).cast()) };
            *sum = _mm512_add_epi32(*sum, _mm512_madd_epi16(cols, row));
        }
    }
    sums
}

/// # Safety
/// Each product must have a column factor for each sum.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn sum_avx512<'a>(
    products: impl Iterator<Item = Pair<'a>> + Clone,
    sums: &mut [i32],
) -> usize {
    let (steps, _) = sums.as_chunks_mut::<64>();
    for (step, out) in steps.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        let sums = unsafe { sums_of_64(products.clone(), 64 * step, _mm512_setzero_si512()) };
        for (out, sum) in out.as_chunks_mut::<16>().0.iter_mut().zip(sums) {
            // SAFETY: 16 sums have the 64 bytes that are written.
            unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), sum) };
        }
    }
    let done = 64 * steps.len();
    for (step, out) in sums[done..].chunks_mut(16).enumerate() {
        let some = first_lanes(out.len());
        // SAFETY: the columns of these sums; as many sums are written.
        unsafe {
            let sum = last_sum(products.clone(), done + 16 * step, some);
            _mm512_mask_storeu_epi32(out.as_mut_ptr(), some, sum);
        }
    }
    sums.len()
}

/// The first lanes of a vector.
fn first_lanes(count: usize) -> __mmask16 {
    (u32::MAX >> (32 - count)) as __mmask16
}

/// The sums of the products for some columns from `first` on, fewer than a whole step has.
///
/// # Safety
/// Each product must have a factor for the columns of `some` lanes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn last_sum<'a>(
    products: impl Iterator<Item = Pair<'a>>,
    first: usize,
    some: __mmask16,
) -> __m512i {
    let mut sum = _mm512_setzero_si512();
    for (row, cols) in products {
        let row = _mm512_set1_epi32(joined(row));
        // SAFETY: the mask leaves the columns that the caller promises.
        let cols =
            unsafe { _mm512_maskz_loadu_epi32(some, cols.as_ptr().wrapping_add(first).cast()) };
        sum = _mm512_add_epi32(sum, _mm512_madd_epi16(cols, row));
    }
    sum
}

/// # Safety
/// As [`sum_avx512`].
#[target_feature(enable = "avx2")]
unsafe fn sum_avx2<'a>(
    products: impl Iterator<Item = Pair<'a>> + Clone,
    sums: &mut [i32],
) -> usize {
    let (steps, _) = sums.as_chunks_mut::<32>();
    for (step, out) in steps.iter_mut().enumerate() {
        let mut sums = [_mm256_setzero_si256(); 4];
        for (row, cols) in products.clone() {
            let row = _mm256_set1_epi32(joined(row));
            let cols = cols.as_ptr().wrapping_add(32 * step);
            for (k, sum) in sums.iter_mut().enumerate() {
                // SAFETY: 8 of the columns of this step, of 4 bytes each.
                let cols = unsafe { _mm256_loadu_si256(cols.add(8 * k).cast()) };
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(cols, row));
            }
        }
        for (out, sum) in out.as_chunks_mut::<8>().0.iter_mut().zip(sums) {
            // SAFETY: 8 sums have the 32 bytes that are written.
            unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), sum) };
        }
    }
    32 * steps.len()
}

/// Both factors as one number of 32 bits.
fn joined([a, b]: [i16; 2]) -> i32 {
    i32::from(b) << 16 | i32::from(a as u16)
}

/// # Safety
/// Each product must have a column factor for each byte.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn add_avx512<'a>(
    products: impl Iterator<Item = Pair<'a>> + Clone,
    subtract: bool,
    bytes: &mut [u8],
) -> usize {
    // Where the whole parts of two sums begin, in each pair of bytes.
    let windows: [u8; 64] = std::array::from_fn(|k| (k % 2 * 32) as u8 + PRODUCT_BITS as u8);
    let order: [u8; 64] = std::array::from_fn(|k| (k % 16 / 2 * 8 + k / 16 * 2 + k % 2) as u8);
    // SAFETY: both arrays have the 64 bytes that are read.
    let load = |bytes: &[u8; 64]| unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) };
    let (windows, order) = (load(&windows), load(&order));
    let (steps, _) = bytes.as_chunks_mut::<64>();
    for (step, bytes) in steps.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        let sums = unsafe { sums_of_64(products.clone(), 64 * step, _mm512_set1_epi32(ROUND)) };
        // Two means of each eight bytes, from all four vectors side by side; then in the order of the columns.
        let mut means = _mm512_multishift_epi64_epi8(windows, sums[0]);
        for (k, sum) in sums.into_iter().enumerate().skip(1) {
            let mask = 0x0303_0303_0303_0303 << (2 * k);
            means = _mm512_mask_multishift_epi64_epi8(means, mask, windows, sum);
        }
        let means = _mm512_permutexvar_epi8(order, means);
        // SAFETY: 64 bytes are read and written.
        unsafe {
            let before = _mm512_loadu_si512(bytes.as_ptr().cast());
            let after = match subtract {
                true => _mm512_sub_epi8(before, means),
                false => _mm512_add_epi8(before, means),
            };
            _mm512_storeu_si512(bytes.as_mut_ptr().cast(), after);
        }
    }
    let done = 64 * steps.len();
    for (step, bytes) in bytes[done..].chunks_mut(16).enumerate() {
        let some = first_lanes(bytes.len());
        // SAFETY: the columns of these bytes; as many bytes are read and written.
        unsafe {
            let sum = last_sum(products.clone(), done + 16 * step, some);
            let sum = _mm512_add_epi32(sum, _mm512_set1_epi32(ROUND));
            let mean = _mm512_cvtepi32_epi8(_mm512_srai_epi32::<PRODUCT_BITS>(sum));
            let before = _mm_maskz_loadu_epi8(some, bytes.as_ptr().cast());
            let after = match subtract {
                true => _mm_sub_epi8(before, mean),
                false => _mm_add_epi8(before, mean),
            };
            _mm_mask_storeu_epi8(bytes.as_mut_ptr().cast(), some, after);
        }
    }
    bytes.len()
}

/// # Safety
/// As [`add_avx512`].
#[target_feature(enable = "avx2")]
unsafe fn add_avx2<'a>(
    products: impl Iterator<Item = Pair<'a>> + Clone,
    subtract: bool,
    bytes: &mut [u8],
) -> usize {
    let (steps, _) = bytes.as_chunks_mut::<32>();
    for (step, bytes) in steps.iter_mut().enumerate() {
        let mut sums = [_mm256_set1_epi32(ROUND); 4];
        for (row, cols) in products.clone() {
            let row = _mm256_set1_epi32(joined(row));
            let cols = cols.as_ptr().wrapping_add(32 * step);
            for (k, sum) in sums.iter_mut().enumerate() {
                // SAFETY: 8 of the columns of this step, of 4 bytes each.
                let cols = unsafe { _mm256_loadu_si256(cols.add(8 * k).cast()) };
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(cols, row));
            }
        }
        // Packing goes by halves of 128 bits; fours of bytes are put in order at last.
        let low = _mm256_set1_epi32(0xff);
        let [a, b, c, d] = sums
            .map(|sum| _mm256_and_si256(_mm256_srai_epi32::<{ PRODUCT_BITS as i32 }>(sum), low));
        let packed = _mm256_packus_epi16(_mm256_packus_epi32(a, b), _mm256_packus_epi32(c, d));
        let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
        let means = _mm256_permutevar8x32_epi32(packed, order);
        // SAFETY: 32 bytes are read and written.
        unsafe {
            let before = _mm256_loadu_si256(bytes.as_ptr().cast());
            let after = match subtract {
                true => _mm256_sub_epi8(before, means),
                false => _mm256_add_epi8(before, means),
            };
            _mm256_storeu_si256(bytes.as_mut_ptr().cast(), after);
        }
    }
    32 * steps.len()
}
