//! Decoding blocks.

use super::finish::Finish;
use super::head::{Head, Kind};
use super::side::Side;
use super::tables::PlaneTables;
use super::{Mode, join_rows};
use crate::checksum::{self, BlockHash, BlockId, rows_checksum};
use crate::context::BlockContexts;
use crate::dtype::ElementType;
use crate::error::{Error, Result, corrupt};
use crate::frame;
use crate::geometry::{Scan, TileConfig};
use crate::predict::{self, Predictor};
use crate::scale::Units;
use crate::scale::mean::Use;
use crate::stats::Stats;
use std::cell::RefCell;
use wcodec_kernels::predict::Tiling;
use wcodec_kernels::{
    Block, BlockError, DecodeSpace, Decoded, Level, Place, Prediction, STREAMS_AT_ONCE, Sorted,
    Source, Tiles, Transform,
};

/// Most blocks that are handed to a kernel at once: where one ends, another takes its place beside the rest. Those with a
/// base or contexts hold something for each element, which should stay in the cache, and are as many as go side by side.
const MOST_AT_ONCE: usize = 4 * STREAMS_AT_ONCE;
/// And most elements of them, if they are more than go side by side: tiles, and classes of rows, are held for each block.
const MOST_ELEMENTS: usize = 4 << 20;

/// What all blocks of a segment have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockFormat {
    pub(crate) element: ElementType,
    pub(crate) scan: Scan,
    pub(crate) tile: TileConfig,
}

impl BlockFormat {
    /// The tiles of a block.
    pub(crate) fn tiling(&self, rows: usize, cols: usize) -> Tiling {
        Tiling::new(rows, cols, usize::from(self.tile.rows), usize::from(self.tile.cols))
    }
}

/// One block as it lies in the file.
#[derive(Clone, Copy)]
pub(crate) struct StoredBlock<'a> {
    pub(crate) id: BlockId,
    pub(crate) mode: Mode,
    pub(crate) payload: &'a [u8],
    pub(crate) checksum: u64,
}

/// A block to be decoded.
pub(crate) struct BlockJob<'a> {
    pub(crate) format: BlockFormat,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) stored: StoredBlock<'a>,
    pub(crate) side: &'a Side,
    /// Its first row and column in the group; `None` for the tail.
    pub(crate) corner: Option<(usize, usize)>,
    /// What it may be predicted from.
    pub(crate) base: Option<BaseRows<'a>>,
    /// What is known of its units, if its segment has contexts.
    pub(crate) contexts: Option<BlockContexts<'a>>,
    /// Where its elements go.
    pub(crate) place: Place,
}

/// The partners of a block's elements.
#[derive(Clone, Copy)]
pub(crate) struct BaseRows<'a> {
    /// From the first one on.
    pub(crate) bytes: &'a [u8],
    /// Bytes from one row to the next.
    pub(crate) pitch: usize,
    pub(crate) flip: bool,
}

impl<'a> BaseRows<'a> {
    /// The rows of a block.
    fn rows(&self, job: &BlockJob<'_>) -> impl Iterator<Item = &'a [u8]> {
        let (rows, width, pitch) = join_rows(job.rows, job.row_bytes(), self.pitch);
        let bytes = self.bytes;
        (0..rows).map(move |row| &bytes[row * pitch..][..width])
    }

    /// Makes them the elements of the block.
    fn copy_to(&self, job: &BlockJob<'_>, buffers: &mut [&mut [u8]]) {
        let Place { buffer, start, pitch, .. } = job.place;
        let width = job.row_bytes();
        for row in 0..job.rows {
            let partners = &self.bytes[row * self.pitch..][..width];
            buffers[buffer][start + row * pitch..][..width].copy_from_slice(partners);
        }
    }
}

/// Memory that one thread uses for block after block.
#[derive(Default)]
struct Scratch {
    space: DecodeSpace,
    bytes: Vec<u8>,
    /// Of blocks with units, as they are coded.
    coded: Vec<u8>,
    /// Not in use.
    sorted: Vec<Sorted>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl BlockJob<'_> {
    fn elements(&self) -> usize {
        self.rows * self.cols
    }

    pub(super) fn row_bytes(&self) -> usize {
        self.cols * self.format.element.size()
    }

    /// How its rows lie in its buffer, as [`join_rows`] has it.
    fn shape(&self) -> (usize, usize, usize) {
        join_rows(self.rows, self.row_bytes(), self.place.pitch)
    }

    /// Its rows in the buffers.
    fn rows<'b>(&self, buffers: &'b mut [&mut [u8]]) -> impl Iterator<Item = &'b mut [u8]> {
        let Place { buffer, start, .. } = self.place;
        let (rows, width, pitch) = self.shape();
        let rows = buffers[buffer][start..].chunks_mut(pitch).take(rows);
        rows.map(move |row| &mut row[..width])
    }

    /// The checksum of its rows in the buffers.
    fn checksum(&self, level: Level, head: usize, buffers: &[&mut [u8]]) -> u64 {
        let Place { buffer, start, .. } = self.place;
        let (bytes, head) = (&buffers[buffer][start..], &self.stored.payload[..head]);
        rows_checksum(level, self.stored.id, head, bytes, self.shape())
    }

    /// Fills its rows with the elements of `block`.
    fn fill(&self, block: &[u8], buffers: &mut [&mut [u8]]) {
        let mut rest = block;
        for row in self.rows(buffers) {
            let (now, later) = rest.split_at(row.len());
            row.copy_from_slice(now);
            rest = later;
        }
    }
}

/// Decodes blocks to their places and checks each against its checksum.
pub(crate) fn decode_blocks(
    level: Level,
    jobs: &[BlockJob<'_>],
    buffers: &mut [&mut [u8]],
) -> Vec<Result<Stats>> {
    SCRATCH.with_borrow_mut(|scratch| decode_with(level, jobs, buffers, scratch))
}

fn decode_with(
    level: Level,
    jobs: &[BlockJob<'_>],
    buffers: &mut [&mut [u8]],
    scratch: &mut Scratch,
) -> Vec<Result<Stats>> {
    let mut results = Vec::with_capacity(jobs.len());
    let mut rest = jobs;
    while !rest.is_empty() {
        let next = rest.iter().take(MOST_AT_ONCE);
        let held = |job: &BlockJob<'_>| job.base.is_some() || job.contexts.is_some();
        let sums = next.clone().scan(0, |sum, job| {
            *sum += job.elements();
            Some(*sum)
        });
        let most = match next.clone().any(held) {
            true => STREAMS_AT_ONCE,
            false => sums.take_while(|&sum| sum <= MOST_ELEMENTS).count().max(STREAMS_AT_ONCE),
        };
        // Of even sizes: a block alone takes nearly as long as several.
        let rounds = rest.len().div_ceil(most);
        let (now, later) = rest.split_at(rest.len().div_ceil(rounds));
        decode_some(level, now, buffers, scratch, &mut results);
        rest = later;
    }
    results
}

/// Decodes blocks whose heads are in memory at the same time.
fn decode_some(
    level: Level,
    jobs: &[BlockJob<'_>],
    buffers: &mut [&mut [u8]],
    scratch: &mut Scratch,
    results: &mut Vec<Result<Stats>>,
) {
    let mut parsed: Vec<Result<Parsed<'_>>> =
        jobs.iter().map(|job| parse(level, job, buffers, scratch)).collect();
    decode_coded(level, jobs, &mut parsed, buffers, scratch);
    let checked = jobs.iter().zip(parsed).map(|(job, parsed)| {
        let Parsed { stats, coded, checksum } = parsed?;
        scratch.sorted.extend(coded.and_then(|coded| coded.sorted));
        let found = checksum.unwrap_or_else(|| unreachable!("all elements are hashed"));
        if checksum::matches(found, job.stored.checksum) {
            return Ok(stats);
        }
        let what = match stats.base_elements {
            0 => "block",
            _ => "block (it is damaged, or its base was changed)",
        };
        Err(Error::checksum(what, found, job.stored.checksum))
    });
    results.extend(checked);
}

/// Decodes those of the blocks that are coded, and hashes them on the way.
fn decode_coded(
    level: Level,
    jobs: &[BlockJob<'_>],
    parsed: &mut [Result<Parsed<'_>>],
    buffers: &mut [&mut [u8]],
    scratch: &mut Scratch,
) {
    let (mut blocks, mut numbers, mut finishes) = (Vec::new(), Vec::new(), Vec::new());
    let mut units = Vec::new();
    let Scratch { space, coded: room, .. } = scratch;
    let mut start = 0;
    for (number, (job, parsed)) in jobs.iter().zip(&*parsed).enumerate() {
        if let Ok(Parsed { coded: Some(coded), .. }) = parsed {
            let block = coded.block(job);
            units.push(coded.units().map(|units| (units, start)));
            blocks.push(match coded.units() {
                None => block,
                // One long row, to be taken apart.
                Some(_) => {
                    let (cols, buffer) = (job.elements(), buffers.len());
                    let place = Place { buffer, start, pitch: cols, streamed: false };
                    start += cols;
                    Block { rows: 1, cols, place, ..block }
                }
            });
            finishes.push(coded.finish(job));
            numbers.push(number);
        }
    }
    if room.len() < start {
        room.resize(start, 0);
    }
    let mut each = |piece: Decoded<'_>| {
        if units[piece.block].is_none() {
            finishes[piece.block].piece(level, piece);
        }
    };
    let verdicts = {
        let mut buffers: Vec<&mut [u8]> = buffers.iter_mut().map(|buffer| &mut **buffer).collect();
        buffers.push(&mut *room);
        wcodec_kernels::decode_blocks(level, &blocks, &mut buffers, space, &mut each)
    };
    let whole = finishes.iter_mut().zip(&units).zip(&verdicts);
    for ((finish, units), _) in whole.filter(|(_, verdict)| verdict.is_ok()) {
        if let Some((units, start)) = *units {
            finish.units(level, units, &room[start..], buffers);
        }
    }
    let hashes: Vec<BlockHash> = finishes.into_iter().map(Finish::into_hash).collect();
    drop(blocks);
    for ((number, verdict), hash) in numbers.into_iter().zip(verdicts).zip(hashes) {
        let Ok(block) = &mut parsed[number] else { continue };
        let Err(BlockError { plane, error }) = verdict else {
            block.checksum = hash.finish();
            continue;
        };
        let why = match block.coded.take().and_then(|coded| coded.sorted) {
            None => "",
            Some(_) => " (it is damaged, or its base was changed)",
        };
        parsed[number] = Err(corrupt!("plane {plane}: {error}{why}"));
    }
}

/// A block whose head was read. All but coded blocks are in place by then.
struct Parsed<'a> {
    stats: Stats,
    coded: Option<CodedBlock<'a>>,
    /// Of the elements that are in place; coded blocks get it when they are decoded.
    checksum: Option<u64>,
}

/// What the streams of a coded block need.
struct CodedBlock<'a> {
    head: Head,
    payload: &'a [u8],
    /// Of each plane that is coded.
    tables: Vec<Option<PlaneTables<'a>>>,
    tiles: Option<(Tiling, Vec<Predictor>)>,
    /// The elements by base class, if a plane has these.
    sorted: Option<Sorted>,
    /// Whether planes hold what predicted means have left of elements.
    means: bool,
}

fn parse<'a>(
    level: Level,
    job: &BlockJob<'a>,
    buffers: &mut [&mut [u8]],
    scratch: &mut Scratch,
) -> Result<Parsed<'a>> {
    let payload = job.stored.payload;
    let bytes = job.rows * job.row_bytes();
    let mut stats = Stats {
        elements: job.elements() as u64,
        original_bytes: bytes as u64,
        coded_bytes: payload.len() as u64,
        blocks: 1,
        ..Stats::default()
    };
    let (mut head, mut coded) = (0, None);
    match job.stored.mode {
        Mode::Raw => {
            if payload.len() != bytes {
                let have = payload.len();
                return Err(corrupt!("raw block of {have} bytes, expected {bytes}"));
            }
            job.fill(payload, buffers);
        }
        Mode::Constant => {
            let size = job.format.element.size();
            if payload.len() != size {
                let have = payload.len();
                return Err(corrupt!("constant block of {have} bytes, expected {size}"));
            }
            job.rows(buffers).for_each(|row| match payload {
                [byte] => row.fill(*byte),
                _ => row.chunks_exact_mut(size).for_each(|e| e.copy_from_slice(payload)),
            });
        }
        Mode::Zstd => {
            scratch.bytes.resize(bytes, 0);
            frame::decompress_into(payload, &mut scratch.bytes)?;
            job.fill(&scratch.bytes, buffers);
            head = payload.len();
        }
        Mode::Coded => {
            let parsed = CodedBlock::parse(level, job, &mut stats, &mut scratch.sorted)?;
            head = parsed.head.len;
            match parsed.equal_base(job) {
                Some(base) => base.copy_to(job, buffers),
                None => coded = Some(parsed),
            }
        }
        Mode::Side => return Err(corrupt!("side block where a block of elements is expected")),
    }
    // What was just written is still in the cache.
    let checksum = coded.is_none().then(|| job.checksum(level, head, buffers));
    Ok(Parsed { stats, coded, checksum })
}

impl<'a> CodedBlock<'a> {
    fn parse(
        level: Level,
        job: &BlockJob<'a>,
        stats: &mut Stats,
        free: &mut Vec<Sorted>,
    ) -> Result<CodedBlock<'a>> {
        let payload = job.stored.payload;
        let head = Head::read(job.format.element, job.elements(), payload, payload.len())?;
        head.check_padding(payload)?;
        check_base(&head, job.base.is_some())?;
        let sorted = head.has_base_classes().then(|| sort(level, job, free)).transpose()?;
        let mut tables = Vec::with_capacity(head.planes.len());
        for (number, plane) in head.planes.iter().enumerate() {
            let stream = &payload[plane.stream.clone()];
            if matches!(plane.kind, Kind::Raw) {
                check_spare_bits(stream, job.elements(), plane.width)?;
            }
            let sorted = sorted.as_ref();
            tables.push(PlaneTables::of(level, job, (number, plane, stream), sorted)?);
        }
        let tiling = job.format.tiling(job.rows, job.cols);
        let means = job.corner.and_then(|_| job.side.use_of_means(job.format.element));
        let means = means.is_some_and(|of| of.applies(head.has_classes()));
        let map = count_head(level, &head, (payload, tiling), means, stats)?;
        let tiles = map.map(|map| (tiling, map));
        if tiles.is_some()
            && matches!(tables.first(), Some(Some(tables)) if tables.units().is_some())
        {
            return Err(corrupt!("a tile map with the context scan"));
        }
        Ok(CodedBlock { head, payload, tables, tiles, sorted, means })
    }

    fn block(&self, job: &BlockJob<'_>) -> Block<'_> {
        let planes = self.head.planes.iter().zip(&self.tables);
        let planes = planes.map(|(plane, tables)| {
            let stream = &self.payload[plane.stream.clone()];
            let source = match (&plane.kind, tables) {
                (Kind::Constant(value), _) => Source::Constant(*value),
                (_, None) => Source::Packed(stream),
                (_, Some(tables)) => {
                    Source::Coded(tables.coded(stream, job.format.scan, self.sorted.as_ref()))
                }
            };
            wcodec_kernels::Plane { width: plane.width, source }
        });
        let tiles = self.tiles.as_ref();
        Block {
            element: job.format.element.kernel(),
            rows: job.rows,
            cols: job.cols,
            planes: planes.collect(),
            tiles: tiles.map(|(tiling, predictors)| Tiles { tiling: *tiling, predictors }),
            place: job.place,
        }
    }

    /// The units that its only plane is coded in.
    fn units(&self) -> Option<&Units> {
        self.tables.first()?.as_ref()?.units()
    }

    /// What is to be done with its elements behind the streams.
    fn finish<'b>(&'b self, job: &'b BlockJob<'b>) -> Finish<'b> {
        let head = &self.payload[..self.head.len];
        Finish::new(job, self.means, self.head.prediction, head)
    }

    /// The partners of the elements, if these are known to be the same.
    fn equal_base<'b>(&self, job: &BlockJob<'b>) -> Option<BaseRows<'b>> {
        let base = job.base.filter(|base| !base.flip && !self.means)?;
        // What the prediction leaves of equal elements, its informative bits first, is 0 but for the highest bit.
        let top = match (self.head.prediction?, job.format.element.kernel().transform()) {
            (_, Transform::RotateSign) | (Prediction::Xor, Transform::Identity) => 0,
            (_, Transform::FlipSign) | (Prediction::Difference, Transform::Identity) => 1,
        };
        let mut planes = self.head.planes.iter().enumerate();
        let equal = planes.all(|(number, plane)| {
            let value = if number == 0 { top << (plane.width - 1) } else { 0 };
            matches!(plane.kind, Kind::Constant(constant) if constant == value)
        });
        equal.then_some(base)
    }
}

/// Sorts the elements of a block by base class.
fn sort(level: Level, job: &BlockJob<'_>, free: &mut Vec<Sorted>) -> Result<Sorted> {
    let (Some(based), Some(base)) = (&job.side.based, job.base) else {
        return Err(corrupt!("a plane has base classes, its group has none"));
    };
    let mut sorted = free.pop().unwrap_or_default();
    based.map.sort(level, job.format.element, base.rows(job), &mut sorted);
    Ok(sorted)
}

/// A block may be predicted from a base only where its segment refers to one.
fn check_base(head: &Head, has_base: bool) -> Result<()> {
    if head.prediction.is_some() && !has_base {
        return Err(corrupt!("the block is predicted from a base, its segment has none"));
    }
    Ok(())
}

/// Counts what the head tells of: tiles, tables, map, classes; and predicted means if it has some.
/// Returns the map if there is one.
fn count_head(
    level: Level,
    head: &Head,
    (payload, tiling): (&[u8], Tiling),
    means: bool,
    stats: &mut Stats,
) -> Result<Option<Vec<Predictor>>> {
    stats.tiles = tiling.count() as u64;
    stats.table_bytes = head.table_bytes as u64;
    let elements = (tiling.rows() * tiling.cols()) as u64;
    stats.scaled_elements = if head.has_classes() { elements } else { 0 };
    stats.predicted_elements = if means { elements } else { 0 };
    stats.base_elements = if head.prediction.is_some() { elements } else { 0 };
    stats.base_class_elements = if head.has_base_classes() { elements } else { 0 };
    let Some(map) = &head.map else {
        stats.tiles_by_predictor[Predictor::None as usize] = stats.tiles;
        return Ok(None);
    };
    stats.map_bytes = map.len() as u64;
    let map = predict::map::read(level, &payload[map.clone()], tiling.count())?;
    for &p in &map {
        stats.tiles_by_predictor[p as usize] += 1;
    }
    Ok(Some(map))
}

/// What the head of a coded block of `payload_len` bytes tells, without its streams.
pub(crate) fn head_stats(
    level: Level,
    format: &BlockFormat,
    (rows, cols): (usize, usize),
    (head, payload_len): (&[u8], usize),
    (means, has_base): (Option<Use>, bool),
) -> Result<Stats> {
    let parsed = Head::read(format.element, rows * cols, head, payload_len)?;
    check_base(&parsed, has_base)?;
    let mut stats = Stats::default();
    let tiling = format.tiling(rows, cols);
    let means = means.is_some_and(|of| of.applies(parsed.has_classes()));
    count_head(level, &parsed, (head, tiling), means, &mut stats)?;
    Ok(stats)
}

/// Unused bits behind the last element of a raw plane must be zero.
fn check_spare_bits(stream: &[u8], elements: usize, width: u32) -> Result<()> {
    let used = elements * width as usize % 8;
    match stream.last() {
        Some(last) if used > 0 && last >> used != 0 => {
            Err(corrupt!("unused bits of a raw plane are not zero"))
        }
        _ => Ok(()),
    }
}
