//! Finding the scale of rows and columns: alternating means of magnitudes, on a sample.
//!
//! Everything here is IEEE arithmetic in a fixed order, so that the same input gives the same file on
//! every machine.

use super::{MAX_CLASSES, MAX_FACTORS};
use crate::context::BlockContexts;
use crate::dtype::ElementType;
use wcodec_kernels::{
    Float, Level, add_clipped, dot_clipped, magnitudes, weigh_bytes, weigh_floats,
};

/// Columns that the scale of a row is taken from, in pieces of `PIECE`.
const SAMPLE_COLS: usize = 512;
const PIECE: usize = 64;
/// Rows that the scale of a column is taken from.
const SAMPLE_ROWS: usize = 512;
/// Alternations of rows and columns.
const ROUNDS: usize = 2;
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
    /// Of other bytes.
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
            (significand << exponent.saturating_sub(1)) as f32
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
                    let value = table[usize::from(byte)];
                    let value = if byte >> 7 != 0 { -value } else { value };
                    *out = value * col * weight;
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
            &Magnitude::Byte(flip, zero) => {
                for (out, &byte) in out.iter_mut().zip(bytes) {
                    *out = (i32::from(byte ^ flip) - i32::from(zero)).abs() as f32;
                }
            }
            Magnitude::Table(table) => {
                out.iter_mut().zip(bytes).for_each(|(out, &b)| *out = table[usize::from(b)]);
            }
            &Magnitude::Float(float) => magnitudes(level, float, bytes, out),
        }
    }
}

/// Codes of a byte as the weights that they stand for: floats of 32 bits, scaled by what contexts that fall when
/// scales rise tell.
pub(super) fn weights(
    element: ElementType,
    bytes: &[u8],
    cols: usize,
    contexts: BlockContexts<'_>,
) -> Vec<u8> {
    /// `2^(-k/4)`.
    const QUARTERS: [f32; 4] = [1.0, 0.840_896_4, 0.707_106_77, 0.594_603_54];
    let BlockContexts { values, pitch, unit } = contexts;
    let (flip, zero) = byte_number(element, bytes);
    let mut out = Vec::with_capacity(4 * bytes.len());
    for (row, contexts) in bytes.chunks_exact(cols).zip(values.chunks(pitch)) {
        for (codes, &context) in row.chunks_exact(unit).zip(contexts) {
            let context = i32::from(context).clamp(-200, 200);
            let octaves = f32::from_bits(((127 - (context >> 2)) as u32) << 23);
            let scale = QUARTERS[(context & 3) as usize] * octaves;
            let number = |code: u8| i32::from(code ^ flip) - i32::from(zero);
            out.extend(codes.iter().flat_map(|&c| (number(c) as f32 * scale).to_le_bytes()));
        }
    }
    out
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
/// to fit.
pub(crate) fn fit(
    level: Level,
    element: ElementType,
    bytes: &[u8],
    rows: usize,
    cols: usize,
    whole: bool,
) -> Option<Factors> {
    if rows.max(cols) as u64 > MAX_FACTORS || rows.min(cols) == 0 {
        return None;
    }
    let magnitude = Magnitude::of(element, bytes)?;
    let row_bytes = cols * element.size();
    let every = if whole { 1 } else { rows.div_ceil(SAMPLE_ROWS) };
    let pieces = if whole { std::iter::once(0..cols).collect() } else { pieces(cols) };
    let size = element.size();
    let mut row_scale = vec![1f32; rows];
    let mut col_scale = vec![1f32; cols];
    let mut values = vec![0f32; cols];
    for round in 0..ROUNDS {
        let most = if round + 1 == ROUNDS { OUTLIER } else { f32::MAX };
        // Before the first column scales are known, elements are compared with 1.
        let weights: Vec<f32> = col_scale.iter().map(|&scale| inverse(scale)).collect();
        let mut sums = vec![0f32; cols];
        for row in (0..rows).step_by(every) {
            let weight = inverse(row_scale[row]);
            magnitude.read(level, &bytes[row * row_bytes..][..row_bytes], &mut values);
            add_clipped(level, &mut sums, &values, &weights, weight, most);
        }
        let count = rows.div_ceil(every) as f32;
        col_scale.iter_mut().zip(&sums).for_each(|(scale, sum)| *scale *= sum / count);
        let weights: Vec<f32> = col_scale.iter().map(|&scale| inverse(scale)).collect();
        for (scale, row) in row_scale.iter_mut().zip(bytes.chunks_exact(row_bytes)) {
            let weight = inverse(*scale);
            let mut sum = 0.0;
            for piece in &pieces {
                let values = &mut values[..piece.len()];
                magnitude.read(level, &row[piece.start * size..piece.end * size], values);
                sum += dot_clipped(level, values, &weights[piece.clone()], weight, most);
            }
            let count: usize = pieces.iter().map(ExactSizeIterator::len).sum();
            *scale *= sum / count as f32;
        }
    }
    Some(Factors { rows: quantised(&row_scale), cols: quantised(&col_scale) })
}

/// Evenly spaced pieces of a row.
fn pieces(cols: usize) -> Vec<std::ops::Range<usize>> {
    if cols <= SAMPLE_COLS {
        return std::iter::once(0..cols).collect();
    }
    let count = SAMPLE_COLS / PIECE;
    (0..count)
        .map(|k| {
            let start = (cols - PIECE) * k / (count - 1);
            start..start + PIECE
        })
        .collect()
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
        let (r, c) = (|i: usize| i % 9, |j: usize| j % 7);
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
            fit(Level::SCALAR, ElementType::F32, &bytes, rows, cols, false).unwrap();
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
                fit(Level::SCALAR, ElementType::F32, &bytes, 64, 64, true).unwrap();
            assert!(rows.iter().chain(&cols).all(|&f| f == rows[0]));
        }
        assert_eq!(fit(Level::SCALAR, ElementType::I64, &[0; 512], 8, 8, false), None);
    }
}
