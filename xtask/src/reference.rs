//! `cargo xtask reference`: `docs/reference/` from the catalogue, by the command that users have.
use anyhow::{Context, Result, bail};
use std::process::Command;

/// Options of `cargo xtask reference`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Write nothing; fail when a page is stale
    #[arg(long)]
    check: bool,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    let root = crate::paths::root();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(&root)
        .args([
            "run",
            "--quiet",
            "--package",
            "palisade",
            "--bin",
            "palisade",
            "--",
        ])
        .args([
            "--quiet",
            "--catalog",
            "catalog",
            "reference",
            "docs/reference",
        ]);
    if arguments.check {
        command.arg("--check");
    }
    let status = command.status().context("cargo cannot be run")?;
    if !status.success() {
        bail!("the reference is stale, or could not be made");
    }
    Ok(())
}
