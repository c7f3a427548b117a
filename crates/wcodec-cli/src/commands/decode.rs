//! `wcodec decode`.

use super::stream::{Input, Output, output_path};
use crate::args::DecodeArgs;
use crate::report;
use crate::terminal::Terminal;
use wcodec::{DecodeOptions, Error, ErrorKind, Result};

pub(super) fn run(args: DecodeArgs) -> Result<()> {
    let mut options = DecodeOptions::default();
    options.threads = args.run.threads;
    options.limits = super::limits(&args.limits);
    options.bases = super::bases(&args.bases)?;
    let output = output_path(&args.input, args.output, |input| {
        if input.extension().is_some_and(|e| e == "wcodec") {
            return Ok(input.with_extension(""));
        }
        let text = "name does not end in .wcodec; name the output with -o".to_owned();
        Err(Error::from(ErrorKind::Argument(text)).in_file(input))
    })?;
    let input = Input::open(&args.input)?;
    // Signals are caught before there is anything that they could leave behind.
    let terminal = Terminal::new(args.run.quiet)?;
    let mut target = Output::create(&output, args.force)?;
    let stats = wcodec::decode_to(&input.file, target.file(), &options, &terminal)
        .map_err(|e| input.place(e))?;
    terminal.finish();
    let to_stdout = target.is_stdout();
    target.commit()?;
    report::finished(&output, &stats, args.run.json, to_stdout)
}
