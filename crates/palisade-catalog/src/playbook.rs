//! `catalog/playbooks/<id>.toml`: responses to incidents as data. See `docs/specs/playbook.md`.
use crate::section::{self, Section};
use crate::text::Reporter;
use crate::{FixCall, Parameter, ParameterValue, fix_block};
use palisade_core::Severity;
use std::collections::BTreeMap;

/// A response to a kind of incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Playbook {
    /// The file's stem.
    pub id: String,
    /// The file, for messages.
    pub file: String,
    /// What happened, as a name.
    pub title: String,
    /// When it is the right one (Markdown).
    pub about: String,
    /// How bad the incident is until more is known.
    pub severity: Severity,
    /// What somebody has to say before it can run; the value is that of a drill.
    pub params: BTreeMap<String, Parameter>,
    /// Who does what.
    pub roles: Vec<String>,
    /// In order: evidence first.
    pub steps: Vec<PlaybookStep>,
}

/// Which part of the response a step belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// What is there, before anything changes it.
    Evidence,
    /// How bad it is, and who must know.
    Classify,
    /// Stop it.
    Contain,
    /// Take out what was left behind.
    Eradicate,
    /// Back to work.
    Recover,
    /// Tell.
    Communicate,
    /// Learn.
    Review,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaybookStep {
    /// Its part.
    pub phase: Phase,
    /// What it does, for people.
    pub title: String,
    /// What it is.
    pub kind: StepKind,
    /// Line in the file.
    pub line: u32,
}

/// What a step is.
#[derive(Debug, Clone, PartialEq)]
pub enum StepKind {
    /// SQL whose rows are kept as evidence; `${param.name}` is a literal.
    Query(String),
    /// A change for every row of a query (or one, without), planned, approved, applied and taken back as every fix.
    Change {
        /// The call.
        call: FixCall,
        /// SQL whose columns the call may name, with `account_id`, `region` and `id`.
        rows: Option<String>,
    },
    /// What people do, point by point.
    Checklist(Vec<String>),
}

const PHASES: &[&str] = &[
    "evidence",
    "classify",
    "contain",
    "eradicate",
    "recover",
    "communicate",
    "review",
];

impl Phase {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Evidence => "evidence",
            Self::Classify => "classify",
            Self::Contain => "contain",
            Self::Eradicate => "eradicate",
            Self::Recover => "recover",
            Self::Communicate => "communicate",
            Self::Review => "review",
        }
    }
}

impl std::str::FromStr for Phase {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [
            Self::Evidence,
            Self::Classify,
            Self::Contain,
            Self::Eradicate,
            Self::Recover,
            Self::Communicate,
            Self::Review,
        ]
        .into_iter()
        .find(|p| p.as_str() == text)
        .ok_or(())
    }
}

/// Parses one file; its diagnostics are in the reporter. `None` when it cannot be used.
pub(crate) fn parse(reporter: &Reporter<'_>, id: &str, text: &str) -> Option<Playbook> {
    if !crate::names::is_kebab(id) {
        reporter.error(0, format!("the file's name `{id}` is not in kebab case"));
    }
    let document = section::parse(reporter, text, 0)?;
    let top = Section::top(reporter, document.get_ref(), 0);
    let title = top.required("title");
    let about = top.required("about");
    let severities: Vec<&str> = Severity::ALL.iter().map(|s| s.as_str()).collect();
    let severity = top.required_word("severity", &severities);
    let roles = top.strings("roles");
    let mut params = BTreeMap::new();
    for (name, section) in top.entries("params") {
        let drill = section.required("drill");
        let about = section.required("about");
        section.finish();
        let parameter = Parameter {
            default: ParameterValue::Text(drill.map(|d| d.value).unwrap_or_default()),
            about: about.map(|a| a.value).unwrap_or_default(),
        };
        params.insert(name.value, parameter);
    }
    let mut steps = Vec::new();
    let mut acted = false;
    for section in top.sections("step") {
        if let Some(step) = step(reporter, &section, &params) {
            let acts = matches!(step.kind, StepKind::Change { .. });
            if acted && step.phase == Phase::Evidence {
                let message = "evidence is collected before anything is changed";
                reporter.error(section.at, message);
            }
            acted |= acts;
            steps.push(step);
        }
        section.finish();
    }
    if !steps.iter().any(|s| s.phase == Phase::Evidence) {
        reporter.error(0, "a playbook begins with evidence: there is no such step");
    }
    top.finish();
    (!reporter.has_errors()).then_some(Playbook {
        id: id.to_owned(),
        file: reporter.file.to_owned(),
        title: title?.value,
        about: about?.value,
        severity: severity?,
        params,
        roles,
        steps,
    })
}

fn words(sql: &str) -> impl Iterator<Item = &str> {
    sql.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

fn step(
    reporter: &Reporter<'_>,
    s: &Section<'_>,
    params: &BTreeMap<String, Parameter>,
) -> Option<PlaybookStep> {
    let phase = s.required_word::<Phase>("phase", PHASES);
    let title = s.required("title");
    let query = s.text("query");
    let call = s.text("call");
    let rows = s.text("rows");
    let checklist = s.strings("checklist");
    for text in query.iter().chain(&call).chain(&rows) {
        for name in crate::placeholders(&text.value).unwrap_or_default() {
            let known = match name.strip_prefix("param.") {
                Some("now") => true,
                Some(name) => params.contains_key(name),
                None => call.as_ref() == Some(text),
            };
            if !known {
                reporter.error(
                    text.at,
                    format!("`${{{name}}}` is no parameter of the playbook"),
                );
            }
        }
    }
    // who reads the plan, and what protects by ARN, must see which resource it is
    for column in ["account_id", "region", "arn", "id"] {
        if let Some(rows) = &rows
            && !words(&rows.value).any(|word| word == column)
        {
            let message = format!("`rows` must have a column `{column}`");
            reporter.error(rows.at, message);
        }
    }
    let kind = match (query, call, checklist.is_empty()) {
        (Some(query), None, true) => StepKind::Query(query.value),
        (None, Some(call), true) => {
            let mut calls = fix_block::parse(reporter, &call.value, call.at);
            if calls.len() != 1 {
                reporter.error(call.at, "a step makes one call");
            }
            let (_, call) = calls.pop()?;
            StepKind::Change {
                call,
                rows: rows.map(|r| r.value),
            }
        }
        (None, None, false) => StepKind::Checklist(checklist),
        _ => {
            reporter.error(s.at, "a step has one of `query`, `call` and `checklist`");
            return None;
        }
    };
    Some(PlaybookStep {
        phase: phase?,
        title: title?.value,
        kind,
        line: reporter.line(s.at),
    })
}
