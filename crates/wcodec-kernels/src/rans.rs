//! Interleaved range asymmetric numeral systems (rANS; J. Duda, arXiv:1311.2540), 32 lanes over
//! one shared word stream (interleaving after F. Giesen, arXiv:1402.3392).
//!
//! A stream is `lanes` states of 32 bits, little-endian, followed by 16-bit little-endian words.
//! A *step* decodes one symbol in each of its lanes, in lane order; a lane whose state falls
//! below [`STATE_MIN`] takes the next word. FORMAT.md section 7 is normative.

#[cfg(target_arch = "aarch64")]
use crate::aarch64;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
use crate::level::Set;
#[cfg(target_arch = "x86_64")]
use crate::x86_64;
use crate::{DecodeTable, EncodeTable, Level, scalar};

/// States that run in parallel.
pub const LANES: usize = 32;
/// Smallest legal state, and the state in which every lane ends. It equals the table size, so
/// that `state >> 12` fits 16 bits.
pub const STATE_MIN: u32 = 1 << 12;
/// First state that is too large.
pub const STATE_MAX: u32 = 1 << 28;

/// How the symbols of a stream are dealt to its lanes: `full` steps of `lanes` symbols, then
/// `tail` steps of `tail_lanes` symbols in the first `tail_lanes` lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    lanes: usize,
    full: usize,
    tail_lanes: usize,
    tail: usize,
}

/// Order in which the symbols of a block are dealt to the lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// Row by row; symbol `i` in lane `i mod 32`.
    Row,
    /// Strips of 32 rows, column by column; lane = row of the strip.
    Column,
}

impl Steps {
    /// The steps of a block.
    ///
    /// # Panics
    /// If `rows * cols` overflows.
    #[must_use]
    pub fn of(scan: Scan, rows: usize, cols: usize) -> Steps {
        assert!(rows.checked_mul(cols).is_some(), "too many symbols");
        match scan {
            Scan::Row => Steps::linear(rows * cols),
            Scan::Column => Steps::strips(rows, cols),
        }
    }

    /// `count` symbols one after another, symbol `i` in lane `i mod 32`.
    #[must_use]
    pub fn linear(count: usize) -> Steps {
        Steps::with_lanes(count, LANES)
    }

    /// `count` symbols in a single lane.
    #[must_use]
    pub fn single_lane(count: usize) -> Steps {
        Steps::with_lanes(count, 1)
    }

    fn with_lanes(count: usize, most: usize) -> Steps {
        let lanes = count.clamp(1, most);
        let tail_lanes = count % lanes;
        Steps { lanes, full: count / lanes, tail_lanes, tail: usize::from(tail_lanes > 0) }
    }

    /// A rectangle in strips of 32 rows, column by column inside a strip, lane = row.
    ///
    /// # Panics
    /// If `rows * cols` overflows: kernels rely on the number of symbols.
    #[must_use]
    pub fn strips(rows: usize, cols: usize) -> Steps {
        assert!(rows.checked_mul(cols).is_some(), "too many symbols");
        let lanes = rows.clamp(1, LANES);
        let tail_lanes = rows % lanes;
        let tail = if tail_lanes > 0 { cols } else { 0 };
        Steps { lanes, full: rows / lanes * cols, tail_lanes, tail }
    }

    /// States that the stream begins with, 1 to 32.
    #[must_use]
    pub fn lanes(self) -> usize {
        self.lanes
    }

    /// Symbols in all.
    #[must_use]
    pub fn symbols(self) -> usize {
        self.full * self.lanes + self.tail * self.tail_lanes
    }

    /// Steps in all.
    #[must_use]
    pub fn count(self) -> usize {
        self.full + self.tail
    }

    /// The symbols of each step, of symbols in the order of the steps.
    pub fn chunks<T>(self, symbols: &[T]) -> impl Iterator<Item = &[T]> {
        let (full, tail) = symbols.split_at(self.full_symbols().min(symbols.len()));
        full.chunks(self.lanes).chain(tail.chunks(self.tail_lanes.max(1)))
    }

    /// How many steps begin before this symbol, in the order of the steps.
    #[must_use]
    pub fn beginning_before(self, symbol: usize) -> usize {
        let tail = symbol.saturating_sub(self.full_symbols());
        symbol.div_ceil(self.lanes).min(self.full) + tail.div_ceil(self.tail_lanes.max(1))
    }

    /// The first `count` steps, all of them full.
    pub(crate) fn first(self, count: usize) -> Steps {
        assert!(count <= self.full, "full steps");
        Steps { full: count, tail_lanes: 0, tail: 0, ..self }
    }

    /// Lanes that take part in a step.
    pub(crate) fn lanes_of(self, step: usize) -> usize {
        if step < self.full { self.lanes } else { self.tail_lanes }
    }

    /// Full steps.
    pub(crate) fn full(self) -> usize {
        self.full
    }

    /// Symbols in full steps, before the tail.
    pub(crate) fn full_symbols(self) -> usize {
        self.full * self.lanes
    }

    /// Lanes that take part in a tail step.
    pub(crate) fn tail_lanes(self) -> usize {
        self.tail_lanes
    }
}

/// Why a stream was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamError {
    /// The stream is shorter than its states, or ended before its last symbol.
    Truncated,
    /// The stream's length is not a whole number of 16-bit words.
    OddLength,
    /// An initial state lies outside `[2^12, 2^28)`; the lane is given.
    State(usize),
    /// Words were left over behind the last symbol; their number is given.
    Unread(usize),
    /// A lane did not end in the state 2^12; the lane is given.
    FinalState(usize),
}

impl std::fmt::Display for StreamError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StreamError::Truncated => write!(f, "stream ends before its last symbol"),
            StreamError::OddLength => write!(f, "stream length is not a multiple of 2"),
            StreamError::State(lane) => {
                write!(f, "initial state of lane {lane} outside [2^12, 2^28)")
            }
            StreamError::Unread(words) => write!(f, "{words} words left over behind the stream"),
            StreamError::FinalState(lane) => write!(f, "final state of lane {lane} is not 2^12"),
        }
    }
}

impl std::error::Error for StreamError {}

/// The tables of a stream, one for each class, and the class of each step.
pub struct Classes<'a, Table> {
    first: &'a Table,
    /// Empty if there is one class, as is the next.
    tables: &'a [&'a Table],
    of_step: &'a [u8],
}

impl<'a, Table> Classes<'a, Table> {
    /// One table for all steps.
    #[must_use]
    pub fn one(table: &'a Table) -> Classes<'a, Table> {
        Classes { first: table, tables: &[], of_step: &[] }
    }

    /// A class, which is the number of a table, for each step.
    ///
    /// # Panics
    /// If a class has no table, or there is none.
    #[must_use]
    pub fn per_step(tables: &'a [&'a Table], of_step: &'a [u8]) -> Classes<'a, Table> {
        let most = of_step.iter().copied().max().unwrap_or(0);
        assert!(usize::from(most) < tables.len(), "class {most} of {} tables", tables.len());
        Classes { first: tables[0], tables, of_step }
    }

    /// Classes are for each of `steps`, or there is only one.
    fn check(&self, steps: Steps) {
        let of_step = self.of_step.len();
        assert!(of_step == 0 || of_step == steps.count(), "a class for each step");
    }

    pub(crate) fn tables(&self) -> impl Iterator<Item = &'a Table> {
        let only = self.tables.is_empty().then_some(self.first);
        only.into_iter().chain(self.tables.iter().copied())
    }

    pub(crate) fn of_step(&self) -> &'a [u8] {
        self.of_step
    }

    /// The same for the first `count` steps.
    pub(crate) fn first(self, count: usize) -> Classes<'a, Table> {
        Classes { of_step: &self.of_step[..count], ..self }
    }

    /// The table of a step.
    #[inline(always)]
    pub(crate) fn table(&self, step: usize) -> &'a Table {
        self.of_step.get(step).map_or(self.first, |&class| self.tables[usize::from(class)])
    }
}

impl<Table> Clone for Classes<'_, Table> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Table> Copy for Classes<'_, Table> {}

impl Classes<'_, DecodeTable> {
    /// What the bytes of all symbols are distances from; `None` if they are ranks.
    pub(crate) fn base(&self) -> Option<u16> {
        self.first.base()
    }

    /// The first so many steps, with which the stream ends: those behind them have tables of one symbol, which take
    /// nothing of it. At least one.
    pub(crate) fn informative(&self, steps: Steps) -> usize {
        let mut informative = [false; 256];
        for (informative, table) in informative.iter_mut().zip(self.tables) {
            *informative = table.symbols().len() > 1;
        }
        match self.of_step.iter().rposition(|&class| informative[usize::from(class)]) {
            _ if self.of_step.is_empty() => steps.count(),
            last => last.map_or(1, |last| last + 1),
        }
    }

    /// As [`Classes::check`]; and several tables have one base.
    pub(crate) fn check_decoding(&self, steps: Steps) {
        self.check(steps);
        let base = self.base();
        let same = self.tables.iter().all(|table| base.is_some() && table.base() == base);
        assert!(self.tables.len() < 2 || same, "tables of a stream must have one base");
    }
}

/// A stream to be decoded.
pub struct StreamJob<'a> {
    /// Its tables. Several must have the same base.
    pub classes: Classes<'a, DecodeTable>,
    /// States and words.
    pub stream: &'a [u8],
    /// How its symbols are dealt to the lanes.
    pub steps: Steps,
    /// Where the bytes of its symbols go ([`DecodeTable::base`] tells their meaning), in the order of the steps.
    pub out: &'a mut [u8],
}

impl StreamJob<'_> {
    fn check(&self) {
        assert_eq!(self.out.len(), self.steps.symbols(), "output length must match the steps");
        self.classes.check_decoding(self.steps);
    }
}

/// Decodes streams side by side: a processor works on several at once, so a caller should hand
/// over all that it has. Returns a verdict for each.
///
/// # Errors
/// Any deviation from what [`encode`] writes for the same tables is refused; what `out` then
/// holds is unspecified but initialised.
///
/// # Panics
/// If the length of an `out` or the number of classes does not match the steps.
pub fn decode(level: Level, jobs: &mut [StreamJob<'_>]) -> Vec<Result<(), StreamError>> {
    jobs.iter().for_each(StreamJob::check);
    match level.set() {
        #[cfg(target_arch = "x86_64")]
        Set::Avx512 => x86_64::avx512::decode(level, jobs),
        #[cfg(target_arch = "x86_64")]
        Set::Avx2 => x86_64::avx2::decode(level, jobs),
        #[cfg(target_arch = "aarch64")]
        Set::Neon => aarch64::neon::decode(level, jobs),
        _ => jobs.iter_mut().map(scalar::rans::decode).collect(),
    }
}

/// Splits a stream into its states, checked, and its words.
pub(crate) fn states(stream: &[u8], lanes: usize) -> Result<([u32; LANES], &[u8]), StreamError> {
    if !stream.len().is_multiple_of(2) {
        return Err(StreamError::OddLength);
    }
    let (heads, words) = stream.split_at_checked(lanes * 4).ok_or(StreamError::Truncated)?;
    let mut states = [STATE_MIN; LANES];
    for (lane, (state, bytes)) in states.iter_mut().zip(heads.chunks_exact(4)).enumerate() {
        *state = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        if !(STATE_MIN..STATE_MAX).contains(state) {
            return Err(StreamError::State(lane));
        }
    }
    Ok((states, words))
}

/// Appends a stream: states, then words.
pub(crate) fn append_stream(states: &[u32], words: &[u8], out: &mut Vec<u8>) {
    out.reserve(4 * states.len() + words.len());
    out.extend(states.iter().flat_map(|state| state.to_le_bytes()));
    out.extend_from_slice(words);
}

/// As [`append_stream`], of words of which the last one comes first.
#[cfg(target_arch = "x86_64")]
pub(crate) fn append_backwards(states: &[u32], words: &[u8], out: &mut Vec<u8>) {
    append_stream(states, words, out);
    let start = out.len() - words.len();
    let (to, _) = out[start..].as_chunks_mut::<2>();
    for (to, from) in to.iter_mut().zip(words.as_chunks::<2>().0.iter().rev()) {
        *to = *from;
    }
}

/// What must hold behind the last step: no words left, every state at its end.
pub(crate) fn check_end(states: &[u32; LANES], left: usize) -> Result<(), StreamError> {
    if left > 0 {
        return Err(StreamError::Unread(left / 2));
    }
    match states.iter().position(|&state| state != STATE_MIN) {
        Some(lane) => Err(StreamError::FinalState(lane)),
        None => Ok(()),
    }
}

/// Symbols to be encoded.
pub struct SymbolsJob<'a> {
    /// Their tables.
    pub classes: Classes<'a, EncodeTable>,
    /// Their ranks, in the order of the steps. A rank outside its table gives a stream that does not decode to
    /// it.
    pub ranks: &'a [u8],
    /// How they are dealt to the lanes.
    pub steps: Steps,
    /// What the stream is appended to.
    pub out: &'a mut Vec<u8>,
}

/// Memory to be used again. Its content does not matter.
#[derive(Default)]
pub struct EncodeSpace {
    pub(crate) words: Vec<Vec<u8>>,
}

impl EncodeSpace {
    /// Room for the words of `jobs` streams.
    pub(crate) fn words(&mut self, jobs: usize) -> &mut [Vec<u8>] {
        if self.words.len() < jobs {
            self.words.resize_with(jobs, Vec::new);
        }
        &mut self.words[..jobs]
    }
}

/// Encodes symbols, several streams side by side: each `out` gets the stream that [`decode`] turns
/// back into its symbols. Streams are the same at every level.
///
/// # Panics
/// If the number of ranks or of classes does not match the steps.
pub fn encode(level: Level, jobs: &mut [SymbolsJob<'_>], space: &mut EncodeSpace) {
    for job in &*jobs {
        assert_eq!(job.ranks.len(), job.steps.symbols(), "input length must match the steps");
        job.classes.check(job.steps);
    }
    match level.set() {
        #[cfg(target_arch = "x86_64")]
        Set::Avx512 => x86_64::avx512::encode(level, jobs, space),
        #[cfg(target_arch = "x86_64")]
        Set::Avx2 => x86_64::avx2::encode(level, jobs, space),
        _ => jobs.iter_mut().for_each(|job| scalar::rans::encode(job, space)),
    }
}

#[cfg(test)]
mod tests;
