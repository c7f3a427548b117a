//! What callers choose, and what they are told meanwhile.

use crate::base::bases::Bases;
use crate::error::{Error, ErrorKind, Result};
use crate::geometry::{MAX_BLOCK_BYTES, Scan, TileConfig};
use crate::predict::PredictorSet;
use std::sync::atomic::{AtomicU64, Ordering};
use wcodec_kernels::MAX_PRODUCTS;

/// The records of smaller blocks would take many times the memory of their elements.
const MIN_BLOCK_ELEMENTS: u64 = 64;

/// Products of a mean that are tried by default.
const DEFAULT_PRODUCTS: usize = 4;

/// How much an encoder tries. What it writes decodes by the same code, and at about the same speed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Frequency tables for blocks or groups of them; files of format version 1.0.
    Fast,
    /// Scale classes as well, found on samples.
    #[default]
    Default,
    /// The same, without samples where that may matter.
    Max,
}

/// What the encoder does. The default is right for nearly everything.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EncodeOptions {
    /// How much is tried. Default: [`Effort::Default`].
    pub effort: Effort,
    /// Most products of a predicted mean, up to 32; `None` takes 4, or 32 at [`Effort::Max`].
    pub products: Option<usize>,
    /// Size of the tiles that share a predictor. Default 16 x 16.
    pub tile: TileConfig,
    /// Predictors that a tile may take; the choice is by bits. Default: all.
    pub predictors: PredictorSet,
    /// Rows and columns of a block, 64 to 524,288 elements; `None` chooses 65,536 to 262,144.
    pub block: Option<(u32, u32)>,
    /// Scan of every layer; `None` chooses.
    pub scan: Option<Scan>,
    /// Checkpoints that layers may be predicted from: the files given, not those in folders, of which at
    /// most 16 can become bases. Decoding then asks for them. Default: none.
    pub bases: Bases,
    /// Threads; `None` takes one per core. The output does not depend on it.
    pub threads: Option<usize>,
    /// Decode what was written and compare before it is kept. Default true.
    pub verify: bool,
    /// Replace an existing file. Default false.
    pub force: bool,
}

impl Default for EncodeOptions {
    fn default() -> EncodeOptions {
        EncodeOptions {
            effort: Effort::Default,
            products: None,
            tile: TileConfig::default(),
            predictors: PredictorSet::ALL,
            block: None,
            scan: None,
            bases: Bases::new(),
            threads: None,
            verify: true,
            force: false,
        }
    }
}

impl EncodeOptions {
    /// What scale classes may be.
    pub(crate) fn scale(&self) -> ScaleOptions {
        let products = if self.effort == Effort::Max { MAX_PRODUCTS } else { DEFAULT_PRODUCTS };
        ScaleOptions {
            scan: self.scan,
            whole: self.effort == Effort::Max,
            products: self.products.unwrap_or(products),
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.tile.rows == 0 || self.tile.cols == 0 {
            let TileConfig { rows, cols } = self.tile;
            return Err(Error::argument(format!("tile of {rows} x {cols}, expected at least 1")));
        }
        if let Some(products) = self.products.filter(|&n| n > MAX_PRODUCTS) {
            return Err(Error::argument(format!(
                "{products} products of a mean, at most {MAX_PRODUCTS} expected"
            )));
        }
        if let Some((rows, cols)) = self.block {
            // Eight bytes are the widest element.
            let most = MAX_BLOCK_BYTES / 8;
            let elements = u64::from(rows) * u64::from(cols);
            if !(MIN_BLOCK_ELEMENTS..=most).contains(&elements) {
                return Err(Error::argument(format!(
                    "block of {rows} x {cols}, expected {MIN_BLOCK_ELEMENTS} to {most} elements"
                )));
            }
        }
        check_threads(self.threads)
    }
}

/// What scale classes may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScaleOptions {
    /// Their scan, if it is fixed.
    pub(crate) scan: Option<Scan>,
    /// Whether they are fitted to all of the data.
    pub(crate) whole: bool,
    /// Most products of a mean.
    pub(crate) products: usize,
}

/// What decoding a whole file does.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DecodeOptions {
    /// What the file may ask for.
    pub limits: crate::Limits,
    /// Among what the bases of the file are looked for. Default: nothing.
    pub bases: Bases,
    /// Threads, at most [`MAX_THREADS`]; `None` takes one per core.
    pub threads: Option<usize>,
    /// Replace an existing file. Default false.
    pub force: bool,
}

/// Most threads that may be asked for: each costs memory and, with more of them than cores, time.
pub const MAX_THREADS: usize = 1024;

fn check_threads(threads: Option<usize>) -> Result<()> {
    match threads {
        Some(threads) if !(1..=MAX_THREADS).contains(&threads) => {
            Err(Error::argument(format!("{threads} threads, expected 1 to {MAX_THREADS}")))
        }
        _ => Ok(()),
    }
}

/// Runs `work` with so many threads.
pub(crate) fn with_threads<T: Send>(
    threads: Option<usize>,
    work: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    check_threads(threads)?;
    match threads {
        None => work(),
        Some(threads) => rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|e| Error::argument(format!("cannot start {threads} threads: {e}")))?
            .install(work),
    }
}

/// Is told how far a call has come, and may stop it.
pub trait Observer: Sync {
    /// `done` of `total` bytes of the original have been dealt with.
    fn progress(&self, done: u64, total: u64) {
        let _ = (done, total);
    }

    /// Something the user should know that is not an error.
    fn warn(&self, message: &str) {
        let _ = message;
    }

    /// Whether to stop; the call then fails with [`ErrorKind::Interrupted`](crate::ErrorKind::Interrupted).
    fn cancelled(&self) -> bool {
        false
    }
}

/// An observer that looks away.
impl Observer for () {}

/// Passes on the wish to stop, but no progress: that was shown already.
pub(crate) struct Quiet<'a>(pub(crate) &'a dyn Observer);

impl Observer for Quiet<'_> {
    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}

/// Fails if it is time to stop.
pub(crate) fn go_on(observer: &dyn Observer) -> Result<()> {
    if observer.cancelled() { Err(ErrorKind::Interrupted.into()) } else { Ok(()) }
}

/// An observer of work that several threads do.
pub(crate) struct Watch<'a> {
    observer: &'a dyn Observer,
    done: AtomicU64,
    total: u64,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(observer: &'a dyn Observer, total: u64) -> Watch<'a> {
        Watch { observer, done: AtomicU64::new(0), total }
    }

    /// Does work on so many bytes, unless it is time to stop.
    pub(crate) fn step<T>(&self, bytes: u64, work: impl FnOnce() -> Result<T>) -> Result<T> {
        go_on(self.observer)?;
        let result = work()?;
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.observer.progress(done, self.total);
        Ok(result)
    }
}
