//! Elements of four bytes.

use super::Plan;
use super::kernel::{Class, Put, Raw};
use crate::LANES;
use crate::x86_64::avx512::merge::words;
use crate::x86_64::avx512::unpack::{MOST_BITS, Placed};
use std::arch::x86_64::*;

/// Rotated elements: fields, with `BESIDE` bits beside the stream in them, raw bits below them in the upper half, and a
/// raw lower half.
pub(super) struct Words<const BESIDE: bool> {
    /// By their width.
    beside: [Placed; MOST_BITS as usize + 1],
    upper: Placed,
}

impl<const BESIDE: bool> Words<BESIDE> {
    /// Of fields that begin at bit `shift` of the upper half, with `upper` raw bits there.
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn new(shift: u32, upper: u32) -> Self {
        let beside = std::array::from_fn(|width| Placed::new(width as u32, shift));
        Words { beside, upper: Placed::new(upper, 0) }
    }
}

impl<const BESIDE: bool> Put for Words<BESIDE> {
    type Value = u16;
    type Bits = Placed;
    type Own = ();

    const SIZE: usize = 4;

    fn value(plan: &Plan<'_>, symbol: u16) -> u16 {
        symbol << plan.layout.shift | plan.layout.constant
    }

    fn bits(&self, plan: &Plan<'_>, class: usize) -> &Placed {
        &self.beside[plan.width_beside(class).unwrap_or(0)]
    }

    unsafe fn own(_: &Plan<'_>) {}

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vl")]
    unsafe fn put(
        &self,
        class: Class<'_, Self>,
        (): &(),
        raw: &mut Raw,
        (step, ranks): (usize, __m512i),
        to: *mut u8,
    ) {
        let [low, high, upper] = raw.planes;
        // SAFETY: the caller's promise; the lower planes have a byte for each element.
        unsafe {
            let fields = class.fields::<BESIDE>(raw, ranks);
            let upper_half = self.upper.put(upper.wrapping_add(step * self.upper.step), fields);
            let bytes = |plane: *const u8| {
                let bytes = _mm256_loadu_si256(plane.wrapping_add(step * LANES).cast());
                _mm512_cvtepu8_epi16(bytes)
            };
            let lower_half = _mm512_or_si512(bytes(low), _mm512_slli_epi16::<8>(bytes(high)));
            for (k, half) in words(lower_half, upper_half).into_iter().enumerate() {
                let elements = _mm512_ror_epi32::<1>(half);
                _mm512_storeu_si512(to.add(2 * LANES * k).cast(), elements);
            }
        }
    }
}
