//! Where commands read from and write to: files, or standard input and output, which are spooled
//! through unnamed files. The codec reads at positions, and nothing is passed on before it is
//! complete and verified.

use crate::terminal::Terminal;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use wcodec::{AtomicFile, Error, ErrorKind, OutputFile, ReadAt as _, Result};

/// Bytes of standard input that are read at a time.
const PIECE: usize = 1 << 20;

pub(super) fn is_stream(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// A file, or all of standard input.
pub(super) struct Input {
    pub(super) file: File,
    /// What errors call it.
    pub(super) name: PathBuf,
    streamed: bool,
}

impl Input {
    pub(super) fn open(path: &Path) -> Result<Input> {
        if !is_stream(path) {
            let (file, name) = (wcodec::open_regular(path)?, path.to_path_buf());
            return Ok(Input { file, name, streamed: false });
        }
        let name = PathBuf::from("standard input");
        let mut spool = OutputFile::temporary()?;
        let mut buffered = BufWriter::with_capacity(PIECE, &mut spool);
        let copied = io::copy(&mut io::stdin().lock(), &mut buffered);
        copied.and_then(|_| buffered.flush()).map_err(|e| Error::from(e).in_file(&name))?;
        drop(buffered);
        Ok(Input { file: spool.into_file(), name, streamed: true })
    }

    /// Names this input in an error.
    pub(super) fn place(&self, error: Error) -> Error {
        error.in_file(&self.name)
    }

    /// All of it, in memory.
    pub(super) fn bytes(&self) -> Result<Vec<u8>> {
        let read = || {
            let size =
                usize::try_from(self.file.size()?).map_err(|_| io::ErrorKind::OutOfMemory)?;
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(size).map_err(|_| io::ErrorKind::OutOfMemory)?;
            bytes.resize(size, 0);
            self.file.read_exact_at(&mut bytes, 0)?;
            Ok(bytes)
        };
        read().map_err(|e: io::Error| self.place(e.into()))
    }
}

/// A file that appears when it is complete, or standard output.
pub(super) enum Output {
    Named(AtomicFile),
    Stdout(OutputFile),
}

impl Output {
    /// With `force` an existing file is replaced, and a terminal is written to.
    pub(super) fn create(path: &Path, force: bool) -> Result<Output> {
        if !is_stream(path) {
            return Ok(Output::Named(AtomicFile::create(path, force)?));
        }
        if io::stdout().is_terminal() && !force {
            let text = "is a terminal; --force writes to it all the same";
            let error = Error::from(ErrorKind::Argument(text.to_owned()));
            return Err(error.in_file(Path::new("standard output")));
        }
        Ok(Output::Stdout(OutputFile::temporary()?))
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

    pub(super) fn file(&mut self) -> &mut OutputFile {
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
            Output::Stdout(spool) => {
                // The file has no name, so nothing stays of it.
                terminal.finish();
                terminal.go_on()?;
                let mut file = spool.into_file();
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
