//! `palisade frameworks`
use crate::Outcome;
use crate::error::Failure;
use crate::output::to_stdout;
use palisade_catalog::Catalog;
use palisade_scan::SelectionError;

/// One line a framework.
pub fn list(catalog: &Catalog) -> Result<Outcome, Failure> {
    to_stdout(|out| {
        for (name, framework) in catalog.frameworks.iter() {
            let total = framework.requirements.len();
            let covered = framework
                .requirements
                .iter()
                .filter(|r| !r.checks.is_empty())
                .count();
            writeln!(
                out,
                "{name:<28} {:<60} {covered:>4} of {total:>4} requirements have checks",
                framework.title
            )?;
        }
        Ok(())
    })?;
    Ok(Outcome::Done)
}

/// The requirements of one framework.
pub fn show(name: &str, catalog: &Catalog) -> Result<Outcome, Failure> {
    let framework = catalog.frameworks.get(name).ok_or_else(|| SelectionError {
        what: "framework",
        name: name.to_owned(),
        suggestions: palisade_catalog::similar(name, catalog.frameworks.keys().map(String::as_str)),
    })?;
    to_stdout(|out| {
        writeln!(
            out,
            "{} ({name})\nidentifiers from: {}\n",
            framework.title, framework.source
        )?;
        for requirement in &framework.requirements {
            writeln!(
                out,
                "{:<12} {:<10} {}",
                requirement.id,
                requirement.kind.as_str(),
                requirement.title
            )?;
            for check in &requirement.checks {
                writeln!(out, "{:24}{check}", "")?;
            }
        }
        Ok(())
    })?;
    Ok(Outcome::Done)
}
