//! From files to a [`Catalog`], with everything that is wrong.
use crate::framework::{self, KnownChecks};
use crate::link::{self, Unusable};
use crate::places::Places;
use crate::source::SourceFile;
use crate::text::{LineIndex, Reporter};
use crate::{
    Catalog, Check, Diagnostic, DiagnosticLevel, Source, check_file, service_file, suggest,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A catalogue and what is wrong with its files.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// Everything that can be used.
    pub catalog: Catalog,
    /// Sorted by file, line, column. A file with an error is not in the catalogue.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// True when a file could not be used.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// What a file of a catalogue is, by its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind<'p> {
    Service(&'p str),
    Check { service: &'p str, id: &'p str },
    Framework(&'p str),
}

fn kind(path: &str) -> Option<Kind<'_>> {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["services", name] => name.strip_suffix(".toml").map(Kind::Service),
        ["frameworks", name] => name.strip_suffix(".toml").map(Kind::Framework),
        ["checks", service, name] => name
            .strip_suffix(".md")
            .map(|id| Kind::Check { service, id }),
        _ => None,
    }
}

/// The files that count: later sources replace files of the same service, check or framework.
#[derive(Default)]
struct Chosen<'s> {
    services: BTreeMap<&'s str, &'s SourceFile>,
    checks: BTreeMap<&'s str, (&'s str, &'s SourceFile)>,
    frameworks: BTreeMap<&'s str, &'s SourceFile>,
    diagnostics: Vec<Diagnostic>,
}

impl<'s> Chosen<'s> {
    fn add(&mut self, source: &'s Source) {
        let mut of_this: BTreeMap<&str, &str> = BTreeMap::new();
        for file in &source.files {
            if file.path.ends_with("/README.md") {
                continue;
            }
            let whole = |level, message: String, hint: Option<String>| Diagnostic {
                file: file.shown.clone(),
                line: 0,
                column: 0,
                level,
                message,
                hint,
            };
            match kind(&file.path) {
                Some(Kind::Service(name)) => {
                    self.services.insert(name, file);
                }
                Some(Kind::Framework(name)) => {
                    self.frameworks.insert(name, file);
                }
                Some(Kind::Check { service, id }) => {
                    if let Some(first) = of_this.insert(id, &file.shown) {
                        self.diagnostics.push(whole(
                            DiagnosticLevel::Error,
                            format!("the id `{id}` is that of `{first}` as well"),
                            None,
                        ));
                        of_this.insert(id, first);
                    } else {
                        self.checks.insert(id, (service, file));
                    }
                }
                None => self.diagnostics.push(whole(
                    DiagnosticLevel::Warning,
                    "not a catalogue file; it is not used".to_owned(),
                    Some(
                        "`services/<service>.toml`, `checks/<service>/<id>.md` and `frameworks/<name>-<version>.toml` are read"
                            .to_owned(),
                    ),
                )),
            }
        }
    }
}

/// Reads all files of the sources. A service, check or framework of a later source takes the place of one of the same
/// name in an earlier one. Never fails: what cannot be used is left out, and a diagnostic says so.
pub fn load(sources: &[Source]) -> Loaded {
    let mut chosen = Chosen::default();
    for source in sources {
        chosen.add(source);
    }
    let mut catalog = Catalog::default();
    let mut unusable = Unusable::default();
    let mut diagnostics = std::mem::take(&mut chosen.diagnostics);
    let mut services = BTreeMap::new();
    for (name, file) in &chosen.services {
        let parsed = read(file, &mut diagnostics, |reporter, text| {
            service_file::parse(reporter, name, text)
        });
        match parsed {
            Some(service) => {
                services.insert((*name).to_owned(), service);
            }
            None => {
                let text = file.text.as_deref().unwrap_or_default();
                unusable.add(service_file::declared(text), &file.shown);
            }
        }
    }
    link::services(&mut services, &mut unusable, &mut diagnostics);
    let mut places = Places::default();
    for (name, file) in services {
        places.extend(file.places);
        for table in file.tables {
            catalog.tables.insert(table.name.clone(), Arc::new(table));
        }
        for view in file.views {
            catalog.views.insert(view.name.clone(), Arc::new(view));
        }
        catalog.services.insert(name, Arc::new(file.service));
    }
    catalog.places = places;
    for (id, (service, file)) in &chosen.checks {
        let check = read(file, &mut diagnostics, |reporter, text| {
            let check = check_file::parse(reporter, service, id, text);
            check.filter(|c| link::check(reporter, c, &catalog, &unusable))
        });
        if let Some(check) = check {
            catalog.checks.insert(check.id.clone(), Arc::new(check));
        }
    }
    let place = |check: &Check, written: &str| {
        let file = chosen.checks.get(check.id.as_str()).map(|(_, file)| file);
        let text = file
            .and_then(|f| f.text.as_deref().ok())
            .unwrap_or_default();
        let at = text.find(&format!("\"{written}\"")).unwrap_or(0);
        LineIndex::new(text).position(at)
    };
    link::equivalents(&catalog, place, &mut diagnostics);
    let ids: BTreeSet<String> = chosen.checks.keys().map(|id| (*id).to_owned()).collect();
    let known = KnownChecks { ids: &ids };
    for (id, file) in &chosen.frameworks {
        let framework = read(file, &mut diagnostics, |reporter, text| {
            framework::parse(reporter, id, text, &known)
        });
        if let Some(framework) = framework {
            catalog
                .frameworks
                .insert(framework.id.clone(), Arc::new(framework));
        }
    }
    diagnostics.sort();
    diagnostics.dedup();
    Loaded {
        catalog,
        diagnostics,
    }
}

/// Parses one file, and keeps what is wrong with it.
fn read<T>(
    file: &SourceFile,
    diagnostics: &mut Vec<Diagnostic>,
    parse: impl FnOnce(&Reporter<'_>, &str) -> Option<T>,
) -> Option<T> {
    let text = match &file.text {
        Ok(text) => text,
        Err(reason) => {
            diagnostics.push(Diagnostic {
                file: file.shown.clone(),
                line: 0,
                column: 0,
                level: DiagnosticLevel::Error,
                message: reason.clone(),
                hint: None,
            });
            return None;
        }
    };
    let reporter = Reporter::new(&file.shown, text);
    let parsed = parse(&reporter, text);
    let problems = reporter.into_diagnostics();
    // A parser that gives up says why; should one not, the file must still not vanish.
    if parsed.is_none() && problems.is_empty() {
        diagnostics.push(Diagnostic {
            file: file.shown.clone(),
            line: 0,
            column: 0,
            level: DiagnosticLevel::Error,
            message: "the file cannot be used".to_owned(),
            hint: None,
        });
    }
    diagnostics.extend(problems);
    parsed
}

/// A hint for an unknown table.
pub(crate) fn table_hint(name: &str, catalog: &Catalog) -> Option<String> {
    suggest::nearest(name, catalog.tables.keys().map(String::as_str))
        .map(|near| format!("did you mean `{near}`?"))
}
