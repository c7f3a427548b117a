//! XXH3-64 as the format uses it (FORMAT.md section 4).

use std::hash::Hasher as _;
use twox_hash::XxHash3_64;
use twox_hash::xxhash3_64::SecretBuffer;
use wcodec_kernels::{Level, XXH3_SECRET, Xxh3};

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

/// As [`block_checksum`], of bytes that come in pieces.
pub(crate) struct BlockHash {
    hash: Hash,
    missing: usize,
}

enum Hash {
    Long(Box<Xxh3>),
    /// So few bytes that XXH3 works in another way.
    Short(Box<XxHash3_64>),
}

impl BlockHash {
    /// Of `len` bytes in all.
    pub(crate) fn new(id: BlockId, head: &[u8], len: usize) -> BlockHash {
        let seed = block_seed(id, head);
        let secret = SecretBuffer::with_seed(seed, [0; XXH3_SECRET]).ok();
        let hash = match secret.and_then(|secret| Xxh3::new(secret.into_secret(), len)) {
            Some(hash) => Hash::Long(Box::new(hash)),
            None => Hash::Short(Box::new(XxHash3_64::with_seed(seed))),
        };
        BlockHash { hash, missing: len }
    }

    /// Takes the next bytes.
    pub(crate) fn update(&mut self, level: Level, bytes: &[u8]) {
        self.missing = self.missing.saturating_sub(bytes.len());
        match &mut self.hash {
            Hash::Long(hash) => hash.update(level, bytes),
            Hash::Short(hash) => hash.write(bytes),
        }
    }

    /// The checksum; `None` as long as bytes are missing.
    pub(crate) fn finish(&self) -> Option<u64> {
        match &self.hash {
            _ if self.missing > 0 => None,
            Hash::Long(hash) => Some(hash.finish()),
            Hash::Short(hash) => Some(hash.finish()),
        }
    }
}

/// As [`block_checksum`], of `rows` rows of `width` bytes that lie `pitch` bytes apart.
pub(crate) fn rows_checksum(
    level: Level,
    id: BlockId,
    head: &[u8],
    bytes: &[u8],
    (rows, width, pitch): (usize, usize, usize),
) -> u64 {
    let mut hash = BlockHash::new(id, head, rows * width);
    bytes.chunks(pitch.max(1)).take(rows).for_each(|row| hash.update(level, &row[..width]));
    hash.finish().unwrap_or_else(|| unreachable!("all rows are hashed"))
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
