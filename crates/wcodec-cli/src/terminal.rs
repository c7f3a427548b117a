//! Progress and interruption: what a person at a terminal sees and does.

use crate::report;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use wcodec::{Error, ErrorKind, Observer, Result};

/// Draws a bar on standard error if that is a terminal, and listens for Ctrl-C.
pub(crate) struct Terminal {
    bar: ProgressBar,
    interrupted: Arc<AtomicBool>,
}

impl Terminal {
    /// From here on, SIGINT, SIGTERM and SIGHUP stop the work in an orderly way.
    pub(crate) fn new(quiet: bool) -> Result<Terminal> {
        let interrupted = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&interrupted);
        ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
            .map_err(|e| Error::from(ErrorKind::Io(std::io::Error::other(e))))?;
        let target =
            if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let template = "{bar:40} {bytes:>11} of {total_bytes}, {binary_bytes_per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Ok(Terminal { bar, interrupted })
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Terminal {
    fn progress(&self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    fn warn(&self, message: &str) {
        self.bar.suspend(|| report::tell(&format!("wcodec: warning: {message}")));
    }

    fn cancelled(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.finish();
    }
}
