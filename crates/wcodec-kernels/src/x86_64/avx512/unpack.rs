//! Packed fields of a few bits, to bytes and to their place in numbers of 16 bits.

use crate::LANES;
use std::arch::x86_64::*;

/// Most bits of a field that [`Placed`] takes.
pub(super) const MOST_BITS: u32 = 8;

/// Bytes to packed fields that are fetched before they are needed: of several streams and planes the processor does it
/// too late.
const AHEAD: usize = 1024;

/// Where a string of packed fields begins; where there are none, some byte that can be read. A masked load of nothing
/// is allowed anywhere, but where no memory is mapped it takes hundreds of cycles.
#[inline(always)]
pub(super) fn start(packed: &[u8]) -> *const u8 {
    if packed.is_empty() { &0 } else { packed.as_ptr() }
}

/// How 32 fields of up to [`MOST_BITS`] bits come to their place in numbers of 16 bits.
pub(super) struct Placed {
    /// Bytes of 32 fields.
    pub(super) step: usize,
    present: __mmask32,
    /// For each four fields, the bytes that hold them.
    spread: __m512i,
    /// For each byte of a number, where in these bytes its eight bits begin.
    windows: __m512i,
    mask: __m512i,
}

impl Placed {
    /// Of fields of `width` bits, whose lowest one comes to bit `place`, modulo 16, and the others above it.
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn new(width: u32, place: u32) -> Placed {
        let bits = width as usize;
        let spread: [u8; 64] = std::array::from_fn(|k| (k / 8 * bits / 2 + k % 8).min(31) as u8);
        let windows: [u8; 64] = std::array::from_fn(|k| {
            let first = k / 8 * bits % 2 * 4 + k % 8 / 2 * bits;
            // Bits of the field below the window, which may begin before the field; windows wrap around.
            let below = (8 * (k as u32 % 2) + 16 - place % 16) % 16;
            let below = if below >= 8 { below as usize + 64 - 16 } else { below as usize };
            ((first + below) % 64) as u8
        });
        let mask = ((1u16 << width) - 1).rotate_left(place);
        // SAFETY: both arrays have the 64 bytes that are read.
        let load = |bytes: &[u8; 64]| unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) };
        Placed {
            step: LANES / 8 * bits,
            present: u32::MAX.checked_shr(32 - 4 * width).unwrap_or(0),
            spread: load(&spread),
            windows: load(&windows),
            mask: _mm512_set1_epi16(mask as i16),
        }
    }

    /// `numbers` with 32 fields put in their place, where they must be 0.
    ///
    /// # Safety
    /// `step` bytes must be readable at `packed`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vl")]
    pub(super) unsafe fn put(&self, packed: *const u8, numbers: __m512i) -> __m512i {
        // SAFETY: the caller's promise.
        let fields = unsafe { self.unmasked(packed) };
        // numbers | fields & mask
        _mm512_ternarylogic_epi32::<0xf8>(numbers, fields, self.mask)
    }

    /// 32 fields in their place; all other bits are 0.
    ///
    /// # Safety
    /// `step` bytes must be readable at `packed`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vl")]
    pub(super) unsafe fn fields(&self, packed: *const u8) -> __m512i {
        // SAFETY: the caller's promise.
        let fields = unsafe { self.unmasked(packed) };
        _mm512_and_si512(fields, self.mask)
    }

    /// 32 fields in their place, and other bits beside them.
    ///
    /// # Safety
    /// `step` bytes must be readable at `packed`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vl")]
    unsafe fn unmasked(&self, packed: *const u8) -> __m512i {
        _mm_prefetch::<_MM_HINT_T0>(packed.wrapping_add(AHEAD).cast());
        // SAFETY: the mask leaves the bytes that the caller promises to be read.
        let bytes = unsafe { _mm256_maskz_loadu_epi8(self.present, packed.cast()) };
        let fours = _mm512_permutexvar_epi8(self.spread, _mm512_castsi256_si512(bytes));
        _mm512_multishift_epi64_epi8(self.windows, fours)
    }
}

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
    /// Most bits of a field.
    pub(super) const MOST_BITS: u32 = 4;

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

/// Rotates the lower halves of numbers right by one bit; the upper ones then mean nothing.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn rotate_lower(numbers: __m512i) -> __m512i {
    let (up, down) = (_mm512_slli_epi16::<7>(numbers), _mm512_srli_epi16::<1>(numbers));
    // The bits of the first where the mask has ones, of the second elsewhere.
    _mm512_ternarylogic_epi32::<0xca>(_mm512_set1_epi16(0x80), up, down)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;
    use crate::level::Set;

    #[test]
    fn fields_come_to_their_place() {
        if !Level::available().any(|level| level.set() == Set::Avx512) {
            return;
        }
        for (width, place) in (0..=8u32).flat_map(|width| (0..16).map(move |place| (width, place)))
        {
            let packed: Vec<u8> = (0..4 * width).map(|k| (k * 89 + 7 * place + 13) as u8).collect();
            let bit = |k: usize| u16::from(packed[k / 8] >> (k % 8) & 1);
            let expected: [u16; LANES] = std::array::from_fn(|k| {
                let bits = (0..width as usize).map(|i| bit(k * width as usize + i) << i);
                bits.sum::<u16>().rotate_left(place)
            });
            let mut found = [0u16; LANES];
            // SAFETY: the level is there; `found` has the 64 bytes that are written.
            unsafe {
                let fields = Placed::new(width, place).fields(packed.as_ptr());
                _mm512_storeu_si512(found.as_mut_ptr().cast(), fields);
            }
            assert_eq!(found, expected, "{width} bits at {place}");
        }
    }
}
