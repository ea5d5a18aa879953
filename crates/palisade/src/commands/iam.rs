//! `palisade iam …`: arguments → accounts → the engine's answers → text or JSON.
mod answer;
mod diff;
mod escalation;
mod least;
mod lint;
mod list;
mod source;
mod unused;

use super::{catalog, settings};
use crate::Outcome;
use crate::cli::{Global, Iam, StoreArgs, Target};
use crate::error::Failure;
use crate::output::{Terminal, to_stdout};
use palisade_catalog::Catalog;
use palisade_config::Given;
use serde_json::Value;
use std::cell::OnceCell;
use std::io::{BufRead, Write};
use std::sync::Arc;

/// Runs an IAM command. The catalogue is loaded only where accounts are collected, or taken from a snapshot.
pub fn run(
    mut args: Iam,
    given: &Given,
    global: &Global,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let loaded: OnceCell<Arc<Catalog>> = OnceCell::new();
    let load = || {
        if let Some(known) = loaded.get() {
            return Ok(Arc::clone(known));
        }
        let fresh = catalog(global, terminal)?;
        Ok(Arc::clone(loaded.get_or_init(|| fresh)))
    };
    match asked(&mut args) {
        Some((target, Some(store))) => {
            let found = settings::connect(target, given, global, load()?.as_ref())?;
            *store = settings::store(&found);
        }
        Some((target, None)) => {
            settings::connect(target, given, global, load()?.as_ref())?;
        }
        None => {}
    }
    match &args {
        Iam::Can(args) => answer::can(args, false, &load, terminal),
        Iam::Explain(args) => answer::can(args, true, &load, terminal),
        Iam::WhoCan(args) => list::who_can(args, &load, terminal),
        Iam::WhatCan(args) => list::what_can(args, &load, terminal),
        Iam::Admins(args) => list::admins(args, &load, terminal),
        Iam::External(args) => list::external(args, &load, terminal),
        Iam::Unused(args) => unused::run(args, &load, terminal),
        Iam::Diff(args) => diff::run(args),
        Iam::Escalation(args) => escalation::run(args, &load, terminal),
        Iam::Lint(args) => lint::run(args, &load, terminal),
        Iam::LeastPrivilege(args) => least::run(args, terminal),
        Iam::Guardrails(args) => {
            print_json(&source::guardrails(args, &load, terminal)?)?;
            Ok(Outcome::Done)
        }
        Iam::Conform => conform(),
    }
}

/// Where a command asks AWS, or reads snapshots; nothing where it reads files.
fn asked(args: &mut Iam) -> Option<(&mut Target, Option<&mut StoreArgs>)> {
    let accounts = match args {
        Iam::Can(args) | Iam::Explain(args) => &mut args.accounts,
        Iam::WhoCan(args) => &mut args.accounts,
        Iam::WhatCan(args) => &mut args.accounts,
        Iam::Admins(args) | Iam::External(args) => &mut args.accounts,
        Iam::Unused(args) => &mut args.accounts,
        Iam::Escalation(args) => &mut args.accounts,
        Iam::Lint(args) if args.account => &mut args.accounts,
        Iam::Guardrails(args) => return Some((&mut args.target, None)),
        Iam::Lint(_) | Iam::Diff(_) | Iam::LeastPrivilege(_) | Iam::Conform => return None,
    };
    let files = !accounts.from.is_empty();
    (!files).then_some((&mut accounts.target, Some(&mut accounts.store)))
}

/// Prints lines.
fn print_lines(lines: &[String]) -> Result<(), Failure> {
    to_stdout(|out| lines.iter().try_for_each(|line| writeln!(out, "{line}")))
}

/// Prints one JSON document.
fn print_json(value: &Value) -> Result<(), Failure> {
    to_stdout(|out| writeln!(out, "{value:#}"))
}

/// One case a line in, one answer a line out, until stdin ends. An error in one case is that case's answer.
fn conform() -> Result<Outcome, Failure> {
    // a case may name a bundle of accounts beside it
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|source| Failure::Input {
            path: "stdin".into(),
            source,
        })?;
        if !line.trim().is_empty() {
            writeln!(out, "{}", palisade_iam::conform_line(&line, &read))
                .and_then(|()| out.flush())
                .map_err(Failure::stdout)?;
        }
    }
    Ok(Outcome::Done)
}
