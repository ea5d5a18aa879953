//! The `palisade` command. It parses arguments, calls the crates that do the work, and prints: the only writer
//! of stdout and stderr, and the only place that decides exit codes.

mod cli;
mod commands;
mod error;
mod given;
mod output;
mod progress;

use clap::{CommandFactory, FromArgMatches};
use std::process::ExitCode;

/// A scan asks for memory some millions of times, from a dozen threads. How it is kept: `.cargo/config.toml`.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static MEMORY: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Why the process ends as it does (`docs/specs/exit-codes` in DESIGN; printed by `palisade --help`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing failed at or above `--fail-on`.
    Done,
    /// Findings at or above `--fail-on`.
    Findings,
    /// Something that was planned could not be read, under `--strict`.
    Incomplete,
    /// Ended before it was done, or something that was tested failed.
    Failed,
}

impl Outcome {
    fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Findings => 3,
            Self::Incomplete => 4,
        })
    }
}

fn main() -> ExitCode {
    let matches = cli::Cli::command().get_matches();
    let given = given::of(&matches);
    let cli = match cli::Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let terminal = output::Terminal::new(&cli.global);
    match commands::run(cli, &given, &terminal) {
        Ok(outcome) => outcome.code(),
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            terminal.failure(&failure);
            ExitCode::from(failure.code())
        }
    }
}
