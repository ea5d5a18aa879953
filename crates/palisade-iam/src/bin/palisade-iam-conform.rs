//! Answers conformance cases: JSON lines on standard input, JSON lines on standard output.

use std::io::{BufRead, Write};

fn main() -> std::io::Result<()> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if !line.trim().is_empty() {
            writeln!(out, "{}", palisade_iam::conform_line(&line, &read))?;
        }
    }
    out.flush()
}
