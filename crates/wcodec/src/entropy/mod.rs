//! Frequency tables and what symbols cost under them.

mod bits;
pub(crate) mod cost;
pub(crate) mod list;
mod normalize;
pub(crate) mod table;

/// How often each symbol of `width` bits occurs.
pub(crate) fn count(symbols: &[u16], width: u32) -> Vec<u32> {
    let mut counts = vec![0; 1 << width];
    wcodec_kernels::histogram(symbols, &mut counts);
    counts
}
