//! Putting elements together from the fields that their planes hold.

use crate::element::{Transform, Word, with_word};
use crate::level::compiled_for_levels;
use crate::{Element, Level, unpack_bits};

/// Planes that one pass sums up.
const MOST: usize = 4;

/// The fields of one plane for all elements of a block, in row-major order.
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

/// A plane: its width in bits and its fields. Planes go from the highest bits of an element to
/// its lowest.
pub(crate) type Plane<'a> = (u32, Fields<'a>);

/// Where the rows of a block go in a buffer, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    pub(crate) start: usize,
    /// From one row to the next.
    pub(crate) pitch: usize,
    pub(crate) rows: usize,
    /// Bytes of a row.
    pub(crate) width: usize,
}

impl Rows {
    /// The rows as one, if they lie one behind the other.
    pub(crate) fn joined(self) -> Rows {
        if self.rows > 0 && self.pitch == self.width {
            let width = self.rows * self.width;
            return Rows { rows: 1, width, pitch: width, ..self };
        }
        self
    }
}

/// A plane whose fields are bytes, and where they go.
type Narrow<'a> = (&'a [u8], u32);

/// Puts the elements of a block together. `space` holds bit strings while they are bytes.
pub(crate) fn merge(
    level: Level,
    element: Element,
    planes: &[Plane<'_>],
    rows: Rows,
    out: &mut [u8],
    space: &mut Vec<Vec<u8>>,
) {
    let elements = rows.rows * rows.width / element.size();
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
    with_word!(element, merge_as(level, element, planes, rows.joined(), out, space));
}

fn merge_as<T: Word>(
    level: Level,
    element: Element,
    planes: &[Plane<'_>],
    rows: Rows,
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
    let mut gaps = Vec::new();
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
            Fields::Ranks(ranks, symbols) => {
                constant = constant.plus(T::from_field(symbols[0]).shl(shift));
                narrow.push((ranks, shift));
                gaps.push(Gaps { ranks, symbols, shift });
            }
            Fields::Wide(values) => {
                add::<T>(out, rows, begun, shift, values.iter().copied());
                begun = true;
            }
        }
    }
    let rotate = element.transform() == Transform::RotateSign;
    // The only plane of elements of one byte needs no shifts, for which bytes have no instructions.
    if let ([(fields, 0)], [], false, 1) = (&narrow[..], &gaps[..], begun, T::SIZE) {
        return bytes(level, fields, constant.to_field() as u8, rotate, rows, out);
    }
    let mut groups = narrow.chunks(MOST).peekable();
    loop {
        let group = groups.next().unwrap_or_default();
        let last = groups.peek().is_none();
        let constant = if last { constant } else { T::default() };
        let how = (begun, rotate && last);
        match *group {
            [] => sum::<T, 0>(level, how, [], constant, rows, out),
            [a] => sum::<T, 1>(level, how, [a], constant, rows, out),
            [a, b] => sum::<T, 2>(level, how, [a, b], constant, rows, out),
            [a, b, c] => sum::<T, 3>(level, how, [a, b, c], constant, rows, out),
            [a, b, c, d, ..] => sum::<T, 4>(level, how, [a, b, c, d], constant, rows, out),
        }
        if last {
            break;
        }
        begun = true;
    }
    for gaps in gaps {
        close::<T>(level, gaps, element.transform(), rows, out);
    }
}

/// Elements that are looked at together for symbols behind gaps.
const PIECE: usize = 256;

/// A plane whose fields were taken for their ranks plus the lowest symbol. Most are: symbols behind a gap
/// are outliers.
#[derive(Clone, Copy)]
struct Gaps<'a> {
    ranks: &'a [u8],
    symbols: &'a [u16],
    shift: u32,
}

compiled_for_levels! {
    /// Adds to elements what their symbols lie above that.
    fn close[T: Word](gaps: Gaps<'_>, transform: Transform, rows: Rows, out: &mut [u8])[T] {
        let Gaps { ranks, symbols, shift } = gaps;
        let above = |rank: u8| symbols[usize::from(rank)] - symbols[0] - u16::from(rank);
        let Some(first) = (0..symbols.len()).map(|rank| rank as u8).find(|&rank| above(rank) > 0) else {
            return;
        };
        let count = rows.width / T::SIZE;
        for row in 0..rows.rows {
            let out = &mut out[rows.start + row * rows.pitch..][..rows.width];
            let pieces = ranks[row * count..][..count].chunks(PIECE);
            for (ranks, out) in pieces.zip(out.chunks_mut(PIECE * T::SIZE)) {
                if ranks.iter().fold(0, |most, &rank| most.max(rank)) < first {
                    continue;
                }
                for (&rank, out) in ranks.iter().zip(out.chunks_exact_mut(T::SIZE)) {
                    let more = T::from_field(above(rank)).shl(shift);
                    T::read(out).forward(transform).plus(more).inverse(transform).write(out);
                }
            }
        }
    }
}

/// Sets the elements to these fields, or, once begun, adds them.
fn add<T: Word>(
    out: &mut [u8],
    rows: Rows,
    begun: bool,
    shift: u32,
    mut fields: impl Iterator<Item = u16>,
) {
    for row in 0..rows.rows {
        let out = &mut out[rows.start + row * rows.pitch..][..rows.width];
        for (out, field) in out.chunks_exact_mut(T::SIZE).zip(&mut fields) {
            let before = if begun { T::read(out) } else { T::default() };
            before.plus(T::from_field(field).shl(shift)).write(out);
        }
    }
}

compiled_for_levels! {
    /// Adds a constant to fields that are elements already; then rotates the sign to its place if that is
    /// wanted.
    fn bytes[](fields: &[u8], constant: u8, rotate: bool, rows: Rows, out: &mut [u8])[] {
        for (row, fields) in fields.chunks_exact(rows.width).take(rows.rows).enumerate() {
            let out = &mut out[rows.start + row * rows.pitch..][..rows.width];
            for (out, field) in out.iter_mut().zip(fields) {
                *out = field.wrapping_add(constant);
            }
            if rotate {
                out.iter_mut().for_each(|byte| *byte = byte.rotate_right(1));
            }
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
        rows: Rows,
        out: &mut [u8],
    )[T, P] {
        match how {
            (false, true) => sum_rows::<T, P, false, true>(planes, constant, rows, out),
            (false, false) => sum_rows::<T, P, false, false>(planes, constant, rows, out),
            (true, true) => sum_rows::<T, P, true, true>(planes, constant, rows, out),
            (true, false) => sum_rows::<T, P, true, false>(planes, constant, rows, out),
        }
    }
}

/// Elements that are summed up at a time: known to the compiler, which then vectorises.
const STEP: usize = 32;
/// Bytes of so many of the largest elements.
const STEP_BYTES: usize = STEP * 8;

#[inline(always)]
fn sum_rows<T: Word, const P: usize, const BEGUN: bool, const ROTATE: bool>(
    planes: [(&[u8], u32); P],
    constant: T,
    rows: Rows,
    out: &mut [u8],
) {
    let count = rows.width / T::SIZE;
    let shifts = planes.map(|(_, shift)| shift);
    for row in 0..rows.rows {
        let out = &mut out[rows.start + row * rows.pitch..][..rows.width];
        let planes = planes.map(|(fields, _)| fields[row * count..][..count].as_chunks::<STEP>());
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
