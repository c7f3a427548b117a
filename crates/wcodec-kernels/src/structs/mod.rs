//! Structs of packed bits: the codes of a field are gathered from all structs, and scattered back.

mod pivots;
mod put;
mod runs;
mod scatter;
mod spans;

use crate::Level;
use crate::level::compiled_for_levels;
use runs::Run;

pub use pivots::{MAX_PIVOT_CODES, MAX_PIVOT_GROUP, MAX_PIVOTS, Pivot, Pivots};
pub use put::PutPivots;
#[cfg(target_arch = "x86_64")]
pub(crate) use put::PutTable;
pub use scatter::Scatter;

/// A number of places that lie equally far from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Places.
    pub count: u32,
    /// Bits from one to the next.
    pub stride: u32,
}

/// A piece that every code of a field has: so many of its bits, and where they lie in a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where the piece of the first code begins, in bits.
    pub first: u32,
    /// Bits, from 1 to those of a code.
    pub width: u32,
    /// How the codes go on from there, the fastest first; the product of the counts is the number of
    /// codes.
    pub axes: Vec<Axis>,
}

/// A field of a struct: a list of codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeField {
    /// Codes of a struct, at least 1.
    pub codes: usize,
    /// Bytes that a code takes once it is gathered: 1, 2, 4 or 8.
    pub size: usize,
    /// Added to each gathered code of one byte; 0 for others.
    pub bias: u8,
    /// The pieces of a code, its lowest bits first.
    pub pieces: Vec<Piece>,
}

impl Piece {
    /// The bit behind the last one of any code; `None` if it does not fit 64 bits.
    #[must_use]
    pub fn end(&self) -> Option<u64> {
        let start = u64::from(self.first) + u64::from(self.width);
        self.axes.iter().try_fold(start, |end, axis| {
            let steps = u64::from(axis.count).checked_sub(1)?;
            end.checked_add(steps.checked_mul(u64::from(axis.stride))?)
        })
    }

    /// Number of runs along the fastest axis.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.axes.iter().skip(1).map(|axis| axis.count as usize).product()
    }

    /// The first code and the first bit of a run.
    #[must_use]
    pub fn start(&self, run: usize) -> (usize, usize) {
        let (mut rest, mut bit) = (run, self.first as usize);
        for axis in self.axes.iter().skip(1) {
            bit += rest % axis.count as usize * axis.stride as usize;
            rest /= axis.count as usize;
        }
        (run * self.run().count as usize, bit)
    }

    /// Codes of a run, and bits from one to the next.
    #[must_use]
    pub fn run(&self) -> Axis {
        self.axes.first().copied().unwrap_or(Axis { count: 1, stride: 0 })
    }
}

impl CodeField {
    /// Bits of a code.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.pieces.iter().map(|piece| piece.width).sum()
    }

    /// Bytes of the gathered codes of a struct.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.codes * self.size
    }

    /// Calls `each` with every run of every piece.
    fn for_each_run(&self, mut each: impl FnMut(Run)) {
        let mut up = 0;
        for piece in &self.pieces {
            (0..piece.runs()).for_each(|number| each(Run::new(piece, number, up, self.size)));
            up += piece.width;
        }
    }
}

/// Structs dealt with at a time, so that they stay in the first-level cache.
const TILE_BYTES: usize = 8 << 10;

/// Takes the codes of a field out of structs of `len` bytes each.
///
/// # Panics
/// If the field does not lie within `len` bytes, or `codes` has another size than the codes of all
/// structs.
pub fn gather_codes(level: Level, len: usize, structs: &[u8], field: &CodeField, codes: &mut [u8]) {
    assert_eq!(structs.len() / len * field.bytes(), codes.len(), "room for all codes");
    let tile = (TILE_BYTES / len).max(1);
    let tiles = structs.chunks(tile * len).zip(codes.chunks_mut(tile * field.bytes()));
    for (structs, codes) in tiles {
        codes.fill(0);
        field.for_each_run(|run| gather_run(level, len, structs, run, field.bytes(), codes));
        if field.bias != 0 {
            codes.iter_mut().for_each(|code| *code = code.wrapping_add(field.bias));
        }
    }
}

compiled_for_levels! {
    fn gather_run[](len: usize, structs: &[u8], run: Run, bytes: usize, codes: &mut [u8])[] {
        run.gather(len, structs, bytes, codes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A struct of fields that lie bit by bit in any order.
    fn any_struct() -> impl Strategy<Value = (usize, Vec<CodeField>)> {
        // Runs of codes: width of a piece, size of a code, count, dense or each in a byte of its own.
        let field = (
            1u32..=8,
            prop::sample::select(vec![1usize, 2, 4, 8]),
            prop::sample::select(vec![1u32, 2, 3, 8, 16, 24, 32, 64, 128]),
            0..5u8,
            prop::sample::select(vec![0u8, 0xf8, 0xfe, 1, 7]),
        );
        prop::collection::vec(field, 1..4).prop_map(|fields| {
            let mut at = 0u32;
            let mut made = Vec::new();
            for (width, size, count, kind, bias) in fields {
                let bias = if size == 1 { bias } else { 0 };
                let field = |pieces| CodeField { codes: count as usize, size, bias, pieces };
                let piece = |first, width, axes: &[(u32, u32)]| Piece {
                    first,
                    width,
                    axes: axes.iter().map(|&(count, stride)| Axis { count, stride }).collect(),
                };
                match kind {
                    // Dense.
                    0 => {
                        made.push(field(vec![piece(at, width, &[(count, width)])]));
                        at += width * count;
                    }
                    // Whole codes.
                    1 => {
                        at = at.next_multiple_of(8);
                        let bits = size as u32 * 8;
                        made.push(field(vec![piece(at, bits, &[(count, bits)])]));
                        at += bits * count;
                    }
                    // Low nibbles, then high ones.
                    2 if count % 2 == 0 => {
                        at = at.next_multiple_of(8);
                        made.push(field(vec![piece(at, 4, &[(count / 2, 8), (2, 4)])]));
                        at += 4 * count;
                    }
                    // Four quarters in the bits of the same bytes.
                    3 if count % 4 == 0 => {
                        at = at.next_multiple_of(8);
                        made.push(field(vec![piece(at, 2, &[(count / 4, 8), (4, 2)])]));
                        at += 2 * count;
                    }
                    // Nibbles of words, the lowest ones of all words first.
                    3 => {
                        at = at.next_multiple_of(8);
                        let words = field(vec![piece(at, 4, &[(count, 32), (8, 4)])]);
                        made.push(CodeField { codes: 8 * count as usize, ..words });
                        at += 32 * count;
                    }
                    // Low bits, one for each byte in turn; a high bit each behind them.
                    _ => {
                        at = at.next_multiple_of(8);
                        let low = piece(at, width.min(7), &[(count, 8)]);
                        at += 8 * count;
                        let high = piece(at, 1, &[(count, 1)]);
                        made.push(field(vec![low, high]));
                        at += count;
                    }
                }
            }
            (at.div_ceil(8) as usize, made)
        })
    }

    fn bit(bytes: &[u8], at: usize) -> u64 {
        u64::from(bytes[at / 8] >> (at % 8) & 1)
    }

    /// Bit by bit.
    fn oracle(structs: &[u8], len: usize, field: &CodeField) -> Vec<u8> {
        let mut out = Vec::new();
        for one in structs.chunks(len) {
            for code in 0..field.codes {
                let (mut value, mut up) = (0u64, 0);
                for piece in &field.pieces {
                    let (mut rest, mut at) = (code, piece.first as usize);
                    for axis in &piece.axes {
                        at += rest % axis.count as usize * axis.stride as usize;
                        rest /= axis.count as usize;
                    }
                    for k in 0..piece.width as usize {
                        value |= bit(one, at + k) << (up + k);
                    }
                    up += piece.width as usize;
                }
                out.extend(&value.wrapping_add(u64::from(field.bias)).to_le_bytes()[..field.size]);
            }
        }
        out
    }

    proptest! {
        #[test]
        fn every_level_gathers_and_scatters((len, fields) in any_struct(), count in 1usize..9, seed in any::<u64>()) {
            // All structs of some tiles, and bits of no field.
            let count = if seed % 7 == 0 { count + 3 * TILE_BYTES / len } else { count };
            let mut state = seed;
            let structs: Vec<u8> = (0..count * len).map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            }).collect();
            for level in Level::available() {
                let gathered: Vec<Vec<u8>> = fields.iter().map(|field| {
                    let mut codes = vec![7; count * field.bytes()];
                    gather_codes(level, len, &structs, field, &mut codes);
                    codes
                }).collect();
                let mut used = vec![0u8; len];
                for (field, codes) in fields.iter().zip(&gathered) {
                    prop_assert_eq!(&oracle(&structs, len, field), codes, "{:?} {:?}", level, field);
                    for piece in &field.pieces {
                        for first in (0..piece.runs()).map(|run| piece.start(run).1) {
                            let Axis { count, stride } = piece.run();
                            for bit in (0..count).flat_map(|code| (0..piece.width).map(move |k| code * stride + k)) {
                                let at = first + bit as usize;
                                used[at / 8] |= 1 << (at % 8);
                            }
                        }
                    }
                }
                let wanted: Vec<u8> = structs.iter().zip(used.iter().cycle()).map(|(a, b)| a & b).collect();
                let codes: Vec<&[u8]> = gathered.iter().map(Vec::as_slice).collect();
                let mut back = vec![9; structs.len()];
                Scatter::new(len, fields.iter().collect()).structs(level, &codes, &mut back);
                prop_assert_eq!(back, wanted, "{:?}", level);
            }
        }
    }

    #[test]
    fn bits_above_a_field_are_dropped() {
        let piece = Piece { first: 0, width: 4, axes: vec![Axis { count: 2, stride: 4 }] };
        let field = CodeField { codes: 2, size: 1, bias: 0xf8, pieces: vec![piece] };
        let mut structs = [0xff];
        Scatter::new(1, vec![&field]).structs(Level::SCALAR, &[&[0xf9, 0x78]], &mut structs);
        assert_eq!(structs, [0x01]);
    }
}
