//! Which checks may be evaluated a part of the accounts at a time.
use crate::iam::derived;
use crate::plan::{Kind, PlannedCheck};
use crate::session::Planner;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{
    BinaryExpr, Distinct, Expr, Join, JoinType, LogicalPlan, Operator, WindowFunctionDefinition,
};
use std::collections::BTreeSet;

/// What must be there for a check to be evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// The rows of one account, and the shared tables whole: over a part of the accounts it gives the findings of these.
    Account,
    /// The rows of all accounts.
    Everything,
}

/// Tables that say something about all accounts of an organisation, wherever they were read: they are few rows, and a
/// check that joins them needs all of these.
pub fn is_shared(table: &str) -> bool {
    table.starts_with("organizations_")
}

/// What a check must see. What cannot be proven to stay within accounts needs everything.
pub(crate) fn reach(planner: &Planner, planned: &PlannedCheck) -> Reach {
    if is_shared(&planned.check.resource) {
        return Reach::Everything;
    }
    let Kind::Query(query) = &planned.kind else {
        // each row by itself
        return Reach::Account;
    };
    // Conditions of joins stand in the optimised plan where they belong.
    let Ok(plan) = planner.optimize(query.plan.clone()) else {
        return Reach::Everything;
    };
    let account = plan
        .schema()
        .fields()
        .iter()
        .position(|f| f.name() == "account_id");
    match (spread(&plan), account) {
        (Spread::Accounts(keys), Some(account)) if keys.contains(&account) => Reach::Account,
        _ => Reach::Everything,
    }
}

/// How the rows of a part of a plan are spread over accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Spread {
    /// Every row belongs to one account: over a part of the accounts the plan gives the rows of these. The columns with
    /// these numbers hold the row's account.
    Accounts(BTreeSet<usize>),
    /// The same rows, whichever accounts there are.
    Same,
    /// Neither, or not known.
    Mixed,
}

fn spread(plan: &LogicalPlan) -> Spread {
    if has_subquery(plan) {
        return Spread::Mixed;
    }
    match plan {
        LogicalPlan::TableScan(scan) => {
            let table = scan.table_name.table();
            if derived(table).is_some() || scan.fetch.is_some() {
                Spread::Mixed
            } else if is_shared(table) {
                Spread::Same
            } else {
                let fields = scan.projected_schema.fields().iter();
                Spread::Accounts(numbers(fields.map(|f| f.name() == "account_id")))
            }
        }
        LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => Spread::Same,
        LogicalPlan::Filter(f) => spread(&f.input),
        LogicalPlan::SubqueryAlias(s) => spread(&s.input),
        LogicalPlan::Sort(s) if s.fetch.is_none() => spread(&s.input),
        LogicalPlan::Limit(l) => same(spread(&l.input)),
        LogicalPlan::Projection(p) => match spread(&p.input) {
            Spread::Accounts(keys) => {
                let is_key = |expr: &Expr| is_key(expr, &p.input, &keys);
                Spread::Accounts(numbers(p.expr.iter().map(is_key)))
            }
            other => other,
        },
        LogicalPlan::Unnest(u) => match spread(&u.input) {
            Spread::Accounts(keys) => {
                // an account is a text, so it is never what is unnested
                let from = u.dependency_indices.iter();
                Spread::Accounts(numbers(from.map(|input| keys.contains(input))))
            }
            other => other,
        },
        LogicalPlan::Distinct(Distinct::All(input)) => match spread(input) {
            // equal rows of two accounts would become one
            Spread::Accounts(keys) if keys.is_empty() => Spread::Mixed,
            other => other,
        },
        LogicalPlan::Aggregate(a) => match spread(&a.input) {
            Spread::Accounts(keys) => {
                let is_key = |expr: &Expr| is_key(expr, &a.input, &keys);
                let grouped = numbers(a.group_expr.iter().map(is_key));
                let plain = !a
                    .group_expr
                    .iter()
                    .any(|e| matches!(e, Expr::GroupingSet(_)));
                if grouped.is_empty() || !plain {
                    Spread::Mixed
                } else {
                    Spread::Accounts(grouped)
                }
            }
            other => other,
        },
        LogicalPlan::Window(w) => match spread(&w.input) {
            Spread::Accounts(keys) => {
                let within = |expr: &Expr| is_within(expr, &w.input, &keys);
                if w.window_expr.iter().all(within) {
                    // its columns come first
                    Spread::Accounts(keys)
                } else {
                    Spread::Mixed
                }
            }
            other => other,
        },
        LogicalPlan::Union(u) => {
            let all: Vec<Spread> = u.inputs.iter().map(|input| spread(input)).collect();
            if all.iter().all(|s| *s == Spread::Same) {
                return Spread::Same;
            }
            let mut keys: Option<BTreeSet<usize>> = None;
            for one in &all {
                let Spread::Accounts(of) = one else {
                    return Spread::Mixed;
                };
                keys = Some(match keys {
                    Some(keys) => keys.intersection(of).copied().collect(),
                    None => of.clone(),
                });
            }
            keys.map_or(Spread::Mixed, Spread::Accounts)
        }
        LogicalPlan::Join(join) => joined(join),
        _ => Spread::Mixed,
    }
}

fn same(spread: Spread) -> Spread {
    match spread {
        Spread::Same => Spread::Same,
        _ => Spread::Mixed,
    }
}

fn joined(join: &Join) -> Spread {
    let (left, right) = (spread(&join.left), spread(&join.right));
    let width = join.left.schema().fields().len();
    let moved =
        |keys: &BTreeSet<usize>| -> BTreeSet<usize> { keys.iter().map(|k| k + width).collect() };
    use JoinType as J;
    match (left, right) {
        (Spread::Same, Spread::Same) => Spread::Same,
        (Spread::Accounts(left), Spread::Accounts(right)) => {
            if !by_account(join, &left, &right) {
                return Spread::Mixed;
            }
            Spread::Accounts(match join.join_type {
                J::Inner => left.union(&moved(&right)).copied().collect(),
                J::Left | J::LeftSemi | J::LeftAnti | J::LeftMark => left,
                J::Right => moved(&right),
                J::RightSemi | J::RightAnti | J::RightMark => right,
                // either side may be NULL
                J::Full => BTreeSet::new(),
            })
        }
        // Rows of the side that is the same everywhere may not appear by themselves: they would in every part.
        (Spread::Accounts(left), Spread::Same) => match join.join_type {
            J::Inner | J::Left | J::LeftSemi | J::LeftAnti | J::LeftMark => Spread::Accounts(left),
            _ => Spread::Mixed,
        },
        (Spread::Same, Spread::Accounts(right)) => match join.join_type {
            J::Inner | J::Right => Spread::Accounts(moved(&right)),
            J::RightSemi | J::RightAnti | J::RightMark => Spread::Accounts(right),
            _ => Spread::Mixed,
        },
        _ => Spread::Mixed,
    }
}

/// Whether only rows of one account are joined.
fn by_account(join: &Join, left: &BTreeSet<usize>, right: &BTreeSet<usize>) -> bool {
    let are_keys = |a: &Expr, b: &Expr| {
        (is_key(a, &join.left, left) && is_key(b, &join.right, right))
            || (is_key(b, &join.left, left) && is_key(a, &join.right, right))
    };
    let mut conditions = join.filter.iter().collect::<Vec<&Expr>>();
    let mut found = join.on.iter().any(|(a, b)| are_keys(a, b));
    while let (Some(condition), false) = (conditions.pop(), found) {
        if let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition {
            match op {
                Operator::And => conditions.extend([left.as_ref(), right.as_ref()]),
                Operator::Eq => found = are_keys(left, right),
                _ => {}
            }
        }
    }
    found
}

/// Whether an expression is one of the columns with these numbers.
fn is_key(expr: &Expr, input: &LogicalPlan, keys: &BTreeSet<usize>) -> bool {
    match expr {
        Expr::Column(column) => input
            .schema()
            .maybe_index_of_column(column)
            .is_some_and(|index| keys.contains(&index)),
        Expr::Alias(alias) => is_key(&alias.expr, input, keys),
        _ => false,
    }
}

/// Whether a window is one of rows of one account.
fn is_within(expr: &Expr, input: &LogicalPlan, keys: &BTreeSet<usize>) -> bool {
    match expr {
        Expr::Alias(alias) => is_within(&alias.expr, input, keys),
        Expr::WindowFunction(window) => {
            let steady = matches!(
                window.fun,
                WindowFunctionDefinition::AggregateUDF(_) | WindowFunctionDefinition::WindowUDF(_)
            );
            let by = &window.params.partition_by;
            steady && by.iter().any(|e| is_key(e, input, keys))
        }
        _ => false,
    }
}

fn has_subquery(plan: &LogicalPlan) -> bool {
    let mut found = false;
    let looked = plan.apply_expressions(|expr| {
        found |= expr.exists(|e| {
            Ok(matches!(
                e,
                Expr::Exists(_)
                    | Expr::InSubquery(_)
                    | Expr::ScalarSubquery(_)
                    | Expr::SetComparison(_)
                    | Expr::OuterReferenceColumn(..)
            ))
        })?;
        Ok(TreeNodeRecursion::Continue)
    });
    found || looked.is_err()
}

fn numbers(flags: impl Iterator<Item = bool>) -> BTreeSet<usize> {
    flags
        .enumerate()
        .filter_map(|(number, is)| is.then_some(number))
        .collect()
}
