//! What encoding and decoding report.

use crate::predict::Predictor;
use std::ops::{Add, AddAssign};
use std::time::Duration;

/// Totals of a layer, a file, or any sum of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Bytes of the original.
    pub original_bytes: u64,
    /// Bytes that they take in the `.wcodec` file; of a whole file, everything counted.
    pub coded_bytes: u64,
    /// Elements, where the bytes are elements of a layer.
    pub elements: u64,
    /// Blocks, side blocks counted.
    pub blocks: u64,
    /// Tiles of the coded blocks.
    pub tiles: u64,
    /// Tiles by predictor, in the order of [`Predictor::ALL`].
    pub tiles_by_predictor: [u64; Predictor::COUNT],
    /// Elements of blocks whose first plane is coded with scale classes.
    pub scaled_elements: u64,
    /// Elements of blocks whose means or signs are predicted.
    pub predicted_elements: u64,
    /// Elements of blocks that are predicted from a base.
    pub base_elements: u64,
    /// Elements of blocks of which a plane is coded with base classes.
    pub base_class_elements: u64,
    /// Elements of segments that are copies of others, of a file or a layer as it is stored.
    pub copied_elements: u64,
    /// Bytes of frequency tables.
    pub table_bytes: u64,
    /// Bytes of tile maps.
    pub map_bytes: u64,
    /// Wall-clock time of the whole call; zero for a single layer of a file.
    pub elapsed: Duration,
}

/// What encoding reports.
pub type EncodeStats = Stats;
/// What decoding reports.
pub type DecodeStats = Stats;

impl Stats {
    /// Coded bytes by original bytes; 1 if there were none.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        if self.original_bytes == 0 {
            1.0
        } else {
            self.coded_bytes as f64 / self.original_bytes as f64
        }
    }

    /// Coded bits by element; 0 if there were none.
    #[must_use]
    pub fn bits_per_weight(&self) -> f64 {
        if self.elements == 0 { 0.0 } else { self.coded_bytes as f64 * 8.0 / self.elements as f64 }
    }
}

impl AddAssign for Stats {
    fn add_assign(&mut self, other: Stats) {
        self.original_bytes += other.original_bytes;
        self.coded_bytes += other.coded_bytes;
        self.elements += other.elements;
        self.blocks += other.blocks;
        self.tiles += other.tiles;
        for (sum, part) in self.tiles_by_predictor.iter_mut().zip(other.tiles_by_predictor) {
            *sum += part;
        }
        self.scaled_elements += other.scaled_elements;
        self.predicted_elements += other.predicted_elements;
        self.base_elements += other.base_elements;
        self.base_class_elements += other.base_class_elements;
        self.copied_elements += other.copied_elements;
        self.table_bytes += other.table_bytes;
        self.map_bytes += other.map_bytes;
        self.elapsed += other.elapsed;
    }
}

impl Add for Stats {
    type Output = Stats;

    fn add(mut self, other: Stats) -> Stats {
        self += other;
        self
    }
}
