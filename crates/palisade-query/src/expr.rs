//! Expressions of predicates and messages: names and types are resolved when a check is planned, the executable form
//! is made when it is first evaluated.
use crate::error::{SqlProblem, plain};
use crate::session::Planner;
use crate::shipped;
use crate::sql::Values;
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DFSchemaRef, DataFusionError, Result};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

/// Functions over text that silently print a list as text first.
const TEXT_ONLY: &[&str] = &[
    "character_length",
    "upper",
    "lower",
    "btrim",
    "ltrim",
    "rtrim",
    "substr",
    "starts_with",
    "ends_with",
    "contains",
    "strpos",
    "replace",
    "split_part",
    "regexp_like",
    "regexp_replace",
    "concat_ws",
];

/// An expression over the columns of a table.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    /// Columns without the table's name, types not yet adapted.
    expr: Expr,
    /// The columns that it reads.
    pub columns: BTreeSet<String>,
}

impl Resolved {
    /// Resolves names against the full schema of a table, or the output of a query.
    pub(crate) fn over(
        planner: &Planner,
        text: &str,
        values: Values<'_>,
        schema: &DFSchema,
    ) -> Result<Self, SqlProblem> {
        let expr = planner.expression(text, values, schema)?;
        let mut columns = BTreeSet::new();
        let unqualified = expr.transform(|e| {
            Ok(match e {
                Expr::Column(column) => {
                    columns.insert(column.name.clone());
                    Transformed::yes(Expr::Column(Column::new_unqualified(column.name)))
                }
                other => Transformed::no(other),
            })
        });
        let expr = unqualified.data().map_err(|e| SqlProblem::new(plain(&e)))?;
        Ok(Self { expr, columns })
    }

    /// The type of its value, when all its functions and operators fit the types of `schema`.
    pub(crate) fn check(
        &self,
        planner: &Planner,
        schema: &DFSchemaRef,
    ) -> Result<DataType, SqlProblem> {
        let simplifier = simplifier(planner, schema);
        let typed = simplifier
            .coerce(self.expr.clone(), schema)
            .and_then(|e| Ok((e.get_type(schema)?, e)))
            .map_err(|e| SqlProblem::new(plain(&e).replace('\'', "`")))?;
        text_functions(&typed.1, schema)?;
        Ok(typed.0)
    }

    fn physical(&self, planner: &Planner, schema: &DFSchemaRef) -> Result<Arc<dyn PhysicalExpr>> {
        let simplifier = simplifier(planner, schema);
        let typed = simplifier.coerce(self.expr.clone(), schema)?;
        // A constant that fails (`CAST('x' AS BIGINT)`) must fail on the rows that reach it, not here.
        let simple = simplifier.simplify(typed.clone()).unwrap_or(typed);
        create_physical_expr(
            &simple,
            schema,
            planner.state.execution_props(),
            &Default::default(),
        )
    }
}

fn simplifier(planner: &Planner, schema: &DFSchemaRef) -> ExprSimplifier {
    let context = SimplifyContext::builder()
        .with_schema(Arc::clone(schema))
        .with_config_options(Arc::clone(planner.state.config_options()))
        .build();
    ExprSimplifier::new(context)
}

fn text_functions(expr: &Expr, schema: &DFSchema) -> Result<(), SqlProblem> {
    let mut wrong = None;
    let walked = expr.apply(|e| {
        if let Expr::ScalarFunction(f) = e
            && TEXT_ONLY.contains(&f.func.name())
        {
            for arg in &f.args {
                let inner = match arg {
                    Expr::Cast(cast) => cast.expr.as_ref(),
                    other => other,
                };
                // Lambda parameters have no type here: those are left to the function.
                if inner.get_type(schema).is_ok_and(|t| t.is_nested()) {
                    wrong = Some(f.func.name().to_owned());
                    return Ok(TreeNodeRecursion::Stop);
                }
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    match (walked, wrong) {
        (Ok(_), None) => Ok(()),
        (Err(e), _) => Err(SqlProblem::new(plain(&e))),
        (_, Some(name)) => {
            let hint = "lists have `cardinality`, `array_has`, `array_to_string` and lambdas";
            Err(SqlProblem::new(format!("`{name}` is for text")).hint(hint))
        }
    }
}

/// The columns that the expressions of one check read, and the executable forms over exactly these.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Names, in the table's order.
    pub columns: Vec<String>,
    pub arrow: SchemaRef,
    pub df: DFSchemaRef,
}

impl Frame {
    pub(crate) fn new(full: &Schema, columns: &BTreeSet<String>) -> Result<Self, SqlProblem> {
        let fields: Vec<_> = full
            .fields()
            .iter()
            .filter(|f| columns.contains(f.name()))
            .cloned()
            .collect();
        let arrow = Arc::new(Schema::new(fields));
        let df = DFSchema::try_from(Arc::clone(&arrow)).map_err(|e| SqlProblem::new(plain(&e)))?;
        Ok(Self {
            columns: arrow.fields().iter().map(|f| f.name().clone()).collect(),
            arrow,
            df: Arc::new(df),
        })
    }
}

/// An expression with its executable form, made when first needed.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// The columns that it reads.
    pub columns: BTreeSet<String>,
    origin: Origin,
    physical: OnceLock<Result<Arc<dyn PhysicalExpr>, String>>,
}

/// What the executable form is made of.
#[derive(Debug)]
enum Origin {
    Resolved(Resolved),
    /// What came with the binary.
    Written(Cow<'static, [u8]>),
}

impl Compiled {
    pub(crate) fn new(resolved: Resolved) -> Self {
        Self {
            columns: resolved.columns.clone(),
            origin: Origin::Resolved(resolved),
            physical: OnceLock::new(),
        }
    }

    /// Of what came with the binary.
    pub(crate) fn written(columns: BTreeSet<String>, physical: Cow<'static, [u8]>) -> Self {
        Self {
            columns,
            origin: Origin::Written(physical),
            physical: OnceLock::new(),
        }
    }

    /// Makes the executable form.
    pub(crate) fn prepare(&self, planner: &Planner, frame: &Frame) {
        let _ = self.executable(planner, frame);
    }

    pub(crate) fn executable(
        &self,
        planner: &Planner,
        frame: &Frame,
    ) -> Result<&Arc<dyn PhysicalExpr>> {
        let made = self.physical.get_or_init(|| {
            let made = match &self.origin {
                Origin::Resolved(resolved) => resolved.physical(planner, &frame.df),
                Origin::Written(written) => shipped::expression(planner, written, &frame.arrow),
            };
            made.map_err(|e| plain(&e))
        });
        let failed = |reason: &String| DataFusionError::Execution(reason.clone());
        made.as_ref().map_err(failed)
    }

    /// The value for each row; an error when one row cannot be computed.
    pub(crate) fn evaluate(
        &self,
        planner: &Planner,
        frame: &Frame,
        rows: &RecordBatch,
    ) -> Result<ArrayRef> {
        let physical = self.executable(planner, frame)?;
        physical.evaluate(rows)?.into_array(rows.num_rows())
    }
}
