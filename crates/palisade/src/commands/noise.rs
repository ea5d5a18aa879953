//! Mutes and baselines: `--mutes`, `--baseline`, `palisade baseline`, `palisade mutes import`.
use super::report::{Holding, Judged};
use super::scan;
use crate::Outcome;
use crate::cli::{
    BaselineArgs, Format, Global, MutesCommand, NoiseArgs, OrganizationArgs, Scan, StoreArgs,
};
use crate::error::Failure;
use crate::output::{FileOutput, Terminal, to_stdout};
use palisade_catalog::Catalog;
use palisade_collect::Request;
use palisade_config::Given;
use palisade_core::{Assessment, ExpiredMute, Finding, Listing, Timestamp};
use palisade_mute::{Baseline, BaselineMarking, MuteMarking, Mutes};
use palisade_scan::Scanner;
use palisade_table::Dataset;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Account and ARN → tags.
pub type Tags = BTreeMap<(String, String), BTreeMap<String, String>>;

/// What the user accepted, read before anything is asked of AWS.
#[derive(Debug, Default)]
pub struct Noise {
    mutes: Mutes,
    baseline: Option<Baseline>,
}

impl Noise {
    /// Reads the files.
    ///
    /// # Errors
    /// When a file is missing or wrong: a mute that is silently not read hides that somebody relied on it.
    pub fn read(args: &NoiseArgs, catalog: &Catalog, terminal: &Terminal) -> Result<Self, Failure> {
        let mutes = match &args.mutes {
            None => Mutes::default(),
            Some(path) => Mutes::parse(&text(path)?).map_err(|e| wrong(path, &e))?,
        };
        let ids: Vec<&str> = catalog.checks.keys().map(String::as_str).collect();
        for unknown in mutes.unknown_checks(&ids) {
            terminal.warn(&format!("a mute names `{unknown}`, which is no check"));
        }
        let baseline = match &args.baseline {
            None => None,
            Some(path) => Some(Baseline::parse(&text(path)?).map_err(|e| wrong(path, &e))?),
        };
        Ok(Self { mutes, baseline })
    }

    /// How findings must be held for these files, when outputs ask for something: what is accepted is known by looking at
    /// every fail.
    pub fn holding(&self, outputs: Holding) -> Holding {
        match outputs {
            Holding::Listed(Listing::First(_)) if !self.is_empty() => {
                Holding::Listed(Listing::NotPassed)
            }
            other => other,
        }
    }

    fn is_empty(&self) -> bool {
        self.mutes.is_empty() && self.baseline.is_none()
    }

    /// Whether a mute asks for tags.
    pub fn needs_tags(&self) -> bool {
        self.mutes.needs_tags()
    }

    /// Adds the tags of the tables that a scan reads anyway, when a mute asks for tags.
    pub fn add_tags(&self, request: &mut Request, scanner: &Scanner) {
        for (_, query) in self.tag_queries(request) {
            if let Ok(more) = scanner.columns_of(&query) {
                for table in more.tables.keys() {
                    request.add(table, TAG_COLUMNS.iter().copied());
                }
            }
        }
    }

    fn tag_queries(&self, request: &Request) -> Vec<(String, String)> {
        if !self.mutes.needs_tags() {
            return Vec::new();
        }
        let columns = TAG_COLUMNS.join(", ");
        let tables = request.tables.keys();
        tables
            .map(|t| (t.clone(), format!("SELECT {columns} FROM {t}")))
            .collect()
    }

    /// The tags that were read.
    pub fn tags(
        &self,
        request: &Request,
        scanner: &Scanner,
        dataset: &Dataset,
    ) -> Result<Tags, Failure> {
        let mut tags = Tags::new();
        for (_, query) in self.tag_queries(request) {
            // a table without tags or without ARNs
            if scanner.columns_of(&query).is_err() {
                continue;
            }
            let rows = scanner.query(&query, dataset)?.to_json_lines();
            for line in rows.lines() {
                let Ok((account, arn, of)) =
                    serde_json::from_str::<Row>(line).map(|r| (r.account_id, r.arn, r.tags))
                else {
                    continue;
                };
                if let (Some(arn), Some(of)) = (arn, of) {
                    tags.insert((account, arn), of);
                }
            }
        }
        Ok(tags)
    }

    /// Marks the findings of an assessment, and tells on stderr what no longer holds.
    pub fn apply(&self, assessment: &mut Assessment, tags: &Tags, terminal: &Terminal) {
        let mut marking = self.marking(assessment.started_at, tags);
        for finding in &mut assessment.findings {
            marking.mark(finding);
        }
        assessment.expired_mutes = marking.end(terminal);
    }

    /// The same, wherever the findings are.
    ///
    /// # Errors
    /// When findings that are kept apart cannot be.
    pub fn apply_to(
        &self,
        judged: &mut Judged,
        tags: &Tags,
        terminal: &Terminal,
    ) -> Result<(), Failure> {
        let mut marking = self.marking(judged.assessment.started_at, tags);
        if !self.is_empty() {
            judged.change(|finding| marking.mark(finding))?;
        }
        judged.assessment.expired_mutes = marking.end(terminal);
        Ok(())
    }

    fn marking<'n>(&'n self, started_at: Timestamp, tags: &'n Tags) -> Marking<'n> {
        Marking {
            mutes: self.mutes.marking(started_at),
            baseline: self.baseline.as_ref().map(Baseline::marking),
            tags,
        }
    }
}

/// What the user accepted, while it marks findings.
struct Marking<'n> {
    mutes: MuteMarking<'n>,
    baseline: Option<BaselineMarking<'n>>,
    tags: &'n Tags,
}

impl Marking<'_> {
    fn mark(&mut self, finding: &mut Finding) {
        let key = (finding.account_id.to_string(), finding.resource.clone());
        self.mutes.mark(finding, self.tags.get(&key));
        if let Some(baseline) = &mut self.baseline {
            baseline.mark(finding);
        }
    }

    /// Tells what no longer holds.
    fn end(self, terminal: &Terminal) -> Vec<ExpiredMute> {
        let expired = self.mutes.expired();
        for mute in &expired {
            terminal.warn(&format!(
                "the mute of `{}` by {} ended on {}: {} findings count again",
                mute.check, mute.owner, mute.expires, mute.findings
            ));
        }
        let gone = self.baseline.map_or(0, |baseline| baseline.gone());
        if gone > 0 {
            terminal.note(&format!(
                "{gone} findings of the baseline fail no longer; take a new one to keep it so"
            ));
        }
        expired
    }
}

const TAG_COLUMNS: &[&str] = &["account_id", "arn", "tags"];

#[derive(serde::Deserialize)]
struct Row {
    account_id: String,
    arn: Option<String>,
    tags: Option<BTreeMap<String, String>>,
}

fn text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|source| Failure::Input {
        path: path.to_owned(),
        source,
    })
}

fn wrong(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::Usage {
        message: format!("`{}`: {error}", path.display()),
        hint: None,
    }
}

/// `palisade baseline`
pub fn baseline(
    args: BaselineArgs,
    given: &Given,
    global: &Global,
    catalog: Arc<Catalog>,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    FileOutput::probe(&args.output)?;
    let files = NoiseArgs {
        mutes: args.mutes.clone(),
        baseline: None,
    };
    let noise = Noise::read(&files, &catalog, terminal)?;
    let assessment = match &args.from {
        Some(path) => {
            let mut read: Assessment =
                serde_json::from_str(&text(path)?).map_err(|e| wrong(path, &e))?;
            noise.apply(&mut read, &Tags::new(), terminal);
            read
        }
        None => {
            let scan = Scan {
                store: StoreArgs::default(),
                no_snapshot: true,
                dry_run: false,
                selection: args.selection,
                target: args.target,
                organization: OrganizationArgs::default(),
                format: Format::Json,
                output: Vec::new(),
                send: Vec::new(),
                all: false,
                evidence: false,
                param: args.param,
                attestations: None,
                noise: NoiseArgs::default(),
                fail_on: None,
                strict: false,
                all_tables: false,
            };
            let ready = scan::Ready::new(scan, given, global, &catalog)?;
            let assessed = scan::assess(&ready, &noise, None, &catalog, None, terminal)?;
            assessed.judged.assessment
        }
    };
    if assessment.coverage.interrupted {
        return Err(Failure::Usage {
            message:
                "the scan was stopped before it ended; half a baseline would pass for a whole one"
                    .to_owned(),
            hint: None,
        });
    }
    let baseline = Baseline::of(&assessment);
    let write = |out: &mut dyn std::io::Write| out.write_all(baseline.to_json().as_bytes());
    FileOutput::write(&args.output, write)?.persist()?;
    terminal.note(&format!(
        "{} failed findings are in {}",
        baseline.len(),
        args.output.display()
    ));
    Ok(Outcome::Done)
}

/// `palisade mutes`
pub fn mutes(
    command: &MutesCommand,
    catalog: &Catalog,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let MutesCommand::Import {
        file,
        owner,
        expires,
    } = command;
    let checks = |id: &str| {
        let found = catalog
            .resolve_check(&format!("prowler:{id}"))
            .unwrap_or_default();
        found.iter().map(|c| c.id.clone()).collect()
    };
    let imported =
        palisade_mute::import(&text(file)?, owner, expires, checks).map_err(|e| wrong(file, &e))?;
    for what in &imported.left_out {
        terminal.warn(&format!("left out: {what}"));
    }
    to_stdout(|out| out.write_all(imported.mutes.to_toml().as_bytes()))?;
    Ok(if imported.left_out.is_empty() {
        Outcome::Done
    } else {
        Outcome::Failed
    })
}
