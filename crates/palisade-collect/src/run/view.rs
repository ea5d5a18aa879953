//! Reading one row.
use super::state::{Fill, Group, Instance, RowState};
use crate::csv::field_value;
use crate::plan::{Cell, Reader, TablePlan};
use crate::request::AccountTarget;
use crate::template::{Lookup, Read};
use palisade_core::{CallError, CallErrorKind};
use palisade_model::{Model, Value};
use palisade_table::{Mismatch, transformed};
use std::borrow::Cow;
use std::sync::Arc;

/// One row with all that was answered for it so far.
pub(super) struct RowView<'a> {
    pub table: &'a TablePlan,
    pub target: &'a AccountTarget,
    pub model: &'a Model,
    pub instance: &'a Instance,
    pub group: &'a Group,
    pub row: &'a RowState,
}

/// Why a cell has no value.
pub(super) enum Unread {
    /// A call failed.
    Failed(Arc<CallError>),
    /// The answer does not have the model's form.
    Malformed(Mismatch),
}

const NULL: &Value = &Value::Null;

impl<'a> RowView<'a> {
    fn listed(&self) -> &'a Value {
        let rows = self.table.rows.as_ref();
        let found = self.group.root.as_deref().zip(rows);
        found
            .and_then(|(root, rows)| rows.rows.at(root, &self.row.at))
            .unwrap_or(NULL)
    }

    /// A column's value before its transform; nothing is hidden yet.
    pub(super) fn raw(&self, cell: &'a Cell) -> Result<Cow<'a, Value>, Unread> {
        // Where the row was listed stands for a region that is not known; the failed call marks it.
        if matches!(cell.reader, Reader::Region) {
            return Ok(Cow::Owned(Value::String(self.region().into())));
        }
        for slot in &cell.slots {
            match self.row.fills.get(*slot) {
                Some(Fill::Failed(error)) => return Err(Unread::Failed(Arc::clone(error))),
                Some(Fill::Open) | None => return Err(Unread::Malformed(too_early(&cell.name))),
                Some(_) => {}
            }
        }
        let got = |r: Result<Cow<'a, Value>, Mismatch>| r.map_err(Unread::Malformed);
        let text = |t: &str| Cow::Owned(Value::String(t.into()));
        match &cell.reader {
            Reader::AccountId => Ok(text(&self.target.account_id)),
            Reader::Partition => Ok(text(&self.target.partition)),
            Reader::Region | Reader::Nothing => Ok(Cow::Borrowed(NULL)),
            Reader::Row(access) => got(access.get(self.listed())),
            Reader::Outer(access) => {
                let found = self.group.root.as_deref().zip(self.table.rows.as_ref());
                let outer = found.and_then(|(root, rows)| rows.outer.at(root, &self.row.at));
                got(access.get(outer.unwrap_or(NULL)))
            }
            Reader::Answer(slot, access) => match self.row.fills.get(*slot) {
                Some(Fill::Answer(answer)) => got(answer
                    .value()
                    .map_or(Ok(Cow::Borrowed(NULL)), |v| access.get(v))),
                _ => Ok(Cow::Borrowed(NULL)),
            },
            Reader::Csv(header) => {
                let record = self
                    .row
                    .at
                    .first()
                    .and_then(|i| self.group.sheet.as_ref()?.records.get(*i as usize));
                let column = self
                    .group
                    .sheet
                    .as_ref()
                    .and_then(|s| s.headers.iter().position(|h| h == header));
                let field = record
                    .zip(column)
                    .and_then(|(record, column)| record.get(column));
                Ok(field.map_or(Cow::Borrowed(NULL), |f| {
                    Cow::Owned(field_value(f, &cell.ty))
                }))
            }
            Reader::Template(template) => match template.fill(self) {
                Read::Known(filled) => Ok(filled.map_or(Cow::Borrowed(NULL), |t| text(&t))),
                Read::Unknown(error) => Err(Unread::Failed(error)),
            },
            Reader::Derived(base, access) => {
                let Some(base) = self.table.cells.get(*base) else {
                    return Ok(Cow::Borrowed(NULL));
                };
                match self.value(base)? {
                    Cow::Borrowed(value) => got(access.get(value)),
                    Cow::Owned(value) => {
                        got(access.get(&value).map(|v| Cow::Owned(v.into_owned())))
                    }
                }
            }
            Reader::Tagging => match cell.slots.last().and_then(|s| self.row.fills.get(*s)) {
                Some(Fill::Tags(tags)) => Ok(Cow::Borrowed(tags)),
                _ => Ok(Cow::Borrowed(NULL)),
            },
        }
    }

    /// A column's value; nothing is hidden yet.
    pub(super) fn value(&self, cell: &'a Cell) -> Result<Cow<'a, Value>, Unread> {
        match self.raw(cell)? {
            Cow::Borrowed(value) => {
                transformed(value, cell.transform, &cell.of).map_err(Unread::Malformed)
            }
            Cow::Owned(value) => {
                let value =
                    transformed(&value, cell.transform, &cell.of).map_err(Unread::Malformed)?;
                Ok(Cow::Owned(value.into_owned()))
            }
        }
    }

    /// A cell as text, or why there is none.
    pub(super) fn read(&self, cell: usize) -> Read<Cow<'a, Value>> {
        let Some(cell) = self.table.cells.get(cell) else {
            return Read::Known(Cow::Borrowed(NULL));
        };
        match self.value(cell) {
            Ok(value) => Read::Known(value),
            Err(Unread::Failed(error)) => Read::Unknown(error),
            Err(Unread::Malformed(mismatch)) => {
                Read::Unknown(Arc::new(self.malformed(&mismatch, cell)))
            }
        }
    }

    /// The error of an answer that does not have the model's form.
    pub(super) fn malformed(&self, mismatch: &Mismatch, cell: &Cell) -> CallError {
        let call = cell
            .sources
            .last()
            .and_then(|n| n.checked_sub(1))
            .and_then(|i| self.table.spec.calls.get(i));
        let listed = self.table.spec.list.as_ref();
        let operation = call.map(|c| &c.call).or(listed.map(|l| &l.call));
        CallError {
            service: self.table.spec.model.clone(),
            operation: operation.cloned().unwrap_or_default(),
            account_id: self.target.account_id.clone(),
            region: self.region().to_owned(),
            kind: CallErrorKind::Malformed,
            code: "Malformed".to_owned(),
            message: format!("column `{}`: {mismatch}", cell.name),
            permissions: Vec::new(),
        }
    }
}

fn too_early(cell: &str) -> Mismatch {
    Mismatch::new("an answer that was waited for", NULL, cell)
}

impl Lookup for RowView<'_> {
    fn account_id(&self) -> &str {
        &self.target.account_id
    }
    fn region(&self) -> &str {
        self.row.region.as_deref().unwrap_or(&self.instance.region)
    }
    fn partition(&self) -> &str {
        &self.target.partition
    }
    fn model(&self) -> &Model {
        self.model
    }
    fn cell(&self, cell: usize) -> Read<Cow<'_, Value>> {
        self.read(cell)
    }
    fn parent(&self, index: usize) -> Read<Cow<'_, Value>> {
        match self.instance.parent_values.get(index) {
            Some(Read::Known(value)) => Read::Known(Cow::Borrowed(value)),
            Some(Read::Unknown(error)) => Read::Unknown(Arc::clone(error)),
            None => Read::Known(Cow::Borrowed(NULL)),
        }
    }
}

/// What the parameters of a list may name.
pub(super) struct ListView<'a> {
    pub target: &'a AccountTarget,
    pub model: &'a Model,
    pub region: &'a str,
    pub parent_values: &'a [Read<Value>],
}

impl Lookup for ListView<'_> {
    fn account_id(&self) -> &str {
        &self.target.account_id
    }
    fn region(&self) -> &str {
        self.region
    }
    fn partition(&self) -> &str {
        &self.target.partition
    }
    fn model(&self) -> &Model {
        self.model
    }
    fn cell(&self, _: usize) -> Read<Cow<'_, Value>> {
        Read::Known(Cow::Borrowed(NULL))
    }
    fn parent(&self, index: usize) -> Read<Cow<'_, Value>> {
        match self.parent_values.get(index) {
            Some(Read::Known(value)) => Read::Known(Cow::Borrowed(value)),
            Some(Read::Unknown(error)) => Read::Unknown(Arc::clone(error)),
            None => Read::Known(Cow::Borrowed(NULL)),
        }
    }
}
