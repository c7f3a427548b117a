//! Finding the scale of rows and columns: alternating means of magnitudes, on a sample.
//!
//! Everything here is IEEE arithmetic in a fixed order, so that the same input gives the same file on
//! every machine.

use super::{MAX_CLASSES, MAX_FACTORS};
use crate::context::BlockContexts;
use crate::dtype::ElementType;
use std::ops::Range;
use wcodec_kernels::{
    Float, Level, add_clipped, byte_magnitudes, dot_clipped, magnitudes, weigh_bytes, weigh_floats,
};

/// Columns that the scale of a row is taken from, in pieces of `PIECE`.
const SAMPLE_COLS: usize = 512;
const PIECE: usize = 64;
/// Rows that the scale of a column is taken from.
const SAMPLE_ROWS: usize = 512;
/// Alternations of rows and columns.
const ROUNDS: usize = 2;
/// All rounds but the last look at one row in so many of these, and at one piece of a row.
const ROUGH: usize = 4;
/// The inverse of a smaller scale would make sums infinite.
const SMALLEST: f32 = 1.0 / 1e30;
/// In the last round, elements count as at most so many times what their row and column suggest: a few
/// outliers must not spoil the scale of all the others.
const OUTLIER: f32 = 6.0;

/// Factors of rows and columns, in quarter octaves above a common origin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Factors {
    pub(crate) rows: Vec<u8>,
    pub(crate) cols: Vec<u8>,
}

/// How elements become numbers.
pub(super) enum Magnitude {
    /// Integers of a byte: bits to flip, and what is then 0.
    Byte(u8, u8),
    /// Of other bytes, with their signs.
    Table(Box<[f32; 256]>),
    Float(Float),
}

impl Magnitude {
    /// `None` if the elements are not known to be numbers that spread around 0.
    pub(super) fn of(element: ElementType, bytes: &[u8]) -> Option<Magnitude> {
        use ElementType::{Bf16, F8E4M3, F8E5M2, F16, F32, F64, I8, U8};
        let table = |of: &dyn Fn(u8) -> f32| {
            Magnitude::Table(Box::new(std::array::from_fn(|byte| of(byte as u8))))
        };
        // An exponent and `bits` bits of mantissa.
        let float = |byte: u8, bits: u32| {
            let (exponent, mantissa) = ((byte & 0x7f) >> bits, byte & ((1 << bits) - 1));
            let significand = u64::from(mantissa) | u64::from(exponent > 0) << bits;
            let magnitude = (significand << exponent.saturating_sub(1)) as f32;
            if byte >> 7 != 0 { -magnitude } else { magnitude }
        };
        Some(match element {
            I8 | U8 => {
                let (flip, zero) = byte_number(element, bytes);
                Magnitude::Byte(flip, zero)
            }
            F8E4M3 => table(&|byte| float(byte, 3)),
            F8E5M2 => table(&|byte| float(byte, 2)),
            F16 => Magnitude::Float(Float::F16),
            Bf16 => Magnitude::Float(Float::Bf16),
            F32 => Magnitude::Float(Float::F32),
            F64 => Magnitude::Float(Float::F64),
            _ => return None,
        })
    }

    /// Sets `out` to these elements, signs included, times their weights and the last one.
    pub(super) fn weighed(
        &self,
        level: Level,
        bytes: &[u8],
        (weights, weight): (&[f32], f32),
        out: &mut [f32],
    ) {
        match self {
            &Magnitude::Byte(flip, zero) => {
                weigh_bytes(level, bytes, (flip, zero), (weights, weight), out);
            }
            Magnitude::Table(table) => {
                for ((out, &byte), col) in out.iter_mut().zip(bytes).zip(weights) {
                    *out = table[usize::from(byte)] * col * weight;
                }
            }
            &Magnitude::Float(float) => {
                weigh_floats(level, float, bytes, (weights, weight), out);
            }
        }
    }

    /// Sets `out` to the magnitudes of these elements.
    fn read(&self, level: Level, bytes: &[u8], out: &mut [f32]) {
        match self {
            &Magnitude::Byte(flip, zero) => byte_magnitudes(level, bytes, (flip, zero), out),
            Magnitude::Table(table) => {
                out.iter_mut().zip(bytes).for_each(|(out, &b)| *out = table[usize::from(b)].abs());
            }
            &Magnitude::Float(float) => magnitudes(level, float, bytes, out),
        }
    }
}

/// Rows of elements.
struct Rows<'a> {
    level: Level,
    magnitude: Magnitude,
    bytes: &'a [u8],
    size: usize,
    cols: usize,
    units: Option<ScaledUnits>,
}

/// What scales the units of codes.
struct ScaledUnits {
    scales: Vec<f32>,
    /// Units of a row, and codes of a unit.
    pitch: usize,
    unit: usize,
}

impl ScaledUnits {
    /// Of contexts that fall when scales rise.
    fn new(BlockContexts { values, pitch, unit }: BlockContexts<'_>) -> ScaledUnits {
        /// `2^(-k/4)`.
        const QUARTERS: [f32; 4] = [1.0, 0.840_896_4, 0.707_106_77, 0.594_603_54];
        let scale = |&context: &i16| {
            let context = i32::from(context).clamp(-200, 200);
            let octaves = f32::from_bits(((127 - (context >> 2)) as u32) << 23);
            QUARTERS[(context & 3) as usize] * octaves
        };
        ScaledUnits { scales: values.iter().map(scale).collect(), pitch, unit }
    }
}

impl Rows<'_> {
    /// Sets `out` to the magnitudes of some elements of a row.
    fn read(&self, row: usize, cols: Range<usize>, out: &mut [f32]) {
        let start = row * self.cols;
        let bytes = &self.bytes[(start + cols.start) * self.size..(start + cols.end) * self.size];
        self.magnitude.read(self.level, bytes, out);
        let Some(ScaledUnits { scales, pitch, unit }) = &self.units else { return };
        let scales = &scales[row * pitch + cols.start / unit..];
        // The first unit may have begun before.
        let (first, rest) = out.split_at_mut((unit - cols.start % unit).min(cols.len()));
        let units = std::iter::once(first).chain(rest.chunks_mut(*unit));
        units.zip(scales).for_each(|(codes, scale)| codes.iter_mut().for_each(|c| *c *= scale));
    }
}

/// What integers of a byte become numbers by: bits to flip, and what is then 0.
fn byte_number(element: ElementType, bytes: &[u8]) -> (u8, u8) {
    if element == ElementType::I8 {
        return (0x80, 0x80);
    }
    // Around their mean: codes of an asymmetric quantisation.
    let sum: u64 = bytes.iter().map(|&byte| u64::from(byte)).sum();
    (0, ((sum + bytes.len() as u64 / 2) / bytes.len().max(1) as u64) as u8)
}

/// Fits factors to `rows` rows of `cols` elements, to all of them if `whole`; `None` if there is nothing
/// to fit. Codes that have contexts count as the weights that they stand for.
pub(crate) fn fit(
    level: Level,
    (element, bytes): (ElementType, &[u8]),
    contexts: Option<BlockContexts<'_>>,
    (rows, cols): (usize, usize),
    whole: bool,
) -> Option<Factors> {
    if rows.max(cols) as u64 > MAX_FACTORS || rows.min(cols) == 0 {
        return None;
    }
    let (magnitude, size) = (Magnitude::of(element, bytes)?, element.size());
    let units = contexts.map(ScaledUnits::new);
    let source = Rows { level, magnitude, bytes, size, cols, units };
    let mut row_scale = vec![1f32; rows];
    let mut col_scale = vec![1f32; cols];
    let mut values = vec![0f32; cols];
    for round in 0..ROUNDS {
        let last = round + 1 == ROUNDS;
        let most = if last { OUTLIER } else { f32::MAX };
        let rough = if last { 1 } else { ROUGH };
        let (every, pieces) = match whole {
            true => (1, std::iter::once(0..cols).collect()),
            false => (rows.div_ceil(SAMPLE_ROWS / rough), pieces(cols, SAMPLE_COLS / rough)),
        };
        // Before the first column scales are known, elements are compared with 1.
        let weights: Vec<f32> = col_scale.iter().map(|&scale| inverse(scale)).collect();
        let mut sums = vec![0f32; cols];
        for row in (0..rows).step_by(every) {
            let weight = inverse(row_scale[row]);
            source.read(row, 0..cols, &mut values);
            add_clipped(level, &mut sums, &values, &weights, weight, most);
        }
        let count = rows.div_ceil(every) as f32;
        col_scale.iter_mut().zip(&sums).for_each(|(scale, sum)| *scale *= sum / count);
        let of_pieces = pieces.iter().flat_map(|piece| &col_scale[piece.clone()]);
        let weights: Vec<f32> = of_pieces.map(|&scale| inverse(scale)).collect();
        let values = &mut values[..weights.len()];
        for (row, scale) in row_scale.iter_mut().enumerate() {
            let mut rest = &mut *values;
            for piece in &pieces {
                let (values, behind) = rest.split_at_mut(piece.len());
                source.read(row, piece.clone(), values);
                rest = behind;
            }
            let sum = dot_clipped(level, values, &weights, inverse(*scale), most);
            *scale *= sum / weights.len() as f32;
        }
    }
    Some(Factors { rows: quantised(&row_scale), cols: quantised(&col_scale) })
}

/// Evenly spaced pieces of a row, of so many elements in all.
fn pieces(cols: usize, most: usize) -> Vec<Range<usize>> {
    if cols <= most {
        return std::iter::once(0..cols).collect();
    }
    let count = most / PIECE;
    let piece = |k: usize| {
        let start = (cols - PIECE) * k / (count - 1).max(1);
        start..start + PIECE
    };
    (0..count).map(piece).collect()
}

/// What scales by this much; 0 for what has no scale.
fn inverse(scale: f32) -> f32 {
    if scale > SMALLEST { 1.0 / scale } else { 0.0 }
}

/// Logarithms in quarter octaves, from the largest down to 63 below it.
fn quantised(scales: &[f32]) -> Vec<u8> {
    let logs: Vec<i32> = scales.iter().map(|&scale| quarter_octaves(scale)).collect();
    let most = logs.iter().copied().max().unwrap_or(0);
    let least = logs.iter().copied().min().unwrap_or(0).max(most - (MAX_CLASSES as i32 - 1));
    logs.iter().map(|&log| (log.max(least) - least) as u8).collect()
}

/// `4 log2(scale)`, rounded; far below everything for 0.
fn quarter_octaves(scale: f32) -> i32 {
    /// `2^(1/8)`, `2^(3/8)`, `2^(5/8)`, `2^(7/8)`, where rounding changes.
    const STEPS: [f32; 4] = [1.090_507_7, 1.296_839_6, 1.542_210_8, 1.834_008_1];
    if scale <= 0.0 || scale.is_nan() {
        return -10_000;
    }
    let bits = scale.to_bits();
    let mantissa = f32::from_bits((bits & 0x007f_ffff) | 0x3f80_0000);
    let fraction = STEPS.iter().filter(|&&step| mantissa >= step).count() as i32;
    4 * ((bits >> 23) as i32 - 127) + fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_rounded_to_quarter_octaves() {
        for k in -80..80 {
            let scale = 2f64.powf(f64::from(k) / 4.0);
            for nudge in [0.92, 0.95, 1.0, 1.05, 1.08] {
                assert_eq!(quarter_octaves((scale * nudge) as f32), k, "{scale} {nudge}");
            }
        }
        assert!(quarter_octaves(0.0) < -1000);
    }

    #[test]
    fn factors_of_a_product_are_found() {
        let (rows, cols) = (300, 700);
        // Of row scales whose mean is not between two quarter octaves.
        let (r, c) = (|i: usize| i % 10, |j: usize| j % 7);
        let bytes: Vec<u8> = (0..rows * cols)
            .flat_map(|k| {
                let (i, j) = (k / cols, k % cols);
                let noise = (k as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
                let uniform = noise as f64 / f64::from(1 << 24) * 2.0 - 1.0;
                let weight = uniform * 2f64.powf((r(i) + c(j)) as f64 / 4.0 - 30.0);
                (weight as f32).to_le_bytes()
            })
            .collect();
        let Factors { rows: found_rows, cols: found_cols } =
            fit(Level::SCALAR, (ElementType::F32, &bytes), None, (rows, cols), false).unwrap();
        assert!(found_rows.iter().enumerate().all(|(i, &f)| usize::from(f).abs_diff(r(i)) <= 1));
        assert!(found_cols.iter().enumerate().all(|(j, &f)| usize::from(f).abs_diff(c(j)) <= 1));
        let exact = found_rows.iter().enumerate().filter(|&(i, &f)| usize::from(f) == r(i));
        assert!(exact.count() > 250);
    }

    #[test]
    fn extreme_values_do_no_harm() {
        for bits in [0u32, 1, 0x7f7f_ffff, 0x7f80_0000, 0x7fc0_0000, 0xffff_ffff] {
            let bytes = bits.to_le_bytes().repeat(64 * 64);
            let Factors { rows, cols } =
                fit(Level::SCALAR, (ElementType::F32, &bytes), None, (64, 64), true).unwrap();
            assert!(rows.iter().chain(&cols).all(|&f| f == rows[0]));
        }
        assert_eq!(fit(Level::SCALAR, (ElementType::I64, &[0; 512]), None, (8, 8), false), None);
    }
}
