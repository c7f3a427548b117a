//! From symbols to slots: what encoders look up. Each kind of encoder has a table of its own, made when
//! it is first asked for.

use crate::MAX_SYMBOLS;
#[cfg(target_arch = "x86_64")]
use crate::slots::{ALIAS_SYMBOLS, BUCKET_BITS, SplitBytes, split_bytes, split_numbers};
use crate::slots::{Run, TABLE_SIZE, TableError, for_each_run, validate};
use std::sync::OnceLock;

/// Symbol to slot, for encoding.
#[derive(Clone)]
pub struct EncodeTable {
    frequencies: Vec<u16>,
    scalar: OnceLock<Box<ScalarTable>>,
    #[cfg(target_arch = "x86_64")]
    alias: OnceLock<Box<AliasEncodeTable>>,
    #[cfg(target_arch = "x86_64")]
    split: OnceLock<Box<SplitEncodeTable>>,
    #[cfg(target_arch = "x86_64")]
    wide: OnceLock<Box<[u32; MAX_SYMBOLS]>>,
}

impl EncodeTable {
    /// The twin of [`DecodeTable::new`](crate::DecodeTable::new).
    ///
    /// # Errors
    /// As there.
    pub fn new(frequencies: &[u16]) -> Result<EncodeTable, TableError> {
        validate(frequencies)?;
        Ok(EncodeTable {
            frequencies: frequencies.to_vec(),
            scalar: OnceLock::new(),
            #[cfg(target_arch = "x86_64")]
            alias: OnceLock::new(),
            #[cfg(target_arch = "x86_64")]
            split: OnceLock::new(),
            #[cfg(target_arch = "x86_64")]
            wide: OnceLock::new(),
        })
    }

    /// For encoders that take symbol after symbol.
    pub(crate) fn scalar(&self) -> &ScalarTable {
        self.scalar.get_or_init(|| ScalarTable::new(&self.frequencies))
    }

    /// For vector registers; `None` if there are more than 64 symbols.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub(crate) fn alias(&self) -> Option<&AliasEncodeTable> {
        let few = self.frequencies.len() <= ALIAS_SYMBOLS;
        few.then(|| &**self.alias.get_or_init(|| AliasEncodeTable::new(&self.frequencies)))
    }

    /// For vector registers that look up 16 bytes at a time, and slots in memory; `None` if there are more
    /// than 64 symbols.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn split(&self) -> Option<&SplitEncodeTable> {
        let few = self.symbols() <= ALIAS_SYMBOLS;
        few.then(|| &**self.split.get_or_init(|| SplitEncodeTable::new(&self.frequencies)))
    }

    /// How many symbols there are.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn symbols(&self) -> usize {
        self.frequencies.len()
    }

    /// By rank: the frequency in the upper half, the sum of the frequencies of lower ranks in the lower one. With
    /// more than 64 symbols that is the first slot.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub(crate) fn wide(&self) -> &[u32; MAX_SYMBOLS] {
        self.wide.get_or_init(|| {
            let mut table = Box::new([1 << 16; MAX_SYMBOLS]);
            for ((entry, &f), base) in
                table.iter_mut().zip(&self.frequencies).zip(bases(&self.frequencies))
            {
                *entry = u32::from(f) << 16 | u32::from(base);
            }
            table
        })
    }
}

/// Sums of the frequencies of lower ranks.
fn bases(frequencies: &[u16]) -> impl Iterator<Item = u16> {
    frequencies.iter().scan(0, |sum, f| {
        *sum += f;
        Some(*sum - f)
    })
}

/// What encoding one symbol needs.
#[derive(Clone, Copy, Default)]
pub(crate) struct EncodeSymbol {
    /// `ceil(2^40 / frequency)`: for `x < frequency << 16`, `x / frequency == x * reciprocal >> 40`
    /// exactly, since the error of the product stays below 2^28 * 2^12.
    pub(crate) reciprocal: u64,
    /// `frequency << 16`: the first state that would leave [2^12, 2^28).
    pub(crate) limit: u32,
    pub(crate) frequency: u16,
    /// Sum of the frequencies of lower ranks: where its positions start in `slots`.
    pub(crate) base: u16,
}

/// For encoders that take symbol after symbol.
#[derive(Clone)]
pub(crate) struct ScalarTable {
    /// Entries past the last symbol are never used by ranks of the table.
    pub(crate) symbols: [EncodeSymbol; MAX_SYMBOLS],
    /// The slots of each symbol by position, symbol after symbol.
    pub(crate) slots: [u16; TABLE_SIZE],
}

impl ScalarTable {
    fn new(frequencies: &[u16]) -> Box<ScalarTable> {
        let symbols = [EncodeSymbol::default(); MAX_SYMBOLS];
        let mut table = Box::new(ScalarTable { symbols, slots: [0; TABLE_SIZE] });
        let ScalarTable { symbols, slots } = &mut *table;
        for ((symbol, &f), base) in symbols.iter_mut().zip(frequencies).zip(bases(frequencies)) {
            let reciprocal = (1u64 << 40).div_ceil(u64::from(f));
            *symbol = EncodeSymbol { reciprocal, limit: u32::from(f) << 16, frequency: f, base };
        }
        set_slots(frequencies, slots);
        table
    }
}

/// The slots of each symbol by position, symbol after symbol.
fn set_slots(frequencies: &[u16], slots: &mut [u16; TABLE_SIZE]) {
    let mut first = [0; MAX_SYMBOLS];
    for (first, base) in first.iter_mut().zip(bases(frequencies)) {
        *first = base;
    }
    for_each_run(frequencies, |Run { slot, rank, position, len }| {
        let first = usize::from(first[rank]) + usize::from(position);
        for (to, slot) in slots[first..][..usize::from(len)].iter_mut().zip(slot as u16..) {
            *to = slot;
        }
    });
}

/// For vector registers that look up 16 bytes at a time, up to 64 symbols.
#[cfg(target_arch = "x86_64")]
#[repr(C, align(64))]
#[derive(Clone)]
pub(crate) struct SplitEncodeTable {
    /// Of each rank.
    pub(crate) frequency: [SplitBytes; 2],
    /// Of each rank, as [`reciprocal`] has it.
    pub(crate) reciprocal: [SplitBytes; 2],
    /// Of each rank: where its positions begin in `slots`.
    pub(crate) base: [SplitBytes; 2],
    /// Of each rank: `ceil(log2(frequency))`.
    pub(crate) bits: SplitBytes,
    /// The slots of each symbol by position, symbol after symbol.
    pub(crate) slots: [u16; TABLE_SIZE],
}

#[cfg(target_arch = "x86_64")]
impl SplitEncodeTable {
    fn new(frequencies: &[u16]) -> Box<SplitEncodeTable> {
        // Ranks of no symbol are as good as of frequency 1.
        let frequency = |rank: usize| frequencies.get(rank).copied().unwrap_or(1);
        let bases: Vec<u16> = bases(frequencies).collect();
        let base = |rank: usize| bases.get(rank).copied().unwrap_or(0);
        let mut table = Box::new(SplitEncodeTable {
            frequency: split_numbers(frequency),
            reciprocal: split_numbers(|rank| reciprocal(frequency(rank)).1),
            base: split_numbers(base),
            bits: split_bytes(|rank| reciprocal(frequency(rank)).0),
            slots: [0; TABLE_SIZE],
        });
        set_slots(frequencies, &mut table.slots);
        table
    }
}

/// `bits = ceil(log2(frequency))` and `floor(2^(15 + bits) / frequency)`.
#[cfg(target_arch = "x86_64")]
fn reciprocal(frequency: u16) -> (u8, u16) {
    let bits = frequency.next_power_of_two().ilog2();
    (bits as u8, ((1u32 << (15 + bits)) / u32::from(frequency)) as u16)
}

/// Numbers of 16 bits by rank: their lower and their upper bytes.
#[cfg(target_arch = "x86_64")]
pub(crate) type Halves = [[u8; ALIAS_SYMBOLS]; 2];

/// For vector registers, up to 64 symbols.
///
/// A symbol's first positions lie in the bucket of its own number. All others of all symbols, symbol after
/// symbol and position after position, make up the *rest*; its runs of consecutive slots, at most
/// 64, are found by a search in a tree of six levels.
#[cfg(target_arch = "x86_64")]
#[repr(C, align(64))]
#[derive(Clone)]
pub(crate) struct AliasEncodeTable {
    /// Of each rank, those of no symbol 1.
    pub(crate) frequency: Halves,
    /// Of each rank: `floor(2^(15 + bits) / frequency)`.
    pub(crate) reciprocal: Halves,
    /// Of each rank: what is added to a position to get its place in the rest (wrapping).
    pub(crate) rest: Halves,
    /// Of each rank: `ceil(log2(frequency))`.
    pub(crate) bits: [u8; ALIAS_SYMBOLS],
    /// Of each rank: how many positions lie in the bucket of its own.
    pub(crate) cut: [u8; ALIAS_SYMBOLS],
    /// The last place before each run but the first, as a search tree in an array: the children of node `i`
    /// are `2 i` and `2 i + 1`. Node 0 is not used.
    pub(crate) before: [u16; ALIAS_SYMBOLS],
    /// What is added to a place in each run to get its slot (wrapping).
    pub(crate) offset: [u16; ALIAS_SYMBOLS],
    /// Node 1 of the tree, twice.
    pub(crate) root: [u16; 2],
}

#[cfg(target_arch = "x86_64")]
impl AliasEncodeTable {
    fn new(frequencies: &[u16]) -> Box<AliasEncodeTable> {
        let mut table = Box::new(AliasEncodeTable {
            frequency: [[1; ALIAS_SYMBOLS], [0; ALIAS_SYMBOLS]],
            reciprocal: [[0; ALIAS_SYMBOLS]; 2],
            rest: [[0; ALIAS_SYMBOLS]; 2],
            bits: [0; ALIAS_SYMBOLS],
            cut: [0; ALIAS_SYMBOLS],
            before: [u16::MAX >> 1; ALIAS_SYMBOLS],
            offset: [0; ALIAS_SYMBOLS],
            root: [0; 2],
        });
        // Runs behind the own bucket by symbol and position.
        let (mut runs, mut count) = ([(0u16, 0u16, 0u16, 0u16); ALIAS_SYMBOLS], 0);
        for_each_run(frequencies, |Run { slot, rank, position, len }| {
            if slot >> BUCKET_BITS == rank {
                table.cut[rank] = len as u8;
            } else if len > 0 {
                runs[count] = (rank as u16, position, slot as u16, len);
                count += 1;
            }
        });
        runs[..count].sort_unstable();
        let (mut starts, mut found, mut place) = ([u16::MAX >> 1; ALIAS_SYMBOLS], 0, 0u16);
        let mut rests = [0u16; ALIAS_SYMBOLS];
        let mut before: Option<u16> = None;
        for &(rank, position, slot, len) in &runs[..count] {
            let rank = usize::from(rank);
            if position == u16::from(table.cut[rank]) {
                rests[rank] = place.wrapping_sub(position);
            }
            let offset = slot.wrapping_sub(place);
            if before != Some(offset) {
                (starts[found], table.offset[found]) = (place, offset);
                found += 1;
            }
            before = Some(offset);
            place += len;
        }
        table.set_tree(&starts);
        for (rank, &f) in frequencies.iter().enumerate() {
            table.set_symbol(rank, f, rests[rank]);
        }
        table
    }

    fn set_symbol(&mut self, rank: usize, f: u16, rest: u16) {
        let (bits, reciprocal) = reciprocal(f);
        self.bits[rank] = bits;
        for (halves, number) in
            [(&mut self.frequency, f), (&mut self.reciprocal, reciprocal), (&mut self.rest, rest)]
        {
            [halves[0][rank], halves[1][rank]] = number.to_le_bytes();
        }
    }

    /// `starts` of runs that do not exist are beyond all places.
    fn set_tree(&mut self, starts: &[u16; ALIAS_SYMBOLS]) {
        for level in 0..BUCKET_BITS {
            let nodes = 1usize << level;
            let runs = ALIAS_SYMBOLS >> level;
            for k in 0..nodes {
                self.before[nodes + k] = starts[k * runs + runs / 2].wrapping_sub(1);
            }
        }
        self.root = [self.before[1]; 2];
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    /// The division of the AVX-512 encoder, as its documentation has it.
    fn divide(table: &AliasEncodeTable, x: u32) -> (u32, u32) {
        let number = |halves: &Halves| u16::from_le_bytes([halves[0][0], halves[1][0]]);
        let (f, reciprocal) = (number(&table.frequency), number(&table.reciprocal));
        let (bits, f) = (u32::from(table.bits[0]), u32::from(f));
        let upper = |a: u32, b: u16| (a * u32::from(b)) >> 16;
        assert!(x >> bits <= u32::from(u16::MAX) && reciprocal < u16::MAX);
        let twice = 2 * upper(x >> bits, reciprocal);
        let rest = x - twice * f;
        assert!(rest < 6 * f);
        let more = upper(rest << (12 - bits), reciprocal + 1) >> 11;
        (twice + more, rest - more * f)
    }

    #[test]
    fn quotients_are_exact() {
        for f in 1..=TABLE_SIZE as u16 {
            let frequencies = [f, TABLE_SIZE as u16 - f];
            let used = if f == TABLE_SIZE as u16 { 1 } else { 2 };
            let table = AliasEncodeTable::new(&frequencies[..used]);
            let f = u32::from(f);
            let quotients = (0..1 << 16).step_by(97).chain([1, 2, 0x7fff, 0x8000, 0xffff]);
            for x in quotients.flat_map(|q| [q * f, q * f + f / 2, q * f + f - 1]) {
                assert_eq!(divide(&table, x), (x / f, x % f), "{x} / {f}");
            }
        }
    }
}
