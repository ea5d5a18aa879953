//! `palisade iam diff`.
use super::source::{content, read};
use super::{print_json, print_lines};
use crate::Outcome;
use crate::cli::{OutputFormat, PolicyDiff};
use crate::error::Failure;
use palisade_iam::{Policy, Witness};
use serde_json::{Value, json};

pub fn run(args: &PolicyDiff) -> Result<Outcome, Failure> {
    let parse = |path| Policy::parse(&read(path)?).map_err(|e| content(path, e));
    let (before, after) = (parse(&args.before)?, parse(&args.after)?);
    let compare = |a: &Policy, b: &Policy| {
        palisade_iam::diff(&[a], &[b]).map_err(|e| content(&args.after, e))
    };
    let (gained, lost) = (compare(&before, &after)?, compare(&after, &before)?);
    match args.format {
        OutputFormat::Json => print_json(&json!({
            "allows_more": gained.is_some(),
            "allows_less": lost.is_some(),
            "only_after": gained.as_ref().map(as_json),
            "only_before": lost.as_ref().map(as_json),
        }))?,
        OutputFormat::Text => {
            let mut lines = Vec::new();
            for (found, more, same) in [
                (
                    &gained,
                    "B allows what A does not, for example:",
                    "B allows nothing that A does not",
                ),
                (
                    &lost,
                    "A allows what B does not, for example:",
                    "A allows nothing that B does not",
                ),
            ] {
                match found {
                    Some(witness) => {
                        lines.push(more.to_owned());
                        lines.extend(describe(witness));
                    }
                    None => lines.push(same.to_owned()),
                }
            }
            print_lines(&lines)?;
        }
    }
    // A wider policy is what a pipeline wants to stop.
    Ok(if gained.is_some() {
        Outcome::Findings
    } else {
        Outcome::Done
    })
}

fn describe(witness: &Witness) -> Vec<String> {
    let note = if witness.is_known_action {
        ""
    } else {
        "  (no action of the catalogue)"
    };
    let mut out = vec![
        format!("  action    {}{note}", witness.action),
        format!("  resource  {}", witness.resource),
    ];
    for (key, values) in witness.context.to_map() {
        out.push(format!("  context   {key} = {}", values.join(", ")));
    }
    out.push(format!("  allowed by statement {}", witness.allowed_by));
    out
}

fn as_json(witness: &Witness) -> Value {
    json!({
        "action": witness.action,
        "is_known_action": witness.is_known_action,
        "resource": witness.resource,
        "context": witness.context.to_map(),
        "allowed_by": witness.allowed_by,
    })
}
