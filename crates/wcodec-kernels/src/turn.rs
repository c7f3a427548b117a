//! Between the order in which the column scan codes the symbols of a block and its rows.
//!
//! The column scan takes strips of 32 rows, in each of them column by column, row by row inside a
//! column: a strip is a matrix that lies transposed.

#[cfg(target_arch = "x86_64")]
use crate::level::Set;
use crate::{LANES, Level};

/// Coded order to rows of `cols` symbols.
pub(crate) fn to_rows(level: Level, coded: &[u8], cols: usize, out: &mut [u8]) {
    for (coded, out) in strips(coded, out, cols) {
        let rows = out.len() / cols;
        match level.set() {
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 | Set::Avx512 if rows == LANES => {
                crate::x86_64::turn::to_rows(level, coded, cols, out);
            }
            _ => transpose(coded, rows, 0..cols, out),
        }
    }
}

/// Puts rows of `cols` symbols in the order of the column scan. `out` is as long as `symbols`.
pub fn to_coding_order(level: Level, symbols: &[u8], cols: usize, out: &mut [u8]) {
    for (rows, out) in strips(symbols, out, cols) {
        let count = rows.len() / cols;
        match level.set() {
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 | Set::Avx512 if count == LANES => {
                crate::x86_64::turn::to_coded(level, rows, cols, out);
            }
            _ => untranspose(rows, count, 0..cols, out),
        }
    }
}

fn strips<'a>(
    from: &'a [u8],
    to: &'a mut [u8],
    cols: usize,
) -> impl Iterator<Item = (&'a [u8], &'a mut [u8])> {
    assert_eq!(from.len(), to.len(), "as many symbols before as after");
    let strip = (LANES * cols).max(1);
    from.chunks(strip).zip(to.chunks_mut(strip))
}

/// These columns of a strip of `rows` rows, from coded order.
pub(crate) fn transpose(
    coded: &[u8],
    rows: usize,
    columns: std::ops::Range<usize>,
    out: &mut [u8],
) {
    let cols = out.len() / rows;
    for column in columns {
        for (row, &symbol) in coded[column * rows..][..rows].iter().enumerate() {
            out[row * cols + column] = symbol;
        }
    }
}

/// These columns of a strip of `rows` rows, to coded order.
pub(crate) fn untranspose(
    symbols: &[u8],
    rows: usize,
    columns: std::ops::Range<usize>,
    out: &mut [u8],
) {
    let cols = symbols.len() / rows;
    for column in columns {
        for (row, symbol) in out[column * rows..][..rows].iter_mut().enumerate() {
            *symbol = symbols[row * cols + column];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn orders_are_inverse_and_follow_the_lanes(rows in 1usize..140, cols in 1usize..100, seed: u8) {
            let symbols: Vec<u8> = (0..rows * cols).map(|i| (i * 7 + i / 256) as u8 ^ seed).collect();
            let mut expected = Vec::new();
            for strip in symbols.chunks(LANES * cols) {
                for column in 0..cols {
                    expected.extend(strip.iter().skip(column).step_by(cols));
                }
            }
            for level in Level::available() {
                let mut coded = vec![0; symbols.len()];
                to_coding_order(level, &symbols, cols, &mut coded);
                prop_assert_eq!(&coded, &expected, "{:?}", level);
                let mut back = vec![0; symbols.len()];
                to_rows(level, &coded, cols, &mut back);
                prop_assert_eq!(&back, &symbols, "{:?}", level);
            }
        }
    }
}
