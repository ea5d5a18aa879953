//! Which of DataFusion's rules have something to do for a plan. A scan plans hundreds of small queries, and each rule walks
//! through all of a plan: what most of them look for is not in most plans.
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::optimizer::{Optimizer, OptimizerRule};
use datafusion::physical_expr::{LexOrdering, OrderingRequirements, PhysicalSortExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// The optimiser's rules.
#[derive(Debug)]
pub(crate) struct Rules {
    all: Vec<Rule>,
    /// Those that plans with the same parts need.
    known: Mutex<BTreeMap<Parts, Arc<Optimizer>>>,
}

/// What rules look for in a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Parts {
    aggregates: bool,
    distinct: bool,
    filters: bool,
    joins: bool,
    limits: bool,
    sorts: bool,
    /// Queries within expressions.
    subqueries: bool,
    unions: bool,
}

impl Rules {
    pub(crate) fn new(all: &[Rule]) -> Self {
        Self {
            all: all.to_vec(),
            known: Mutex::default(),
        }
    }

    /// The rules that have something to do for a plan, in their order.
    pub(crate) fn of(&self, plan: &LogicalPlan) -> Result<Arc<Optimizer>> {
        let parts = Parts::of(plan)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let optimizer = known.entry(parts).or_insert_with(|| {
            let needed = self.all.iter().filter(|rule| parts.need(rule.name()));
            Arc::new(Optimizer::with_rules(needed.cloned().collect()))
        });
        Ok(Arc::clone(optimizer))
    }
}

impl Parts {
    fn of(plan: &LogicalPlan) -> Result<Self> {
        let mut parts = Self::default();
        plan.apply_with_subqueries(|node| {
            match node {
                LogicalPlan::Aggregate(_) => parts.aggregates = true,
                LogicalPlan::Distinct(_) => parts.distinct = true,
                LogicalPlan::Filter(_) => parts.filters = true,
                LogicalPlan::Join(_) => parts.joins = true,
                LogicalPlan::Limit(_) => parts.limits = true,
                LogicalPlan::Sort(_) => parts.sorts = true,
                LogicalPlan::Union(_) => parts.unions = true,
                _ => {}
            }
            node.apply_expressions(|expr| {
                parts.subqueries |= expr.exists(|e| Ok(is_subquery(e)))?;
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok(parts)
    }

    /// Whether a rule (of DataFusion 55, by its name) has something to do. A rule that is not known here has.
    fn need(self, rule: &str) -> bool {
        match rule {
            "rewrite_set_comparison"
            | "decorrelate_predicate_subquery"
            | "scalar_subquery_to_join"
            | "decorrelate_lateral_join" => self.subqueries,
            "optimize_unions" | "unions_to_filter" => self.unions,
            "replace_distinct_aggregate" => self.distinct,
            "eliminate_join"
            | "extract_equijoin_predicate"
            | "eliminate_cross_join"
            | "filter_null_join_keys"
            | "eliminate_outer_join" => self.joins || self.subqueries,
            "eliminate_duplicated_expr" => self.sorts || self.aggregates || self.distinct,
            "eliminate_limit" | "push_down_limit" => self.limits,
            "eliminate_filter" => self.filters || self.subqueries,
            "single_distinct_aggregation_to_group_by" | "eliminate_group_by_constant" => {
                self.aggregates || self.distinct || self.subqueries
            }
            // They bring fields of structures down to where files are read, which our tables are not.
            "extract_leaf_expressions" | "push_down_leaf_projections" => false,
            _ => true,
        }
    }
}

fn is_subquery(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_) | Expr::ScalarSubquery(_)
    )
}

/// Makes one stream of what comes in several, which is the rows of a union, and sorts where something needs rows in an order.
/// Over one stream that is what `EnsureRequirements` of DataFusion does, which weighs besides how to share work out.
#[derive(Debug)]
pub(crate) struct OneStream;

impl PhysicalOptimizerRule for OneStream {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let lacks = |node: &Arc<dyn ExecutionPlan>| {
            let orderings = node.required_input_ordering();
            Ok(comes_in_many(node) || orderings.iter().any(Option::is_some))
        };
        if !plan.exists(lacks)? {
            return Ok(plan);
        }
        plan.transform_up(|node| {
            let node = replace_children_if_necessary(Arc::clone(&node), in_order(&node)?)?;
            Ok(Transformed::yes(match comes_in_many(&node) {
                true => Arc::new(CoalescePartitionsExec::new(node)),
                false => node,
            }))
        })
        .data()
    }

    fn name(&self) -> &str {
        "OneStream"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn comes_in_many(node: &Arc<dyn ExecutionPlan>) -> bool {
    node.output_partitioning().partition_count() > 1
}

/// The inputs of a node, each in the order that the node needs.
fn in_order(node: &Arc<dyn ExecutionPlan>) -> Result<Vec<Arc<dyn ExecutionPlan>>> {
    let inputs = node.children().into_iter().map(Arc::clone);
    let sorted = inputs
        .zip(node.required_input_ordering())
        .map(|(input, needed)| {
            let Some(needed) = needed.map(OrderingRequirements::into_single) else {
                return Ok(input);
            };
            let known = input.equivalence_properties();
            if known.ordering_satisfy_requirement(needed.clone())? {
                return Ok(input);
            }
            let order = needed.into_iter().map(PhysicalSortExpr::from);
            match LexOrdering::new(order) {
                Some(order) => Ok(Arc::new(SortExec::new(order, input)) as _),
                None => Ok(input),
            }
        });
    sorted.collect()
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
