//! XXH3-64 (Y. Collet, xxHash 0.8) of bytes that lie in rows.
//!
//! A library hashes one slice at full speed; handed over row by row, it spends more time on its
//! buffer than on the hash. Rows of whole stripes need no buffer.

use crate::Level;
use crate::level::compiled_for_levels;

/// Bytes that are mixed in at a time; rows are a multiple of this.
pub const XXH3_STRIPE: usize = 64;
/// Bytes of a secret.
pub const XXH3_SECRET: usize = 192;
/// Stripes until the accumulators are scrambled: the secret moves on by 8 bytes with each.
const BLOCK: usize = (XXH3_SECRET - XXH3_STRIPE) / 8;
/// Up to this many bytes XXH3 works in another way.
const SHORT: usize = 240;

const PRIME32: [u64; 3] = [0x9E37_79B1, 0x85EB_CA77, 0xC2B2_AE3D];
const PRIME64: [u64; 5] = [
    0x9E37_79B1_85EB_CA87,
    0xC2B2_AE3D_27D4_EB4F,
    0x1656_67B1_9E37_79F9,
    0x85EB_CA77_C2B2_AE63,
    0x27D4_EB2F_1656_67C5,
];

type Stripe = [u64; XXH3_STRIPE / 8];

/// Hash of `rows` rows of `width` bytes, each `pitch` bytes behind the one before, as if they lay
/// one behind the other. `secret` is that of the seed. `None` if `width` is not a multiple of
/// [`XXH3_STRIPE`], or the whole has 240 bytes or fewer.
///
/// # Panics
/// If the rows are not all in `bytes`.
#[must_use]
pub fn xxh3_rows(
    level: Level,
    secret: &[u8; XXH3_SECRET],
    bytes: &[u8],
    (rows, width, pitch): (usize, usize, usize),
) -> Option<u64> {
    let len = rows * width;
    if !width.is_multiple_of(XXH3_STRIPE) || len <= SHORT {
        return None;
    }
    let [a, b, c, d, e] = PRIME64;
    let mut sums = [PRIME32[2], a, b, c, d, PRIME32[1], e, PRIME32[0]];
    let last = (rows - 1) * pitch + width - XXH3_STRIPE;
    accumulate(level, &mut sums, secret, bytes, (rows, width, pitch));
    // The last stripe has a place of its own in the secret.
    mix(&mut sums, &stripe(&bytes[last..]), &stripe(&secret[XXH3_SECRET - XXH3_STRIPE - 7..]));
    let merged = sums.chunks_exact(2).enumerate().fold(
        (len as u64).wrapping_mul(PRIME64[0]),
        |hash, (k, pair)| {
            let key = stripe(&secret[11 + 16 * k..]);
            let product = u128::from(pair[0] ^ key[0]) * u128::from(pair[1] ^ key[1]);
            hash.wrapping_add(product as u64 ^ (product >> 64) as u64)
        },
    );
    let hash = (merged ^ merged >> 37).wrapping_mul(0x1656_6791_9E37_79F9);
    Some(hash ^ hash >> 32)
}

/// The numbers at the beginning of `bytes`; missing ones are 0.
#[inline(always)]
fn stripe(bytes: &[u8]) -> Stripe {
    let (numbers, _) = bytes.as_chunks::<8>();
    match numbers.first_chunk::<8>() {
        Some(numbers) => numbers.map(u64::from_le_bytes),
        None => std::array::from_fn(|k| numbers.get(k).map_or(0, |n| u64::from_le_bytes(*n))),
    }
}

#[inline(always)]
fn mix(sums: &mut Stripe, data: &Stripe, key: &Stripe) {
    for k in 0..sums.len() {
        let keyed = data[k] ^ key[k];
        let product = (keyed & 0xffff_ffff) * (keyed >> 32);
        sums[k] = sums[k].wrapping_add(product).wrapping_add(data[k ^ 1]);
    }
}

compiled_for_levels! {
    /// Mixes all stripes but the last into the sums.
    fn accumulate[](
        sums: &mut Stripe,
        secret: &[u8; XXH3_SECRET],
        bytes: &[u8],
        shape: (usize, usize, usize),
    )[] {
        let (rows, width, pitch) = shape;
        let keys: [Stripe; BLOCK] = std::array::from_fn(|k| stripe(&secret[8 * k..]));
        let scramble = stripe(&secret[XXH3_SECRET - XXH3_STRIPE..]);
        let mut local = *sums;
        let mut place = 0;
        for row in 0..rows {
            let bytes = &bytes[row * pitch..][..width];
            let stripes = width / XXH3_STRIPE - usize::from(row + 1 == rows);
            for bytes in bytes.chunks_exact(XXH3_STRIPE).take(stripes) {
                mix(&mut local, &stripe(bytes), &keys[place]);
                place += 1;
                if place == BLOCK {
                    place = 0;
                    for (sum, key) in local.iter_mut().zip(scramble) {
                        *sum = (*sum ^ *sum >> 47 ^ key).wrapping_mul(PRIME32[0]);
                    }
                }
            }
        }
        *sums = local;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use twox_hash::xxhash3_64::{Hasher, SecretBuffer};

    proptest! {
        #[test]
        fn every_level_agrees_with_the_library(rows in 1usize..40, stripes in 1usize..20, gap in 0usize..100, seed: u64, byte: u8) {
            let (width, pitch) = (stripes * XXH3_STRIPE, stripes * XXH3_STRIPE + gap);
            let bytes: Vec<u8> = (0..rows * pitch).map(|k| (k * 31 + k / 256) as u8 ^ byte).collect();
            let joined: Vec<u8> = bytes.chunks(pitch).flat_map(|row| &row[..width]).copied().collect();
            let secret = SecretBuffer::with_seed(seed, [0; XXH3_SECRET]).unwrap().into_secret();
            let expected = (joined.len() > SHORT).then(|| Hasher::oneshot_with_seed(seed, &joined));
            for level in Level::available() {
                prop_assert_eq!(xxh3_rows(level, &secret, &bytes, (rows, width, pitch)), expected, "{:?}", level);
            }
        }
    }
}
