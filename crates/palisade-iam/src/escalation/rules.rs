//! The rules as data.

use std::sync::OnceLock;

use serde::Deserialize;

const EMBEDDED: &str = include_str!("../../../../catalog/iam/escalation.toml");

/// Rules that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the escalation rules cannot be read: {0}")]
pub struct RulesError(String);

/// What a rule gains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(
    missing_docs,
    reason = "the variants are explained in the rules' own file"
)]
pub enum Gain {
    Policy,
    PolicyVersion,
    UserPolicy,
    RolePolicy,
    GroupPolicy,
    JoinGroup,
    UserCredentials,
    RoleTrust,
    Assume,
    RolePolicyAssume,
    RolePolicyTrust,
    UserPolicyCredentials,
    PolicyAssume,
    PolicyTrust,
    UserBoundary,
    RoleBoundary,
    PassRole,
    Holder,
    PermissionSet,
}

/// A way to more permissions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Our identifier.
    pub id: String,
    /// The identifier in public lists, else one of our own.
    pub path: String,
    /// What is gained.
    pub gain: Gain,
    /// The actions that must be allowed; the first is the one whose loss breaks the way with least harm.
    pub actions: Vec<String>,
    /// For roles passed or held: the service principals.
    #[serde(default)]
    pub services: Vec<String>,
    /// What is done, as the end of "one can …".
    pub title: String,
}

/// What took the place of the embedded rules.
static INSTALLED: OnceLock<String> = OnceLock::new();

/// All rules.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// In the order of the file.
    #[serde(rename = "rule")]
    pub rules: Vec<Rule>,
}

impl Rules {
    /// Puts other rules (as [`Rules::parse`] takes them) in the place of those in the binary, for the whole process;
    /// before the first question. False when others are there already.
    pub fn install(text: String) -> bool {
        INSTALLED.set(text).is_ok()
    }

    /// The rules in the binary, or those in their place.
    ///
    /// # Errors
    /// The text is no rules (a test reads those in the binary).
    pub fn embedded() -> Result<&'static Self, RulesError> {
        static RULES: OnceLock<Result<Rules, RulesError>> = OnceLock::new();
        RULES
            .get_or_init(|| Rules::parse(INSTALLED.get().map_or(EMBEDDED, String::as_str)))
            .as_ref()
            .map_err(Clone::clone)
    }

    /// Reads rules.
    ///
    /// # Errors
    /// The text is not rules.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        toml::from_str(text).map_err(|e| RulesError(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    #[test]
    fn rules_are_whole_and_name_real_actions() {
        let rules = &Rules::embedded().unwrap().rules;
        let mut ids: Vec<&str> = rules.iter().map(|r| r.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), rules.len(), "ids are unique");
        let catalogue = Catalogue::embedded().unwrap();
        for rule in rules {
            let needs_service = matches!(rule.gain, Gain::PassRole | Gain::Holder);
            assert_eq!(needs_service, !rule.services.is_empty(), "{}", rule.id);
            for action in &rule.actions {
                // Two retired services are kept: their permissions still stand in policies.
                let known = catalogue.action(action).is_some();
                assert!(
                    known || action.starts_with("codestar:"),
                    "{action} of {}",
                    rule.id
                );
            }
        }
    }
}
