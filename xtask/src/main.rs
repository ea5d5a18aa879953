//! Automation for developers: `cargo xtask <command>`, one file a command.
use clap::Parser;

mod models;
mod paths;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Automation for developers of Palisade")]
enum Command {
    /// Extract API models from the pinned botocore into `catalog/models/`
    Models(models::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Models(arguments) => models::run(&arguments),
    }
}
