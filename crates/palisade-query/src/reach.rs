//! Which checks may be evaluated a part of the accounts at a time.
use crate::iam::derived;
use crate::plan::{PlannedCheck, Source};
use crate::session::Planner;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{NullEquality, ScalarValue};
use datafusion::logical_expr::{
    BinaryExpr, Distinct, Expr, Join, JoinType, LogicalPlan, Operator, WindowFunctionDefinition,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What must be there for a check to be evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    let query = match planned.query(planner) {
        // each row by itself
        None => return Reach::Account,
        Some(Err(_)) => return Reach::Everything,
        Some(Ok(query)) => query,
    };
    let plan = match &query.source {
        // conditions of joins stand in it where they belong
        Source::Optimised(plan) => plan,
        Source::Written(_, reach) => return *reach,
    };
    let account = plan
        .schema()
        .fields()
        .iter()
        .position(|f| f.name() == "account_id");
    match (spread(plan), account) {
        (Spread::Accounts(keys), Some(account)) if keys.always.contains(&account) => Reach::Account,
        _ => Reach::Everything,
    }
}

/// How the rows of a part of a plan are spread over accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Spread {
    /// Every row belongs to one account: over a part of the accounts the plan gives the rows of these.
    Accounts(Keys),
    /// The same rows, whichever accounts there are.
    Same,
    /// Neither, or not known.
    Mixed,
}

/// The numbers of the columns that hold a row's account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Keys {
    /// In every row.
    always: BTreeSet<usize>,
    /// In every row, or in some of them NULL.
    or_null: BTreeSet<usize>,
}

impl Keys {
    fn always(numbers: BTreeSet<usize>) -> Self {
        Self {
            or_null: numbers.clone(),
            always: numbers,
        }
    }

    /// The columns of something made from these, of which each has a column of these behind it, or something else.
    fn through(&self, behind: impl Iterator<Item = Option<usize>>) -> Self {
        let mut out = Self::default();
        for (number, behind) in behind.enumerate() {
            let Some(behind) = behind else { continue };
            if self.always.contains(&behind) {
                out.always.insert(number);
            }
            if self.or_null.contains(&behind) {
                out.or_null.insert(number);
            }
        }
        out
    }

    /// The same on the right of other columns.
    fn after(&self, width: usize) -> Self {
        let moved = |numbers: &BTreeSet<usize>| numbers.iter().map(|n| n + width).collect();
        Self {
            always: moved(&self.always),
            or_null: moved(&self.or_null),
        }
    }

    /// The same where rows may be missing.
    fn missing(&self) -> Self {
        Self {
            always: BTreeSet::new(),
            or_null: self.or_null.clone(),
        }
    }

    fn with(&self, other: &Self) -> Self {
        Self {
            always: self.always.union(&other.always).copied().collect(),
            or_null: self.or_null.union(&other.or_null).copied().collect(),
        }
    }
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
                let numbers = fields.enumerate().filter(|(_, f)| f.name() == "account_id");
                Spread::Accounts(Keys::always(numbers.map(|(n, _)| n).collect()))
            }
        }
        LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => Spread::Same,
        // no rows, wherever
        LogicalPlan::Filter(f) if is_never(&f.predicate) => Spread::Same,
        LogicalPlan::Filter(f) => spread(&f.input),
        LogicalPlan::SubqueryAlias(s) => spread(&s.input),
        LogicalPlan::Sort(s) if s.fetch.is_none() => spread(&s.input),
        LogicalPlan::Limit(l) => same(spread(&l.input)),
        LogicalPlan::Projection(p) => match spread(&p.input) {
            Spread::Accounts(keys) => {
                let behind = p.expr.iter().map(|e| column_number(e, &p.input));
                Spread::Accounts(keys.through(behind))
            }
            other => other,
        },
        LogicalPlan::Unnest(u) => match spread(&u.input) {
            Spread::Accounts(keys) => {
                // an account is a text, so it is never what is unnested
                let behind = u.dependency_indices.iter().copied().map(Some);
                Spread::Accounts(keys.through(behind))
            }
            other => other,
        },
        LogicalPlan::Distinct(Distinct::All(input)) => match spread(input) {
            // equal rows of two accounts would become one
            Spread::Accounts(keys) if keys.always.is_empty() => Spread::Mixed,
            other => other,
        },
        LogicalPlan::Aggregate(a) => match spread(&a.input) {
            Spread::Accounts(keys) => {
                let behind = a.group_expr.iter().map(|e| column_number(e, &a.input));
                let grouped = keys.through(behind);
                let plain = !a
                    .group_expr
                    .iter()
                    .any(|e| matches!(e, Expr::GroupingSet(_)));
                if grouped.always.is_empty() || !plain {
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
            let mut keys: Option<Keys> = None;
            for one in &all {
                let Spread::Accounts(of) = one else {
                    return Spread::Mixed;
                };
                keys = Some(match keys {
                    Some(keys) => Keys {
                        always: keys.always.intersection(&of.always).copied().collect(),
                        or_null: keys.or_null.intersection(&of.or_null).copied().collect(),
                    },
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
    use JoinType as J;
    match (left, right) {
        (Spread::Same, Spread::Same) => Spread::Same,
        (Spread::Accounts(left), Spread::Accounts(right)) => {
            if !by_account(join, &left, &right) {
                return Spread::Mixed;
            }
            let moved = right.after(width);
            Spread::Accounts(match join.join_type {
                J::Inner => left.with(&moved),
                J::Left => left.with(&moved.missing()),
                J::Right => left.missing().with(&moved),
                J::Full => left.missing().with(&moved.missing()),
                J::LeftSemi | J::LeftAnti | J::LeftMark => left,
                J::RightSemi | J::RightAnti | J::RightMark => right,
            })
        }
        // Rows of the side that is the same everywhere may not appear by themselves: they would in every part.
        (Spread::Accounts(left), Spread::Same) => match join.join_type {
            J::Inner | J::Left | J::LeftSemi | J::LeftAnti | J::LeftMark => Spread::Accounts(left),
            _ => Spread::Mixed,
        },
        (Spread::Same, Spread::Accounts(right)) => match join.join_type {
            J::Inner | J::Right => Spread::Accounts(right.after(width)),
            J::RightSemi | J::RightAnti | J::RightMark => Spread::Accounts(right),
            _ => Spread::Mixed,
        },
        _ => Spread::Mixed,
    }
}

/// Whether only rows of one account are joined.
fn by_account(join: &Join, left: &Keys, right: &Keys) -> bool {
    // NULL equals nothing in a plain comparison; in one that takes NULL for a value it may equal another account's NULL
    let (left, right) = match join.null_equality {
        NullEquality::NullEqualsNothing => (&left.or_null, &right.or_null),
        NullEquality::NullEqualsNull => (&left.always, &right.always),
    };
    let is_key = |expr: &Expr, input: &LogicalPlan, keys: &BTreeSet<usize>| {
        column_number(expr, input).is_some_and(|number| keys.contains(&number))
    };
    let are_keys = |a: &Expr, b: &Expr| {
        (is_key(a, &join.left, left) && is_key(b, &join.right, right))
            || (is_key(b, &join.left, left) && is_key(a, &join.right, right))
    };
    let mut found = join.on.iter().any(|(a, b)| are_keys(a, b));
    let mut conditions: Vec<&Expr> = join.filter.iter().collect();
    while let (Some(condition), false) = (conditions.pop(), found) {
        match condition {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
                Operator::And => conditions.extend([left.as_ref(), right.as_ref()]),
                Operator::Eq => found = are_keys(left, right),
                _ => {}
            },
            // nothing is joined
            never => found = is_never(never),
        }
    }
    found
}

/// Whether a condition is false or NULL whatever the row.
fn is_never(condition: &Expr) -> bool {
    use ScalarValue::{Boolean, Null};
    matches!(
        condition,
        Expr::Literal(Boolean(Some(false) | None) | Null, _)
    )
}

/// The number of the column that an expression is.
fn column_number(expr: &Expr, input: &LogicalPlan) -> Option<usize> {
    match expr {
        Expr::Column(column) => input.schema().maybe_index_of_column(column),
        Expr::Alias(alias) => column_number(&alias.expr, input),
        _ => None,
    }
}

/// Whether a window is one of rows of one account.
fn is_within(expr: &Expr, input: &LogicalPlan, keys: &Keys) -> bool {
    match expr {
        Expr::Alias(alias) => is_within(&alias.expr, input, keys),
        Expr::WindowFunction(window) => {
            let steady = matches!(
                window.fun,
                WindowFunctionDefinition::AggregateUDF(_) | WindowFunctionDefinition::WindowUDF(_)
            );
            let by = &window.params.partition_by;
            let is_key = |e| column_number(e, input).is_some_and(|n| keys.always.contains(&n));
            steady && by.iter().any(is_key)
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

#[cfg(test)]
#[path = "reach_tests.rs"]
mod tests;
