//! Reading some rows: where lists are asked, and which rows are asked further.
use super::account::{Account, Shared};
use super::rows::slot_service;
use super::state::Fill;
use super::view::RowView;
use crate::plan::{Plan, TablePlan};
use crate::request::{Narrowing, Rows};
use crate::template::{Lookup, Read, text_of};
use arrow::array::AsArray;
use palisade_catalog::Scope;
use palisade_core::CallError;
use palisade_table::Dataset;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is wanted of each table of the plan.
pub(super) struct Wants<'r> {
    rows: Vec<Option<&'r Rows>>,
    /// Regions where each table is asked, for itself or for the tables below it; `None`: everywhere.
    places: Vec<Option<BTreeSet<&'r str>>>,
}

/// Whether a row is wanted.
pub(super) enum Wanted {
    Yes,
    No,
    /// What identifies it could not be read.
    Unknown(Arc<CallError>),
}

impl<'r> Wants<'r> {
    pub(super) fn of(plan: &'r Plan, narrowing: &'r Narrowing) -> Self {
        let rows: Vec<Option<&Rows>> = plan
            .tables
            .iter()
            .map(|t| narrowing.get(t.name()))
            .collect();
        let own = |(table, rows): (&'r TablePlan, &Option<&'r Rows>)| {
            // Rows that say where they live may be listed anywhere.
            if table.spec.scope == Scope::Global || !table.region_cells.is_empty() {
                return None;
            }
            match rows {
                Some(rows) => {
                    let regions = rows.regions.as_ref()?;
                    Some(regions.iter().map(String::as_str).collect())
                }
                None if table.output => None,
                None => Some(BTreeSet::new()),
            }
        };
        let mut places: Vec<Option<BTreeSet<&str>>> =
            plan.tables.iter().zip(&rows).map(own).collect();
        // Children come after their parents.
        for (child, table) in plan.tables.iter().enumerate().rev() {
            let parent = table.list.and_then(|l| plan.lists.get(l)?.parent);
            let below = places.get(child).cloned().flatten();
            if let Some(place) = parent.and_then(|p| places.get_mut(p)) {
                match (place.as_mut(), below) {
                    (Some(place), Some(below)) => place.extend(below),
                    _ => *place = None,
                }
            }
        }
        Self { rows, places }
    }

    pub(super) fn is_everything(&self) -> bool {
        self.rows.iter().all(Option::is_none)
    }

    /// Whether one of the tables is asked in a region.
    pub(super) fn asks(&self, tables: &[usize], scope: Scope, region: &str) -> bool {
        let asked = |table: &usize| match self.places.get(*table) {
            Some(Some(places)) => places.contains(region),
            _ => true,
        };
        scope == Scope::Global || tables.iter().any(asked)
    }

    /// Whether what is missing in a region is missing of what is wanted.
    pub(super) fn has_gap(&self, table: usize, region: &str) -> bool {
        let place = self.places.get(table).and_then(Option::as_ref);
        let rows = self.rows.get(table).copied().flatten();
        // of a table that is asked everywhere, a gap anywhere may hide a wanted row
        place.is_none() || rows.is_none_or(|r| r.takes_region(region))
    }

    /// Whether a row whose calls are all answered is wanted.
    pub(super) fn of_row(&self, table: usize, view: &RowView<'_>) -> Wanted {
        let Some(Some(rows)) = self.rows.get(table) else {
            return Wanted::Yes;
        };
        if !rows.takes_region(view.region()) {
            return Wanted::No;
        }
        let Some(ids) = &rows.ids else {
            return Wanted::Yes;
        };
        let mut unknown = None;
        for cell in [view.table.id, view.table.arn].into_iter().flatten() {
            match view.read(cell).map(|v| text_of(&v)) {
                Read::Known(Some(text)) if ids.contains(&text) => return Wanted::Yes,
                Read::Known(_) => {}
                Read::Unknown(error) => unknown = Some(error),
            }
        }
        unknown.map_or(Wanted::No, Wanted::Unknown)
    }
}

impl<'r> Account<'r> {
    /// Settles whether a row is wanted as soon as that can be known; nothing is asked for the others, but what the lists
    /// below them need.
    pub(super) fn judge(
        &mut self,
        group: usize,
        row: usize,
        plan: &'r TablePlan,
        shared: &mut Shared<'r>,
    ) {
        let Some((table, _)) = self.table_of(group) else {
            return;
        };
        let Some(view) = self.view(group, row) else {
            return;
        };
        if view.row.judged || view.row.dropped || view.row.region.is_none() {
            return;
        }
        let open = |cell: &usize| {
            let slots = plan.cells.get(*cell).map(|c| c.slots.as_slice());
            let mut slots = slots.unwrap_or_default().iter();
            slots.any(|s| view.row.fills.get(*s).is_none_or(Fill::is_open))
        };
        let identity = [plan.id, plan.arn];
        if identity.iter().flatten().any(open) {
            return;
        }
        let wanted = shared.wants.of_row(table, &view);
        if let Some(state) = self
            .groups
            .get_mut(group)
            .and_then(Option::as_mut)
            .and_then(|g| g.rows.get_mut(row))
        {
            state.judged = true;
        }
        // one that cannot be told is dealt with when it is put out
        if !matches!(wanted, Wanted::No) {
            return;
        }
        if plan.children.is_empty() {
            return self.drop_row(group, row, shared);
        }
        let needed = self.needed_below(plan);
        let Some(state) = self.groups.get_mut(group).and_then(Option::as_mut) else {
            return;
        };
        let Some(unwanted) = state.rows.get_mut(row) else {
            return;
        };
        for (index, slot) in plan.slots.iter().enumerate() {
            if needed.contains(&index) {
                continue;
            }
            if let Some(begun) = unwanted.begun.get_mut(index) {
                *begun = true;
            }
            if let Some(fill) = unwanted.fills.get_mut(index).filter(|f| f.is_open()) {
                *fill = Fill::Nothing;
                state.remaining = state.remaining.saturating_sub(1);
                let service = slot_service(self.plan, &slot.kind);
                shared.progress.finished(service, 1, false);
            }
        }
        // Batches are filled in the order of rows: the next one need not wait for this one any more.
        let instance = state.instance;
        for slot in self.batched_slots(instance) {
            self.advance_batch(instance, slot, shared);
        }
    }

    /// Calls for a row that lists below it wait for.
    fn needed_below(&self, plan: &TablePlan) -> BTreeSet<usize> {
        let lists = plan.children.iter().filter_map(|l| self.plan.lists.get(*l));
        let mut needed: BTreeSet<usize> = lists.flat_map(|l| l.deps.iter().copied()).collect();
        needed.extend(plan.region_slots.iter().copied());
        loop {
            let slots = needed.iter().filter_map(|s| plan.slots.get(*s));
            let more: BTreeSet<usize> = slots.flat_map(|s| s.deps.iter().copied()).collect();
            if more.is_subset(&needed) {
                return needed;
            }
            needed.extend(more);
        }
    }
}

/// The wanted ids that no row has, of tables whose lists were read.
pub(super) fn gone(dataset: &Dataset, narrowing: &Narrowing) -> BTreeMap<String, BTreeSet<String>> {
    let mut gone = BTreeMap::new();
    for (name, rows) in narrowing {
        let (Some(ids), Some(table)) = (&rows.ids, dataset.tables.get(name)) else {
            continue;
        };
        if !table.gaps.is_empty() {
            continue;
        }
        let mut missing = ids.clone();
        for batch in &table.batches {
            for column in [table.spec.id.as_str(), "arn"] {
                let column = batch.rows.column_by_name(column);
                let Some(texts) = column.and_then(|c| c.as_string_opt::<i32>()) else {
                    continue;
                };
                for text in texts.iter().flatten() {
                    missing.remove(text);
                }
            }
        }
        if !missing.is_empty() {
            gone.insert(name.clone(), missing);
        }
    }
    gone
}
