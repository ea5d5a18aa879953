//! Tables of the catalogue as DataFusion sees them: full schemas for planning, the rows of one dataset when run.
use crate::error::QueryError;
use crate::iam::IamAccounts;
use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
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
    derived: Arc<Mutex<BTreeMap<&'static str, RecordBatch>>>,
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

    /// The accounts of the dataset; `make` is called once.
    pub(crate) fn accounts(&self, make: impl FnOnce(&Dataset) -> IamAccounts) -> &IamAccounts {
        self.accounts.get_or_init(|| make(&self.dataset))
    }

    /// A computed table; `make` is called once.
    pub(crate) fn derived(
        &self,
        name: &'static str,
        make: impl FnOnce() -> Result<RecordBatch>,
    ) -> Result<RecordBatch> {
        let mut known = self.derived.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(batch) = known.get(name) {
            return Ok(batch.clone());
        }
        let batch = make()?;
        known.insert(name, batch.clone());
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

#[async_trait]
impl TableProvider for CatalogTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
    fn table_type(&self) -> TableType {
        TableType::Base
    }
    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let refuse = |e: QueryError| DataFusionError::External(Box::new(e));
        let rows = state.config().get_extension::<Rows>();
        let (have, batches) = rows
            .as_ref()
            .and_then(|r| r.tables.get(&self.name))
            .ok_or_else(|| refuse(QueryError::TableMissing(self.name.clone())))?;
        let wanted = match projection {
            Some(indices) => self.schema.project(indices)?,
            None => self.schema.as_ref().clone(),
        };
        let indices = wanted
            .fields()
            .iter()
            .map(|f| column_index(&self.name, have, &wanted, f.name()))
            .collect::<Result<Vec<usize>, QueryError>>()
            .map_err(refuse)?;
        let schema = Arc::new(wanted);
        let batches = batches
            .iter()
            .map(|batch| {
                let columns = indices
                    .iter()
                    .filter_map(|i| batch.columns().get(*i))
                    .cloned()
                    .collect();
                let options = datafusion::arrow::array::RecordBatchOptions::new()
                    .with_row_count(Some(batch.num_rows()));
                Ok(RecordBatch::try_new_with_options(
                    Arc::clone(&schema),
                    columns,
                    &options,
                )?)
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(MemorySourceConfig::try_new_exec(&[batches], schema, None)?)
    }
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
