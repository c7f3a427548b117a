//! Progress and interruption: what a person at a terminal sees and does.

use crate::report;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use wcodec::{Error, ErrorKind, Observer, Result};

/// A signal so soon after another tells the same wish: `timeout`, and shells that hang up, send two.
const SAME_WISH: Duration = Duration::from_secs(1);
/// That of [`ErrorKind::Interrupted`].
const EXIT_CODE: i32 = 130;

/// Draws a bar on standard error if that is a terminal, and listens for Ctrl-C.
pub(crate) struct Terminal {
    bar: ProgressBar,
    wish: Arc<Wish>,
}

/// Whether to stop, as signals tell it.
#[derive(Default)]
struct Wish {
    told: AtomicBool,
    /// There is nothing to leave behind.
    free: AtomicBool,
    first: OnceLock<Instant>,
}

impl Wish {
    /// Takes note of a signal. Tells whether the process is to end at once.
    fn tell(&self, now: Instant) -> bool {
        // Either this sees that all is free, or who frees it sees the wish.
        self.told.store(true, Ordering::SeqCst);
        let first = *self.first.get_or_init(|| now);
        self.free.load(Ordering::SeqCst) || now.saturating_duration_since(first) > SAME_WISH
    }
}

impl Terminal {
    /// From here on, SIGINT, SIGTERM and SIGHUP stop the work in an orderly way. Whoever asks again ends the process
    /// at once.
    pub(crate) fn new(quiet: bool) -> Result<Terminal> {
        let wish = Arc::new(Wish::default());
        let listener = Arc::clone(&wish);
        let listen = move || {
            if listener.tell(Instant::now()) {
                end();
            }
        };
        ctrlc::set_handler(listen)
            .map_err(|e| Error::from(ErrorKind::Io(std::io::Error::other(e))))?;
        let target =
            if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let template = "{bar:40} {bytes:>11} of {total_bytes}, {binary_bytes_per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Ok(Terminal { bar, wish })
    }

    /// Fails if the work is to stop.
    pub(crate) fn go_on(&self) -> Result<()> {
        if self.cancelled() { Err(ErrorKind::Interrupted.into()) } else { Ok(()) }
    }

    /// Takes the bar away. There must be nothing to leave behind any more: from here on a signal ends the process at
    /// once, though it may wait for whoever reads what it writes.
    pub(crate) fn finish(&self) {
        self.wish.free.store(true, Ordering::SeqCst);
        self.bar.finish_and_clear();
    }
}

impl Observer for Terminal {
    fn progress(&self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    fn warn(&self, message: &str) {
        self.bar.suspend(|| report::warn(message));
    }

    fn cancelled(&self) -> bool {
        self.wish.told.load(Ordering::SeqCst)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Ends the process, whatever its threads do or wait for.
#[expect(clippy::exit, reason = "nothing else ends a thread that waits for a pipe")]
fn end() -> ! {
    std::process::exit(EXIT_CODE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wish_that_is_told_again_ends_the_process() {
        let (wish, start) = (Wish::default(), Instant::now());
        assert!(!wish.told.load(Ordering::SeqCst));
        assert!(!wish.tell(start) && wish.told.load(Ordering::SeqCst));
        assert!(!wish.tell(start + SAME_WISH));
        assert!(wish.tell(start + SAME_WISH + Duration::from_millis(1)));
    }

    #[test]
    fn what_has_nothing_to_leave_behind_ends_at_once() {
        let wish = Wish::default();
        wish.free.store(true, Ordering::SeqCst);
        assert!(wish.tell(Instant::now()));
    }
}
