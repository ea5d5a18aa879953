//! The smallest readable policy for what was used, from CloudTrail events.

mod events;

use std::collections::{BTreeMap, BTreeSet};

use events::Used;
use serde_json::{Value, json};

use crate::arn_pattern::Widest;
use crate::catalogue::Catalogue;

/// A generated policy and what is to be known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct LeastPrivilege {
    /// The policy document.
    pub policy: Value,
    /// Actions that were used, sorted.
    pub used: Vec<String>,
    /// Actions that were tried and refused; they are not in the policy.
    pub refused: Vec<String>,
    /// Events that no action is known for (`source name`): the policy may lack what they need.
    pub unknown: Vec<String>,
    /// What the events cannot tell.
    pub notes: Vec<String>,
    /// Number of events that were read.
    pub events: usize,
}

/// Generates a policy from CloudTrail events: records, or files with `Records`. With `principal` (the ARN of a user or
/// role) only its events count; sessions count for their role.
///
/// # Errors
/// A text is not JSON.
pub fn least_privilege(
    texts: &[&str],
    principal: Option<&str>,
    catalogue: &Catalogue,
) -> Result<LeastPrivilege, serde_json::Error> {
    let mut reader = UsageReader::new(principal, catalogue);
    for text in texts {
        reader.add(text)?;
    }
    Ok(reader.finish())
}

/// Reads what was used, text by text, and makes a policy of it at the end.
pub struct UsageReader<'a> {
    principal: Option<&'a str>,
    catalogue: &'a Catalogue,
    uses: BTreeMap<String, BTreeSet<String>>,
    refused: BTreeSet<String>,
    unknown: BTreeSet<String>,
    passed: BTreeSet<(String, String)>,
    /// Services of which last-accessed data say only that they were used.
    whole_services: BTreeSet<String>,
    has_last_accessed: bool,
    has_events: bool,
    events: usize,
}

impl<'a> UsageReader<'a> {
    /// With a principal (the ARN of a user or role) only its events count.
    pub fn new(principal: Option<&'a str>, catalogue: &'a Catalogue) -> Self {
        Self {
            principal,
            catalogue,
            uses: BTreeMap::new(),
            refused: BTreeSet::new(),
            unknown: BTreeSet::new(),
            passed: BTreeSet::new(),
            whole_services: BTreeSet::new(),
            has_last_accessed: false,
            has_events: false,
            events: 0,
        }
    }

    /// Adds CloudTrail records (one, a list, or a file with `Records` or `Events`), or the answer of
    /// `get-service-last-accessed-details`.
    ///
    /// # Errors
    /// The text is not JSON.
    pub fn add(&mut self, text: &str) -> Result<(), serde_json::Error> {
        let value: Value = serde_json::from_str(text)?;
        if let Some(services) = value.get("ServicesLastAccessed").and_then(Value::as_array) {
            self.has_last_accessed = true;
            for service in services {
                self.add_service(service);
            }
            return Ok(());
        }
        self.has_events = true;
        let records = value.get("Records").or_else(|| value.get("Events"));
        let records: Vec<&Value> = match records.unwrap_or(&value) {
            Value::Array(items) => items.iter().collect(),
            one => vec![one],
        };
        for event in records {
            // `lookup-events` wraps the event in a text.
            let inner = event
                .get("CloudTrailEvent")
                .and_then(Value::as_str)
                .map(serde_json::from_str::<Value>)
                .transpose()?;
            self.add_event(inner.as_ref().unwrap_or(event));
        }
        Ok(())
    }

    fn add_event(&mut self, event: &Value) {
        // Only what has a source and a name is an event.
        if event.get("eventSource").is_none() || event.get("eventName").is_none() {
            return;
        }
        if self
            .principal
            .is_some_and(|p| events::actor(event).as_deref() != Some(p))
        {
            return;
        }
        self.events += 1;
        match events::used(event, self.catalogue) {
            Used::Free => {}
            Used::Unknown(name) => {
                self.unknown.insert(name);
            }
            Used::Action {
                action,
                refused: true,
                ..
            } => {
                self.refused.insert(action);
            }
            Used::Action {
                action,
                resources,
                passed_roles,
                ..
            } => {
                let passed = passed_roles.into_iter().filter_map(|(role, service)| {
                    let is_plain = !service.contains("${");
                    Some((literal(&role)?, service)).filter(|_| is_plain)
                });
                self.passed.extend(passed);
                let fitting = fitting(&action, resources, self.catalogue);
                self.uses.entry(action).or_default().extend(fitting);
            }
        }
    }

    fn add_service(&mut self, service: &Value) {
        let text = |value: &Value, key| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let Some(prefix) = text(service, "ServiceNamespace") else {
            return;
        };
        // What is no service's prefix would be refused in a policy, and a wildcard would mean other services.
        let is_prefix = crate::grammar::is_vendor(&prefix) && !prefix.contains(['*', '?']);
        if text(service, "LastAuthenticated").is_none() || !is_prefix {
            return;
        }
        self.events += 1;
        let tracked = service
            .get("TrackedActionsLastAccessed")
            .and_then(Value::as_array);
        let tracked: Vec<String> = tracked
            .into_iter()
            .flatten()
            .filter(|a| text(a, "LastAccessedTime").is_some())
            .filter_map(|a| text(a, "ActionName"))
            .collect();
        // Reading actions are tracked in few services only: without a tracked use, all that is known is the service.
        if tracked.is_empty() {
            self.whole_services.insert(prefix);
            return;
        }
        for name in tracked {
            let action = format!("{prefix}:{name}");
            match self.catalogue.action(&action) {
                Some((service, found)) => {
                    let action = format!("{}:{}", service.prefix, found.name);
                    self.uses.entry(action).or_default().insert("*".to_owned());
                }
                None => {
                    self.unknown.insert(action);
                }
            }
        }
    }

    /// The policy.
    pub fn finish(self) -> LeastPrivilege {
        let used: Vec<String> = self.uses.keys().cloned().collect();
        let mut refused = self.refused;
        refused.retain(|a| !self.uses.contains_key(a));
        let mut notes = Vec::new();
        if self.has_events {
            notes.extend(notes_on_events(!self.passed.is_empty()));
        }
        if self.has_last_accessed {
            notes.push(
                "last-accessed data name no resources: limit them by hand, or generate from CloudTrail"
                    .to_owned(),
            );
        }
        if !self.whole_services.is_empty() {
            let names: Vec<&str> = self.whole_services.iter().map(String::as_str).collect();
            notes.push(format!(
                "of these services only the use is known, not the actions, and they are granted whole: {}",
                names.join(", ")
            ));
        }
        let mut statements = statements(self.uses, &self.passed);
        if !self.whole_services.is_empty() {
            let whole: Vec<String> = self
                .whole_services
                .iter()
                .map(|s| format!("{s}:*"))
                .collect();
            statements.push(json!({ "Effect": "Allow", "Action": whole, "Resource": "*" }));
        }
        LeastPrivilege {
            policy: json!({ "Version": "2012-10-17", "Statement": statements }),
            used,
            refused: refused.into_iter().collect(),
            unknown: self.unknown.into_iter().collect(),
            notes,
            events: self.events,
        }
    }
}

/// The resources that the action can be limited to; `*` when it cannot, or when the events name none.
fn fitting(action: &str, resources: BTreeSet<String>, catalogue: &Catalogue) -> BTreeSet<String> {
    let star = || BTreeSet::from(["*".to_owned()]);
    let Some((service, entry)) = catalogue.action(action) else {
        return star();
    };
    let formats: Vec<Widest> = entry
        .resources
        .iter()
        .filter_map(|r| service.resource(r))
        .map(|r| Widest::new(&r.pattern()))
        .collect();
    let found: BTreeSet<String> = resources
        .into_iter()
        .filter(|arn| formats.iter().any(|f| f.overlaps(&Widest::new(arn))))
        .filter_map(|arn| Some(generalize(&literal(&arn)?)))
        .collect();
    if found.is_empty() { star() } else { found }
}

/// An ARN of an event as the resource of a statement that means it alone; `None` when no policy can name it.
fn literal(arn: &str) -> Option<String> {
    // Log groups are written with `:*` for their streams.
    let (start, end) = arn
        .strip_suffix(":*")
        .map_or((arn, ""), |start| (start, ":*"));
    let mut out = String::with_capacity(arn.len());
    for c in start.chars() {
        match c {
            '*' | '?' | '$' => out.extend(["${", c.encode_utf8(&mut [0; 4]), "}"]),
            c => out.push(c),
        }
    }
    out.push_str(end);
    crate::grammar::resource_problem(&out)
        .is_none()
        .then_some(out)
}

/// One object stands for all objects of its bucket, one stream of a log group for all: what comes tomorrow has another name.
fn generalize(arn: &str) -> String {
    if let Some((partition, rest)) = arn.split_once(":s3:::")
        && let Some((bucket, _)) = rest.split_once('/')
    {
        return format!("{partition}:s3:::{bucket}/*");
    }
    if let Some((group, _)) = arn.split_once(":log-stream:") {
        return format!("{group}:log-stream:*");
    }
    arn.to_owned()
}

/// One statement for each set of resources; actions of one service stand together.
fn statements(
    uses: BTreeMap<String, BTreeSet<String>>,
    passed: &BTreeSet<(String, String)>,
) -> Vec<Value> {
    let mut by_resources: BTreeMap<(String, BTreeSet<String>), BTreeSet<String>> = BTreeMap::new();
    for (action, resources) in uses {
        let service = if resources.contains("*") {
            String::new()
        } else {
            action.split(':').next().unwrap_or_default().to_owned()
        };
        let resources = if resources.contains("*") {
            BTreeSet::from(["*".to_owned()])
        } else {
            resources
        };
        by_resources
            .entry((service, resources))
            .or_default()
            .insert(action);
    }
    let mut out: Vec<Value> =
        by_resources.into_iter().map(|((_, resources), actions)| json!({ "Effect": "Allow", "Action": actions, "Resource": resources })).collect();
    for (role, service) in passed {
        out.push(json!({
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": role,
            "Condition": { "StringEquals": { "iam:PassedToService": service } },
        }));
    }
    out
}

fn notes_on_events(passes: bool) -> Vec<String> {
    let mut out = vec![
        "data events (objects, function invocations, items) are in CloudTrail only where a trail records them".to_owned(),
        "actions that were not needed in the time of the events are missing, also rare ones such as recovery".to_owned(),
        "the use of a KMS key on one's behalf is recorded as an event of the service, not of the caller".to_owned(),
    ];
    if passes {
        out.push("iam:PassRole leaves no event; it is derived from roles in the parameters of other calls".to_owned());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy_allows_action;

    #[test]
    fn what_is_written_in_an_event_is_taken_literally() {
        assert_eq!(
            literal("arn:aws:iam::1:role/a*${x}").as_deref(),
            Some("arn:aws:iam::1:role/a${*}${$}{x}")
        );
        assert_eq!(
            literal("arn:aws:logs:eu-west-1:1:log-group:g:*").as_deref(),
            Some("arn:aws:logs:eu-west-1:1:log-group:g:*")
        );
        assert_eq!(literal("arn:aw=:iam::1:role/exec"), None);
    }

    #[test]
    fn from_events() {
        let text = r#"{"Records":[
          {"eventSource":"s3.amazonaws.com","eventName":"HeadObject","requestParameters":{"bucketName":"b","key":"a/1"},"userIdentity":{"arn":"arn:aws:sts::1:assumed-role/r/s","sessionContext":{"sessionIssuer":{"arn":"arn:aws:iam::1:role/r"}}}},
          {"eventSource":"s3.amazonaws.com","eventName":"ListObjectsV2","requestParameters":{"bucketName":"b"},"userIdentity":{"sessionContext":{"sessionIssuer":{"arn":"arn:aws:iam::1:role/r"}}}},
          {"eventSource":"lambda.amazonaws.com","eventName":"CreateFunction20150331","requestParameters":{"role":"arn:aws:iam::1:role/exec"},"userIdentity":{"arn":"arn:aws:iam::1:role/r"}},
          {"eventSource":"ec2.amazonaws.com","eventName":"RunInstances","errorCode":"Client.UnauthorizedOperation","userIdentity":{"arn":"arn:aws:iam::1:role/r"}},
          {"eventSource":"strange.amazonaws.com","eventName":"Do","userIdentity":{"arn":"arn:aws:iam::1:role/r"}},
          {"eventSource":"sqs.amazonaws.com","eventName":"CreateQueue","userIdentity":{"arn":"arn:aws:iam::1:user/other"}},
          {"eventSource":"sts.amazonaws.com","eventName":"GetCallerIdentity","userIdentity":{"arn":"arn:aws:iam::1:role/r"}}
        ]}"#;
        let found = least_privilege(
            &[text],
            Some("arn:aws:iam::1:role/r"),
            Catalogue::embedded().unwrap(),
        )
        .unwrap();
        assert_eq!(
            found.used,
            ["lambda:CreateFunction", "s3:GetObject", "s3:ListBucket"]
        );
        assert_eq!(found.refused, ["ec2:RunInstances"]);
        assert_eq!(found.unknown, ["strange.amazonaws.com Do"]);
        assert_eq!(found.events, 6);
        let policy = found.policy.to_string();
        assert!(policy_allows_action(&policy, "s3:GetObject", "arn:aws:s3:::b/other").unwrap());
        assert!(!policy_allows_action(&policy, "s3:GetObject", "arn:aws:s3:::c/other").unwrap());
        assert!(policy_allows_action(&policy, "iam:PassRole", "arn:aws:iam::1:role/exec").unwrap());
        assert!(!policy_allows_action(&policy, "ec2:RunInstances", "*").unwrap());
    }
}
