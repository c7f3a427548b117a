//! The extension module of the Python package `wcodec`: thin bindings, without `unsafe`.
//!
//! What Python users see is written in Python, in `python/wcodec`; this module gives it the reader,
//! the encoder and the command. Work is done without the interpreter's lock, in threads of the
//! package's own (`pool`), while the thread that called waits, listens for Ctrl-C and reports
//! progress (`call`).
#![forbid(unsafe_code)]

mod call;
mod diff;
mod encode;
mod errors;
mod pool;
mod reader;
mod stats;
mod tensors;

use pyo3::prelude::*;
use std::ffi::OsString;

/// Blocks come and go by the megabyte: giving their pages back each time costs more than coding
/// some of them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the `wcodec` command and gives its exit code.
#[pyfunction]
fn main(py: Python<'_>, args: Vec<OsString>) -> u8 {
    py.detach(|| wcodec_cli::run(args))
}

#[pymodule]
mod _wcodec {
    #[pymodule_export]
    use super::diff::diff;
    #[pymodule_export]
    use super::encode::{encode_checkpoint, encode_layer, encode_tensors};
    #[pymodule_export]
    use super::main;
    #[pymodule_export]
    use super::reader::{Reader, decode_checkpoint};

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "the name that Python packages give it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
    #[pymodule_export]
    const FORMAT_VERSION: (u16, u16) = wcodec::FORMAT_VERSION;
}
