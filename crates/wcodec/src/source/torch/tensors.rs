//! Storages and the parts of them that are tensors.

use crate::container::read_at::ReadAt;
use crate::source::pickle::Value;
use crate::source::window::{Span, Window};
use crate::source::{Found, broken};

/// The type of elements, as safetensors spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dtype {
    pub(super) name: &'static str,
    pub(super) bytes: u64,
}

impl Dtype {
    pub(super) const BYTES: Dtype = Dtype { name: "BYTES", bytes: 1 };

    /// By the name of a storage's class, or of a dtype.
    pub(super) fn named(name: &str) -> Option<Dtype> {
        let row = DTYPES.iter().find(|row| row.0 == name || row.1 == name)?;
        Some(Dtype { name: row.2, bytes: row.3 }).filter(|_| !name.is_empty())
    }
}

/// The class of a storage, the dtype, its name and size.
const DTYPES: [(&str, &str, &str, u64); 25] = [
    ("UntypedStorage", "uint8", "U8", 1),
    ("ByteStorage", "uint8", "U8", 1),
    ("CharStorage", "int8", "I8", 1),
    ("BoolStorage", "bool", "BOOL", 1),
    ("ShortStorage", "int16", "I16", 2),
    ("IntStorage", "int32", "I32", 4),
    ("LongStorage", "int64", "I64", 8),
    ("HalfStorage", "float16", "F16", 2),
    ("BFloat16Storage", "bfloat16", "BF16", 2),
    ("FloatStorage", "float32", "F32", 4),
    ("DoubleStorage", "float64", "F64", 8),
    ("ComplexFloatStorage", "complex64", "C64", 8),
    ("ComplexDoubleStorage", "complex128", "C128", 16),
    ("QInt8Storage", "qint8", "I8", 1),
    ("QUInt8Storage", "quint8", "U8", 1),
    ("QInt32Storage", "qint32", "I32", 4),
    ("", "uint16", "U16", 2),
    ("", "uint32", "U32", 4),
    ("", "uint64", "U64", 8),
    ("", "float8_e4m3fn", "F8_E4M3", 1),
    ("", "float8_e5m2", "F8_E5M2", 1),
    ("", "float8_e4m3fnuz", "F8_E4M3FNUZ", 1),
    ("", "float8_e5m2fnuz", "F8_E5M2FNUZ", 1),
    ("", "float8_e8m0fnu", "F8_E8M0", 1),
    ("", "float4_e2m1fn_x2", "F4_X2", 1),
];

/// A tensor as a part of its storage.
#[derive(Debug)]
pub(super) struct View {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<u64>,
    /// First byte in the storage.
    pub(super) at: u64,
    pub(super) bytes: u64,
}

impl View {
    /// A tensor by its shape, its strides and its first element, all counted in elements.
    pub(super) fn new(
        name: String,
        dtype: Dtype,
        shape: Vec<u64>,
        strides: &[u64],
        offset: u64,
    ) -> Found<Option<View>> {
        if shape.len() != strides.len() {
            return Err(broken!("tensor {name:?} has {} strides", strides.len()));
        }
        if shape.contains(&0) {
            return Ok(Some(View { name, dtype, shape, at: 0, bytes: 0 }));
        }
        let (mut bytes, mut contiguous) = (Some(dtype.bytes), true);
        for (&dim, &stride) in shape.iter().zip(strides).rev() {
            contiguous &= dim == 1 || stride.checked_mul(dtype.bytes) == bytes;
            bytes = bytes.and_then(|bytes| bytes.checked_mul(dim));
        }
        let (Some(bytes), Some(at)) = (bytes, offset.checked_mul(dtype.bytes)) else {
            return Err(broken!("tensor {name:?} has more than 2^64 bytes"));
        };
        Ok(contiguous.then_some(View { name, dtype, shape, at, bytes }))
    }
}

/// A run of elements that tensors share.
#[derive(Debug)]
pub(super) struct Storage {
    pub(super) dtype: Dtype,
    pub(super) bytes: u64,
    views: Vec<View>,
    /// Whether a tensor is no contiguous part of it.
    scattered: bool,
}

impl Storage {
    pub(super) fn new(dtype: Dtype, bytes: u64) -> Storage {
        Storage { dtype, bytes, views: Vec::new(), scattered: false }
    }

    /// Adds a tensor, `None` for one that is no contiguous part.
    pub(super) fn add(&mut self, view: Option<View>) -> Found<()> {
        let Some(view) = view else {
            self.scatter();
            return Ok(());
        };
        if view.at.checked_add(view.bytes).is_none_or(|end| end > self.bytes) {
            return Err(broken!("tensor {:?} ends behind its storage", view.name));
        }
        self.views.push(view);
        Ok(())
    }

    pub(super) fn scatter(&mut self) {
        self.scattered = true;
    }

    /// Its tensors by position, if they are parts of it that do not overlap. Of tensors that are
    /// the same part, the first.
    pub(super) fn views(mut self) -> Option<Vec<View>> {
        // The sort is stable.
        self.views.sort_by_key(|view| (view.at, view.bytes));
        self.views.dedup_by_key(|view| (view.at, view.bytes, view.dtype));
        let apart = self.views.is_sorted_by(|before, after| before.at + before.bytes <= after.at);
        (apart && !self.scattered && !self.views.is_empty()).then_some(self.views)
    }
}

/// Bytes of the key of a storage, the name of a class or module: the same text may be read for each
/// of many objects.
const MAX_WORD: u64 = 1 << 10;

/// Reading the texts of a pickle.
pub(super) trait Text {
    fn text_of(&mut self, value: Value, most: u64) -> Found<&str>;

    fn word(&mut self, value: Value) -> Found<&str> {
        self.text_of(value, MAX_WORD)
    }
}

impl<R: ReadAt> Text for Window<'_, R> {
    fn text_of(&mut self, value: Value, most: u64) -> Found<&str> {
        match value {
            Value::Text { at, len } => self.text(Span::within(at, len.into(), u64::MAX)?, most),
            _ => Err(broken!("no text where one is expected")),
        }
    }
}
