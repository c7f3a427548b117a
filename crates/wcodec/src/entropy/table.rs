//! Normalised frequency tables: made from counts, priced, written and read.
//!
//! A serialised table is a bit string, least significant bit first (FORMAT.md section 6.2):
//!
//! | bits | field |
//! | --- | --- |
//! | width | lowest symbol |
//! | width | highest symbol - lowest symbol |
//! | ... | for each symbol between them, both included: class, then class - 1 bits below the leading one |
//!
//! The class of a frequency is its length in bits (0 for a symbol that does not occur). It is
//! written against the class before it (9 at first): `0` same, `100` one more, `101` one less,
//! `11` and 4 bits otherwise.

use super::bits::{BitReader, BitWriter};
use super::cost;
use super::normalize::normalize;
use crate::error::{Error, Result, corrupt};
use wcodec_kernels::{DecodeTable, EncodeTable, MAX_SYMBOLS};

/// Widest symbols that a table can hold.
pub(crate) const MAX_WIDTH: u32 = 12;
const FIRST_CLASS: u32 = 9;
const MAX_CLASS: u32 = 13;

/// The symbols that occur, in rising order, and their frequencies, which sum to 4,096.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    symbols: Vec<u16>,
    frequencies: Vec<u16>,
}

/// From symbols to ranks.
pub(crate) struct RankOf(Box<[u8; 1 << MAX_WIDTH]>);

impl RankOf {
    /// Symbols have at most [`MAX_WIDTH`] bits; the mask tells the compiler.
    #[inline(always)]
    pub(crate) fn get(&self, symbol: u16) -> u8 {
        self.0[usize::from(symbol) & ((1 << MAX_WIDTH) - 1)]
    }
}

impl Table {
    /// The table for these counts; `None` if nothing or more than 256 different symbols occur.
    pub(crate) fn from_counts(counts: &[u32]) -> Option<Table> {
        let symbols: Vec<u16> =
            (0..counts.len()).filter(|&s| counts[s] > 0).map(|s| s as u16).collect();
        if symbols.is_empty() || symbols.len() > MAX_SYMBOLS {
            return None;
        }
        let present: Vec<u32> = symbols.iter().map(|&s| counts[usize::from(s)]).collect();
        Some(Table { symbols, frequencies: normalize(&present) })
    }

    /// What symbols with these counts cost, in units of 2^-16 bit; `None` if one of them is not
    /// in the table.
    pub(crate) fn cost(&self, counts: &[u32]) -> Option<u64> {
        let mut ranks = self.symbols.iter().zip(&self.frequencies).peekable();
        let mut sum = 0;
        for (symbol, &count) in counts.iter().enumerate().filter(|c| *c.1 > 0) {
            while ranks.peek().is_some_and(|r| usize::from(*r.0) < symbol) {
                ranks.next();
            }
            let rank = ranks.peek().filter(|r| usize::from(*r.0) == symbol)?;
            sum += u64::from(count) * cost::of_frequency(*rank.1);
        }
        Some(sum)
    }

    /// Cost of each of the `1 << width` symbols; `missing` for those not in the table.
    pub(crate) fn symbol_costs(&self, width: u32, missing: u64) -> Vec<u64> {
        let mut costs = vec![missing; 1 << width];
        for (&symbol, &f) in self.symbols.iter().zip(&self.frequencies) {
            costs[usize::from(symbol)] = cost::of_frequency(f);
        }
        costs
    }

    /// Appends the serialised table of symbols of `width` bits.
    pub(crate) fn write(&self, width: u32, out: &mut Vec<u8>) {
        let first = self.symbols[0];
        let last = self.symbols[self.symbols.len() - 1];
        let mut bits = BitWriter::new(out);
        bits.put(u32::from(first), width);
        bits.put(u32::from(last - first), width);
        let mut ranks = self.symbols.iter().zip(&self.frequencies).peekable();
        let mut before = FIRST_CLASS;
        for symbol in first..=last {
            let f = match ranks.next_if(|r| *r.0 == symbol) {
                Some((_, &f)) => u32::from(f),
                None => 0,
            };
            let class = u32::BITS - f.leading_zeros();
            if class == before {
                bits.put(0, 1);
            } else if class == before + 1 {
                bits.put(0b001, 3);
            } else if class + 1 == before {
                bits.put(0b101, 3);
            } else {
                bits.put(0b11 | class << 2, 6);
            }
            if class > 1 {
                bits.put(f - (1 << (class - 1)), class - 1);
            }
            before = class;
        }
        bits.finish();
    }

    /// Bytes that [`Table::write`] appends.
    pub(crate) fn written_len(&self, width: u32) -> usize {
        let mut out = Vec::with_capacity(256);
        self.write(width, &mut out);
        out.len()
    }

    /// Reads a serialised table from the front of `bytes`; returns it and its length.
    pub(crate) fn read(width: u32, bytes: &[u8]) -> Result<(Table, usize)> {
        let mut bits = BitReader::new(bytes);
        let first = bits.take(width)?;
        let span = bits.take(width)?;
        if first + span >= 1 << width {
            let last = first + span;
            return Err(corrupt!("frequency table reaches symbol {last}, its width is {width}"));
        }
        let (mut symbols, mut frequencies) = (Vec::new(), Vec::new());
        let mut before = FIRST_CLASS;
        for symbol in first..=first + span {
            let class = match bits.take(1)? {
                0 => before,
                _ => match (bits.take(1)?, before) {
                    (0, _) if bits.take(1)? == 0 => before + 1,
                    (0, 0) => return Err(corrupt!("frequency class below 0")),
                    (0, _) => before - 1,
                    _ => {
                        let class = bits.take(4)?;
                        if class.abs_diff(before) <= 1 {
                            return Err(corrupt!("frequency class {class} is not in short form"));
                        }
                        class
                    }
                },
            };
            if class > MAX_CLASS {
                return Err(corrupt!("frequency class {class}, at most {MAX_CLASS} expected"));
            }
            if class > 0 {
                let f = (1 << (class - 1)) + bits.take(class - 1)?;
                symbols.push(symbol as u16);
                frequencies.push(f as u16);
            } else if symbol == first || symbol == first + span {
                return Err(corrupt!("frequency table begins or ends with frequency 0"));
            }
            before = class;
        }
        let used = bits.finish()?;
        let table = Table { symbols, frequencies };
        let sum: u64 = table.frequencies.iter().map(|&f| u64::from(f)).sum();
        if sum != wcodec_kernels::TABLE_SIZE as u64 || table.symbols.len() > MAX_SYMBOLS {
            // The kernels check the same; this gives the error its place.
            table.decoder()?;
        }
        Ok((table, used))
    }

    pub(crate) fn decoder(&self) -> Result<DecodeTable> {
        // Symbols that fit a byte are put out as they are, others as distances from the lowest.
        let base = if self.symbols.iter().all(|&s| s < 256) { 0 } else { self.symbols[0] };
        self.decoder_from(base)
    }

    /// A decoder that puts out distances from `base`.
    pub(crate) fn decoder_from(&self, base: u16) -> Result<DecodeTable> {
        DecodeTable::new(&self.symbols, &self.frequencies, base)
            .map_err(|e| corrupt!("frequency table: {e}"))
    }

    /// The table with each symbol moved left by some bits.
    pub(crate) fn shifted(&self, bits: u32) -> Table {
        let symbols = self.symbols.iter().map(|symbol| symbol << bits).collect();
        Table { symbols, frequencies: self.frequencies.clone() }
    }

    /// The lowest and the highest symbol.
    pub(crate) fn range(&self) -> (u16, u16) {
        (self.symbols[0], self.symbols[self.symbols.len() - 1])
    }

    pub(crate) fn encoder(&self) -> Result<EncodeTable> {
        EncodeTable::new(&self.frequencies)
            .map_err(|e| Error::argument(format!("frequency table: {e}")))
    }

    /// Rank of each symbol by its lowest 8 bits; `None` if two symbols have the same.
    pub(crate) fn ranks_by_byte(&self) -> Option<[u8; 256]> {
        let (first, last) = (self.symbols.first()?, self.symbols.last()?);
        let mut ranks = [0; 256];
        for (rank, &symbol) in self.symbols.iter().enumerate() {
            ranks[usize::from(symbol as u8)] = rank as u8;
        }
        (last - first < 256).then_some(ranks)
    }

    /// Rank of each symbol (0 for those not in the table).
    pub(crate) fn ranks(&self) -> RankOf {
        let mut ranks = Box::new([0; 1 << MAX_WIDTH]);
        for (rank, &symbol) in self.symbols.iter().enumerate() {
            ranks[usize::from(symbol)] = rank as u8;
        }
        RankOf(ranks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts() -> impl Strategy<Value = (u32, Vec<u32>)> {
        (1u32..=MAX_WIDTH).prop_flat_map(|width| {
            let sparse = prop_oneof![3 => Just(0u32), 1 => 1u32..100_000];
            (Just(width), prop::collection::vec(sparse, 1usize << width))
        })
    }

    proptest! {
        #[test]
        fn read_inverts_write((width, counts) in counts(), junk: Vec<u8>) {
            let Some(table) = Table::from_counts(&counts) else { return Ok(()) };
            let mut bytes = Vec::new();
            table.write(width, &mut bytes);
            prop_assert_eq!(bytes.len(), table.written_len(width));
            let length = bytes.len();
            bytes.extend(junk);
            prop_assert_eq!(Table::read(width, &bytes).unwrap(), (table, length));
        }

        #[test]
        fn hostile_bytes_are_a_table_or_an_error(width in 1u32..=MAX_WIDTH, bytes: Vec<u8>) {
            if let Ok((table, used)) = Table::read(width, &bytes) {
                let mut again = Vec::new();
                table.write(width, &mut again);
                prop_assert_eq!(&again, &bytes[..used], "one table has one form");
            }
        }

        #[test]
        fn cost_is_near_the_entropy(counts in prop::collection::vec(50u32..1000, 2..64)) {
            let table = Table::from_counts(&counts).unwrap();
            let (cost, ideal) = (table.cost(&counts).unwrap(), cost::entropy(&counts));
            prop_assert!(cost + cost / 1000 >= ideal);
            prop_assert!((cost as f64) < ideal as f64 * 1.01);
        }
    }
}
