//! Fields of a few bits, packed, to numbers of 16 bits and to bytes.

use crate::LANES;
use std::arch::x86_64::*;

/// Most bits of a field beside a stream.
pub(super) const MOST_BITS: u32 = 4;

/// How 32 fields of up to 8 bits become numbers. Eight of them, which are `width` bytes, go to each half of
/// a vector: the two bytes that hold a field are moved left until what is above it is gone, then right.
pub(super) struct Unpack {
    /// Bytes of 32 fields.
    pub(super) step: usize,
    /// The bytes, in fours.
    present: __m256i,
    /// For each vector, the fours that its fields lie in.
    fours: [__m256i; 2],
    /// Of these, the two bytes that hold each field.
    pairs: [__m256i; 2],
    left: __m256i,
    right: __m128i,
}

impl Unpack {
    #[target_feature(enable = "avx2")]
    pub(super) fn new(width: u32) -> Unpack {
        let width = width as usize;
        let present: [u32; 8] = std::array::from_fn(|k| if k < width { u32::MAX } else { 0 });
        let (mut fours, mut pairs) = ([[0u32; 8]; 2], [[0u8; LANES]; 2]);
        let mut left = [0u16; 16];
        for vector in 0..2 {
            for half in 0..2 {
                let first = (vector + 2 * half) * width;
                for k in 0..4 {
                    fours[vector][4 * half + k] = (first / 4 + k).min(7) as u32;
                }
                for field in 0..8 {
                    let (number, bit) = (8 * half + field, field * width);
                    let byte = first % 4 + bit / 8;
                    pairs[vector][2 * number] = byte as u8;
                    pairs[vector][2 * number + 1] = byte as u8 + 1;
                    left[number] = 1u16.unbounded_shl((16 - width - bit % 8) as u32);
                }
            }
        }
        // SAFETY: all arrays have the 32 bytes that are read.
        unsafe {
            let load = |bytes: *const u8| _mm256_loadu_si256(bytes.cast());
            Unpack {
                step: 4 * width,
                present: load(present.as_ptr().cast()),
                fours: [load(fours[0].as_ptr().cast()), load(fours[1].as_ptr().cast())],
                pairs: [load(pairs[0].as_ptr()), load(pairs[1].as_ptr())],
                left: load(left.as_ptr().cast()),
                right: _mm_cvtsi32_si128(16 - width as i32),
            }
        }
    }

    /// 32 fields as numbers, in the order of the lanes of both vectors.
    ///
    /// # Safety
    /// `step` bytes must be readable at `packed`.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn numbers(&self, packed: *const u8) -> [__m256i; 2] {
        // SAFETY: the mask leaves the bytes that the caller promises to be read.
        let bytes = unsafe { _mm256_maskload_epi32(packed.cast(), self.present) };
        let vector = |k: usize| {
            let fours = _mm256_permutevar8x32_epi32(bytes, self.fours[k]);
            let pairs = _mm256_shuffle_epi8(fours, self.pairs[k]);
            _mm256_srl_epi16(_mm256_mullo_epi16(pairs, self.left), self.right)
        };
        [vector(0), vector(1)]
    }

    /// 32 fields as bytes.
    ///
    /// # Safety
    /// As [`Unpack::numbers`].
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn bytes(&self, packed: *const u8) -> __m256i {
        // SAFETY: the caller's promise.
        let [first, second] = unsafe { self.numbers(packed) };
        _mm256_packus_epi16(first, second)
    }
}

/// For fields of each width that bits beside a stream may have.
#[target_feature(enable = "avx2")]
pub(super) fn by_width() -> [Unpack; MOST_BITS as usize + 1] {
    std::array::from_fn(|width| Unpack::new(width as u32))
}

/// Fields of a few bits beside the streams, of blocks that are decoded side by side.
pub(super) struct Beside<'a, const N: usize> {
    unpack: &'a [Unpack; MOST_BITS as usize + 1],
    /// Bits of a field by class.
    widths: [&'a [u8]; N],
    /// Those of the next step.
    pub(super) at: [*const u8; N],
}

impl<'a, const N: usize> Beside<'a, N> {
    pub(super) fn new(
        unpack: &'a [Unpack; MOST_BITS as usize + 1],
        widths: [&'a [u8]; N],
        at: [*const u8; N],
    ) -> Beside<'a, N> {
        Beside { unpack, widths, at }
    }

    /// Whether there may be such fields.
    pub(super) fn any(&self) -> bool {
        self.widths.iter().any(|widths| !widths.is_empty())
    }

    /// Adds those of the next step of block `n`, which is of this class, to its fields.
    ///
    /// # Safety
    /// The bit strings must have them.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn add(&mut self, n: usize, class: usize, fields: __m256i) -> __m256i {
        let width = self.widths[n].get(class).map_or(0, |&width| usize::from(width));
        let unpack = &self.unpack[width];
        // SAFETY: the caller's promise.
        let bits = unsafe { unpack.bytes(self.at[n]) };
        self.at[n] = self.at[n].wrapping_add(unpack.step);
        _mm256_add_epi8(fields, bits)
    }
}
