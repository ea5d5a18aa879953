//! The operator that reads a table of the catalogue. It holds no rows: the session that runs it does.
use crate::provider::rows_of;
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

/// Some columns of a table of the catalogue.
#[derive(Debug)]
pub(crate) struct TableExec {
    table: Arc<str>,
    properties: Arc<PlanProperties>,
}

impl TableExec {
    /// `schema` has the columns that are wanted, in their order.
    pub(crate) fn new(table: &str, schema: SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            table: Arc::from(table),
            properties: Arc::new(properties),
        }
    }

    /// The table's name.
    pub(crate) fn table(&self) -> &str {
        &self.table
    }
}

impl DisplayAs for TableExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let schema = self.schema();
        let columns: Vec<&str> = schema.fields().iter().map(|c| c.name().as_str()).collect();
        write!(f, "TableExec: {}({})", self.table, columns.join(", "))
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
        let (table, wanted) = (Arc::clone(&self.table), self.schema());
        let read = move |rows: &crate::provider::Rows| rows.read(&table, &wanted);
        Ok(rows_of(&context, self.schema(), &read))
    }
}
