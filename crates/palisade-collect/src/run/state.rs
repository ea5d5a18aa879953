//! What is known while an account is being read.
use crate::csv::Sheet;
use crate::template::Read;
use palisade_core::CallError;
use palisade_model::Value;
use palisade_table::Access;
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// A call and those who wait for it.
#[derive(Debug)]
pub(super) struct Call {
    pub operation: usize,
    pub region: Arc<str>,
    /// Of the next page.
    pub params: Map<String, Json>,
    pub key: CallKey,
    pub consumers: Vec<Consumer>,
    /// Answers so far, where somebody needs them together or again.
    pub pages: Vec<Arc<Value>>,
    pub count: u32,
    pub keep: bool,
    pub state: CallState,
    pub height: u32,
    /// Repeated until the answer says so.
    pub until: Vec<(Access, String)>,
    pub attempts: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum CallState {
    Queued,
    InFlight,
    Done(Result<(), Arc<CallError>>),
}

/// What makes two calls the same.
pub(super) type CallKey = (usize, Arc<str>, String);

#[derive(Debug, Clone)]
pub(super) enum Consumer {
    /// Takes each page for a table's rows.
    Rows { instance: usize },
    /// Takes the whole answer for a row.
    Row {
        group: usize,
        row: usize,
        slot: usize,
    },
    /// Takes the whole answer for the rows of a batch.
    Batch(usize),
    /// Takes the tags of a region.
    Tags(Arc<str>),
    /// May be made when this one has succeeded.
    Start(usize),
}

/// One list call's rows of one table.
#[derive(Debug)]
pub(super) struct Instance {
    pub table: usize,
    pub region: Arc<str>,
    /// Position among the account's regions.
    pub rank: u32,
    /// The parent rows that led here: instance, page, row.
    pub parents: Vec<(usize, u32, u32)>,
    pub parent_values: Vec<Read<Value>>,
    pub pages: u32,
    pub ended: bool,
    /// For each batched slot.
    pub batches: BTreeMap<usize, Batching>,
    /// Groups in the order of pages, where a slot is batched.
    pub groups: Vec<usize>,
}

/// Rows on their way into batches, in the order of the list.
#[derive(Debug, Default)]
pub(super) struct Batching {
    /// Next group (in `Instance::groups`) and row to be looked at.
    pub group: usize,
    pub row: usize,
    /// Rows by the parameters that they share, and region.
    pub waiting: BTreeMap<(Arc<str>, String), Pending>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Pending {
    pub params: Map<String, Json>,
    /// Value that is asked for, and the rows that have it.
    pub rows: Vec<(String, Vec<(usize, usize)>)>,
}

/// A batch on its way.
#[derive(Debug)]
pub(super) struct BatchState {
    pub table: usize,
    pub slot: usize,
    pub region: Arc<str>,
    pub pending: Pending,
}

/// The rows of one page.
#[derive(Debug)]
pub(super) struct Group {
    pub instance: usize,
    pub page: u32,
    pub root: Option<Arc<Value>>,
    pub sheet: Option<Arc<Sheet>>,
    pub rows: Vec<RowState>,
    /// Steps that are still to be done: a fill of each slot, a start of each child.
    pub remaining: usize,
    /// Rows that are ready, by slot.
    pub ready: Vec<VecDeque<u32>>,
    /// Rows that are ready, by child list.
    pub ready_children: Vec<VecDeque<u32>>,
}

#[derive(Debug)]
pub(super) struct RowState {
    /// Indexes into the lists of the answer, or the line of a CSV.
    pub at: Box<[u32]>,
    /// Position in the page.
    pub number: u32,
    pub region: Option<Arc<str>>,
    /// Why the row's region is not known.
    pub lost: Option<Arc<CallError>>,
    pub fills: Vec<Fill>,
    pub begun: Vec<bool>,
    pub begun_children: Vec<bool>,
    pub dropped: bool,
    /// It is settled whether the row is one of those that are wanted.
    pub judged: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Fill {
    Open,
    Answer(Answer),
    /// There is none, and that is known.
    Nothing,
    Tags(Value),
    Failed(Arc<CallError>),
}

/// The part of an answer that is a row's.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub root: Arc<Value>,
    pub part: Part,
}

#[derive(Debug, Clone)]
pub(super) enum Part {
    Whole,
    Element(Arc<Access>, Box<[u32]>),
    Entry(Arc<Access>, usize),
}

impl Answer {
    pub(super) fn value(&self) -> Option<&Value> {
        match &self.part {
            Part::Whole => Some(&self.root),
            Part::Element(access, at) => access.at(&self.root, at),
            Part::Entry(access, index) => match access.at(&self.root, &[])? {
                Value::Map(entries) => entries.get(*index).map(|(_, v)| v),
                _ => None,
            },
        }
    }
}

/// Tags of a region by ARN.
#[derive(Debug)]
pub(super) enum Tags {
    Open(Vec<(usize, usize, usize)>),
    Known(BTreeMap<Box<str>, Vec<(Box<str>, Value)>>),
    Failed(Arc<CallError>),
}
