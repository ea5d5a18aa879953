//! What files say about each other: parents, resources, fixtures' tables, ids that two checks claim.
use crate::load::table_hint;
use crate::service_file::ServiceFile;
use crate::text::Reporter;
use crate::{Catalog, Check, Diagnostic, DiagnosticLevel, fixture, suggest};
use std::collections::BTreeMap;

/// Tables and views of files that cannot be used: name → file.
#[derive(Debug, Default)]
pub(crate) struct Unusable {
    names: BTreeMap<String, String>,
}

impl Unusable {
    pub(crate) fn add(&mut self, names: impl IntoIterator<Item = String>, file: &str) {
        for name in names {
            self.names.insert(name, file.to_owned());
        }
    }

    /// Where it is said why a table cannot be used.
    pub(crate) fn reason(&self, table: &str) -> Option<String> {
        let file = self.names.get(table)?;
        Some(format!("see the errors of `{file}`"))
    }
}

fn at_table(file: &ServiceFile, table: &str, part: &str, message: String) -> Diagnostic {
    let (line, column) = file.places.find(table, part).unwrap_or((0, 0));
    Diagnostic {
        file: file.service.file.clone(),
        line,
        column,
        level: DiagnosticLevel::Error,
        message,
        hint: None,
    }
}

/// Takes out services whose tables have the names of others, or parents that do not exist or lead in a circle, until
/// what remains holds together.
pub(crate) fn services(
    services: &mut BTreeMap<String, ServiceFile>,
    unusable: &mut Unusable,
    diagnostics: &mut Vec<Diagnostic>,
) {
    loop {
        let mut found: Vec<(String, Diagnostic)> = Vec::new();
        duplicates(services, &mut found);
        parents(services, unusable, &mut found);
        if found.is_empty() {
            return;
        }
        for (service, diagnostic) in found {
            diagnostics.push(diagnostic);
            if let Some(file) = services.remove(&service) {
                let names = file.tables.into_iter().map(|t| t.name);
                let views = file.views.into_iter().map(|v| v.name);
                unusable.add(names.chain(views), &file.service.file);
            }
        }
    }
}

fn duplicates(services: &BTreeMap<String, ServiceFile>, found: &mut Vec<(String, Diagnostic)>) {
    let mut owners: BTreeMap<&str, &ServiceFile> = BTreeMap::new();
    for (name, file) in services {
        let tables = file.tables.iter().map(|t| (t.name.as_str(), t.place.1));
        let views = file.views.iter().map(|v| (v.name.as_str(), v.place.1));
        for (table, line) in tables.chain(views) {
            if let Some(first) = owners.insert(table, file) {
                let mut diagnostic = at_table(
                    file,
                    table,
                    "",
                    format!("`{table}` is declared in `{}` as well", first.service.file),
                );
                diagnostic.line = line;
                found.push((name.clone(), diagnostic));
                owners.insert(table, first);
            }
        }
    }
}

fn parents(
    services: &BTreeMap<String, ServiceFile>,
    unusable: &Unusable,
    found: &mut Vec<(String, Diagnostic)>,
) {
    let mut parents: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for file in services.values() {
        for table in &file.tables {
            let parent = table.list.as_ref().and_then(|l| l.parent.as_deref());
            parents.insert(&table.name, parent);
        }
    }
    for (name, file) in services {
        for table in &file.tables {
            let Some(parent) = parents.get(table.name.as_str()).copied().flatten() else {
                continue;
            };
            let mut wrong = |message, hint| {
                let mut diagnostic = at_table(file, &table.name, "list.parent", message);
                diagnostic.hint = hint;
                found.push((name.clone(), diagnostic));
            };
            if !parents.contains_key(parent) {
                match unusable.reason(parent) {
                    Some(reason) => wrong(
                        format!("the parent `{parent}` cannot be used"),
                        Some(reason),
                    ),
                    None => {
                        let near = suggest::nearest(parent, parents.keys().copied());
                        wrong(
                            format!("unknown parent table `{parent}`"),
                            near.map(|n| format!("did you mean `{n}`?")),
                        );
                    }
                }
                continue;
            }
            let mut chain = vec![table.name.as_str()];
            let mut next = Some(parent);
            while let Some(step) = next {
                chain.push(step);
                if step == table.name {
                    wrong(
                        format!("parents lead in a circle: `{}`", chain.join("` → `")),
                        None,
                    );
                    break;
                }
                // A circle further up is reported at its own tables.
                if chain.len() > parents.len() {
                    break;
                }
                next = parents.get(step).copied().flatten();
            }
        }
    }
}

/// Whether the tables that a check names exist.
pub(crate) fn check(
    reporter: &Reporter<'_>,
    check: &Check,
    catalog: &Catalog,
    unusable: &Unusable,
) -> bool {
    let unknown = |table: &str, what: &str| match unusable.reason(table) {
        Some(reason) => (format!("the {what} `{table}` cannot be used"), Some(reason)),
        None if catalog.views.contains_key(table) => {
            (format!("`{table}` is a view; a {what} is expected"), None)
        }
        None => (
            format!("unknown {what} `{table}`"),
            table_hint(table, catalog),
        ),
    };
    if !catalog.tables.contains_key(&check.resource) {
        let (message, hint) = unknown(&check.resource, "table");
        reporter.error_hint(reporter.find_key("resource"), message, hint);
    }
    if check.is_query {
        for fixture in check.fixtures.iter() {
            for table in fixture.data.keys() {
                if !catalog.tables.contains_key(table) {
                    let (message, hint) = unknown(table, "table");
                    reporter.error_on_line(fixture.line, with_hint(message, hint));
                }
            }
        }
    } else if let Some(table) = catalog.tables.get(&check.resource) {
        // A row without its id would be a resource without a name.
        for fixture in check.fixtures.iter() {
            if fixture
                .data
                .get(&table.id)
                .is_some_and(|v| fixture::error_code(v).is_some())
            {
                reporter.error_on_line(
                    fixture.line,
                    format!(
                        "the id column `{}` cannot be unreadable: there would be no row",
                        table.id
                    ),
                );
            }
        }
    }
    !reporter.has_errors()
}

fn with_hint(message: String, hint: Option<String>) -> String {
    match hint {
        Some(hint) => format!("{message}; {hint}"),
        None => message,
    }
}

/// Warns where two checks claim to be the same check of another tool.
/// `place` says where an id is written in a check's file.
pub(crate) fn equivalents(
    catalog: &Catalog,
    place: impl Fn(&Check, &str) -> (u32, u32),
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut owners: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for check in catalog.checks.values() {
        let lists = [
            ("prowler", &check.same_as.prowler),
            ("security_hub", &check.same_as.security_hub),
            ("config", &check.same_as.config),
        ];
        for (tool, ids) in lists {
            for id in ids {
                if let Some(first) = owners.insert((tool, id), &check.id) {
                    owners.insert((tool, id), first);
                    let (line, column) = place(check, id);
                    diagnostics.push(Diagnostic {
                        file: check.file.clone(),
                        line,
                        column,
                        level: DiagnosticLevel::Warning,
                        message: format!("`{tool}:{id}` is claimed by `{first}` as well"),
                        hint: Some("one requirement is one check".to_owned()),
                    });
                }
            }
        }
    }
}
