//! `palisade permissions`
use super::selection;
use crate::Outcome;
use crate::cli::{Permissions, PolicyFormat};
use crate::error::Failure;
use crate::output::{Terminal, to_stdout};
use palisade_catalog::Catalog;
use palisade_scan::{Scanner, policy};
use std::sync::Arc;

/// Prints the least policy for a selection.
pub fn run(
    args: &Permissions,
    catalog: Arc<Catalog>,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let checks = selection(&args.selection).resolve(&catalog)?;
    let actions = Scanner::new(catalog).permissions(&checks)?;
    let document = match args.format {
        PolicyFormat::Json => policy::document(&actions),
        PolicyFormat::Policies => policy::policies(&actions),
        PolicyFormat::Stackset => policy::stack_set(&actions),
        PolicyFormat::Cloudformation => policy::cloudformation(&actions),
    };
    to_stdout(|out| {
        serde_json::to_writer_pretty(&mut *out, &document)?;
        writeln!(out)
    })?;
    let length = policy::length(&document);
    if args.format == PolicyFormat::Json && length > policy::MANAGED_POLICY_LIMIT {
        terminal.note(&format!(
            "note: the policy has {length} characters, a managed policy takes {}; --format policies and cloudformation split it into {}",
            policy::MANAGED_POLICY_LIMIT,
            policy::split(&actions).len(),
        ));
    }
    Ok(Outcome::Done)
}
