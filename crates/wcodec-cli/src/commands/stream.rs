//! Where commands read from and write to: files, or standard input and output, which are spooled
//! through unnamed files. The codec reads at positions, and nothing is passed on before it is
//! complete and verified.

use crate::terminal::Terminal;
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use wcodec::{AtomicFile, Error, Result};

pub(super) fn is_stream(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// A file, or all of standard input.
pub(super) struct Input {
    pub(super) file: File,
    name: PathBuf,
    streamed: bool,
}

impl Input {
    pub(super) fn open(path: &Path) -> Result<Input> {
        let streamed = is_stream(path);
        let name = if streamed { PathBuf::from("standard input") } else { path.to_path_buf() };
        let open = || -> io::Result<File> {
            if !streamed {
                let file = File::open(path)?;
                return match file.metadata()?.is_file() {
                    true => Ok(file),
                    false => Err(io::Error::other("not a regular file; use - for a pipe")),
                };
            }
            let mut file = tempfile::tempfile()?;
            io::copy(&mut io::stdin().lock(), &mut file)?;
            Ok(file)
        };
        match open() {
            Ok(file) => Ok(Input { file, name, streamed }),
            Err(error) => Err(Error::from(error).in_file(&name)),
        }
    }

    /// Names this input in an error.
    pub(super) fn place(&self, error: Error) -> Error {
        error.in_file(&self.name)
    }
}

/// A file that appears when it is complete, or standard output.
pub(super) enum Output {
    Named(AtomicFile),
    Stdout(File),
}

impl Output {
    pub(super) fn create(path: &Path, force: bool) -> Result<Output> {
        if is_stream(path) {
            return Ok(Output::Stdout(tempfile::tempfile()?));
        }
        Ok(Output::Named(AtomicFile::create(path, force)?))
    }

    /// As [`Output::create`], of a file that is made of `input` and gets its permissions.
    pub(super) fn create_like(path: &Path, force: bool, input: &Input) -> Result<Output> {
        if is_stream(path) || input.streamed {
            return Output::create(path, force);
        }
        Ok(Output::Named(AtomicFile::create_like(path, force, &input.file)?))
    }

    pub(super) fn is_stdout(&self) -> bool {
        matches!(self, Output::Stdout(_))
    }

    pub(super) fn file(&mut self) -> &mut File {
        match self {
            Output::Named(file) => file.file(),
            Output::Stdout(file) => file,
        }
    }

    /// Lets the output appear, unless the work is to stop.
    pub(super) fn commit(self, terminal: &Terminal) -> Result<()> {
        match self {
            Output::Named(file) => {
                terminal.go_on()?;
                file.commit()
            }
            Output::Stdout(mut file) => {
                // The file has no name, so nothing stays of it.
                terminal.finish();
                terminal.go_on()?;
                let mut copy = || -> io::Result<()> {
                    file.rewind()?;
                    let mut out = io::stdout().lock();
                    io::copy(&mut file, &mut out)?;
                    out.flush()
                };
                copy().map_err(|e| Error::from(e).in_file(Path::new("standard output")))
            }
        }
    }
}

/// The path to write to: what was asked for, standard output for standard input, or what `derive`
/// makes of the input's path.
pub(super) fn output_path(
    input: &Path,
    output: Option<PathBuf>,
    derive: impl FnOnce(&Path) -> Result<PathBuf>,
) -> Result<PathBuf> {
    match output {
        Some(output) => Ok(output),
        None if is_stream(input) => Ok(PathBuf::from("-")),
        None => derive(input),
    }
}
