//! `wcodec encode`.

use super::stream::{Input, Output, output_path};
use crate::args::EncodeArgs;
use crate::report;
use crate::terminal::Terminal;
use wcodec::Result;

pub(super) fn run(args: EncodeArgs) -> Result<()> {
    let mut options = super::encode_options(&args.codec);
    options.threads = args.run.threads;
    options.verify = !args.no_verify;
    options.bases = super::bases(&args.bases)?;
    let output = output_path(&args.input, args.output, |input| {
        let mut name = input.as_os_str().to_owned();
        name.push(".wcodec");
        Ok(name.into())
    })?;
    let input = Input::open(&args.input)?;
    // Signals are caught before there is anything that they could leave behind.
    let terminal = Terminal::new(args.run.quiet)?;
    let mut target = Output::create(&output, args.force)?;
    let stats = wcodec::encode_to(&input.file, target.file(), &options, &terminal)
        .map_err(|e| input.place(e))?;
    terminal.finish();
    let to_stdout = target.is_stdout();
    target.commit()?;
    report::finished(&output, &stats, args.run.json, to_stdout)
}
