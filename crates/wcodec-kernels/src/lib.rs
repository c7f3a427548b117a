//! The inner loops of wcodec: interleaved rANS decoding and encoding, slot tables, bit packing
//! and histograms.
//!
//! [`scalar`] has portable functions that define every result. A SIMD twin lies in a module
//! beside it, takes the same arguments, gives the same bytes and the same verdict on corrupt
//! input, and is chosen by [`Level`]. Code that needs `unsafe` lives in this crate and nowhere
//! else.

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod base;
mod blocks;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod drive;
mod element;
mod encode_table;
mod fields;
mod floats;
mod level;
mod lines;
mod low;
mod map;
mod merge;
mod pack;
mod padded;
pub mod predict;
mod products;
mod rans;
pub mod scalar;
mod slots;
mod sorted;
mod streams;
mod structs;
mod target;
mod turn;
#[cfg(target_arch = "x86_64")]
mod x86_64;
mod xxh3;

pub use base::{Prediction, add_base, subtract_base};
pub use blocks::{
    Block, BlockError, Coded, DecodeSpace, LowBits, Place, Plane, STREAMS_AT_ONCE, Source, Tiles,
    decode_blocks,
};
pub use element::{Element, Transform};
pub use encode_table::EncodeTable;
pub use fields::{extract, extract_bytes, field_range, varying_bits};
pub use floats::{
    Float, add_clipped, add_scaled, byte_magnitudes, dot, dot_clipped, magnitudes, weigh_bytes,
    weigh_floats,
};
pub use level::Level;
pub use low::pack_low_bits;
pub use map::{map_bytes, map_steps};
pub use pack::{pack_bits, packed_len, unpack_bits};
pub use predict::Predictor;
pub use products::{
    ColumnFactors, MAX_PRODUCT_EXPONENT, MAX_PRODUCTS, PRODUCT_BITS, Signs, add_products,
    predict_signs,
};
pub use rans::{
    Classes, EncodeSpace, LANES, STATE_MAX, STATE_MIN, Scan, Steps, StreamError, StreamJob,
    SymbolsJob, decode, encode,
};
pub use scalar::histogram::{ByteCounts, FieldCounts, MAX_VALUES, histogram};
pub use slots::{ALIAS_SYMBOLS, DecodeTable, MAX_SYMBOLS, TABLE_BITS, TABLE_SIZE, TableError};
pub use sorted::{Exponent, MAX_SORTED, Sorted, exponents};
pub use structs::{
    Axis, CodeField, MAX_PIVOT_CODES, MAX_PIVOT_GROUP, MAX_PIVOTS, Piece, Pivot, Pivots, PutPivots,
    Scatter, gather_codes,
};
pub use target::Decoded;
pub use turn::to_coding_order;
pub use xxh3::{XXH3_SECRET, XXH3_SHORT, Xxh3};
