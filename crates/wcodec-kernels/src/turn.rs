//! Between the order in which the column scan codes the symbols of a block and its rows.
//!
//! The column scan takes strips of 32 rows, in each of them column by column, row by row inside a
//! column: a strip is a matrix that lies transposed.

#[cfg(target_arch = "x86_64")]
use crate::level::Set;
use crate::{LANES, Level};

/// Coded order to rows of `cols` symbols. `order` names the rows in the order in which the scan takes
/// them; it is empty if that is their own.
pub(crate) fn to_rows(level: Level, coded: &[u8], cols: usize, order: &[u32], out: &mut [u8]) {
    let mut strip_space = Vec::new();
    let mut orders = order.chunks(LANES);
    for (number, coded) in coded.chunks(LANES * cols).enumerate() {
        let rows = coded.len() / cols;
        let turn = |out: &mut [u8]| match level.set() {
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 | Set::Avx512 if rows == LANES => {
                crate::x86_64::turn::to_rows(level, coded, cols, out);
            }
            _ => transpose(coded, rows, 0..cols, out),
        };
        match orders.next() {
            None => turn(&mut out[number * LANES * cols..][..coded.len()]),
            Some(order) => {
                strip_space.resize(coded.len(), 0);
                turn(&mut strip_space);
                for (&row, symbols) in order.iter().zip(strip_space.chunks_exact(cols)) {
                    out[row as usize * cols..][..cols].copy_from_slice(symbols);
                }
            }
        }
    }
}

/// Puts rows of `cols` symbols in the order of the column scan, which takes the rows in this `order`,
/// or, if that is empty, in their own. `out` is as long as `symbols`.
///
/// # Panics
/// If `order` names a row that is not there.
pub fn to_coding_order(level: Level, symbols: &[u8], cols: usize, order: &[u32], out: &mut [u8]) {
    assert_eq!(symbols.len(), out.len(), "as many symbols before as after");
    let mut strip_space = Vec::new();
    let mut orders = order.chunks(LANES);
    for (number, out) in out.chunks_mut(LANES * cols).enumerate() {
        let count = out.len() / cols;
        let rows = match orders.next() {
            None => &symbols[number * LANES * cols..][..out.len()],
            Some(order) => {
                strip_space.clear();
                for &row in order {
                    strip_space.extend_from_slice(&symbols[row as usize * cols..][..cols]);
                }
                &strip_space
            }
        };
        match level.set() {
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 | Set::Avx512 if count == LANES => {
                crate::x86_64::turn::to_coded(level, rows, cols, out);
            }
            _ => untranspose(rows, count, 0..cols, out),
        }
    }
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
        fn orders_are_inverse_and_follow_the_lanes(rows in 1usize..140, cols in 1usize..100, seed: u8, ordered: bool) {
            let symbols: Vec<u8> = (0..rows * cols).map(|i| (i * 7 + i / 256) as u8 ^ seed).collect();
            let mut order: Vec<u32> = (0..rows as u32).collect();
            order.sort_by_key(|&row| (row as usize * 7919 + usize::from(seed)) % 64);
            let taken: Vec<u8> = order.iter().flat_map(|&row| &symbols[row as usize * cols..][..cols]).copied().collect();
            let order = if ordered { &order[..] } else { &[] };
            let taken = if ordered { &taken } else { &symbols };
            let columns = |strip: &[u8]| -> Vec<u8> {
                (0..cols).flat_map(|column| strip.iter().skip(column).step_by(cols).copied()).collect()
            };
            let expected: Vec<u8> = taken.chunks(LANES * cols).flat_map(columns).collect();
            for level in Level::available() {
                let mut coded = vec![0; symbols.len()];
                to_coding_order(level, &symbols, cols, order, &mut coded);
                prop_assert_eq!(&coded, &expected, "{:?}", level);
                let mut back = vec![0; symbols.len()];
                to_rows(level, &coded, cols, order, &mut back);
                prop_assert_eq!(&back, &symbols, "{:?}", level);
            }
        }
    }
}
