//! What a server was asked and what it did.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::faults::Fault;
use crate::key::Key;

/// A request that was answered successfully more than once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duplicate {
    /// The request in canonical form.
    pub key: Key,
    /// How often it was answered with what the recording holds; at least 2.
    pub times: u32,
}

/// Counts since the server was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// All requests.
    pub total: u64,
    /// Requests by `service:operation`.
    pub requests: BTreeMap<String, u64>,
    /// Requests by region.
    pub regions: BTreeMap<String, u64>,
    /// Identical canonical requests that were answered successfully (a recorded answer below 500, undamaged) more
    /// than once, sorted. Retries after a fault are not among them.
    pub duplicates: Vec<Duplicate>,
    /// Requests that the recording has no answer for, by `service:operation`.
    pub not_recorded: BTreeMap<String, u64>,
    /// The most requests that were being answered at the same time.
    pub max_in_flight: u64,
    /// Requests refused because of their rate, by the token bucket or at random.
    pub throttled: u64,
    /// Faults given, by kind; throttled ones included.
    pub faults: BTreeMap<Fault, u64>,
    /// Bytes of bodies handed out.
    pub body_bytes: u64,
}

/// The counters behind [`Statistics`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    shown: Statistics,
    in_flight: u64,
    /// By account and request.
    seen: HashMap<(Arc<str>, Arc<Key>), Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    attempts: u32,
    successes: u32,
}

impl Counters {
    /// Counts a request's arrival; returns how often the same request arrived before.
    pub(crate) fn arrived(&mut self, account: &str, key: &Arc<Key>, operation: &str) -> u32 {
        self.shown.total += 1;
        count(&mut self.shown.requests, operation);
        count(&mut self.shown.regions, &key.region);
        let seen = self
            .seen
            .entry((account.into(), Arc::clone(key)))
            .or_default();
        seen.attempts += 1;
        seen.attempts - 1
    }

    pub(crate) fn entered(&mut self) {
        self.in_flight += 1;
        self.shown.max_in_flight = self.shown.max_in_flight.max(self.in_flight);
    }

    pub(crate) fn left(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        if fault == Fault::Throttled {
            self.shown.throttled += 1;
        }
        *self.shown.faults.entry(fault).or_default() += 1;
    }

    pub(crate) fn succeeded(&mut self, account: &str, key: &Arc<Key>) {
        let seen = self.seen.entry((account.into(), Arc::clone(key)));
        seen.or_default().successes += 1;
    }

    pub(crate) fn missed(&mut self, operation: &str) {
        count(&mut self.shown.not_recorded, operation);
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.shown.body_bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    pub(crate) fn statistics(&self) -> Statistics {
        let mut shown = self.shown.clone();
        #[expect(clippy::iter_over_hash_type, reason = "sorted right after")]
        for ((_, key), seen) in &self.seen {
            if seen.successes > 1 {
                shown.duplicates.push(Duplicate {
                    key: key.as_ref().clone(),
                    times: seen.successes,
                });
            }
        }
        shown.duplicates.sort();
        shown
    }
}

fn count(map: &mut BTreeMap<String, u64>, name: &str) {
    if let Some(value) = map.get_mut(name) {
        *value += 1;
    } else {
        map.insert(name.to_owned(), 1);
    }
}
