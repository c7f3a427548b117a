//! What is done with the elements of a coded block behind its streams, piece by piece, before they are put in
//! their place.

use super::decode::{BaseRows, BlockJob};
use crate::checksum::BlockHash;
use crate::scale::Units;
use crate::scale::mean::ColumnMeans;
use wcodec_kernels::{Decoded, Level, Place, Prediction, add_base};

/// Elements of a piece.
const PIECE: usize = 4 << 10;

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

    /// The same with a block whose elements were decoded in units, to `coded`; puts them in their place.
    pub(super) fn units(
        &mut self,
        level: Level,
        units: &Units,
        coded: &[u8],
        buffers: &mut [&mut [u8]],
    ) {
        let job = self.job;
        let Place { buffer, start, pitch, .. } = job.place;
        let mut restore = units.restore(coded);
        let at_once = if pitch == job.cols { (PIECE / job.cols).max(1) } else { 1 };
        for row in (0..job.rows).step_by(at_once) {
            let rows = at_once.min(job.rows - row);
            let bytes = &mut buffers[buffer][start + row * pitch..][..rows * job.cols];
            restore.next(bytes);
            self.piece(level, Decoded { block: 0, row, col: 0, bytes });
        }
    }

    /// The hash of what has come.
    pub(super) fn into_hash(self) -> BlockHash {
        self.hash
    }
}
