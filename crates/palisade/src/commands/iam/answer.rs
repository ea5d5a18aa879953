//! `palisade iam can` and `palisade iam explain`.
use super::source::{Load, Source, check_action, check_resource, content, open, read, usage};
use super::{print_json, print_lines};
use crate::Outcome;
use crate::cli::{Can, Decision as Expected, OutputFormat};
use crate::error::Failure;
use crate::output::Terminal;
use palisade_iam::{
    Answer, Decision, Layer, LayerAnswer, NamedPolicy, Passed, Policy, Principal, PrincipalKind,
};
use palisade_scan::IamQuestion;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

pub fn can(
    args: &Can,
    is_whole: bool,
    load: Load<'_>,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    check_action(&args.action, terminal)?;
    check_resource(&args.action, &args.resource, terminal)?;
    let question = IamQuestion::Request(&args.resource);
    let source = open(&args.accounts, question, &[], load, terminal)?;
    let context = source.context(&args.keys)?;
    let principal = principal(&source, &args.principal)?;
    let passed = passed(args, &principal)?;
    let answer = source
        .model
        .can_with(&principal, &args.action, &args.resource, &context, &passed);
    match args.format {
        OutputFormat::Json => print_json(&as_json(args, &principal, &answer, &source))?,
        OutputFormat::Text if is_whole => print_lines(&chain(args, &principal, &answer, &source))?,
        OutputFormat::Text => print_lines(&short(args, &principal, &answer, &source))?,
    }
    Ok(outcome(args, &answer, terminal))
}

/// The policies that come with the request.
fn passed(args: &Can, principal: &str) -> Result<Passed, Failure> {
    let policy = |path: &PathBuf| {
        let policy = Policy::parse(&read(path)?).map_err(|e| content(path, e))?;
        Ok(NamedPolicy {
            name: path.display().to_string(),
            policy: Arc::new(policy),
        })
    };
    let is_role = matches!(
        Principal::new(principal).kind,
        PrincipalKind::Role | PrincipalKind::AssumedRole
    );
    if !args.session_policy.is_empty() && !is_role {
        return Err(usage(
            format!("`{principal}` is no role: only sessions of roles have session policies here"),
            None,
        ));
    }
    let session: Result<Vec<NamedPolicy>, Failure> =
        args.session_policy.iter().map(policy).collect();
    let session = session?;
    let endpoint = args.endpoint_policy.as_ref().map(policy).transpose()?;
    Ok(Passed {
        session: (!session.is_empty()).then_some(session),
        endpoint: endpoint.map(|policy| vec![policy]),
    })
}

fn outcome(args: &Can, answer: &Answer, terminal: &Terminal) -> Outcome {
    let Some(expected) = args.expect else {
        return Outcome::Done;
    };
    let (word, holds) = match expected {
        Expected::Allow => ("allow", answer.decision == Decision::Allow),
        Expected::Deny => (
            "deny",
            matches!(
                answer.decision,
                Decision::ImplicitDeny | Decision::ExplicitDeny
            ),
        ),
    };
    if holds {
        return Outcome::Done;
    }
    terminal.warn(&format!(
        "expected {word}, the answer is {}",
        words(answer.decision)
    ));
    Outcome::Findings
}

/// The ARN of a known user or role; outsiders, services and everyone as they are written.
fn principal(source: &Source, text: &str) -> Result<String, Failure> {
    if let Some(entity) = source.entity(text)? {
        return Ok(entity.arn.clone());
    }
    let principal = Principal::new(text);
    let is_outsider = match principal.account() {
        Some(account) => {
            !source.model.has_account(account) || principal.kind == PrincipalKind::Root
        }
        None => text == "*" || text.contains('.'),
    };
    if is_outsider {
        Ok(text.to_owned())
    } else {
        Err(source.unknown(text))
    }
}

fn words(decision: Decision) -> &'static str {
    match decision {
        Decision::Allow => "allow",
        Decision::ImplicitDeny => "deny (nothing allows it)",
        Decision::ExplicitDeny => "deny (a statement denies it)",
        Decision::DependsOn => "depends on what is not known",
    }
}

fn says(layer: &LayerAnswer) -> &'static str {
    use palisade_iam::Truth::{True, Unknown};
    match (layer.deny, layer.allow) {
        (True, _) => "denies",
        (Unknown, True) => "allows, unless a deny holds",
        (Unknown, _) => "not decided",
        (_, True) => "allows",
        (_, Unknown) => "may allow",
        _ => "does not allow",
    }
}

fn by(layer: &LayerAnswer) -> Option<String> {
    let by = layer.by.as_ref()?;
    Some(format!(
        "statement {} of {}, line {}",
        by.statement, by.policy, by.position.line
    ))
}

fn title(layer: Layer) -> &'static str {
    match layer {
        Layer::ResourceControl => "resource control policy",
        Layer::ServiceControl => "service control policy",
        Layer::Resource => "policy of the resource",
        Layer::Bucket => "bucket behind the access point",
        Layer::Identity => "policies of the principal",
        Layer::Boundary => "permissions boundary",
        Layer::Session => "session policy",
        Layer::Endpoint => "endpoint policy",
    }
}

fn short(args: &Can, principal: &str, answer: &Answer, source: &Source) -> Vec<String> {
    let mut out = vec![
        words(answer.decision).to_owned(),
        format!("  {principal}"),
        format!("  {} on {}", args.action, args.resource),
    ];
    match answer.decision {
        Decision::Allow => {
            let allowing = answer.layers.iter().filter(|l| {
                l.allow.is_true()
                    && matches!(l.layer, Layer::Identity | Layer::Resource | Layer::Bucket)
            });
            out.extend(allowing.filter_map(|l| Some(format!("  allowed by {}", by(l)?))));
        }
        Decision::ExplicitDeny => {
            let denying = answer.layers.iter().filter(|l| l.deny.is_true());
            out.extend(denying.filter_map(|l| Some(format!("  {}: {}", title(l.layer), by(l)?))));
        }
        _ => {}
    }
    out.extend(ending(&args.resource, answer, source));
    out
}

fn chain(args: &Can, principal: &str, answer: &Answer, source: &Source) -> Vec<String> {
    let mut out = vec![
        format!("who       {principal}"),
        format!("action    {}", args.action),
        format!("resource  {}", args.resource),
        String::new(),
    ];
    for (at, layer) in answer.layers.iter().enumerate() {
        let place = layer
            .level
            .as_ref()
            .map_or_else(String::new, |l| format!(" at {l}"));
        out.push(format!(
            "{:>2}. {}{place}: {}",
            at + 1,
            title(layer.layer),
            says(layer)
        ));
        match by(layer) {
            Some(by) => out.push(format!("    {by}")),
            None => out.push(format!("    {}", without_statement(layer))),
        }
    }
    out.push(String::new());
    out.push(format!("answer    {}", words(answer.decision)));
    out.extend(ending(&args.resource, answer, source));
    out
}

fn without_statement(layer: &LayerAnswer) -> &'static str {
    use palisade_iam::Truth::{True, Unknown};
    match (layer.deny, layer.allow) {
        (Unknown, _) => "it could not be read",
        (_, True) => "nothing in it limits this",
        _ => "no statement speaks of this request",
    }
}

/// What blocks, what would have to change, and what it depends on.
fn ending(resource: &str, answer: &Answer, source: &Source) -> Vec<String> {
    let mut out = Vec::new();
    for layer in &answer.blocked_by {
        let change = match (answer.decision, layer) {
            (Decision::ExplicitDeny, _) => "its deny would have to go",
            (_, Layer::Identity) => "a policy of the principal would have to allow it",
            (_, Layer::Resource) => "the resource's policy would have to name the principal",
            (_, Layer::Bucket) => {
                "its policy would have to allow it, or to leave access to the access point (s3:DataAccessPointAccount)"
            }
            _ => "it would have to allow it too",
        };
        out.push(format!("  blocked by the {}: {change}", title(*layer)));
    }
    out.extend(
        answer
            .depends_on
            .iter()
            .map(|what| format!("  depends on {what}")),
    );
    if answer.decision == Decision::DependsOn {
        out.extend(
            relevant(resource, answer, source)
                .into_iter()
                .map(|r| format!("  not known: {r}")),
        );
    }
    out
}

/// The reasons that concern the answer: those of guardrails that take part, and those of the resource.
fn relevant(resource: &str, answer: &Answer, source: &Source) -> Vec<String> {
    let open = |layer: Layer| {
        answer
            .layers
            .iter()
            .any(|l| l.layer == layer && l.by.is_none() && says(l) == "not decided")
    };
    let bucket = resource.split('/').next().unwrap_or(resource);
    let behind: Vec<&str> = answer
        .layers
        .iter()
        .filter(|l| l.layer == Layer::Bucket)
        .filter_map(|l| l.level.as_deref())
        .collect();
    let blocks = answer
        .depends_on
        .iter()
        .any(|d| d.contains("Block Public Access"));
    let guardrails = open(Layer::ServiceControl) || open(Layer::ResourceControl);
    let mut out: Vec<String> = source
        .model
        .known
        .iter()
        .flat_map(|k| &k.reasons)
        .filter(|r| {
            let is_guardrail = r.contains("control policies") || r.contains("guardrails");
            is_guardrail && guardrails
                || r.contains(bucket)
                || behind.iter().any(|b| r.contains(b))
                || blocks && r.starts_with("Block Public Access")
        })
        .cloned()
        .collect();
    if open(Layer::Resource) && !out.iter().any(|r| r.contains(bucket)) {
        out.push(format!(
            "the policy of {resource}: neither it nor its absence was read"
        ));
    }
    out
}

fn as_json(args: &Can, principal: &str, answer: &Answer, source: &Source) -> Value {
    let layer = |l: &LayerAnswer| {
        json!({
            "layer": l.layer.as_str(),
            "level": l.level,
            "says": says(l),
            "statement": l.by.as_ref().map(|b| json!({
                "policy": b.policy, "id": b.statement, "line": b.position.line, "column": b.position.column,
            })),
        })
    };
    json!({
        "principal": principal,
        "action": args.action,
        "resource": args.resource,
        "decision": answer.decision.as_str(),
        "layers": answer.layers.iter().map(layer).collect::<Vec<_>>(),
        "blocked_by": answer.blocked_by.iter().map(|l| l.as_str()).collect::<Vec<_>>(),
        "depends_on": answer.depends_on,
        "not_known": if answer.decision == Decision::DependsOn {
            relevant(&args.resource, answer, source)
        } else {
            Vec::new()
        },
    })
}
