//! The decision told layer by layer.

use super::layer::{LayerTruth, applies};
use super::{Decision, Layer, Level, PolicySets, Prepared, Source, Verdict, special};
use crate::error::Position;
use crate::policy::{Effect, Policy};
use crate::request::{PrincipalKind, Request};
use crate::truth::Truth;

/// A statement that decided a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deciding {
    /// Name of the policy.
    pub policy: String,
    /// `Sid`, or `#1` for the first statement.
    pub statement: String,
    /// Where the statement begins in its document.
    pub position: Position,
}

/// What one layer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerAnswer {
    /// The layer.
    pub layer: Layer,
    /// For SCPs and RCPs: the root, unit or account.
    pub level: Option<String>,
    /// Whether it allows.
    pub allow: Truth,
    /// Whether it denies.
    pub deny: Truth,
    /// The statement that denies, else the one that allows.
    pub by: Option<Deciding>,
}

/// A decision with its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The decision.
    pub decision: Decision,
    /// Every layer that took part, in order.
    pub layers: Vec<LayerAnswer>,
    /// The layers that deny, or that do not allow although they must: what would have to change.
    pub blocked_by: Vec<Layer>,
    /// For [`Decision::DependsOn`]: the conditions that are not determined.
    pub depends_on: Vec<String>,
}

impl Answer {
    /// The answer as lines that a person can follow.
    pub fn to_lines(&self) -> Vec<String> {
        let mut out = vec![self.decision.as_str().to_owned()];
        for layer in &self.layers {
            let place = layer
                .level
                .as_ref()
                .map_or_else(String::new, |l| format!(" at {l}"));
            let says = match (layer.deny, layer.allow) {
                (Truth::True, _) => "denies",
                (Truth::Unknown, _) => "may deny",
                (_, Truth::True) => "allows",
                (_, Truth::Unknown) => "may allow",
                _ => "does not allow",
            };
            let by = layer.by.as_ref().map_or_else(String::new, |b| {
                format!(
                    ": statement {} of {} (line {})",
                    b.statement, b.policy, b.position.line
                )
            });
            out.push(format!("{}{place} {says}{by}", layer.layer.as_str()));
        }
        if !self.blocked_by.is_empty() {
            let names: Vec<&str> = self.blocked_by.iter().map(|l| l.as_str()).collect();
            out.push(format!("blocked by {}", names.join(", ")));
        }
        out.extend(self.depends_on.iter().map(|c| format!("depends on {c}")));
        out
    }
}

pub(super) fn answer(request: &Request, sets: &PolicySets<'_>) -> Answer {
    let prepared = Prepared::new(request);
    let verdict = Verdict::new(&prepared, sets);
    let decision = verdict.decision(&prepared);
    let layers = layers(&prepared, sets, &verdict);
    let blocked_by = match decision {
        Decision::Allow | Decision::DependsOn => Vec::new(),
        Decision::ExplicitDeny => distinct(layers.iter().filter(|l| l.deny.is_true())),
        Decision::ImplicitDeny => distinct(
            layers
                .iter()
                .filter(|l| l.allow.is_false() && must_allow(l, &prepared, &verdict)),
        ),
    };
    let depends_on = if decision == Decision::DependsOn {
        let mut out: Vec<String> = unread(&prepared, sets)
            .map(|layer| format!("{}, which is not known", layer.describe()))
            .collect();
        out.extend(undetermined(&prepared, sets));
        for bucket in &sets.behind {
            if bucket.is_unread {
                out.push(format!("the policy of {}, which is not known", bucket.arn));
            }
            if let (Some(vpc), Truth::Unknown) =
                (bucket.vpc, bucket.comes_from_vpc(&request.context))
            {
                out.push(format!(
                    "aws:SourceVpc, which the access point wants to be {vpc}"
                ));
            }
            let seen = bucket.request(request);
            let behind = PolicySets {
                resource: bucket.policy,
                behind: Vec::new(),
                ..sets.clone()
            };
            out.extend(undetermined(&Prepared::new(&seen), &behind));
        }
        if sets.restrict_public_buckets == Truth::Unknown
            || sets
                .behind
                .iter()
                .any(|b| b.restrict_public_buckets == Truth::Unknown)
        {
            out.push("Block Public Access of S3, which is not known".to_owned());
        }
        if let [first, others @ ..] = verdict.behind.as_slice()
            && others
                .iter()
                .any(|b| (b.allow, b.deny) != (first.allow, first.deny))
        {
            out.push("which of the buckets answers".to_owned());
        }
        out.sort();
        out.dedup();
        out
    } else {
        Vec::new()
    };
    Answer {
        decision,
        layers,
        blocked_by,
        depends_on,
    }
}

fn distinct<'a>(layers: impl Iterator<Item = &'a LayerAnswer>) -> Vec<Layer> {
    let mut out: Vec<Layer> = layers.map(|l| l.layer).collect();
    out.sort();
    out.dedup();
    out
}

/// Whether an allow of the layer is needed: a resource policy is not, within an account and in most services; and nothing
/// more is where the caller's policies and the resource's give enough already.
fn must_allow(layer: &LayerAnswer, prepared: &Prepared<'_>, verdict: &Verdict) -> bool {
    let grants = matches!(
        layer.layer,
        Layer::Resource | Layer::Identity | Layer::Boundary | Layer::Session
    );
    if grants && verdict.granted(prepared).is_true() {
        return false;
    }
    layer.layer != Layer::Resource
        || !verdict.same_account
        || special::needs_resource_policy(&prepared.action)
        || !prepared.request.principal.is_iam()
}

fn deciding(source: &Source<'_>, statement: usize) -> Option<Deciding> {
    source.policy.statements.get(statement).map(|s| Deciding {
        policy: source.name.to_owned(),
        statement: s.label(),
        position: s.position,
    })
}

fn layer_answer(
    layer: Layer,
    level: Option<&str>,
    truth: &LayerTruth,
    policies: &[Source<'_>],
) -> LayerAnswer {
    let place = if truth.deny.is_false() {
        truth.allowed_by
    } else {
        truth.denied_by
    };
    LayerAnswer {
        layer,
        level: level.map(ToOwned::to_owned),
        allow: truth.allow,
        deny: truth.deny,
        by: place.and_then(|(policy, statement)| deciding(policies.get(policy)?, statement)),
    }
}

fn layers(prepared: &Prepared<'_>, sets: &PolicySets<'_>, verdict: &Verdict) -> Vec<LayerAnswer> {
    let mut out = Vec::new();
    let principal = &prepared.request.principal;
    let linked = principal.is_service_linked();
    let mut levels = |layer, levels: &[Level<'_>], implied: bool| {
        for level in levels {
            let mut truth = LayerTruth::of(&level.policies, prepared);
            if implied {
                truth.allow = Truth::True;
            }
            out.push(layer_answer(
                layer,
                Some(level.name),
                &truth,
                &level.policies,
            ));
        }
    };
    if !linked && special::has_resource_control(&prepared.action) {
        levels(
            Layer::ResourceControl,
            &sets.rcp,
            sets.implied_rcp_full_access,
        );
    }
    if !linked && principal.is_iam() {
        levels(Layer::ServiceControl, &sets.scp, false);
    }
    let resource = &verdict.resource;
    let statement = if resource.deny.is_false() {
        resource.allowed_by
    } else {
        resource.denied_by
    };
    out.push(LayerAnswer {
        layer: Layer::Resource,
        level: None,
        allow: resource.any(),
        deny: resource.deny,
        by: statement.and_then(|s| deciding(sets.resource.as_ref()?, s)),
    });
    for (bucket, truth) in sets.behind.iter().zip(&verdict.behind) {
        out.push(LayerAnswer {
            layer: Layer::Bucket,
            level: Some(bucket.arn.to_owned()),
            allow: truth.allow,
            deny: truth.deny,
            by: truth
                .statement
                .and_then(|s| deciding(bucket.policy.as_ref()?, s)),
        });
    }
    if principal.is_iam() && principal.kind != PrincipalKind::Root {
        out.push(layer_answer(
            Layer::Identity,
            None,
            &verdict.identity,
            &sets.identity,
        ));
    }
    for (layer, truth, policies) in [
        (Layer::Boundary, &verdict.boundary, &sets.boundary),
        (Layer::Session, &verdict.session, &sets.session),
        (Layer::Endpoint, &verdict.endpoint, &sets.endpoint),
    ] {
        if let Some(policies) = policies {
            out.push(layer_answer(layer, None, truth, policies));
        }
    }
    for layer in unread(prepared, sets) {
        // What is known of these two stands there already, and says that it may not be all.
        if matches!(layer, Layer::Resource | Layer::Identity) {
            continue;
        }
        out.push(LayerAnswer {
            layer,
            level: None,
            allow: Truth::Unknown,
            deny: Truth::Unknown,
            by: None,
        });
    }
    out.sort_by_key(|l| l.layer);
    out
}

/// The layers that take part and that could not be read whole.
fn unread(prepared: &Prepared<'_>, sets: &PolicySets<'_>) -> impl Iterator<Item = Layer> {
    let principal = &prepared.request.principal;
    let linked = principal.is_service_linked();
    let takes_part = [
        (
            Layer::ResourceControl,
            !linked && special::has_resource_control(&prepared.action),
        ),
        (Layer::ServiceControl, !linked && principal.is_iam()),
        (Layer::Resource, true),
        (
            Layer::Identity,
            principal.is_iam() && principal.kind != PrincipalKind::Root,
        ),
        (Layer::Boundary, principal.is_iam()),
    ];
    let unread = sets.unread;
    takes_part
        .into_iter()
        .filter(move |(layer, part)| *part && unread.contains(*layer))
        .map(|(layer, _)| layer)
}

/// The conditions of statements that may apply, as far as their keys are not known.
fn undetermined(prepared: &Prepared<'_>, sets: &PolicySets<'_>) -> Vec<String> {
    let hierarchies = sets
        .scp
        .iter()
        .chain(&sets.rcp)
        .flat_map(|l| l.policies.iter());
    let optional = [&sets.boundary, &sets.session, &sets.endpoint]
        .into_iter()
        .flatten()
        .flatten();
    let policies: Vec<&Policy> = sets
        .identity
        .iter()
        .chain(sets.resource.iter())
        .chain(hierarchies)
        .chain(optional)
        .map(|s| s.policy)
        .collect();
    let mut out = Vec::new();
    for statement in policies.iter().flat_map(|p| &p.statements) {
        if applies(statement, prepared) != Truth::Unknown {
            continue;
        }
        let word = if statement.effect == Effect::Allow {
            "for the allow"
        } else {
            "against the deny"
        };
        for condition in &statement.conditions {
            if condition.evaluate(&prepared.request.context) == Truth::Unknown {
                out.push(format!(
                    "{} ({word} in {})",
                    condition.describe(),
                    statement.label()
                ));
            }
        }
        if statement.matches_target(&prepared.action, &prepared.arn, &prepared.request.context)
            == Truth::Unknown
        {
            out.push(format!(
                "a policy variable in the resource of {}",
                statement.label()
            ));
        }
    }
    out.sort();
    out.dedup();
    out
}
