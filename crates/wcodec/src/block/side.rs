//! The side block of a group: frequency tables that its blocks share. FORMAT.md section 6.4.
//!
//! | at | bytes | field | legal |
//! | --- | --- | --- | --- |
//! | 0 | 2 | tables | at most 256 |
//! | 2 | 2 | scale classes | 1 to 64; 1 for none |
//! | 4 | 1 | scan of planes with classes; without classes, planes with base classes | 0 row, 1 column, 2 context (since 1.4, of elements of one byte); since 1.4 0 to 16 |
//! | 5 | 1 | lowest sum of factors | 0 for the context scan |
//! | 6 | 1 | width of planes with classes | 1 to 12; it and the one before are 0 without classes |
//! | 7 | 1 | products of a mean | 0 to 32; 0 unless classes are of integers of one byte or, since 1.2, of floats |
//! | 8 | | for each table one byte, its width, then the table | width 1 to 12 |
//! | | | base classes, FORMAT.md section 11.3 |
//! | | 2 | for the context scan, the lowest sum, signed | |
//! | | | with classes: a bit for each, whether it takes the next table; row factors, column factors; products | |

use super::class_tables::{ClassTables, read_map, write_map};
use crate::base::classes::BaseClasses;
use crate::base::plan::BasePlan;
use crate::dtype::ElementType;
use crate::entropy::table::{MAX_WIDTH, Table};
use crate::error::{Result, corrupt};
use crate::planes::MAX_PLANES;
use crate::scale::factors::{MEAN_WIDTH, SCALE_WIDTH};
use crate::scale::mean::{self, Mean, Use};
use crate::scale::plan::ScalePlan;
use crate::scale::{ClassScan, MAX_CLASSES, MAX_FACTORS, ScaleClasses, factors};
use crate::version::{FORMAT_VERSION, MINOR_BASES, MINOR_CONTEXTS, MINOR_SCALE};
use std::sync::OnceLock;
use wcodec_kernels::{DecodeTable, Level, MAX_PRODUCT_EXPONENT, MAX_PRODUCTS};

/// Most tables of a side block.
const MAX_TABLES: u16 = 256;
/// Longest payload of a side block.
pub(crate) const MAX_LEN: u32 = 1 << 20;

/// A table, and what decodes it once a block has asked for that: a hostile side block could list
/// many that none uses.
pub(crate) struct SharedTable {
    pub(crate) width: u32,
    pub(crate) table: Table,
    decoder: OnceLock<DecodeTable>,
}

impl SharedTable {
    pub(crate) fn decoder(&self) -> Result<&DecodeTable> {
        if let Some(decoder) = self.decoder.get() {
            return Ok(decoder);
        }
        let decoder = self.table.decoder()?;
        Ok(self.decoder.get_or_init(|| decoder))
    }
}

/// What the blocks of a group share.
#[derive(Default)]
pub(crate) struct Side {
    pub(crate) tables: Vec<SharedTable>,
    pub(crate) scale: Option<SideClasses>,
    pub(crate) based: Option<BaseClasses>,
}

impl Side {
    /// The number of factors, of scales and of products.
    pub(crate) fn factors(&self) -> u64 {
        let Some(SideClasses { classes, .. }) = &self.scale else { return 0 };
        ((classes.rows.len() + classes.cols.len()) * (1 + classes.means.len())) as u64
    }

    /// What blocks of the view have predicted means for; `None` if the group has none.
    pub(crate) fn use_of_means(&self, element: ElementType) -> Option<Use> {
        // Whether the file's version has them was checked when they were read.
        let of = Use::of(element, FORMAT_VERSION.1);
        of.filter(|_| self.scale.as_ref().is_some_and(|scale| !scale.classes.means.is_empty()))
    }
}

/// Scale classes as a reader needs them. Their tables are the first ones of the side block.
pub(crate) struct SideClasses {
    pub(crate) classes: ScaleClasses,
    pub(crate) tables: ClassTables,
}

/// What a side block must fit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupShape {
    pub(crate) element: ElementType,
    /// Rows and columns of the view that belong to the group.
    pub(crate) rows: u64,
    pub(crate) cols: u64,
    /// Minor version of the file.
    pub(crate) minor: u16,
}

/// Serialises the tables, each with its width, and classes of scale or base, whose tables come first.
pub(crate) fn write(
    level: Level,
    tables: &[(u32, Table)],
    (scale, based): (Option<&ScalePlan>, Option<&BasePlan>),
) -> Result<Vec<u8>> {
    let of_base = based.map_or(0, BasePlan::table_count);
    let count = tables.len() + scale.map_or(0, |plan| plan.tables.len()) + of_base;
    let mut out = (count as u16).to_le_bytes().to_vec();
    let head = match scale {
        None => [1, 0, based.map_or(0, |plan| plan.planes.len() as u8), 0, 0, 0],
        Some(ScalePlan { classes, width, .. }) => {
            let (scan, lowest) = match classes.scan {
                ClassScan::Row => (0, classes.lowest as u8),
                ClassScan::Column => (1, classes.lowest as u8),
                ClassScan::Context => (2, 0),
            };
            let means = classes.means.len() as u8;
            [classes.tables.len() as u8, 0, scan, lowest, *width as u8, means]
        }
    };
    out.extend_from_slice(&head);
    let of_classes = scale.into_iter().flat_map(ScalePlan::tables);
    let of_base = based.into_iter().flat_map(BasePlan::tables);
    for (width, table) in of_classes.chain(of_base).chain(tables.iter().cloned()) {
        out.push(width as u8);
        table.write(width, &mut out);
    }
    if let Some(plan) = based {
        plan.write(&mut out);
    }
    if let Some(ScalePlan { classes, .. }) = scale {
        if classes.scan == ClassScan::Context {
            out.extend_from_slice(&classes.lowest.to_le_bytes());
        }
        write_map(&classes.tables, &mut out);
        factors::write(level, &classes.rows, SCALE_WIDTH, &mut out)?;
        factors::write(level, &classes.cols, SCALE_WIDTH, &mut out)?;
        for Mean { exponent, rows, cols } in &classes.means {
            out.push(*exponent);
            for list in [rows, cols] {
                let list: Vec<u8> = list.iter().map(|&factor| factor as u8 ^ 0x80).collect();
                factors::write(level, &list, MEAN_WIDTH, &mut out)?;
            }
        }
    }
    Ok(out)
}

/// Parses and checks the side block of a group of this shape.
pub(crate) fn read(level: Level, bytes: &[u8], shape: GroupShape) -> Result<Side> {
    let Some((head, mut rest)) = bytes.split_first_chunk::<8>() else {
        return Err(corrupt!("side block of {} bytes, expected at least 8", bytes.len()));
    };
    let count = u16::from_le_bytes([head[0], head[1]]);
    let classes = usize::from(u16::from_le_bytes([head[2], head[3]]));
    if shape.minor < MINOR_SCALE && classes != 1 {
        return Err(corrupt!("side block has {classes} scale classes, expected 1"));
    }
    if classes == 0 || classes > MAX_CLASSES {
        return Err(corrupt!(
            "side block has {classes} scale classes, expected 1 to {MAX_CLASSES}"
        ));
    }
    let planes = if classes == 1 && shape.minor >= MINOR_BASES { head[4] } else { 0 };
    if classes == 1 && head[4..] != [planes, 0, 0, 0] {
        return Err(corrupt!("reserved bytes of the side block are not zero"));
    }
    if usize::from(planes) > MAX_PLANES {
        return Err(corrupt!("base classes of {planes} planes, at most {MAX_PLANES} expected"));
    }
    if count > MAX_TABLES {
        return Err(corrupt!("side block has {count} tables, at most {MAX_TABLES} expected"));
    }
    let mut tables = Vec::new();
    for number in 0..count {
        let Some((&width, after)) = rest.split_first() else {
            return Err(corrupt!("side block ends before table {number} of {count}"));
        };
        let width = u32::from(width);
        if width == 0 || width > MAX_WIDTH {
            return Err(corrupt!("table {number} has width {width}, expected 1 to {MAX_WIDTH}"));
        }
        let (table, used) =
            Table::read(width, after).map_err(|e| corrupt!("table {number}: {}", e.kind()))?;
        tables.push(SharedTable { width, table, decoder: OnceLock::new() });
        rest = &after[used..];
    }
    let (mut scale, mut based) = (None, None);
    if planes > 0 {
        let (found, after) = BaseClasses::read(shape.element, planes, rest, &tables)?;
        based = Some(found);
        rest = after;
    }
    if classes > 1 {
        let (found, after) = read_classes(level, (head, classes), rest, &tables, shape)?;
        scale = Some(found);
        rest = after;
    }
    if !rest.is_empty() {
        return Err(corrupt!("{} bytes behind the contents of the side block", rest.len()));
    }
    Ok(Side { tables, scale, based })
}

/// The lowest sum of a scan, and what is behind it.
fn read_lowest(scan: ClassScan, of_head: u8, bytes: &[u8]) -> Result<(i16, &[u8])> {
    if scan != ClassScan::Context {
        return Ok((of_head.into(), bytes));
    }
    match bytes.split_first_chunk() {
        Some((lowest, rest)) if of_head == 0 => Ok((i16::from_le_bytes(*lowest), rest)),
        Some(_) => Err(corrupt!("lowest sum in the head is {of_head}, expected 0")),
        None => Err(corrupt!("side block ends before the lowest sum")),
    }
}

fn read_classes<'b>(
    level: Level,
    (head, count): (&[u8; 8], usize),
    bytes: &'b [u8],
    tables: &[SharedTable],
    shape: GroupShape,
) -> Result<(SideClasses, &'b [u8])> {
    let GroupShape { element, rows, cols, minor } = shape;
    let scan = match head[4] {
        0 => ClassScan::Row,
        1 => ClassScan::Column,
        2 if minor >= MINOR_CONTEXTS => ClassScan::Context,
        scan => {
            let most = 1 + u8::from(minor >= MINOR_CONTEXTS);
            return Err(corrupt!("scan of scale classes is {scan}, at most {most} expected"));
        }
    };
    let (width, products) = (u32::from(head[6]), usize::from(head[7]));
    let (lowest, bytes) = read_lowest(scan, head[5], bytes)?;
    if scan == ClassScan::Context && (element.size() != 1 || width != 8) {
        let name = element.name();
        return Err(corrupt!("context scan of {width} bits of {name}, expected 8 of a byte"));
    }
    if width == 0 || width > MAX_WIDTH {
        return Err(corrupt!("scale classes of {width} bits, expected 1 to {MAX_WIDTH}"));
    }
    if products > MAX_PRODUCTS || (products > 0 && Use::of(element, shape.minor).is_none()) {
        let name = element.name();
        return Err(corrupt!(
            "means of {products} products, {name} may have none or at most {MAX_PRODUCTS}"
        ));
    }
    if rows.max(cols) > MAX_FACTORS || rows.min(cols) == 0 {
        return Err(corrupt!(
            "scale classes of {rows} rows and {cols} columns, expected 1 to {MAX_FACTORS}"
        ));
    }
    // Both numbers are small by now.
    if products as u64 > mean::most(rows, cols) {
        return Err(corrupt!(
            "{products} products have more factors than {rows} x {cols} elements"
        ));
    }
    let (of_class, rest) = read_map("scale classes", count, bytes)?;
    let used = of_class.last().map_or(0, |&last| usize::from(last) + 1);
    let Some(tables) = tables.get(..used) else {
        let have = tables.len();
        return Err(corrupt!("scale classes take {used} tables, the side block has {have}"));
    };
    let tables = ClassTables::of("scale classes", width, tables, 0)?;
    let (rows, cols) = (rows as usize, cols as usize);
    let (row_factors, rest) = factors::read(level, rows, SCALE_WIDTH, rest)?;
    let (col_factors, mut rest) = factors::read(level, cols, SCALE_WIDTH, rest)?;
    let mut means = Vec::with_capacity(products);
    for number in 0..products {
        let Some((&exponent, after)) = rest.split_first() else {
            return Err(corrupt!("side block ends before product {number} of {products}"));
        };
        if u32::from(exponent) > MAX_PRODUCT_EXPONENT {
            let most = MAX_PRODUCT_EXPONENT;
            return Err(corrupt!(
                "product {number} has exponent {exponent}, at most {most} expected"
            ));
        }
        let (rows, after) = factors::read(level, rows, MEAN_WIDTH, after)?;
        let (cols, after) = factors::read(level, cols, MEAN_WIDTH, after)?;
        let signed = |list: Vec<u8>| list.iter().map(|&factor| (factor ^ 0x80) as i8).collect();
        means.push(Mean { exponent, rows: signed(rows), cols: signed(cols) });
        rest = after;
    }
    let (rows, cols) = (row_factors, col_factors);
    let classes = ScaleClasses { scan, lowest, tables: of_class, rows, cols, means };
    Ok((SideClasses { classes, tables }, rest))
}
