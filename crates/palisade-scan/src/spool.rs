//! Findings that are kept apart from their assessment, whatever their number.
//!
//! A block of them is in memory. What is more is in temporary files, each a run in order, which are merged while they are
//! read; runs that become many are made one, so that few are open. The files have no name: they are gone with the process.
use palisade_core::{Assessment, Finding, Findings, Listing};
use std::borrow::Cow;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, Write};

use crate::organization::Merge;

/// Findings that are in memory before they go to a file.
const BLOCK: usize = 4096;

/// Findings that are looked at together for what a listing has of them.
const LISTED: usize = 256;

/// Runs of about the same length that are made one.
const RUNS: usize = 16;

/// Bytes that are read of a run, and written, at once.
const BUFFER: usize = 1 << 16;

/// Findings in the order of their keys; of equal keys in the order in which they came.
#[derive(Debug)]
pub struct Spool {
    block: usize,
    /// Those that came last, in no order.
    recent: Vec<Finding>,
    /// By length: those of a later level are longer and older. In a level, oldest first.
    levels: Vec<Vec<File>>,
    count: usize,
}

impl Default for Spool {
    fn default() -> Self {
        Self::of_blocks(BLOCK)
    }
}

impl Spool {
    /// One that has at most so many findings in memory.
    pub fn of_blocks(block: usize) -> Self {
        Self {
            block: block.max(1),
            recent: Vec::new(),
            levels: Vec::new(),
            count: 0,
        }
    }

    /// Adds some.
    ///
    /// # Errors
    /// When a temporary file cannot be written.
    pub fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) -> io::Result<()> {
        for finding in findings {
            self.recent.push(finding);
            self.count += 1;
            if self.recent.len() >= self.block {
                self.write_block()?;
            }
        }
        Ok(())
    }

    /// Changes each, in no order. What decides the order stays as it is.
    ///
    /// # Errors
    /// When a temporary file cannot be read or written.
    pub fn change(&mut self, mut change: impl FnMut(&mut Finding)) -> io::Result<()> {
        if self.levels.is_empty() {
            self.recent.iter_mut().for_each(change);
            return Ok(());
        }
        let mut run = Run::new()?;
        self.merged(&mut |finding| {
            let mut finding = finding.clone();
            change(&mut finding);
            run.add(&finding)
        })?;
        let last = self.levels.len() - 1;
        self.levels = (0..last).map(|_| Vec::new()).collect();
        self.levels.push(vec![run.finish()?]);
        self.recent = Vec::new();
        Ok(())
    }

    /// Lists in an assessment what a listing says, and counts the others there. The assessment has no other findings.
    ///
    /// # Errors
    /// When a temporary file cannot be read.
    pub fn list(&self, listing: Listing, assessment: &mut Assessment) -> io::Result<()> {
        let mut merge = Merge::listing(listing);
        let mut block = Vec::new();
        self.each(&mut |finding| {
            block.push(finding.clone());
            if block.len() >= LISTED {
                merge.add_findings(std::mem::take(&mut block));
            }
            Ok(())
        })?;
        merge.add_findings(block);
        (assessment.findings, assessment.counted) = merge.listed();
        Ok(())
    }

    fn write_block(&mut self) -> io::Result<()> {
        self.recent.sort_by(by_key);
        let mut run = Run::new()?;
        for finding in self.recent.drain(..) {
            run.add(&finding)?;
        }
        let mut file = run.finish()?;
        for level in 0.. {
            if self.levels.len() <= level {
                self.levels.push(Vec::new());
            }
            let Some(runs) = self.levels.get_mut(level) else {
                break;
            };
            runs.push(file);
            if runs.len() < RUNS {
                break;
            }
            let runs = std::mem::take(runs);
            let mut longer = Run::new()?;
            merge(&runs, &[], &mut |finding| longer.add(finding))?;
            file = longer.finish()?;
        }
        Ok(())
    }

    fn merged(&self, take: &mut dyn FnMut(&Finding) -> io::Result<()>) -> io::Result<()> {
        merge(self.levels.iter().rev().flatten(), &self.recent, take)
    }
}

impl Findings for Spool {
    fn count(&self) -> usize {
        self.count
    }
    fn each(&self, take: &mut dyn FnMut(&Finding) -> io::Result<()>) -> io::Result<()> {
        self.merged(take)
    }
}

/// An error that says what could not be read or written: the disk that is full is not that of the report.
fn told(e: io::Error) -> io::Error {
    let folder = std::env::temp_dir();
    let message = format!(
        "a temporary file of findings in `{}`: {e}",
        folder.display()
    );
    io::Error::new(e.kind(), message)
}

fn by_key(a: &Finding, b: &Finding) -> Ordering {
    a.sort_key().cmp(&b.sort_key())
}

/// A run while it is written: a finding a line.
struct Run(BufWriter<File>);

impl Run {
    fn new() -> io::Result<Self> {
        let file = tempfile::tempfile().map_err(told)?;
        Ok(Self(BufWriter::with_capacity(BUFFER, file)))
    }
    fn add(&mut self, finding: &Finding) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, finding).map_err(|e| told(e.into()))?;
        self.0.write_all(b"\n").map_err(told)
    }
    fn finish(self) -> io::Result<File> {
        let written = self.0.into_inner();
        written.map_err(|e| told(e.into_error()))
    }
}

/// Where findings come from, in order.
enum Source<'a> {
    Run(BufReader<&'a File>, String),
    Block(std::vec::IntoIter<&'a Finding>),
}

impl<'a> Source<'a> {
    fn next(&mut self) -> io::Result<Option<Cow<'a, Finding>>> {
        match self {
            Self::Block(findings) => Ok(findings.next().map(Cow::Borrowed)),
            Self::Run(file, line) => {
                line.clear();
                if file.read_line(line).map_err(told)? == 0 {
                    return Ok(None);
                }
                let finding = serde_json::from_str(line);
                Ok(Some(Cow::Owned(finding.map_err(|e| told(e.into()))?)))
            }
        }
    }
}

/// The next finding of a source.
struct Head<'a> {
    finding: Cow<'a, Finding>,
    source: usize,
}

impl Ord for Head<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        by_key(&self.finding, &other.finding).then(self.source.cmp(&other.source))
    }
}
impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Head<'_> {}

/// Goes through runs, oldest first, and a block that came after them.
fn merge<'a>(
    runs: impl IntoIterator<Item = &'a File>,
    block: &'a [Finding],
    take: &mut dyn FnMut(&Finding) -> io::Result<()>,
) -> io::Result<()> {
    let mut sources = Vec::new();
    for mut file in runs {
        file.rewind().map_err(told)?;
        let reader = BufReader::with_capacity(BUFFER, file);
        sources.push(Source::Run(reader, String::new()));
    }
    let mut block: Vec<&Finding> = block.iter().collect();
    block.sort_by(|a, b| by_key(a, b));
    sources.push(Source::Block(block.into_iter()));
    let mut heads = BinaryHeap::new();
    for (source, from) in sources.iter_mut().enumerate() {
        if let Some(finding) = from.next()? {
            heads.push(Reverse(Head { finding, source }));
        }
    }
    while let Some(Reverse(Head { finding, source })) = heads.pop() {
        take(&finding)?;
        let from = sources.get_mut(source);
        let next = from.map(Source::next).transpose()?.flatten();
        if let Some(finding) = next {
            heads.push(Reverse(Head { finding, source }));
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use palisade_core::{FixAvailability, MutedBy, Muting, Severity, Status};
    use std::sync::Arc;

    fn finding(check: usize, account: usize, message: usize) -> Finding {
        Finding {
            check: format!("check-{check}").into(),
            status: [Status::Fail, Status::Pass, Status::Unknown][message % 3],
            severity: Severity::High,
            account_id: format!("{account:012}").into(),
            region: "eu-west-1".into(),
            resource: format!("arn:aws:s3:::b-{}", message % 7),
            resource_id: String::new(),
            resource_type: "s3_bucket".into(),
            message: format!("line\n {message}"),
            evidence: serde_json::json!({ "z": 0.1 + 0.2, "a": [null, "\u{2028}"] })
                .as_object()
                .cloned()
                .unwrap(),
            requirements: Arc::from(["f/1".to_owned()]),
            fix: FixAvailability::Guided,
            missing_permissions: Vec::new(),
            muted: None,
            history: None,
        }
    }

    /// Many findings, of which several have the same key.
    fn many() -> Vec<Finding> {
        let all = (0..3000).map(|n| finding((n * 7) % 5, (n * 13) % 11, n));
        all.collect()
    }

    fn all(findings: &dyn Findings) -> Vec<Finding> {
        let mut all = Vec::new();
        findings
            .each(&mut |f| {
                all.push(f.clone());
                Ok(())
            })
            .unwrap();
        all
    }

    #[test]
    fn findings_come_back_in_order_whatever_is_in_memory() {
        let mut expected = many();
        expected.sort_by(by_key);
        for block in [1, 2, 10, 100, 2999, 3000, 10_000] {
            let mut spool = Spool::of_blocks(block);
            spool.extend(many()).unwrap();
            assert_eq!(spool.count(), 3000);
            assert_eq!(all(&spool), expected, "{block}");
            // as often as needed
            assert_eq!(all(&spool), expected, "{block}");
            let open: usize = spool.levels.iter().map(Vec::len).sum();
            assert!(open < RUNS * 4, "{open} files are open");
        }
    }

    #[test]
    fn changes_stay_and_more_can_be_added() {
        let muting = Arc::new(Muting {
            by: MutedBy::Mute,
            reason: "accepted".to_owned(),
            owner: String::new(),
            expires: String::new(),
        });
        let change = |f: &mut Finding| {
            if f.status == Status::Fail {
                f.muted = Some(Arc::clone(&muting));
            }
        };
        let mut expected = many();
        expected.iter_mut().for_each(change);
        expected.extend(many().into_iter().take(50));
        expected.sort_by(by_key);
        for block in [7, 100, 10_000] {
            let mut spool = Spool::of_blocks(block);
            spool.extend(many()).unwrap();
            spool.change(change).unwrap();
            spool.extend(many().into_iter().take(50)).unwrap();
            assert_eq!(all(&spool), expected, "{block}");
        }
    }

    #[test]
    fn a_listing_is_that_of_findings_in_memory() {
        for listing in [
            Listing::All,
            Listing::NotPassed,
            Listing::First(3),
            Listing::Nothing,
        ] {
            let mut merge = Merge::listing(listing);
            let mut sorted = many();
            sorted.sort_by(by_key);
            merge.add_findings(sorted);
            let expected = merge.finish(palisade_core::Timestamp::from_micros(0));
            let mut spool = Spool::of_blocks(64);
            spool.extend(many()).unwrap();
            let mut assessment = Merge::default().finish(expected.started_at);
            spool.list(listing, &mut assessment).unwrap();
            assert_eq!(assessment, expected, "{listing:?}");
            assert_eq!(assessment.total(), 3000);
        }
    }

    #[test]
    fn who_takes_them_can_stop() {
        let mut spool = Spool::of_blocks(10);
        spool.extend(many()).unwrap();
        let mut seen = 0;
        let ended = spool.each(&mut |_| {
            seen += 1;
            match seen {
                5 => Err(io::ErrorKind::BrokenPipe.into()),
                _ => Ok(()),
            }
        });
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(seen, 5);
    }
}
