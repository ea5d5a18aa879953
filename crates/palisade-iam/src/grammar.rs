//! The strict reading of a policy: what AWS refuses when a policy is stored.
//!
//! Rules from the IAM User Guide ("Grammar of the IAM JSON policy language", the element reference) and
//! from the messages that IAM's API answers with.

use std::collections::BTreeSet;

use crate::condition::{Family, Operator};
use crate::error::{PolicyError, Position};
use crate::glob::Pattern;
use crate::json::{self, Member, Node, Value};
use crate::time::parse_date;

/// Where a policy is attached; the grammar differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyKind {
    /// Attached to a user, group or role (also boundaries and session policies): no principal.
    Identity,
    /// Attached to a resource: with a principal.
    Resource,
    /// The trust policy of a role: with a principal, without a resource.
    Trust,
    /// A service control policy: no principal.
    ServiceControl,
    /// A resource control policy: with the principal `*`.
    ResourceControl,
}

const PARTITIONS: &[&str] = &[
    "aws",
    "aws-cn",
    "aws-us-gov",
    "aws-iso",
    "aws-iso-b",
    "aws-iso-e",
    "aws-iso-f",
    "aws-eusc",
];

const IAM_PATHS: &[&str] = &[
    "user/",
    "federated-user/",
    "role/",
    "group/",
    "instance-profile/",
    "mfa/",
    "server-certificate/",
    "policy/",
    "sms-mfa/",
    "saml-provider/",
    "oidc-provider/",
    "report/",
    "access-report/",
];

/// Everything that AWS would refuse in a document; empty when it would be stored.
pub fn check_grammar(text: &str, kind: PolicyKind) -> Vec<PolicyError> {
    let mut checker = Checker {
        text,
        kind,
        errors: Vec::new(),
        modern: false,
    };
    match json::parse(text) {
        Err(error) => checker.errors.push(error),
        Ok(root) => checker.policy(&root),
    }
    let mut errors = checker.errors;
    errors.sort_by_key(|e| Position {
        line: e.line,
        column: e.column,
    });
    errors
}

struct Checker<'a> {
    text: &'a str,
    kind: PolicyKind,
    errors: Vec<PolicyError>,
    modern: bool,
}

impl Checker<'_> {
    fn report(&mut self, offset: usize, message: impl Into<String>) {
        self.errors
            .push(PolicyError::at(self.text, offset, message));
    }

    fn members<'n>(&mut self, node: &'n Node, what: &str, known: Option<&[&str]>) -> &'n [Member] {
        let Value::Object(members) = &node.value else {
            self.report(
                node.offset,
                format!("{what} must be an object, found {}", node.value.kind()),
            );
            return &[];
        };
        let mut seen = BTreeSet::new();
        for member in members {
            if !seen.insert(&member.key) {
                self.report(member.offset, format!("`{}` occurs twice", member.key));
            }
            if known.is_some_and(|names| !names.contains(&member.key.as_str())) {
                self.report(
                    member.offset,
                    format!("unknown element `{}` of {what}", member.key),
                );
            }
        }
        members
    }

    fn text_of<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        if let Value::String(text) = &node.value {
            return Some(text);
        }
        self.report(
            node.offset,
            format!("`{what}` must be a string, found {}", node.value.kind()),
        );
        None
    }

    /// The strings of a string or list; `null` in a list is skipped, as AWS does.
    fn texts<'n>(&mut self, node: &'n Node, what: &str) -> Vec<(&'n str, usize)> {
        match &node.value {
            Value::String(text) => vec![(text, node.offset)],
            Value::Array(items) => {
                let mut out = Vec::new();
                for item in items {
                    match &item.value {
                        Value::String(text) => out.push((text.as_str(), item.offset)),
                        Value::Null => {}
                        other => self.report(
                            item.offset,
                            format!("`{what}` must hold strings, found {}", other.kind()),
                        ),
                    }
                }
                out
            }
            other => {
                self.report(
                    node.offset,
                    format!(
                        "`{what}` must be a string or a list of strings, found {}",
                        other.kind()
                    ),
                );
                Vec::new()
            }
        }
    }

    fn policy(&mut self, root: &Node) {
        let members = self.members(root, "a policy", Some(&["Version", "Id", "Statement"]));
        let find = |key: &str| members.iter().find(|m| m.key == key);
        let old_allowed = !matches!(
            self.kind,
            PolicyKind::Identity | PolicyKind::ServiceControl | PolicyKind::ResourceControl
        );
        match find("Version") {
            None if !old_allowed => self.report(root.offset, "`Version` must be `2012-10-17`"),
            None => {}
            Some(member) => match self.text_of(&member.node, "Version") {
                Some("2012-10-17") => self.modern = true,
                Some("2008-10-17") if old_allowed => {}
                Some(other) => {
                    let message = format!("`Version` must be `2012-10-17`, found `{other}`");
                    self.report(member.node.offset, message);
                }
                None => {}
            },
        }
        if let Some(member) = find("Id") {
            self.text_of(&member.node, "Id");
        }
        let Some(statement) = find("Statement") else {
            self.report(root.offset, "a policy must have `Statement`");
            return;
        };
        let statements: Vec<&Node> = match &statement.node.value {
            Value::Array(items) => items.iter().collect(),
            _ => vec![&statement.node],
        };
        if statements.is_empty() {
            self.report(statement.node.offset, "`Statement` must not be empty");
        }
        let mut sids = BTreeSet::new();
        for node in statements {
            self.statement(node, &mut sids);
        }
    }

    fn statement(&mut self, node: &Node, sids: &mut BTreeSet<String>) {
        const KNOWN: &[&str] = &[
            "Sid",
            "Effect",
            "Principal",
            "NotPrincipal",
            "Action",
            "NotAction",
            "Resource",
            "NotResource",
            "Condition",
        ];
        if !matches!(node.value, Value::Object(_)) {
            self.report(
                node.offset,
                format!("a statement must be an object, found {}", node.value.kind()),
            );
            return;
        }
        let members = self.members(node, "a statement", Some(KNOWN));
        let find = |key: &str| members.iter().find(|m| m.key == key);
        if let Some(member) = find("Sid")
            && let Some(sid) = self.text_of(&member.node, "Sid")
            && !sid.is_empty()
            && !sids.insert(sid.to_owned())
        {
            self.report(
                member.node.offset,
                format!("the `Sid` `{sid}` occurs twice"),
            );
        }
        match find("Effect") {
            None => self.report(node.offset, "a statement must have `Effect`"),
            Some(member) => match self.text_of(&member.node, "Effect") {
                None | Some("Allow" | "Deny") => {}
                Some(other) => {
                    let message = format!("`Effect` must be `Allow` or `Deny`, found `{other}`");
                    self.report(member.node.offset, message);
                }
            },
        }
        for (plain, negated) in [
            ("Action", "NotAction"),
            ("Resource", "NotResource"),
            ("Principal", "NotPrincipal"),
        ] {
            if let (Some(_), Some(second)) = (find(plain), find(negated)) {
                self.report(
                    second.offset,
                    format!("a statement cannot have both `{plain}` and `{negated}`"),
                );
            }
        }
        match find("Action").or(find("NotAction")) {
            None => self.report(node.offset, "a statement must have `Action` or `NotAction`"),
            Some(member) => self.actions(member),
        }
        match (find("Resource").or(find("NotResource")), self.kind) {
            (Some(member), PolicyKind::Trust) => {
                self.report(member.offset, "a trust policy cannot have `Resource`")
            }
            (Some(member), _) => self.resources(member),
            (None, PolicyKind::Trust) => {}
            (None, _) => self.report(
                node.offset,
                "a statement must have `Resource` or `NotResource`",
            ),
        }
        match (find("Principal").or(find("NotPrincipal")), self.kind) {
            (Some(member), PolicyKind::Identity | PolicyKind::ServiceControl) => {
                self.report(
                    member.offset,
                    format!("this kind of policy cannot have `{}`", member.key),
                );
            }
            (Some(member), _) => self.principal(member),
            (None, PolicyKind::Resource | PolicyKind::Trust | PolicyKind::ResourceControl) => {
                self.report(
                    node.offset,
                    "a statement must have `Principal` or `NotPrincipal`",
                );
            }
            (None, _) => {}
        }
        if let Some(member) = find("Condition") {
            self.conditions(&member.node);
        }
    }

    fn actions(&mut self, member: &Member) {
        let texts = self.texts(&member.node, &member.key);
        if texts.is_empty() && matches!(&member.node.value, Value::Array(items) if items.is_empty())
        {
            self.report(
                member.node.offset,
                format!("`{}` must not be empty", member.key),
            );
        }
        for (text, offset) in texts {
            if text == "*" {
                continue;
            }
            let problem = match text.split_once(':') {
                None => Some(format!(
                    "the action `{text}` must begin with a service, as in `s3:GetObject`"
                )),
                Some((_, rest)) if rest.contains(':') => {
                    Some(format!("the action `{text}` can have only one colon"))
                }
                Some((service, _)) if !is_vendor(service) => Some(format!(
                    "`{service}` of the action `{text}` is not a service"
                )),
                Some(_) => None,
            };
            if let Some(message) = problem {
                self.report(offset, message);
            }
        }
    }

    fn resources(&mut self, member: &Member) {
        let texts = self.texts(&member.node, &member.key);
        if texts.is_empty() && matches!(&member.node.value, Value::Array(items) if items.is_empty())
        {
            self.report(
                member.node.offset,
                format!("`{}` must not be empty", member.key),
            );
        }
        for (text, offset) in texts {
            if let Some(message) = resource_problem(text) {
                self.report(offset, message);
            }
        }
    }

    fn principal(&mut self, member: &Member) {
        match &member.node.value {
            Value::String(text) if text == "*" => {}
            Value::Object(_) => {
                let kinds = self.members(
                    &member.node,
                    "a principal",
                    Some(&["AWS", "Service", "Federated", "CanonicalUser"]),
                );
                if kinds.is_empty() {
                    self.report(
                        member.node.offset,
                        format!("`{}` must not be empty", member.key),
                    );
                }
                for kind in kinds {
                    for (text, offset) in self.texts(&kind.node, &kind.key) {
                        let partial = text != "*" && text.contains('*') && kind.key == "AWS";
                        if text.is_empty() || partial {
                            self.report(offset, format!("`{text}` is not a principal"));
                        }
                    }
                }
            }
            _ => self.report(
                member.node.offset,
                format!("`{}` must be `\"*\"` or an object", member.key),
            ),
        }
    }

    fn conditions(&mut self, node: &Node) {
        for block in self.members(node, "`Condition`", None) {
            let keys = self.members(&block.node, "a condition operator's value", None);
            if keys.is_empty() {
                continue;
            }
            let Some(operator) = Operator::parse(&block.key) else {
                self.report(
                    block.offset,
                    format!("unknown condition operator `{}`", block.key),
                );
                continue;
            };
            for member in keys {
                let values: Vec<&Node> = match &member.node.value {
                    Value::Array(items) => items.iter().collect(),
                    _ => vec![&member.node],
                };
                for value in values {
                    self.condition_value(value, member, operator);
                }
            }
        }
    }

    fn condition_value(&mut self, value: &Node, member: &Member, operator: Operator) {
        let text = match &value.value {
            Value::String(text) | Value::Number(text) => text.clone(),
            Value::Bool(flag) => flag.to_string(),
            other => {
                let message = format!(
                    "a value of `{}` must be a string, a number or a boolean, found {}",
                    member.key,
                    other.kind()
                );
                self.report(value.offset, message);
                return;
            }
        };
        // AWS checks dates when it stores a policy; numbers and addresses it does not.
        let variable = self.modern && text.contains("${");
        if matches!(operator.family, Family::Date(_)) && !variable && parse_date(&text).is_none() {
            self.report(value.offset, format!("`{text}` is not a date"));
        }
    }
}

pub(crate) fn is_vendor(service: &str) -> bool {
    !service.is_empty()
        && service
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*' | '?'))
}

/// What is wrong with an entry of `Resource`, if anything.
pub(crate) fn resource_problem(text: &str) -> Option<String> {
    if text == "*" {
        return None;
    }
    let mut fields = text.splitn(6, ':');
    let first = fields.next().unwrap_or_default();
    let Some(partition) = fields.next() else {
        return Some(format!("the resource `{text}` must be an ARN or `*`"));
    };
    let partition_pattern = Pattern::new(partition);
    if !PARTITIONS.iter().any(|p| partition_pattern.matches(p)) {
        return Some(format!(
            "`{partition}` of the resource `{text}` is not a partition"
        ));
    }
    if first != "arn" && !Pattern::new(first).matches("arn") {
        return Some(format!("the resource `{text}` must begin with `arn:`"));
    }
    let Some(service) = fields.next().filter(|s| !s.is_empty()) else {
        return Some(format!("the resource `{text}` must name a service"));
    };
    let (region, account, resource) = (fields.next(), fields.next(), fields.next());
    if matches!(service, "iam" | "s3") && region.is_some_and(|r| !r.is_empty() && r != "*") {
        let regional = service == "s3" && resource.is_some_and(is_regional_s3);
        if !regional {
            return Some(format!("the resource `{text}` cannot have a region"));
        }
    }
    if resource.is_none() && account.is_some_and(|a| !is_account_pattern(a)) {
        return Some(format!(
            "`{}` of the resource `{text}` stands in the place of the account",
            account.unwrap_or_default()
        ));
    }
    if service == "iam"
        && let Some(path) = resource
        && !IAM_PATHS
            .iter()
            .any(|p| Pattern::new(&format!("{p}*")).overlaps(&Pattern::new(path)))
    {
        return Some(format!(
            "`{path}` of the resource `{text}` is not a kind of IAM resource"
        ));
    }
    None
}

/// Access points and their like are regional; buckets and objects are not.
fn is_regional_s3(resource: &str) -> bool {
    [
        "accesspoint/",
        "job/",
        "storage-lens/",
        "storage-lens-group/",
        "access-grants/",
        "async-request/",
    ]
    .iter()
    .any(|p| Pattern::new(&format!("{p}*")).overlaps(&Pattern::new(resource)))
}

fn is_account_pattern(text: &str) -> bool {
    text.is_empty()
        || text.contains("${")
        || text
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '*' | '?'))
}
