//! A group: the bands of a segment that share frequency tables. Chooses the field split, the
//! predictors worth trying and the tables, then encodes the blocks.

mod split;

use crate::base::classes::MAX_CLASS_WIDTH;
use crate::base::plan::BasePlan;
use crate::base::residual::{self, GroupBase, Residual};
use crate::block::decode::BlockFormat;
use crate::block::encode::{
    self, Draft, DraftPlane, EncodedBlock, GroupFormat, Planned, PreparedTable, SharedTables,
    Split, TableChoice,
};
use crate::block::fields::{BlockBytes, FieldSource, TopCounts};
use crate::block::{Mode, side};
use crate::checksum::{BlockId, block_checksum};
use crate::dtype::ElementType;
use crate::entropy::cost::{self, BIT};
use crate::entropy::count;
use crate::entropy::table::Table;
use crate::error::Result;
use crate::frame;
use crate::geometry::{Geometry, Rect};
use crate::options::ScaleOptions;
use crate::planes::extract;
use crate::pool::Pool;
use crate::predict::{self, PredictorSet};
use crate::scale::ClassScan;
use crate::scale::plan::{GroupContexts, ScalePlan, View};
use crate::stats::Stats;
use rayon::prelude::*;
use split::{first_widths, narrower};
use wcodec_kernels::predict::Tiling;
use wcodec_kernels::{Level, STREAMS_AT_ONCE};

/// Rectangles, and their side, looked at before predictors are tried on every tile.
const SAMPLE_RECTS: usize = 4;
const SAMPLE_SIDE: usize = 64;
/// The rectangles hold at most one element in so many, so that looking at a small layer does not
/// take longer than coding it.
const SAMPLE_SHARE: usize = 32;
/// Bits that prediction leaves are told in so many parts of those before.
const PARTS: u64 = 256;
/// A sample may see prediction this part too dear.
const PREDICTION_MARGIN: u64 = 50;
/// Base classes must save one part in this of the elements, or one part in this of what they take without.
const BASE_GAIN: u64 = 333;
const BASE_CODED_GAIN: u64 = 33;
/// And as many bytes, which the alignment of blocks may take.
const BASE_BYTES: u64 = 64;
/// What the tables of all other planes take in a side block, at most.
const OTHER_TABLES: usize = 16 << 10;
/// A side block costs a record and, on average, half its alignment.
const SIDE_BYTES: u64 = 24 + 8 + 32;

/// A group to be encoded.
pub(crate) struct GroupJob<'a> {
    pub(crate) segment: u32,
    pub(crate) geometry: Geometry,
    pub(crate) format: BlockFormat,
    pub(crate) group: u64,
    /// The elements of the group's bands.
    pub(crate) bytes: &'a [u8],
    pub(crate) predictors: PredictorSet,
    /// The partners of its elements, if the segment has a base.
    pub(crate) base: Option<GroupBase<'a>>,
    /// What is known of its units.
    pub(crate) contexts: Option<GroupContexts<'a>>,
    /// What scale classes may be; `None` for none.
    pub(crate) scale: Option<ScaleOptions>,
}

/// The blocks of an encoded group, and its side block's payload if the blocks use it.
pub(crate) struct EncodedGroup {
    /// Its number.
    pub(crate) group: u64,
    pub(crate) blocks: Vec<EncodedBlock>,
    pub(crate) side: Option<Vec<u8>>,
    /// Whether its classes take contexts.
    pub(crate) contexts: bool,
    pub(crate) stats: Stats,
}

/// The side block of a group, as a block.
pub(crate) fn side_block(id: BlockId, side: &[u8], pool: &Pool) -> EncodedBlock {
    let checksum = block_checksum(id, &[], side);
    let stats = Stats { blocks: 1, coded_bytes: side.len() as u64, ..Stats::default() };
    let mut payload = pool.take();
    payload.clear();
    payload.extend_from_slice(side);
    EncodedBlock { mode: Mode::Side, payload, checksum, stats }
}

impl<'a> GroupJob<'a> {
    /// The group's blocks: band, number across the segment, rectangle.
    fn blocks(&self) -> Vec<(u64, u64, Rect)> {
        self.geometry
            .group_range(self.group)
            .flat_map(|band| {
                let across = 0..self.geometry.blocks_in_band(band);
                across.map(move |across| (band, across, self.geometry.rect(band, across)))
            })
            .collect()
    }

    /// Number of the first element.
    fn first(&self) -> u64 {
        self.geometry.band_elements(self.geometry.group_range(self.group).start).start
    }

    /// Encodes the group. Block checksums depend on the block's number, which depends on whether
    /// the segment has side blocks; `side` fixes that where it is known, and `None` lets bits
    /// decide, which only a segment of one group may do.
    pub(crate) fn encode(
        &self,
        level: Level,
        side: Option<bool>,
        pool: &Pool,
    ) -> Result<EncodedGroup> {
        let blocks = self.blocks();
        let may_share = side != Some(false);
        let residual = self.residual(level, &blocks);
        let tops = self.tops(&blocks, false);
        let tops_left = residual.as_ref().map(|_| self.tops(&blocks, true));
        let plain = GroupFormat {
            pool,
            level,
            format: self.format,
            bytes: self.bytes,
            elements: self.bytes,
            coded: self.bytes,
            tops: &tops,
            predictions: &[],
            partners: self.base.map_or(&[], |base| base.bytes),
            base: self.first(),
        };
        let (format, coding) = match &residual {
            None => (plain, self.coding(plain, &blocks, may_share)?),
            Some(residual) => {
                let (elements, predictions) = (&*residual.bytes, &*residual.predictions);
                let tops = tops_left.as_ref().unwrap_or(&tops);
                let format = GroupFormat { elements, coded: elements, tops, predictions, ..plain };
                let predicted = self.coding(format, &blocks, may_share)?;
                match residual.sure {
                    true => (format, predicted),
                    false => {
                        let coding = self.coding(plain, &blocks, may_share)?;
                        if predicted.price < coding.price {
                            (format, Coding { zstd: coding.zstd, ..predicted })
                        } else {
                            (plain, coding)
                        }
                    }
                }
            }
        };
        self.finish(format, blocks, coding, side)
    }

    /// What the base leaves of the group, if it is worth a try.
    fn residual(&self, level: Level, blocks: &[(u64, u64, Rect)]) -> Option<Residual> {
        let rects: Vec<Rect> = blocks.iter().map(|&(_, _, rect)| rect).collect();
        let elements = (self.bytes, self.first());
        residual::choose(level, self.format.element, elements, self.base?, &rects)
    }

    /// The group's part of the view, with the rectangles of its blocks.
    fn view<'b>(&self, format: GroupFormat<'b>, rects: &'b [Rect]) -> View<'b>
    where
        'a: 'b,
    {
        let (rows, cols) = self.geometry.group_shape(self.group);
        let units =
            |of: &GroupContexts<'_>| rects.iter().all(|&rect| of.contexts.of_block(rect).is_some());
        View {
            level: format.level,
            element: self.format.element,
            bytes: format.elements,
            tops: Some(format.tops),
            signs: false,
            base: format.base,
            rows: rows as usize,
            cols: cols as usize,
            rects,
            contexts: self.contexts.filter(units),
        }
    }

    /// The rectangles of the blocks that are part of the view.
    fn view_rects(&self, blocks: &[(u64, u64, Rect)]) -> Vec<Rect> {
        let in_view =
            |&&(band, across, _): &&(u64, u64, Rect)| self.geometry.corner(band, across).is_some();
        blocks.iter().filter(in_view).map(|&(_, _, rect)| rect).collect()
    }

    /// The best way to code what `format` has.
    fn coding(
        &self,
        format: GroupFormat<'_>,
        rects: &[(u64, u64, Rect)],
        may_share: bool,
    ) -> Result<Coding> {
        let level = format.level;
        let view_rects = self.view_rects(rects);
        let view = self.view(format, &view_rects);
        let mut coding = self.plain_coding(format, rects, may_share)?;
        let zstd = self.try_zstd(level, &coding.split);
        let (plain, first) = (coding.price, coding.first_price);
        let width = coding.split.planes[0].width;
        // Residuals of floats are so small that their products would be subnormal, and have no mean.
        let no_means = !format.predictions.is_empty() && self.format.element.mantissa().is_some();
        let scale = self.scale.filter(|_| may_share).map(|options| match no_means {
            true => ScaleOptions { products: 0, ..options },
            false => options,
        });
        if let Some(options) = scale
            && let Some(mut scaled) = self.scaled_coding(format, rects, &view, options)?
        {
            if scaled.shared.scale.as_ref().is_some_and(|plan| plan.doubtful)
                && let options = (ScaleOptions { products: 0, ..options })
                && let Some(without) = self.scaled_coding(format, rects, &view, options)?
                && without.price <= scaled.price
            {
                scaled = without;
            }
            if scaled.price < coding.price {
                coding = scaled;
            }
        }
        if may_share
            && let Some(based) = self.based_coding(format, rects, &coding.split)?
            && based.price + self.least_gain(coding.price) < coding.price
        {
            coding = based;
        }
        // Trying all predictors costs more than coding: a sample must suggest that they win.
        if let Some(part) = self.predicted_part(format, rects, width) {
            let predicted = plain - first + first / PARTS * part;
            if predicted < coding.price + coding.price / PREDICTION_MARGIN {
                let mut split = self.choose_split(format, Some(width), rects.len());
                split.predictors = self.predictors;
                let drafts = make_drafts(format, rects, &split);
                let predicted = choose_tables(&self.format, split, drafts, may_share, Plan::None)?;
                if predicted.price < coding.price {
                    coding = predicted;
                }
            }
        }
        Ok(Coding { zstd, ..coding })
    }

    /// Encodes the blocks of a group as it was decided.
    fn finish(
        &self,
        format: GroupFormat<'_>,
        rects: Vec<(u64, u64, Rect)>,
        coding: Coding,
        side: Option<bool>,
    ) -> Result<EncodedGroup> {
        let level = format.level;
        let view_rects = self.view_rects(&rects);
        let view = self.view(format, &view_rects);
        let Coding { drafts, shared, choices, zstd, .. } = coding;
        let elements = format.elements;
        let coded = shared.scale.as_ref().map_or(elements, |plan| plan.coded(elements));
        let format = GroupFormat { coded, ..format };
        let view = shared.scale.as_ref().map_or(view, |plan| view.of_plan(plan));
        let classes = shared.scale.is_some() || shared.based.is_some();
        let has_side = side.unwrap_or(!shared.tables.is_empty() || classes);
        let blocks: Vec<Vec<EncodedBlock>> = drafts
            .into_par_iter()
            .zip(choices)
            .zip(rects)
            .map(|((draft, choices), (band, across, _))| {
                let block = self.geometry.block_number(band, across, has_side) as u32;
                let id = BlockId { segment: self.segment, block };
                Planned { id, draft, choices }
            })
            .chunks(STREAMS_AT_ONCE)
            .map(|task| encode::finish(format, &view, task, &shared, zstd))
            .collect::<Result<_>>()?;
        let blocks: Vec<EncodedBlock> = blocks.into_iter().flatten().collect();
        let mut stats = Stats::default();
        blocks.iter().for_each(|block| stats += block.stats);
        let of_contexts = |plan: &ScalePlan| plan.classes.scan == ClassScan::Context;
        let contexts = shared.scale.as_ref().is_some_and(of_contexts);
        let mut side = None;
        if has_side {
            let SharedTables { tables, scale, based } = shared;
            let tables: Vec<(u32, Table)> =
                tables.into_iter().map(|(width, prepared)| (width, prepared.table)).collect();
            let payload = side::write(level, &tables, (scale.as_ref(), based.as_ref()))?;
            stats.blocks += 1;
            stats.coded_bytes += payload.len() as u64;
            stats.table_bytes += payload.len() as u64;
            side = Some(payload);
        }
        Ok(EncodedGroup { group: self.group, blocks, side, contexts, stats })
    }

    /// Counts of blocks, for all planes that may come first.
    fn tops(&self, rects: &[(u64, u64, Rect)], residuals: bool) -> TopCounts {
        let width = *first_widths(self.format.element, residuals).end();
        TopCounts::new(width, rects.iter().map(|&(_, _, rect)| rect))
    }

    /// One table for a block or for all of them.
    fn plain_coding(
        &self,
        format: GroupFormat<'_>,
        rects: &[(u64, u64, Rect)],
        may_share: bool,
    ) -> Result<Coding> {
        let mut split = self.choose_split(format, None, rects.len());
        let mut drafts = make_drafts(format, rects, &split);
        if let Some(width) = narrower(self.format.element, &split, &drafts) {
            split = self.choose_split(format, Some(width), rects.len());
            drafts = make_drafts(format, rects, &split);
        }
        choose_tables(&self.format, split, drafts, may_share, Plan::None)
    }

    /// Scale classes; `None` if they gain nothing.
    fn scaled_coding(
        &self,
        format: GroupFormat<'_>,
        rects: &[(u64, u64, Rect)],
        view: &View<'_>,
        options: ScaleOptions,
    ) -> Result<Option<Coding>> {
        let Some(plan) = view.choose(options)? else { return Ok(None) };
        // A reader takes side blocks of a bounded length; products are few enough, but for rare symbols.
        let len = side::write(format.level, &[], (Some(&plan), None))?.len() + OTHER_TABLES;
        if len > side::MAX_LEN as usize {
            return Ok(None);
        }
        // What predicted signs leave is counted anew.
        let anew = plan.signs.then(|| self.tops(rects, !format.predictions.is_empty()));
        let tops = anew.as_ref().unwrap_or(format.tops);
        let format = GroupFormat { coded: plan.coded(format.elements), tops, ..format };
        let split = self.choose_split(format, Some(plan.width), rects.len());
        let drafts = make_drafts(format, rects, &split);
        let prices = rects.iter().map(|&(_, _, rect)| plan.price(rect)).collect();
        choose_tables(&self.format, split, drafts, true, Plan::Scale(plan, prices)).map(Some)
    }

    /// Base classes, for a group that would be split like this without; `None` if they gain nothing.
    fn based_coding(
        &self,
        format: GroupFormat<'_>,
        rects: &[(u64, u64, Rect)],
        split: &Split,
    ) -> Result<Option<Coding>> {
        if format.predictions.is_empty() {
            return Ok(None);
        }
        let first = split.planes[0].width.min(MAX_CLASS_WIDTH);
        let mut split = self.choose_split(format, Some(first), rects.len());
        let of_blocks: Vec<Rect> = rects.iter().map(|&(_, _, rect)| rect).collect();
        let Some(plan) = BasePlan::choose(format, format.partners, &of_blocks, &split)? else {
            return Ok(None);
        };
        plan.planes.iter().for_each(|plane| split.planes[plane.number].coded = true);
        let drafts = make_drafts(format, rects, &split);
        choose_tables(&self.format, split, drafts, true, Plan::Base(plan)).map(Some)
    }

    /// What base classes must save of a group that takes so much without: decoders sort elements by them.
    fn least_gain(&self, price: u64) -> u64 {
        let bits = self.bytes.len() as u64 * 8 * BIT;
        (bits / BASE_GAIN).min(price / BASE_CODED_GAIN) + BASE_BYTES * 8 * BIT
    }

    /// The part of the first plane's bits, in 256ths, that is left where tiles are predicted; `None` if
    /// a sample shows no gain.
    fn predicted_part(
        &self,
        format: GroupFormat<'_>,
        rects: &[(u64, u64, Rect)],
        width: u32,
    ) -> Option<u64> {
        if self.predictors == PredictorSet::NONE {
            return None;
        }
        let (level, element) = (format.level, self.format.element);
        let (tile_rows, tile_cols) =
            (usize::from(self.format.tile.rows), usize::from(self.format.tile.cols));
        let elements = self.bytes.len() / element.size();
        let affordable = elements / (SAMPLE_SHARE * SAMPLE_SIDE * SAMPLE_SIDE);
        let count = affordable.clamp(1, SAMPLE_RECTS).min(rects.len());
        let samples: Vec<(Vec<u16>, Tiling)> = (0..count)
            .filter_map(|k| {
                let rect = rects[(2 * k + 1) * rects.len() / (2 * count)].2;
                // Large tiles need a larger sample, small layers a smaller one.
                let side = |tile: usize| SAMPLE_SIDE.max(3 * tile);
                let rows = rect.rows.min(side(tile_rows));
                let cols = rect.cols.min(side(tile_cols));
                let tiling = self.format.tiling(rows, cols);
                let start = rect.start
                    + ((rect.rows - rows) / 2) as u64 * rect.stride
                    + ((rect.cols - cols) / 2) as u64;
                let part = Rect { start, rows, cols, ..rect };
                let bytes = BlockBytes::new(format.elements, format.base, part, element.size());
                let shift = element.bits() - width;
                let mut symbols = Vec::new();
                FieldSource { level, element, bytes, shift, width }.symbols(&mut symbols);
                (tiling.count() > 1).then_some((symbols, tiling))
            })
            .collect();
        predict::promising(level, &samples, width, self.predictors)
    }

    /// Whether Zstandard is worth a try on every block: on bytes of no known structure and wide
    /// integers always, elsewhere if it wins on a piece against the entropy of the symbols.
    fn try_zstd(&self, level: Level, split: &Split) -> bool {
        use ElementType::{Bf16, F8E4M3, F8E5M2, F16, F32, F64, I8, U8};
        let element = self.format.element;
        if !matches!(element, U8 | I8 | F8E4M3 | F8E5M2 | F16 | Bf16 | F32 | F64) {
            return true;
        }
        let size = element.size();
        let length = (self.bytes.len() / 32).clamp(2 << 10, 64 << 10).min(self.bytes.len());
        let start = (self.bytes.len() - length) / 2 / size * size;
        let piece = &self.bytes[start..start + length / size * size];
        let Some(compressed) = frame::quick_len(piece) else { return false };
        let first = split.planes[0].width;
        let symbols = extract(level, element, piece, element.bits() - first, first);
        let counts = count(&symbols, first);
        let raw = symbols.len() as u64 * u64::from(element.bits() - first);
        let coded = (cost::entropy(&counts) / BIT + raw) / 8;
        compressed as u64 * 50 < coded * 49
    }
}

/// How the blocks of a group are to be coded.
struct Coding {
    split: Split,
    drafts: Vec<Draft>,
    shared: SharedTables,
    /// Of each block, for each plane.
    choices: Vec<Vec<TableChoice>>,
    /// What all this takes, in units of 2^-16 bit.
    price: u64,
    /// What the first plane takes of it.
    first_price: u64,
    /// Whether Zstandard is worth a try on every block.
    zstd: bool,
}

fn make_drafts(format: GroupFormat<'_>, rects: &[(u64, u64, Rect)], split: &Split) -> Vec<Draft> {
    let of_block = |(number, &(_, _, rect)): (usize, &(u64, u64, Rect))| {
        Draft::new(format, (number, rect), split)
    };
    rects.par_iter().enumerate().map(of_block).collect()
}

/// Classes that planes have instead of a common table.
enum Plan {
    None,
    /// Of the first plane, and what each block then takes.
    Scale(ScalePlan, Vec<Option<u64>>),
    Base(BasePlan),
}

impl Plan {
    /// What the classes of a plane take of the side block, in bytes, and each block with them; `None` if it has none.
    fn of_plane(&self, index: usize) -> Option<(u64, TableChoice, &[Option<u64>])> {
        match self {
            Plan::Scale(plan, prices) if index == 0 => {
                let tables =
                    plan.tables().map(|(width, table)| table.written_len(width) as u64 + 1);
                let bytes = tables.sum::<u64>() + plan.factor_bytes();
                Some((bytes, TableChoice::Classes, prices))
            }
            Plan::Base(plan) => {
                let plane = plan.plane(index)?;
                Some((plane.side_bytes(), TableChoice::BaseClasses, &plane.prices))
            }
            _ => None,
        }
    }
}

/// For each plane: one table for all blocks, one for each, or a mixture, whichever is smaller. A plane
/// of the plan has its classes instead of a common table.
fn choose_tables(
    format: &BlockFormat,
    split: Split,
    drafts: Vec<Draft>,
    may_share: bool,
    plan: Plan,
) -> Result<Coding> {
    let mut tables = Vec::new();
    let mut choices: Vec<Vec<TableChoice>> = drafts
        .iter()
        .map(|draft| draft.planes.iter().map(|_| TableChoice::Raw).collect())
        .collect();
    let mut price: u64 = drafts.iter().map(Draft::raw_price).sum();
    let mut first_price = 0;
    for (index, plane) in split.planes.iter().enumerate() {
        let before = price;
        let own: Vec<Option<(u64, TableChoice)>> = drafts
            .par_iter()
            .map(|draft| {
                matches!(draft.planes.get(index), Some(DraftPlane::Counted { .. }))
                    .then(|| draft.own_choice(format, index))
            })
            .collect();
        let mut shared_prices: Vec<Option<u64>> = vec![None; drafts.len()];
        let mut shared_choice = None;
        if let Some((bytes, choice, prices)) = plan.of_plane(index) {
            price += (bytes + SIDE_BYTES) * 8 * BIT;
            shared_choice = Some(choice);
            for ((shared, own), price) in shared_prices.iter_mut().zip(&own).zip(prices) {
                *shared = price.zip(own.as_ref()).map(|(price, _)| price);
            }
        } else if may_share
            && let Some((table, prices)) = common_table(format, &drafts, (index, plane.width), &own)
        {
            shared_choice = Some(TableChoice::Shared(tables.len() as u16));
            price += (table.written_len(plane.width) as u64 + 1 + SIDE_BYTES) * 8 * BIT;
            tables.push((plane.width, PreparedTable::new(table)?));
            shared_prices = prices;
        }
        for ((own, shared), choices) in own.into_iter().zip(shared_prices).zip(&mut choices) {
            let Some((own_price, own)) = own else { continue };
            choices[index] = match (shared, &shared_choice) {
                (Some(shared), Some(choice)) if shared < own_price => {
                    price += shared;
                    choice.clone()
                }
                _ => {
                    price += own_price;
                    own
                }
            };
        }
        if index == 0 {
            first_price = price - before;
        }
    }
    let (scale, based) = match plan {
        Plan::None => (None, None),
        Plan::Scale(plan, _) => (Some(plan), None),
        Plan::Base(plan) => (None, Some(plan)),
    };
    let shared = SharedTables { tables, scale, based };
    Ok(Coding { split, drafts, shared, choices, price, first_price, zstd: false })
}

/// One table for those blocks that are smaller with it than with their own, and the price of each;
/// `None` if it does not pay.
fn common_table(
    format: &BlockFormat,
    drafts: &[Draft],
    (index, width): (usize, u32),
    own: &[Option<(u64, TableChoice)>],
) -> Option<(Table, Vec<Option<u64>>)> {
    let mut sharers: Vec<usize> = (0..drafts.len()).filter(|&k| own[k].is_some()).collect();
    let mut shared = None;
    // The second round fits the table to those that stayed.
    for _ in 0..2 {
        if sharers.len() < 2 {
            return None;
        }
        let Some(table) = sum_table(drafts, &sharers, index, width) else { break };
        let mut saved = 0;
        let mut prices = vec![None; drafts.len()];
        sharers.retain(|&k| {
            let Some((own, _)) = &own[k] else { return false };
            match drafts[k].shared_cost(format, index, &table) {
                Some(cost) if cost < *own => {
                    saved += own - cost;
                    prices[k] = Some(cost);
                    true
                }
                _ => false,
            }
        });
        let price = (table.written_len(width) as u64 + 1 + SIDE_BYTES) * 8 * BIT;
        shared = (saved > price).then_some((table, prices));
    }
    shared
}

/// The table of the summed counts of plane `index` over these blocks.
fn sum_table(drafts: &[Draft], blocks: &[usize], index: usize, width: u32) -> Option<Table> {
    let mut sum = vec![0u32; 1 << width];
    for &k in blocks {
        if let Some(DraftPlane::Counted { counts, .. }) = drafts[k].planes.get(index) {
            for (total, &count) in sum.iter_mut().zip(counts) {
                *total = total.saturating_add(count);
            }
        }
    }
    Table::from_counts(&sum)
}
