//! Collected tables → the accounts that `palisade-iam` answers questions about, with what could not be read.
mod derived;
mod guardrails;
mod rows;
mod s3;
mod shares;
mod sources;

pub(crate) use derived::{Computation, Computed, DerivedTable, derived};
pub use derived::{DERIVED_TABLES, DerivedSpec, DerivedType, ESCALATIONS};
pub use sources::{IamQuestion, iam_needs};

use palisade_iam::{Known, Model};
use palisade_table::{Dataset, Schemas};
use rows::{TableRows, aws_shape, text};
use serde_json::{Map, Value, json};
use sources::{IDENTITY, PolicyAt, RESOURCES, ResourceTable};
use std::collections::BTreeSet;

/// What was scanned.
#[derive(Debug, Clone, Default)]
pub struct IamScope {
    /// Account ids.
    pub accounts: Vec<String>,
    /// Regions in which regional tables were read.
    pub regions: Vec<String>,
}

/// Accounts, and why there may be more in them.
#[derive(Debug, Clone, Default)]
pub struct IamAccounts {
    /// Users, roles, policies.
    pub model: Model,
    /// Accounts whose users, groups, roles or policies could not be listed, with the reason: nothing can be said of them.
    pub unlisted: Vec<(String, String)>,
}

/// Builds the accounts from tables. A table that was not collected counts as not known.
pub fn iam_accounts(dataset: &Dataset, schemas: &dyn Schemas, scope: &IamScope) -> IamAccounts {
    let mut out = IamAccounts::default();
    add_identities(dataset, schemas, IDENTITY, &mut out);
    add_compute(dataset, schemas, &mut out.model);
    finish(dataset, schemas, scope, out)
}

/// The accounts that ways from one principal to another lead through, built piece by piece: what was read of an account
/// can be let go of when it has been added.
#[derive(Debug, Default)]
pub struct IamBuilder(IamAccounts);

impl IamBuilder {
    /// The table of managed policies.
    pub const POLICIES: &'static str = "iam_policy";

    /// Adds the managed policies of some accounts. Those of all must be there before anything else: policies of AWS are
    /// held in accounts that do not list them.
    pub fn add_policies(&mut self, dataset: &Dataset, schemas: &dyn Schemas) {
        let (policies, _) = IDENTITY.split_at(1);
        add_identities(dataset, schemas, policies, &mut self.0);
    }

    /// Adds the groups, users, roles and holders of roles of some accounts, which are in no other dataset.
    pub fn add(&mut self, dataset: &Dataset, schemas: &dyn Schemas) {
        let (_, others) = IDENTITY.split_at(1);
        add_identities(dataset, schemas, others, &mut self.0);
        add_compute(dataset, schemas, &mut self.0.model);
    }

    /// The accounts, with what tables say that are about all of them.
    pub fn finish(self, shared: &Dataset, schemas: &dyn Schemas, scope: &IamScope) -> IamAccounts {
        finish(shared, schemas, scope, self.0)
    }
}

fn add_identities(
    dataset: &Dataset,
    schemas: &dyn Schemas,
    tables: &[(&str, &str)],
    out: &mut IamAccounts,
) {
    let mut document = Map::new();
    for (table, member) in tables {
        let rows = TableRows::of(dataset, schemas, table);
        out.unlisted
            .extend(rows.gaps().map(|(account, _, why)| (account, why)));
        let rows: Vec<Value> = rows.rows.iter().map(|r| aws_shape(&r.value)).collect();
        document.insert((*member).to_owned(), Value::Array(rows));
    }
    // Some lists are there, so that only the text of a policy can be wrong, and that is told in `problems`.
    if let Err(e) = out.model.add_authorization_value(&Value::Object(document)) {
        out.model.problems.push(e.to_string());
    }
}

fn finish(
    dataset: &Dataset,
    schemas: &dyn Schemas,
    scope: &IamScope,
    mut out: IamAccounts,
) -> IamAccounts {
    let mut known = Known::default();
    out.unlisted.sort();
    out.unlisted.dedup();
    let accounts: BTreeSet<String> = accounts(dataset, scope);
    guardrails::add(dataset, schemas, &accounts, &mut out.model, &mut known);
    for resource in RESOURCES {
        add_resources(
            dataset,
            schemas,
            resource,
            &accounts,
            scope,
            &mut out.model,
            &mut known,
        );
    }
    s3::add(dataset, schemas, &mut out.model, &mut known);
    shares::add(dataset, schemas, &mut out.model, &mut known);
    known.reasons.sort();
    known.reasons.dedup();
    // Guardrails were set on the model's own record while they were read.
    let set = out.model.known.take().unwrap_or_default();
    known.scp.extend(set.scp);
    known.rcp.extend(set.rcp);
    out.model.known = Some(known);
    out.model.sort();
    out
}

fn accounts(dataset: &Dataset, scope: &IamScope) -> BTreeSet<String> {
    let mut out: BTreeSet<String> = scope.accounts.iter().cloned().collect();
    for table in dataset.tables.values() {
        out.extend(table.gaps.iter().map(|g| g.account_id.clone()));
    }
    out
}

/// The policies of the resources of one table.
fn add_resources(
    dataset: &Dataset,
    schemas: &dyn Schemas,
    source: &ResourceTable,
    accounts: &BTreeSet<String>,
    scope: &IamScope,
    model: &mut Model,
    known: &mut Known,
) {
    let rows = TableRows::of(dataset, schemas, source.table);
    // The table may have been read for something else.
    if !rows.is_collected || !rows.has_column(source.column) {
        return;
    }
    let mut missing: BTreeSet<(String, String)> = BTreeSet::new();
    for (account, region, why) in rows.gaps() {
        known.reasons.push(format!(
            "the policies of {} in {account}, {region}: {why}",
            source.what
        ));
        missing.insert((account, region));
    }
    // Buckets are listed for all regions at once.
    let regions = if rows.is_global || source.service == "s3" {
        vec!["*".to_owned()]
    } else {
        scope.regions.clone()
    };
    for account in accounts {
        for region in &regions {
            let gap = missing
                .iter()
                .any(|(a, r)| a == account && (region == "*" || r == region));
            // Aliases, layers, streams: only the resources of the table itself are covered by it.
            if !gap && source.is_whole_service {
                known.resources.insert((
                    source.service.to_owned(),
                    account.clone(),
                    region.clone(),
                ));
            }
        }
    }
    for row in &rows.rows {
        let Some(arn) = text(&row.value, source.arn) else {
            continue;
        };
        if let Some(owner) = text(&row.value, "account_id") {
            model.owners.insert(arn.to_owned(), owner.to_owned());
        }
        if let Some(why) = rows.failure(row, source.column) {
            known.reasons.push(format!("the policy of {arn}: {why}"));
            known.unread_resources.insert(arn.to_owned());
            continue;
        }
        let Some(text) = policy_text(&row.value, source) else {
            known.without_policy.insert(arn.to_owned());
            continue;
        };
        if let Err(e) = model.add_resource_policy(arn, &text) {
            model.problems.push(format!("{arn}: {e}"));
            known.unread_resources.insert(arn.to_owned());
        }
    }
}

/// The text of a resource's policy; several policies as one.
fn policy_text(row: &Value, source: &ResourceTable) -> Option<String> {
    let column = row.get(source.column)?;
    let text = |value: &Value| {
        value
            .as_str()
            // Some services write an empty document where there is no policy.
            .filter(|t| !matches!(t.trim(), "" | "{}"))
            .map(ToOwned::to_owned)
    };
    match source.at {
        PolicyAt::Column => text(column),
        PolicyAt::Member(name) => text(column.get(name)?),
        PolicyAt::Members => {
            let texts: Vec<String> = column.as_object()?.values().filter_map(text).collect();
            match texts.as_slice() {
                [] => None,
                [one] => Some(one.clone()),
                several => Some(joined(several)),
            }
        }
    }
}

/// Policies as one with the statements of all; what cannot be joined is no policy, so that it counts as unread.
fn joined(texts: &[String]) -> String {
    let policies: Option<Vec<Value>> = texts
        .iter()
        .map(|text| serde_json::from_str(text).ok())
        .collect();
    let policies = policies.unwrap_or_default();
    let version = policies.first().and_then(|p| p.get("Version"));
    // The version says whether `${…}` is a variable.
    if policies.is_empty() || policies.iter().any(|p| p.get("Version") != version) {
        return "policies of different versions".to_owned();
    }
    let mut statements = Vec::new();
    for policy in &policies {
        match policy.get("Statement") {
            Some(Value::Array(some)) => statements.extend(some.iter().cloned()),
            Some(one) => statements.push(one.clone()),
            None => {}
        }
    }
    let version = version.cloned().unwrap_or_else(|| json!("2008-10-17"));
    json!({ "Version": version, "Statement": statements }).to_string()
}

/// Functions and instances, with the roles that they hold.
fn add_compute(dataset: &Dataset, schemas: &dyn Schemas, model: &mut Model) {
    let mut found: Vec<Value> = Vec::new();
    for row in &TableRows::of(dataset, schemas, "lambda_function").rows {
        if let (Some(arn), Some(role)) = (text(&row.value, "arn"), text(&row.value, "role")) {
            found.push(json!({ "arn": arn, "service": "lambda.amazonaws.com", "role": role }));
        }
    }
    // An instance names its profile; roles say which profiles they are in.
    let roles = TableRows::of(dataset, schemas, "iam_role");
    let role_of = |profile: &str| {
        roles.rows.iter().find_map(|role| {
            let list = role.value.get("instance_profile_list")?.as_array()?;
            list.iter()
                .any(|p| text(p, "arn") == Some(profile))
                .then(|| text(&role.value, "arn"))
                .flatten()
        })
    };
    for row in &TableRows::of(dataset, schemas, "ec2_instance").rows {
        let profile = row
            .value
            .get("iam_instance_profile")
            .and_then(|p| text(p, "arn"));
        if let (Some(arn), Some(role)) = (text(&row.value, "arn"), profile.and_then(role_of)) {
            found.push(json!({ "arn": arn, "service": "ec2.amazonaws.com", "role": role }));
        }
    }
    for item in found {
        if let (Some(arn), Some(service), Some(role)) = (
            text(&item, "arn"),
            text(&item, "service"),
            text(&item, "role"),
        ) {
            model.compute.push(palisade_iam::Compute {
                arn: arn.to_owned(),
                service: service.to_owned(),
                role: role.to_owned(),
            });
        }
    }
}
