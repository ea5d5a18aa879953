//! The report as one page: no network, no file beside it. The data is in it once, as gzip in base64; the page makes
//! rows as they scroll.
//!
//! Safety: data is base64, so nothing in it can end its element; the page's script writes text nodes only; the
//! content security policy allows this script and this style by their hashes and nothing else.
use crate::posture::Posture;
use crate::score::Score;
use crate::shared::{Checks, fix_word};
use base64::Engine;
use palisade_core::{Assessment, CallError, ExpiredMute, FrameworkSummary, Muting, SkippedScope};
use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Write;

const PAGE: &str = include_str!("../assets/page.html");
const STYLE: &str = concat!(
    include_str!("../assets/base.css"),
    include_str!("../assets/parts.css")
);
const SCRIPT: &str = concat!(
    "\"use strict\";\n",
    include_str!("../assets/dom.js"),
    include_str!("../assets/data.js"),
    include_str!("../assets/charts.js"),
    include_str!("../assets/overview.js"),
    include_str!("../assets/findings.js"),
    include_str!("../assets/detail.js"),
    include_str!("../assets/compliance.js"),
    include_str!("../assets/main.js"),
);

/// Writes the page. Findings are compressed one by one.
///
/// # Errors
/// When the writer fails.
pub fn write(assessment: &Assessment, out: &mut dyn Write) -> std::io::Result<()> {
    let mut rest = PAGE;
    while let Some((before, after)) = rest.split_once("{{") {
        out.write_all(before.as_bytes())?;
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        match name {
            "script-hash" => out.write_all(hash(SCRIPT).as_bytes())?,
            "style-hash" => out.write_all(hash(STYLE).as_bytes())?,
            "script" => out.write_all(SCRIPT.as_bytes())?,
            "style" => out.write_all(STYLE.as_bytes())?,
            "summary" => summary(assessment, out)?,
            _ => data(assessment, out)?,
        }
        rest = after;
    }
    out.write_all(rest.as_bytes())
}

fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let digest = base64::engine::general_purpose::STANDARD.encode(digest);
    format!("sha256-{digest}")
}

/// What a reader without scripts sees. Numbers only: nothing of it was chosen by somebody else.
fn summary(assessment: &Assessment, out: &mut dyn Write) -> std::io::Result<()> {
    let total = Posture::of(assessment).total;
    write!(
        out,
        "{} failed, {} unknown, {} passed, {} muted.",
        total.fail, total.unknown, total.pass, total.muted
    )
}

fn data(assessment: &Assessment, out: &mut dyn Write) -> std::io::Result<()> {
    let engine = &base64::engine::general_purpose::STANDARD;
    let encoder = base64::write::EncoderWriter::new(out, engine);
    let mut gzip = flate2::write::GzEncoder::new(encoder, flate2::Compression::new(6));
    serde_json::to_writer(
        std::io::BufWriter::with_capacity(1 << 16, &mut gzip),
        &Document::of(assessment),
    )?;
    gzip.finish()?.finish()?;
    Ok(())
}

/// The texts of a check, by names that the script reads.
#[derive(Serialize)]
struct Check<'a> {
    id: &'a str,
    title: &'a str,
    service: &'a str,
    severity: u8,
    category: &'a str,
    why: &'a str,
    fix: &'a str,
    /// Points that the score would gain.
    gain: f64,
}

#[derive(Serialize)]
struct Lost<'a> {
    #[serde(flatten)]
    error: &'a CallError,
    times: usize,
}

#[derive(Serialize)]
struct Document<'a> {
    version: &'a str,
    started_at: String,
    last_scan: Option<String>,
    accounts: &'a [String],
    regions: &'a [String],
    interrupted: bool,
    score: [Option<f64>; 3],
    calls: [usize; 2],
    failures: Vec<Lost<'a>>,
    skipped: &'a [SkippedScope],
    expired: &'a [ExpiredMute],
    checks: Vec<Check<'a>>,
    /// How the selected frameworks stand; the others the page counts from the findings.
    rollup: &'a [FrameworkSummary],
    /// Words that findings refer to by position.
    words: Words<'a>,
    findings: Findings<'a>,
}

/// Everything that many findings share, each once, sorted.
#[derive(Default)]
struct Words<'a> {
    checks: BTreeMap<&'a str, usize>,
    accounts: BTreeMap<&'a str, usize>,
    regions: BTreeMap<&'a str, usize>,
    types: BTreeMap<&'a str, usize>,
    requirements: BTreeMap<&'a [String], usize>,
    permissions: BTreeMap<&'a [String], usize>,
    mutings: BTreeMap<&'a Muting, usize>,
}

impl Serialize for Words<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut words = serializer.serialize_struct("Words", 6)?;
        words.serialize_field("accounts", &self.accounts.keys().collect::<Vec<_>>())?;
        words.serialize_field("regions", &self.regions.keys().collect::<Vec<_>>())?;
        words.serialize_field("types", &self.types.keys().collect::<Vec<_>>())?;
        words.serialize_field(
            "requirements",
            &self.requirements.keys().collect::<Vec<_>>(),
        )?;
        words.serialize_field("permissions", &self.permissions.keys().collect::<Vec<_>>())?;
        words.serialize_field("mutings", &self.mutings.keys().collect::<Vec<_>>())?;
        words.end()
    }
}

fn number<K: Ord>(words: &mut BTreeMap<K, usize>) {
    words.values_mut().enumerate().for_each(|(i, n)| *n = i);
}

impl<'a> Document<'a> {
    fn of(assessment: &'a Assessment) -> Self {
        let mut words = Words::default();
        for finding in &assessment.findings {
            words.checks.insert(&finding.check, 0);
            words.accounts.insert(&finding.account_id, 0);
            words.regions.insert(&finding.region, 0);
            words.types.insert(&finding.resource_type, 0);
            words.requirements.insert(&finding.requirements, 0);
            words.permissions.insert(&finding.missing_permissions, 0);
            words
                .mutings
                .extend(finding.muted.as_deref().map(|m| (m, 0)));
        }
        // checks without findings are in the report too: that they ran and found no resource is an answer
        words
            .checks
            .extend(assessment.checks.iter().map(|c| (c.id.as_str(), 0)));
        number(&mut words.checks);
        number(&mut words.accounts);
        number(&mut words.regions);
        number(&mut words.types);
        number(&mut words.requirements);
        number(&mut words.permissions);
        number(&mut words.mutings);
        let score = Score::of(assessment);
        let gains: BTreeMap<&str, f64> = score.checks.iter().map(|c| (c.check, c.gain)).collect();
        let known = Checks::of(assessment);
        let checks = words.checks.keys().map(|id| {
            let check = known.get(id);
            Check {
                id,
                title: check.map_or(id, |c| &c.title),
                service: check.map_or("", |c| &c.service),
                severity: check.map_or(0, |c| c.severity as u8),
                category: check.map_or("", |c| c.category.as_str()),
                why: check.map_or("", |c| &c.why),
                fix: check.map_or("", |c| &c.fix),
                gain: gains.get(id).copied().unwrap_or(0.0),
            }
        });
        let coverage = &assessment.coverage;
        let lost = |(error, times): &'a (CallError, usize)| Lost {
            error,
            times: *times,
        };
        Self {
            version: &assessment.version,
            started_at: assessment.started_at.to_string(),
            last_scan: assessment
                .last_scan
                .as_ref()
                .map(|l| l.started_at.to_string()),
            accounts: &assessment.accounts,
            regions: &assessment.regions,
            interrupted: coverage.interrupted,
            score: [score.value, score.least, score.most],
            calls: [coverage.planned(), coverage.succeeded()],
            failures: coverage.failures.iter().map(lost).collect(),
            skipped: &coverage.skipped,
            expired: &assessment.expired_mutes,
            checks: checks.collect(),
            rollup: &assessment.frameworks,
            findings: Findings(assessment, words.clone_positions()),
            words,
        }
    }
}

impl<'a> Words<'a> {
    /// The maps again: one copy is written as words, the other looks positions up. Both are small.
    fn clone_positions(&self) -> Self {
        Self {
            checks: self.checks.clone(),
            accounts: self.accounts.clone(),
            regions: self.regions.clone(),
            types: self.types.clone(),
            requirements: self.requirements.clone(),
            permissions: self.permissions.clone(),
            mutings: self.mutings.clone(),
        }
    }
}

/// Each finding as `[check, status, severity, account, region, type, requirements, permissions, muting or -1, fix,
/// resource, resource id, message, evidence, history or null]`; history is `[first seen, last changed, days, times reopened, new]`.
struct Findings<'a>(&'a Assessment, Words<'a>);

impl Serialize for Findings<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(assessment, words) = self;
        fn at<K: Ord>(words: &BTreeMap<K, usize>, key: &K) -> usize {
            words.get(key).copied().unwrap_or(0)
        }
        let mut rows = serializer.serialize_seq(Some(assessment.findings.len()))?;
        for f in &assessment.findings {
            let muting = f.muted.as_deref();
            let muting = muting.and_then(|m| words.mutings.get(m)).copied();
            let muting = muting.and_then(|m| i64::try_from(m).ok()).unwrap_or(-1);
            rows.serialize_element(&(
                at(&words.checks, &&*f.check),
                f.status as u8,
                f.severity as u8,
                at(&words.accounts, &&*f.account_id),
                at(&words.regions, &&*f.region),
                at(&words.types, &&*f.resource_type),
                at(&words.requirements, &&*f.requirements),
                at(&words.permissions, &f.missing_permissions.as_slice()),
                muting,
                u8::from(fix_word(f.fix) == "automatic"),
                &f.resource,
                &f.resource_id,
                &f.message,
                (!f.evidence.is_empty()).then_some(&f.evidence),
                f.history
                    .as_deref()
                    .map(|h| (h.first_seen, h.last_changed, h.age_days, h.reopened, h.new)),
            ))?;
        }
        rows.end()
    }
}
