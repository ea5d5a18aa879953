//! Rows: from a page to calls of their own, to lists of children, to the output.
use super::account::{Account, Shared};
use super::narrow::Wanted;
use super::state::{Fill, Group, RowState};
use super::view::Unread;
use crate::csv::Sheet;
use crate::plan::{RowsPlan, SlotKind, TablePlan};
use crate::template::Lookup;
use palisade_core::{CallError, CallErrorKind};
use palisade_model::Value;
use std::collections::VecDeque;
use std::sync::Arc;

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
        self.quieten(table);
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
            judged: false,
        };
        let rows: Vec<RowState> = (0u32..).zip(at).map(row).collect();
        // Besides slots and children: finding out where the row lives.
        let steps = plan.slots.len() + plan.children.len() + 1;
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
        self.enliven(table);
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

    pub(super) fn begin_group(&mut self, id: usize, shared: &mut Shared<'r>) {
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
        self.judge(group, row, plan, shared);
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
        shared
            .progress
            .finished(service.unwrap_or_default(), 1, failed);
        self.touched.push((group, row));
    }

    /// Turns a group whose rows wait for nothing into output.
    pub(super) fn close_if_done(&mut self, group: usize, shared: &mut Shared<'r>) {
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
        let mut lost = Vec::new();
        for row in 0..count {
            let Some(view) = self.view(group, row) else {
                continue;
            };
            if view.row.dropped || nowhere(plan, view.row) {
                continue;
            }
            match shared.wants.of_row(table, &view) {
                Wanted::Yes => {}
                Wanted::No => continue,
                Wanted::Unknown(error) => {
                    // It may be one of the wanted rows: their list is not known whole.
                    lost.push((view.region().to_owned(), error));
                    continue;
                }
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
        for (region, error) in lost {
            self.gap(table, &region, &error);
        }
        if let Some(place) = self.groups.get_mut(group) {
            *place = None;
        }
        if !plan.is_plain() {
            shared.waiting_rows = shared.waiting_rows.saturating_sub(count);
        }
        self.open = self.open.saturating_sub(1);
        self.quieten(table);
    }

    pub(super) fn slot_service(&self, kind: &SlotKind) -> &'r str {
        slot_service(self.plan, kind)
    }
}

pub(super) fn slot_service<'p>(plan: &'p crate::plan::Plan, kind: &SlotKind) -> &'p str {
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
