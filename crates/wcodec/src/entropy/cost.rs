//! Costs in units of 2^-16 bit, in integer arithmetic: the same choices on every machine.

/// One bit.
pub(crate) const BIT: u64 = 1 << FRACTION;
const FRACTION: u32 = 16;

const STEPS: u32 = 10;

/// `log2(1 + i / 1024)` in units of 2^-16, by repeated squaring.
const LOG2_MANTISSA: [u32; (1 << STEPS) + 1] = {
    let mut table = [0; (1 << STEPS) + 1];
    let mut i = 0;
    while i < 1 << STEPS {
        // The mantissa in [1, 2) with 31 fraction bits.
        let mut x: u64 = (1 << 31) + ((i as u64) << (31 - STEPS));
        let mut log = 0;
        let mut bit = 0;
        while bit < FRACTION {
            x = (x * x) >> 31;
            log <<= 1;
            if x >= 1 << 32 {
                x >>= 1;
                log |= 1;
            }
            bit += 1;
        }
        table[i] = log;
        i += 1;
    }
    table[1 << STEPS] = 1 << FRACTION;
    table
};

/// `log2(x)` in units of 2^-16, rounded down, within 8 units; 0 for 0.
pub(crate) fn log2(x: u64) -> u64 {
    if x == 0 {
        return 0;
    }
    let exponent = x.ilog2();
    let mantissa = x << (63 - exponent) << 1;
    let index = (mantissa >> (64 - STEPS)) as usize;
    let rest = mantissa >> (48 - STEPS) & 0xffff;
    let low = u64::from(LOG2_MANTISSA[index]);
    let high = u64::from(LOG2_MANTISSA[index + 1]);
    (u64::from(exponent) << FRACTION) + low + (((high - low) * rest) >> 16)
}

/// Entropy of a histogram times its total: what its symbols cost under an ideal table.
pub(crate) fn entropy<C: Copy + Into<u64>>(counts: &[C]) -> u64 {
    let counts = || counts.iter().map(|&count| count.into()).filter(|&count| count > 0);
    let whole = log2(counts().sum());
    counts().map(|count| count * (whole - log2(count))).sum()
}

/// What a symbol of this frequency out of 4,096 costs.
pub(crate) fn of_frequency(frequency: u16) -> u64 {
    (u64::from(wcodec_kernels::TABLE_BITS) << FRACTION) - log2(u64::from(frequency))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log2_is_close() {
        for x in (1..5000).chain((1..64).map(|s| (1 << s) - 1)) {
            let exact = (x as f64).log2() * BIT as f64;
            assert!((log2(x) as f64 - exact).abs() < 9.0, "{x}: {} {exact}", log2(x));
        }
    }

    #[test]
    fn entropy_of_a_fair_coin_is_one_bit() {
        assert_eq!(entropy(&[500_u32, 500]), 1000 * BIT);
        assert_eq!(entropy(&[0_u32, 7, 0]), 0);
    }
}
