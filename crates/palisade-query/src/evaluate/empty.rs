//! Plans that can give no rows because tables have none. An account uses a fraction of AWS's services: most queries need
//! not be made executable, which costs more than running them.
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan};
use serde::{Deserialize, Serialize};

/// When a plan gives no row, as far as that follows from tables without rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Emptiness {
    /// When this table has no rows.
    Table(String),
    /// When one of these holds; never when there are none.
    Any(Vec<Emptiness>),
    /// When all of these hold; always when there are none.
    All(Vec<Emptiness>),
}

impl Emptiness {
    /// Nothing that follows from tables without rows.
    const NEVER: Self = Self::Any(Vec::new());

    /// That of a plan.
    pub(crate) fn of(plan: &LogicalPlan) -> Self {
        match plan {
            LogicalPlan::TableScan(scan) => Self::Table(scan.table_name.table().to_owned()),
            LogicalPlan::EmptyRelation(relation) if !relation.produce_one_row => {
                Self::All(Vec::new())
            }
            LogicalPlan::Filter(f) => Self::of(&f.input),
            LogicalPlan::Projection(p) => Self::of(&p.input),
            LogicalPlan::SubqueryAlias(s) => Self::of(&s.input),
            LogicalPlan::Sort(s) => Self::of(&s.input),
            LogicalPlan::Limit(l) => Self::of(&l.input),
            LogicalPlan::Distinct(d) => Self::of(d.input()),
            LogicalPlan::Window(w) => Self::of(&w.input),
            LogicalPlan::Unnest(u) => Self::of(&u.input),
            LogicalPlan::Union(u) => Self::All(u.inputs.iter().map(|i| Self::of(i)).collect()),
            // without groups, and with the group of everything, there is a row also of nothing
            LogicalPlan::Aggregate(a) => {
                let plain = |e: &Expr| !matches!(e, Expr::GroupingSet(_));
                match !a.group_expr.is_empty() && a.group_expr.iter().all(plain) {
                    true => Self::of(&a.input),
                    false => Self::NEVER,
                }
            }
            LogicalPlan::Join(join) => {
                use JoinType as J;
                let (left, right) = (&join.left, &join.right);
                match join.join_type {
                    J::Inner | J::LeftSemi | J::RightSemi => {
                        Self::Any(vec![Self::of(left), Self::of(right)])
                    }
                    J::Left | J::LeftAnti | J::LeftMark => Self::of(left),
                    J::Right | J::RightAnti | J::RightMark => Self::of(right),
                    J::Full => Self::All(vec![Self::of(left), Self::of(right)]),
                }
            }
            _ => Self::NEVER,
        }
    }

    /// Whether the plan gives no row over tables of which these are empty. False is always safe.
    pub(crate) fn holds(&self, is_empty: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Self::Table(table) => is_empty(table),
            Self::Any(of) => of.iter().any(|one| one.holds(is_empty)),
            Self::All(of) => of.iter().all(|one| one.holds(is_empty)),
        }
    }
}
