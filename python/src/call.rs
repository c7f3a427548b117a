//! A call into the library: without the interpreter's lock, with progress, Ctrl-C and no panics.

use crate::errors::{internal, to_python};
use crate::pool::pool;
use pyo3::prelude::*;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use wcodec::Observer;

/// How often the thread that waits listens for signals and reports progress.
const TICK: Duration = Duration::from_millis(50);

/// What a call and the thread that waits for it tell each other.
#[derive(Default)]
struct Exchange {
    done: AtomicU64,
    total: AtomicU64,
    stop: AtomicBool,
    warnings: Mutex<Vec<String>>,
}

impl Observer for Exchange {
    fn progress(&self, done: u64, total: u64) {
        self.total.store(total, Ordering::Relaxed);
        // Threads may report out of order.
        self.done.fetch_max(done, Ordering::Relaxed);
    }

    fn warn(&self, message: &str) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(message.to_owned());
    }

    fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Does `work` in the package's threads. `progress` is called with the bytes done and their total,
/// in the thread that called; an exception that it raises, or Ctrl-C, stops the work and is raised
/// here. Errors are named after `file`.
pub(crate) fn call<T: Send>(
    py: Python<'_>,
    file: Option<&Path>,
    progress: Option<Py<PyAny>>,
    work: impl FnOnce(&dyn Observer) -> wcodec::Result<T> + Send,
) -> PyResult<T> {
    let exchange = Exchange::default();
    let teller = Teller { exchange: &exchange, progress };
    let outcome = py.detach(|| {
        let (sender, receiver) = sync_channel(1);
        let outcome = pool()?.in_place_scope(|scope| {
            let exchange = &exchange;
            scope.spawn(move |_| {
                let result = catch_unwind(AssertUnwindSafe(|| work(exchange)));
                // The receiver is there until the scope ends.
                let _ = sender.send(result);
            });
            teller.wait(&receiver)
        });
        PyResult::Ok(outcome)
    });
    match outcome? {
        (_, Some(raised)) => Err(raised),
        (Ok(Err(error)), None) => {
            let error = match file {
                Some(file) => error.in_file(file),
                None => error,
            };
            Err(to_python(py, &error))
        }
        (Err(panic), None) => Err(internal(py, &message_of(&*panic))),
        (Ok(Ok(value)), None) => {
            teller.warn(py)?;
            teller.tell(py)?;
            Ok(value)
        }
    }
}

/// What became of the work: its result, or the payload of its panic.
type Outcome<T> = Result<wcodec::Result<T>, Box<dyn Any + Send>>;

/// Speaks to Python while the work is done.
struct Teller<'a> {
    exchange: &'a Exchange,
    progress: Option<Py<PyAny>>,
}

impl Teller<'_> {
    /// Waits for the work to end; also gives the exception that ended it early.
    fn wait<T>(&self, receiver: &Receiver<Outcome<T>>) -> (Outcome<T>, Option<PyErr>) {
        let mut raised = None;
        loop {
            match receiver.recv_timeout(TICK) {
                Ok(outcome) => return (outcome, raised),
                Err(RecvTimeoutError::Timeout) if raised.is_none() => {
                    let told = Python::attach(|py| py.check_signals().and_then(|()| self.tell(py)));
                    if let Err(error) = told {
                        self.exchange.stop.store(true, Ordering::Relaxed);
                        raised = Some(error);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return (Err(Box::new("the work ended without a result")), raised);
                }
            }
        }
    }

    fn tell(&self, py: Python<'_>) -> PyResult<()> {
        let total = self.exchange.total.load(Ordering::Relaxed);
        if let Some(progress) = &self.progress
            && total > 0
        {
            let done = self.exchange.done.load(Ordering::Relaxed);
            progress.call1(py, (done.min(total), total))?;
        }
        Ok(())
    }

    /// Passes warnings on to Python's `warnings`.
    fn warn(&self, py: Python<'_>) -> PyResult<()> {
        let mut waiting = self.exchange.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        let messages = std::mem::take(&mut *waiting);
        drop(waiting);
        for message in messages {
            py.import("warnings")?.call_method1("warn", (message,))?;
        }
        Ok(())
    }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}
