//! The `wcodec` command.
#![forbid(unsafe_code)]

mod args;
mod commands;
mod report;
mod terminal;

use clap::Parser as _;
use std::process::ExitCode;
use wcodec::ErrorKind;

/// Blocks come and go by the megabyte: giving their pages back each time costs more than coding
/// some of them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = args::Args::parse();
    match commands::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        // A reader that has seen enough (`wcodec info | head`) is no failure.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wcodec: {error}");
            exit_code(error.kind())
        }
    }
}

fn is_broken_pipe(error: &wcodec::Error) -> bool {
    matches!(error.kind(), ErrorKind::Io(e) if e.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Exit codes, as `wcodec --help` lists them.
fn exit_code(kind: &ErrorKind) -> ExitCode {
    ExitCode::from(match kind {
        ErrorKind::Argument(_) => 2,
        ErrorKind::Truncated { .. }
        | ErrorKind::TrailingBytes { .. }
        | ErrorKind::NotWcodec
        | ErrorKind::Corrupt(_)
        | ErrorKind::Checksum { .. } => 3,
        ErrorKind::Unsupported { .. } | ErrorKind::Limit { .. } => 4,
        ErrorKind::Interrupted => 130,
        _ => 1,
    })
}
