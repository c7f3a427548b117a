//! Blocks of 32 or 64 values with one scale for all or for each 16 of them, and ternary ones.

use super::{half, raised, signed};

/// Twice the values of E2M1, whose lowest three bits are the magnitude.
const E2M1: [f32; 8] = [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0];

/// What a code of E2M1 stands for, twice. There is no -0.
fn e2m1(code: u8) -> f32 {
    let magnitude = E2M1[usize::from(code & 7)];
    if code > 8 { -magnitude } else { magnitude }
}

/// Codes around 0 times a scale.
fn scaled(fields: &[&[u8]], out: &mut [f32]) {
    let d = half(fields[0]);
    out.iter_mut().zip(fields[1]).for_each(|(out, &code)| *out = d * signed(code));
}

/// Codes from 0 on times a scale, and the value of code 0.
fn shifted(fields: &[&[u8]], middle: u8, out: &mut [f32]) {
    let (d, m) = (half(fields[0]), half(fields[1]));
    out.iter_mut().zip(fields[2]).for_each(|(out, &code)| *out = d * raised(code, middle) + m);
}

pub(super) fn q4_0(fields: &[&[u8]], out: &mut [f32]) {
    scaled(fields, out);
}

pub(super) fn q5_0(fields: &[&[u8]], out: &mut [f32]) {
    scaled(fields, out);
}

pub(super) fn q8_0(fields: &[&[u8]], out: &mut [f32]) {
    scaled(fields, out);
}

pub(super) fn q4_1(fields: &[&[u8]], out: &mut [f32]) {
    shifted(fields, 8, out);
}

pub(super) fn q5_1(fields: &[&[u8]], out: &mut [f32]) {
    shifted(fields, 16, out);
}

/// Half of a power of two whose exponent is told with a bias of 127.
fn half_e8m0(exponent: u8) -> f32 {
    f32::from_bits(match exponent {
        0 => 0x0020_0000,
        1 => 0x0040_0000,
        _ => (u32::from(exponent) - 1) << 23,
    })
}

pub(super) fn mxfp4(fields: &[&[u8]], out: &mut [f32]) {
    let d = half_e8m0(fields[0][0]);
    out.iter_mut().zip(fields[1]).for_each(|(out, &code)| *out = d * e2m1(code));
}

/// Half of a float of 4 exponent and 3 mantissa bits; its sign is ignored, and its NaN is 0.
fn half_ue4m3(code: u8) -> f32 {
    if code == 0x7f {
        return 0.0;
    }
    let (exponent, mantissa) = (u32::from(code >> 3 & 15), f32::from(code & 7));
    match exponent {
        0 => mantissa / 1024.0,
        _ => (1.0 + mantissa / 8.0) * f32::from_bits((exponent + 119) << 23),
    }
}

pub(super) fn nvfp4(fields: &[&[u8]], out: &mut [f32]) {
    let sixteens = out.chunks_exact_mut(16).zip(fields[1].chunks_exact(16));
    for ((out, codes), &scale) in sixteens.zip(fields[0]) {
        let d = half_ue4m3(scale);
        out.iter_mut().zip(codes).for_each(|(out, &code)| *out = d * e2m1(code));
    }
}

/// A byte is a fraction of 256 whose digits in base 3 are the codes: five of each of 32 bytes and then of 16, four of
/// the last four.
pub(super) fn tq1_0(fields: &[&[u8]], out: &mut [f32]) {
    let d = half(fields[2]);
    let (first, second) = fields[0].split_at(32);
    let mut out = out.iter_mut();
    for (bytes, digits) in [(first, 5), (second, 5), (fields[1], 4)] {
        for digit in 0..digits {
            for (&byte, out) in bytes.iter().zip(out.by_ref()) {
                let rest = byte.wrapping_mul(3u8.pow(digit));
                *out = d * (f32::from(((u16::from(rest) * 3) >> 8) as u8) - 1.0);
            }
        }
    }
}

pub(super) fn tq2_0(fields: &[&[u8]], out: &mut [f32]) {
    let d = half(fields[1]);
    out.iter_mut().zip(fields[0]).for_each(|(out, &code)| *out = d * (signed(code) + 1.0));
}
