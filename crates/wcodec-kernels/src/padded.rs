//! Numbers that a whole vector is wanted of, though there are not as many.

/// The first `N` of these, and zeros behind the last one.
#[inline(always)]
pub(crate) fn padded<T: Copy + Default, const N: usize>(left: &[T]) -> [T; N] {
    let mut padded = [T::default(); N];
    let count = left.len().min(N);
    padded[..count].copy_from_slice(&left[..count]);
    padded
}
