//! What must hold before anything is sent.
use crate::fits::check_calls;
use crate::{FixError, Item, Plan, Tags};
use palisade_catalog::Catalog;
use palisade_core::Timestamp;
use serde_json::{Map, Value as Json};
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
    pub(crate) fn forbids_item(&self, item: &Item) -> Option<String> {
        let subject = Subject {
            resource: &item.resource,
            id: &item.resource_id,
            account: &item.account_id,
            tags: &item.tags,
        };
        let calls = item.steps.iter().flat_map(|step| {
            std::iter::once(&step.call)
                .chain(&step.inverse)
                .map(move |call| Touched {
                    service: &call.service,
                    params: &call.params,
                    read: &step.read.call.params,
                })
        });
        self.forbids(subject, calls)
    }

    /// Why calls may not be made: for the resource that the finding is about, and for what they name.
    pub(crate) fn forbids<'t>(
        &self,
        of: Subject<'_>,
        calls: impl Iterator<Item = Touched<'t>>,
    ) -> Option<String> {
        if let Some(why) = self.why(of.resource, of.id, of.tags) {
            return Some(why);
        }
        for call in calls {
            let named = call.names();
            for name in &named {
                let meant = |p: &&String| means(p, name, call.service);
                if let Some(pattern) = self.resources.iter().find(meant) {
                    return Some(format!(
                        "the call names `{name}`, which is protected by `{pattern}`"
                    ));
                }
            }
            let read = texts(call.read);
            let own = |name: &&str| {
                let before = of.resource.strip_suffix(*name);
                [of.resource, of.id, of.account].contains(name)
                    || before.is_some_and(|b| b.ends_with(['/', ':']))
            };
            if !self.tags.is_empty() && !read.is_empty() && !read.iter().any(own) {
                return Some(format!(
                    "the call changes `{}`, whose tags are not known, and tags may protect it",
                    read.join("`, `")
                ));
            }
        }
        None
    }
}

/// What a finding is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) resource: &'a str,
    pub(crate) id: &'a str,
    pub(crate) account: &'a str,
    pub(crate) tags: &'a Tags,
}

/// What a call names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Touched<'a> {
    pub(crate) service: &'a str,
    pub(crate) params: &'a Map<String, Json>,
    /// Parameters of the call that describes its state: they say which resource it is.
    pub(crate) read: &'a Map<String, Json>,
}

impl<'a> Touched<'a> {
    fn names(&self) -> Vec<&'a str> {
        let own = self.params.values().filter_map(Json::as_str);
        texts(self.read).into_iter().chain(own).collect()
    }
}

/// Texts among parameters, as deep as they are.
fn texts(params: &Map<String, Json>) -> Vec<&str> {
    let mut found = Vec::new();
    let mut open: Vec<&Json> = params.values().collect();
    while let Some(value) = open.pop() {
        match value {
            Json::String(text) => found.push(text.as_str()),
            Json::Array(items) => open.extend(items),
            Json::Object(map) => open.extend(map.values()),
            _ => {}
        }
    }
    found
}

/// Whether a pattern means what a call names: as it is written, or by the last part of an ARN of the same service.
/// Account and region of the pattern are not looked at: rather protected too much.
fn means(pattern: &str, name: &str, service: &str) -> bool {
    if matches(pattern, name) {
        return true;
    }
    let mut parts = pattern.splitn(6, ':');
    let (Some("arn"), Some(of), Some(resource)) = (parts.next(), parts.nth(1), parts.nth(2)) else {
        return false;
    };
    let last = resource.rsplit(['/', ':']).next().unwrap_or(resource);
    matches(of, arn_service(service)) && (matches(resource, name) || matches(last, name))
}

/// The service in ARNs, where it is not the name of the API model.
fn arn_service(model: &str) -> &str {
    match model {
        "efs" => "elasticfilesystem",
        "elb" | "elbv2" => "elasticloadbalancing",
        "emr" => "elasticmapreduce",
        "opensearch" => "es",
        "s3control" => "s3",
        "sesv2" => "ses",
        "stepfunctions" => "states",
        other => other,
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

/// Whether a plan may be applied now, with credentials for these accounts, by this Palisade.
///
/// # Errors
/// Why not: expired, for another account, or with a call that no change file describes.
pub fn check_plan(
    plan: &Plan,
    catalog: &Catalog,
    accounts: &[String],
    now: Timestamp,
) -> Result<(), FixError> {
    if now > plan.expires {
        return Err(FixError::Expired(plan.expires));
    }
    for item in &plan.items {
        if !accounts.contains(&item.account_id) {
            return Err(FixError::OtherAccount {
                plan: item.account_id.clone(),
                here: accounts.join(", "),
            });
        }
        check_calls(item, Some(plan), catalog)?;
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
    use serde_json::json;

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
    fn what_a_call_names_is_protected_too() {
        let forbids = |protection: &Protection, service: &str, params: Json, tags: &Tags| {
            let params = params.as_object().unwrap();
            let subject = Subject {
                resource: "arn:aws:cloudtrail:us-east-1:123456789012:trail/main",
                id: "main",
                account: "123456789012",
                tags,
            };
            let touched = Touched {
                service,
                params,
                read: params,
            };
            protection.forbids(subject, std::iter::once(touched))
        };
        let by = |pattern: &str| Protection {
            resources: vec![pattern.to_owned()],
            tags: Vec::new(),
        };
        let bucket = || json!({"Bucket": "prod-logs"});
        let none = Tags::None;
        assert!(forbids(&by("arn:aws:s3:::prod-*"), "s3", bucket(), &none).is_some());
        assert!(forbids(&by("prod-logs"), "s3", bucket(), &none).is_some());
        assert!(forbids(&by("arn:aws:sqs:*:*:prod-*"), "s3", bucket(), &none).is_none());
        assert!(forbids(&by("arn:aws:s3:::test-*"), "s3", bucket(), &none).is_none());
        let role = json!({"RoleName": "admin"});
        assert!(forbids(&by("arn:aws:iam::*:role/adm*"), "iam", role, &none).is_some());
        // the tags that are known are those of the trail
        let tagged = Protection {
            resources: Vec::new(),
            tags: vec!["keep".to_owned()],
        };
        let known = Tags::Known(BTreeMap::new());
        assert!(forbids(&tagged, "s3", bucket(), &known).is_some());
        assert!(forbids(&tagged, "cloudtrail", json!({"Name": "main"}), &known).is_none());
    }

    #[test]
    fn unread_tags_stay_unread_in_the_file() {
        for tags in [
            Tags::None,
            Tags::Unknown,
            Tags::Known(BTreeMap::from([("a".to_owned(), "b".to_owned())])),
        ] {
            let text = serde_json::to_string(&tags).unwrap();
            assert_eq!(serde_json::from_str::<Tags>(&text).unwrap(), tags);
        }
        assert_eq!(Tags::default(), Tags::Unknown);
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
