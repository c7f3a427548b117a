//! The `wcodec` command.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// Blocks come and go by the megabyte: giving their pages back each time costs more than coding
/// some of them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(wcodec_cli::run(std::env::args_os()))
}
