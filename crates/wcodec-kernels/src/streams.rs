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
    let numbered = streams.iter_mut().zip(verdicts).enumerate();
    let mut open = Vec::with_capacity(numbered.len());
    let mut results = vec![Ok(()); numbered.len()];
    for (number, (stream, verdict)) in numbered {
        match verdict {
            Some(verdict) => results[number] = verdict,
            None => {
                let kept = stream.informative();
                open.push((number, stream, kept));
            }
        }
    }
    // Side by side go streams that are about equally long.
    open.sort_by_key(|(_, _, kept)| std::cmp::Reverse(*kept));
    let mut jobs: Vec<StreamJob<'_>> =
        open.iter_mut().map(|(_, stream, kept)| stream.job(*kept)).collect();
    let decoded = decode(level, &mut jobs);
    for ((number, stream, _), verdict) in open.into_iter().zip(decoded) {
        results[number] = verdict;
        stream.put_in_rows(level, &mut space.turned);
    }
    results
}

impl RowStream<'_> {
    fn steps(&self) -> Steps {
        Steps::of(self.coded.scan, self.rows, self.cols)
    }

    /// The first steps, all of them or full ones, behind which none takes anything of the stream.
    fn informative(&self) -> usize {
        let (steps, kept) = (self.steps(), self.coded.classes.informative(self.steps()));
        if kept > steps.full() { steps.count() } else { kept }
    }

    /// To be decoded in the order of the scan, but for what lies behind the first steps, which is filled.
    fn job(&mut self, kept: usize) -> StreamJob<'_> {
        let (steps, Coded { classes, stream, .. }) = (self.steps(), self.coded);
        let out = &mut self.out[..steps.symbols()];
        if kept == steps.count() {
            return StreamJob { classes, stream, steps, out };
        }
        let (out, mut rest) = out.split_at_mut(kept * steps.lanes());
        let mut step = kept;
        for run in classes.of_step()[kept..].chunk_by(|a, b| a == b) {
            let end = step + run.len();
            let (now, later) =
                rest.split_at_mut((step..end).map(|step| steps.lanes_of(step)).sum());
            now.fill(classes.table(step).byte(0));
            (rest, step) = (later, end);
        }
        StreamJob { classes: classes.first(kept), stream, steps: steps.first(kept), out }
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
