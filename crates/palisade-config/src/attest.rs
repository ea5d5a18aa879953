//! Attestations and reviews that were done. See `docs/specs/attestations.md`.
use crate::ConfigError;
use crate::review::REVIEWS;
use palisade_catalog::reading::{self, Located, Reporter, Section, hint, kind_of};
use palisade_catalog::{Catalog, RequirementKind};
use palisade_core::{AccountId, Attestation, Date};
use std::collections::BTreeSet;
use std::path::Path;
use toml::de::DeValue;

/// A review that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewDone {
    /// Which: one of [`REVIEWS`](crate::REVIEWS).
    pub kind: &'static str,
    /// The day.
    pub on: Date,
    /// Who did it.
    pub by: String,
    /// Where the evidence is.
    pub evidence: String,
}

/// What an attestations file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attestations {
    /// In the order of the file.
    pub attestations: Vec<Attestation>,
    /// In the order of the file.
    pub reviews: Vec<ReviewDone>,
}

/// Reads and parses a file.
///
/// # Errors
/// When the file cannot be read, or with everything that is wrong with it.
pub fn read_attestations(path: &Path, catalog: &Catalog) -> Result<Attestations, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse_attestations(&path.display().to_string(), &text, catalog)
}

/// Parses the text of a file.
///
/// # Errors
/// With everything that is wrong with it.
pub fn parse_attestations(
    file: &str,
    text: &str,
    catalog: &Catalog,
) -> Result<Attestations, ConfigError> {
    let reporter = Reporter::new(file, text);
    let mut found = Attestations::default();
    if let Some(document) = reading::parse(&reporter, text, 0) {
        let top = Section::top(&reporter, document.get_ref(), 0);
        for section in top.sections("attestation") {
            found
                .attestations
                .extend(attestation(&reporter, &section, catalog));
            section.finish();
        }
        for section in top.sections("review") {
            found.reviews.extend(done(&reporter, &section));
            section.finish();
        }
        top.finish();
    }
    let mut diagnostics = reporter.into_diagnostics();
    diagnostics.sort();
    if diagnostics.is_empty() {
        Ok(found)
    } else {
        Err(ConfigError::Wrong {
            file: file.to_owned(),
            diagnostics,
        })
    }
}

/// A day: TOML's own date, or a text.
fn date(
    reporter: &Reporter<'_>,
    section: &Section<'_>,
    key: &'static str,
) -> Option<Located<Date>> {
    let Some((value, at)) = section.value(key) else {
        reporter.error(section.at, format!("`{key}` is missing"));
        return None;
    };
    let text = match value {
        DeValue::Datetime(date) => date.to_string(),
        DeValue::String(text) => text.to_string(),
        other => {
            let found = kind_of(other);
            reporter.error(at, format!("`{key}` must be a date, not {found}"));
            return None;
        }
    };
    match text.parse() {
        Ok(value) => Some(Located { value, at }),
        Err(_) => {
            let message = format!("`{text}` is not a date such as `2026-01-31`");
            reporter.error(at, message);
            None
        }
    }
}

fn attestation(
    reporter: &Reporter<'_>,
    section: &Section<'_>,
    catalog: &Catalog,
) -> Option<Attestation> {
    let requirements = section.texts("requirements");
    for name in &requirements {
        requirement(reporter, name, catalog);
    }
    let control = section.text("control");
    if let Some(control) = &control {
        let known: BTreeSet<&str> = catalog
            .frameworks
            .values()
            .flat_map(|f| &f.requirements)
            .filter_map(|r| r.control.as_deref())
            .collect();
        if !known.contains(control.value.as_str()) {
            reporter.error_hint(
                control.at,
                format!("unknown control `{}`", control.value),
                hint(&control.value, known.iter().copied()).unwrap_or_else(|| {
                    "no requirement of the frameworks names a control; use `requirements`"
                        .to_owned()
                }),
            );
        }
    }
    if requirements.is_empty() && control.is_none() {
        reporter.error(
            section.at,
            "an attestation is about `requirements` or a `control`; it has neither",
        );
    }
    let accounts = section.texts("accounts");
    for account in &accounts {
        if account.value.parse::<AccountId>().is_err() {
            let message = format!("`{}` is not an account id of twelve digits", account.value);
            reporter.error(account.at, message);
        }
    }
    let by = section.required("by");
    let on = date(reporter, section, "on");
    let valid_until = date(reporter, section, "valid_until");
    let evidence = section.required("evidence");
    let statement = section.required("statement");
    if let (Some(on), Some(until)) = (&on, &valid_until)
        && until.value < on.value
    {
        let message = format!(
            "`valid_until` ({}) is before the day of the attestation ({})",
            until.value, on.value
        );
        reporter.error(until.at, message);
    }
    Some(Attestation {
        requirements: requirements.into_iter().map(|r| r.value).collect(),
        control: control.map(|c| c.value),
        accounts: accounts.into_iter().map(|a| a.value).collect(),
        by: by?.value,
        on: on?.value,
        valid_until: valid_until?.value,
        evidence: evidence?.value,
        statement: statement?.value,
    })
}

/// `framework/requirement`, which a person has to answer.
fn requirement(reporter: &Reporter<'_>, name: &Located<String>, catalog: &Catalog) {
    let text = &name.value;
    let Some((framework, id)) = text.split_once('/') else {
        let message = format!("`{text}` is not of the form `framework/requirement`");
        reporter.error(name.at, message);
        return;
    };
    let Some(known) = catalog.frameworks.get(framework) else {
        let ids = catalog.frameworks.keys().map(String::as_str);
        let message = format!("unknown framework `{framework}`");
        reporter.error_hint(name.at, message, hint(framework, ids));
        return;
    };
    let Some(requirement) = known.requirements.iter().find(|r| r.id == id) else {
        let manual: Vec<&str> = known
            .requirements
            .iter()
            .filter(|r| r.kind == RequirementKind::Manual)
            .map(|r| r.id.as_str())
            .collect();
        let message = format!("`{framework}` has no requirement `{id}`");
        let list = (!manual.is_empty())
            .then(|| format!("those that a person answers: {}", manual.join(", ")));
        reporter.error_hint(name.at, message, list);
        return;
    };
    let reason = match requirement.kind {
        RequirementKind::Manual => return,
        RequirementKind::Automated => "checks answer",
        RequirementKind::Aws => "AWS answers",
    };
    reporter.error(
        name.at,
        format!("{reason} `{text}`; an attestation does not count there"),
    );
}

fn done(reporter: &Reporter<'_>, section: &Section<'_>) -> Option<ReviewDone> {
    let name = section.required("kind");
    let kind = name.as_ref().and_then(|n| {
        let known = REVIEWS.iter().find(|r| **r == n.value).copied();
        if known.is_none() {
            let message = format!("unknown review `{}`", n.value);
            reporter.error_hint(n.at, message, hint(&n.value, REVIEWS.iter().copied()));
        }
        known
    });
    let on = date(reporter, section, "on");
    let by = section.required("by");
    let evidence = section.required("evidence");
    Some(ReviewDone {
        kind: kind?,
        on: on?.value,
        by: by?.value,
        evidence: evidence?.value,
    })
}
