//! Putting elements together from the fields that their planes hold.

use crate::element::{Transform, Word, with_word};
use crate::level::compiled_for_levels;
#[cfg(target_arch = "x86_64")]
use crate::x86_64;
use crate::{Element, Level, unpack_bits};
use std::ops::Range;

/// Planes that one pass sums up.
const MOST: usize = 4;

/// The fields of one plane for elements in row-major order.
#[derive(Clone, Copy)]
pub(crate) enum Fields<'a> {
    Constant(u16),
    /// A bit string.
    Packed(&'a [u8]),
    /// Each field is the byte plus a base.
    Bytes(&'a [u8], u16),
    /// Each field is the symbol of a rank.
    Ranks(&'a [u8], &'a [u16]),
    Wide(&'a [u16]),
}

impl<'a> Fields<'a> {
    /// Those of some of the elements, of a plane of this width; the first one is a multiple of 8.
    pub(crate) fn of(self, width: u32, elements: Range<usize>) -> Fields<'a> {
        let Range { start, end } = elements;
        match self {
            Fields::Constant(value) => Fields::Constant(value),
            Fields::Packed(packed) => {
                let width = width as usize;
                Fields::Packed(&packed[start / 8 * width..(end * width).div_ceil(8)])
            }
            Fields::Bytes(bytes, base) => Fields::Bytes(&bytes[start..end], base),
            Fields::Ranks(ranks, symbols) => Fields::Ranks(&ranks[start..end], symbols),
            Fields::Wide(values) => Fields::Wide(&values[start..end]),
        }
    }
}

/// A plane: its width in bits and its fields. Planes go from the highest bits of an element to
/// its lowest.
pub(crate) type Plane<'a> = (u32, Fields<'a>);

/// A plane whose fields are bytes, and where they go.
type Narrow<'a> = (&'a [u8], u32);

/// Puts the elements of a block together.
pub(crate) struct Merge<'a> {
    level: Level,
    element: Element,
    /// Without vectors none of them of ranks: these are bytes above a base where no gap is.
    planes: Vec<Plane<'a>>,
    gaps: Vec<Gaps<'a>>,
    #[cfg(target_arch = "x86_64")]
    vectors: Option<x86_64::avx512::Merge<'a>>,
}

impl<'a> Merge<'a> {
    pub(crate) fn new(level: Level, element: Element, mut planes: Vec<Plane<'a>>) -> Merge<'a> {
        #[cfg(target_arch = "x86_64")]
        let vectors = x86_64::avx512::Merge::of(level, element, &planes);
        #[cfg(target_arch = "x86_64")]
        if vectors.is_some() {
            return Merge { level, element, planes, gaps: Vec::new(), vectors };
        }
        let gaps = close_gaps(element, &mut planes);
        Merge {
            level,
            element,
            #[cfg(target_arch = "x86_64")]
            vectors: x86_64::avx512::Merge::of(level, element, &planes),
            planes,
            gaps,
        }
    }

    /// Puts these elements together, of which the first is a multiple of 32, as is their number unless they are
    /// the last ones. `space` holds bit strings while they are bytes.
    pub(crate) fn piece(&self, elements: Range<usize>, out: &mut [u8], space: &mut Vec<Vec<u8>>) {
        self.add_up(elements.clone(), out, space);
        for gaps in &self.gaps {
            let gaps =
                Gaps { ranks: &gaps.ranks[elements.clone()], run: gaps.run.clone(), ..*gaps };
            with_word!(self.element, close(self.level, gaps, self.element.transform(), out));
        }
    }

    fn add_up(&self, elements: Range<usize>, out: &mut [u8], space: &mut Vec<Vec<u8>>) {
        #[cfg(target_arch = "x86_64")]
        if let Some(vectors) = &self.vectors {
            return vectors.piece(elements, out);
        }
        let planes: Vec<Plane<'_>> =
            self.planes.iter().map(|&(w, fields)| (w, fields.of(w, elements.clone()))).collect();
        merge(self.level, self.element, &planes, out, space);
    }
}

/// Puts elements together, as many as `out` has room for.
fn merge(
    level: Level,
    element: Element,
    planes: &[Plane<'_>],
    out: &mut [u8],
    space: &mut Vec<Vec<u8>>,
) {
    let elements = out.len() / element.size();
    let packed = planes.iter().filter_map(|(width, fields)| match fields {
        Fields::Packed(packed) if *width < 8 => Some((*width, *packed)),
        _ => None,
    });
    let count = packed.clone().count();
    space.resize_with(space.len().max(count), Vec::new);
    for ((width, packed), unpacked) in packed.zip(&mut *space) {
        unpacked.resize(unpacked.len().max(elements), 0);
        unpack_bits(level, packed, width, 0, &mut unpacked[..elements]);
    }
    with_word!(element, merge_as(level, element, planes, out, space));
}

fn merge_as<T: Word>(
    level: Level,
    element: Element,
    planes: &[Plane<'_>],
    out: &mut [u8],
    unpacked: &[Vec<u8>],
) {
    let mut constant = match element.transform() {
        // Adding the highest bit inverts it; the carry is lost.
        Transform::FlipSign => T::top_bit(),
        Transform::Identity | Transform::RotateSign => T::default(),
    };
    let mut unpacked = unpacked.iter();
    let mut narrow: Vec<Narrow<'_>> = Vec::with_capacity(planes.len());
    let mut begun = false;
    let mut shift = T::BITS;
    for (width, fields) in planes {
        shift -= width;
        match *fields {
            Fields::Constant(value) => constant = constant.plus(T::from_field(value).shl(shift)),
            Fields::Bytes(bytes, base) => {
                constant = constant.plus(T::from_field(base).shl(shift));
                narrow.push((bytes, shift));
            }
            Fields::Packed(packed) if *width == 8 => narrow.push((packed, shift)),
            Fields::Packed(_) => narrow.extend(unpacked.next().map(|bytes| (&bytes[..], shift))),
            Fields::Ranks(..) => unreachable!("they have become bytes"),
            Fields::Wide(values) => {
                add::<T>(out, begun, shift, values.iter().copied());
                begun = true;
            }
        }
    }
    let rotate = element.transform() == Transform::RotateSign;
    // The only plane of elements of one byte needs no shifts, for which bytes have no instructions.
    if let ([(fields, 0)], false, 1) = (&narrow[..], begun, T::SIZE) {
        return bytes(level, fields, constant.to_field() as u8, rotate, out);
    }
    let mut groups = narrow.chunks(MOST).peekable();
    loop {
        let group = groups.next().unwrap_or_default();
        let last = groups.peek().is_none();
        let constant = if last { constant } else { T::default() };
        let how = (begun, rotate && last);
        match *group {
            [] => sum::<T, 0>(level, how, [], constant, out),
            [a] => sum::<T, 1>(level, how, [a], constant, out),
            [a, b] => sum::<T, 2>(level, how, [a, b], constant, out),
            [a, b, c] => sum::<T, 3>(level, how, [a, b, c], constant, out),
            [a, b, c, d, ..] => sum::<T, 4>(level, how, [a, b, c, d], constant, out),
        }
        if last {
            break;
        }
        begun = true;
    }
}

/// Elements that are looked at together for outliers.
const PIECE: usize = 256;

/// A plane of ranks whose symbols have gaps between them: its fields were taken for rank plus `base`, which is true in
/// the longest run without a gap. Most are of that run; all others, zeros above all, are outliers.
#[derive(Clone)]
struct Gaps<'a> {
    ranks: &'a [u8],
    symbols: &'a [u16],
    shift: u32,
    run: Range<usize>,
    base: u16,
}

/// Makes bytes of ranks, of which those outside the longest run are to be replaced.
fn close_gaps<'a>(element: Element, planes: &mut [Plane<'a>]) -> Vec<Gaps<'a>> {
    let mut gaps = Vec::new();
    let mut shift = element.bits();
    for (width, fields) in planes {
        shift -= *width;
        if let Fields::Ranks(ranks, symbols) = *fields {
            let (run, base) = longest_run(symbols);
            *fields = Fields::Bytes(ranks, base);
            let all = run.len() == symbols.len();
            gaps.extend((!all).then_some(Gaps { ranks, symbols, shift, run, base }));
        }
    }
    gaps
}

/// The ranks of the longest run of symbols without a gap, and what these symbols lie above their ranks.
fn longest_run(symbols: &[u16]) -> (Range<usize>, u16) {
    let above = |rank: usize| symbols[rank] - rank as u16;
    let (mut longest, mut start) = (0..0, 0);
    for rank in 0..symbols.len() {
        if above(rank) != above(start) {
            start = rank;
        }
        if rank + 1 - start > longest.len() {
            longest = start..rank + 1;
        }
    }
    let base = above(longest.start);
    (longest, base)
}

compiled_for_levels! {
    /// Replaces the fields outside the run.
    ///
    /// In the sums before, a rank plus the base lies between a symbol of the run and the outlier: no carry has left the plane.
    fn close[T: Word](gaps: Gaps<'_>, transform: Transform, out: &mut [u8])[T] {
        let Gaps { ranks, symbols, shift, run, base } = gaps;
        let field = |rank: u8| T::from_field(symbols[usize::from(rank)]);
        for (ranks, out) in ranks.chunks(PIECE).zip(out.chunks_mut(PIECE * T::SIZE)) {
            let (least, most) =
                ranks.iter().fold((u8::MAX, 0), |(least, most), &rank| (rank.min(least), rank.max(most)));
            if run.start <= usize::from(least) && usize::from(most) < run.end {
                continue;
            }
            for (&rank, out) in ranks.iter().zip(out.chunks_exact_mut(T::SIZE)) {
                let more = field(rank).minus(T::from_field(base + u16::from(rank))).shl(shift);
                T::read(out).forward(transform).plus(more).inverse(transform).write(out);
            }
        }
    }
}

/// Sets the elements to these fields, or, once begun, adds them.
fn add<T: Word>(out: &mut [u8], begun: bool, shift: u32, fields: impl Iterator<Item = u16>) {
    for (out, field) in out.chunks_exact_mut(T::SIZE).zip(fields) {
        let before = if begun { T::read(out) } else { T::default() };
        before.plus(T::from_field(field).shl(shift)).write(out);
    }
}

compiled_for_levels! {
    /// Adds a constant to fields that are elements already; then rotates the sign to its place if that is
    /// wanted.
    fn bytes[](fields: &[u8], constant: u8, rotate: bool, out: &mut [u8])[] {
        for (out, field) in out.iter_mut().zip(fields) {
            *out = field.wrapping_add(constant);
        }
        if rotate {
            out.iter_mut().for_each(|byte| *byte = byte.rotate_right(1));
        }
    }
}

compiled_for_levels! {
    /// Sums up the fields of planes, each moved left to its place, and a constant, and what `out`
    /// holds already if that was begun; then rotates the sign to its place if that is wanted.
    fn sum[T: Word, const P: usize](
        how: (bool, bool),
        planes: [(&[u8], u32); P],
        constant: T,
        out: &mut [u8],
    )[T, P] {
        match how {
            (false, true) => sum_steps::<T, P, false, true>(planes, constant, out),
            (false, false) => sum_steps::<T, P, false, false>(planes, constant, out),
            (true, true) => sum_steps::<T, P, true, true>(planes, constant, out),
            (true, false) => sum_steps::<T, P, true, false>(planes, constant, out),
        }
    }
}

/// Elements that are summed up at a time: known to the compiler, which then vectorises.
const STEP: usize = 32;
/// Bytes of so many of the largest elements.
const STEP_BYTES: usize = STEP * 8;

#[inline(always)]
fn sum_steps<T: Word, const P: usize, const BEGUN: bool, const ROTATE: bool>(
    planes: [(&[u8], u32); P],
    constant: T,
    out: &mut [u8],
) {
    let count = out.len() / T::SIZE;
    let shifts = planes.map(|(_, shift)| shift);
    let planes = planes.map(|(fields, _)| fields[..count].as_chunks::<STEP>());
    let mut steps = out.chunks_exact_mut(STEP * T::SIZE);
    for (k, out) in (&mut steps).enumerate() {
        let fields = planes.map(|(steps, _)| &steps[k]);
        sum_step::<T, P, BEGUN, ROTATE>(fields, shifts, constant, out);
    }
    let rest = steps.into_remainder();
    if !rest.is_empty() {
        let fields = planes.map(|(_, last)| {
            let mut fields = [0; STEP];
            fields[..last.len()].copy_from_slice(last);
            fields
        });
        let mut last = [0; STEP_BYTES];
        last[..rest.len()].copy_from_slice(rest);
        let fields = std::array::from_fn(|p| &fields[p]);
        sum_step::<T, P, BEGUN, ROTATE>(fields, shifts, constant, &mut last);
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

#[inline(always)]
fn sum_step<T: Word, const P: usize, const BEGUN: bool, const ROTATE: bool>(
    fields: [&[u8; STEP]; P],
    shifts: [u32; P],
    constant: T,
    out: &mut [u8],
) {
    let out = &mut out[..STEP * T::SIZE];
    for k in 0..STEP {
        let out = &mut out[k * T::SIZE..][..T::SIZE];
        let mut sum = if BEGUN { constant.plus(T::read(out)) } else { constant };
        for p in 0..P {
            sum = sum.plus(T::from_field(u16::from(fields[p][k])).shl(shifts[p]));
        }
        if ROTATE {
            sum = sum.inverse(Transform::RotateSign);
        }
        sum.write(out);
    }
}
