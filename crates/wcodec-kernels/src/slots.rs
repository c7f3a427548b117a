//! From frequencies to slots: which of the 4,096 slots of a table belongs to which symbol.
//!
//! Up to 64 symbols use the alias layout (A. J. Walker's alias method): 64 buckets of 64 slots,
//! each shared by at most two symbols, so that a decoder can keep the table in registers. More
//! symbols use contiguous slots. FORMAT.md section 6.3 is normative.

/// Slots of a table as a power of two.
pub const TABLE_BITS: u32 = 12;
/// Slots of a table; the frequencies sum to it.
pub const TABLE_SIZE: usize = 1 << TABLE_BITS;
/// Most symbols that one table can hold: ranks are bytes.
pub const MAX_SYMBOLS: usize = 256;
/// Up to this many symbols use the alias layout.
pub const ALIAS_SYMBOLS: usize = 64;

const BUCKET_BITS: u32 = 6;
const BUCKET_SLOTS: u16 = 1 << BUCKET_BITS;

/// Why frequencies were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableError {
    /// No symbol, or more than 256 of them; the number is given.
    SymbolCount(usize),
    /// The symbol of this rank has frequency 0.
    ZeroFrequency(usize),
    /// The frequencies do not sum to 4,096; their sum is given.
    Sum(u64),
}

impl std::fmt::Display for TableError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TableError::SymbolCount(n) => write!(f, "table has {n} symbols, expected 1 to 256"),
            TableError::ZeroFrequency(rank) => write!(f, "symbol {rank} has frequency 0"),
            TableError::Sum(sum) => write!(f, "frequencies sum to {sum}, expected 4096"),
        }
    }
}

impl std::error::Error for TableError {}

/// Proves the frequencies before anything is built from them.
fn validate(frequencies: &[u16]) -> Result<(), TableError> {
    if frequencies.is_empty() || frequencies.len() > MAX_SYMBOLS {
        return Err(TableError::SymbolCount(frequencies.len()));
    }
    if let Some(rank) = frequencies.iter().position(|&f| f == 0) {
        return Err(TableError::ZeroFrequency(rank));
    }
    let sum: u64 = frequencies.iter().map(|&f| u64::from(f)).sum();
    if sum == TABLE_SIZE as u64 { Ok(()) } else { Err(TableError::Sum(sum)) }
}

/// One bucket of the alias layout: its first `cut` slots belong to the symbol of the bucket's own
/// number, the others to `alias`, whose position in a slot is `slot + shift` (wrapping).
#[derive(Clone, Copy)]
struct Bucket {
    cut: u16,
    alias: u8,
    shift: u16,
}

/// Builds the alias layout from proven frequencies of at most 64 symbols.
fn alias_buckets(frequencies: &[u16]) -> [Bucket; ALIAS_SYMBOLS] {
    let mut left = [0u16; ALIAS_SYMBOLS];
    left[..frequencies.len()].copy_from_slice(frequencies);
    let mut buckets = std::array::from_fn(|k| Bucket { cut: left[k], alias: k as u8, shift: 0 });
    // Both stacks are filled in rising order; a bucket that was over and has become under is
    // taken next. The order is part of the format.
    let mut under = Vec::with_capacity(ALIAS_SYMBOLS);
    let mut over = Vec::with_capacity(ALIAS_SYMBOLS);
    for (k, &f) in left.iter().enumerate() {
        match f.cmp(&BUCKET_SLOTS) {
            std::cmp::Ordering::Less => under.push(k),
            std::cmp::Ordering::Greater => over.push(k),
            std::cmp::Ordering::Equal => {}
        }
    }
    while let (Some(u), Some(&o)) = (under.pop(), over.last()) {
        let cut = left[u];
        left[o] -= BUCKET_SLOTS - cut;
        buckets[u] = Bucket { cut, alias: o as u8, shift: left[o].wrapping_sub(cut) };
        if left[o] <= BUCKET_SLOTS {
            over.pop();
            if left[o] < BUCKET_SLOTS {
                under.push(o);
            } else {
                buckets[o].cut = BUCKET_SLOTS;
            }
        }
    }
    buckets
}

/// Calls `visit(slot, rank, position)` for each of the 4,096 slots, `position` counting the slots
/// of a symbol from 0 in the order that the coder uses.
fn for_each_slot(frequencies: &[u16], mut visit: impl FnMut(usize, usize, u16)) {
    if frequencies.len() <= ALIAS_SYMBOLS {
        for (k, bucket) in alias_buckets(frequencies).iter().enumerate() {
            for t in 0..BUCKET_SLOTS {
                let slot = (k << BUCKET_BITS) + usize::from(t);
                if t < bucket.cut {
                    visit(slot, k, t);
                } else {
                    visit(slot, usize::from(bucket.alias), t.wrapping_add(bucket.shift));
                }
            }
        }
    } else {
        let mut slot = 0;
        for (rank, &f) in frequencies.iter().enumerate() {
            for position in 0..f {
                visit(slot, rank, position);
                slot += 1;
            }
        }
    }
}

/// What decoding one slot needs, in the form that takes the fewest instructions.
#[derive(Clone, Copy, Default)]
pub(crate) struct Slot {
    pub(crate) frequency: u32,
    /// Position of the slot in its symbol, above the 8 bits of the symbol's rank.
    pub(crate) position_and_rank: u32,
}

/// Slot to symbol, for decoding.
#[derive(Clone)]
pub struct DecodeTable {
    pub(crate) slots: Box<[Slot; TABLE_SIZE]>,
}

impl DecodeTable {
    /// Builds the table of the symbols with these frequencies, rank by rank.
    ///
    /// # Errors
    /// Unless there are 1 to 256 frequencies, none of them 0, that sum to 4,096.
    pub fn new(frequencies: &[u16]) -> Result<DecodeTable, TableError> {
        validate(frequencies)?;
        let mut slots = Box::new([Slot::default(); TABLE_SIZE]);
        for_each_slot(frequencies, |slot, rank, position| {
            slots[slot] = Slot {
                frequency: u32::from(frequencies[rank]),
                position_and_rank: u32::from(position) << 8 | rank as u32,
            };
        });
        Ok(DecodeTable { slots })
    }
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

/// Symbol to slot, for encoding.
#[derive(Clone)]
pub struct EncodeTable {
    /// Entries past the last symbol are never used by ranks of the table.
    pub(crate) symbols: Box<[EncodeSymbol; MAX_SYMBOLS]>,
    pub(crate) slots: Box<[u16; TABLE_SIZE]>,
}

impl EncodeTable {
    /// The twin of [`DecodeTable::new`].
    ///
    /// # Errors
    /// As there.
    pub fn new(frequencies: &[u16]) -> Result<EncodeTable, TableError> {
        validate(frequencies)?;
        let mut base = 0;
        let mut symbols = Box::new([EncodeSymbol::default(); MAX_SYMBOLS]);
        for (symbol, &f) in symbols.iter_mut().zip(frequencies) {
            let reciprocal = (1u64 << 40).div_ceil(u64::from(f));
            *symbol = EncodeSymbol { reciprocal, limit: u32::from(f) << 16, frequency: f, base };
            base += f;
        }
        let mut slots = Box::new([0u16; TABLE_SIZE]);
        for_each_slot(frequencies, |slot, rank, position| {
            slots[usize::from(symbols[rank].base + position)] = slot as u16;
        });
        Ok(EncodeTable { symbols, slots })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_exact_layout(frequencies: &[u16]) {
        let mut seen: Vec<Vec<bool>> =
            frequencies.iter().map(|&f| vec![false; usize::from(f)]).collect();
        for_each_slot(frequencies, |_, rank, position| {
            let cell = &mut seen[rank][usize::from(position)];
            assert!(!*cell, "rank {rank} position {position} has two slots");
            *cell = true;
        });
        assert!(seen.iter().flatten().all(|&s| s), "a position has no slot");
    }

    #[test]
    fn refuses_what_is_not_a_table() {
        assert_eq!(validate(&[]), Err(TableError::SymbolCount(0)));
        assert_eq!(validate(&[16; 257]), Err(TableError::SymbolCount(257)));
        assert_eq!(validate(&[4096, 0]), Err(TableError::ZeroFrequency(1)));
        assert_eq!(validate(&[4095]), Err(TableError::Sum(4095)));
        assert_eq!(validate(&[4096, 1]), Err(TableError::Sum(4097)));
        assert_eq!(validate(&[4096]), Ok(()));
    }

    /// Every way to split 256 among 4 symbols (2,862,209 of them), in units of 16 slots.
    /// Counting slots per symbol is enough here: a wrong position shows in `assert_exact_layout`,
    /// which a sample of the splits goes through.
    #[test]
    fn alias_layout_is_exact_for_every_split_of_256_among_4() {
        let mut splits = 0u32;
        for a in 0..=256u16 {
            for b in 0..=256 - a {
                for c in 0..=256 - a - b {
                    let d = 256 - a - b - c;
                    let f: Vec<u16> =
                        [a, b, c, d].iter().filter(|&&x| x > 0).map(|&x| x * 16).collect();
                    splits += 1;
                    assert_eq!(validate(&f), Ok(()));
                    let mut count = [0u32; ALIAS_SYMBOLS];
                    for (k, bucket) in alias_buckets(&f).iter().enumerate() {
                        count[k] += u32::from(bucket.cut);
                        count[usize::from(bucket.alias)] += u32::from(BUCKET_SLOTS - bucket.cut);
                    }
                    for (k, &n) in count.iter().enumerate() {
                        assert_eq!(n, f.get(k).map_or(0, |&x| u32::from(x)), "{f:?}");
                    }
                    if splits.is_multiple_of(997) {
                        assert_exact_layout(&f);
                    }
                }
            }
        }
        assert_eq!(splits, 2_862_209);
    }

    #[test]
    fn sums_off_by_one_are_refused_and_extremes_accepted() {
        for n in 1..=MAX_SYMBOLS {
            let mut f = vec![1u16; n];
            f[n / 2] = (TABLE_SIZE - (n - 1)) as u16;
            assert_exact_layout(&f);
            DecodeTable::new(&f).unwrap();
            f[n / 2] -= 1;
            assert_eq!(DecodeTable::new(&f).err(), Some(TableError::Sum(4095)));
            f[n / 2] += 2;
            assert_eq!(EncodeTable::new(&f).err(), Some(TableError::Sum(4097)));
        }
    }
}
