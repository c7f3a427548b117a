//! Elements from fields and raw bits, 32 at a time.

use super::unpack::Unpack;
use crate::Transform;
use crate::x86_64::avx512::{Kind, Plan};
use std::arch::x86_64::*;

/// How the elements of a block are put together.
pub(super) struct Finish {
    kind: Kind,
    transform: Transform,
    shift: __m128i,
    /// The bits of a byte that a shifted field may have.
    shifted: __m256i,
    /// What all elements have in common, the base of the fields among it.
    constant: u16,
    /// Raw planes below the fields.
    low: Unpack,
    high: Unpack,
}

/// Where the raw bits of 32 elements lie.
#[derive(Clone, Copy)]
pub(super) struct Raw {
    low: *const u8,
    high: *const u8,
}

impl Finish {
    #[target_feature(enable = "avx2")]
    pub(super) fn new(plan: &Plan<'_>) -> Finish {
        let (low, high) = match plan.kind {
            Kind::Byte { raw } => (raw, 0),
            Kind::Half { low } => (low, 0),
            Kind::HalfHigh { high } => (8, high),
        };
        Finish {
            kind: plan.kind,
            transform: plan.element.transform(),
            shift: _mm_cvtsi32_si128(plan.shift as i32),
            shifted: _mm256_set1_epi8(u8::MAX.unbounded_shl(plan.shift) as i8),
            constant: (plan.base << plan.shift) | plan.constant,
            low: Unpack::new(low),
            high: Unpack::new(high),
        }
    }

    /// The raw bits from element `32 step` of the plan on.
    #[inline(always)]
    pub(super) fn raw(&self, plan: &Plan<'_>, step: usize) -> Raw {
        Raw {
            low: plan.low.as_ptr().wrapping_add(step * self.low.step),
            high: plan.high.as_ptr().wrapping_add(step * self.high.step),
        }
    }

    /// Writes 32 elements, and goes on to the raw bits of the next.
    ///
    /// # Safety
    /// The raw bits must be readable, and the elements writable at `to`.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn put(&self, fields: __m256i, raw: &mut Raw, to: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe {
            if let Kind::Byte { raw: bits } = self.kind {
                _mm256_storeu_si256(to.cast(), self.bytes(fields, bits, raw.low));
            } else {
                let [first, second] = self.halves(fields, *raw);
                let upper = _mm256_permute2x128_si256::<0x20>(first, second);
                let lower = _mm256_permute2x128_si256::<0x31>(first, second);
                _mm256_storeu_si256(to.cast(), upper);
                _mm256_storeu_si256(to.add(32).cast(), lower);
            }
        }
        raw.low = raw.low.wrapping_add(self.low.step);
        raw.high = raw.high.wrapping_add(self.high.step);
    }

    /// Elements of two bytes, rotated, in the order of the lanes of both vectors.
    ///
    /// # Safety
    /// The raw bits must be readable.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn halves(&self, fields: __m256i, raw: Raw) -> [__m256i; 2] {
        let zero = _mm256_setzero_si256();
        let constant = _mm256_set1_epi16(self.constant as i16);
        let fields = [_mm256_unpacklo_epi8(fields, zero), _mm256_unpackhi_epi8(fields, zero)];
        // SAFETY: the caller's promise.
        let low = unsafe {
            if self.low.step == 32 {
                let bytes = _mm256_loadu_si256(raw.low.cast());
                [_mm256_unpacklo_epi8(bytes, zero), _mm256_unpackhi_epi8(bytes, zero)]
            } else {
                self.low.numbers(raw.low)
            }
        };
        let mut u = [zero; 2];
        for k in 0..2 {
            u[k] = _mm256_add_epi16(_mm256_sll_epi16(fields[k], self.shift), constant);
            u[k] = _mm256_or_si256(u[k], low[k]);
        }
        if self.high.step > 0 {
            // SAFETY: the caller's promise.
            let high = unsafe { self.high.numbers(raw.high) };
            for k in 0..2 {
                u[k] = _mm256_or_si256(u[k], _mm256_slli_epi16::<8>(high[k]));
            }
        }
        let rotated = |u| _mm256_or_si256(_mm256_srli_epi16::<1>(u), _mm256_slli_epi16::<15>(u));
        [rotated(u[0]), rotated(u[1])]
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
            u = _mm256_or_si256(u, unsafe { self.low.bytes(raw) });
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
