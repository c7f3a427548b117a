//! Zstandard frames: for bytes that are not weights, and for the directory.

use crate::error::{Result, corrupt};
use std::cell::RefCell;
use zstd::bulk::Compressor;

thread_local! {
    /// Making a compressor takes longer than compressing a small piece with it.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

/// Compresses into one frame.
pub(crate) fn compress(bytes: &[u8], level: i32) -> Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|kept| {
        let mut compressor = match kept.take() {
            Some(compressor) => compressor,
            None => Compressor::new(level)?,
        };
        compressor.set_compression_level(level)?;
        // One that failed is not used again.
        let frame = compressor.compress(bytes)?;
        *kept = Some(compressor);
        Ok(frame)
    })
}

/// Bytes that a quick compression takes; `None` if it fails.
pub(crate) fn quick_len(bytes: &[u8]) -> Option<usize> {
    compress(bytes, 1).ok().map(|frame| frame.len())
}

/// Decompresses `frame`, which must be one frame and fill `out`.
pub(crate) fn decompress_into(frame: &[u8], out: &mut [u8]) -> Result<()> {
    // The library would take several frames one behind the other; the format has one.
    match zstd::zstd_safe::find_frame_compressed_size(frame) {
        Ok(len) if len == frame.len() => {}
        _ => return Err(corrupt!("not one whole zstd frame")),
    }
    let have =
        zstd::bulk::decompress_to_buffer(frame, out).map_err(|e| corrupt!("zstd frame: {e}"))?;
    if have != out.len() {
        return Err(corrupt!("zstd frame of {have} bytes, expected {}", out.len()));
    }
    Ok(())
}
