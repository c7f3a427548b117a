//! Any block table and directory in a frame that fits: run with `--cfg wcodec_ignore_checksums`.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use wcodec::{Limits, Reader};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    blocks: Vec<(u8, u8)>,
    minor: u8,
    segments: u8,
    layers: u8,
    source: u8,
    /// Of layouts, packings, bases, references, copies and entries.
    counts: [u8; 6],
    original: u32,
    directory: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let mut file = b"\x89WCOD\r\n\x1a\x01\0\0\0".to_vec();
    file[10] = input.minor % 5;
    file.resize(64, 0);
    let mut table = Vec::new();
    for (len, mode) in &input.blocks {
        let at = file.len() as u64;
        let len = u32::from(*len).max(1);
        table.extend(at.to_le_bytes());
        table.extend([0; 8]);
        table.extend(len.to_le_bytes());
        table.extend([*mode % 6, 0, 0, 0]);
        file.resize((file.len() + len as usize).next_multiple_of(64), 0);
    }
    let table_at = file.len() as u64;
    file.extend(&table);
    file.extend(input.directory);
    let length = input.directory.len() as u64;
    let fields = [table_at, input.blocks.len() as u64, length, length, u64::from(input.original)];
    fields.iter().for_each(|field| file.extend(field.to_le_bytes()));
    file.extend([0; 32]);
    file.extend(u32::from(input.segments).to_le_bytes());
    file.extend(u32::from(input.layers).to_le_bytes());
    file.extend([input.source % 8, 0, 0, 0]);
    file.extend(input.counts.iter().flat_map(|&count| u32::from(count).to_le_bytes()));
    file.resize(file.len() + 12, 0);
    file.extend(b"WCODEND\n");
    let mut limits = Limits::default();
    limits.max_original = Some(16 << 20);
    if let Ok(reader) = Reader::open(file.as_slice(), &limits) {
        let _ = reader.verify(&());
        for layer in 0..reader.layers().len().min(4) {
            let _ = reader.decode_layer(layer);
            let _ = reader.layer_stats(layer);
            let _ = reader.decode_slice(layer, 0..2, 0..2);
        }
        for (number, file) in reader.files().enumerate().take(4) {
            assert!(!file.path.split('/').any(|part| part == ".." || part.is_empty()));
            let _ = reader.restore_file(number, &mut std::io::sink(), &());
        }
    }
});
