//! Yes-or-no questions about one policy document, as checks ask them.
//!
//! Every function takes the document's text and never panics; a document that cannot be read is an
//! error, so that the caller can answer "unknown".

use std::collections::BTreeSet;

use crate::arn_pattern::{ArnParts, ArnText, Widest};
use crate::condition::{Family, SetTest};
use crate::context::Context;
use crate::error::PolicyError;
use crate::glob::Pattern;
use crate::policy::{Effect, Policy, PrincipalEntry, Statement, action_pattern};
use crate::public::entry_is_open;
use crate::truth::Truth;

/// Conditions that ask how a request is made, not by whom or on what: they take no power away.
const FORMAL_KEYS: &[&str] = &[
    "aws:securetransport",
    "aws:multifactorauthpresent",
    "aws:multifactorauthage",
    "aws:tokenissuetime",
    "aws:useragent",
];

/// Services whose full control, together with that of IAM, makes an administrator; half of them suffice.
const BREADTH: &[&str] = &[
    "ec2:*",
    "s3:*",
    "lambda:*",
    "kms:*",
    "sts:*",
    "rds:*",
    "dynamodb:*",
    "cloudformation:*",
    "secretsmanager:*",
    "ssm:*",
];

/// Actions that let their holder grant anything to some identity.
const SELF_GRANT: &[&str] = &[
    "iam:attachrolepolicy",
    "iam:attachuserpolicy",
    "iam:createpolicyversion",
    "iam:putrolepolicy",
    "iam:putuserpolicy",
];

/// Whether conditions leave the statement's power whole.
fn is_unconditional(statement: &Statement) -> bool {
    statement
        .conditions
        .iter()
        .all(|c| FORMAL_KEYS.contains(&&*c.key_lower))
}

/// Whether the statement is about all resources, or all but some.
fn is_for_all_resources(statement: &Statement) -> bool {
    match &statement.resource {
        None => true,
        Some(r) if r.negated => !r.patterns.iter().any(|p| p.is_everything()),
        Some(r) => r.is_everything(),
    }
}

/// Whether policies that apply together allow every action of a pattern (lower case) on all resources,
/// without condition and without a `Deny` that takes all of it away.
pub(crate) fn grants_on_everything(policies: &[&Policy], pattern: &Pattern) -> bool {
    let statements = || policies.iter().flat_map(|p| p.statements.iter());
    let allowed = statements().any(|s| {
        s.effect == Effect::Allow
            && is_unconditional(s)
            && is_for_all_resources(s)
            && s.action.covers(pattern)
    });
    allowed && !statements().any(|s| denies(s, pattern))
}

pub(crate) fn denies(statement: &Statement, pattern: &Pattern) -> bool {
    statement.effect == Effect::Deny
        && statement.conditions.is_empty()
        && is_for_all_resources(statement)
        && statement.action.covers(pattern)
}

/// Whether identity policies that apply together make an administrator: half of the broad services and a way
/// to grant oneself the rest, on all resources, without a condition that matters.
pub(crate) fn is_admin(policies: &[&Policy]) -> bool {
    let broad = BREADTH
        .iter()
        .filter(|p| grants_on_everything(policies, &Pattern::new(p)))
        .count();
    broad * 2 >= BREADTH.len()
        && SELF_GRANT
            .iter()
            .any(|p| grants_on_everything(policies, &Pattern::new(p)))
}

/// Whether the policy allows every action on every resource, without condition or exception
/// (CIS AWS Foundations: "full `*:*` administrative privileges").
///
/// # Errors
/// The document cannot be read.
pub fn policy_allows_everything(policy_json: &str) -> Result<bool, PolicyError> {
    let policy = Policy::known(policy_json)?;
    let whole = policy.with_effect(Effect::Allow).any(|s| {
        s.conditions.is_empty()
            && s.action.covers(&Pattern::Any)
            && s.resource.as_ref().is_none_or(|r| r.is_everything())
    });
    Ok(whole
        && !policy
            .with_effect(Effect::Deny)
            .any(|s| s.conditions.is_empty()))
}

/// Whether the policy makes its holder an administrator, also when it does not say `*:*`: through `NotAction`,
/// through a list of services with IAM among them, or with harmless exceptions. A `Deny` in the same document
/// counts; conditions on how a request is made (TLS, MFA) do not.
///
/// # Errors
/// The document cannot be read.
pub fn policy_grants_admin(policy_json: &str) -> Result<bool, PolicyError> {
    let policy = Policy::known(policy_json)?;
    Ok(is_admin(&[&policy]))
}

/// Whether the policy allows all actions of a service (its prefix, for example `s3`) on all resources.
///
/// # Errors
/// The document cannot be read.
pub fn policy_grants_full_service(policy_json: &str, service: &str) -> Result<bool, PolicyError> {
    let policy = Policy::known(policy_json)?;
    Ok(grants_on_everything(
        &[&policy],
        &Pattern::new(&format!("{}:*", service.to_ascii_lowercase())),
    ))
}

/// Whether the policy allows all actions of some service, or of all, on all resources.
///
/// # Errors
/// The document cannot be read.
pub fn policy_grants_service_wildcard(policy_json: &str) -> Result<bool, PolicyError> {
    Ok(!policy_service_wildcards(policy_json)?.is_empty())
}

/// The action patterns of the form `service:*` or `*` that the policy allows on all resources, sorted, lower case.
///
/// # Errors
/// The document cannot be read.
pub fn policy_service_wildcards(policy_json: &str) -> Result<Vec<String>, PolicyError> {
    let policy = Policy::known(policy_json)?;
    let mut out = BTreeSet::new();
    for statement in policy
        .with_effect(Effect::Allow)
        .filter(|s| is_unconditional(s) && is_for_all_resources(s))
    {
        if statement.action.negated {
            out.insert("*".to_owned());
            continue;
        }
        for pattern in &statement.action.patterns {
            let whole = match pattern {
                Pattern::Any => true,
                Pattern::Prefix(prefix) => prefix.ends_with(':'),
                _ => false,
            };
            if whole && grants_on_everything(&[&policy], pattern) {
                out.insert(pattern.to_text());
            }
        }
    }
    Ok(out.into_iter().collect())
}

/// Whether an `Allow` and whether a `Deny` matches, where nothing is known of the request but action and resource.
fn allowed_and_denied(
    policy_json: &str,
    action: &str,
    resource: &str,
) -> Result<(Truth, Truth), PolicyError> {
    let policy = Policy::known(policy_json)?;
    let (action, arn, context) = (
        action.to_ascii_lowercase(),
        ArnText::new(resource),
        Context::open(),
    );
    let truth = |effect| {
        policy
            .with_effect(effect)
            .map(|s| {
                s.matches_target(&action, &arn, &context)
                    .and(s.conditions_hold(&context))
            })
            .fold(Truth::False, Truth::or)
    };
    Ok((truth(Effect::Allow), truth(Effect::Deny)))
}

/// Whether the policy may allow an action on a resource: some `Allow` matches, under some request context, and no
/// `Deny` matches without condition. Principals are not looked at.
///
/// # Errors
/// The document cannot be read.
pub fn policy_allows_action(
    policy_json: &str,
    action: &str,
    resource: &str,
) -> Result<bool, PolicyError> {
    let (allowed, denied) = allowed_and_denied(policy_json, action, resource)?;
    Ok(!allowed.is_false() && !denied.is_true())
}

/// Whether the policy by itself surely allows an action on a resource, in every request context: an `Allow` without
/// undecided condition matches, and no `Deny` could. Principals are not looked at.
///
/// # Errors
/// The document cannot be read.
pub fn policy_allows(policy_json: &str, action: &str, resource: &str) -> Result<bool, PolicyError> {
    let (allowed, denied) = allowed_and_denied(policy_json, action, resource)?;
    Ok(allowed.is_true() && denied.is_false())
}

/// The action texts of `Allow` statements that have an action in common with `action_pattern`, sorted. A statement
/// with `NotAction` that leaves such an action gives `NotAction`.
///
/// # Errors
/// The document cannot be read.
pub fn policy_actions_matching(
    policy_json: &str,
    pattern: &str,
) -> Result<Vec<String>, PolicyError> {
    let policy = Policy::known(policy_json)?;
    let wanted = action_pattern(pattern);
    let mut out = BTreeSet::new();
    for statement in policy.with_effect(Effect::Allow) {
        if statement.action.negated {
            if statement.action.overlaps(&wanted) {
                out.insert("NotAction".to_owned());
            }
            continue;
        }
        let pairs = statement
            .action
            .patterns
            .iter()
            .zip(&statement.action.texts);
        out.extend(
            pairs
                .filter(|(p, _)| p.overlaps(&wanted))
                .map(|(_, text)| text.clone()),
        );
    }
    Ok(out.into_iter().collect())
}

/// Whether the policy allows `iam:PassRole` for any role of the account to any service.
///
/// # Errors
/// The document cannot be read.
pub fn policy_passes_any_role(policy_json: &str) -> Result<bool, PolicyError> {
    let policy = Policy::known(policy_json)?;
    Ok(passes_any_role(&policy))
}

pub(crate) fn passes_any_role(policy: &Policy) -> bool {
    let pass = Pattern::new("iam:passrole");
    let every_role = Widest::new("arn:aws:iam::123456789012:role/*");
    let wide = |s: &Statement| match &s.resource {
        None => true,
        Some(r) if r.negated => !r.patterns.iter().any(|p| p.widest().overlaps(&every_role)),
        Some(r) => r.patterns.iter().any(|p| match p.widest() {
            // One account written out is as good as a wildcard: roles are passed within an account.
            Widest::Arn(parts) => {
                let [_, _, service, _, _, resource] = &*parts.0;
                service.matches("iam") && resource.covers(&Pattern::new("role/*"))
            }
            other => other.covers(&every_role),
        }),
    };
    let limited = |s: &Statement| {
        s.conditions.iter().any(|c| {
            matches!(
                &*c.key_lower,
                "iam:passedtoservice" | "iam:associatedresourcearn"
            ) || c.key_lower.contains("resourcetag/")
        })
    };
    policy
        .with_effect(Effect::Allow)
        .any(|s| s.action.covers(&pass) && wide(s) && !limited(s))
        && !policy.statements.iter().any(|s| denies(s, &pass))
}

/// Whether a resource policy refuses every request that does not use TLS: a `Deny` for everyone, of all actions of
/// the resource, when `aws:SecureTransport` is false. An `Allow` limited to TLS is not enough: the owner's own identities
/// need no statement of the resource policy.
///
/// # Errors
/// The document cannot be read.
pub fn policy_requires_tls(policy_json: &str) -> Result<bool, PolicyError> {
    let policy = Policy::known(policy_json)?;
    let is_transport = |s: &Statement, value: &str| {
        s.conditions.iter().any(|c| {
            &*c.key_lower == "aws:securetransport"
                && c.operator.family == Family::Bool
                && c.values.iter().all(|v| v.eq_ignore_ascii_case(value))
        })
    };
    let denies_plain = |s: &Statement| {
        s.principal.as_ref().is_some_and(|p| p.is_everyone())
            && s.conditions.len() == 1
            && is_transport(s, "false")
            && covers_a_service(s)
            && covers_bucket_and_objects(s)
    };
    Ok(policy.with_effect(Effect::Deny).any(denies_plain))
}

/// Whether the actions are `*` or everything of a service.
fn covers_a_service(statement: &Statement) -> bool {
    !statement.action.negated
        && statement.action.patterns.iter().any(|p| match p {
            Pattern::Any => true,
            Pattern::Prefix(prefix) => prefix.ends_with(':'),
            _ => false,
        })
}

/// For S3 the bucket and its objects are different resources; both must be named.
pub(crate) fn covers_bucket_and_objects(statement: &Statement) -> bool {
    let Some(element) = &statement.resource else {
        return true;
    };
    if element.negated {
        return false;
    }
    let wide: Vec<Widest> = element.patterns.iter().map(|p| p.widest()).collect();
    wide.iter().all(|w| match w {
        Widest::Arn(ArnParts(parts)) if matches!(&**parts, [_, _, service, ..] if *service == Pattern::new("s3")) => {
            let [.., name] = &**parts;
            let name = name.to_text();
            let bucket = name
                .split('/')
                .next()
                .unwrap_or_default()
                .trim_end_matches('*')
                .to_owned();
            let objects = Widest::new(&format!("arn:aws:s3:::{bucket}/*"));
            let itself = Widest::new(&format!("arn:aws:s3:::{bucket}"));
            wide.iter().any(|o| o.covers(&objects)) && wide.iter().any(|o| o.covers(&itself))
        }
        _ => true,
    })
}

/// Whether a role's trust policy lets another account in without an external id or a limit to an organisation
/// (IAM User Guide, "How to use an external ID").
///
/// # Errors
/// The document cannot be read.
pub fn trust_policy_lacks_external_id(
    policy_json: &str,
    owner_account: &str,
) -> Result<bool, PolicyError> {
    const ENOUGH: &[&str] = &[
        "sts:externalid",
        "aws:principalorgid",
        "aws:principalorgpaths",
    ];
    let policy = Policy::known(policy_json)?;
    let result = policy.with_effect(Effect::Allow).any(|s| {
        let foreign = s.principal.as_ref().is_some_and(|p| {
            p.negated
                || p.entries.iter().any(|e| {
                    entry_is_open(e)
                        || (!matches!(e, PrincipalEntry::Federated(_))
                            && e.account().is_some_and(|a| a != owner_account))
                })
        });
        let bound = s.conditions.iter().any(|c| {
            let needs_value = !c.operator.negated
                && !c.operator.if_exists
                && c.operator.set != SetTest::ForAllValues;
            needs_value && ENOUGH.contains(&&*c.key_lower) && c.values.iter().all(|v| v != "*")
        });
        foreign && !bound && s.action.overlaps(&Pattern::new("sts:assumerole"))
    });
    Ok(result)
}

/// Services that send `aws:SourceArn` or `aws:SourceAccount` when they assume a role (from their own guides'
/// pages on the confused deputy problem). A service that is not listed is not reported.
const SENDS_SOURCE: &[&str] = &[
    "access-analyzer",
    "appflow",
    "apprunner",
    "appsync",
    "backup",
    "batch",
    "bedrock",
    "bedrock-agentcore",
    "braket",
    "budgets",
    "cloudtrail",
    "codebuild",
    "codedeploy",
    "codepipeline",
    "comprehend",
    "config",
    "connect",
    "databrew",
    "datapipeline",
    "datasync",
    "dlm",
    "dms",
    "ecs-tasks",
    "eks",
    "emr-serverless",
    "events",
    "export.rds",
    "finspace",
    "firehose",
    "fis",
    "forecast",
    "frauddetector",
    "gamelift",
    "glue",
    "healthlake",
    "imagebuilder",
    "iot",
    "ivs",
    "kendra",
    "kinesisanalytics",
    "lex",
    "lexv2",
    "logs",
    "macie",
    "mediaconvert",
    "monitoring.rds",
    "mwaa",
    "omics",
    "osis",
    "personalize",
    "pipes",
    "polly",
    "quicksight",
    "rds",
    "redshift",
    "rekognition",
    "resiliencehub",
    "rolesanywhere",
    "s3",
    "s3.batchoperations",
    "batchoperations.s3",
    "sagemaker",
    "scheduler",
    "securitylake",
    "servicecatalog",
    "ses",
    "sns",
    "ssm",
    "states",
    "storagegateway",
    "textract",
    "timestream",
    "transcribe",
    "transfer",
    "translate",
    "vmie",
    "vpc-flow-logs",
    "wellarchitected",
    "workspaces",
    "xray",
];

/// Whether a trust policy lets a service in that says on whose behalf it acts, without looking at that
/// (IAM User Guide, "Cross-service confused deputy prevention").
///
/// # Errors
/// The document cannot be read.
pub fn trust_policy_confused_deputy(policy_json: &str) -> Result<bool, PolicyError> {
    let policy = Policy::known(policy_json)?;
    Ok(!confused_services(&policy).is_empty())
}

/// The services that a trust policy lets in without a source condition, sorted.
pub fn confused_services(policy: &Policy) -> Vec<String> {
    const BINDS: &[&str] = &[
        "aws:sourcearn",
        "aws:sourceaccount",
        "aws:sourceorgid",
        "aws:sourceorgpaths",
    ];
    let mut out = BTreeSet::new();
    for statement in policy.with_effect(Effect::Allow) {
        let bound = statement.conditions.iter().any(|c| {
            BINDS.contains(&&*c.key_lower)
                && !c.operator.negated
                && c.values.iter().all(|v| v != "*")
        });
        if bound || !statement.action.overlaps(&Pattern::new("sts:assumerole")) {
            continue;
        }
        for entry in statement
            .principal
            .iter()
            .filter(|p| !p.negated)
            .flat_map(|p| &p.entries)
        {
            if let PrincipalEntry::Service(service) = entry
                && let Some(name) = service.split(".amazonaws.com").next()
                && SENDS_SOURCE.contains(&name)
            {
                out.insert(service.clone());
            }
        }
    }
    out.into_iter().collect()
}

/// Whether a trust policy lets a service assume the role.
///
/// # Errors
/// The document cannot be read.
pub fn trust_policy_allows_service(policy_json: &str, service: &str) -> Result<bool, PolicyError> {
    let policy = Policy::known(policy_json)?;
    let principal = crate::request::Principal::new(service);
    let hit = |effect| {
        policy.with_effect(effect).any(|s| {
            s.principal.as_ref().is_some_and(|p| {
                p.entries.iter().any(|e| {
                    matches!(e, PrincipalEntry::Service(_)) && e.names(&principal).is_some()
                })
            }) && s.action.covers(&Pattern::new("sts:assumerole"))
                && (effect == Effect::Allow || s.conditions.is_empty())
        })
    };
    Ok(hit(Effect::Allow) && !hit(Effect::Deny))
}

/// Whether policies that apply together let their holder change permissions of identities on all resources.
pub(crate) fn grants_iam_change(policies: &[&Policy]) -> bool {
    SELF_GRANT
        .iter()
        .any(|p| grants_on_everything(policies, &Pattern::new(p)))
}

/// Whether one statement's actions and resources include all of another's, without regard to conditions.
pub(crate) fn statement_covers(outer: &Statement, inner: &Statement) -> bool {
    let actions = match (outer.action.negated, inner.action.negated) {
        (_, false) => inner.action.patterns.iter().all(|p| outer.action.covers(p)),
        (false, true) => outer.action.covers(&Pattern::Any),
        (true, true) => outer
            .action
            .patterns
            .iter()
            .all(|o| inner.action.patterns.iter().any(|i| i.covers(o))),
    };
    let resources = match (&outer.resource, &inner.resource) {
        (None, _) => true,
        (Some(o), _) if o.is_everything() => true,
        (Some(o), Some(i)) if !o.negated && !i.negated => i.patterns.iter().all(|p| {
            o.patterns
                .iter()
                .filter(|q| !q.has_variable())
                .any(|q| q.widest().covers(&p.widest()))
        }),
        _ => false,
    };
    actions && resources
}
