//! Prediction of a tile from the decoded edges of its neighbours inside the same block.
//!
//! A prediction is subtracted from the symbols of the first plane, modulo the symbol width.
//! FORMAT.md section 8 is normative: edges, what stands in for a missing one, and each predictor.

use crate::Level;
use crate::level::compiled_for_levels;

/// How a tile is predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Predictor {
    /// Not at all.
    None = 0,
    /// The left tile's last column, copied along each row.
    Left = 1,
    /// The upper tile's last row, copied down each column.
    Top = 2,
    /// The mean of both, rounded down.
    Average = 3,
    /// Both, weighted by the distance from the other edge.
    Planar = 4,
}

impl Predictor {
    /// Number of predictors.
    pub const COUNT: usize = 5;
    /// Every predictor, in the order of their codes.
    pub const ALL: [Predictor; Predictor::COUNT] =
        [Predictor::None, Predictor::Left, Predictor::Top, Predictor::Average, Predictor::Planar];

    /// The name used on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Predictor::None => "none",
            Predictor::Left => "left",
            Predictor::Top => "top",
            Predictor::Average => "avg",
            Predictor::Planar => "planar",
        }
    }

    /// The predictor with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Predictor> {
        Predictor::ALL.into_iter().find(|p| p.name() == name)
    }

    /// The predictor with this code.
    #[must_use]
    pub fn from_code(code: u16) -> Option<Predictor> {
        Predictor::ALL.get(usize::from(code)).copied()
    }
}

/// A tile's place in its block.
#[derive(Clone, Copy, Debug)]
pub struct Tile {
    /// First row.
    pub row: usize,
    /// First column.
    pub col: usize,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
}

/// The tiles of a block in row-major order.
#[derive(Clone, Copy, Debug)]
pub struct Tiling {
    rows: usize,
    cols: usize,
    tile_rows: usize,
    tile_cols: usize,
}

impl Tiling {
    /// The tiles of `rows` x `cols` symbols, each of `tile_rows` x `tile_cols` or, at the right and
    /// lower border, fewer.
    ///
    /// # Panics
    /// If a side of a tile is 0.
    #[must_use]
    pub fn new(rows: usize, cols: usize, tile_rows: usize, tile_cols: usize) -> Tiling {
        assert!(tile_rows > 0 && tile_cols > 0, "tiles must not be empty");
        Tiling { rows, cols, tile_rows, tile_cols }
    }

    /// Rows of the block.
    #[must_use]
    pub fn rows(self) -> usize {
        self.rows
    }

    /// Columns of the block.
    #[must_use]
    pub fn cols(self) -> usize {
        self.cols
    }

    /// Their number.
    #[must_use]
    pub fn count(self) -> usize {
        self.rows.div_ceil(self.tile_rows) * self.cols.div_ceil(self.tile_cols)
    }

    /// The place of tile `number`.
    #[must_use]
    pub fn tile(self, number: usize) -> Tile {
        let Tiling { rows, cols, tile_rows, tile_cols } = self;
        let across = cols.div_ceil(tile_cols).max(1);
        let (row, col) = (number / across * tile_rows, number % across * tile_cols);
        Tile {
            row,
            col,
            rows: tile_rows.min(rows.saturating_sub(row)),
            cols: tile_cols.min(cols.saturating_sub(col)),
        }
    }

    /// Their places.
    pub fn iter(self) -> impl Iterator<Item = Tile> {
        (0..self.count()).map(move |number| self.tile(number))
    }
}

/// Up to this sum of a tile's sides, quotients of floats are exact.
const EXACT: usize = 1 << 12;

/// The two edges that a tile is predicted from, substitutes filled in.
#[derive(Default)]
struct Edges {
    left: Vec<u16>,
    top: Vec<u16>,
}

impl Edges {
    /// Reads the edges of `tile` from the decoded symbols of the block (`stride` a row). A missing
    /// edge repeats the first symbol of the other one; if both are missing, all are 0.
    fn read(&mut self, symbols: &[u16], stride: usize, tile: Tile) {
        self.left.clear();
        self.top.clear();
        if tile.col > 0 {
            let column = symbols[tile.row * stride + tile.col - 1..].iter().step_by(stride);
            self.left.extend(column.take(tile.rows));
        }
        if tile.row > 0 {
            let start = (tile.row - 1) * stride + tile.col;
            self.top.extend_from_slice(&symbols[start..start + tile.cols]);
        }
        let left = self.left.first().copied();
        let top = self.top.first().copied();
        self.left.resize(tile.rows, left.or(top).unwrap_or(0));
        self.top.resize(tile.cols, top.or(left).unwrap_or(0));
    }

    /// Fills `predicted` with the prediction of row `row` of the tile.
    #[inline(always)]
    fn predict_row(&self, predictor: Predictor, row: usize, predicted: &mut [u16]) {
        let left = self.left[row];
        match predictor {
            Predictor::None => predicted.fill(0),
            Predictor::Left => predicted.fill(left),
            Predictor::Top => predicted.copy_from_slice(&self.top),
            Predictor::Average => {
                for (p, &top) in predicted.iter_mut().zip(&self.top) {
                    *p = (left + top) >> 1;
                }
            }
            Predictor::Planar => {
                let down = row as u32 + 1;
                let far = self.left.len() + self.top.len();
                for ((p, &top), across) in predicted.iter_mut().zip(&self.top).zip(1..) {
                    let whole = down + across;
                    let sum = down * u32::from(left) + across * u32::from(top) + whole / 2;
                    // Vectors cannot divide integers. Symbols have at most 12 bits: the sum is exact
                    // then, and a quotient that is no whole number is further from one than it is
                    // rounded.
                    *p = if far <= EXACT {
                        (sum as f32 / whole as f32) as u16
                    } else {
                        (sum / whole) as u16
                    };
                }
            }
        }
    }
}

/// Turns the residuals of a block back into symbols, in place: tile by tile, each from neighbours
/// that are symbols again.
pub fn restore(
    level: Level,
    symbols: &mut [u16],
    tiling: Tiling,
    width: u32,
    predictors: &[Predictor],
) {
    apply::<true>(level, symbols, tiling, width, predictors);
}

/// Turns the symbols of a block into residuals, in place: the last tile first, so that the
/// neighbours of each are symbols still.
pub fn subtract(
    level: Level,
    symbols: &mut [u16],
    tiling: Tiling,
    width: u32,
    predictors: &[Predictor],
) {
    apply::<false>(level, symbols, tiling, width, predictors);
}

compiled_for_levels! {
    /// Adds predictions to the symbols of each tile, or subtracts them, modulo the symbol width.
    fn apply[const ADD: bool](
        symbols: &mut [u16],
        tiling: Tiling,
        width: u32,
        predictors: &[Predictor],
    )[ADD] {
        let mask = mask(width);
        let mut edges = Edges::default();
        let mut predicted = Vec::new();
        // One after another: a list of many small tiles would be larger than the block.
        let count = tiling.count();
        for k in 0..count {
            let number = if ADD { k } else { count - 1 - k };
            let predictor = predictors[number];
            if predictor == Predictor::None {
                continue;
            }
            let tile = tiling.tile(number);
            edges.read(symbols, tiling.cols, tile);
            predicted.resize(tile.cols, 0);
            for row in 0..tile.rows {
                edges.predict_row(predictor, row, &mut predicted);
                let start = (tile.row + row) * tiling.cols + tile.col;
                for (s, p) in symbols[start..start + tile.cols].iter_mut().zip(&predicted) {
                    *s = if ADD { s.wrapping_add(*p) } else { s.wrapping_sub(*p) } & mask;
                }
            }
        }
    }
}

/// The bits of a symbol.
fn mask(width: u32) -> u16 {
    ((1u32 << width) - 1) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn restore_inverts_subtract_at_every_level(rows in 1usize..40, cols in 1usize..40, tr in 1usize..20, tc in 1usize..20, width in 1u32..=12, seed: u64) {
            let mut x = seed | 1;
            let mut random = move || { x ^= x << 13; x ^= x >> 7; x ^= x << 17; x };
            let symbols: Vec<u16> = (0..rows * cols).map(|_| random() as u16 & mask(width)).collect();
            let tiling = Tiling::new(rows, cols, tr, tc);
            let predictors: Vec<Predictor> = (0..tiling.count()).map(|_| Predictor::ALL[random() as usize % 5]).collect();
            prop_assert_eq!(tiling.iter().count(), tiling.count());
            let mut back = symbols.clone();
            subtract(Level::SCALAR, &mut back, tiling, width, &predictors);
            for level in Level::available() {
                let mut residuals = symbols.clone();
                subtract(level, &mut residuals, tiling, width, &predictors);
                prop_assert_eq!(&residuals, &back, "{:?}", level);
                restore(level, &mut residuals, tiling, width, &predictors);
                prop_assert_eq!(&residuals, &symbols, "{:?}", level);
            }
        }
    }

    #[test]
    fn predictors_follow_the_definition() {
        // A 2 x 2 tile at (1, 1) of a 3 x 3 block: left edge 10 30, top edge 20 21.
        let symbols = [0, 20, 21, 10, 0, 0, 30, 0, 0];
        let mut edges = Edges::default();
        edges.read(&symbols, 3, Tile { row: 1, col: 1, rows: 2, cols: 2 });
        let rows = |p| -> Vec<u16> {
            (0..2)
                .flat_map(|row| {
                    let mut out = [0; 2];
                    edges.predict_row(p, row, &mut out);
                    out
                })
                .collect()
        };
        assert_eq!(rows(Predictor::None), [0, 0, 0, 0]);
        assert_eq!(rows(Predictor::Left), [10, 10, 30, 30]);
        assert_eq!(rows(Predictor::Top), [20, 21, 20, 21]);
        assert_eq!(rows(Predictor::Average), [15, 15, 25, 25]);
        // (1 * 10 + 1 * 20 + 1) / 2, (1 * 10 + 2 * 21 + 1) / 3, (2 * 30 + 1 * 20 + 1) / 3, (2 * 30 + 2 * 21 + 2) / 4
        assert_eq!(rows(Predictor::Planar), [15, 17, 27, 26]);
    }

    #[test]
    fn quotients_of_floats_are_exact() {
        for whole in 2..=EXACT as u32 {
            for quotient in (0..4095).step_by(89).chain([2047, 2048, 4094, 4095]) {
                for sum in
                    [quotient * whole, quotient * whole + whole / 2, quotient * whole + whole - 1]
                {
                    let float = (sum as f32 / whole as f32) as u16;
                    assert!(
                        u32::from(float) == sum / whole || sum > whole * 4095 + whole / 2,
                        "{sum} / {whole}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_missing_edge_repeats_the_other_ones_first_symbol() {
        let symbols = [5, 6, 7, 8];
        let mut edges = Edges::default();
        edges.read(&symbols, 2, Tile { row: 0, col: 1, rows: 2, cols: 1 });
        assert_eq!((edges.left.as_slice(), edges.top.as_slice()), (&[5, 7][..], &[5][..]));
        edges.read(&symbols, 2, Tile { row: 1, col: 0, rows: 1, cols: 2 });
        assert_eq!((edges.left.as_slice(), edges.top.as_slice()), (&[5][..], &[5, 6][..]));
        edges.read(&symbols, 2, Tile { row: 0, col: 0, rows: 1, cols: 1 });
        assert_eq!((edges.left.as_slice(), edges.top.as_slice()), (&[0][..], &[0][..]));
    }
}
