//! What `palisade-cluster` needs to evaluate and query on several machines, and nobody else.
use crate::engine::{Engine, QueryResult};
use crate::error::{QueryError, plain};
use crate::evaluate::{self, Evaluation, Options};
use crate::functions;
use crate::iam::{DerivedTable, IamAccounts, derived};
use crate::plan::{Needs, Plan, PlannedCheck};
use crate::provider::Rows;
use crate::reach::{Reach, reach};
use crate::scans::Apart;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, ScalarUDF};
use palisade_core::{Finding, Timestamp};
use palisade_table::Dataset;
use std::collections::{BTreeMap, BTreeSet};

/// What the checks of a plan say about a part of the accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// As [`Engine::evaluate`] over these accounts.
    pub evaluation: Evaluation,
    /// Checks of which the whole dataset may give other findings for these accounts: they failed, and which rows that
    /// takes along depends on what else is there.
    pub unsettled: BTreeSet<String>,
}

impl Part {
    /// Leaves out what some checks say.
    pub fn forget(&mut self, checks: &BTreeSet<String>) {
        let evaluation = &mut self.evaluation;
        evaluation.findings.retain(|f| !checks.contains(&*f.check));
        evaluation.counts.retain(|check, _| !checks.contains(check));
        evaluation.errors.retain(|e| !checks.contains(&e.check));
        self.unsettled.retain(|check| !checks.contains(check));
    }
}

/// Texts that a column of a computed table is compared with, by column: what need not be computed.
pub type Wanted = BTreeMap<String, BTreeSet<String>>;

impl Engine {
    /// What a check must see.
    pub fn reach(&self, planned: &PlannedCheck) -> Reach {
        reach(&self.planner, planned)
    }

    /// The columns that a check reads itself, and the computed tables that it reads; nothing of a check that reads no
    /// computed table.
    pub fn computes(&self, planned: &PlannedCheck) -> Option<(Needs, BTreeSet<String>)> {
        if !planned.computed {
            return None;
        }
        let Apart { read, computed } = planned.query(&self.planner)?.ok()?.apart.clone()?;
        Some((read, computed))
    }

    /// Evaluates checks with computed tables that are computed over accounts that are at hand. Of the dataset, such checks
    /// see what they read themselves, and which calls failed.
    pub fn evaluate_over(
        &self,
        plan: &Plan,
        dataset: &Dataset,
        accounts: IamAccounts,
        options: Options,
    ) -> Evaluation {
        let rows = Rows::of(dataset).over(accounts);
        evaluate::part(&self.planner, plan, dataset, rows, options).0
    }

    /// Evaluates the checks of the plan over a part of the accounts.
    pub fn evaluate_part(&self, plan: &Plan, dataset: &Dataset, options: Options) -> Part {
        let rows = Rows::of(dataset);
        let (evaluation, mut unsettled) =
            evaluate::part(&self.planner, plan, dataset, rows, options);
        unsettled.extend(evaluation.errors.iter().map(|e| e.check.clone()));
        Part {
            evaluation,
            unsettled,
        }
    }

    /// A user's query with its names resolved, after it was checked as [`Engine::sql`] does; not optimised.
    ///
    /// # Errors
    /// When the SQL is wrong.
    pub fn query_plan(&self, sql: &str) -> Result<LogicalPlan, QueryError> {
        evaluate::on_deep_stack(|| {
            self.logical(sql)?;
            self.resolved(sql)
        })?
    }

    /// What SQL is planned and run with.
    pub fn session_state(&self) -> &SessionState {
        &self.planner.state
    }

    /// The rows of a table of the dataset, with the columns and types of a schema.
    ///
    /// # Errors
    /// When the table or a column is not there, or has another type.
    pub fn rows(
        &self,
        table: &str,
        schema: &SchemaRef,
        dataset: &Dataset,
    ) -> Result<Vec<RecordBatch>, QueryError> {
        let rows = Rows::of(dataset);
        rows.read(table, schema).map_err(evaluate::query_error)
    }

    /// The rows of a computed table over a dataset; those that are wanted, and perhaps more.
    ///
    /// # Errors
    /// When there is no such table, or it cannot be computed.
    pub fn computed_rows(
        &self,
        table: &str,
        wanted: &Wanted,
        dataset: &Dataset,
    ) -> Result<RecordBatch, QueryError> {
        let computed = self
            .computed(table)
            .ok_or_else(|| QueryError::Run(format!("no computed table `{table}`")))?;
        let rows = Rows::of(dataset);
        evaluate::on_deep_stack(|| {
            computed
                .rows(&rows, wanted)
                .map_err(|e| QueryError::Run(plain(&e)))
        })?
    }

    /// What filters say of a computed table that saves work.
    pub fn wanted(&self, table: &str, filters: &[Expr]) -> Wanted {
        let computed = self.computed(table);
        computed.map_or_else(Wanted::new, |table| table.wanted_texts(filters))
    }

    fn computed(&self, table: &str) -> Option<DerivedTable> {
        self.planner.tables.computed(table, self.now())
    }
}

/// What must be read for a computed table; `None` when there is none of that name.
pub fn computed_needs(table: &str) -> Option<Needs> {
    derived(table).map(|spec| spec.needs())
}

/// Palisade's own functions, as of a time.
pub fn own_functions(now: Timestamp) -> Vec<ScalarUDF> {
    functions::all(now)
}

/// What a function of [`own_functions`] counts ages from; the epoch when it counts none, `None` for other functions.
pub fn function_time(function: &ScalarUDF) -> Option<Timestamp> {
    functions::time_of(function)
}

/// Brings the findings of parts into the order of [`Evaluation::findings`].
pub fn sort_findings(findings: &mut [Finding]) {
    evaluate::sort(findings);
}

/// Runs a function on a stack that is deep enough for the longest SQL.
///
/// # Errors
/// When no thread could be started.
pub fn on_deep_stack<T: Send>(run: impl FnOnce() -> T + Send) -> Result<T, QueryError> {
    evaluate::on_deep_stack(run)
}

impl QueryResult {
    /// A result that came from elsewhere.
    pub fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self { schema, batches }
    }
}
