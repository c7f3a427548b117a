//! Elements of two bytes.

use super::Plan;
use super::kernel::{Class, Put, Raw};
use crate::x86_64::avx512::unpack::{MOST_BITS, Placed};
use std::arch::x86_64::*;

/// Rotated elements: fields, with `BESIDE` bits beside the stream in them, below them raw bits, and with `HIGH` more
/// of these from bit 8 on.
pub(super) struct Halves<const BESIDE: bool, const HIGH: bool> {
    /// By their width.
    beside: [Placed; MOST_BITS as usize + 1],
    low: Placed,
    high: Placed,
}

impl<const BESIDE: bool, const HIGH: bool> Halves<BESIDE, HIGH> {
    /// Of fields that begin at bit `shift`.
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn new(shift: u32, (low, high): (u32, u32)) -> Self {
        Halves {
            beside: std::array::from_fn(|width| Placed::new(width as u32, shift + 15)),
            low: Placed::new(low, 15),
            high: Placed::new(high, 7),
        }
    }
}

impl<const BESIDE: bool, const HIGH: bool> Put for Halves<BESIDE, HIGH> {
    type Value = u16;
    type Bits = Placed;
    type Own = ();

    const SIZE: usize = 2;

    fn value(plan: &Plan<'_>, symbol: u16) -> u16 {
        (symbol << plan.layout.shift | plan.layout.constant).rotate_right(1)
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
        let [low, high, _] = raw.planes;
        // SAFETY: the caller's promise.
        unsafe {
            let fields = class.fields::<BESIDE>(raw, ranks);
            let mut halves = self.low.put(low.wrapping_add(step * self.low.step), fields);
            if HIGH {
                halves = self.high.put(high.wrapping_add(step * self.high.step), halves);
            }
            _mm512_storeu_si512(to.cast(), halves);
        }
    }
}
