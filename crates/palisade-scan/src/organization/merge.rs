//! Many accounts' results as one. The result is the same whatever the order in which they come.
use crate::{ScanError, Spool};
use palisade_core::{
    Assessment, CallError, CallStatistics, CheckSummary, Counted, Coverage, Finding,
    LeftOutAccount, Listing, SkippedScope, Status, Timestamp,
};
use palisade_model::OperationStatistics;
use palisade_table::Dataset;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Takes results account by account.
#[derive(Debug, Default)]
pub struct Merge {
    version: String,
    accounts: BTreeSet<String>,
    regions: BTreeSet<String>,
    checks: BTreeMap<String, CheckSummary>,
    listing: Listing,
    findings: Vec<Finding>,
    /// All, when they are kept apart.
    spool: Option<Spool>,
    /// The first of each check, when only these are listed.
    first: BTreeMap<Arc<str>, Vec<Finding>>,
    counted: Counted,
    calls: BTreeMap<String, CallStatistics>,
    failures: BTreeMap<CallError, usize>,
    skipped: BTreeSet<SkippedScope>,
    left_out: BTreeSet<LeftOutAccount>,
    interrupted: bool,
}

impl Merge {
    /// Lists these findings and counts the others: then what it holds does not grow with what passes, or not at all.
    pub fn listing(listing: Listing) -> Self {
        Self {
            listing,
            ..Self::default()
        }
    }

    /// Keeps all findings apart ([`Merge::spool`]): then what it holds does not grow with their number.
    pub fn spooling() -> Self {
        Self {
            spool: Some(Spool::default()),
            ..Self::default()
        }
    }

    /// Whether findings that passed are listed or kept.
    pub(crate) fn has_passed(&self) -> bool {
        self.listing == Listing::All
    }

    /// The findings that are kept apart.
    pub fn spool(&mut self) -> Option<Spool> {
        self.spool.take()
    }

    /// Adds an account's assessment.
    ///
    /// # Errors
    /// When findings that are kept apart cannot be kept.
    pub fn add(&mut self, part: Assessment) -> Result<(), ScanError> {
        self.version = part.version;
        self.accounts.extend(part.accounts);
        self.regions.extend(part.regions);
        for check in part.checks {
            match self.checks.get_mut(&check.id) {
                Some(known) => {
                    known.passed += check.passed;
                    known.failed += check.failed;
                    known.unknown += check.unknown;
                    known.manual += check.manual;
                }
                None => {
                    self.checks.insert(check.id.clone(), check);
                }
            }
        }
        match &mut self.spool {
            Some(spool) => spool.extend(part.findings).map_err(ScanError::Spool)?,
            None => self.add_findings(part.findings),
        }
        self.counted.add(part.counted);
        self.add_coverage(part.coverage);
        Ok(())
    }

    pub(crate) fn add_findings(&mut self, findings: Vec<Finding>) {
        match self.listing {
            Listing::All => self.findings.extend(findings),
            Listing::Nothing => findings.iter().for_each(|f| self.counted.note(f)),
            Listing::NotPassed => {
                for finding in findings {
                    match finding.status {
                        Status::Pass => self.counted.note(&finding),
                        _ => self.findings.push(finding),
                    }
                }
                self.findings.shrink_to_fit();
            }
            Listing::First(most) => {
                let mut touched = BTreeSet::new();
                for finding in findings {
                    if finding.muted.is_some() {
                        // who counts for nothing is listed, or nobody would know that it is there
                        self.findings.push(finding);
                    } else if finding.counts_as_failed() {
                        touched.insert(Arc::clone(&finding.check));
                        let of = self.first.entry(Arc::clone(&finding.check));
                        of.or_default().push(finding);
                    } else {
                        self.counted.note(&finding);
                    }
                }
                for check in touched {
                    let Some(of) = self.first.get_mut(&check) else {
                        continue;
                    };
                    of.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
                    for finding in of.drain(most.min(of.len())..) {
                        self.counted.note(&finding);
                    }
                    of.shrink_to_fit();
                }
            }
        }
    }

    /// Adds what was and was not read, of an account without findings.
    pub fn add_coverage(&mut self, coverage: Coverage) {
        for call in coverage.calls {
            let known = self.calls.entry(call.operation.clone());
            let known = known.or_insert_with(|| CallStatistics {
                operation: call.operation.clone(),
                ..CallStatistics::default()
            });
            known.planned += call.planned;
            known.succeeded += call.succeeded;
            known.failed += call.failed;
            known.requests += call.requests;
            known.throttled += call.throttled;
        }
        for (error, times) in coverage.failures {
            *self.failures.entry(error).or_default() += times;
        }
        self.skipped.extend(coverage.skipped);
        self.left_out.extend(coverage.left_out);
        self.interrupted |= coverage.interrupted;
    }

    /// Adds an account that could not be read at all.
    pub fn add_failure(&mut self, error: CallError) {
        self.add_coverage(Coverage::of_unread(error));
    }

    /// Adds requests that belong to no account's own reading.
    pub fn add_requests(&mut self, sent: &[OperationStatistics]) {
        let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let calls = sent.iter().map(|s| CallStatistics {
            operation: format!("{}:{}", s.service, s.operation),
            requests: number(s.requests),
            throttled: number(s.throttled),
            ..CallStatistics::default()
        });
        self.add_coverage(Coverage {
            calls: calls.filter(|c| c.requests > 0).collect(),
            ..Coverage::default()
        });
    }

    /// What was and was not read until now.
    pub fn coverage(&mut self) -> Coverage {
        Coverage {
            calls: std::mem::take(&mut self.calls).into_values().collect(),
            failures: std::mem::take(&mut self.failures).into_iter().collect(),
            skipped: std::mem::take(&mut self.skipped).into_iter().collect(),
            left_out: std::mem::take(&mut self.left_out).into_iter().collect(),
            interrupted: self.interrupted,
        }
    }

    /// The findings that are listed, in their order, and the others.
    pub(crate) fn listed(&mut self) -> (Vec<Finding>, Counted) {
        let mut findings = std::mem::take(&mut self.findings);
        let first = std::mem::take(&mut self.first);
        findings.extend(first.into_values().flatten());
        findings.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        (findings, std::mem::take(&mut self.counted))
    }

    /// One assessment of all.
    pub fn finish(mut self, started_at: Timestamp) -> Assessment {
        let coverage = self.coverage();
        let (findings, counted) = self.listed();
        Assessment {
            version: self.version,
            started_at,
            accounts: self.accounts.into_iter().collect(),
            regions: self.regions.into_iter().collect(),
            checks: self.checks.into_values().collect(),
            findings,
            counted,
            coverage,
            frameworks: Vec::new(),
            last_scan: None,
            expired_mutes: Vec::new(),
        }
    }
}

/// The tables of many accounts as one, in the order in which they are given.
pub fn merge_datasets(parts: impl IntoIterator<Item = Dataset>) -> Dataset {
    let mut whole = Dataset::default();
    for part in parts {
        for (name, table) in part.tables {
            match whole.tables.get_mut(&name) {
                Some(known) => {
                    known.batches.extend(table.batches);
                    known.gaps.extend(table.gaps);
                }
                None => {
                    whole.tables.insert(name, table);
                }
            }
        }
    }
    whole
}
