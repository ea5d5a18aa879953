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
    // By organisation: the accounts that guardrails bind, and those that were asked.
    let mut inside: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut asked: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut free: BTreeSet<String> = BTreeSet::new();
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
            free.insert(account.to_owned());
            continue;
        };
        let id = text(facts, "id").unwrap_or_default();
        model
            .organizations
            .insert(account.to_owned(), id.to_owned());
        if text(facts, "feature_set") == Some("CONSOLIDATED_BILLING") {
            free.insert(account.to_owned());
            continue;
        }
        // Guardrails do not affect the management account (Organizations User Guide, "SCP evaluation").
        free.extend(text(facts, "master_account_id").map(ToOwned::to_owned));
        asked
            .entry(id.to_owned())
            .or_default()
            .insert(account.to_owned());
    }
    for account in accounts.iter().filter(|a| !seen.contains(a.as_str())) {
        known
            .reasons
            .push(format!("the guardrails of {account}: they were not read"));
    }
    let chains = chains(dataset, schemas, model);
    for account in chains.keys().chain(asked.values().flatten()) {
        if let Some(id) = model.organizations.get(account)
            && !free.contains(account)
        {
            let members = inside.entry(id.clone()).or_default();
            members.insert(account.clone());
        }
    }
    for account in &free {
        model.set_guardrails(true, account, Vec::new());
        model.set_guardrails(false, account, Vec::new());
    }
    for (table, is_scp, what) in [
        ("organizations_scp", true, "service control policies"),
        ("organizations_rcp", false, "resource control policies"),
    ] {
        let rows = TableRows::of(dataset, schemas, table);
        for (id, members) in &inside {
            let none = BTreeSet::new();
            match attached(&rows, asked.get(id).unwrap_or(&none)) {
                Err(why) => known.reasons.extend(
                    members
                        .iter()
                        .map(|account| format!("the {what} of {account}: {why}")),
                ),
                Ok(attached) => {
                    for account in members {
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

/// What one of the accounts of an organisation that were asked could list: its members cannot, its management account can.
fn attached(rows: &TableRows<'_>, asked: &BTreeSet<String>) -> Result<Attached, String> {
    if !rows.is_collected {
        return Err("they were not read".to_owned());
    }
    let gaps: BTreeMap<String, String> = rows
        .gaps()
        .map(|(account, _, why)| (account, why))
        .collect();
    let Some(reader) = asked.iter().find(|a| !gaps.contains_key(*a)) else {
        let why = asked.iter().find_map(|a| gaps.get(a)).cloned();
        return Err(why.unwrap_or_else(|| "they were not read".to_owned()));
    };
    let mut out = Attached::default();
    let own = rows
        .rows
        .iter()
        .filter(|row| text(&row.value, "account_id") == Some(reader));
    for row in own {
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
