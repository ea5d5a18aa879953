//! The page of a playbook, and the report of an incident.
use crate::error::Failure;
use palisade_catalog::{Phase, Playbook, PlaybookStep, StepKind};
use palisade_core::Timestamp;
use palisade_fix::{Event, Plan, Run};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// What a run of a playbook did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    pub playbook: String,
    pub drill: bool,
    pub begun: Timestamp,
    pub account_id: String,
    pub regions: Vec<String>,
    pub who: String,
    pub params: BTreeMap<String, String>,
    /// One for each step of the playbook.
    pub steps: Vec<StepRecord>,
    /// What could not be read.
    pub gaps: Vec<String>,
}

/// What came of one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StepRecord {
    /// Rows that were kept.
    Evidence {
        file: String,
        rows: usize,
        sha256: String,
        /// False when some call failed: rows may be missing.
        complete: bool,
    },
    /// Changes that go into the plan, as far as they can.
    Change {
        /// What they concern.
        targets: usize,
    },
    /// For people.
    Checklist,
}

const FILE: &str = "incident.json";

impl Incident {
    /// Reads it back.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(|source| Failure::Input {
            path: path.clone(),
            source,
        })?;
        serde_json::from_str(&text).map_err(|e| Failure::Content {
            path,
            message: e.to_string(),
        })
    }

    /// Writes it beside the evidence.
    pub fn write(&self, folder: &Path) -> Result<(), Failure> {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        super::write(&folder.join(FILE), &text)
    }
}

/// A playbook for reading.
pub fn page(playbook: &Playbook) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "# {} ({})\n\n{}\n",
        playbook.title, playbook.severity, playbook.about
    );
    for (name, parameter) in &playbook.params {
        let _ = writeln!(out, "--param {name}=…  {}", parameter.about);
    }
    if !playbook.roles.is_empty() {
        let _ = writeln!(out, "\n## Roles\n");
        for role in &playbook.roles {
            let _ = writeln!(out, "- {role}");
        }
    }
    let mut phase = None;
    for (index, step) in playbook.steps.iter().enumerate() {
        heading(&mut phase, step, &mut out);
        let _ = writeln!(out, "{}. {}", index + 1, step.title);
        match &step.kind {
            StepKind::Query(sql) => {
                let _ = writeln!(out, "   reads: {sql}");
            }
            StepKind::Change { call, rows } => {
                if let Some(rows) = rows {
                    let _ = writeln!(out, "   for each: {rows}");
                }
                let params = serde_json::Value::Object(call.params.clone());
                let _ = writeln!(
                    out,
                    "   changes: {}:{} {params}",
                    call.service, call.operation
                );
            }
            StepKind::Checklist(points) => points.iter().for_each(|p| {
                let _ = writeln!(out, "   - {p}");
            }),
        }
    }
    out
}

fn heading(phase: &mut Option<Phase>, step: &PlaybookStep, out: &mut String) {
    if *phase != Some(step.phase) {
        *phase = Some(step.phase);
        let _ = writeln!(out, "\n## {}\n", capital(step.phase.as_str()));
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// The report.
pub fn render(
    playbook: &Playbook,
    incident: &Incident,
    plan: &Plan,
    runs: &[Run],
    damaged: &[String],
) -> String {
    let mut out = String::new();
    let kind = if incident.drill { "Drill" } else { "Incident" };
    let _ = writeln!(out, "# {kind}: {}\n", playbook.title);
    let _ = writeln!(out, "- severity until more is known: {}", playbook.severity);
    let _ = writeln!(
        out,
        "- account {} ({})",
        incident.account_id,
        incident.regions.join(", ")
    );
    let _ = writeln!(out, "- begun {} by {}", incident.begun, incident.who);
    for (name, value) in incident.params.iter().filter(|(n, _)| *n != "now") {
        let _ = writeln!(out, "- {name}: `{value}`");
    }
    let _ = writeln!(out, "\n{}\n\n## Roles\n", playbook.about);
    for role in &playbook.roles {
        let _ = writeln!(out, "- [ ] {role}: ____");
    }
    let mut phase = None;
    for (index, step) in playbook.steps.iter().enumerate() {
        heading(&mut phase, step, &mut out);
        step_text(playbook, index, step, incident, plan, runs, &mut out);
    }
    if !incident.gaps.is_empty() || !damaged.is_empty() {
        let _ = writeln!(out, "\n## What could not be read\n");
        for gap in incident.gaps.iter().chain(damaged) {
            let _ = writeln!(out, "- {gap}");
        }
    }
    let _ = writeln!(out, "\n## Timeline\n");
    for (time, what) in timeline(incident, plan, runs) {
        let _ = writeln!(out, "- {time} {what}");
    }
    let _ = writeln!(
        out,
        "- ____ (what people did and saw)\n\n## After the incident\n\n### What happened\n\n____\n\n### Class and harm\n\n____\n\n### Root cause\n\n____\n\n### What went well, what did not\n\n____\n\n### What will be done, by whom, until when\n\n- [ ] ____"
    );
    out
}

fn step_text(
    playbook: &Playbook,
    index: usize,
    step: &PlaybookStep,
    incident: &Incident,
    plan: &Plan,
    runs: &[Run],
    out: &mut String,
) {
    let _ = writeln!(out, "**{}. {}**\n", index + 1, step.title);
    match (&step.kind, incident.steps.get(index)) {
        (StepKind::Checklist(points), _) => {
            for point in points {
                let _ = writeln!(out, "- [ ] {point}");
            }
        }
        (
            _,
            Some(StepRecord::Evidence {
                file,
                rows,
                sha256,
                complete,
            }),
        ) => {
            let missing = if *complete {
                ""
            } else {
                "; calls failed, so rows may be missing"
            };
            let _ = writeln!(
                out,
                "{rows} rows in [{file}]({file}){missing}; SHA-256 `{sha256}`"
            );
        }
        (_, Some(StepRecord::Change { targets })) => {
            let id = format!("{}-{}", playbook.id, index + 1);
            if *targets == 0 {
                let _ = writeln!(out, "nothing to change: the query found no row");
            }
            for item in &plan.items {
                if !item.checks.iter().any(|c| c.id == id) {
                    continue;
                }
                let (mark, state) = came_of(item.number, runs);
                let _ = writeln!(
                    out,
                    "- [{mark}] item {} of plan.json, {}: {state}",
                    item.number, item.resource
                );
            }
            for left in plan.guided.iter().chain(&plan.protected) {
                if left.check == id {
                    let _ = writeln!(out, "- [ ] {}: not planned: {}", left.resource, left.reason);
                }
            }
        }
        _ => {}
    }
    out.push('\n');
}

/// The mark and the words for an item: done is only what is as it is wanted, and was not taken back since.
fn came_of(number: usize, runs: &[Run]) -> (&'static str, String) {
    let of_item = |event: &Event| match event {
        Event::Item {
            time,
            item,
            undo,
            outcome,
            ..
        } if *item == number => Some((*time, *undo, *outcome)),
        _ => None,
    };
    let events = runs
        .iter()
        .flat_map(|run| run.events.iter().filter_map(of_item));
    match events.max_by_key(|(time, _, _)| *time) {
        None => (" ", "planned".to_owned()),
        Some((_, true, outcome)) => (" ", format!("taking back: {}", outcome.as_str())),
        Some((_, false, outcome)) => (
            if outcome.is_wanted() { "x" } else { " " },
            outcome.as_str().to_owned(),
        ),
    }
}

/// What the files say happened, in order.
fn timeline(incident: &Incident, plan: &Plan, runs: &[Run]) -> Vec<(Timestamp, String)> {
    let mut all = vec![
        (incident.begun, "evidence collected".to_owned()),
        (
            plan.created,
            format!("{} changes planned", plan.items.len()),
        ),
    ];
    for run in runs {
        for event in &run.events {
            match event {
                Event::Run {
                    time, who, resumed, ..
                } => {
                    let what = if *resumed { "went on with" } else { "began" };
                    all.push((*time, format!("{} {what} run {}", who.arn, run.name)));
                }
                Event::Undo { time, who } => {
                    all.push((
                        *time,
                        format!("{} began to take run {} back", who.arn, run.name),
                    ));
                }
                Event::Call {
                    time,
                    item,
                    call,
                    undo,
                    ..
                } => {
                    let what = if *undo { "undo of item" } else { "item" };
                    all.push((*time, format!("{what} {item}: {}", call.name())));
                }
                Event::Item {
                    time,
                    item,
                    outcome,
                    undo,
                    ..
                } => {
                    let what = if *undo { "undo of item" } else { "item" };
                    all.push((*time, format!("{what} {item}: {}", outcome.as_str())));
                }
                _ => {}
            }
        }
    }
    all.sort_by_key(|(time, _)| *time);
    all
}
