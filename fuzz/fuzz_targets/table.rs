//! Any bytes as a frequency table or a side block: refused, or written again as they were read.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    wcodec::fuzzing::table(u32::from(input.0) % 12 + 1, input.1);
});
