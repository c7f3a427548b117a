//! Which blocks are decoded without stages, and with what.

use crate::blocks::Block;
use crate::x86_64::avx2::MOST_CLASSES;
use crate::x86_64::avx2::step::Stepper;
use crate::x86_64::avx2::unpack::MOST_BITS;
use crate::x86_64::layout::Layout;

/// A block that can be decoded here.
pub(super) struct Plan<'a, Table> {
    pub(super) layout: Layout<'a>,
    /// Tables of the classes, the last one again for those that there are not.
    tables: [&'a Table; MOST_CLASSES],
    /// What all elements have in common, the base of the fields among it.
    pub(super) constant: u16,
}

impl<'a, Table> Plan<'a, Table> {
    /// The plan of a block; `None` if it or its tables are of another kind.
    pub(super) fn of<S: Stepper<'a, Table = Table>>(
        number: usize,
        block: &Block<'a>,
    ) -> Option<Self> {
        let layout = Layout::of(number, block)?;
        let classes = layout.coded.classes;
        let constant = classes.base()? << layout.shift | layout.constant;
        if layout.steps.count() > layout.steps.full() || !layout.has_at_most(MOST_BITS) {
            return None;
        }
        let tables = S::tables(&classes).filter(|tables| tables.len() <= MOST_CLASSES)?;
        let tables = std::array::from_fn(|class| tables[class.min(tables.len() - 1)]);
        Some(Plan { layout, tables, constant })
    }

    /// The class of a step, and its table.
    #[inline(always)]
    pub(super) fn class(&self, step: usize) -> (usize, &'a Table) {
        let class = self.layout.of_step().get(step).map_or(0, |&class| usize::from(class));
        (class, self.tables[class % MOST_CLASSES])
    }

    /// Whether both can be decoded side by side.
    pub(super) fn goes_with(&self, other: &Self) -> bool {
        let how = |plan: &Self| (plan.layout.element, plan.layout.kind, plan.layout.has_beside());
        how(self) == how(other)
    }
}
