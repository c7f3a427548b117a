//! Memory in lines of the cache.

/// Bytes of a line.
pub(crate) const LINE: usize = 64;

/// One line, where vectors are written in one go.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

/// Memory to be used again. Its content does not matter.
#[derive(Default)]
pub(crate) struct Lines(Vec<Line>);

impl Lines {
    /// So many lines, one behind the other.
    pub(crate) fn take(&mut self, count: usize) -> &mut [u8] {
        if self.0.len() < count {
            self.0.resize(count, Line([0; LINE]));
        }
        let lines = &mut self.0[..count];
        // SAFETY: lines are bytes without gaps.
        unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), count * LINE) }
    }
}
