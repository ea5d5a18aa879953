//! `cargo xtask lint`: everything that is wrong in the catalogue, against the API models.
use anyhow::{Result, bail};
use palisade_catalog::{Source, load, validate_models};
use palisade_model::Models;
use std::io::Write;
use std::path::PathBuf;

/// Options of `cargo xtask lint`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folders laid over the shipped catalogue, in order; without one, the tree's own catalogue is read
    catalog: Vec<PathBuf>,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut sources = vec![Source::directory(crate::paths::root().join("catalog"))?];
    for folder in &arguments.catalog {
        sources.push(Source::directory(folder)?);
    }
    let loaded = load(&sources);
    let mut found = loaded.diagnostics;
    found.extend(validate_models(&loaded.catalog, &Models::embedded()));
    found.sort();
    found.dedup();
    let errors = found.iter().filter(|d| d.is_error()).count();
    let root = format!("{}/", crate::paths::root().display());
    let mut out = std::io::stdout().lock();
    for diagnostic in &mut found {
        // Paths from the tree's root are shorter, and can be clicked on.
        if let Some(short) = diagnostic.file.strip_prefix(&root) {
            diagnostic.file = short.to_owned();
        }
        writeln!(out, "{diagnostic}")?;
    }
    let catalog = &loaded.catalog;
    writeln!(
        out,
        "{} services, {} tables, {} views, {} checks, {} frameworks; {errors} errors, {} warnings",
        catalog.services.len(),
        catalog.tables.len(),
        catalog.views.len(),
        catalog.checks.len(),
        catalog.frameworks.len(),
        found.len() - errors
    )?;
    if errors > 0 {
        bail!("the catalogue has errors");
    }
    Ok(())
}
