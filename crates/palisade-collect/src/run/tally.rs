//! Counts for the coverage report.
use palisade_core::{CallError, CallStatistics, Coverage, SkippedScope};
use palisade_model::OperationStatistics;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct Tally {
    calls: BTreeMap<String, CallStatistics>,
    /// Without the message, which may name the resource: the same failure of a thousand rows is one entry.
    failures: BTreeMap<CallError, (String, usize)>,
    skipped: BTreeSet<SkippedScope>,
}

fn name(service: &str, operation: &str) -> String {
    format!("{service}:{operation}")
}

impl Tally {
    fn entry(&mut self, service: &str, operation: &str) -> &mut CallStatistics {
        let operation = name(service, operation);
        let fresh = || CallStatistics {
            operation: operation.clone(),
            ..CallStatistics::default()
        };
        self.calls.entry(operation.clone()).or_insert_with(fresh)
    }

    pub(super) fn planned(&mut self, service: &str, operation: &str) {
        self.entry(service, operation).planned += 1;
    }

    pub(super) fn succeeded(&mut self, service: &str, operation: &str) {
        self.entry(service, operation).succeeded += 1;
    }

    /// A planned call that did not succeed. `made` is false for calls that were never sent.
    pub(super) fn failed(&mut self, error: &CallError, made: bool) {
        self.entry(&error.service, &error.operation).failed += usize::from(made);
        self.record(error);
    }

    /// An answer that was understood in part.
    pub(super) fn record(&mut self, error: &CallError) {
        let key = CallError {
            message: String::new(),
            ..error.clone()
        };
        let known = self
            .failures
            .entry(key)
            .or_insert_with(|| (error.message.clone(), 0));
        known.1 += 1;
        // The least message, so that the order of answers does not show.
        if error.message < known.0 {
            known.0.clone_from(&error.message);
        }
    }

    /// A call that turned out to have nothing to ask.
    pub(super) fn unavailable(&mut self, service: &str, operation: &str) {
        let entry = self.entry(service, operation);
        entry.planned = entry.planned.saturating_sub(1);
    }

    pub(super) fn skipped(&mut self, service: &str, region: &str, reason: &str) {
        self.skipped.insert(SkippedScope {
            service: service.to_owned(),
            region: region.to_owned(),
            reason: reason.to_owned(),
        });
    }

    pub(super) fn sent(&mut self, statistics: &OperationStatistics) {
        let entry = self.entry(&statistics.service, &statistics.operation);
        entry.requests += usize::try_from(statistics.requests).unwrap_or(usize::MAX);
        entry.throttled += usize::try_from(statistics.throttled).unwrap_or(usize::MAX);
    }

    pub(super) fn finish(self, interrupted: bool) -> Coverage {
        let failure = |(error, (message, times)): (CallError, (String, usize))| {
            (CallError { message, ..error }, times)
        };
        let used = |c: &CallStatistics| c.planned > 0 || c.requests > 0;
        Coverage {
            calls: self.calls.into_values().filter(used).collect(),
            failures: self.failures.into_iter().map(failure).collect(),
            skipped: self.skipped.into_iter().collect(),
            left_out: Vec::new(),
            interrupted,
        }
    }
}
