//! `palisade reference`
use crate::Outcome;
use crate::cli::Reference;
use crate::error::Failure;
use crate::output::{FileOutput, Terminal, to_stdout};
use palisade_catalog::Catalog;
use palisade_scan::{Scanner, reference};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Writes a page for every check, table and framework, and removes pages that nothing makes any more; or tells which
/// pages would change.
pub fn run(
    args: &Reference,
    catalog: Arc<Catalog>,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let scanner = Scanner::new(Arc::clone(&catalog));
    let mut pages = reference::pages(&scanner, &catalog)?;
    let mut schema =
        serde_json::to_string_pretty(&palisade_config::schema(&catalog)).unwrap_or_default();
    schema.push('\n');
    pages.insert("palisade.schema.json".to_owned(), schema.into());
    let failed = |path: &Path, source| Failure::Output {
        what: format!("`{}`", path.display()),
        source,
    };
    let ours = std::fs::read_to_string(args.folder.join("README.md"))
        .is_ok_and(|text| text.starts_with(reference::HEADING));
    let mut entries = std::fs::read_dir(&args.folder).into_iter().flatten();
    if !ours && entries.next().is_some() {
        return Err(Failure::Usage {
            message: format!(
                "`{}` is not empty and holds no reference",
                args.folder.display()
            ),
            hint: Some("name a new folder, or one that this command has written".to_owned()),
        });
    }
    let mut stale: BTreeSet<PathBuf> = BTreeSet::new();
    for folder in ["checks", "tables", "frameworks"] {
        let folder = args.folder.join(folder);
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.map_err(|e| failed(&folder, e))?.path();
            if path.extension().is_some_and(|e| e == "md") {
                stale.insert(path);
            }
        }
    }
    let mut changed: BTreeSet<PathBuf> = BTreeSet::new();
    for (name, page) in &pages {
        let path = args.folder.join(name);
        stale.remove(&path);
        if std::fs::read(&path).is_ok_and(|old| old == *page) {
            continue;
        }
        if !args.check {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(|e| failed(folder, e))?;
            }
            FileOutput::write(&path, |out| out.write_all(page))?.persist()?;
        }
        changed.insert(path);
    }
    if args.check {
        changed.append(&mut stale);
        to_stdout(|out| {
            changed
                .iter()
                .try_for_each(|path| writeln!(out, "{}", path.display()))
        })?;
        terminal.note(&format!(
            "{} of {} pages are stale",
            changed.len(),
            pages.len()
        ));
        return Ok(if changed.is_empty() {
            Outcome::Done
        } else {
            Outcome::Failed
        });
    }
    for path in &stale {
        std::fs::remove_file(path).map_err(|e| failed(path, e))?;
    }
    terminal.note(&format!(
        "{} pages, {} written, {} removed",
        pages.len(),
        changed.len(),
        stale.len()
    ));
    Ok(Outcome::Done)
}
