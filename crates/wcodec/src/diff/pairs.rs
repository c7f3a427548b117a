//! Which layers of two files are compared with each other.

use super::side::Side;
use crate::base::known::{MOST_TRIED, NAMED_GAIN, OTHER_GAIN};
use crate::base::matching::distance;
use crate::base::residual;
use crate::dtype::ElementType;
use crate::error::Result;
use crate::layer::Layer;
use crate::options::{Observer, go_on};
use rayon::prelude::*;
use std::collections::{HashMap, VecDeque};
use std::iter::once;
use std::sync::OnceLock;
use wcodec_kernels::Level;

/// What A has for a layer of B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Partner {
    None,
    /// A layer of the same name, but of another shape or dtype.
    OtherForm(usize),
    /// A layer whose elements can be compared one by one; `flip` inverts their highest bits before.
    Same {
        a: usize,
        flip: bool,
    },
}

pub(super) struct Pairs {
    /// For each layer of B.
    pub(super) of_b: Vec<Partner>,
    /// Layers of A that no layer of B has for its partner.
    pub(super) only_a: Vec<usize>,
}

/// What layers have in common that can be compared: family, shape and bytes.
type Form<'a> = (&'a str, &'a [u64], u64);

fn form(layer: &Layer) -> Form<'_> {
    let family = match layer.element() {
        // One may be the other, shifted by half its range.
        Some(ElementType::I8 | ElementType::U8) => "8-bit integers",
        _ => &layer.dtype,
    };
    (family, &layer.shape, layer.bytes)
}

/// A layer of A that has no partner yet.
struct Free {
    number: usize,
    sample: OnceLock<Vec<u8>>,
}

struct Matcher<'a> {
    a: &'a Side<'a>,
    b: &'a Side<'a>,
    level: Level,
    of_b: Vec<Partner>,
    taken: Vec<bool>,
}

impl Pairs {
    pub(super) fn find(a: &Side<'_>, b: &Side<'_>, observer: &dyn Observer) -> Result<Pairs> {
        let (of_b, taken) = (vec![Partner::None; b.layers.len()], vec![false; a.layers.len()]);
        let mut matcher = Matcher { a, b, level: Level::detect(), of_b, taken };
        let names = a.layers.iter().map(|located| &*located.layer.name).zip(0..);
        let names: HashMap<&str, usize> = names.collect();
        matcher.by_name(&names)?;
        matcher.by_form(observer)?;
        matcher.other_forms(&names);
        let Matcher { of_b, taken, .. } = matcher;
        let only_a = (0..taken.len()).filter(|&number| !taken[number]).collect();
        Ok(Pairs { of_b, only_a })
    }
}

impl Matcher<'_> {
    fn by_name(&mut self, names: &HashMap<&str, usize>) -> Result<()> {
        for number in 0..self.of_b.len() {
            let layer = &self.b.layers[number].layer;
            let Some(&a) = names.get(&*layer.name) else { continue };
            let other = &self.a.layers[a].layer;
            if form(layer) != form(other) {
                continue;
            }
            let (element, theirs) = (layer.element_or_bytes(), other.element_or_bytes());
            let mut flip = Some(false);
            if element != theirs {
                let own = self.b.sample(number)?;
                let found = distance(self.level, (element, &own), (theirs, &self.a.sample(a)?));
                let most = self.most(element, &own, NAMED_GAIN);
                flip = (found.0 < most).then_some(found.1);
            }
            if let Some(flip) = flip {
                self.join(number, a, flip);
            }
        }
        Ok(())
    }

    /// Finds layers under other names.
    fn by_form(&mut self, observer: &dyn Observer) -> Result<()> {
        let (a, b) = (self.a, self.b);
        let mut free: HashMap<Form<'_>, VecDeque<Free>> = HashMap::new();
        for (number, located) in a.layers.iter().enumerate().filter(|(n, _)| !self.taken[*n]) {
            let one = Free { number, sample: OnceLock::new() };
            free.entry(form(&located.layer)).or_default().push_back(one);
        }
        for (number, located) in b.layers.iter().enumerate() {
            let layer = &located.layer;
            let Some(free) = free.get_mut(&form(layer)) else { continue };
            if self.of_b[number] != Partner::None || layer.bytes == 0 {
                continue;
            }
            go_on(observer)?;
            // What was found is taken out, so that samples of the first ones alone are ever held.
            let near = free.len().min(MOST_TRIED);
            let found = self.nearest(number, &free.make_contiguous()[..near])?;
            if let Some((place, flip)) = found
                && let Some(found) = free.remove(place)
            {
                self.join(number, found.number, flip);
            }
        }
        Ok(())
    }

    /// The place among these layers of A of the one that a layer of B is most like.
    fn nearest(&self, number: usize, free: &[Free]) -> Result<Option<(usize, bool)>> {
        let (own, element) =
            (self.b.sample(number)?, self.b.layers[number].layer.element_or_bytes());
        let mut samples = Vec::with_capacity(free.len());
        for one in free {
            let theirs = self.a.layers[one.number].layer.element_or_bytes();
            let sample = match one.sample.get() {
                Some(sample) => sample,
                None => {
                    let sample = self.a.sample(one.number)?;
                    one.sample.get_or_init(|| sample)
                }
            };
            // Constant layers have nothing to gain.
            if element == theirs && *sample == own {
                return Ok(Some((samples.len(), false)));
            }
            samples.push((theirs, sample));
        }
        let distances = samples.par_iter().enumerate().map(|(place, &(theirs, sample))| {
            let (bits, flip) = distance(self.level, (element, &own), (theirs, sample));
            (bits, place, flip)
        });
        let nearest = distances.min().filter(|near| near.0 < self.most(element, &own, OTHER_GAIN));
        Ok(nearest.map(|(_, place, flip)| (place, flip)))
    }

    /// What the difference may take at most, if one part in `gain` is to be saved of a sample.
    fn most(&self, element: ElementType, own: &[u8], gain: u64) -> u64 {
        let plain = residual::price(self.level, element, once(own));
        plain - plain / gain
    }

    fn other_forms(&mut self, names: &HashMap<&str, usize>) {
        for (partner, located) in self.of_b.iter_mut().zip(&self.b.layers) {
            if let (Partner::None, Some(&a)) = (*partner, names.get(&*located.layer.name))
                && !self.taken[a]
            {
                *partner = Partner::OtherForm(a);
                self.taken[a] = true;
            }
        }
    }

    fn join(&mut self, b: usize, a: usize, flip: bool) {
        self.of_b[b] = Partner::Same { a, flip };
        self.taken[a] = true;
    }
}
