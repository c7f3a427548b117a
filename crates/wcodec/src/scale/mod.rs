//! Scale classes: frequency tables chosen by the scale that the row and the column of a weight have.
//! FORMAT.md section 9 is normative.
//!
//! The standard deviation of weight `(i, j)` is close to `r_i * c_j`. Both factors are stored as
//! quarter octaves, and their sum, the same for all lanes of a step, is the class of the step.

pub(crate) mod count;
pub(crate) mod factors;
pub(crate) mod fit;
pub(crate) mod mean;
pub(crate) mod merge;
pub(crate) mod plan;

use crate::context::BlockContexts;
use mean::Mean;
use std::ops::Range;
use wcodec_kernels::{LANES, Scan, Steps};

/// Most scale classes of a group, and values of a factor.
pub(crate) const MAX_CLASSES: usize = 64;
/// Most row factors, and most column factors, of a group.
pub(crate) const MAX_FACTORS: u64 = 1 << 20;

/// The order in which the symbols of planes with classes are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClassScan {
    Row,
    Column,
    /// Row by row, but units of elements with a context by rising class.
    Context,
}

impl ClassScan {
    /// How a kernel sees it.
    pub(crate) fn kernel(self) -> Scan {
        if self == ClassScan::Column { Scan::Column } else { Scan::Row }
    }
}

/// The scale classes of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScaleClasses {
    /// The scan of the planes that have classes.
    pub(crate) scan: ClassScan,
    /// The sum of factors, and of the context if there is one, that is class 0; smaller ones are as well.
    pub(crate) lowest: i16,
    /// The table of each class; at least two classes.
    pub(crate) tables: Vec<u8>,
    /// The factor of each row of the group, below 64.
    pub(crate) rows: Vec<u8>,
    /// The factor of each column.
    pub(crate) cols: Vec<u8>,
    /// What is subtracted from elements before they are coded.
    pub(crate) means: Vec<Mean>,
}

/// What the classes of a group come to in one of its blocks.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct BlockClasses {
    /// The rows in the order in which the column scan takes them; empty for the others.
    pub(crate) order: Vec<u32>,
    /// Of the context scan.
    pub(crate) units: Option<Units>,
    /// The table of each step.
    pub(crate) of_step: Vec<u8>,
}

/// Units of elements, which the context scan takes by rising class.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Units {
    /// Elements of a unit.
    pub(crate) size: usize,
    /// The class of each unit of the block, row by row.
    classes: Vec<u8>,
    /// Elements that are coded before the first one of each class.
    starts: [usize; MAX_CLASSES],
}

impl Units {
    /// The elements of a block, which lie in row-major order, in the order in which they are coded.
    pub(crate) fn in_coding_order(&self, elements: &[u8], coded: &mut [u8]) {
        let mut next = self.starts;
        for (unit, &class) in elements.chunks_exact(self.size).zip(&self.classes) {
            let start = &mut next[usize::from(class) % MAX_CLASSES];
            coded[*start..][..self.size].copy_from_slice(unit);
            *start += self.size;
        }
    }

    /// The other way, some rows after the other.
    pub(crate) fn restore<'a>(&'a self, coded: &'a [u8]) -> RestoreUnits<'a> {
        RestoreUnits { size: self.size, classes: &self.classes, next: self.starts, coded }
    }
}

/// Units that are yet to be put in their place.
pub(crate) struct RestoreUnits<'a> {
    size: usize,
    classes: &'a [u8],
    /// Of each class, the first element of the next one in `coded`.
    next: [usize; MAX_CLASSES],
    coded: &'a [u8],
}

impl RestoreUnits<'_> {
    /// Sets `out` to the next elements, whole units.
    pub(crate) fn next(&mut self, out: &mut [u8]) {
        /// Copied at once: what is too much is overwritten by the next unit.
        const AT_ONCE: usize = 32;
        let (now, later) = self.classes.split_at(out.len() / self.size);
        self.classes = later;
        let mut at = 0;
        for &class in now {
            let start = &mut self.next[usize::from(class) % MAX_CLASSES];
            let from = self.coded.get(*start..*start + AT_ONCE).filter(|_| self.size <= AT_ONCE);
            match from.zip(out.get_mut(at..at + AT_ONCE)) {
                Some((from, to)) => to.copy_from_slice(from),
                None => out[at..][..self.size].copy_from_slice(&self.coded[*start..][..self.size]),
            }
            *start += self.size;
            at += self.size;
        }
    }
}

/// The mean of `count` numbers, of which this is the sum, rounded, halves up.
fn mean(sum: usize, count: usize) -> usize {
    (sum + count / 2) / count.max(1)
}

impl ScaleClasses {
    /// Of the block with these rows of the group and these columns; `None` if it takes contexts that there are not.
    pub(crate) fn of_block(
        &self,
        rows: Range<usize>,
        cols: Range<usize>,
        contexts: Option<BlockContexts<'_>>,
    ) -> Option<BlockClasses> {
        let (rows, cols) = (&self.rows[rows], &self.cols[cols]);
        Some(match self.scan {
            ClassScan::Row => {
                BlockClasses { of_step: self.row_scan(rows, cols), ..BlockClasses::default() }
            }
            ClassScan::Column => {
                let order = order(rows);
                let of_step = self.column_scan(rows, cols, &order);
                BlockClasses { order, of_step, units: None }
            }
            ClassScan::Context => self.context_scan(rows, cols, contexts?),
        })
    }

    /// The sums of factors and context of units of a block.
    pub(crate) fn sums_of_units(
        &self,
        rows: Range<usize>,
        cols: Range<usize>,
        contexts: BlockContexts<'_>,
    ) -> Vec<i32> {
        let BlockContexts { values, pitch, unit } = contexts;
        let means = means_of_units(&self.cols[cols], unit);
        let rows = self.rows[rows].iter().zip(values.chunks(pitch));
        rows.flat_map(|(&row, contexts)| sums_of_row(row, &means, contexts)).collect()
    }

    fn context_scan(&self, rows: &[u8], cols: &[u8], contexts: BlockContexts<'_>) -> BlockClasses {
        let BlockContexts { values, pitch, unit } = contexts;
        let means = means_of_units(cols, unit);
        let (lowest, last) = (i32::from(self.lowest), self.tables.len() as i32 - 1);
        let mut classes = Vec::with_capacity(rows.len() * means.len());
        for (&row, contexts) in rows.iter().zip(values.chunks(pitch)) {
            let sums = sums_of_row(row, &means, contexts);
            classes.extend(sums.map(|sum| (sum - lowest).clamp(0, last) as u8));
        }
        let mut starts = [0usize; MAX_CLASSES];
        for &class in &classes {
            starts[usize::from(class) % MAX_CLASSES] += unit;
        }
        let steps = Steps::linear(classes.len() * unit);
        let mut of_step = Vec::with_capacity(steps.count());
        let mut end = 0;
        for (start, &table) in starts.iter_mut().zip(&self.tables) {
            end += std::mem::replace(start, end);
            // A step is of the class of its first element.
            of_step.resize(steps.beginning_before(end), table);
        }
        let units = Some(Units { size: unit, classes, starts });
        BlockClasses { order: Vec::new(), of_step, units }
    }

    /// The table of a sum of factors.
    #[inline(always)]
    fn table(&self, factor: usize) -> u8 {
        let class = factor.saturating_sub(self.lowest.unsigned_abs().into());
        self.tables[class.min(self.tables.len() - 1)]
    }

    fn column_scan(&self, rows: &[u8], cols: &[u8], order: &[u32]) -> Vec<u8> {
        let mut of_step = Vec::with_capacity(rows.len().div_ceil(LANES) * cols.len());
        // Strips in the order of their scale: most are like the one before.
        let mut before: Option<(usize, Range<usize>)> = None;
        for strip in order.chunks(LANES) {
            let sum = strip.iter().map(|&row| usize::from(rows[row as usize])).sum();
            let factor = mean(sum, strip.len());
            let start = of_step.len();
            match before.clone().filter(|(of, _)| *of == factor) {
                Some((_, steps)) => of_step.extend_from_within(steps),
                None => {
                    // A table of all sums: the columns then only look up.
                    let tables: [u8; MAX_CLASSES] =
                        std::array::from_fn(|col| self.table(factor + col));
                    of_step.extend(cols.iter().map(|&col| tables[usize::from(col) % MAX_CLASSES]));
                }
            }
            before = Some((factor, start..of_step.len()));
        }
        of_step
    }

    fn row_scan(&self, rows: &[u8], cols: &[u8]) -> Vec<u8> {
        let elements = rows.len() * cols.len();
        let lanes = elements.clamp(1, LANES);
        let mut of_step = Vec::with_capacity(elements.div_ceil(lanes));
        if cols.len().is_multiple_of(LANES) {
            // The factor of a row adds to the mean of the columns as it is.
            let sum = |cols: &[u8]| cols.iter().map(|&col| usize::from(col)).sum();
            let means: Vec<usize> =
                cols.chunks_exact(LANES).map(|cols| mean(sum(cols), LANES)).collect();
            // Where rows of a factor lie: those that follow are copies.
            let mut seen = [usize::MAX; MAX_CLASSES];
            for &row in rows {
                let (seen, start) = (&mut seen[usize::from(row) % MAX_CLASSES], of_step.len());
                if *seen < start {
                    of_step.extend_from_within(*seen..*seen + means.len());
                } else {
                    *seen = start;
                    let factors = means.iter().map(|mean| usize::from(row) + mean);
                    of_step.extend(factors.map(|factor| self.table(factor)));
                }
            }
            return of_step;
        }
        // Sums of the factors of all columns before each.
        let mut before = Vec::with_capacity(cols.len() + 1);
        before.push(0);
        before.extend(cols.iter().scan(0, |sum, &col| {
            *sum += usize::from(col);
            Some(*sum)
        }));
        for start in (0..elements).step_by(lanes) {
            let end = elements.min(start + lanes);
            let (mut at, mut sum) = (start, 0);
            while at < end {
                let (row, col) = (at / cols.len(), at % cols.len());
                let run = (cols.len() - col).min(end - at);
                sum += run * usize::from(rows[row]) + before[col + run] - before[col];
                at += run;
            }
            of_step.push(self.table(mean(sum, end - start)));
        }
        of_step
    }
}

/// The sums of a row of units, of which these are the contexts and the means of the columns' factors.
fn sums_of_row<'a>(
    row: u8,
    means: &'a [i32],
    contexts: &'a [i16],
) -> impl Iterator<Item = i32> + 'a {
    let pairs = means.iter().zip(contexts);
    pairs.map(move |(mean, &context)| i32::from(row) + mean + i32::from(context))
}

/// The mean factors of the columns of each unit.
fn means_of_units(cols: &[u8], unit: usize) -> Vec<i32> {
    let sum = |cols: &[u8]| cols.iter().map(|&col| usize::from(col)).sum();
    cols.chunks_exact(unit).map(|cols| mean(sum(cols), unit) as i32).collect()
}

/// Rows by rising factor, rows of equal factors in their order.
fn order(factors: &[u8]) -> Vec<u32> {
    let mut starts = [0usize; MAX_CLASSES];
    for &factor in factors {
        starts[usize::from(factor) % MAX_CLASSES] += 1;
    }
    let mut sum = 0;
    for start in &mut starts {
        sum += std::mem::replace(start, sum);
    }
    let mut order = vec![0; factors.len()];
    for (row, &factor) in (0..).zip(factors) {
        let at = &mut starts[usize::from(factor) % MAX_CLASSES];
        order[*at] = row;
        *at += 1;
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wcodec_kernels::Steps;

    /// What the words of FORMAT.md make of a list of elements.
    fn table_of(classes: &ScaleClasses, step: &[(usize, usize)], context: i32) -> (u8, usize) {
        let factors =
            step.iter().map(|&(row, col)| classes.rows[row] as usize + classes.cols[col] as usize);
        let sum = ((factors.sum::<usize>() + step.len() / 2) / step.len()) as i32;
        let last = classes.tables.len() as i32 - 1;
        let class = (sum + context - i32::from(classes.lowest)).clamp(0, last) as usize;
        (classes.tables[class], class)
    }

    fn classes(
        seed: u64,
        (rows, cols): (usize, usize),
        (scan, lowest, count): (ClassScan, i16, usize),
    ) -> ScaleClasses {
        let random = |i: usize| {
            let product = (seed | 1).wrapping_mul(i as u64 * 2 + 1);
            (product.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize
        };
        ScaleClasses {
            scan,
            lowest,
            tables: (0..count).map(|k| k as u8 / 3).collect(),
            rows: (0..rows).map(|i| (random(i) % 64) as u8).collect(),
            cols: (0..cols).map(|i| (random(1000 + i) % 64) as u8).collect(),
            means: Vec::new(),
        }
    }

    proptest! {
        /// Against the words of FORMAT.md, element by element.
        #[test]
        fn classes_are_those_of_the_format(rows in 1usize..70, cols in 1usize..100, lowest in 0i16..100, count in 2usize..=64, column: bool, seed: u64) {
            let scan = if column { ClassScan::Column } else { ClassScan::Row };
            let classes = classes(seed, (rows, cols), (scan, lowest, count));
            let found = classes.of_block(0..rows, 0..cols, None).unwrap();
            prop_assert_eq!(&found.units, &None);
            let mut order: Vec<usize> = (0..rows).collect();
            let mut elements: Vec<Vec<(usize, usize)>> = Vec::new();
            if column {
                order.sort_by_key(|&row| classes.rows[row]);
                prop_assert!(found.order.iter().map(|&row| row as usize).eq(order.iter().copied()));
                for strip in order.chunks(32) {
                    elements.extend((0..cols).map(|col| strip.iter().map(|&row| (row, col)).collect()));
                }
            } else {
                let all: Vec<(usize, usize)> = (0..rows * cols).map(|i| (i / cols, i % cols)).collect();
                elements.extend(all.chunks(32).map(<[_]>::to_vec));
                prop_assert!(found.order.is_empty());
            }
            prop_assert_eq!(elements.len(), Steps::of(scan.kernel(), rows, cols).count());
            let expected: Vec<u8> =
                elements.iter().map(|step| table_of(&classes, step, 0).0).collect();
            prop_assert_eq!(found.of_step, expected);
        }

        /// The same with contexts, and units return to their places.
        #[test]
        fn units_are_those_of_the_format(rows in 1usize..40, across in 1usize..8, unit in 1usize..40, more in 0usize..3, lowest in -100i16..100, count in 2usize..=64, seed: u64) {
            let cols = across * unit;
            let classes = classes(seed, (rows, cols), (ClassScan::Context, lowest, count));
            let pitch = across + more;
            let values: Vec<i16> =
                (0..rows * pitch).map(|i| (seed.rotate_left(i as u32) % 160) as i16 - 80).collect();
            let contexts = BlockContexts { values: &values, pitch, unit };
            prop_assert_eq!(classes.of_block(0..rows, 0..cols, None), None);
            let found = classes.of_block(0..rows, 0..cols, Some(contexts)).unwrap();
            let mut units: Vec<(usize, Vec<(usize, usize)>)> = Vec::new();
            for (row, first) in (0..rows).flat_map(|row| (0..across).map(move |k| (row, k))) {
                let elements: Vec<(usize, usize)> =
                    (first * unit..(first + 1) * unit).map(|col| (row, col)).collect();
                let context = values[row * pitch + first].into();
                units.push((table_of(&classes, &elements, context).1, elements));
            }
            units.sort_by_key(|(class, _)| *class);
            let coded: Vec<(usize, usize, usize)> = units
                .iter()
                .flat_map(|(class, elements)| elements.iter().map(|&(row, col)| (*class, row, col)))
                .collect();
            let lanes = coded.len().min(32);
            let expected: Vec<u8> = coded.chunks(lanes).map(|step| classes.tables[step[0].0]).collect();
            prop_assert_eq!(found.of_step, expected);
            let of_units = found.units.unwrap();
            let elements: Vec<u8> = (0..rows * cols).map(|i| (i * 7 % 251) as u8).collect();
            let mut in_order = vec![0; elements.len()];
            of_units.in_coding_order(&elements, &mut in_order);
            let expected = coded.iter().map(|&(_, row, col)| elements[row * cols + col]);
            prop_assert!(expected.eq(in_order.iter().copied()));
            let mut back = vec![0; elements.len()];
            let mut restore = of_units.restore(&in_order);
            back.chunks_mut(3 * cols).for_each(|rows| restore.next(rows));
            prop_assert_eq!(back, elements);
        }
    }
}
