//! What each rule looks at.

use std::collections::BTreeSet;

use super::LintFinding;
use super::rules::lint_rule;
use crate::arn_pattern::{ArnParts, Widest};
use crate::capability::{
    confused_services, is_admin, passes_any_role, statement_covers, trust_policy_lacks_external_id,
};
use crate::catalogue::{AccessLevel, Catalogue, Expansion, Service};
use crate::condition::{Condition, Family, SetTest};
use crate::error::Position;
use crate::escalation::{Rules, policy_escalation_paths};
use crate::glob::{Pattern, Token};
use crate::grammar::PolicyKind;
use crate::policy::{Effect, Policy, Statement};
use crate::public::{PublicOptions, entry_is_open, publicness};
use crate::time::parse_date;

pub(super) struct Checker<'a> {
    pub policy: &'a Policy,
    pub text: &'a str,
    pub kind: PolicyKind,
    pub owner_account: Option<&'a str>,
    pub catalogue: &'a Catalogue,
    pub out: &'a mut Vec<LintFinding>,
}

impl Checker<'_> {
    fn report(
        &mut self,
        rule: &str,
        statement: Option<&Statement>,
        position: Option<Position>,
        message: String,
    ) {
        let Some(rule) = lint_rule(rule) else { return };
        let position = position
            .or(statement.map(|s| s.position))
            .unwrap_or(Position { line: 1, column: 1 });
        self.out.push(LintFinding {
            rule,
            message,
            statement: statement.map(Statement::label),
            position,
        });
    }

    pub fn run(mut self) {
        let policy = self.policy;
        self.whole();
        for statement in &policy.statements {
            self.actions(statement);
            self.conditions(statement);
            self.shape(statement);
            self.coverage(statement);
        }
    }

    fn whole(&mut self) {
        let policy = self.policy;
        let size = self.text.chars().filter(|c| !c.is_whitespace()).count();
        let limit = match self.kind {
            PolicyKind::Identity => 10_240,
            PolicyKind::ServiceControl | PolicyKind::ResourceControl => 5_120,
            PolicyKind::Trust => 8_192,
            PolicyKind::Resource => 20_480,
        };
        if size > limit {
            self.report("policy-size", None, None, format!("the policy has {size} characters without white space; at most {limit} are allowed"));
        } else if self.kind == PolicyKind::Identity && size > 6_144 {
            self.report("policy-size", None, None, format!("the policy has {size} characters without white space; a managed policy may have 6144"));
        }
        let identity = self.kind == PolicyKind::Identity;
        if identity && is_admin(&[policy]) {
            self.report(
                "admin",
                None,
                None,
                "the policy gives full control of the account".to_owned(),
            );
        } else if identity {
            self.escalation();
        }
        if passes_any_role(policy) && identity {
            let pass = Pattern::new("iam:passrole");
            let by = policy
                .with_effect(Effect::Allow)
                .find(|s| s.action.covers(&pass));
            self.report(
                "pass-role-any",
                by,
                None,
                "`iam:PassRole` is allowed for every role and service".to_owned(),
            );
        }
        if matches!(self.kind, PolicyKind::Trust | PolicyKind::Resource) {
            for label in publicness(policy, &PublicOptions::default()).statements {
                let by = policy.statements.iter().find(|s| s.label() == label);
                self.report(
                    "public",
                    by,
                    None,
                    format!("statement {label} lets everyone in"),
                );
            }
        }
        if self.kind == PolicyKind::Trust {
            for service in confused_services(policy) {
                self.report(
                    "confused-deputy",
                    None,
                    None,
                    format!("`{service}` is let in without aws:SourceAccount or aws:SourceArn"),
                );
            }
            if let Some(owner) = self.owner_account
                && trust_policy_lacks_external_id(self.text, owner) == Ok(true)
            {
                self.report(
                    "missing-external-id",
                    None,
                    None,
                    "another account may assume the role without an external id".to_owned(),
                );
            }
        }
    }

    /// The ways to more permissions, but for plain role assumption, which is what the permission is for.
    fn escalation(&mut self) {
        let Ok(rules) = Rules::embedded() else { return };
        let now = parse_date(&self.catalogue.header.date).unwrap_or_default();
        let paths = policy_escalation_paths(std::slice::from_ref(self.policy), rules, now);
        for rule in rules
            .rules
            .iter()
            .filter(|r| paths.contains(&r.path) && r.path != "sts-001")
        {
            let wide = rule.actions.iter().all(|action| {
                let pattern = Pattern::new(&action.to_ascii_lowercase());
                self.policy
                    .with_effect(Effect::Allow)
                    .any(|s| s.action.covers(&pattern) && is_all(s))
            });
            if wide && (rule.actions.len() > 1 || rule.path.starts_with("iam-")) {
                self.report(
                    "privilege-escalation",
                    None,
                    None,
                    format!("one can {} ({})", rule.title, rule.path),
                );
            }
        }
    }

    fn actions(&mut self, statement: &Statement) {
        let mut sensitive = BTreeSet::new();
        let is_wide = |p: &Pattern| *p == Pattern::Any;
        let looks = self.kind == PolicyKind::Identity
            && statement.effect == Effect::Allow
            && is_all(statement)
            && statement.conditions.is_empty()
            && !statement.action.negated
            && !statement.action.patterns.iter().any(is_wide);
        for (text, pattern) in statement
            .action
            .texts
            .iter()
            .zip(&statement.action.patterns)
        {
            if is_wide(pattern) {
                // it means all that there is, which works on something
                continue;
            }
            match self.catalogue.expand(text) {
                Expansion::Malformed => {}
                Expansion::UnknownService => self.report(
                    "unknown-service",
                    Some(statement),
                    None,
                    format!("`{text}`: no service has this prefix"),
                ),
                Expansion::UnknownAction => self.report(
                    "unknown-action",
                    Some(statement),
                    None,
                    format!("`{text}` means no action"),
                ),
                Expansion::Actions(actions) => {
                    self.match_resources(statement, text, &actions);
                    if looks {
                        sensitive.extend(actions.into_iter().filter(|a| self.is_sensitive(a)));
                    }
                }
            }
            let whole = matches!(pattern, Pattern::Prefix(prefix) if prefix.ends_with(':'));
            if whole && statement.effect == Effect::Allow && !statement.action.negated {
                self.report(
                    "wildcard-action",
                    Some(statement),
                    None,
                    format!("`{text}` allows every action of the service"),
                );
            }
        }
        if !sensitive.is_empty() {
            let count = sensitive.len();
            let some: Vec<String> = sensitive.into_iter().take(3).collect();
            let more = if count > 3 {
                format!(" and {} more", count - 3)
            } else {
                String::new()
            };
            self.report(
                "wildcard-resource-sensitive",
                Some(statement),
                None,
                format!("{}{more} on all resources", some.join(", ")),
            );
        }
    }

    /// An action that changes something and that can be limited to resources.
    fn is_sensitive(&self, action: &str) -> bool {
        self.catalogue.action(action).is_some_and(|(_, a)| {
            matches!(
                a.level,
                AccessLevel::Write | AccessLevel::PermissionsManagement
            ) && !a.resources.is_empty()
        })
    }

    /// Reports a text none of whose actions works on any resource of the statement.
    fn match_resources(&mut self, statement: &Statement, text: &str, actions: &[String]) {
        let Some(element) = statement
            .resource
            .as_ref()
            .filter(|r| !r.negated && !statement.action.negated)
        else {
            return;
        };
        let resources: Vec<Widest> = element.patterns.iter().map(|p| p.widest()).collect();
        if resources.contains(&Widest::Any) || element.is_everything() || actions.len() > 2_000 {
            return;
        }
        let works = |name: &String| {
            self.catalogue.action(name).is_none_or(|(service, action)| {
                action
                    .resources
                    .iter()
                    .filter_map(|r| service.resource(r))
                    .any(|r| {
                        let format = resource_format(service, &r.pattern(), &r.name);
                        let is_bucket = service.prefix == "s3" && r.name == "bucket";
                        resources
                            .iter()
                            .any(|w| format.overlaps(w) && !(is_bucket && has_slash(w)))
                    })
            })
        };
        if !actions.iter().any(works) {
            let message = format!("`{text}` works on none of the resources of the statement");
            self.report("action-resource-mismatch", Some(statement), None, message);
        }
    }

    fn conditions(&mut self, statement: &Statement) {
        for condition in &statement.conditions {
            self.key(statement, condition);
            let all_values = condition.operator.set == SetTest::ForAllValues
                && statement.effect == Effect::Allow;
            let guarded = statement
                .conditions
                .iter()
                .any(|c| c.operator.family == Family::Null && c.key_lower == condition.key_lower);
            if all_values && !guarded {
                let message = format!(
                    "`{}` on `{}` also holds when the key is missing",
                    condition.operator_name, condition.key
                );
                self.report(
                    "set-operator-single-value",
                    Some(statement),
                    Some(condition.position),
                    message,
                );
            }
            let optional = [
                "aws:multifactorauthpresent",
                "aws:sourcevpce",
                "aws:sourcevpc",
            ]
            .contains(&&*condition.key_lower);
            let plain = !condition.operator.if_exists
                && !condition.operator.negated
                && condition.operator.family != Family::Null;
            if statement.effect == Effect::Deny && optional && plain {
                let message = format!("the deny does not hold when `{}` is missing", condition.key);
                self.report(
                    "deny-with-missing-key",
                    Some(statement),
                    Some(condition.position),
                    message,
                );
            }
        }
    }

    fn key(&mut self, statement: &Statement, condition: &Condition) {
        let key = &*condition.key_lower;
        let found = if key.starts_with("aws:") {
            GLOBAL_KEYS
                .iter()
                .find(|(name, _)| key_matches(name, key))
                .map(|(_, t)| (*t).to_owned())
        } else {
            self.service_key(statement, key)
        };
        match found {
            None => {
                let message = format!(
                    "none of the statement's actions knows the key `{}`",
                    condition.key
                );
                self.report(
                    "unknown-condition-key",
                    Some(statement),
                    Some(condition.position),
                    message,
                );
            }
            Some(kind) if !fits(condition.operator.family, &kind) => {
                let message = format!(
                    "`{}` is for another type than that of `{}` ({kind})",
                    condition.operator_name, condition.key
                );
                self.report(
                    "operator-type-mismatch",
                    Some(statement),
                    Some(condition.position),
                    message,
                );
            }
            Some(_) => {}
        }
    }

    /// The type of a service's key, from the services of the statement's actions and from the key's own prefix.
    fn service_key(&self, statement: &Statement, key: &str) -> Option<String> {
        let own = key.split(':').next().unwrap_or_default();
        let prefixes = statement
            .action
            .texts
            .iter()
            .filter_map(|t| t.split(':').next());
        for prefix in prefixes.chain([own]) {
            if prefix == "*" || self.catalogue.service(prefix).is_none() {
                // Nothing is known about the key then, so nothing is said against it.
                if prefix == "*" || prefix != own {
                    return Some("Any".to_owned());
                }
                continue;
            }
            let keys = self
                .catalogue
                .service(prefix)
                .map(|s| s.keys.as_slice())
                .unwrap_or_default();
            if let Some((_, kind)) = keys
                .iter()
                .find(|(name, _)| key_matches(&name.to_ascii_lowercase(), key))
            {
                return Some(kind.clone());
            }
        }
        // Keys of identity providers have the provider's domain as prefix.
        own.contains('.').then(|| "Any".to_owned())
    }

    fn shape(&mut self, statement: &Statement) {
        if statement.effect == Effect::Deny {
            return;
        }
        if statement.action.negated {
            self.report(
                "not-action-allow",
                Some(statement),
                None,
                "everything but a list of actions is allowed".to_owned(),
            );
        }
        if statement.resource.as_ref().is_some_and(|r| r.negated) {
            self.report(
                "not-resource-allow",
                Some(statement),
                None,
                "every resource but a list is meant".to_owned(),
            );
        }
        if let Some(principal) = &statement.principal {
            if principal.negated {
                self.report(
                    "not-principal-allow",
                    Some(statement),
                    None,
                    "everyone but a list is allowed".to_owned(),
                );
            } else if principal.entries.iter().any(entry_is_open)
                && !statement.conditions.is_empty()
            {
                self.report(
                    "wildcard-principal-limited",
                    Some(statement),
                    None,
                    "only the condition limits who is let in".to_owned(),
                );
            }
        }
    }

    fn coverage(&mut self, statement: &Statement) {
        let policy = self.policy;
        let same_principals = |other: &Statement| other.principal == statement.principal;
        let cover = |other: &Statement| {
            other.index != statement.index
                && other.conditions.is_empty()
                && statement_covers(other, statement)
        };
        let redundant = policy.with_effect(statement.effect).find(|other| {
            cover(other)
                && same_principals(other)
                && !(statement.conditions.is_empty()
                    && statement_covers(statement, other)
                    && other.index > statement.index)
        });
        if let Some(other) = redundant {
            let message = format!(
                "statement {} is covered by {}",
                statement.label(),
                other.label()
            );
            self.report("redundant-statement", Some(statement), None, message);
        }
        if statement.effect == Effect::Allow {
            let everyone = |other: &Statement| {
                other.principal.as_ref().is_none_or(|p| p.is_everyone()) || same_principals(other)
            };
            if let Some(deny) = policy
                .with_effect(Effect::Deny)
                .find(|d| cover(d) && everyone(d))
            {
                let message = format!(
                    "statement {} never has an effect because of {}",
                    statement.label(),
                    deny.label()
                );
                self.report("shadowed-statement", Some(statement), None, message);
            }
        }
    }
}

fn is_all(statement: &Statement) -> bool {
    statement
        .resource
        .as_ref()
        .is_some_and(|r| r.is_everything())
}

/// Whether everything that is meant lies in something: names of buckets have no slash.
fn has_slash(resource: &Widest) -> bool {
    let Widest::Arn(ArnParts(parts)) = resource else {
        return false;
    };
    let [.., name] = &**parts;
    name.tokens().contains(&Token::Char('/'))
}

/// A format in which `*` stands for something, and bucket names have no slash.
fn resource_format(service: &Service, pattern: &str, name: &str) -> Widest {
    let Some(ArnParts(mut parts)) = ArnParts::new(pattern) else {
        return Widest::new(pattern);
    };
    for part in parts.iter_mut().skip(3).take(2) {
        if *part == Pattern::Any {
            *part = Pattern::from_tokens([Token::One, Token::Many]);
        }
    }
    if service.prefix == "s3" && name == "object" {
        let [.., last] = &mut *parts;
        *last = Pattern::new("*/*");
    }
    Widest::Arn(ArnParts(parts))
}

/// Whether a key has a name of the catalogue, in which `${TagKey}` and the like stand for any text.
fn key_matches(name: &str, key: &str) -> bool {
    match name.split_once("${") {
        Some((before, _)) => key.len() > before.len() && key.starts_with(before),
        None => name == key,
    }
}

/// Whether an operator may be used with a key of a type (in the catalogue's words).
fn fits(family: Family, kind: &str) -> bool {
    let kind = kind.strip_prefix("ArrayOf").unwrap_or(kind);
    match family {
        Family::Null => true,
        Family::StringEquals | Family::StringEqualsIgnoreCase | Family::StringLike => {
            matches!(kind, "String" | "ARN" | "Any" | "Bool")
        }
        Family::Numeric(_) => matches!(kind, "Numeric" | "Any" | "Long"),
        Family::Date(_) => matches!(kind, "Date" | "Numeric" | "Any"),
        Family::Bool => matches!(kind, "Bool" | "Any" | "String"),
        Family::Binary => matches!(kind, "Binary" | "Any" | "String"),
        Family::IpAddress => matches!(kind, "IPAddress" | "Any" | "String"),
        Family::Arn => matches!(kind, "ARN" | "String" | "Any"),
    }
}

/// Global condition keys (IAM User Guide, "AWS global condition context keys"), in lower case, with their types.
const GLOBAL_KEYS: &[(&str, &str)] = &[
    ("aws:assumedroot", "Bool"),
    ("aws:calledvia", "String"),
    ("aws:calledviafirst", "String"),
    ("aws:calledvialast", "String"),
    ("aws:chatbotsourcearn", "ARN"),
    ("aws:currenttime", "Date"),
    ("aws:ec2instancesourceprivateipv4", "IPAddress"),
    ("aws:ec2instancesourcevpc", "String"),
    ("aws:epochtime", "Date"),
    ("aws:federatedprovider", "String"),
    ("aws:multifactorauthage", "Numeric"),
    ("aws:multifactorauthpresent", "Bool"),
    ("aws:principalaccount", "String"),
    ("aws:principalarn", "ARN"),
    ("aws:principalisawsservice", "Bool"),
    ("aws:principalorgid", "String"),
    ("aws:principalorgpaths", "String"),
    ("aws:principalservicename", "String"),
    ("aws:principalservicenameslist", "String"),
    ("aws:principaltag/${key}", "String"),
    ("aws:principaltype", "String"),
    ("aws:referer", "String"),
    ("aws:requestedregion", "String"),
    ("aws:requesttag/${key}", "String"),
    ("aws:resourceaccount", "String"),
    ("aws:resourceorgid", "String"),
    ("aws:resourceorgpaths", "String"),
    ("aws:resourcetag/${key}", "String"),
    ("aws:rolesessionname", "String"),
    ("aws:securetransport", "Bool"),
    ("aws:sourceaccount", "String"),
    ("aws:sourcearn", "ARN"),
    ("aws:sourceidentity", "String"),
    ("aws:sourceip", "IPAddress"),
    ("aws:sourceorgid", "String"),
    ("aws:sourceorgpaths", "String"),
    ("aws:sourceowner", "String"),
    ("aws:sourcevpc", "String"),
    ("aws:sourcevpcarn", "ARN"),
    ("aws:sourcevpce", "String"),
    ("aws:tagkeys", "String"),
    ("aws:tokenissuetime", "Date"),
    ("aws:useragent", "String"),
    ("aws:userid", "String"),
    ("aws:username", "String"),
    ("aws:viaawsservice", "Bool"),
    ("aws:vpceaccount", "String"),
    ("aws:vpceorgid", "String"),
    ("aws:vpceorgpaths", "String"),
    ("aws:vpcsourceip", "IPAddress"),
];
