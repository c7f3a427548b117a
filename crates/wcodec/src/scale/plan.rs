//! Choosing scale classes for a group: with which scan and which predicted means, if at all.

use super::count::{BlockCounts, Counter, Counts, added, summed};
use super::fit::{Factors, fit};
use super::mean::{self, ColumnMeans, Mean, Use};
use super::merge::{Merged, merge, numbered, price};
use super::{BlockClasses, ClassScan, MAX_CLASSES, ScaleClasses, factors};
use crate::block::fields::{BlockBytes, FieldSource, FieldSpace, TopCounts};
use crate::context::{BlockContexts, Contexts};
use crate::dtype::ElementType;
use crate::entropy::cost::BIT;
use crate::entropy::table::Table;
use crate::error::Result;
use crate::geometry::Rect;
use crate::options::ScaleOptions;
use crate::version::FORMAT_VERSION;
use rayon::prelude::*;
use std::collections::{BTreeSet, HashMap};
use wcodec_kernels::{EncodeTable, Level, Steps, map_steps, pack_low_bits};

/// Fewer elements than this cannot pay for factors and tables.
const MIN_ELEMENTS: usize = 1 << 14;
/// Smaller blocks take more room for their counts than for their elements.
const MIN_BLOCK_ELEMENTS: usize = 1 << 11;
/// What the scan and the products are chosen by: rows of so many blocks, so many elements, but at
/// least two strips of each block.
const SAMPLE_BLOCKS: usize = 16;
const SAMPLE_ELEMENTS: usize = 5 << 16;
const SAMPLE_ROWS: usize = 64;
/// The column scan decodes slower: it must save more than one part in this of all bits.
const COLUMN_GAIN: u64 = 2000;
/// So does the context scan,
const CONTEXT_GAIN: u64 = 2000;
/// and predicted signs.
const SIGN_GAIN: u64 = 500;
/// Means that save more than one part in this are worth it with any scan.
const CLEAR_GAIN: u64 = 256;
/// Signs that save more than one part in this need no second look.
const SURE_GAIN: u64 = 64;
/// One part in this of the elements may lie in blocks whose fields do not fit.
const OUTSIDE: usize = 8;
/// One part in this of the units may have sums below those of all classes, and above.
const FEW_UNITS: usize = 1000;
/// About what a factor of the scale takes, and what one of a mean.
const FACTOR_BITS: u64 = 3;
const MEAN_BITS: u64 = 7;

/// A group whose first plane may get classes.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) level: Level,
    pub(crate) element: ElementType,
    /// The elements of the group, or what predicted means leave of them; the tail comes last.
    pub(crate) bytes: &'a [u8],
    /// Counts of these, if they are known.
    pub(crate) tops: Option<&'a TopCounts>,
    /// Whether signs stand below the exponents.
    pub(crate) signs: bool,
    /// Number of the first of them.
    pub(crate) base: u64,
    /// Rows and columns of the group's part of the view.
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    /// Its blocks, the tail left out.
    pub(crate) rects: &'a [Rect],
    /// What is known of its units, if all blocks consist of them.
    pub(crate) contexts: Option<GroupContexts<'a>>,
}

/// The contexts of a group.
#[derive(Clone, Copy)]
pub(crate) struct GroupContexts<'a> {
    pub(crate) contexts: Contexts<'a>,
    /// Whether they fall when scales rise.
    pub(crate) fall: bool,
}

/// Scale classes with everything that encoding needs.
pub(crate) struct ScalePlan {
    pub(crate) classes: ScaleClasses,
    /// Bits of the plane.
    pub(crate) width: u32,
    pub(crate) tables: Vec<ClassTable>,
    /// What the blocks that may have these classes take, by their first elements, in units of 2^-16 bit,
    /// states counted.
    prices: HashMap<u64, u64>,
    /// What the predicted means leave of the elements of the group, if there are any.
    residual: Option<Vec<u8>>,
    /// Whether they predict signs.
    pub(crate) signs: bool,
    /// Whether a sample likes these signs so little that classes without them may be smaller: it does not
    /// see what becomes of the planes below.
    pub(crate) doubtful: bool,
}

/// A table that classes share.
pub(crate) struct ClassTable {
    /// Low bits of the plane's fields that are stored beside the symbols.
    pub(crate) low: u8,
    /// Of symbols without these.
    pub(crate) table: Table,
    pub(crate) encoder: EncodeTable,
    /// By the lowest 8 bits of a field.
    pub(crate) ranks: Box<[u8; 256]>,
    /// The same, in units of 2^-16 bit, low bits counted.
    costs: Box<[u64; 256]>,
}

/// The plane that gets classes.
struct Plane {
    width: u32,
    /// Fields are this and up to 255 above it; a multiple of 8.
    base: u16,
    /// The blocks of which that is true.
    rects: Vec<Rect>,
}

/// The best of what was tried.
struct Found {
    bits: u64,
    classes: ScaleClasses,
    plane: Plane,
    /// As in [`ScalePlan`].
    residual: Option<Vec<u8>>,
    signs: bool,
    doubtful: bool,
}

/// What all elements take, as sampled blocks tell it.
struct Tried {
    /// All fields under one table.
    one_table: u64,
    /// Under classes.
    classes: Option<(u64, ScaleClasses)>,
    plane: Plane,
}

impl View<'_> {
    /// The first plane if classes are tried: the exponent, the sign if it is predicted, and a bit of
    /// mantissa if that leaves the fields of nearly all blocks within 256 values.
    fn plane(&self) -> Option<Plane> {
        use ElementType::{Bf16, F8E4M3, F8E5M2, F16, F32, F64, I8, U8};
        let widths = match (self.element, self.signs) {
            (U8 | I8 | F8E4M3 | F8E5M2 | F16, _) => 8..=8,
            (Bf16 | F32, signs) => 8 + u32::from(signs)..=9 + u32::from(signs),
            (F64, signs) => 11 + u32::from(signs)..=12,
            _ => return None,
        };
        widths.rev().find_map(|width| {
            if width <= 8 {
                return Some(Plane { width, base: 0, rects: self.rects.to_vec() });
            }
            let ranges: Vec<(u16, u16)> =
                self.rects.par_iter().map(|&rect| self.range(rect, width)).collect();
            // The values below the highest of each block: those that hold most blocks.
            let bases: BTreeSet<u16> =
                ranges.iter().map(|&(_, most)| (most | 7).saturating_sub(255)).collect();
            let within = |base: u16, (least, most): (u16, u16)| {
                least >= base && most - least.min(base) < 256
            };
            let elements = |base: u16| -> usize {
                let pairs = self.rects.iter().zip(&ranges);
                pairs.filter(|(_, range)| within(base, **range)).map(|(r, _)| r.elements()).sum()
            };
            let base = bases.into_iter().max_by_key(|&base| elements(base))?;
            let pairs = self.rects.iter().zip(&ranges);
            let rects = pairs.filter(|(_, range)| within(base, **range)).map(|(&rect, _)| rect);
            let rects: Vec<Rect> = rects.collect();
            let fit: usize = rects.iter().map(Rect::elements).sum();
            let enough = fit >= self.elements() - self.elements() / OUTSIDE;
            enough.then_some(Plane { width, base, rects })
        })
    }

    /// The lowest and the highest field of a block.
    fn range(&self, rect: Rect, width: u32) -> (u16, u16) {
        let source = self.field_source(rect, width);
        let known = self.tops.and_then(|tops| tops.of(rect, &source, &mut FieldSpace::default()));
        let Some(counts) = known else { return source.range() };
        let mut present = (0..).zip(counts).filter(|(_, count)| *count > 0).map(|(field, _)| field);
        let low = present.next().unwrap_or(0);
        (low, present.last().unwrap_or(low))
    }

    fn elements(&self) -> usize {
        self.rows * self.cols
    }

    /// Whether a block is part of it: the tail is not.
    pub(crate) fn contains(&self, rect: Rect) -> bool {
        rect.start < self.base + self.elements() as u64
    }

    /// Rows of the group and columns of a block.
    fn place(&self, rect: Rect) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        let start = (rect.start - self.base) as usize;
        let (row, col) = (start / self.cols, start % self.cols);
        (row..row + rect.rows, col..col + rect.cols)
    }

    /// The classes of a block.
    pub(crate) fn block_classes(&self, classes: &ScaleClasses, rect: Rect) -> Option<BlockClasses> {
        let (rows, cols) = self.place(rect);
        classes.of_block(rows, cols, self.block_contexts(rect))
    }

    fn block_contexts(&self, rect: Rect) -> Option<BlockContexts<'_>> {
        self.contexts.and_then(|of| of.contexts.of_block(rect))
    }

    pub(crate) fn field_source(&self, rect: Rect, width: u32) -> FieldSource<'_> {
        let bytes = BlockBytes::new(self.bytes, self.base, rect, self.element.size());
        let shift = self.element.bits() - width;
        FieldSource { level: self.level, element: self.element, bytes, shift, width }
    }

    /// Adds the fields of a block by the tables of `classes`.
    fn add_counts(
        &self,
        classes: &ScaleClasses,
        (rect, width): (Rect, u32),
        (counter, space, fields): &mut (Counter, FieldSpace, Vec<u8>),
    ) {
        let of_block = self.block_classes(classes, rect).unwrap_or_default();
        let source = self.field_source(rect, width);
        source.in_coding_order(classes.scan, rect.cols, &of_block, space, fields);
        let steps = Steps::of(classes.scan.kernel(), rect.rows, rect.cols);
        counter.add(steps, &of_block.of_step, fields);
    }

    /// Fields of each of these blocks by the tables of `classes`.
    fn counts(&self, classes: &ScaleClasses, rects: &[Rect], width: u32) -> Vec<BlockCounts> {
        let of_block = |space: &mut (Counter, _, _), &rect: &Rect| {
            self.add_counts(classes, (rect, width), space);
            space.0.take()
        };
        rects.par_iter().map_init(Default::default, of_block).collect()
    }

    /// Fields of all of these blocks by the tables of `classes`.
    fn count_all(&self, classes: &ScaleClasses, rects: &[Rect], width: u32) -> Vec<Counts> {
        let counters = rects.par_iter().fold(Default::default, |mut space, &rect| {
            self.add_counts(classes, (rect, width), &mut space);
            space
        });
        let parts: Vec<BlockCounts> =
            counters.map(|mut space: (Counter, _, _)| space.0.take()).collect();
        summed(&parts)
    }

    /// Chooses classes; `None` if they cannot gain.
    pub(crate) fn choose(&self, options: ScaleOptions) -> Result<Option<ScalePlan>> {
        let blocks = self.rects.len().max(1);
        if self.elements() < MIN_ELEMENTS || self.elements() / blocks < MIN_BLOCK_ELEMENTS {
            return Ok(None);
        }
        let Some(Found { classes, plane, residual, signs, doubtful, .. }) = self.find(options)
        else {
            return Ok(None);
        };
        let Plane { width, base, rects } = plane;
        let bytes = residual.as_deref().unwrap_or(self.bytes);
        let view = View { bytes, tops: None, signs, ..*self };
        let counts = view.counts(&classes, &rects, width);
        let merged = merge(summed(&counts), |bits| bits, 0);
        let mut plan = ScalePlan::new(classes, (width, base), &merged)?;
        let prices = rects.iter().zip(&counts).map(|(&rect, counts)| {
            let steps = Steps::of(plan.classes.scan.kernel(), rect.rows, rect.cols);
            (rect.start, 32 * steps.lanes() as u64 * BIT + plan.cost(counts))
        });
        plan.prices = prices.collect();
        Ok(Some(ScalePlan { residual, signs, doubtful, ..plan }))
    }

    /// Classes that sampled blocks like best, with predicted means or without.
    fn find(&self, options: ScaleOptions) -> Option<Found> {
        let body = self.elements() * self.element.size();
        let fit = |bytes: &[u8]| {
            let elements = (self.element, &bytes[..body]);
            fit(self.level, elements, None, (self.rows, self.cols), options.whole)
        };
        let factors = fit(self.bytes)?;
        let of = Use::of(self.element, FORMAT_VERSION.1).filter(|_| options.products > 0);
        let means = of.map_or(Vec::new(), |_| {
            let bytes = &self.bytes[..body];
            mean::fit(self.level, self.element, bytes, &factors, options.products)
        });
        let found = |(bits, classes), plane| Found {
            bits,
            classes,
            plane,
            residual: None,
            signs: false,
            doubtful: false,
        };
        let mut with_means = None;
        if !means.is_empty() {
            let residual = self.residual(&means);
            let signs = of == Some(Use::Sign);
            let view = View { bytes: &residual, tops: None, signs, ..*self };
            // Signs do not change magnitudes.
            let refit = if signs { None } else { fit(&residual) };
            let factors = refit.as_ref().unwrap_or(&factors);
            if let Some(tried) = view.try_classes(factors, means, None, options)
                && let Some(classes) = tried.classes
            {
                let found = found(classes, tried.plane);
                with_means = Some(Found { residual: Some(residual), signs, ..found });
            }
        }
        // If means win by much against the same scan without them, no other can win.
        let scan = with_means.as_ref().map(|found| found.classes.scan);
        let mut tried = self.try_classes(&factors, Vec::new(), scan, options)?;
        let least = |tried: &Tried| tried.classes.as_ref().map_or(u64::MAX, |(bits, _)| *bits);
        if let Some(Found { bits, .. }) = with_means
            && bits + bits / CLEAR_GAIN > least(&tried)
        {
            tried = self.try_classes(&factors, Vec::new(), None, options)?;
            with_means.take_if(|found| found.bits >= least(&tried));
        }
        let (one_table, least) = (tried.one_table, least(&tried));
        let best = match with_means {
            Some(found) => {
                let doubtful = found.signs && found.bits + found.bits / SURE_GAIN > least;
                Some(Found { doubtful, ..found })
            }
            None => tried.classes.map(|classes| found(classes, tried.plane)),
        };
        best.filter(|found| found.bits < one_table)
    }

    /// What predicted means leave of the elements.
    fn residual(&self, means: &[Mean]) -> Vec<u8> {
        let columns = ColumnMeans::new(self.element, means, 0..self.cols);
        let mut residual = self.bytes.to_vec();
        residual
            .par_chunks_exact_mut(self.cols * self.element.size())
            .take(self.rows)
            .enumerate()
            .for_each(|(row, bytes)| columns.remove(self.level, row, bytes));
        residual
    }

    /// The best classes of these factors, by sampled blocks, all of them or those of one scan; `None` if no plane can
    /// have classes.
    fn try_classes(
        &self,
        factors: &Factors,
        means: Vec<Mean>,
        only: Option<ClassScan>,
        options: ScaleOptions,
    ) -> Option<Tried> {
        let plane = self.plane()?;
        let sample = if options.whole { plane.rects.clone() } else { sample(&plane.rects) };
        let sampled: usize = sample.iter().map(Rect::elements).sum();
        let (sampled, elements) = (sampled as u128, self.elements().max(1) as u128);
        // What is stored once for the group counts by the sample's part in it.
        let part = |bits: u64| (u128::from(bits) * sampled / elements) as u64;
        let all = |bits: u64| (u128::from(bits) * elements / sampled.max(1)) as u64;
        let sides = (self.rows + self.cols) as u64;
        let of_means = means.len() as u64 * MEAN_BITS / FACTOR_BITS * sides;
        let overhead = |factors: u64| (factors + of_means) * FACTOR_BITS * BIT;
        let below = self.elements() as u64 * u64::from(self.element.bits() - plane.width) * BIT;
        let all_bits = self.elements() as u64 * u64::from(self.element.bits()) * BIT;
        let mut tried = Tried { one_table: u64::MAX, classes: None, plane };
        let wanted = |scan: ClassScan| {
            only.is_none_or(|only| only == scan)
                && options.scan.is_none_or(|only| only == scan.kernel())
        };
        let scans = [ClassScan::Row, ClassScan::Column].into_iter().filter(|&scan| wanted(scan));
        let by_factors =
            scans.map(|scan| (unmerged(factors, means.clone(), scan), overhead(sides)));
        let by_contexts = match wanted(ClassScan::Context) && options.scan.is_none() {
            true => self.classes_of_contexts(&sample, &means, options),
            false => Vec::new(),
        };
        let by_contexts = by_contexts.into_iter();
        let by_contexts = by_contexts.map(|(classes, factors)| (classes, overhead(factors)));
        for (classes, overhead) in by_factors.chain(by_contexts) {
            let counts = self.count_all(&classes, &sample, tried.plane.width);
            let one = counts.iter().fold([0; 256], |sum, part| added(&sum, part));
            tried.one_table = all(price(&one, part).0) + below;
            let merged = merge(counts, part, 0);
            let useful = merged.len() > 1 || !means.is_empty();
            let mut bits = all(merged.iter().map(|m| m.price).sum()) + overhead + below;
            match classes.scan {
                ClassScan::Row => {}
                ClassScan::Column => bits += all_bits / COLUMN_GAIN,
                ClassScan::Context => bits += all_bits / CONTEXT_GAIN,
            }
            if self.signs {
                bits += all_bits / SIGN_GAIN;
            }
            if useful && tried.classes.as_ref().is_none_or(|(least, _)| bits < *least) {
                tried.classes = Some((bits, classes));
            }
        }
        Some(tried)
    }

    /// Classes of the contexts, alone or beside row factors of the weights that they scale (of columns, a unit has
    /// nearly all), with the number of these factors.
    fn classes_of_contexts(
        &self,
        sample: &[Rect],
        means: &[Mean],
        options: ScaleOptions,
    ) -> Vec<(ScaleClasses, u64)> {
        let (start, stride) = (self.base, self.cols as u64);
        let whole = Rect { start, stride, rows: self.rows, cols: self.cols };
        let contexts = self.block_contexts(whole);
        let (Some(contexts), Some(GroupContexts { fall, .. })) = (contexts, self.contexts) else {
            return Vec::new();
        };
        let factors = |rows| Factors { rows, cols: vec![0; self.cols] };
        let of_weights = || {
            let codes = (self.element, &self.bytes[..self.elements()]);
            fit(self.level, codes, Some(contexts), (self.rows, self.cols), options.whole)
        };
        let mut tried = vec![(factors(vec![0; self.rows]), 0)];
        if fall && let Some(found) = of_weights() {
            tried.push((factors(found.rows), self.rows as u64));
        }
        let classes = |(factors, count)| (self.by_contexts(factors, means, sample), count);
        tried.into_iter().map(classes).collect()
    }

    /// A class for each sum of these factors and a context, as far as nearly all units of a sample have them.
    fn by_contexts(&self, factors: Factors, means: &[Mean], sample: &[Rect]) -> ScaleClasses {
        let Factors { rows, cols } = factors;
        let (scan, means) = (ClassScan::Context, means.to_vec());
        let classes = ScaleClasses { scan, lowest: 0, tables: Vec::new(), rows, cols, means };
        let of_rect = |&rect: &Rect| {
            let (rows, cols) = self.place(rect);
            Some(classes.sums_of_units(rows, cols, self.block_contexts(rect)?))
        };
        let mut sums: Vec<i32> = sample.iter().filter_map(of_rect).flatten().collect();
        sums.sort_unstable();
        let few = sums.len() / FEW_UNITS;
        let least = sums.get(few).copied().unwrap_or(0);
        let most = sums.iter().rev().nth(few).copied().unwrap_or(0);
        let lowest = least.max(most - (MAX_CLASSES as i32 - 1));
        let lowest = lowest.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        let count = (most - i32::from(lowest)).clamp(1, MAX_CLASSES as i32 - 1) + 1;
        ScaleClasses { lowest, tables: (0..count as u8).collect(), ..classes }
    }

    /// The elements that a plan codes.
    pub(crate) fn of_plan<'b>(&'b self, plan: &'b ScalePlan) -> View<'b> {
        let bytes = plan.residual.as_deref().unwrap_or(self.bytes);
        View { bytes, tops: None, signs: plan.signs, ..*self }
    }
}

/// Rows from the middle of evenly spaced blocks.
fn sample(rects: &[Rect]) -> Vec<Rect> {
    let count = rects.len().min(SAMPLE_BLOCKS);
    let part = |k: usize| {
        let rect = rects[(2 * k + 1) * rects.len() / (2 * count)];
        let rows = (SAMPLE_ELEMENTS / (count * rect.cols)).max(SAMPLE_ROWS).min(rect.rows);
        let start = rect.start + ((rect.rows - rows) / 2) as u64 * rect.stride;
        Rect { start, rows, ..rect }
    };
    (0..count).map(part).collect()
}

/// What bytes are distances from if fields reach from `least` to `most`; `None` if they reach too far.
pub(crate) fn base_of(least: u16, most: u16) -> Option<u16> {
    let base = if most < 256 { 0 } else { least / 8 * 8 };
    ((most | 7) - base < 256).then_some(base)
}

/// A class for each sum of factors, as far as there are classes; two at least, as the format wants.
fn unmerged(factors: &Factors, means: Vec<Mean>, scan: ClassScan) -> ScaleClasses {
    let most = |factors: &[u8]| factors.iter().copied().max().unwrap_or(0);
    let most = most(&factors.rows) + most(&factors.cols);
    let lowest = most.saturating_sub(MAX_CLASSES as u8 - 1);
    let tables: Vec<u8> = (0..=(most - lowest).max(1)).collect();
    let Factors { rows, cols } = factors;
    let lowest = lowest.into();
    ScaleClasses { scan, lowest, tables, rows: rows.clone(), cols: cols.clone(), means }
}

impl ScalePlan {
    /// Makes the tables of merged classes, of fields of `width` bits whose bytes are distances from
    /// `base`.
    fn new(
        mut classes: ScaleClasses,
        (width, base): (u32, u16),
        merged: &[Merged],
    ) -> Result<ScalePlan> {
        classes.tables = numbered(merged).take(classes.tables.len()).collect();
        let used = classes.tables.last().map_or(0, |&last| usize::from(last) + 1);
        let tables = merged[..used]
            .iter()
            .map(|merged| ClassTable::new(&merged.counts, merged.low, width, base))
            .collect::<Result<_>>()?;
        Ok(ScalePlan {
            classes,
            width,
            tables,
            prices: HashMap::new(),
            residual: None,
            signs: false,
            doubtful: false,
        })
    }

    /// What a block with these fields, by class, costs.
    fn cost(&self, counts: &BlockCounts) -> u64 {
        let of_class =
            |class: u8| &self.tables[usize::from(self.classes.tables[usize::from(class)])];
        counts.iter().map(|(class, counts)| of_class(*class).cost(counts)).sum()
    }

    /// What there are predicted means for, if there are any.
    pub(crate) fn use_of_means(&self) -> Option<Use> {
        let of = if self.signs { Use::Sign } else { Use::Difference };
        (!self.classes.means.is_empty()).then_some(of)
    }

    /// What the planes of coded blocks are taken from, `bytes` being the elements of the group.
    pub(crate) fn coded<'b>(&'b self, bytes: &'b [u8]) -> &'b [u8] {
        self.residual.as_deref().filter(|_| self.signs).unwrap_or(bytes)
    }

    /// What a block costs, in units of 2^-16 bit; `None` if it cannot have classes.
    pub(crate) fn price(&self, rect: Rect) -> Option<u64> {
        self.prices.get(&rect.start).copied()
    }

    /// About what the factors take.
    pub(crate) fn factor_bytes(&self) -> u64 {
        let ScaleClasses { rows, cols, means, .. } = &self.classes;
        let price = |list: &[u8]| factors::price(list) / (8 * BIT) + 16;
        let bytes = |list: &[i8]| list.iter().map(|&factor| factor as u8).collect::<Vec<u8>>();
        let of_mean = |mean: &Mean| price(&bytes(&mean.rows)) + price(&bytes(&mean.cols)) + 80;
        price(rows) + price(cols) + means.iter().map(of_mean).sum::<u64>()
    }

    /// Widths of the tables, and the tables.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (u32, Table)> {
        self.tables.iter().map(|t| (self.width - u32::from(t.low), t.table.clone()))
    }
}

/// Splits fields, in the order of the steps, into ranks by these tables and low bits, which are appended to `low`.
pub(crate) fn split_fields(
    level: Level,
    tables: &[ClassTable],
    (steps, of_step): (Steps, &[u8]),
    fields: &[u8],
    ranks: &mut Vec<u8>,
    low: &mut Vec<u8>,
) {
    let widths: Vec<u8> = tables.iter().map(|table| table.low).collect();
    let tables: Vec<&[u8; 256]> = tables.iter().map(|table| &*table.ranks).collect();
    map_steps(level, steps, &tables, of_step, fields, ranks);
    if widths.iter().any(|&width| width > 0) {
        pack_low_bits(level, steps, &widths, of_step, fields, low);
    }
}

impl ClassTable {
    pub(crate) fn cost(&self, counts: &Counts) -> u64 {
        counts.iter().zip(&*self.costs).map(|(&count, cost)| u64::from(count) * cost).sum()
    }

    pub(crate) fn new(counts: &Counts, low: u32, width: u32, base: u16) -> Result<ClassTable> {
        // Fields by their lowest 8 bits.
        let fields = |byte: u8| base + u16::from(byte.wrapping_sub(base as u8));
        let mut by_symbol = vec![0u32; 1 << (width - low)];
        for (byte, &count) in (0..=u8::MAX).zip(counts).filter(|(_, count)| **count > 0) {
            by_symbol[usize::from(fields(byte) >> low)] += count;
        }
        let table = match Table::from_counts(&by_symbol) {
            Some(table) => table,
            // No step has these classes.
            None => {
                by_symbol[usize::from(base >> low)] = 1;
                Table::from_counts(&by_symbol).unwrap_or_else(|| unreachable!("one symbol"))
            }
        };
        let costs = table.symbol_costs(width - low, 0);
        let ranks = table.ranks();
        let symbol = |byte: usize| {
            let field = u32::from(fields(byte as u8));
            ((field >> low) & ((1 << (width - low)) - 1)) as u16
        };
        Ok(ClassTable {
            low: low as u8,
            encoder: table.encoder()?,
            ranks: Box::new(std::array::from_fn(|byte| ranks.get(symbol(byte)))),
            costs: Box::new(std::array::from_fn(|byte| {
                costs[usize::from(symbol(byte))] + u64::from(low) * BIT
            })),
            table,
        })
    }
}
