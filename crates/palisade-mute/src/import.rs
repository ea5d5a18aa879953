//! Prowler's mutelist (YAML) as our entries. What cannot be said in our words is left out and named: a mute that
//! covers more than its author meant would hide findings.
use crate::file::{Mute, Mutes, is_day};
use saphyr::{LoadableYamlNode, Yaml};

/// The file is no mutelist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ImportError(String);

/// What an import makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The entries.
    pub mutes: Mutes,
    /// What was left out, and why.
    pub left_out: Vec<String>,
}

/// Reads a mutelist. It has neither owners nor last days: all entries get these. `checks` names our checks that mean
/// another's id.
///
/// # Errors
/// When the text is no YAML, has no `Mutelist` with `Accounts`, or the owner or the day is missing.
pub fn import(
    text: &str,
    owner: &str,
    expires: &str,
    checks: impl Fn(&str) -> Vec<String>,
) -> Result<Imported, ImportError> {
    let wrong = |what: String| Err(ImportError(what));
    if owner.trim().is_empty() {
        return wrong("an owner is needed".into());
    }
    if !is_day(expires) {
        return wrong(format!("`{expires}` is no day such as 2026-12-31"));
    }
    let documents = Yaml::load_from_str(text).map_err(|e| ImportError(e.to_string()))?;
    let Some(accounts) = documents
        .first()
        .and_then(|d| child(d, "Mutelist"))
        .and_then(|m| child(m, "Accounts"))
    else {
        return wrong("no `Mutelist` with `Accounts`".into());
    };
    let (mut entries, mut left_out) = (Vec::new(), Vec::new());
    for (account, body) in pairs(accounts) {
        for (id, rule) in child(body, "Checks").map(pairs).unwrap_or_default() {
            let place = format!("account `{account}`, check `{id}`");
            let ours = if id == "*" {
                vec!["*".to_owned()]
            } else {
                checks(&id)
            };
            if ours.is_empty() {
                left_out.push(format!("{place}: no check of ours means it"));
                continue;
            }
            match entries_of(&account, &ours, rule) {
                Ok(made) => {
                    let reason = child(rule, "Description")
                        .and_then(scalar)
                        .filter(|r| !r.trim().is_empty());
                    let reason = reason
                        .unwrap_or_else(|| "imported; the mutelist gave no reason".to_owned());
                    entries.extend(made.into_iter().map(|m| m.because(&reason, owner, expires)));
                }
                Err(why) => left_out.push(format!("{place}: {why}")),
            }
        }
    }
    Ok(Imported {
        mutes: Mutes::of(entries),
        left_out,
    })
}

fn entries_of(account: &str, checks: &[String], rule: &Yaml<'_>) -> Result<Vec<Mute>, String> {
    if child(rule, "Exceptions").is_some_and(|e| !pairs(e).is_empty()) {
        return Err("it has exceptions, which our entries do not have".into());
    }
    let list = |key: &str| child(rule, key).map(texts).unwrap_or_default();
    let (regions, resources) = (list("Regions"), list("Resources"));
    if regions.is_empty() || resources.is_empty() {
        return Err("it names no regions or no resources, and mutes nothing".into());
    }
    let tags = list("Tags");
    let tags: Vec<String> = tags.iter().map(|t| tag(t)).collect::<Result<_, _>>()?;
    let mut made = Vec::new();
    for check in checks {
        for region in &regions {
            for resource in &resources {
                made.push(Mute::new(
                    check,
                    account,
                    region,
                    &resource_pattern(resource)?,
                    tags.clone(),
                ));
            }
        }
    }
    Ok(made)
}

/// A resource there is a regular expression that is searched for anywhere in the id.
fn resource_pattern(expression: &str) -> Result<String, String> {
    if expression == "*" {
        return Ok("*".to_owned());
    }
    let (start, expression) = match expression.strip_prefix('^') {
        Some(rest) => ("", rest),
        None => ("*", expression),
    };
    let (expression, end) = match expression.strip_suffix('$') {
        Some(rest) => (rest, ""),
        None => (expression, "*"),
    };
    let pattern = format!("{start}{}{end}", glob(expression)?);
    Ok(pattern.replace("***", "*").replace("**", "*"))
}

fn tag(expression: &str) -> Result<String, String> {
    if expression == "*" {
        return Ok("*".to_owned());
    }
    let (key, value) = expression
        .split_once('=')
        .ok_or_else(|| format!("the tag `{expression}` has no value"))?;
    Ok(format!("{}={}", glob(key)?, glob(value)?))
}

/// The regular expressions that a pattern can say: text, `.*`, `.`, escaped punctuation, a leading star.
fn glob(expression: &str) -> Result<String, String> {
    let mut pattern = String::new();
    let mut rest = expression.chars().peekable();
    if rest.next_if_eq(&'*').is_some() {
        pattern.push('*');
    }
    while let Some(c) = rest.next() {
        match c {
            '.' if rest.next_if_eq(&'*').is_some() => pattern.push('*'),
            '.' => pattern.push('?'),
            '\\' => match rest.next() {
                Some(e) if e.is_ascii_punctuation() && e != '*' && e != '?' => pattern.push(e),
                _ => {
                    return Err(format!(
                        "the expression `{expression}` is no simple pattern"
                    ));
                }
            },
            '*' | '+' | '?' | '|' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' => {
                return Err(format!(
                    "the expression `{expression}` is no simple pattern"
                ));
            }
            c => pattern.push(c),
        }
    }
    Ok(pattern)
}

fn child<'a, 'y>(node: &'a Yaml<'y>, key: &str) -> Option<&'a Yaml<'y>> {
    node.as_mapping()
        .and_then(|m| m.iter().find(|(k, _)| scalar(k).as_deref() == Some(key)))
        .map(|(_, v)| v)
}
fn pairs<'a, 'y>(node: &'a Yaml<'y>) -> Vec<(String, &'a Yaml<'y>)> {
    let entries = node.as_mapping().into_iter().flat_map(|m| m.iter());
    entries.filter_map(|(k, v)| Some((scalar(k)?, v))).collect()
}
fn texts(node: &Yaml<'_>) -> Vec<String> {
    node.as_sequence()
        .into_iter()
        .flatten()
        .filter_map(scalar)
        .collect()
}
/// An account id without quotes is a number in YAML; leading zeros are lost there, and put back.
fn scalar(node: &Yaml<'_>) -> Option<String> {
    node.as_str()
        .map(ToOwned::to_owned)
        .or_else(|| node.as_integer().map(|n| format!("{n:012}")))
}
