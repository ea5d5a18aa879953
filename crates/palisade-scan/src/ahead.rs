//! Planning while the answers of AWS are awaited.
use crate::{Planned, ScanError, Scanner};
use palisade_catalog::Check;
use palisade_collect::Request;
use std::sync::{Arc, mpsc};

/// A plan that is being made on a thread of its own.
#[derive(Debug)]
pub struct PlanAhead(mpsc::Receiver<Result<Planned, ScanError>>);

impl PlanAhead {
    /// Begins to plan the checks.
    pub fn start(scanner: Arc<Scanner>, checks: Vec<Arc<Check>>) -> Self {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let planned = scanner.plan(&checks);
            let ready = planned.as_ref().ok().cloned();
            // the plan goes out as soon as it is made; what evaluation needs beside it is made ahead as well, and not
            // waited for
            if sender.send(planned).is_ok()
                && let Some(planned) = ready
            {
                planned.prepare();
                // the findings name requirements: their frameworks are parsed before they are asked for
                let _ = scanner.catalog().frameworks.len();
            }
        });
        Self(receiver)
    }

    /// The plan, which needs nothing but what was requested.
    ///
    /// # Errors
    /// As [`Scanner::plan`], and when the plan needs more than `requested`.
    pub fn wait(self, requested: &Request) -> Result<Planned, ScanError> {
        let planned = self.0.recv().unwrap_or(Err(ScanError::PlanningStopped))?;
        if requested.covers(&planned.request()) {
            Ok(planned)
        } else {
            Err(ScanError::StaleReads)
        }
    }
}
