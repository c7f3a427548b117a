//! Fields of a few bits, packed, to bytes and to numbers of 16 bits.

use crate::LANES;
use std::arch::x86_64::*;

/// Most bits of a field that [`Unpack`] takes.
pub(in super::super) const MOST_BITS: u32 = 4;

/// How 32 fields of up to 4 bits become bytes.
pub(in super::super) struct Unpack {
    /// Bytes of 32 fields.
    pub(in super::super) step: usize,
    present: __mmask16,
    /// For each eight fields, the bytes that hold them.
    spread: __m256i,
    shifts: __m256i,
    mask: __m256i,
}

impl Unpack {
    #[target_feature(enable = "avx2,avx512f")]
    pub(in super::super) fn new(width: u32) -> Unpack {
        let width = width as usize;
        let spread: [u8; LANES] = std::array::from_fn(|k| (k / 8 * width + k % 8) as u8);
        let shifts: [u8; LANES] = std::array::from_fn(|k| (k % 8 * width) as u8);
        // SAFETY: both arrays have the 32 bytes that are read.
        let load = |bytes: &[u8; LANES]| unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
        Unpack {
            step: 4 * width,
            present: ((1u32 << (4 * width)) - 1) as __mmask16,
            spread: load(&spread),
            shifts: load(&shifts),
            mask: _mm256_set1_epi8((1 << width) - 1),
        }
    }

    /// 32 fields.
    ///
    /// # Safety
    /// `step` bytes must be readable at `packed`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vl")]
    pub(in super::super) unsafe fn bytes(&self, packed: *const u8) -> __m256i {
        // SAFETY: the mask leaves the bytes that the caller promises to be read.
        let bytes = unsafe { _mm_maskz_loadu_epi8(self.present, packed.cast()) };
        let groups = _mm256_permutexvar_epi8(self.spread, _mm256_castsi128_si256(bytes));
        _mm256_and_si256(_mm256_multishift_epi64_epi8(self.shifts, groups), self.mask)
    }
}

/// How 32 fields of up to 8 bits are added to numbers of 16 bits.
pub(super) struct UnpackHalves {
    /// Bytes of 32 fields.
    pub(super) step: usize,
    present: __mmask32,
    /// For each field, the two bytes that hold it.
    spread: __m512i,
    right: __m512i,
    left: __m512i,
    mask: __m512i,
}

impl UnpackHalves {
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn new(width: u32, shift: u32) -> UnpackHalves {
        let width = width as usize;
        let mut spread = [0u8; 64];
        let (mut right, mut left) = ([0u16; LANES], [0u16; LANES]);
        for k in 0..LANES {
            let bit = k * width;
            spread[2 * k] = (bit / 8) as u8;
            spread[2 * k + 1] = (bit / 8 + 1).min(31) as u8;
            right[k] = (bit % 8) as u16;
            left[k] = shift as u16;
        }
        // SAFETY: the arrays have the 64 bytes that are read.
        unsafe {
            UnpackHalves {
                step: 4 * width,
                present: if width == 0 { 0 } else { u32::MAX >> (32 - 4 * width) },
                spread: _mm512_loadu_si512(spread.as_ptr().cast()),
                right: _mm512_loadu_si512(right.as_ptr().cast()),
                left: _mm512_loadu_si512(left.as_ptr().cast()),
                mask: _mm512_set1_epi16((((1u32 << width) - 1) << shift) as i16),
            }
        }
    }

    /// `numbers` with 32 fields added.
    ///
    /// # Safety
    /// `step` bytes must be readable at `packed`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vl")]
    pub(super) unsafe fn add(&self, packed: *const u8, numbers: __m512i) -> __m512i {
        // SAFETY: the mask leaves the bytes that the caller promises to be read.
        let bytes = unsafe { _mm256_maskz_loadu_epi8(self.present, packed.cast()) };
        let pairs = _mm512_permutexvar_epi8(self.spread, _mm512_castsi256_si512(bytes));
        let fields = _mm512_sllv_epi16(_mm512_srlv_epi16(pairs, self.right), self.left);
        // numbers | fields & mask
        _mm512_ternarylogic_epi32::<0xf8>(numbers, fields, self.mask)
    }
}
