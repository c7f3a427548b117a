//! Encoding blocks, in two steps: a draft that counts symbols, then, once the tables of the group
//! are chosen, payloads.

use super::Mode;
use super::decode::BlockFormat;
use super::fields::{BlockBytes, FieldSource, FieldSpace, TopCounts};
use super::head::{Kind, PayloadWriter};
use crate::base::plan::BasePlan;
use crate::checksum::{BlockId, rows_checksum};
use crate::dtype::ElementType;
use crate::entropy::cost::BIT;
use crate::entropy::count;
use crate::entropy::table::{RankOf, Table};
use crate::error::Result;
use crate::frame;
use crate::geometry::{Rect, Scan};
use crate::planes::MAX_RAW_WIDTH;
use crate::pool::{Pool, Pooled};
use crate::predict::{self, Predictor, PredictorSet};
use crate::scale::BlockClasses;
use crate::scale::plan::{ScalePlan, View, split_fields};
use crate::stats::Stats;
use std::cell::RefCell;
use wcodec_kernels::predict::subtract;
use wcodec_kernels::{
    Classes, EncodeSpace, EncodeTable, Level, Prediction, Sorted, Steps, SymbolsJob, extract_bytes,
    to_coding_order,
};

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
    pub(crate) payload: Pooled,
    pub(crate) checksum: u64,
    pub(crate) stats: Stats,
}

/// What all blocks of a group are encoded with.
#[derive(Clone, Copy)]
pub(crate) struct GroupFormat<'a> {
    /// Where payloads get their memory.
    pub(crate) pool: &'a Pool,
    pub(crate) level: Level,
    pub(crate) format: BlockFormat,
    /// The elements of the group.
    pub(crate) bytes: &'a [u8],
    /// Those, or what predictions from a base leave of them.
    pub(crate) elements: &'a [u8],
    /// What planes are taken from: those, or what is left of them where signs are predicted.
    pub(crate) coded: &'a [u8],
    /// Counts of these.
    pub(crate) tops: &'a TopCounts,
    /// What each block is predicted by; empty without a base.
    pub(crate) predictions: &'a [Option<Prediction>],
    /// The partners of the elements; empty without a base.
    pub(crate) partners: &'a [u8],
    /// Number of the first of them.
    pub(crate) base: u64,
}

/// A block with its symbols counted. The symbols themselves are not kept: making them again is
/// cheaper than the memory they would take.
pub(crate) struct Draft {
    rect: Rect,
    prediction: Option<Prediction>,
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

/// The table that a plane of a block takes, shared tables by number.
#[derive(Clone)]
pub(crate) enum TableChoice {
    Raw,
    Own(Table),
    Shared(u16),
    /// The tables of the group's scale classes.
    Classes,
    /// Those of its base classes.
    BaseClasses,
}

/// The tables that the blocks of a group share, ready for encoding.
pub(crate) struct SharedTables {
    /// With their widths.
    pub(crate) tables: Vec<(u32, PreparedTable)>,
    pub(crate) scale: Option<ScalePlan>,
    pub(crate) based: Option<BasePlan>,
}

impl SharedTables {
    /// The number in the side block of a table of `tables`: those of the classes come first.
    fn number(&self, table: u16) -> u16 {
        let of_base = self.based.as_ref().map_or(0, BasePlan::table_count);
        table + (self.scale.as_ref().map_or(0, |plan| plan.tables.len()) + of_base) as u16
    }
}

/// A table ready for encoding.
pub(crate) struct PreparedTable {
    pub(crate) table: Table,
    pub(super) encoder: EncodeTable,
    pub(super) ranks: RankOf,
    /// By the lowest 8 bits of a symbol, if they tell it.
    pub(super) ranks_by_byte: Option<[u8; 256]>,
}

impl PreparedTable {
    pub(crate) fn new(table: Table) -> Result<PreparedTable> {
        let encoder = table.encoder()?;
        let ranks = table.ranks();
        let ranks_by_byte = table.ranks_by_byte();
        Ok(PreparedTable { table, encoder, ranks, ranks_by_byte })
    }
}

/// Memory that one thread uses for block after block.
#[derive(Default)]
struct Scratch {
    fields: FieldSpace,
    turned: Vec<u8>,
    sorted: Vec<u8>,
    space: EncodeSpace,
    /// Of the blocks that are encoded side by side.
    ranks: Vec<Vec<u8>>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Draft {
    /// Drafts block `number` of a group, which lies at `rect`.
    pub(crate) fn new(
        group: GroupFormat<'_>,
        (number, rect): (usize, Rect),
        split: &Split,
    ) -> Draft {
        let prediction = group.predictions.get(number).copied().flatten();
        let draft = SCRATCH.with_borrow_mut(|scratch| Draft::with(group, rect, split, scratch));
        Draft { prediction, ..draft }
    }

    fn with(group: GroupFormat<'_>, rect: Rect, split: &Split, scratch: &mut Scratch) -> Draft {
        let GroupFormat { level, format, coded, tops, base, .. } = group;
        let element = format.element;
        let bytes = BlockBytes::new(coded, base, rect, element.size());
        let (planes, prediction) = (Vec::new(), None);
        let mut draft = Draft { rect, prediction, constant: false, planes, predictors: None };
        let mut shift = element.bits();
        for (index, &PlanePlan { width, coded }) in split.planes.iter().enumerate() {
            shift -= width;
            let source = FieldSource { level, element, bytes, shift, width };
            if index == 0 && split.predictors != PredictorSet::NONE {
                let symbols = &mut scratch.fields.symbols;
                source.symbols(symbols);
                if symbols.iter().any(|&s| s != symbols[0]) {
                    let tiling = format.tiling(rect.rows, rect.cols);
                    draft.predictors =
                        predict::choose(level, symbols, tiling, width, split.predictors);
                    if let Some(predictors) = &draft.predictors {
                        subtract(level, symbols, tiling, width, predictors);
                    }
                    let counts = count(symbols, width);
                    draft.planes.push(DraftPlane::Counted { width, counts });
                    continue;
                }
            } else if !coded && width <= MAX_RAW_WIDTH {
                // A few elements mostly show that a raw plane is not constant.
                let few = bytes.rows().next().unwrap_or_default();
                let few = &few[..few.len().min(64 * element.size())];
                scratch.fields.bytes.clear();
                extract_bytes(
                    level,
                    element.kernel(),
                    few,
                    shift,
                    width,
                    &mut scratch.fields.bytes,
                );
                if scratch.fields.bytes.iter().any(|&s| s != scratch.fields.bytes[0]) {
                    draft.planes.push(DraftPlane::Raw { width });
                    continue;
                }
            }
            let counts = tops.of(rect, &source, &mut scratch.fields);
            let counts = counts.unwrap_or_else(|| source.counts(&mut scratch.fields));
            draft.planes.push(DraftPlane::from_counts(width, coded, counts));
        }
        // What is all as predicted need not be all the same.
        draft.constant =
            draft.planes.iter().all(|plane| matches!(plane, DraftPlane::Constant { .. }))
                && BlockBytes::new(group.bytes, base, rect, element.size()).constant(element);
        draft
    }

    /// How often each value of the first plane occurs; empty if that is constant, `None` if it is
    /// predicted or not coded.
    pub(crate) fn counts_of_values(&self) -> Option<&[u32]> {
        match self.planes.first()? {
            DraftPlane::Counted { counts, .. } if self.predictors.is_none() => Some(counts),
            DraftPlane::Constant { .. } => Some(&[]),
            _ => None,
        }
    }

    /// What its raw planes take.
    pub(crate) fn raw_price(&self) -> u64 {
        let width = |plane: &DraftPlane| match plane {
            DraftPlane::Raw { width } => u64::from(*width),
            DraftPlane::Constant { .. } | DraftPlane::Counted { .. } => 0,
        };
        self.planes.iter().map(width).sum::<u64>() * self.rect.elements() as u64 * BIT
    }

    /// The lanes of a coded plane: their states are part of its price.
    fn steps(&self, format: &BlockFormat) -> Steps {
        Steps::of(format.scan, self.rect.rows, self.rect.cols)
    }

    /// Price of plane `index` with a table of its own and the table, or raw, whichever is less.
    pub(crate) fn own_choice(&self, format: &BlockFormat, index: usize) -> (u64, TableChoice) {
        let width = self.planes[index].width();
        let raw = self.rect.elements() as u64 * u64::from(width) * BIT;
        // A plane that is predicted cannot go raw: its symbols are residuals. Nor can a wide one; the
        // whole block then does.
        let predicted = index == 0 && self.predictors.is_some();
        let most = if predicted || width > MAX_RAW_WIDTH { u64::MAX } else { raw };
        if let DraftPlane::Counted { counts, .. } = &self.planes[index]
            && let Some(table) = Table::from_counts(counts)
            && let Some(bits) = table.cost(counts)
        {
            let overhead = table.written_len(width) + 4 * self.steps(format).lanes();
            let bits = bits + overhead as u64 * 8 * BIT;
            if bits < most {
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
}

/// A draft whose tables are chosen, with an entry for each plane.
pub(crate) struct Planned {
    pub(crate) id: BlockId,
    pub(crate) draft: Draft,
    pub(crate) choices: Vec<TableChoice>,
}

impl Planned {
    fn has_base_classes(&self) -> bool {
        self.choices.iter().any(|choice| matches!(choice, TableChoice::BaseClasses))
    }
}

/// A block while its streams are written.
struct Open<'a> {
    planned: Planned,
    /// Its elements, and what its planes are taken from.
    bytes: BlockBytes<'a>,
    coded: BlockBytes<'a>,
    ranks: &'a mut Vec<u8>,
    /// Its scale classes, if its first plane has them.
    classes: Option<BlockClasses>,
    /// Its elements by base class, if a plane has these.
    sorted: Option<Sorted>,
    /// What goes behind the next stream: low bits of its fields.
    low: Vec<u8>,
    /// Tables of its own, by plane.
    own: Vec<Option<PreparedTable>>,
    /// None if the block does not become a coded one.
    payload: Option<PayloadWriter>,
    stats: Stats,
}

/// Encodes blocks of a group, whose part of the view is `view`, side by side. `zstd` tries that as well.
pub(crate) fn finish(
    group: GroupFormat<'_>,
    view: &View<'_>,
    blocks: Vec<Planned>,
    shared: &SharedTables,
    zstd: bool,
) -> Result<Vec<EncodedBlock>> {
    SCRATCH.with_borrow_mut(|scratch| finish_with(group, view, blocks, shared, zstd, scratch))
}

fn finish_with(
    group: GroupFormat<'_>,
    view: &View<'_>,
    blocks: Vec<Planned>,
    shared: &SharedTables,
    zstd: bool,
    scratch: &mut Scratch,
) -> Result<Vec<EncodedBlock>> {
    let size = group.format.element.size();
    let mut buffers = std::mem::take(&mut scratch.ranks);
    buffers.resize_with(buffers.len().max(blocks.len()), Vec::new);
    // All drafts of a group are split alike.
    let widths: Vec<u32> = match blocks.first() {
        Some(block) => block.draft.planes.iter().map(DraftPlane::width).collect(),
        None => Vec::new(),
    };
    let mut open = Vec::with_capacity(blocks.len());
    for (planned, ranks) in blocks.into_iter().zip(&mut buffers) {
        let of = |bytes| BlockBytes::new(bytes, group.base, planned.draft.rect, size);
        let (bytes, coded) = (of(group.bytes), of(group.coded));
        let classes = match (planned.choices.first(), &shared.scale) {
            (Some(TableChoice::Classes), Some(plan)) => {
                view.block_classes(&plan.classes, planned.draft.rect)
            }
            _ => None,
        };
        let sorted = shared.based.as_ref().filter(|_| planned.has_base_classes()).map(|plan| {
            let mut sorted = Sorted::default();
            let element = group.format.element;
            plan.map.sort(group.level, element, of(group.partners).rows(), &mut sorted);
            sorted
        });
        let classes = (classes, sorted);
        open.push(Open::new((group, view), planned, (bytes, coded), (ranks, classes), shared)?);
    }
    let mut shift = group.format.element.bits();
    for (plane, width) in widths.into_iter().enumerate() {
        shift -= width;
        encode_plane(group, view, &mut open, (plane, shift, width), shared, scratch);
    }
    let encoded = open.into_iter().map(|block| block.close(group, zstd)).collect();
    scratch.ranks = buffers;
    encoded
}

/// Writes the streams of one plane of all blocks.
fn encode_plane(
    group: GroupFormat<'_>,
    view: &View<'_>,
    blocks: &mut [Open<'_>],
    (plane, shift, width): (usize, u32, u32),
    shared: &SharedTables,
    scratch: &mut Scratch,
) {
    let GroupFormat { level, format, .. } = group;
    let element = format.element;
    let encoders: Vec<&EncodeTable> =
        shared.scale.iter().flat_map(|plan| &plan.tables).map(|t| &t.encoder).collect();
    let of_base = shared.based.as_ref().and_then(|plan| plan.plane(plane));
    let base_encoders: Vec<&EncodeTable> =
        of_base.iter().flat_map(|plan| &plan.tables).map(|t| &t.encoder).collect();
    let mut starts = vec![None; blocks.len()];
    let mut of_steps = vec![None; blocks.len()];
    let mut jobs = Vec::with_capacity(blocks.len());
    for ((block, start), of_step) in blocks.iter_mut().zip(&mut starts).zip(&mut of_steps) {
        let Open { planned, coded, ranks, classes, sorted, own, payload, low, .. } = block;
        let Planned { draft, choices, .. } = planned;
        let constant = matches!(draft.planes[plane], DraftPlane::Constant { .. });
        let Some(payload) = payload.as_mut().filter(|_| !constant) else { continue };
        let out = payload.begin();
        *start = Some(out.len());
        ranks.clear();
        let source = FieldSource { level, element, bytes: *coded, shift, width };
        let table = match &choices[plane] {
            TableChoice::Raw => {
                source.pack(&mut scratch.fields, out);
                continue;
            }
            TableChoice::Own(_) => own[plane].as_ref(),
            TableChoice::Shared(number) => shared.tables.get(usize::from(*number)).map(|t| &t.1),
            TableChoice::Classes => {
                let (Some(plan), Some(classes)) = (&shared.scale, classes) else { continue };
                let fields = &mut scratch.turned;
                let (scan, cols) = (plan.classes.scan, draft.rect.cols);
                // Of what the predicted means leave.
                let source = view.field_source(draft.rect, width);
                source.in_coding_order(scan, cols, classes, &mut scratch.fields, fields);
                let steps = Steps::of(scan.kernel(), draft.rect.rows, cols);
                split_fields(level, &plan.tables, (steps, &classes.of_step), fields, ranks, low);
                let classes = Classes::per_step(&encoders, &classes.of_step);
                jobs.push(SymbolsJob { classes, ranks, steps, out });
                continue;
            }
            TableChoice::BaseClasses => {
                let (Some(of_plane), Some(sorted)) = (of_base, sorted) else { continue };
                let (fields, in_order) = (&mut scratch.turned, &mut scratch.sorted);
                source.in_row_order(fields);
                sorted.sort(group.level, fields, in_order);
                let steps = Steps::linear(in_order.len());
                let of_step = of_step.insert(sorted.of_steps(steps, &of_plane.of_class));
                split_fields(level, &of_plane.tables, (steps, of_step), in_order, ranks, low);
                let classes = Classes::per_step(&base_encoders, of_step);
                jobs.push(SymbolsJob { classes, ranks, steps, out });
                continue;
            }
        };
        let Some(table) = table else { continue };
        match draft.predictors.as_ref().filter(|_| plane == 0) {
            Some(predictors) => {
                let symbols = &mut scratch.fields.symbols;
                source.symbols(symbols);
                let tiling = format.tiling(draft.rect.rows, draft.rect.cols);
                subtract(level, symbols, tiling, width, predictors);
                ranks.extend(symbols.iter().map(|&s| table.ranks.get(s)));
            }
            None => source.ranks(table, &mut scratch.fields, ranks),
        }
        if format.scan == Scan::Column {
            scratch.turned.resize(ranks.len(), 0);
            to_coding_order(level, ranks, draft.rect.cols, &[], &mut scratch.turned);
            std::mem::swap(&mut scratch.turned, *ranks);
        }
        let classes = Classes::one(&table.encoder);
        jobs.push(SymbolsJob { classes, ranks, steps: draft.steps(&format), out });
    }
    wcodec_kernels::encode(level, &mut jobs, &mut scratch.space);
    drop(jobs);
    for (block, start) in blocks.iter_mut().zip(starts) {
        if let (Some(payload), Some(start)) = (&mut block.payload, start) {
            payload.append(&block.low);
            block.low.clear();
            payload.end(plane, start);
        }
    }
}

impl<'a> Open<'a> {
    fn new(
        (group, view): (GroupFormat<'_>, &View<'_>),
        planned: Planned,
        (bytes, coded): (BlockBytes<'a>, BlockBytes<'a>),
        (ranks, (classes, sorted)): (&'a mut Vec<u8>, (Option<BlockClasses>, Option<Sorted>)),
        shared: &SharedTables,
    ) -> Result<Open<'a>> {
        let Planned { draft, choices, .. } = &planned;
        let mut stats = Stats::default();
        let mut own: Vec<Option<PreparedTable>> = Vec::with_capacity(choices.len());
        let mut kinds = Vec::with_capacity(choices.len());
        let mut possible = !draft.constant;
        for (plane, choice) in draft.planes.iter().zip(choices) {
            let width = plane.width();
            let (kind, table) = match (plane, choice) {
                (DraftPlane::Constant { value, .. }, _) => (Kind::Constant(*value), None),
                (_, TableChoice::Raw) => (Kind::Raw, None),
                (_, TableChoice::Shared(table)) => (Kind::Shared(shared.number(*table)), None),
                (_, TableChoice::Classes) => {
                    stats.scaled_elements = draft.rect.elements() as u64;
                    (Kind::Classes, None)
                }
                (_, TableChoice::BaseClasses) => {
                    stats.base_class_elements = draft.rect.elements() as u64;
                    (Kind::BaseClasses, None)
                }
                (_, TableChoice::Own(table)) => {
                    stats.table_bytes += table.written_len(width) as u64;
                    let prepared = PreparedTable::new(table.clone())?;
                    (Kind::Own(table.clone()), Some(prepared))
                }
            };
            possible &= !(matches!(kind, Kind::Raw) && width > MAX_RAW_WIDTH);
            kinds.push((width, kind));
            own.push(table);
        }
        let scaled = stats.scaled_elements > 0;
        let means = shared.scale.as_ref().and_then(ScalePlan::use_of_means);
        if means.is_some_and(|of| of.applies(scaled)) && view.contains(draft.rect) {
            stats.predicted_elements = draft.rect.elements() as u64;
        }
        if draft.prediction.is_some() {
            stats.base_elements = draft.rect.elements() as u64;
        }
        let tiling = group.format.tiling(draft.rect.rows, draft.rect.cols);
        stats.tiles = tiling.count() as u64;
        let map = match &draft.predictors {
            Some(predictors) => {
                for &p in predictors {
                    stats.tiles_by_predictor[p as usize] += 1;
                }
                predict::map::write(group.level, predictors)?
            }
            None => {
                stats.tiles_by_predictor[Predictor::None as usize] = stats.tiles;
                Vec::new()
            }
        };
        stats.map_bytes = map.len() as u64;
        let payload = possible.then(|| {
            let mut room = group.pool.take();
            // Most blocks become smaller: growing step by step would copy them.
            room.clear();
            room.reserve(bytes.len());
            PayloadWriter::new(draft.prediction, &kinds, &map, room)
        });
        let low = Vec::new();
        Ok(Open { planned, bytes, coded, ranks, classes, sorted, low, own, payload, stats })
    }

    fn close(self, group: GroupFormat<'_>, zstd: bool) -> Result<EncodedBlock> {
        let Open { planned, bytes, payload, mut stats, .. } = self;
        let element = group.format.element;
        let (mut mode, mut head) = (Mode::Raw, 0);
        let (mut best, coded) = match payload {
            Some(payload) => {
                (mode, head) = (Mode::Coded, payload.head_len());
                (payload.finish(), true)
            }
            None => (group.pool.take(), false),
        };
        if !coded || best.len() >= bytes.len() {
            best.clear();
            (mode, head) = (Mode::Raw, 0);
            if planned.draft.constant {
                mode = Mode::Constant;
                best.extend_from_slice(&bytes.bytes()[..element.size()]);
            }
        }
        if zstd && mode != Mode::Constant {
            let mut whole = Vec::with_capacity(bytes.len());
            bytes.append_to(&mut whole);
            let frame = frame::compress(&whole, zstd_level(element, whole.len()))?;
            let least = if mode == Mode::Coded { best.len() } else { bytes.len() };
            if frame.len() < least {
                (mode, head) = (Mode::Zstd, frame.len());
                best.clear();
                best.extend_from_slice(&frame);
            }
        }
        if mode == Mode::Raw {
            bytes.append_to(&mut best);
        }
        if mode != Mode::Coded {
            stats = Stats::default();
        }
        let payload = best;
        let head = &payload[..head];
        let checksum = rows_checksum(group.level, planned.id, head, bytes.bytes(), bytes.shape());
        stats.original_bytes = bytes.len() as u64;
        stats.coded_bytes = payload.len() as u64;
        stats.elements = planned.draft.rect.elements() as u64;
        stats.blocks = 1;
        Ok(EncodedBlock { mode, payload, checksum, stats })
    }
}

/// Headers and other small pieces of bytes can afford a better level; tensors cannot.
fn zstd_level(element: ElementType, bytes: usize) -> i32 {
    if element == ElementType::Bytes && bytes < 1 << 20 { 9 } else { 3 }
}
