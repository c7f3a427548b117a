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

    /// The runs, as bytes of the segment.
    pub(super) fn iter(&self) -> impl Iterator<Item = Range<u64>> {
        (0..self.count).map(|run| {
            let at = self.at(run);
            at..at + self.len
        })
    }

    fn at(&self, mut run: u64) -> u64 {
        let mut at = self.start;
        for &(count, pitch) in &self.dims {
            at += run % count * pitch;
            run /= count;
        }
        at
    }

    /// Copies what the runs want of a piece of the segment, which lies at `at`, to its places in
    /// `out`.
    pub(super) fn copy(&self, at: u64, piece: &[u8], out: &mut [u8]) {
        let end = at + piece.len() as u64;
        for run in self.first_behind(at)..self.count {
            let start = self.at(run);
            let (from, to) = (start.max(at), (start + self.len).min(end));
            if start >= end {
                break;
            }
            let source = piece.get((from - at) as usize..(to - at) as usize);
            let target = (run * self.len + from - start) as usize;
            if let (Some(source), Some(target)) = (source, out.get_mut(target..))
                && let Some(target) = target.get_mut(..source.len())
            {
                target.copy_from_slice(source);
            }
        }
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
            prop_assert_eq!(runs.iter().flatten().collect::<Vec<_>>(), wanted.clone());
            prop_assert_eq!(runs.bytes(), wanted.len() as u64);
            // Copied from pieces of any length.
            let segment: Vec<u8> = (0..offset + size * shape.iter().product::<u64>()).map(|i| i as u8).collect();
            let mut out = vec![0; wanted.len()];
            let piece = 1 + segment.len() / 3;
            for (number, part) in segment.chunks(piece).enumerate() {
                runs.copy((number * piece) as u64, part, &mut out);
            }
            prop_assert_eq!(out, wanted.iter().map(|&at| at as u8).collect::<Vec<_>>());
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
