//! The inner loops for 64-bit Arm.
//!
//! Every vector function is a `#[target_feature]` function; the entry points of each module take a
//! [`Level`](crate::Level), which is the proof that the processor has the instructions.

pub(crate) mod neon;
