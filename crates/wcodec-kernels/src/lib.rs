//! The inner loops of wcodec: interleaved rANS decoding and encoding, slot tables, bit packing
//! and histograms.
//!
//! Every function here is a scalar function that defines the result. A SIMD twin belongs in a
//! module beside [`scalar`], takes the same arguments, gives the same bytes and the same verdict
//! on corrupt input, and is chosen by [`Level`]. Code that needs `unsafe` lives in this crate and
//! nowhere else.
#![cfg_attr(not(test), forbid(unsafe_code))]

mod level;
mod pack;
mod rans;
pub mod scalar;
mod slots;

pub use level::Level;
pub use pack::{pack_bits, packed_len, unpack_bits};
pub use rans::{LANES, STATE_MAX, STATE_MIN, Steps, StreamError, decode, encode};
pub use scalar::histogram::{ByteCounts, MAX_VALUES, histogram};
pub use slots::{
    ALIAS_SYMBOLS, DecodeTable, EncodeTable, MAX_SYMBOLS, TABLE_BITS, TABLE_SIZE, TableError,
};
