//! Counts of what was sent.
use palisade_model::OperationStatistics;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Counters of one operation.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests: AtomicU64,
    pub(crate) throttled: AtomicU64,
    pub(crate) bytes: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }
}

/// Counters of all operations of one client.
#[derive(Debug, Default)]
pub(crate) struct Statistics(Mutex<BTreeMap<(String, String), Arc<Counters>>>);

impl Statistics {
    pub(crate) fn of(&self, service: &str, operation: &str) -> Arc<Counters> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(
            all.entry((service.to_owned(), operation.to_owned()))
                .or_default(),
        )
    }

    pub(crate) fn report(&self) -> Vec<OperationStatistics> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        all.iter()
            .map(|((service, operation), counters)| OperationStatistics {
                service: service.clone(),
                operation: operation.clone(),
                requests: read(&counters.requests),
                throttled: read(&counters.throttled),
                bytes: read(&counters.bytes),
            })
            .collect()
    }
}
