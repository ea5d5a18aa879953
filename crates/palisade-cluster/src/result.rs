//! Findings and counts as rows, on their way back.
use crate::received::{self, MORE, Summaries, parsed, texts};
use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray, UInt32Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{Result, exec_datafusion_err};
use palisade_core::Finding;
use palisade_query::{CheckError, Counts, Part};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Findings of one batch.
const ROWS: usize = 4096;

/// What a piece of work says besides its findings; comes once, last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Summary {
    findings: usize,
    counts: BTreeMap<String, [usize; 5]>,
    errors: Vec<(String, String)>,
    unsettled: BTreeSet<String>,
}

/// What comes of evaluating. Of a finding its main columns stand by themselves, for who reads the rows with SQL.
pub(crate) fn schema() -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(vec![
        Field::new("part", DataType::UInt32, false),
        text("check", true),
        text("status", true),
        text("account_id", true),
        text("region", true),
        text("severity", true),
        text("finding", true),
        text("summary", true),
    ]))
}

/// The rows of a part.
pub(crate) fn encode(number: usize, part: &Part, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
    let number = u32::try_from(number).map_err(|e| exec_datafusion_err!("{e}"))?;
    let mut batches = Vec::new();
    for some in part.evaluation.findings.chunks(ROWS) {
        let texts = some
            .iter()
            .map(serde_json::to_string)
            .collect::<std::result::Result<Vec<String>, _>>()
            .map_err(|e| exec_datafusion_err!("{e}"))?;
        let column = |value: &dyn Fn(&Finding) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(some.iter().map(value)))
        };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from(vec![number; some.len()])),
            column(&|f| f.check.to_string()),
            column(&|f| f.status.to_string()),
            column(&|f| f.account_id.to_string()),
            column(&|f| f.region.to_string()),
            column(&|f| f.severity.to_string()),
            Arc::new(StringArray::from(texts)),
            Arc::new(StringArray::new_null(some.len())),
        ];
        batches.push(RecordBatch::try_new(Arc::clone(schema), columns)?);
    }
    let counts = part.evaluation.counts.iter();
    let errors = part.evaluation.errors.iter();
    let summary = Summary {
        findings: part.evaluation.findings.len(),
        counts: counts.map(|(c, n)| (c.clone(), numbers(n))).collect(),
        errors: errors
            .map(|e| (e.check.clone(), e.message.clone()))
            .collect(),
        unsettled: part.unsettled.clone(),
    };
    let summary = serde_json::to_string(&summary).map_err(|e| exec_datafusion_err!("{e}"))?;
    let none = || -> ArrayRef { Arc::new(StringArray::new_null(1)) };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt32Array::from(vec![number])),
        none(),
        none(),
        none(),
        none(),
        none(),
        none(),
        Arc::new(StringArray::from(vec![summary])),
    ];
    batches.push(RecordBatch::try_new(Arc::clone(schema), columns)?);
    Ok(batches)
}

/// Parts as they come back.
#[derive(Debug, Default)]
pub(crate) struct Received {
    findings: BTreeMap<u32, Vec<Finding>>,
    summaries: Summaries<Summary>,
}

impl Received {
    /// Adds rows.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = received::numbers(batch)?
            .into_iter()
            .zip(texts(batch, "finding")?);
        for ((part, finding), summary) in rows.zip(texts(batch, "summary")?) {
            if let Some(text) = finding {
                let findings = self.findings.entry(part).or_default();
                findings.push(parsed("a finding", text)?);
            }
            if let Some(text) = summary {
                self.summaries.add(part, parsed("a finding", text)?);
            }
        }
        Ok(())
    }

    /// All parts, when each is there once and whole.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn whole(mut self, parts: usize) -> std::result::Result<Vec<Part>, String> {
        let mut out = Vec::with_capacity(parts);
        for (number, summary) in self.summaries.whole(parts)? {
            let findings = self.findings.remove(&number).unwrap_or_default();
            if findings.len() != summary.findings {
                return Err(format!(
                    "part {number} has {} findings, not {}",
                    findings.len(),
                    summary.findings
                ));
            }
            let mut part = Part::default();
            part.evaluation.findings = findings;
            part.evaluation.counts = summary
                .counts
                .into_iter()
                .map(|(check, n)| (check, counts(n)))
                .collect();
            part.evaluation.errors = summary
                .errors
                .into_iter()
                .map(|(check, message)| CheckError { check, message })
                .collect();
            part.unsettled = summary.unsettled;
            out.push(part);
        }
        match self.findings.is_empty() {
            true => Ok(out),
            false => Err(MORE.to_owned()),
        }
    }
}

fn numbers(counts: &Counts) -> [usize; 5] {
    [
        counts.pass,
        counts.fail,
        counts.unknown,
        counts.not_applicable,
        counts.manual,
    ]
}

fn counts([pass, fail, unknown, not_applicable, manual]: [usize; 5]) -> Counts {
    Counts {
        pass,
        fail,
        unknown,
        not_applicable,
        manual,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(check: &str, fails: usize) -> Part {
        let mut part = Part::default();
        let count = Counts {
            fail: fails,
            ..Counts::default()
        };
        part.evaluation.counts.insert(check.to_owned(), count);
        part.evaluation.errors.push(CheckError {
            check: check.to_owned(),
            message: "a \"word\"".to_owned(),
        });
        part.unsettled.insert(check.to_owned());
        part
    }

    fn received(parts: &[(usize, &Part)]) -> Received {
        let mut received = Received::default();
        for (number, part) in parts {
            for batch in encode(*number, part, &schema()).unwrap() {
                received.add(&batch).unwrap();
            }
        }
        received
    }

    #[test]
    fn parts_come_back_in_their_order() {
        let (a, b) = (part("a", 1), part("b", 2));
        let all = received(&[(1, &b), (0, &a)]).whole(2).unwrap();
        assert_eq!(all, [a, b]);
    }

    #[test]
    fn a_lost_or_doubled_part_is_an_error() {
        let (a, b) = (part("a", 1), part("b", 2));
        assert!(
            received(&[(1, &b)])
                .whole(2)
                .unwrap_err()
                .contains("part 0")
        );
        let doubled = received(&[(0, &a), (1, &b), (0, &a)]).whole(2);
        assert!(doubled.unwrap_err().contains("twice"));
        assert!(received(&[(0, &a), (1, &b)]).whole(1).is_err());
    }
}
