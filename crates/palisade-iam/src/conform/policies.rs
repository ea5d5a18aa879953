//! Cases about one policy.

use serde_json::{Map, Value, json};

use super::{Fields, Refusal, flag, get, one, text, texts};
use crate::arn_pattern::ArnText;
use crate::context::Context;
use crate::grammar::{PolicyKind, check_grammar};
use crate::policy::Policy;
use crate::public::{PublicOptions, external_accounts, principal_is_public, publicness};
use crate::restrict::{Definition, block_restricts};
use crate::{policy_grants_full_service, trust_policy_allows_service};

fn document(case: &Value, path: &[&str]) -> Result<String, Refusal> {
    get(case, path)
        .map(Value::to_string)
        .ok_or_else(|| Refusal::Broken(format!("`{}` is missing", path.join("."))))
}

pub(super) fn grammar(case: &Value) -> Fields {
    let kind = match get(case, &["request", "policy_type"])
        .and_then(Value::as_str)
        .unwrap_or("identity")
    {
        "resource" => PolicyKind::Resource,
        "trust" | "assume-role" => PolicyKind::Trust,
        "scp" => PolicyKind::ServiceControl,
        "rcp" => PolicyKind::ResourceControl,
        _ => PolicyKind::Identity,
    };
    let errors = check_grammar(text(case, &["policies", "policy_text"])?, kind);
    let mut out = Map::new();
    out.insert("valid".to_owned(), json!(errors.is_empty()));
    if let Some(first) = errors.first() {
        out.insert("message".to_owned(), json!(first.message));
        out.insert("line".to_owned(), json!(first.line));
        out.insert("column".to_owned(), json!(first.column));
    }
    Ok(out)
}

/// The definitions beyond AWS's own: with an owner and without `cross_account_ok`, a grant to an account that is not
/// trusted counts; trusted addresses and unbound services as the case says.
pub(super) fn public_policy(case: &Value) -> Fields {
    let policy = Policy::parse(&document(case, &["policies", "resource"])?)?;
    let options = PublicOptions {
        trusted_addresses: texts(case, &["request", "trusted_ips"]),
        unbound_services: flag(case, &["request", "confused_deputy"]),
    };
    let found = publicness(&policy, &options);
    let mut public = found.is_public();
    if let (Some(owner), Some(false)) = (
        get(case, &["request", "owner_account"]).and_then(Value::as_str),
        get(case, &["request", "cross_account_ok"]).and_then(Value::as_bool),
    ) {
        let trusted = texts(case, &["request", "trusted_accounts"]);
        public |= external_accounts(&policy, owner, &options)
            .iter()
            .any(|a| !trusted.contains(a));
    }
    let mut out = Map::new();
    out.insert("public".to_owned(), json!(public));
    out.insert(
        "internet_accessible_actions".to_owned(),
        json!(found.actions),
    );
    Ok(out)
}

pub(super) fn public_principal(case: &Value) -> Fields {
    one(
        "public",
        principal_is_public(&document(case, &["policies", "statement"])?)?,
    )
}

pub(super) fn condition_restricts(case: &Value) -> Fields {
    let whole = json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": get(case, &["policies", "condition"]).unwrap_or(&json!({})) }],
    });
    let policy = Policy::parse(&whole.to_string())?;
    let owner = get(case, &["request", "owner_account"])
        .and_then(Value::as_str)
        .map(ToOwned::to_owned);
    let definition = match text(case, &["request", "definition"])? {
        "account" => Definition::Account {
            owner: owner.unwrap_or_default(),
            cross_account: flag(case, &["request", "cross_account_ok"]),
        },
        "organization" => Definition::Organization,
        "source-arn" => Definition::SourceArn { owner },
        "private-ip" => Definition::PrivateAddress,
        "trusted-ips" => Definition::TrustedAddresses(texts(case, &["request", "trusted_ips"])),
        "sns-endpoint" => Definition::SnsEndpoint,
        other => return Err(Refusal::Unsupported(format!("the definition `{other}`"))),
    };
    let conditions = policy
        .statements
        .first()
        .map(|s| s.conditions.as_slice())
        .unwrap_or_default();
    one("restricts", block_restricts(conditions, &definition))
}

pub(super) fn trust_allows_service(case: &Value) -> Fields {
    let trusts = trust_policy_allows_service(
        &document(case, &["policies", "trust"])?,
        text(case, &["request", "service"])?,
    )?;
    one("trusts", trusts)
}

pub(super) fn full_service(case: &Value) -> Fields {
    let service = text(case, &["request", "service"])?;
    let mut full = false;
    for policy in get(case, &["policies", "identity"])
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        full |= policy_grants_full_service(&policy.to_string(), service)?;
    }
    one("full", full)
}

/// Whether the `Resource` elements of a policy mean a resource.
pub(super) fn resource_policy_match(case: &Value) -> Fields {
    let resource = text(case, &["request", "resource"])?;
    let policy = Policy::parse(&document(case, &["policies", "resource"])?)?;
    let arn = ArnText::new(resource);
    let hit = policy
        .statements
        .iter()
        .filter_map(|s| s.resource.as_ref())
        .any(|r| r.matches(&arn, &Context::closed()).is_true());
    one("match", hit)
}

/// The identifiers of the rules that find something.
pub(super) fn lint(case: &Value) -> Fields {
    let catalogue = crate::Catalogue::embedded().map_err(|e| Refusal::Broken(e.to_string()))?;
    let found = crate::lint::lint(
        text(case, &["policies", "policy_text"])?,
        PolicyKind::Identity,
        None,
        catalogue,
    );
    let ids: std::collections::BTreeSet<&str> = found.iter().map(|f| f.rule.id).collect();
    one("rule_ids", ids.into_iter().collect::<Vec<_>>())
}
