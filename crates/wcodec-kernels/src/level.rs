//! Which instruction set the inner loops use.

/// An instruction-set level. A value other than [`Level::Scalar`] may only be made after the
/// processor was asked whether it has that level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Level {
    /// Portable code, and the definition of every result.
    Scalar,
}

impl Level {
    /// The best level of this machine.
    #[must_use]
    pub fn detect() -> Level {
        Level::Scalar
    }

    /// The name used on the command line and in benchmark output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Level::Scalar => "scalar",
        }
    }
}
