//! Plans and runs for people.
use crate::cli_line::cli_line;
use crate::journal::{CallOutcome, Event, Run};
use crate::undo::{standing, undo_hash};
use crate::{Attribute, FixError, Item, Left, Outcome, Plan};
use palisade_catalog::Code;
use serde_json::Value as Json;
use std::fmt::Write as _;

/// Longest value that is shown in one line.
const LONGEST: usize = 160;

/// A plan as text.
pub fn plan_text(plan: &Plan) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "plan {}\nmade {} by {}, valid until {}",
        plan.hash, plan.created, plan.planned_by, plan.expires
    );
    if let Some(r) = &plan.retirement {
        let _ = writeln!(
            out,
            "retires {}: disabled {} ({}), and in {} days until {} nobody wanted it ({} events looked at)",
            r.key, r.disabled, r.known_by, r.days, r.until, r.events
        );
    }
    for item in &plan.items {
        item_text(item, &mut out);
    }
    left_text("for a person to repair", &plan.guided, &mut out);
    left_text("protected, not touched", &plan.protected, &mut out);
    left_text("unknown, not touched", &plan.unknown, &mut out);
    let irreversible = plan.items.iter().filter(|i| !i.is_reversible()).count();
    let _ = writeln!(
        out,
        "\n{} to change ({irreversible} cannot be taken back), {} for a person, {} protected, {} unknown",
        plan.items.len(),
        plan.guided.len(),
        plan.protected.len(),
        plan.unknown.len()
    );
    if !plan.permissions.is_empty() {
        let _ = writeln!(
            out,
            "applying and taking back need: {}",
            plan.permissions.join(", ")
        );
    }
    out
}

fn item_text(item: &Item, out: &mut String) {
    let _ = writeln!(
        out,
        "\n{}. {} in {} {}",
        item.number, item.resource, item.account_id, item.region
    );
    for check in &item.checks {
        let of = check.about.as_ref().map(|a| format!(" of {}", a.resource));
        let _ = writeln!(
            out,
            "   {} {}{}: {} ({})",
            check.severity,
            check.id,
            of.unwrap_or_default(),
            check.title,
            check.found
        );
    }
    let _ = writeln!(out, "   risk: {}", item.risk);
    for used in &item.uses {
        let _ = writeln!(out, "   used by: {used}");
    }
    for step in &item.steps {
        let _ = writeln!(out, "   {}: {}", step.call.name(), step.about);
        for attribute in &step.attributes {
            attribute_text(attribute, out);
        }
        let _ = writeln!(out, "     $ {}", step.cli);
        code_text(&step.code, out);
        match &step.inverse {
            Some(inverse) => {
                let params = Json::Object(inverse.params.clone());
                let _ = writeln!(out, "     undo: {} {}", inverse.name(), short(&params));
            }
            None => {
                let _ = writeln!(out, "     undo: none");
            }
        }
        for lost in &step.lost {
            let _ = writeln!(out, "     not brought back: {lost}");
        }
    }
}

fn code_text(code: &Code, out: &mut String) {
    let lists = [
        ("terraform", &code.terraform),
        ("cloudformation", &code.cloudformation),
        ("no template", &code.without),
    ];
    for (name, list) in lists {
        for place in list {
            let _ = writeln!(out, "     {name}: {place}");
        }
    }
}

fn attribute_text(attribute: &Attribute, out: &mut String) {
    if attribute.before == attribute.after {
        return;
    }
    if let (Json::Object(before), Json::Object(after)) = (&attribute.before, &attribute.after) {
        for (name, value) in after {
            let old = before.get(name).unwrap_or(&Json::Null);
            if old != value {
                let _ = writeln!(
                    out,
                    "     {}.{name}: {} -> {}",
                    attribute.name,
                    short(old),
                    short(value)
                );
            }
        }
        return;
    }
    if let (Json::Array(before), Json::Array(after)) = (&attribute.before, &attribute.after)
        && before.iter().chain(after).any(Json::is_object)
    {
        list_text(&attribute.name, before, after, out);
        return;
    }
    let _ = writeln!(
        out,
        "     {}: {} -> {}",
        attribute.name,
        short(&attribute.before),
        short(&attribute.after)
    );
}

/// What goes and what comes, one line each and none cut: whoever approves has to see all of it.
fn list_text(name: &str, before: &[Json], after: &[Json], out: &mut String) {
    let between = Between::of(before, after);
    let (was, is) = (
        between.kept + between.gone.len(),
        between.kept + between.come.len(),
    );
    let _ = writeln!(out, "     {name}: {was} -> {is}");
    for line in between.lines() {
        let _ = writeln!(out, "       {line}");
    }
}

/// What is between two lists whose order says nothing.
struct Between {
    gone: Vec<String>,
    come: Vec<String>,
    kept: usize,
}

impl Between {
    fn of(before: &[Json], after: &[Json]) -> Self {
        let lines =
            |list: &[Json]| -> Vec<String> { list.iter().flat_map(element_lines).collect() };
        let (mut gone, mut come, mut kept) = (lines(before), Vec::new(), 0);
        for line in lines(after) {
            match gone.iter().position(|old| *old == line) {
                Some(at) => {
                    gone.remove(at);
                    kept += 1;
                }
                None => come.push(line),
            }
        }
        Self { gone, come, kept }
    }

    /// `- element` for what goes, `+ element` for what comes.
    fn lines(&self) -> impl Iterator<Item = String> {
        let gone = self.gone.iter().map(|line| format!("- {line}"));
        gone.chain(self.come.iter().map(|line| format!("+ {line}")))
    }
}

/// What goes and what comes between two lists of structures, in one line. `None` for other values.
pub(crate) fn between(before: &Json, after: &Json) -> Option<String> {
    let (Json::Array(before), Json::Array(after)) = (before, after) else {
        return None;
    };
    let structures = before.iter().chain(after).any(Json::is_object);
    let lines: Vec<String> = Between::of(before, after).lines().collect();
    (structures && !lines.is_empty()).then(|| lines.join("; "))
}

/// An element in words: `IpProtocol tcp, FromPort 22, ToPort 22, IpRanges: CidrIp 0.0.0.0/0`. One that holds lists of
/// structures has a line for each of theirs.
fn element_lines(element: &Json) -> Vec<String> {
    let Json::Object(map) = element else {
        return vec![plain(element)];
    };
    let is_inner = |v: &Json| {
        v.as_array()
            .is_some_and(|l| !l.is_empty() && l.iter().all(Json::is_object))
    };
    let own = map
        .iter()
        .filter(|(_, v)| !v.is_null() && !is_inner(v) && **v != Json::Array(Vec::new()));
    let own: Vec<String> = own.map(|(n, v)| format!("{n} {}", plain(v))).collect();
    let own = own.join(", ");
    let mut lines = Vec::new();
    for (name, list) in map.iter().filter(|(_, v)| is_inner(v)) {
        for inner in list.as_array().into_iter().flatten() {
            for line in element_lines(inner) {
                lines.push(match own.as_str() {
                    "" => format!("{name}: {line}"),
                    own => format!("{own}, {name}: {line}"),
                });
            }
        }
    }
    if lines.is_empty() {
        lines.push(own);
    }
    lines
}

fn plain(value: &Json) -> String {
    match value {
        Json::String(text) if !text.is_empty() => text.clone(),
        other => other.to_string(),
    }
}

fn short(value: &Json) -> String {
    let text = match value {
        Json::Null => return "(not set)".to_owned(),
        Json::String(text) if !text.is_empty() => text.clone(),
        other => other.to_string(),
    };
    if text.chars().count() <= LONGEST {
        return text;
    }
    let mut cut: String = text.chars().take(LONGEST).collect();
    cut.push('…');
    cut
}

fn left_text(title: &str, left: &[Left], out: &mut String) {
    if left.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{title}:");
    for one in left {
        let _ = writeln!(
            out,
            "  {} {} ({} {}): {}",
            one.check, one.resource, one.account_id, one.region, one.reason
        );
    }
}

/// One line a run.
pub fn runs_text(runs: &[Result<Run, FixError>]) -> String {
    let mut out = String::new();
    for run in runs {
        let run = match run {
            Ok(run) => run,
            Err(why) => {
                let _ = writeln!(out, "does not read: {why}");
                continue;
            }
        };
        let ended = |outcome: fn(Outcome) -> bool| {
            let items = run.plan.items.iter();
            items
                .filter(|i| run.outcome(i.number).is_some_and(outcome))
                .count()
        };
        let undone = run.events.iter().filter(|e| {
            matches!(
                e,
                Event::Item {
                    undo: true,
                    outcome: Outcome::Undone,
                    ..
                }
            )
        });
        let _ = writeln!(
            out,
            "{}  {} items, {} changed, {} undone, {}  {}",
            run.name,
            run.plan.items.len(),
            ended(|o| matches!(o, Outcome::Fixed | Outcome::Changed)),
            undone.count(),
            if run.is_ended() {
                "ended"
            } else {
                "broken off: `palisade fix apply --resume` goes on"
            },
            run.who().map(|w| w.arn.as_str()).unwrap_or_default()
        );
    }
    out
}

/// What taking a run back would send, in order; empty `items` is all.
pub fn undo_text(run: &Run, items: &[usize]) -> String {
    let mut out = format!("run {}\nundo {}\n", run.name, undo_hash(run, items));
    let mut any = false;
    for (item, _, step) in standing(run, items) {
        any = true;
        let _ = writeln!(
            out,
            "\n{}. {} in {} {}",
            item.number, item.resource, item.account_id, item.region
        );
        match &step.inverse {
            Some(inverse) => {
                let _ = writeln!(out, "     $ {}", cli_line(inverse, &item.region));
            }
            None => {
                let _ = writeln!(out, "     nothing takes {} back", step.call.name());
            }
        }
        for lost in &step.lost {
            let _ = writeln!(out, "     not brought back: {lost}");
        }
    }
    if !any {
        out.push_str("\nnothing of it stands: there is nothing to take back\n");
    }
    out
}

/// Everything that happened in a run: who, what, when, before, after.
pub fn run_text(run: &Run) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "run {}\nplan {}", run.name, run.plan.hash);
    for event in &run.events {
        event_text(run, event, &mut out);
    }
    out
}

fn event_text(run: &Run, event: &Event, out: &mut String) {
    let resource = |number: usize| {
        let item = run.plan.items.iter().find(|i| i.number == number);
        item.map(|i| i.resource.as_str()).unwrap_or_default()
    };
    let _ = match event {
        Event::Run {
            time, who, resumed, ..
        } => {
            let what = if *resumed { "resumed" } else { "begun" };
            writeln!(out, "{time} {what} by {}", who.arn)
        }
        Event::Undo { time, who } => writeln!(out, "{time} taken back by {}", who.arn),
        Event::Call {
            time,
            item,
            call,
            before,
            undo,
            ..
        } => writeln!(
            out,
            "{time} {item}. {}: {}{} {} (before: {})",
            resource(*item),
            if *undo { "undo " } else { "" },
            call.name(),
            short(&Json::Object(call.params.clone())),
            short(&Json::Object(before.clone()))
        ),
        Event::Answer {
            time,
            item,
            outcome,
            error,
            ..
        } => {
            let outcome = match outcome {
                CallOutcome::Made => "done",
                CallOutcome::Refused => "refused",
                CallOutcome::Unknown => "no clear answer",
            };
            let error = error.as_deref().map(|e| format!(": {e}"));
            writeln!(out, "{time} {item}. {outcome}{}", error.unwrap_or_default())
        }
        Event::State {
            time,
            item,
            after,
            reached,
            error,
            ..
        } => {
            let after = after.clone().map(Json::Object);
            writeln!(
                out,
                "{time} {item}. {}: {}",
                if *reached {
                    "the state is as wanted"
                } else {
                    "the state is not as wanted"
                },
                after
                    .map(|a| short(&a))
                    .or_else(|| error.clone())
                    .unwrap_or_default()
            )
        }
        Event::Item {
            time,
            item,
            outcome,
            reason,
            ..
        } => {
            let reason = reason.as_deref().map(|r| format!(": {r}"));
            writeln!(
                out,
                "{time} {item}. {} {}{}",
                resource(*item),
                outcome.as_str(),
                reason.unwrap_or_default()
            )
        }
        Event::End {
            time,
            undo,
            stopped,
        } => writeln!(
            out,
            "{time} {}{}",
            if *undo { "taking back ended" } else { "ended" },
            if *stopped { " early" } else { "" }
        ),
    };
}
