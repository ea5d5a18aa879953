//! Rows: from a page to calls of their own, to lists of children, to the output.
use super::account::{Account, Shared};
use super::queue::Work;
use super::state::{Consumer, Fill, Group, RowState};
use super::view::Unread;
use crate::csv::Sheet;
use crate::plan::{CallPlan, RowsPlan, SlotKind, TablePlan};
use crate::template::{Lookup, Read, canonical, text_of};
use palisade_core::{CallError, CallErrorKind, Region};
use palisade_model::Value;
use serde_json::{Map, Value as Json};
use std::collections::VecDeque;
use std::sync::Arc;

/// What a row asks of a slot.
pub(super) enum Wish {
    /// Nothing is to be asked: there is none.
    Nothing,
    Failed(Arc<CallError>),
    Ask(Map<String, Json>),
}

impl<'r> Account<'r> {
    /// Takes a page for the rows of an instance.
    pub(super) fn take_page(
        &mut self,
        call: usize,
        instance: usize,
        answer: &Arc<Value>,
        shared: &mut Shared<'r>,
    ) {
        let Some(state) = self.instances.get_mut(instance) else {
            return;
        };
        if state.ended {
            return;
        }
        let page = state.pages;
        state.pages += 1;
        let (table, region) = (state.table, Arc::clone(&state.region));
        let Some(rows) = self.plan.tables.get(table).and_then(|t| t.rows.as_ref()) else {
            return;
        };
        let found = match &rows.csv {
            Some(_) => read_sheet(answer, rows, self.plan.tables.get(table))
                .map(|(sheet, at)| (Some(sheet), at)),
            None => read_rows(answer, rows).map(|at| (None, at)),
        };
        match found {
            Ok((sheet, at)) => {
                self.add_group(instance, page, Some(Arc::clone(answer)), sheet, at, shared)
            }
            Err(message) => {
                let operation = self.calls.get(call).map_or(0, |c| c.operation);
                let error = self.malformed(operation, &region, message);
                shared.tally.record(&error);
                self.gap(table, &region, &error);
            }
        }
    }

    /// Ends the list of an instance.
    pub(super) fn end_instance(
        &mut self,
        instance: usize,
        error: Option<&Arc<CallError>>,
        shared: &mut Shared<'r>,
    ) {
        let Some(state) = self.instances.get_mut(instance) else {
            return;
        };
        if std::mem::replace(&mut state.ended, true) {
            return;
        }
        let (table, region) = (state.table, Arc::clone(&state.region));
        let Some(plan) = self.plan.tables.get(table) else {
            return;
        };
        if let Some(error) = error {
            let absent = self
                .instances
                .get(instance)
                .is_some_and(|i| self.list_absent(i, error));
            if absent {
                // One answer that says "nothing there" is one row of NULLs.
                if plan
                    .rows
                    .as_ref()
                    .is_some_and(|r| r.is_answer && r.csv.is_none())
                {
                    self.add_group(instance, 0, None, None, vec![Box::from([])], shared);
                }
            } else if error.kind != CallErrorKind::Unavailable {
                self.gap(table, &region, error);
            }
        }
        for slot in self.batched_slots(instance) {
            self.advance_batch(instance, slot, shared);
        }
        if plan.spec.unique
            && let Some(open) = self.open_lists.get_mut(&table)
        {
            *open = open.saturating_sub(1);
            if *open == 0 {
                self.release_unique(table, shared);
            }
        }
    }

    /// Takes rows in: the indexes of each in its answer.
    pub(super) fn add_group(
        &mut self,
        instance: usize,
        page: u32,
        root: Option<Arc<Value>>,
        sheet: Option<Arc<Sheet>>,
        at: Vec<Box<[u32]>>,
        shared: &mut Shared<'r>,
    ) {
        let Some(table) = self.instances.get(instance).map(|i| i.table) else {
            return;
        };
        let Some(plan) = self.plan.tables.get(table) else {
            return;
        };
        let row = |(number, at): (u32, Box<[u32]>)| RowState {
            at,
            number,
            region: None,
            lost: None,
            fills: vec![Fill::Open; plan.slots.len()],
            begun: vec![false; plan.slots.len()],
            begun_children: vec![false; plan.children.len()],
            dropped: false,
        };
        let rows: Vec<RowState> = (0u32..).zip(at).map(row).collect();
        let steps = plan.slots.len() + plan.children.len();
        let group = Group {
            instance,
            page,
            root,
            sheet,
            remaining: rows.len() * steps,
            rows,
            ready: vec![VecDeque::new(); plan.slots.len()],
            ready_children: vec![VecDeque::new(); plan.children.len()],
        };
        let (id, count) = (self.groups.len(), group.rows.len());
        self.groups.push(Some(group));
        self.open += 1;
        if !plan.is_plain() {
            shared.waiting_rows += count;
        }
        for slot in &plan.slots {
            shared
                .progress
                .planned(self.slot_service(&slot.kind), count);
        }
        if let Some(state) = self.instances.get_mut(instance)
            && plan.slots.iter().any(|s| is_batched(&s.kind))
        {
            state.groups.push(id);
        }
        if plan.spec.unique {
            self.held.entry(table).or_default().push(id);
            return;
        }
        self.begin_group(id, shared);
    }

    fn begin_group(&mut self, id: usize, shared: &mut Shared<'r>) {
        let count = self
            .groups
            .get(id)
            .and_then(Option::as_ref)
            .map_or(0, |g| g.rows.len());
        self.touched.extend((0..count).rev().map(|row| (id, row)));
        if count == 0 {
            self.close_if_done(id, shared);
        }
    }

    /// All lists of a table with unique rows have ended: the first of each ARN stays.
    fn release_unique(&mut self, table: usize, shared: &mut Shared<'r>) {
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

    /// Looks again at rows that something was learned about, until nothing follows from it.
    pub(super) fn settle(&mut self, shared: &mut Shared<'r>) {
        while let Some((group, row)) = self.touched.pop() {
            self.look_at(group, row, shared);
        }
    }

    fn look_at(&mut self, group: usize, row: usize, shared: &mut Shared<'r>) {
        let Some((_, plan)) = self.table_of(group) else {
            return;
        };
        self.find_region(group, row, plan, shared);
        let Some(state) = self
            .groups
            .get(group)
            .and_then(Option::as_ref)
            .and_then(|g| g.rows.get(row))
        else {
            return;
        };
        if state.dropped {
            return self.close_if_done(group, shared);
        }
        let located = state.region.is_some();
        let lost = state.lost.clone();
        let filled = |deps: &[usize]| {
            deps.iter()
                .all(|d| state.fills.get(*d).is_some_and(|f| !f.is_open()))
        };
        let mut slots = Vec::new();
        for (index, slot) in plan.slots.iter().enumerate() {
            let begun = state.begun.get(index).copied().unwrap_or(true);
            if !begun && (located || slot.tells_region) && filled(&slot.deps) {
                slots.push(index);
            }
        }
        let mut children = Vec::new();
        for (index, list) in plan.children.iter().enumerate() {
            let begun = state.begun_children.get(index).copied().unwrap_or(true);
            let deps = self
                .plan
                .lists
                .get(*list)
                .map(|l| l.deps.as_slice())
                .unwrap_or_default();
            if !begun && located && filled(deps) {
                children.push(index);
            }
        }
        for slot in slots {
            self.begin_slot(group, row, slot, lost.as_ref(), shared);
        }
        for child in children {
            self.begin_child(group, row, child, shared);
        }
        self.close_if_done(group, shared);
    }

    /// Settles where a row lives as soon as that can be known; rows of other regions go.
    fn find_region(
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
        if let Some(state) = self.row_mut(group, row) {
            state.region = Some(region);
            state.lost = lost;
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
    fn drop_row(&mut self, group: usize, row: usize, shared: &mut Shared<'r>) {
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
    }

    fn begin_slot(
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
                if ready.len() == 1 {
                    let item = self.item(Work::Slot { group, slot }, call.operation);
                    shared.queue.push_rows(kind.height, item);
                }
            }
        }
    }

    fn begin_child(&mut self, group: usize, row: usize, child: usize, shared: &mut Shared<'r>) {
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
        if ready.len() == 1 {
            let item = self.item(Work::Child { group, child }, list.operation);
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
        list: &'r crate::plan::ListPlan,
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
        let asked = super::view::ListView {
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

    /// Gives a row what it waited for.
    pub(super) fn fill(
        &mut self,
        group: usize,
        row: usize,
        slot: usize,
        fill: Fill,
        shared: &mut Shared<'r>,
    ) {
        let service = self
            .table_of(group)
            .and_then(|(_, t)| t.slots.get(slot))
            .map(|s| self.slot_service(&s.kind));
        let Some(state) = self.groups.get_mut(group).and_then(Option::as_mut) else {
            return;
        };
        let Some(place) = state.rows.get_mut(row).and_then(|r| r.fills.get_mut(slot)) else {
            return;
        };
        if !place.is_open() {
            return;
        }
        let failed = matches!(fill, Fill::Failed(_));
        *place = fill;
        state.remaining = state.remaining.saturating_sub(1);
        let instance = state.instance;
        shared
            .progress
            .finished(service.unwrap_or_default(), 1, failed);
        self.touched.push((group, row));
        // Batches are filled in the order of rows: one that waited for this row may go on.
        for slot in self.batched_slots(instance) {
            self.advance_batch(instance, slot, shared);
        }
    }

    /// Turns a group whose rows wait for nothing into output.
    fn close_if_done(&mut self, group: usize, shared: &mut Shared<'r>) {
        let done = self
            .groups
            .get(group)
            .and_then(Option::as_ref)
            .is_some_and(|g| g.remaining == 0);
        let Some((table, plan)) = self.table_of(group).filter(|_| done) else {
            return;
        };
        let Some(state) = self.groups.get(group).and_then(Option::as_ref) else {
            return;
        };
        let count = state.rows.len();
        let mut output = self
            .outputs
            .get_mut(table)
            .map(std::mem::take)
            .unwrap_or_default();
        for row in 0..count {
            let Some(view) = self.view(group, row) else {
                continue;
            };
            if view.row.dropped || nowhere(plan, view.row) {
                continue;
            }
            if plan.output {
                for error in output.append(&view) {
                    shared.tally.record(&error);
                }
            }
        }
        if let Some(place) = self.outputs.get_mut(table) {
            *place = output;
        }
        if let Some(place) = self.groups.get_mut(group) {
            *place = None;
        }
        if !plan.is_plain() {
            shared.waiting_rows = shared.waiting_rows.saturating_sub(count);
        }
        self.open = self.open.saturating_sub(1);
    }

    pub(super) fn slot_service(&self, kind: &SlotKind) -> &'r str {
        slot_service(self.plan, kind)
    }
}

fn slot_service<'p>(plan: &'p crate::plan::Plan, kind: &SlotKind) -> &'p str {
    let operation = match kind {
        SlotKind::Call(call) => Some(call.operation),
        SlotKind::Tagging => plan.tagging.as_ref().map(|t| t.operation),
    };
    operation
        .and_then(|o| plan.operations.get(o))
        .map(|o| o.service())
        .unwrap_or_default()
}

pub(super) fn is_batched(kind: &SlotKind) -> bool {
    matches!(kind, SlotKind::Call(call) if call.batch.is_some())
}

/// A row that stands for a region in which nothing that it asks exists.
fn nowhere(plan: &TablePlan, row: &RowState) -> bool {
    let unavailable =
        |f: &Fill| matches!(f, Fill::Failed(e) if e.kind == CallErrorKind::Unavailable);
    plan.list.is_none() && !row.fills.is_empty() && row.fills.iter().all(unavailable)
}

/// `EU` is what S3 answers for buckets made long ago (Amazon S3 API Reference, `GetBucketLocation`).
fn region_name(text: &str) -> String {
    if text == "EU" {
        "eu-west-1".to_owned()
    } else {
        text.to_owned()
    }
}

fn read_rows(answer: &Value, rows: &RowsPlan) -> Result<Vec<Box<[u32]>>, String> {
    if answer.is_null() {
        return Err("the answer is empty".to_owned());
    }
    let mut found = Vec::new();
    let visited = rows
        .rows
        .visit(answer, &mut |at, _| found.push(Box::from(at)));
    visited.map_err(|e| e.to_string())?;
    if rows.must_be_present && rows.rows.is_absent(answer).map_err(|e| e.to_string())? {
        return Err(format!("`{}` is missing", rows.rows.text()));
    }
    Ok(found)
}

type Lines = (Arc<Sheet>, Vec<Box<[u32]>>);

fn read_sheet(answer: &Value, rows: &RowsPlan, table: Option<&TablePlan>) -> Result<Lines, String> {
    let Some(csv) = &rows.csv else {
        return Err("no CSV is planned".to_owned());
    };
    let content = csv.get(answer).map_err(|e| e.to_string())?;
    let text = match content.as_ref() {
        Value::Blob(bytes) => {
            String::from_utf8(bytes.to_vec()).map_err(|_| "the CSV is not UTF-8".to_owned())?
        }
        Value::String(text) => text.to_string(),
        _ => return Err(format!("`{}` is missing", csv.text())),
    };
    let sheet = Sheet::parse(&text).map_err(|e| format!("the CSV cannot be read: {e}"))?;
    for cell in table.map(|t| t.cells.as_slice()).unwrap_or_default() {
        if let crate::plan::Reader::Csv(header) = &cell.reader
            && !sheet.headers.contains(header)
        {
            return Err(format!("the CSV has no column `{header}`"));
        }
    }
    let lines = (0u32..)
        .take(sheet.records.len())
        .map(|line| Box::from([line]));
    let lines: Vec<Box<[u32]>> = lines.collect();
    Ok((Arc::new(sheet), lines))
}

impl Unread {
    /// The error, for a cell of the row that `malformed` knows how to name.
    pub(super) fn into_error(
        self,
        malformed: impl FnOnce(&palisade_table::Mismatch) -> CallError,
    ) -> Arc<CallError> {
        match self {
            Unread::Failed(error) => error,
            Unread::Malformed(mismatch) => Arc::new(malformed(&mismatch)),
        }
    }
}
