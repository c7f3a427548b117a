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
        }
    }
}
