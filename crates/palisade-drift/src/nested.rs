//! Where two values differ.
use crate::change::ColumnChange;
use crate::marks::Marks;
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};

/// The differences between two cells of a column, by path.
pub(crate) fn differences(
    path: &str,
    before: &Json,
    after: &Json,
    marks: &Marks,
    out: &mut Vec<ColumnChange>,
) {
    if before == after {
        return;
    }
    match (before, after) {
        (Json::Object(b), Json::Object(a)) => {
            let keys: BTreeSet<&String> = b.keys().chain(a.keys()).collect();
            for key in keys {
                let left = b.get(key).unwrap_or(&Json::Null);
                let right = a.get(key).unwrap_or(&Json::Null);
                let inner = format!("{path}{}", member(key));
                differences(&inner, left, right, marks.member(key), out);
            }
        }
        (Json::Array(b), Json::Array(a)) => lists(path, b, a, marks, out),
        _ => out.push(change(path, before, after)),
    }
}

fn change(path: &str, before: &Json, after: &Json) -> ColumnChange {
    ColumnChange {
        path: path.to_owned(),
        before: before.clone(),
        after: after.clone(),
    }
}

/// `.name`, or `["na.me"]` where a dot would mislead.
fn member(key: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(plain) {
        format!(".{key}")
    } else {
        format!("[{}]", Json::String(key.to_owned()))
    }
}

fn lists(path: &str, before: &[Json], after: &[Json], marks: &Marks, out: &mut Vec<ColumnChange>) {
    if marks.ordered && before.len() == after.len() {
        for (index, (b, a)) in before.iter().zip(after).enumerate() {
            differences(&format!("{path}[{index}]"), b, a, marks.each(), out);
        }
        return;
    }
    let mut left: Vec<&Json> = Vec::new();
    let mut right: BTreeMap<String, Vec<&Json>> = BTreeMap::new();
    for item in after {
        right.entry(item.to_string()).or_default().push(item);
    }
    for item in before {
        let same = right.get_mut(&item.to_string()).and_then(Vec::pop);
        if same.is_none() {
            left.push(item);
        }
    }
    let mut right: Vec<&Json> = right.into_values().flatten().collect();
    let inner = format!("{path}[]");
    if let ([Json::Object(_)], [Json::Object(_)]) = (left.as_slice(), right.as_slice()) {
        for (b, a) in left.iter().zip(&right) {
            differences(&inner, b, a, marks.each(), out);
        }
        return;
    }
    let count = |items: &[&Json]| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for name in items.iter().filter_map(|i| identity(i)) {
            *counts.entry(name).or_default() += 1;
        }
        counts
    };
    let (in_left, in_right) = (count(&left), count(&right));
    left.retain(|b| {
        let name =
            identity(b).filter(|n| in_left.get(n) == Some(&1) && in_right.get(n) == Some(&1));
        let Some(name) = name else { return true };
        let found = right
            .iter()
            .position(|a| identity(a).as_ref() == Some(&name));
        let Some(at) = found else { return true };
        differences(
            &format!("{path}[{name}]"),
            b,
            right.remove(at),
            marks.each(),
            out,
        );
        false
    });
    out.extend(left.iter().map(|b| change(&inner, b, &Json::Null)));
    out.extend(right.iter().map(|a| change(&inner, &Json::Null, a)));
}

/// What says which element of a list this is, as `name="value"`.
fn identity(item: &Json) -> Option<String> {
    const NAMES: &[&str] = &[
        "id",
        "arn",
        "name",
        "key",
        "Sid",
        "rule_name",
        "group_id",
        "device_name",
        "container_name",
    ];
    let members: &Map<String, Json> = item.as_object()?;
    let (name, value) = NAMES.iter().find_map(|n| Some((n, members.get(*n)?)))?;
    value.is_string().then(|| format!("{name}={value}"))
}
