//! The operator that does Palisade's work on an executor.
//!
//! Ballista gives each task a part of the partitions by cutting the leaves that it knows. So the pieces of work are rows
//! of a table in memory, which it can cut, and this operator reads them.
use crate::error::refuse;
use crate::job::{Job, Task, Work};
use crate::site::Site;
use datafusion::arrow::array::{AsArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, exec_datafusion_err, internal_err};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PlanProperties,
};
use futures::{StreamExt, TryStreamExt, stream};
use std::sync::Arc;

/// Rows of work in, rows of answers out.
#[derive(Debug)]
pub(crate) struct WorkExec {
    input: Arc<dyn ExecutionPlan>,
    job: Arc<Job>,
    /// What this process works with; a scheduler and a client have nothing.
    site: Option<Arc<Site>>,
    properties: Arc<PlanProperties>,
}

impl WorkExec {
    /// One partition for each piece.
    pub(crate) fn over(job: Job, schema: SchemaRef, works: &[Work]) -> Result<Self> {
        let rows = Arc::new(Schema::new(vec![Field::new("work", DataType::Utf8, false)]));
        let partition = |work: &Work| {
            let text = serde_json::to_string(work).map_err(|e| exec_datafusion_err!("{e}"))?;
            let column = Arc::new(StringArray::from(vec![text]));
            Ok(vec![RecordBatch::try_new(Arc::clone(&rows), vec![column])?])
        };
        let partitions: Vec<Vec<RecordBatch>> =
            works.iter().map(partition).collect::<Result<_>>()?;
        let source = MemorySourceConfig::try_new(&partitions, rows, None)?;
        let input = DataSourceExec::from_data_source(source);
        Ok(Self::new(input, Arc::new(job), schema, None))
    }

    pub(crate) fn new(
        input: Arc<dyn ExecutionPlan>,
        job: Arc<Job>,
        schema: SchemaRef,
        site: Option<Arc<Site>>,
    ) -> Self {
        let count = input.output_partitioning().partition_count();
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(count),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Self {
            input,
            job,
            site,
            properties,
        }
    }

    pub(crate) fn job(&self) -> &Job {
        &self.job
    }
}

impl DisplayAs for WorkExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.job.task {
            Task::Evaluate { checks, .. } => {
                write!(f, "WorkExec: evaluate {} checks", checks.len())
            }
            Task::Drift { .. } => write!(f, "WorkExec: compare"),
            Task::Rows { table, .. } => write!(f, "WorkExec: rows of {table}"),
            Task::Computed { table, .. } => write!(f, "WorkExec: compute {table}"),
        }
    }
}

impl ExecutionPlan for WorkExec {
    fn name(&self) -> &'static str {
        "WorkExec"
    }
    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }
    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }
    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.len()) {
            (Some(input), 0) => Ok(Arc::new(Self::new(
                input,
                Arc::clone(&self.job),
                self.schema(),
                self.site.clone(),
            ))),
            _ => internal_err!("WorkExec has one child"),
        }
    }
    /// A piece of work is one row: nothing is gained by dealing it out again.
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let Some(site) = self.site.clone() else {
            return Err(refuse("this process is no executor"));
        };
        let works = self.input.execute(partition, context)?;
        let (job, schema) = (Arc::clone(&self.job), self.schema());
        let wanted = Arc::clone(&schema);
        let answers = works
            .map(|batch| works_of(&batch?))
            .map_ok(|works| stream::iter(works.into_iter().map(Ok::<Work, DataFusionError>)))
            .try_flatten()
            .and_then(move |work| {
                Arc::clone(&site).run(Arc::clone(&job), work, Arc::clone(&wanted))
            })
            .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, answers)))
    }
}

fn works_of(batch: &RecordBatch) -> Result<Vec<Work>> {
    let texts = batch
        .columns()
        .first()
        .and_then(|c| c.as_string_opt::<i32>())
        .ok_or_else(|| exec_datafusion_err!("work of another shape came"))?;
    texts
        .iter()
        .flatten()
        .map(|text| serde_json::from_str(text).map_err(|e| exec_datafusion_err!("{e}")))
        .collect()
}
