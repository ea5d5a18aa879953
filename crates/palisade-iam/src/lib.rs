//! Exact answers about IAM: who can do what, why, and how far could they get.
//!
//! Everything here is pure: texts in, answers out. Policies are read by [`Policy::parse`]; the strict
//! grammar that AWS applies when a policy is stored is [`check_grammar`].

mod account;
mod arn_pattern;
mod capability;
mod catalogue;
mod condition;
mod conform;
mod context;
mod diff;
mod error;
mod escalation;
mod evaluate;
mod glob;
mod grammar;
mod json;
mod least;
mod lint;
mod net;
mod policy;
mod public;
mod request;
mod restrict;
mod scoped;
mod template;
mod time;
mod truth;

pub use account::{
    AccessPoint, Compute, Entity, ExternalAccess, ExternalKind, Grant, Group, Known, LoadError,
    ManagedPolicy, Model, NamedPolicy, OwnedLevel, Passed, PolicyDocument, S3Facts, Share,
    SharedWith, known_managed_policy,
};
pub use arn_pattern::{ArnParts, ArnText, ResourcePattern, Widest};
pub use capability::*;
pub use catalogue::*;
pub use condition::{Condition, Family, Operator, Order, SetTest};
pub use conform::{ReadFile, conform_line};
pub use context::{Context, Lookup};
pub use diff::{TooComplex, Witness, diff, policies_allow, policy_grants_beyond};
pub use error::{PolicyError, Position};
pub use escalation::{
    Detail, Edge, Escalation, Gain, Graph, Rule, Rules, RulesError, Step, Target, attempt_context,
    policy_escalation_paths,
};
pub use evaluate::{
    Answer, Bucket, Deciding, Decision, KmsGrant, Layer, LayerAnswer, Layers, Level, PolicySets,
    Source, decide, explain,
};
pub use glob::{Pattern, Token};
pub use grammar::{PolicyKind, check_grammar};
pub use least::{LeastPrivilege, UsageReader, least_privilege};
pub use lint::{LINT_RULES, LintFinding, LintRule, Weight, lint, lint_rule, lint_to_sarif};
pub use net::Cidr;
pub use policy::{
    ActionPattern, Closeness, Effect, Policy, PrincipalEntry, PrincipalPattern, ResourceElement,
    Statement, action_pattern,
};
pub use public::*;
pub use request::{Principal, PrincipalKind, Request};
pub use restrict::{Definition, Limit, block_restricts};
pub use scoped::{policy_assumes_any_role, policy_requires_tls_for, trust_policy_open_issuers};
pub use template::{Template, Text};
pub use time::{format_date, parse_date};
pub use truth::Truth;
