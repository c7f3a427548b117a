//! Elements of one byte.

use super::Plan;
use super::kernel::{Class, Put, Raw};
use crate::element::Word as _;
use crate::x86_64::avx512::alias::{Lanes, vector};
use crate::x86_64::avx512::unpack::Unpack;
use crate::x86_64::layout::Layout;
use crate::{LANES, Transform};
use std::arch::x86_64::*;

const EVEN_BYTES: __mmask64 = 0x5555_5555_5555_5555;
const UPPER_HALF: __mmask64 = 0xffff_ffff_0000_0000;

/// Elements of any transform; with `BITS` some of them have bits beside the stream, or raw ones below the field.
pub(super) struct Bytes<const BITS: bool> {
    /// By their width.
    unpack: [Unpack; Unpack::MOST_BITS as usize + 1],
    /// Where two steps, whose symbols alternate, have those of the first step and of the second.
    order: __m512i,
}

impl<const BITS: bool> Bytes<BITS> {
    #[target_feature(enable = "avx512f")]
    pub(super) fn new() -> Self {
        let order: [u8; 64] = std::array::from_fn(|k| (k % LANES * 2 + k / LANES) as u8);
        Bytes {
            unpack: std::array::from_fn(|width| Unpack::new(width as u32)),
            order: vector(&order),
        }
    }
}

/// Does something for each of `N` streams, at most four, without a loop: states must stay in registers.
macro_rules! written_out {
    ($count:ident, |$n:ident| $body:block) => {
        written_out!($count, $n, $body, 0);
        written_out!($count, $n, $body, 1);
        written_out!($count, $n, $body, 2);
        written_out!($count, $n, $body, 3);
    };
    ($count:ident, $n:ident, $body:block, $number:literal) => {
        if $number < $count {
            let $n = $number;
            $body
        }
    };
}

impl<const BITS: bool> Put for Bytes<BITS> {
    type Value = u8;
    type Bits = Unpack;
    /// What bits beside the stream change of an element, by their value: 16 of them, four times.
    type Own = __m512i;

    const SIZE: usize = 1;

    fn value(plan: &Plan<'_>, symbol: u16) -> u8 {
        let Layout { element, shift, constant, .. } = plan.layout;
        ((symbol << shift | constant) as u8).inverse(element.transform())
    }

    fn bits(&self, plan: &Plan<'_>, class: usize) -> &Unpack {
        &self.unpack[plan.width_beside(class).unwrap_or(plan.layout.widths[0] as usize)]
    }

    #[target_feature(enable = "avx512f")]
    unsafe fn own(plan: &Plan<'_>) -> __m512i {
        let shift = if plan.layout.has_beside() { plan.layout.shift } else { 0 };
        let of_bits: [u8; 16] = std::array::from_fn(|bits| {
            let u = (bits as u8).unbounded_shl(shift);
            match plan.layout.element.transform() {
                Transform::RotateSign => u.rotate_right(1),
                Transform::Identity | Transform::FlipSign => u,
            }
        });
        // SAFETY: the array has the 16 bytes that are read.
        _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(of_bits.as_ptr().cast()) })
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vl")]
    unsafe fn put(
        &self,
        class: Class<'_, Self>,
        of_bits: &__m512i,
        raw: &mut Raw,
        (_, ranks): (usize, __m512i),
        to: *mut u8,
    ) {
        let elements = _mm512_permutexvar_epi8(ranks, vector(class.values));
        let mut elements = _mm512_cvtepi16_epi8(elements);
        // SAFETY: the caller's promise.
        unsafe {
            if BITS {
                let fields = class.bits.bytes(raw.beside);
                raw.beside = raw.beside.wrapping_add(class.bits.step);
                let of_bits = _mm512_castsi512_si256(*of_bits);
                elements = _mm256_xor_si256(elements, _mm256_shuffle_epi8(of_bits, fields));
            }
            _mm256_storeu_si256(to.cast(), elements);
        }
    }

    /// Two steps of each stream at a time: their symbols fill a vector.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
    unsafe fn several<'t, const NUMBERS: bool, const N: usize>(
        &self,
        lanes: &mut [Lanes<'_, NUMBERS>; N],
        steps: usize,
        class: impl Fn(usize, usize) -> Class<'t, Self>,
        of_bits: &[__m512i; N],
        raw: &mut [Raw; N],
        to: [*mut u8; N],
    ) -> usize
    where
        Self: 't,
    {
        if NUMBERS {
            // Where these are looked up at once, ranks are not in both bytes, and nothing is gained.
            return 0;
        }
        // A compiler keeps copies in registers.
        let mut own = *lanes;
        let mut step = 0;
        loop {
            let safe = own.iter().map(Lanes::safe_steps).min().unwrap_or(0);
            let end = step + safe.min(steps - step) / 2 * 2;
            if step == end {
                break;
            }
            while step < end {
                let (mut first, mut second) =
                    ([_mm512_setzero_si512(); 4], [_mm512_setzero_si512(); 4]);
                written_out!(N, |n| {
                    first[n] = own[n].step::<false>(class(n, step).table, u32::MAX);
                });
                written_out!(N, |n| {
                    second[n] = own[n].step::<false>(class(n, step + 1).table, u32::MAX);
                });
                written_out!(N, |n| {
                    let (a, b) = (class(n, step), class(n, step + 1));
                    let both = _mm512_mask_mov_epi8(second[n], EVEN_BYTES, first[n]);
                    let ranks = _mm512_permutexvar_epi8(self.order, both);
                    let mut elements = _mm512_permutexvar_epi8(ranks, vector(a.values));
                    if !std::ptr::eq(a.values, b.values) {
                        let later = vector(b.values);
                        elements = _mm512_mask_permutexvar_epi8(elements, UPPER_HALF, ranks, later);
                    }
                    // SAFETY: the caller's promise.
                    unsafe {
                        if BITS {
                            let at = &mut raw[n].beside;
                            let first = a.bits.bytes(*at);
                            *at = at.wrapping_add(a.bits.step);
                            let second = b.bits.bytes(*at);
                            *at = at.wrapping_add(b.bits.step);
                            let fields =
                                _mm512_inserti64x4::<1>(_mm512_castsi256_si512(first), second);
                            let of_fields = _mm512_shuffle_epi8(of_bits[n], fields);
                            elements = _mm512_xor_si512(elements, of_fields);
                        }
                        _mm512_storeu_si512(to[n].add(LANES * step).cast(), elements);
                    }
                });
                step += 2;
            }
        }
        *lanes = own;
        step
    }
}
