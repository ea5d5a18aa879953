//! `palisade man`
use crate::Outcome;
use crate::cli::Cli;
use crate::error::Failure;
use crate::output::{FileOutput, Terminal};
use clap::{Command, CommandFactory};
use std::path::Path;

/// Writes a page for every command: `palisade.1`, `palisade-scan.1`, `palisade-iam-can.1`, …
pub fn run(folder: &Path, terminal: &Terminal) -> Result<Outcome, Failure> {
    std::fs::create_dir_all(folder).map_err(|source| Failure::Output {
        what: format!("`{}`", folder.display()),
        source,
    })?;
    let mut command = Cli::command();
    command.build();
    let pages = page(&command, "palisade", folder)?;
    terminal.note(&format!("{pages} pages written to {}", folder.display()));
    Ok(Outcome::Done)
}

fn page(command: &Command, name: &str, folder: &Path) -> Result<usize, Failure> {
    let mut pages = 1;
    let man = clap_mangen::Man::new(command.clone().name(name.to_owned()))
        .title(name.to_uppercase())
        // no day: the same version writes the same pages
        .date("");
    let path = folder.join(format!("{name}.1"));
    FileOutput::write(&path, |mut out| man.render(&mut out))?.persist()?;
    let shown = |c: &&Command| !c.is_hide_set() && c.get_name() != "help";
    for inner in command.get_subcommands().filter(shown) {
        pages += page(inner, &format!("{name}-{}", inner.get_name()), folder)?;
    }
    Ok(pages)
}
