//! Zstandard frames: for bytes that are not weights, and for the directory.

use crate::error::{Result, corrupt};
use std::cell::RefCell;

/// Compresses into one frame.
pub(crate) fn compress(bytes: &[u8], level: i32) -> Result<Vec<u8>> {
    Ok(zstd::bulk::compress(bytes, level)?)
}

thread_local! {
    /// Making a context takes longer than compressing a small sample with it.
    static QUICK: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
}

/// Bytes that a quick compression takes; `None` if it fails.
pub(crate) fn quick_len(bytes: &[u8]) -> Option<usize> {
    QUICK.with_borrow_mut(|quick| {
        if quick.is_none() {
            *quick = zstd::bulk::Compressor::new(1).ok();
        }
        quick.as_mut()?.compress(bytes).ok().map(|frame| frame.len())
    })
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
