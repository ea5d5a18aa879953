//! Judging while tables are still being read. A check is evaluated as soon as all that it reads is whole, in the time in
//! which answers are awaited; what is left is evaluated when all has come. The findings are the same.
use super::{
    Evaluation, Options, Part, aside, findings, make_ready, on_deep_stack, parts, share, share_out,
    sort,
};
use crate::plan::{Plan, PlannedCheck};
use crate::provider::Rows;
use crate::session::Planner;
use palisade_table::{Dataset, Table};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};

/// Checks that a thread makes ready between two looks at what has come.
const AT_ONCE: usize = 8;

/// What was judged before everything was there.
#[derive(Debug, Default)]
pub struct Early {
    /// The tables that have come.
    dataset: Dataset,
    evaluation: Evaluation,
    /// Checks that are not judged yet.
    left: Vec<Arc<PlannedCheck>>,
}

/// Judges until no table comes any more: those of one account, each whole and once.
pub(crate) fn early(
    planner: &Planner,
    plan: &Plan,
    tables: Receiver<Table>,
    options: Options,
) -> Early {
    let judged = on_deep_stack(|| judge(planner, plan, tables, options));
    // what could not be begun is begun again in the end, where it is told
    judged.unwrap_or_else(|_| Early {
        left: plan.checks.clone(),
        ..Early::default()
    })
}

fn judge(planner: &Planner, plan: &Plan, tables: Receiver<Table>, options: Options) -> Early {
    // A computed table is made of whatever there is: it waits for the end.
    let computed = |planned: &Arc<PlannedCheck>| planned.computed;
    let (last, others): (Vec<_>, Vec<_>) = plan.checks.iter().cloned().partition(computed);
    // what waits and was not made ready
    let mut unready = others.clone();
    let mut waiting = Waiting::of(others);
    let mut so_far = Early::default();
    // what can be judged, over the tables that had come when the last came
    let mut ready: VecDeque<Part> = VecDeque::new();
    let mut rows = Arc::default();
    let mut came = false;
    loop {
        let idle = !came && ready.is_empty() && unready.is_empty();
        let next = match idle {
            true => tables.recv().map_err(TryRecvError::from),
            false => tables.try_recv(),
        };
        match next {
            Ok(table) => {
                waiting.came(&table.spec.name);
                so_far.take(table);
                came = true;
                continue;
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => {
                let ready = ready.into_iter().flatten();
                so_far.left = ready.chain(waiting.rest()).chain(last).collect();
                return so_far;
            }
        }
        if std::mem::take(&mut came) {
            let more = waiting.ready();
            take_off(&mut unready, &more);
            ready.extend(parts(&more));
            rows = Arc::new(Rows::of(&so_far.dataset));
        }
        // between parts it is looked for what has come, and whether all cores are free
        let next: Vec<Part> = ready.drain(..ready.len().min(aside())).collect();
        if !next.is_empty() {
            let (judged, _) = share(planner, &next, aside(), &so_far.dataset, &rows, options);
            so_far.evaluation.join(judged);
        } else if !unready.is_empty() {
            prepare(planner, &mut unready, &rows);
        }
    }
}

/// Checks that wait for tables.
struct Waiting {
    /// Each with how many of its tables are still to come.
    checks: Vec<(Arc<PlannedCheck>, usize)>,
    /// Table → the checks that read it, by their places; it is taken out when it comes.
    readers: BTreeMap<String, Vec<usize>>,
    /// Places of those for which nothing is to come any more, and which nobody has fetched.
    ready: BTreeSet<usize>,
}

impl Waiting {
    fn of(checks: Vec<Arc<PlannedCheck>>) -> Self {
        let mut readers: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (place, check) in checks.iter().enumerate() {
            for table in check.needs.keys() {
                readers.entry(table.clone()).or_default().push(place);
            }
        }
        let with_count = |check: Arc<PlannedCheck>| {
            let count = check.needs.len();
            (check, count)
        };
        Self {
            checks: checks.into_iter().map(with_count).collect(),
            readers,
            ready: BTreeSet::new(),
        }
    }

    fn came(&mut self, table: &str) {
        for place in self.readers.remove(table).unwrap_or_default() {
            if let Some((_, missing)) = self.checks.get_mut(place) {
                *missing -= 1;
                if *missing == 0 {
                    self.ready.insert(place);
                }
            }
        }
    }

    /// Those that have become ready since this was last asked, in their order.
    fn ready(&mut self) -> Vec<Arc<PlannedCheck>> {
        let ready = std::mem::take(&mut self.ready).into_iter();
        let checks = ready.filter_map(|place| self.checks.get(place));
        checks.map(|(check, _)| Arc::clone(check)).collect()
    }

    /// Those that have not been given out.
    fn rest(self) -> impl Iterator<Item = Arc<PlannedCheck>> {
        let ready = self.ready;
        let checks = self.checks.into_iter().enumerate();
        let rest =
            checks.filter(move |(place, (_, missing))| *missing > 0 || ready.contains(place));
        rest.map(|(_, (check, _))| check)
    }
}

/// What the checks say that are not judged yet, over all that has come, together with what was said before.
pub(crate) fn rest(
    planner: &Planner,
    plan: &Plan,
    dataset: &Dataset,
    options: Options,
    early: Early,
) -> Evaluation {
    if !early.is_of(dataset) {
        debug_assert!(false, "a table has changed after it was whole");
        return findings(planner, plan, dataset, options);
    }
    let rows = Arc::new(Rows::of(dataset));
    let parts = parts(&early.left);
    let (rest, _) = share(planner, &parts, usize::MAX, dataset, &rows, options);
    let mut all = early.evaluation;
    all.join(rest);
    sort(&mut all.findings);
    all.errors.sort();
    all
}

impl Early {
    fn take(&mut self, table: Table) {
        self.dataset.tables.insert(table.spec.name.clone(), table);
    }

    /// Whether the tables that were judged are those of a dataset: a verdict over less would not be honest.
    fn is_of(&self, dataset: &Dataset) -> bool {
        let rows =
            |table: &Table| -> usize { table.batches.iter().map(|b| b.rows.num_rows()).sum() };
        self.dataset.tables.iter().all(|(name, judged)| {
            let now = dataset.tables.get(name);
            now.is_some_and(|now| now.gaps == judged.gaps && rows(now) == rows(judged))
        })
    }
}

/// Makes some checks ready, and takes them off the list: those of resources that are there, then the others, which may never
/// be needed. These are planned first, and what runs them is made when there is nothing else to do.
fn prepare(planner: &Planner, unready: &mut Vec<Arc<PlannedCheck>>, rows: &Rows) {
    unready.retain(|check| !check.is_silent(rows));
    let mut next = some(unready, &|check| rows.count(&check.check.resource) > 0);
    if next.is_empty() {
        let unplanned = some(unready, &|check| !check.is_made());
        if !unplanned.is_empty() {
            // what stopped is told when it is evaluated, and not tried until then
            if share_out(&unplanned, aside(), |check| check.make(planner)).is_err() {
                take_off(unready, &unplanned);
            }
            return;
        }
        next = some(unready, &|_| true);
    }
    let is_wanted = |check: &PlannedCheck| match check.query(planner) {
        Some(Ok(query)) => !query.emptiness.holds(&|table| rows.has_none(table)),
        Some(Err(_)) | None => true,
    };
    make_ready(planner, &next, aside(), &is_wanted);
    take_off(unready, &next);
}

/// The first of a list that are chosen, as many as are worth a step.
fn some(
    list: &[Arc<PlannedCheck>],
    is_chosen: &dyn Fn(&PlannedCheck) -> bool,
) -> Vec<Arc<PlannedCheck>> {
    let chosen = list.iter().filter(|check| is_chosen(check));
    let most = AT_ONCE * aside();
    chosen.take(most).cloned().collect()
}

fn take_off(list: &mut Vec<Arc<PlannedCheck>>, done: &[Arc<PlannedCheck>]) {
    let done: BTreeSet<_> = done.iter().map(Arc::as_ptr).collect();
    list.retain(|check| !done.contains(&Arc::as_ptr(check)));
}
