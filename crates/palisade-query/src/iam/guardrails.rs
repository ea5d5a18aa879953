//! Service and resource control policies of each account, from the root to the account.
use super::rows::{TableRows, text};
use palisade_iam::{Known, Model, NamedPolicy, OwnedLevel, Policy};
use palisade_table::{Dataset, Schemas};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Where an account stands: identifiers from the root to the account; `None` when the units between are not known.
type Chains = BTreeMap<String, Option<Vec<String>>>;

pub(super) fn add(
    dataset: &Dataset,
    schemas: &dyn Schemas,
    accounts: &BTreeSet<String>,
    model: &mut Model,
    known: &mut Known,
) {
    let organization = TableRows::of(dataset, schemas, "organizations_organization");
    let mut inside: Vec<String> = Vec::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for row in &organization.rows {
        let Some(account) = text(&row.value, "account_id") else {
            continue;
        };
        seen.insert(account);
        if let Some(why) = organization.failure(row, "organization") {
            known.reasons.push(format!(
                "whether {account} is in an organisation, and its guardrails: {why}"
            ));
            continue;
        }
        let facts = row.value.get("organization").filter(|o| !o.is_null());
        let Some(facts) = facts else {
            // No organisation, no guardrails.
            model.set_guardrails(true, account, Vec::new());
            model.set_guardrails(false, account, Vec::new());
            continue;
        };
        if let Some(id) = text(facts, "id") {
            model
                .organizations
                .insert(account.to_owned(), id.to_owned());
        }
        let only_bills = text(facts, "feature_set") == Some("CONSOLIDATED_BILLING");
        // Guardrails do not affect the management account (Organizations User Guide, "SCP evaluation").
        if only_bills || text(facts, "master_account_id") == Some(account) {
            model.set_guardrails(true, account, Vec::new());
            model.set_guardrails(false, account, Vec::new());
        } else {
            inside.push(account.to_owned());
        }
    }
    for account in accounts.iter().filter(|a| !seen.contains(a.as_str())) {
        known
            .reasons
            .push(format!("the guardrails of {account}: they were not read"));
    }
    let chains = chains(dataset, schemas, model);
    for (table, is_scp, what) in [
        ("organizations_scp", true, "service control policies"),
        ("organizations_rcp", false, "resource control policies"),
    ] {
        match attached(&TableRows::of(dataset, schemas, table)) {
            Err(why) => known.reasons.extend(
                inside
                    .iter()
                    .map(|account| format!("the {what} of {account}: {why}")),
            ),
            Ok(attached) => {
                for account in &inside {
                    match levels(account, &chains, &attached) {
                        Some(levels) => model.set_guardrails(is_scp, account, levels),
                        None => known.reasons.push(format!(
                            "the {what} of {account}: the organisational unit that it is in was not read"
                        )),
                    }
                }
            }
        }
    }
}

fn chains(dataset: &Dataset, schemas: &dyn Schemas, model: &mut Model) -> Chains {
    let mut out = Chains::new();
    for row in &TableRows::of(dataset, schemas, "organizations_account").rows {
        let Some(id) = text(&row.value, "id") else {
            continue;
        };
        let own = text(&row.value, "account_id").and_then(|a| model.organizations.get(a));
        if let Some(organization) = own.cloned() {
            model
                .organizations
                .entry(id.to_owned())
                .or_insert(organization);
        }
        let path = row
            .value
            .get("paths")
            .and_then(Value::as_array)
            .and_then(|paths| paths.first()?.as_str());
        let chain = path.map(|path| {
            let units = path
                .split('/')
                .filter(|part| part.starts_with("r-") || part.starts_with("ou-"));
            units
                .map(ToOwned::to_owned)
                .chain([id.to_owned()])
                .collect()
        });
        out.insert(id.to_owned(), chain);
    }
    out
}

/// What is attached where.
#[derive(Default)]
struct Attached {
    /// By target.
    policies: BTreeMap<String, Vec<NamedPolicy>>,
    roots: BTreeSet<String>,
    units: bool,
}

fn attached(rows: &TableRows<'_>) -> Result<Attached, String> {
    if !rows.is_collected {
        return Err("they were not read".to_owned());
    }
    if let Some((_, _, why)) = rows.gaps().next() {
        return Err(why);
    }
    let mut out = Attached::default();
    for row in &rows.rows {
        if let Some(why) = rows
            .failure(row, "content")
            .or_else(|| rows.failure(row, "targets"))
        {
            return Err(why);
        }
        let name = text(&row.value, "name").unwrap_or("a policy");
        let targets = row.value.get("targets").and_then(Value::as_array);
        let targets: Vec<&Value> = targets.into_iter().flatten().collect();
        if targets.is_empty() {
            continue;
        }
        let Some(content) = text(&row.value, "content") else {
            return Err(format!("the content of `{name}` is not there"));
        };
        let policy = Policy::parse(content).map_err(|e| format!("`{name}`: {e}"))?;
        let policy = Arc::new(policy);
        for target in targets {
            let Some(id) = text(target, "target_id") else {
                continue;
            };
            match text(target, "type") {
                Some("ROOT") => {
                    out.roots.insert(id.to_owned());
                }
                Some("ORGANIZATIONAL_UNIT") => out.units = true,
                _ => {}
            }
            out.policies
                .entry(id.to_owned())
                .or_default()
                .push(NamedPolicy {
                    name: name.to_owned(),
                    policy: Arc::clone(&policy),
                });
        }
    }
    Ok(out)
}

/// The levels of an account; `None` when the units between root and account matter and are not known.
fn levels(account: &str, chains: &Chains, attached: &Attached) -> Option<Vec<OwnedLevel>> {
    // Where nothing is attached anywhere, the kind of policy is not enabled.
    if attached.policies.is_empty() {
        return Some(Vec::new());
    }
    let chain = match chains.get(account) {
        Some(Some(chain)) => chain.clone(),
        _ if attached.units => return None,
        _ => {
            let mut chain: Vec<String> = attached.roots.iter().cloned().collect();
            chain.push(account.to_owned());
            chain
        }
    };
    Some(
        chain
            .into_iter()
            .map(|id| OwnedLevel {
                policies: attached.policies.get(&id).cloned().unwrap_or_default(),
                name: id,
            })
            .collect(),
    )
}
