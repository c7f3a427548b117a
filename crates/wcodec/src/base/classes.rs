//! Base classes: frequency tables chosen by the exponents of an element's partner. FORMAT.md section 11.3 is
//! normative.
//!
//! Noise of one size is many steps of a small float and few of a large one, so the exponent of the partner tells how far
//! the residual spreads.

use crate::block::class_tables::{ClassTables, read_map, write_map};
use crate::block::side::SharedTable;
use crate::dtype::ElementType;
use crate::error::{Result, corrupt};
use wcodec_kernels::{Exponent, Level, Sorted};

/// Most classes: decoders keep their tables in the first-level cache.
pub(crate) const MAX_CLASSES: usize = 24;
/// Most exponents that are told apart.
pub(crate) const MAX_SIZES: usize = 64;
/// Most bits of a plane with base classes.
pub(crate) const MAX_CLASS_WIDTH: u32 = 8;
/// What the exponent of a double exceeds that of a float of 32 bits by.
const DOUBLE_BIAS: u16 = 896;

/// Where elements of this type have what their classes come from; `None` if they may have none.
pub(crate) fn exponent(element: ElementType) -> Option<Exponent> {
    let shift = element.mantissa()?;
    let bias = if element == ElementType::F64 { DOUBLE_BIAS } else { 0 };
    Some(Exponent { shift, width: element.bits() - 1 - shift, bias })
}

/// Appends the exponents of elements, a byte each.
pub(crate) fn exponents<'a>(
    level: Level,
    element: ElementType,
    rows: impl Iterator<Item = &'a [u8]>,
    out: &mut Vec<u8>,
) {
    if let Some(exponent) = exponent(element) {
        rows.for_each(|row| wcodec_kernels::exponents(level, element.kernel(), exponent, row, out));
    }
}

/// The class of each exponent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClassMap {
    /// The lowest exponent that is told apart from those below.
    pub(crate) lowest: u8,
    /// Classes from that one on. The last one is also that of all above.
    pub(crate) classes: Vec<u8>,
}

impl ClassMap {
    /// How many classes there are.
    pub(crate) fn count(&self) -> usize {
        self.classes.last().map_or(0, |&last| usize::from(last) + 1)
    }

    /// The class of an exponent.
    pub(crate) fn of(&self, exponent: usize) -> u8 {
        let at = exponent.saturating_sub(usize::from(self.lowest));
        self.classes[at.min(self.classes.len() - 1)]
    }

    /// Sorts the elements of a block by the exponents of their partners, which are these rows.
    pub(crate) fn sort<'a>(
        &self,
        level: Level,
        element: ElementType,
        partners: impl Iterator<Item = &'a [u8]>,
        sorted: &mut Sorted,
    ) {
        if let Some(exponent) = exponent(element) {
            sorted.begin(std::array::from_fn(|exponent| self.of(exponent)), self.count());
            partners.for_each(|row| sorted.push(level, element.kernel(), exponent, row));
        }
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.lowest, self.classes.len() as u8]);
        write_map(&self.classes, out);
    }

    fn read(bytes: &[u8]) -> Result<(ClassMap, &[u8])> {
        let Some((&[lowest, sizes], rest)) = bytes.split_first_chunk() else {
            return Err(corrupt!("side block ends before the base classes"));
        };
        let sizes = usize::from(sizes);
        if !(2..=MAX_SIZES).contains(&sizes) {
            return Err(corrupt!("base classes of {sizes} exponents, expected 2 to {MAX_SIZES}"));
        }
        let (classes, rest) = read_map("exponents", sizes, rest)?;
        let map = ClassMap { lowest, classes };
        match map.count() {
            2..=MAX_CLASSES => Ok((map, rest)),
            count => Err(corrupt!("{count} base classes, expected 2 to {MAX_CLASSES}")),
        }
    }
}

/// The base classes of a group as a reader needs them. Their tables are the first ones of the side block.
pub(crate) struct BaseClasses {
    pub(crate) map: ClassMap,
    pub(crate) planes: Vec<ClassedPlane>,
}

/// A plane that has them.
pub(crate) struct ClassedPlane {
    pub(crate) number: u8,
    /// The table of each class.
    pub(crate) of_class: Vec<u8>,
    pub(crate) tables: ClassTables,
}

impl BaseClasses {
    /// Reads those of so many planes from the front of `bytes`; returns the rest.
    pub(crate) fn read<'b>(
        element: ElementType,
        planes: u8,
        bytes: &'b [u8],
        mut tables: &[SharedTable],
    ) -> Result<(BaseClasses, &'b [u8])> {
        if exponent(element).is_none() {
            return Err(corrupt!("base classes of {}, expected floats", element.name()));
        }
        let (map, mut rest) = ClassMap::read(bytes)?;
        let mut classes = BaseClasses { map, planes: Vec::new() };
        let have = tables.len();
        for _ in 0..planes {
            let Some((&[number, width], after)) = rest.split_first_chunk() else {
                return Err(corrupt!("side block ends before the planes of base classes"));
            };
            if let Some(before) = classes.planes.last().filter(|before| before.number >= number) {
                let before = before.number;
                return Err(corrupt!("base classes of plane {number} behind those of {before}"));
            }
            let width = u32::from(width);
            if width == 0 || width > MAX_CLASS_WIDTH {
                let most = MAX_CLASS_WIDTH;
                return Err(corrupt!("base classes of {width} bits, expected 1 to {most}"));
            }
            let (of_class, after) = read_map("base classes", classes.map.count(), after)?;
            let used = of_class.last().map_or(0, |&last| usize::from(last) + 1);
            let first = have - tables.len();
            let Some((taken, others)) = tables.split_at_checked(used) else {
                let used = first + used;
                return Err(corrupt!("base classes take {used} tables, the side block has {have}"));
            };
            let of_plane = ClassTables::of("base classes", width, taken, first)?;
            classes.planes.push(ClassedPlane { number, of_class, tables: of_plane });
            (tables, rest) = (others, after);
        }
        Ok((classes, rest))
    }

    /// Those of a plane.
    pub(crate) fn plane(&self, number: usize) -> Option<&ClassedPlane> {
        self.planes.iter().find(|plane| usize::from(plane.number) == number)
    }
}
