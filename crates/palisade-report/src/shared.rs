//! What several formats need: texts of checks, stable ids, partitions, shortening.
use crate::json_text::steers;
use palisade_core::{
    Assessment, CheckSummary, Finding, Findings, FixAvailability, Partition, Region,
};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Write;

/// The checks of an assessment by id.
pub(crate) struct Checks<'a>(BTreeMap<&'a str, (usize, &'a CheckSummary)>);

impl<'a> Checks<'a> {
    pub(crate) fn of(assessment: &'a Assessment) -> Self {
        let numbered = assessment.checks.iter().enumerate();
        Self(numbered.map(|(i, c)| (c.id.as_str(), (i, c))).collect())
    }
    pub(crate) fn get(&self, id: &str) -> Option<&'a CheckSummary> {
        self.0.get(id).map(|(_, check)| *check)
    }
    /// The position in the assessment's list.
    pub(crate) fn position(&self, id: &str) -> Option<usize> {
        self.0.get(id).map(|(i, _)| *i)
    }
    /// The title, or the id of a check that the assessment does not list.
    pub(crate) fn title(&self, id: &'a str) -> &'a str {
        self.get(id).map_or(id, |c| c.title.as_str())
    }
}

/// 32 hexadecimal digits that stand for a finding's identity: the same in every scan that finds it.
pub fn uid(finding: &Finding) -> String {
    digest(&[
        finding.check.as_bytes(),
        finding.account_id.as_bytes(),
        finding.region.as_bytes(),
        finding.resource.as_bytes(),
    ])
}

/// 32 hexadecimal digits that stand for a list of texts.
pub fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
        hash.update([0]);
    }
    let digits = b"0123456789abcdef";
    let digit = |n: u8| digits.get(usize::from(n)).map_or('0', |d| char::from(*d));
    let bytes = hash.finalize();
    let pairs = bytes.iter().take(16).flat_map(|b| [b >> 4, b & 15]);
    pairs.map(digit).collect()
}

/// The partition of a finding's region; the commercial one where the region has no form of a name.
pub(crate) fn partition(region: &str) -> &'static str {
    region
        .parse::<Region>()
        .map_or(Partition::Aws, |r| r.partition())
        .as_str()
}

/// The word for a fix.
pub(crate) const fn fix_word(fix: FixAvailability) -> &'static str {
    match fix {
        FixAvailability::Automatic => "automatic",
        FixAvailability::Guided => "guided",
    }
}

/// A text with every character that a display would act on replaced by U+FFFD.
pub fn printable(text: &str) -> String {
    let show = |c| if steers(c) { '\u{fffd}' } else { c };
    text.chars().map(show).collect()
}

/// At most so many characters; a text that was cut ends in `…`.
pub fn shorten(text: &str, most: usize) -> std::borrow::Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => text.into(),
        Some(_) => {
            let kept: String = text.chars().take(most.saturating_sub(1)).collect();
            format!("{kept}…").into()
        }
    }
}

/// A name for a finding's resource that is never empty.
pub fn resource_name(finding: &Finding) -> &str {
    [&finding.resource_id, &finding.resource]
        .into_iter()
        .find(|t| !t.is_empty())
        .map_or(&finding.resource_type, String::as_str)
}

/// Writes a JSON array, one element a line.
pub(crate) fn array<T: serde::Serialize>(
    out: &mut dyn Write,
    items: impl Iterator<Item = T>,
) -> std::io::Result<()> {
    out.write_all(b"[")?;
    for (i, item) in items.enumerate() {
        out.write_all(if i == 0 { b"\n" } else { b",\n" })?;
        crate::json_text::compact(out, &item)?;
    }
    out.write_all(b"\n]")
}

/// Writes findings as a JSON array, one a line; `write` writes one.
pub(crate) fn each_in_array(
    out: &mut dyn Write,
    findings: &dyn Findings,
    write: &mut dyn FnMut(&Finding, &mut dyn Write) -> std::io::Result<()>,
) -> std::io::Result<()> {
    out.write_all(b"[")?;
    let mut separator: &[u8] = b"\n";
    findings.each(&mut |finding| {
        out.write_all(std::mem::replace(&mut separator, b",\n"))?;
        write(finding, out)
    })?;
    out.write_all(b"\n]")
}
