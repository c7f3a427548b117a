//! Column scan: a step is a column of 32 rows. A strip of them is decoded to a buffer in the first
//! cache, turned, and its rows put together from there.

use super::unpack::{MOST_BITS, Unpack, UnpackHalves};
use super::{Kind, LINE, MOST_CLASSES, Output, Plan};
use crate::slots::AliasTable;
use crate::turn::transpose;
use crate::x86_64::avx512::alias::{self, Lanes};
use crate::x86_64::turn::to_rows_avx2;
use crate::{LANES, Scan, Steps, Transform};
use std::arch::x86_64::*;

/// Decodes blocks, row by row.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
pub(super) fn decode<const N: usize>(
    plans: [&Plan<'_>; N],
    lanes: &mut [Lanes<'_>; N],
    out: &mut Output<'_, '_, '_, N>,
    space: &mut Vec<u8>,
) {
    match plans[0].beside.widths.is_empty() {
        true => strips::<N, false>(plans, lanes, out, space),
        false => strips::<N, true>(plans, lanes, out, space),
    }
}

/// With `BESIDE` some fields have bits beside the stream.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
fn strips<const N: usize, const BESIDE: bool>(
    plans: [&Plan<'_>; N],
    all_lanes: &mut [Lanes<'_>; N],
    out: &mut Output<'_, '_, '_, N>,
    space: &mut Vec<u8>,
) {
    // Its own copy: a compiler keeps it in registers.
    let mut lanes = *all_lanes;
    let unpack: [Unpack; MOST_BITS as usize + 1] =
        std::array::from_fn(|width| Unpack::new(width as u32));
    let classes: [[Class<'_>; MOST_CLASSES]; N] = std::array::from_fn(|n| {
        std::array::from_fn(|k| {
            let plan = plans[n];
            let k = k.min(plan.tables.len() - 1);
            let width = plan.beside.widths.get(k).map_or(0, |&width| usize::from(width));
            Class { table: plan.tables[k], beside: &unpack[width] }
        })
    });
    let (rows, cols) = (plans[0].rows, plans[0].cols);
    let finish: [Finish; N] = std::array::from_fn(|n| Finish::new(plans[n]));
    let strip = LANES * cols;
    if space.len() < (N + 1) * strip {
        space.resize((N + 1) * strip, 0);
    }
    let (coded, turned) = space[..(N + 1) * strip].split_at_mut(N * strip);
    let mut beside: [*const u8; N] = plans.map(|plan| plan.beside.packed.as_ptr());
    for first in (0..rows / LANES * LANES).step_by(LANES) {
        let start = first / LANES * cols;
        let coded_at: [*mut u8; N] =
            std::array::from_fn(|n| coded.as_mut_ptr().wrapping_add(n * strip));
        let of_step: [&[u8]; N] =
            plans.map(|plan| plan.of_step.get(start..start + cols).unwrap_or_default());
        let class = |n: usize, step: usize| {
            let class = of_step[n].get(step).map_or(0, |&class| usize::from(class));
            &classes[n][class % MOST_CLASSES]
        };
        alias::run(
            &mut lanes,
            0..cols,
            |n, step| class(n, step).table,
            |n, col, table, ranks| {
                let mut fields = alias::bytes(table, ranks);
                if BESIDE {
                    let bits = class(n, col).beside;
                    // SAFETY: the bit string has as many bits for each element as `bits` takes.
                    fields = _mm256_add_epi8(fields, unsafe { bits.bytes(beside[n]) });
                    beside[n] = beside[n].wrapping_add(bits.step);
                }
                // SAFETY: a strip of `coded` has 32 bytes for each column.
                unsafe { _mm256_storeu_si256(coded_at[n].add(LANES * col).cast(), fields) };
            },
        );
        for n in 0..N {
            to_rows_avx2(&coded[n * strip..][..strip], cols, turned);
            for (position, fields) in (first..).zip(turned.chunks_exact(cols)) {
                finish[n].row(plans[n], fields, (n, position), out);
            }
        }
    }
    let height = rows % LANES;
    let steps = Steps::of(Scan::Column, rows, cols);
    for n in (0..N).filter(|_| height > 0) {
        let plan = plans[n];
        let symbols = &mut coded[..height * cols];
        alias::tail(&mut lanes[n], steps, |step| plan.tables[plan.class(step)], symbols);
        let taken = beside[n] as usize - plan.beside.packed.as_ptr() as usize;
        plan.beside.add_tail(steps, plan.of_step, 8 * taken, symbols);
        transpose(symbols, height, 0..cols, &mut turned[..height * cols]);
        for (position, fields) in (rows - height..).zip(turned.chunks_exact(cols).take(height)) {
            finish[n].row(plan, fields, (n, position), out);
        }
    }
    *all_lanes = lanes;
}

/// What a step decodes with.
#[derive(Clone, Copy)]
struct Class<'a> {
    table: &'a AliasTable,
    /// Of the bits beside the stream.
    beside: &'a Unpack,
}

/// How elements are put together from fields and raw bits.
struct Finish {
    kind: Kind,
    transform: Transform,
    shift: __m128i,
    /// The bits of a byte that a shifted field may have.
    shifted: __m256i,
    /// What all elements have in common, the base of the fields among it.
    constant: __m512i,
    raw: Unpack,
    low: UnpackHalves,
}

impl Finish {
    #[target_feature(enable = "avx512f,avx512bw")]
    fn new(plan: &Plan<'_>) -> Finish {
        let (raw, low) = match plan.kind {
            Kind::Byte { raw } => (raw, 0),
            Kind::Half { low } => (0, low),
            Kind::HalfHigh { .. } => (0, 0),
        };
        Finish {
            kind: plan.kind,
            transform: plan.element.transform(),
            shift: _mm_cvtsi32_si128(plan.shift as i32),
            shifted: _mm256_set1_epi8(u8::MAX.unbounded_shl(plan.shift) as i8),
            constant: _mm512_set1_epi16(((plan.base << plan.shift) | plan.constant) as i16),
            raw: Unpack::new(raw),
            low: UnpackHalves::new(low, 0),
        }
    }

    /// Puts together the elements of the row at a position of block `n`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl")]
    fn row<const N: usize>(
        &self,
        plan: &Plan<'_>,
        fields: &[u8],
        (n, position): (usize, usize),
        out: &mut Output<'_, '_, '_, N>,
    ) {
        let first = plan.row(position) * plan.cols;
        let to = out.room()[n];
        let (fields, _) = fields.as_chunks::<LANES>();
        // Of 32 fields in the packed plane.
        let bytes = match self.kind {
            Kind::Byte { .. } => self.raw.step,
            Kind::Half { .. } | Kind::HalfHigh { .. } => self.low.step,
        };
        let packed = plan.low.as_ptr().wrapping_add(first / LANES * bytes);
        for (k, fields) in fields.iter().enumerate() {
            let packed = packed.wrapping_add(k * bytes);
            // SAFETY: 32 fields; the packed plane has `bytes` bytes for each 32 elements; there is room for
            // a row.
            unsafe {
                let fields = _mm256_loadu_si256(fields.as_ptr().cast());
                match self.kind {
                    Kind::Byte { raw } => {
                        let u = self.bytes(fields, raw, packed);
                        _mm256_storeu_si256(to.add(k * LANES).cast(), u);
                    }
                    Kind::Half { low: 8 } => {
                        let low = _mm256_loadu_si256(packed.cast());
                        let u = _mm512_or_si512(self.half(fields), _mm512_cvtepu8_epi16(low));
                        let elements = _mm512_shldi_epi16::<15>(u, u);
                        _mm512_storeu_si512(to.add(2 * k * LANES).cast(), elements);
                    }
                    Kind::Half { .. } | Kind::HalfHigh { .. } => {
                        let u = self.low.add(packed, self.half(fields));
                        let elements = _mm512_shldi_epi16::<15>(u, u);
                        _mm512_storeu_si512(to.add(2 * k * LANES).cast(), elements);
                    }
                }
            }
        }
        out.take_of(n, first..first + plan.cols);
    }

    /// Fields at their place in elements of two bytes.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn half(&self, fields: __m256i) -> __m512i {
        let fields = _mm512_sll_epi16(_mm512_cvtepu8_epi16(fields), self.shift);
        _mm512_add_epi16(fields, self.constant)
    }

    /// Elements of one byte.
    ///
    /// # Safety
    /// The raw bits of 32 elements must be readable at `packed`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vl")]
    unsafe fn bytes(&self, fields: __m256i, raw: u32, packed: *const u8) -> __m256i {
        let constant =
            _mm256_shuffle_epi8(_mm512_castsi512_si256(self.constant), _mm256_setzero_si256());
        // What the shift moves over from the byte below goes again.
        let mut u = _mm256_and_si256(_mm256_sll_epi16(fields, self.shift), self.shifted);
        if raw > 0 {
            // SAFETY: the caller's promise.
            u = _mm256_or_si256(u, unsafe { self.raw.bytes(packed) });
        }
        u = _mm256_add_epi8(u, constant);
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
