//! The tile map: one predictor per tile, entropy-coded in a single lane.

use super::Predictor;
use crate::entropy::table::Table;
use crate::error::{Result, corrupt};
use wcodec_kernels::{Classes, EncodeSpace, Level, Steps, StreamJob, SymbolsJob};

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
        let encoder = table.encoder()?;
        let (classes, steps) = (Classes::one(&encoder), Steps::single_lane(ranks.len()));
        let job = SymbolsJob { classes, ranks: &ranks, steps, out: &mut out };
        wcodec_kernels::encode(level, &mut [job], &mut EncodeSpace::default());
    }
    Ok(out)
}

/// Reads a map of `tiles` predictors that fills `bytes`.
pub(crate) fn read(level: Level, bytes: &[u8], tiles: usize) -> Result<Vec<Predictor>> {
    let (table, used) =
        Table::read(WIDTH, bytes).map_err(|e| corrupt!("tile map: {}", e.kind()))?;
    let table = table.decoder()?;
    let mut codes = vec![0; tiles];
    let (classes, stream) = (Classes::one(&table), &bytes[used..]);
    let job = StreamJob { classes, stream, steps: Steps::single_lane(tiles), out: &mut codes };
    if let Some(Err(e)) = wcodec_kernels::decode(level, &mut [job]).pop() {
        return Err(corrupt!("tile map: {e}"));
    }
    let predictor = |&code: &u8| {
        Predictor::from_code(u16::from(code))
            .ok_or_else(|| corrupt!("predictor is {code}, at most 4 expected"))
    };
    codes.iter().map(predictor).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_inverts_write() {
        let map: Vec<Predictor> = (0..1000).map(|i| Predictor::ALL[i * i % 5]).collect();
        for map in [&map[..], &map[..1], &[Predictor::Top; 256]] {
            let bytes = write(Level::SCALAR, map).unwrap();
            assert_eq!(read(Level::SCALAR, &bytes, map.len()).unwrap(), map);
            assert!(read(Level::SCALAR, &bytes[..bytes.len() - 1], map.len()).is_err());
        }
    }
}
