//! Lists of factors as they are stored: a frequency table, and a stream.

use crate::entropy::table::Table;
use crate::entropy::{cost, list};
use crate::error::{Result, corrupt};
use wcodec_kernels::{ByteCounts, LANES, Level, Steps};

/// Bits of a factor of the scale.
pub(crate) const SCALE_WIDTH: u32 = 6;
/// Bits of a factor of a mean, 128 more than it.
pub(crate) const MEAN_WIDTH: u32 = 8;
/// Shorter lists are coded in a single lane: 32 states would take more than they hold.
const MIN_INTERLEAVED: usize = 4096;

fn steps(count: usize) -> Steps {
    if count < MIN_INTERLEAVED { Steps::single_lane(count) } else { Steps::linear(count) }
}

/// About what a list takes, in units of 2^-16 bit.
pub(crate) fn price(factors: &[u8]) -> u64 {
    let mut counts = ByteCounts::default();
    counts.add(factors);
    cost::entropy(&counts.counts())
}

/// Appends a list of factors of `width` bits: the length of the stream, the table, the stream.
pub(crate) fn write(level: Level, factors: &[u8], width: u32, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let stream = list::write(level, factors, width, steps(factors.len()), out)?;
    out[start..][..4].copy_from_slice(&(stream as u32).to_le_bytes());
    Ok(())
}

/// Reads a list of `count` factors from the front of `bytes`; returns it and what is behind it.
pub(crate) fn read(
    level: Level,
    count: usize,
    width: u32,
    bytes: &[u8],
) -> Result<(Vec<u8>, &[u8])> {
    let Some((len, rest)) = bytes.split_first_chunk::<4>() else {
        return Err(corrupt!("side block ends before a list of factors"));
    };
    let (table, used) = Table::read(width, rest).map_err(|e| corrupt!("factors: {}", e.kind()))?;
    let rest = &rest[used..];
    let len = u32::from_le_bytes(*len) as usize;
    let Some((stream, rest)) = rest.split_at_checked(len) else {
        let have = rest.len();
        return Err(corrupt!("stream of factors has {len} bytes, {have} are left"));
    };
    let factors = list::read(level, &table, stream, steps(count))?;
    Ok((factors.map_err(|e| corrupt!("factors: {e}"))?, rest))
}

const _: () = assert!(MIN_INTERLEAVED >= LANES);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_inverts_write() {
        for count in [1, 31, 4095, 4096, 10_000] {
            let factors: Vec<u8> = (0..count).map(|i: usize| (i * i % 41) as u8).collect();
            let mut bytes = Vec::new();
            write(Level::SCALAR, &factors, SCALE_WIDTH, &mut bytes).unwrap();
            bytes.extend(b"rest");
            let (found, rest) = read(Level::SCALAR, count, SCALE_WIDTH, &bytes).unwrap();
            assert_eq!((found, rest), (factors, &b"rest"[..]));
            assert!(count == 1 || read(Level::SCALAR, count + 1, SCALE_WIDTH, &bytes).is_err());
        }
    }
}
