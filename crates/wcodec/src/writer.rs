//! Writing a `.wcodec` file segment by segment: groups are encoded in parallel and written in order.

use crate::base::matching::Matcher;
use crate::base::original::{OpenBase, Rows};
use crate::base::residual::GroupBase;
use crate::base::{BaseRef, OWN};
use crate::checksum::BlockId;
use crate::container::bases::Reference;
use crate::container::directory::{Directory, LayerEntry, Segment};
use crate::container::entries::FileHashes;
use crate::container::footer::SourceKind;
use crate::container::read_at::{ReadAt, read_pooled};
use crate::container::writer::ContainerWriter;
use crate::dtype::ElementType;
use crate::encoder::{layer_segment, opaque_segment};
use crate::error::{Error, ErrorKind, Result, corrupt};
use crate::geometry::Geometry;
use crate::group::{EncodedGroup, GroupJob, side_block};
use crate::layer::Layer;
use crate::options::{Effort, EncodeOptions};
use crate::packing::Layout;
use crate::pool::{Bytes, Pool};
use crate::predict::PredictorSet;
use crate::stats::{EncodeStats, Stats};
use crate::version::{MINOR_BASES, MINOR_COPIES, MINOR_PACKINGS, MINOR_PIVOTS, MINOR_SIGNS};
use rayon::prelude::*;
use std::collections::HashSet;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;
use wcodec_kernels::Level;

/// Writes a `.wcodec` file in one pass, layer by layer, to anything that takes bytes. The original
/// that it restores to is what was given to it, one piece behind the other.
///
/// It verifies nothing and keeps no bound on small layers; [`encode_file`](crate::encode_file) does. Layers
/// are predicted from the [`bases`](EncodeOptions::bases) as those of files are.
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
    /// Those that the directory names.
    bases: Vec<Arc<OpenBase>>,
    /// What layers that are yet to come are predicted from.
    matcher: Matcher,
    /// Whether blocks of each segment are predicted from its base.
    predicted: Vec<bool>,
    names: HashSet<String>,
    hasher: blake3::Hasher,
    files: FileHashes,
    options: EncodeOptions,
    level: Level,
    pool: Pool,
    stats: Stats,
}

/// Bytes encoded at a time: enough to do for many threads, or what the caches of one hold.
const BATCH_BYTES: u64 = 16 << 20;
const BATCH_BYTES_OF_ONE: u64 = 2 << 20;
/// Bytes of copies that are hashed at a time.
const COPY_BYTES: u64 = 1 << 20;

/// A group that is to be encoded.
pub(crate) struct Job {
    pub(crate) segment: usize,
    group: u64,
    /// Its bytes in the segment.
    pub(crate) bytes: Range<u64>,
}

impl Job {
    /// Encodes the group, whose segment, bytes and partners in a base are given.
    pub(crate) fn encode(
        &self,
        segment: &Segment,
        (bytes, base): (&[u8], Option<GroupBase<'_>>),
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
            base,
            scale: (layer && options.effort > Effort::Fast).then(|| options.scale()),
        };
        // A single group decides by itself whether it has a side block.
        let free = layer && geometry.groups() == 1;
        group.encode(level, if free { None } else { Some(segment.side) }, pool)
    }
}

/// The groups of a segment.
pub(crate) fn jobs(segment: usize, geometry: Geometry) -> impl Iterator<Item = Job> {
    (0..geometry.groups()).map(move |group| {
        let bytes = geometry.bands_bytes(&geometry.group_range(group));
        Job { segment, group, bytes }
    })
}

/// A piece of the original that is encoded as one: a packing, or a group of a segment; or bytes of a copy, which are
/// only hashed.
pub(crate) struct Piece {
    packing: Option<usize>,
    /// Its groups; those of all fields of a packing, none of a copy.
    jobs: Vec<Job>,
    /// Its bytes in the original.
    bytes: Range<u64>,
}

/// Cuts pieces into runs that are encoded at a time, with their bytes in the original.
pub(crate) fn batches(mut pieces: &[Piece]) -> impl Iterator<Item = (&[Piece], Range<u64>)> {
    let alone = rayon::current_num_threads() == 1;
    let most = if alone { BATCH_BYTES_OF_ONE } else { BATCH_BYTES };
    std::iter::from_fn(move || {
        let start = pieces.first()?.bytes.start;
        let fits = |piece: &&Piece| piece.bytes.end - start <= most;
        let (batch, rest) = pieces.split_at(pieces.iter().take_while(fits).count().max(1));
        pieces = rest;
        Some((batch, start..batch.last()?.bytes.end))
    })
}

/// What the elements of a group may be predicted from, and whether it is flipped before.
fn partners<'a>(
    directory: &Directory,
    (bases, own): (&'a [Arc<OpenBase>], Option<&'a dyn ReadAt>),
    (job, pool): (&Job, &Pool),
) -> Result<Option<(Bytes<'a>, bool)>> {
    let Some(BaseRef { base, flip, at }) = directory.reference_of(job.segment as u32) else {
        return Ok(None);
    };
    let (at, len) = (at + job.bytes.start, job.bytes.end - job.bytes.start);
    let bytes = match own.filter(|_| base == OWN) {
        Some(own) => read_pooled(own, at, len, pool)?,
        None => bases[usize::from(base)].read(at, Rows::one(len as usize))?,
    };
    Ok(Some((bytes, flip)))
}

/// The lowest version that has all that this effort may choose.
fn lowest_minor(options: &EncodeOptions) -> u16 {
    if options.effort == Effort::Fast { 0 } else { MINOR_SIGNS }
}

impl<W: Write> Writer<W> {
    /// Begins a file. Of the options, `threads`, `verify` and `force` do not matter here: work is done in
    /// the caller's thread pool.
    ///
    /// # Errors
    /// If an option does not fit, a base cannot be read or its own bases are missing, or writing fails.
    pub fn new(out: W, options: &EncodeOptions) -> Result<Writer<W>> {
        options.check()?;
        let matcher = Matcher::open(options)?;
        let minor = lowest_minor(options).max(if matcher.is_empty() { 0 } else { MINOR_BASES });
        let directory = Directory { bases: matcher.records(), ..Directory::default() };
        let bases = matcher.bases.clone();
        let writer = Writer::begin((out, minor), SourceKind::Layer, directory, bases, options)?;
        Ok(Writer { matcher, ..writer })
    }

    /// Begins a file whose segments are known, and the bases that they refer to.
    pub(crate) fn planned(
        out: W,
        kind: SourceKind,
        directory: Directory,
        bases: &[Arc<OpenBase>],
        options: &EncodeOptions,
    ) -> Result<Writer<W>> {
        // The lowest version that has this source and what the directory holds.
        let packed = if directory.packings.is_empty() { 0 } else { MINOR_PACKINGS };
        let pivots = directory.layouts.iter().any(Layout::has_pivots);
        let packed = if pivots { MINOR_PIVOTS } else { packed };
        let based = if directory.references.is_empty() { 0 } else { MINOR_BASES };
        let copied = if directory.copies.is_empty() { 0 } else { MINOR_COPIES };
        let minor = lowest_minor(options).max(kind.minor()).max(packed).max(based).max(copied);
        Writer::begin((out, minor), kind, directory, bases.to_vec(), options)
    }

    fn begin(
        (out, minor): (W, u16),
        kind: SourceKind,
        directory: Directory,
        bases: Vec<Arc<OpenBase>>,
        options: &EncodeOptions,
    ) -> Result<Writer<W>> {
        Ok(Writer {
            container: ContainerWriter::new(out, minor)?,
            kind,
            planned: directory.parts()?.bytes(),
            bases,
            matcher: Matcher::default(),
            predicted: vec![false; directory.segments.len()],
            files: FileHashes::new(&directory.entries),
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
        if let Some(base) = self.matcher.partner(&data, layer, 0)? {
            self.directory.references.push(Reference { segment, base });
        }
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
        self.drop_unused_bases();
        self.settle_copies()?;
        for (entry, digest) in self.directory.entries.iter_mut().zip(self.files.finish()) {
            entry.blake3 = if entry.is_folder() { [0; 32] } else { digest };
        }
        let digest = *self.hasher.finalize().as_bytes();
        let used = |base: &&Arc<OpenBase>| self.directory.bases.contains(&base.base);
        let mut chains = self.bases.iter().filter(used).flat_map(|base| base.chain());
        if chains.any(|base| base.base.blake3 == digest) {
            let text = "what was written is a base of its own: nothing else could decode it";
            return Err(ErrorKind::Base(text.to_owned()).into());
        }
        self.options.bases.check_unchanged()?;
        self.stats.original_bytes = self.planned;
        self.stats.coded_bytes =
            self.container.finish(&self.directory, self.kind, self.planned, digest)?;
        Ok(self.stats)
    }

    /// Copies have the records of their sources, which now are what they will be, and are counted.
    fn settle_copies(&mut self) -> Result<()> {
        for part in self.directory.parts()?.all() {
            let segment = part.segments.start;
            if self.directory.source_of(segment as u32).is_none() {
                continue;
            }
            let elements = match part.packing.map(|number| self.directory.packings[number]) {
                Some(packing) => {
                    packing.totals(&self.directory.layouts[packing.layout as usize]).elements
                }
                None => self.directory.segments[segment].geometry.elements,
            };
            self.stats.elements += elements;
            self.stats.copied_elements += elements;
        }
        for copy in &self.directory.copies {
            let (copy, source) = (copy.segment as usize, copy.source as usize);
            self.directory.segments[copy] = self.directory.segments[source];
        }
        Ok(())
    }

    /// Takes out the references of segments that have no predicted blocks, and bases that none refers to.
    fn drop_unused_bases(&mut self) {
        let Directory { bases, references, .. } = &mut self.directory;
        references.retain(|reference| self.predicted[reference.segment as usize]);
        let used = references.iter().map(|reference| reference.base.base);
        let mut used: Vec<u8> = used.filter(|&base| base != OWN).collect();
        used.sort_unstable();
        used.dedup();
        *bases = used.iter().map(|&base| bases[usize::from(base)].clone()).collect();
        let named = references.iter_mut().map(|reference| &mut reference.base);
        for BaseRef { base, .. } in named.filter(|base| !base.is_own()) {
            *base = used.partition_point(|&other| other < *base) as u8;
        }
    }

    fn segment(&mut self, segment: Segment, data: &[u8]) -> Result<Stats> {
        let before = self.planned;
        let index = self.directory.segments.len();
        self.directory.segments.push(segment);
        self.predicted.push(false);
        self.planned += data.len() as u64;
        let pieces = self.pieces(index)?;
        let mut sum = Stats::default();
        for (batch, range) in batches(&pieces) {
            let range = (range.start - before) as usize..(range.end - before) as usize;
            sum += self.encode(batch, &data[range], None)?;
        }
        Ok(sum)
    }

    /// What is to be encoded, from a segment on.
    pub(crate) fn pieces(&self, first: usize) -> Result<Vec<Piece>> {
        let mut pieces = Vec::new();
        for part in self.directory.parts()?.starting(first as u32) {
            if self.directory.source_of(part.segments.start as u32).is_some() {
                let bytes = part.bytes.clone();
                let piece = |at| at..bytes.end.min(at + COPY_BYTES);
                pieces.extend(
                    bytes.clone().step_by(COPY_BYTES as usize).map(piece).map(|bytes| Piece {
                        packing: None,
                        jobs: Vec::new(),
                        bytes,
                    }),
                );
                continue;
            }
            let segments = part.segments.clone();
            let groups = segments.flat_map(|s| jobs(s, self.directory.segments[s].geometry));
            if part.packing.is_some() {
                let bytes = part.bytes.clone();
                pieces.push(Piece { packing: part.packing, jobs: groups.collect(), bytes });
                continue;
            }
            pieces.extend(groups.map(|job| {
                let at = part.bytes.start;
                let bytes = at + job.bytes.start..at + job.bytes.end;
                Piece { packing: None, jobs: vec![job], bytes }
            }));
        }
        Ok(pieces)
    }

    /// Encodes consecutive pieces, whose bytes are `bytes`, and writes them. `own` is the whole original, for what
    /// refers to it.
    pub(crate) fn encode(
        &mut self,
        pieces: &[Piece],
        bytes: &[u8],
        own: Option<&dyn ReadAt>,
    ) -> Result<Stats> {
        self.hasher.update_rayon(bytes);
        self.files.update(bytes);
        let start = pieces.first().map_or(0, |piece| piece.bytes.start);
        let (directory, bases, level) = (&self.directory, &*self.bases, self.level);
        let encoded: Vec<Vec<EncodedGroup>> = pieces
            .par_iter()
            .map(|piece| {
                let range = piece.bytes.start - start..piece.bytes.end - start;
                let bytes = bytes.get(range.start as usize..range.end as usize);
                let bytes = bytes.ok_or_else(|| corrupt!("bytes of a group are missing"))?;
                let gathered = gather(directory, piece.packing, level, bytes)?;
                let encode = |job: &Job| {
                    let bytes = match piece.packing {
                        Some(number) => {
                            let first = directory.packings[number].segment as usize;
                            let range = job.bytes.start as usize..job.bytes.end as usize;
                            &gathered[job.segment - first][range]
                        }
                        None => bytes,
                    };
                    let base = partners(directory, (bases, own), (job, &self.pool))?;
                    let base = base.as_ref().map(|(bytes, flip)| GroupBase { bytes, flip: *flip });
                    let segment = &directory.segments[job.segment];
                    job.encode(segment, (bytes, base), (level, &self.pool), &self.options)
                };
                piece.jobs.par_iter().map(encode).collect()
            })
            .collect::<Result<_>>()?;
        let mut sum = Stats::default();
        for (piece, groups) in pieces.iter().zip(encoded) {
            sum += self.write_piece(piece, groups)?;
        }
        self.stats += sum;
        Ok(sum)
    }

    fn write_piece(&mut self, piece: &Piece, groups: Vec<EncodedGroup>) -> Result<Stats> {
        let mut sum = Stats::default();
        let mut of_segments = Vec::new();
        for (job, group) in piece.jobs.iter().zip(groups) {
            of_segments.push((job.segment, self.write(job.segment, group)?));
        }
        let Some(number) = piece.packing else {
            of_segments.into_iter().for_each(|(_, stats)| sum += stats);
            return Ok(sum);
        };
        let packing = self.directory.packings[number];
        let layout = &self.directory.layouts[packing.layout as usize];
        let streams = layout.streams();
        sum += packing.totals(layout);
        for (segment, stats) in of_segments {
            let stream = &streams[segment - packing.segment as usize];
            sum += packing.of_stream(layout, stream, stats);
        }
        Ok(sum)
    }

    /// Writes the blocks of a group of a segment.
    fn write(&mut self, segment: usize, encoded: EncodedGroup) -> Result<Stats> {
        if encoded.stats.base_elements > 0 {
            self.predicted[segment] = true;
        }
        for block in encoded.blocks {
            self.container.block(&block)?;
        }
        if let Some(side) = encoded.side {
            let of = &mut self.directory.segments[segment];
            of.side = true;
            let block = of.geometry.side_number(encoded.group) as u32;
            let id = BlockId { segment: segment as u32, block };
            self.container.block(&side_block(id, &side, &self.pool))?;
        }
        Ok(encoded.stats)
    }
}

/// The codes of the fields of a packing; nothing for other pieces.
fn gather(
    directory: &Directory,
    packing: Option<usize>,
    level: Level,
    structs: &[u8],
) -> Result<Vec<Vec<u8>>> {
    let Some(number) = packing else { return Ok(Vec::new()) };
    let layout = &directory.layouts[directory.packings[number].layout as usize];
    let fields = (0..layout.fields.len()).into_par_iter();
    let streams = fields.map(|field| layout.gather(level, field, structs));
    Ok(streams.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}
