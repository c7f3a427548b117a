//! What is done with the elements of a coded block behind its streams, piece by piece, before they are put in
//! their place.

use super::decode::{BaseRows, BlockJob};
use crate::checksum::BlockHash;
use crate::scale::mean::ColumnMeans;
use wcodec_kernels::{Decoded, Level, Prediction, add_base};

/// Means, partners and the hash of one block.
pub(super) struct Finish<'a> {
    job: &'a BlockJob<'a>,
    /// The means of its columns, and the number of its first row in the group.
    means: Option<(usize, ColumnMeans<'a>)>,
    base: Option<(Prediction, BaseRows<'a>)>,
    hash: BlockHash,
}

impl<'a> Finish<'a> {
    /// Of a block with this head. `means` tells whether its planes hold what predicted means have left.
    pub(super) fn new(
        job: &'a BlockJob<'a>,
        means: bool,
        prediction: Option<Prediction>,
        head: &[u8],
    ) -> Finish<'a> {
        let scale = job.side.scale.as_ref().filter(|_| means);
        let means = scale.zip(job.corner).map(|(scale, (row, col))| {
            let cols = col..col + job.cols;
            (row, ColumnMeans::new(job.format.element, &scale.classes.means, cols))
        });
        let hash = BlockHash::new(job.stored.id, head, job.rows * job.row_bytes());
        Finish { job, means, base: prediction.zip(job.base), hash }
    }

    /// Makes elements of the next piece of what the streams gave, and hashes them.
    pub(super) fn piece(&mut self, level: Level, piece: Decoded<'_>) {
        let Decoded { row, col, bytes, .. } = piece;
        let job = self.job;
        let (element, width) = (job.format.element, job.row_bytes());
        for (row, bytes) in (row..).zip(bytes.chunks_mut(width)) {
            if let Some((first, means)) = &self.means {
                means.restore(level, (first + row, col), bytes);
            }
            if let Some((prediction, base)) = &self.base {
                let from = row * base.pitch + col * element.size();
                let partners = &base.bytes[from..][..bytes.len()];
                add_base(level, element.kernel(), (*prediction, base.flip), partners, bytes);
            }
        }
        self.hash.update(level, bytes);
    }

    /// The hash of what has come.
    pub(super) fn into_hash(self) -> BlockHash {
        self.hash
    }
}
