//! The door to everything: plan, evaluate, test, query.
use crate::error::{QueryError, SqlProblem, plain};
use crate::evaluate::{self, Block, CheckError, Early, Evaluation, Options};
use crate::plan::{Extent, Needs, Plan, PlannedCheck, RequirementsOf, plan_check};
use crate::provider::Rows;
use crate::scans;
use crate::session::Planner;
use crate::sql::{self, Values};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::logical_expr::LogicalPlan;
use palisade_catalog::{Catalog, Check, Diagnostic, DiagnosticLevel, ParameterValue};
use palisade_core::Timestamp;
use palisade_model::Models;
use palisade_table::{CatalogSchemas, Dataset, Schemas, Table};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, LazyLock};

/// Check → parameter → value, where the user set one; other parameters have their defaults.
pub type Params = BTreeMap<String, BTreeMap<String, ParameterValue>>;

/// Rows of a query, with their schema also when there are none.
#[derive(Debug, Clone)]
pub struct QueryResult {
    /// Columns.
    pub schema: SchemaRef,
    /// Rows.
    pub batches: Vec<RecordBatch>,
}

impl QueryResult {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

/// Runs SQL over the tables of one catalogue, as of one time.
pub struct Engine {
    pub(crate) planner: Planner,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) schemas: Arc<dyn Schemas + Send + Sync>,
    params: Params,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("planner", &self.planner)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// `now` is the time of the scan: what `$now` is and ages are counted from.
    ///
    /// # Errors
    /// When DataFusion cannot be set up; that is a bug.
    pub fn new(
        catalog: Arc<Catalog>,
        models: Arc<Models>,
        now: Timestamp,
        params: Params,
    ) -> Result<Self, QueryError> {
        let schemas = Arc::new(CatalogSchemas::new(Arc::clone(&catalog), models));
        Self::with_schemas(catalog, schemas, now, params)
    }

    /// The same over tables that come from elsewhere than API models.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn with_schemas(
        catalog: Arc<Catalog>,
        schemas: Arc<dyn Schemas + Send + Sync>,
        now: Timestamp,
        params: Params,
    ) -> Result<Self, QueryError> {
        let planner = Planner::new(Arc::clone(&catalog), Arc::clone(&schemas), now)?;
        Ok(Self {
            planner,
            catalog,
            schemas,
            params,
        })
    }

    /// The time of the scan.
    pub fn now(&self) -> Timestamp {
        self.planner.now()
    }

    /// The values that a check's parameters have: the user's, else the defaults.
    pub fn params_of(&self, check: &Check) -> BTreeMap<String, ParameterValue> {
        let set = self.params.get(&check.id);
        let value = |(name, p): (&String, &palisade_catalog::Parameter)| {
            let value = set.and_then(|s| s.get(name)).unwrap_or(&p.default);
            (name.clone(), value.clone())
        };
        check.params.iter().map(value).collect()
    }

    /// Plans checks. What is wrong with a check's SQL becomes diagnostics with file, line and column; such a check is
    /// not in the plan. The plan's checks are in the order of their ids.
    pub fn plan(&self, checks: &[Arc<Check>]) -> (Plan, Vec<Diagnostic>) {
        self.plan_with(checks, Extent::All)
    }

    /// The same, in less time: of shipped checks, in which nothing is wrong, what may never be needed is planned when it is.
    pub fn plan_as_needed(&self, checks: &[Arc<Check>]) -> (Plan, Vec<Diagnostic>) {
        self.plan_with(checks, Extent::AsNeeded)
    }

    fn plan_with(&self, checks: &[Arc<Check>], extent: Extent) -> (Plan, Vec<Diagnostic>) {
        // neighbours in the list often read the same tables: dealt out, the parts cost about the same
        let count = evaluate::parts_of(checks.len());
        let parts: Vec<Vec<&Arc<Check>>> = (0..count)
            .map(|part| checks.iter().skip(part).step_by(count).collect())
            .collect();
        // frameworks are read when a check is not as it was shipped
        let membership = LazyLock::new(|| self.catalog.membership());
        let requirements_of = |check: &Check, params: &BTreeMap<String, ParameterValue>| {
            membership.met(&check.id, params)
        };
        let planned = evaluate::on_deep_stacks(parts, |part| {
            self.plan_part(&part, extent, &requirements_of)
        });
        let mut plan = Plan::default();
        let mut diagnostics = Vec::new();
        match planned {
            Ok(parts) => {
                for (checks, problems) in parts {
                    plan.checks.extend(checks);
                    diagnostics.extend(problems);
                }
            }
            Err(e) => diagnostics.push(Diagnostic {
                file: String::new(),
                line: 0,
                column: 0,
                level: DiagnosticLevel::Error,
                message: format!("the checks could not be planned: {e}"),
                hint: None,
            }),
        }
        // One foreign id may stand for several checks, which all carry it.
        plan.checks
            .sort_by(|a, b| (&a.check.id, &a.check.file).cmp(&(&b.check.id, &b.check.file)));
        plan.checks
            .dedup_by(|a, b| a.check.id == b.check.id && a.check.file == b.check.file);
        diagnostics.sort();
        (plan, diagnostics)
    }

    fn plan_part(
        &self,
        checks: &[&Arc<Check>],
        extent: Extent,
        requirements_of: RequirementsOf<'_>,
    ) -> (Vec<Arc<PlannedCheck>>, Vec<Diagnostic>) {
        let mut planned = Vec::with_capacity(checks.len());
        let mut diagnostics = Vec::new();
        for check in checks {
            let params = self.params_of(check);
            // what users set is held against the SQL at once
            let extent = match self.params.contains_key(&check.id) {
                true => Extent::All,
                false => extent,
            };
            let check = plan_check(
                &self.planner,
                check,
                params,
                extent,
                requirements_of,
                &mut diagnostics,
            );
            planned.extend(check.map(Arc::new));
        }
        (planned, diagnostics)
    }

    /// Makes the executable forms of a plan, which evaluation would make when first needed: worth doing while the
    /// answers of AWS are awaited. What fails here fails again, and is reported, when it is evaluated. Ends early when
    /// `enough` is set: what has rows is known then, and the rest is made only for that.
    pub fn prepare(&self, plan: &Plan, enough: &AtomicBool) {
        let is_wanted = |_: &PlannedCheck| !enough.load(Ordering::Relaxed);
        evaluate::make_ready(&self.planner, &plan.checks, usize::MAX, &is_wanted);
    }

    /// What a user's query needs to be collected. `SELECT *` needs every column.
    ///
    /// # Errors
    /// When the SQL is wrong.
    pub fn columns_of_sql(&self, sql: &str) -> Result<Needs, QueryError> {
        evaluate::on_deep_stack(|| {
            let plan = self.logical(sql)?;
            scans::needs(&plan).map_err(|e| QueryError::Run(plain(&e)))
        })?
    }

    /// Evaluates all checks of the plan.
    pub fn evaluate(&self, plan: &Plan, dataset: &Dataset, options: Options) -> Evaluation {
        evaluate::findings(&self.planner, plan, dataset, options)
    }

    /// Judges while tables are read, until no more come: the tables of one account, each once it is whole. Checks whose
    /// tables are there are evaluated, and others are made ready meanwhile.
    pub fn evaluate_early(&self, plan: &Plan, tables: Receiver<Table>, options: Options) -> Early {
        evaluate::early(&self.planner, plan, tables, options)
    }

    /// As [`Engine::evaluate`], of what is left to do after [`Engine::evaluate_early`] with the same plan and options.
    pub fn evaluate_rest(
        &self,
        plan: &Plan,
        dataset: &Dataset,
        options: Options,
        early: Early,
    ) -> Evaluation {
        evaluate::rest(&self.planner, plan, dataset, options, early)
    }

    /// Evaluates all checks of the plan; each block of verdicts is handed over as it is made, and findings are built
    /// only if the receiver asks for them. Blocks come table by table, batch by batch, check by check; full queries
    /// last. Returns the checks that gave no verdicts, sorted.
    pub fn evaluate_blocks(
        &self,
        plan: &Plan,
        dataset: &Dataset,
        mut receive: impl FnMut(&Block<'_>),
    ) -> Vec<CheckError> {
        let rows = Arc::new(Rows::of(dataset));
        evaluate::evaluate(&self.planner, &plan.checks, dataset, &rows, &mut receive)
    }

    /// Runs a user's query over the dataset.
    ///
    /// # Errors
    /// When the SQL is wrong, needs what was not collected, or fails on a value.
    pub fn sql(&self, sql: &str, dataset: &Dataset) -> Result<QueryResult, QueryError> {
        evaluate::on_deep_stack(|| {
            let plan = self.logical(sql)?;
            let state = self.planner.state_over(Arc::new(Rows::of(dataset)));
            let batches = evaluate::block_on(evaluate::collect(&state, &plan))?
                .map_err(evaluate::query_error)?;
            let schema = match batches.first() {
                Some(batch) => batch.schema(),
                None => Arc::clone(plan.schema().inner()),
            };
            Ok(QueryResult { schema, batches })
        })?
    }

    /// Names resolved, not optimised.
    pub(crate) fn resolved(&self, sql: &str) -> Result<LogicalPlan, QueryError> {
        let none = BTreeMap::new();
        let values = Values {
            now: self.now(),
            params: &none,
        };
        let query = sql::parse_query(sql, values)?;
        Ok(self.planner.query(query)?)
    }

    pub(crate) fn logical(&self, sql: &str) -> Result<LogicalPlan, QueryError> {
        let plan = self.resolved(sql)?;
        let optimised = self.planner.optimize(plan);
        optimised.map_err(|e| QueryError::Sql(SqlProblem::new(plain(&e).replace('\'', "`"))))
    }
}
