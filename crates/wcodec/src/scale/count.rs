//! Counting the fields of a block by scale class.

use super::MAX_CLASSES;
use wcodec_kernels::{LANES, Steps};

/// Steps whose fields 16 bits can count.
const FEW_STEPS: usize = u16::MAX as usize / LANES;

/// Counts by the lowest 8 bits of a field.
pub(crate) type Counts = [u32; 256];

/// The counts of a block, of the tables that it takes.
pub(crate) type BlockCounts = Vec<(u8, Box<Counts>)>;

/// The sums of counts, of all tables.
pub(crate) fn summed<'a>(parts: impl IntoIterator<Item = &'a BlockCounts>) -> Vec<Counts> {
    let mut sum = vec![[0u32; 256]; MAX_CLASSES];
    for (table, counts) in parts.into_iter().flatten() {
        let sum = &mut sum[usize::from(*table)];
        sum.iter_mut().zip(&**counts).for_each(|(sum, count)| *sum += count);
    }
    sum
}

/// Counts fields of blocks by table.
pub(crate) struct Counter {
    /// Two small counters for a value: the same value twice in a row does not wait, and all of them stay in
    /// the first caches.
    few: Vec<[[u16; 2]; 256]>,
    /// What the small counters have been emptied into.
    counts: [Option<Box<Counts>>; MAX_CLASSES],
    /// The tables that were counted since then, a bit each.
    touched: u64,
    /// The steps that were.
    steps: usize,
}

impl Default for Counter {
    fn default() -> Counter {
        let counts = std::array::from_fn(|_| None);
        Counter { few: vec![[[0; 2]; 256]; MAX_CLASSES], counts, touched: 0, steps: 0 }
    }
}

impl Counter {
    /// Counts the fields of a block, which lie in the order of the steps, by the table of each step.
    pub(crate) fn add(&mut self, steps: Steps, of_step: &[u8], fields: &[u8]) {
        for (&table, step) in of_step.iter().zip(steps.chunks(fields)) {
            if self.steps == FEW_STEPS {
                self.flush();
            }
            self.steps += 1;
            self.add_step(usize::from(table) % MAX_CLASSES, step);
        }
    }

    fn add_step(&mut self, table: usize, fields: &[u8]) {
        self.touched |= 1 << table;
        let few = &mut self.few[table];
        let (pairs, rest) = fields.as_chunks::<2>();
        for [a, b] in pairs {
            few[usize::from(*a)][0] += 1;
            few[usize::from(*b)][1] += 1;
        }
        rest.iter().for_each(|&field| few[usize::from(field)][0] += 1);
    }

    /// Empties the small counters.
    fn flush(&mut self) {
        for table in (0..MAX_CLASSES).filter(|&table| self.touched >> table & 1 != 0) {
            let counts = self.counts[table].get_or_insert_with(|| Box::new([0; 256]));
            for (count, few) in counts.iter_mut().zip(&mut self.few[table]) {
                *count += u32::from(few[0]) + u32::from(few[1]);
                *few = [0; 2];
            }
        }
        (self.touched, self.steps) = (0, 0);
    }

    /// What was counted; what comes next begins anew.
    pub(crate) fn take(&mut self) -> BlockCounts {
        self.flush();
        let counts = (0u8..).zip(&mut self.counts);
        counts.filter_map(|(table, counts)| Some((table, counts.take()?))).collect()
    }
}

pub(crate) fn added(a: &Counts, b: &Counts) -> Counts {
    std::array::from_fn(|k| a[k] + b[k])
}
