//! Calls: made once each, page by page, and given to all who wait for them.
use super::account::{Account, Shared};
use super::queue::Work;
use super::state::{Answer, Call, CallKey, CallState, Consumer, Fill, Instance, Part};
use super::view::ListView;
use crate::plan::{ListPlan, SlotKind};
use crate::template::{Lookup, Read, canonical, text_of};
use palisade_core::{CallError, CallErrorKind};
use palisade_model::{ApiError, Page, Value};
use palisade_table::{Access, parse_path};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is to be asked now.
pub(super) struct Asked {
    pub call: usize,
    pub service: String,
    pub operation: String,
    pub region: Arc<str>,
    pub params: Map<String, Json>,
}

/// What came back.
pub(super) type Answered = Result<Page, ApiError>;

/// The scan was stopped before a call was made.
pub(super) fn not_made() -> ApiError {
    ApiError {
        kind: CallErrorKind::NotMade,
        code: "Interrupted".to_owned(),
        message: "the scan was stopped before this call was made".to_owned(),
    }
}

impl<'r> Account<'r> {
    /// Lets someone have the answer of a call, which is made only if it was not before. Says whether it is new.
    pub(super) fn request(
        &mut self,
        (operation, region, params): (usize, &Arc<str>, Map<String, Json>),
        consumer: Consumer,
        (height, keep): (u32, bool),
        shared: &mut Shared<'r>,
    ) -> usize {
        let key: CallKey = (operation, Arc::clone(region), canonical(&params));
        let known = self.by_key.get(&key).copied();
        // A call whose first pages are gone already cannot be joined.
        let whole = |c: &Call| c.keep || c.pages.len() == c.count as usize;
        if let Some(known) = known.filter(|k| self.calls.get(*k).is_some_and(whole)) {
            self.join(known, consumer, shared);
            return known;
        }
        let id = self.calls.len();
        let planned = self.operation(operation);
        let keep = keep || planned.is_some_and(|o| o.keep);
        if let Some(planned) = planned {
            shared.tally.planned(planned.service(), &planned.name);
        }
        self.by_key.insert(key.clone(), id);
        self.calls.push(Call {
            operation,
            region: Arc::clone(region),
            params,
            key,
            consumers: vec![consumer],
            pages: Vec::new(),
            count: 0,
            keep,
            state: CallState::Queued,
            height,
            until: Vec::new(),
            attempts: 0,
        });
        self.open += 1;
        id
    }

    /// Gives a known call one more consumer.
    fn join(&mut self, id: usize, consumer: Consumer, shared: &mut Shared<'r>) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        call.consumers.push(consumer.clone());
        let pages = call.pages.clone();
        let done = match &call.state {
            CallState::Done(result) => Some(result.clone()),
            _ => None,
        };
        // A list that began earlier: the pages so far, and then the rest as it comes.
        if let Consumer::Rows { instance } = consumer {
            for page in pages {
                self.take_page(id, instance, &page, shared);
            }
        }
        if let Some(result) = done {
            self.conclude(id, &consumer, &result, shared);
        }
    }

    pub(super) fn enqueue(&mut self, id: usize, shared: &mut Shared<'r>) {
        let Some(call) = self.calls.get(id) else {
            return;
        };
        let item = self.item(Work::Call(id), call.operation);
        if call.count == 0 {
            shared.queue.push_list(call.height, item);
        } else {
            shared.queue.push_page(call.height, item);
        }
    }

    /// Begins a list without parent.
    pub(super) fn start_list(
        &mut self,
        list: usize,
        region: Arc<str>,
        rank: u32,
        shared: &mut Shared<'r>,
    ) {
        let Some(plan) = self.plan.lists.get(list) else {
            return;
        };
        let mut instances = self.instances_of(plan, &region, rank, None, &[]);
        // tables that share the call and want nothing of this region take no rows from it
        for instance in &instances {
            if let Some(state) = self.instances.get_mut(*instance)
                && !shared.wants.asks(&[state.table], plan.scope, &region)
            {
                state.ended = true;
                let table = state.table;
                self.quieten(table);
            }
        }
        instances.retain(|i| self.instances.get(*i).is_some_and(|s| !s.ended));
        for instance in &instances {
            let table = self
                .instances
                .get(*instance)
                .map(|i| i.table)
                .unwrap_or_default();
            if self.plan.tables.get(table).is_some_and(|t| t.spec.unique) {
                *self.open_lists.entry(table).or_default() += 1;
            }
        }
        if let Some(call) = self.call_list(plan, &region, &[], &instances, shared) {
            self.enqueue(call, shared);
        }
    }

    pub(super) fn instances_of(
        &mut self,
        plan: &ListPlan,
        region: &Arc<str>,
        rank: u32,
        parent: Option<(usize, u32, u32)>,
        values: &[Vec<Read<Value>>],
    ) -> Vec<usize> {
        let mut made = Vec::new();
        for (position, table) in plan.tables.iter().enumerate() {
            made.push(self.instances.len());
            self.enliven(*table);
            self.instances.push(Instance {
                table: *table,
                region: Arc::clone(region),
                rank,
                parents: parent.into_iter().collect(),
                parent_values: values.get(position).cloned().unwrap_or_default(),
                pages: 0,
                ended: false,
                batches: BTreeMap::new(),
                groups: Vec::new(),
            });
        }
        made
    }

    /// Asks for a list on behalf of the instances of its tables.
    pub(super) fn call_list(
        &mut self,
        plan: &ListPlan,
        region: &Arc<str>,
        values: &[Read<Value>],
        instances: &[usize],
        shared: &mut Shared<'r>,
    ) -> Option<usize> {
        let operation = self.operation(plan.operation)?;
        let view = ListView {
            target: self.target,
            model: &operation.model,
            region,
            parent_values: values,
        };
        let params = match plan.params.fill(&view) {
            Read::Known(Some(Json::Object(params))) => params,
            // Nothing to ask for: there are no rows.
            Read::Known(_) => {
                for instance in instances {
                    self.end_instance(*instance, None, shared);
                }
                return None;
            }
            Read::Unknown(error) => {
                for instance in instances {
                    self.end_instance(*instance, Some(&error), shared);
                }
                return None;
            }
        };
        shared
            .progress
            .planned(operation.service(), instances.len());
        let mut made = None;
        for instance in instances {
            let before = self.calls.len();
            let consumer = Consumer::Rows {
                instance: *instance,
            };
            let id = self.request(
                (plan.operation, region, params.clone()),
                consumer,
                (plan.height, plan.repeats),
                shared,
            );
            if id >= before {
                made = Some(id);
            }
        }
        let id = made?;
        let Some(first) = &plan.before else {
            return Some(id);
        };
        let begun = self.calls.len();
        let consumer = Consumer::Start(id);
        let poll = self.request(
            (first.operation, region, Map::new()),
            consumer,
            (plan.height, true),
            shared,
        );
        if poll >= begun
            && let Some(call) = self.calls.get_mut(poll)
        {
            call.until.clone_from(&first.until);
            return Some(poll);
        }
        None
    }

    /// Takes a call's turn.
    pub(super) fn ask(&mut self, id: usize) -> Option<Asked> {
        let operation = self.operation(self.calls.get(id)?.operation)?;
        let call = self.calls.get_mut(id)?;
        call.state = CallState::InFlight;
        Some(Asked {
            call: id,
            service: operation.service().to_owned(),
            operation: operation.name.clone(),
            region: Arc::clone(&call.region),
            params: call.params.clone(),
        })
    }

    /// Takes what came back. Says when the call is to be repeated after a pause.
    pub(super) fn answered(
        &mut self,
        id: usize,
        answered: Answered,
        shared: &mut Shared<'r>,
    ) -> Option<usize> {
        let again = match answered {
            Ok(page) => self.page(id, page, shared),
            Err(error) => {
                self.failed(id, &error, shared);
                None
            }
        };
        self.settle(shared);
        again
    }

    fn page(&mut self, id: usize, page: Page, shared: &mut Shared<'r>) -> Option<usize> {
        let call = self.calls.get_mut(id)?;
        let (operation, region) = (call.operation, Arc::clone(&call.region));
        if let Some(wrong) = still_waiting(&page.value, &call.until) {
            call.attempts += 1;
            let attempts = call.attempts;
            match wrong {
                Ok(()) if attempts < shared.limits.polls => return Some(attempts),
                Ok(()) => {
                    let error = ApiError {
                        kind: CallErrorKind::Timeout,
                        code: "NotReady".to_owned(),
                        message: format!("the answer was still not ready after {attempts} calls"),
                    };
                    self.failed(id, &error, shared);
                }
                Err(message) => {
                    let error = self.malformed(operation, &region, message);
                    self.done(id, Err(error), shared);
                }
            }
            return None;
        }
        call.count += 1;
        let answer = Arc::new(page.value);
        let only_rows = call
            .consumers
            .iter()
            .all(|c| matches!(c, Consumer::Rows { .. }));
        if call.keep || !only_rows {
            call.pages.push(Arc::clone(&answer));
        }
        let consumers = call.consumers.clone();
        let next = match page.next {
            Some(next) if next == call.params => {
                let message = "the answer leads to the same page again".to_owned();
                Some(Err(message))
            }
            Some(next) => Some(Ok(next)),
            None => None,
        };
        for consumer in consumers {
            if let Consumer::Rows { instance } = consumer {
                self.take_page(id, instance, &answer, shared);
            }
        }
        match next {
            Some(Ok(next)) => {
                if let Some(call) = self.calls.get_mut(id) {
                    call.params = next;
                    call.state = CallState::Queued;
                }
                self.enqueue(id, shared);
            }
            Some(Err(message)) => {
                let error = self.malformed(operation, &region, message);
                self.done(id, Err(error), shared);
            }
            None => self.done(id, Ok(()), shared),
        }
        None
    }

    fn failed(&mut self, id: usize, error: &ApiError, shared: &mut Shared<'r>) {
        let Some(call) = self.calls.get(id) else {
            return;
        };
        let error = self.error(call.operation, &Arc::clone(&call.region), error);
        self.done(id, Err(error), shared);
    }

    /// Ends a call.
    fn done(&mut self, id: usize, result: Result<(), Arc<CallError>>, shared: &mut Shared<'r>) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        call.state = CallState::Done(result.clone());
        let (operation, consumers, keep) = (call.operation, call.consumers.clone(), call.keep);
        if !keep {
            self.by_key.remove(&call.key);
        }
        if let Some(operation) = self.operation(operation) {
            match &result {
                Ok(()) => shared.tally.succeeded(operation.service(), &operation.name),
                Err(e) if self.all_expect(&consumers, e) => {
                    shared.tally.succeeded(operation.service(), &operation.name)
                }
                Err(e)
                    if e.kind == CallErrorKind::Unavailable && self.may_be_nowhere(&consumers) =>
                {
                    shared
                        .tally
                        .unavailable(operation.service(), &operation.name);
                    let reason = format!("the service answered `{}`", e.code);
                    shared.tally.skipped(&e.service, &e.region, &reason);
                }
                Err(e) => shared.tally.failed(e, e.kind != CallErrorKind::NotMade),
            }
        }
        for consumer in &consumers {
            self.conclude(id, consumer, &result, shared);
        }
        if !keep && let Some(call) = self.calls.get_mut(id) {
            call.pages = Vec::new();
            call.params = Map::new();
            call.key.2 = String::new();
            call.consumers = Vec::new();
        }
        self.open = self.open.saturating_sub(1);
    }

    /// Tells one consumer how a call ended.
    fn conclude(
        &mut self,
        id: usize,
        consumer: &Consumer,
        result: &Result<(), Arc<CallError>>,
        shared: &mut Shared<'r>,
    ) {
        let failed = result.is_err();
        if let Some(operation) = self.calls.get(id).and_then(|c| self.operation(c.operation))
            && let Consumer::Rows { .. } = consumer
        {
            shared.progress.finished(operation.service(), 1, failed);
        }
        match consumer {
            Consumer::Rows { instance } => {
                let error = result.as_ref().err();
                self.end_instance(*instance, error, shared);
            }
            Consumer::Row { group, row, slot } => {
                let fill = match result {
                    Ok(()) => match self.whole(id) {
                        Some(root) => Fill::Answer(Answer {
                            root,
                            part: Part::Whole,
                        }),
                        None => Fill::Nothing,
                    },
                    Err(error) => self.fill_of(*group, *slot, error),
                };
                self.fill(*group, *row, *slot, fill, shared);
            }
            Consumer::Batch(batch) => {
                let answer = result.as_ref().map(|()| self.whole(id)).map_err(Arc::clone);
                self.batch_done(*batch, answer, shared);
            }
            Consumer::Tags(region) => {
                let pages = self
                    .calls
                    .get(id)
                    .map(|c| c.pages.clone())
                    .unwrap_or_default();
                self.tags_done(region, &pages, result, shared);
            }
            Consumer::Start(list) => match result {
                Ok(()) => self.enqueue(*list, shared),
                Err(error) => {
                    // The list is not made; what it needed is what failed.
                    if let Some(call) = self.calls.get_mut(*list) {
                        let operation = call.operation;
                        call.state = CallState::Done(Err(Arc::clone(error)));
                        let consumers = call.consumers.clone();
                        if let Some(operation) = self.operation(operation) {
                            shared
                                .tally
                                .unavailable(operation.service(), &operation.name);
                        }
                        for consumer in &consumers {
                            self.conclude(*list, consumer, &Err(Arc::clone(error)), shared);
                        }
                        self.open = self.open.saturating_sub(1);
                    }
                }
            },
        }
    }

    /// A slot's fill for a failed call: codes that mean "there is none" are no failure.
    pub(super) fn fill_of(&self, group: usize, slot: usize, error: &Arc<CallError>) -> Fill {
        let absent = self
            .table_of(group)
            .and_then(|(_, t)| t.slots.get(slot))
            .is_some_and(|s| match &s.kind {
                SlotKind::Call(call) => means_absent(&call.absent, error),
                SlotKind::Tagging => false,
            });
        if absent {
            Fill::Nothing
        } else {
            Fill::Failed(Arc::clone(error))
        }
    }

    fn all_expect(&self, consumers: &[Consumer], error: &CallError) -> bool {
        let expects = |consumer: &Consumer| match consumer {
            Consumer::Rows { instance } => self
                .instances
                .get(*instance)
                .is_some_and(|i| self.list_absent(i, error)),
            Consumer::Row { group, slot, .. } => {
                let table = self.table_of(*group).map(|(_, t)| t);
                table
                    .and_then(|t| t.slots.get(*slot))
                    .is_some_and(|s| slot_absent(&s.kind, error))
            }
            Consumer::Batch(batch) => {
                let state = self.batches.get(*batch).and_then(Option::as_ref);
                let slot = state.and_then(|b| self.plan.tables.get(b.table)?.slots.get(b.slot));
                slot.is_some_and(|s| slot_absent(&s.kind, error))
            }
            Consumer::Tags(_) | Consumer::Start(_) => false,
        };
        !consumers.is_empty() && consumers.iter().all(expects)
    }

    pub(super) fn list_absent(&self, instance: &Instance, error: &CallError) -> bool {
        let rows = self
            .plan
            .tables
            .get(instance.table)
            .and_then(|t| t.rows.as_ref());
        rows.is_some_and(|r| means_absent(&r.absent, error))
    }

    /// True when "unavailable" only means that there is nothing here: lists, and rows that stand for a region.
    fn may_be_nowhere(&self, consumers: &[Consumer]) -> bool {
        consumers.iter().all(|consumer| match consumer {
            Consumer::Rows { .. } => true,
            Consumer::Row { group, .. } => {
                self.table_of(*group).is_some_and(|(_, t)| t.list.is_none())
            }
            _ => false,
        })
    }

    /// All pages of an answer as one.
    fn whole(&mut self, id: usize) -> Option<Arc<Value>> {
        let call = self.calls.get(id)?;
        if call.pages.len() > 1 {
            let operation = self.operation(call.operation)?;
            let call = self.calls.get_mut(id)?;
            let mut pages = std::mem::take(&mut call.pages).into_iter();
            let first = pages.next()?;
            let mut whole = Arc::unwrap_or_clone(first);
            let described = operation.model.operation(&operation.name);
            let pagination = described.and_then(|o| o.pagination.as_ref());
            let keys: Vec<&str> = pagination
                .map(|p| p.result_keys.iter().map(String::as_str).collect())
                .unwrap_or_default();
            let output = described.and_then(|o| o.output.as_ref()).map(|o| o.shape);
            let accesses = keys
                .iter()
                .filter_map(|key| Access::new(&operation.model, output?, &parse_path(key)).ok());
            let accesses: Vec<Access> = accesses.collect();
            for page in pages {
                for access in &accesses {
                    extend(&mut whole, &page, access);
                }
            }
            call.pages.push(Arc::new(whole));
        }
        self.calls.get(id)?.pages.first().cloned()
    }

    /// The values of the parent's row that a list's tables carry.
    pub(super) fn parent_values(
        &self,
        list: &ListPlan,
        group: usize,
        row: usize,
    ) -> Vec<Vec<Read<Value>>> {
        let Some(view) = self.view(group, row) else {
            return Vec::new();
        };
        let values = |table: &usize| {
            let cells = self
                .plan
                .tables
                .get(*table)
                .map(|t| t.parent_cells.as_slice())
                .unwrap_or_default();
            cells
                .iter()
                .map(|cell| view.cell(*cell).map(|v| v.into_owned()))
                .collect()
        };
        list.tables.iter().map(values).collect()
    }
}

/// Whether an error is one of those that mean "there is none": `Code`, or `Code: text` where the code alone says too
/// little (Macie answers `AccessDeniedException` both to the denied and where it is off).
fn means_absent(absent: &[String], error: &CallError) -> bool {
    absent.iter().any(|known| match known.split_once(": ") {
        None => *known == error.code,
        Some((code, text)) => code == error.code && error.message.contains(text),
    })
}

fn slot_absent(kind: &SlotKind, error: &CallError) -> bool {
    match kind {
        SlotKind::Call(call) => means_absent(&call.absent, error),
        SlotKind::Tagging => false,
    }
}

/// Adds a further page's lists and maps to those of the first.
fn extend(whole: &mut Value, page: &Value, access: &Access) {
    let Some(more) = access.at(page, &[]) else {
        return;
    };
    match (access.at_mut(whole), more) {
        (Some(Value::List(items)), Value::List(more)) => items.extend(more.iter().cloned()),
        (Some(Value::Map(entries)), Value::Map(more)) => entries.extend(more.iter().cloned()),
        (Some(missing @ Value::Null), more) => *missing = more.clone(),
        _ => {}
    }
}

/// `None` when the answer says what was waited for; otherwise whether it is one to wait with.
fn still_waiting(answer: &Value, until: &[(Access, String)]) -> Option<Result<(), String>> {
    for (access, expected) in until {
        match access.get(answer) {
            Ok(found) if text_of(&found).as_ref() == Some(expected) => {}
            Ok(found) if found.is_null() => {
                return Some(Err(format!("`{}` is missing", access.text())));
            }
            Ok(_) => return Some(Ok(())),
            Err(mismatch) => return Some(Err(mismatch.to_string())),
        }
    }
    None
}
