//! Runs of equal pieces at equal distances. Common shapes have loops that the compiler vectorises: a
//! run is done in all structs before the next one.

use super::{Axis, Piece};

/// Pieces of consecutive codes in a struct.
#[derive(Clone, Copy)]
pub(super) struct Run {
    /// The first code.
    pub(super) code: usize,
    /// Its first bit in the struct.
    pub(super) bit: usize,
    count: usize,
    /// Bits from one code's piece to the next one's.
    stride: usize,
    width: u32,
    /// Where the piece lies in a code.
    pub(super) up: u32,
    /// Bytes of a code.
    size: usize,
}

/// How the pieces of a run lie.
enum Shape {
    /// Whole codes side by side.
    Whole,
    /// Each within a byte of its own, in bytes side by side; codes are bytes.
    Bytes,
    /// Each within a byte of its own, in bytes at equal distances; codes are bytes.
    Apart,
    /// 1, 2 or 4 bits side by side, in whole bytes; codes are bytes.
    Dense,
    Any,
}

/// Calls a function with a count that is known where it is a usual one.
macro_rules! with_count {
    ($count:expr, $run:ident.$function:ident($($arg:expr),*)) => {
        match $count {
            2 => $run.$function::<2>($($arg),*),
            8 => $run.$function::<8>($($arg),*),
            16 => $run.$function::<16>($($arg),*),
            32 => $run.$function::<32>($($arg),*),
            64 => $run.$function::<64>($($arg),*),
            _ => $run.$function::<0>($($arg),*),
        }
    };
}

impl Run {
    /// A run of a piece that lies `up` bits above the lowest one of codes of `size` bytes.
    pub(super) fn new(piece: &Piece, number: usize, up: u32, size: usize) -> Run {
        let Axis { count, stride } = piece.run();
        let (code, bit) = piece.start(number);
        let (count, stride) = (count as usize, stride as usize);
        Run { code, bit, count, stride, width: piece.width, up, size }
    }

    fn shape(&self) -> Shape {
        let width = self.width as usize;
        let whole_bytes = self.bit.is_multiple_of(8);
        if whole_bytes && width == self.size * 8 && (self.stride == width || self.count == 1) {
            Shape::Whole
        } else if self.size == 1 && self.stride == 8 && self.bit % 8 + width <= 8 {
            Shape::Bytes
        } else if self.size == 1
            && self.stride.is_multiple_of(8)
            && self.bit % 8 + width <= 8
            && self.stride > 0
        {
            Shape::Apart
        } else if whole_bytes
            && self.size == 1
            && self.stride == width
            && matches!(width, 1 | 2 | 4)
            && self.count.is_multiple_of(8)
        {
            Shape::Dense
        } else {
            Shape::Any
        }
    }

    /// Adds the pieces of structs of `len` bytes to codes, `bytes` of them a struct.
    #[inline(always)]
    pub(super) fn gather(self, len: usize, structs: &[u8], bytes: usize, codes: &mut [u8]) {
        match self.shape() {
            Shape::Whole => {
                with_count!(self.count * self.size, self.gather_whole(len, structs, bytes, codes))
            }
            Shape::Bytes => with_count!(self.count, self.gather_bytes(len, structs, bytes, codes)),
            Shape::Apart => match self.stride {
                32 => self.gather_apart::<4>(len, structs, bytes, codes),
                _ => self.gather_apart::<0>(len, structs, bytes, codes),
            },
            Shape::Dense => self.gather_dense(len, structs, bytes, codes),
            Shape::Any => self.gather_any(len, structs, bytes, codes),
        }
    }

    /// Whether [`Run::scatter`] sets the bits of its pieces whatever they were.
    pub(super) fn overwrites(&self) -> bool {
        matches!(self.shape(), Shape::Whole | Shape::Dense)
    }

    /// Where a run begins that is a bit of each of 32 codes, and the number of the bit in a code.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn bits_of_32(&self) -> Option<(usize, u32)> {
        let fits = self.width == 1 && self.count == 32 && matches!(self.shape(), Shape::Dense);
        fits.then_some((self.bit / 8, self.up))
    }

    /// Puts the pieces of codes into structs, whose bits must be zero unless the run overwrites them.
    #[inline(always)]
    pub(super) fn scatter(
        self,
        len: usize,
        structs: &mut [u8],
        bytes: usize,
        codes: &[u8],
        bias: u8,
    ) {
        match self.shape() {
            Shape::Whole => with_count!(
                self.count * self.size,
                self.scatter_whole(len, structs, bytes, codes, bias)
            ),
            Shape::Bytes => {
                with_count!(self.count, self.scatter_bytes(len, structs, bytes, codes, bias))
            }
            Shape::Apart => match self.stride {
                32 => self.scatter_apart::<4>(len, structs, bytes, codes, bias),
                _ => self.scatter_apart::<0>(len, structs, bytes, codes, bias),
            },
            Shape::Dense => self.scatter_dense(len, structs, bytes, codes, bias),
            Shape::Any => self.scatter_any(len, structs, bytes, codes, bias),
        }
    }

    /// `N` bytes, or as many as there are.
    #[inline(always)]
    fn gather_whole<const N: usize>(
        self,
        len: usize,
        structs: &[u8],
        bytes: usize,
        codes: &mut [u8],
    ) {
        let count = if N > 0 { N } else { self.count * self.size };
        let (from, to) = (self.bit / 8, self.code * self.size);
        for (one, codes) in structs.chunks_exact(len).zip(codes.chunks_exact_mut(bytes)) {
            codes[to..to + count].copy_from_slice(&one[from..from + count]);
        }
    }

    #[inline(always)]
    fn scatter_whole<const N: usize>(
        self,
        len: usize,
        structs: &mut [u8],
        bytes: usize,
        codes: &[u8],
        bias: u8,
    ) {
        let count = if N > 0 { N } else { self.count * self.size };
        let (to, from) = (self.bit / 8, self.code * self.size);
        for (one, codes) in structs.chunks_exact_mut(len).zip(codes.chunks_exact(bytes)) {
            let (to, from) = (&mut one[to..to + count], &codes[from..from + count]);
            if bias == 0 {
                to.copy_from_slice(from);
            } else {
                to.iter_mut().zip(from).for_each(|(to, from)| *to = from.wrapping_sub(bias));
            }
        }
    }

    #[inline(always)]
    fn gather_bytes<const N: usize>(
        self,
        len: usize,
        structs: &[u8],
        bytes: usize,
        codes: &mut [u8],
    ) {
        let count = if N > 0 { N } else { self.count };
        let (from, down, mask) = (self.bit / 8, self.bit % 8, self.mask() as u8);
        for (one, codes) in structs.chunks_exact(len).zip(codes.chunks_exact_mut(bytes)) {
            let codes = &mut codes[self.code..self.code + count];
            for (code, byte) in codes.iter_mut().zip(&one[from..from + count]) {
                *code |= (byte >> down & mask) << self.up;
            }
        }
    }

    #[inline(always)]
    fn scatter_bytes<const N: usize>(
        self,
        len: usize,
        structs: &mut [u8],
        bytes: usize,
        codes: &[u8],
        bias: u8,
    ) {
        let count = if N > 0 { N } else { self.count };
        let (to, down, mask) = (self.bit / 8, self.bit % 8, self.mask() as u8);
        for (one, codes) in structs.chunks_exact_mut(len).zip(codes.chunks_exact(bytes)) {
            let codes = &codes[self.code..self.code + count];
            for (byte, code) in one[to..to + count].iter_mut().zip(codes) {
                *byte |= (code.wrapping_sub(bias) >> self.up & mask) << down;
            }
        }
    }

    /// Bytes `STEP` from each other, or as far as they are.
    #[inline(always)]
    fn gather_apart<const STEP: usize>(
        self,
        len: usize,
        structs: &[u8],
        bytes: usize,
        codes: &mut [u8],
    ) {
        let step = if STEP > 0 { STEP } else { self.stride / 8 };
        let (from, down, mask) = (self.bit / 8, self.bit % 8, self.mask() as u8);
        for (one, codes) in structs.chunks_exact(len).zip(codes.chunks_exact_mut(bytes)) {
            let codes = &mut codes[self.code..self.code + self.count];
            for (code, spread) in codes.iter_mut().zip(one[from..].chunks(step)) {
                *code |= (spread[0] >> down & mask) << self.up;
            }
        }
    }

    #[inline(always)]
    fn scatter_apart<const STEP: usize>(
        self,
        len: usize,
        structs: &mut [u8],
        bytes: usize,
        codes: &[u8],
        bias: u8,
    ) {
        let step = if STEP > 0 { STEP } else { self.stride / 8 };
        let (to, down, mask) = (self.bit / 8, self.bit % 8, self.mask() as u8);
        for (one, codes) in structs.chunks_exact_mut(len).zip(codes.chunks_exact(bytes)) {
            let codes = &codes[self.code..self.code + self.count];
            for (spread, code) in one[to..].chunks_mut(step).zip(codes) {
                spread[0] |= (code.wrapping_sub(bias) >> self.up & mask) << down;
            }
        }
    }

    #[inline(always)]
    fn gather_dense(self, len: usize, structs: &[u8], bytes: usize, codes: &mut [u8]) {
        let width = self.width as usize;
        for (one, codes) in structs.chunks_exact(len).zip(codes.chunks_exact_mut(bytes)) {
            let packed = &one[self.bit / 8..][..self.count * width / 8];
            let codes = &mut codes[self.code..self.code + self.count];
            for (packed, eight) in packed.chunks_exact(width).zip(codes.chunks_exact_mut(8)) {
                let mut word = [0; 8];
                word[..width].copy_from_slice(packed);
                let spread = spread(u64::from_le_bytes(word), self.width) << self.up;
                let word = u64::from_le_bytes(eight.try_into().unwrap_or_default()) | spread;
                eight.copy_from_slice(&word.to_le_bytes());
            }
        }
    }

    #[inline(always)]
    fn scatter_dense(self, len: usize, structs: &mut [u8], bytes: usize, codes: &[u8], bias: u8) {
        let width = self.width as usize;
        for (one, codes) in structs.chunks_exact_mut(len).zip(codes.chunks_exact(bytes)) {
            let packed = &mut one[self.bit / 8..][..self.count * width / 8];
            let codes = &codes[self.code..self.code + self.count];
            for (packed, eight) in packed.chunks_exact_mut(width).zip(codes.chunks_exact(8)) {
                let eight: [u8; 8] = eight.try_into().unwrap_or_default();
                let word = u64::from_le_bytes(eight.map(|code| code.wrapping_sub(bias)));
                let word = squeeze(word >> self.up, self.width).to_le_bytes();
                packed.copy_from_slice(&word[..width]);
            }
        }
    }

    #[inline(always)]
    fn gather_any(self, len: usize, structs: &[u8], bytes: usize, codes: &mut [u8]) {
        for (one, codes) in structs.chunks_exact(len).zip(codes.chunks_exact_mut(bytes)) {
            let codes = codes[self.code * self.size..].chunks_exact_mut(self.size);
            for (number, code) in codes.take(self.count).enumerate() {
                let at = self.bit + number * self.stride;
                let nine = one[at / 8..].iter().take(9).rev();
                let word = nine.fold(0u128, |word, &byte| word << 8 | u128::from(byte));
                let piece = ((word >> (at % 8)) as u64 & self.mask()) << self.up;
                code.iter_mut().zip(piece.to_le_bytes()).for_each(|(code, byte)| *code |= byte);
            }
        }
    }

    #[inline(always)]
    fn scatter_any(self, len: usize, structs: &mut [u8], bytes: usize, codes: &[u8], bias: u8) {
        for (one, codes) in structs.chunks_exact_mut(len).zip(codes.chunks_exact(bytes)) {
            let codes = codes[self.code * self.size..].chunks_exact(self.size);
            for (number, code) in codes.take(self.count).enumerate() {
                let at = self.bit + number * self.stride;
                let mut word = [0; 8];
                word[..self.size].copy_from_slice(code);
                word[0] = word[0].wrapping_sub(bias);
                let piece = u64::from_le_bytes(word) >> self.up & self.mask();
                let piece = (u128::from(piece) << (at % 8)).to_le_bytes();
                one[at / 8..].iter_mut().zip(piece).for_each(|(byte, piece)| *byte |= piece);
            }
        }
    }

    /// The byte where it begins and its 8-byte words, if it is a usual number of them and codes have a
    /// byte each.
    pub(super) fn words(&self) -> Option<(usize, usize)> {
        let usual = matches!(self.shape(), Shape::Bytes) && matches!(self.count, 8 | 16 | 32 | 64);
        usual.then_some((self.bit / 8, self.count / 8))
    }

    /// The bit of a code that subtracting `bias` inverts, if it leaves all others of the piece alone.
    pub(super) fn flip(&self, bias: u8) -> Option<u8> {
        let lowest = bias & bias.wrapping_neg();
        (bias == 0 || self.up + self.width <= bias.trailing_zeros() + 1).then_some(lowest)
    }

    pub(super) fn mask(&self) -> u64 {
        u64::MAX >> (64 - self.width)
    }
}

/// The steps by which eight codes of a byte each become eight of `width` bits (1, 2 or 4), side by
/// side: what they are shifted by, and the bits that stay.
#[inline(always)]
fn folds(width: u32) -> [(u32, u64); 3] {
    let low = |bits: u32| u64::MAX >> (64 - bits);
    [
        (8 - width, low(2 * width) * 0x0001_0001_0001_0001),
        (16 - 2 * width, low(4 * width) * 0x0000_0001_0000_0001),
        (32 - 4 * width, low(8 * width)),
    ]
}

/// The lowest bits of eight bytes, side by side.
#[inline(always)]
fn squeeze(bytes: u64, width: u32) -> u64 {
    let lowest = (u64::MAX >> (64 - width)) * 0x0101_0101_0101_0101;
    folds(width).iter().fold(bytes & lowest, |word, (by, mask)| (word | word >> by) & mask)
}

/// The inverse of [`squeeze`].
#[inline(always)]
fn spread(bits: u64, width: u32) -> u64 {
    let lowest = (u64::MAX >> (64 - width)) * 0x0101_0101_0101_0101;
    let masks = folds(width);
    let word = (bits | bits << masks[2].0) & masks[1].1;
    let word = (word | word << masks[1].0) & masks[0].1;
    (word | word << masks[0].0) & lowest
}
