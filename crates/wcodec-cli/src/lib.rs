//! The `wcodec` command as a function: the binary and the Python package's console script call it.
#![forbid(unsafe_code)]

mod args;
mod commands;
mod report;
mod terminal;

use clap::Parser as _;
use std::ffi::OsString;
use wcodec::{Error, ErrorKind};
use wcodec_kernels::Level;

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
    if let Some(level) = Level::unknown() {
        let levels: Vec<&str> = Level::available().map(Level::name).collect();
        let expected = levels.join(", ");
        report::warn(&format!(
            "WCODEC_LEVEL is {level:?} and changes nothing, expected one of {expected}"
        ));
    }
    let failed: fn(&Error) -> u8 = match args.command {
        args::Command::Diff(_) => diff_exit_code,
        _ => exit_code,
    };
    match commands::run(args) {
        Ok(code) => code,
        Err(error) => {
            report::error(&error);
            failed(&error)
        }
    }
}

/// Exit codes, as `wcodec --help` lists them.
fn exit_code(error: &Error) -> u8 {
    match error.kind() {
        _ if error.is_damage() => 3,
        ErrorKind::Argument(_) => 2,
        ErrorKind::Unsupported { .. } | ErrorKind::Limit { .. } => 4,
        ErrorKind::Base(_) => 5,
        ErrorKind::Interrupted => 130,
        _ => 1,
    }
}

/// As for other tools that compare, 1 tells that the files differ.
fn diff_exit_code(error: &Error) -> u8 {
    match exit_code(error) {
        1 => 2,
        code => code,
    }
}
