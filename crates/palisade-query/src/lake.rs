//! SQL over tables that are not in memory: snapshots, one or many.
use crate::engine::{Engine, QueryResult};
use crate::error::{QueryError, SqlProblem, plain};
use crate::evaluate;
use crate::plan::Needs;
use crate::relation::Relation;
use crate::scans;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::StreamExt;
use futures::stream::BoxStream;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The column that says which snapshot a row is of.
pub const SNAPSHOT: &str = "snapshot";

/// Columns by which whole files are left out.
const PARTITIONS: &[&str] = &[SNAPSHOT, "account_id", "region"];

/// Column → the values that rows may have; other rows need not be read. Columns that are not here may have any.
pub type Only = BTreeMap<String, BTreeSet<String>>;

/// Where the rows of tables come from.
pub trait Lake: std::fmt::Debug + Send + Sync {
    /// Tables beside those of the catalogue, with all their columns.
    fn tables(&self) -> BTreeMap<String, SchemaRef>;
    /// More than one snapshot: a view or a computed table over it would mix them.
    fn is_many(&self) -> bool;
    /// The rows, piece by piece, in the columns of `schema`. More rows than `only` asks for may come.
    fn read(
        &self,
        table: &str,
        schema: SchemaRef,
        only: Only,
    ) -> BoxStream<'static, Result<RecordBatch, String>>;
}

/// A table of a lake.
#[derive(Debug)]
pub(crate) struct LakeTable {
    pub name: String,
    pub schema: SchemaRef,
    pub lake: Arc<dyn Lake>,
}

/// The columns of a catalogue's table in a lake.
pub(crate) fn with_snapshot(schema: &Schema) -> SchemaRef {
    let own = Arc::new(Field::new(SNAPSHOT, DataType::Utf8, true));
    let fields = schema.fields().iter().cloned().chain([own]);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

impl Relation for LakeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
    fn is_saved_by(&self, filter: &Expr) -> bool {
        // files are left out by it, rows are not
        allowed(filter).is_some()
    }
    fn plan(
        &self,
        schema: SchemaRef,
        _projection: Option<&[usize]>,
        filters: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let only = only(filters);
        let source: Arc<dyn PartitionStream> = Arc::new(LakeStream {
            table: self.name.clone(),
            schema: Arc::clone(&schema),
            only,
            lake: Arc::clone(&self.lake),
        });
        let plan = StreamingTableExec::try_new(schema, vec![source], None, None, false, None)?;
        Ok(Arc::new(plan))
    }
}

/// What filters say of the columns that files are cut by.
pub fn only(filters: &[Expr]) -> Only {
    let mut only = Only::new();
    for (column, values) in filters.iter().filter_map(allowed) {
        match only.get_mut(&column) {
            // both hold
            Some(known) => known.retain(|v| values.contains(v)),
            None => {
                only.insert(column, values);
            }
        }
    }
    only
}

/// `column = 'value'` or `column IN ('a', 'b')` of a column that files are cut by.
fn allowed(filter: &Expr) -> Option<(String, BTreeSet<String>)> {
    let column = |e: &Expr| match e {
        Expr::Column(c) if PARTITIONS.contains(&c.name.as_str()) => Some(c.name.clone()),
        _ => None,
    };
    let text = |e: &Expr| match e {
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) => Some(text.clone()),
        _ => None,
    };
    match filter {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Eq,
            right,
        }) => {
            let pair = |a: &Expr, b: &Expr| Some((column(a)?, BTreeSet::from([text(b)?])));
            pair(left, right).or_else(|| pair(right, left))
        }
        Expr::InList(list) if !list.negated => {
            let values: Option<BTreeSet<String>> = list.list.iter().map(text).collect();
            Some((column(&list.expr)?, values?))
        }
        _ => None,
    }
}

struct LakeStream {
    table: String,
    schema: SchemaRef,
    only: Only,
    lake: Arc<dyn Lake>,
}

impl std::fmt::Debug for LakeStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LakeStream")
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

impl PartitionStream for LakeStream {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }
    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self
            .lake
            .read(&self.table, Arc::clone(&self.schema), self.only.clone());
        let rows = rows.map(|batch| {
            batch.map_err(|e| DataFusionError::External(Box::new(QueryError::Run(e))))
        });
        Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&self.schema),
            rows,
        ))
    }
}

impl Engine {
    /// The same engine over a lake: its tables have the column `snapshot` besides, and there are the lake's own.
    #[must_use]
    pub fn over(mut self, lake: Arc<dyn Lake>) -> Self {
        self.planner.lake = Some(lake);
        self
    }

    /// What a query reads of the tables of the catalogue, and whether it reads computed tables, for which everything
    /// must be in memory.
    ///
    /// # Errors
    /// When the SQL is wrong.
    pub fn lake_needs(&self, sql: &str) -> Result<(Needs, bool), QueryError> {
        evaluate::on_deep_stack(|| {
            let plan = self.logical(sql)?;
            let failed = |e: DataFusionError| QueryError::Run(plain(&e));
            let mut needs = scans::needs(&plan).map_err(failed)?;
            let computed = scans::apart(&plan).map_err(failed)?.is_some();
            for columns in needs.values_mut() {
                columns.remove(SNAPSHOT);
            }
            let own = self.planner.lake.as_ref().map(|l| l.tables());
            needs.retain(|table, _| own.as_ref().is_none_or(|t| !t.contains_key(table)));
            Ok((needs, computed))
        })?
    }

    /// Runs a user's query over the lake, within so much memory; what does not fit goes to temporary files.
    ///
    /// # Errors
    /// When the SQL is wrong, fails on a value, needs more memory than there may be, or the lake cannot be read.
    pub fn lake_sql(&self, sql: &str, memory: usize) -> Result<QueryResult, QueryError> {
        evaluate::on_deep_stack(|| {
            let plan = self.logical(sql)?;
            let start = |e: DataFusionError| QueryError::Start(plain(&e));
            let runtime = RuntimeEnvBuilder::new()
                .with_memory_limit(memory, 1.0)
                .build_arc()
                .map_err(start)?;
            let state = SessionStateBuilder::new_from_existing(self.planner.state.clone())
                .with_runtime_env(runtime)
                .build();
            let batches = evaluate::block_on(evaluate::collect(&state, &plan))?
                .map_err(evaluate::query_error)?;
            let schema = match batches.first() {
                Some(batch) => batch.schema(),
                None => Arc::clone(plan.schema().inner()),
            };
            Ok(QueryResult { schema, batches })
        })?
    }
}

/// What is said when a view or a computed table is read over several snapshots.
pub(crate) fn one_snapshot_only(name: &str) -> SqlProblem {
    SqlProblem::new(format!("`{name}` can be read of one snapshot at a time"))
        .hint("name one with --snapshot, or query the tables that it is made from")
}
