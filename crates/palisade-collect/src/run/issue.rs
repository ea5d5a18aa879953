//! What rows ask for: calls of their own, and the lists of their children.
use super::account::{Account, Shared};
use super::queue::Work;
use super::state::{Consumer, Fill};
use super::view::ListView;
use crate::plan::{CallPlan, ListPlan, SlotKind};
use crate::template::{Read, canonical, text_of};
use palisade_core::CallError;
use serde_json::{Map, Value as Json};
use std::sync::Arc;

/// What a row asks of a slot.
pub(super) enum Wish {
    /// Nothing is to be asked: there is none.
    Nothing,
    Failed(Arc<CallError>),
    Ask(Map<String, Json>),
}

impl<'r> Account<'r> {
    pub(super) fn begin_slot(
        &mut self,
        group: usize,
        row: usize,
        slot: usize,
        lost: Option<&Arc<CallError>>,
        shared: &mut Shared<'r>,
    ) {
        let Some((_, plan)) = self.table_of(group) else {
            return;
        };
        let Some(kind) = plan.slots.get(slot) else {
            return;
        };
        let Some(state) = self.groups.get_mut(group).and_then(Option::as_mut) else {
            return;
        };
        let instance = state.instance;
        if let Some(begun) = state.rows.get_mut(row).and_then(|r| r.begun.get_mut(slot)) {
            *begun = true;
        }
        if let Some(error) = lost.filter(|_| !kind.tells_region) {
            // Nobody knows which region to ask.
            let fill = Fill::Failed(Arc::clone(error));
            return self.fill(group, row, slot, fill, shared);
        }
        match &kind.kind {
            SlotKind::Tagging => self.want_tags(group, row, slot, shared),
            SlotKind::Call(call) if call.batch.is_some() => {
                self.advance_batch(instance, slot, shared)
            }
            SlotKind::Call(call) => {
                let Some(ready) = state.ready.get_mut(slot) else {
                    return;
                };
                ready.push_back(u32::try_from(row).unwrap_or(u32::MAX));
                let is_first = ready.len() == 1;
                let item = self.item(Work::Slot { group, slot }, call.operation);
                shared.queue.expect(&item);
                if is_first {
                    shared.queue.push_rows(kind.height, item);
                }
            }
        }
    }

    pub(super) fn begin_child(
        &mut self,
        group: usize,
        row: usize,
        child: usize,
        shared: &mut Shared<'r>,
    ) {
        let Some((_, plan)) = self.table_of(group) else {
            return;
        };
        let Some(list) = plan
            .children
            .get(child)
            .and_then(|l| self.plan.lists.get(*l))
        else {
            return;
        };
        let Some(state) = self.groups.get_mut(group).and_then(Option::as_mut) else {
            return;
        };
        if let Some(begun) = state
            .rows
            .get_mut(row)
            .and_then(|r| r.begun_children.get_mut(child))
        {
            *begun = true;
        }
        let Some(ready) = state.ready_children.get_mut(child) else {
            return;
        };
        ready.push_back(u32::try_from(row).unwrap_or(u32::MAX));
        let is_first = ready.len() == 1;
        let item = self.item(Work::Child { group, child }, list.operation);
        shared.queue.expect(&item);
        if is_first {
            shared.queue.push_rows(list.height, item);
        }
    }

    /// A row's turn at a slot. Says which call is to be made now, if any.
    pub(super) fn issue_slot(
        &mut self,
        group: usize,
        slot: usize,
        shared: &mut Shared<'r>,
    ) -> Option<usize> {
        let (_, plan) = self.table_of(group)?;
        let planned = plan.slots.get(slot)?;
        let SlotKind::Call(call) = &planned.kind else {
            return None;
        };
        let ready = self.groups.get_mut(group)?.as_mut()?.ready.get_mut(slot)?;
        let row = ready.pop_front()? as usize;
        if !ready.is_empty() {
            let item = self.item(Work::Slot { group, slot }, call.operation);
            shared.queue.push_rows(planned.height, item);
        }
        let made = match self.wish(group, row, call) {
            Wish::Nothing => {
                self.fill(group, row, slot, Fill::Nothing, shared);
                None
            }
            Wish::Failed(error) => {
                self.fill(group, row, slot, Fill::Failed(error), shared);
                None
            }
            Wish::Ask(params) => {
                let region = self.row_region(group, row);
                let known = self.calls.len();
                let consumer = Consumer::Row { group, row, slot };
                let id = self.request(
                    (call.operation, &region, params),
                    consumer,
                    (planned.height, call.repeats),
                    shared,
                );
                (id >= known).then_some(id)
            }
        };
        self.settle(shared);
        made
    }

    /// A row's turn to have its children listed.
    pub(super) fn issue_child(
        &mut self,
        group: usize,
        child: usize,
        shared: &mut Shared<'r>,
    ) -> Option<usize> {
        let (_, plan) = self.table_of(group)?;
        let list = self.plan.lists.get(*plan.children.get(child)?)?;
        let ready = self
            .groups
            .get_mut(group)?
            .as_mut()?
            .ready_children
            .get_mut(child)?;
        let row = ready.pop_front()? as usize;
        if !ready.is_empty() {
            let item = self.item(Work::Child { group, child }, list.operation);
            shared.queue.push_rows(list.height, item);
        }
        let made = self.list_children(group, row, list, shared);
        if let Some(state) = self.groups.get_mut(group).and_then(Option::as_mut) {
            state.remaining = state.remaining.saturating_sub(1);
        }
        self.close_if_done(group, shared);
        self.settle(shared);
        made
    }

    fn list_children(
        &mut self,
        group: usize,
        row: usize,
        list: &'r ListPlan,
        shared: &mut Shared<'r>,
    ) -> Option<usize> {
        let region = self.row_region(group, row);
        let operation = self.operation(list.operation)?;
        let view = self.view(group, row)?;
        if let Some(error) = view.row.lost.clone() {
            for table in &list.tables {
                self.gap(*table, &region, &error);
            }
            return None;
        }
        if !self.is_there(operation.service(), &region, shared) {
            shared.tally.skipped(
                operation.service(),
                &region,
                "the service does not exist in this region",
            );
            return None;
        }
        let place = (view.group.instance, view.group.page, view.row.number);
        let rank = view.instance.rank;
        let values = self.parent_values(list, group, row);
        let first = values.first().cloned().unwrap_or_default();
        // The same list with the same values of the parent gives the same rows: they are taken once, in the place of the
        // first parent.
        let asked = ListView {
            target: self.target,
            model: &operation.model,
            region: &region,
            parent_values: &first,
        };
        let Read::Known(Some(Json::Object(params))) = list.params.fill(&asked) else {
            let instances = self.instances_of(list, &region, rank, Some(place), &values);
            return self.call_list(list, &region, &first, &instances, shared);
        };
        let key = (list.operation, Arc::clone(&region), canonical(&params));
        let carried = format!("{values:?}");
        let table = list.tables.first().copied().unwrap_or_default();
        let known = self
            .children
            .get(&(table, key.clone(), carried.clone()))
            .copied();
        if let Some(known) = known {
            for offset in 0..list.tables.len() {
                if let Some(instance) = self.instances.get_mut(known + offset) {
                    instance.parents.push(place);
                }
            }
            return None;
        }
        if list.repeats || self.operation(list.operation).is_some_and(|o| o.keep) {
            self.children
                .insert((table, key, carried), self.instances.len());
        }
        let instances = self.instances_of(list, &region, rank, Some(place), &values);
        self.call_list(list, &region, &first, &instances, shared)
    }

    /// What a row asks of a call.
    pub(super) fn wish(&self, group: usize, row: usize, call: &CallPlan) -> Wish {
        let Some(view) = self.view(group, row) else {
            return Wish::Nothing;
        };
        if let Some((cell, accepted)) = &call.when {
            match view.read(*cell) {
                Read::Unknown(error) => return Wish::Failed(error),
                Read::Known(value) => {
                    let text = text_of(&value);
                    if !text.is_some_and(|t| accepted.contains(&t)) {
                        return Wish::Nothing;
                    }
                }
            }
        }
        match call.params.fill(&view) {
            Read::Known(Some(Json::Object(params))) => Wish::Ask(params),
            Read::Known(_) => Wish::Nothing,
            Read::Unknown(error) => Wish::Failed(error),
        }
    }

    pub(super) fn row_region(&self, group: usize, row: usize) -> Arc<str> {
        match self.view(group, row) {
            Some(view) => view
                .row
                .region
                .clone()
                .unwrap_or_else(|| Arc::clone(&view.instance.region)),
            None => Arc::from(""),
        }
    }
}
