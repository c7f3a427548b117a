//! The `wcodec` command as a function: the binary and the Python package's console script call it.
#![forbid(unsafe_code)]

mod args;
mod commands;
mod report;
mod terminal;

use clap::Parser as _;
use std::ffi::OsString;
use wcodec::ErrorKind;

/// Runs the command with these arguments, the first of which is its name. Gives the exit code.
#[must_use]
pub fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    let args = match args::Args::try_parse_from(args) {
        Ok(args) => args,
        Err(message) => {
            // Help, or what does not fit; a closed pipe is no failure.
            let _ = message.print();
            return message.exit_code() as u8;
        }
    };
    let failed: fn(&ErrorKind) -> u8 = match args.command {
        args::Command::Diff(_) => diff_exit_code,
        _ => exit_code,
    };
    match commands::run(args) {
        Ok(code) => code,
        Err(error) => {
            report::tell(&format!("wcodec: {error}"));
            failed(error.kind())
        }
    }
}

/// Exit codes, as `wcodec --help` lists them.
fn exit_code(kind: &ErrorKind) -> u8 {
    match kind {
        ErrorKind::Argument(_) => 2,
        ErrorKind::Truncated { .. }
        | ErrorKind::TrailingBytes { .. }
        | ErrorKind::NotWcodec
        | ErrorKind::Corrupt(_)
        | ErrorKind::Checksum { .. } => 3,
        ErrorKind::Unsupported { .. } | ErrorKind::Limit { .. } => 4,
        ErrorKind::Base(_) => 5,
        ErrorKind::Interrupted => 130,
        _ => 1,
    }
}

/// As for other tools that compare, 1 tells that the files differ.
fn diff_exit_code(kind: &ErrorKind) -> u8 {
    match exit_code(kind) {
        1 => 2,
        code => code,
    }
}
