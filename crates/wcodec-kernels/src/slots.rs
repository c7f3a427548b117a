//! From frequencies to slots: which of the 4,096 slots of a table belongs to which symbol.
//!
//! Up to 64 symbols use the alias layout (A. J. Walker's alias method): 64 buckets of 64 slots,
//! each shared by at most two symbols, so that a decoder can keep the table in registers. More
//! symbols use contiguous slots. FORMAT.md section 6.3 is normative.

use std::sync::OnceLock;

/// Slots of a table as a power of two.
pub const TABLE_BITS: u32 = 12;
/// Slots of a table; the frequencies sum to it.
pub const TABLE_SIZE: usize = 1 << TABLE_BITS;
/// Most symbols that one table can hold: ranks are bytes.
pub const MAX_SYMBOLS: usize = 256;
/// Up to this many symbols use the alias layout.
pub const ALIAS_SYMBOLS: usize = 64;

pub(crate) const BUCKET_BITS: u32 = 6;
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
pub(crate) fn validate(frequencies: &[u16]) -> Result<(), TableError> {
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
    let (mut under, mut over) = (Stack::default(), Stack::default());
    for (k, &f) in left.iter().enumerate() {
        match f.cmp(&BUCKET_SLOTS) {
            std::cmp::Ordering::Less => under.push(k),
            std::cmp::Ordering::Greater => over.push(k),
            std::cmp::Ordering::Equal => {}
        }
    }
    while let (Some(o), Some(u)) = (over.last(), under.pop()) {
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

/// Buckets one upon the other. A table is made for many blocks; this asks for no memory.
struct Stack {
    buckets: [u8; ALIAS_SYMBOLS],
    len: usize,
}

impl Default for Stack {
    fn default() -> Stack {
        Stack { buckets: [0; ALIAS_SYMBOLS], len: 0 }
    }
}

impl Stack {
    fn push(&mut self, bucket: usize) {
        self.buckets[self.len] = bucket as u8;
        self.len += 1;
    }

    fn last(&self) -> Option<usize> {
        self.len.checked_sub(1).map(|top| usize::from(self.buckets[top]))
    }

    fn pop(&mut self) -> Option<usize> {
        let top = self.last()?;
        self.len -= 1;
        Some(top)
    }
}

/// A run of slots of one symbol with rising positions.
pub(crate) struct Run {
    pub(crate) slot: usize,
    pub(crate) rank: usize,
    /// Of the first slot, counting the slots of the symbol from 0 in the order that the coder uses.
    pub(crate) position: u16,
    pub(crate) len: u16,
}

/// The runs that the 4,096 slots of a table are made up of, in the order of the slots.
pub(crate) fn for_each_run(frequencies: &[u16], mut visit: impl FnMut(Run)) {
    if frequencies.len() <= ALIAS_SYMBOLS {
        for (k, bucket) in alias_buckets(frequencies).iter().enumerate() {
            let slot = k << BUCKET_BITS;
            visit(Run { slot, rank: k, position: 0, len: bucket.cut.min(BUCKET_SLOTS) });
            visit(Run {
                slot: slot + usize::from(bucket.cut),
                rank: usize::from(bucket.alias),
                position: bucket.cut.wrapping_add(bucket.shift),
                len: BUCKET_SLOTS - bucket.cut.min(BUCKET_SLOTS),
            });
        }
    } else {
        let mut slot = 0;
        for (rank, &len) in frequencies.iter().enumerate() {
            visit(Run { slot, rank, position: 0, len });
            slot += usize::from(len);
        }
    }
}

/// A slot for decoders that look slots up one by one: frequency - 1 in the highest 12 bits, the
/// position in its symbol below, the output byte in the lowest 8. 16 KiB a table, half of a
/// first-level cache.
pub(crate) type Slot = u32;

/// The alias layout for decoders that hold a table in vector registers.
#[repr(C, align(64))]
#[derive(Clone)]
pub(crate) struct AliasTable {
    /// Of each bucket: its cut in the highest six bits. A full bucket has cut 0 and itself as alias.
    pub(crate) cut: [u8; ALIAS_SYMBOLS],
    /// Of each bucket: its alias.
    pub(crate) alias: [u8; ALIAS_SYMBOLS],
    /// Of each bucket: what is added to a slot of the alias to get its position (wrapping), lower and upper
    /// bytes.
    pub(crate) shift: [[u8; ALIAS_SYMBOLS]; 2],
    /// Of each rank, lower and upper bytes.
    pub(crate) frequency: [[u8; ALIAS_SYMBOLS]; 2],
    /// The same in numbers of 16 bits. Of each bucket: its cut in the highest six bits, its alias below.
    #[cfg(target_arch = "x86_64")]
    pub(crate) bucket_numbers: [u16; ALIAS_SYMBOLS],
    #[cfg(target_arch = "x86_64")]
    pub(crate) shift_numbers: [u16; ALIAS_SYMBOLS],
    #[cfg(target_arch = "x86_64")]
    pub(crate) frequency_numbers: [u16; ALIAS_SYMBOLS],
    /// Of each rank: the symbol.
    pub(crate) symbol: [u16; ALIAS_SYMBOLS],
    /// Of each rank: the output byte.
    pub(crate) byte: [u8; ALIAS_SYMBOLS],
}

impl AliasTable {
    /// Without symbols.
    const EMPTY: AliasTable = AliasTable {
        cut: [0; ALIAS_SYMBOLS],
        alias: [0; ALIAS_SYMBOLS],
        shift: [[0; ALIAS_SYMBOLS]; 2],
        frequency: [[0; ALIAS_SYMBOLS]; 2],
        #[cfg(target_arch = "x86_64")]
        bucket_numbers: [0; ALIAS_SYMBOLS],
        #[cfg(target_arch = "x86_64")]
        shift_numbers: [0; ALIAS_SYMBOLS],
        #[cfg(target_arch = "x86_64")]
        frequency_numbers: [0; ALIAS_SYMBOLS],
        symbol: [0; ALIAS_SYMBOLS],
        byte: [0; ALIAS_SYMBOLS],
    };

    /// Sets a bucket.
    fn set(&mut self, k: usize, bucket: Bucket) {
        let (cut, alias, shift) = match bucket.cut >= BUCKET_SLOTS {
            true => (0, k as u8, 0),
            false => (bucket.cut, bucket.alias, bucket.shift),
        };
        self.cut[k] = (cut << 2) as u8;
        self.alias[k] = alias;
        [self.shift[0][k], self.shift[1][k]] = shift.to_le_bytes();
        #[cfg(target_arch = "x86_64")]
        {
            self.bucket_numbers[k] = cut << 10 | u16::from(alias);
            self.shift_numbers[k] = shift;
        }
    }

    /// Sets the frequency of a rank.
    fn set_frequency(&mut self, rank: usize, frequency: u16) {
        [self.frequency[0][rank], self.frequency[1][rank]] = frequency.to_le_bytes();
        #[cfg(target_arch = "x86_64")]
        {
            self.frequency_numbers[rank] = frequency;
        }
    }
}

/// A byte for each of 64 indices, for vector registers that look up 16 at a time: each quarter but the first
/// is XORed with the one before. With 16 taken off the index for each quarter, looked up in all of them
/// that this does not make negative, the bytes of the wrong quarters cancel out.
#[cfg(target_arch = "x86_64")]
pub(crate) type SplitBytes = [[u8; 16]; 4];

#[cfg(target_arch = "x86_64")]
pub(crate) fn split_bytes(byte: impl Fn(usize) -> u8) -> SplitBytes {
    std::array::from_fn(|quarter| {
        std::array::from_fn(|k| {
            let at = 16 * quarter + k;
            byte(at) ^ if quarter > 0 { byte(at - 16) } else { 0 }
        })
    })
}

/// Numbers of 16 bits as two tables: of lower bytes and of upper ones.
#[cfg(target_arch = "x86_64")]
pub(crate) fn split_numbers(number: impl Fn(usize) -> u16) -> [SplitBytes; 2] {
    [0, 1].map(|half| split_bytes(|k| number(k).to_le_bytes()[half]))
}

/// The alias layout, byte by byte.
#[cfg(target_arch = "x86_64")]
#[repr(C, align(64))]
#[derive(Clone)]
pub(crate) struct SplitTable {
    /// Of each bucket: how many of its slots belong to the symbol of its number; 0 if all do.
    pub(crate) cut: SplitBytes,
    /// Of each bucket: its alias XOR its number. A full bucket is its own alias.
    pub(crate) alias: SplitBytes,
    /// Of each bucket: what is added to a slot of the alias to get its position (wrapping).
    pub(crate) shift: [SplitBytes; 2],
    /// Of each rank, times 16.
    pub(crate) frequency: [SplitBytes; 2],
    /// Of each rank: the output byte.
    pub(crate) byte: SplitBytes,
    symbols: usize,
}

#[cfg(target_arch = "x86_64")]
impl SplitTable {
    fn new(alias: &AliasTable, symbols: usize) -> SplitTable {
        let number =
            |halves: &[[u8; ALIAS_SYMBOLS]; 2], k| u16::from_le_bytes([halves[0][k], halves[1][k]]);
        SplitTable {
            cut: split_bytes(|k| alias.cut[k] >> 2),
            alias: split_bytes(|k| alias.alias[k] ^ k as u8),
            shift: split_numbers(|k| number(&alias.shift, k)),
            frequency: split_numbers(|k| number(&alias.frequency, k) << 4),
            byte: split_bytes(|k| alias.byte[k]),
            symbols,
        }
    }

    /// Quarters that the symbols take.
    pub(crate) fn quarters(&self) -> usize {
        self.symbols.div_ceil(16)
    }
}

/// Slot to symbol, for decoding.
#[derive(Clone)]
pub struct DecodeTable {
    frequencies: Vec<u16>,
    symbols: Vec<u16>,
    highest: u16,
    base: Option<u16>,
    bytes: [u8; MAX_SYMBOLS],
    alias: Option<Box<AliasTable>>,
    #[cfg(target_arch = "x86_64")]
    split: OnceLock<Box<SplitTable>>,
    direct: OnceLock<Box<[Slot; TABLE_SIZE]>>,
}

impl DecodeTable {
    /// Builds the table of symbols and their frequencies. What [`decode`](crate::decode) puts out for a symbol
    /// is its distance from `base` if all symbols are from there to 255 above, else its rank.
    ///
    /// # Errors
    /// Unless there are 1 to 256 frequencies, none of them 0, that sum to 4,096.
    ///
    /// # Panics
    /// Unless there are as many symbols as frequencies.
    pub fn new(symbols: &[u16], frequencies: &[u16], base: u16) -> Result<DecodeTable, TableError> {
        validate(frequencies)?;
        assert_eq!(symbols.len(), frequencies.len(), "a symbol for each frequency");
        let distances_fit =
            symbols.iter().all(|s| s.checked_sub(base).is_some_and(|distance| distance < 256));
        let base = distances_fit.then_some(base);
        let mut bytes = [0; MAX_SYMBOLS];
        for (rank, (byte, &symbol)) in bytes.iter_mut().zip(symbols).enumerate() {
            *byte = base.map_or(rank as u8, |base| (symbol - base) as u8);
        }
        let alias = (frequencies.len() <= ALIAS_SYMBOLS).then(|| {
            let mut table = Box::new(AliasTable::EMPTY);
            for (k, bucket) in alias_buckets(frequencies).into_iter().enumerate() {
                table.set(k, bucket);
            }
            for (rank, &frequency) in frequencies.iter().enumerate() {
                table.set_frequency(rank, frequency);
            }
            table.symbol[..symbols.len()].copy_from_slice(symbols);
            table.byte.copy_from_slice(&bytes[..ALIAS_SYMBOLS]);
            table
        });
        Ok(DecodeTable {
            frequencies: frequencies.to_vec(),
            symbols: symbols.to_vec(),
            highest: symbols.iter().copied().max().unwrap_or(0),
            base,
            bytes,
            alias,
            #[cfg(target_arch = "x86_64")]
            split: OnceLock::new(),
            direct: OnceLock::new(),
        })
    }

    /// The symbol of each rank.
    #[must_use]
    pub fn symbols(&self) -> &[u16] {
        &self.symbols
    }

    /// What decoding puts out for a rank.
    pub(crate) fn byte(&self, rank: u8) -> u8 {
        self.bytes[usize::from(rank)]
    }

    /// The highest symbol.
    pub(crate) fn highest(&self) -> u16 {
        self.highest
    }

    /// What the bytes that decoding puts out are distances from; `None` if they are ranks.
    #[must_use]
    pub fn base(&self) -> Option<u16> {
        self.base
    }

    /// The table for vector registers; `None` if there are more than 64 symbols.
    pub(crate) fn alias(&self) -> Option<&AliasTable> {
        self.alias.as_deref()
    }

    /// The same byte by byte, made when it is first asked for; `None` also if there is only one symbol,
    /// whose frequency is too large.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn split(&self) -> Option<&SplitTable> {
        let symbols = self.symbols.len();
        let alias = self.alias().filter(|_| symbols > 1)?;
        Some(self.split.get_or_init(|| Box::new(SplitTable::new(alias, symbols))))
    }

    /// The table of all slots, made when it is first asked for.
    pub(crate) fn direct(&self) -> &[Slot; TABLE_SIZE] {
        self.direct.get_or_init(|| {
            let mut slots = Box::new([0; TABLE_SIZE]);
            for_each_run(&self.frequencies, |Run { slot, rank, position, len }| {
                let frequency = u32::from(self.frequencies[rank.min(self.frequencies.len() - 1)]);
                let byte = u32::from(self.bytes[rank]);
                let slots = &mut slots[slot..][..usize::from(len)];
                for (slot, position) in slots.iter_mut().zip(u32::from(position)..) {
                    *slot = (frequency - 1) << 20 | position << 8 | byte;
                }
            });
            slots
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_exact_layout(frequencies: &[u16]) {
        let mut seen: Vec<Vec<bool>> =
            frequencies.iter().map(|&f| vec![false; usize::from(f)]).collect();
        for_each_run(frequencies, |Run { rank, position, len, .. }| {
            let cells = seen.get_mut(rank).map(Vec::as_mut_slice).unwrap_or_default();
            for cell in cells.iter_mut().skip(usize::from(position)).take(usize::from(len)) {
                assert!(!*cell, "a position of rank {rank} has two slots");
                *cell = true;
            }
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
            DecodeTable::new(&(0..n as u16).collect::<Vec<_>>(), &f, 0).unwrap();
            f[n / 2] -= 1;
            let symbols: Vec<u16> = (0..n as u16).collect();
            assert_eq!(DecodeTable::new(&symbols, &f, 0).err(), Some(TableError::Sum(4095)));
            f[n / 2] += 2;
            assert_eq!(validate(&f), Err(TableError::Sum(4097)));
        }
    }
}
