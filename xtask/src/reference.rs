//! `cargo xtask reference`: `docs/reference/` and the generated part of `packaging/` from the catalogue, by the
//! command that users have.
use anyhow::{Context, Result, bail};
use std::process::Command;

/// Options of `cargo xtask reference`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Write nothing; fail when a page is stale
    #[arg(long)]
    check: bool,
}

/// What `packaging/` has of the catalogue: the file and the format of `palisade permissions`.
const PACKAGING: &[(&str, &str)] = &[
    ("cloudformation/palisade-read.json", "cloudformation"),
    ("cloudformation/palisade-read-organization.json", "stackset"),
    ("terraform/policies.json", "policies"),
];

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut reference = palisade(&["reference", "docs/reference"]);
    if arguments.check {
        reference.arg("--check");
    }
    let status = reference.status().context("cargo cannot be run")?;
    if !status.success() {
        bail!("the reference is stale, or could not be made");
    }
    for (file, format) in PACKAGING {
        let path = crate::paths::root().join("packaging").join(file);
        let made = palisade(&["permissions", "--format", format]).output()?;
        if !made.status.success() {
            bail!("`palisade permissions --format {format}` failed");
        }
        if std::fs::read(&path).is_ok_and(|old| old == made.stdout) {
            continue;
        }
        if arguments.check {
            bail!("{} is stale", path.display());
        }
        std::fs::write(&path, made.stdout)
            .with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// The command that users have, on the catalogue of the tree.
fn palisade(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(crate::paths::root())
        .args([
            "run",
            "--quiet",
            "--package",
            "palisade",
            "--bin",
            "palisade",
        ])
        .args(["--", "--quiet", "--catalog", "catalog"])
        .args(arguments);
    command
}
