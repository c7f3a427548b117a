//! XXH3-64 as the format uses it (FORMAT.md section 4).

use std::hash::Hasher as _;
use twox_hash::XxHash3_64;
use twox_hash::xxhash3_64::SecretBuffer;
use wcodec_kernels::{Level, XXH3_SECRET, xxh3_rows};

/// Number of a block in the file: the seed of its checksum, so that blocks that change places
/// fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockId {
    pub(crate) segment: u32,
    /// Number in the segment, side blocks counted.
    pub(crate) block: u32,
}

/// Checksum of a block: over its decoded bytes, seeded with the hash of its head, which is
/// seeded with the block's number.
pub(crate) fn block_checksum(id: BlockId, head: &[u8], decoded: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(block_seed(id, head), decoded)
}

/// As [`block_checksum`], of `rows` rows of `width` bytes that lie `pitch` bytes apart.
pub(crate) fn rows_checksum(
    level: Level,
    id: BlockId,
    head: &[u8],
    bytes: &[u8],
    (rows, width, pitch): (usize, usize, usize),
) -> u64 {
    let seed = block_seed(id, head);
    if let Ok(secret) = SecretBuffer::with_seed(seed, [0; XXH3_SECRET])
        && let Some(hash) = xxh3_rows(level, &secret.into_secret(), bytes, (rows, width, pitch))
    {
        return hash;
    }
    let mut hasher = XxHash3_64::with_seed(seed);
    bytes.chunks(pitch.max(1)).take(rows).for_each(|row| hasher.write(&row[..width]));
    hasher.finish()
}

fn block_seed(id: BlockId, head: &[u8]) -> u64 {
    let number = u64::from(id.segment) << 32 | u64::from(id.block);
    XxHash3_64::oneshot_with_seed(number, head)
}

/// Whether a hash fits. A fuzz target builds with `wcodec_ignore_checksums` to reach the code
/// behind this check.
pub(crate) fn matches(found: u64, stored: u64) -> bool {
    cfg!(wcodec_ignore_checksums) || found == stored
}

/// Hash over several pieces as if they were one.
pub(crate) fn hash_pieces(pieces: &[&[u8]]) -> u64 {
    let mut hasher = XxHash3_64::with_seed(0);
    for piece in pieces {
        hasher.write(piece);
    }
    hasher.finish()
}
