//! From the streams of blocks to fields in row-major order.

use crate::blocks::Coded;
use crate::{Level, Scan, Steps, StreamError, StreamJob, decode, turn};
#[cfg(target_arch = "x86_64")]
use crate::{level::Set, lines::Lines, x86_64};

/// A stream, and where its fields go.
pub(crate) struct RowStream<'a> {
    pub(crate) coded: Coded<'a>,
    /// Of its block.
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    /// At least as long as there are fields: their bytes ([`crate::DecodeTable::base`] tells their meaning) in row-major
    /// order.
    pub(crate) out: &'a mut Vec<u8>,
}

/// Memory to be used again. Its content does not matter.
#[derive(Default)]
pub(crate) struct StreamSpace {
    turned: Vec<u8>,
    #[cfg(target_arch = "x86_64")]
    strips: Lines,
}

/// Decodes streams side by side. Returns a verdict for each; of damaged streams the output is unspecified but
/// initialised.
pub(crate) fn decode_rows(
    level: Level,
    streams: &mut [RowStream<'_>],
    space: &mut StreamSpace,
) -> Vec<Result<(), StreamError>> {
    let verdicts = match level.set() {
        #[cfg(target_arch = "x86_64")]
        Set::Avx512 => x86_64::avx512::decode_columns(level, streams, &mut space.strips),
        #[cfg(target_arch = "x86_64")]
        Set::Avx2 => x86_64::avx2::decode_columns(level, streams, &mut space.strips),
        _ => vec![None; streams.len()],
    };
    let mut open: Vec<&mut RowStream<'_>> = streams
        .iter_mut()
        .zip(&verdicts)
        .filter_map(|(stream, verdict)| verdict.is_none().then_some(stream))
        .collect();
    let mut jobs: Vec<StreamJob<'_>> = open.iter_mut().map(|stream| stream.job()).collect();
    let mut decoded = decode(level, &mut jobs).into_iter();
    for stream in open {
        stream.put_in_rows(level, &mut space.turned);
    }
    verdicts.into_iter().filter_map(|verdict| verdict.or_else(|| decoded.next())).collect()
}

impl RowStream<'_> {
    fn steps(&self) -> Steps {
        Steps::of(self.coded.scan, self.rows, self.cols)
    }

    /// To be decoded in the order of the scan.
    fn job(&mut self) -> StreamJob<'_> {
        let (steps, Coded { classes, stream, .. }) = (self.steps(), self.coded);
        StreamJob { classes, stream, steps, out: &mut self.out[..steps.symbols()] }
    }

    /// Adds the low bits to what was decoded in the order of the scan, and puts it in the order of the rows.
    fn put_in_rows(&mut self, level: Level, space: &mut Vec<u8>) {
        let steps = self.steps();
        let Coded { classes, order, low, .. } = self.coded;
        let fields = &mut self.out[..steps.symbols()];
        low.add(level, steps, classes.of_step(), fields);
        if self.coded.scan == Scan::Column {
            if space.len() < fields.len() {
                space.resize(fields.len(), 0);
            }
            turn::to_rows(level, fields, self.cols, order, &mut space[..fields.len()]);
            std::mem::swap(self.out, space);
        }
    }
}
