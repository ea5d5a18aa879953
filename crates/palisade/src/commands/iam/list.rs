//! `palisade iam who-can`, `what-can`, `admins` and `external`.
use super::source::{Load, check_action, check_resource, gap_lines, gaps, open};
use super::{print_json, print_lines};
use crate::Outcome;
use crate::cli::{List, OutputFormat, WhatCan, WhoCan};
use crate::error::Failure;
use crate::output::Terminal;
use palisade_iam::{Catalogue, CatalogueError, Truth};
use palisade_scan::IamQuestion;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub fn who_can(args: &WhoCan, load: Load<'_>, terminal: &Terminal) -> Result<Outcome, Failure> {
    check_action(&args.action, terminal)?;
    check_resource(&args.action, &args.resource, terminal)?;
    let question = IamQuestion::Request(&args.resource);
    let source = open(&args.accounts, question, &[], load, terminal)?;
    let context = source.context(&args.keys)?;
    let found = source.model.who_can(&args.action, &args.resource, &context);
    let (depends, sure): (Vec<_>, Vec<_>) = found.iter().partition(|g| g.conditional);
    if args.format == OutputFormat::Json {
        let names = |list: &[&palisade_iam::Grant]| -> Value {
            list.iter().map(|g| g.principal.as_str()).collect()
        };
        print_json(&json!({
            "action": args.action,
            "resource": args.resource,
            "can": names(&sure),
            "depends": names(&depends),
            "not_known": gaps(&source.model),
        }))?;
        return Ok(Outcome::Done);
    }
    let mut lines = vec![format!(
        "{} of {} users and roles can {} on {}",
        sure.len(),
        source.model.entities.len(),
        args.action,
        args.resource
    )];
    lines.extend(sure.iter().map(|g| format!("  {}", g.principal)));
    if !depends.is_empty() {
        lines.push(String::new());
        lines.push(format!(
            "{} more, depending on conditions or on what is not known:",
            depends.len()
        ));
        lines.extend(depends.iter().map(|g| format!("  {}", g.principal)));
        lines.extend(gap_lines(&source.model));
    }
    print_lines(&lines)?;
    Ok(Outcome::Done)
}

fn damaged(error: CatalogueError) -> Failure {
    Failure::Connect {
        message: error.to_string(),
        hint: None,
    }
}

/// The catalogue of actions.
pub fn actions() -> Result<&'static Catalogue, Failure> {
    Catalogue::embedded().map_err(damaged)
}

pub fn what_can(args: &WhatCan, load: Load<'_>, terminal: &Terminal) -> Result<Outcome, Failure> {
    let source = open(&args.accounts, IamQuestion::Everything, &[], load, terminal)?;
    let entity = source.known_entity(&args.principal)?;
    let context = source.context(&args.keys)?;
    let catalogue = actions()?;
    let found = source.model.what_can(&entity.arn, &context, catalogue);
    if args.format == OutputFormat::Json {
        let grants: Vec<Value> = found
            .iter()
            .map(|(action, grant)| {
                json!({
                    "action": action,
                    "access_level": catalogue.access_level(action).map(|l| l.as_str()),
                    "example_resource": grant.principal,
                    "depends": grant.conditional,
                })
            })
            .collect();
        print_json(&json!({
            "principal": entity.arn,
            "actions": grants,
            "unreadable_policies": entity.unreadable,
            "not_known": gaps(&source.model),
        }))?;
        return Ok(Outcome::Done);
    }
    let sure = found.values().filter(|g| !g.conditional).count();
    let mut lines = vec![format!(
        "{} can do {sure} actions, and {} more depending on conditions or on what is not known",
        entity.arn,
        found.len() - sure
    )];
    if args.all {
        for (action, grant) in &found {
            let depends = if grant.conditional { "  (depends)" } else { "" };
            lines.push(format!("  {action}  on {}{depends}", grant.principal));
        }
    } else {
        lines.extend(by_service(&found, catalogue));
        if !found.is_empty() {
            lines.push("--all lists every action".to_owned());
        }
    }
    for policy in &entity.unreadable {
        lines.push(format!("  not known: the text of {policy}"));
    }
    lines.extend(gap_lines(&source.model));
    print_lines(&lines)?;
    Ok(Outcome::Done)
}

/// One line a service: how many actions of which access levels.
fn by_service(found: &BTreeMap<String, palisade_iam::Grant>, catalogue: &Catalogue) -> Vec<String> {
    let mut services: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for action in found.keys() {
        let service = action.split(':').next().unwrap_or_default();
        let level = catalogue
            .access_level(action)
            .map_or("other", |l| l.as_str());
        *services
            .entry(service)
            .or_default()
            .entry(level)
            .or_default() += 1;
    }
    let line = |(service, levels): (&str, BTreeMap<&str, usize>)| {
        let parts: Vec<String> = levels
            .iter()
            .map(|(level, count)| format!("{count} {}", level.to_lowercase()))
            .collect();
        format!("  {service:<24} {}", parts.join(", "))
    };
    services.into_iter().map(line).collect()
}

pub fn admins(args: &List, load: Load<'_>, terminal: &Terminal) -> Result<Outcome, Failure> {
    let source = open(&args.accounts, IamQuestion::Principals, &[], load, terminal)?;
    let found = source.model.possible_admins();
    let of = |wanted: Truth| -> Vec<&str> {
        found
            .iter()
            .filter(|(_, truth)| *truth == wanted)
            .map(|(arn, _)| arn.as_str())
            .collect()
    };
    let (sure, depends) = (of(Truth::True), of(Truth::Unknown));
    if args.format == OutputFormat::Json {
        print_json(
            &json!({ "admins": sure, "depends": depends, "not_known": gaps(&source.model) }),
        )?;
        return Ok(Outcome::Done);
    }
    let mut lines = vec![format!(
        "{} of {} users and roles are administrators",
        sure.len(),
        source.model.entities.len()
    )];
    lines.extend(sure.iter().map(|arn| format!("  {arn}")));
    if !depends.is_empty() {
        lines.push(String::new());
        lines.push(format!(
            "{} more, unless a policy that is not known limits them:",
            depends.len()
        ));
        lines.extend(depends.iter().map(|arn| format!("  {arn}")));
        lines.extend(gap_lines(&source.model));
    }
    print_lines(&lines)?;
    Ok(Outcome::Done)
}

pub fn external(args: &List, load: Load<'_>, terminal: &Terminal) -> Result<Outcome, Failure> {
    let source = open(&args.accounts, IamQuestion::External, &[], load, terminal)?;
    let found = source.model.external();
    if args.format == OutputFormat::Json {
        let list: Vec<Value> = found
            .iter()
            .map(|e| json!({ "resource": e.resource, "from": e.kind.as_str(), "who": e.who, "through": e.through, "blocked_by": e.blocked_by }))
            .collect();
        print_json(&json!({ "external": list, "not_known": gaps(&source.model) }))?;
        return Ok(Outcome::Done);
    }
    let mut lines = Vec::new();
    for (kind, title) in [
        (palisade_iam::ExternalKind::Public, "by everyone"),
        (
            palisade_iam::ExternalKind::CrossAccount,
            "by other accounts",
        ),
        (
            palisade_iam::ExternalKind::Organization,
            "by the organisation",
        ),
        (
            palisade_iam::ExternalKind::Federation,
            "by identity providers",
        ),
    ] {
        let of = found.iter().filter(|e| e.kind == kind);
        let of: Vec<_> = of.filter(|e| e.blocked_by.is_empty()).collect();
        lines.push(format!("reachable {title}: {}", of.len()));
        for access in of {
            lines.push(format!("  {}", access.resource));
            let who = if access.who == "*" {
                "everyone"
            } else {
                &access.who
            };
            lines.push(format!("      {who}, by {}", access.through));
        }
    }
    let blocked: Vec<_> = found.iter().filter(|e| !e.blocked_by.is_empty()).collect();
    if !blocked.is_empty() {
        lines.push(format!(
            "let in, and blocked by resource control policies: {}",
            blocked.len()
        ));
        for access in blocked {
            lines.push(format!("  {}", access.resource));
            lines.push(format!(
                "      {}, by {}; blocked by {}",
                if access.who == "*" {
                    "everyone"
                } else {
                    &access.who
                },
                access.through,
                access.blocked_by.join(", ")
            ));
        }
    }
    lines.extend(gap_lines(&source.model));
    print_lines(&lines)?;
    Ok(Outcome::Done)
}
