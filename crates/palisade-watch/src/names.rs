//! What requests and answers call the rows of a table, and what their ARNs look like.
use palisade_catalog::{
    Catalog, Origin, Step, TableSchema, TableSpec, TemplatePart, parse_template,
};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// A name without case, punctuation and plural: `securityGroupIdSet`, `SecurityGroupIds` and `security_group_id` are one.
pub(crate) fn normal(name: &str) -> String {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    for end in ["set", "list", "s"] {
        if let Some(short) = plain.strip_suffix(end)
            && short.len() > 2
        {
            return short.to_owned();
        }
    }
    plain
}

/// What comes after the first word of an event's name: `PutBucketPolicy` → `bucketpolicy`.
pub(crate) fn noun(event: &str) -> String {
    let second = event
        .char_indices()
        .skip(1)
        .find(|(_, c)| c.is_ascii_uppercase())
        .map_or(event.len(), |(at, _)| at);
    let rest = event.get(second..).unwrap_or_default();
    let plain = rest.chars().filter(char::is_ascii_alphanumeric);
    plain.map(|c| c.to_ascii_lowercase()).collect()
}

/// What the table's name says without its service: `ec2_security_group` → `securitygroup`.
pub(crate) fn subject(spec: &TableSpec) -> String {
    let service = spec.service.replace('-', "_");
    let name = spec.name.strip_prefix(&service).unwrap_or(&spec.name);
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// Members of requests and answers whose values are ids of the table's rows, normalised.
pub(crate) fn names(spec: &TableSpec, schema: &TableSchema, catalog: &Catalog) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut add = |name: &str| {
        let name = normal(name);
        // what identifies anything identifies nothing: such a table is found by the event's name
        if !matches!(
            name.as_str(),
            "" | "id" | "name" | "arn" | "identifier" | "type"
        ) {
            names.insert(name);
        }
    };
    let subject = subject(spec);
    if !subject.is_empty() {
        add(&subject);
        for end in ["id", "name", "arn", "identifier"] {
            add(&format!("{subject}{end}"));
        }
    }
    // the columns that identify a row, and the members that they are
    let mut columns: BTreeSet<String> = BTreeSet::from([spec.id.clone()]);
    columns.extend(spec.arn.as_deref().and_then(only_column));
    columns.extend(spec.list.as_ref().and_then(|l| l.scalar.clone()));
    for column in &columns {
        if column == "account_id" {
            continue;
        }
        add(column);
        if let Some(Origin::Answer { path, .. }) = schema.column(column).map(|c| &c.origin)
            && let Some(Step::Member(member)) = path.last()
        {
            add(member);
        }
    }
    columns.insert("arn".to_owned());
    for call in &spec.calls {
        for (member, value) in &call.params {
            if takes(value, &columns, false) {
                add(member);
            }
        }
        if let Some(batch) = call.batch.as_ref().filter(|b| columns.contains(&b.of)) {
            add(&batch.param);
        }
    }
    for child in catalog.tables.values() {
        let Some(list) = &child.list else { continue };
        if list.parent.as_deref() == Some(&spec.name) {
            for (member, value) in &list.params {
                if takes(value, &columns, true) {
                    add(member);
                }
            }
        }
    }
    names
}

/// The column of a template that is nothing but that column.
fn only_column(template: &str) -> Option<String> {
    match parse_template(template).ok()?.as_slice() {
        [TemplatePart::Column(name)] => Some(name.clone()),
        _ => None,
    }
}

/// Whether a parameter is one of the columns, of the row or of its parent.
fn takes(value: &Json, columns: &BTreeSet<String>, of_parent: bool) -> bool {
    match value {
        Json::String(template) => match parse_template(template).as_deref() {
            Ok([TemplatePart::Column(name)]) => !of_parent && columns.contains(name),
            Ok([TemplatePart::Parent(name)]) => of_parent && columns.contains(name),
            _ => false,
        },
        Json::Array(items) => items.iter().any(|i| takes(i, columns, of_parent)),
        _ => false,
    }
}

/// An ARN template as literal pieces with anything between them; nothing where it says nothing by itself.
pub(crate) fn arn_pattern(spec: &TableSpec) -> Option<Vec<String>> {
    let mut pieces = vec![String::new()];
    for part in parse_template(spec.arn.as_deref()?).ok()? {
        match part {
            TemplatePart::Text(text) => pieces.last_mut()?.push_str(&text),
            _ => pieces.push(String::new()),
        }
    }
    pieces.first()?.starts_with("arn:").then_some(pieces)
}

/// Whether an ARN fits a pattern.
pub(crate) fn fits(arn: &str, pieces: &[String]) -> bool {
    let Some((first, rest)) = pieces.split_first() else {
        return false;
    };
    let Some(mut left) = arn.strip_prefix(first.as_str()) else {
        return false;
    };
    let Some((last, middle)) = rest.split_last() else {
        return left.is_empty();
    };
    for piece in middle {
        match left.find(piece.as_str()) {
            Some(at) => left = left.get(at + piece.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    left.len() >= last.len() && left.ends_with(last.as_str())
}

/// Name → the tables that are meant by it.
pub(crate) type Named = BTreeMap<String, BTreeSet<String>>;
