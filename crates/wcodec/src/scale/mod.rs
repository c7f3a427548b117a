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

use mean::Mean;
use std::ops::Range;
use wcodec_kernels::{LANES, Scan};

/// Most scale classes of a group, and values of a factor.
pub(crate) const MAX_CLASSES: usize = 64;
/// Most row factors, and most column factors, of a group.
pub(crate) const MAX_FACTORS: u64 = 1 << 20;

/// The scale classes of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScaleClasses {
    /// The scan of the planes that have classes.
    pub(crate) scan: Scan,
    /// The sum of factors that is class 0; smaller ones are as well.
    pub(crate) lowest: u8,
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
    /// The rows in the order in which the column scan takes them; empty for the row scan.
    pub(crate) order: Vec<u32>,
    /// The table of each step.
    pub(crate) of_step: Vec<u8>,
}

/// The mean of `count` numbers, of which this is the sum, rounded, halves up.
fn mean(sum: usize, count: usize) -> usize {
    (sum + count / 2) / count.max(1)
}

impl ScaleClasses {
    /// Of the block with these rows of the group and these columns.
    pub(crate) fn of_block(&self, rows: Range<usize>, cols: Range<usize>) -> BlockClasses {
        let (rows, cols) = (&self.rows[rows], &self.cols[cols]);
        match self.scan {
            Scan::Row => BlockClasses { order: Vec::new(), of_step: self.row_scan(rows, cols) },
            Scan::Column => {
                let order = order(rows);
                BlockClasses { of_step: self.column_scan(rows, cols, &order), order }
            }
        }
    }

    /// The table of a sum of factors.
    #[inline(always)]
    fn table(&self, factor: usize) -> u8 {
        let class = factor.saturating_sub(usize::from(self.lowest));
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

    proptest! {
        /// Against the words of FORMAT.md, element by element.
        #[test]
        fn classes_are_those_of_the_format(rows in 1usize..70, cols in 1usize..100, lowest in 0u8..100, count in 2usize..=64, column: bool, seed: u64) {
            let random = |i: usize| ((seed | 1).wrapping_mul(i as u64 * 2 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize;
            let scan = if column { Scan::Column } else { Scan::Row };
            let classes = ScaleClasses {
                scan,
                lowest,
                tables: (0..count).map(|k| k as u8 / 3).collect(),
                rows: (0..rows).map(|i| (random(i) % 64) as u8).collect(),
                cols: (0..cols).map(|i| (random(1000 + i) % 64) as u8).collect(),
                means: Vec::new(),
            };
            let found = classes.of_block(0..rows, 0..cols);
            let mut order: Vec<usize> = (0..rows).collect();
            let mut elements: Vec<Vec<(usize, usize)>> = Vec::new();
            match scan {
                Scan::Row => {
                    let all: Vec<(usize, usize)> = (0..rows * cols).map(|i| (i / cols, i % cols)).collect();
                    elements.extend(all.chunks(32).map(<[_]>::to_vec));
                    prop_assert!(found.order.is_empty());
                }
                Scan::Column => {
                    order.sort_by_key(|&row| classes.rows[row]);
                    prop_assert!(found.order.iter().map(|&row| row as usize).eq(order.iter().copied()));
                    for strip in order.chunks(32) {
                        elements.extend((0..cols).map(|col| strip.iter().map(|&row| (row, col)).collect()));
                    }
                }
            }
            prop_assert_eq!(elements.len(), Steps::of(scan, rows, cols).count());
            let expected: Vec<u8> = elements.iter().map(|step| {
                let sum: usize = step.iter().map(|&(row, col)| usize::from(classes.rows[row]) + usize::from(classes.cols[col])).sum();
                let factor = (sum + step.len() / 2) / step.len();
                classes.tables[factor.saturating_sub(usize::from(lowest)).min(count - 1)]
            }).collect();
            prop_assert_eq!(found.of_step, expected);
        }
    }
}
