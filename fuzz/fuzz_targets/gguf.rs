//! Anything that begins as a GGUF file does comes back, whatever else it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wcodec::{Effort, EncodeOptions, Limits, Reader, encode_bytes};

fuzz_target!(|input: (u8, &[u8])| {
    let (effort, bytes) = input;
    let original = [b"GGUF\x03\0\0\0", bytes].concat();
    let mut options = EncodeOptions::default();
    options.verify = false;
    options.effort = [Effort::Fast, Effort::Default, Effort::Max][usize::from(effort % 3)];
    let (coded, _) = encode_bytes(&original, &options, &()).expect("any file encodes");
    let reader = Reader::open(coded.as_slice(), &Limits::default()).expect("it opens");
    let mut back = Vec::new();
    reader.restore(&mut back, &()).expect("it decodes");
    assert!(back == original);
    for layer in 0..reader.layers().len().min(8) {
        reader.decode_layer(layer).expect("a layer decodes");
        // A block at a time, or an error.
        let _ = reader.decode_slice(layer, 0..1, 0..32);
    }
});
