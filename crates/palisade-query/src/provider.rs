//! Tables of the catalogue as DataFusion sees them: full schemas for planning, the rows of one dataset when run.
use crate::error::QueryError;
use crate::iam::IamAccounts;
use crate::relation::Relation;
use crate::table_exec::TableExec;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use palisade_iam::Detail;
use palisade_table::{Dataset, Table};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The rows that a query runs over. Plans do not hold rows: the session that runs them does, as an extension.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    tables: BTreeMap<String, (SchemaRef, Vec<RecordBatch>)>,
    /// What computed tables are made from, with what could not be read.
    dataset: Arc<Dataset>,
    /// Computed tables by name, made when first read.
    derived: Arc<Mutex<BTreeMap<(&'static str, Detail), RecordBatch>>>,
    /// What they are computed over, made when first needed.
    accounts: Arc<OnceLock<IamAccounts>>,
}

impl Rows {
    pub(crate) fn of(dataset: &Dataset) -> Self {
        let rows = |table: &Table| {
            let batches = table.batches.iter().map(|b| b.rows.clone()).collect();
            (Arc::clone(&table.schema), batches)
        };
        Self {
            tables: dataset
                .tables
                .iter()
                .map(|(name, table)| (name.clone(), rows(table)))
                .collect(),
            dataset: Arc::new(dataset.clone()),
            derived: Arc::default(),
            accounts: Arc::default(),
        }
    }

    /// Computed tables are computed over these accounts, and not over those of the dataset.
    pub(crate) fn over(self, accounts: IamAccounts) -> Self {
        Self {
            accounts: Arc::new(OnceLock::from(accounts)),
            ..self
        }
    }

    /// The accounts of the dataset; `make` is called once.
    pub(crate) fn accounts(&self, make: impl FnOnce(&Dataset) -> IamAccounts) -> &IamAccounts {
        self.accounts.get_or_init(|| make(&self.dataset))
    }

    /// A computed table; `make` is called once.
    pub(crate) fn derived(
        &self,
        name: &'static str,
        detail: Detail,
        make: impl FnOnce() -> Result<RecordBatch>,
    ) -> Result<RecordBatch> {
        let mut known = self.derived.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(batch) = known.get(&(name, detail)) {
            return Ok(batch.clone());
        }
        let batch = make()?;
        known.insert((name, detail), batch.clone());
        Ok(batch)
    }

    /// The same rows, except that `table` has only the rows `from..from + count`, counted over its batches.
    pub(crate) fn with_slice(&self, table: &str, from: usize, count: usize) -> Self {
        let mut tables = self.tables.clone();
        if let Some((_, batches)) = tables.get_mut(table) {
            let (mut skip, mut left) = (from, count);
            let mut kept = Vec::new();
            for batch in batches.iter() {
                let start = skip.min(batch.num_rows());
                let take = left.min(batch.num_rows() - start);
                skip -= start;
                if take > 0 {
                    kept.push(batch.slice(start, take));
                    left -= take;
                }
            }
            *batches = kept;
        }
        Self {
            tables,
            dataset: Arc::clone(&self.dataset),
            derived: Arc::clone(&self.derived),
            accounts: Arc::clone(&self.accounts),
        }
    }

    /// The rows of a table, with the columns that are wanted.
    pub(crate) fn read(&self, table: &str, wanted: &SchemaRef) -> Result<Vec<RecordBatch>> {
        let refuse = |e: QueryError| DataFusionError::External(Box::new(e));
        let (have, batches) = self
            .tables
            .get(table)
            .ok_or_else(|| refuse(QueryError::TableMissing(table.to_owned())))?;
        let indices = wanted
            .fields()
            .iter()
            .map(|f| column_index(table, have, wanted, f.name()))
            .collect::<Result<Vec<usize>, QueryError>>()
            .map_err(refuse)?;
        let project = |batch: &RecordBatch| {
            let columns = indices.iter().filter_map(|i| batch.columns().get(*i));
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            let columns = columns.cloned().collect();
            Ok(RecordBatch::try_new_with_options(
                Arc::clone(wanted),
                columns,
                &options,
            )?)
        };
        batches.iter().map(project).collect()
    }

    /// Whether a table was read and has no rows. Of computed tables that is not known.
    pub(crate) fn has_none(&self, table: &str) -> bool {
        let known = self.tables.get(table);
        known.is_some_and(|(_, batches)| batches.iter().all(|b| b.num_rows() == 0))
    }

    /// Number of rows of a table.
    pub(crate) fn count(&self, table: &str) -> usize {
        self.tables.get(table).map_or(0, |(_, batches)| {
            batches.iter().map(RecordBatch::num_rows).sum()
        })
    }
}

/// One table of the catalogue.
#[derive(Debug)]
pub(crate) struct CatalogTable {
    /// Its name.
    pub name: String,
    /// All its columns.
    pub schema: SchemaRef,
}

impl Relation for CatalogTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
    fn plan(
        &self,
        schema: SchemaRef,
        _projection: Option<&[usize]>,
        _filters: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(TableExec::of_table(&self.name, schema)))
    }
}

/// What is read of the rows of the session that runs a plan.
pub(crate) fn rows_of(
    context: &TaskContext,
    schema: SchemaRef,
    read: &dyn Fn(&Rows) -> Result<Vec<RecordBatch>>,
) -> SendableRecordBatchStream {
    let batches = match context.session_config().get_extension::<Rows>() {
        Some(rows) => read(&rows),
        // without rows there is no answer, not an empty one
        None => Err(DataFusionError::External(Box::new(QueryError::Run(
            "a plan was run without rows".to_owned(),
        )))),
    };
    let items = match batches {
        Ok(batches) => batches.into_iter().map(Ok).collect(),
        Err(e) => vec![Err(e)],
    };
    let stream = futures::stream::iter(items);
    Box::pin(RecordBatchStreamAdapter::new(schema, stream))
}

/// Where the column `name` is among the collected ones; it must have the type it was planned with.
pub(crate) fn column_index(
    table: &str,
    have: &Schema,
    planned: &Schema,
    name: &str,
) -> Result<usize, QueryError> {
    let missing = || QueryError::ColumnMissing {
        table: table.to_owned(),
        column: name.to_owned(),
    };
    let (index, field) = have.column_with_name(name).ok_or_else(missing)?;
    let (_, wanted) = planned.column_with_name(name).ok_or_else(missing)?;
    if field.data_type() == wanted.data_type() {
        Ok(index)
    } else {
        Err(QueryError::Run(format!(
            "the column `{name}` of `{table}` has another type than the catalogue says"
        )))
    }
}
