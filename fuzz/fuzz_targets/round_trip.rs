//! Any file, under any options, comes back and keeps to the size bound.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use wcodec::{Effort, EncodeOptions, Limits, Reader, TileConfig, encode_bytes, max_encoded_len};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    effort: u8,
    tile: (u8, u8),
    block: Option<(u8, u8)>,
    tensors: Vec<(u8, u8, u8)>,
    data: &'a [u8],
}

/// A safetensors file whose tensors take their bytes from `data`, over and over.
fn file(input: &Input<'_>) -> Vec<u8> {
    const DTYPES: [(&str, usize); 8] = [
        ("I8", 1),
        ("U8", 1),
        ("BF16", 2),
        ("F16", 2),
        ("F32", 4),
        ("F64", 8),
        ("I64", 8),
        ("F8_E5M2", 1),
    ];
    if input.tensors.is_empty() || input.data.is_empty() {
        return input.data.to_vec();
    }
    let (mut header, mut length) = (String::from("{"), 0);
    for (number, (dtype, rows, cols)) in input.tensors.iter().take(20).enumerate() {
        let (name, size) = DTYPES[usize::from(*dtype) % DTYPES.len()];
        let end = length + usize::from(*rows) * usize::from(*cols) * size;
        let comma = if number > 0 { "," } else { "" };
        header += &format!(
            "{comma}\"t{number}\":{{\"dtype\":\"{name}\",\"shape\":[{rows},{cols}],\"data_offsets\":[{length},{end}]}}"
        );
        length = end;
    }
    header.push('}');
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(input.data.iter().cycle().take(length));
    file
}

fuzz_target!(|input: Input<'_>| {
    let original = file(&input);
    let mut options = EncodeOptions::default();
    options.verify = false;
    options.effort = [Effort::Fast, Effort::Default, Effort::Max][usize::from(input.effort % 3)];
    options.tile =
        TileConfig { rows: u16::from(input.tile.0).max(1), cols: u16::from(input.tile.1).max(1) };
    // Smaller blocks are legal and slow: thousands of them a tensor.
    options.block = input.block.map(|(r, c)| (u32::from(r).max(8), u32::from(c).max(8)));
    let (coded, _) = encode_bytes(&original, &options, &()).expect("any file encodes");
    assert!(coded.len() as u64 <= max_encoded_len(original.len() as u64));
    let reader = Reader::open(coded.as_slice(), &Limits::default()).expect("it opens");
    let mut back = Vec::new();
    reader.restore(&mut back, &()).expect("it decodes");
    assert!(back == original);
});
