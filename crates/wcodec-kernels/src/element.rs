//! Elements as the kernels see them: unsigned integers whose informative bits come first.

/// Reversible change of an element that puts its informative bits first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transform {
    /// As it is.
    Identity,
    /// Rotate left by one: exponent first, sign last. Signs do not compress.
    RotateSign,
    /// Flip the sign bit: two's complement becomes offset binary, so that neighbouring values
    /// are neighbouring symbols.
    FlipSign,
}

/// Size and transform of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    size: usize,
    transform: Transform,
}

impl Element {
    /// An element of `size` bytes.
    ///
    /// # Panics
    /// If `size` is not 1, 2, 4 or 8.
    #[must_use]
    pub const fn new(size: usize, transform: Transform) -> Element {
        assert!(matches!(size, 1 | 2 | 4 | 8), "elements have 1, 2, 4 or 8 bytes");
        Element { size, transform }
    }

    /// Bytes of an element.
    #[must_use]
    pub const fn size(self) -> usize {
        self.size
    }

    /// Bits of an element.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.size as u32 * 8
    }

    /// What puts its informative bits first.
    #[must_use]
    pub const fn transform(self) -> Transform {
        self.transform
    }
}

/// An unsigned integer as large as an element.
pub(crate) trait Word: Copy + Default {
    const BITS: u32;
    const SIZE: usize = Self::BITS as usize / 8;

    fn read(bytes: &[u8]) -> Self;
    fn write(self, bytes: &mut [u8]);
    fn from_field(field: u16) -> Self;
    /// The lowest 16 bits.
    fn to_field(self) -> u16;
    fn shl(self, bits: u32) -> Self;
    fn shr(self, bits: u32) -> Self;
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    fn to_u64(self) -> u64;

    /// Informative bits first.
    #[inline(always)]
    fn forward(self, transform: Transform) -> Self {
        match transform {
            Transform::Identity => self,
            Transform::RotateSign => self.shl(1).plus(self.shr(Self::BITS - 1)),
            Transform::FlipSign => self.plus(Self::top_bit()),
        }
    }

    /// The other way.
    #[inline(always)]
    fn inverse(self, transform: Transform) -> Self {
        match transform {
            Transform::RotateSign => self.shr(1).plus(self.shl(Self::BITS - 1)),
            // Adding the highest bit inverts it; the carry is lost.
            Transform::Identity | Transform::FlipSign => self.forward(transform),
        }
    }

    #[inline(always)]
    fn top_bit() -> Self {
        Self::from_field(1).shl(Self::BITS - 1)
    }
}

macro_rules! word {
    ($type:ty, $shifted:ty) => {
        impl Word for $type {
            const BITS: u32 = <$type>::BITS;

            #[inline(always)]
            fn read(bytes: &[u8]) -> $type {
                // Callers pass chunks of exactly this size; the compiler sees it and drops the check.
                bytes.try_into().map_or(0, <$type>::from_le_bytes)
            }

            #[inline(always)]
            fn write(self, bytes: &mut [u8]) {
                bytes.copy_from_slice(&self.to_le_bytes());
            }

            #[inline(always)]
            fn from_field(field: u16) -> $type {
                field as $type
            }

            #[inline(always)]
            fn to_field(self) -> u16 {
                self as u16
            }

            // Bytes are shifted as words: there is no vector instruction that shifts bytes.
            #[inline(always)]
            fn shl(self, bits: u32) -> $type {
                (<$shifted>::from(self) << bits) as $type
            }

            #[inline(always)]
            fn shr(self, bits: u32) -> $type {
                (<$shifted>::from(self) >> bits) as $type
            }

            #[inline(always)]
            fn plus(self, other: $type) -> $type {
                self.wrapping_add(other)
            }

            #[inline(always)]
            fn minus(self, other: $type) -> $type {
                self.wrapping_sub(other)
            }

            #[inline(always)]
            fn or(self, other: $type) -> $type {
                self | other
            }

            #[inline(always)]
            fn xor(self, other: $type) -> $type {
                self ^ other
            }

            #[inline(always)]
            fn to_u64(self) -> u64 {
                self as u64
            }
        }
    };
}
word!(u8, u16);
word!(u16, u16);
word!(u32, u32);
word!(u64, u64);

/// Calls a generic function with the word type of an element.
macro_rules! with_word {
    ($element:expr, $function:ident($($argument:expr),* $(,)?)) => {
        match $element.size() {
            1 => $function::<u8>($($argument),*),
            2 => $function::<u16>($($argument),*),
            4 => $function::<u32>($($argument),*),
            _ => $function::<u64>($($argument),*),
        }
    };
}
pub(crate) use with_word;
