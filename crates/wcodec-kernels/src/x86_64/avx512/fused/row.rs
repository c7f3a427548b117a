//! Row scan: a step is 32 elements of a row.

use super::{Kind, MOST_CLASSES, Output, Plan};
use crate::element::Word as _;
use crate::slots::AliasTable;
use crate::x86_64::avx512::alias::{self, Lanes, look_up, look_up_bytes};
use crate::x86_64::avx512::merge::words as of_halves;
use crate::x86_64::avx512::unpack::{MOST_BITS, Unpack, UnpackHalves};
use crate::{LANES, Transform};
use std::arch::x86_64::*;

/// What a symbol adds to an element, by rank.
struct Values {
    /// In elements of two bytes, before the sign is rotated to its place.
    halves: [u16; 64],
    /// In elements of one byte.
    bytes: [u8; 64],
}

impl Values {
    fn of(plan: &Plan<'_>, table: &AliasTable) -> Values {
        let halves = table.symbol.map(|symbol| (symbol << plan.shift) | plan.constant);
        let transform = plan.element.transform();
        Values { halves, bytes: halves.map(|u| (u as u8).inverse(transform)) }
    }
}

/// What a step decodes with.
#[derive(Clone, Copy)]
struct Class<'a> {
    table: &'a AliasTable,
    values: &'a Values,
    /// Of the bits beside the stream; of raw bits where a field has none beside.
    bits: &'a Unpack,
}

/// Decodes blocks, piece by piece.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
pub(super) fn decode<const N: usize>(
    plans: [&Plan<'_>; N],
    lanes: &mut [Lanes<'_>; N],
    out: &mut Output<'_, '_, '_, N>,
) {
    let unpack: [Unpack; MOST_BITS as usize + 1] =
        std::array::from_fn(|width| Unpack::new(width as u32));
    let raw = match plans[0].kind {
        Kind::Byte { raw } => raw as usize,
        Kind::Half { .. } | Kind::HalfHigh { .. } | Kind::Word { .. } => 0,
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
    let values: [Vec<Values>; N] = std::array::from_fn(|n| {
        let tables = if first[n] == n { &plans[n].tables[..] } else { &[] };
        tables.iter().map(|table| Values::of(plans[n], table)).collect()
    });
    let classes: [Vec<Class<'_>>; N] = std::array::from_fn(|n| {
        let widths = plans[n].beside.widths;
        let class = |(k, (&table, values))| {
            let bits = &unpack[widths.get(k).map_or(raw, |&width| usize::from(width))];
            Class { table, values, bits }
        };
        plans[n].tables.iter().zip(&values[first[n]]).enumerate().map(class).collect()
    });
    let classes: [[Class<'_>; MOST_CLASSES]; N] =
        std::array::from_fn(|n| std::array::from_fn(|k| classes[n][k.min(classes[n].len() - 1)]));
    if plans.iter().all(|plan| plan.of_step.is_empty()) {
        // Known to the compiler: no look-up of classes in the loop.
        let classes: [Class<'_>; N] = std::array::from_fn(|n| classes[n][0]);
        decode_with(plans, lanes, out, |n, _| classes[n]);
    } else {
        decode_with(plans, lanes, out, |n, step| classes[n][plans[n].class(step) % MOST_CLASSES]);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
fn decode_with<'t, const N: usize>(
    plans: [&'t Plan<'_>; N],
    all_lanes: &mut [Lanes<'_>; N],
    out: &mut Output<'_, '_, '_, N>,
    class: impl Fn(usize, usize) -> Class<'t>,
) {
    // Its own copy: a compiler keeps it in registers.
    let mut own = *all_lanes;
    let lanes = &mut own;
    let beside = !plans[0].beside.widths.is_empty();
    match (plans[0].kind, beside) {
        (Kind::Byte { raw: 0 }, false) => bytes::<N, false>(&plans, lanes, out, class),
        (Kind::Byte { .. }, _) => bytes::<N, true>(&plans, lanes, out, class),
        (Kind::Half { low: 8 }, false) => {
            halves::<N, false, true, false>(&plans, lanes, out, class);
        }
        (Kind::Half { low: 8 }, true) => halves::<N, true, true, false>(&plans, lanes, out, class),
        (Kind::Half { .. }, false) => halves::<N, false, false, false>(&plans, lanes, out, class),
        (Kind::Half { .. }, true) => halves::<N, true, false, false>(&plans, lanes, out, class),
        (Kind::HalfHigh { .. }, _) => halves::<N, false, true, true>(&plans, lanes, out, class),
        (Kind::Word { upper }, false) => words::<N, false>(&plans, upper, lanes, out, class),
        (Kind::Word { upper }, true) => words::<N, true>(&plans, upper, lanes, out, class),
    }
    *all_lanes = own;
}

/// Elements of one byte, with `BITS` those beside the stream or raw ones.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
fn bytes<'t, const N: usize, const BITS: bool>(
    plans: &[&Plan<'_>; N],
    lanes: &mut [Lanes<'_>; N],
    out: &mut Output<'_, '_, '_, N>,
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
    for elements in plans[0].pieces.clone() {
        let (first, room) = (elements.start / LANES, out.room());
        alias::run(
            lanes,
            first..elements.end / LANES,
            |n, step| class(n, step).table,
            |n, step, _, ranks| {
                let Class { values, bits: unpack, .. } = class(n, step);
                let mut bytes = look_up_bytes(&values.bytes, ranks);
                if BITS {
                    // SAFETY: the bit string has as many bits for each element as `unpack` takes.
                    let fields = unsafe { unpack.bytes(bits[n]) };
                    bits[n] = bits[n].wrapping_add(unpack.step);
                    bytes = _mm256_or_si256(bytes, _mm256_shuffle_epi8(of_bits, fields));
                }
                // SAFETY: the room is enough for each step of a piece.
                unsafe { _mm256_storeu_si256(room[n].add((step - first) * LANES).cast(), bytes) };
            },
        );
        out.take(elements);
    }
}

/// Elements of two bytes, rotated.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
fn halves<'t, const N: usize, const BESIDE: bool, const LOW_BYTE: bool, const HIGH: bool>(
    plans: &[&Plan<'_>; N],
    lanes: &mut [Lanes<'_>; N],
    out: &mut Output<'_, '_, '_, N>,
    class: impl Fn(usize, usize) -> Class<'t>,
) {
    let (low_width, high_width) = match plans[0].kind {
        Kind::Half { low } => (low, 0),
        Kind::HalfHigh { high } => (8, high),
        Kind::Byte { .. } | Kind::Word { .. } => return,
    };
    let low_bits = UnpackHalves::new(low_width);
    let high_bits = UnpackHalves::new(high_width);
    let shift = _mm512_set1_epi16(plans[0].shift as i16);
    let mut beside: [*const u8; N] = plans.map(|plan| plan.beside.packed.as_ptr());
    let mut low: [*const u8; N] = plans.map(|plan| plan.low.as_ptr());
    let mut high: [*const u8; N] = plans.map(|plan| plan.high.as_ptr());
    for elements in plans[0].pieces.clone() {
        let (first, room) = (elements.start / LANES, out.room());
        alias::run(
            lanes,
            first..elements.end / LANES,
            |n, step| class(n, step).table,
            |n, step, _, ranks| {
                let Class { values, bits, .. } = class(n, step);
                let mut u = look_up(&values.halves, ranks);
                if BESIDE {
                    // SAFETY: the bit string has as many bits for each element as `bits` takes.
                    let fields = unsafe { bits.bytes(beside[n]) };
                    beside[n] = beside[n].wrapping_add(bits.step);
                    u = _mm512_or_si512(u, _mm512_sllv_epi16(_mm512_cvtepu8_epi16(fields), shift));
                }
                if LOW_BYTE {
                    // SAFETY: the packed plane has a byte for each element.
                    let bytes = unsafe { _mm256_loadu_si256(low[n].cast()) };
                    low[n] = low[n].wrapping_add(LANES);
                    u = _mm512_or_si512(u, _mm512_cvtepu8_epi16(bytes));
                } else {
                    // SAFETY: the packed plane has 4 bytes a step for each bit of a field.
                    u = unsafe { low_bits.add(low[n], u, false) };
                    low[n] = low[n].wrapping_add(low_bits.step);
                }
                if HIGH {
                    // SAFETY: as above.
                    u = unsafe { high_bits.add(high[n], u, true) };
                    high[n] = high[n].wrapping_add(high_bits.step);
                }
                let elements = _mm512_shldi_epi16::<15>(u, u);
                // SAFETY: the room is enough for each step of a piece.
                unsafe {
                    _mm512_storeu_si512(room[n].add((step - first) * 2 * LANES).cast(), elements)
                };
            },
        );
        out.take(elements);
    }
}

/// Elements of four bytes, rotated, with `width` raw bits below the field.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
fn words<'t, const N: usize, const BESIDE: bool>(
    plans: &[&Plan<'_>; N],
    width: u32,
    lanes: &mut [Lanes<'_>; N],
    out: &mut Output<'_, '_, '_, N>,
    class: impl Fn(usize, usize) -> Class<'t>,
) {
    let upper_bits = UnpackHalves::new(width);
    let shift = _mm512_set1_epi16(plans[0].shift as i16);
    let mut beside: [*const u8; N] = plans.map(|plan| plan.beside.packed.as_ptr());
    let mut upper: [*const u8; N] = plans.map(|plan| plan.upper.as_ptr());
    for elements in plans[0].pieces.clone() {
        let (first, room) = (elements.start / LANES, out.room());
        alias::run(
            lanes,
            first..elements.end / LANES,
            |n, step| class(n, step).table,
            |n, step, _, ranks| {
                let Class { values, bits, .. } = class(n, step);
                let mut u = look_up(&values.halves, ranks);
                if BESIDE {
                    // SAFETY: the bit string has as many bits for each element as `bits` takes.
                    let fields = unsafe { bits.bytes(beside[n]) };
                    beside[n] = beside[n].wrapping_add(bits.step);
                    u = _mm512_or_si512(u, _mm512_sllv_epi16(_mm512_cvtepu8_epi16(fields), shift));
                }
                // SAFETY: the packed plane has 4 bytes a step for each bit of a field.
                u = unsafe { upper_bits.add(upper[n], u, false) };
                upper[n] = upper[n].wrapping_add(upper_bits.step);
                // SAFETY: both planes have a byte for each element.
                let lower = unsafe {
                    let low = plans[n].low.as_ptr().add(step * LANES);
                    let high = plans[n].high.as_ptr().add(step * LANES);
                    let low = _mm512_cvtepu8_epi16(_mm256_loadu_si256(low.cast()));
                    let high = _mm512_cvtepu8_epi16(_mm256_loadu_si256(high.cast()));
                    _mm512_or_si512(low, _mm512_slli_epi16::<8>(high))
                };
                let [a, b] = of_halves(lower, u).map(|words| _mm512_ror_epi32::<1>(words));
                // SAFETY: the room is enough for each step of a piece.
                unsafe {
                    let to = room[n].add((step - first) * 4 * LANES);
                    _mm512_storeu_si512(to.cast(), a);
                    _mm512_storeu_si512(to.add(2 * LANES).cast(), b);
                }
            },
        );
        out.take(elements);
    }
}
