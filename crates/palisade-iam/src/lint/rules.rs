//! The linter's rules and what each of them means.

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Worth knowing.
    Note,
    /// Probably not meant.
    Warning,
    /// Refused by AWS, or gives away the account.
    Error,
}

impl Weight {
    /// The word, as SARIF has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Weight::Note => "note",
            Weight::Warning => "warning",
            Weight::Error => "error",
        }
    }
}

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LintRule {
    /// Identifier.
    pub id: &'static str,
    /// How bad its findings are.
    pub weight: Weight,
    /// What is found, in a few words.
    pub title: &'static str,
    /// Why it matters and what to do.
    pub help: &'static str,
}

macro_rules! rules {
    ($($id:literal $weight:ident $title:literal $help:literal)*) => {
        /// Every rule, in order of identifier.
        pub const LINT_RULES: &[LintRule] = &[$(LintRule { id: $id, weight: Weight::$weight, title: $title, help: $help }),*];
    };
}

rules! {
    "action-resource-mismatch" Warning "an action never works on the resources of its statement"
        "The service knows the action, but on none of the resource types that the statement names. The statement has no effect for it; split it, or name the right resource."
    "admin" Error "the policy makes an administrator"
        "Everything, or almost everything, is allowed on all resources. Grant what the task needs instead."
    "confused-deputy" Warning "a service is let in without looking at whom it acts for"
        "The service acts for many customers. Without aws:SourceAccount or aws:SourceArn another customer can have it act on you."
    "deny-with-missing-key" Note "a deny depends on a key that may be missing"
        "A plain operator is false when the key is missing, so the deny does not hold then. Use the IfExists form if that is not meant."
    "grammar" Error "AWS would refuse the policy"
        "The document breaks the grammar of the policy language; the place is given."
    "missing-external-id" Warning "another account is let in without an external id"
        "A third party that assumes roles for several customers can be tricked into using yours. Ask for sts:ExternalId, or limit the statement to your organisation."
    "not-action-allow" Warning "an allow with NotAction"
        "Everything but the list is allowed, also services that AWS adds later. List what is needed."
    "not-principal-allow" Error "an allow with NotPrincipal"
        "Everyone but the list is allowed, also callers without credentials."
    "not-resource-allow" Warning "an allow with NotResource"
        "Every resource but the list is meant, also those that come later."
    "operator-type-mismatch" Warning "an operator does not fit the type of its key"
        "Values are compared as the operator's type, so the condition may never hold, or always."
    "pass-role-any" Error "any role can be passed to any service"
        "Whoever can pass every role can run code with the most powerful one. Name the roles, and the service with iam:PassedToService."
    "policy-size" Error "the policy is too large"
        "IAM counts characters without white space: 6,144 for a managed policy, 2,048 for a user, 10,240 for a role, 5,120 for a group and for an SCP."
    "privilege-escalation" Warning "the policy opens a way to more permissions"
        "The named way leads to permissions that the policy does not give. Limit the resources, or take the decisive action away."
    "public" Error "everyone is let in"
        "The principal is everyone and no condition limits it to a fixed account, organisation or network."
    "redundant-statement" Note "a statement adds nothing"
        "Another statement of the same effect already covers it."
    "set-operator-single-value" Warning "ForAllValues in an allow"
        "ForAllValues is also true when the key is missing, so the allow then holds without it. Add a Null condition."
    "shadowed-statement" Warning "an allow is taken away by a deny of the same policy"
        "A deny without condition covers the whole statement, so it never has an effect."
    "unknown-action" Warning "no such action"
        "The service has no action that the text means. Perhaps a typing error, or an action that is newer than the catalogue."
    "unknown-condition-key" Warning "no such condition key"
        "None of the statement's actions knows the key. Conditions on missing keys are false, or true in negated form."
    "unknown-service" Warning "no such service"
        "No service has this prefix. Perhaps a typing error, or a service that is newer than the catalogue."
    "unused-boundary" Warning "a permissions boundary limits nothing"
        "The boundary allows everything, so that the policies alone decide. Allow in it what the holder may have at most."
    "wildcard-action" Note "all actions of a service"
        "The wildcard includes actions that AWS adds later. List what is needed."
    "wildcard-principal-limited" Note "everyone, limited by a condition"
        "The statement depends on its condition alone. Prefer to name principals."
    "wildcard-resource-sensitive" Warning "actions that change permissions or data, on all resources"
        "The actions can be limited to resources and are not."
}

/// A rule by identifier.
pub fn lint_rule(id: &str) -> Option<&'static LintRule> {
    LINT_RULES.iter().find(|r| r.id == id)
}
