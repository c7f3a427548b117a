//! Element types: how wide an element is and which of its bits come first.

use crate::error::{Result, corrupt};
use wcodec_kernels::{Element, Transform};

/// How the codec sees the elements of a segment. A layer keeps the spelling of its dtype apart
/// from this, so that dtypes that the codec does not know come back as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum ElementType {
    /// Bytes of unknown meaning.
    Bytes = 0,
    /// One byte, 0 or 1.
    Bool = 1,
    /// Unsigned 8-bit integer.
    U8 = 2,
    /// Signed 8-bit integer.
    I8 = 3,
    /// 8-bit float, 4 exponent and 3 mantissa bits.
    F8E4M3 = 4,
    /// 8-bit float, 5 exponent and 2 mantissa bits.
    F8E5M2 = 5,
    /// IEEE 754 binary16.
    F16 = 6,
    /// bfloat16.
    Bf16 = 7,
    /// Unsigned 16-bit integer.
    U16 = 8,
    /// Signed 16-bit integer.
    I16 = 9,
    /// IEEE 754 binary32.
    F32 = 10,
    /// Unsigned 32-bit integer.
    U32 = 11,
    /// Signed 32-bit integer.
    I32 = 12,
    /// IEEE 754 binary64.
    F64 = 13,
    /// Unsigned 64-bit integer.
    U64 = 14,
    /// Signed 64-bit integer.
    I64 = 15,
}

const ALL: [(ElementType, &str, usize); 16] = [
    (ElementType::Bytes, "BYTES", 1),
    (ElementType::Bool, "BOOL", 1),
    (ElementType::U8, "U8", 1),
    (ElementType::I8, "I8", 1),
    (ElementType::F8E4M3, "F8_E4M3", 1),
    (ElementType::F8E5M2, "F8_E5M2", 1),
    (ElementType::F16, "F16", 2),
    (ElementType::Bf16, "BF16", 2),
    (ElementType::U16, "U16", 2),
    (ElementType::I16, "I16", 2),
    (ElementType::F32, "F32", 4),
    (ElementType::U32, "U32", 4),
    (ElementType::I32, "I32", 4),
    (ElementType::F64, "F64", 8),
    (ElementType::U64, "U64", 8),
    (ElementType::I64, "I64", 8),
];

impl ElementType {
    /// Every element type.
    pub fn all() -> impl Iterator<Item = ElementType> {
        ALL.iter().map(|row| row.0)
    }

    /// The type with this name in safetensors' spelling; `None` for names that the codec does not
    /// know (such elements are coded as [`ElementType::Bytes`]).
    #[must_use]
    pub fn from_name(name: &str) -> Option<ElementType> {
        ALL.iter().find(|row| row.1 == name && row.0 != ElementType::Bytes).map(|row| row.0)
    }

    /// Name in safetensors' spelling.
    #[must_use]
    pub fn name(self) -> &'static str {
        ALL[self as usize].1
    }

    /// Bytes of an element: 1, 2, 4 or 8.
    #[must_use]
    pub fn size(self) -> usize {
        ALL[self as usize].2
    }

    pub(crate) fn bits(self) -> u32 {
        self.size() as u32 * 8
    }

    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_code(code: u8) -> Result<ElementType> {
        ALL.get(usize::from(code))
            .map(|row| row.0)
            .ok_or_else(|| corrupt!("element type is {code}, at most 15 expected"))
    }

    /// The element as the kernels see it.
    pub(crate) fn kernel(self) -> Element {
        Element::new(self.size(), self.transform())
    }

    /// Bits of its mantissa; `None` if it is no float.
    pub(crate) fn mantissa(self) -> Option<u32> {
        use ElementType::{Bf16, F8E4M3, F8E5M2, F16, F32, F64};
        Some(match self {
            F8E4M3 => 3,
            F8E5M2 => 2,
            F16 => 10,
            Bf16 => 7,
            F32 => 23,
            F64 => 52,
            _ => return None,
        })
    }

    fn transform(self) -> Transform {
        use ElementType::{Bf16, F8E4M3, F8E5M2, F16, F32, F64, I8, I16, I32, I64};
        match self {
            F8E4M3 | F8E5M2 | F16 | Bf16 | F32 | F64 => Transform::RotateSign,
            I8 | I16 | I32 | I64 => Transform::FlipSign,
            _ => Transform::Identity,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_lead_back() {
        for (code, element) in ElementType::all().enumerate() {
            assert_eq!(usize::from(element.code()), code);
            assert_eq!(ElementType::from_code(element.code()).unwrap(), element);
            if element != ElementType::Bytes {
                assert_eq!(ElementType::from_name(element.name()), Some(element));
            }
        }
        assert_eq!(ElementType::from_name("BYTES"), None);
        assert!(ElementType::from_code(16).is_err());
    }
}
