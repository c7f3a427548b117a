//! Encoding a block, in two steps: a draft that counts its symbols, then, once the tables of its
//! group are chosen, its payload.

use super::decode::BlockFormat;
use super::head::{self, Kind, PlaneOut};
use super::{Mode, scan};
use crate::checksum::{BlockId, block_checksum};
use crate::dtype::{ElementType, Transform};
use crate::entropy::cost::BIT;
use crate::entropy::count;
use crate::entropy::table::{RankOf, Table};
use crate::error::Result;
use crate::frame;
use crate::geometry::Rect;
use crate::planes::{MAX_RAW_WIDTH, extract_onto, fields_of_bytes};
use crate::predict::{self, Predictor, PredictorSet, Tiling};
use crate::stats::Stats;
use wcodec_kernels::{ByteCounts, EncodeTable, Level, Steps};

/// How the elements of a group are split into planes.
#[derive(Clone, Debug)]
pub(crate) struct Split {
    /// Widths from high to low.
    pub(crate) planes: Vec<PlanePlan>,
    /// Predictors worth trying on the first plane.
    pub(crate) predictors: PredictorSet,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct PlanePlan {
    pub(crate) width: u32,
    /// Whether entropy coding may gain.
    pub(crate) coded: bool,
}

/// A finished block.
pub(crate) struct EncodedBlock {
    pub(crate) mode: Mode,
    pub(crate) payload: Vec<u8>,
    pub(crate) checksum: u64,
    pub(crate) stats: Stats,
}

/// A block with its symbols counted. The symbols themselves are not kept: making them again is
/// cheaper than the memory they would take.
pub(crate) struct Draft {
    rect: Rect,
    constant: bool,
    pub(crate) planes: Vec<DraftPlane>,
    predictors: Option<Vec<Predictor>>,
}

pub(crate) enum DraftPlane {
    Raw { width: u32 },
    Constant { width: u32, value: u16 },
    Counted { width: u32, counts: Vec<u32> },
}

impl DraftPlane {
    fn from_counts(width: u32, coded: bool, counts: Vec<u32>) -> DraftPlane {
        let mut present = (0..=u16::MAX).zip(&counts).filter(|(_, count)| **count > 0);
        match (present.next(), present.next()) {
            (Some((value, _)), None) => DraftPlane::Constant { width, value },
            _ if !coded && width <= MAX_RAW_WIDTH => DraftPlane::Raw { width },
            _ => DraftPlane::Counted { width, counts },
        }
    }

    fn width(&self) -> u32 {
        match self {
            DraftPlane::Raw { width }
            | DraftPlane::Constant { width, .. }
            | DraftPlane::Counted { width, .. } => *width,
        }
    }
}

/// Buffers that one thread uses for block after block.
#[derive(Default)]
pub(crate) struct Scratch {
    gathered: Vec<u8>,
    symbols: Vec<u16>,
    narrow: Vec<u8>,
    space: Vec<u8>,
}

/// The table that a plane of a block takes, shared tables by number.
pub(crate) enum TableChoice {
    Raw,
    Own(Table),
    Shared(u16),
}

/// A table ready for encoding.
pub(crate) struct PreparedTable {
    pub(crate) table: Table,
    encoder: EncodeTable,
    ranks: RankOf,
}

impl PreparedTable {
    pub(crate) fn new(table: Table) -> Result<PreparedTable> {
        let encoder = table.encoder()?;
        let ranks = table.ranks();
        Ok(PreparedTable { table, encoder, ranks })
    }
}

/// The rows of a rectangle out of a group's bytes, the first of them being element `base`; as one
/// if they are contiguous.
fn rows(group: &[u8], base: u64, rect: Rect, size: usize) -> impl Iterator<Item = &[u8]> {
    let start = (rect.start - base) as usize * size;
    let contiguous = rect.rows == 1 || rect.stride == rect.cols as u64;
    let (count, length) = if contiguous { (1, rect.elements()) } else { (rect.rows, rect.cols) };
    let pitch = rect.stride as usize * size;
    (0..count).map(move |row| &group[start + row * pitch..][..length * size])
}

/// The elements of a rectangle in row-major order; copied to `buffer` unless they are contiguous.
pub(crate) fn gather<'a>(
    group: &'a [u8],
    base: u64,
    rect: Rect,
    size: usize,
    buffer: &'a mut Vec<u8>,
) -> &'a [u8] {
    let mut rows = rows(group, base, rect, size);
    if let (1, Some(whole)) = (rows.size_hint().0, rows.next()) {
        return whole;
    }
    buffer.clear();
    self::rows(group, base, rect, size).for_each(|row| buffer.extend_from_slice(row));
    buffer
}

impl Draft {
    /// Drafts the block of `group`'s bytes (the first of them being element `base`) at `rect`.
    pub(crate) fn new(
        format: &BlockFormat,
        group: &[u8],
        base: u64,
        rect: Rect,
        split: &Split,
        scratch: &mut Scratch,
    ) -> Draft {
        let element = format.element;
        let symbols = &mut scratch.symbols;
        let mut draft = Draft { rect, constant: false, planes: Vec::new(), predictors: None };
        // Elements of one byte are counted once; the counts of every plane follow.
        let by_byte = (element.size() == 1).then(|| {
            let mut counts = ByteCounts::default();
            rows(group, base, rect, 1).for_each(|row| counts.add(row));
            counts.counts()
        });
        let mut shift = element.bits();
        for (index, &PlanePlan { width, coded }) in split.planes.iter().enumerate() {
            shift -= width;
            let predicted = index == 0 && split.predictors != PredictorSet::NONE;
            if let (Some(by_byte), false) = (&by_byte, predicted) {
                let mut counts = vec![0; 1 << width];
                for (field, count) in fields_of_bytes(element, shift, width).iter().zip(by_byte) {
                    counts[usize::from(*field)] += count;
                }
                draft.planes.push(DraftPlane::from_counts(width, coded, counts));
                continue;
            }
            if !coded && width <= MAX_RAW_WIDTH {
                // A few elements mostly show that a raw plane is not constant.
                let few = rows(group, base, rect, element.size()).next().unwrap_or_default();
                let few = &few[..few.len().min(64 * element.size())];
                symbols.clear();
                extract_onto(element, few, shift, width, symbols);
                if symbols.iter().any(|&s| s != symbols[0]) {
                    draft.planes.push(DraftPlane::Raw { width });
                    continue;
                }
            }
            symbols.clear();
            for row in rows(group, base, rect, element.size()) {
                extract_onto(element, row, shift, width, symbols);
            }
            if symbols.iter().all(|&s| s == symbols[0]) {
                draft.planes.push(DraftPlane::Constant { width, value: symbols[0] });
                continue;
            }
            if !coded && width <= MAX_RAW_WIDTH {
                draft.planes.push(DraftPlane::Raw { width });
                continue;
            }
            if predicted {
                let tiling = Tiling::new(rect.rows, rect.cols, format.tile);
                if let Some(predictors) = predict::choose(symbols, tiling, width, split.predictors)
                {
                    predict::subtract(symbols, tiling, width, &predictors);
                    draft.predictors = Some(predictors);
                }
            }
            let counts = count(symbols, width);
            draft.planes.push(DraftPlane::Counted { width, counts });
        }
        draft.constant =
            draft.planes.iter().all(|plane| matches!(plane, DraftPlane::Constant { .. }));
        draft
    }

    /// The lanes of a coded plane: their states are part of its price.
    fn steps(&self, format: &BlockFormat) -> Steps {
        scan::steps(format.scan, self.rect.rows, self.rect.cols)
    }

    /// Price of plane `index` with a table of its own and the table, or raw, whichever is less.
    pub(crate) fn own_choice(&self, format: &BlockFormat, index: usize) -> (u64, TableChoice) {
        let raw = match &self.planes[index] {
            DraftPlane::Counted { width, .. } if *width <= MAX_RAW_WIDTH => {
                self.rect.elements() as u64 * u64::from(*width) * BIT
            }
            _ => u64::MAX,
        };
        // A plane that is predicted cannot go raw: its symbols are residuals.
        let raw = if index == 0 && self.predictors.is_some() { u64::MAX } else { raw };
        if let DraftPlane::Counted { width, counts } = &self.planes[index]
            && let Some(table) = Table::from_counts(counts)
            && let Some(bits) = table.cost(counts)
        {
            let overhead = table.written_len(*width) + 4 * self.steps(format).lanes();
            let bits = bits + overhead as u64 * 8 * BIT;
            if bits < raw {
                return (bits, TableChoice::Own(table));
            }
        }
        (raw, TableChoice::Raw)
    }

    /// Price of plane `index` under a shared table; `None` if the table lacks one of its symbols.
    pub(crate) fn shared_cost(
        &self,
        format: &BlockFormat,
        index: usize,
        table: &Table,
    ) -> Option<u64> {
        match &self.planes[index] {
            DraftPlane::Counted { counts, .. } => {
                Some(table.cost(counts)? + 32 * self.steps(format).lanes() as u64 * BIT)
            }
            _ => None,
        }
    }

    /// Encodes the block out of the bytes that it was drafted from. `choices` has one entry per
    /// plane, `shared` the tables of the group with their widths. `zstd` tries that as well.
    #[expect(clippy::too_many_arguments, reason = "one caller; a struct would only rename them")]
    pub(crate) fn finish(
        self,
        level: Level,
        format: &BlockFormat,
        id: BlockId,
        group: &[u8],
        base: u64,
        (choices, shared): (Vec<TableChoice>, &[(u32, PreparedTable)]),
        zstd: bool,
        scratch: &mut Scratch,
    ) -> Result<EncodedBlock> {
        let size = format.element.size();
        let Scratch { gathered, symbols, narrow, space } = scratch;
        let bytes = gather(group, base, self.rect, size, gathered);
        let mut stats = Stats::default();
        let (mut mode, mut payload, mut head) = (Mode::Raw, None, 0);
        if self.constant {
            (mode, payload) = (Mode::Constant, Some(bytes[..size].to_vec()));
        } else if let Some((coded, head_len)) = self.code(
            level,
            format,
            bytes,
            (choices, shared),
            (symbols, narrow, space),
            &mut stats,
        )? {
            (mode, payload, head) = (Mode::Coded, Some(coded), head_len);
        }
        if zstd && !self.constant {
            let frame = frame::compress(bytes, zstd_level(format.element, bytes.len()))?;
            if frame.len() < payload.as_ref().map_or(bytes.len(), Vec::len) {
                head = frame.len();
                (mode, payload) = (Mode::Zstd, Some(frame));
            }
        }
        if mode != Mode::Coded {
            stats = Stats::default();
        }
        let payload = payload.unwrap_or_else(|| bytes.to_vec());
        let checksum = block_checksum(id, &payload[..head], bytes);
        stats.original_bytes = bytes.len() as u64;
        stats.coded_bytes = payload.len() as u64;
        stats.elements = self.rect.elements() as u64;
        stats.blocks = 1;
        Ok(EncodedBlock { mode, payload, checksum, stats })
    }

    /// The payload of a coded block and the length of its head; `None` if it would not be smaller
    /// than the elements.
    fn code(
        &self,
        level: Level,
        format: &BlockFormat,
        bytes: &[u8],
        (choices, shared): (Vec<TableChoice>, &[(u32, PreparedTable)]),
        (symbols, narrow, space): (&mut Vec<u16>, &mut Vec<u8>, &mut Vec<u8>),
        stats: &mut Stats,
    ) -> Result<Option<(Vec<u8>, usize)>> {
        let tiling = Tiling::new(self.rect.rows, self.rect.cols, format.tile);
        let mut planes = Vec::with_capacity(self.planes.len());
        let rotated = format.element.transform() == Transform::RotateSign;
        let mut shift = format.element.bits();
        for (plane, choice) in self.planes.iter().zip(choices) {
            let width = plane.width();
            shift -= width;
            if let DraftPlane::Constant { value, .. } = plane {
                planes.push(PlaneOut { width, kind: Kind::Constant(*value), stream: Vec::new() });
                continue;
            }
            narrow.clear();
            // Elements of one byte go from bytes to ranks by one table.
            let predictors = self.predictors.as_ref().filter(|_| planes.is_empty());
            let fields = (format.element.size() == 1 && predictors.is_none())
                .then(|| fields_of_bytes(format.element, shift, width));
            let fields = fields.as_deref();
            if fields.is_none() {
                symbols.clear();
                extract_onto(format.element, bytes, shift, width, symbols);
                if let Some(predictors) = predictors {
                    predict::subtract(symbols, tiling, width, predictors);
                }
            }
            let prepared;
            let (kind, table) = match choice {
                TableChoice::Raw if width > MAX_RAW_WIDTH => return Ok(None),
                TableChoice::Raw => {
                    let mut stream = Vec::new();
                    if fields.is_some() && shift == 0 && !rotated {
                        // The lowest bits of the bytes themselves; packing masks the others.
                        wcodec_kernels::pack_bits(bytes, width, &mut stream);
                    } else {
                        to_bytes(fields, bytes, symbols, narrow, |s| s as u8);
                        wcodec_kernels::pack_bits(narrow, width, &mut stream);
                    }
                    planes.push(PlaneOut { width, kind: Kind::Raw, stream });
                    continue;
                }
                TableChoice::Own(table) => {
                    stats.table_bytes += table.written_len(width) as u64;
                    prepared = PreparedTable::new(table)?;
                    (Kind::Own(prepared.table.clone()), &prepared)
                }
                TableChoice::Shared(number) => {
                    (Kind::Shared(number), &shared[usize::from(number)].1)
                }
            };
            to_bytes(fields, bytes, symbols, narrow, |s| table.ranks.get(s));
            let turned = scan::to_coding_order(format.scan, narrow, self.rect.cols);
            let ranks = turned.as_ref().unwrap_or(narrow);
            let mut stream = Vec::new();
            let steps = self.steps(format);
            wcodec_kernels::encode(level, &table.encoder, ranks, steps, space, &mut stream);
            planes.push(PlaneOut { width, kind, stream });
        }
        stats.tiles = tiling.count() as u64;
        let map = match &self.predictors {
            Some(predictors) => {
                for &p in predictors {
                    stats.tiles_by_predictor[p as usize] += 1;
                }
                predict::map::write(level, predictors)?
            }
            None => {
                stats.tiles_by_predictor[Predictor::None as usize] = stats.tiles;
                Vec::new()
            }
        };
        stats.map_bytes = map.len() as u64;
        let (payload, head) = head::write(&planes, &map);
        Ok((payload.len() < bytes.len()).then_some((payload, head)))
    }
}

/// Appends `narrow` of every symbol to `out`; symbols come from elements of one byte by their
/// `fields`, or are there already.
fn to_bytes(
    fields: Option<&[u16]>,
    bytes: &[u8],
    symbols: &[u16],
    out: &mut Vec<u8>,
    narrow: impl Fn(u16) -> u8,
) {
    match fields {
        Some(fields) => {
            let mut by_byte = [0; 256];
            by_byte.iter_mut().zip(fields).for_each(|(to, &field)| *to = narrow(field));
            out.extend(bytes.iter().map(|&b| by_byte[usize::from(b)]));
        }
        None => out.extend(symbols.iter().map(|&s| narrow(s))),
    }
}

/// Headers and other small pieces of bytes can afford a better level; tensors cannot.
fn zstd_level(element: ElementType, bytes: usize) -> i32 {
    if element == ElementType::Bytes && bytes < 1 << 20 { 9 } else { 3 }
}
