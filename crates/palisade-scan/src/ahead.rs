//! Planning, and judging, while the answers of AWS are awaited.
use crate::{Planned, ScanError, Scanner};
use palisade_catalog::Check;
use palisade_collect::Request;
use palisade_query::{Early, Options};
use palisade_table::Table;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

/// A plan that is being made on a thread of its own.
#[derive(Debug)]
pub struct PlanAhead {
    /// With what it needs collected.
    plan: mpsc::Receiver<Result<(Planned, Request), ScanError>>,
    /// Nothing more is made ahead.
    enough: Arc<AtomicBool>,
}

/// What takes the tables of an account as they become whole, and judges them.
#[derive(Debug)]
pub struct JudgeAhead {
    tables: Tables,
    judged: mpsc::Receiver<Early>,
}

/// The way in.
#[derive(Debug)]
struct Tables(mpsc::Sender<Table>);

impl PlanAhead {
    /// Begins to plan the checks.
    pub fn start(scanner: Arc<Scanner>, checks: Vec<Arc<Check>>) -> Self {
        Self::and_then(scanner, checks, |planned, enough| planned.prepare(enough))
    }

    /// Begins to plan the checks, which then judge the tables of one account as they come.
    pub fn judging(
        scanner: Arc<Scanner>,
        checks: Vec<Arc<Check>>,
        options: Options,
    ) -> (Self, JudgeAhead) {
        let (tables, whole) = mpsc::channel();
        let (sender, judged) = mpsc::sync_channel(1);
        let plan = Self::and_then(scanner, checks, move |planned, _| {
            let early = planned.engine.evaluate_early(&planned.plan, whole, options);
            // nobody waits for it when the scan has failed
            let _ = sender.send(early);
        });
        let tables = Tables(tables);
        (plan, JudgeAhead { tables, judged })
    }

    fn and_then(
        scanner: Arc<Scanner>,
        checks: Vec<Arc<Check>>,
        then: impl FnOnce(&Planned, &AtomicBool) + Send + 'static,
    ) -> Self {
        let (sender, plan) = mpsc::channel();
        let enough = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&enough);
        std::thread::spawn(move || {
            let planned = scanner.plan_as_needed(&checks).map(|planned| {
                let needs = planned.request();
                (planned, needs)
            });
            let ready = planned.as_ref().ok().map(|(planned, _)| planned.clone());
            // the plan goes out as soon as it is made; what evaluation needs beside it is made ahead as well, and not
            // waited for
            if sender.send(planned).is_ok()
                && let Some(planned) = ready
            {
                then(&planned, &told);
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
        let (planned, needs) = planned.unwrap_or(Err(ScanError::PlanningStopped))?;
        if requested.covers(&needs) {
            Ok(planned)
        } else {
            Err(ScanError::StaleReads)
        }
    }
}

impl JudgeAhead {
    /// What takes the tables.
    pub fn tables(&self) -> &dyn palisade_collect::Early {
        &self.tables
    }

    /// What was judged; nothing when that has failed, and all is to be judged. Asked for when no more tables come.
    pub fn wait(self) -> Option<Early> {
        drop(self.tables);
        self.judged.recv().ok()
    }
}

impl palisade_collect::Early for Tables {
    fn whole(&self, _: &str, table: Table) {
        // a thread that has stopped judges nothing: all is judged in the end
        let _ = self.0.send(table);
    }
}
