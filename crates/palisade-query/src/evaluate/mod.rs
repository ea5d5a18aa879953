//! Plan and dataset → findings.
mod block;
mod early;
mod empty;
mod predicate;
mod query;
mod run;

pub use block::{Block, Counts, Options};
pub use early::Early;
pub(crate) use early::{early, rest};
pub(crate) use empty::Emptiness;
pub(crate) use run::{
    aside, block_here, block_on, collect, executable, execute, on_deep_stack, on_deep_stacks,
    parts_of, query_error, share_out,
};

use crate::plan::{Kind, Plan, PlannedCheck};
use crate::provider::Rows;
use crate::session::Planner;
use block::Content;
use palisade_core::{CallError, CallErrorKind, Finding, Status};
use palisade_table::{Dataset, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A check that gave no verdicts although it should have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CheckError {
    /// The check's id.
    pub check: String,
    /// What went wrong.
    pub message: String,
}

impl std::fmt::Display for CheckError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the check `{}` could not be evaluated: {}",
            self.check, self.message
        )
    }
}

/// What an evaluation gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// In the order of [`Finding::sort_key`]; without the passes if the options say so.
    pub findings: Vec<Finding>,
    /// How many findings of each status each check gave, passes included; every planned check is here.
    pub counts: BTreeMap<String, Counts>,
    /// Checks that gave no (or not all) verdicts, sorted.
    pub errors: Vec<CheckError>,
}

/// All checks over the dataset. Blocks come table by table, batch by batch, check by check; queries last.
pub(crate) fn evaluate(
    planner: &Planner,
    checks: &[Arc<PlannedCheck>],
    dataset: &Dataset,
    rows: &Arc<Rows>,
    sink: &mut dyn FnMut(&Block<'_>),
) -> Vec<CheckError> {
    let mut errors = Vec::new();
    let mut tables: BTreeMap<&str, Vec<&PlannedCheck>> = BTreeMap::new();
    let mut queries: Vec<&PlannedCheck> = Vec::new();
    for planned in checks {
        let Some(table) = dataset.tables.get(&planned.check.resource) else {
            let message = format!("the table `{}` was not collected", planned.check.resource);
            errors.push(CheckError {
                check: planned.check.id.clone(),
                message,
            });
            continue;
        };
        if planned.is_silent(rows) {
            tell_gaps(planner, planned, table, sink);
            continue;
        }
        match planned.kind {
            Kind::Predicate(_) => tables
                .entry(&planned.check.resource)
                .or_default()
                .push(planned),
            Kind::Query(_) => queries.push(planned),
        }
    }
    for (name, checks) in tables {
        if let Some(table) = dataset.tables.get(name) {
            predicate::evaluate_table(planner, &checks, table, sink, &mut errors);
        }
    }
    if !queries.is_empty() {
        query::evaluate_queries(
            planner,
            &queries,
            dataset,
            Arc::clone(rows),
            sink,
            &mut errors,
        );
    }
    errors.sort();
    errors
}

/// Collects the findings of all blocks, sorted.
pub(crate) fn findings(
    planner: &Planner,
    plan: &Plan,
    dataset: &Dataset,
    options: Options,
) -> Evaluation {
    part(planner, plan, dataset, Rows::of(dataset), options).0
}

/// The same of a part of what there is, with the checks that failed on its values.
pub(crate) fn part(
    planner: &Planner,
    plan: &Plan,
    dataset: &Dataset,
    rows: Rows,
    options: Options,
) -> (Evaluation, BTreeSet<String>) {
    // one view for all parts: computed tables are computed once
    let rows = Arc::new(rows);
    let parts = parts(&plan.checks);
    let (mut all, failed) = share(planner, &parts, usize::MAX, dataset, &rows, options);
    sort(&mut all.findings);
    all.errors.sort();
    (all, failed)
}

/// What some checks say, not sorted, and which failed on values; shared out among so many threads at most.
fn share(
    planner: &Planner,
    parts: &[Part],
    most: usize,
    dataset: &Dataset,
    rows: &Arc<Rows>,
    options: Options,
) -> (Evaluation, BTreeSet<String>) {
    let evaluated = share_out(parts, most, |part| {
        part_findings(planner, part, dataset, rows, options)
    });
    let mut all = Evaluation::default();
    let mut failed = BTreeSet::new();
    match evaluated {
        Ok(parts) => {
            for (part, more) in parts {
                failed.extend(more);
                all.join(part);
            }
        }
        Err(e) => {
            let of = |planned: &Arc<PlannedCheck>| CheckError {
                check: planned.check.id.clone(),
                message: e.to_string(),
            };
            all.errors.extend(parts.iter().flatten().map(of));
        }
    }
    (all, failed)
}

impl Evaluation {
    /// Adds what other checks say.
    fn join(&mut self, more: Self) {
        self.findings.extend(more.findings);
        for (check, counts) in more.counts {
            self.counts.entry(check).or_default().add(counts);
        }
        self.errors.extend(more.errors);
    }
}

/// Makes the executable forms of the checks that are wanted when their turn comes. What fails here fails again, and is
/// reported, when it is evaluated.
pub(crate) fn make_ready(
    planner: &Planner,
    checks: &[Arc<PlannedCheck>],
    most: usize,
    is_wanted: &(dyn Fn(&PlannedCheck) -> bool + Sync),
) {
    let parts = parts_of(checks.len()).min(most);
    let prepared = on_deep_stacks((0..parts).collect(), |part| {
        block_here(async {
            for check in checks.iter().skip(part).step_by(parts) {
                if is_wanted(check) {
                    check.prepare(planner).await;
                }
            }
        })
    });
    debug_assert!(prepared.is_ok(), "preparing a plan stopped: {prepared:?}");
}

/// Checks that answer together for another tool's id share it, and may judge the same account: the order must not
/// depend on how they were dealt out.
pub(crate) fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        let key = |f| (Finding::sort_key(f), &f.resource_type, &f.message);
        key(a).cmp(&key(b))
    });
}

/// Checks that one thread evaluates together.
type Part = Vec<Arc<PlannedCheck>>;

/// Queries of one part.
const QUERIES: usize = 16;

/// The checks in parts for whichever core is free. What is computed from many rows comes first and in one part: it takes
/// longest, and is computed once. The predicates of a table stay together, so that each table is gone through once.
fn parts(checks: &[Arc<PlannedCheck>]) -> Vec<Part> {
    let mut computed = Vec::new();
    let mut queries = Vec::new();
    let mut tables: BTreeMap<&str, Part> = BTreeMap::new();
    for planned in checks {
        let part = match &planned.kind {
            Kind::Query(_) if planned.computed => &mut computed,
            Kind::Query(_) => &mut queries,
            Kind::Predicate(_) => tables.entry(&planned.check.resource).or_default(),
        };
        part.push(Arc::clone(planned));
    }
    let mut parts = vec![computed];
    parts.extend(queries.chunks(QUERIES).map(<[_]>::to_vec));
    parts.extend(tables.into_values());
    parts.retain(|part| !part.is_empty());
    parts
}

fn part_findings(
    planner: &Planner,
    checks: &[Arc<PlannedCheck>],
    dataset: &Dataset,
    rows: &Arc<Rows>,
    options: Options,
) -> (Evaluation, BTreeSet<String>) {
    let mut failed = BTreeSet::new();
    let mut counts: BTreeMap<String, Counts> = checks
        .iter()
        .map(|c| (c.check.id.clone(), Counts::default()))
        .collect();
    let mut findings = Vec::new();
    let errors = evaluate(planner, checks, dataset, rows, &mut |block| {
        if let Some(count) = counts.get_mut(&block.check().id) {
            count.add(block.counts());
        }
        if block.failed_on_values() {
            failed.insert(block.check().id.clone());
        }
        block.findings_into(options, &mut findings);
    });
    let evaluation = Evaluation {
        findings,
        counts,
        errors,
    };
    (evaluation, failed)
}

/// Why something could not be decided.
#[derive(Debug, Clone)]
pub(crate) enum Reason {
    /// Calls failed that fill what the check reads.
    Calls(Vec<Arc<CallError>>),
    /// The table could not be listed.
    Gap(String, Vec<Arc<CallError>>),
    /// The values could not be computed with.
    Values(String),
}

impl Reason {
    fn message(&self) -> String {
        let calls = |errors: &[Arc<CallError>]| {
            const MOST: usize = 3;
            let shown: Vec<String> = errors.iter().take(MOST).map(ToString::to_string).collect();
            let more = errors.len().saturating_sub(MOST);
            if more > 0 {
                format!("{} and {more} more", shown.join("; "))
            } else {
                shown.join("; ")
            }
        };
        match self {
            Self::Calls(errors) => format!("could not be read: {}", calls(errors)),
            Self::Gap(table, errors) => format!("`{table}` could not be listed: {}", calls(errors)),
            Self::Values(reason) => format!("could not be decided: {reason}"),
        }
    }

    /// The IAM actions that would help.
    fn permissions(&self) -> Vec<String> {
        let errors = match self {
            Self::Calls(errors) | Self::Gap(_, errors) => errors.as_slice(),
            Self::Values(_) => &[],
        };
        let denied = errors.iter().filter(|e| e.kind == CallErrorKind::Denied);
        let all: BTreeSet<&String> = denied.flat_map(|e| &e.permissions).collect();
        all.into_iter().cloned().collect()
    }
}

/// Adds an error that is not there yet.
fn note(errors: &mut Vec<Arc<CallError>>, error: &Arc<CallError>) {
    if !errors.iter().any(|e| e == error) {
        errors.push(Arc::clone(error));
    }
}

/// Hands over what could not be listed of a table, where there is such a thing.
fn tell_gaps(
    planner: &Planner,
    planned: &PlannedCheck,
    table: &Table,
    sink: &mut dyn FnMut(&Block<'_>),
) {
    let findings = gap_findings(planned, table);
    if !findings.is_empty() {
        sink(&Block {
            planner,
            planned,
            content: Content::Findings {
                findings,
                failed: false,
            },
        });
    }
}

/// One unknown finding for each account and region whose rows could not be listed.
fn gap_findings(planned: &PlannedCheck, table: &Table) -> Vec<Finding> {
    let mut places: BTreeMap<(&str, &str), Vec<Arc<CallError>>> = BTreeMap::new();
    for gap in &table.gaps {
        note(
            places.entry((&gap.account_id, &gap.region)).or_default(),
            &gap.error,
        );
    }
    let unknown = |((account, region), errors): ((&str, &str), _)| {
        unlisted(
            planned,
            account,
            region,
            &Reason::Gap(table.spec.name.clone(), errors),
        )
    };
    places.into_iter().map(unknown).collect()
}

/// A finding about resources that could not be listed.
fn unlisted(planned: &PlannedCheck, account: &str, region: &str, reason: &Reason) -> Finding {
    Finding {
        check: Arc::clone(&planned.id),
        status: Status::Unknown,
        severity: planned.check.severity,
        account_id: Arc::from(account),
        region: Arc::from(region),
        resource: String::new(),
        resource_id: String::new(),
        resource_type: Arc::clone(&planned.resource_type),
        message: reason.message(),
        evidence: serde_json::Map::new(),
        requirements: Arc::clone(&planned.requirements),
        fix: planned.fix,
        history: None,
        missing_permissions: reason.permissions(),
        muted: None,
    }
}
