//! `palisade iam …`: arguments → accounts → the engine's answers → text or JSON.
mod answer;
mod diff;
mod escalation;
mod least;
mod lint;
mod list;
mod source;
mod unused;

use super::catalog;
use crate::Outcome;
use crate::cli::{Global, Iam};
use crate::error::Failure;
use crate::output::{Terminal, to_stdout};
use serde_json::Value;
use std::io::{BufRead, Write};

/// Runs an IAM command. The catalogue is loaded only where accounts are collected.
pub fn run(args: &Iam, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
    let load = || catalog(global, terminal);
    match args {
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
