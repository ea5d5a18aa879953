//! `palisade iam escalation`.
use super::source::{Load, gap_lines, gaps, open};
use super::{print_json, print_lines};
use crate::Outcome;
use crate::cli::{Escalation as Args, OutputFormat};
use crate::error::Failure;
use crate::output::Terminal;
use palisade_iam::{Escalation, Graph, Rules, Step};
use palisade_scan::IamQuestion;
use serde_json::{Value, json};

pub fn run(args: &Args, load: Load<'_>, terminal: &Terminal) -> Result<Outcome, Failure> {
    let source = open(&args.accounts, IamQuestion::Escalation, &[], load, terminal)?;
    let rules = Rules::embedded().map_err(|e| Failure::Connect {
        message: e.to_string(),
        hint: None,
    })?;
    let found = match &args.principal {
        Some(text) => {
            let entity = source.known_entity(text)?;
            let graph = Graph::of_principal(&source.model, rules, source.now, &entity.arn);
            graph.escalation(&entity.arn).into_iter().collect()
        }
        None => Graph::new(&source.model, rules, source.now).all(),
    };
    if args.format == OutputFormat::Json {
        let list: Vec<Value> = found.iter().map(as_json).collect();
        print_json(&json!({ "principals": list, "not_known": gaps(&source.model) }))?;
        return Ok(Outcome::Done);
    }
    let mut lines = Vec::new();
    if args.principal.is_none() {
        let admin = found.iter().filter(|e| e.to_admin.is_some()).count();
        lines.push(format!(
            "{} of {} users and roles can gain permissions, {admin} of them can become administrator",
            found.len(),
            source.model.entities.len()
        ));
    }
    let (to_admin, others): (Vec<_>, Vec<_>) = found
        .iter()
        .partition(|e| e.to_admin.is_some() || args.principal.is_some());
    for escalation in to_admin {
        if args.principal.is_none() {
            lines.push(String::new());
        }
        lines.extend(describe(escalation));
    }
    if !others.is_empty() {
        lines.push(String::new());
        lines.push("can get hold of others, not of an administrator:".to_owned());
        for escalation in others {
            let names: Vec<&str> = escalation
                .reaches
                .iter()
                .filter_map(|arn| arn.split(':').nth(5))
                .collect();
            lines.push(format!("  {}", escalation.principal));
            lines.push(format!("      {}", names.join(", ")));
        }
    }
    lines.extend(gap_lines(&source.model));
    print_lines(&lines)?;
    Ok(Outcome::Done)
}

fn describe(found: &Escalation) -> Vec<String> {
    let mut out = vec![found.principal.clone()];
    if found.is_admin {
        out.push("  is an administrator".to_owned());
        return out;
    }
    match &found.to_admin {
        Some(steps) => {
            let (s, n) = (if steps.len() == 1 { "" } else { "s" }, steps.len());
            out.push(format!("  can become administrator in {n} step{s}:"));
            for (at, step) in steps.iter().enumerate() {
                out.extend(step_lines(at + 1, step));
            }
        }
        None if found.escalates => {
            out.push("  can gain permissions, not those of an administrator".to_owned())
        }
        None => out.push("  cannot gain permissions".to_owned()),
    }
    if !found.reaches.is_empty() {
        out.push(format!(
            "  can get hold of {} users and roles:",
            found.reaches.len()
        ));
        const SHOWN: usize = 10;
        out.extend(found.reaches.iter().take(SHOWN).map(|r| format!("    {r}")));
        if found.reaches.len() > SHOWN {
            out.push(format!(
                "    … {} more (--format json)",
                found.reaches.len() - SHOWN
            ));
        }
    }
    out
}

fn step_lines(number: usize, step: &Step) -> Vec<String> {
    let mut out = vec![
        format!("  {number}. {} [{}]", step.title, step.path),
        format!("     {} on {}", step.actions.join(", "), step.resource),
        format!("     leads to {}", step.to),
    ];
    let mut but = Vec::new();
    if step.conditional {
        but.push("depends on conditions or on what is not known");
    }
    if step.assumed {
        but.push("needs something that is assumed to exist");
    }
    if step.indirect {
        but.push("empowers an identity that has to be taken over besides");
    }
    if !but.is_empty() {
        out.push(format!("     {}", but.join("; ")));
    }
    out.push(format!("     break it: {}", step.break_by));
    out
}

fn as_json(found: &Escalation) -> Value {
    let step = |s: &Step| {
        json!({
            "from": s.from, "to": s.to, "rule": s.rule, "path": s.path, "title": s.title, "actions": s.actions,
            "resource": s.resource, "depends": s.conditional, "assumed": s.assumed, "indirect": s.indirect,
            "break_by": s.break_by,
        })
    };
    json!({
        "principal": found.principal,
        "is_admin": found.is_admin,
        "escalates": found.escalates,
        "to_admin": found.to_admin.as_ref().map(|steps| steps.iter().map(step).collect::<Vec<_>>()),
        "reaches": found.reaches,
        "paths": found.paths,
    })
}
