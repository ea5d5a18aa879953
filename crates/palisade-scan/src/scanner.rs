//! One object for what a command needs of the pipeline.
use crate::ScanError;
use palisade_catalog::{Catalog, Check, Diagnostic};
use palisade_collect::{Collected, Limits, Narrowed, Narrowing, Progress, Request, Targets};
use palisade_core::{Assessment, CheckSummary, Counted, Coverage, Status, Timestamp};
use palisade_model::Models;
use palisade_query::{
    Early, Engine, Evaluation, IamAccounts, IamQuestion, IamScope, Needs, Options, Params, Plan,
    QueryResult,
};
use palisade_table::Dataset;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Rows of a snapshot's account that are judged at once, where nothing else is asked for.
const ROWS_AT_ONCE: usize = 30_000;

/// What a row is taken to need while it is judged, in bytes: so many rows are judged at once within 1 GiB.
const ROW: usize = (1 << 30) / ROWS_AT_ONCE;

/// Plans of calls that are kept: that of most accounts, and that of the one that speaks for the organisation.
const PLANS_KEPT: usize = 2;

/// The catalogue, the API models, and the time that ages are counted from.
#[derive(Debug)]
pub struct Scanner {
    catalog: Arc<Catalog>,
    models: Arc<Models>,
    now: Timestamp,
    params: Params,
    rows_at_once: usize,
    /// Requests with their calls.
    calls: Mutex<VecDeque<(Request, Arc<palisade_collect::Plan>)>>,
}

/// Checks that are ready to be evaluated, and the engine that planned them.
#[derive(Debug, Clone)]
pub struct Planned {
    pub(crate) engine: Arc<Engine>,
    pub(crate) plan: Plan,
    pub(crate) checks: Vec<Arc<Check>>,
}

/// What follows from a check's SQL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckDetails {
    /// Table → the columns that it reads, sorted.
    pub columns: BTreeMap<String, Vec<String>>,
    /// Whether it may say something although its resource table has no rows.
    pub without_rows: bool,
    /// Whether it reads a table that is computed.
    pub computed: bool,
    /// `service:Operation` of every call that it needs, sorted.
    pub calls: Vec<String>,
    /// IAM actions, sorted.
    pub permissions: Vec<String>,
}

/// What came of fixtures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixtureReport {
    /// How many were run.
    pub fixtures: usize,
    /// What does not hold, as `file:line: …`.
    pub failures: Vec<String>,
}

/// What was scanned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Account ids, sorted.
    pub accounts: Vec<String>,
    /// Region names, sorted.
    pub regions: Vec<String>,
}

impl Planned {
    pub(crate) fn needs(&self) -> Needs {
        self.plan.needs()
    }
    /// The checks.
    pub fn checks(&self) -> &[Arc<Check>] {
        &self.checks
    }
    /// What must be collected.
    pub fn request(&self) -> Request {
        request(&self.plan.needs())
    }
    /// Makes what evaluation needs and would make when first needed: worth doing on another thread while the answers
    /// of AWS are awaited. Ends early when `enough` is set.
    pub fn prepare(&self, enough: &AtomicBool) {
        self.engine.prepare(&self.plan, enough);
    }
}

impl Scanner {
    /// Over a catalogue, with the shipped API models. The time is the epoch until it is set.
    pub fn new(catalog: Arc<Catalog>) -> Self {
        Self::with_models(catalog, Arc::new(Models::embedded()))
    }
    /// The same, with API models that somebody else uses, too.
    pub fn with_models(catalog: Arc<Catalog>, models: Arc<Models>) -> Self {
        Self {
            catalog,
            models,
            now: Timestamp::from_micros(0),
            params: Params::default(),
            rows_at_once: ROWS_AT_ONCE,
            calls: Mutex::default(),
        }
    }
    /// Sets how many rows of a snapshot's account are judged at once, about. What is found is the same; fewer take less
    /// memory and more time.
    pub fn set_rows_at_once(&mut self, rows: usize) {
        self.rows_at_once = rows;
    }
    /// Sets the same by the memory that there is for them, in bytes. Full queries see what they read whole, whatever it
    /// takes.
    pub fn set_memory(&mut self, bytes: usize) {
        self.rows_at_once = (bytes / ROW).max(1);
    }
    /// How many rows of a snapshot's account are judged at once, about.
    pub fn rows_at_once(&self) -> usize {
        self.rows_at_once
    }
    /// Sets the time that ages are counted from.
    pub fn set_now(&mut self, now: Timestamp) {
        self.now = now;
    }
    /// The catalogue.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }
    /// The time that ages are counted from.
    pub fn now(&self) -> Timestamp {
        self.now
    }
    /// The API models.
    pub fn models(&self) -> &Arc<Models> {
        &self.models
    }

    /// Checks the SQL of checks and finds out what it reads.
    ///
    /// # Errors
    /// When a check's SQL is wrong, with all that is wrong.
    pub fn plan(&self, checks: &[Arc<Check>]) -> Result<Planned, ScanError> {
        let engine = self.engine()?;
        let planned = engine.plan(checks);
        Self::planned(engine, checks, planned)
    }

    /// The same to judge what there is: of shipped checks, in which nothing is wrong, what may never be needed is planned
    /// when it is.
    ///
    /// # Errors
    /// As [`Scanner::plan`].
    pub fn plan_as_needed(&self, checks: &[Arc<Check>]) -> Result<Planned, ScanError> {
        let engine = self.engine()?;
        let planned = engine.plan_as_needed(checks);
        Self::planned(engine, checks, planned)
    }

    fn planned(
        engine: Engine,
        checks: &[Arc<Check>],
        (plan, diagnostics): (Plan, Vec<Diagnostic>),
    ) -> Result<Planned, ScanError> {
        if diagnostics.is_empty() {
            Ok(Planned {
                engine: Arc::new(engine),
                plan,
                checks: checks.to_vec(),
            })
        } else {
            Err(ScanError::Checks(diagnostics))
        }
    }

    /// What the checks need collected. Of shipped checks that is known; the others are planned.
    ///
    /// # Errors
    /// As [`Scanner::plan`], for checks that are not shipped or were given other parameters.
    pub fn request(&self, checks: &[Arc<Check>]) -> Result<Request, ScanError> {
        let mut others = Vec::new();
        let mut wanted = Request::default();
        for check in checks {
            match self.catalog.reads_of(check) {
                Some(reads) => {
                    for (table, columns) in reads {
                        wanted.add(table, columns.iter().map(String::as_str));
                    }
                }
                None => others.push(Arc::clone(check)),
            }
        }
        if !others.is_empty() {
            let planned = self.plan(&others)?;
            add_needs(&mut wanted, &planned.plan.needs());
        }
        Ok(wanted)
    }

    /// The IAM actions that the checks need, sorted: no more, no less.
    ///
    /// # Errors
    /// As [`Scanner::request`], and when a table's calls cannot be planned.
    pub fn permissions(&self, checks: &[Arc<Check>]) -> Result<Vec<String>, ScanError> {
        let request = self.request(checks)?;
        let mut actions: BTreeSet<String> =
            self.calls(&request)?.permissions().into_iter().collect();
        // who the credentials belong to is asked before every scan
        actions.insert("sts:GetCallerIdentity".to_owned());
        Ok(actions.into_iter().collect())
    }

    /// The APIs that the checks call, sorted.
    ///
    /// # Errors
    /// As [`Scanner::permissions`].
    pub fn apis(&self, checks: &[Arc<Check>]) -> Result<Vec<String>, ScanError> {
        let request = self.plan(checks)?.request();
        let operations = self.calls(&request)?.operations();
        let apis: BTreeSet<String> = operations
            .into_iter()
            .filter_map(|o| o.split_once(':').map(|(api, _)| api.to_owned()))
            .collect();
        Ok(apis.into_iter().collect())
    }

    /// What a check reads and needs.
    ///
    /// # Errors
    /// As [`Scanner::permissions`].
    pub fn details(&self, check: &Arc<Check>) -> Result<CheckDetails, ScanError> {
        let mut details = self.details_of(std::slice::from_ref(check))?;
        Ok(details.remove(&check.id).unwrap_or_default())
    }

    /// The same for many checks at once, by their ids.
    ///
    /// # Errors
    /// As [`Scanner::permissions`].
    pub fn details_of(
        &self,
        checks: &[Arc<Check>],
    ) -> Result<BTreeMap<String, CheckDetails>, ScanError> {
        let planned = self.plan(checks)?;
        let mut all = BTreeMap::new();
        for check in &planned.plan.checks {
            let plan = self.calls(&request(&check.needs))?;
            let columns = check.needs.iter().map(|(table, columns)| {
                let columns = columns.iter().cloned().collect();
                (table.clone(), columns)
            });
            let details = CheckDetails {
                columns: columns.collect(),
                without_rows: check.without_rows,
                computed: check.computed,
                calls: plan.operations(),
                permissions: plan.permissions(),
            };
            all.insert(check.check.id.clone(), details);
        }
        Ok(all)
    }

    /// Plans the calls of a request, to be found planned when they are made.
    pub fn think_ahead(&self, request: &Request) {
        std::thread::scope(|scope| {
            // Most of it is what tables look like, which is remembered: two begin at both ends of the list.
            scope.spawn(|| {
                let tables = request.tables.keys().rev();
                tables.for_each(|table| drop(self.catalog.table_schema(table, &self.models)));
            });
            // what is wrong is told when they are made
            let _ = self.calls(request);
        });
    }

    /// The calls of a request. Of many accounts each is asked the same: what was planned last is kept.
    fn calls(&self, request: &Request) -> Result<Arc<palisade_collect::Plan>, ScanError> {
        let known = || self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known().iter().find(|(of, _)| of == request).cloned();
        if let Some((_, plan)) = found {
            return Ok(plan);
        }
        let plan = palisade_collect::plan(&self.catalog, &self.models, request)?;
        let plan = Arc::new(plan);
        let mut known = known();
        if known.len() == PLANS_KEPT {
            known.pop_front();
        }
        known.push_back((request.clone(), Arc::clone(&plan)));
        Ok(plan)
    }

    pub(crate) fn engine(&self) -> Result<Engine, ScanError> {
        self.engine_at(self.now)
    }

    fn engine_at(&self, now: Timestamp) -> Result<Engine, ScanError> {
        let (catalog, models) = (Arc::clone(&self.catalog), Arc::clone(&self.models));
        Ok(Engine::new(catalog, models, now, self.params.clone())?)
    }

    /// The file with the plans of checks that do not depend on the time of a scan.
    pub(crate) fn shipped_plans(&self, checks: &[Arc<Check>]) -> Result<Vec<u8>, ScanError> {
        let engines = [0, 1_000_000].map(Timestamp::from_micros);
        let [first, second] = engines.map(|now| self.engine_at(now));
        Ok(palisade_query::shipped_plans([first?, second?], checks)?)
    }

    /// Makes the calls. `cancel` turning true ends it early, with what was read until then.
    ///
    /// # Errors
    /// When the calls cannot be planned; failed calls are in the coverage, not here.
    pub async fn collect(
        &self,
        request: &Request,
        targets: &Targets,
        limits: &Limits,
        progress: &dyn Progress,
        cancel: watch::Receiver<bool>,
    ) -> Result<Collected, ScanError> {
        let nobody = palisade_collect::Silent;
        let collected = self.collect_telling(request, targets, limits, progress, cancel, &nobody);
        collected.await
    }

    /// The same; tables are handed over as soon as they are whole.
    ///
    /// # Errors
    /// As [`Scanner::collect`].
    pub async fn collect_telling(
        &self,
        request: &Request,
        targets: &Targets,
        limits: &Limits,
        progress: &dyn Progress,
        cancel: watch::Receiver<bool>,
        early: &dyn palisade_collect::Early,
    ) -> Result<Collected, ScanError> {
        let plan = self.calls(request)?;
        let run = palisade_collect::run_telling(&plan, targets, limits, progress, cancel, early);
        Ok(run.await)
    }

    /// The same for some rows of some tables.
    ///
    /// # Errors
    /// As [`Scanner::collect`].
    pub async fn collect_some(
        &self,
        request: &Request,
        targets: &Targets,
        limits: &Limits,
        progress: &dyn Progress,
        cancel: watch::Receiver<bool>,
        narrowing: &Narrowing,
    ) -> Result<Narrowed, ScanError> {
        let plan = self.calls(request)?;
        let narrowed =
            palisade_collect::run_narrowed(&plan, targets, limits, progress, cancel, narrowing);
        Ok(narrowed.await)
    }

    /// Evaluates what was collected.
    ///
    /// # Errors
    /// When a check cannot be evaluated, which is a mistake in the check: no verdict is better than half of them.
    pub fn assess(
        &self,
        planned: &Planned,
        collected: Collected,
        scope: Scope,
        options: Options,
    ) -> Result<Assessment, ScanError> {
        self.assess_rest(planned, collected, scope, options, None)
    }

    /// The same, of what is left to do after a part was judged while tables were read, with the same options.
    ///
    /// # Errors
    /// As [`Scanner::assess`].
    pub fn assess_rest(
        &self,
        planned: &Planned,
        collected: Collected,
        scope: Scope,
        options: Options,
        early: Option<Early>,
    ) -> Result<Assessment, ScanError> {
        let (engine, plan, dataset) = (&planned.engine, &planned.plan, &collected.dataset);
        let evaluation = match early {
            Some(early) => engine.evaluate_rest(plan, dataset, options, early),
            None => engine.evaluate(plan, dataset, options),
        };
        self.assessed(planned, evaluation, collected.coverage, scope, options)
    }

    /// What the planned checks said as an assessment; what passed is counted when it was not to be listed.
    pub(crate) fn assessed(
        &self,
        planned: &Planned,
        evaluation: Evaluation,
        coverage: Coverage,
        scope: Scope,
        options: Options,
    ) -> Result<Assessment, ScanError> {
        let mut assessment = self.assessment(planned, evaluation, coverage, scope)?;
        if !options.passes {
            let counted = &mut assessment.counted;
            for check in &assessment.checks {
                counted.note_many(&check.id, check.severity, Status::Pass, check.passed);
            }
        }
        Ok(assessment)
    }

    /// What the planned checks said, here or elsewhere, as an assessment.
    ///
    /// # Errors
    /// As [`Scanner::assess`].
    pub fn assessment(
        &self,
        planned: &Planned,
        mut evaluation: Evaluation,
        coverage: Coverage,
        scope: Scope,
    ) -> Result<Assessment, ScanError> {
        if !evaluation.errors.is_empty() {
            return Err(ScanError::Evaluation(evaluation.errors));
        }
        let of_plan = planned.plan.checks.iter();
        let requirements: BTreeMap<&str, &[String]> = of_plan
            .map(|planned| (planned.check.id.as_str(), &*planned.requirements))
            .collect();
        let mut checks = Vec::with_capacity(planned.checks.len());
        for check in &planned.checks {
            let requirements = requirements.get(check.id.as_str());
            let counts = evaluation.counts.remove(&check.id).unwrap_or_default();
            checks.push(CheckSummary {
                id: check.id.clone(),
                title: check.title.clone(),
                service: check.service.clone(),
                severity: check.severity,
                category: check.category,
                why: check.why.clone(),
                fix: check.fix.clone(),
                requirements: requirements.map_or_else(Vec::new, |r| r.to_vec()),
                passed: counts.pass,
                failed: counts.fail,
                unknown: counts.unknown,
                manual: counts.manual,
            });
        }
        Ok(Assessment {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.now,
            accounts: scope.accounts,
            regions: scope.regions,
            checks,
            findings: evaluation.findings,
            counted: Counted::default(),
            coverage,
            frameworks: Vec::new(),
            last_scan: None,
            expired_mutes: Vec::new(),
        })
    }

    /// What a user's query must have collected.
    ///
    /// # Errors
    /// When the SQL is wrong.
    pub fn columns_of(&self, sql: &str) -> Result<Request, ScanError> {
        Ok(request(&self.engine()?.columns_of_sql(sql)?))
    }

    /// What a question about IAM must have collected.
    pub fn iam_request(&self, question: IamQuestion<'_>) -> Request {
        request(&palisade_query::iam_needs(question))
    }

    /// The accounts that were collected, as the IAM engine takes them. Tables that were not asked for count as not known.
    pub fn iam_accounts(&self, dataset: &Dataset, scope: &IamScope) -> IamAccounts {
        let schemas = palisade_query::CatalogSchemas::new(
            Arc::clone(&self.catalog),
            Arc::clone(&self.models),
        );
        palisade_query::iam_accounts(dataset, &schemas, scope)
    }

    /// The names of a service's tables.
    pub fn tables_of(&self, service: &str) -> Vec<String> {
        let tables = self.catalog.tables.values();
        tables
            .filter(|t| t.service == service)
            .map(|t| t.name.clone())
            .collect()
    }

    /// Runs a user's query.
    ///
    /// # Errors
    /// When the SQL is wrong or fails on a value.
    pub fn query(&self, sql: &str, dataset: &Dataset) -> Result<QueryResult, ScanError> {
        Ok(self.engine()?.sql(sql, dataset)?)
    }

    /// Runs the checks' own fixtures.
    ///
    /// # Errors
    /// When the SQL of a check is wrong.
    pub fn test_fixtures(&self, checks: &[Arc<Check>]) -> Result<FixtureReport, ScanError> {
        let (diagnostics, failures) = self.engine()?.test_fixtures(checks)?;
        if !diagnostics.is_empty() {
            return Err(ScanError::Checks(diagnostics));
        }
        Ok(FixtureReport {
            fixtures: checks.iter().map(|c| c.fixtures.len()).sum(),
            failures: failures.iter().map(ToString::to_string).collect(),
        })
    }
}

fn request(needs: &Needs) -> Request {
    let mut request = Request::default();
    add_needs(&mut request, needs);
    request
}

fn add_needs(request: &mut Request, needs: &Needs) {
    for (table, columns) in needs {
        request.add(table, columns.iter().map(String::as_str));
    }
}
