//! The mutes file.
use crate::glob::matches;
use palisade_core::{Assessment, ExpiredMute, Finding, MutedBy, Muting, Status, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is wrong with a mutes file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MutesError {
    /// It is no TOML, or has a key that is not known, or lacks one.
    #[error("{0}")]
    Syntax(String),
    /// An entry says nothing, or no day.
    #[error("mute {number} (`{check}`): {what}")]
    Entry {
        /// Counted from one.
        number: usize,
        /// The check that it names.
        check: String,
        /// What is wrong.
        what: String,
    },
}

/// A word or a list of words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Words {
    One(String),
    Many(Vec<String>),
}
impl Words {
    fn list(&self) -> &[String] {
        match self {
            Self::One(word) => std::slice::from_ref(word),
            Self::Many(words) => words,
        }
    }
}

/// A day, as a text or as TOML's date.
#[derive(Deserialize)]
#[serde(untagged)]
enum Day {
    Text(String),
    Date(toml::value::Datetime),
}
fn day<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Day::deserialize(deserializer)? {
        Day::Text(text) => text,
        Day::Date(date) => date.to_string(),
    })
}

/// One entry. What is not named is not asked for; what is named must all hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mute {
    /// Ids or patterns of checks.
    check: Words,
    /// Account ids or patterns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<Words>,
    /// Regions or patterns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<Words>,
    /// Patterns of ARNs or of ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resource: Option<Words>,
    /// `key` or `key=value`, both patterns; of a list all must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<Words>,
    reason: String,
    owner: String,
    #[serde(deserialize_with = "day")]
    expires: String,
}

impl Mute {
    /// An entry for one check, account, region and resource, each a pattern.
    pub fn new(
        check: &str,
        account: &str,
        region: &str,
        resource: &str,
        tags: Vec<String>,
    ) -> Self {
        let unless_any = |text: &str| (text != "*").then(|| Words::One(text.to_owned()));
        Self {
            check: Words::One(check.to_owned()),
            account: unless_any(account),
            region: unless_any(region),
            resource: unless_any(resource),
            tag: (!tags.is_empty()).then_some(Words::Many(tags)),
            reason: String::new(),
            owner: String::new(),
            expires: String::new(),
        }
    }
    /// The same with who answers for it.
    #[must_use]
    pub fn because(self, reason: &str, owner: &str, expires: &str) -> Self {
        Self {
            reason: reason.to_owned(),
            owner: owner.to_owned(),
            expires: expires.to_owned(),
            ..self
        }
    }

    fn name(&self) -> String {
        self.check.list().join(", ")
    }

    fn covers(&self, finding: &Finding, tags: Option<&BTreeMap<String, String>>) -> bool {
        let any = |words: &Option<Words>, texts: &[&str]| {
            let fits = |w: &String| texts.iter().any(|t| matches(w, t));
            words
                .as_ref()
                .is_none_or(|words| words.list().iter().any(fits))
        };
        self.check.list().iter().any(|c| names(c, &finding.check))
            && any(&self.account, &[&finding.account_id])
            && any(&self.region, &[&finding.region])
            && any(&self.resource, &[&finding.resource, &finding.resource_id])
            && self.tag.as_ref().is_none_or(|wanted| {
                // tags that were not read are no tags
                tags.is_some_and(|tags| wanted.list().iter().all(|w| has(tags, w)))
            })
    }
}

/// Whether a check is meant. A check that ran with other parameters for a framework (`id@name=value`) is still that
/// check; who names a variant means only it.
fn names(pattern: &str, check: &str) -> bool {
    let base = check.split_once('@').map_or(check, |(base, _)| base);
    matches(pattern, check) || matches(pattern, base)
}

fn has(tags: &BTreeMap<String, String>, wanted: &str) -> bool {
    let (key, value) = wanted.split_once('=').unwrap_or((wanted, "*"));
    tags.iter()
        .any(|(k, v)| matches(key, k) && matches(value, v))
}

/// The entries of a mutes file, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutes {
    #[serde(default, rename = "mute")]
    entries: Vec<Mute>,
}

impl Mutes {
    /// Reads a file's text.
    ///
    /// # Errors
    /// When it is not of the form, with its line, or an entry lacks a reason, an owner or a day.
    pub fn parse(text: &str) -> Result<Self, MutesError> {
        let syntax = |e: toml::de::Error| MutesError::Syntax(e.to_string().trim_end().to_owned());
        let mutes: Self = toml::from_str(text).map_err(syntax)?;
        for (i, entry) in mutes.entries.iter().enumerate() {
            let wrong = |what: &str| {
                Err(MutesError::Entry {
                    number: i + 1,
                    check: entry.name(),
                    what: what.to_owned(),
                })
            };
            if entry.check.list().iter().all(|c| c.trim().is_empty()) {
                return wrong("no check is named; `*` is all");
            }
            if entry.reason.trim().is_empty() {
                return wrong("`reason` is empty");
            }
            if entry.owner.trim().is_empty() {
                return wrong("`owner` is empty");
            }
            if !is_day(&entry.expires) {
                return wrong("`expires` must be a day such as 2026-12-31");
            }
        }
        Ok(mutes)
    }
    /// Of these entries.
    pub fn of(entries: Vec<Mute>) -> Self {
        Self { entries }
    }
    /// As a file's text.
    pub fn to_toml(&self) -> String {
        // strings and lists of strings cannot fail
        toml::to_string(self).unwrap_or_default()
    }
    /// Whether there is no mute.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether any entry asks for tags.
    pub fn needs_tags(&self) -> bool {
        self.entries.iter().any(|e| e.tag.is_some())
    }
    /// Checks and patterns that mean none of these ids: most likely a slip.
    pub fn unknown_checks<'a>(&'a self, ids: &[&str]) -> Vec<&'a str> {
        let named = self.entries.iter().flat_map(|e| e.check.list());
        named
            .map(String::as_str)
            .filter(|c| {
                let base = c.split_once('@').map_or(*c, |(base, _)| base);
                !ids.iter().any(|id| matches(c, id) || matches(base, id))
            })
            .collect()
    }

    /// Marks what the entries cover, the first that fits, and writes down the expired ones. An entry holds through its
    /// last day (UTC) by the time of the scan. `tags` gives a finding's resource's tags, where they were read.
    pub fn apply<'t>(
        &self,
        assessment: &mut Assessment,
        tags: impl Fn(&Finding) -> Option<&'t BTreeMap<String, String>>,
    ) {
        let mut marking = self.marking(assessment.started_at);
        for finding in &mut assessment.findings {
            let tags = tags(finding);
            marking.mark(finding, tags);
        }
        assessment.expired_mutes = marking.expired();
    }

    /// The same, finding by finding, of a scan at a time.
    pub fn marking(&self, started_at: Timestamp) -> MuteMarking<'_> {
        let mark = |e: &Mute| {
            Arc::new(Muting {
                by: MutedBy::Mute,
                reason: e.reason.clone(),
                owner: e.owner.clone(),
                expires: e.expires.clone(),
            })
        };
        MuteMarking {
            mutes: self,
            today: today(started_at),
            marks: self.entries.iter().map(mark).collect(),
            lost: vec![0; self.entries.len()],
        }
    }
}

/// Mutes while they mark findings.
#[derive(Debug)]
pub struct MuteMarking<'m> {
    mutes: &'m Mutes,
    today: String,
    marks: Vec<Arc<Muting>>,
    /// By entry: findings that it muted while it held.
    lost: Vec<usize>,
}

impl MuteMarking<'_> {
    /// Marks a failed finding with the first entry that covers it.
    pub fn mark(&mut self, finding: &mut Finding, tags: Option<&BTreeMap<String, String>>) {
        if finding.status != Status::Fail {
            return;
        }
        let mut late = Vec::new();
        let entries = self.mutes.entries.iter();
        for (i, (entry, mark)) in entries.zip(&self.marks).enumerate() {
            if !entry.covers(finding, tags) {
                continue;
            }
            if entry.expires.as_str() < self.today.as_str() {
                late.push(i);
            } else {
                finding.muted = Some(Arc::clone(mark));
                break;
            }
        }
        // what another entry still mutes does not count again
        if finding.muted.is_none() {
            for (i, count) in self.lost.iter_mut().enumerate() {
                *count += usize::from(late.contains(&i));
            }
        }
    }

    /// The entries that no longer hold, with what counts again, sorted.
    pub fn expired(self) -> Vec<ExpiredMute> {
        let entries = self.mutes.entries.iter().zip(self.lost);
        let expired = entries.filter(|(e, _)| e.expires < self.today);
        let mut expired: Vec<ExpiredMute> = expired
            .map(|(e, findings)| ExpiredMute {
                check: e.name(),
                reason: e.reason.clone(),
                owner: e.owner.clone(),
                expires: e.expires.clone(),
                findings,
            })
            .collect();
        expired.sort();
        expired
    }
}

/// The day of a time in UTC.
pub(crate) fn today(time: Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}

/// Whether a text is a day that exists.
pub(crate) fn is_day(text: &str) -> bool {
    text.len() == 10 && format!("{text}T00:00:00Z").parse::<Timestamp>().is_ok()
}
