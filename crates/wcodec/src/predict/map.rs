//! The tile map: one predictor per tile, entropy-coded in a single lane.

use super::Predictor;
use crate::entropy::table::Table;
use crate::error::{Result, corrupt};
use wcodec_kernels::{Level, Steps};

/// Bits of a predictor's code.
const WIDTH: u32 = 3;

/// Serialises the map: its table, then its stream.
pub(crate) fn write(level: Level, predictors: &[Predictor]) -> Result<Vec<u8>> {
    let mut counts = [0u32; 1 << WIDTH];
    for &p in predictors {
        counts[p as usize] += 1;
    }
    let mut out = Vec::new();
    if let Some(table) = Table::from_counts(&counts) {
        table.write(WIDTH, &mut out);
        let ranks = table.ranks();
        let ranks: Vec<u8> = predictors.iter().map(|&p| ranks.get(p as u16)).collect();
        let steps = Steps::single_lane(ranks.len());
        let encoder = table.encoder()?;
        wcodec_kernels::encode(level, &encoder, &ranks, steps, &mut Vec::new(), &mut out);
    }
    Ok(out)
}

/// Reads a map of `tiles` predictors that fills `bytes`.
pub(crate) fn read(level: Level, bytes: &[u8], tiles: usize) -> Result<Vec<Predictor>> {
    let (table, used) =
        Table::read(WIDTH, bytes).map_err(|e| corrupt!("tile map: {}", e.kind()))?;
    let mut ranks = vec![0; tiles];
    let steps = Steps::single_lane(tiles);
    wcodec_kernels::decode(level, &table.decoder()?, &bytes[used..], steps, &mut ranks)
        .map_err(|e| corrupt!("tile map: {e}"))?;
    ranks.iter().map(|&rank| Predictor::from_code(table.symbols()[usize::from(rank)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_inverts_write() {
        let map: Vec<Predictor> = (0..1000).map(|i| Predictor::ALL[i * i % 5]).collect();
        for map in [&map[..], &map[..1], &[Predictor::Top; 256]] {
            let bytes = write(Level::Scalar, map).unwrap();
            assert_eq!(read(Level::Scalar, &bytes, map.len()).unwrap(), map);
            assert!(read(Level::Scalar, &bytes[..bytes.len() - 1], map.len()).is_err());
        }
    }
}
