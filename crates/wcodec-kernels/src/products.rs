//! Sums of products of row and column factors: the mean of a weight, predicted.

use crate::Level;
#[cfg(target_arch = "x86_64")]
use crate::level::Set;

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

    /// Of two products each, with the factors of the row.
    fn with_row<'a>(
        &'a self,
        rows: &'a [[i16; 2]],
    ) -> impl Iterator<Item = ([i16; 2], &'a [[i16; 2]])> + Clone {
        rows.iter().copied().zip(self.pairs.chunks_exact(self.cols.max(1)))
    }
}

/// Adds the prediction to each byte of a row, or subtracts it: the sum of the products, in units of
/// 2^-14, rounded to the nearest whole number, halves up, modulo 256. `rows` are the factors of the
/// row times 2^exponent.
///
/// # Panics
/// If there is not a row factor for each product, or not a column for each byte.
pub fn add_products(
    level: Level,
    rows: &[i16],
    cols: &ColumnFactors,
    subtract: bool,
    bytes: &mut [u8],
) {
    assert_eq!(bytes.len(), cols.cols, "a column for each byte");
    let mut pairs = [[0; 2]; MAX_PRODUCTS / 2];
    for (pair, rows) in pairs.iter_mut().zip(rows.chunks(2)) {
        pair[..rows.len()].copy_from_slice(rows);
    }
    let rows = &pairs[..rows.len().div_ceil(2)];
    assert_eq!(rows.len() * cols.cols, cols.pairs.len(), "a row factor for each product");
    let done = match level.set() {
        #[cfg(target_arch = "x86_64")]
        Set::Avx2 | Set::Avx512 => {
            let products = cols.with_row(rows);
            crate::x86_64::products::add(level, products, subtract, bytes)
        }
        _ => 0,
    };
    for (col, byte) in bytes.iter_mut().enumerate().skip(done) {
        let product = |([a, b], cols): ([i16; 2], &[[i16; 2]])| {
            i32::from(a) * i32::from(cols[col][0]) + i32::from(b) * i32::from(cols[col][1])
        };
        let sum: i32 = cols.with_row(rows).map(product).sum();
        let mean = (sum + (1 << (PRODUCT_BITS - 1))) >> PRODUCT_BITS;
        *byte = byte.wrapping_add(if subtract { -mean } else { mean } as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
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
                add_products(level, &of_row, &factors, false, &mut found);
                prop_assert_eq!(&found, &expected, "{:?}", level);
                add_products(level, &of_row, &factors, true, &mut found);
                prop_assert_eq!(&found, &bytes, "{:?}", level);
            }
        }
    }
}
