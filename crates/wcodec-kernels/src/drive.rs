//! How streams are decoded side by side, whatever a step looks like.

use crate::rans::StreamJob;
use crate::{LANES, StreamError, scalar};

/// Hands over items `MOST` at a time, then two, then one.
pub(crate) fn in_groups<const MOST: usize, T>(mut items: &mut [T], mut work: impl FnMut(&mut [T])) {
    while !items.is_empty() {
        let size = match items.len() {
            len if len >= MOST => MOST,
            2.. => 2,
            _ => 1,
        };
        let (now, rest) = items.split_at_mut(size);
        work(now);
        items = rest;
    }
}

/// A stream, and where the verdict on it goes.
pub(crate) type Judged<'j, 'a> = (&'j mut StreamJob<'a>, &'j mut Result<(), StreamError>);

/// Hands the streams of 32 lanes that `fits` takes to `vectors`, all others to the portable decoder.
pub(crate) fn decode_jobs<'a>(
    jobs: &mut [StreamJob<'a>],
    fits: impl Fn(&StreamJob<'_>) -> bool,
    vectors: impl FnOnce(Vec<Judged<'_, 'a>>),
) -> Vec<Result<(), StreamError>> {
    let mut verdicts: Vec<Result<(), StreamError>> = jobs.iter().map(|_| Ok(())).collect();
    let mut fitting = Vec::with_capacity(jobs.len());
    for (job, verdict) in jobs.iter_mut().zip(&mut verdicts) {
        if job.steps.lanes() == LANES && fits(job) {
            fitting.push((job, verdict));
        } else {
            *verdict = scalar::rans::decode(job);
        }
    }
    vectors(fitting);
    verdicts
}

/// All values, or the first error.
pub(crate) fn all_ok<T, E, const N: usize>(results: [Result<T, E>; N]) -> Result<[T; N], E> {
    let values: Vec<T> = results.into_iter().collect::<Result<_, E>>()?;
    match values.try_into() {
        Ok(values) => Ok(values),
        Err(_) => unreachable!("as many values as results"),
    }
}

/// Makes `run` and `decode_group` for a kind of step. The module that calls it has
///
/// - `Lanes`: a stream between two steps, with `new(stream)`, `safe_steps()` (how many steps the rest of
///   the words is enough for, whatever they take), `step::<NEAR_END>(table, active)` and `end()`;
/// - `store(out, table, symbols)`: writes the 32 output bytes of what a step gave.
///
/// `$table` is what a step decodes with; `$of` finds it in a [`DecodeTable`](crate::DecodeTable), or
/// makes it from one. With a `$generic` constant, lanes and `store` have that parameter.
macro_rules! drive {
    (features: $features:literal, $(generic: $generic:ident: $of_generic:ty,)? table: $table:ty, of: $of:expr, symbols: $symbols:ty) => {
        /// Decodes full steps of `N` streams in turn. `table(stream, step)` tells what each step
        /// decodes with, `sink(stream, step, table, symbols)` gets what it gives.
        #[inline]
        #[target_feature(enable = $features)]
        pub(super) fn run<'t, $(const $generic: $of_generic,)? const N: usize>(
            lanes: &mut [Lanes<'_ $(, $generic)?>; N],
            steps: std::ops::Range<usize>,
            table: impl Fn(usize, usize) -> &'t $table,
            mut sink: impl FnMut(usize, usize, &$table, $symbols),
        ) {
            const { assert!(N <= 4) };
            // A compiler keeps copies in registers; the address of the caller's is known to other code.
            let mut own = *lanes;
            let mut step = steps.start;
            while step < steps.end {
                let safe = own.iter().map(Lanes::safe_steps).min().unwrap_or(0);
                // Written out for each stream: states must stay in registers, and a loop over `N`
                // is not always unrolled.
                macro_rules! step_of {
                    ($near_end:literal, $step:expr, $n:literal) => {
                        if $n < N {
                            let table = table($n, $step);
                            let symbols = own[$n].step::<$near_end>(table, u32::MAX);
                            sink($n, $step, table, symbols);
                        }
                    };
                    ($near_end:literal, $step:expr) => {
                        step_of!($near_end, $step, 0);
                        step_of!($near_end, $step, 1);
                        step_of!($near_end, $step, 2);
                        step_of!($near_end, $step, 3);
                    };
                }
                if safe == 0 {
                    for step in step..steps.end {
                        step_of!(true, step);
                    }
                    break;
                }
                let end = steps.end.min(step + safe);
                for step in step..end {
                    step_of!(false, step);
                }
                step = end;
            }
            *lanes = own;
        }

        /// Decodes the tail steps of a stream, which have fewer lanes, into `out`.
        #[target_feature(enable = $features)]
        pub(super) fn tail<'t $(, const $generic: $of_generic)?>(
            lanes: &mut Lanes<'_ $(, $generic)?>,
            steps: $crate::Steps,
            table: impl Fn(usize) -> &'t $table,
            out: &mut [u8],
        ) {
            let active = !u32::MAX.checked_shl(steps.tail_lanes() as u32).unwrap_or(0);
            if active == 0 {
                return;
            }
            for (step, out) in (steps.full()..).zip(out.chunks_exact_mut(steps.tail_lanes())) {
                let table = table(step);
                let symbols = lanes.step::<true>(table, active);
                let mut bytes = [0u8; $crate::LANES];
                // SAFETY: 32 bytes are writable.
                unsafe { store$(::<$generic>)?(bytes.as_mut_ptr(), table, symbols) };
                out.copy_from_slice(&bytes[..out.len()]);
            }
        }

        /// Decodes `N` streams of 32 lanes side by side and sets their verdicts.
        #[target_feature(enable = $features)]
        pub(super) fn decode_group<$(const $generic: $of_generic,)? const N: usize>(
            jobs: [&mut (&mut $crate::StreamJob<'_>, &mut Result<(), $crate::StreamError>); N],
        ) {
            // Tables, or references to them.
            let of_class: [Vec<_>; N] =
                std::array::from_fn(|n| jobs[n].0.classes.tables().map($of).collect());
            if jobs.iter().all(|job| job.0.classes.of_step().is_empty()) {
                // Known to the compiler: no look-up of classes in the loop.
                let tables: [&$table; N] = std::array::from_fn(|n| -> &$table { &of_class[n][0] });
                decode_with::<$($generic,)? N>(jobs, |n, _| tables[n]);
            } else {
                let of_step: [&[u8]; N] = std::array::from_fn(|n| jobs[n].0.classes.of_step());
                decode_with::<$($generic,)? N>(jobs, |n, step| -> &$table {
                    &of_class[n][of_step[n].get(step).map_or(0, |&class| usize::from(class))]
                });
            }
        }

        #[inline]
        #[target_feature(enable = $features)]
        fn decode_with<'t, $(const $generic: $of_generic,)? const N: usize>(
            mut jobs: [&mut (&mut $crate::StreamJob<'_>, &mut Result<(), $crate::StreamError>); N],
            table: impl Fn(usize, usize) -> &'t $table,
        ) {
            let streams: [&[u8]; N] = std::array::from_fn(|n| jobs[n].0.stream);
            let starts = streams.map(|stream| Lanes$(::<'_, $generic>)?::new(stream));
            let mut lanes = match $crate::drive::all_ok(starts) {
                Ok(lanes) => lanes,
                // A stream that does not even begin leaves the others to be decoded one by one.
                Err(_) if N > 1 => {
                    return jobs.into_iter().for_each(|job| decode_group::<$($generic,)? 1>([job]));
                }
                Err(error) => return *jobs[0].1 = Err(error),
            };
            let common = jobs.iter().map(|job| job.0.steps.full()).min().unwrap_or(0);
            let starts: [*mut u8; N] = std::array::from_fn(|n| jobs[n].0.out.as_mut_ptr());
            let sink = |n: usize, step: usize, table: &$table, symbols: $symbols| {
                // SAFETY: `step` is below the full steps of each stream, whose `out` has 32 bytes
                // for each.
                unsafe {
                    store$(::<$generic>)?(starts[n].add($crate::LANES * step), table, symbols);
                };
            };
            run(&mut lanes, 0..common, &table, sink);
            // Longer streams go on side by side.
            let full: [usize; N] = std::array::from_fn(|n| jobs[n].0.steps.full());
            let mut steps = common..common;
            loop {
                let longer: Vec<usize> = (0..N).filter(|&n| full[n] > steps.end).collect();
                let Some(end) = longer.iter().map(|&n| full[n]).min() else { break };
                steps = steps.end..end;
                match longer[..] {
                    [a, b, c] => go_on([a, b, c], &mut lanes, steps.clone(), &table, sink),
                    [a, b] => go_on([a, b], &mut lanes, steps.clone(), &table, sink),
                    _ => longer.iter().for_each(|&a| {
                        go_on([a], &mut lanes, steps.clone(), &table, sink);
                    }),
                }
            }
            for (n, (job, mut lanes)) in jobs.iter_mut().zip(lanes).enumerate() {
                let steps = job.0.steps;
                let rest = &mut job.0.out[steps.full_symbols()..];
                tail(&mut lanes, steps, |step| table(n, step), rest);
                *job.1 = lanes.end();
            }
        }

        /// Decodes more steps of some of the streams.
        #[inline]
        #[target_feature(enable = $features)]
        fn go_on<'t, $(const $generic: $of_generic,)? const M: usize, const N: usize>(
            streams: [usize; M],
            lanes: &mut [Lanes<'_ $(, $generic)?>; N],
            steps: std::ops::Range<usize>,
            table: impl Fn(usize, usize) -> &'t $table,
            sink: impl Fn(usize, usize, &$table, $symbols),
        ) {
            let mut some = streams.map(|n| lanes[n]);
            run(
                &mut some,
                steps,
                |m, step| table(streams[m], step),
                |m, step, table, symbols| sink(streams[m], step, table, symbols),
            );
            for (n, some) in streams.into_iter().zip(some) {
                lanes[n] = some;
            }
        }
    };
}
pub(crate) use drive;
