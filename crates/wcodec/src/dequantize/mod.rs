//! The numbers that quantised weights stand for, by ggml's definitions: what its `dequantize_row` functions make
//! of a block, bit for bit.

mod iq;
mod k;
mod small;

use crate::error::{Error, Result};
use crate::packing::Layout;
use crate::source::ggml_layout;
use rayon::prelude::*;
use wcodec_kernels::{Level, gather_codes};

/// Blocks taken apart at a time.
const BLOCKS_AT_ONCE: usize = 256;

/// Makes the values of a block of its fields, as the layout of its type has them.
type Rule = fn(&[&[u8]], &mut [f32]);

/// How a type is made floats.
enum Conversion {
    /// Elements of so many bytes, one by one.
    Elements(usize, fn(&[u8]) -> f32),
    /// Blocks.
    Blocks(Layout, Rule),
}

impl Conversion {
    fn of(dtype: &str) -> Option<Conversion> {
        match dtype {
            "F32" => return Some(Conversion::Elements(4, |b| f32::from_bits(word(b)))),
            "F16" => return Some(Conversion::Elements(2, half)),
            "BF16" => return Some(Conversion::Elements(2, |b| f32::from_bits(word(b) << 16))),
            _ => {}
        }
        let rule: Rule = match dtype {
            "Q4_0" => small::q4_0,
            "Q4_1" => small::q4_1,
            "Q5_0" => small::q5_0,
            "Q5_1" => small::q5_1,
            "Q8_0" => small::q8_0,
            "MXFP4" => small::mxfp4,
            "NVFP4" => small::nvfp4,
            "TQ1_0" => small::tq1_0,
            "TQ2_0" => small::tq2_0,
            "Q2_K" => k::q2_k,
            "Q3_K" => k::q3_k,
            "Q4_K" => k::q4_k,
            "Q5_K" => k::q5_k,
            "Q6_K" => k::q6_k,
            "IQ1_S" => iq::iq1_s,
            "IQ1_M" => iq::iq1_m,
            "IQ2_XXS" => iq::iq2_xxs,
            "IQ2_XS" => iq::iq2_xs,
            "IQ2_S" => iq::iq2_s,
            "IQ3_XXS" => iq::iq3_xxs,
            "IQ3_S" => iq::iq3_s,
            "IQ4_NL" => iq::iq4_nl,
            "IQ4_XS" => iq::iq4_xs,
            _ => return None,
        };
        Some(Conversion::Blocks(ggml_layout(dtype)?, rule))
    }

    /// Values of a block, and its bytes.
    fn block(&self) -> (usize, usize) {
        match self {
            Conversion::Elements(bytes, _) => (1, *bytes),
            Conversion::Blocks(layout, _) => (layout.values as usize, layout.bytes as usize),
        }
    }
}

/// Values of a block of a dtype that [`dequantize`] knows, and the bytes that it takes: `(256, 144)` for `"Q4_K"`, `(1, 2)`
/// for `"F16"`. `None` for dtypes that it does not know.
#[must_use]
pub fn block_size(dtype: &str) -> Option<(usize, usize)> {
    Conversion::of(dtype).map(|conversion| conversion.block())
}

/// Writes the numbers that the blocks of a layer stand for, in their order.
///
/// `dtype` is that of the layer: F32, F16, BF16, or a block type of GGUF: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K, the IQ types,
/// TQ1_0, TQ2_0, MXFP4 and NVFP4. `blocks` is what [`Reader::decode_layer`](crate::Reader::decode_layer) or
/// [`Reader::decode_slice`](crate::Reader::decode_slice) give, whole blocks; `values` has one place for each of their values.
/// The results are those of ggml, bit for bit; of NaNs only that they are NaN.
///
/// # Errors
/// If the dtype is not one of these, `blocks` are not whole ones, or `values` has another length than theirs.
///
/// # Examples
/// ```
/// // A block of MXFP4: its exponent, of 2 to the power of 1, and codes of 0.5 and -6.
/// let mut block = [0x1f; 17];
/// block[0] = 128;
/// block[1..].fill(0xf1);
/// let (values, bytes) = wcodec::block_size("MXFP4").unwrap();
/// assert_eq!((values, bytes), (32, 17));
/// let mut out = [0.0; 32];
/// wcodec::dequantize("MXFP4", &block, &mut out)?;
/// assert_eq!((out[0], out[16]), (1.0, -12.0));
/// # Ok::<(), wcodec::Error>(())
/// ```
pub fn dequantize(dtype: &str, blocks: &[u8], values: &mut [f32]) -> Result<()> {
    let conversion = Conversion::of(dtype)
        .ok_or_else(|| Error::argument(format!("no rule makes floats of dtype {dtype}")))?;
    let (count, bytes) = conversion.block();
    if !blocks.len().is_multiple_of(bytes)
        || blocks.len() / bytes != values.len() / count
        || !values.len().is_multiple_of(count)
    {
        let (have, places) = (blocks.len(), values.len());
        let text = format!(
            "{have} bytes of {dtype} for {places} values, expected {bytes} bytes for {count} values"
        );
        return Err(Error::argument(text));
    }
    let level = Level::detect();
    let parts = values.par_chunks_mut(BLOCKS_AT_ONCE * count);
    parts.zip(blocks.par_chunks(BLOCKS_AT_ONCE * bytes)).for_each(|(values, blocks)| {
        match &conversion {
            Conversion::Elements(size, rule) => {
                values.iter_mut().zip(blocks.chunks_exact(*size)).for_each(|(v, b)| *v = rule(b));
            }
            Conversion::Blocks(layout, rule) => convert(level, layout, *rule, blocks, values),
        }
    });
    Ok(())
}

/// Takes blocks apart and makes the values of each.
fn convert(level: Level, layout: &Layout, rule: Rule, blocks: &[u8], values: &mut [f32]) {
    let len = layout.bytes as usize;
    let fields: Vec<(Vec<u8>, usize)> = layout
        .fields
        .iter()
        .map(|field| {
            let mut codes = vec![0; blocks.len() / len * field.bits.bytes()];
            gather_codes(level, len, blocks, &field.bits, &mut codes);
            (codes, field.bits.bytes())
        })
        .collect();
    let mut of_block = Vec::with_capacity(fields.len());
    for (number, values) in values.chunks_exact_mut(layout.values as usize).enumerate() {
        of_block.clear();
        of_block.extend(fields.iter().map(|(codes, bytes)| &codes[number * bytes..][..*bytes]));
        rule(&of_block, values);
    }
}

/// A little-endian number of up to four bytes.
fn word(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte))
}

/// An IEEE 754 binary16.
fn half(bytes: &[u8]) -> f32 {
    let bits = word(bytes);
    let (sign, exponent, mantissa) = ((bits & 0x8000) << 16, bits >> 10 & 0x1f, bits & 0x3ff);
    let magnitude = match exponent {
        // Subnormal: mantissa times 2^-24, exact.
        0 => (mantissa as f32 * (1.0 / 16_777_216.0)).to_bits(),
        0x1f => 0x7f80_0000 | mantissa << 13,
        _ => (exponent + 112) << 23 | mantissa << 13,
    };
    f32::from_bits(sign | magnitude)
}

/// A code that is an integer with a sign.
fn signed(code: u8) -> f32 {
    f32::from(code as i8)
}

/// A code that was centred, counted from its lowest value again.
fn raised(code: u8, by: u8) -> f32 {
    f32::from(code.wrapping_add(by))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_exact() {
        let cases = [
            (0x0000, 0.0f32),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x7c00, f32::INFINITY),
        ];
        for (bits, value) in cases {
            assert_eq!(half(&u16::to_le_bytes(bits)).to_bits(), value.to_bits(), "{bits:04x}");
        }
        assert!(half(&[0x00, 0x80]).is_sign_negative() && half(&[0x01, 0x7e]).is_nan());
    }

    /// The values of a block of these bytes.
    fn values(dtype: &str, block: &[u8]) -> Vec<f32> {
        let (count, bytes) = block_size(dtype).unwrap();
        assert_eq!(bytes, block.len(), "{dtype}");
        let mut values = vec![7.0; count];
        dequantize(dtype, block, &mut values).unwrap();
        values
    }

    /// A block whose first bytes are given, the rest zeros.
    fn block(dtype: &str, parts: &[(usize, &[u8])]) -> Vec<u8> {
        let mut block = vec![0; block_size(dtype).unwrap().1];
        for (at, bytes) in parts {
            block[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        block
    }

    const ONE: &[u8] = &[0x00, 0x3c];
    const HALF: &[u8] = &[0x00, 0x38];

    #[test]
    fn small_blocks() {
        let q4_0 = values("Q4_0", &block("Q4_0", &[(0, HALF), (2, &[0x0f])]));
        assert_eq!((q4_0[0], q4_0[16], q4_0[1]), (3.5, -4.0, -4.0));
        let q4_1 = values("Q4_1", &block("Q4_1", &[(0, HALF), (2, ONE), (4, &[0xf1])]));
        assert_eq!((q4_1[0], q4_1[16], q4_1[1]), (1.5, 8.5, 1.0));
        let q5_0 = values("Q5_0", &block("Q5_0", &[(0, ONE), (2, &[1, 0, 1, 0]), (6, &[0x21])]));
        assert_eq!((q5_0[0], q5_0[16], q5_0[1]), (1.0, 2.0, -16.0));
        let q5_1 = values("Q5_1", &block("Q5_1", &[(0, ONE), (2, ONE), (4, &[2]), (8, &[5, 3])]));
        assert_eq!((q5_1[0], q5_1[1], q5_1[16]), (6.0, 20.0, 1.0));
        let q8_0 = values("Q8_0", &block("Q8_0", &[(0, HALF), (2, &[0xfe, 3])]));
        assert_eq!((q8_0[0], q8_0[1], q8_0[2]), (-1.0, 1.5, 0.0));
    }

    #[test]
    fn blocks_of_floats() {
        // The exponent 127 of E8M0 is 1; codes are halves, so 0x7 is 6.
        let mxfp4 = values("MXFP4", &block("MXFP4", &[(0, &[127, 0xf7])]));
        assert_eq!((mxfp4[0], mxfp4[16]), (6.0, -6.0));
        // 0x38 of E4M3 is 1; of the second scale nothing is left.
        let nvfp4 =
            values("NVFP4", &block("NVFP4", &[(0, &[0x38, 0x7f]), (4, &[0x27]), (12, &[1])]));
        assert_eq!((nvfp4[0], nvfp4[8], nvfp4[16]), (6.0, 1.0, 0.0));
    }

    #[test]
    fn ternary_blocks() {
        // 2 x 81 of 243 in the first place is 1 in base 3 fractions: the digits 2, 0, 0, ...
        let tq1_0 = values("TQ1_0", &block("TQ1_0", &[(0, &[171]), (52, ONE)]));
        assert_eq!((tq1_0[0], tq1_0[32]), (1.0, -1.0));
        let tq2_0 = values("TQ2_0", &block("TQ2_0", &[(0, &[0b10_01_00_10]), (64, HALF)]));
        assert_eq!((tq2_0[0], tq2_0[32], tq2_0[64], tq2_0[96]), (0.5, -0.5, 0.0, 0.5));
    }

    #[test]
    fn blocks_with_scales_of_their_parts() {
        let q2_k =
            values("Q2_K", &block("Q2_K", &[(0, &[0x12]), (16, &[3]), (80, ONE), (82, HALF)]));
        assert_eq!((q2_k[0], q2_k[1], q2_k[16]), (5.5, -0.5, 0.0));
        // A scale of 33 - 32, a high bit, and a code of 3 of 0 to 7 around 4.
        let q3_k = block("Q3_K", &[(0, &[1]), (32, &[3]), (96, &[1]), (104, &[2]), (108, ONE)]);
        let q3_k = values("Q3_K", &q3_k);
        assert_eq!((q3_k[0], q3_k[1]), (3.0, -4.0));
        let q4_k = values(
            "Q4_K",
            &block("Q4_K", &[(0, ONE), (2, HALF), (4, &[3]), (8, &[2]), (16, &[0xf5])]),
        );
        assert_eq!((q4_k[0], q4_k[1], q4_k[32]), (14.0, -1.0, 0.0));
        let q5_k = values("Q5_K", &block("Q5_K", &[(0, ONE), (4, &[1]), (16, &[1]), (48, &[5])]));
        assert_eq!((q5_k[0], q5_k[1]), (21.0, 0.0));
        let q6_k = values(
            "Q6_K",
            &block("Q6_K", &[(0, &[0x21]), (128, &[2]), (192, &[0xff]), (208, ONE)]),
        );
        // 1 and two high bits of 2 are 33; less 32, times -1.
        assert_eq!((q6_k[0], q6_k[1]), (-1.0, 32.0));
    }

    #[test]
    fn blocks_of_codebooks() {
        let iq4_nl = values("IQ4_NL", &block("IQ4_NL", &[(0, ONE), (2, &[0xf8])]));
        assert_eq!((iq4_nl[0], iq4_nl[16], iq4_nl[1]), (1.0, 113.0, -127.0));
        // A scale of 33 - 32: the low bits of the first, the high ones of all.
        let iq4_xs =
            values("IQ4_XS", &block("IQ4_XS", &[(0, ONE), (2, &[2]), (4, &[1]), (8, &[0x08])]));
        assert_eq!((iq4_xs[0], iq4_xs[16], iq4_xs[32]), (1.0, -127.0, 32.0 * 127.0));
        // The first entry of a grid is its smallest value everywhere; signs, with parity, are negative.
        let iq2 = values("IQ2_XXS", &block("IQ2_XXS", &[(0, ONE), (6, &[1])]));
        assert_eq!((iq2[0], iq2[1], iq2[7]), (-1.0, 1.0, -1.0));
        let iq1 = values("IQ1_S", &block("IQ1_S", &[(0, ONE)]));
        assert_eq!((iq1[0], iq1[255]), (-0.875, -0.875));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |dtype: &str, bytes: usize, values: usize| {
            dequantize(dtype, &vec![0; bytes], &mut vec![0.0; values]).unwrap_err().to_string()
        };
        assert_eq!(refused("Q8_K", 292, 256), "no rule makes floats of dtype Q8_K");
        assert_eq!(refused("I64", 8, 1), "no rule makes floats of dtype I64");
        let text = "19 bytes of Q4_0 for 32 values, expected 18 bytes for 32 values";
        assert_eq!(refused("Q4_0", 19, 32), text);
        assert!(refused("Q4_0", 18, 31).starts_with("18 bytes of Q4_0 for 31"));
        assert!(refused("Q4_0", 18, 64).starts_with("18 bytes of Q4_0 for 64"));
        assert_eq!(block_size("Q8_K"), None);
    }
}
