//! Blocks whose codes are numbers of vectors in a codebook: the IQ types.

use super::{half, raised, word};

/// The codebooks of ggml, an entry of two bytes a vector: eight values of two bits, or four of three bits, the first one
/// lowest. Made by `scripts/make_grids.py`.
static GRIDS: &[u8] = include_bytes!("grids.bin");

/// A codebook: its first entry, and what the bits of a value stand for.
struct Grid<const N: usize> {
    first: usize,
    values: [f32; N],
}

const IQ2: [f32; 4] = [8.0, 25.0, 43.0, 0.0];
const IQ2_XXS: Grid<4> = Grid { first: 0, values: IQ2 };
const IQ2_XS: Grid<4> = Grid { first: 256, values: IQ2 };
const IQ2_S: Grid<4> = Grid { first: 768, values: IQ2 };
const IQ3_XXS: Grid<8> =
    Grid { first: 1792, values: [4.0, 12.0, 20.0, 28.0, 36.0, 44.0, 52.0, 62.0] };
const IQ3_S: Grid<8> = Grid { first: 2048, values: [1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0] };
const IQ1: Grid<4> = Grid { first: 2560, values: [-1.0, 0.0, 1.0, 0.0] };

/// What codes of IQ4 stand for.
const IQ4: [f32; 16] = [
    -127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0,
    89.0, 113.0,
];

impl<const N: usize> Grid<N> {
    /// The values of a vector.
    fn vector(&self, number: usize) -> impl Iterator<Item = f32> + '_ {
        let entry = word(&GRIDS[(self.first + number) * 2..][..2]) as usize;
        let bits = N.ilog2();
        (0..16 / bits).map(move |k| self.values[entry >> (k * bits) & (N - 1)])
    }

    /// Writes a vector, scaled, with a sign for each bit that is set.
    fn write(&self, number: usize, d: f32, signs: u8, out: &mut [f32]) {
        for (k, (out, value)) in out.iter_mut().zip(self.vector(number)).enumerate() {
            let value = d * value;
            *out = if signs >> k & 1 == 1 { -value } else { value };
        }
    }
}

/// Eight signs told by seven bits: an even number of them is negative.
fn even_signs(bits: u32) -> u8 {
    let bits = (bits & 0x7f) as u8;
    bits | ((bits.count_ones() & 1) as u8) << 7
}

/// Nibble `k` of bytes.
fn nibble(bytes: &[u8], k: usize) -> u8 {
    bytes[k / 2] >> (k % 2 * 4) & 15
}

/// 16 bits.
fn short(bytes: &[u8], k: usize) -> usize {
    word(&bytes[2 * k..2 * k + 2]) as usize
}

pub(super) fn iq2_xxs(fields: &[&[u8]], out: &mut [f32]) {
    let d = half(fields[0]);
    for (out, eight) in out.chunks_exact_mut(32).zip(fields[1].chunks_exact(8)) {
        let (numbers, rest) = eight.split_at(4);
        let rest = word(rest);
        let d = d * (0.5 + (rest >> 28) as f32) * 0.25;
        for (k, (out, &number)) in out.chunks_exact_mut(8).zip(numbers).enumerate() {
            IQ2_XXS.write(number.into(), d, even_signs(rest >> (7 * k)), out);
        }
    }
}

pub(super) fn iq2_xs(fields: &[&[u8]], out: &mut [f32]) {
    let d = half(fields[0]);
    for (k, out) in out.chunks_exact_mut(8).enumerate() {
        let code = short(fields[1], k);
        let d = d * (0.5 + f32::from(nibble(fields[2], k / 2))) * 0.25;
        IQ2_XS.write(code & 511, d, even_signs((code >> 9) as u32), out);
    }
}

pub(super) fn iq2_s(fields: &[&[u8]], out: &mut [f32]) {
    let d = half(fields[0]);
    for (k, out) in out.chunks_exact_mut(8).enumerate() {
        let high = usize::from(fields[3][k / 4] >> (k % 4 * 2) & 3);
        let d = d * (0.5 + f32::from(nibble(fields[4], k / 2))) * 0.25;
        IQ2_S.write(usize::from(fields[1][k]) | high << 8, d, fields[2][k], out);
    }
}

pub(super) fn iq3_xxs(fields: &[&[u8]], out: &mut [f32]) {
    let d = half(fields[0]);
    let parts = out.chunks_exact_mut(32).zip(fields[1].chunks_exact(8));
    for ((out, numbers), rest) in parts.zip(fields[2].chunks_exact(4)) {
        let rest = word(rest);
        let d = d * (0.5 + (rest >> 28) as f32) * 0.5;
        for (k, (out, &number)) in out.chunks_exact_mut(4).zip(numbers).enumerate() {
            let signs = even_signs(rest >> (7 * (k / 2))) >> (k % 2 * 4);
            IQ3_XXS.write(number.into(), d, signs, out);
        }
    }
}

pub(super) fn iq3_s(fields: &[&[u8]], out: &mut [f32]) {
    let d = half(fields[0]);
    for (k, out) in out.chunks_exact_mut(4).enumerate() {
        let high = usize::from(fields[2][k / 8] >> (k % 8) & 1);
        let d = d * f32::from(1 + 2 * nibble(fields[4], k / 8));
        let signs = fields[3][k / 2] >> (k % 2 * 4);
        IQ3_S.write(usize::from(fields[1][k]) | high << 8, d, signs, out);
    }
}

/// Writes a vector of -1, 0 and 1, all of them moved by an eighth, scaled.
fn write_iq1(number: usize, d: f32, down: bool, out: &mut [f32]) {
    let delta = if down { -0.125 } else { 0.125 };
    out.iter_mut().zip(IQ1.vector(number)).for_each(|(out, value)| *out = d * (value + delta));
}

pub(super) fn iq1_s(fields: &[&[u8]], out: &mut [f32]) {
    let d = half(fields[0]);
    for (k, out) in out.chunks_exact_mut(8).enumerate() {
        let high = short(fields[2], k / 4);
        let d = d * (2 * (high >> 12 & 7) + 1) as f32;
        let number = usize::from(fields[1][k]) | (high >> (3 * (k % 4)) & 7) << 8;
        write_iq1(number, d, high >> 15 == 1, out);
    }
}

/// The scale lies in the highest bits of the scales.
pub(super) fn iq1_m(fields: &[&[u8]], out: &mut [f32]) {
    let scales: [usize; 4] = std::array::from_fn(|k| short(fields[2], k));
    let d = scales.iter().rev().fold(0, |d, scale| d << 4 | scale >> 12) as u16;
    let d = half(&d.to_le_bytes());
    for (k, out) in out.chunks_exact_mut(8).enumerate() {
        let high = usize::from(nibble(fields[1], k));
        let d = d * (2 * (scales[k / 8] >> (3 * (k / 2 % 4)) & 7) + 1) as f32;
        write_iq1(usize::from(fields[0][k]) | (high & 7) << 8, d, high >> 3 == 1, out);
    }
}

/// What a code of four bits around 0 stands for.
fn iq4(code: u8) -> f32 {
    IQ4[usize::from(code.wrapping_add(8) & 15)]
}

pub(super) fn iq4_nl(fields: &[&[u8]], out: &mut [f32]) {
    let d = half(fields[0]);
    out.iter_mut().zip(fields[1]).for_each(|(out, &code)| *out = d * iq4(code));
}

pub(super) fn iq4_xs(fields: &[&[u8]], out: &mut [f32]) {
    let d = half(fields[0]);
    let parts = out.chunks_exact_mut(32).zip(fields[2].chunks_exact(32));
    for ((out, codes), &scale) in parts.zip(fields[1]) {
        let d = d * (raised(scale, 0) - 32.0);
        out.iter_mut().zip(codes).for_each(|(out, &code)| *out = d * iq4(code));
    }
}
