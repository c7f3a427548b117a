//! Contexts: what the scale, or the scale and the minimum, of codes tell of them before they are decoded.
//! FORMAT.md sections 9.7 and 10.1 are normative.
//!
//! Codes are weights divided by their scale, so a small scale beside what the row and the column suggest means large
//! codes; and where there is a minimum, its ratio to the scale is where 0 lies among the codes.

use crate::dtype::ElementType;
use crate::error::{Result, corrupt};
use crate::geometry::Rect;
use crate::packing::{Field, Layout, Stream};
use std::borrow::Cow;
use wcodec_kernels::{Level, PutPivots};

/// Most terms of a context.
pub(crate) const MAX_TERMS: usize = 4;
/// Fewest codes of a unit: so what is known of all units takes less than their codes.
const MIN_CODES: usize = 8;
/// Units that are dealt with at a time: the first-level cache holds their sums.
const UNITS_AT_ONCE: usize = 4096;
/// Logarithms are told in so many parts of an octave, contexts in quarters of one.
const OCTAVE: i32 = 1 << OCTAVE_BITS;
const OCTAVE_BITS: u32 = 10;
const CONTEXT_SHIFT: u32 = OCTAVE_BITS - 2;
/// The logarithm of 0, less than any other.
const OF_ZERO: i32 = -(1 << 18);

/// What is known of the codes of a field: a number for each unit of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) field: usize,
    /// Codes of a unit.
    pub(crate) codes: usize,
    pub(crate) terms: Vec<Term>,
}

/// What a field adds to a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) field: usize,
    pub(crate) measure: Measure,
    pub(crate) weight: i8,
}

/// What counts of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// The logarithm of its magnitude.
    Log,
    /// The code, which is a logarithm itself.
    Exponent,
}

/// What a fraction in parts of 1,024 adds to a logarithm: log2(1 + x) is nearly x + 0.349 x (1 - x).
const FRACTIONS: [i16; OCTAVE as usize] = {
    let mut table = [0; OCTAVE as usize];
    let mut fraction = 0;
    while fraction < OCTAVE {
        let more = (fraction * (OCTAVE - fraction) * 357) >> (2 * OCTAVE_BITS);
        table[fraction as usize] = (fraction + more) as i16;
        fraction += 1;
    }
    table
};

/// The logarithm of `significand * 2^exponent`.
fn log(significand: u32, exponent: i32) -> i32 {
    if significand == 0 {
        return OF_ZERO;
    }
    let zeros = significand.leading_zeros();
    let fraction = (significand << zeros << 1) >> (32 - OCTAVE_BITS);
    (exponent + 31 - zeros as i32) * OCTAVE + i32::from(FRACTIONS[fraction as usize])
}

/// As [`log`], of a float with an exponent that is `least` at its lowest and `bits` bits of mantissa.
#[inline(always)]
fn log_of_float(magnitude: u32, bits: u32, least: i32) -> i32 {
    let (exponent, mantissa) = ((magnitude >> bits) as i32, magnitude & ((1 << bits) - 1));
    if exponent == 0 {
        return log(mantissa, least);
    }
    let fraction = (mantissa << (32 - bits)) >> (32 - OCTAVE_BITS);
    let octaves = least + exponent - 1 + bits as i32;
    octaves * OCTAVE + i32::from(FRACTIONS[fraction as usize % FRACTIONS.len()])
}

impl Measure {
    /// Whether it is defined for codes of this type.
    fn fits(self, element: ElementType) -> bool {
        use ElementType::{Bf16, F8E4M3, F16, F32, I8, U8};
        match self {
            Measure::Log => matches!(element, U8 | I8 | F8E4M3 | F16 | Bf16 | F32),
            Measure::Exponent => element == U8,
        }
    }

    /// Adds what each code counts, times `weight`, to the sums of the `units` units that it belongs to.
    fn add(self, element: ElementType, weight: i32, codes: &[u8], units: usize, sums: &mut [i32]) {
        use ElementType::{Bf16, F8E4M3, F16, I8};
        let of_byte = |byte: u8| match (self, element) {
            (Measure::Exponent, _) => i32::from(byte) * OCTAVE,
            (_, I8) => log((byte as i8).unsigned_abs().into(), 0),
            (_, F8E4M3) => log_of_float(u32::from(byte & 0x7f), 3, -9),
            _ => log(byte.into(), 0),
        };
        let word = |bytes: &[u8; 2]| u32::from(u16::from_le_bytes(*bytes) & 0x7fff);
        match element {
            F16 => {
                let codes = codes.as_chunks().0.iter();
                add(codes.map(|code| log_of_float(word(code), 10, -24) * weight), units, sums);
            }
            Bf16 => {
                let codes = codes.as_chunks().0.iter();
                add(codes.map(|code| log_of_float(word(code), 7, -133) * weight), units, sums);
            }
            _ if element.size() == 1 => {
                let table: [i32; 256] = std::array::from_fn(|byte| of_byte(byte as u8) * weight);
                add(codes.iter().map(|&code| table[usize::from(code)]), units, sums);
            }
            _ => {
                let of = |code: &[u8; 4]| u32::from_le_bytes(*code) & 0x7fff_ffff;
                let codes = codes.as_chunks().0.iter();
                add(codes.map(|code| log_of_float(of(code), 23, -149) * weight), units, sums);
            }
        }
    }
}

/// Adds each number to so many sums.
#[inline(always)]
fn add(numbers: impl Iterator<Item = i32>, units: usize, sums: &mut [i32]) {
    if units == 1 {
        return sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
    }
    for (sums, number) in sums.chunks_exact_mut(units).zip(numbers) {
        sums.iter_mut().for_each(|sum| *sum += number);
    }
}

impl Context {
    /// Checks that the fields of a struct can tell it.
    pub(crate) fn check(&self, fields: &[Field]) -> Result<()> {
        let Context { field, codes, ref terms } = *self;
        let Some(of) = fields.get(field).filter(|of| of.element.size() == 1) else {
            return Err(corrupt!("context of field {field}, no field of bytes"));
        };
        let group = of.pivots.as_ref().map_or(1, |pivots| pivots.group);
        let all = of.bits.codes;
        if codes < MIN_CODES || !all.is_multiple_of(codes) || !codes.is_multiple_of(group) {
            return Err(corrupt!("context of {codes} of {all} codes in groups of {group}"));
        }
        for term in terms {
            let Some(from) = fields.get(term.field).filter(|_| term.field != field) else {
                let (number, count) = (term.field, fields.len());
                return Err(corrupt!("context of field {field} of {count} from field {number}"));
            };
            if !term.measure.fits(from.element) || !(all / codes).is_multiple_of(from.bits.codes) {
                let (count, name) = (from.bits.codes, from.element.name());
                return Err(corrupt!("context of {} units from {count} {name}", all / codes));
            }
        }
        Ok(())
    }

    /// Elements of a unit.
    pub(crate) fn unit(&self, fields: &[Field]) -> usize {
        let pivots = fields.get(self.field).and_then(|field| field.pivots.as_ref());
        pivots.map_or(self.codes, |pivots| self.codes / pivots.group * pivots.left())
    }

    /// Whether it falls when scales rise, as magnitudes of codes do.
    pub(crate) fn falls(&self) -> bool {
        self.terms.iter().all(|term| term.weight < 0)
    }

    /// Whether what a segment holds of each struct is needed for it.
    pub(crate) fn needs(&self, stream: &Stream) -> bool {
        self.terms.iter().any(|term| term.field == stream.field)
    }

    /// The contexts of the units of `structs` structs, of which `streams` hold this. Streams that
    /// it does not need may be empty.
    pub(crate) fn values(
        &self,
        level: Level,
        layout: &Layout,
        structs: usize,
        streams: &[&[u8]],
    ) -> Result<Vec<i16>> {
        let units = layout.fields[self.field].bits.codes / self.codes;
        let codes =
            self.terms.iter().map(|term| whole(level, layout, term.field, structs, streams));
        let codes: Vec<Cow<'_, [u8]>> = codes.collect::<Result<_>>()?;
        let at_once = (UNITS_AT_ONCE / units).max(1);
        let mut sums = vec![0i32; at_once.min(structs) * units];
        let mut values = Vec::with_capacity(structs * units);
        for first in (0..structs).step_by(at_once) {
            let count = at_once.min(structs - first);
            let sums = &mut sums[..count * units];
            sums.fill(0);
            for (&Term { field, measure, weight }, codes) in self.terms.iter().zip(&codes) {
                let Field { element, bits, .. } = &layout.fields[field];
                let codes = &codes[first * bits.bytes()..][..count * bits.bytes()];
                measure.add(*element, weight.into(), codes, units / bits.codes, sums);
            }
            let value = |sum: i32| (sum >> CONTEXT_SHIFT).clamp(i16::MIN.into(), i16::MAX.into());
            values.extend(sums.iter().map(|&sum| value(sum) as i16));
        }
        Ok(values)
    }
}

/// The codes of a field of structs that streams hold, with their pivots.
fn whole<'a>(
    level: Level,
    layout: &Layout,
    field: usize,
    structs: usize,
    streams: &[&'a [u8]],
) -> Result<Cow<'a, [u8]>> {
    let Field { bits, pivots, .. } = &layout.fields[field];
    let first = layout.first_stream(field);
    let Some(pivots) = pivots else { return Ok(Cow::Borrowed(streams[first])) };
    let places = &streams[first + 1..=first + pivots.pivots.len()];
    let mut codes = vec![0; structs * bits.codes];
    if !PutPivots::new(pivots).put(level, streams[first], places, &mut codes) {
        return Err(corrupt!("the place of a code is outside its group"));
    }
    Ok(Cow::Owned(codes))
}

/// The contexts of consecutive units of a segment.
#[derive(Clone, Copy)]
pub(crate) struct Contexts<'a> {
    pub(crate) values: &'a [i16],
    /// Number of the first unit in the segment.
    pub(crate) first: u64,
    /// Elements of a unit.
    pub(crate) unit: usize,
}

/// The contexts of a block.
#[derive(Clone, Copy)]
pub(crate) struct BlockContexts<'a> {
    /// From its first unit on, up to its last one at least.
    pub(crate) values: &'a [i16],
    /// Units from one row to the next.
    pub(crate) pitch: usize,
    /// Elements of a unit.
    pub(crate) unit: usize,
}

impl<'a> Contexts<'a> {
    /// Those of a block of the view; `None` if its rows are not whole units, or some are missing.
    pub(crate) fn of_block(&self, rect: Rect) -> Option<BlockContexts<'a>> {
        let (unit, size) = (self.unit, self.unit as u64);
        let whole = rect.start.is_multiple_of(size)
            && rect.stride.is_multiple_of(size)
            && rect.cols.is_multiple_of(unit);
        let start = (rect.start / size).checked_sub(self.first).filter(|_| whole)?;
        let values = self.values.get(usize::try_from(start).ok()?..)?;
        let pitch = (rect.stride / size) as usize;
        let needed = rect.rows.checked_sub(1)?.checked_mul(pitch)? + rect.cols / unit;
        (needed <= values.len()).then_some(BlockContexts { values, pitch, unit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_nearly_exact_and_rise() {
        let exact = |value: f64| 1024.0 * value.log2();
        let mut before = OF_ZERO;
        for bits in 1u32..0x7c00 {
            let (exponent, mantissa) = ((bits >> 10) as i32, f64::from(bits & 0x3ff));
            let value = match exponent {
                0 => mantissa * 2f64.powi(-24),
                _ => (mantissa + 1024.0) * 2f64.powi(exponent - 25),
            };
            let found = log_of_float(bits, 10, -24);
            assert!((f64::from(found) - exact(value)).abs() < 12.0, "{bits:x} {found}");
            assert!(found >= before, "{bits:x}");
            before = found;
        }
        for float in [1.0f32, 3.5, 1e-30, f32::MIN_POSITIVE / 3.0, f32::MAX] {
            let found = log_of_float(float.to_bits(), 23, -149);
            assert!((f64::from(found) - exact(float.into())).abs() < 12.0, "{float}");
        }
        assert_eq!(log_of_float(0, 7, -133), OF_ZERO);
        assert_eq!(log_of_float(1.0f32.to_bits() >> 16, 7, -133), 0);
        assert_eq!(log_of_float(0x38, 3, -9), 0);
    }
}
