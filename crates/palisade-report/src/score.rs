//! One number for how the accounts stand, and what moves it.
use palisade_core::{Assessment, MutedBy, Severity, Status};
use std::collections::BTreeMap;

/// How much a check of a severity weighs. What is open to anyone outweighs dozens of matters of hygiene; what is
/// only good to know does not count.
pub const fn weight(severity: Severity) -> u32 {
    match severity {
        Severity::Informational => 0,
        Severity::Low => 1,
        Severity::Medium => 3,
        Severity::High => 8,
        Severity::Critical => 20,
    }
}

/// One check's part of the score.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckScore<'a> {
    /// The check's id.
    pub check: &'a str,
    /// Its weight.
    pub weight: u32,
    /// Resources that passed.
    pub pass: usize,
    /// Resources that failed, without the muted ones.
    pub fail: usize,
    /// Resources that could not be read.
    pub unknown: usize,
    /// Points that the score would gain if all of them passed.
    pub gain: f64,
}

/// How the accounts stand, from 0 to 100: every check that decided anything counts with its weight, times the share
/// of its resources that pass. A check on a thousand buckets weighs as much as one on the root user; findings that
/// a mute accepts do not count (those of a baseline do: they are old, not accepted), and what could not be read is no
/// pass: it widens [`Score::least`] and [`Score::most`].
#[derive(Debug, Clone, PartialEq)]
pub struct Score<'a> {
    /// The score over what was read; none when no check that weighs anything decided anything.
    pub value: Option<f64>,
    /// The score if everything that could not be read fails.
    pub least: Option<f64>,
    /// The score if everything that could not be read passes.
    pub most: Option<f64>,
    /// By check, largest gain first.
    pub checks: Vec<CheckScore<'a>>,
}

impl<'a> Score<'a> {
    /// Counts an assessment.
    pub fn of(assessment: &'a Assessment) -> Self {
        type Entry = (u32, usize, usize, usize);
        let count = |entry: &mut Entry, status, more| match status {
            Status::Pass => entry.1 += more,
            Status::Fail => entry.2 += more,
            Status::Unknown => entry.3 += more,
            Status::NotApplicable | Status::Manual => {}
        };
        let mut counts: BTreeMap<&str, Entry> = BTreeMap::new();
        for finding in &assessment.findings {
            let accepted = finding.muted.as_deref().map(|m| m.by);
            if accepted == Some(MutedBy::Mute) {
                continue;
            }
            let entry = counts.entry(&finding.check).or_default();
            // a check has one severity; a finding of another severity than its check's decides for itself
            entry.0 = entry.0.max(weight(finding.severity));
            count(entry, finding.status, 1);
        }
        for kind in assessment.counted.kinds() {
            let entry = counts.entry(kind.check).or_default();
            entry.0 = entry.0.max(weight(kind.severity));
            count(entry, kind.status, kind.count);
        }
        let (mut known, mut all) = (0.0, 0.0);
        let (mut passed, mut least, mut most) = (0.0, 0.0, 0.0);
        for (weight, pass, fail, unknown) in counts.values() {
            let w = f64::from(*weight);
            if pass + fail > 0 {
                known += w;
                passed += w * share(*pass, pass + fail);
            }
            let total = pass + fail + unknown;
            if total > 0 {
                all += w;
                least += w * share(*pass, total);
                most += w * share(pass + unknown, total);
            }
        }
        let mut checks: Vec<_> = counts
            .into_iter()
            .map(|(check, (weight, pass, fail, unknown))| CheckScore {
                check,
                weight,
                pass,
                fail,
                unknown,
                gain: if known > 0.0 && fail > 0 {
                    100.0 * f64::from(weight) * share(fail, pass + fail) / known
                } else {
                    0.0
                },
            })
            .collect();
        checks.sort_by(|a, b| b.gain.total_cmp(&a.gain).then(a.check.cmp(b.check)));
        let of = |part: f64, whole: f64| (whole > 0.0).then(|| 100.0 * part / whole);
        Self {
            value: of(passed, known),
            least: of(least, all),
            most: of(most, all),
            checks,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share for reading")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}
