//! Plans that can give no rows because tables have none. An account uses a fraction of AWS's services: most queries need
//! not be made executable, which costs more than running them.
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan};

/// Whether a plan gives no row, as far as that follows from tables without rows. False is always safe.
pub(crate) fn gives_no_row(plan: &LogicalPlan, is_empty: &dyn Fn(&str) -> bool) -> bool {
    let none = |input: &LogicalPlan| gives_no_row(input, is_empty);
    match plan {
        LogicalPlan::TableScan(scan) => is_empty(scan.table_name.table()),
        LogicalPlan::EmptyRelation(relation) => !relation.produce_one_row,
        LogicalPlan::Filter(f) => none(&f.input),
        LogicalPlan::Projection(p) => none(&p.input),
        LogicalPlan::SubqueryAlias(s) => none(&s.input),
        LogicalPlan::Sort(s) => none(&s.input),
        LogicalPlan::Limit(l) => none(&l.input),
        LogicalPlan::Distinct(d) => none(d.input()),
        LogicalPlan::Window(w) => none(&w.input),
        LogicalPlan::Unnest(u) => none(&u.input),
        LogicalPlan::Union(u) => u.inputs.iter().all(|input| none(input)),
        // without groups, and with the group of everything, there is a row also of nothing
        LogicalPlan::Aggregate(a) => {
            let plain = |e: &Expr| !matches!(e, Expr::GroupingSet(_));
            !a.group_expr.is_empty() && a.group_expr.iter().all(plain) && none(&a.input)
        }
        LogicalPlan::Join(join) => {
            use JoinType as J;
            let (left, right) = (&join.left, &join.right);
            match join.join_type {
                J::Inner | J::LeftSemi | J::RightSemi => none(left) || none(right),
                J::Left | J::LeftAnti | J::LeftMark => none(left),
                J::Right | J::RightAnti | J::RightMark => none(right),
                J::Full => none(left) && none(right),
            }
        }
        _ => false,
    }
}
