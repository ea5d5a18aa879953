//! `palisade iam …`
use crate::Outcome;
use crate::cli::Iam;
use crate::error::Failure;
use std::io::{BufRead, Write};

/// Runs an IAM command.
pub fn run(args: &Iam) -> Result<Outcome, Failure> {
    match args {
        Iam::Conform => conform(),
    }
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
