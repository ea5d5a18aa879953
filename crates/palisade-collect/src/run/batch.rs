//! Batches: several rows in one call, always the same ones whatever order answers come in.
use super::account::{Account, Shared};
use super::issue::Wish;
use super::queue::Work;
use super::rows::is_batched;
use super::state::{Answer, BatchState, Consumer, Fill, Part, Pending};
use crate::plan::{BatchPlan, CallPlan, SlotKind};
use crate::template::{Read, canonical, text_of};
use palisade_core::CallError;
use palisade_model::Value;
use serde_json::Value as Json;
use std::collections::HashMap;
use std::sync::Arc;

impl<'r> Account<'r> {
    pub(super) fn batched_slots(&self, instance: usize) -> Vec<usize> {
        let table = self
            .instances
            .get(instance)
            .and_then(|i| self.plan.tables.get(i.table));
        let slots = table.map(|t| t.slots.as_slice()).unwrap_or_default();
        slots
            .iter()
            .enumerate()
            .filter(|(_, s)| is_batched(&s.kind))
            .map(|(i, _)| i)
            .collect()
    }

    fn batch_plan(
        &self,
        instance: usize,
        slot: usize,
    ) -> Option<(&'r CallPlan, &'r BatchPlan, u32)> {
        let table = self.plan.tables.get(self.instances.get(instance)?.table)?;
        let slot = table.slots.get(slot)?;
        match &slot.kind {
            SlotKind::Call(call) => Some((call, call.batch.as_ref()?, slot.height)),
            SlotKind::Tagging => None,
        }
    }

    /// Takes rows into batches as far as they are ready, in the order of the list.
    pub(super) fn advance_batch(&mut self, instance: usize, slot: usize, shared: &mut Shared<'r>) {
        let Some((call, batch, _)) = self.batch_plan(instance, slot) else {
            return;
        };
        loop {
            let Some(state) = self.instances.get_mut(instance) else {
                return;
            };
            let at = state.batches.entry(slot).or_default();
            let (position, row) = (at.group, at.row);
            let Some(group) = state.groups.get(position).copied() else {
                break;
            };
            let rows = self
                .groups
                .get(group)
                .and_then(Option::as_ref)
                .map(|g| g.rows.as_slice());
            let Some(next) = rows.and_then(|rows| rows.get(row)) else {
                // The end of a group, or a group that is done: its rows had nothing to ask.
                if let Some(at) = self
                    .instances
                    .get_mut(instance)
                    .and_then(|i| i.batches.get_mut(&slot))
                {
                    (at.group, at.row) = (position + 1, 0);
                }
                continue;
            };
            // `begun` is set when what the row's parameters need is there.
            if !next.begun.get(slot).copied().unwrap_or(true) {
                return;
            }
            if let Some(at) = self
                .instances
                .get_mut(instance)
                .and_then(|i| i.batches.get_mut(&slot))
            {
                at.row += 1;
            }
            if next_is_open(self, group, row, slot) {
                self.take_into_batch((instance, slot), (group, row), call, batch, shared);
            }
        }
        if self.instances.get(instance).is_some_and(|i| i.ended) {
            let batches = self
                .instances
                .get_mut(instance)
                .and_then(|i| i.batches.get_mut(&slot));
            let waiting = batches
                .map(|b| std::mem::take(&mut b.waiting))
                .unwrap_or_default();
            for ((region, _), pending) in waiting {
                self.send_batch(instance, slot, region, pending, shared);
            }
        }
    }

    fn take_into_batch(
        &mut self,
        (instance, slot): (usize, usize),
        (group, row): (usize, usize),
        call: &CallPlan,
        batch: &BatchPlan,
        shared: &mut Shared<'r>,
    ) {
        let params = match self.wish(group, row, call) {
            Wish::Ask(params) => params,
            Wish::Nothing => return self.fill(group, row, slot, Fill::Nothing, shared),
            Wish::Failed(error) => return self.fill(group, row, slot, Fill::Failed(error), shared),
        };
        let asked = match self
            .view(group, row)
            .map(|view| view.read(batch.of).map(|v| text_of(&v)))
        {
            Some(Read::Known(Some(value))) => value,
            Some(Read::Unknown(error)) => {
                return self.fill(group, row, slot, Fill::Failed(error), shared);
            }
            _ => return self.fill(group, row, slot, Fill::Nothing, shared),
        };
        let region = self.row_region(group, row);
        let key = (Arc::clone(&region), canonical(&params));
        let Some(state) = self.instances.get_mut(instance) else {
            return;
        };
        let waiting = &mut state.batches.entry(slot).or_default().waiting;
        let pending = waiting.entry(key.clone()).or_insert_with(|| Pending {
            params,
            rows: Vec::new(),
        });
        match pending.rows.iter_mut().find(|(value, _)| *value == asked) {
            Some((_, rows)) => rows.push((group, row)),
            None => pending.rows.push((asked, vec![(group, row)])),
        }
        if pending.rows.len() >= batch.size
            && let Some(full) = waiting.remove(&key)
        {
            self.send_batch(instance, slot, region, full, shared);
        }
    }

    fn send_batch(
        &mut self,
        instance: usize,
        slot: usize,
        region: Arc<str>,
        pending: Pending,
        shared: &mut Shared<'r>,
    ) {
        let Some((call, _, height)) = self.batch_plan(instance, slot) else {
            return;
        };
        let Some(table) = self.instances.get(instance).map(|i| i.table) else {
            return;
        };
        let id = self.batches.len();
        self.batches.push(Some(BatchState {
            table,
            slot,
            region,
            pending,
        }));
        let item = self.item(Work::Batch(id), call.operation);
        shared.queue.expect(&item);
        shared.queue.push_rows(height, item);
    }

    /// A batch's turn.
    pub(super) fn issue_batch(&mut self, id: usize, shared: &mut Shared<'r>) -> Option<usize> {
        let state = self.batches.get(id)?.as_ref()?;
        let slot = self.plan.tables.get(state.table)?.slots.get(state.slot)?;
        let SlotKind::Call(call) = &slot.kind else {
            return None;
        };
        let batch = call.batch.as_ref()?;
        let mut params = state.pending.params.clone();
        let values = state
            .pending
            .rows
            .iter()
            .map(|(value, _)| Json::from(value.as_str()))
            .collect();
        params.insert(batch.param.clone(), Json::Array(values));
        let region = Arc::clone(&state.region);
        let known = self.calls.len();
        let made = self.request(
            (call.operation, &region, params),
            Consumer::Batch(id),
            (slot.height, false),
            shared,
        );
        self.settle(shared);
        (made >= known).then_some(made)
    }

    /// Gives each row of a batch its part of the answer.
    pub(super) fn batch_done(
        &mut self,
        id: usize,
        answer: Result<Option<Arc<Value>>, Arc<CallError>>,
        shared: &mut Shared<'r>,
    ) {
        let Some(state) = self.batches.get_mut(id).and_then(Option::take) else {
            return;
        };
        let Some(slot) = self
            .plan
            .tables
            .get(state.table)
            .and_then(|t| t.slots.get(state.slot))
        else {
            return;
        };
        let SlotKind::Call(call) = &slot.kind else {
            return;
        };
        let Some(batch) = &call.batch else { return };
        let parts = match answer {
            Ok(Some(root)) => parts_of(&root, batch).map_err(|message| {
                let error = self.malformed(call.operation, &state.region, message);
                shared.tally.record(&error);
                error
            }),
            Ok(None) => Ok(HashMap::new()),
            Err(error) => Err(error),
        };
        for (value, rows) in &state.pending.rows {
            for (group, row) in rows {
                let fill = match &parts {
                    Ok(parts) => parts
                        .get(value)
                        .cloned()
                        .map_or(Fill::Nothing, Fill::Answer),
                    Err(error) => self.fill_of(*group, state.slot, error),
                };
                self.fill(*group, *row, state.slot, fill, shared);
            }
        }
    }
}

fn next_is_open(account: &Account<'_>, group: usize, row: usize, slot: usize) -> bool {
    let fill = account.view(group, row).and_then(|v| v.row.fills.get(slot));
    fill.is_some_and(Fill::is_open)
}

/// The parts of a batch's answer by what they are matched with; the first wins.
fn parts_of(root: &Arc<Value>, batch: &BatchPlan) -> Result<HashMap<String, Answer>, String> {
    let rows = Arc::new(batch.rows.clone());
    let mut parts = HashMap::new();
    let Some(matching) = &batch.matching else {
        let answer = |part| Answer {
            root: Arc::clone(root),
            part,
        };
        match batch.rows.at(root, &[]) {
            Some(Value::Map(entries)) => {
                for (index, (key, _)) in entries.iter().enumerate() {
                    let part = Part::Entry(Arc::clone(&rows), index);
                    parts.entry(key.to_string()).or_insert_with(|| answer(part));
                }
            }
            Some(Value::Null) | None => {}
            Some(other) => {
                let found = palisade_table::kind_name(other);
                return Err(format!(
                    "expected a map at `{}`, found {found}",
                    batch.rows.text()
                ));
            }
        }
        return Ok(parts);
    };
    let mut wrong = None;
    let visited = batch
        .rows
        .visit(root, &mut |at, element| match matching.get(element) {
            Ok(found) => {
                if let Some(key) = text_of(&found) {
                    let part = Part::Element(Arc::clone(&rows), Box::from(at));
                    parts.entry(key).or_insert_with(|| Answer {
                        root: Arc::clone(root),
                        part,
                    });
                }
            }
            Err(mismatch) => wrong = Some(mismatch.to_string()),
        });
    visited.map_err(|e| e.to_string())?;
    match wrong {
        Some(message) => Err(message),
        None => Ok(parts),
    }
}
