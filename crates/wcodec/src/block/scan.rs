//! Between the row-major order of a block and the order in which its symbols are coded.

use crate::geometry::Scan;
use wcodec_kernels::{LANES, Steps};

/// How the symbols of a block go through the lanes.
pub(super) fn steps(scan: Scan, rows: usize, cols: usize) -> Steps {
    match scan {
        Scan::Row => Steps::linear(rows * cols),
        Scan::Column => Steps::strips(rows, cols),
    }
}

/// Row-major symbols in coding order; `None` if that is the same.
pub(super) fn to_coding_order(scan: Scan, symbols: &[u8], cols: usize) -> Option<Vec<u8>> {
    reorder(scan, symbols, cols, |row_major, strip, rows| {
        for (column, out) in strip.chunks_exact_mut(rows).enumerate() {
            for (row, out) in out.iter_mut().enumerate() {
                *out = row_major[row * cols + column];
            }
        }
    })
}

/// Decoded symbols in row-major order; `None` if that is the same.
pub(super) fn to_row_major(scan: Scan, symbols: &[u8], cols: usize) -> Option<Vec<u8>> {
    reorder(scan, symbols, cols, |coded, strip, rows| {
        for (column, coded) in coded.chunks_exact(rows).enumerate() {
            for (row, &symbol) in coded.iter().enumerate() {
                strip[row * cols + column] = symbol;
            }
        }
    })
}

/// Applies `turn(source, target, rows)` to each strip of 32 rows.
fn reorder(
    scan: Scan,
    symbols: &[u8],
    cols: usize,
    turn: impl Fn(&[u8], &mut [u8], usize),
) -> Option<Vec<u8>> {
    if scan == Scan::Row || cols == 0 {
        return None;
    }
    let mut out = vec![0; symbols.len()];
    for (source, target) in symbols.chunks(LANES * cols).zip(out.chunks_mut(LANES * cols)) {
        turn(source, target, source.len() / cols);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_inverse_and_follow_the_lanes() {
        for (rows, cols) in [(1, 7), (31, 3), (32, 5), (70, 9), (64, 1)] {
            let symbols: Vec<u8> = (0..rows * cols).map(|i| (i * 7 % 251) as u8).collect();
            let coded = to_coding_order(Scan::Column, &symbols, cols).unwrap();
            assert_eq!(to_row_major(Scan::Column, &coded, cols).unwrap(), symbols);
            assert_eq!(steps(Scan::Column, rows, cols).symbols(), symbols.len());
            // The second symbol coded is the one below the first.
            if rows > 1 {
                assert_eq!(coded[1], symbols[cols]);
            }
        }
    }
}
