//! The library's errors as Python's exceptions. The classes are written in Python.

use pyo3::exceptions::{PyKeyboardInterrupt, PyMemoryError, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::io;
use wcodec::{Error, ErrorKind};

/// The exception for an error.
pub(crate) fn to_python(py: Python<'_>, error: &Error) -> PyErr {
    let class = match error.kind() {
        ErrorKind::Io(io) => return system(py, io, error),
        ErrorKind::Argument(_) => return PyValueError::new_err(error.to_string()),
        ErrorKind::Interrupted => return PyKeyboardInterrupt::new_err(()),
        ErrorKind::Truncated { .. } => "TruncatedError",
        ErrorKind::TrailingBytes { .. }
        | ErrorKind::NotWcodec
        | ErrorKind::Corrupt(_)
        | ErrorKind::Checksum { .. } => "CorruptError",
        ErrorKind::Unsupported { .. } => "UnsupportedError",
        ErrorKind::Limit { .. } => "LimitError",
        ErrorKind::Base(_) => "MissingBaseError",
        _ => "WcodecError",
    };
    placed(py, class, error).unwrap_or_else(|failed| failed)
}

/// The exception for something that must not happen.
pub(crate) fn internal(py: Python<'_>, what: &str) -> PyErr {
    let text = format!("internal error, please report it: {what}");
    let made = class(py, "WcodecError").and_then(|class| class.call1((text,)));
    made.map_or_else(|failed| failed, PyErr::from_value)
}

fn class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("wcodec._errors")?.getattr(name)
}

fn placed(py: Python<'_>, name: &str, error: &Error) -> PyResult<PyErr> {
    let place = PyDict::new(py);
    place.set_item("file", error.file())?;
    place.set_item("layer", error.layer())?;
    place.set_item("block", error.block())?;
    place.set_item("byte", error.byte())?;
    let value = class(py, name)?.call((error.to_string(),), Some(&place))?;
    Ok(PyErr::from_value(value))
}

/// The system's number of an error; where that is lost, the usual one of its kind.
fn number_of(py: Python<'_>, error: &io::Error) -> Option<i32> {
    let usual = || {
        let name = match error.kind() {
            io::ErrorKind::NotFound => "ENOENT",
            io::ErrorKind::PermissionDenied => "EACCES",
            io::ErrorKind::NotADirectory => "ENOTDIR",
            io::ErrorKind::ReadOnlyFilesystem => "EROFS",
            io::ErrorKind::StorageFull => "ENOSPC",
            _ => return None,
        };
        py.import("errno").ok()?.getattr(name).ok()?.extract().ok()
    };
    error.raw_os_error().or_else(usual)
}

/// `OSError` with the system's number and the file's name chooses its subclass by itself.
fn system(py: Python<'_>, io: &io::Error, error: &Error) -> PyErr {
    let Some(number) = number_of(py, io) else {
        return match io.kind() {
            io::ErrorKind::OutOfMemory => PyMemoryError::new_err(error.to_string()),
            _ => PyOSError::new_err(error.to_string()),
        };
    };
    let text = py.import("os").and_then(|os| os.call_method1("strerror", (number,)));
    match (text, error.file()) {
        (Ok(text), Some(file)) => {
            PyOSError::new_err((number, text.unbind(), file.as_os_str().to_owned()))
        }
        (Ok(text), None) => PyOSError::new_err((number, text.unbind())),
        (Err(failed), _) => failed,
    }
}
