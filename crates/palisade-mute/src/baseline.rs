//! What was there already: identities of the findings that failed when the baseline was taken.
use crate::file::today;
use palisade_core::{Assessment, Finding, MutedBy, Muting, Status, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The version of the file's form.
const SCHEMA: &str = "palisade-baseline/1";

/// Not a baseline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BaselineError(String);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Identity {
    check: String,
    account_id: String,
    region: String,
    resource: String,
}

impl Identity {
    fn of(finding: &Finding) -> Self {
        Self {
            check: finding.check.to_string(),
            account_id: finding.account_id.to_string(),
            region: finding.region.to_string(),
            resource: finding.resource.clone(),
        }
    }
}

/// The findings that failed at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    schema: String,
    taken_at: Timestamp,
    findings: BTreeSet<Identity>,
}

impl Baseline {
    /// Of what failed in an assessment. What is muted is not in it: its mute will end.
    pub fn of(assessment: &Assessment) -> Self {
        let failed = assessment.findings.iter().filter(|f| f.counts_as_failed());
        Self {
            schema: SCHEMA.to_owned(),
            taken_at: assessment.started_at,
            findings: failed.map(Identity::of).collect(),
        }
    }
    /// Reads a file's text.
    ///
    /// # Errors
    /// When it is no baseline, or of a version that is not known.
    pub fn parse(text: &str) -> Result<Self, BaselineError> {
        let read: Self = serde_json::from_str(text).map_err(|e| BaselineError(e.to_string()))?;
        if read.schema == SCHEMA {
            Ok(read)
        } else {
            Err(BaselineError(format!(
                "unknown schema `{}`; `{SCHEMA}` is expected",
                read.schema
            )))
        }
    }
    /// As a file's text: sorted, one finding a line, so that a review sees what changes.
    pub fn to_json(&self) -> String {
        let line = |i: &Identity| format!("  {}", serde_json::to_string(i).unwrap_or_default());
        let lines: Vec<String> = self.findings.iter().map(line).collect();
        let body = if lines.is_empty() {
            String::new()
        } else {
            format!("\n{}\n ", lines.join(",\n"))
        };
        format!(
            "{{\"schema\": \"{SCHEMA}\", \"taken_at\": \"{}\",\n \"findings\": [{body}]}}\n",
            self.taken_at
        )
    }
    /// How many findings it holds.
    pub fn len(&self) -> usize {
        self.findings.len()
    }
    /// True when nothing failed.
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }
    /// Marks the failed findings that were there already, unless a mute did. How many of the baseline fail no longer.
    pub fn apply(&self, assessment: &mut Assessment) -> usize {
        let mut marking = self.marking();
        for finding in &mut assessment.findings {
            marking.mark(finding);
        }
        marking.gone()
    }

    /// The same, finding by finding.
    pub fn marking(&self) -> BaselineMarking<'_> {
        BaselineMarking {
            baseline: self,
            mark: Arc::new(Muting {
                by: MutedBy::Baseline,
                reason: format!("in the baseline of {}", today(self.taken_at)),
                owner: String::new(),
                expires: String::new(),
            }),
            seen: BTreeSet::new(),
        }
    }
}

/// A baseline while it marks findings.
#[derive(Debug)]
pub struct BaselineMarking<'b> {
    baseline: &'b Baseline,
    mark: Arc<Muting>,
    seen: BTreeSet<&'b Identity>,
}

impl BaselineMarking<'_> {
    /// Marks a failed finding that was there already, unless a mute did.
    pub fn mark(&mut self, finding: &mut Finding) {
        if finding.status != Status::Fail {
            return;
        }
        if let Some(identity) = self.baseline.findings.get(&Identity::of(finding)) {
            if finding.muted.is_none() {
                finding.muted = Some(Arc::clone(&self.mark));
            }
            self.seen.insert(identity);
        }
    }

    /// How many of the baseline fail no longer, when all findings were marked.
    pub fn gone(&self) -> usize {
        self.baseline.findings.len() - self.seen.len()
    }
}
