//! What tests of folders need.

use std::path::Path;
use wcodec::{Effort, EncodeOptions};

pub fn fast() -> EncodeOptions {
    let mut options = EncodeOptions::default();
    options.effort = Effort::Fast;
    options
}

#[cfg(unix)]
pub fn set_executable(path: &Path) {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path, mode).unwrap();
}
