//! Which checks a user means.
use palisade_catalog::{Catalog, Check, ParameterValue};
use palisade_core::{Category, Severity};
use palisade_query::Params;
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
    /// What the user sets: check id, or another tool's id (`tool:id`) → parameter → value.
    pub params: Params,
    /// Other severities, by check id or `tool:id`.
    pub severities: BTreeMap<String, Severity>,
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
                let check = self.configured(&check, Some(spec));
                selected.insert(key(&check), check);
            }
        }
        if self.checks.is_empty()
            || !self.services.is_empty()
            || !self.frameworks.is_empty()
            || !self.categories.is_empty()
        {
            for check in catalog.checks.values() {
                let check = self.configured(check, None);
                if self.takes(catalog, &check) {
                    let by_id = selected.contains_key(&key(&check));
                    let demanded = self.demanded(catalog, &check, by_id);
                    selected.extend(demanded.into_iter().map(|c| (key(&c), c)));
                }
            }
        }
        for spec in &self.exclude {
            for check in resolve(catalog, spec)? {
                selected.retain(|_, c| c.file != check.file);
            }
        }
        Ok(selected.into_values().collect())
    }

    /// A check with what the user sets. One that was asked for by another tool's id answers as that tool's requirement:
    /// what the user sets for the tool's id counts for more than what makes it that requirement, and this for more than
    /// what the user sets for the check.
    fn configured(&self, check: &Arc<Check>, spec: Option<&str>) -> Arc<Check> {
        let foreign = spec
            .and_then(|s| Some((s, s.split_once(':')?)))
            .filter(|(_, (tool, id))| check.same_as.has(tool, id));
        let none = BTreeMap::new();
        let own = self.params.get(&check.id).unwrap_or(&none);
        let mut severity = self.severities.get(&check.id);
        if foreign.is_none() && own.is_empty() && severity.is_none() {
            return Arc::clone(check);
        }
        let mut made = check.with_params(own);
        if let Some((spec, (tool, id))) = foreign {
            let theirs = self.params.get(spec).unwrap_or(&none);
            made = made.answering_as(tool, id).with_params(theirs);
            severity = self.severities.get(spec).or(severity);
        }
        made.severity = severity.copied().unwrap_or(made.severity);
        Arc::new(made)
    }

    /// A check with the parameters that the selected frameworks demand. Where all want the same values, it is the check
    /// itself with these; where they differ, there is one variant for each, `id@name=value`, because nobody can say in
    /// general which value is stricter. `as_it_is`: the check was also asked for by its id.
    fn demanded(&self, catalog: &Catalog, check: &Arc<Check>, as_it_is: bool) -> Vec<Arc<Check>> {
        let own = check.values();
        let mut wanted: BTreeSet<BTreeMap<String, ParameterValue>> = BTreeSet::new();
        if as_it_is || self.frameworks.is_empty() {
            wanted.insert(own.clone());
        }
        let frameworks = self
            .frameworks
            .iter()
            .filter_map(|f| catalog.frameworks.get(f));
        for requirement in frameworks.flat_map(|f| &f.requirements) {
            if requirement.checks.contains(&check.id) {
                let mut values = own.clone();
                if let Some(demanded) = requirement.params.get(&check.id) {
                    values.extend(demanded.clone());
                }
                wanted.insert(values);
            }
        }
        let several = wanted.len() > 1;
        let variant = |values: BTreeMap<String, ParameterValue>| {
            if values == own {
                return Arc::clone(check);
            }
            let mut made = check.with_params(&values);
            if several {
                let differing: Vec<String> = values
                    .iter()
                    .filter(|(name, value)| own.get(*name) != Some(value))
                    .map(|(name, value)| format!("{name}={}", compact(value)))
                    .collect();
                made.id = format!("{}@{}", check.id, differing.join(","));
            }
            Arc::new(made)
        };
        wanted.into_iter().map(variant).collect()
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

/// A value as it stands in the id of a variant: no spaces, no quotes.
fn compact(value: &ParameterValue) -> String {
    match value {
        ParameterValue::Text(text) => text.clone(),
        ParameterValue::Texts(list) => format!("[{}]", list.join(",")),
        other => other.to_string().replace(' ', ""),
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
