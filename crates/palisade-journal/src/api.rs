//! Somebody who answers from a journal what it has, and asks AWS for the rest.
use crate::journal::{Answer, Journal, Key};
use palisade_core::Timestamp;
use palisade_model::{Api, CallFuture, CallRequest, OperationStatistics};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Which calls go through the journal; the others are asked as if there were none.
pub type Part = fn(service: &str, operation: &str) -> bool;

/// An account's API with a journal. Calls that fail are not kept: they are made again by whoever goes on; that there is
/// none of something is no failure. An answer from the journal is no request: it is in no statistics.
pub struct Journaled {
    api: Arc<dyn Api>,
    part: Part,
    journal: OnceLock<Arc<Journal>>,
    /// What was answered before the journal was known.
    early: Mutex<Vec<(Key, Answer, Timestamp)>>,
    clock: fn() -> Timestamp,
}

impl Journaled {
    /// Over the account's own API.
    pub fn new(api: Arc<dyn Api>, part: Part, journal: Arc<Journal>) -> Self {
        let journaled = Self::without(api, part, Journal::clock(&journal));
        journaled.attach(journal);
        journaled
    }

    /// The same before the run is known: answers are held until [`Journaled::attach`].
    pub fn without(api: Arc<dyn Api>, part: Part, clock: fn() -> Timestamp) -> Self {
        Self {
            api,
            part,
            journal: OnceLock::new(),
            early: Mutex::default(),
            clock,
        }
    }

    /// From here on this journal counts; what was answered before is noted in it. Another one is not taken.
    pub fn attach(&self, journal: Arc<Journal>) {
        let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
        let journal = self.journal.get_or_init(|| journal);
        for (key, answer, at) in early.drain(..) {
            if journal.keeps(&key, &answer) {
                journal.note(&key, &answer, at);
            }
        }
    }

    fn note(&self, key: Key, answer: &Answer) {
        let at = (self.clock)();
        let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
        match self.journal.get() {
            Some(journal) => {
                drop(early);
                if journal.keeps(&key, answer) {
                    journal.note(&key, answer, at);
                }
            }
            None => early.push((key, answer.clone(), at)),
        }
    }
}

impl Api for Journaled {
    fn call<'a>(&'a self, request: CallRequest<'a>) -> CallFuture<'a> {
        let (service, operation) = (request.service, request.operation);
        let journal = self.journal.get();
        let takes = journal.is_none_or(|journal| journal.takes(service, operation));
        if !(self.part)(service, operation) || !takes {
            return self.api.call(request);
        }
        Box::pin(async move {
            let key = Key::of(request);
            if let Some(answer) = journal.and_then(|journal| journal.answer(&key)) {
                return answer;
            }
            let answer = self.api.call(request).await;
            self.note(key, &answer);
            answer
        })
    }

    fn statistics(&self) -> Vec<OperationStatistics> {
        self.api.statistics()
    }
}
