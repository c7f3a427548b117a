//! Prediction of tiles: which predictors an encoder may use, which it chooses, and the map of them.
//! The predictors themselves are kernels.

mod choose;
pub(crate) mod map;

pub(crate) use choose::{choose, promising};
pub use wcodec_kernels::Predictor;

/// Which predictors an encoder may use; NONE is always among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PredictorSet(u8);

impl PredictorSet {
    /// Every predictor.
    pub const ALL: PredictorSet = PredictorSet(0b11111);
    /// NONE alone.
    pub const NONE: PredictorSet = PredictorSet(0b00001);

    /// Adds a predictor.
    #[must_use]
    pub fn with(self, predictor: Predictor) -> PredictorSet {
        PredictorSet(self.0 | 1 << predictor as u8)
    }

    /// Whether the predictor may be used.
    #[must_use]
    pub fn contains(self, predictor: Predictor) -> bool {
        self.0 >> (predictor as u8) & 1 == 1
    }

    /// The predictors other than NONE.
    pub(crate) fn predicting(self) -> impl Iterator<Item = Predictor> {
        Predictor::ALL.into_iter().skip(1).filter(move |&p| self.contains(p))
    }
}

impl Default for PredictorSet {
    fn default() -> PredictorSet {
        PredictorSet::ALL
    }
}

impl FromIterator<Predictor> for PredictorSet {
    fn from_iter<I: IntoIterator<Item = Predictor>>(predictors: I) -> PredictorSet {
        predictors.into_iter().fold(PredictorSet::NONE, PredictorSet::with)
    }
}
