//! From counts to frequencies that sum to 4,096.

use wcodec_kernels::TABLE_SIZE;

/// Frequencies of the counts, none of which is 0. Deterministic: every count gets its rounded
/// share, at least 1; then single slots go where they save most bits, or are taken where they
/// cost least, the lowest rank first among equals.
pub(super) fn normalize(counts: &[u32]) -> Vec<u16> {
    let size = TABLE_SIZE as u64;
    let total: u64 = counts.iter().map(|&c| u64::from(c)).sum();
    let mut frequencies: Vec<u16> = counts
        .iter()
        .map(|&c| ((u64::from(c) * size + total / 2) / total).clamp(1, size) as u16)
        .collect();
    let mut sum: u64 = frequencies.iter().map(|&f| u64::from(f)).sum();
    // Slot f -> f + 1 saves count * log2((f + 1) / f), which is close to count / (f + 1/2).
    // Shares rounded to the nearest leave at most half a slot per symbol to move, and a table has
    // at most 256 symbols, so a plain search is fast enough.
    let gain = |k: usize, f: u16| (u64::from(counts[k]), 2 * u64::from(f) + 1);
    let more = |a: (u64, u64), b: (u64, u64)| {
        u128::from(a.0) * u128::from(b.1) > u128::from(b.0) * u128::from(a.1)
    };
    while sum < size {
        let mut best = 0;
        for k in 1..counts.len() {
            if more(gain(k, frequencies[k]), gain(best, frequencies[best])) {
                best = k;
            }
        }
        frequencies[best] += 1;
        sum += 1;
    }
    while sum > size {
        let mut best = None;
        for k in (0..counts.len()).filter(|&k| frequencies[k] > 1) {
            let loss = gain(k, frequencies[k] - 1);
            if best.is_none_or(|(_, least)| more(least, loss)) {
                best = Some((k, loss));
            }
        }
        // The sum exceeds 4,096 and there are at most 256 symbols: one of them is above 1.
        let Some((k, _)) = best else { break };
        frequencies[k] -= 1;
        sum -= 1;
    }
    frequencies
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sums_to_4096_and_keeps_every_symbol(counts in prop::collection::vec(1u32..=u32::MAX, 1..=256)) {
            let f = normalize(&counts);
            prop_assert_eq!(f.iter().map(|&x| u64::from(x)).sum::<u64>(), 4096);
            prop_assert!(f.iter().all(|&x| x > 0));
        }

        /// Moving any one slot to another symbol saves nothing worth a hundredth of a percent.
        #[test]
        fn no_single_move_helps(counts in prop::collection::vec(1u32..100_000, 2..40)) {
            let f = normalize(&counts);
            let bits = |f: &[u16]| -> f64 {
                counts.iter().zip(f).map(|(&c, &f)| f64::from(c) * (12.0 - f64::from(f).log2())).sum()
            };
            let cost = bits(&f);
            for a in 0..f.len() {
                for b in 0..f.len() {
                    if a != b && f[a] > 1 {
                        let mut g = f.clone();
                        g[a] -= 1;
                        g[b] += 1;
                        prop_assert!(bits(&g) > cost * (1.0 - 1e-4));
                    }
                }
            }
        }
    }
}
