//! Where changed findings go.
use crate::error::Failure;
use crate::output::to_stdout;
use palisade_watch::{Change, Ledger};
use std::collections::BTreeSet;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Lines of JSON: on stdout, or at the end of a file.
#[derive(Debug)]
pub enum Outlet {
    /// A change may be told again after a crash, with the same id.
    Stdout,
    /// Each change is there once, also after a crash.
    File(PathBuf),
}

impl Outlet {
    /// `-` is stdout.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        append_to(path)?;
        Ok(Self::File(path.to_owned()))
    }

    /// Tells what changed with a snapshot.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn tell(&self, ledger: &Ledger) -> Result<(), Failure> {
        let lines = |all: &[&Change], out: &mut dyn Write| {
            for change in all {
                out.write_all(&palisade_report::to_json(change))?;
                writeln!(out)?;
            }
            Ok(())
        };
        let path = match self {
            Self::Stdout => {
                let all: Vec<&Change> = ledger.changes.iter().collect();
                return to_stdout(|out| lines(&all, out));
            }
            Self::File(path) => path,
        };
        let failed = |source| Failure::Output {
            what: format!("`{}`", path.display()),
            source,
        };
        let mut file = append_to(path)?;
        let known = told(&mut file, &ledger.snapshot).map_err(failed)?;
        let fresh = ledger.changes.iter().filter(|c| !known.contains(&c.id));
        let fresh: Vec<&Change> = fresh.collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        lines(&fresh, &mut bytes)
            .and_then(|()| file.write_all(&bytes))
            .and_then(|()| file.sync_all())
            .map_err(failed)
    }
}

fn append_to(path: &Path) -> Result<std::fs::File, Failure> {
    std::fs::OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .open(path)
        .map_err(|source| Failure::Output {
            what: format!("`{}`", path.display()),
            source,
        })
}

/// How much of the end of a file is looked at: what a snapshot's changes may be.
const TAIL: u64 = 64 << 20;

/// Ids of a snapshot's changes that the file has already. Half a line at its end is taken away.
fn told(file: &mut std::fs::File, snapshot: &str) -> std::io::Result<BTreeSet<String>> {
    let length = file.metadata()?.len();
    if !file.metadata()?.is_file() {
        return Ok(BTreeSet::new());
    }
    let from = length.saturating_sub(TAIL);
    file.seek(std::io::SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    let end = bytes
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |at| at + 1);
    if end < bytes.len() && (end > 0 || from == 0) {
        file.set_len(from + end as u64)?;
    }
    bytes.truncate(end);
    #[derive(serde::Deserialize)]
    struct Head {
        id: String,
    }
    let mut known = BTreeSet::new();
    let prefix = format!("{snapshot}/");
    // from the end: a snapshot's changes stand together
    for line in bytes.split(|b| *b == b'\n').rev().filter(|l| !l.is_empty()) {
        match serde_json::from_slice::<Head>(line) {
            Ok(head) if head.id.starts_with(&prefix) => {
                known.insert(head.id);
            }
            _ => break,
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a test fails by panicking"
    )]
    use super::*;
    use palisade_watch::ChangeKind;

    fn ledger(snapshot: &str, count: usize) -> Ledger {
        let finding: palisade_core::Finding = serde_json::from_value(serde_json::json!({
            "check": "c", "status": "fail", "severity": "high", "account_id": "111111111111", "region": "us-east-1",
            "resource": "r", "resource_id": "r", "resource_type": "t", "message": "m", "fix": "guided",
        }))
        .unwrap();
        let change = |n: usize| Change {
            id: format!("{snapshot}/{n}"),
            change: ChangeKind::Opened,
            before: None,
            finding: finding.clone(),
        };
        Ledger::default().next(snapshot, &[], (1..=count).map(change).collect())
    }

    #[test]
    fn a_file_has_each_change_once_wherever_it_was_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("changes.jsonl");
        let outlet = Outlet::open(&path).unwrap();
        outlet.tell(&ledger("a", 2)).unwrap();
        outlet.tell(&ledger("b", 3)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let first = whole
            .iter()
            .enumerate()
            .filter(|(_, b)| **b == b'\n')
            .nth(1)
            .unwrap()
            .0
            + 1;
        for cut in first..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            outlet.tell(&ledger("b", 3)).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), whole, "cut at {cut}");
        }
        // the same snapshot again is nothing new
        outlet.tell(&ledger("b", 3)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole);
    }
}
