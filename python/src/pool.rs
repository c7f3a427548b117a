//! The threads that encode and decode.

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::{Arc, Mutex, PoisonError};

/// The pool and the process that it belongs to.
static POOL: Mutex<Option<(u32, Arc<ThreadPool>)>> = Mutex::new(None);

/// The pool of this process: one thread per core, or as many as `RAYON_NUM_THREADS` says. A forked
/// process has none of its parent's threads, so it starts its own; waiting for the others would
/// never end.
pub(crate) fn pool() -> PyResult<Arc<ThreadPool>> {
    let mut slot = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if let Some((owner, pool)) = &*slot
        && *owner == process
    {
        return Ok(Arc::clone(pool));
    }
    let pool = ThreadPoolBuilder::new()
        .thread_name(|number| format!("wcodec-{number}"))
        .build()
        .map_err(|e| PyOSError::new_err(format!("cannot start threads: {e}")))?;
    let pool = Arc::new(pool);
    // Dropping the parent's pool would speak to threads that do not exist here.
    std::mem::forget(slot.replace((process, Arc::clone(&pool))));
    Ok(pool)
}
