//! `palisade completions`
use crate::Outcome;
use crate::cli::Cli;
use crate::error::Failure;
use crate::output::to_stdout;
use clap::CommandFactory;

/// Prints completions for a shell.
pub fn run(shell: clap_complete::Shell) -> Result<Outcome, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "palisade", &mut text);
    to_stdout(|out| out.write_all(&text))?;
    Ok(Outcome::Done)
}
