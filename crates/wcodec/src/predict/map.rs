//! The tile map: one predictor per tile, entropy-coded in a single lane.

use super::Predictor;
use crate::entropy::list;
use crate::entropy::table::Table;
use crate::error::{Result, corrupt};
use wcodec_kernels::{Level, Steps};

/// Bits of a predictor's code.
const WIDTH: u32 = 3;

/// Serialises the map: its table, then its stream.
pub(crate) fn write(level: Level, predictors: &[Predictor]) -> Result<Vec<u8>> {
    let codes: Vec<u8> = predictors.iter().map(|&p| p as u8).collect();
    let mut out = Vec::new();
    list::write(level, &codes, WIDTH, Steps::single_lane(codes.len()), &mut out)?;
    Ok(out)
}

/// Reads a map of `tiles` predictors that fills `bytes`.
pub(crate) fn read(level: Level, bytes: &[u8], tiles: usize) -> Result<Vec<Predictor>> {
    let (table, used) =
        Table::read(WIDTH, bytes).map_err(|e| corrupt!("tile map: {}", e.kind()))?;
    let codes = list::read(level, &table, &bytes[used..], Steps::single_lane(tiles))?
        .map_err(|e| corrupt!("tile map: {e}"))?;
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
