//! Counting symbols.

use crate::{Element, Level, extract};

/// Values are below this.
pub const MAX_VALUES: usize = 1 << 12;

/// Adds the number of times each value occurs to `counts`.
///
/// # Panics
/// If a value is not below `counts.len()`, or `counts` is longer than [`MAX_VALUES`].
pub fn histogram(values: &[u16], counts: &mut [u32]) {
    assert!(counts.len() <= MAX_VALUES, "too many values");
    if values.len() < 1 << 12 {
        for &v in values {
            counts[usize::from(v)] += 1;
        }
        return;
    }
    // Four partial counts: consecutive equal symbols would wait for each other's store.
    let mut partial = vec![[0u32; 4]; counts.len()];
    let quads = values.chunks_exact(4);
    for &v in quads.remainder() {
        counts[usize::from(v)] += 1;
    }
    for quad in quads {
        for (k, &v) in quad.iter().enumerate() {
            partial[usize::from(v)][k] += 1;
        }
    }
    for (count, part) in counts.iter_mut().zip(&partial) {
        *count += part.iter().sum::<u32>();
    }
}

/// Counts fields of elements that come in pieces.
#[derive(Default)]
pub struct FieldCounts {
    /// Four for a value: the same value twice in a row would wait for the store before.
    partial: Option<Box<[[u32; 4]; MAX_VALUES]>>,
    fields: Vec<u16>,
}

/// Elements whose fields are taken out at a time: they stay in the first-level cache.
const PIECE: usize = 2048;

impl FieldCounts {
    /// Counts the fields that [`extract`] takes out of a piece, of at most 12 bits.
    pub fn add(&mut self, level: Level, element: Element, bytes: &[u8], shift: u32, width: u32) {
        let FieldCounts { partial, fields } = self;
        let partial = partial.get_or_insert_with(|| Box::new([[0; 4]; MAX_VALUES]));
        for piece in bytes.chunks(PIECE * element.size()) {
            fields.clear();
            extract(level, element, piece, shift, width, fields);
            let (quads, rest) = fields.as_chunks::<4>();
            for quad in quads {
                for k in 0..4 {
                    partial[usize::from(quad[k]) % MAX_VALUES][k] += 1;
                }
            }
            for field in rest {
                partial[usize::from(*field) % MAX_VALUES][0] += 1;
            }
        }
    }

    /// How often each field of `width` bits, at most 12, came since this was last asked.
    #[must_use]
    pub fn take(&mut self, width: u32) -> Vec<u32> {
        let Some(partial) = &mut self.partial else { return vec![0; 1 << width] };
        partial[..1 << width].iter_mut().map(|part| std::mem::take(part).iter().sum()).collect()
    }
}

/// Counts bytes that come in pieces.
pub struct ByteCounts {
    partial: [[u32; 256]; 4],
}

impl Default for ByteCounts {
    fn default() -> ByteCounts {
        ByteCounts { partial: [[0; 256]; 4] }
    }
}

impl ByteCounts {
    /// Counts a piece.
    pub fn add(&mut self, values: &[u8]) {
        let (quads, rest) = values.as_chunks::<4>();
        let [a, b, c, d] = &mut self.partial;
        for &[v, w, x, y] in quads {
            a[usize::from(v)] += 1;
            b[usize::from(w)] += 1;
            c[usize::from(x)] += 1;
            d[usize::from(y)] += 1;
        }
        for &v in rest {
            a[usize::from(v)] += 1;
        }
    }

    /// How often each byte came.
    #[must_use]
    pub fn counts(&self) -> [u32; 256] {
        std::array::from_fn(|v| self.partial.iter().map(|part| part[v]).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn counts_every_value(values in prop::collection::vec(0u16..300, 0..9000)) {
            let mut counts = vec![0; 300];
            histogram(&values, &mut counts);
            for (v, &count) in counts.iter().enumerate() {
                prop_assert_eq!(count as usize, values.iter().filter(|&&x| usize::from(x) == v).count());
            }
            let elements: Vec<u8> = values.iter().flat_map(|v| (v << 3).to_le_bytes()).collect();
            let mut counter = FieldCounts::default();
            for _ in 0..2 {
                let element = Element::new(2, crate::Transform::Identity);
                elements.chunks(5000).for_each(|piece| counter.add(Level::SCALAR, element, piece, 3, 9));
                prop_assert_eq!(&counter.take(9)[..300], &counts);
            }
            let bytes: Vec<u8> = values.iter().map(|&v| v as u8).collect();
            let mut counts = ByteCounts::default();
            bytes.chunks(777).for_each(|piece| counts.add(piece));
            for (v, &count) in counts.counts().iter().enumerate() {
                prop_assert_eq!(count as usize, bytes.iter().filter(|&&x| usize::from(x) == v).count());
            }
        }
    }
}
