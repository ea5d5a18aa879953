//! Where rows live, and which of them stay.
use super::account::{Account, Shared};
use super::rows::slot_service;
use super::state::Fill;
use crate::plan::TablePlan;
use crate::template::{Lookup, Read, text_of};
use palisade_core::Region;
use std::sync::Arc;

impl<'r> Account<'r> {
    /// Settles where a row lives as soon as that can be known; rows of other regions go.
    pub(super) fn find_region(
        &mut self,
        group: usize,
        row: usize,
        plan: &'r TablePlan,
        shared: &mut Shared<'r>,
    ) {
        let Some(view) = self.view(group, row) else {
            return;
        };
        let open = |slot: &usize| view.row.fills.get(*slot).is_none_or(Fill::is_open);
        if view.row.region.is_some() || plan.region_slots.iter().any(open) {
            return;
        }
        let listed = Arc::clone(&view.instance.region);
        let mut region = None;
        let mut lost = None;
        for cell in &plan.region_cells {
            match view.read(*cell) {
                Read::Known(value) if value.is_null() => continue,
                Read::Known(value) => match text_of(&value).map(|t| region_name(&t)) {
                    Some(name) if name.parse::<Region>().is_ok() => region = Some(name),
                    other => {
                        let found = other.unwrap_or_default();
                        let cell = plan
                            .cells
                            .get(*cell)
                            .map(|c| c.name.clone())
                            .unwrap_or_default();
                        let operation = self.list_operation(plan);
                        let message = format!("column `{cell}`: `{found}` is not a region");
                        let error = self.malformed(operation, &listed, message);
                        shared.tally.record(&error);
                        lost = Some(error);
                    }
                },
                Read::Unknown(error) => lost = Some(error),
            }
            break;
        }
        let kept = match &region {
            Some(name) => plan.spec.keep_foreign || self.regions.iter().any(|r| **r == **name),
            None => true,
        };
        let interned = |name: String| {
            let known = self.regions.iter().find(|r| ***r == *name).cloned();
            known.unwrap_or_else(|| Arc::from(name))
        };
        let region = region.map_or(listed, interned);
        if let Some(state) = self.groups.get_mut(group).and_then(Option::as_mut) {
            state.remaining = state.remaining.saturating_sub(1);
            if let Some(row) = state.rows.get_mut(row) {
                row.region = Some(region);
                row.lost = lost;
            }
        }
        if !kept {
            self.drop_row(group, row, shared);
        }
    }

    fn list_operation(&self, plan: &TablePlan) -> usize {
        plan.list
            .and_then(|l| self.plan.lists.get(l))
            .map_or(0, |l| l.operation)
    }

    /// Takes a row out: nothing is asked for it any more.
    pub(super) fn drop_row(&mut self, group: usize, row: usize, shared: &mut Shared<'r>) {
        let Some((_, plan)) = self.table_of(group) else {
            return;
        };
        let Some(state) = self.groups.get_mut(group).and_then(Option::as_mut) else {
            return;
        };
        let Some(dropped) = state.rows.get_mut(row) else {
            return;
        };
        if std::mem::replace(&mut dropped.dropped, true) {
            return;
        }
        for (slot, (fill, begun)) in plan
            .slots
            .iter()
            .zip(dropped.fills.iter_mut().zip(&mut dropped.begun))
        {
            *begun = true;
            if fill.is_open() {
                *fill = Fill::Nothing;
                state.remaining = state.remaining.saturating_sub(1);
                shared
                    .progress
                    .finished(slot_service(self.plan, &slot.kind), 1, false);
            }
        }
        for begun in dropped.begun_children.iter_mut().filter(|b| !**b) {
            *begun = true;
            state.remaining = state.remaining.saturating_sub(1);
        }
        // Batches are filled in the order of rows: the next one need not wait for this one any more.
        let instance = state.instance;
        for slot in self.batched_slots(instance) {
            self.advance_batch(instance, slot, shared);
        }
    }

    /// All lists of a table with unique rows have ended: the first of each ARN stays.
    pub(super) fn release_unique(&mut self, table: usize, shared: &mut Shared<'r>) {
        let groups = self.held.remove(&table).unwrap_or_default();
        let Some(plan) = self.plan.tables.get(table) else {
            return;
        };
        let mut found = Vec::new();
        for group in &groups {
            let count = self
                .groups
                .get(*group)
                .and_then(Option::as_ref)
                .map_or(0, |g| g.rows.len());
            for row in 0..count {
                self.find_region(*group, row, plan, shared);
                let Some(view) = self.view(*group, row) else {
                    continue;
                };
                let identity =
                    [plan.arn, plan.id].into_iter().flatten().find_map(|cell| {
                        match view.read(cell) {
                            Read::Known(value) => text_of(&value),
                            Read::Unknown(_) => None,
                        }
                    });
                // A row that cannot be told from others is kept.
                let Some(identity) = identity else { continue };
                let order = (
                    view.region().to_owned(),
                    view.instance.rank,
                    view.group.page,
                    view.row.number,
                );
                found.push((identity, order, *group, row));
            }
        }
        found.sort();
        let mut last: Option<String> = None;
        for (identity, _, group, row) in found {
            if last.as_ref() == Some(&identity) {
                self.drop_row(group, row, shared);
            }
            last = Some(identity);
        }
        for group in groups {
            self.begin_group(group, shared);
        }
    }
}

/// `EU` is what S3 answers for buckets made long ago (Amazon S3 API Reference, `GetBucketLocation`).
fn region_name(text: &str) -> String {
    if text == "EU" {
        "eu-west-1".to_owned()
    } else {
        text.to_owned()
    }
}
