//! Writing a `.wcodec` file segment by segment: groups are encoded in parallel and written in order.

use crate::checksum::BlockId;
use crate::container::directory::{Directory, LayerEntry, Segment};
use crate::container::footer::SourceKind;
use crate::container::writer::ContainerWriter;
use crate::dtype::ElementType;
use crate::encoder::{layer_segment, opaque_segment};
use crate::error::{Error, Result, corrupt};
use crate::group::{EncodedGroup, GroupJob, side_block};
use crate::layer::Layer;
use crate::options::{Effort, EncodeOptions};
use crate::pool::Pool;
use crate::predict::PredictorSet;
use crate::stats::{EncodeStats, Stats};
use crate::version::MINOR_SIGNS;
use rayon::prelude::*;
use std::collections::HashSet;
use std::io::Write;
use std::ops::Range;
use wcodec_kernels::Level;

/// Writes a `.wcodec` file in one pass, layer by layer, to anything that takes bytes. The original
/// that it restores to is what was given to it, one piece behind the other.
///
/// It verifies nothing and keeps no bound on small layers; [`encode_file`](crate::encode_file) does.
///
/// # Examples
/// ```
/// use wcodec::{ElementType, EncodeOptions, Layer, Limits, Reader, Writer};
///
/// let mut file = Vec::new();
/// let mut writer = Writer::new(&mut file, &EncodeOptions::default())?;
/// let layer = Layer::new("weight", ElementType::Bf16, vec![16, 8]);
/// writer.layer(&layer, &[0x3f; 256])?;
/// writer.bytes(b"and something else")?;
/// writer.finish()?;
///
/// let reader = Reader::open(file.as_slice(), &Limits::default())?;
/// assert_eq!(reader.decode_layer(0)?, [0x3f; 256]);
/// # Ok::<(), wcodec::Error>(())
/// ```
pub struct Writer<W> {
    container: ContainerWriter<W>,
    kind: SourceKind,
    directory: Directory,
    /// Bytes of the original that the directory covers.
    planned: u64,
    names: HashSet<String>,
    hasher: blake3::Hasher,
    options: EncodeOptions,
    level: Level,
    pool: Pool,
    stats: Stats,
}

/// Bytes encoded at a time: enough to do for many threads, or what the caches of one hold.
const BATCH_BYTES: u64 = 16 << 20;
const BATCH_BYTES_OF_ONE: u64 = 2 << 20;

/// A group that is to be encoded.
pub(crate) struct Job {
    pub(crate) segment: usize,
    group: u64,
    /// Its bytes in the original.
    pub(crate) bytes: Range<u64>,
}

impl Job {
    /// Encodes the group, whose segment and bytes are given.
    pub(crate) fn encode(
        &self,
        segment: &Segment,
        bytes: &[u8],
        (level, pool): (Level, &Pool),
        options: &EncodeOptions,
    ) -> Result<EncodedGroup> {
        let geometry = segment.geometry;
        let layer = geometry.element != ElementType::Bytes;
        let group = GroupJob {
            segment: self.segment as u32,
            geometry,
            format: segment.format(),
            group: self.group,
            bytes,
            predictors: if layer { options.predictors } else { PredictorSet::NONE },
            scale: (layer && options.effort > Effort::Fast).then(|| options.scale()),
        };
        // A single group decides by itself whether it has a side block.
        let free = layer && geometry.groups() == 1;
        group.encode(level, if free { None } else { Some(segment.side) }, pool)
    }
}

/// The groups of the segments from number `first` on.
pub(crate) fn jobs(segments: &[Segment], first: usize) -> Vec<Job> {
    let mut at: u64 = segments[..first].iter().map(|s| s.geometry.bytes()).sum();
    let mut jobs = Vec::new();
    for (segment, geometry) in segments.iter().map(|s| s.geometry).enumerate().skip(first) {
        for group in 0..geometry.groups() {
            let bytes = geometry.bands_bytes(&geometry.group_range(group));
            jobs.push(Job { segment, group, bytes: at + bytes.start..at + bytes.end });
        }
        at += geometry.bytes();
    }
    jobs
}

/// Cuts jobs into runs that are encoded at a time, with their bytes in the original.
pub(crate) fn batches(mut jobs: &[Job]) -> impl Iterator<Item = (&[Job], Range<u64>)> {
    let alone = rayon::current_num_threads() == 1;
    let most = if alone { BATCH_BYTES_OF_ONE } else { BATCH_BYTES };
    std::iter::from_fn(move || {
        let start = jobs.first()?.bytes.start;
        let count = jobs.iter().take_while(|job| job.bytes.end - start <= most).count();
        let (batch, rest) = jobs.split_at(count.max(1));
        jobs = rest;
        Some((batch, start..batch.last()?.bytes.end))
    })
}

impl<W: Write> Writer<W> {
    /// Begins a file. Of the options, `threads`, `verify` and `force` do not matter here: work is
    /// done in the caller's thread pool.
    ///
    /// # Errors
    /// If an option does not fit or writing fails.
    pub fn new(out: W, options: &EncodeOptions) -> Result<Writer<W>> {
        options.check()?;
        Writer::planned(out, SourceKind::Layer, Directory::default(), options)
    }

    /// Begins a file whose segments are known.
    pub(crate) fn planned(
        out: W,
        kind: SourceKind,
        directory: Directory,
        options: &EncodeOptions,
    ) -> Result<Writer<W>> {
        // The lowest version that has this source and all that this effort may choose.
        let minor = if options.effort == Effort::Fast { 0 } else { MINOR_SIGNS };
        let minor = minor.max(kind.minor());
        Ok(Writer {
            container: ContainerWriter::new(out, minor)?,
            kind,
            planned: directory.segments.iter().map(|s| s.geometry.bytes()).sum(),
            directory,
            names: HashSet::new(),
            hasher: blake3::Hasher::new(),
            options: options.clone(),
            level: Level::detect(),
            pool: Pool::default(),
            stats: Stats::default(),
        })
    }

    /// Writes a layer.
    ///
    /// # Errors
    /// If `data` does not have the layer's size, there is a layer of that name already, or writing
    /// fails.
    pub fn layer(&mut self, layer: &Layer, data: &[u8]) -> Result<EncodeStats> {
        layer.check_len(data.len() as u64)?;
        if !self.names.insert(layer.name.clone()) {
            return Err(Error::argument("the name occurs twice").in_layer(&layer.name));
        }
        let segment = self.directory.segments.len() as u32;
        self.directory.layers.push(LayerEntry { layer: layer.clone(), segment, offset: 0 });
        self.segment(layer_segment(layer, &self.options)?, data)
    }

    /// Writes bytes that belong to no layer.
    ///
    /// # Errors
    /// If writing fails.
    pub fn bytes(&mut self, data: &[u8]) -> Result<EncodeStats> {
        self.segment(opaque_segment(data.len() as u64)?, data)
    }

    /// Writes what follows the blocks.
    ///
    /// # Errors
    /// If writing fails.
    pub fn finish(mut self) -> Result<EncodeStats> {
        let digest = *self.hasher.finalize().as_bytes();
        self.stats.original_bytes = self.planned;
        self.stats.coded_bytes =
            self.container.finish(&self.directory, self.kind, self.planned, digest)?;
        Ok(self.stats)
    }

    fn segment(&mut self, segment: Segment, data: &[u8]) -> Result<Stats> {
        let before = self.planned;
        let index = self.directory.segments.len();
        self.directory.segments.push(segment);
        self.planned += data.len() as u64;
        let jobs = jobs(&self.directory.segments, index);
        let mut sum = Stats::default();
        for (batch, range) in batches(&jobs) {
            let range = (range.start - before) as usize..(range.end - before) as usize;
            sum += self.encode(batch, &data[range])?;
        }
        Ok(sum)
    }

    /// The groups of all segments.
    pub(crate) fn jobs(&self) -> Vec<Job> {
        jobs(&self.directory.segments, 0)
    }

    /// Encodes consecutive groups, whose bytes are `bytes`, and writes them.
    pub(crate) fn encode(&mut self, jobs: &[Job], bytes: &[u8]) -> Result<Stats> {
        self.hasher.update_rayon(bytes);
        let start = jobs.first().map_or(0, |job| job.bytes.start);
        let segments = &self.directory.segments;
        let groups: Vec<EncodedGroup> = jobs
            .par_iter()
            .map(|job| {
                let range = (job.bytes.start - start) as usize..(job.bytes.end - start) as usize;
                let bytes =
                    bytes.get(range).ok_or_else(|| corrupt!("bytes of a group are missing"))?;
                let segment = &segments[job.segment];
                job.encode(segment, bytes, (self.level, &self.pool), &self.options)
            })
            .collect::<Result<_>>()?;
        let mut sum = Stats::default();
        for (job, encoded) in jobs.iter().zip(groups) {
            sum += encoded.stats;
            for block in encoded.blocks {
                self.container.block(&block)?;
            }
            if let Some(side) = encoded.side {
                let segment = &mut self.directory.segments[job.segment];
                segment.side = true;
                let block = segment.geometry.side_number(job.group) as u32;
                let id = BlockId { segment: job.segment as u32, block };
                self.container.block(&side_block(id, &side, &self.pool))?;
            }
        }
        self.stats += sum;
        Ok(sum)
    }
}
