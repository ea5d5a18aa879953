//! `palisade iam least-privilege`.
use super::source::{content, read};
use super::{list, print_json, print_lines};
use crate::Outcome;
use crate::cli::{LeastPrivilege as Args, OutputFormat};
use crate::error::Failure;
use crate::output::Terminal;
use palisade_iam::{LeastPrivilege, Policy};
use serde_json::{Value, json};
use std::io::Read;
use std::path::{Path, PathBuf};

pub fn run(args: &Args, terminal: &Terminal) -> Result<Outcome, Failure> {
    let catalogue = list::actions()?;
    let mut files = Vec::new();
    for path in &args.paths {
        find(path, &mut files)?;
    }
    if files.is_empty() {
        return Err(Failure::Usage {
            message: "there is no log file".to_owned(),
            hint: Some("CloudTrail's files end in `.json` or `.json.gz`".to_owned()),
        });
    }
    let mut reader = palisade_iam::UsageReader::new(args.principal.as_deref(), catalogue);
    for path in &files {
        reader.add(&text(path)?).map_err(|e| content(path, e))?;
    }
    let found = reader.finish();
    if found.events == 0 {
        terminal.warn(match args.principal {
            Some(_) => "no event is of this principal: the policy allows nothing",
            None => "no event was read: the policy allows nothing",
        });
    }
    let compared = match &args.current {
        Some(path) => Some(compare(path, &found)?),
        None => None,
    };
    match args.format {
        OutputFormat::Json => print_json(&json!({
            "policy": found.policy,
            "events": found.events,
            "files": files.len(),
            "used": found.used,
            "refused": found.refused,
            "unknown_events": found.unknown,
            "notes": found.notes,
            "compared": compared.as_ref().map(|c| json!({ "shrinks": c.shrinks, "missing": c.missing })),
        }))?,
        OutputFormat::Text => {
            // The policy alone on stdout, so that it can be stored; what is to be known about it beside it.
            print_lines(&[format!("{:#}", found.policy)])?;
            for line in about(&found, files.len(), compared.as_ref()) {
                terminal.note(&line);
            }
        }
    }
    Ok(Outcome::Done)
}

struct Compared {
    shrinks: Option<String>,
    missing: Option<String>,
}

fn compare(path: &Path, found: &LeastPrivilege) -> Result<Compared, Failure> {
    let current = Policy::parse(&read(path)?).map_err(|e| content(path, e))?;
    let made = Policy::parse(&found.policy.to_string()).map_err(|e| content(path, e))?;
    let example = |before: &Policy, after: &Policy| {
        palisade_iam::diff(&[before], &[after])
            .map(|w| w.map(|w| format!("{} on {}", w.action, w.resource)))
            .map_err(|e| content(path, e))
    };
    Ok(Compared {
        shrinks: example(&made, &current)?,
        missing: example(&current, &made)?,
    })
}

fn about(found: &LeastPrivilege, files: usize, compared: Option<&Compared>) -> Vec<String> {
    let mut out = vec![format!(
        "{} events in {files} files; {} actions used",
        found.events,
        found.used.len()
    )];
    for (what, list) in [
        ("tried and refused, not in the policy", &found.refused),
        ("events that no action is known for", &found.unknown),
    ] {
        if !list.is_empty() {
            out.push(format!("{what}: {}", list.join(", ")));
        }
    }
    if let Some(compared) = compared {
        out.push(match &compared.shrinks {
            Some(example) => format!("no longer allowed, for example: {example}"),
            None => "the current policy allows nothing more".to_owned(),
        });
        if let Some(example) = &compared.missing {
            out.push(format!(
                "used and not allowed by the current policy: {example}"
            ));
        }
    }
    out.extend(found.notes.iter().map(|n| format!("note: {n}")));
    out
}

/// Log files of a path, folders by name, so that the order is the same in every run.
fn find(path: &Path, out: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let failed = |source| Failure::Input {
        path: path.to_owned(),
        source,
    };
    if !path.metadata().map_err(failed)?.is_dir() {
        out.push(path.to_owned());
        return Ok(());
    }
    let mut entries = std::fs::read_dir(path)
        .and_then(|d| {
            d.map(|e| e.map(|e| e.path()))
                .collect::<Result<Vec<_>, _>>()
        })
        .map_err(failed)?;
    entries.sort();
    for entry in entries {
        let name = entry.to_string_lossy();
        if entry.is_dir() || name.ends_with(".json") || name.ends_with(".json.gz") {
            find(&entry, out)?;
        }
    }
    Ok(())
}

/// The text of a plain or compressed file.
fn text(path: &Path) -> Result<String, Failure> {
    let failed = |source| Failure::Input {
        path: path.to_owned(),
        source,
    };
    let bytes = std::fs::read(path).map_err(failed)?;
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return String::from_utf8(bytes).map_err(|e| content(path, e));
    }
    let mut out = String::new();
    flate2::read::MultiGzDecoder::new(bytes.as_slice())
        .read_to_string(&mut out)
        .map_err(failed)?;
    Ok(out)
}

/// The services of last-accessed data that were used.
pub fn services_used(text: &str, path: &Path) -> Result<(Vec<String>, Vec<String>), Failure> {
    let value: Value = serde_json::from_str(text).map_err(|e| content(path, e))?;
    let Some(services) = value.get("ServicesLastAccessed").and_then(Value::as_array) else {
        return Err(content(path, "there is no `ServicesLastAccessed` in it"));
    };
    if value.get("IsTruncated") == Some(&Value::Bool(true)) {
        return Err(content(path, "it is only the first page (`IsTruncated`)"));
    }
    let (mut used, mut unused) = (Vec::new(), Vec::new());
    for service in services {
        let Some(prefix) = service.get("ServiceNamespace").and_then(Value::as_str) else {
            continue;
        };
        match service.get("LastAuthenticated").and_then(Value::as_str) {
            Some(_) => used.push(prefix.to_owned()),
            None => unused.push(prefix.to_owned()),
        }
    }
    used.sort();
    unused.sort();
    Ok((used, unused))
}
