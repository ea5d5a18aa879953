//! Planning while the answers of AWS are awaited.
use crate::{Planned, ScanError, Scanner};
use palisade_catalog::Check;
use palisade_collect::Request;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

/// A plan that is being made on a thread of its own.
#[derive(Debug)]
pub struct PlanAhead {
    plan: mpsc::Receiver<Result<Planned, ScanError>>,
    /// Nothing more is made ahead.
    enough: Arc<AtomicBool>,
}

impl PlanAhead {
    /// Begins to plan the checks.
    pub fn start(scanner: Arc<Scanner>, checks: Vec<Arc<Check>>) -> Self {
        let (sender, plan) = mpsc::channel();
        let enough = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&enough);
        std::thread::spawn(move || {
            let planned = scanner.plan(&checks);
            let ready = planned.as_ref().ok().cloned();
            // the plan goes out as soon as it is made; what evaluation needs beside it is made ahead as well, and not
            // waited for
            if sender.send(planned).is_ok()
                && let Some(planned) = ready
            {
                // the findings name requirements: their frameworks are parsed before they are asked for
                let _ = scanner.catalog().frameworks.len();
                planned.prepare(&told);
            }
        });
        Self { plan, enough }
    }

    /// The plan, which needs nothing but what was requested. Asked for when the answers are there.
    ///
    /// # Errors
    /// As [`Scanner::plan`], and when the plan needs more than `requested`.
    pub fn wait(self, requested: &Request) -> Result<Planned, ScanError> {
        let planned = self.plan.recv();
        self.enough.store(true, Ordering::Relaxed);
        let planned = planned.unwrap_or(Err(ScanError::PlanningStopped))?;
        if requested.covers(&planned.request()) {
            Ok(planned)
        } else {
            Err(ScanError::StaleReads)
        }
    }
}
