//! From files to a [`Catalog`], with everything that is wrong.
use crate::frameworks::{Frameworks, Unread};
use crate::link::{self, Unusable};
use crate::places::Places;
use crate::source::SourceFile;
use crate::text::{LineIndex, Reporter};
use crate::{
    Catalog, Check, Diagnostic, DiagnosticLevel, Source, change_file, check_file, event_file,
    playbook, service_file, suggest,
};
use std::borrow::Cow;
use std::collections::BTreeMap;
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
    Changes(&'p str),
    Events(&'p str),
    Playbook(&'p str),
}

fn kind(path: &str) -> Option<Kind<'_>> {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["services", name] => name.strip_suffix(".toml").map(Kind::Service),
        ["changes", name] => name.strip_suffix(".toml").map(Kind::Changes),
        ["events", name] => name.strip_suffix(".toml").map(Kind::Events),
        ["playbooks", name] => name.strip_suffix(".toml").map(Kind::Playbook),
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
    changes: BTreeMap<&'s str, &'s SourceFile>,
    events: BTreeMap<&'s str, &'s SourceFile>,
    playbooks: BTreeMap<&'s str, &'s SourceFile>,
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
                Some(Kind::Changes(name)) => {
                    self.changes.insert(name, file);
                }
                Some(Kind::Events(name)) => {
                    self.events.insert(name, file);
                }
                Some(Kind::Playbook(name)) => {
                    self.playbooks.insert(name, file);
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
                        "`services/<service>.toml`, `checks/<service>/<id>.md`, `changes/<model>.toml`, `events/<source>.toml`, `playbooks/<id>.toml` and `frameworks/<name>-<version>.toml` are read"
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
    load_with(sources, false)
}

/// The same, in less time when nothing but what came with the binary is read: nothing is wrong with that, which tests hold
/// by [`load`]. Mistakes in checks are not looked for, and frameworks and fixtures are parsed when they are first asked for.
pub fn load_lazily(sources: &[Source]) -> Loaded {
    load_with(sources, sources.iter().all(Source::is_shipped))
}

fn load_with(sources: &[Source], is_known_good: bool) -> Loaded {
    let mut chosen = Chosen::default();
    for source in sources {
        chosen.add(source);
    }
    let mut catalog = Catalog {
        is_shipped: sources.iter().all(Source::is_shipped),
        fingerprint: sources
            .iter()
            .map(|s| format!("{:016x}", s.fingerprint()))
            .collect::<Vec<_>>()
            .join("+"),
        ..Catalog::default()
    };
    let mut unusable = Unusable::default();
    let mut diagnostics = std::mem::take(&mut chosen.diagnostics);
    let mut services = BTreeMap::new();
    let files: Vec<_> = chosen.services.iter().collect();
    let parsed = in_parallel(&files, |(name, file)| {
        read(file, |reporter, text| {
            service_file::parse(reporter, name, text)
        })
    });
    for ((name, file), (parsed, problems)) in files.into_iter().zip(parsed) {
        diagnostics.extend(problems);
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
    let files: Vec<_> = chosen.checks.iter().collect();
    let parsed = in_parallel(&files, |(id, (service, file))| {
        if is_known_good
            && let Ok(Cow::Borrowed(text)) = &file.text
            && let Some(check) = check_file::parse_known_good(&file.shown, service, id, text)
        {
            return (Some(check), Vec::new());
        }
        read(file, |reporter, text| {
            let check = check_file::parse(reporter, service, id, text);
            check.filter(|c| link::check(reporter, c, &catalog, &unusable))
        })
    });
    for (check, problems) in parsed {
        diagnostics.extend(problems);
        if let Some(check) = check {
            catalog.checks.insert(check.id.clone(), Arc::new(check));
        }
    }
    let files: Vec<_> = chosen.changes.iter().collect();
    let parsed = in_parallel(&files, |(name, file)| {
        read(file, |reporter, text| {
            change_file::parse(reporter, name, text)
        })
    });
    for ((name, _), (parsed, problems)) in files.into_iter().zip(parsed) {
        diagnostics.extend(problems);
        let Some(file) = parsed else { continue };
        let changes = file.changes.into_iter();
        let changes = changes.map(|c| (c.operation.clone(), Arc::new(c)));
        catalog
            .changes
            .insert((*name).to_owned(), changes.collect());
        catalog.uses.extend(file.uses);
        catalog
            .change_actions
            .insert((*name).to_owned(), file.permissions);
    }
    for (name, file) in &chosen.events {
        let (parsed, problems) = read(file, |reporter, text| {
            event_file::parse(reporter, name, text, &catalog, &unusable)
        });
        diagnostics.extend(problems);
        if let Some(events) = parsed {
            catalog.events.insert((*name).to_owned(), Arc::new(events));
        }
    }
    for (id, file) in &chosen.playbooks {
        let (parsed, problems) = read(file, |reporter, text| playbook::parse(reporter, id, text));
        diagnostics.extend(problems);
        if let Some(playbook) = parsed {
            catalog
                .playbooks
                .insert((*id).to_owned(), Arc::new(playbook));
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
    if !is_known_good {
        link::equivalents(&catalog, place, &mut diagnostics);
    }
    let frameworks = chosen.frameworks.iter();
    let unread = Unread {
        files: frameworks
            .map(|(id, file)| ((*id).to_owned(), (*file).clone()))
            .collect(),
        ids: chosen.checks.keys().map(|id| (*id).to_owned()).collect(),
        checks: catalog.checks.clone(),
    };
    catalog.frameworks = if is_known_good {
        Frameworks::later(unread)
    } else {
        let (frameworks, problems) = Frameworks::now(&unread);
        diagnostics.extend(problems);
        frameworks
    };
    diagnostics.sort();
    diagnostics.dedup();
    Loaded {
        catalog,
        diagnostics,
    }
}

/// Threads that parse; more are not worth their start.
const MOST_THREADS: usize = 4;

/// Works on all items with a few threads; the results are in the order of the items.
pub(crate) fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let size = items.len().div_ceil(threads.min(MOST_THREADS)).max(4);
    let work = &work;
    let some = move |part: &[T]| part.iter().map(work).collect::<Vec<R>>();
    std::thread::scope(|scope| {
        let mut parts = items.chunks(size);
        let first = parts.next().unwrap_or_default();
        let others: Vec<_> = parts
            .map(|part| {
                let thread = std::thread::Builder::new().spawn_scoped(scope, move || some(part));
                (part, thread)
            })
            .collect();
        let mut results = some(first);
        for (part, thread) in others {
            results.extend(match thread {
                Ok(thread) => match thread.join() {
                    Ok(done) => done,
                    Err(panic) => std::panic::resume_unwind(panic),
                },
                // No thread could be started: here, then.
                Err(_) => some(part),
            });
        }
        results
    })
}

/// Parses one file; with what is wrong with it.
pub(crate) fn read<T>(
    file: &SourceFile,
    parse: impl FnOnce(&Reporter<'_>, &str) -> Option<T>,
) -> (Option<T>, Vec<Diagnostic>) {
    let whole = |message: &str| Diagnostic {
        file: file.shown.clone(),
        line: 0,
        column: 0,
        level: DiagnosticLevel::Error,
        message: message.to_owned(),
        hint: None,
    };
    let text = match &file.text {
        Ok(text) => text,
        Err(reason) => return (None, vec![whole(reason)]),
    };
    let reporter = Reporter::new(&file.shown, text);
    let parsed = parse(&reporter, text);
    let mut problems = reporter.into_diagnostics();
    // A parser that gives up says why; should one not, the file must still not vanish.
    if parsed.is_none() && problems.is_empty() {
        problems.push(whole("the file cannot be used"));
    }
    (parsed, problems)
}

/// A hint for an unknown table.
pub(crate) fn table_hint(name: &str, catalog: &Catalog) -> Option<String> {
    suggest::nearest(name, catalog.tables.keys().map(String::as_str))
        .map(|near| format!("did you mean `{near}`?"))
}
