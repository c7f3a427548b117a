//! Interleaved range asymmetric numeral systems (rANS; J. Duda, arXiv:1311.2540), 32 lanes over
//! one shared word stream (interleaving after F. Giesen, arXiv:1402.3392).
//!
//! A stream is `lanes` states of 32 bits, little-endian, followed by 16-bit little-endian words.
//! A *step* decodes one symbol in each of its lanes, in lane order; a lane whose state falls
//! below [`STATE_MIN`] takes the next word. FORMAT.md section 7 is normative.

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

impl Steps {
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
    #[must_use]
    pub fn strips(rows: usize, cols: usize) -> Steps {
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

/// Decodes `steps.symbols()` symbol ranks from `stream` into `ranks`, in the order of the steps.
///
/// # Errors
/// Any deviation from what [`encode`] writes for the same table is refused; what `ranks` then
/// holds is unspecified but initialised.
///
/// # Panics
/// If `ranks.len() != steps.symbols()`.
pub fn decode(
    level: Level,
    table: &DecodeTable,
    stream: &[u8],
    steps: Steps,
    ranks: &mut [u8],
) -> Result<(), StreamError> {
    assert_eq!(ranks.len(), steps.symbols(), "output length must match the steps");
    match level {
        Level::Scalar => scalar::rans::decode(table, stream, steps, ranks),
    }
}

/// Appends to `out` the stream that [`decode`] turns back into `ranks`. Every rank must have a
/// frequency in `table`. `space` is working memory, to be used again; its content does not matter.
///
/// # Panics
/// If `ranks.len() != steps.symbols()`. A rank outside the table gives a stream that does not
/// decode to it.
pub fn encode(
    level: Level,
    table: &EncodeTable,
    ranks: &[u8],
    steps: Steps,
    space: &mut Vec<u8>,
    out: &mut Vec<u8>,
) {
    assert_eq!(ranks.len(), steps.symbols(), "input length must match the steps");
    match level {
        Level::Scalar => scalar::rans::encode(table, ranks, steps, space, out),
    }
}
