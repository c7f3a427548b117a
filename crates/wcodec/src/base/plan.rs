//! Choosing base classes for a group, and for which of its planes.

use super::classes::{self, ClassMap, MAX_CLASS_WIDTH, MAX_SIZES};
use crate::block::class_tables::write_map;
use crate::block::encode::{GroupFormat, Split};
use crate::block::fields::{BlockBytes, FieldSource};
use crate::entropy::cost::BIT;
use crate::entropy::table::Table;
use crate::error::Result;
use crate::geometry::Rect;
use crate::scale::count::{BlockCounts, Counter, Counts, added, summed};
use crate::scale::merge::{Merged, merge, numbered, price};
use crate::scale::plan::ClassTable;
use rayon::prelude::*;
use wcodec_kernels::{Sorted, Steps};

/// A class takes time of a decoder, whatever it has: it must save more than one part in this of all bits.
const CLASS_GAIN: u64 = 500;
/// A plane that would not be coded without classes must become smaller by one part in this.
const RAW_GAIN: u64 = 100;
/// Most tables of all planes.
const MOST_TABLES: usize = 128;

/// Counts of fields by the exponents of their partners.
type ByExponent = Vec<Counts>;

/// Base classes with everything that encoding needs.
pub(crate) struct BasePlan {
    pub(crate) map: ClassMap,
    pub(crate) planes: Vec<PlannedPlane>,
}

/// A plane that gets them.
pub(crate) struct PlannedPlane {
    pub(crate) number: usize,
    width: u32,
    /// The table of each class.
    pub(crate) of_class: Vec<u8>,
    pub(crate) tables: Vec<ClassTable>,
    /// What each block takes, states counted, in units of 2^-16 bit; `None` if it is not predicted.
    pub(crate) prices: Vec<Option<u64>>,
}

/// A plane that may get them.
#[derive(Clone, Copy)]
struct Candidate {
    number: usize,
    shift: u32,
    width: u32,
}

/// A group whose planes may get them.
struct Search<'a> {
    group: GroupFormat<'a>,
    partners: &'a [u8],
    /// Of its blocks.
    rects: &'a [Rect],
}

impl BasePlan {
    /// Chooses classes for the planes of a group that is split like this; `None` if they cannot gain. `partners` has the
    /// elements of the base.
    pub(crate) fn choose(
        group: GroupFormat<'_>,
        partners: &[u8],
        rects: &[Rect],
        split: &Split,
    ) -> Result<Option<BasePlan>> {
        let element = group.format.element;
        if classes::exponent(element).is_none() {
            return Ok(None);
        }
        let mut shift = element.bits();
        let mut candidates = Vec::new();
        for (number, plane) in split.planes.iter().enumerate() {
            shift -= plane.width;
            if plane.width <= MAX_CLASS_WIDTH {
                candidates.push(Candidate { number, shift, width: plane.width });
            }
        }
        let search = Search { group, partners, rects };
        let counts = search.by_exponent(&candidates);
        let elements = (group.bytes.len() / element.size()) as u64;
        let worth = elements * u64::from(element.bits()) * BIT / CLASS_GAIN;
        let Some((lead, map, merged)) = leading(&counts, worth) else { return Ok(None) };
        let mut planes = Vec::new();
        let mut tables = 0;
        for (at, (candidate, counts)) in candidates.iter().zip(&counts).enumerate() {
            // The classes themselves, or those of which some share a table.
            let merged = match at == lead {
                true => merged.iter().map(|m| Merged { classes: 1, ..m.clone() }).collect(),
                false => merge(by_class(&map, counts), |bits| bits, 0),
            };
            let flat = elements * u64::from(candidate.width) * BIT;
            let coded = split.planes[candidate.number].coded;
            let least = if coded { 0 } else { flat / RAW_GAIN };
            if saved(counts, &merged) <= least {
                continue;
            }
            let of_class: Vec<u8> = numbered(&merged).collect();
            tables += merged.len();
            planes.push(search.planned(&map, *candidate, of_class)?);
        }
        Ok((tables <= MOST_TABLES && !planes.is_empty()).then_some(BasePlan { map, planes }))
    }

    /// That of a plane.
    pub(crate) fn plane(&self, number: usize) -> Option<&PlannedPlane> {
        self.planes.iter().find(|plane| plane.number == number)
    }

    pub(crate) fn table_count(&self) -> usize {
        self.planes.iter().map(|plane| plane.tables.len()).sum()
    }

    /// Widths of the tables, and the tables.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (u32, Table)> {
        let of_plane = |plane: &PlannedPlane| {
            let width = plane.width;
            let table = |t: &ClassTable| (width - u32::from(t.low), t.table.clone());
            plane.tables.iter().map(table).collect::<Vec<_>>()
        };
        self.planes.iter().flat_map(of_plane)
    }

    /// Writes all but the tables.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        self.map.write(out);
        for plane in &self.planes {
            out.extend_from_slice(&[plane.number as u8, plane.width as u8]);
            write_map(&plane.of_class, out);
        }
    }
}

impl PlannedPlane {
    /// Bytes of its tables and what else it takes of the side block.
    pub(crate) fn side_bytes(&self) -> u64 {
        let len = |t: &ClassTable| t.table.written_len(self.width - u32::from(t.low)) as u64 + 1;
        self.tables.iter().map(len).sum::<u64>() + 16
    }
}

impl Search<'_> {
    fn rows<'b>(&self, bytes: &'b [u8], rect: Rect) -> BlockBytes<'b> {
        BlockBytes::new(bytes, self.group.base, rect, self.group.format.element.size())
    }

    /// The blocks that are predicted, and their numbers.
    fn predicted(&self) -> impl IndexedParallelIterator<Item = Option<Rect>> {
        let predictions = self.group.predictions.par_iter();
        self.rects.par_iter().zip(predictions).map(|(&rect, prediction)| prediction.map(|_| rect))
    }

    /// Replaces `fields` by those of a plane of a block.
    fn fields(&self, plane: Candidate, rect: Rect, fields: &mut Vec<u8>) {
        let GroupFormat { level, format, coded, .. } = self.group;
        let Candidate { shift, width, .. } = plane;
        let bytes = self.rows(coded, rect);
        let source = FieldSource { level, element: format.element, bytes, shift, width };
        source.in_row_order(fields);
    }

    fn sort(&self, map: &ClassMap, rect: Rect, sorted: &mut Sorted) {
        let rows = self.rows(self.partners, rect).rows();
        map.sort(self.group.level, self.group.format.element, rows, sorted);
    }

    /// Of each plane, the fields of all blocks that are predicted by the exponents of their partners.
    fn by_exponent(&self, planes: &[Candidate]) -> Vec<ByExponent> {
        let empty = || vec![vec![[0u32; 256]; 256]; planes.len()];
        let add = |(mut sum, mut space): (Vec<ByExponent>, Space), rect: Option<Rect>| {
            let Some(rect) = rect else { return (sum, space) };
            space.exponents.clear();
            let rows = self.rows(self.partners, rect).rows();
            classes::exponents(
                self.group.level,
                self.group.format.element,
                rows,
                &mut space.exponents,
            );
            for (plane, sum) in planes.iter().zip(&mut sum) {
                self.fields(*plane, rect, &mut space.bytes);
                for (&exponent, &field) in space.exponents.iter().zip(&space.bytes) {
                    sum[usize::from(exponent)][usize::from(field)] += 1;
                }
            }
            (sum, space)
        };
        let total = |mut a: Vec<ByExponent>, b: Vec<ByExponent>| {
            for (a, b) in a.iter_mut().flatten().zip(b.iter().flatten()) {
                *a = added(a, b);
            }
            a
        };
        let parts = self.predicted().fold(|| (empty(), Space::default()), add);
        parts.map(|(sum, _)| sum).reduce(empty, total)
    }

    /// Counts the fields of a plane as they are coded, and makes its tables.
    fn planned(&self, map: &ClassMap, plane: Candidate, of_class: Vec<u8>) -> Result<PlannedPlane> {
        let count = |space: &mut Space, rect: Option<Rect>| -> Option<(usize, BlockCounts)> {
            let rect = rect?;
            let Space { sorted, counter, bytes, in_order, .. } = space;
            self.sort(map, rect, sorted);
            self.fields(plane, rect, bytes);
            sorted.sort(self.group.level, bytes, in_order);
            let steps = Steps::linear(rect.elements());
            let of_step = sorted.of_steps(steps, &of_class);
            counter.add(steps, &of_step, in_order);
            Some((steps.lanes(), counter.take()))
        };
        let blocks: Vec<Option<(usize, BlockCounts)>> =
            self.predicted().map_init(Space::default, count).collect();
        let counts: Vec<BlockCounts> =
            blocks.iter().flatten().map(|(_, counts)| counts.clone()).collect();
        let used = of_class.last().map_or(0, |&last| usize::from(last) + 1);
        let tables: Vec<ClassTable> = summed(&counts)[..used]
            .iter()
            .map(|counts| {
                let (_, low) = price(counts, |bits| bits);
                ClassTable::new(counts, low.min(plane.width - 1), plane.width, 0)
            })
            .collect::<Result<_>>()?;
        let price = |(lanes, counts): &(usize, BlockCounts)| {
            let cost =
                |(table, counts): &(u8, Box<Counts>)| tables[usize::from(*table)].cost(counts);
            32 * *lanes as u64 * BIT + counts.iter().map(cost).sum::<u64>()
        };
        let prices = blocks.iter().map(|block| block.as_ref().map(price)).collect();
        let Candidate { number, width, .. } = plane;
        Ok(PlannedPlane { number, width, of_class, tables, prices })
    }
}

/// Memory of one thread.
#[derive(Default)]
struct Space {
    sorted: Sorted,
    counter: Counter,
    exponents: Vec<u8>,
    bytes: Vec<u8>,
    in_order: Vec<u8>,
}

/// What classes save of one table for all.
fn saved(counts: &[Counts], merged: &[Merged]) -> u64 {
    let all = counts.iter().fold([0; 256], |sum, part| added(&sum, part));
    price(&all, |bits| bits).0.saturating_sub(merged.iter().map(|m| m.price).sum())
}

/// The plane that gains most from classes of its own, and these; `None` if none does.
fn leading(planes: &[ByExponent], worth: u64) -> Option<(usize, ClassMap, Vec<Merged>)> {
    let present = |exponent: &usize| {
        planes.iter().any(|counts| counts[*exponent].iter().any(|&count| count > 0))
    };
    let highest = (0..256).rev().find(present)?;
    let lowest = (0..256).find(present)?.max(highest.saturating_sub(MAX_SIZES - 1));
    let each = ClassMap { lowest: lowest as u8, classes: (0..=(highest - lowest) as u8).collect() };
    let tried = planes.iter().enumerate().map(|(number, counts)| {
        let merged = merge(by_class(&each, counts), |bits| bits, worth);
        (saved(counts, &merged), number, merged)
    });
    let (saved, number, merged) = tried.max_by_key(|&(saved, number, _)| (saved, number))?;
    let of_class = numbered(&merged).take(each.classes.len()).collect();
    let map = ClassMap { classes: of_class, ..each };
    (saved > 0 && map.count() > 1).then_some((number, map, merged))
}

/// Counts by class.
fn by_class(map: &ClassMap, counts: &ByExponent) -> Vec<Counts> {
    let mut sums = vec![[0; 256]; map.count()];
    for (exponent, counts) in counts.iter().enumerate() {
        let class = usize::from(map.of(exponent));
        sums[class] = added(&sums[class], counts);
    }
    sums
}
