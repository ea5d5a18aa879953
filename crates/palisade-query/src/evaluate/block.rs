//! The verdicts of one check over one batch; findings are built from them only when asked for.
use super::Reason;
use crate::expr::Frame;
use crate::plan::PlannedCheck;
use crate::render;
use crate::session::Planner;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::take_record_batch;
use palisade_catalog::Check;
use palisade_core::{Finding, Status};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many findings of each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// As required.
    pub pass: usize,
    /// Not as required.
    pub fail: usize,
    /// Not read.
    pub unknown: usize,
    /// Not concerned.
    pub not_applicable: usize,
    /// For a person to answer.
    pub manual: usize,
}

impl Counts {
    /// Adds one finding.
    pub fn note(&mut self, status: Status) {
        match status {
            Status::Pass => self.pass += 1,
            Status::Fail => self.fail += 1,
            Status::Unknown => self.unknown += 1,
            Status::NotApplicable => self.not_applicable += 1,
            Status::Manual => self.manual += 1,
        }
    }
    /// Adds other counts.
    pub fn add(&mut self, other: Counts) {
        self.pass += other.pass;
        self.fail += other.fail;
        self.unknown += other.unknown;
        self.not_applicable += other.not_applicable;
        self.manual += other.manual;
    }
    /// All findings.
    pub fn total(&self) -> usize {
        self.pass + self.fail + self.unknown + self.not_applicable + self.manual
    }
}

/// Which findings are built, and with what in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Findings that passed are built too; otherwise they are only counted.
    pub passes: bool,
    /// Evidence for every finding, not only for fails.
    pub evidence: bool,
    /// Values of evidence as they are, however long: for whoever acts on them. Else long ones are shortened.
    pub whole: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            passes: true,
            evidence: false,
            whole: false,
        }
    }
}

/// The verdicts of one check over some rows.
#[derive(Debug)]
pub struct Block<'a> {
    pub(super) planner: &'a Planner,
    pub(super) planned: &'a PlannedCheck,
    pub(super) content: Content<'a>,
}

#[derive(Debug)]
pub(super) enum Content<'a> {
    /// Rows of the resource table with the columns of the predicate's frame.
    Rows {
        rows: &'a RecordBatch,
        verdicts: &'a Verdicts,
    },
    /// Findings that had to be built one by one.
    Findings {
        findings: Vec<Finding>,
        /// The check failed on values: which rows it took for that depends on what else was in the dataset.
        failed: bool,
    },
}

/// The verdicts over a batch.
#[derive(Debug)]
pub(super) struct Verdicts {
    /// Rows that the requirement concerns; `None` means all.
    pub concerned: Option<BooleanBuffer>,
    /// Rows whose predicate is TRUE.
    pub passed: BooleanBuffer,
    /// Rows that could not be decided, whatever the bits say.
    pub unknown: BTreeMap<usize, Reason>,
}

impl Verdicts {
    fn status(&self, row: usize) -> Option<Status> {
        if !self.unknown.is_empty() && self.unknown.contains_key(&row) {
            return Some(Status::Unknown);
        }
        self.known(row)
    }
    /// The verdict of the bits.
    fn known(&self, row: usize) -> Option<Status> {
        if self.concerned.as_ref().is_some_and(|c| !c.value(row)) {
            return None;
        }
        Some(if self.passed.value(row) {
            Status::Pass
        } else {
            Status::Fail
        })
    }
    fn counts(&self) -> Counts {
        let (concerned, pass) = match &self.concerned {
            None => (self.passed.len(), self.passed.count_set_bits()),
            Some(concerned) => (
                concerned.count_set_bits(),
                (concerned & &self.passed).count_set_bits(),
            ),
        };
        let mut counts = Counts {
            pass,
            fail: concerned - pass,
            unknown: self.unknown.len(),
            ..Counts::default()
        };
        for row in self.unknown.keys() {
            match self.known(*row) {
                Some(Status::Pass) => counts.pass -= 1,
                Some(_) => counts.fail -= 1,
                None => {}
            }
        }
        counts
    }
}

impl<'a> Block<'a> {
    /// The check.
    pub fn check(&self) -> &'a Check {
        &self.planned.check
    }

    /// The check's id, shared by its findings.
    pub fn id(&self) -> Arc<str> {
        Arc::clone(&self.planned.id)
    }

    /// Whether a query failed on values: over other rows it might have taken fewer or more with it.
    pub(crate) fn failed_on_values(&self) -> bool {
        matches!(self.content, Content::Findings { failed: true, .. })
    }

    /// How many findings of each status there are. Builds nothing.
    pub fn counts(&self) -> Counts {
        match &self.content {
            Content::Rows { verdicts, .. } => verdicts.counts(),
            Content::Findings { findings, .. } => {
                let mut counts = Counts::default();
                findings.iter().for_each(|f| counts.note(f.status));
                counts
            }
        }
    }

    /// The status of each row of a batch, `None` for rows that the requirement does not concern. Builds nothing.
    pub fn statuses(&self) -> Vec<Option<Status>> {
        match &self.content {
            Content::Rows { rows, verdicts } => (0..rows.num_rows())
                .map(|row| verdicts.status(row))
                .collect(),
            Content::Findings { findings, .. } => findings.iter().map(|f| Some(f.status)).collect(),
        }
    }

    /// The findings, in the order of the rows.
    pub fn findings(&self, options: Options) -> Vec<Finding> {
        let mut out = Vec::new();
        self.findings_into(options, &mut out);
        out
    }

    pub(super) fn findings_into(&self, options: Options, out: &mut Vec<Finding>) {
        match &self.content {
            Content::Findings { findings, .. } => {
                let wanted = findings
                    .iter()
                    .filter(|f| options.passes || f.status != Status::Pass);
                out.extend(wanted.cloned().map(|mut f| {
                    if !options.evidence && f.status != Status::Fail {
                        f.evidence.clear();
                    }
                    if !options.whole {
                        shorten(&mut f.evidence);
                    }
                    f
                }));
            }
            Content::Rows { rows, verdicts } => self.build(rows, verdicts, options, out),
        }
    }

    fn build(
        &self,
        rows: &RecordBatch,
        verdicts: &Verdicts,
        options: Options,
        out: &mut Vec<Finding>,
    ) {
        // what gave verdicts was made
        let Some(Ok(predicate)) = self.planned.predicate(self.planner) else {
            return;
        };
        let mut groups = [(Status::Pass, Vec::new()), (Status::Fail, Vec::new())];
        let mut order: Vec<(u32, Status)> = Vec::new();
        for row in 0..rows.num_rows() {
            let Some(status) = verdicts.status(row) else {
                continue;
            };
            if status == Status::Pass && !options.passes {
                continue;
            }
            let Ok(index) = u32::try_from(row) else {
                continue;
            };
            order.push((index, status));
            if let Some((_, group)) = groups.iter_mut().find(|(s, _)| *s == status) {
                group.push(index);
            }
        }
        // Messages are computed only over the rows that need them.
        let mut messages: BTreeMap<u32, String> = BTreeMap::new();
        for (status, group) in groups {
            let (planned, frame) = (self.planned, &predicate.frame);
            let texts = texts(self.planner, planned, frame, rows, status, &group);
            messages.extend(group.into_iter().zip(texts));
        }
        let names = Names::new(&predicate.frame, &self.planned.table.spec.id, rows);
        let mut last: Option<(Arc<str>, Arc<str>)> = None;
        out.reserve(order.len());
        for (index, status) in order {
            let row = index as usize;
            let reason = verdicts
                .unknown
                .get(&row)
                .filter(|_| status == Status::Unknown);
            let mut evidence = if status == Status::Fail || (options.evidence && reason.is_none()) {
                evidence(&predicate.frame, &predicate.evidence, rows, row)
            } else {
                serde_json::Map::new()
            };
            if !options.whole {
                shorten(&mut evidence);
            }
            let (account, region) = (names.account(row), names.region(row));
            let (account_id, region) = match &last {
                Some((a, r)) if **a == *account && **r == *region => (Arc::clone(a), Arc::clone(r)),
                _ => (Arc::from(account), Arc::from(region)),
            };
            last = Some((Arc::clone(&account_id), Arc::clone(&region)));
            let resource_id = names.id(row);
            out.push(Finding {
                check: Arc::clone(&self.planned.id),
                status,
                severity: self.planned.check.severity,
                account_id,
                region,
                resource: names
                    .arn(row)
                    .map_or_else(|| resource_id.clone(), ToOwned::to_owned),
                resource_id,
                resource_type: Arc::clone(&self.planned.resource_type),
                message: match reason {
                    Some(reason) => reason.message(),
                    None => messages.remove(&index).unwrap_or_default(),
                },
                evidence,
                requirements: Arc::clone(&self.planned.requirements),
                fix: self.planned.fix,
                history: None,
                missing_permissions: reason.map(Reason::permissions).unwrap_or_default(),
                muted: None,
            });
        }
    }
}

/// What is said of each of some rows, which pass, or fail.
pub(super) fn texts(
    planner: &Planner,
    planned: &PlannedCheck,
    frame: &Frame,
    rows: &RecordBatch,
    status: Status,
    wanted: &[u32],
) -> Vec<String> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let message = planned.message(planner, status == Status::Pass);
    if wanted.len() == rows.num_rows() {
        return message.write(planner, frame, rows);
    }
    match take_record_batch(rows, &UInt32Array::from(wanted.to_vec())) {
        Ok(part) => message.write(planner, frame, &part),
        // Arrow cannot fail to take rows that exist; a message is not worth a crash.
        Err(_) => vec![String::new(); wanted.len()],
    }
}

/// Shortens long values.
fn shorten(evidence: &mut serde_json::Map<String, serde_json::Value>) {
    for value in evidence.values_mut() {
        *value = render::shortened(std::mem::take(value));
    }
}

/// The values of some columns.
pub(super) fn evidence(
    frame: &Frame,
    columns: &[String],
    rows: &RecordBatch,
    row: usize,
) -> serde_json::Map<String, serde_json::Value> {
    let mut out = serde_json::Map::new();
    for name in columns {
        if let Some(column) = frame
            .arrow
            .index_of(name)
            .ok()
            .and_then(|i| rows.columns().get(i))
        {
            out.insert(name.clone(), render::json(column, row));
        }
    }
    out
}

/// The columns that name a row.
pub(super) struct Names {
    account: Option<ArrayRef>,
    region: Option<ArrayRef>,
    arn: Option<ArrayRef>,
    id: Option<ArrayRef>,
}

impl Names {
    pub(super) fn new(frame: &Frame, id: &str, rows: &RecordBatch) -> Self {
        let column = |name: &str| {
            frame
                .arrow
                .index_of(name)
                .ok()
                .and_then(|i| rows.columns().get(i))
                .cloned()
        };
        Self {
            account: column("account_id"),
            region: column("region"),
            arn: column("arn"),
            id: column(id),
        }
    }
    pub(super) fn account(&self, row: usize) -> &str {
        self.account
            .as_ref()
            .and_then(|a| value(a, row))
            .unwrap_or_default()
    }
    pub(super) fn region(&self, row: usize) -> &str {
        self.region
            .as_ref()
            .and_then(|a| value(a, row))
            .unwrap_or_default()
    }
    pub(super) fn arn(&self, row: usize) -> Option<&str> {
        self.arn
            .as_ref()
            .and_then(|a| value(a, row))
            .filter(|arn| !arn.is_empty())
    }
    pub(super) fn id(&self, row: usize) -> String {
        match &self.id {
            Some(array) if array.is_valid(row) => render::text(array, row),
            _ => String::new(),
        }
    }
}

/// The text at `row`; `None` for NULL and for columns that are not text.
pub(super) fn value(array: &ArrayRef, row: usize) -> Option<&str> {
    if row >= array.len() || array.is_null(row) {
        return None;
    }
    if let Some(texts) = array.as_string_opt::<i32>() {
        return Some(texts.value(row));
    }
    if let Some(texts) = array.as_string_view_opt() {
        return Some(texts.value(row));
    }
    array.as_string_opt::<i64>().map(|texts| texts.value(row))
}
