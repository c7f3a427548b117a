//! Counting symbols.

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
            let bytes: Vec<u8> = values.iter().map(|&v| v as u8).collect();
            let mut counts = ByteCounts::default();
            bytes.chunks(777).for_each(|piece| counts.add(piece));
            for (v, &count) in counts.counts().iter().enumerate() {
                prop_assert_eq!(count as usize, bytes.iter().filter(|&&x| usize::from(x) == v).count());
            }
        }
    }
}
