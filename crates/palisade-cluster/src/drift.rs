//! What became of accounts between two snapshots, as rows on their way back.
use crate::job::Task;
use crate::received::{MORE, Summaries, numbers, parsed, texts};
use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray, UInt32Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{Result, exec_datafusion_err};
use palisade_drift::{AccountsDiff, Counts, Filter, NotCompared};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Changes of one batch.
const ROWS: usize = 4096;

/// What a piece of work says besides its changes; comes once, last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Summary {
    counts: Counts,
    not_compared: Vec<NotCompared>,
    resources: usize,
    findings: usize,
}

/// The task that a filter asks for. Which accounts it wants is said by the pieces of work.
pub(crate) fn task(filter: &Filter) -> Task {
    Task::Drift {
        tables: filter.tables.clone(),
        resources: filter.resources,
        findings: filter.findings,
    }
}

/// What a task wants of the accounts of a piece.
pub(crate) fn filter(task: &Task) -> Filter {
    match task {
        Task::Drift {
            tables,
            resources,
            findings,
        } => Filter {
            tables: tables.clone(),
            resources: *resources,
            findings: *findings,
            ..Filter::default()
        },
        _ => Filter::default(),
    }
}

/// What comes of comparing. Of each row one of the last three is there.
pub(crate) fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        Field::new("part", DataType::UInt32, false),
        text("resource"),
        text("finding"),
        text("summary"),
    ]))
}

/// The rows of a part.
pub(crate) fn encode(
    number: usize,
    part: &AccountsDiff,
    schema: &SchemaRef,
) -> Result<Vec<RecordBatch>> {
    let number = u32::try_from(number).map_err(|e| exec_datafusion_err!("{e}"))?;
    let summary = Summary {
        counts: part.counts,
        not_compared: part.not_compared.clone(),
        resources: part.resources.len(),
        findings: part.findings.len(),
    };
    let columns = [
        json(&part.resources)?,
        json(&part.findings)?,
        json(&[summary])?,
    ];
    let mut batches = Vec::new();
    for (at, texts) in columns.iter().enumerate() {
        for some in texts.chunks(ROWS) {
            let none = || -> ArrayRef { Arc::new(StringArray::new_null(some.len())) };
            let mut arrays: Vec<ArrayRef> = vec![
                Arc::new(UInt32Array::from(vec![number; some.len()])),
                none(),
                none(),
                none(),
            ];
            if let Some(array) = arrays.get_mut(at + 1) {
                *array = Arc::new(StringArray::from_iter_values(some));
            }
            batches.push(RecordBatch::try_new(Arc::clone(schema), arrays)?);
        }
    }
    Ok(batches)
}

fn json<T: Serialize>(all: &[T]) -> Result<Vec<String>> {
    let texts = all.iter().map(serde_json::to_string);
    let texts: std::result::Result<_, _> = texts.collect();
    texts.map_err(|e| exec_datafusion_err!("{e}"))
}

/// Parts as they come back.
#[derive(Debug, Default)]
pub(crate) struct Received {
    parts: BTreeMap<u32, AccountsDiff>,
    summaries: Summaries<Summary>,
}

impl Received {
    /// Adds rows.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let (resources, findings) = (texts(batch, "resource")?, texts(batch, "finding")?);
        let rows = numbers(batch)?.into_iter().zip(resources).zip(findings);
        for (((number, resource), finding), summary) in rows.zip(texts(batch, "summary")?) {
            let part = self.parts.entry(number).or_default();
            if let Some(text) = resource {
                part.resources.push(parsed("a change", text)?);
            }
            if let Some(text) = finding {
                part.findings.push(parsed("a change", text)?);
            }
            if let Some(text) = summary {
                self.summaries.add(number, parsed("a change", text)?);
            }
        }
        Ok(())
    }

    /// All parts, when each is there once and whole.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn whole(mut self, parts: usize) -> std::result::Result<Vec<AccountsDiff>, String> {
        let mut out = Vec::with_capacity(parts);
        for (number, summary) in self.summaries.whole(parts)? {
            let mut part = self.parts.remove(&number).unwrap_or_default();
            let found = (part.resources.len(), part.findings.len());
            let said = (summary.resources, summary.findings);
            if found != said {
                return Err(format!(
                    "part {number} has {found:?} changes of resources and findings, not {said:?}"
                ));
            }
            part.counts = summary.counts;
            part.not_compared = summary.not_compared;
            out.push(part);
        }
        match self.parts.is_empty() {
            true => Ok(out),
            false => Err(MORE.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use palisade_drift::{FindingChange, FindingKind, ResourceChange, ResourceKind, Which};

    fn part(number: usize) -> AccountsDiff {
        let resource = |n: usize| ResourceChange {
            table: "s3_bucket".to_owned(),
            account_id: format!("{number:012}"),
            region: "us-east-1".to_owned(),
            resource: format!("a \"{n}\""),
            resource_id: n.to_string(),
            kind: ResourceKind::Added,
            columns: Vec::new(),
            not_comparable: Vec::new(),
        };
        let finding = FindingChange {
            check: "s3-bucket-versioning".to_owned(),
            account_id: format!("{number:012}"),
            region: "us-east-1".to_owned(),
            resource: "b".to_owned(),
            resource_id: "b".to_owned(),
            resource_type: "s3_bucket".to_owned(),
            kind: FindingKind::Gone,
            before: None,
            after: None,
        };
        AccountsDiff {
            counts: Counts {
                same: number,
                ..Counts::default()
            },
            // more than one batch
            resources: (0..ROWS + number).map(resource).collect(),
            findings: vec![finding; number],
            not_compared: vec![NotCompared {
                table: None,
                account_id: Some(format!("{number:012}")),
                region: None,
                columns: Vec::new(),
                checks: Vec::new(),
                lacking: Which::After,
                reason: "the account was not read".to_owned(),
                resources: 0,
            }],
        }
    }

    fn received(parts: &[(usize, &AccountsDiff)]) -> Received {
        let mut received = Received::default();
        for (number, part) in parts {
            for batch in encode(*number, part, &schema()).unwrap() {
                received.add(&batch).unwrap();
            }
        }
        received
    }

    #[test]
    fn parts_come_back_as_they_were() {
        let (a, b) = (part(0), part(2));
        let all = received(&[(1, &b), (0, &a)]).whole(2).unwrap();
        assert_eq!(all, [a, b]);
    }

    #[test]
    fn a_lost_or_doubled_part_is_an_error() {
        let (a, b) = (part(0), part(2));
        let lost = received(&[(1, &b)]).whole(2);
        assert!(lost.unwrap_err().contains("part 0"));
        let doubled = received(&[(0, &a), (1, &b), (0, &a)]).whole(2);
        assert!(doubled.unwrap_err().contains("twice"));
        assert!(received(&[(0, &a), (1, &b)]).whole(1).is_err());
        // rows that were lost on their way
        let mut some = Received::default();
        let batches = encode(0, &a, &schema()).unwrap();
        batches[1..].iter().for_each(|b| some.add(b).unwrap());
        assert!(some.whole(1).is_err());
    }
}
