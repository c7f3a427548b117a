//! Row scan, alias tables and elements of one byte, side by side whatever the shapes of the blocks: each is decoded to
//! a buffer and goes to its place from there.

use super::alias::{self, Lanes, vector};
use super::fused;
use super::unpack::{Unpack, start};
use super::{MOST_CLASSES, SIDE_BY_SIDE};
use crate::blocks::{Block, BlockError, Coded, Source};
use crate::element::Word as _;
use crate::level::Set;
use crate::slots::AliasTable;
use crate::target::{Pieces, Target};
use crate::{DecodeTable, LANES, Level, Scan, Steps, StreamError, Transform};
use std::arch::x86_64::*;

const EVEN_BYTES: __mmask64 = 0x5555_5555_5555_5555;
const UPPER_HALF: __mmask64 = 0xffff_ffff_0000_0000;

/// Memory to be used again. Its content does not matter.
#[derive(Default)]
pub(crate) struct BytesSpace {
    /// Of each block.
    elements: [Vec<u8>; SIDE_BY_SIDE],
}

/// A block that can be decoded here.
struct Plan<'a> {
    coded: Coded<'a>,
    tables: Vec<&'a AliasTable>,
    steps: Steps,
    transform: Transform,
    /// Where the field begins in an element, and what all elements have in common.
    shift: u32,
    constant: u8,
    /// Raw bits below the fields: their width, and the bit string.
    raw: (u32, &'a [u8]),
}

impl<'a> Plan<'a> {
    /// The plan of a block; `None` if it is of another kind.
    fn of(block: &Block<'a>) -> Option<Plan<'a>> {
        let element = block.element;
        let (first, below) = block.planes.split_first()?;
        let Source::Coded(coded) = first.source else { return None };
        let steps = Steps::of(coded.scan, block.rows, block.cols);
        let narrow = steps.lanes() < LANES || block.is_sorted();
        if coded.scan != Scan::Row || block.tiles.is_some() || element.size() > 1 || narrow {
            return None;
        }
        let tables = coded.classes.tables().map(DecodeTable::alias).collect::<Option<Vec<_>>>()?;
        let mut shift = element.bits() - first.width;
        let field_shift = shift;
        let (mut constant, mut raw) = (0, (0, &[][..]));
        for plane in below {
            shift -= plane.width;
            match (plane.source, shift) {
                (Source::Constant(value), _) => constant |= (value << shift) as u8,
                (Source::Packed(bits), 0) => raw = (plane.width, bits),
                _ => return None,
            }
        }
        // Bits of one kind are enough.
        let one_kind = raw.0 == 0 || coded.low.widths.is_empty();
        let narrow = raw.0 <= Unpack::MOST_BITS
            && coded.low.widths.iter().all(|&width| u32::from(width) <= Unpack::MOST_BITS);
        let transform = element.transform();
        let fits = one_kind && narrow && tables.len() <= MOST_CLASSES;
        fits.then_some(Plan { coded, tables, steps, transform, shift: field_shift, constant, raw })
    }

    /// An element of a field and its raw bits.
    fn element(&self, field: u16, raw: u8) -> u8 {
        ((field << self.shift) as u8 | self.constant | raw).inverse(self.transform)
    }

    /// The bits beside the stream: raw or low ones.
    fn bits(&self) -> &'a [u8] {
        if self.raw.0 > 0 { self.raw.1 } else { self.coded.low.packed }
    }

    /// What such bits add to an element, by their value.
    fn of_bits(&self) -> [u8; 16] {
        let shift = if self.raw.0 > 0 { 0 } else { self.shift };
        std::array::from_fn(|bits| {
            let u = (bits as u8).unbounded_shl(shift);
            if self.transform == Transform::RotateSign { u.rotate_right(1) } else { u }
        })
    }

    fn class(&self, step: usize) -> usize {
        self.coded.classes.of_step().get(step).map_or(0, |&class| usize::from(class))
    }

    /// Elements of the steps of fewer lanes, whose bits beside the stream begin at byte `at`, of their
    /// symbols.
    fn finish_tail(&self, at: usize, tail: &mut [u8]) {
        let Coded { classes, low, .. } = self.coded;
        low.add_tail(self.steps, classes.of_step(), 8 * at, tail);
        let symbols = classes.table(0).symbols();
        for (number, byte) in tail.iter_mut().enumerate() {
            let field = match classes.base() {
                Some(base) => base + u16::from(*byte),
                None => symbols[usize::from(*byte)],
            };
            let (width, packed) = self.raw;
            let bit = 8 * at + number * width as usize;
            let two = |at: usize| packed.get(at).map_or(0, |&byte| u16::from(byte));
            let raw = (two(bit / 8) | two(bit / 8 + 1) << 8) >> (bit % 8) & ((1 << width) - 1);
            *byte = self.element(field, raw as u8);
        }
    }
}

/// Twin of [`crate::decode_blocks`] for up to four blocks from number `first` on; `None` if that one is not of a
/// kind that is known here, or as many are decoded elsewhere, without a buffer.
pub(crate) fn decode_bytes(
    level: Level,
    first: usize,
    target: &mut Target<'_, '_>,
    space: &mut BytesSpace,
) -> Option<Vec<Result<(), BlockError>>> {
    assert_eq!(level.set(), Set::Avx512);
    let blocks = &target.blocks[first..];
    let plans: Vec<Plan<'_>> = blocks.iter().take(SIDE_BY_SIDE).map_while(Plan::of).collect();
    if plans.len() <= fused::side_by_side(blocks) {
        return None;
    }
    let mut out = [std::ptr::null_mut(); SIDE_BY_SIDE];
    for ((out, plan), elements) in out.iter_mut().zip(&plans).zip(&mut space.elements) {
        let count = plan.steps.symbols();
        if elements.len() < count {
            elements.resize(count, 0);
        }
        *out = elements.as_mut_ptr();
    }
    // SAFETY: the level says that the processor has the instructions; each buffer has as many bytes as its block has
    // elements.
    let verdicts = unsafe { decode(&plans, out) };
    for (n, (verdict, elements)) in verdicts.iter().zip(&mut space.elements).enumerate() {
        if verdict.is_ok() {
            for piece in Pieces::of(&blocks[n]) {
                target.take(first + n, piece.start, &mut elements[piece]);
            }
        }
    }
    let place =
        |verdict: Result<(), StreamError>| verdict.map_err(|error| BlockError { plane: 0, error });
    Some(verdicts.into_iter().map(place).collect())
}

/// What a step decodes with.
#[derive(Clone, Copy)]
struct Class<'a> {
    table: &'a AliasTable,
    /// The element of each rank.
    elements: &'a [u8; 64],
    /// Of the bits beside the stream.
    bits: &'a Unpack,
}

/// A stream between two steps, and what its steps need.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    number: usize,
    plan: &'a Plan<'a>,
    classes: &'a [Class<'a>; MOST_CLASSES],
    lanes: Lanes<'a>,
    /// Bytes taken of the bits beside the stream.
    taken: usize,
    /// Where its elements go.
    out: *mut u8,
}

/// Decodes streams side by side.
///
/// # Safety
/// As many bytes as a plan has symbols must be writable at its `out`, and at no other.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
unsafe fn decode(plans: &[Plan<'_>], out: [*mut u8; SIDE_BY_SIDE]) -> Vec<Result<(), StreamError>> {
    let unpack: [Unpack; Unpack::MOST_BITS as usize + 1] =
        std::array::from_fn(|width| Unpack::new(width as u32));
    // Blocks of a group share tables, and what these come to.
    let alike = |a: &Plan<'_>, b: &Plan<'_>| {
        let same = |(a, b): (&&AliasTable, &&AliasTable)| std::ptr::eq(*a, *b);
        let how = |plan: &Plan<'_>| (plan.transform, plan.shift, plan.constant);
        a.tables.len() == b.tables.len()
            && a.tables.iter().zip(&b.tables).all(same)
            && how(a) == how(b)
    };
    let first = |of: &Plan<'_>| plans.iter().position(|plan| alike(plan, of)).unwrap_or(0);
    let firsts: Vec<usize> = plans.iter().map(first).collect();
    let elements: Vec<Vec<[u8; 64]>> = (0..plans.len())
        .map(|n| {
            let tables = if firsts[n] == n { &plans[n].tables[..] } else { &[] };
            tables.iter().map(|table| table.symbol.map(|s| plans[n].element(s, 0))).collect()
        })
        .collect();
    let classes: Vec<[Class<'_>; MOST_CLASSES]> = plans
        .iter()
        .enumerate()
        .map(|(n, plan)| {
            std::array::from_fn(|k| {
                let k = k.min(plan.tables.len() - 1);
                let width = plan.coded.low.widths.get(k).map_or(plan.raw.0 as usize, |&w| w.into());
                let elements = &elements[firsts[n]][k];
                Class { table: plan.tables[k], elements, bits: &unpack[width] }
            })
        })
        .collect();
    let mut verdicts = vec![Ok(()); plans.len()];
    let mut cursors: Vec<Cursor<'_>> = Vec::with_capacity(plans.len());
    for ((number, plan), classes) in plans.iter().enumerate().zip(&classes) {
        match Lanes::new(plan.coded.stream) {
            Ok(lanes) => {
                let out = out[number];
                cursors.push(Cursor { number, plan, classes, lanes, taken: 0, out });
            }
            Err(error) => verdicts[number] = Err(error),
        }
    }
    // All of them until the shortest one ends, then the others.
    cursors.sort_by_key(|cursor| cursor.plan.steps.full());
    let mut from = 0;
    for shortest in 0..cursors.len() {
        let steps = from..cursors[shortest].plan.steps.full();
        from = steps.end;
        // SAFETY: these are full steps of all of them.
        unsafe {
            match &mut cursors[shortest..] {
                [a, b, c, d] => run([a, b, c, d], steps),
                [a, b, c] => run([a, b, c], steps),
                [a, b] => run([a, b], steps),
                [a] => run([a], steps),
                _ => unreachable!("one to four streams"),
            }
        }
    }
    for Cursor { number, plan, mut lanes, taken, out, .. } in cursors {
        let (full, all) = (plan.steps.full_symbols(), plan.steps.symbols());
        // SAFETY: the caller's promise; the buffers are initialised.
        let tail = unsafe { std::slice::from_raw_parts_mut(out.add(full), all - full) };
        alias::tail(&mut lanes, plan.steps, |step| plan.tables[plan.class(step)], tail);
        plan.finish_tail(taken, tail);
        verdicts[number] = lanes.end();
    }
    verdicts
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

/// Decodes some steps.
///
/// # Safety
/// They must be full steps of all streams, for which there must be room.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
unsafe fn run<const N: usize>(cursors: [&mut Cursor<'_>; N], steps: std::ops::Range<usize>) {
    let bits = cursors.iter().any(|cursor| !cursor.plan.bits().is_empty());
    let one = cursors.iter().all(|cursor| cursor.plan.coded.classes.of_step().is_empty());
    // SAFETY: the caller's promise.
    unsafe {
        match (bits, one) {
            (true, true) => run_as::<N, true, true>(cursors, steps),
            (true, false) => run_as::<N, true, false>(cursors, steps),
            (false, true) => run_as::<N, false, true>(cursors, steps),
            (false, false) => run_as::<N, false, false>(cursors, steps),
        }
    }
}

/// `BITS`: some stream has bits beside it. `ONE`: none has more than one class.
///
/// # Safety
/// As [`run`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
unsafe fn run_as<const N: usize, const BITS: bool, const ONE: bool>(
    cursors: [&mut Cursor<'_>; N],
    steps: std::ops::Range<usize>,
) {
    // Copies: a compiler keeps them in registers.
    let mut lanes: [Lanes<'_>; N] = std::array::from_fn(|n| cursors[n].lanes);
    let classes: [&[Class<'_>; MOST_CLASSES]; N] = std::array::from_fn(|n| cursors[n].classes);
    let only: [Class<'_>; N] = classes.map(|classes| classes[0]);
    let of_step: [&[u8]; N] = std::array::from_fn(|n| cursors[n].plan.coded.classes.of_step());
    let class = |n: usize, step: usize| match ONE {
        true => only[n],
        false => {
            classes[n][of_step[n].get(step).map_or(0, |&class| usize::from(class)) % MOST_CLASSES]
        }
    };
    let of_bits: [__m512i; N] = std::array::from_fn(|n| {
        let of_bits = cursors[n].plan.of_bits();
        // SAFETY: the array has the 16 bytes that are read.
        _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(of_bits.as_ptr().cast()) })
    });
    let order: [u8; 64] = std::array::from_fn(|k| (k % LANES * 2 + k / LANES) as u8);
    let order = vector(&order);
    let starts: [*const u8; N] = std::array::from_fn(|n| start(cursors[n].plan.bits()));
    let mut bits: [*const u8; N] =
        std::array::from_fn(|n| starts[n].wrapping_add(cursors[n].taken));
    let out: [*mut u8; N] = std::array::from_fn(|n| cursors[n].out);
    let mut step = steps.start;
    loop {
        let safe = lanes.iter().map(Lanes::safe_steps).min().unwrap_or(0);
        let end = step + safe.min(steps.end - step) / 2 * 2;
        if step == end {
            break;
        }
        while step < end {
            // Two steps of each stream: their symbols fill a vector.
            let (mut first, mut second) =
                ([_mm512_setzero_si512(); 4], [_mm512_setzero_si512(); 4]);
            written_out!(N, |n| {
                first[n] = lanes[n].step::<false>(class(n, step).table, u32::MAX);
            });
            written_out!(N, |n| {
                second[n] = lanes[n].step::<false>(class(n, step + 1).table, u32::MAX);
            });
            written_out!(N, |n| {
                let (a, b) = (class(n, step), class(n, step + 1));
                let both = _mm512_mask_mov_epi8(second[n], EVEN_BYTES, first[n]);
                let ranks = _mm512_permutexvar_epi8(order, both);
                let mut elements = _mm512_permutexvar_epi8(ranks, vector(a.elements));
                if !ONE {
                    let later = vector(b.elements);
                    elements = _mm512_mask_permutexvar_epi8(elements, UPPER_HALF, ranks, later);
                }
                if BITS {
                    // SAFETY: the bit string has as many bits for each step as the class takes.
                    let fields = unsafe {
                        let first = a.bits.bytes(bits[n]);
                        bits[n] = bits[n].wrapping_add(a.bits.step);
                        let second = b.bits.bytes(bits[n]);
                        bits[n] = bits[n].wrapping_add(b.bits.step);
                        _mm512_inserti64x4::<1>(_mm512_castsi256_si512(first), second)
                    };
                    elements = _mm512_or_si512(elements, _mm512_shuffle_epi8(of_bits[n], fields));
                }
                // SAFETY: there are 32 bytes for each full step.
                unsafe { _mm512_storeu_si512(out[n].add(LANES * step).cast(), elements) };
            });
            step += 2;
        }
    }
    alias::run(
        &mut lanes,
        step..steps.end,
        |n, step| class(n, step).table,
        |n, step, _, ranks| {
            let class = class(n, step);
            let elements = _mm512_permutexvar_epi8(ranks, vector(class.elements));
            let mut elements = _mm512_cvtepi16_epi8(elements);
            if BITS {
                // SAFETY: as above.
                let fields = unsafe { class.bits.bytes(bits[n]) };
                bits[n] = bits[n].wrapping_add(class.bits.step);
                let of_bits = _mm512_castsi512_si256(of_bits[n]);
                elements = _mm256_or_si256(elements, _mm256_shuffle_epi8(of_bits, fields));
            }
            // SAFETY: there are 32 bytes for each full step.
            unsafe { _mm256_storeu_si256(out[n].add(LANES * step).cast(), elements) };
        },
    );
    for (n, cursor) in cursors.into_iter().enumerate() {
        cursor.lanes = lanes[n];
        cursor.taken = bits[n] as usize - starts[n] as usize;
    }
}
