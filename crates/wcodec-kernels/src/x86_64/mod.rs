//! The inner loops for x86-64.
//!
//! Every function that needs instructions beyond the baseline is a `#[target_feature]` function;
//! the entry points of each module take a [`Level`](crate::Level), which is the proof that the
//! processor has them.

pub(crate) mod avx2;
pub(crate) mod avx512;
mod layout;
pub(crate) mod map;
pub(crate) mod pack;
pub(crate) mod products;
mod rounds;
pub(crate) mod signs;
pub(crate) mod stream;
pub(crate) mod structs;
pub(crate) mod turn;
