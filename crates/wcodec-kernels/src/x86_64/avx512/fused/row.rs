//! Row scan: a step is 32 elements of a row.

use super::unpack::{MOST_BITS, Unpack, UnpackHalves};
use super::{Kind, MOST_CLASSES, Plan};
use crate::element::Word as _;
use crate::slots::AliasTable;
use crate::x86_64::avx512::alias::{self, Lanes, look_up, look_up_bytes};
use crate::{LANES, Transform};
use std::arch::x86_64::*;

/// What a symbol adds to an element, by rank.
struct Output {
    /// In elements of two bytes, before the sign is rotated to its place.
    halves: [u16; 64],
    /// In elements of one byte.
    bytes: [u8; 64],
}

impl Output {
    fn of(plan: &Plan<'_>, table: &AliasTable) -> Output {
        let halves = table.symbol.map(|symbol| (symbol << plan.shift) | plan.constant);
        let transform = plan.element.transform();
        Output { halves, bytes: halves.map(|u| (u as u8).inverse(transform)) }
    }
}

/// What a step decodes with.
#[derive(Clone, Copy)]
struct Class<'a> {
    table: &'a AliasTable,
    output: &'a Output,
    /// Of the bits beside the stream; of raw bits where a field has none beside.
    bits: &'a Unpack,
}

/// Decodes blocks to their places.
///
/// # Safety
/// The rows of each plan must be writable from its `out` on.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
pub(super) unsafe fn decode<const N: usize>(
    plans: [&Plan<'_>; N],
    lanes: &mut [Lanes<'_>; N],
    out: [*mut u8; N],
) {
    let unpack: [Unpack; MOST_BITS as usize + 1] =
        std::array::from_fn(|width| Unpack::new(width as u32));
    let raw = match plans[0].kind {
        Kind::Byte { raw } => raw as usize,
        Kind::Half { .. } | Kind::HalfHigh { .. } => 0,
    };
    // Blocks of a group share tables, and what these come to.
    let first = |n: usize| {
        let like = |plan: &Plan<'_>| {
            let same = |(a, b): (&&AliasTable, &&AliasTable)| std::ptr::eq(*a, *b);
            let tables = plan.tables.len() == plans[n].tables.len()
                && plan.tables.iter().zip(&plans[n].tables).all(same);
            tables && plan.constant == plans[n].constant
        };
        plans.iter().position(|plan| like(plan)).unwrap_or(n)
    };
    let first: [usize; N] = std::array::from_fn(first);
    let outputs: [Vec<Output>; N] = std::array::from_fn(|n| {
        let tables = if first[n] == n { &plans[n].tables[..] } else { &[] };
        tables.iter().map(|table| Output::of(plans[n], table)).collect()
    });
    let classes: [Vec<Class<'_>>; N] = std::array::from_fn(|n| {
        let widths = plans[n].beside.widths;
        let class = |(k, (&table, output))| {
            let bits = &unpack[widths.get(k).map_or(raw, |&width| usize::from(width))];
            Class { table, output, bits }
        };
        plans[n].tables.iter().zip(&outputs[first[n]]).enumerate().map(class).collect()
    });
    let classes: [[Class<'_>; MOST_CLASSES]; N] =
        std::array::from_fn(|n| std::array::from_fn(|k| classes[n][k.min(classes[n].len() - 1)]));
    // SAFETY: the caller's promise.
    unsafe {
        if plans.iter().all(|plan| plan.of_step.is_empty()) {
            // Known to the compiler: no look-up of classes in the loop.
            let classes: [Class<'_>; N] = std::array::from_fn(|n| classes[n][0]);
            decode_with(plans, lanes, out, |n, _| classes[n]);
        } else {
            decode_with(plans, lanes, out, |n, step| {
                classes[n][plans[n].class(step) % MOST_CLASSES]
            });
        }
    }
}

/// # Safety
/// As [`decode`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
unsafe fn decode_with<'t, const N: usize>(
    plans: [&'t Plan<'_>; N],
    all_lanes: &mut [Lanes<'_>; N],
    out: [*mut u8; N],
    class: impl Fn(usize, usize) -> Class<'t>,
) {
    // Its own copy: a compiler keeps it in registers.
    let mut own = *all_lanes;
    let lanes = &mut own;
    let beside = !plans[0].beside.widths.is_empty();
    // SAFETY: the caller's promise.
    unsafe {
        match (plans[0].kind, beside) {
            (Kind::Byte { raw: 0 }, false) => bytes::<N, false>(&plans, lanes, out, class),
            (Kind::Byte { .. }, _) => bytes::<N, true>(&plans, lanes, out, class),
            (Kind::Half { low: 8 }, false) => {
                halves::<N, false, true, false>(&plans, lanes, out, class);
            }
            (Kind::Half { low: 8 }, true) => {
                halves::<N, true, true, false>(&plans, lanes, out, class);
            }
            (Kind::Half { .. }, false) => {
                halves::<N, false, false, false>(&plans, lanes, out, class);
            }
            (Kind::Half { .. }, true) => {
                halves::<N, true, false, false>(&plans, lanes, out, class);
            }
            (Kind::HalfHigh { .. }, _) => {
                halves::<N, false, true, true>(&plans, lanes, out, class);
            }
        }
    }
    *all_lanes = own;
}

/// Where each of `N` blocks goes on writing.
struct Cursor<const N: usize> {
    at: [*mut u8; N],
    /// Bytes of a step.
    step: usize,
    /// Bytes from the end of a row to the beginning of the next.
    gaps: [usize; N],
    /// Bytes to a place that is written later: the next row, which lies too far away for the
    /// processor to guess.
    ahead: [usize; N],
    row: usize,
    left: usize,
}

impl<const N: usize> Cursor<N> {
    fn new(plans: &[&Plan<'_>; N], out: [*mut u8; N]) -> Cursor<N> {
        let width = plans[0].rows.width;
        let step = LANES * plans[0].element.size();
        let gaps = plans.map(|plan| plan.rows.pitch.saturating_sub(width));
        let ahead = plans.map(|plan| if plan.rows.rows > 1 { plan.rows.pitch } else { 1024 });
        Cursor { at: out, step, gaps, ahead, row: width / step, left: width / step }
    }

    /// The place of block `n` for this step; blocks must come in order.
    #[inline(always)]
    fn next(&mut self, n: usize) -> *mut u8 {
        let at = self.at[n];
        // SAFETY: any address may be prefetched.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(self.ahead[n]).cast()) };
        self.at[n] = at.wrapping_add(self.step);
        if n + 1 == N {
            self.left -= 1;
            if self.left == 0 {
                self.left = self.row;
                for (at, gap) in self.at.iter_mut().zip(self.gaps) {
                    *at = at.wrapping_add(gap);
                }
            }
        }
        at
    }
}

/// Elements of one byte, with `BITS` those beside the stream or raw ones.
///
/// # Safety
/// As [`decode`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
unsafe fn bytes<'t, const N: usize, const BITS: bool>(
    plans: &[&Plan<'_>; N],
    lanes: &mut [Lanes<'_>; N],
    out: [*mut u8; N],
    class: impl Fn(usize, usize) -> Class<'t>,
) {
    // What bits add to an element, by their value.
    let rotate = plans[0].element.transform() == Transform::RotateSign;
    let shift = if plans[0].beside.widths.is_empty() { 0 } else { plans[0].shift };
    let of_bits: [u8; 16] = std::array::from_fn(|bits| {
        let u = (bits as u8).unbounded_shl(shift);
        if rotate { u.rotate_right(1) } else { u }
    });
    // SAFETY: the array has the 16 bytes that are read.
    let of_bits = _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(of_bits.as_ptr().cast()) });
    let mut bits: [*const u8; N] = plans.map(|plan| match plan.beside.widths {
        [] => plan.low.as_ptr(),
        _ => plan.beside.packed.as_ptr(),
    });
    let mut cursor = Cursor::new(plans, out);
    let steps = 0..plans[0].rows.rows * cursor.row;
    alias::run(
        lanes,
        steps,
        |n, step| class(n, step).table,
        |n, step, _, ranks| {
            let Class { output, bits: unpack, .. } = class(n, step);
            let mut elements = look_up_bytes(&output.bytes, _mm512_cvtepi16_epi8(ranks));
            if BITS {
                // SAFETY: the bit string has as many bits for each element as `unpack` takes.
                let fields = unsafe { unpack.bytes(bits[n]) };
                bits[n] = bits[n].wrapping_add(unpack.step);
                elements = _mm256_or_si256(elements, _mm256_shuffle_epi8(of_bits, fields));
            }
            // SAFETY: the cursor goes over the rows of the plan, which are writable.
            unsafe { _mm256_storeu_si256(cursor.next(n).cast(), elements) };
        },
    );
}

/// Elements of two bytes, rotated.
///
/// # Safety
/// As [`decode`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
unsafe fn halves<'t, const N: usize, const BESIDE: bool, const LOW_BYTE: bool, const HIGH: bool>(
    plans: &[&Plan<'_>; N],
    lanes: &mut [Lanes<'_>; N],
    out: [*mut u8; N],
    class: impl Fn(usize, usize) -> Class<'t>,
) {
    let (low_width, high_width) = match plans[0].kind {
        Kind::Half { low } => (low, 0),
        Kind::HalfHigh { high } => (8, high),
        Kind::Byte { .. } => return,
    };
    let low_bits = UnpackHalves::new(low_width, 0);
    let high_bits = UnpackHalves::new(high_width, 8);
    let shift = _mm_cvtsi32_si128(plans[0].shift as i32);
    let mut beside: [*const u8; N] = plans.map(|plan| plan.beside.packed.as_ptr());
    let mut low: [*const u8; N] = plans.map(|plan| plan.low.as_ptr());
    let mut high: [*const u8; N] = plans.map(|plan| plan.high.as_ptr());
    let mut cursor = Cursor::new(plans, out);
    let steps = 0..plans[0].rows.rows * cursor.row;
    alias::run(
        lanes,
        steps,
        |n, step| class(n, step).table,
        |n, step, _, ranks| {
            let Class { output, bits, .. } = class(n, step);
            let mut u = look_up(&output.halves, ranks);
            if BESIDE {
                // SAFETY: the bit string has as many bits for each element as `bits` takes.
                let fields = unsafe { bits.bytes(beside[n]) };
                beside[n] = beside[n].wrapping_add(bits.step);
                u = _mm512_or_si512(u, _mm512_sll_epi16(_mm512_cvtepu8_epi16(fields), shift));
            }
            if LOW_BYTE {
                // SAFETY: the packed plane has a byte for each element.
                let bytes = unsafe { _mm256_loadu_si256(low[n].cast()) };
                low[n] = low[n].wrapping_add(LANES);
                u = _mm512_or_si512(u, _mm512_cvtepu8_epi16(bytes));
            } else {
                // SAFETY: the packed plane has 4 bytes a step for each bit of a field.
                u = unsafe { low_bits.add(low[n], u) };
                low[n] = low[n].wrapping_add(low_bits.step);
            }
            if HIGH {
                // SAFETY: as above.
                u = unsafe { high_bits.add(high[n], u) };
                high[n] = high[n].wrapping_add(high_bits.step);
            }
            let elements = _mm512_shldi_epi16::<15>(u, u);
            // SAFETY: the cursor goes over the rows of the plan, which are writable.
            unsafe { _mm512_storeu_si512(cursor.next(n).cast(), elements) };
        },
    );
}
