//! Choosing the predictors of a block by bits.

use super::{Predictor, PredictorSet};
use crate::entropy::table::{MAX_WIDTH, Table};
use crate::entropy::{cost, count};
use wcodec_kernels::Level;
use wcodec_kernels::predict::{Tile, Tiling, subtract};

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
    let plain_counts = count(symbols, width);
    let plain_cost = cost::entropy(&plain_counts);
    let tiles = tiling.count();
    // What each predictor leaves if all tiles take it.
    let left = allowed.predicting().map(|predictor| {
        let mut residuals = symbols.to_vec();
        subtract(level, &mut residuals, tiling, width, &vec![predictor; tiles]);
        (predictor, residuals)
    });
    let left: Vec<(Predictor, Vec<u16>)> = left.collect();
    let mut best: Option<(u64, Vec<Predictor>)> = None;
    let mut consider = |predictors: Vec<Predictor>, residuals: &[u16]| {
        let counts = count(residuals, width);
        let mut by_predictor = [0u32; Predictor::COUNT];
        for &p in &predictors {
            by_predictor[p as usize] += 1;
        }
        let bits =
            cost::entropy(&counts) + cost::entropy(&by_predictor) + MAP_BYTES * 8 * cost::BIT;
        let fits = counts.iter().filter(|&&c| c > 0).count() <= wcodec_kernels::MAX_SYMBOLS;
        if fits && best.as_ref().is_none_or(|(least, _)| bits < *least) {
            best = Some((bits, predictors));
        }
        counts
    };
    // The table to begin with is that of the best single predictor, NONE included: a table of
    // plain values would price residuals wrongly.
    let (mut least, mut counts) = (plain_cost, plain_counts);
    for (predictor, residuals) in &left {
        let single = consider(vec![*predictor; tiles], residuals);
        let bits = cost::entropy(&single);
        if bits < least {
            (least, counts) = (bits, single);
        }
    }
    let mut mixed = symbols.to_vec();
    for _ in 0..ROUNDS {
        let Some(table) = Table::from_counts(&counts) else { break };
        let mut costs = [RARE; 1 << MAX_WIDTH];
        costs[..1 << width].copy_from_slice(&table.symbol_costs(width, RARE));
        let predictors = cheapest(symbols, &left, tiling, &costs, &mut mixed);
        counts = consider(predictors, &mixed);
    }
    best.filter(|(bits, _)| *bits < plain_cost).map(|(_, predictors)| predictors)
}

/// The cheapest predictor of each tile under given symbol costs, of what each leaves; NONE wins ties. `mixed`
/// becomes what they leave.
fn cheapest(
    symbols: &[u16],
    left: &[(Predictor, Vec<u16>)],
    tiling: Tiling,
    costs: &[u64; 1 << MAX_WIDTH],
    mixed: &mut [u16],
) -> Vec<Predictor> {
    let row_cost = |row: &[u16]| -> u64 {
        row.iter().map(|&s| costs[usize::from(s) & ((1 << MAX_WIDTH) - 1)]).sum()
    };
    let mut choice = Vec::with_capacity(tiling.count());
    for tile in tiling.iter() {
        let mut plain = 0;
        for_each_row(tiling, tile, |range| plain += row_cost(&symbols[range]));
        let mut best = (plain, Predictor::None, symbols);
        // Without a neighbour every prediction is 0.
        let candidates = if tile.row > 0 || tile.col > 0 { left } else { &[] };
        for (predictor, residuals) in candidates {
            let mut bits = TILE_BITS * cost::BIT;
            for_each_row(tiling, tile, |range| {
                // Bits only grow.
                if bits < best.0 {
                    bits += row_cost(&residuals[range]);
                }
            });
            if bits < best.0 {
                best = (bits, *predictor, residuals);
            }
        }
        for_each_row(tiling, tile, |range| {
            mixed[range.clone()].copy_from_slice(&best.2[range]);
        });
        choice.push(best.1);
    }
    choice
}
