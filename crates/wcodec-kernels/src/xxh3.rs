//! XXH3-64 (Y. Collet, xxHash 0.8) of bytes that come in pieces.
//!
//! A library hashes one slice at full speed; handed over row by row, it spends more time on its
//! buffer than on the hash. Whole stripes need no buffer.

use crate::Level;
use crate::level::compiled_for_levels;

/// Bytes that are mixed in at a time.
const STRIPE: usize = 64;
/// Bytes of a secret.
pub const XXH3_SECRET: usize = 192;
/// Stripes until the accumulators are scrambled: the secret moves on by 8 bytes with each.
const BLOCK: usize = (XXH3_SECRET - STRIPE) / 8;
/// Up to this many bytes XXH3 works in another way.
pub const XXH3_SHORT: usize = 240;

const PRIME32: [u64; 3] = [0x9E37_79B1, 0x85EB_CA77, 0xC2B2_AE3D];
const PRIME64: [u64; 5] = [
    0x9E37_79B1_85EB_CA87,
    0xC2B2_AE3D_27D4_EB4F,
    0x1656_67B1_9E37_79F9,
    0x85EB_CA77_C2B2_AE63,
    0x27D4_EB2F_1656_67C5,
];

type Stripe = [u64; STRIPE / 8];

/// The hash of some bytes, piece by piece.
#[derive(Clone)]
pub struct Xxh3 {
    secret: [u8; XXH3_SECRET],
    sums: Stripe,
    /// Stripes since the accumulators were scrambled.
    place: usize,
    /// Bytes in all, and those that are still to come.
    len: usize,
    missing: usize,
    /// Stripes that are still to be mixed in; all but the last one, which has a rule of its own.
    left: usize,
    /// The bytes behind the last stripe that was mixed in, of which there are `held`.
    rest: [u8; STRIPE],
    held: usize,
    /// The last stripe that was mixed in.
    before: [u8; STRIPE],
}

impl Xxh3 {
    /// Of `len` bytes, with the secret of a seed. `None` if there are [`XXH3_SHORT`] or fewer.
    #[must_use]
    pub fn new(secret: [u8; XXH3_SECRET], len: usize) -> Option<Xxh3> {
        let [a, b, c, d, e] = PRIME64;
        (len > XXH3_SHORT).then(|| Xxh3 {
            secret,
            sums: [PRIME32[2], a, b, c, d, PRIME32[1], e, PRIME32[0]],
            place: 0,
            len,
            missing: len,
            left: (len - 1) / STRIPE,
            rest: [0; STRIPE],
            held: 0,
            before: [0; STRIPE],
        })
    }

    /// Takes the next bytes.
    ///
    /// # Panics
    /// If they are more than there should be.
    pub fn update(&mut self, level: Level, bytes: &[u8]) {
        assert!(bytes.len() <= self.missing, "no more bytes than announced");
        self.missing -= bytes.len();
        let mut bytes = bytes;
        if self.held > 0 {
            let (now, later) = bytes.split_at(bytes.len().min(STRIPE - self.held));
            self.rest[self.held..][..now.len()].copy_from_slice(now);
            self.held += now.len();
            bytes = later;
            if self.held < STRIPE || self.left == 0 {
                return;
            }
            let stripe = self.rest;
            self.mix(level, &stripe);
            self.held = 0;
        }
        let (now, later) = bytes.split_at(STRIPE * self.left.min(bytes.len() / STRIPE));
        self.mix(level, now);
        self.rest[..later.len()].copy_from_slice(later);
        self.held = later.len();
    }

    fn mix(&mut self, level: Level, stripes: &[u8]) {
        let Some(last) = stripes.last_chunk() else { return };
        accumulate(level, &mut self.sums, &mut self.place, &self.secret, stripes);
        self.before = *last;
        self.left -= stripes.len() / STRIPE;
    }

    /// The hash.
    ///
    /// # Panics
    /// If bytes are missing.
    #[must_use]
    pub fn finish(&self) -> u64 {
        assert_eq!(self.missing, 0, "all bytes that were announced");
        let Xxh3 { mut sums, secret, held, .. } = *self;
        let mut last = [0; STRIPE];
        let (from_before, from_rest) = last.split_at_mut(STRIPE - held);
        from_before.copy_from_slice(&self.before[held..]);
        from_rest.copy_from_slice(&self.rest[..held]);
        // The last stripe has a place of its own in the secret.
        mix(&mut sums, &stripe(&last), &stripe(&secret[XXH3_SECRET - STRIPE - 7..]));
        let merged = sums.chunks_exact(2).enumerate().fold(
            (self.len as u64).wrapping_mul(PRIME64[0]),
            |hash, (k, pair)| {
                let key = stripe(&secret[11 + 16 * k..]);
                let product = u128::from(pair[0] ^ key[0]) * u128::from(pair[1] ^ key[1]);
                hash.wrapping_add(product as u64 ^ (product >> 64) as u64)
            },
        );
        let hash = (merged ^ merged >> 37).wrapping_mul(0x1656_6791_9E37_79F9);
        hash ^ hash >> 32
    }
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
    /// Mixes whole stripes into the sums.
    fn accumulate[](
        sums: &mut Stripe,
        place: &mut usize,
        secret: &[u8; XXH3_SECRET],
        stripes: &[u8],
    )[] {
        let scramble = stripe(&secret[XXH3_SECRET - STRIPE..]);
        let mut local = *sums;
        let mut rest = stripes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(STRIPE * (BLOCK - *place)));
            let keys = secret[8 * *place..].windows(STRIPE).step_by(8);
            for (bytes, key) in now.chunks_exact(STRIPE).zip(keys) {
                mix(&mut local, &stripe(bytes), &stripe(key));
            }
            *place += now.len() / STRIPE;
            if *place == BLOCK {
                *place = 0;
                for (sum, key) in local.iter_mut().zip(scramble) {
                    *sum = (*sum ^ *sum >> 47 ^ key).wrapping_mul(PRIME32[0]);
                }
            }
            rest = later;
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
        fn every_level_agrees_with_the_library(pieces in prop::collection::vec(0usize..700, 0..12), even: bool, seed: u64, byte: u8) {
            // Rows are often whole stripes.
            let pieces: Vec<usize> = pieces.iter().map(|&len| if even { len / STRIPE * STRIPE } else { len }).collect();
            let len: usize = pieces.iter().sum();
            let bytes: Vec<u8> = (0..len).map(|k| (k * 31 + k / 256) as u8 ^ byte).collect();
            let secret = SecretBuffer::with_seed(seed, [0; XXH3_SECRET]).unwrap().into_secret();
            let expected = (len > XXH3_SHORT).then(|| Hasher::oneshot_with_seed(seed, &bytes));
            for level in Level::available() {
                let mut hash = Xxh3::new(secret, len);
                let mut rest = &bytes[..];
                for &piece in &pieces {
                    let (now, later) = rest.split_at(piece);
                    rest = later;
                    if let Some(hash) = &mut hash {
                        hash.update(level, now);
                    }
                }
                prop_assert_eq!(hash.map(|hash| hash.finish()), expected, "{:?}", level);
            }
        }
    }
}
