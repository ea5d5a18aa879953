//! A second evaluator: slow, obvious, and written from the documentation without sharing code with the first.
//!
//! It works on JSON directly, expands nothing in advance, and decides one request by reading every statement.

use serde_json::Value;

pub struct Case<'a> {
    pub principal: &'a str,
    pub action: &'a str,
    pub resource: &'a str,
    pub owner: &'a str,
    pub context: &'a [(String, Vec<String>)],
    pub identity: &'a [Value],
    pub resource_policy: Option<&'a Value>,
    pub boundary: Option<&'a [Value]>,
    pub session: Option<&'a [Value]>,
    pub scp: &'a [Vec<Value>],
    pub rcp: &'a [Vec<Value>],
}

pub fn glob(pattern: &[char], text: &[char]) -> bool {
    let mut table = vec![vec![false; text.len() + 1]; pattern.len() + 1];
    table[0][0] = true;
    for p in 1..=pattern.len() {
        for t in 0..=text.len() {
            table[p][t] = match pattern[p - 1] {
                '*' => table[p - 1][t] || (t > 0 && table[p][t - 1]),
                '?' => t > 0 && table[p - 1][t - 1],
                c => t > 0 && c == text[t - 1] && table[p - 1][t - 1],
            };
        }
    }
    table[pattern.len()][text.len()]
}

fn like(pattern: &str, text: &str) -> bool {
    glob(
        &pattern.chars().collect::<Vec<_>>(),
        &text.chars().collect::<Vec<_>>(),
    )
}

fn list(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items
            .iter()
            .map(|v| v.as_str().map_or_else(|| v.to_string(), ToOwned::to_owned))
            .collect(),
        Value::String(text) => vec![text.clone()],
        other => vec![other.to_string()],
    }
}

fn arn_like(pattern: &str, text: &str) -> bool {
    let mut patterns: Vec<&str> = pattern.splitn(6, ':').collect();
    let texts: Vec<&str> = text.splitn(6, ':').collect();
    while patterns.len() < 6 {
        patterns.push("*");
    }
    texts.len() == 6 && texts[0] == "arn" && patterns.iter().zip(&texts).all(|(p, t)| like(p, t))
}

fn resource_like(pattern: &str, text: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    if pattern.starts_with("arn:") {
        arn_like(pattern, text)
    } else {
        like(pattern, text)
    }
}

/// `${key}` from the context; a text with a variable that has no value matches nothing.
fn fill(text: &str, context: &[(String, Vec<String>)]) -> Option<String> {
    match text.split_once("${") {
        None => Some(text.to_owned()),
        Some((before, rest)) => {
            let (key, after) = rest.split_once('}')?;
            let value = context
                .iter()
                .find(|(k, _)| k.eq_ignore_ascii_case(key))
                .and_then(|(_, v)| v.first())?;
            Some(format!("{before}{value}{}", fill(after, context)?))
        }
    }
}

fn ip(text: &str) -> Option<(u32, u32)> {
    let (address, bits) = text.split_once('/').unwrap_or((text, "32"));
    let numbers: Vec<u32> = address.split('.').filter_map(|n| n.parse().ok()).collect();
    let bits: u32 = bits.parse().ok()?;
    (numbers.len() == 4).then(|| (numbers.iter().fold(0, |all, n| all * 256 + n), bits))
}

fn one(operator: &str, want: &str, have: &str) -> bool {
    match operator {
        "StringEquals" => want == have,
        "StringEqualsIgnoreCase" => want.to_lowercase() == have.to_lowercase(),
        "StringLike" => like(want, have),
        "ArnLike" | "ArnEquals" => arn_like(want, have),
        "Bool" => want.to_lowercase() == have.to_lowercase(),
        "NumericLessThan" => have.parse::<f64>().unwrap() < want.parse::<f64>().unwrap(),
        "NumericGreaterThanEquals" => have.parse::<f64>().unwrap() >= want.parse::<f64>().unwrap(),
        // The generated dates all have one form, so their texts order as they do.
        "DateGreaterThan" => have > want,
        "DateLessThanEquals" => have <= want,
        "IpAddress" => {
            let ((net, bits), (address, own)) = (ip(want).unwrap(), ip(have).unwrap());
            own >= bits && (bits == 0 || net >> (32 - bits) == address >> (32 - bits))
        }
        other => panic!("operator {other}"),
    }
}

fn condition(name: &str, key: &str, wanted: &[String], context: &[(String, Vec<String>)]) -> bool {
    let have: Option<&Vec<String>> = context
        .iter()
        .find(|(k, _)| k.eq_ignore_ascii_case(key))
        .map(|(_, v)| v);
    let have = have.filter(|v| !v.is_empty());
    if name == "Null" {
        return wanted.iter().any(|w| (w == "true") == have.is_none());
    }
    let (set, rest) = name
        .split_once(':')
        .map_or((None, name), |(s, r)| (Some(s), r));
    let (rest, if_exists) = rest
        .strip_suffix("IfExists")
        .map_or((rest, false), |r| (r, true));
    let (base, not) = match rest {
        "StringNotEquals" => ("StringEquals", true),
        "StringNotLike" => ("StringLike", true),
        "StringNotEqualsIgnoreCase" => ("StringEqualsIgnoreCase", true),
        "ArnNotLike" => ("ArnLike", true),
        "NotIpAddress" => ("IpAddress", true),
        plain => (plain, false),
    };
    let Some(have) = have else {
        return match set {
            Some("ForAllValues") => true,
            Some(_) => false,
            None => if_exists || not,
        };
    };
    // Variables stand in string and ARN conditions; one without a value matches nothing.
    let test = |value: &String| {
        wanted
            .iter()
            .any(|w| fill(w, context).is_some_and(|w| one(base, &w, value)))
            != not
    };
    match set {
        Some("ForAllValues") => have.iter().all(test),
        Some(_) => have.iter().any(test),
        None if not => have.iter().all(test),
        None => have.iter().any(test),
    }
}

#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Named {
    No,
    Account,
    Everyone,
    Role,
    Exact,
}

fn named(statement: &Value, principal: &str) -> Named {
    let account = principal.split(':').nth(4).unwrap_or("");
    let session_role = principal.contains(":assumed-role/").then(|| {
        format!(
            "arn:aws:iam::{account}:role/{}",
            principal.split('/').nth(1).unwrap()
        )
    });
    let entries = match &statement["Principal"] {
        Value::String(_) => vec!["*".to_owned()],
        Value::Object(kinds) => kinds.get("AWS").map(list).unwrap_or_default(),
        _ => return Named::Everyone,
    };
    let mut best = Named::No;
    for entry in entries {
        let found = if entry == "*" {
            Named::Everyone
        } else if entry == principal {
            Named::Exact
        } else if Some(&entry) == session_role.as_ref() {
            Named::Role
        } else if entry == account || entry == format!("arn:aws:iam::{account}:root") {
            Named::Account
        } else {
            Named::No
        };
        if found > best {
            best = found;
        }
    }
    best
}

/// Whether a statement applies, but for its principal.
fn applies(statement: &Value, case: &Case<'_>) -> bool {
    let action = case.action.to_lowercase();
    let action_hit = |key: &str| {
        list(&statement[key])
            .iter()
            .any(|p| p == "*" || like(&p.to_lowercase(), &action))
    };
    let resource_hit = |key: &str| {
        list(&statement[key])
            .iter()
            .any(|p| fill(p, case.context).is_some_and(|p| resource_like(&p, case.resource)))
    };
    let action_ok = if statement.get("Action").is_some() {
        action_hit("Action")
    } else {
        !action_hit("NotAction")
    };
    let resource_ok = if statement.get("Resource").is_some() {
        resource_hit("Resource")
    } else {
        !resource_hit("NotResource")
    };
    let conditions_ok = statement
        .get("Condition")
        .and_then(Value::as_object)
        .is_none_or(|blocks| {
            blocks.iter().all(|(name, keys)| {
                keys.as_object()
                    .unwrap()
                    .iter()
                    .all(|(key, values)| condition(name, key, &list(values), case.context))
            })
        });
    action_ok && resource_ok && conditions_ok
}

fn statements(policies: &[Value]) -> impl Iterator<Item = &Value> {
    policies
        .iter()
        .flat_map(|p| p["Statement"].as_array().unwrap())
}

fn any(policies: &[Value], effect: &str, case: &Case<'_>) -> bool {
    statements(policies)
        .any(|s| s["Effect"] == effect && named(s, case.principal) != Named::No && applies(s, case))
}

/// The decision as text.
pub fn decide(case: &Case<'_>) -> &'static str {
    let resource_policies: Vec<Value> = case.resource_policy.into_iter().cloned().collect();
    let mut all: Vec<&[Value]> = vec![case.identity, &resource_policies];
    all.extend(case.boundary);
    all.extend(case.session);
    all.extend(case.scp.iter().map(Vec::as_slice));
    all.extend(case.rcp.iter().map(Vec::as_slice));
    if all.iter().any(|policies| any(policies, "Deny", case)) {
        return "explicit_deny";
    }
    if case.scp.iter().any(|level| !any(level, "Allow", case)) {
        return "implicit_deny";
    }
    let identity = any(case.identity, "Allow", case);
    let limited = case.boundary.is_none_or(|b| any(b, "Allow", case))
        && case.session.is_none_or(|s| any(s, "Allow", case));
    let grants = statements(&resource_policies)
        .filter(|s| s["Effect"] == "Allow" && applies(s, case))
        .map(|s| named(s, case.principal));
    let grants: Vec<Named> = grants.filter(|n| *n != Named::No).collect();
    let same = case.principal.split(':').nth(4) == Some(case.owner);
    let is_user = case.principal.contains(":user/");
    let is_session = case.principal.contains(":assumed-role/");
    let allowed = if same {
        (identity && limited)
            || grants.iter().any(|n| match n {
                Named::Exact => is_user || is_session || limited,
                Named::Everyone => is_user || limited,
                Named::Role => limited,
                _ => false,
            })
    } else {
        identity && limited && !grants.is_empty()
    };
    if allowed { "allow" } else { "implicit_deny" }
}
