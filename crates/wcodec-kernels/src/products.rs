//! Sums of products of row and column factors: the mean of a weight, predicted. And what fits them.

use crate::Level;
use crate::level::compiled_for_levels;

/// Fraction bits of a prediction.
pub const PRODUCT_BITS: u32 = 14;
/// Most products of a prediction: sums stay far within 32 bits.
pub const MAX_PRODUCTS: usize = 32;
/// Largest exponent of a row factor.
pub const MAX_PRODUCT_EXPONENT: u32 = 8;

/// A row's part in a product: its factor, and the factors of the columns.
#[derive(Clone, Copy)]
pub struct Product<'a> {
    /// The factor of the row, times 2^exponent.
    pub row: i32,
    /// Of each column.
    pub cols: &'a [i8],
}

/// Adds the prediction to each byte of a row, or subtracts it: the sum of the products, in units of
/// 2^-14, rounded to the nearest whole number, halves up, modulo 256.
///
/// # Panics
/// If there are more than 32 products, a row factor is beyond 2^15, or there is not a column factor for
/// each byte.
pub fn add_products(level: Level, products: &[Product<'_>], subtract: bool, bytes: &mut [u8]) {
    assert!(products.len() <= MAX_PRODUCTS, "at most 32 products");
    for product in products {
        assert!(product.row.unsigned_abs() <= 1 << 15, "row factors are small");
        assert_eq!(product.cols.len(), bytes.len(), "a factor for each column");
    }
    add(level, products, if subtract { -1 } else { 1 }, bytes);
}

/// Columns that are predicted at a time.
const STEP: usize = 64;

compiled_for_levels! {
    fn add[](products: &[Product<'_>], sign: i32, bytes: &mut [u8])[] {
        let (steps, rest) = bytes.as_chunks_mut::<STEP>();
        let done = steps.len() * STEP;
        for (number, bytes) in steps.iter_mut().enumerate() {
            let mut sums = [1 << (PRODUCT_BITS - 1); STEP];
            for product in products {
                let cols = &product.cols.as_chunks::<STEP>().0[number];
                for (sum, &col) in sums.iter_mut().zip(cols) {
                    *sum += product.row * i32::from(col);
                }
            }
            for (byte, sum) in bytes.iter_mut().zip(sums) {
                *byte = byte.wrapping_add((sign * (sum >> PRODUCT_BITS)) as u8);
            }
        }
        for (col, byte) in rest.iter_mut().enumerate() {
            let sum: i32 =
                products.iter().map(|p| p.row * i32::from(p.cols[done + col])).sum();
            let sum = sum + (1 << (PRODUCT_BITS - 1));
            *byte = byte.wrapping_add((sign * (sum >> PRODUCT_BITS)) as u8);
        }
    }
}

/// Sets each number to `((byte ^ flip) - zero) * weight`.
///
/// # Panics
/// If there is not a byte and a weight for each number.
pub fn weigh_bytes(
    level: Level,
    bytes: &[u8],
    (flip, zero): (u8, u8),
    weights: &[f32],
    out: &mut [f32],
) {
    assert!(bytes.len() == out.len() && weights.len() == out.len(), "as many of each");
    weigh(level, bytes, flip, zero, weights, out);
}

compiled_for_levels! {
    fn weigh[](bytes: &[u8], flip: u8, zero: u8, weights: &[f32], out: &mut [f32])[] {
        for ((out, byte), weight) in out.iter_mut().zip(bytes).zip(weights) {
            *out = (i32::from(byte ^ flip) - i32::from(zero)) as f32 * weight;
        }
    }
}

/// The sum of the products of two lists, summed in 16 parts in a fixed order: the same on every
/// machine.
#[must_use]
pub fn dot(level: Level, a: &[f32], b: &[f32]) -> f32 {
    let mut sum = 0.0;
    sum_products(level, a, b, &mut sum);
    sum
}

compiled_for_levels! {
    fn sum_products[](a: &[f32], b: &[f32], out: &mut f32)[] {
        let mut sums = [0f32; 16];
        let (a_steps, a_rest) = a.as_chunks::<16>();
        let (b_steps, b_rest) = b.as_chunks::<16>();
        for (a, b) in a_steps.iter().zip(b_steps) {
            for k in 0..16 {
                sums[k] += a[k] * b[k];
            }
        }
        for (sum, (a, b)) in sums.iter_mut().zip(a_rest.iter().zip(b_rest)) {
            *sum += a * b;
        }
        *out = sums.iter().sum();
    }
}

/// Adds `factor` times each number of `from` to `to`.
pub fn add_scaled(level: Level, to: &mut [f32], from: &[f32], factor: f32) {
    scaled(level, to, from, factor);
}

compiled_for_levels! {
    fn scaled[](to: &mut [f32], from: &[f32], factor: f32)[] {
        for (to, from) in to.iter_mut().zip(from) {
            *to += from * factor;
        }
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
            let products: Vec<Product<'_>> = rows.iter().zip(&cols)
                .map(|(&(row, exponent), cols)| Product { row: i32::from(row) << exponent, cols })
                .collect();
            let expected: Vec<u8> = bytes.iter().enumerate().map(|(j, &byte)| {
                let sum: i64 = rows.iter().zip(&cols).map(|(&(row, e), cols)| (i64::from(row) * i64::from(cols[j])) << e).sum();
                (i64::from(byte) + (sum + (1 << 13)).div_euclid(1 << 14)).rem_euclid(256) as u8
            }).collect();
            for level in Level::available() {
                let mut found = bytes.clone();
                add_products(level, &products, false, &mut found);
                prop_assert_eq!(&found, &expected, "{:?}", level);
                add_products(level, &products, true, &mut found);
                prop_assert_eq!(&found, &bytes, "{:?}", level);
            }
        }

        /// Bit for bit, so that an encoder writes the same file everywhere.
        #[test]
        fn sums_are_the_same_at_every_level(bytes in prop::collection::vec(any::<u8>(), 0..200), flip: u8, zero: u8, factor in -2f32..2.0) {
            let weights: Vec<f32> = (0..bytes.len()).map(|k| 0.3 + (k % 17) as f32 * 0.07).collect();
            let results = |level| {
                let mut values = vec![0.0; bytes.len()];
                weigh_bytes(level, &bytes, (flip, zero), &weights, &mut values);
                let sum = dot(level, &values, &weights);
                add_scaled(level, &mut values, &weights, factor);
                (sum.to_bits(), values.iter().map(|v| v.to_bits()).collect::<Vec<_>>())
            };
            let expected = results(Level::SCALAR);
            for level in Level::available() {
                prop_assert_eq!(&results(level), &expected, "{:?}", level);
            }
        }
    }
}
