//! The one error type: what was wrong, where, and what was expected.

use std::fmt;
use std::path::{Path, PathBuf};

/// Result with the crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The file is a prefix of a `.wcodec` file.
    #[error("file ends after {have} bytes, its end is missing")]
    Truncated {
        /// Bytes that are there.
        have: u64,
    },
    /// A complete `.wcodec` file is followed by something else.
    #[error("{extra} bytes behind the end of the file")]
    TrailingBytes {
        /// Bytes too many.
        extra: u64,
    },
    /// The first bytes are not those of a `.wcodec` file.
    #[error("not a wcodec file")]
    NotWcodec,
    /// The file needs a newer reader.
    #[error("format version {major}.{minor}, this reader knows {known_major}.0 to {known_major}.{known_minor}", known_major = crate::version::FORMAT_VERSION.0, known_minor = crate::version::FORMAT_VERSION.1)]
    Unsupported {
        /// Major version of the file.
        major: u16,
        /// Minor version of the file.
        minor: u16,
    },
    /// A field breaks a rule of FORMAT.md.
    #[error("{0}")]
    Corrupt(String),
    /// A hash differs from the stored one.
    #[error("{what} checksum is {found}, expected {expected}")]
    Checksum {
        /// What was hashed.
        what: &'static str,
        /// Hash of what is there, in hexadecimal.
        found: String,
        /// Stored hash, in hexadecimal.
        expected: String,
    },
    /// The file asks for more than the caller's [`Limits`](crate::Limits) or the format allow.
    #[error("{what} is {asked}, the limit is {max}")]
    Limit {
        /// What is limited.
        what: &'static str,
        /// What the file asks for.
        asked: u64,
        /// What is allowed.
        max: u64,
    },
    /// A base that the file is predicted from is missing, another file, or was changed.
    #[error("{0}")]
    Base(String),
    /// An argument of the caller does not fit.
    #[error("{0}")]
    Argument(String),
    /// The [`Observer`](crate::Observer) asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// Reading or writing failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// An error and its place.
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    file: Option<PathBuf>,
    layer: Option<String>,
    block: Option<u64>,
    byte: Option<u64>,
}

impl Error {
    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The layer in which it went wrong, if it was inside one.
    #[must_use]
    pub fn layer(&self) -> Option<&str> {
        self.0.layer.as_deref()
    }

    /// The number of the block in its segment, if it was inside one.
    #[must_use]
    pub fn block(&self) -> Option<u64> {
        self.0.block
    }

    /// Position in the `.wcodec` file, where it is known.
    #[must_use]
    pub fn byte(&self) -> Option<u64> {
        self.0.byte
    }

    /// The file, if it is known.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }

    /// Whether it tells of a `.wcodec` file that is damaged, or none at all.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self.kind() {
            ErrorKind::Truncated { .. }
            | ErrorKind::TrailingBytes { .. }
            | ErrorKind::NotWcodec
            | ErrorKind::Corrupt(_)
            | ErrorKind::Checksum { .. } => true,
            ErrorKind::Unsupported { .. }
            | ErrorKind::Limit { .. }
            | ErrorKind::Base(_)
            | ErrorKind::Argument(_)
            | ErrorKind::Interrupted
            | ErrorKind::Io(_) => false,
        }
    }

    /// Names the file, unless one is named already.
    #[must_use]
    pub fn in_file(mut self, path: &Path) -> Error {
        self.0.file.get_or_insert_with(|| path.to_path_buf());
        self
    }

    /// Puts a place before the text about a broken rule.
    pub(crate) fn within(self, place: fmt::Arguments<'_>) -> Error {
        match self.kind() {
            ErrorKind::Corrupt(text) => corrupt!("{place}: {text}"),
            _ => self,
        }
    }

    pub(crate) fn in_layer(mut self, name: &str) -> Error {
        self.0.layer.get_or_insert_with(|| name.to_owned());
        self
    }

    pub(crate) fn in_block(mut self, block: u64) -> Error {
        self.0.block.get_or_insert(block);
        self
    }

    pub(crate) fn at_byte(mut self, byte: u64) -> Error {
        self.0.byte.get_or_insert(byte);
        self
    }

    pub(crate) fn argument(text: impl Into<String>) -> Error {
        ErrorKind::Argument(text.into()).into()
    }

    pub(crate) fn checksum(what: &'static str, found: u64, expected: u64) -> Error {
        let (found, expected) = (format!("{found:016x}"), format!("{expected:016x}"));
        ErrorKind::Checksum { what, found, expected }.into()
    }

    pub(crate) fn limit(what: &'static str, asked: u64, max: u64) -> Error {
        ErrorKind::Limit { what, asked, max }.into()
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Error {
        Error(Box::new(Inner { kind, file: None, layer: None, block: None, byte: None }))
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Error {
        error.downcast::<Error>().unwrap_or_else(|error| ErrorKind::Io(error).into())
    }
}

/// An error and its place go unharmed through what knows errors of [`std::io`] only.
impl From<Error> for std::io::Error {
    fn from(error: Error) -> std::io::Error {
        let kind = match error.kind() {
            ErrorKind::Io(error) => error.kind(),
            _ => std::io::ErrorKind::Other,
        };
        std::io::Error::new(kind, error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, file, layer, block, byte } = &*self.0;
        if let Some(file) = file {
            write!(f, "{}: ", file.display())?;
        }
        match (layer, block) {
            (Some(layer), Some(block)) => write!(f, "layer {layer:?}, block {block}: ")?,
            (Some(layer), None) => write!(f, "layer {layer:?}: ")?,
            (None, Some(block)) => write!(f, "block {block}: ")?,
            (None, None) => {}
        }
        write!(f, "{kind}")?;
        match byte {
            Some(byte) => write!(f, " (byte {byte})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} [{:?}]", self.0.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.kind {
            ErrorKind::Io(error) => Some(error),
            _ => None,
        }
    }
}

/// Builds an [`ErrorKind::Corrupt`] from a format string.
macro_rules! corrupt {
    ($($text:tt)*) => {
        $crate::Error::from($crate::ErrorKind::Corrupt(format!($($text)*)))
    };
}
pub(crate) use corrupt;
