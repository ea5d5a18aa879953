//! Cases about patterns.

use serde_json::Value;

use super::{Fields, one, text};
use crate::arn_pattern::ResourcePattern;
use crate::arn_pattern::{ArnParts, Widest};
use crate::glob::{Pattern, Token};

pub(super) fn glob_overlap(case: &Value) -> Fields {
    let (a, b) = (
        text(case, &["request", "a"])?,
        text(case, &["request", "b"])?,
    );
    one("match", Pattern::new(a).overlaps(&Pattern::new(b)))
}

pub(super) fn arn_overlap(case: &Value) -> Fields {
    let (format, resource) = (
        text(case, &["request", "arn_format"])?,
        text(case, &["request", "resource"])?,
    );
    one("match", format_overlaps(format, resource))
}

pub(super) fn arn_valid(case: &Value) -> Fields {
    let (format, resource) = (
        text(case, &["request", "arn_format"])?,
        text(case, &["request", "resource"])?,
    );
    one(
        "match",
        format_overlaps(format, resource) && names_kind(format, resource),
    )
}

/// Whether a resource pattern can mean a resource of a documented ARN format. In a format, `*` for the region or
/// the account stands for one that is there.
pub(crate) fn format_overlaps(format: &str, resource: &str) -> bool {
    let pattern = ResourcePattern::new(resource, true).widest();
    let Some(ArnParts(mut parts)) = ArnParts::new(format) else {
        return Widest::new(format).overlaps(&pattern);
    };
    for part in parts.iter_mut().skip(3).take(2) {
        if *part == Pattern::Any {
            *part = Pattern::from_tokens([Token::One, Token::Many]);
        }
    }
    Widest::Arn(ArnParts(parts)).overlaps(&pattern)
}

/// Whether the resource writes out the kind (`user/`, `dbuser:`) that the format begins with; `*` alone may stand
/// for everything.
fn names_kind(format: &str, resource: &str) -> bool {
    let last = |text: &str| text.splitn(6, ':').nth(5).unwrap_or_default().to_owned();
    let (format, resource) = (last(format), last(resource));
    match format.split_once(['/', ':']) {
        Some((kind, _)) if !kind.contains('*') => {
            resource == "*" || resource.split(['/', ':']).next() == Some(kind)
        }
        _ => true,
    }
}
