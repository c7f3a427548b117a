//! From a source to a container: cuts the original into segments and feeds the writer.

use crate::base::matching::Partners;
use crate::base::own;
use crate::container::bases::Reference;
use crate::container::directory::{Directory, LayerEntry, Segment};
use crate::container::read_at::{ReadAt, read_with};
use crate::copies;
use crate::dtype::ElementType;
use crate::error::Result;
use crate::geometry::{Scan, TileConfig, plan};
use crate::layer::Layer;
use crate::lowbits;
use crate::options::{Effort, EncodeOptions, Observer, go_on};
use crate::packing::{Layout, MAX_LAYOUTS, MAX_STRUCT_BYTES, Packing, Structs};
use crate::pivots;
use crate::source::{Listing, Located};
use crate::stats::Stats;
use crate::writer::{Writer, batches};
use std::io::Write;

/// A smaller layer goes with the bytes around it: a block of its own would cost more than coding
/// it can gain.
const MIN_LAYER_BYTES: u64 = 512;
/// The same for a layer of structs, whose fields each have a segment.
const MIN_PACKED_BYTES: u64 = 2048;
/// Bytes of structs in one packing, so that a reader holds some times as many.
const PACKING_BYTES: u64 = 8 << 20;

/// How an original is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// A segment for each layer, but the smallest.
    Layers,
    /// Layers are known, but lie in segments of bytes.
    Bytes,
    /// Bytes alone.
    Opaque,
}

/// Cuts an original into segments.
struct Planner<'a> {
    options: &'a EncodeOptions,
    partners: &'a Partners,
    directory: Directory,
    covered: u64,
    /// Where files end that were not reached.
    ends: std::vec::IntoIter<u64>,
    /// Small layers that will lie in the next opaque segment.
    waiting: Vec<&'a Located>,
}

impl Planner<'_> {
    /// Covers the bytes before a layer of an archive, or before its end: a segment ends where a file does.
    fn files_until(&mut self, at: u64) -> Result<()> {
        while let Some(&end) = self.ends.as_slice().first().filter(|&&end| end <= at) {
            self.ends.next();
            self.opaque_until(end)?;
        }
        Ok(())
    }

    fn opaque_until(&mut self, end: u64) -> Result<()> {
        let bytes = end - self.covered;
        if bytes == 0 && self.waiting.is_empty() {
            return Ok(());
        }
        let segment = self.directory.segments.len() as u32;
        for Located { layer, at, .. } in std::mem::take(&mut self.waiting) {
            self.enter(layer, segment, at - self.covered);
        }
        self.directory.segments.push(opaque_segment(bytes)?);
        self.covered = end;
        Ok(())
    }

    fn enter(&mut self, layer: &Layer, segment: u32, offset: u64) {
        self.directory.layers.push(LayerEntry { layer: layer.clone(), segment, offset });
    }

    fn layer(&mut self, number: usize, layer: &Layer) -> Result<()> {
        let segment = self.directory.segments.len() as u32;
        if let Some(&Some(base)) = self.partners.of_layers.get(number) {
            self.directory.references.push(Reference { segment, base });
        }
        self.enter(layer, segment, 0);
        self.directory.segments.push(layer_segment(layer, self.options)?);
        self.covered += layer.bytes;
        Ok(())
    }

    /// A layer of structs, cut into packings.
    fn packings(&mut self, layer: &Layer, structs: &Structs) -> Result<()> {
        let (directory, layout) = (&mut self.directory, &structs.layout);
        let known = directory.layouts.iter().position(|known| known == layout);
        let number = known.unwrap_or_else(|| {
            directory.layouts.push(layout.clone());
            directory.layouts.len() - 1
        });
        self.enter(layer, self.directory.segments.len() as u32, 0);
        for (count, rows) in pieces(layer, structs)? {
            let segment = self.directory.segments.len() as u32;
            let packing = Packing { segment, layout: number as u32, structs: count };
            self.directory.packings.push(packing);
            let context = layout.context();
            for (number, stream) in layout.streams().iter().enumerate() {
                let cols = count * stream.count as u64 / rows;
                let together = structs.view.and_then(|view| view.together);
                let segment = matrix_segment(stream.element, (rows, cols), together, self.options)?;
                self.directory.segments.push(match context {
                    Some((of, context)) if of == number => {
                        in_units(segment, context.unit(&layout.fields), self.options)?
                    }
                    _ => segment,
                });
            }
        }
        self.covered += layer.bytes;
        Ok(())
    }
}

/// The segments of an original, and where its layers lie in them.
pub(crate) fn directory(
    source: &impl ReadAt,
    listing: &Listing,
    size: u64,
    cut: Cut,
    (partners, options): (&Partners, &EncodeOptions),
    observer: &dyn Observer,
) -> Result<Directory> {
    let mut structs = match cut {
        Cut::Layers => {
            let structs = lowbits::settled(source, listing, (partners, options), observer)?;
            let structs = pivots::settled(source, &listing.layers, structs, observer)?;
            match options.effort {
                // Which has no classes.
                Effort::Fast => structs.into_iter().map(without_context).collect(),
                Effort::Default | Effort::Max => structs,
            }
        }
        Cut::Bytes | Cut::Opaque => vec![None; listing.layers.len()],
    };
    keep_to_limits(&mut structs);
    let bases = partners.bases.iter().map(|base| base.base.clone()).collect();
    let entries = listing.entries.clone();
    let ends = entries.iter().scan(0, |at, entry| {
        *at += entry.bytes;
        Some(*at)
    });
    let ends = ends.collect::<Vec<u64>>().into_iter();
    let directory = Directory { bases, entries, ..Directory::default() };
    let (covered, waiting) = (0, Vec::new());
    let mut planner = Planner { options, partners, directory, covered, ends, waiting };
    for (number, (located, structs)) in listing.layers.iter().zip(structs).enumerate() {
        planner.files_until(located.at)?;
        let least = if structs.is_some() { MIN_PACKED_BYTES } else { MIN_LAYER_BYTES };
        match cut {
            Cut::Layers if located.layer.bytes >= least => {
                planner.opaque_until(located.at)?;
                match structs {
                    Some(structs) => planner.packings(&located.layer, &structs)?,
                    None => planner.layer(number, &located.layer)?,
                }
            }
            Cut::Layers | Cut::Bytes => planner.waiting.push(located),
            Cut::Opaque => {}
        }
    }
    planner.files_until(size)?;
    planner.opaque_until(size)?;
    let mut directory = planner.directory;
    if cut != Cut::Opaque {
        copies::find(source, &mut directory, observer)?;
        own::find(source, &mut directory, observer)?;
    }
    Ok(directory)
}

/// Gives up structs whose layouts are more than a file may have.
fn keep_to_limits(structs: &mut [Option<Structs>]) {
    let mut known: Vec<Layout> = Vec::new();
    let mut bytes = 0;
    for structs in structs {
        structs.take_if(|Structs { layout, .. }| {
            if known.contains(layout) {
                return false;
            }
            let more = bytes + u64::from(layout.bytes);
            let fits = known.len() < MAX_LAYOUTS as usize && more <= MAX_STRUCT_BYTES;
            if fits {
                bytes = more;
                known.push(layout.clone());
            }
            !fits
        });
    }
}

fn without_context(structs: Option<Structs>) -> Option<Structs> {
    let Structs { layout, view } = structs?;
    Some(Structs { layout: Layout { context: None, ..layout }, view })
}

/// The packings that a layer is cut into: structs, and rows of their view. They are whole rows, unless one
/// is longer than a packing.
fn pieces(layer: &Layer, structs: &Structs) -> Result<Vec<(u64, u64)>> {
    let Structs { layout, view } = structs;
    let (count, bytes) = (layout.structs(layer)?, u64::from(layout.bytes));
    let across = layer.shape.last().map_or(1, |&last| last / u64::from(layout.values));
    let step = match view {
        Some(_) => structs.step().map_or(count, |step| step / bytes),
        None => across,
    };
    let most = (PACKING_BYTES / bytes).max(1);
    let rows = |structs: u64| match view {
        Some(view) => structs * (layout.codes() as u64) / view.cols,
        None => structs / across,
    };
    Ok(if step <= most {
        let pieces = even(count.div_ceil(step), most / step).scan(0, |done, steps| {
            let structs = (steps * step).min(count - *done);
            *done += structs;
            Some(structs)
        });
        pieces.map(|structs| (structs, rows(structs))).collect()
    } else {
        even(count, most).map(|structs| (structs, 1)).collect()
    })
}

/// Cuts `count` into pieces of at most `most`, equal as far as they can be.
fn even(count: u64, most: u64) -> impl Iterator<Item = u64> {
    let piece = count.div_ceil(count.div_ceil(most));
    (0..count).step_by(piece as usize).map(move |at| (count - at).min(piece))
}

/// The cut of bytes of no known structure.
pub(crate) fn opaque_segment(bytes: u64) -> Result<Segment> {
    let geometry = plan::opaque(bytes).checked()?;
    Ok(Segment { geometry, scan: Scan::Row, tile: TileConfig::default(), side: false })
}

/// The cut of a layer that has a segment of its own.
pub(crate) fn layer_segment(layer: &Layer, options: &EncodeOptions) -> Result<Segment> {
    match layer.element() {
        Some(element) => {
            let (rows, cols) = layer.matrix();
            matrix_segment(element, (rows, cols), None, options)
        }
        None => matrix_segment(ElementType::Bytes, (1, layer.bytes), None, options),
    }
}

/// The cut of a matrix of elements, of which so many rows together share their columns' scales.
fn matrix_segment(
    element: ElementType,
    (rows, cols): (u64, u64),
    together: Option<u64>,
    options: &EncodeOptions,
) -> Result<Segment> {
    let geometry = plan::layer(element, rows, cols, options.block);
    let geometry = match together.filter(|_| options.block.is_none()) {
        Some(together) => plan::in_groups(geometry, together),
        None => geometry,
    };
    let geometry = geometry.checked()?;
    Ok(Segment {
        scan: options.scan.unwrap_or_else(|| plan::scan(&geometry)),
        tile: options.tile,
        // Several groups decide together: block numbers must not depend on later groups.
        side: geometry.groups() > 1,
        geometry,
    })
}

/// The same cut, but rows of blocks are whole units of elements that have a context.
fn in_units(segment: Segment, unit: usize, options: &EncodeOptions) -> Result<Segment> {
    let mut geometry = segment.geometry;
    let whole = geometry.cols > 0 && geometry.cols.is_multiple_of(unit as u64);
    if options.block.is_none() && whole {
        let cols = u64::from(geometry.block_cols).next_multiple_of(unit as u64);
        geometry.block_cols = cols.min(geometry.cols) as u32;
    }
    Ok(Segment { geometry: geometry.checked()?, ..segment })
}

/// Encodes `source` into `out`; every option has been checked.
pub(crate) fn encode(
    source: &impl ReadAt,
    listing: &Listing,
    cut: Cut,
    out: impl Write,
    partners: &Partners,
    options: &EncodeOptions,
    observer: &dyn Observer,
) -> Result<Stats> {
    let size = source.size()?;
    let directory = directory(source, listing, size, cut, (partners, options), observer)?;
    let mut writer = Writer::planned(out, listing.kind, directory, &partners.bases, options)?;
    let mut buffer = Vec::new();
    for (batch, range) in batches(&writer.pieces(0)?) {
        let bytes = read_with(source, range.start, range.end - range.start, &mut buffer)?;
        writer.encode(batch, bytes, Some(source))?;
        observer.progress(range.end, size);
        go_on(observer)?;
    }
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_layouts_than_a_file_may_have_are_given_up() {
        let of = |bytes| {
            let layout = Layout { bytes, values: 32, fields: Vec::new(), context: None };
            Some(Structs { layout, view: None })
        };
        let mut structs: Vec<_> = (0..MAX_LAYOUTS + 2).map(|k| of(20 + k)).collect();
        structs.extend([None, of(20)]);
        keep_to_limits(&mut structs);
        let kept = |k: u32| k < MAX_LAYOUTS || k == MAX_LAYOUTS + 3;
        let expected: Vec<bool> = (0..MAX_LAYOUTS + 4).map(kept).collect();
        assert_eq!(structs.iter().map(Option::is_some).collect::<Vec<_>>(), expected);

        let mut structs = [of(MAX_STRUCT_BYTES as u32 - 1), of(2), of(1)];
        keep_to_limits(&mut structs);
        assert_eq!(structs.each_ref().map(Option::is_some), [true, false, true]);
    }
}
