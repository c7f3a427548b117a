//! Which groups are encoded, and what the others take, judged by them.

use crate::container::BLOCK_ALIGN;
use crate::container::directory::Segment;
use crate::container::index::RECORD_LEN;
use crate::dtype::ElementType;
use crate::error::Result;
use crate::group::EncodedGroup;
use crate::options::{Effort, EncodeOptions};
use crate::pool::Pool;
use crate::scale::plan::GroupContexts;
use crate::writer::{Job, jobs};
use std::collections::BTreeMap;
use wcodec_kernels::Level;

/// Groups to be encoded, of about so many bytes in all; all groups if they have no more. Otherwise
/// the groups of each element type lie end to end, and those are taken that evenly spaced points
/// fall into: with a probability that grows with their size, at least one of each element type.
pub(super) fn choose(
    segments: &[Segment],
    is_copy: impl Fn(usize) -> bool,
    most_bytes: u64,
) -> Vec<Job> {
    let segments_to_code = segments.iter().enumerate().filter(|&(n, _)| !is_copy(n));
    let groups = segments_to_code.flat_map(|(n, segment)| jobs(n, segment.geometry));
    let jobs: Vec<Job> = groups.collect();
    let size = |job: &Job| job.bytes.end - job.bytes.start;
    let total: u64 = jobs.iter().map(size).sum();
    if total <= most_bytes {
        return jobs;
    }
    // What a point falls into is larger than the mean.
    let squares: f64 = jobs.iter().map(|job| (size(job) as f64).powi(2)).sum();
    let points = most_bytes as f64 * total as f64 / squares;
    let step = (total as f64 / points.max(1.0)) as u64;
    let mut kinds: BTreeMap<ElementType, Vec<Job>> = BTreeMap::new();
    for job in jobs {
        kinds.entry(segments[job.segment].geometry.element).or_default().push(job);
    }
    let mut chosen = Vec::new();
    for jobs in kinds.into_values() {
        let bytes: u64 = jobs.iter().map(size).sum();
        let mut at = 0;
        let mut next = step.min(bytes) / 2;
        for job in jobs {
            at += size(&job);
            if next < at {
                chosen.push(job);
                next += step * ((at - next).div_ceil(step));
            }
        }
    }
    chosen
}

/// Bytes that a group, a segment or a file takes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Costs {
    /// As the encoder writes it.
    pub(super) coded: f64,
    /// Without predicted means and signs.
    pub(super) classes: f64,
    /// Without scale classes either.
    pub(super) plain: f64,
}

impl Costs {
    /// Encodes a group.
    pub(super) fn of(
        (job, segment): (&Job, &Segment),
        (bytes, contexts): (&[u8], Option<GroupContexts<'_>>),
        (level, pool): (Level, &Pool),
        options: &EncodeOptions,
    ) -> Result<Costs> {
        let with = |effort, products| {
            let options = EncodeOptions { effort, products, ..options.clone() };
            job.encode(segment, (bytes, None), contexts, (level, pool), &options)
                .map(|group| stored_bytes(&group))
        };
        let coded = with(options.effort, options.products)?;
        if options.effort == Effort::Fast || segment.geometry.element == ElementType::Bytes {
            return Ok(Costs { coded, classes: coded, plain: coded });
        }
        let classes = with(options.effort, Some(0))?;
        Ok(Costs { coded, classes, plain: with(Effort::Fast, None)? })
    }

    pub(super) fn scaled(self, by: f64) -> Costs {
        Costs { coded: self.coded * by, classes: self.classes * by, plain: self.plain * by }
    }

    /// What means and signs save.
    pub(super) fn means_saved(&self) -> f64 {
        (self.classes - self.coded).max(0.0)
    }

    /// What classes save. The encoder takes them for what they save together with means: what they
    /// lose alone does not count.
    pub(super) fn classes_saved(&self) -> f64 {
        (self.plain - self.classes.max(self.coded)).max(0.0)
    }
}

impl std::ops::Add for Costs {
    type Output = Costs;

    fn add(self, other: Costs) -> Costs {
        Costs {
            coded: self.coded + other.coded,
            classes: self.classes + other.classes,
            plain: self.plain + other.plain,
        }
    }
}

impl std::iter::Sum for Costs {
    fn sum<I: Iterator<Item = Costs>>(costs: I) -> Costs {
        costs.fold(Costs::default(), |sum, costs| sum + costs)
    }
}

/// Bytes of the container that are the group's: payloads, padding, records.
fn stored_bytes(group: &EncodedGroup) -> f64 {
    let payloads = group.blocks.iter().map(|block| block.payload.len());
    let stored = |len: usize| (len as u64).next_multiple_of(BLOCK_ALIGN) + RECORD_LEN as u64;
    payloads.chain(group.side.as_ref().map(Vec::len)).map(stored).sum::<u64>() as f64
}

/// What each segment takes: its encoded groups what they took, the rest by its order-0 bound (in
/// bytes), times what encoded groups took by theirs: of the same segment, or of the same element type.
pub(super) fn extrapolate(
    segments: &[Segment],
    bounds: &[f64],
    encoded: &[(Job, Costs)],
) -> Vec<Costs> {
    // Sums of the costs and of the bytes of the encoded groups.
    let mut own = vec![(Costs::default(), 0u64); segments.len()];
    // Costs by bound, and their number.
    let mut kinds: BTreeMap<ElementType, (Costs, f64)> = BTreeMap::new();
    for (job, costs) in encoded {
        let geometry = &segments[job.segment].geometry;
        let bytes = job.bytes.end - job.bytes.start;
        let (sum, covered) = &mut own[job.segment];
        (*sum, *covered) = (*sum + *costs, *covered + bytes);
        // A group was drawn with a probability that grows with its size: each stands for as many bytes.
        let bound = bounds[job.segment] * bytes as f64 / geometry.bytes().max(1) as f64;
        let (rates, count) = kinds.entry(geometry.element).or_default();
        *rates = *rates + costs.scaled(1.0 / bound.max(1.0));
        *count += 1.0;
    }
    let rest = |(index, segment): (usize, &Segment)| {
        let (sum, covered) = own[index];
        let bytes = segment.geometry.bytes();
        if covered == bytes {
            return sum;
        }
        let left = (bytes - covered) as f64;
        if covered > 0 {
            return sum + sum.scaled(left / covered as f64);
        }
        let rates = kinds.get(&segment.geometry.element).copied().unwrap_or_default();
        rates.0.scaled(bounds[index] / f64::max(rates.1, 1.0))
    };
    segments.iter().enumerate().map(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::layer_segment;
    use crate::layer::Layer;

    fn segments() -> Vec<Segment> {
        let layer = |element, rows, cols| {
            let layer = Layer::new("w", element, vec![rows, cols]);
            layer_segment(&layer, &EncodeOptions::default()).unwrap()
        };
        let mut segments: Vec<Segment> =
            (1..60).map(|n| layer(ElementType::I8, 1000 * n, 1024)).collect();
        segments.push(layer(ElementType::F32, 10, 10));
        segments
    }

    #[test]
    fn a_sample_has_about_the_size_that_was_asked_for_and_every_element_type() {
        let segments = segments();
        let bytes = |jobs: &[Job]| jobs.iter().map(|job| job.bytes.end - job.bytes.start).sum();
        let total: u64 = segments.iter().map(|s| s.geometry.bytes()).sum();
        assert_eq!(bytes(&choose(&segments, |_| false, total)), total);
        for most in [20 << 20, 100 << 20, 500 << 20] {
            let chosen = choose(&segments, |_| false, most);
            let bytes: u64 = bytes(&chosen);
            assert!(bytes > most / 2 && bytes < most + most / 2, "{bytes} of {most}");
            let small = |job: &Job| segments[job.segment].geometry.element == ElementType::F32;
            assert_eq!(chosen.iter().filter(|job| small(job)).count(), 1);
            let place =
                |job: &Job| (segments[job.segment].geometry.element, job.segment, job.bytes.start);
            let places: Vec<_> = chosen.iter().map(place).collect();
            assert!(places.is_sorted_by(|a, b| a != b), "none twice");
        }
    }

    #[test]
    fn what_was_not_encoded_is_judged_by_its_bound() {
        let segments = segments();
        let bounds: Vec<f64> = segments.iter().map(|s| s.geometry.bytes() as f64 / 2.0).collect();
        let jobs = choose(&segments, |_| false, 20 << 20);
        let costs = |job: &Job| {
            let bytes = (job.bytes.end - job.bytes.start) as f64;
            Costs { coded: bytes * 0.4, classes: bytes * 0.45, plain: bytes * 0.5 }
        };
        let encoded: Vec<(Job, Costs)> = jobs
            .into_iter()
            .map(|job| {
                let c = costs(&job);
                (job, c)
            })
            .collect();
        for (segment, costs) in segments.iter().zip(extrapolate(&segments, &bounds, &encoded)) {
            let bytes = segment.geometry.bytes() as f64;
            assert!((costs.coded / bytes - 0.4).abs() < 1e-9);
            assert!((costs.means_saved() / bytes - 0.05).abs() < 1e-9);
            assert!((costs.classes_saved() / bytes - 0.05).abs() < 1e-9);
        }
    }
}
