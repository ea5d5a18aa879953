//! Frameworks: which checks serve which requirement of a standard. The only place where membership is written.
//!
//! `catalog/frameworks/<name>-<version>.toml`:
//!
//! ```toml
//! name = "cis-aws"
//! version = "3.0"
//! title = "CIS AWS Foundations Benchmark 3.0"
//! source = "https://www.cisecurity.org/benchmark/amazon_web_services"   # where the identifiers come from
//!
//! [[requirement]]
//! id = "1.5"
//! title = "Root user signs in with MFA"      # our own words
//! kind = "automated"                         # "automated", "manual" (a person attests), "aws" (AWS answers for it)
//! checks = ["iam-root-mfa"]
//! level = 1                                  # where the standard has levels; a number or a text
//! params = { "iam-access-key-rotated" = { days = 45 } }   # what the requirement demands of its checks' parameters
//! control = "incident-response-plan"         # manual ones: the control that answers it, also in other frameworks
//! ```
use crate::section::{self, Section, scalar_text};
use crate::suggest;
use crate::text::Reporter;
use crate::{Check, ParameterValue, names};
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::Arc;

/// One `catalog/frameworks/<name>-<version>.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Framework {
    /// The file's stem, `<name>-<version>`.
    pub id: String,
    /// The file, for messages.
    pub file: String,
    /// For example `cis-aws`.
    pub name: String,
    /// For example `3.0`.
    pub version: String,
    /// As its publisher writes it.
    pub title: String,
    /// Where the identifiers come from.
    pub source: String,
    /// In the file's order.
    pub requirements: Vec<Requirement>,
}

/// One requirement of a framework.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The publisher's identifier.
    pub id: String,
    /// In our own words.
    pub title: String,
    /// Who answers for it.
    pub kind: RequirementKind,
    /// Checks that serve it; some may serve a manual requirement in part.
    pub checks: Vec<String>,
    /// Check → parameter → the value that the requirement demands.
    pub params: BTreeMap<String, BTreeMap<String, ParameterValue>>,
    /// The manual control that answers it, for one attestation over several frameworks.
    pub control: Option<String>,
    /// Where the standard has levels.
    pub level: Option<String>,
    /// Line in the file.
    pub line: u32,
}

/// Who answers for a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequirementKind {
    /// Checks.
    Automated,
    /// A person.
    Manual,
    /// AWS, by the shared responsibility model.
    Aws,
}

impl RequirementKind {
    /// The word in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Automated => "automated",
            Self::Manual => "manual",
            Self::Aws => "aws",
        }
    }
}

impl FromStr for RequirementKind {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match text {
            "automated" => Self::Automated,
            "manual" => Self::Manual,
            "aws" => Self::Aws,
            _ => return Err(()),
        })
    }
}

const KINDS: &[&str] = &["automated", "aws", "manual"];

/// What is known about checks when a framework is read.
pub(crate) struct KnownChecks<'c> {
    /// Every id, also those of pages that could not be used.
    pub(crate) ids: &'c BTreeSet<String>,
    /// Those that can be used.
    pub(crate) usable: &'c BTreeMap<String, Arc<Check>>,
}

/// Parses one file; its diagnostics are in the reporter. `None` when it cannot be used.
pub(crate) fn parse(
    reporter: &Reporter<'_>,
    id: &str,
    text: &str,
    checks: &KnownChecks<'_>,
) -> Option<Framework> {
    let document = section::parse(reporter, text, 0)?;
    let top = Section::top(reporter, document.get_ref(), 0);
    let name = top.required("name");
    let version = top.required("version");
    if let (Some(name), Some(version)) = (&name, &version)
        && format!("{}-{}", name.value, version.value) != id
    {
        reporter.error(
            name.at,
            format!(
                "the file is `{id}.toml`, but name and version make `{}-{}`",
                name.value, version.value
            ),
        );
    }
    let title = top.required("title");
    let source = top.required("source");
    let mut seen = BTreeSet::new();
    let mut requirements = Vec::new();
    for s in top.sections("requirement") {
        let requirement = requirement(reporter, &s, checks);
        s.finish();
        if let Some(r) = &requirement
            && !seen.insert(r.id.clone())
        {
            reporter.error(
                s.place("id"),
                format!("the requirement `{}` is there twice", r.id),
            );
        }
        requirements.extend(requirement);
    }
    if !top.has("requirement") {
        reporter.error(top.at, "there is no `[[requirement]]`");
    }
    top.finish();
    let framework = Framework {
        id: id.to_owned(),
        file: reporter.file.to_owned(),
        name: name?.value,
        version: version?.value,
        title: title?.value,
        source: source?.value,
        requirements,
    };
    (!reporter.has_errors()).then_some(framework)
}

fn requirement(
    reporter: &Reporter<'_>,
    s: &Section<'_>,
    known: &KnownChecks<'_>,
) -> Option<Requirement> {
    let id = s.required("id");
    let title = s.required("title");
    let kind: Option<RequirementKind> = s.required_word("kind", KINDS);
    let mut checks: Vec<String> = Vec::new();
    for check in s.texts("checks") {
        if !known.ids.contains(&check.value) {
            reporter.error_hint(
                check.at,
                format!("unknown check `{}`", check.value),
                suggest::nearest(&check.value, known.ids.iter().map(String::as_str))
                    .map(|near| format!("did you mean `{near}`?")),
            );
        }
        if checks.contains(&check.value) {
            reporter.error(check.at, format!("`{}` is given twice", check.value));
        }
        checks.push(check.value);
    }
    match kind {
        Some(RequirementKind::Automated) if checks.is_empty() => reporter.error(
            s.at,
            "an automated requirement needs at least one check; `manual` is answered by a person",
        ),
        Some(RequirementKind::Aws) if !checks.is_empty() => reporter.error(
            s.place("checks"),
            "a requirement that AWS answers for has no checks",
        ),
        _ => {}
    }
    let params = params(reporter, s, &checks, known);
    let control = s.text("control");
    if let Some(control) = &control {
        if !names::is_kebab(&control.value) {
            reporter.error(
                control.at,
                format!("the control `{}` is not in kebab case", control.value),
            );
        }
        if kind.is_some_and(|k| k != RequirementKind::Manual) {
            reporter.error(control.at, "only a manual requirement has a control");
        }
    }
    let level = match s.value("level") {
        None => None,
        Some((value, at)) => {
            let level = scalar_text(value);
            if level.is_none() {
                reporter.error(at, "`level` must be a number or a text");
            }
            level
        }
    };
    Some(Requirement {
        line: reporter.line(id.as_ref().map_or(s.at, |i| i.at)),
        id: id?.value,
        title: title?.value,
        kind: kind?,
        checks,
        params,
        control: control.map(|c| c.value),
        level,
    })
}

/// `params = { "check-id" = { name = value } }`
fn params(
    reporter: &Reporter<'_>,
    s: &Section<'_>,
    checks: &[String],
    known: &KnownChecks<'_>,
) -> BTreeMap<String, BTreeMap<String, ParameterValue>> {
    let mut all = BTreeMap::new();
    for (id, values) in s.entries("params") {
        if !checks.contains(&id.value) {
            reporter.error_hint(
                id.at,
                format!("`{}` is not among the requirement's checks", id.value),
                suggest::hint(&id.value, checks.iter().map(String::as_str)),
            );
            continue;
        }
        // what is wrong with an unusable page is told where it is
        let Some(check) = known.usable.get(&id.value) else {
            continue;
        };
        let mut demanded = BTreeMap::new();
        for (name, value, at) in values.values() {
            if let Some(value) = section::parameter(reporter, check, &name, value, at) {
                demanded.insert(name.value, value);
            }
        }
        if demanded.is_empty() && !reporter.has_errors() {
            reporter.error(id.at, format!("nothing is demanded of `{}`", id.value));
        }
        all.insert(id.value, demanded);
    }
    all
}
