//! Tables as DataFusion sees them, whose plans are made without waiting for anything.
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use std::fmt::Debug;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;

/// What a table is: its columns, and the plan that gives its rows.
pub trait Relation: Debug + Send + Sync + 'static {
    /// All its columns.
    fn schema(&self) -> SchemaRef;

    /// For information.
    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Whether knowing this filter saves work. What it leaves out may come all the same: it is applied again.
    fn is_saved_by(&self, filter: &Expr) -> bool {
        let _ = filter;
        false
    }

    /// The plan for the columns of `schema`, which are those at `projection`, or all.
    ///
    /// # Errors
    /// The plan cannot be made.
    fn plan(
        &self,
        schema: SchemaRef,
        projection: Option<&[usize]>,
        filters: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>>;
}

/// A [`Relation`] as DataFusion takes tables.
#[derive(Debug)]
pub struct RelationProvider<R>(pub R);

impl<R: Relation> RelationProvider<R> {
    fn planned(
        &self,
        projection: Option<&[usize]>,
        filters: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = projected(&self.0.schema(), projection)?;
        self.0.plan(schema, projection, filters)
    }
}

/// The columns at some places, or all of them.
///
/// # Errors
/// There is no such place.
pub(crate) fn projected(schema: &SchemaRef, projection: Option<&[usize]>) -> Result<SchemaRef> {
    Ok(match projection {
        Some(indices) => Arc::new(schema.project(indices)?),
        None => Arc::clone(schema),
    })
}

type Planning = dyn Future<Output = Result<Arc<dyn ExecutionPlan>>> + Send;

fn planning(plan: Result<Arc<dyn ExecutionPlan>>) -> Pin<Box<Planning>> {
    Box::pin(ready(plan))
}

impl<R: Relation> TableProvider for RelationProvider<R> {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }
    fn table_type(&self) -> TableType {
        self.0.table_type()
    }
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match self.0.is_saved_by(filter) {
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }
    // What `async_trait` makes of an `async fn`, except that no future holds an expression: to see that all that may be
    // in one can be sent takes the compiler five seconds for each implementation
    // (https://github.com/apache/datafusion/issues/13814).
    fn scan<'life0, 'life1, 'life2, 'life3, 'async_trait>(
        &'life0 self,
        _: &'life1 dyn Session,
        projection: Option<&'life2 Vec<usize>>,
        filters: &'life3 [Expr],
        _: Option<usize>,
    ) -> Pin<Box<dyn Future<Output = Result<Arc<dyn ExecutionPlan>>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        'life3: 'async_trait,
        Self: 'async_trait,
    {
        planning(self.planned(projection.map(Vec::as_slice), filters))
    }
}
