//! What an optimised query reads.
use crate::iam::derived;
use crate::plan::Needs;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Distinct, Expr, JoinType, LogicalPlan};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How a query reads one table.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Scan {
    /// Columns that it reads; may be none (`count(*)`).
    pub columns: BTreeSet<String>,
    /// How often the table stands in the query.
    pub times: usize,
    /// Whether what could not be read of the table leaves the query's answer open.
    pub decides: bool,
}

/// The tables that a query reads, through views and sub-queries; of a computed table those that it is made from.
pub(crate) fn scans(plan: &LogicalPlan) -> Result<BTreeMap<String, Scan>> {
    let mut out: BTreeMap<String, Scan> = BTreeMap::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let projected = scan.projected_schema.fields().iter();
            let mut read: BTreeSet<String> = projected.map(|f| f.name().clone()).collect();
            for filter in &scan.filters {
                read.extend(filter.column_refs().into_iter().map(|c| c.name.clone()));
            }
            if let Some(computed) = derived(scan.table_name.table()) {
                for (table, columns) in computed.needs() {
                    let decides = computed.decides(&table, &read);
                    let entry = out.entry(table).or_default();
                    entry.times += 1;
                    entry.decides |= decides;
                    entry.columns.extend(columns);
                }
                return Ok(TreeNodeRecursion::Continue);
            }
            let entry = out.entry(scan.table_name.table().to_owned()).or_default();
            entry.times += 1;
            entry.decides = true;
            entry.columns.extend(read);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(out)
}

/// What is read by a query that reads computed tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Apart {
    /// The columns that it reads itself.
    pub read: Needs,
    /// The computed tables.
    pub computed: BTreeSet<String>,
}

/// What a query reads itself, and what is computed for it; nothing of one that reads no computed table.
pub(crate) fn apart(plan: &LogicalPlan) -> Result<Option<Apart>> {
    let (mut read, mut computed) = (Needs::new(), BTreeSet::new());
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let name = scan.table_name.table();
            if derived(name).is_some() {
                computed.insert(name.to_owned());
                return Ok(TreeNodeRecursion::Continue);
            }
            let columns = read.entry(name.to_owned()).or_default();
            let fields = scan.projected_schema.fields().iter();
            columns.extend(fields.map(|f| f.name().clone()));
            for filter in &scan.filters {
                columns.extend(filter.column_refs().into_iter().map(|c| c.name.clone()));
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok((!computed.is_empty()).then_some(Apart { read, computed }))
}

/// The same as needs.
pub(crate) fn needs(plan: &LogicalPlan) -> Result<Needs> {
    Ok(needs_of(&scans(plan)?))
}

/// What is read, by table.
pub(crate) fn needs_of(scans: &BTreeMap<String, Scan>) -> Needs {
    let columns = |(table, scan): (&String, &Scan)| (table.clone(), scan.columns.clone());
    scans.iter().map(columns).collect()
}

/// Whether each row of the result follows from one row of `table` (and other tables), so that the query over a part
/// of the table's rows gives that part of the result: the table is read once, and between it and the result rows are
/// only filtered, extended, joined or multiplied.
pub(crate) fn is_row_wise(plan: &LogicalPlan, table: &str) -> bool {
    fn reads(plan: &LogicalPlan, table: &str) -> usize {
        scans(plan)
            .ok()
            .and_then(|s| s.get(table).map(|s| s.times))
            .unwrap_or(0)
    }
    fn walk(plan: &LogicalPlan, table: &str) -> bool {
        match plan {
            LogicalPlan::TableScan(scan) => {
                scan.table_name.table() == table && scan.fetch.is_none()
            }
            LogicalPlan::Projection(p) => walk(&p.input, table),
            LogicalPlan::Filter(f) => walk(&f.input, table),
            LogicalPlan::SubqueryAlias(s) => walk(&s.input, table),
            LogicalPlan::Unnest(u) => walk(&u.input, table),
            LogicalPlan::Sort(s) => s.fetch.is_none() && walk(&s.input, table),
            LogicalPlan::Join(join) => {
                let (left, right) = (reads(&join.left, table), reads(&join.right, table));
                match (left, right) {
                    (1, 0) => {
                        let kept = matches!(
                            join.join_type,
                            JoinType::Inner
                                | JoinType::Left
                                | JoinType::LeftSemi
                                | JoinType::LeftAnti
                                | JoinType::LeftMark
                        );
                        kept && walk(&join.left, table)
                    }
                    (0, 1) => {
                        let kept = matches!(
                            join.join_type,
                            JoinType::Inner
                                | JoinType::Right
                                | JoinType::RightSemi
                                | JoinType::RightAnti
                                | JoinType::RightMark
                        );
                        kept && walk(&join.right, table)
                    }
                    _ => false,
                }
            }
            _ => false,
        }
    }
    reads(plan, table) == 1 && walk(plan, table)
}

/// Whether the result's `region` is the `region` of rows that were read, and not made up (a literal, an aggregate): then
/// a row of the result depends on what is in its region.
pub(crate) fn is_region_bound(plan: &LogicalPlan) -> bool {
    let fields = plan.schema().iter().find(|(_, f)| f.name() == "region");
    fields
        .is_some_and(|(qualifier, field)| leads_to_region(plan, &Column::from((qualifier, field))))
}

fn leads_to_region(plan: &LogicalPlan, column: &Column) -> bool {
    let index = || plan.schema().maybe_index_of_column(column);
    let through = |input: &LogicalPlan, expr: Option<&Expr>| {
        let Some(expr) = expr else { return false };
        let columns = expr.column_refs();
        let mut all: Vec<&Column> = columns.into_iter().collect();
        all.sort();
        !all.is_empty() && all.into_iter().all(|c| leads_to_region(input, c))
    };
    let same_place = |input: &LogicalPlan| {
        let Some(index) = index() else { return false };
        let fields = input.schema().iter().nth(index);
        fields.is_some_and(|(qualifier, field)| {
            leads_to_region(input, &Column::from((qualifier, field)))
        })
    };
    let has = |input: &LogicalPlan| input.schema().has_column(column);
    match plan {
        LogicalPlan::TableScan(_) => column.name == "region",
        LogicalPlan::Projection(p) => through(&p.input, index().and_then(|i| p.expr.get(i))),
        LogicalPlan::Aggregate(a) => through(&a.input, index().and_then(|i| a.group_expr.get(i))),
        LogicalPlan::SubqueryAlias(s) => same_place(&s.input),
        LogicalPlan::Union(u) => u.inputs.iter().all(|input| same_place(input)),
        LogicalPlan::Join(join) if has(&join.left) => leads_to_region(&join.left, column),
        LogicalPlan::Join(join) => has(&join.right) && leads_to_region(&join.right, column),
        LogicalPlan::Filter(f) => leads_to_region(&f.input, column),
        LogicalPlan::Sort(s) => leads_to_region(&s.input, column),
        LogicalPlan::Limit(l) => leads_to_region(&l.input, column),
        LogicalPlan::Distinct(Distinct::All(input)) => leads_to_region(input, column),
        LogicalPlan::Window(w) => has(&w.input) && leads_to_region(&w.input, column),
        LogicalPlan::Unnest(u) => has(&u.input) && leads_to_region(&u.input, column),
        _ => false,
    }
}
