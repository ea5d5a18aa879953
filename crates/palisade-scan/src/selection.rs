//! Which checks a user means.
use palisade_catalog::{Catalog, Check};
use palisade_core::{Category, Severity};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the user asked for. Empty lists mean "all"; several kinds narrow each other down, except that ids named
/// one by one are always in.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Ids, patterns, other tools' ids.
    pub checks: Vec<String>,
    /// Folders.
    pub services: Vec<String>,
    /// Framework names.
    pub frameworks: Vec<String>,
    /// Categories.
    pub categories: Vec<Category>,
    /// This severity or worse.
    pub severity: Option<Severity>,
    /// Ids or patterns to leave out.
    pub exclude: Vec<String>,
}

/// A name in a selection that nothing answers to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{name}`")]
pub struct SelectionError {
    /// `check`, `service`, `framework`.
    pub what: &'static str,
    /// What was asked for.
    pub name: String,
    /// Names that look like it.
    pub suggestions: Vec<String>,
}

impl Selection {
    /// The selected checks, sorted by id. A check that was asked for by another tool's id carries that id, with the
    /// parameters that make it that tool's requirement.
    ///
    /// # Errors
    /// When a name matches nothing.
    pub fn resolve(&self, catalog: &Catalog) -> Result<Vec<Arc<Check>>, SelectionError> {
        let known_services: BTreeSet<&str> = catalog
            .services
            .keys()
            .map(String::as_str)
            .chain(catalog.checks.values().map(|c| c.service.as_str()))
            .collect();
        for service in &self.services {
            if !known_services.contains(service.as_str()) {
                return Err(unknown("service", service, known_services.iter().copied()));
            }
        }
        for framework in &self.frameworks {
            if !catalog.frameworks.contains_key(framework) {
                return Err(unknown(
                    "framework",
                    framework,
                    catalog.frameworks.keys().map(String::as_str),
                ));
            }
        }
        // by id, and by file where one foreign id stands for several checks
        let mut selected: BTreeMap<(String, String), Arc<Check>> = BTreeMap::new();
        let key = |check: &Check| (check.id.clone(), check.file.clone());
        for spec in &self.checks {
            for check in resolve(catalog, spec)? {
                let check = match spec.split_once(':') {
                    Some((tool, id)) if check.same_as.has(tool, id) => {
                        Arc::new(check.answering_as(tool, id))
                    }
                    _ => check,
                };
                selected.insert(key(&check), check);
            }
        }
        if self.checks.is_empty()
            || !self.services.is_empty()
            || !self.frameworks.is_empty()
            || !self.categories.is_empty()
        {
            let narrowed = catalog
                .checks
                .values()
                .filter(|check| self.takes(catalog, check));
            selected.extend(narrowed.map(|c| (key(c), Arc::clone(c))));
        }
        for spec in &self.exclude {
            for check in resolve(catalog, spec)? {
                selected.retain(|_, c| c.file != check.file);
            }
        }
        Ok(selected.into_values().collect())
    }

    fn takes(&self, catalog: &Catalog, check: &Check) -> bool {
        (self.services.is_empty() || self.services.contains(&check.service))
            && (self.categories.is_empty() || self.categories.contains(&check.category))
            && self.severity.is_none_or(|least| check.severity >= least)
            && (self.frameworks.is_empty()
                || self.frameworks.iter().any(|name| {
                    catalog.frameworks.get(name).is_some_and(|f| {
                        f.requirements.iter().any(|r| r.checks.contains(&check.id))
                    })
                }))
    }
}

fn resolve(catalog: &Catalog, spec: &str) -> Result<Vec<Arc<Check>>, SelectionError> {
    catalog
        .resolve_check(spec)
        .map_err(|unknown| SelectionError {
            what: "check",
            name: spec.to_owned(),
            suggestions: unknown.suggestions,
        })
}

fn unknown<'a>(
    what: &'static str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> SelectionError {
    SelectionError {
        what,
        name: name.to_owned(),
        suggestions: palisade_catalog::similar(name, known),
    }
}
