//! Two states, compared account by account and table by table.
use crate::change::{Counts, Diff, FindingChange, NotCompared, ResourceChange, Which};
use crate::findings::{self, Verdicts, by_key};
use crate::resources::{Pair, at_once};
use crate::side::{AccountSide, Side};
use palisade_catalog::TableSpec;
use palisade_store::StoreError;
use palisade_table::Schemas;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is compared.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Tables, or patterns with `*`; empty: all.
    pub tables: Vec<String>,
    /// Accounts; empty: all.
    pub accounts: Vec<String>,
    /// Compare resources.
    pub resources: bool,
    /// Compare findings.
    pub findings: bool,
    /// Rows that are held at once; the result does not depend on it.
    pub at_once: usize,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            tables: Vec::new(),
            accounts: Vec::new(),
            resources: true,
            findings: true,
            at_once: at_once(),
        }
    }
}

impl Filter {
    fn wants_table(&self, name: &str) -> bool {
        self.tables.is_empty() || self.tables.iter().any(|pattern| matches(pattern, name))
    }
    /// Whether an account is compared.
    pub fn wants_account(&self, id: &str) -> bool {
        self.accounts.is_empty() || self.accounts.iter().any(|a| a == id)
    }
}

/// A pattern in which `*` stands for any text.
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(rest) = text.strip_prefix(head) else {
        return false;
    };
    let ends = std::iter::once(rest.len()).chain(rest.char_indices().rev().map(|(at, _)| at));
    ends.into_iter()
        .filter_map(|at| rest.get(at..))
        .any(|rest| matches(tail, rest))
}

/// Compares two states.
///
/// # Errors
/// When a snapshot is damaged or cannot be read.
pub async fn diff(
    before: Side<'_>,
    after: Side<'_>,
    schemas: &dyn Schemas,
    filter: &Filter,
) -> Result<Diff, StoreError> {
    let part = diff_accounts(
        before,
        after,
        schemas,
        filter,
        &accounts_of_both(before, after),
    )
    .await?;
    diff_of_parts(before, after, filter, [part]).await
}

/// The accounts of two states, sorted: each may be compared somewhere else.
pub fn accounts_of_both(before: Side<'_>, after: Side<'_>) -> BTreeSet<String> {
    let (before, after) = (before.accounts(), after.accounts());
    before.into_iter().chain(after).collect()
}

/// What a comparison says about some accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountsDiff {
    /// Rows of all tables that were compared.
    pub counts: Counts,
    /// What became of resources.
    pub resources: Vec<ResourceChange>,
    /// What became of findings.
    pub findings: Vec<FindingChange>,
    /// What was left out of these accounts.
    pub not_compared: Vec<NotCompared>,
}

/// The comparison whose accounts were compared in parts, in whatever order these come.
///
/// # Errors
/// When a snapshot is damaged or cannot be read.
pub async fn diff_of_parts(
    before: Side<'_>,
    after: Side<'_>,
    filter: &Filter,
    parts: impl IntoIterator<Item = AccountsDiff>,
) -> Result<Diff, StoreError> {
    let mut diff = Diff {
        before: before.moment(),
        after: after.moment(),
        counts: Counts::default(),
        resources: Vec::new(),
        findings: Vec::new(),
        not_compared: Vec::new(),
    };
    if filter.findings {
        let checks = (before.checks().await?, after.checks().await?);
        unevaluated(&checks, &mut diff.not_compared);
    }
    for part in parts {
        diff.counts.add(&part.counts);
        diff.resources.extend(part.resources);
        diff.findings.extend(part.findings);
        diff.not_compared.extend(part.not_compared);
    }
    sort(&mut diff);
    Ok(diff)
}

/// Compares some accounts of two states: of those that the filter wants, these.
///
/// # Errors
/// When a snapshot is damaged or cannot be read.
pub async fn diff_accounts(
    before: Side<'_>,
    after: Side<'_>,
    schemas: &dyn Schemas,
    filter: &Filter,
    accounts: &BTreeSet<String>,
) -> Result<AccountsDiff, StoreError> {
    let mut diff = AccountsDiff::default();
    let checks = match filter.findings {
        true => (before.checks().await?, after.checks().await?),
        false => (None, None),
    };
    let accounts_before: BTreeSet<String> = before.accounts().into_iter().collect();
    let accounts_after: BTreeSet<String> = after.accounts().into_iter().collect();
    for account_id in accounts {
        if !filter.wants_account(account_id) {
            continue;
        }
        let lacking = match (
            accounts_before.contains(account_id),
            accounts_after.contains(account_id),
        ) {
            (false, _) => Some(Which::Before),
            (_, false) => Some(Which::After),
            _ => None,
        };
        if let Some(lacking) = lacking {
            diff.not_compared.push(NotCompared {
                account_id: Some(account_id.clone()),
                ..NotCompared::new(lacking, "the account was not read")
            });
            continue;
        }
        let b = before.account(account_id).await?;
        let a = after.account(account_id).await?;
        if let (Some(checks_before), Some(checks_after)) = &checks {
            let left = Verdicts {
                checks: checks_before,
                account: &b,
                found: &by_key(before.findings(account_id).await?),
            };
            let right = Verdicts {
                checks: checks_after,
                account: &a,
                found: &by_key(after.findings(account_id).await?),
            };
            diff.findings
                .extend(findings::compare(&left, &right, schemas));
        }
        if filter.resources {
            tables(
                account_id,
                (before, b),
                (after, a),
                schemas,
                filter,
                &mut diff,
            )
            .await?;
        }
    }
    Ok(diff)
}

async fn tables<'a>(
    account_id: &str,
    (before, mut b): (Side<'a>, AccountSide<'a>),
    (after, mut a): (Side<'a>, AccountSide<'a>),
    schemas: &dyn Schemas,
    filter: &Filter,
    diff: &mut AccountsDiff,
) -> Result<(), StoreError> {
    let names: BTreeSet<String> = b.tables.keys().chain(a.tables.keys()).cloned().collect();
    for name in names.into_iter().filter(|n| filter.wants_table(n)) {
        let known = schemas.table(&name);
        let (left, right) = (b.tables.remove(&name), a.tables.remove(&name));
        let lacking = match (&left, &right, &known) {
            (None, ..) => Some((Which::Before, "the table was not collected")),
            (_, None, _) => Some((Which::After, "the table was not collected")),
            (_, _, None) => Some((Which::Both, "the catalogue has no such table")),
            _ => None,
        };
        if let Some((lacking, reason)) = lacking {
            let other = left.iter().chain(&right);
            let resources = other.flat_map(|t| &t.chunks).map(|c| c.rows()).sum();
            diff.not_compared.push(NotCompared {
                account_id: Some(account_id.to_owned()),
                table: Some(name),
                resources,
                ..NotCompared::new(lacking, reason)
            });
            continue;
        }
        let (Some(left), Some(right), Some((spec, schema))) = (left, right, known) else {
            continue;
        };
        let pair = Pair {
            parents: parents(&spec, schemas),
            spec: &spec,
            schema: &schema,
            account_id,
            before: (before, left),
            after: (after, right),
            at_once: filter.at_once,
        };
        let outcome = pair.compare().await?;
        diff.counts.add(&outcome.counts);
        diff.resources.extend(outcome.changes);
        diff.not_compared.extend(outcome.left);
    }
    Ok(())
}

/// The tables whose rows a table's list is asked for, nearest first.
pub(crate) fn parents(spec: &Arc<TableSpec>, schemas: &dyn Schemas) -> Vec<Arc<TableSpec>> {
    let mut all: Vec<Arc<TableSpec>> = Vec::new();
    let mut next = spec.list.as_ref().and_then(|l| l.parent.clone());
    while let Some(name) = next {
        let Some((parent, _)) = schemas.table(&name) else {
            break;
        };
        next = parent.list.as_ref().and_then(|l| l.parent.clone());
        all.push(parent);
        if all.len() > 16 {
            break;
        }
    }
    all
}

type CheckSets = (Option<BTreeSet<String>>, Option<BTreeSet<String>>);

fn unevaluated(checks: &CheckSets, left: &mut Vec<NotCompared>) {
    let nothing = |lacking| NotCompared::new(lacking, "no checks were evaluated");
    match checks {
        (None, None) => left.push(nothing(Which::Both)),
        (None, Some(_)) => left.push(nothing(Which::Before)),
        (Some(_), None) => left.push(nothing(Which::After)),
        (Some(before), Some(after)) => {
            for (lacking, there, other) in [
                (Which::Before, before, after),
                (Which::After, after, before),
            ] {
                let checks: Vec<String> = other.difference(there).cloned().collect();
                if !checks.is_empty() {
                    left.push(NotCompared {
                        checks,
                        ..NotCompared::new(lacking, "the checks were not evaluated")
                    });
                }
            }
        }
    }
}

/// The order of a result.
pub(crate) fn sort(diff: &mut Diff) {
    diff.resources.sort_by(|a, b| {
        let key = |r: &crate::ResourceChange| {
            (
                r.table.clone(),
                r.account_id.clone(),
                r.region.clone(),
                r.resource.clone(),
                r.resource_id.clone(),
                r.kind,
            )
        };
        key(a).cmp(&key(b))
    });
    diff.findings.sort_by(|a, b| {
        let worst = |f: &FindingChange| f.after.as_ref().or(f.before.as_ref()).map(|v| v.severity);
        (
            a.kind,
            worst(b),
            &a.check,
            &a.account_id,
            &a.region,
            &a.resource,
            &a.resource_id,
        )
            .cmp(&(
                b.kind,
                worst(a),
                &b.check,
                &b.account_id,
                &b.region,
                &b.resource,
                &b.resource_id,
            ))
    });
    diff.not_compared.sort();
}
