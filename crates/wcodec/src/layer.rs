//! A layer: one tensor of the original.

use crate::dtype::ElementType;
use crate::error::{Error, Result, corrupt};

/// A tensor of the original: its name, dtype, shape and size.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Layer {
    /// Name, unique in its file.
    pub name: String,
    /// dtype as the source spells it; safetensors' spelling where the source has none.
    pub dtype: String,
    /// Shape; empty for a scalar.
    pub shape: Vec<u64>,
    /// Bytes of the elements.
    pub bytes: u64,
}

impl Layer {
    /// A layer of a known element type.
    #[must_use]
    pub fn new(name: impl Into<String>, element: ElementType, shape: Vec<u64>) -> Layer {
        let bytes = shape.iter().fold(element.size() as u64, |n, &d| n.saturating_mul(d));
        Layer { name: name.into(), dtype: element.name().to_owned(), shape, bytes }
    }

    /// The element type, if the codec knows the dtype.
    #[must_use]
    pub fn element(&self) -> Option<ElementType> {
        ElementType::from_name(&self.dtype)
    }

    /// What its bytes are compared and predicted as: elements; bytes, if the dtype is one of blocks or not known.
    pub(crate) fn element_or_bytes(&self) -> ElementType {
        self.element().unwrap_or(ElementType::Bytes)
    }

    /// Elements, if the shape's product fits.
    #[must_use]
    pub fn elements(&self) -> Option<u64> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        self.shape.iter().try_fold(1u64, |n, &d| n.checked_mul(d))
    }

    /// First dimension and the product of the others: the matrix that slices refer to. Vectors
    /// and scalars have one row.
    #[must_use]
    pub fn matrix(&self) -> (u64, u64) {
        let elements = self.elements().unwrap_or(0);
        match self.shape.as_slice() {
            [] | [_] => (1, elements),
            [rows, ..] => (*rows, elements.checked_div(*rows).unwrap_or(0)),
        }
    }

    /// Checks that data of so many bytes may be the layer's, and the layer itself.
    pub(crate) fn check_len(&self, data: u64) -> Result<()> {
        if data != self.bytes {
            let text = format!("data of {data} bytes, the layer has {}", self.bytes);
            return Err(Error::argument(text).in_layer(&self.name));
        }
        self.check()
    }

    /// Checks that shape, dtype and size agree. For a dtype that the codec does not know, any
    /// size is as good as another.
    pub(crate) fn check(&self) -> Result<()> {
        let elements = self.elements();
        let Some(elements) = elements else {
            return Err(corrupt!("shape {:?} has more than 2^64 elements", self.shape));
        };
        let Some(element) = self.element() else { return Ok(()) };
        if elements.checked_mul(element.size() as u64) != Some(self.bytes) {
            return Err(corrupt!(
                "{} of shape {:?} has {} bytes, expected {elements} x {}",
                self.dtype,
                self.shape,
                self.bytes,
                element.size()
            ));
        }
        Ok(())
    }
}
