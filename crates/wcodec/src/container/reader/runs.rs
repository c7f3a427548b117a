//! Which bytes a part of a layer is made of.

use std::ops::Range;

/// Indices of one dimension: `count` of them from `start` on, `step` apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first index.
    pub start: u64,
    /// How many there are.
    pub count: u64,
    /// From one index to the next, from 1.
    pub step: u64,
}

impl Span {
    fn fits(&self, dim: u64) -> bool {
        let last = self.count.checked_sub(1).and_then(|n| n.checked_mul(self.step));
        let last = last.and_then(|last| last.checked_add(self.start));
        self.step > 0 && (self.count == 0 || last.is_some_and(|last| last < dim))
    }
}

impl From<Range<u64>> for Span {
    fn from(range: Range<u64>) -> Span {
        Span { start: range.start, count: range.end.saturating_sub(range.start), step: 1 }
    }
}

/// Runs of equal length at regular places of a segment, in rising order. They do not overlap.
pub(super) struct Runs {
    /// Position of the first.
    start: u64,
    /// Counts and distances of the dimensions that are not part of a run.
    dims: Vec<(u64, u64)>,
    /// Bytes of a run.
    len: u64,
    /// Number of runs.
    count: u64,
}

impl Runs {
    /// A single run.
    pub(super) fn one(start: u64, len: u64) -> Runs {
        Runs { start, dims: Vec::new(), len, count: u64::from(len > 0) }
    }

    /// So many runs of `len` bytes at a regular distance.
    pub(super) fn rows(start: u64, (count, pitch): (u64, u64), len: u64) -> Runs {
        Runs { start, dims: vec![(count, pitch)], len, count }
    }

    /// The runs of a part of a layer that begins at `offset` of its segment. The layer is known to
    /// lie within it.
    pub(super) fn new(
        offset: u64,
        size: u64,
        shape: &[u64],
        spans: &[Span],
    ) -> Result<Runs, String> {
        if spans.len() != shape.len() {
            return Err(format!("{} spans, the shape has {} dimensions", spans.len(), shape.len()));
        }
        for (number, (&dim, span)) in shape.iter().zip(spans).enumerate() {
            if !span.fits(dim) {
                let Span { start, count, step } = span;
                return Err(format!(
                    "dimension {number}: {count} indices from {start} on, {step} apart, are not within 0:{dim}"
                ));
            }
        }
        if spans.iter().any(|span| span.count == 0) {
            return Ok(Runs::one(offset, 0));
        }
        let mut runs = Runs { start: offset, dims: Vec::new(), len: size, count: 1 };
        // Bytes from one index of the dimension to the next; as long as all inner dimensions are
        // taken whole, that is a run.
        let mut pitch = size;
        for (&dim, span) in shape.iter().zip(spans).rev() {
            runs.start += span.start * pitch;
            if runs.len == pitch && (span.step == 1 || span.count == 1) {
                runs.len *= span.count;
            } else if span.count > 1 {
                runs.dims.push((span.count, span.step * pitch));
                runs.count *= span.count;
            }
            pitch *= dim;
        }
        Ok(runs)
    }

    /// Bytes of all runs.
    pub(super) fn bytes(&self) -> u64 {
        self.count * self.len
    }

    fn at(&self, mut run: u64) -> u64 {
        let mut at = self.start;
        for &(count, pitch) in &self.dims {
            at += run % count * pitch;
            run /= count;
        }
        at
    }

    /// Copies what the runs want of a piece of bytes, which lies at `at`, to its places in `out`, which
    /// begins with the byte number `skip` of all runs.
    pub(super) fn copy(&self, at: u64, piece: &[u8], out: &mut [u8], skip: u64) {
        let end = at + piece.len() as u64;
        for run in self.first_behind(at)..self.count {
            let start = self.at(run);
            let (from, to) = (start.max(at), (start + self.len).min(end));
            if start >= end {
                break;
            }
            let source = piece.get((from - at) as usize..(to - at) as usize);
            let target = (run * self.len + from - start - skip) as usize;
            if let (Some(source), Some(target)) = (source, out.get_mut(target..))
                && let Some(target) = target.get_mut(..source.len())
            {
                target.copy_from_slice(source);
            }
        }
    }

    /// Bytes of runs before a position.
    fn before(&self, position: u64) -> u64 {
        let run = self.first_behind(position);
        let part = if run < self.count { position.saturating_sub(self.at(run)) } else { 0 };
        run * self.len + part
    }

    /// The first run that ends behind a position.
    fn first_behind(&self, position: u64) -> u64 {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.at(middle) + self.len > position {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }
}

/// What runs take of a range of bytes, seen from where the range begins.
pub(super) struct Window<'a> {
    runs: &'a Runs,
    range: Range<u64>,
}

impl<'a> Window<'a> {
    pub(super) fn new(runs: &'a Runs, range: Range<u64>) -> Window<'a> {
        Window { runs, range }
    }

    /// Bytes of the runs within the range.
    pub(super) fn bytes(&self) -> u64 {
        self.runs.before(self.range.end) - self.runs.before(self.range.start)
    }

    /// Whether the runs take everything.
    pub(super) fn is_whole(&self) -> bool {
        self.bytes() == self.range.end - self.range.start
    }

    /// The runs within the range, cut at its ends.
    pub(super) fn iter(&self) -> impl Iterator<Item = Range<u64>> {
        let Range { start, end } = self.range;
        (self.runs.first_behind(start)..self.runs.count)
            .map(|run| self.runs.at(run))
            .take_while(move |&at| at < end)
            .map(move |at| at.max(start) - start..(at + self.runs.len).min(end) - start)
    }

    /// From the first to the last byte of the runs, rounded to whole structs of `len` bytes. There must
    /// be one.
    pub(super) fn hull(&self, len: u64) -> Range<u64> {
        let Range { start, end } = self.range;
        let first = self.runs.at(self.runs.first_behind(start)).max(start) - start;
        // The last run that begins before the end.
        let behind = self.runs.first_behind(end);
        let cut = behind < self.runs.count && self.runs.at(behind) < end;
        let last = if cut { end } else { self.runs.at(behind - 1) + self.runs.len } - start;
        first / len * len..last.next_multiple_of(len)
    }

    /// Whether the range begins with a struct of `len` bytes, counted as the runs are, and all runs
    /// consist of whole ones.
    pub(super) fn is_aligned(&self, len: u64) -> bool {
        let Runs { start, dims, len: run, .. } = self.runs;
        self.range.start.is_multiple_of(len)
            && start.is_multiple_of(len)
            && run.is_multiple_of(len)
            && dims.iter().all(|(_, pitch)| pitch.is_multiple_of(len))
    }

    /// The same runs and range where `from` bytes are `to` bytes.
    pub(super) fn scaled(&self, from: u64, to: u64) -> (Runs, Range<u64>) {
        let scale = |at: u64| at / from * to;
        let runs = Runs {
            start: scale(self.runs.start),
            dims: self.runs.dims.iter().map(|&(count, pitch)| (count, scale(pitch))).collect(),
            len: scale(self.runs.len),
            count: self.runs.count,
        };
        (runs, scale(self.range.start)..scale(self.range.end))
    }

    /// Copies what the runs want of a piece of the range, which lies at `at`, to its places in `out`.
    pub(super) fn copy(&self, at: u64, piece: &[u8], out: &mut [u8]) {
        self.runs.copy(self.range.start + at, piece, out, self.runs.before(self.range.start));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dimension() -> impl Strategy<Value = (u64, Span)> {
        (1u64..7, 0u64..7, 0u64..7, 1u64..4).prop_map(|(dim, start, count, step)| {
            let start = start % dim;
            let count = count.min((dim - start).div_ceil(step));
            (dim, Span { start, count, step })
        })
    }

    fn all(runs: &Runs) -> impl Iterator<Item = Range<u64>> {
        (0..runs.count).map(|run| runs.at(run)..runs.at(run) + runs.len)
    }

    proptest! {
        #[test]
        fn runs_are_the_elements_in_order(dims in prop::collection::vec(dimension(), 0..5), size in 1u64..3, offset in 0u64..9) {
            let (shape, spans): (Vec<u64>, Vec<Span>) = dims.into_iter().unzip();
            let runs = Runs::new(offset, size, &shape, &spans).unwrap();
            let mut elements = vec![0];
            for (dim, span) in shape.iter().zip(&spans) {
                let indices = (0..span.count).map(|k| span.start + k * span.step);
                elements = elements.iter().flat_map(|e| indices.clone().map(move |i| e * dim + i)).collect();
            }
            let wanted: Vec<u64> = elements.iter().flat_map(|e| (0..size).map(move |b| offset + e * size + b)).collect();
            prop_assert_eq!(all(&runs).flatten().collect::<Vec<_>>(), wanted.clone());
            prop_assert_eq!(runs.bytes(), wanted.len() as u64);
            // Copied from pieces of any length.
            let segment: Vec<u8> = (0..offset + size * shape.iter().product::<u64>()).map(|i| i as u8).collect();
            let mut out = vec![0; wanted.len()];
            let piece = 1 + segment.len() / 3;
            for (number, part) in segment.chunks(piece).enumerate() {
                runs.copy((number * piece) as u64, part, &mut out, 0);
            }
            prop_assert_eq!(out, wanted.iter().map(|&at| at as u8).collect::<Vec<_>>());
            // In windows of any length.
            let mut found = Vec::new();
            for start in (0..segment.len()).step_by(piece) {
                let range = start as u64..(start + piece).min(segment.len()) as u64;
                let window = Window::new(&runs, range.clone());
                let mut out = vec![0; window.bytes() as usize];
                window.copy(0, segment.get(start..range.end as usize).unwrap(), &mut out);
                let clipped: Vec<u64> = window.iter().flatten().map(|at| at + range.start).collect();
                prop_assert_eq!(&out, &clipped.iter().map(|&at| at as u8).collect::<Vec<_>>());
                if let (Some(first), Some(last)) = (clipped.first(), clipped.last()) {
                    let hull = first - range.start..last + 1 - range.start;
                    prop_assert_eq!(window.hull(1), hull.clone());
                    prop_assert_eq!(window.hull(3), hull.start / 3 * 3..hull.end.next_multiple_of(3));
                }
                found.extend(clipped);
            }
            prop_assert_eq!(found, wanted.clone());
            // Every byte made four.
            let (wide, _) = Window::new(&runs, 0..segment.len() as u64).scaled(1, 4);
            let four: Vec<u64> = wanted.iter().flat_map(|at| at * 4..at * 4 + 4).collect();
            prop_assert_eq!(all(&wide).flatten().collect::<Vec<_>>(), four);
        }
    }

    #[test]
    fn spans_outside_the_shape_are_refused() {
        let refused = |spans: &[Span]| Runs::new(0, 2, &[3, 4], spans).err();
        assert_eq!(refused(&[]).unwrap(), "0 spans, the shape has 2 dimensions");
        let whole = Span::from(0..4);
        let text = refused(&[whole, whole]).unwrap();
        assert_eq!(text, "dimension 0: 4 indices from 0 on, 1 apart, are not within 0:3");
        for span in [
            Span { start: 3, count: 1, step: 1 },
            Span { start: 0, count: 2, step: 3 },
            Span { start: 0, count: 1, step: 0 },
            Span { start: 1, count: u64::MAX, step: u64::MAX },
            Span { start: u64::MAX, count: 2, step: 1 },
        ] {
            assert!(refused(&[span, whole]).is_some(), "{span:?}");
        }
        assert_eq!(refused(&[Span { start: 9, count: 0, step: 1 }, whole]), None);
    }
}
