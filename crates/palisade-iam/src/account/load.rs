//! Reading what AWS's API returns.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::{Entity, Group, ManagedPolicy, Model, NamedPolicy, OwnedLevel};
use crate::evaluate::{Layer, Layers};
use crate::policy::{Policy, Texts};
use crate::request::PrincipalKind;

/// Input that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LoadError(pub(super) String);

/// The text of AWS managed policies that matter and that an export may leave out (default versions).
pub fn known_managed_policy(arn: &str) -> Option<&'static str> {
    Some(match arn.split_once(":policy/")?.1 {
        "AdministratorAccess" => {
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#
        }
        "IAMFullAccess" => {
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:*","Resource":"*"}]}"#
        }
        "PowerUserAccess" => {
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":["iam:*","organizations:*","account:*"],"Resource":"*"}]}"#
        }
        _ => return None,
    })
}

pub(super) fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

pub(super) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// The text of a document that is an object, or its text (also percent-encoded).
fn document_text(value: &Value) -> Cow<'_, str> {
    match value.as_str() {
        Some(text) => Cow::Borrowed(text),
        // On several lines, so that a place in it says something.
        None => Cow::Owned(format!("{value:#}")),
    }
}

/// Reads it.
pub(super) fn document(value: &Value) -> Result<Policy, crate::PolicyError> {
    Policy::parse(&document_text(value))
}

impl Texts {
    fn document(&mut self, value: &Value) -> Result<Arc<Policy>, crate::PolicyError> {
        self.parse(&document_text(value))
    }
}

impl Model {
    /// Adds an account from the JSON of `get-account-authorization-details`. Policies that cannot be read are named
    /// in `problems` and with the entities that they are attached to.
    ///
    /// # Errors
    /// The text is not JSON, or has none of the lists.
    pub fn add_authorization_details(&mut self, json: &str) -> Result<(), LoadError> {
        let value: Value = serde_json::from_str(json).map_err(|e| LoadError(e.to_string()))?;
        self.add_authorization_value(&value)
    }

    /// The same from JSON that has been read. Policies that others hold must have been added before these, or with them.
    ///
    /// # Errors
    /// It has none of the lists.
    pub fn add_authorization_value(&mut self, value: &Value) -> Result<(), LoadError> {
        if [
            "UserDetailList",
            "RoleDetailList",
            "GroupDetailList",
            "Policies",
        ]
        .iter()
        .all(|k| value.get(k).is_none())
        {
            return Err(LoadError("none of `UserDetailList`, `RoleDetailList`, `GroupDetailList` and `Policies` is there".to_owned()));
        }
        for policy in list(value, "Policies") {
            self.add_managed(policy);
        }
        for group in list(value, "GroupDetailList") {
            self.add_group(group);
        }
        for user in list(value, "UserDetailList") {
            self.add_entity(user, PrincipalKind::User);
        }
        for role in list(value, "RoleDetailList") {
            self.add_entity(role, PrincipalKind::Role);
        }
        self.sort();
        Ok(())
    }

    fn add_managed(&mut self, value: &Value) {
        let Some(arn) = text(value, "Arn") else {
            return;
        };
        let mut default = None;
        let mut others = Vec::new();
        for version in list(value, "PolicyVersionList") {
            let parsed = version
                .get("Document")
                .ok_or_else(|| "no document".to_owned())
                .and_then(|d| self.texts.document(d).map_err(|e| e.to_string()));
            match parsed {
                Ok(policy)
                    if version.get("IsDefaultVersion").and_then(Value::as_bool) == Some(true) =>
                {
                    default = Some(policy)
                }
                Ok(policy) => others.push(policy),
                Err(error) => self.problems.push(format!("{arn}: {error}")),
            }
        }
        self.managed.insert(
            arn.to_owned(),
            ManagedPolicy {
                arn: arn.to_owned(),
                default,
                others: Some(others),
            },
        );
    }

    /// Adds a managed policy of which only the default version is known.
    pub fn add_managed_policy(&mut self, arn: &str, policy: Policy) {
        self.managed.insert(
            arn.to_owned(),
            ManagedPolicy {
                arn: arn.to_owned(),
                default: Some(Arc::new(policy)),
                others: None,
            },
        );
    }

    fn managed_policy(&mut self, arn: &str) -> Option<NamedPolicy> {
        let known = self.managed.get(arn).and_then(|m| m.default.clone());
        let policy =
            known.or_else(|| known_managed_policy(arn).and_then(|t| self.texts.parse(t).ok()))?;
        Some(NamedPolicy {
            name: arn.to_owned(),
            policy,
        })
    }

    /// The policies of a user, role or group: inline ones, then attached ones; and what could not be read.
    fn policies(
        &mut self,
        value: &Value,
        owner: &str,
        inline: &str,
    ) -> (Vec<NamedPolicy>, Vec<String>, Vec<String>) {
        let (mut policies, mut attached, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
        for item in list(value, inline) {
            let name = format!("{owner}/{}", text(item, "PolicyName").unwrap_or("?"));
            match item.get("PolicyDocument").map(|d| self.texts.document(d)) {
                Some(Ok(policy)) => policies.push(NamedPolicy { name, policy }),
                Some(Err(error)) => {
                    self.problems.push(format!("{name}: {error}"));
                    unreadable.push(name);
                }
                None => unreadable.push(name),
            }
        }
        for item in list(value, "AttachedManagedPolicies") {
            let Some(arn) = text(item, "PolicyArn") else {
                continue;
            };
            attached.push(arn.to_owned());
            match self.managed_policy(arn) {
                Some(policy) => policies.push(policy),
                None => unreadable.push(arn.to_owned()),
            }
        }
        (policies, attached, unreadable)
    }

    fn add_group(&mut self, value: &Value) {
        let Some(arn) = text(value, "Arn") else {
            return;
        };
        let name = text(value, "GroupName").unwrap_or_default().to_owned();
        let (policies, attached, unreadable) = self.policies(value, arn, "GroupPolicyList");
        if !unreadable.is_empty() {
            self.unread_groups.insert(arn.to_owned());
        }
        self.problems.extend(
            unreadable
                .iter()
                .map(|p| format!("{arn}: the text of {p} is not known")),
        );
        self.groups.insert(
            arn.to_owned(),
            Group {
                arn: arn.to_owned(),
                name,
                policies,
                attached,
            },
        );
    }

    fn add_entity(&mut self, value: &Value, kind: PrincipalKind) {
        let Some(arn) = text(value, "Arn") else {
            return;
        };
        let account = arn.split(':').nth(4).unwrap_or_default().to_owned();
        let prefix: String = arn.split_inclusive(':').take(5).collect();
        let (inline, name_key, id_key) = match kind {
            PrincipalKind::User => ("UserPolicyList", "UserName", "UserId"),
            _ => ("RolePolicyList", "RoleName", "RoleId"),
        };
        let (mut policies, attached, mut unreadable) = self.policies(value, arn, inline);
        let mut unread = Layers::default();
        let mut groups = Vec::new();
        for name in list(value, "GroupList").filter_map(Value::as_str) {
            // Groups are in order of ARN: those of the account stand together.
            let of_account = self.groups.range(prefix.clone()..);
            let group = of_account
                .take_while(|(arn, _)| arn.starts_with(&prefix))
                .map(|(_, group)| group)
                .find(|g| g.name == name);
            match group {
                Some(group) => {
                    if self.unread_groups.contains(&group.arn) {
                        unread.insert(Layer::Identity);
                    }
                    groups.push(group.arn.clone());
                    policies.extend(group.policies.iter().cloned());
                }
                None => unreadable.push(format!("group {name}")),
            }
        }
        if !unreadable.is_empty() {
            unread.insert(Layer::Identity);
        }
        let boundary_arn = value
            .get("PermissionsBoundary")
            .and_then(|b| text(b, "PermissionsBoundaryArn"))
            .map(ToOwned::to_owned);
        let boundary = boundary_arn.as_deref().and_then(|b| self.managed_policy(b));
        if let (Some(missing), None) = (&boundary_arn, &boundary) {
            unread.insert(Layer::Boundary);
            unreadable.push(missing.clone());
        }
        let mut trust = None;
        if let Some(parsed) = value
            .get("AssumeRolePolicyDocument")
            .map(|d| self.texts.document(d))
        {
            match parsed {
                Ok(policy) => {
                    trust = Some(NamedPolicy {
                        name: format!("{arn} trust"),
                        policy,
                    })
                }
                Err(error) => {
                    self.problems.push(format!("{arn} trust: {error}"));
                    unread.insert(Layer::Resource);
                    unreadable.push("trust policy".to_owned());
                }
            }
        }
        let tags: BTreeMap<String, String> = list(value, "Tags")
            .filter_map(|t| Some((text(t, "Key")?.to_owned(), text(t, "Value")?.to_owned())))
            .collect();
        self.problems.extend(
            unreadable
                .iter()
                .map(|p| format!("{arn}: {p} is not known")),
        );
        self.entities.push(Entity {
            arn: arn.to_owned(),
            kind,
            name: text(value, name_key).map_or_else(
                || arn.rsplit('/').next().unwrap_or_default().to_owned(),
                ToOwned::to_owned,
            ),
            unique_id: text(value, id_key).map(ToOwned::to_owned),
            account,
            groups,
            attached,
            policies,
            boundary,
            trust,
            tags,
            unreadable,
            unread,
        });
    }

    /// Adds the policy of a resource, for example a bucket.
    ///
    /// # Errors
    /// The policy cannot be read.
    pub fn add_resource_policy(&mut self, arn: &str, json: &str) -> Result<(), crate::PolicyError> {
        let policy = NamedPolicy {
            name: format!("{arn} policy"),
            policy: self.texts.parse(json)?,
        };
        self.resources.insert(arn.to_owned(), policy);
        Ok(())
    }

    /// Adds a level of service control policies of an account, from the root downwards.
    ///
    /// # Errors
    /// A policy cannot be read.
    pub fn add_scp_level(
        &mut self,
        account: &str,
        name: &str,
        documents: &[String],
    ) -> Result<(), crate::PolicyError> {
        let policies = documents
            .iter()
            .enumerate()
            .map(|(at, text)| {
                Ok(NamedPolicy {
                    name: format!("{name} scp {}", at + 1),
                    policy: self.texts.parse(text)?,
                })
            })
            .collect::<Result<_, crate::PolicyError>>()?;
        self.scp
            .entry(account.to_owned())
            .or_default()
            .push(OwnedLevel {
                name: name.to_owned(),
                policies,
            });
        Ok(())
    }
}
