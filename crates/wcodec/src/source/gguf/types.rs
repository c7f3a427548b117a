//! ggml's types and their blocks, by the structs of ggml's `ggml-common.h`. Codes are listed in the
//! order of the values that they stand for.

use crate::context::{Context, Measure, Term};
use crate::dtype::ElementType;
use crate::packing::{Field, Layout};
use wcodec_kernels::{Axis, CodeField, Piece, Pivot, Pivots};

/// Above the numbers of all types.
const MAX_TYPE: u32 = 64;

/// What a tensor of a type consists of.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// Elements that the codec knows.
    Elements(ElementType),
    /// Blocks.
    Blocks(Layout),
}

/// The name of a type, and what its tensors consist of; `None` for numbers that ggml does not use.
pub(super) fn content(number: u32) -> Option<(&'static str, Content)> {
    use ElementType::{Bf16, F16, F32, F64, I8, I16, I32, I64};
    let element = |element: ElementType| Some((element.name(), Content::Elements(element)));
    match number {
        0 => return element(F32),
        1 => return element(F16),
        24 => return element(I8),
        25 => return element(I16),
        26 => return element(I32),
        27 => return element(I64),
        28 => return element(F64),
        30 => return element(Bf16),
        _ => {}
    }
    let (name, values, fields) = blocks(number)?;
    let bits: u32 = fields.iter().map(|field| field.bits.codes as u32 * field.bits.width()).sum();
    let layout = Layout { bytes: bits / 8, values, fields, context: context(number) };
    Some((name, Content::Blocks(layout)))
}

/// The number of a type of ggml by its name, such as `Q4_K`; `None` if there is no such type.
#[must_use]
pub fn ggml_type(name: &str) -> Option<u32> {
    (0..MAX_TYPE).find(|&number| content(number).is_some_and(|(of, _)| of == name))
}

/// The blocks of a type, by its name.
pub(crate) fn layout(name: &str) -> Option<Layout> {
    match content(ggml_type(name)?)?.1 {
        Content::Blocks(layout) => Some(layout),
        Content::Elements(_) => None,
    }
}

/// A piece of `width` bits from bit `first` on, at so many places and strides.
fn piece(first: u32, width: u32, axes: &[(u32, u32)]) -> Piece {
    let axes = axes.iter().map(|&(count, stride)| Axis { count, stride }).collect();
    Piece { first, width, axes }
}

fn field(element: ElementType, bias: u8, pieces: Vec<Piece>) -> Field {
    let codes =
        pieces.first().map_or(0, |piece| piece.axes.iter().map(|axis| axis.count).product::<u32>());
    let bits = CodeField { codes: codes as usize, size: element.size(), bias, pieces };
    Field { element, bits, pivots: None }
}

/// Elements side by side, from a byte on.
fn whole(element: ElementType, byte: u32, count: u32) -> Field {
    let bits = element.size() as u32 * 8;
    field(element, 0, vec![piece(byte * 8, bits, &[(count, bits)])])
}

/// Codes of some bits as integers around 0: the middle of their range becomes 0.
fn centred(pieces: Vec<Piece>) -> Field {
    let width: u32 = pieces.iter().map(|piece| piece.width).sum();
    field(ElementType::I8, (1u8 << (width - 1)).wrapping_neg(), pieces)
}

/// Codes of which nearly every group has one of each list: the scale was chosen so.
fn pivoted(field: Field, group: usize, codes: &[&[i8]]) -> Field {
    let of = |codes: &&[i8]| Pivot { codes: codes.iter().map(|&code| code as u8).collect() };
    let pivots = codes.iter().map(of).collect();
    Field { pivots: Some(Pivots { group, bias: field.bits.bias, pivots }), ..field }
}

/// Codes of some bits that stand for nothing between which there is a middle.
fn plain(pieces: Vec<Piece>) -> Field {
    field(ElementType::U8, 0, pieces)
}

/// 32 nibbles: the low ones of 16 bytes, then the high ones.
fn nibbles(byte: u32) -> Piece {
    piece(byte * 8, 4, &[(16, 8), (2, 4)])
}

/// The scales and mins of Q4_K and Q5_K, of 6 bits: the first four of each lie in bytes 0 to 3 and 4 to
/// 7, the low nibbles of the others in bytes 8 to 11, their two high bits above the first four.
fn k_scales(byte: u32) -> [Field; 2] {
    let bit = byte * 8;
    let scales = vec![piece(bit, 4, &[(4, 8), (2, 64)]), piece(bit + 4, 2, &[(4, 8), (2, 2)])];
    let mins = vec![piece(bit + 32, 4, &[(4, 8), (2, 36)]), piece(bit + 36, 2, &[(4, 8), (2, 2)])];
    [plain(scales), plain(mins)]
}

/// Values a block, and fields.
fn blocks(number: u32) -> Option<(&'static str, u32, Vec<Field>)> {
    use ElementType::{F8E4M3, F16, F32, I8, I16, U8};
    let f16 = |byte| whole(F16, byte, 1);
    let bytes = |byte, count| whole(U8, byte, count);
    // Four quarters of 32 values in the bits of 32 bytes, twice.
    let quarters = |byte: u32| piece(byte * 8, 2, &[(32, 8), (4, 2), (2, 256)]);
    // Eight runs of 32 values, a bit each in the bits of 32 bytes.
    let eighths = |byte: u32| piece(byte * 8, 1, &[(32, 8), (8, 1)]);
    // Low and high nibbles of 32 bytes in turn, four times.
    let halves = |byte: u32| piece(byte * 8, 4, &[(32, 8), (2, 4), (4, 256)]);
    Some(match number {
        2 => {
            let codes = pivoted(centred(vec![nibbles(2)]), 32, &[&[-8]]);
            ("Q4_0", 32, vec![f16(0), codes])
        }
        3 => {
            let codes = pivoted(centred(vec![nibbles(4)]), 32, &[&[-8], &[7]]);
            ("Q4_1", 32, vec![f16(0), f16(2), codes])
        }
        6 => {
            let high = piece(16, 1, &[(32, 1)]);
            let codes = pivoted(centred(vec![nibbles(6), high]), 32, &[&[-16]]);
            ("Q5_0", 32, vec![f16(0), codes])
        }
        7 => {
            let high = piece(32, 1, &[(32, 1)]);
            let codes = pivoted(centred(vec![nibbles(8), high]), 32, &[&[-16], &[15]]);
            ("Q5_1", 32, vec![f16(0), f16(2), codes])
        }
        8 => {
            let codes = pivoted(whole(I8, 2, 32), 32, &[&[127, -127]]);
            ("Q8_0", 32, vec![f16(0), codes])
        }
        9 => ("Q8_1", 32, vec![f16(0), f16(2), whole(I8, 4, 32)]),
        10 => {
            let scales = plain(vec![piece(0, 4, &[(16, 8)])]);
            let mins = plain(vec![piece(4, 4, &[(16, 8)])]);
            let codes = centred(vec![quarters(16)]);
            ("Q2_K", 256, vec![scales, mins, codes, f16(80), f16(82)])
        }
        11 => {
            let scales =
                vec![piece(96 * 8, 4, &[(8, 8), (2, 4)]), piece(104 * 8, 2, &[(4, 8), (4, 2)])];
            let codes = centred(vec![quarters(32), eighths(0)]);
            let codes = pivoted(codes, 16, &[&[-4, 3]]);
            ("Q3_K", 256, vec![codes, centred(scales), f16(108)])
        }
        12 => {
            let [scales, mins] = k_scales(4);
            let codes = pivoted(centred(vec![halves(16)]), 32, &[&[-8], &[7]]);
            ("Q4_K", 256, vec![f16(0), f16(2), scales, mins, codes])
        }
        13 => {
            let [scales, mins] = k_scales(4);
            let codes = centred(vec![halves(48), eighths(16)]);
            let codes = pivoted(codes, 32, &[&[-16], &[15]]);
            ("Q5_K", 256, vec![f16(0), f16(2), scales, mins, codes])
        }
        14 => {
            let codes = centred(vec![piece(0, 4, &[(64, 8), (2, 4), (2, 512)]), quarters(128)]);
            let codes = pivoted(codes, 16, &[&[-32, -31, 31, -30]]);
            let scales = pivoted(whole(I8, 192, 16), 16, &[&[-128, 127]]);
            ("Q6_K", 256, vec![codes, scales, f16(208)])
        }
        15 => ("Q8_K", 256, vec![whole(F32, 0, 1), whole(I8, 4, 256), whole(I16, 260, 16)]),
        16 => ("IQ2_XXS", 256, vec![f16(0), bytes(2, 64)]),
        17 => ("IQ2_XS", 256, vec![f16(0), bytes(2, 64), bytes(66, 8)]),
        18 => ("IQ3_XXS", 256, vec![f16(0), bytes(2, 64), bytes(66, 32)]),
        19 => ("IQ1_S", 256, vec![f16(0), bytes(2, 32), bytes(34, 16)]),
        20 => ("IQ4_NL", 32, vec![f16(0), centred(vec![nibbles(2)])]),
        21 => {
            let rest = [bytes(2, 64), bytes(66, 8), bytes(74, 32), bytes(106, 4)];
            ("IQ3_S", 256, std::iter::once(f16(0)).chain(rest).collect())
        }
        22 => ("IQ2_S", 256, vec![f16(0), bytes(2, 32), bytes(34, 32), bytes(66, 8), bytes(74, 8)]),
        23 => {
            let scales = plain(vec![piece(32, 4, &[(8, 4)]), piece(16, 2, &[(8, 2)])]);
            let codes = piece(64, 4, &[(16, 8), (2, 4), (8, 128)]);
            ("IQ4_XS", 256, vec![f16(0), scales, centred(vec![codes])])
        }
        29 => ("IQ1_M", 256, vec![bytes(0, 32), bytes(32, 16), bytes(48, 8)]),
        34 => ("TQ1_0", 256, vec![bytes(0, 48), bytes(48, 4), f16(52)]),
        35 => ("TQ2_0", 256, vec![centred(vec![quarters(0)]), f16(64)]),
        39 => ("MXFP4", 32, vec![bytes(0, 1), plain(vec![nibbles(1)])]),
        40 => {
            let codes = piece(32, 4, &[(8, 8), (2, 4), (4, 64)]);
            ("NVFP4", 64, vec![whole(F8E4M3, 0, 4), plain(vec![codes])])
        }
        41 => ("Q1_0", 128, vec![f16(0), plain(vec![piece(16, 1, &[(128, 1)])])]),
        _ => return None,
    })
}

/// What the scales of a type, and its minima where it has them, tell of its codes.
fn context(number: u32) -> Option<Context> {
    let log = |weight: i8| move |&field: &usize| Term { field, measure: Measure::Log, weight };
    // The larger the scale, the smaller the codes.
    let scaled = |field, codes, scales: &[usize]| {
        Some(Context { field, codes, terms: scales.iter().map(log(-1)).collect() })
    };
    // The minimum by the scale: where 0 lies. Told in eighths of an octave.
    let shifted = |field, codes, minima: &[usize], scales: &[usize]| {
        let terms = minima.iter().map(log(2)).chain(scales.iter().map(log(-2)));
        Some(Context { field, codes, terms: terms.collect() })
    };
    match number {
        2 | 6 | 8 | 20 => scaled(1, 32, &[0]),
        3 | 7 => shifted(2, 32, &[1], &[0]),
        9 => scaled(2, 32, &[0]),
        10 => shifted(2, 16, &[4, 1], &[3, 0]),
        11 => scaled(0, 16, &[2, 1]),
        12 | 13 => shifted(4, 32, &[1, 3], &[0, 2]),
        14 => scaled(0, 16, &[2, 1]),
        15 => scaled(1, 256, &[0]),
        39 => {
            let terms = vec![Term { field: 0, measure: Measure::Exponent, weight: -1 }];
            Some(Context { field: 1, codes: 32, terms })
        }
        40 => scaled(1, 16, &[0]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes of ggml's blocks.
    const SIZES: [(u32, u32, u32); 26] = [
        (2, 32, 18),
        (3, 32, 20),
        (6, 32, 22),
        (7, 32, 24),
        (8, 32, 34),
        (9, 32, 36),
        (10, 256, 84),
        (11, 256, 110),
        (12, 256, 144),
        (13, 256, 176),
        (14, 256, 210),
        (15, 256, 292),
        (16, 256, 66),
        (17, 256, 74),
        (18, 256, 98),
        (19, 256, 50),
        (20, 32, 18),
        (21, 256, 110),
        (22, 256, 82),
        (23, 256, 136),
        (29, 256, 56),
        (34, 256, 54),
        (35, 256, 66),
        (39, 32, 17),
        (40, 64, 36),
        (41, 128, 18),
    ];

    #[test]
    fn fields_take_every_bit_of_a_block() {
        let mut known = 0;
        for number in 0..100 {
            let Some((name, Content::Blocks(layout))) = content(number) else { continue };
            let size = SIZES.iter().find(|size| size.0 == number);
            assert_eq!(size, Some(&(number, layout.values, layout.bytes)), "{name}");
            layout.checked().unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(ggml_type(name), Some(number));
            known += 1;
        }
        assert_eq!(known, SIZES.len());
    }
}
