//! Parts of work on their way back: numbered rows of texts, and of each part one summary, which comes last.
use datafusion::arrow::array::{AsArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::UInt32Type;
use datafusion::common::{Result, exec_datafusion_err};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};

fn foreign() -> datafusion::common::DataFusionError {
    exec_datafusion_err!("rows of another shape came back")
}

/// The number of the part that each row belongs to.
pub(crate) fn numbers(batch: &RecordBatch) -> Result<Vec<u32>> {
    let column = batch.column_by_name("part").ok_or_else(foreign)?;
    let numbers = column
        .as_primitive_opt::<UInt32Type>()
        .ok_or_else(foreign)?;
    numbers.iter().map(|n| n.ok_or_else(foreign)).collect()
}

/// A column of texts.
pub(crate) fn texts<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b StringArray> {
    let column = batch.column_by_name(name).ok_or_else(foreign)?;
    column.as_string_opt::<i32>().ok_or_else(foreign)
}

/// What a text says; `what` it should be.
pub(crate) fn parsed<T: DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| exec_datafusion_err!("{what} came back broken: {e}"))
}

/// The summaries, by part.
#[derive(Debug)]
pub(crate) struct Summaries<S> {
    known: BTreeMap<u32, S>,
    twice: BTreeSet<u32>,
}

impl<S> Default for Summaries<S> {
    fn default() -> Self {
        Self {
            known: BTreeMap::new(),
            twice: BTreeSet::new(),
        }
    }
}

impl<S> Summaries<S> {
    pub(crate) fn add(&mut self, part: u32, summary: S) {
        if self.known.insert(part, summary).is_some() {
            self.twice.insert(part);
        }
    }

    /// The summaries of so many parts, in order, when each came once and there are no others; else what is wrong.
    pub(crate) fn whole(mut self, parts: usize) -> std::result::Result<Vec<(u32, S)>, String> {
        if let Some(part) = self.twice.first() {
            return Err(format!("part {part} came twice"));
        }
        let numbers = 0..u32::try_from(parts).unwrap_or(u32::MAX);
        let all = numbers.map(|number| {
            let summary = self.known.remove(&number);
            let summary = summary.ok_or_else(|| format!("part {number} of {parts} is missing"))?;
            Ok((number, summary))
        });
        let all = all.collect::<std::result::Result<Vec<_>, String>>()?;
        match self.known.is_empty() {
            true => Ok(all),
            false => Err(MORE.to_owned()),
        }
    }
}

/// Rows of a part that nobody asked for.
pub(crate) const MORE: &str = "there are more parts than were asked for";
