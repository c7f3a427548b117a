//! What the coded planes of a block are decoded with.

use super::class_tables::ClassTables;
use super::decode::BlockJob;
use super::head::{Kind, Plane};
use super::side::{SharedTable, Side};
use crate::error::{Result, corrupt};
use crate::geometry::Scan;
use crate::scale::{BlockClasses, Units};
use wcodec_kernels::{Classes, Coded, DecodeTable, Level, LowBits, Sorted, Steps};

/// What the symbols of a plane are decoded with.
pub(super) enum PlaneTables<'a> {
    Shared(&'a DecodeTable),
    Own(Box<DecodeTable>),
    Classes(Box<PlaneClasses<'a>>),
}

/// The tables of a plane whose steps have classes.
pub(super) struct PlaneClasses<'a> {
    tables: Vec<&'a DecodeTable>,
    scan: Scan,
    block: BlockClasses,
    /// Whether the elements are sorted.
    sorted: bool,
    /// Low bits by table, and their length in the stream.
    low: &'a [u8],
    low_len: usize,
}

impl<'a> PlaneTables<'a> {
    /// Of a plane, its number and its stream; `None` if it is not coded. `sorted` has the elements by base class.
    pub(super) fn of(
        level: Level,
        job: &BlockJob<'a>,
        (number, plane, stream): (usize, &Plane, &[u8]),
        sorted: Option<&Sorted>,
    ) -> Result<Option<PlaneTables<'a>>> {
        Ok(Some(match &plane.kind {
            Kind::Raw | Kind::Constant(_) => return Ok(None),
            Kind::Shared(number) => {
                PlaneTables::Shared(shared_table(job.side, *number, plane)?.decoder()?)
            }
            Kind::Own(table) => PlaneTables::Own(Box::new(table.decoder()?)),
            Kind::Classes => PlaneTables::of_scale(level, job, plane, stream)?,
            Kind::BaseClasses => PlaneTables::of_base(level, job, (number, plane, stream), sorted)?,
        }))
    }

    /// The scale classes of a plane.
    fn of_scale(
        level: Level,
        job: &BlockJob<'a>,
        plane: &Plane,
        stream: &[u8],
    ) -> Result<PlaneTables<'a>> {
        let (Some(scale), Some((row, col))) = (&job.side.scale, job.corner) else {
            return Err(corrupt!("the first plane has scale classes, its group has none"));
        };
        let (rows, cols) = (row..row + job.rows, col..col + job.cols);
        let Some(block) = scale.classes.of_block(rows, cols, job.contexts) else {
            return Err(corrupt!("the first plane has a context scan, its block has no contexts"));
        };
        let scan = (scale.classes.scan.kernel(), false);
        PlaneTables::of_classes(level, job, ("scale", plane, stream), &scale.tables, (scan, block))
    }

    /// The base classes of a plane.
    fn of_base(
        level: Level,
        job: &BlockJob<'a>,
        (number, plane, stream): (usize, &Plane, &[u8]),
        sorted: Option<&Sorted>,
    ) -> Result<PlaneTables<'a>> {
        let of_plane = job.side.based.as_ref().and_then(|based| based.plane(number));
        let (Some(of_plane), Some(sorted)) = (of_plane, sorted) else {
            return Err(corrupt!("plane {number} has base classes, its group has none for it"));
        };
        let of_step = sorted.of_steps(Steps::linear(job.rows * job.cols), &of_plane.of_class);
        let block = BlockClasses { of_step, ..BlockClasses::default() };
        let scan = (Scan::Row, true);
        PlaneTables::of_classes(
            level,
            job,
            ("base", plane, stream),
            &of_plane.tables,
            (scan, block),
        )
    }

    /// Classes of a plane, whose stream must have the low bits that they want.
    fn of_classes(
        level: Level,
        job: &BlockJob<'a>,
        (what, plane, stream): (&str, &Plane, &[u8]),
        tables: &'a ClassTables,
        ((scan, sorted), block): ((Scan, bool), BlockClasses),
    ) -> Result<PlaneTables<'a>> {
        if tables.width != plane.width {
            let (have, want) = (tables.width, plane.width);
            return Err(corrupt!("{what} classes have width {have}, the plane {want}"));
        }
        let low = &tables.low[..];
        let steps = Steps::of(scan, job.rows, job.cols);
        let low_bits = LowBits { widths: low, packed: &[] }.bits(level, steps, &block.of_step);
        let low_len = low_bits.map_or(usize::MAX, |bits| bits.div_ceil(8));
        let Some(packed) = stream.len().checked_sub(low_len).map(|start| &stream[start..]) else {
            let have = stream.len();
            return Err(corrupt!("low bits take {low_len} bytes, the stream has {have}"));
        };
        match (packed.last(), low_bits.unwrap_or(0) % 8) {
            (Some(last), used @ 1..) if last >> used != 0 => {
                return Err(corrupt!("unused bits behind the low bits are not zero"));
            }
            _ => {}
        }
        let tables = tables.decoders()?.iter().collect();
        let classes = PlaneClasses { tables, scan, block, sorted, low, low_len };
        Ok(PlaneTables::Classes(Box::new(classes)))
    }

    /// The units that it is coded in.
    pub(super) fn units(&self) -> Option<&Units> {
        match self {
            PlaneTables::Classes(classes) => classes.block.units.as_ref(),
            PlaneTables::Shared(_) | PlaneTables::Own(_) => None,
        }
    }

    /// The plane as the kernels see it. `scan` is that of the segment.
    pub(super) fn coded<'b>(
        &'b self,
        stream: &'b [u8],
        scan: Scan,
        elements: Option<&'b Sorted>,
    ) -> Coded<'b> {
        let one = |table| {
            let (classes, order, low) = (Classes::one(table), &[][..], LowBits::default());
            Coded { classes, stream, scan, order, low, sorted: None }
        };
        match self {
            PlaneTables::Shared(table) => one(*table),
            PlaneTables::Own(table) => one(&**table),
            PlaneTables::Classes(classes) => {
                let PlaneClasses { tables, scan, block, sorted, low, low_len } = &**classes;
                let (stream, packed) = stream.split_at(stream.len() - low_len);
                Coded {
                    classes: Classes::per_step(tables, &block.of_step),
                    stream,
                    scan: *scan,
                    order: &block.order,
                    low: LowBits { widths: low, packed },
                    sorted: elements.filter(|_| *sorted),
                }
            }
        }
    }
}

fn shared_table<'a>(side: &'a Side, number: u16, plane: &Plane) -> Result<&'a SharedTable> {
    let count = side.tables.len();
    let Some(shared) = side.tables.get(usize::from(number)) else {
        return Err(corrupt!("shared table {number} of {count} does not exist"));
    };
    if shared.width != plane.width {
        let (have, want) = (shared.width, plane.width);
        return Err(corrupt!("shared table {number} has width {have}, the plane {want}"));
    }
    Ok(shared)
}
