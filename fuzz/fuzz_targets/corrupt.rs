//! A damaged file is refused or, if the damage undid itself, decodes to the original.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use wcodec::{
    Bases, ElementType, EncodeOptions, Layer, Limits, Reader, Scan, TileConfig, encode_layer,
};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    element: u8,
    rows: u8,
    tile: (u8, u8),
    block: (u8, u8),
    column: bool,
    scaled: bool,
    /// Bytes from one in which a base differs to the next, if there is one.
    base: Option<u8>,
    edits: Vec<(u32, u8)>,
    data: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let types: Vec<ElementType> = ElementType::all().filter(|&e| e != ElementType::Bytes).collect();
    let element = types[usize::from(input.element) % types.len()];
    let rows = u64::from(input.rows).max(1);
    // Noise of several scales over the input, over and over, is large enough for scale classes.
    let noise = |k: usize| (k as u32).wrapping_mul(0x9e37_79b9).rotate_left(13) as i8;
    let scaled: Vec<u8> = input
        .data
        .iter()
        .cycle()
        .take(input.data.len().min(1) * 20_000)
        .enumerate()
        .map(|(k, byte)| ((noise(k) >> (k / 200 % 3 + k % 4)) as u8).wrapping_add(byte & 3))
        .collect();
    let data = if input.scaled { &scaled[..] } else { input.data };
    let cols = (data.len() / element.size()) as u64 / rows;
    let layer = Layer::new("fuzz", element, vec![rows, cols]);
    let data = &data[..layer.bytes as usize];
    let mut options = EncodeOptions::default();
    options.tile =
        TileConfig { rows: u16::from(input.tile.0).max(1), cols: u16::from(input.tile.1).max(1) };
    options.block = Some((u32::from(input.block.0).max(8), u32::from(input.block.1).max(8)));
    options.scan = Some(if input.column { Scan::Column } else { Scan::Row });
    let mut bases = Bases::new();
    if let Some(distance) = input.base {
        let mut base = data.to_vec();
        for (k, byte) in base.iter_mut().enumerate().step_by(usize::from(distance).max(1)) {
            *byte = byte.wrapping_add((noise(k) >> 4) as u8);
        }
        // Cut in another way, so that blocks want parts of several of the base.
        let file_block = options.block;
        options.block = file_block.map(|(rows, cols)| (cols, rows));
        bases.add_source("base", encode_layer(&base, &layer, &options).expect("a base encodes").0);
        options.block = file_block;
        options.bases = bases.clone();
    }
    let (mut coded, _) = encode_layer(data, &layer, &options).expect("a layer encodes");
    let intact = coded.clone();
    for (at, value) in input.edits {
        let at = at as usize % coded.len();
        coded[at] ^= value;
    }
    let reader = Reader::open_with(coded.as_slice(), &Limits::default(), &bases);
    match reader.and_then(|reader| reader.decode_layer(0)) {
        Ok(back) => assert!(coded == intact && back == data, "damage went unnoticed"),
        Err(error) => assert!(coded != intact, "an intact file was refused: {error}"),
    }
});
