//! Frequency tables and what symbols cost under them.

mod bits;
pub(crate) mod cost;
mod normalize;
pub(crate) mod table;
