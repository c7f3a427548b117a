//! `wcodec verify`.

use super::stream::Input;
use crate::args::VerifyArgs;
use crate::report;
use crate::terminal::Terminal;
use wcodec::{DecodeOptions, Result};

pub(super) fn run(args: &VerifyArgs) -> Result<()> {
    let mut options = DecodeOptions::default();
    options.threads = args.run.threads;
    options.limits = super::limits(&args.limits);
    options.bases = super::bases(&args.bases)?;
    let input = Input::open(&args.input)?;
    let terminal = Terminal::new(args.run.quiet)?;
    let stats = wcodec::verify(&input.file, &options, &terminal).map_err(|e| input.place(e))?;
    terminal.finish();
    if args.run.json {
        return report::print_json(&report::stats_json(&stats));
    }
    report::print(&format!(
        "{}: sound, {} blocks, all hashes match",
        args.input.display(),
        stats.blocks
    ))
}
