//! Row scan: a step is 32 elements of a row.

use super::{Kind, MOST_CLASSES, Plan};
use crate::element::Word as _;
use crate::slots::AliasTable;
use crate::x86_64::avx512::alias::{self, Lanes, look_up, look_up_lower};
use crate::x86_64::avx512::merge::words as of_halves;
use crate::x86_64::avx512::unpack::{MOST_BITS, Placed, rotate_lower, start};
use crate::x86_64::output::Output;
use crate::{LANES, Transform};
use std::arch::x86_64::*;

/// What a symbol adds to an element, by rank.
struct Values {
    /// In elements of two bytes, and the upper halves of words.
    halves: [u16; 64],
    /// In elements of one byte.
    bytes: [u8; 64],
}

impl Values {
    fn of(plan: &Plan<'_>, table: &AliasTable) -> Values {
        let halves = table.symbol.map(|symbol| (symbol << plan.shift) | plan.constant);
        let transform = plan.element.transform();
        let bytes = halves.map(|u| match rotates_bytes(plan) {
            true => u as u8,
            false => (u as u8).inverse(transform),
        });
        Values { halves: halves.map(|u| u.rotate_right(rotation(plan.kind))), bytes }
    }
}

/// Bits by which numbers of 16 bits are rotated to the right, so that signs come to their place. Words are rotated as a
/// whole.
fn rotation(kind: Kind) -> u32 {
    match kind {
        Kind::Half { .. } | Kind::HalfHigh { .. } => 1,
        Kind::Byte { .. } | Kind::Word { .. } => 0,
    }
}

/// Whether elements of one byte are rotated once they are put together.
fn rotates_bytes(plan: &Plan<'_>) -> bool {
    let bits = plan.kind != Kind::Byte { raw: 0 } || !plan.beside.widths.is_empty();
    bits && plan.element.transform() == Transform::RotateSign
}

/// What a step decodes with.
#[derive(Clone, Copy)]
struct Class<'a> {
    table: &'a AliasTable,
    values: &'a Values,
    /// Of the bits beside the stream; of raw bits where a field has none beside.
    bits: &'a Placed,
}

/// Decodes blocks, piece by piece.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
pub(super) fn decode<const N: usize>(
    plans: [&Plan<'_>; N],
    lanes: &mut [Lanes<'_>; N],
    out: &mut Output<'_, '_, '_, N>,
) {
    let (kind, beside) = (plans[0].kind, !plans[0].beside.widths.is_empty());
    let raw = match kind {
        Kind::Byte { raw } => raw as usize,
        Kind::Half { .. } | Kind::HalfHigh { .. } | Kind::Word { .. } => 0,
    };
    let place = if beside { plans[0].shift } else { 0 };
    let unpack: [Placed; MOST_BITS as usize + 1] =
        std::array::from_fn(|width| Placed::new(width as u32, place + 16 - rotation(kind)));
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
    lanes: &mut [Lanes<'_>; N],
    out: &mut Output<'_, '_, '_, N>,
    class: impl Fn(usize, usize) -> Class<'t>,
) {
    let beside = !plans[0].beside.widths.is_empty();
    match (plans[0].kind, beside) {
        (Kind::Byte { raw: 0 }, false) => bytes::<N, false>(&plans, lanes, out, class),
        (Kind::Byte { .. }, _) => bytes::<N, true>(&plans, lanes, out, class),
        (Kind::Half { low }, false) => {
            halves::<N, false, false>(&plans, (low, 0), lanes, out, class)
        }
        (Kind::Half { low }, true) => halves::<N, true, false>(&plans, (low, 0), lanes, out, class),
        (Kind::HalfHigh { high }, _) => {
            halves::<N, false, true>(&plans, (8, high), lanes, out, class)
        }
        (Kind::Word { upper }, false) => words::<N, false>(&plans, upper, lanes, out, class),
        (Kind::Word { upper }, true) => words::<N, true>(&plans, upper, lanes, out, class),
    }
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
    let rotate = rotates_bytes(plans[0]);
    let mut bits: [*const u8; N] = plans.map(|plan| match plan.beside.widths {
        [] => start(plan.low),
        _ => start(plan.beside.packed),
    });
    for elements in plans[0].pieces.clone() {
        let (first, room) = (elements.start / LANES, out.room());
        alias::run_in_registers(
            lanes,
            first..elements.end / LANES,
            |n, step| class(n, step).table,
            |n, step, _, ranks| {
                let Class { values, bits: unpack, .. } = class(n, step);
                let mut numbers = look_up_lower(&values.bytes, ranks);
                if BITS {
                    // SAFETY: the bit string has as many bits for each element as `unpack` takes.
                    numbers = unsafe { unpack.put(bits[n], numbers) };
                    bits[n] = bits[n].wrapping_add(unpack.step);
                }
                if BITS && rotate {
                    numbers = rotate_lower(numbers);
                }
                let bytes = _mm512_cvtepi16_epi8(numbers);
                // SAFETY: the room is enough for each step of a piece.
                unsafe { _mm256_storeu_si256(room[n].add((step - first) * LANES).cast(), bytes) };
            },
        );
        out.take(elements);
    }
}

/// Elements of two bytes, rotated, with so many raw bits below the field, and above these.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
fn halves<'t, const N: usize, const BESIDE: bool, const HIGH: bool>(
    plans: &[&Plan<'_>; N],
    (low_width, high_width): (u32, u32),
    lanes: &mut [Lanes<'_>; N],
    out: &mut Output<'_, '_, '_, N>,
    class: impl Fn(usize, usize) -> Class<'t>,
) {
    let low_bits = Placed::new(low_width, 15);
    let high_bits = Placed::new(high_width, 7);
    let mut beside: [*const u8; N] = plans.map(|plan| start(plan.beside.packed));
    let mut low: [*const u8; N] = plans.map(|plan| start(plan.low));
    let mut high: [*const u8; N] = plans.map(|plan| start(plan.high));
    for elements in plans[0].pieces.clone() {
        let (first, room) = (elements.start / LANES, out.room());
        alias::run_in_registers(
            lanes,
            first..elements.end / LANES,
            |n, step| class(n, step).table,
            |n, step, _, ranks| {
                let Class { values, bits, .. } = class(n, step);
                let mut halves = look_up(&values.halves, ranks);
                // SAFETY: bit strings have as many bits for each element as are taken here.
                unsafe {
                    if BESIDE {
                        halves = bits.put(beside[n], halves);
                        beside[n] = beside[n].wrapping_add(bits.step);
                    }
                    halves = low_bits.put(low[n], halves);
                    low[n] = low[n].wrapping_add(low_bits.step);
                    if HIGH {
                        halves = high_bits.put(high[n], halves);
                        high[n] = high[n].wrapping_add(high_bits.step);
                    }
                }
                // SAFETY: the room is enough for each step of a piece.
                unsafe {
                    let to = room[n].add((step - first) * 2 * LANES);
                    _mm512_storeu_si512(to.cast(), halves);
                }
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
    let upper_bits = Placed::new(width, 0);
    let mut beside: [*const u8; N] = plans.map(|plan| start(plan.beside.packed));
    let mut upper: [*const u8; N] = plans.map(|plan| start(plan.upper));
    for elements in plans[0].pieces.clone() {
        let (first, room) = (elements.start / LANES, out.room());
        alias::run_in_registers(
            lanes,
            first..elements.end / LANES,
            |n, step| class(n, step).table,
            |n, step, _, ranks| {
                let Class { values, bits, .. } = class(n, step);
                let mut upper_half = look_up(&values.halves, ranks);
                // SAFETY: bit strings have as many bits for each element as are taken here.
                unsafe {
                    if BESIDE {
                        upper_half = bits.put(beside[n], upper_half);
                        beside[n] = beside[n].wrapping_add(bits.step);
                    }
                    upper_half = upper_bits.put(upper[n], upper_half);
                    upper[n] = upper[n].wrapping_add(upper_bits.step);
                }
                // SAFETY: both planes have a byte for each element.
                let lower = unsafe {
                    let low = plans[n].low.as_ptr().add(step * LANES);
                    let high = plans[n].high.as_ptr().add(step * LANES);
                    let low = _mm512_cvtepu8_epi16(_mm256_loadu_si256(low.cast()));
                    let high = _mm512_cvtepu8_epi16(_mm256_loadu_si256(high.cast()));
                    _mm512_or_si512(low, _mm512_slli_epi16::<8>(high))
                };
                let [a, b] = of_halves(lower, upper_half).map(|words| _mm512_ror_epi32::<1>(words));
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
