//! Valid files with edits that no hash stops: run with `--cfg wcodec_ignore_checksums`.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use wcodec::{
    Bases, ElementType, EncodeOptions, Layer, Limits, Reader, Scan, TileConfig, encode_bytes,
    encode_layer,
};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    element: u8,
    rows: u8,
    column: bool,
    smooth: bool,
    scaled: bool,
    /// Which block type of GGUF the data is put in, if any.
    blocks: Option<u8>,
    /// Bytes from one in which a base differs to the next, if there is one.
    base: Option<u8>,
    edits: Vec<(u16, u8)>,
    base_edits: Vec<(u16, u8)>,
    data: &'a [u8],
}

fn noise(k: usize) -> i8 {
    (k as u32).wrapping_mul(0x9e37_79b9).rotate_left(13) as i8
}

/// A GGUF file of a tensor of blocks: Q8_0, Q4_1, Q4_K or Q6_K, whose scales tell how large codes are.
fn gguf(kind: u8, data: &[u8]) -> Vec<u8> {
    let kinds = [(8u32, 32, 34, 0), (3, 32, 20, 0), (12, 256, 144, 0), (14, 256, 210, 208)];
    let (number, values, bytes, scale) = kinds[usize::from(kind) % kinds.len()];
    let rows = 8;
    let across = (data.len() / bytes / rows).max(1);
    let mut file = b"GGUF\x03\0\0\0\x01\0\0\0\0\0\0\0".to_vec();
    file.extend([0; 8]);
    file.extend([1, 0, 0, 0, 0, 0, 0, 0, b'w', 2, 0, 0, 0]);
    file.extend(((across * values) as u64).to_le_bytes());
    file.extend((rows as u64).to_le_bytes());
    file.extend(number.to_le_bytes());
    file.extend([0; 8]);
    file.resize(file.len().next_multiple_of(32), 0);
    for block in 0..rows * across {
        let size = block * 7 % 5;
        let start = file.len();
        for k in block * bytes..(block + 1) * bytes {
            let given = data.get(k % data.len().max(1)).copied().unwrap_or_default();
            file.push(((noise(k) >> (6 - size)) as u8).wrapping_add(given & 3));
        }
        file[start + scale..][..2].copy_from_slice(&[0, 0x20 + 4 * size as u8]);
    }
    file
}

fn edit(file: &mut [u8], edits: &[(u16, u8)]) {
    for &(at, value) in edits {
        let at = usize::from(at) % file.len();
        file[at] = value;
    }
}

fuzz_target!(|input: Input<'_>| {
    let types: Vec<ElementType> = ElementType::all().collect();
    let element = types[usize::from(input.element) % types.len()];
    let rows = u64::from(input.rows).max(1);
    // Repeating the input gives blocks that are worth coding; large groups may have scale classes.
    let bytes = if input.scaled { 20_000 } else { 6000 };
    let mut data: Vec<u8> =
        input.data.iter().copied().cycle().take(input.data.len().min(1) * bytes).collect();
    if input.smooth {
        let mut sum = 0u8;
        data.iter_mut().for_each(|b| {
            sum = sum.wrapping_add(*b & 3);
            *b = sum;
        });
    }
    let cols = (data.len() / element.size()) as u64 / rows;
    if input.scaled {
        for (k, byte) in data.iter_mut().enumerate() {
            let (row, col) = (k / (cols as usize).max(1), k % (cols as usize).max(1));
            *byte = ((noise(k) >> (row % 3 + col % 4)) as u8).wrapping_add(*byte & (row as u8 & 3));
        }
    }
    let mut layer = Layer::new("fuzz", element, vec![rows, cols]);
    if element == ElementType::Bytes {
        layer.dtype = "U8".to_owned();
    }
    data.truncate(layer.bytes as usize);
    let mut options = EncodeOptions::default();
    options.verify = false;
    options.tile = TileConfig { rows: 4, cols: 4 };
    options.block = Some(if input.scaled { (90, 90) } else { (40, 40) });
    options.scan = Some(if input.column { Scan::Column } else { Scan::Row });
    let mut bases = Bases::new();
    if let Some(distance) = input.base {
        let mut base = data.clone();
        // About as much everywhere, which is more steps of a smaller float.
        for (k, byte) in base.iter_mut().enumerate().step_by(usize::from(distance).max(1)) {
            *byte = byte.wrapping_add((noise(k) >> 4) as u8);
        }
        let file_block = options.block.replace((16, 100));
        let intact = encode_layer(&base, &layer, &options).expect("a base encodes").0;
        let mut edited = intact.clone();
        edit(&mut edited, &input.base_edits);
        bases.add_source("edited", edited);
        options.block = file_block;
        options.bases.add_source("base", intact);
    }
    let mut coded = match input.blocks {
        Some(kind) => {
            (options.block, options.scan) = (None, None);
            encode_bytes(&gguf(kind, &data), &options, &()).expect("blocks encode").0
        }
        None => encode_layer(&data, &layer, &options).expect("a layer encodes").0,
    };
    edit(&mut coded, &input.edits);
    let mut limits = Limits::default();
    limits.max_original = Some(16 << 20);
    if let Ok(mut reader) = Reader::open(coded.as_slice(), &limits) {
        let _ = reader.find_bases(&limits, &bases);
        let _ = reader.verify(&());
        for layer in 0..reader.layers().len().min(4) {
            let _ = reader.decode_layer(layer);
            let _ = reader.layer_stats(layer);
            let _ = reader.decode_slice(layer, 1..3, 1..3);
        }
    }
});
