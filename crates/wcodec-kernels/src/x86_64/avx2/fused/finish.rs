//! Elements from fields and raw bits, 32 at a time.

use super::plan::Plan;
use crate::x86_64::avx2::unpack::Unpack;
use crate::x86_64::layout::{Kind, Layout};
use crate::{LANES, Transform};
use std::arch::x86_64::*;

/// Bytes to raw bits that are fetched before they are needed: of several streams and planes the processor
/// does it too late.
const AHEAD: usize = 512;

/// How the elements of a block are put together.
pub(super) struct Finish {
    kind: Kind,
    transform: Transform,
    shift: __m128i,
    /// The bits of a byte that a shifted field may have.
    shifted: __m256i,
    constant: u16,
    /// Raw bits: those just below the fields, in a byte or in the upper half of a word.
    below: Unpack,
    /// Bytes of 32 elements in each raw plane.
    steps: [usize; 3],
}

/// Where the raw bits of the next 32 elements lie.
#[derive(Clone, Copy)]
pub(super) struct Raw([*const u8; 3]);

impl Finish {
    #[target_feature(enable = "avx2")]
    pub(super) fn new<Table>(plan: &Plan<'_, Table>) -> Finish {
        let Layout { kind, element, shift, widths, .. } = plan.layout;
        let below = match kind {
            Kind::Byte { raw } => raw,
            Kind::Half { low } => low,
            Kind::HalfHigh { high } => high,
            Kind::Word { upper } => upper,
        };
        Finish {
            kind,
            transform: element.transform(),
            shift: _mm_cvtsi32_si128(shift as i32),
            shifted: _mm256_set1_epi8(u8::MAX.unbounded_shl(shift) as i8),
            constant: plan.constant,
            below: Unpack::new(below),
            steps: widths.map(|width| 4 * width as usize),
        }
    }

    /// The raw bits of the plan's first elements.
    pub(super) fn raw<Table>(&self, plan: &Plan<'_, Table>) -> Raw {
        Raw(plan.layout.raw.map(<[u8]>::as_ptr))
    }

    /// Writes 32 elements, and goes on to the raw bits of the next.
    ///
    /// # Safety
    /// The raw bits must be readable, and the elements writable at `to`.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn put(&self, fields: __m256i, raw: &mut Raw, to: *mut u8) {
        let Raw([low, high, upper]) = *raw;
        // SAFETY: the caller's promise.
        unsafe {
            match self.kind {
                Kind::Byte { raw } => {
                    _mm256_storeu_si256(to.cast(), self.bytes(fields, raw, low));
                }
                Kind::Half { low: 8 } => {
                    let below = self.halves(fields, bytes(low));
                    store_halves(to, below);
                }
                Kind::Half { .. } => {
                    let below = self.below.numbers(low);
                    store_halves(to, self.halves(fields, below));
                }
                Kind::HalfHigh { .. } => {
                    let (bytes, high) = (bytes(low), self.below.numbers(high));
                    let below =
                        [0, 1].map(|k| _mm256_or_si256(bytes[k], _mm256_slli_epi16::<8>(high[k])));
                    store_halves(to, self.halves(fields, below));
                }
                Kind::Word { .. } => {
                    let below = self.below.numbers(upper);
                    let upper = self.halves(fields, below);
                    let (low, high) =
                        (_mm256_loadu_si256(low.cast()), _mm256_loadu_si256(high.cast()));
                    let lower = [_mm256_unpacklo_epi8(low, high), _mm256_unpackhi_epi8(low, high)];
                    let pairs = |k: usize| {
                        let first = _mm256_unpacklo_epi16(lower[k], upper[k]);
                        let second = _mm256_unpackhi_epi16(lower[k], upper[k]);
                        [rotated_word(first), rotated_word(second)]
                    };
                    // Of each half of 16 elements the first 8, then the others.
                    let ([a, b], [c, d]) = (pairs(0), pairs(1));
                    let [first, third] = in_order([a, b]);
                    let [second, fourth] = in_order([c, d]);
                    for (k, elements) in [first, second, third, fourth].into_iter().enumerate() {
                        _mm256_storeu_si256(to.add(LANES * k).cast(), elements);
                    }
                }
            }
        }
        for (at, step) in raw.0.iter_mut().zip(self.steps) {
            *at = at.wrapping_add(step);
            _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD).cast());
        }
    }

    /// Fields and what lies below them in halves of 16 bits.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn halves(&self, fields: __m256i, below: [__m256i; 2]) -> [__m256i; 2] {
        let constant = _mm256_set1_epi16(self.constant as i16);
        let zero = _mm256_setzero_si256();
        let fields = [_mm256_unpacklo_epi8(fields, zero), _mm256_unpackhi_epi8(fields, zero)];
        [0, 1].map(|k| {
            let fields = _mm256_add_epi16(_mm256_sll_epi16(fields[k], self.shift), constant);
            _mm256_or_si256(fields, below[k])
        })
    }

    /// Elements of one byte, with `bits` raw bits.
    ///
    /// # Safety
    /// They must be readable at `raw`.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn bytes(&self, fields: __m256i, bits: u32, raw: *const u8) -> __m256i {
        // What the shift moves over from the byte below goes again.
        let mut u = _mm256_and_si256(_mm256_sll_epi16(fields, self.shift), self.shifted);
        if bits > 0 {
            // SAFETY: the caller's promise.
            u = _mm256_or_si256(u, unsafe { self.below.bytes(raw) });
        }
        u = _mm256_add_epi8(u, _mm256_set1_epi8(self.constant as i8));
        match self.transform {
            Transform::Identity => u,
            Transform::FlipSign => _mm256_xor_si256(u, _mm256_set1_epi8(i8::MIN)),
            Transform::RotateSign => {
                let sign = _mm256_and_si256(_mm256_slli_epi16::<7>(u), _mm256_set1_epi8(i8::MIN));
                let rest = _mm256_and_si256(_mm256_srli_epi16::<1>(u), _mm256_set1_epi8(i8::MAX));
                _mm256_or_si256(sign, rest)
            }
        }
    }
}

/// 32 bytes as numbers, in the order of the lanes.
///
/// # Safety
/// They must be readable.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn bytes(packed: *const u8) -> [__m256i; 2] {
    // SAFETY: the caller's promise.
    let bytes = unsafe { _mm256_loadu_si256(packed.cast()) };
    let zero = _mm256_setzero_si256();
    [_mm256_unpacklo_epi8(bytes, zero), _mm256_unpackhi_epi8(bytes, zero)]
}

#[inline]
#[target_feature(enable = "avx2")]
fn rotated_half(u: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_srli_epi16::<1>(u), _mm256_slli_epi16::<15>(u))
}

#[inline]
#[target_feature(enable = "avx2")]
fn rotated_word(u: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_srli_epi32::<1>(u), _mm256_slli_epi32::<31>(u))
}

/// The lower halves of two vectors, and their upper halves.
#[inline]
#[target_feature(enable = "avx2")]
fn in_order([a, b]: [__m256i; 2]) -> [__m256i; 2] {
    [_mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x31>(a, b)]
}

/// Writes halves of 32 lanes in their order, rotated.
///
/// # Safety
/// 64 bytes must be writable at `to`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn store_halves(to: *mut u8, [first, second]: [__m256i; 2]) {
    let [first, second] = in_order([rotated_half(first), rotated_half(second)]);
    // SAFETY: the caller's promise.
    unsafe {
        _mm256_storeu_si256(to.cast(), first);
        _mm256_storeu_si256(to.add(LANES).cast(), second);
    }
}
