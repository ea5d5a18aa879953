//! The operator that reads a table. It holds no rows: the session that runs it does.
use crate::iam::Computation;
use crate::provider::{Rows, rows_of};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use std::sync::Arc;

/// Whose rows are read.
#[derive(Debug)]
pub(crate) enum Reads {
    /// Those of a table of the catalogue.
    Table(String),
    /// Those of a computed table.
    Computed(Computation),
}

impl Reads {
    fn table(&self) -> &str {
        match self {
            Self::Table(name) => name,
            Self::Computed(computation) => computation.table(),
        }
    }

    fn rows(&self, of: &Rows, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
        match self {
            Self::Table(name) => of.read(name, schema),
            Self::Computed(computation) => Ok(vec![computation.rows(of)?]),
        }
    }
}

/// Some columns of a table.
#[derive(Debug)]
pub(crate) struct TableExec {
    reads: Reads,
    properties: Arc<PlanProperties>,
}

impl TableExec {
    /// `schema` has the columns that are wanted of a table of the catalogue, in their order.
    pub(crate) fn of_table(name: &str, schema: SchemaRef) -> Self {
        Self::new(Reads::Table(name.to_owned()), schema)
    }

    /// `schema` has the columns that are computed.
    pub(crate) fn computed(computation: Computation, schema: SchemaRef) -> Self {
        Self::new(Reads::Computed(computation), schema)
    }

    fn new(reads: Reads, schema: SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            reads,
            properties: Arc::new(properties),
        }
    }

    pub(crate) fn reads(&self) -> &Reads {
        &self.reads
    }
}

impl DisplayAs for TableExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let schema = self.schema();
        let columns: Vec<&str> = schema.fields().iter().map(|c| c.name().as_str()).collect();
        let table = self.reads.table();
        write!(f, "TableExec: {table}({})", columns.join(", "))
    }
}

impl ExecutionPlan for TableExec {
    fn name(&self) -> &'static str {
        "TableExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.is_empty() {
            true => Ok(self),
            false => internal_err!("TableExec has no inputs"),
        }
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = self.schema();
        let read = |rows: &Rows| self.reads.rows(rows, &schema);
        Ok(rows_of(&context, Arc::clone(&schema), &read))
    }
}
