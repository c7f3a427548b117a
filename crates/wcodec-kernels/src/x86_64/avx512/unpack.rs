//! Fields of a few bits, packed, to bytes and to halves of numbers of 16 bits.

use crate::LANES;
use std::arch::x86_64::*;

/// Most bits of a field that [`Unpack`] takes.
pub(super) const MOST_BITS: u32 = 4;

/// How 32 fields of up to 4 bits become bytes.
pub(super) struct Unpack {
    /// Bytes of 32 fields.
    pub(super) step: usize,
    present: __mmask16,
    /// For each eight fields, the bytes that hold them.
    spread: __m256i,
    shifts: __m256i,
    mask: __m256i,
}

impl Unpack {
    #[target_feature(enable = "avx2,avx512f")]
    pub(super) fn new(width: u32) -> Unpack {
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
    pub(super) unsafe fn bytes(&self, packed: *const u8) -> __m256i {
        // SAFETY: the mask leaves the bytes that the caller promises to be read.
        let bytes = unsafe { _mm_maskz_loadu_epi8(self.present, packed.cast()) };
        let groups = _mm256_permutexvar_epi8(self.spread, _mm256_castsi128_si256(bytes));
        _mm256_and_si256(_mm256_multishift_epi64_epi8(self.shifts, groups), self.mask)
    }
}

/// How 32 fields of up to 8 bits become every second of 64 bytes: numbers of 16 bits, of which they are the lower
/// or the upper half.
pub(super) struct UnpackHalves {
    /// Bytes of 32 fields.
    pub(super) step: usize,
    present: __mmask32,
    /// For each four fields, the bytes that hold them.
    spread: __m512i,
    shifts: __m512i,
    /// Where the fields are in the lower and in the upper halves.
    masks: [__m512i; 2],
}

impl UnpackHalves {
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn new(width: u32) -> UnpackHalves {
        let width = width as usize;
        let spread: [u8; 64] = std::array::from_fn(|k| (k / 8 * width / 2 + k % 8).min(31) as u8);
        let shifts: [u8; 64] = std::array::from_fn(|k| {
            let (four, field) = (k / 8, k % 8 / 2);
            (four * width % 2 * 4 + field * width) as u8
        });
        let mask = (1u16 << width) - 1;
        // SAFETY: both arrays have the 64 bytes that are read.
        let load = |bytes: &[u8; 64]| unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) };
        UnpackHalves {
            step: 4 * width,
            present: u32::MAX.checked_shr(32 - 4 * width as u32).unwrap_or(0),
            spread: load(&spread),
            shifts: load(&shifts),
            masks: [_mm512_set1_epi16(mask as i16), _mm512_set1_epi16((mask << 8) as i16)],
        }
    }

    /// `numbers` with 32 fields in their lower or in their `upper` halves, where they must be 0.
    ///
    /// # Safety
    /// `step` bytes must be readable at `packed`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vl")]
    pub(super) unsafe fn add(&self, packed: *const u8, numbers: __m512i, upper: bool) -> __m512i {
        // SAFETY: the caller's promise.
        let fields = unsafe { self.spread(packed) };
        // numbers | fields & mask
        _mm512_ternarylogic_epi32::<0xf8>(numbers, fields, self.masks[usize::from(upper)])
    }

    /// 32 fields in the lower or in the `upper` halves of numbers; the other halves are 0.
    ///
    /// # Safety
    /// `step` bytes must be readable at `packed`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vl")]
    pub(super) unsafe fn halves(&self, packed: *const u8, upper: bool) -> __m512i {
        // SAFETY: the caller's promise.
        let fields = unsafe { self.spread(packed) };
        _mm512_and_si512(fields, self.masks[usize::from(upper)])
    }

    /// 32 fields in both halves of numbers, with other bits above them.
    ///
    /// # Safety
    /// `step` bytes must be readable at `packed`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vl")]
    unsafe fn spread(&self, packed: *const u8) -> __m512i {
        // SAFETY: the mask leaves the bytes that the caller promises to be read.
        let bytes = unsafe { _mm256_maskz_loadu_epi8(self.present, packed.cast()) };
        let fours = _mm512_permutexvar_epi8(self.spread, _mm512_castsi256_si512(bytes));
        _mm512_multishift_epi64_epi8(self.shifts, fours)
    }
}
