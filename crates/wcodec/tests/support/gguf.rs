//! GGUF files, put together by hand.

use super::Rng;

/// A tensor: name, dimensions (the fastest first), number of its type, bytes.
#[derive(Clone)]
pub struct Tensor {
    pub name: String,
    pub dims: Vec<u64>,
    pub kind: u32,
    pub data: Vec<u8>,
    /// Added to the right offset.
    pub shift: u64,
}

/// A file to be.
#[derive(Clone)]
pub struct Gguf {
    pub version: u32,
    pub tensors: Vec<Tensor>,
    /// Key-values, as they lie in the file.
    pub pairs: Vec<Vec<u8>>,
    pub alignment: u64,
    /// Added to the numbers of tensors and key-values.
    pub more: (u64, u64),
}

pub fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

/// A key-value of a type and these bytes.
pub fn pair(key: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    [&string(key)[..], &kind.to_le_bytes(), value].concat()
}

/// An array of so many elements of a type, as a value.
pub fn array(kind: u32, count: u64, elements: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &count.to_le_bytes(), elements].concat()
}

/// Name, number, values and bytes of ggml's block types.
pub const BLOCKS: [(&str, u32, u64, u64); 26] = [
    ("Q4_0", 2, 32, 18),
    ("Q4_1", 3, 32, 20),
    ("Q5_0", 6, 32, 22),
    ("Q5_1", 7, 32, 24),
    ("Q8_0", 8, 32, 34),
    ("Q8_1", 9, 32, 36),
    ("Q2_K", 10, 256, 84),
    ("Q3_K", 11, 256, 110),
    ("Q4_K", 12, 256, 144),
    ("Q5_K", 13, 256, 176),
    ("Q6_K", 14, 256, 210),
    ("Q8_K", 15, 256, 292),
    ("IQ2_XXS", 16, 256, 66),
    ("IQ2_XS", 17, 256, 74),
    ("IQ3_XXS", 18, 256, 98),
    ("IQ1_S", 19, 256, 50),
    ("IQ4_NL", 20, 32, 18),
    ("IQ3_S", 21, 256, 110),
    ("IQ2_S", 22, 256, 82),
    ("IQ4_XS", 23, 256, 136),
    ("IQ1_M", 29, 256, 56),
    ("TQ1_0", 34, 256, 54),
    ("TQ2_0", 35, 256, 66),
    ("MXFP4", 39, 32, 17),
    ("NVFP4", 40, 64, 36),
    ("Q1_0", 41, 128, 18),
];

/// A tensor of blocks whose nibbles are bell-shaped.
pub fn blocks(rng: &mut Rng, name: &str, rows: u64, cols: u64) -> Tensor {
    let (name, kind, values, bytes) = *BLOCKS.iter().find(|row| row.0 == name).unwrap();
    let mut nibble = || (rng.bell() >> 12 & 15) as u8;
    let data = (0..rows * cols / values * bytes).map(|_| nibble() | nibble() << 4).collect();
    Tensor { name: format!("w.{name}"), dims: vec![cols, rows], kind, data, shift: 0 }
}

/// A tensor of blocks as a quantiser makes them, with the codes that every block has: Q8_0, or Q4_1.
pub fn quantised(rng: &mut Rng, name: &str, rows: u64, cols: u64) -> Tensor {
    let mut tensor = blocks(rng, name, rows, cols);
    let (head, len) = if name == "Q8_0" { (2, 34) } else { (4, 20) };
    for (number, block) in tensor.data.chunks_mut(len).enumerate() {
        block[..head].fill(if number % 50 == 7 { 0 } else { 0x3c });
        let codes = &mut block[head..];
        if number % 50 == 7 {
            codes.fill(0);
        } else if name == "Q8_0" {
            codes.iter_mut().for_each(|code| *code = (rng.bell() >> 11) as u8);
            codes[rng.below(32) as usize] = if rng.below(2) == 0 { 127 } else { 129 };
        } else {
            codes.iter_mut().for_each(|code| *code ^= 0x88);
            let (low, high) = (rng.below(16) as usize, rng.below(15) as usize);
            codes[low] &= 0xf0;
            codes[(low + high + 1) % 16] |= 0xf0;
        }
    }
    tensor
}

/// A tensor whose codes depend on their scales, Q8_0 or Q6_K, or on the minimum by the scale, Q4_1.
pub fn with_contexts(rng: &mut Rng, name: &str, rows: u64, cols: u64) -> Tensor {
    let mut tensor = blocks(rng, name, rows, cols);
    let (.., bytes) = *BLOCKS.iter().find(|row| row.0 == name).unwrap();
    for block in tensor.data.chunks_mut(bytes as usize) {
        // Within some bits, less `shift`.
        let mut code = |shift: u64, bits: u32| {
            let most = (1i64 << (bits - 1)) - 1;
            (rng.bell() >> shift).clamp(-most - 1, most)
        };
        match name {
            "Q8_0" => {
                // Powers of 2.
                let scale = (code(13, 3) + 4) as u8;
                block[..2].copy_from_slice(&[0, 0x20 + 4 * scale]);
                let shift = 6 + u64::from(scale);
                block[2..].iter_mut().for_each(|byte| *byte = code(shift, 8) as u8);
            }
            "Q4_1" => {
                // The scale is 1, the minimum -4 to -10.
                let zero = code(13, 3) + 7;
                let minimum: u16 =
                    0xc400 + [0, 256, 512, 768, 1024, 1152, 1280, 1408][(zero - 3) as usize];
                block[..2].copy_from_slice(&0x3c00u16.to_le_bytes());
                block[2..4].copy_from_slice(&minimum.to_le_bytes());
                for byte in &mut block[4..] {
                    let [low, high] = [0, 1].map(|_| (zero + code(13, 3)).clamp(0, 15) as u8);
                    *byte = low | high << 4;
                }
            }
            "Q6_K" => {
                block[208..].copy_from_slice(&[0, 0x24 + 4 * (code(13, 2) + 2) as u8]);
                block[..192].fill(0);
                for unit in 0..16 {
                    let scale = (code(13, 3) + 4) as u8;
                    let size = 1u8 << scale;
                    block[192 + unit] = if unit % 2 == 0 { size } else { size.wrapping_neg() };
                    for at in 16 * unit..16 * unit + 16 {
                        let code = (code(8 + u64::from(scale) / 2, 6) + 32) as u8;
                        let (half, quarter, place) = (at / 128, at / 32 % 4, at % 32);
                        block[64 * half + 32 * (quarter % 2) + place] |=
                            (code & 15) << (4 * (quarter / 2));
                        block[128 + 32 * half + place] |= code >> 4 << (2 * quarter);
                    }
                }
            }
            _ => unreachable!("{name}"),
        }
    }
    tensor
}

impl Gguf {
    pub fn new(tensors: Vec<Tensor>) -> Gguf {
        let names = [string("a"), string("bc")].concat();
        let pairs = vec![
            pair("general.architecture", 8, &string("none")),
            pair("tokens", 9, &array(8, 2, &names)),
            pair("scores", 9, &array(6, 3, &[0; 12])),
            pair("nested", 9, &array(9, 1, &array(0, 2, &[1, 2]))),
            pair("flag", 7, &[1]),
            pair("wide", 12, &[0; 8]),
        ];
        Gguf { version: 3, tensors, pairs, alignment: 32, more: (0, 0) }
    }

    pub fn build(&self) -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(self.version.to_le_bytes());
        file.extend((self.tensors.len() as u64).wrapping_add(self.more.0).to_le_bytes());
        file.extend((self.pairs.len() as u64).wrapping_add(self.more.1).to_le_bytes());
        self.pairs.iter().for_each(|pair| file.extend(pair));
        let mut data: Vec<u8> = Vec::new();
        for tensor in &self.tensors {
            data.resize(data.len().next_multiple_of(self.alignment as usize), 0);
            file.extend(string(&tensor.name));
            file.extend((tensor.dims.len() as u32).to_le_bytes());
            tensor.dims.iter().for_each(|dim| file.extend(dim.to_le_bytes()));
            file.extend(tensor.kind.to_le_bytes());
            file.extend((data.len() as u64).wrapping_add(tensor.shift).to_le_bytes());
            data.extend(&tensor.data);
        }
        file.resize(file.len().next_multiple_of(self.alignment as usize), 0);
        file.extend(data);
        file
    }
}
