//! What several tests need: numbers, originals, and files put together by hand.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(unreachable_pub, reason = "a module of test binaries")]
#![allow(clippy::unwrap_used, reason = "tests")]

pub mod archived;
pub mod based;
pub mod contexts;
pub mod folders;
pub mod forge;
pub mod gguf;
pub mod packed;
pub mod scaled;
pub mod sources;

use std::path::PathBuf;
use wcodec::ElementType;

/// A small deterministic generator (xorshift64*; S. Vigna, arXiv:1402.6246).
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n.max(1)
    }

    /// Bell-shaped, mean 0, in -4 x 2^13 to 4 x 2^13, by whole numbers alone.
    pub fn bell(&mut self) -> i64 {
        (0..4).map(|_| self.below(1 << 14) as i64 - (1 << 13)).sum()
    }

    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }
}

/// A tensor of a safetensors file.
#[derive(Clone)]
pub struct Tensor {
    pub name: String,
    pub dtype: &'static str,
    pub shape: Vec<u64>,
    pub data: Vec<u8>,
}

pub fn tensor(name: &str, dtype: &'static str, shape: &[u64], data: Vec<u8>) -> Tensor {
    Tensor { name: name.to_owned(), dtype, shape: shape.to_vec(), data }
}

/// Bytes of a safetensors file.
pub fn safetensors(tensors: &[Tensor]) -> Vec<u8> {
    let (mut header, mut data) =
        (String::from("{\"__metadata__\":{\"format\":\"pt\"}"), Vec::new());
    for t in tensors {
        let start = data.len();
        data.extend_from_slice(&t.data);
        header += &format!(
            ",\"{}\":{{\"dtype\":\"{}\",\"shape\":{:?},\"data_offsets\":[{start},{}]}}",
            t.name,
            t.dtype,
            t.shape,
            data.len()
        );
    }
    header.push('}');
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(&data);
    file
}

/// Bell-shaped bytes around 0.
pub fn int8(rng: &mut Rng, n: usize) -> Vec<u8> {
    (0..n).map(|_| (rng.bell() >> 9) as u8).collect()
}

/// bf16 values with exponents as weights have them.
pub fn bf16(rng: &mut Rng, n: usize) -> Vec<u8> {
    (0..n)
        .flat_map(|_| ((rng.bell() as f32 * 1e-6).to_bits() >> 16).to_le_bytes()[..2].to_vec())
        .collect()
}

pub fn f32s(rng: &mut Rng, n: usize) -> Vec<u8> {
    (0..n).flat_map(|_| ((rng.bell() as f32 + 0.3) * 1e-6).to_le_bytes()).collect()
}

/// fp16 patterns: exponents near 13, random mantissas and signs.
pub fn f16(rng: &mut Rng, n: usize) -> Vec<u8> {
    (0..n)
        .flat_map(|_| {
            let exponent = 13 - rng.next().trailing_zeros().min(12) as u16;
            (exponent << 10 | (rng.next() as u16 & 0x83ff)).to_le_bytes()
        })
        .collect()
}

/// Weights whose spread is a product of a factor of their row and one of their column.
pub fn scaled(rng: &mut Rng, element: ElementType, rows: u64, cols: u64) -> Vec<u8> {
    let mut factors = |n: u64| -> Vec<f64> {
        (0..n).map(|_| [0.25, 0.5, 0.8, 1.0, 1.6, 3.0, 5.0][rng.below(7) as usize]).collect()
    };
    let (rows, cols) = (factors(rows), factors(cols));
    let mut out = Vec::new();
    for row in &rows {
        for col in &cols {
            // Never 0, whose exponent is far from all others.
            let weight = (rng.bell() as f64 + 0.5) / 8192.0 * row * col;
            let byte = (weight * 3.0).clamp(-127.0, 127.0) as i8;
            match element {
                ElementType::I8 => out.push(byte as u8),
                ElementType::U8 => out.push((i16::from(byte) + 128) as u8),
                ElementType::F32 => out.extend((weight as f32).to_le_bytes()),
                ElementType::F64 => out.extend(weight.to_le_bytes()),
                ElementType::Bf16 => out.extend(&(weight as f32).to_le_bytes()[2..]),
                // An exponent of fewer bits, rounded towards 0.
                ElementType::F16 => {
                    let bits = ((weight / 64.0) as f32).to_bits();
                    let half = (bits << 1 >> 14).saturating_sub(112 << 10) as u16;
                    out.extend(((bits >> 16) as u16 & 0x8000 | half).to_le_bytes());
                }
                _ => {
                    let bits = ((weight / 4.0) as f32).to_bits();
                    let byte = (bits << 1 >> 21).saturating_sub(120 << 3).min(0x7e) as u8;
                    out.push((bits >> 24) as u8 & 0x80 | byte);
                }
            }
        }
    }
    out
}

/// Bytes with a mean that is a product of two factors under a spread that is one.
pub fn with_means(rng: &mut Rng, element: ElementType, rows: u64, cols: u64) -> Vec<u8> {
    let mut bytes = scaled(rng, element, rows, cols);
    let mut factors = |n: u64| -> Vec<i64> { (0..n).map(|_| rng.below(9) as i64 - 4).collect() };
    let (rows, cols) = (factors(rows), factors(cols));
    for (bytes, row) in bytes.chunks_exact_mut(cols.len()).zip(&rows) {
        for (byte, col) in bytes.iter_mut().zip(&cols) {
            *byte = byte.wrapping_add((2 * row * col) as u8);
        }
    }
    bytes
}

/// Floats whose sign is, seven times of eight, the product of one of their row and one of their column.
pub fn with_signs(rng: &mut Rng, element: ElementType, rows: u64, cols: u64) -> Vec<u8> {
    let mut floats = scaled(rng, element, rows, cols);
    let mut signs = |n: u64| -> Vec<bool> { (0..n).map(|_| rng.below(2) == 0).collect() };
    let (of_rows, of_cols) = (signs(rows), signs(cols));
    for (k, float) in floats.chunks_exact_mut(element.size()).enumerate() {
        let negative = of_rows[k / of_cols.len()] ^ of_cols[k % of_cols.len()];
        if rng.below(8) > 0
            && let Some(byte) = float.last_mut()
        {
            *byte = *byte & 0x7f | u8::from(negative) << 7;
        }
    }
    floats
}

/// Floats that take steps of about one size: many of a small float, and few of a large one.
pub fn noisy(rng: &mut Rng, element: ElementType, data: &[u8]) -> Vec<u8> {
    use ElementType::{F8E4M3, F8E5M2, F16, F32, F64};
    let (mantissa, lowest) = match element {
        F8E4M3 => (3, 5),
        F8E5M2 => (2, 10),
        F16 => (10, 3),
        F32 => (23, 115),
        F64 => (52, 1011),
        _ => (7, 115),
    };
    let size = element.size();
    let mut out = data.to_vec();
    for bytes in out.chunks_exact_mut(size) {
        let mut word = [0; 8];
        word[..size].copy_from_slice(bytes);
        let word = u64::from_le_bytes(word);
        let exponent = (word << 1 << (64 - 8 * size) >> (65 - 8 * size)) >> mantissa;
        // About two steps of a bfloat16 that is 512 times the lowest.
        let spread = 1i128 << (10 + exponent.saturating_sub(lowest).min(40));
        let step = (i128::from(rng.bell()) << mantissa) / spread;
        bytes.copy_from_slice(&word.wrapping_add_signed(step as i64).to_le_bytes()[..size]);
    }
    out
}

/// How many planes of the blocks of a file have base classes.
pub fn planes_with_base_classes(file: &[u8]) -> usize {
    let footer = &file[file.len() - 128..];
    let number = |at: usize| u64::from_le_bytes(footer[at..at + 8].try_into().unwrap()) as usize;
    let of_block = |record: &[u8]| {
        let at = u64::from_le_bytes(record[..8].try_into().unwrap()) as usize;
        let planes = if record[20] == 2 { usize::from(file[at]) } else { 0 };
        (0..planes).filter(|plane| file[at + 12 + 8 * plane + 1] == 5).count()
    };
    file[number(0)..].chunks(24).take(number(8)).map(of_block).sum()
}

/// A file of tests' data at the root of the repository.
pub fn testdata(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name)
}

/// Whether files are to be written instead of compared: `WCODEC_BLESS=1`.
pub fn bless() -> bool {
    std::env::var_os("WCODEC_BLESS").is_some()
}

/// A number from the environment, for longer runs of the same test.
pub fn count(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
