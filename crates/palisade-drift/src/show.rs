//! A comparison as text for a terminal of 80 columns, and as Markdown.
use crate::change::{ColumnChange, Diff, FindingChange, FindingKind, NotCompared, ResourceKind};
use std::collections::BTreeMap;
use std::fmt::Write;

const WIDTH: usize = 80;

const FINDINGS: &[FindingKind] = &[
    FindingKind::Opened,
    FindingKind::Reopened,
    FindingKind::Changed,
    FindingKind::Unmuted,
    FindingKind::Fixed,
    FindingKind::Gone,
    FindingKind::Muted,
    FindingKind::BecameUnknown,
    FindingKind::BecameReadable,
    FindingKind::NotComparable,
];

const RESOURCES: &[ResourceKind] = &[
    ResourceKind::Added,
    ResourceKind::Removed,
    ResourceKind::Changed,
    ResourceKind::NotComparable,
];

fn resource_counts(diff: &Diff) -> String {
    let mut parts: Vec<String> = Vec::new();
    for kind in RESOURCES {
        let n = diff.resources_of(*kind);
        if n > 0 || *kind != ResourceKind::NotComparable {
            parts.push(format!("{n} {}", kind.as_str()));
        }
    }
    parts.push(format!("{} the same", diff.counts.same));
    parts.join(", ")
}

fn finding_counts(diff: &Diff) -> String {
    let mut parts: Vec<String> = Vec::new();
    for kind in FINDINGS {
        let n = diff.findings_of(*kind);
        if n > 0 || matches!(kind, FindingKind::Opened | FindingKind::Fixed) {
            parts.push(format!("{n} {}", kind.as_str()));
        }
    }
    parts.join(", ")
}

/// At most `width` characters; what was cut is told by `…`.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// Words in lines of at most 80 characters, each after `indent` spaces.
fn wrap(out: &mut String, indent: usize, text: &str) {
    let mut used = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if used == 0 || used + 1 + length > WIDTH {
            if used > 0 {
                out.push('\n');
            }
            out.extend(std::iter::repeat_n(' ', indent));
            used = indent;
        } else {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += length;
    }
    out.push('\n');
}

fn value(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => "(nothing)".to_owned(),
        other => other.to_string(),
    }
}

fn column(out: &mut String, change: &ColumnChange) {
    let (before, after) = (value(&change.before), value(&change.after));
    let line = format!("      {}: {before} → {after}", change.path);
    // writing to a string cannot fail
    if line.chars().count() <= WIDTH {
        let _ = writeln!(out, "{line}");
    } else {
        let _ = writeln!(out, "      {}:", cut(&change.path, WIDTH - 7));
        let _ = writeln!(out, "        - {}", cut(&before, WIDTH - 10));
        let _ = writeln!(out, "        + {}", cut(&after, WIDTH - 10));
    }
}

/// The comparison as text.
pub fn text(diff: &Diff) -> String {
    let mut out = String::new();
    for (name, moment) in [("Before", &diff.before), ("After", &diff.after)] {
        let partial = if moment.complete {
            ""
        } else {
            "  not everything was read"
        };
        let line = format!("{name:<10} {}  {}{partial}", moment.id, moment.started_at);
        let _ = writeln!(out, "{}", line.trim_end());
    }
    let _ = writeln!(out, "Resources  {}", resource_counts(diff));
    for (index, part) in lines(&finding_counts(diff)).iter().enumerate() {
        let head = if index == 0 { "Findings" } else { "" };
        let _ = writeln!(out, "{head:<10} {part}");
    }
    for kind in FINDINGS {
        let of: Vec<&FindingChange> = diff.findings.iter().filter(|f| f.kind == *kind).collect();
        if of.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\nFindings {} ({})", kind.as_str(), of.len());
        for finding in of {
            finding_text(&mut out, finding);
        }
    }
    let mut table = "";
    for resource in &diff.resources {
        if resource.table != table {
            table = &resource.table;
            let _ = writeln!(out, "\n{table}");
        }
        let sign = match resource.kind {
            ResourceKind::Added => '+',
            ResourceKind::Removed => '-',
            ResourceKind::Changed => '~',
            ResourceKind::NotComparable => '?',
        };
        let _ = writeln!(
            out,
            "  {sign} {}  {} {}",
            resource.resource, resource.account_id, resource.region
        );
        for change in &resource.columns {
            column(&mut out, change);
        }
        for (why, columns) in blind(resource) {
            wrap(
                &mut out,
                6,
                &format!("not comparable: {} ({why})", columns.join(", ")),
            );
        }
    }
    let left = joined(&diff.not_compared);
    if !left.is_empty() {
        let _ = writeln!(out, "\nNot compared");
        for line in left {
            wrap(&mut out, 2, &line);
        }
    }
    out
}

fn lines(text: &str) -> Vec<String> {
    let mut out = String::new();
    wrap(&mut out, 11, text);
    out.lines().map(|l| l.trim().to_owned()).collect()
}

fn blind(resource: &crate::ResourceChange) -> BTreeMap<String, Vec<&str>> {
    let mut by: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for blind in &resource.not_comparable {
        let why = format!("{}: {}", blind.in_state.as_str(), blind.reason);
        by.entry(why).or_default().push(&blind.column);
    }
    by
}

fn finding_text(out: &mut String, finding: &FindingChange) {
    let severity = finding.after.as_ref().or(finding.before.as_ref());
    let _ = writeln!(
        out,
        "  {:<13} {}",
        severity.map_or("", |v| v.severity.as_str()),
        finding.check
    );
    let resource = match finding.resource.is_empty() {
        true => "(resources that could not be listed)",
        false => &finding.resource,
    };
    let _ = writeln!(
        out,
        "      {resource}  {} {}",
        finding.account_id, finding.region
    );
    match (&finding.before, &finding.after) {
        (Some(before), Some(after)) => {
            if before.status != after.status {
                wrap(
                    out,
                    6,
                    &format!("{} → {}: {}", before.status, after.status, after.message),
                );
                return;
            }
            if before.severity != after.severity {
                wrap(out, 6, &format!("{} → {}", before.severity, after.severity));
            }
            if before.message != after.message {
                wrap(out, 6, &format!("before: {}", before.message));
            }
            wrap(out, 6, &after.message);
        }
        (None, Some(verdict)) | (Some(verdict), None) => wrap(out, 6, &verdict.message),
        (None, None) => {}
    }
}

/// What was left out, in sentences: the same for many accounts once.
fn joined(all: &[NotCompared]) -> Vec<String> {
    let mut by: BTreeMap<String, (Vec<String>, usize)> = BTreeMap::new();
    for left in all {
        let mut what = match (&left.table, left.checks.len()) {
            (Some(table), _) => table.clone(),
            (None, 0) => "everything".to_owned(),
            (None, 1..=3) => left.checks.join(", "),
            (None, n) => format!("{n} checks"),
        };
        if !left.columns.is_empty() {
            what.push_str(&format!(" ({})", left.columns.join(", ")));
        }
        if let Some(region) = &left.region {
            what.push_str(&format!(" in {region}"));
        }
        let place = match left.lacking {
            crate::Which::Both => "both".to_owned(),
            which => which.as_str().to_owned(),
        };
        let key = format!("{what}: {} ({place})", left.reason);
        let entry = by.entry(key).or_default();
        entry.0.extend(left.account_id.clone());
        entry.1 += left.resources;
    }
    by.into_iter()
        .map(|(what, (accounts, resources))| {
            let mut line = what;
            match accounts.as_slice() {
                [] => {}
                [one] => line.push_str(&format!("; account {one}")),
                [a, b] => line.push_str(&format!("; accounts {a}, {b}")),
                more => line.push_str(&format!("; {} accounts", more.len())),
            }
            match resources {
                0 => {}
                1 => line.push_str("; 1 resource on the other side"),
                n => line.push_str(&format!("; {n} resources on the other side")),
            }
            line
        })
        .collect()
}

/// Text in a cell of a Markdown table.
fn md(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

fn code(text: &str) -> String {
    format!("`{}`", md(text).replace('`', "'"))
}

/// The comparison as Markdown.
pub fn markdown(diff: &Diff) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "# Drift\n");
    let _ = writeln!(out, "| | snapshot | time | |\n|---|---|---|---|");
    for (name, moment) in [("before", &diff.before), ("after", &diff.after)] {
        let partial = if moment.complete {
            ""
        } else {
            "not everything was read"
        };
        let _ = writeln!(
            out,
            "| {name} | `{}` | {} | {partial} |",
            moment.id, moment.started_at
        );
    }
    let _ = writeln!(out, "\nResources: {}.  ", resource_counts(diff));
    let _ = writeln!(out, "Findings: {}.", finding_counts(diff));
    if !diff.findings.is_empty() {
        let _ = writeln!(out, "\n## Findings\n");
        let _ = writeln!(
            out,
            "| | severity | check | account | region | resource | |\n|---|---|---|---|---|---|---|"
        );
        for kind in FINDINGS {
            for f in diff.findings.iter().filter(|f| f.kind == *kind) {
                let verdict = f.after.as_ref().or(f.before.as_ref());
                let _ = writeln!(
                    out,
                    "| {} | {} | `{}` | {} | {} | {} | {} |",
                    kind.as_str(),
                    verdict.map_or("", |v| v.severity.as_str()),
                    f.check,
                    f.account_id,
                    f.region,
                    code(&f.resource),
                    md(verdict.map_or("", |v| &v.message))
                );
            }
        }
    }
    if !diff.resources.is_empty() {
        let _ = writeln!(out, "\n## Resources");
        let mut table = "";
        for r in &diff.resources {
            if r.table != table {
                table = &r.table;
                let _ = writeln!(out, "\n### {table}\n");
            }
            let _ = writeln!(
                out,
                "- {} {} ({} {})",
                r.kind.as_str(),
                code(&r.resource),
                r.account_id,
                r.region
            );
            for c in &r.columns {
                let _ = writeln!(
                    out,
                    "  - {}: {} → {}",
                    code(&c.path),
                    code(&cut(&value(&c.before), 400)),
                    code(&cut(&value(&c.after), 400))
                );
            }
            for (why, columns) in blind(r) {
                let _ = writeln!(
                    out,
                    "  - not comparable: {} ({})",
                    columns.join(", "),
                    md(&why)
                );
            }
        }
    }
    let left = joined(&diff.not_compared);
    if !left.is_empty() {
        let _ = writeln!(out, "\n## Not compared\n");
        for line in left {
            let _ = writeln!(out, "- {}", md(&line));
        }
    }
    out
}
