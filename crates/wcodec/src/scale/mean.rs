//! The mean of a weight, predicted: a sum of few products of a factor of its row and one of its
//! column. It is subtracted from integers before coding; of a float it tells the sign, whose
//! exponent says more than its value. FORMAT.md section 9.5 is normative.
//!
//! The products are the leading singular vectors of the matrix whose rows and columns are divided by
//! their scales, found by subspace iteration (Golub and Van Loan, Matrix Computations, 8.2) on a sample of
//! rows. All sums run in a fixed order of IEEE arithmetic, so that files are the same everywhere.

use super::fit::{Factors, Magnitude};
use crate::dtype::ElementType;
use crate::version::MINOR_SIGNS;
use std::ops::Range;
use wcodec_kernels::{
    ColumnFactors, Level, MAX_PRODUCT_EXPONENT, MAX_PRODUCTS, PRODUCT_BITS, Signs, add_products,
    add_scaled, dot, predict_signs,
};

/// Numbers of the sample that products are found on.
const SAMPLE: usize = 1 << 19;
const SAMPLE_ROWS: usize = 512;
const ROUNDS: usize = 3;
/// Rounds that find more products when the first is known.
const ROUNDS_MORE: usize = 3;
/// What the largest product comes to where only signs count: all that the factors can hold.
const SIGN_RANGE: f32 = 250.0;
/// The sign of a mean tells 2 / pi of what the mean does, if means are spread normally.
const SIGN_PRICE: f64 = std::f64::consts::FRAC_PI_2;
/// About what a factor takes, in bits.
const FACTOR_BITS: f64 = 7.0;
/// Times so much a product must save: scales that follow the weights save some of it without.
const DOUBT: f64 = 1.5;
/// A first product that saves less than one bit in so many elements ends the search.
const FIRST_GAIN: f64 = 200.0;

/// One product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mean {
    /// Row factors count times 2^this, 0 to 8.
    pub(crate) exponent: u8,
    pub(crate) rows: Vec<i8>,
    pub(crate) cols: Vec<i8>,
}

/// What a predicted mean is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// It is subtracted, in blocks with scale classes.
    Difference,
    /// It tells the sign of floats, in all coded blocks of the view.
    Sign,
}

impl Use {
    /// What elements may have predicted means for, in files of this minor version.
    pub(crate) fn of(element: ElementType, minor: u16) -> Option<Use> {
        match element {
            ElementType::I8 | ElementType::U8 => Some(Use::Difference),
            _ if minor >= MINOR_SIGNS => element.mantissa().map(|_| Use::Sign),
            _ => None,
        }
    }

    /// Whether that concerns a coded block of the view, its first plane having scale classes or not.
    pub(crate) fn applies(self, scaled: bool) -> bool {
        scaled || self == Use::Sign
    }
}

/// Most bytes of all products of a group: the largest side block, less than half of which its other
/// contents may take.
const MAX_BYTES: u64 = 600 << 10;

/// Most products of a group of so many rows and columns: no more factors than elements.
pub(crate) fn most(rows: u64, cols: u64) -> u64 {
    rows * cols / (rows + cols).max(1)
}

/// The means of some columns of a group, ready for its rows.
pub(crate) struct ColumnMeans<'a> {
    element: ElementType,
    means: &'a [Mean],
    cols: ColumnFactors,
}

impl<'a> ColumnMeans<'a> {
    pub(crate) fn new(
        element: ElementType,
        means: &'a [Mean],
        cols: Range<usize>,
    ) -> ColumnMeans<'a> {
        let factors = means.iter().map(|mean| &mean.cols[cols.clone()]);
        ColumnMeans { element, means, cols: ColumnFactors::new(factors, cols.len()) }
    }

    /// Makes residuals of row `row` of the group, in these columns from number `col` on, elements again.
    pub(crate) fn restore(&self, level: Level, (row, col): (usize, usize), bytes: &mut [u8]) {
        self.apply(level, (row, col), Signs::Restore, bytes);
    }

    /// The other way, in all of these columns.
    pub(crate) fn remove(&self, level: Level, row: usize, bytes: &mut [u8]) {
        self.apply(level, (row, 0), Signs::Hide, bytes);
    }

    fn apply(&self, level: Level, (row, col): (usize, usize), signs: Signs, bytes: &mut [u8]) {
        let mut rows = [0; MAX_PRODUCTS];
        for (factor, mean) in rows.iter_mut().zip(self.means) {
            *factor = i16::from(mean.rows[row]) << mean.exponent;
        }
        let (rows, cols) = (&rows[..self.means.len()], (&self.cols, col));
        match self.element.mantissa() {
            None => add_products(level, rows, cols, signs == Signs::Hide, bytes),
            Some(mantissa) => {
                let float = (self.element.kernel(), mantissa);
                predict_signs(level, float, rows, cols, signs, bytes);
            }
        }
    }
}

/// The rows and columns of a group, divided by their scales.
struct Weighed<'a> {
    level: Level,
    bytes: &'a [u8],
    row_bytes: usize,
    magnitude: Magnitude,
    row_weights: Vec<f32>,
    col_weights: Vec<f32>,
}

/// 2^(-factor / 4).
fn weight(factor: u8) -> f32 {
    const QUARTERS: [f32; 4] = [1.0, 0.840_896_4, 0.707_106_77, 0.594_603_54];
    let whole = f32::from_bits((127 - u32::from(factor / 4)) << 23);
    whole * QUARTERS[usize::from(factor % 4)]
}

impl<'a> Weighed<'a> {
    fn new(
        level: Level,
        element: ElementType,
        bytes: &'a [u8],
        factors: &Factors,
    ) -> Option<Weighed<'a>> {
        let weights = |factors: &[u8]| factors.iter().map(|&factor| weight(factor)).collect();
        Some(Weighed {
            level,
            bytes,
            row_bytes: factors.cols.len() * element.size(),
            magnitude: Magnitude::of(element, bytes)?,
            row_weights: weights(&factors.rows),
            col_weights: weights(&factors.cols),
        })
    }

    /// Row `row`, divided by its scale and those of the columns.
    fn row(&self, row: usize, out: &mut [f32]) {
        let bytes = &self.bytes[row * self.row_bytes..][..self.row_bytes];
        let weights = (&self.col_weights[..], self.row_weights[row]);
        self.magnitude.weighed(self.level, bytes, weights, out);
    }

    fn energy(&self, row: &[f32]) -> f64 {
        f64::from(dot(self.level, row, row))
    }
}

/// Products that save more than they take, at most `most`, the strongest first.
pub(crate) fn fit(
    level: Level,
    element: ElementType,
    bytes: &[u8],
    factors: &Factors,
    most: usize,
) -> Vec<Mean> {
    let (rows, cols) = (factors.rows.len(), factors.cols.len());
    let (bound, room) =
        (self::most(rows as u64, cols as u64), MAX_BYTES / (rows + cols).max(1) as u64);
    let most = most.min(bound.min(room) as usize);
    if most == 0 {
        return Vec::new();
    }
    let Some(weighed) = Weighed::new(level, element, bytes, factors) else { return Vec::new() };
    let count = rows.min(SAMPLE_ROWS).min((SAMPLE / cols).max(1));
    let mut sample = vec![0f32; count * cols];
    for (k, out) in sample.chunks_exact_mut(cols).enumerate() {
        weighed.row(k * rows / count, out);
    }
    let energy: f64 = sample.chunks_exact(cols).map(|row| weighed.energy(row)).sum();
    // One product first: most layers have none.
    let first = subspace(level, &sample, cols, start(cols, 0..1), ROUNDS);
    let gain = |energies: &[f64]| -> f64 {
        saved(energies[0] / energy.max(f64::MIN_POSITIVE)) * (count * cols) as f64
    };
    let enough = (count * cols) as f64 / FIRST_GAIN;
    if gain(&energies(level, &sample, cols, &first)) < enough + FACTOR_BITS * count as f64 {
        return Vec::new();
    }
    let basis = if most > 1 {
        let others = start(cols, 1..most.min(cols).min(count));
        subspace(level, &sample, cols, [first, others].concat(), ROUNDS_MORE)
    } else {
        first
    };
    // The row factors, and what each product takes off.
    let mut row_factors = vec![vec![0f32; rows]; basis.len()];
    let mut taken = vec![0f64; basis.len()];
    let mut whole = 0.0;
    let mut values = vec![0f32; cols];
    for row in 0..rows {
        weighed.row(row, &mut values);
        whole += weighed.energy(&values);
        for ((factors, taken), vector) in row_factors.iter_mut().zip(&mut taken).zip(&basis) {
            let factor = dot(level, &values, vector);
            *taken += f64::from(factor) * f64::from(factor);
            factors[row] = factor;
        }
    }
    let mut price = FACTOR_BITS * DOUBT * (rows + cols) as f64;
    if element.mantissa().is_some() {
        price *= SIGN_PRICE;
    }
    let mut found: Vec<(Vec<f32>, Vec<f32>)> = Vec::new();
    for ((factors, taken), vector) in row_factors.into_iter().zip(taken).zip(basis) {
        if saved(taken / whole.max(f64::MIN_POSITIVE)) * (rows * cols) as f64 > price {
            found.push((factors, vector));
            whole -= taken;
        }
    }
    if element.mantissa().is_some() {
        // Scales are positive: the sign is that of the sum of what they were divided from, in any unit.
        let most = found.iter().map(|(row, col)| largest(row) * largest(col)).fold(0.0, f32::max);
        let unit = SIGN_RANGE / most;
        return found
            .into_iter()
            .filter_map(|(mut row, col)| {
                row.iter_mut().for_each(|f| *f *= unit);
                quantised(&row, &col)
            })
            .collect();
    }
    found
        .iter()
        .filter_map(|(row, col)| {
            let over = |list: &[f32], weights: &[f32]| -> Vec<f32> {
                list.iter().zip(weights).map(|(factor, weight)| factor / weight).collect()
            };
            quantised(&over(row, &weighed.row_weights), &over(col, &weighed.col_weights))
        })
        .collect()
}

/// What an element saves, in bits, if this part of its energy is predicted: `log2(1 / (1 - part)) / 2`, from
/// below.
fn saved(part: f64) -> f64 {
    0.721_347_5 * (part + part * part / 2.0 + part * part * part / 3.0)
}

/// Vectors to begin with: a multiplicative hash, as good as random.
fn start(cols: usize, numbers: Range<usize>) -> Vec<Vec<f32>> {
    let number = |k: usize, j: usize| {
        let hash = ((k * cols + j) as u32).wrapping_mul(0x9e37_79b9).wrapping_add(0x85eb_ca6b);
        (hash.wrapping_mul(0xc2b2_ae35) >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    numbers.map(|k| (0..cols).map(|j| number(k, j)).collect()).collect()
}

/// About the first right singular vectors of the sample, of length 1, from what they begin with.
fn subspace(
    level: Level,
    sample: &[f32],
    cols: usize,
    mut basis: Vec<Vec<f32>>,
    rounds: usize,
) -> Vec<Vec<f32>> {
    let count = basis.len();
    for _ in 0..rounds {
        let mut next = vec![vec![0f32; cols]; count];
        for row in sample.chunks_exact(cols) {
            for (next, vector) in next.iter_mut().zip(&basis) {
                add_scaled(level, next, row, dot(level, row, vector));
            }
        }
        basis = next;
        orthonormalise(level, &mut basis);
    }
    basis
}

/// Gram and Schmidt's way; what depends on those before becomes 0.
fn orthonormalise(level: Level, basis: &mut [Vec<f32>]) {
    for k in 0..basis.len() {
        let (before, rest) = basis.split_at_mut(k);
        let vector = &mut rest[0];
        let length = dot(level, vector, vector).sqrt();
        for other in before {
            let part = dot(level, vector, other);
            add_scaled(level, vector, other, -part);
        }
        let left = dot(level, vector, vector).sqrt();
        let scale = if left > 1e-4 * length { 1.0 / left } else { 0.0 };
        vector.iter_mut().for_each(|x| *x *= scale);
    }
}

fn energies(level: Level, sample: &[f32], cols: usize, basis: &[Vec<f32>]) -> Vec<f64> {
    let energy = |vector: &Vec<f32>| {
        let part = |row: &[f32]| f64::from(dot(level, row, vector));
        sample.chunks_exact(cols).map(|row| part(row) * part(row)).sum()
    };
    basis.iter().map(energy).collect()
}

fn largest(factors: &[f32]) -> f32 {
    factors.iter().fold(0f32, |most, factor| most.max(factor.abs()))
}

/// A product as it is stored; `None` if nothing is left of it.
fn quantised(rows: &[f32], cols: &[f32]) -> Option<Mean> {
    let (most_row, most_col) = (largest(rows), largest(cols));
    let col_unit = most_col / 127.0;
    let most = most_row * col_unit * (1u32 << PRODUCT_BITS) as f32;
    if !(most >= 1.0 && most.is_finite()) {
        return None;
    }
    let exponent = (0..MAX_PRODUCT_EXPONENT).find(|&e| most < 127.5 * (1u32 << e) as f32);
    let exponent = exponent.unwrap_or(MAX_PRODUCT_EXPONENT);
    let row_scale = col_unit * (1u32 << PRODUCT_BITS) as f32 / (1u32 << exponent) as f32;
    let byte = |x: f32| x.round().clamp(-127.0, 127.0) as i8;
    Some(Mean {
        exponent: exponent as u8,
        rows: rows.iter().map(|&f| byte(f * row_scale)).collect(),
        cols: cols.iter().map(|&f| byte(f / col_unit)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A product under noise is found, and what is left of it is less than the noise's rounding.
    #[test]
    fn a_product_is_found_and_taken_off() {
        let (rows, cols) = (300, 200);
        let noise = |k: usize| {
            let x = (k as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            ((x ^ x >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as i32 % 21 - 10
        };
        let product = |i: usize, j: usize| {
            let row = (i % 13) as f32 - 6.0;
            let col = (j % 7) as f32 - 3.0;
            row * col * 1.5
        };
        let bytes: Vec<u8> = (0..rows * cols)
            .map(|k| (product(k / cols, k % cols).round() as i32 + noise(k)) as u8)
            .collect();
        let factors = Factors { rows: vec![0; rows], cols: vec![0; cols] };
        let means = fit(Level::SCALAR, ElementType::I8, &bytes, &factors, 4);
        assert_eq!(means.len(), 1);
        let columns = ColumnMeans::new(ElementType::I8, &means, 0..cols);
        let mut worst = 0;
        for (i, row) in bytes.chunks_exact(cols).enumerate() {
            let mut left = row.to_vec();
            columns.remove(Level::SCALAR, i, &mut left);
            for (j, &left) in left.iter().enumerate() {
                worst = worst.max((i32::from(left as i8) - noise(i * cols + j)).abs());
            }
            columns.restore(Level::SCALAR, (i, 0), &mut left);
            assert_eq!(left, row);
        }
        assert!(worst <= 4, "{worst}");
        let pure: Vec<u8> = (0..rows * cols).map(|k| noise(k) as u8).collect();
        assert_eq!(fit(Level::SCALAR, ElementType::I8, &pure, &factors, 4), []);
    }
}
