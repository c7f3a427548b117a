//! Any bytes as a file: opened, verified, read by layer, by slice and by file, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wcodec::{Limits, Reader};

fuzz_target!(|bytes: &[u8]| {
    let mut limits = Limits::default();
    limits.max_original = Some(16 << 20);
    if let Ok(reader) = Reader::open(bytes, &limits) {
        let _ = reader.verify(&());
        for layer in 0..reader.layers().len().min(16) {
            let _ = reader.decode_layer(layer);
            let _ = reader.layer_stats(layer);
            let _ = reader.decode_slice(layer, 0..1, 0..1);
        }
        for (number, file) in reader.files().enumerate().take(16) {
            assert_eq!(reader.find_file(&file.path), Some(number));
            let _ = reader.restore_file(number, &mut std::io::sink(), &());
        }
    }
});
