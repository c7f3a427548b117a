//! Sums of products of row and column factors: the mean of a weight, predicted. Of an integer it is
//! subtracted, of a float it tells the sign.

use crate::Level;
use crate::element::{Element, Transform, Word, with_word};
#[cfg(target_arch = "x86_64")]
use crate::level::Set;
use crate::level::compiled_for_levels;

/// Fraction bits of a prediction.
pub const PRODUCT_BITS: u32 = 14;
/// Most products of a prediction: sums stay far within 32 bits.
pub const MAX_PRODUCTS: usize = 32;
/// Largest exponent of a row factor.
pub const MAX_PRODUCT_EXPONENT: u32 = 8;

/// The column factors of products, for some columns.
pub struct ColumnFactors {
    /// Two products side by side, those of all columns; then the next two.
    pairs: Vec<[i16; 2]>,
    cols: usize,
}

impl ColumnFactors {
    /// Of products whose factors for `cols` columns these are.
    ///
    /// # Panics
    /// If there are more than 32 products, or one has not `cols` factors.
    #[must_use]
    pub fn new<'a>(
        products: impl ExactSizeIterator<Item = &'a [i8]>,
        cols: usize,
    ) -> ColumnFactors {
        assert!(products.len() <= MAX_PRODUCTS, "at most 32 products");
        let mut pairs = vec![[0; 2]; products.len().div_ceil(2) * cols];
        for (number, factors) in products.enumerate() {
            assert_eq!(factors.len(), cols, "a factor for each column");
            let pairs = &mut pairs[number / 2 * cols..][..cols];
            for (pair, &factor) in pairs.iter_mut().zip(factors) {
                pair[number % 2] = i16::from(factor);
            }
        }
        ColumnFactors { pairs, cols }
    }

    /// The factors of a row, two products side by side.
    fn pairs_of(&self, rows: &[i16]) -> [[i16; 2]; MAX_PRODUCTS / 2] {
        let count = rows.len().div_ceil(2);
        assert_eq!(count * self.cols, self.pairs.len(), "a row factor for each product");
        let mut pairs = [[0; 2]; MAX_PRODUCTS / 2];
        for (pair, rows) in pairs.iter_mut().zip(rows.chunks(2)) {
            pair[..rows.len()].copy_from_slice(rows);
        }
        pairs
    }

    /// Of two products each, with the factors of the row; those of the columns from `first` on.
    fn with_row<'a>(
        &'a self,
        rows: &'a [[i16; 2]],
        first: usize,
    ) -> impl Iterator<Item = ([i16; 2], &'a [[i16; 2]])> + Clone {
        let cols = move |k: usize| &self.pairs[k * self.cols..][first..self.cols];
        rows.iter().enumerate().map(move |(k, &row)| (row, cols(k)))
    }
}

/// Adds the prediction to each byte of a row, or subtracts it: the sum of the products, in units of
/// 2^-14, rounded to the nearest whole number, halves up, modulo 256. `rows` are the factors of the
/// row times 2^exponent; the bytes are those from column `first` on.
///
/// # Panics
/// If there is not a row factor for each product, or not a column for each byte.
pub fn add_products(
    level: Level,
    rows: &[i16],
    (cols, first): (&ColumnFactors, usize),
    subtract: bool,
    bytes: &mut [u8],
) {
    assert!(bytes.len() <= cols.cols - first, "a column for each byte");
    let rows = &cols.pairs_of(rows)[..rows.len().div_ceil(2)];
    let done = match level.set() {
        #[cfg(target_arch = "x86_64")]
        Set::Avx2 | Set::Avx512 => {
            let products = cols.with_row(rows, first);
            crate::x86_64::products::add(level, products, subtract, bytes)
        }
        _ => 0,
    };
    for (col, byte) in bytes.iter_mut().enumerate().skip(done) {
        let product = |([a, b], cols): ([i16; 2], &[[i16; 2]])| {
            i32::from(a) * i32::from(cols[col][0]) + i32::from(b) * i32::from(cols[col][1])
        };
        let sum: i32 = cols.with_row(rows, first).map(product).sum();
        let mean = (sum + (1 << (PRODUCT_BITS - 1))) >> PRODUCT_BITS;
        *byte = byte.wrapping_add(if subtract { -mean } else { mean } as u8);
    }
}

/// What [`predict_signs`] does with floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signs {
    /// Puts the sign between exponent and mantissa, inverted where the prediction is negative: the bits
    /// of a float are then, from the second highest on and the highest last, exponent, sign, mantissa.
    Hide,
    /// Puts it back.
    Restore,
}

/// Codes the signs of a row of floats against the prediction, the sum of the products. The floats have
/// `mantissa` bits of mantissa and are those from column `first` on. `rows` are the factors of the row times
/// 2^exponent.
///
/// # Panics
/// If there is not a row factor for each product, or not a column for each element.
pub fn predict_signs(
    level: Level,
    (element, mantissa): (Element, u32),
    rows: &[i16],
    (cols, first): (&ColumnFactors, usize),
    signs: Signs,
    bytes: &mut [u8],
) {
    assert!(bytes.len() / element.size() <= cols.cols - first, "a column for each element");
    assert!(mantissa + 2 < element.bits(), "a sign, an exponent and a mantissa");
    let rows = &cols.pairs_of(rows)[..rows.len().div_ceil(2)];
    let done = match (signs, element.size()) {
        #[cfg(target_arch = "x86_64")]
        (Signs::Restore, 2) => {
            crate::x86_64::signs::restore(level, mantissa, cols.with_row(rows, first), bytes)
        }
        _ => 0,
    };
    let (first, bytes) = (first + done, &mut bytes[done * element.size()..]);
    let mut sums = [0; COLUMNS];
    for (chunk, bytes) in bytes.chunks_mut(COLUMNS * element.size()).enumerate() {
        let sums = &mut sums[..bytes.len() / element.size()];
        sum_products(level, rows, cols, first + COLUMNS * chunk, sums);
        with_word!(element, move_signs(level, mantissa, sums, signs, bytes));
    }
}

/// Columns whose sums are computed at a time.
const COLUMNS: usize = 256;

/// Sets `sums` to the sums of the products for the columns from `first` on.
fn sum_products(
    level: Level,
    rows: &[[i16; 2]],
    cols: &ColumnFactors,
    first: usize,
    sums: &mut [i32],
) {
    let done = match level.set() {
        #[cfg(target_arch = "x86_64")]
        Set::Avx2 | Set::Avx512 => {
            crate::x86_64::products::sum(level, cols.with_row(rows, first), sums)
        }
        _ => 0,
    };
    let rest = &mut sums[done..];
    rest.fill(0);
    for ([a, b], cols) in cols.with_row(rows, first) {
        for (sum, col) in rest.iter_mut().zip(&cols[done..]) {
            *sum += i32::from(a) * i32::from(col[0]) + i32::from(b) * i32::from(col[1]);
        }
    }
}

compiled_for_levels! {
    fn move_signs[T: Word](mantissa: u32, sums: &[i32], signs: Signs, bytes: &mut [u8])[T] {
        let floats = bytes.chunks_exact_mut(T::SIZE).zip(sums);
        match signs {
            Signs::Hide => {
                floats.for_each(|(x, sum)| hide(T::read(x), mantissa, *sum < 0).write(x));
            }
            Signs::Restore => {
                floats.for_each(|(x, sum)| restore(T::read(x), mantissa, *sum < 0).write(x));
            }
        }
    }
}

#[inline(always)]
fn hide<T: Word>(x: T, mantissa: u32, negative: bool) -> T {
    let exponent = x.shl(1).shr(mantissa + 1).shl(mantissa + 1);
    let sign = x.shr(T::BITS - 1).plus(T::from_field(u16::from(negative)));
    let sign = sign.shl(T::BITS - 1).shr(T::BITS - 1 - mantissa);
    let mantissa = x.shl(T::BITS - mantissa).shr(T::BITS - mantissa);
    let ordered = exponent.plus(sign).plus(mantissa);
    ordered.inverse(Transform::RotateSign)
}

#[inline(always)]
fn restore<T: Word>(hidden: T, mantissa: u32, negative: bool) -> T {
    let ordered = hidden.forward(Transform::RotateSign);
    let exponent = ordered.shr(mantissa + 1).shl(mantissa);
    let sign = ordered.shr(mantissa).plus(T::from_field(u16::from(negative))).shl(T::BITS - 1);
    let mantissa = ordered.shl(T::BITS - mantissa).shr(T::BITS - mantissa);
    sign.plus(exponent).plus(mantissa)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn signs_follow_the_definition(
            floats in prop::collection::vec(any::<u64>(), 0..600),
            rows in prop::collection::vec((any::<i8>(), 0u32..=MAX_PRODUCT_EXPONENT), 0..=MAX_PRODUCTS),
            kind in 0usize..6,
            seed: u64,
        ) {
            let (size, mantissa) = [(1, 3), (1, 2), (2, 10), (2, 7), (4, 23), (8, 52)][kind];
            let element = Element::new(size, Transform::RotateSign);
            let bits = element.bits();
            let col = |k: usize, j: usize| ((seed | 1).wrapping_mul((k * 1000 + j) as u64 * 2 + 1) >> 33) as i8;
            let cols: Vec<Vec<i8>> = (0..rows.len()).map(|k| (0..floats.len()).map(|j| col(k, j)).collect()).collect();
            let factors = ColumnFactors::new(cols.iter().map(Vec::as_slice), floats.len());
            let of_row: Vec<i16> = rows.iter().map(|&(row, exponent)| i16::from(row) << exponent).collect();
            let bytes: Vec<u8> = floats.iter().flat_map(|x| x.to_le_bytes()[..size].to_vec()).collect();
            let expected: Vec<u8> = floats.iter().enumerate().flat_map(|(j, &float)| {
                let sum: i64 = rows.iter().zip(&cols).map(|(&(row, e), cols)| (i64::from(row) * i64::from(cols[j])) << e).sum();
                let bit = |k: u32| float >> k & 1;
                // From the highest bit on: exponent, sign, mantissa.
                let mut ordered: Vec<u64> = (mantissa..bits - 1).rev().map(bit).collect();
                ordered.push(bit(bits - 1) ^ u64::from(sum < 0));
                ordered.extend((0..mantissa).rev().map(bit));
                ordered.rotate_right(1);
                let hidden = ordered.iter().fold(0u64, |word, bit| word << 1 | bit);
                hidden.to_le_bytes()[..size].to_vec()
            }).collect();
            for level in Level::available() {
                let mut found = bytes.clone();
                predict_signs(level, (element, mantissa), &of_row, (&factors, 0), Signs::Hide, &mut found);
                prop_assert_eq!(&found, &expected, "{:?}", level);
                // In two parts.
                let at = floats.len() / 3;
                let (first, second) = found.split_at_mut(at * size);
                predict_signs(level, (element, mantissa), &of_row, (&factors, 0), Signs::Restore, first);
                predict_signs(level, (element, mantissa), &of_row, (&factors, at), Signs::Restore, second);
                prop_assert_eq!(&found, &bytes, "{:?}", level);
            }
        }

        #[test]
        fn predictions_follow_the_definition(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            rows in prop::collection::vec((any::<i8>(), 0u32..=MAX_PRODUCT_EXPONENT), 0..=MAX_PRODUCTS),
            seed: u64,
        ) {
            let col = |k: usize, j: usize| ((seed | 1).wrapping_mul((k * 1000 + j) as u64 * 2 + 1) >> 33) as i8;
            let cols: Vec<Vec<i8>> = (0..rows.len()).map(|k| (0..bytes.len()).map(|j| col(k, j)).collect()).collect();
            let factors = ColumnFactors::new(cols.iter().map(Vec::as_slice), bytes.len());
            let of_row: Vec<i16> = rows.iter().map(|&(row, exponent)| i16::from(row) << exponent).collect();
            let expected: Vec<u8> = bytes.iter().enumerate().map(|(j, &byte)| {
                let sum: i64 = rows.iter().zip(&cols).map(|(&(row, e), cols)| (i64::from(row) * i64::from(cols[j])) << e).sum();
                (i64::from(byte) + (sum + (1 << 13)).div_euclid(1 << 14)).rem_euclid(256) as u8
            }).collect();
            for level in Level::available() {
                let mut found = bytes.clone();
                add_products(level, &of_row, (&factors, 0), false, &mut found);
                prop_assert_eq!(&found, &expected, "{:?}", level);
                // In two parts.
                let at = bytes.len() / 3;
                let (first, second) = found.split_at_mut(at);
                add_products(level, &of_row, (&factors, 0), true, first);
                add_products(level, &of_row, (&factors, at), true, second);
                prop_assert_eq!(&found, &bytes, "{:?}", level);
            }
        }
    }
}
