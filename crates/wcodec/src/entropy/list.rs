//! Short lists of symbols: a frequency table, and a stream under it.

use super::table::Table;
use crate::error::Result;
use wcodec_kernels::{
    ByteCounts, Classes, EncodeSpace, Level, Steps, StreamError, StreamJob, SymbolsJob,
};

/// Appends the table of symbols of `width` bits, at most 8, and their stream; returns the length of the
/// stream. An empty list takes nothing.
pub(crate) fn write(
    level: Level,
    symbols: &[u8],
    width: u32,
    steps: Steps,
    out: &mut Vec<u8>,
) -> Result<usize> {
    let mut counts = ByteCounts::default();
    counts.add(symbols);
    let Some(table) = Table::from_counts(&counts.counts()[..1 << width]) else { return Ok(0) };
    table.write(width, out);
    let start = out.len();
    let ranks = table.ranks();
    let ranks: Vec<u8> = symbols.iter().map(|&symbol| ranks.get(u16::from(symbol))).collect();
    let encoder = table.encoder()?;
    let job = SymbolsJob { classes: Classes::one(&encoder), ranks: &ranks, steps, out };
    wcodec_kernels::encode(level, &mut [job], &mut EncodeSpace::default());
    Ok(out.len() - start)
}

/// The symbols, below 256, of a stream under its table; the inner error is the stream's.
pub(crate) fn read(
    level: Level,
    table: &Table,
    stream: &[u8],
    steps: Steps,
) -> Result<std::result::Result<Vec<u8>, StreamError>> {
    let table = table.decoder()?;
    let mut symbols = vec![0; steps.symbols()];
    let job = StreamJob { classes: Classes::one(&table), stream, steps, out: &mut symbols };
    let verdict = wcodec_kernels::decode(level, &mut [job]).pop().unwrap_or(Ok(()));
    Ok(verdict.map(|()| symbols))
}
