//! Choosing the predictors of a block by bits.

use super::{Predictor, PredictorSet};
use crate::entropy::table::Table;
use crate::entropy::{cost, count};
use wcodec_kernels::Level;
use wcodec_kernels::predict::{Edges, Tile, Tiling, subtract};

/// Bytes that a tile map costs at least: table, state and its place in the head.
const MAP_BYTES: u64 = 16;
/// Rounds of giving each tile the cheapest predictor under the table of the round before.
const ROUNDS: usize = 3;
/// What a tile's map entry is taken to cost while choosing, in bits: keeps near-ties together.
const TILE_BITS: u64 = 1;
/// Price of a symbol that a table lacks.
const RARE: u64 = 14 * cost::BIT;

/// The bits that the best predictor leaves, used on every tile of these samples or on the tiles that
/// gain, in 256ths; `None` if it saves less than one. Each sample is the symbols of a rectangle, tiled by its [`Tiling`];
/// tiles at its upper and left border lack neighbours that they have in the block, and do not
/// count.
pub(crate) fn promising(
    level: Level,
    samples: &[(Vec<u16>, Tiling)],
    width: u32,
    allowed: PredictorSet,
) -> Option<u64> {
    let inner = |tiling: Tiling| tiling.iter().filter(|tile| tile.row > 0 && tile.col > 0);
    let add = |counts: &mut [u32], symbols: &[u16], tiling: Tiling, tile: Tile| {
        for_each_row(tiling, tile, |range| {
            symbols[range].iter().for_each(|&s| counts[usize::from(s)] += 1);
        });
    };
    let mut plain = vec![0u32; 1 << width];
    for (symbols, tiling) in samples {
        inner(*tiling).for_each(|tile| add(&mut plain, symbols, *tiling, tile));
    }
    let plain_table = Table::from_counts(&plain)?;
    let plain_cost = cost::entropy(&plain);
    // Missing symbols of a small sample are rare ones, not impossible ones.
    let plain_costs = plain_table.symbol_costs(width, RARE);
    let left = allowed.predicting().map(|predictor| {
        let mut single = vec![0u32; 1 << width];
        let mut mixed = vec![0u32; 1 << width];
        for (symbols, tiling) in samples {
            let mut residuals = symbols.clone();
            subtract(level, &mut residuals, *tiling, width, &vec![predictor; tiling.count()]);
            for tile in inner(*tiling) {
                let (mut before, mut after) = (0, 0);
                for_each_row(*tiling, tile, |range| {
                    let cost =
                        |s: &[u16]| s.iter().map(|&s| plain_costs[usize::from(s)]).sum::<u64>();
                    before += cost(&symbols[range.clone()]);
                    after += cost(&residuals[range]);
                });
                add(&mut single, &residuals, *tiling, tile);
                add(&mut mixed, if after < before { &residuals } else { symbols }, *tiling, tile);
            }
        }
        cost::entropy(&single).min(cost::entropy(&mixed))
    });
    let left = left.min()?;
    (left + left / 256 < plain_cost).then(|| left / (plain_cost / 256).max(1))
}

fn for_each_row(tiling: Tiling, tile: Tile, mut visit: impl FnMut(std::ops::Range<usize>)) {
    for row in tile.row..tile.row + tile.rows {
        let start = row * tiling.cols() + tile.col;
        visit(start..start + tile.cols);
    }
}

/// Chooses the predictor of each tile by the bits of its residuals under the table that the block
/// will use; `None` if a map does not pay for itself.
pub(crate) fn choose(
    level: Level,
    symbols: &[u16],
    tiling: Tiling,
    width: u32,
    allowed: PredictorSet,
) -> Option<Vec<Predictor>> {
    let plain_cost = cost::entropy(&count(symbols, width));
    let tiles = tiling.count();
    let mut best: Option<(u64, Vec<Predictor>)> = None;
    let consider = |predictors: Vec<Predictor>, best: &mut Option<(u64, Vec<Predictor>)>| {
        let mut residuals = symbols.to_vec();
        subtract(level, &mut residuals, tiling, width, &predictors);
        let counts = count(&residuals, width);
        let mut by_predictor = [0u32; Predictor::COUNT];
        for &p in &predictors {
            by_predictor[p as usize] += 1;
        }
        let bits =
            cost::entropy(&counts) + cost::entropy(&by_predictor) + MAP_BYTES * 8 * cost::BIT;
        let fits = counts.iter().filter(|&&c| c > 0).count() <= wcodec_kernels::MAX_SYMBOLS;
        if fits && best.as_ref().is_none_or(|(least, _)| bits < *least) {
            *best = Some((bits, predictors));
        }
        counts
    };
    // The table to begin with is that of the best single predictor, NONE included: a table of
    // plain values would price residuals wrongly.
    let mut counts = count(symbols, width);
    let mut least = plain_cost;
    for predictor in allowed.predicting() {
        let single = consider(vec![predictor; tiles], &mut best);
        let bits = cost::entropy(&single);
        if bits < least {
            least = bits;
            counts = single;
        }
    }
    for _ in 0..ROUNDS {
        let Some(table) = Table::from_counts(&counts) else { break };
        let costs = table.symbol_costs(width, RARE);
        let predictors = cheapest(symbols, tiling, width, allowed, &costs);
        counts = consider(predictors, &mut best);
    }
    best.filter(|(bits, _)| *bits < plain_cost).map(|(_, predictors)| predictors)
}

/// The cheapest predictor of each tile under given symbol costs; NONE wins ties.
fn cheapest(
    symbols: &[u16],
    tiling: Tiling,
    width: u32,
    allowed: PredictorSet,
    costs: &[u64],
) -> Vec<Predictor> {
    let mask = ((1u32 << width) - 1) as u16;
    let mut edges = Edges::default();
    let mut predicted = Vec::new();
    let mut choice = Vec::with_capacity(tiling.count());
    for tile in tiling.iter() {
        let mut plain = 0;
        for_each_row(tiling, tile, |range| {
            plain += symbols[range].iter().map(|&s| costs[usize::from(s)]).sum::<u64>();
        });
        let mut best = (plain, Predictor::None);
        // Without a neighbour every prediction is 0.
        if tile.row > 0 || tile.col > 0 {
            edges.read(symbols, tiling.cols(), tile);
            predicted.resize(tile.cols, 0);
            for predictor in allowed.predicting() {
                let mut bits = TILE_BITS * cost::BIT;
                for row in 0..tile.rows {
                    edges.predict_row(predictor, row, &mut predicted);
                    let start = (tile.row + row) * tiling.cols() + tile.col;
                    let row = &symbols[start..start + tile.cols];
                    bits += row
                        .iter()
                        .zip(&predicted)
                        .map(|(s, p)| costs[usize::from(s.wrapping_sub(*p) & mask)])
                        .sum::<u64>();
                }
                if bits < best.0 {
                    best = (bits, predictor);
                }
            }
        }
        choice.push(best.1);
    }
    choice
}
