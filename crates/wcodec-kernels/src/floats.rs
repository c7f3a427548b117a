//! Sums of floats for what an encoder fits. Each runs in a fixed order and without fused operations, so that
//! the result is the same at every level and on every machine.

use crate::Level;
use crate::level::compiled_for_levels;

/// Sums that run side by side, so that a compiler can put them in a vector.
const SUMS: usize = 16;

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

/// The sum of the products of two lists, summed in 16 parts.
#[must_use]
pub fn dot(level: Level, a: &[f32], b: &[f32]) -> f32 {
    let mut sum = 0.0;
    sum_products(level, a, b, &mut sum);
    sum
}

compiled_for_levels! {
    fn sum_products[](a: &[f32], b: &[f32], out: &mut f32)[] {
        let mut sums = [0f32; SUMS];
        let (a_steps, a_rest) = a.as_chunks::<SUMS>();
        let (b_steps, b_rest) = b.as_chunks::<SUMS>();
        for (a, b) in a_steps.iter().zip(b_steps) {
            for k in 0..SUMS {
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

/// The sum of `min(values * weights * weight, most)`, in 16 parts.
#[must_use]
pub fn dot_clipped(level: Level, values: &[f32], weights: &[f32], weight: f32, most: f32) -> f32 {
    let mut sum = 0.0;
    sum_clipped(level, values, weights, weight, most, &mut sum);
    sum
}

compiled_for_levels! {
    fn sum_clipped[](values: &[f32], weights: &[f32], weight: f32, most: f32, out: &mut f32)[] {
        let clipped = |value: f32, col: f32| {
            let x = value * col * weight;
            if x < most { x } else { most }
        };
        let mut sums = [0f32; SUMS];
        let (steps, rest) = values.as_chunks::<SUMS>();
        let (weight_steps, weight_rest) = weights.as_chunks::<SUMS>();
        for (values, weights) in steps.iter().zip(weight_steps) {
            for k in 0..SUMS {
                sums[k] += clipped(values[k], weights[k]);
            }
        }
        for (sum, (value, col)) in sums.iter_mut().zip(rest.iter().zip(weight_rest)) {
            *sum += clipped(*value, *col);
        }
        *out = sums.iter().sum();
    }
}

/// Adds `min(value * its weight * weight, most)` to each of the sums.
pub fn add_clipped(
    level: Level,
    sums: &mut [f32],
    values: &[f32],
    weights: &[f32],
    weight: f32,
    most: f32,
) {
    sums_clipped(level, sums, values, weights, weight, most);
}

compiled_for_levels! {
    fn sums_clipped[](
        sums: &mut [f32],
        values: &[f32],
        weights: &[f32],
        weight: f32,
        most: f32,
    )[] {
        for ((sum, value), col) in sums.iter_mut().zip(values).zip(weights) {
            let x = value * col * weight;
            *sum += if x < most { x } else { most };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Bit for bit, so that an encoder writes the same file everywhere.
        #[test]
        fn sums_are_the_same_at_every_level(bytes in prop::collection::vec(any::<u8>(), 0..200), flip: u8, zero: u8, factor in -2f32..2.0) {
            let weights: Vec<f32> = (0..bytes.len()).map(|k| 0.3 + (k % 17) as f32 * 0.07).collect();
            let results = |level| {
                let mut values = vec![0.0; bytes.len()];
                weigh_bytes(level, &bytes, (flip, zero), &weights, &mut values);
                let sum = dot(level, &values, &weights);
                let clipped = dot_clipped(level, &values, &weights, factor, 20.0);
                add_clipped(level, &mut values, &weights, &weights, factor, 0.5);
                add_scaled(level, &mut values, &weights, factor);
                (sum.to_bits(), clipped.to_bits(), values.iter().map(|v| v.to_bits()).collect::<Vec<_>>())
            };
            let expected = results(Level::SCALAR);
            for level in Level::available() {
                prop_assert_eq!(&results(level), &expected, "{:?}", level);
            }
        }
    }
}
