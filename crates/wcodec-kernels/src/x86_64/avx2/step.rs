//! What fused blocks and strips of columns need of a kind of table.

use crate::rans::Classes;
use crate::{DecodeTable, Steps, StreamError};
use std::arch::x86_64::__m256i;
use std::ops::Range;

/// A stream between two steps, with tables of one kind.
///
/// # Safety
/// The processor must have AVX2 and POPCNT whenever a function marked `unsafe` is called.
pub(super) trait Stepper<'a>: Copy {
    /// What a step decodes with.
    type Table: 'static;

    /// `None` if a table is not of this kind.
    fn table(table: &DecodeTable) -> Option<&Self::Table>;

    /// The beginning of a stream of 32 lanes.
    unsafe fn begin(stream: &'a [u8]) -> Result<Self, StreamError>;

    /// Decodes full steps of `N` streams in turn. `table(stream, step)` tells what each step decodes with,
    /// `sink(stream, step, bytes)` gets its output bytes.
    unsafe fn run<'t, const N: usize>(
        lanes: &mut [Self; N],
        steps: Range<usize>,
        table: impl Fn(usize, usize) -> &'t Self::Table,
        sink: impl FnMut(usize, usize, __m256i),
    );

    /// Decodes the tail steps, which have fewer lanes, into `out`.
    unsafe fn tail<'t>(
        &mut self,
        steps: Steps,
        table: impl Fn(usize) -> &'t Self::Table,
        out: &mut [u8],
    );

    /// The verdict behind the last step.
    unsafe fn end(&self) -> Result<(), StreamError>;

    /// The tables of all classes; `None` if one is not of this kind.
    fn tables<'t>(classes: &Classes<'t, DecodeTable>) -> Option<Vec<&'t Self::Table>> {
        classes.tables().map(Self::table).collect()
    }
}
