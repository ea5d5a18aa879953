//! What must hold before anything is sent.
use crate::{Call, FixError, Item, Plan, Read, Tags};
use palisade_catalog::Catalog;
use palisade_core::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// How much one run may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Items in all.
    pub resources: usize,
    /// Items in one account.
    pub per_account: usize,
    /// Accounts that only change when they are named.
    pub production: Vec<String>,
    /// Accounts that were named.
    pub allowed: Vec<String>,
    /// Whether items that cannot be taken back may be applied.
    pub irreversible: bool,
}

/// What is never touched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Protection {
    /// ARNs or ids, with `*` and `?`.
    pub resources: Vec<String>,
    /// `Key` or `Key=Value`.
    pub tags: Vec<String>,
}

impl Protection {
    /// Why a resource may not be touched.
    pub fn why(&self, resource: &str, id: &str, tags: &Tags) -> Option<String> {
        let named = self
            .resources
            .iter()
            .find(|p| matches(p, resource) || matches(p, id));
        if let Some(pattern) = named {
            return Some(format!("protected by `{pattern}`"));
        }
        if self.tags.is_empty() {
            return None;
        }
        match tags {
            Tags::None => None,
            Tags::Unknown => Some("its tags could not be read, and tags may protect it".to_owned()),
            Tags::Known(tags) => self.by_tag(tags),
        }
    }

    fn by_tag(&self, tags: &BTreeMap<String, String>) -> Option<String> {
        let protects = |wanted: &&String| match wanted.split_once('=') {
            None => tags.contains_key(wanted.as_str()),
            Some((key, value)) => tags.get(key).is_some_and(|v| v == value),
        };
        let tag = self.tags.iter().find(protects)?;
        Some(format!("protected by the tag `{tag}`"))
    }

    /// Why an item of a plan may not be applied.
    pub(crate) fn forbids(&self, item: &Item) -> Option<String> {
        let tags = match &item.tags {
            Some(tags) => Tags::Known(tags.clone()),
            None => Tags::None,
        };
        self.why(&item.resource, &item.resource_id, &tags)
    }
}

/// `*` stands for any text, `?` for one letter.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || text.get(t) == Some(c) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    p = at + 1;
                    t = from + 1;
                    star = Some((at, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

/// Whether a plan may be applied now, with these credentials, by this Palisade.
///
/// # Errors
/// Why not: expired, for another account, or with a call that no change file describes.
pub fn check_plan(
    plan: &Plan,
    catalog: &Catalog,
    account: &str,
    now: Timestamp,
) -> Result<(), FixError> {
    if now > plan.expires {
        return Err(FixError::Expired(plan.expires));
    }
    for item in &plan.items {
        if item.account_id != account {
            return Err(FixError::OtherAccount {
                plan: item.account_id.clone(),
                here: account.to_owned(),
            });
        }
        check_calls(item, catalog)?;
    }
    Ok(())
}

/// A plan is a file, and a file can be written by hand: its calls must be those that the change files describe.
pub(crate) fn check_calls(item: &Item, catalog: &Catalog) -> Result<(), FixError> {
    for step in &item.steps {
        let unknown = |call: &Call| FixError::UnknownCall {
            item: item.number,
            call: call.name(),
        };
        let change = catalog
            .changes
            .get(&step.call.service)
            .and_then(|of| of.get(&step.call.operation))
            .ok_or_else(|| unknown(&step.call))?;
        let Read { call: read, .. } = &step.read;
        if read.service != change.service || read.operation != change.read.call {
            return Err(unknown(read));
        }
        if let Some(inverse) = &step.inverse {
            let known = inverse.operation == change.operation
                || change.inverse.iter().any(|i| i.call == inverse.operation);
            if inverse.service != change.service || !known {
                return Err(unknown(inverse));
            }
        }
    }
    Ok(())
}

/// Whether the plan is within what the user allows.
///
/// # Errors
/// What is beyond.
pub fn check_limits(plan: &Plan, limits: &Limits) -> Result<(), FixError> {
    let beyond = |message: String| Err(FixError::Limit(message));
    if plan.items.len() > limits.resources {
        return beyond(format!(
            "the plan changes {} resources, and at most {} are allowed: plan fewer, or raise --max-resources",
            plan.items.len(),
            limits.resources
        ));
    }
    let mut by_account: BTreeMap<&str, usize> = BTreeMap::new();
    for item in &plan.items {
        *by_account.entry(&item.account_id).or_default() += 1;
    }
    for (account, count) in &by_account {
        if *count > limits.per_account {
            return beyond(format!(
                "the plan changes {count} resources in account {account}, and at most {} are allowed: plan fewer, or raise --max-per-account",
                limits.per_account
            ));
        }
    }
    let production: BTreeSet<&str> = limits.production.iter().map(String::as_str).collect();
    for account in by_account.keys() {
        if production.contains(account) && !limits.allowed.iter().any(|a| a == account) {
            return beyond(format!(
                "account {account} is a production account: name it with --allow {account}"
            ));
        }
    }
    if !limits.irreversible
        && let Some(item) = plan.items.iter().find(|i| !i.is_reversible())
    {
        return beyond(format!(
            "item {} cannot be taken back; --allow-irreversible applies it all the same",
            item.number
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protection() {
        let protection = Protection {
            resources: vec!["arn:aws:s3:::prod-*".into(), "i-0?".into()],
            tags: vec!["keep".into(), "stage=prod".into()],
        };
        let why = |resource: &str, tags: &Tags| protection.why(resource, resource, tags);
        let tags = |key: &str, value: &str| {
            Tags::Known(BTreeMap::from([(key.to_owned(), value.to_owned())]))
        };
        assert!(why("arn:aws:s3:::prod-a", &Tags::None).is_some());
        assert!(why("i-01", &Tags::None).is_some());
        assert!(why("i-012", &Tags::None).is_none());
        assert!(why("x", &tags("keep", "")).is_some());
        assert!(why("x", &tags("stage", "prod")).is_some());
        assert!(why("x", &tags("stage", "test")).is_none());
        assert!(why("x", &Tags::Unknown).is_some());
        assert!(
            Protection::default()
                .why("x", "x", &Tags::Unknown)
                .is_none()
        );
    }

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
