//! Sums of floats for what an encoder fits. Each runs in a fixed order and without fused operations, so that
//! the result is the same at every level and on every machine.

use crate::Level;
use crate::level::compiled_for_levels;
use crate::padded::padded;

/// Sums that run side by side, so that a compiler can put them in vectors, several of them: one would wait for
/// itself.
const SUMS: usize = 64;

/// Larger magnitudes, and what is no number, count as 0: sums stay finite.
const LARGEST: f32 = 1e30;

/// Formats of floats, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Float {
    /// IEEE, 16 bits.
    F16,
    /// The upper half of [`Float::F32`].
    Bf16,
    /// IEEE, 32 bits.
    F32,
    /// IEEE, 64 bits.
    F64,
}

/// Sets each number to `((byte ^ flip) - zero) * its weight * weight`.
///
/// # Panics
/// If there is not a byte and a weight for each number.
pub fn weigh_bytes(
    level: Level,
    bytes: &[u8],
    (flip, zero): (u8, u8),
    (weights, weight): (&[f32], f32),
    out: &mut [f32],
) {
    assert!(bytes.len() == out.len() && weights.len() == out.len(), "as many of each");
    weigh(level, bytes, flip, zero, weights, weight, out);
}

compiled_for_levels! {
    fn weigh[](
        bytes: &[u8],
        flip: u8,
        zero: u8,
        weights: &[f32],
        weight: f32,
        out: &mut [f32],
    )[] {
        for ((out, byte), col) in out.iter_mut().zip(bytes).zip(weights) {
            *out = (i32::from(byte ^ flip) - i32::from(zero)) as f32 * col * weight;
        }
    }
}

/// Sets each number to the magnitude of `(byte ^ flip) - zero`.
///
/// # Panics
/// If there is not a byte for each number.
pub fn byte_magnitudes(level: Level, bytes: &[u8], (flip, zero): (u8, u8), out: &mut [f32]) {
    assert!(bytes.len() == out.len(), "a byte for each number");
    distances(level, bytes, flip, zero, out);
}

compiled_for_levels! {
    fn distances[](bytes: &[u8], flip: u8, zero: u8, out: &mut [f32])[] {
        for (out, byte) in out.iter_mut().zip(bytes) {
            *out = f32::from((byte ^ flip).abs_diff(zero));
        }
    }
}

/// Sets each number to a float times its weight times `weight`; floats above 10^30, and what is none, count
/// as 0.
///
/// # Panics
/// If there is not a float and a weight for each number.
pub fn weigh_floats(
    level: Level,
    float: Float,
    bytes: &[u8],
    (weights, weight): (&[f32], f32),
    out: &mut [f32],
) {
    assert!(weights.len() == out.len(), "a weight for each number");
    match float {
        Float::F16 => weigh_as(level, bytes.as_chunks().0, &f16, weights, weight, out),
        Float::Bf16 => weigh_as(level, bytes.as_chunks().0, &bf16, weights, weight, out),
        Float::F32 => {
            weigh_as(level, bytes.as_chunks().0, &f32::from_le_bytes, weights, weight, out)
        }
        Float::F64 => weigh_as(level, bytes.as_chunks().0, &f64, weights, weight, out),
    }
}

/// Sets each number to the magnitude of a float, 0 for those that [`weigh_floats`] does not count.
///
/// # Panics
/// If there is not a float for each number.
pub fn magnitudes(level: Level, float: Float, bytes: &[u8], out: &mut [f32]) {
    match float {
        Float::F16 => magnitudes_as(level, bytes.as_chunks().0, &f16, out),
        Float::Bf16 => magnitudes_as(level, bytes.as_chunks().0, &bf16, out),
        Float::F32 => magnitudes_as(level, bytes.as_chunks().0, &f32::from_le_bytes, out),
        Float::F64 => magnitudes_as(level, bytes.as_chunks().0, &f64, out),
    }
}

/// Infinities become 2^16.
#[inline(always)]
fn f16(bytes: [u8; 2]) -> f32 {
    let bits = u32::from(u16::from_le_bytes(bytes));
    // The exponent's bias differs by 112.
    let magnitude = f32::from_bits((bits & 0x7fff) << 13) * f32::from_bits((127 + 112) << 23);
    f32::from_bits(magnitude.to_bits() | (bits & 0x8000) << 16)
}

#[inline(always)]
fn bf16(bytes: [u8; 2]) -> f32 {
    f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)
}

#[inline(always)]
fn f64(bytes: [u8; 8]) -> f32 {
    f64::from_le_bytes(bytes) as f32
}

/// A float, or a zero of its sign.
#[inline(always)]
fn finite(x: f32) -> f32 {
    // Not a number is not less either.
    if x.abs() < LARGEST { x } else { 0f32.copysign(x) }
}

compiled_for_levels! {
    fn weigh_as[const N: usize, F: Fn([u8; N]) -> f32](
        floats: &[[u8; N]],
        read: &F,
        weights: &[f32],
        weight: f32,
        out: &mut [f32],
    )[N, F] {
        assert!(floats.len() == out.len(), "a float for each number");
        for ((out, float), col) in out.iter_mut().zip(floats).zip(weights) {
            *out = finite(read(*float)) * col * weight;
        }
    }
}

compiled_for_levels! {
    fn magnitudes_as[const N: usize, F: Fn([u8; N]) -> f32](
        floats: &[[u8; N]],
        read: &F,
        out: &mut [f32],
    )[N, F] {
        assert!(floats.len() == out.len(), "a float for each number");
        for (out, float) in out.iter_mut().zip(floats) {
            *out = finite(read(*float)).abs();
        }
    }
}

/// The sum of the products of two lists, summed in 64 parts.
#[must_use]
pub fn dot(level: Level, a: &[f32], b: &[f32]) -> f32 {
    let mut sum = 0.0;
    sum_products(level, a, b, &mut sum);
    sum
}

compiled_for_levels! {
    fn sum_products[](a: &[f32], b: &[f32], out: &mut f32)[] {
        let mut sums = [0f32; SUMS];
        let add = |sums: &mut [f32; SUMS], a: &[f32; SUMS], b: &[f32; SUMS]| {
            for k in 0..SUMS {
                sums[k] += a[k] * b[k];
            }
        };
        let (a_steps, a_rest) = a.as_chunks();
        let (b_steps, b_rest) = b.as_chunks();
        a_steps.iter().zip(b_steps).for_each(|(a, b)| add(&mut sums, a, b));
        if !a_rest.is_empty() {
            // Sums that are indexed by a variable would not stay in registers.
            add(&mut sums, &padded(a_rest), &padded(b_rest));
        }
        *out = total(&sums);
    }
}

/// The sum of all.
#[inline(always)]
fn total(sums: &[f32; SUMS]) -> f32 {
    const QUARTER: usize = SUMS / 4;
    let (q, s) = (QUARTER, sums);
    let sums: [f32; QUARTER] =
        std::array::from_fn(|k| (s[k] + s[k + q]) + (s[k + 2 * q] + s[k + 3 * q]));
    let sums: [f32; 4] =
        std::array::from_fn(|k| (sums[k] + sums[k + 4]) + (sums[k + 8] + sums[k + 12]));
    (sums[0] + sums[1]) + (sums[2] + sums[3])
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

/// The sum of `min(values * weights * weight, most)`, in 64 parts.
#[must_use]
pub fn dot_clipped(level: Level, values: &[f32], weights: &[f32], weight: f32, most: f32) -> f32 {
    let mut sum = 0.0;
    sum_clipped(level, values, weights, weight, most, &mut sum);
    sum
}

compiled_for_levels! {
    fn sum_clipped[](values: &[f32], weights: &[f32], weight: f32, most: f32, out: &mut f32)[] {
        let mut sums = [0f32; SUMS];
        let add = |sums: &mut [f32; SUMS], values: &[f32; SUMS], weights: &[f32; SUMS]| {
            for k in 0..SUMS {
                let x = values[k] * weights[k] * weight;
                sums[k] += if x < most { x } else { most };
            }
        };
        let (steps, rest) = values.as_chunks();
        let (weight_steps, weight_rest) = weights.as_chunks();
        steps.iter().zip(weight_steps).for_each(|(v, w)| add(&mut sums, v, w));
        if !rest.is_empty() {
            // Sums that are indexed by a variable would not stay in registers.
            add(&mut sums, &padded(rest), &padded(weight_rest));
        }
        *out = total(&sums);
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

    const FLOATS: [(Float, usize); 4] =
        [(Float::F16, 2), (Float::Bf16, 2), (Float::F32, 4), (Float::F64, 8)];

    #[test]
    fn floats_are_read() {
        let read = |float, bytes: &[u8]| {
            let (mut weighed, mut magnitude) = ([0.0], [0.0]);
            weigh_floats(Level::SCALAR, float, bytes, (&[2.0], 0.5), &mut weighed);
            magnitudes(Level::SCALAR, float, bytes, &mut magnitude);
            assert_eq!(weighed[0].abs(), magnitude[0]);
            weighed[0]
        };
        assert_eq!(read(Float::F16, &[0x00, 0xbe]), -1.5);
        assert_eq!(read(Float::F16, &[0x01, 0x00]), 2f32.powi(-24));
        assert_eq!(read(Float::Bf16, &[0xc0, 0xbf]), -1.5);
        assert_eq!(read(Float::Bf16, &[0x80, 0x7f]), 0.0);
        assert_eq!(read(Float::F32, &1e-20f32.to_le_bytes()), 1e-20);
        assert_eq!(read(Float::F32, &(-1e30f32).to_le_bytes()), 0.0);
        assert_eq!(read(Float::F32, &f32::NAN.to_le_bytes()), 0.0);
        assert_eq!(read(Float::F64, &(-0.75f64).to_le_bytes()), -0.75);
        assert_eq!(read(Float::F64, &f64::MAX.to_le_bytes()), 0.0);
    }

    proptest! {
        /// Bit for bit, so that an encoder writes the same file everywhere.
        #[test]
        fn sums_are_the_same_at_every_level(bytes in prop::collection::vec(any::<u8>(), 0..200), flip: u8, zero: u8, factor in -2f32..2.0) {
            let weights: Vec<f32> = (0..bytes.len()).map(|k| 0.3 + (k % 17) as f32 * 0.07).collect();
            let results = |level| {
                let mut values = vec![0.0; bytes.len()];
                byte_magnitudes(level, &bytes, (flip, zero), &mut values);
                let distances = values.clone();
                weigh_bytes(level, &bytes, (flip, zero), (&weights, factor), &mut values);
                assert!(values.iter().zip(&weights).zip(&distances).all(|((v, w), m)| (m * w * factor).abs() == v.abs()));
                let sum = dot(level, &values, &weights);
                let clipped = dot_clipped(level, &values, &weights, factor, 20.0);
                add_clipped(level, &mut values, &weights, &weights, factor, 0.5);
                add_scaled(level, &mut values, &weights, factor);
                for (float, size) in FLOATS {
                    let floats = &bytes[..bytes.len() / size * size];
                    let mut of_floats = vec![0.0; floats.len() / size];
                    weigh_floats(level, float, floats, (&weights[..of_floats.len()], factor), &mut of_floats);
                    values.extend(&of_floats);
                    magnitudes(level, float, floats, &mut of_floats);
                    values.extend(of_floats);
                }
                (sum.to_bits(), clipped.to_bits(), values.iter().map(|v| v.to_bits()).collect::<Vec<_>>())
            };
            let expected = results(Level::SCALAR);
            for level in Level::available() {
                prop_assert_eq!(&results(level), &expected, "{:?}", level);
            }
        }
    }
}
