//! The portable inner loops, which define every result.

pub mod histogram;
pub mod rans;
