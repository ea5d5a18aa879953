//! Checks → what is evaluated, and which columns of which tables that needs.
use crate::error::{QueryError, SqlProblem, plain};
use crate::evaluate::{self, Emptiness};
use crate::expr::{Compiled, Frame, Resolved};
use crate::message::Message;
use crate::provider::Rows;
use crate::reach::Reach;
use crate::scans::{self, Apart, Scan, is_region_bound, is_row_wise, scans};
use crate::session::{Known, Planner};
use crate::shipped::{self, Shipped, ShippedExpr, ShippedKind, ShippedQuery};
use crate::sql::{self, Values};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::DFSchemaRef;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use palisade_catalog::{Check, Diagnostic, DiagnosticLevel, ParameterValue, TableSchema};
use palisade_core::FixAvailability;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Table → columns that must be collected.
pub type Needs = BTreeMap<String, BTreeSet<String>>;

/// Adds the needs of `more`.
pub fn add_needs(needs: &mut Needs, more: &Needs) {
    for (table, columns) in more {
        needs
            .entry(table.clone())
            .or_default()
            .extend(columns.iter().cloned());
    }
}

/// Checks that can be evaluated, in the order of their ids.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The checks.
    pub checks: Vec<Arc<PlannedCheck>>,
}

impl Plan {
    /// What all checks together need.
    pub fn needs(&self) -> Needs {
        let mut needs = Needs::new();
        for check in &self.checks {
            add_needs(&mut needs, &check.needs);
        }
        needs
    }
}

/// One check, ready to be evaluated.
#[derive(Debug)]
pub struct PlannedCheck {
    /// The check.
    pub check: Arc<Check>,
    /// What it needs to be collected.
    pub needs: Needs,
    /// It may say something although its resource table has no rows.
    pub without_rows: bool,
    /// It reads a table that is computed, of whatever there is.
    pub computed: bool,
    pub(crate) id: Arc<str>,
    pub(crate) resource_type: Arc<str>,
    /// The requirements that it serves with the values that its parameters have, as `framework/requirement`.
    pub requirements: Arc<[String]>,
    pub(crate) fix: FixAvailability,
    pub(crate) table: Arc<Known>,
    pub(crate) kind: Kind,
    params: BTreeMap<String, ParameterValue>,
    messages: Messages,
    /// What came with the binary, where it is what planning would make.
    shipped: Option<&'static [u8]>,
}

impl PlannedCheck {
    /// Makes what is otherwise made when first needed.
    pub(crate) async fn prepare(&self, planner: &Planner) {
        if let Some(Ok(predicate)) = self.predicate(planner) {
            for expression in predicate.applies.iter().chain([&predicate.holds]) {
                expression.prepare(planner, &predicate.frame);
            }
        }
        if let Some(Ok(query)) = self.query(planner) {
            query.prepare(planner).await;
        }
    }

    /// The predicate, or what is wrong with it; `None` of a query.
    pub(crate) fn predicate(&self, planner: &Planner) -> Option<Result<&Predicate, &str>> {
        match &self.kind {
            Kind::Predicate(late) => Some(late.get(self, |report| {
                if let Some(Shipped { kind, .. }) = self.shipped() {
                    let needs = kind.needs(&self.check);
                    if let ShippedKind::Predicate { applies, holds } = kind {
                        let predicate = shipped_predicate(self, applies, holds, report)?;
                        return Some((predicate, needs));
                    }
                }
                let known = self.needs.get(&self.check.resource);
                let values = self.values(planner);
                let (predicate, _, needs) =
                    plan_predicate(planner, &self.check, values, &self.table, known, report)?;
                Some((predicate, needs))
            })),
            Kind::Query(_) => None,
        }
    }

    /// The query, or what is wrong with it; `None` of a predicate.
    pub(crate) fn query(&self, planner: &Planner) -> Option<Result<&Query, &str>> {
        match &self.kind {
            Kind::Query(late) => Some(late.get(self, |report| {
                if let Some(Shipped { kind, .. }) = self.shipped() {
                    let needs = kind.needs(&self.check);
                    if let ShippedKind::Query(query) = kind {
                        return Some((shipped_query(planner, query, report)?, needs));
                    }
                }
                let (query, _, needs) =
                    plan_query(planner, &self.check, self.values(planner), true, report)?;
                Some((query, needs))
            })),
            Kind::Predicate(_) => None,
        }
    }

    /// What is said of resources that pass, or fail. That of a shipped check is resolved when there is such a resource.
    pub(crate) fn message(&self, planner: &Planner, passes: bool) -> &Message {
        let (made, (template, _)) = match passes {
            true => (&self.messages.pass, &self.check.pass_message),
            false => (&self.messages.fail, &self.check.fail_message),
        };
        made.get_or_init(|| {
            if let Some(shipped) = self.shipped() {
                return shipped.message(passes);
            }
            let values = self.values(planner);
            let schema = match self.query(planner) {
                Some(Ok(query)) => &query.frame.df,
                _ => &self.table.df,
            };
            let made = Message::new(template, |sql| {
                Resolved::over(planner, sql, values, schema).map(Compiled::new)
            });
            // what is shipped was resolved by tests, and a message is not worth a verdict
            made.unwrap_or_else(|_| Message::from(template.clone()))
        })
    }

    fn values(&self, planner: &Planner) -> Values<'_> {
        Values {
            now: planner.now(),
            params: &self.params,
        }
    }

    fn shipped(&self) -> Option<Shipped<'static>> {
        Shipped::read(self.shipped?)
    }

    /// Plans what was not planned yet.
    pub(crate) fn make(&self, planner: &Planner) {
        // what is wrong is told when it is evaluated
        let _ = (self.predicate(planner), self.query(planner));
    }

    /// Whether nothing is left to plan.
    pub(crate) fn is_made(&self) -> bool {
        match &self.kind {
            Kind::Predicate(late) => late.0.get().is_some(),
            Kind::Query(late) => late.0.get().is_some(),
        }
    }

    /// Whether it is known, without looking further, to say nothing of these rows: what could not be listed is still to
    /// be told.
    pub(crate) fn is_silent(&self, rows: &Rows) -> bool {
        !self.without_rows && rows.has_none(&self.check.resource)
    }
}

#[derive(Debug)]
pub(crate) enum Kind {
    Predicate(Late<Predicate>),
    Query(Late<Query>),
}

/// What is evaluated. That of a shipped check may be made when it is first needed: what it reads is known, and most of what
/// AWS offers is not in an account.
#[derive(Debug)]
pub(crate) struct Late<T>(OnceLock<Result<Box<T>, String>>);

impl<T> Late<T> {
    fn now(made: T) -> Self {
        Self(OnceLock::from(Ok(Box::new(made))))
    }

    fn later() -> Self {
        Self(OnceLock::new())
    }

    fn get(
        &self,
        planned: &PlannedCheck,
        make: impl FnOnce(&mut dyn FnMut(SqlProblem, u32, usize)) -> Option<(T, Needs)>,
    ) -> Result<&T, &str> {
        let made = self.0.get_or_init(|| {
            let mut problems = Vec::new();
            let made = make(&mut |problem, _, _| problems.push(problem.to_string()));
            match made {
                Some((_, needs)) if !covers(&planned.needs, &needs) => Err(STALE.to_owned()),
                Some((made, _)) if problems.is_empty() => Ok(Box::new(made)),
                _ => Err(problems.join("; ")),
            }
        });
        made.as_deref().map_err(String::as_str)
    }
}

/// What findings say. That of a shipped check may be made when it is first said: of most checks nothing passes or fails
/// that is listed.
#[derive(Debug, Default)]
struct Messages {
    pass: OnceLock<Message>,
    fail: OnceLock<Message>,
}

impl Messages {
    /// The columns that those show which are made.
    fn columns(&self) -> impl Iterator<Item = String> {
        let made = [&self.pass, &self.fail]
            .into_iter()
            .filter_map(OnceLock::get);
        made.flat_map(Message::columns)
    }
}

const STALE: &str = "it reads more than `docs/reference/reads.json` says, which is stale";

fn covers(known: &Needs, read: &Needs) -> bool {
    let within = |(table, columns): (_, &BTreeSet<String>)| {
        known.get(table).is_some_and(|k| columns.is_subset(k))
    };
    read.iter().all(within)
}

/// A predicate over the rows of the resource table.
#[derive(Debug)]
pub(crate) struct Predicate {
    /// The columns of all its expressions and of findings.
    pub frame: Frame,
    pub applies: Option<Compiled>,
    pub holds: Compiled,
    /// Calls that fill what `applies` reads.
    pub applies_sources: BTreeSet<usize>,
    /// Calls that fill what `holds` reads.
    pub holds_sources: BTreeSet<usize>,
    /// Columns shown as evidence.
    pub evidence: Vec<String>,
}

/// What a query is made executable from.
#[derive(Debug)]
pub(crate) enum Source {
    Optimised(LogicalPlan),
    /// What came with the binary, and what it must see.
    Written(Cow<'static, [u8]>, Reach),
}

/// A full query.
#[derive(Debug)]
pub(crate) struct Query {
    pub source: Source,
    /// When it gives no row.
    pub emptiness: Emptiness,
    /// What runs it: made ahead, and kept from the second run on: of many accounts, each runs it. It belongs to whoever runs
    /// it, who puts it back when nothing of the run is left in it.
    executable: Mutex<Option<Arc<dyn ExecutionPlan>>>,
    has_run: AtomicBool,
    /// Its output.
    pub frame: Frame,
    /// `pass` or `status`.
    pub verdict: Verdict,
    pub evidence: Vec<String>,
    /// What it reads.
    pub scans: BTreeMap<String, Scan>,
    /// What of it is computed.
    pub apart: Option<Apart>,
    /// The full schemas of these tables.
    pub columns_of: BTreeMap<String, Arc<TableSchema>>,
    /// Each output row follows from one row of the resource table (and other tables).
    pub row_wise: bool,
    /// A row of the result depends on what is in its region.
    pub region_bound: bool,
}

impl Query {
    /// Makes what the first run needs. What fails here fails again, and is reported, when it is run.
    async fn prepare(&self, planner: &Planner) {
        if let Ok(executable) = self.executable(planner).await {
            *self.lock() = Some(executable);
        }
    }

    /// All rows that it gives, over the rows that the session holds.
    pub(crate) async fn run(
        &self,
        planner: &Planner,
        state: &SessionState,
    ) -> Result<Vec<RecordBatch>, QueryError> {
        let prepared = self.lock().take();
        let executable = match prepared {
            Some(executable) => executable,
            None => self.executable(planner).await?,
        };
        let rows = evaluate::execute(state, Arc::clone(&executable)).await;
        let rows = rows.map_err(evaluate::query_error)?;
        if self.has_run.swap(true, Ordering::Relaxed) {
            // what cannot be used again is made again
            *self.lock() = reset_plan_states(executable).ok();
        }
        Ok(rows)
    }

    pub(crate) async fn executable(
        &self,
        planner: &Planner,
    ) -> Result<Arc<dyn ExecutionPlan>, QueryError> {
        let executable = match &self.source {
            Source::Optimised(plan) => evaluate::executable(&planner.state, plan).await,
            Source::Written(written, _) => shipped::executable(planner, written),
        };
        executable.map_err(evaluate::query_error)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<dyn ExecutionPlan>>> {
        self.executable
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    Status,
}

/// Columns that every query returns.
pub(crate) const KEY: [&str; 4] = ["account_id", "region", "arn", "id"];
/// Columns that say where a row lives and decide nothing.
const PLACE: [&str; 4] = ["account_id", "region", "partition", "arn"];

/// What is planned of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Everything.
    All,
    /// What is needed before there are rows; the rest of a shipped check, in which nothing is wrong, when it is needed.
    AsNeeded,
}

/// The requirements that a check serves whose parameters have these values, where they are not known without asking.
pub(crate) type RequirementsOf<'a> =
    &'a dyn Fn(&Check, &BTreeMap<String, ParameterValue>) -> Vec<String>;

/// Plans one check; its problems are added to `diagnostics`.
pub(crate) fn plan_check(
    planner: &Planner,
    check: &Arc<Check>,
    params: BTreeMap<String, ParameterValue>,
    extent: Extent,
    requirements_of: RequirementsOf<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<PlannedCheck> {
    let before = diagnostics.len();
    let mut report = |problem: SqlProblem, line: u32, shift: usize| {
        diagnostics.push(Diagnostic {
            file: check.file.clone(),
            line: line.saturating_add(problem.line.saturating_sub(1)),
            column: match problem.column {
                0 => 1,
                column if problem.line <= 1 => {
                    column.saturating_add(u32::try_from(shift).unwrap_or(0))
                }
                column => column,
            },
            level: DiagnosticLevel::Error,
            message: problem.message,
            hint: problem.hint,
        });
    };
    let table = match planner.tables.table(&check.resource) {
        Ok(table) => table,
        Err(problem) => {
            report(problem, 1, 0);
            return None;
        }
    };
    let values = Values {
        now: planner.now(),
        params: &params,
    };
    let known = match extent {
        Extent::AsNeeded => planner.tables.catalog.known(check),
        Extent::All => None,
    };
    let entry = known.and_then(|_| shipped::entry(check));
    let requirements = match entry {
        Some(entry) => entry.requirements(),
        None => requirements_of(check, &params),
    };
    // rows of a lake come from elsewhere
    let shipped = entry.filter(|_| planner.lake.is_none());
    let shipped = shipped.and_then(|entry| entry.plan(check, &planner.tables.catalog));
    let (kind, messages, mut needs, without_rows, computed) = if let Some(known) = known {
        let needs = known.reads.iter().map(|(table, columns)| {
            let columns = columns.iter().cloned();
            (table.clone(), columns.collect())
        });
        let kind = match check.is_query {
            true => Kind::Query(Late::later()),
            false => Kind::Predicate(Late::later()),
        };
        let (without_rows, computed) = (known.without_rows, known.computed);
        let messages = Messages::default();
        (kind, messages, needs.collect(), without_rows, computed)
    } else if check.is_query {
        let (query, messages, needs) = plan_query(planner, check, values, false, &mut report)?;
        let without_rows = !query.emptiness.holds(&|table| table == check.resource);
        let computed = query.apart.is_some();
        let kind = Kind::Query(Late::now(query));
        (kind, messages, needs, without_rows, computed)
    } else {
        let (predicate, messages, needs) =
            plan_predicate(planner, check, values, &table, None, &mut report)?;
        let kind = Kind::Predicate(Late::now(predicate));
        (kind, messages, needs, false, false)
    };
    if diagnostics.len() > before {
        return None;
    }
    let own = needs.entry(check.resource.clone()).or_default();
    own.extend(identity(&table));
    Some(PlannedCheck {
        check: Arc::clone(check),
        needs,
        id: Arc::from(check.id.as_str()),
        resource_type: Arc::from(check.resource.as_str()),
        requirements: requirements.into(),
        fix: if planner.tables.catalog.is_machine_fix(check) {
            FixAvailability::Automatic
        } else {
            FixAvailability::Guided
        },
        table,
        without_rows,
        computed,
        kind,
        params,
        messages,
        shipped,
    })
}

/// Columns that a finding is named by.
fn identity(table: &Known) -> impl Iterator<Item = String> {
    let fixed = ["account_id", "region", "arn"]
        .into_iter()
        .map(ToOwned::to_owned);
    fixed.chain([table.spec.id.clone()])
}

/// `known` is what a shipped check reads of its resource table: nothing is wrong in it then, and what findings say is left for
/// later.
fn plan_predicate(
    planner: &Planner,
    check: &Check,
    values: Values<'_>,
    table: &Known,
    known: Option<&BTreeSet<String>>,
    report: &mut dyn FnMut(SqlProblem, u32, usize),
) -> Option<(Predicate, Messages, Needs)> {
    let mut resolve = |(text, line): &(String, u32)| {
        let resolved = Resolved::over(planner, text, values, &table.df);
        resolved.map_err(|problem| report(problem, *line, 0)).ok()
    };
    let applies = check.applies.as_ref().map(&mut resolve);
    let holds = resolve(&check.sql);
    let messages = match known {
        Some(_) => Some(Messages::default()),
        None => messages(planner, check, values, &table.df, report),
    };
    let applies = applies.map_or(Some(None), |a| a.map(Some))?;
    let (holds, messages) = (holds?, messages?);

    let read = holds
        .columns
        .iter()
        .chain(applies.iter().flat_map(|a| &a.columns));
    let read: BTreeSet<String> = read.cloned().collect();
    let mut all: BTreeSet<String> = identity(table).collect();
    all.extend(read.iter().cloned());
    all.extend(messages.columns());
    all.extend(known.into_iter().flatten().cloned());
    let frame = match Frame::new(&table.arrow, &all) {
        Ok(frame) => frame,
        Err(problem) => {
            report(problem, check.sql.1, 0);
            return None;
        }
    };
    if known.is_none() {
        let mut boolean = |resolved: &Resolved, line: u32| match resolved.check(planner, &frame.df)
        {
            Ok(DataType::Boolean | DataType::Null) => {}
            Ok(other) => {
                let ty = crate::error::type_name(&other);
                report(
                    SqlProblem::new(format!("the predicate must be true or false, it is {ty}")),
                    line,
                    0,
                );
            }
            Err(problem) => report(problem, line, 0),
        };
        if let (Some(applies), Some((_, line))) = (&applies, &check.applies) {
            boolean(applies, *line);
        }
        boolean(&holds, check.sql.1);
    }
    let (applies, holds) = (applies.map(Compiled::new), Compiled::new(holds));
    let predicate = Predicate::over(table, frame, applies, holds);
    let needs = Needs::from([(check.resource.clone(), all)]);
    Some((predicate, messages, needs))
}

impl Predicate {
    fn over(table: &Known, frame: Frame, applies: Option<Compiled>, holds: Compiled) -> Self {
        let sources = |columns: &BTreeSet<String>| -> BTreeSet<usize> {
            columns
                .iter()
                .filter_map(|c| table.columns.column(c))
                .flat_map(|c| c.sources.iter().copied())
                .collect()
        };
        let read = |c: &&String| {
            let by_applies = applies.as_ref().is_some_and(|a| a.columns.contains(*c));
            by_applies || holds.columns.contains(*c)
        };
        let columns = frame.columns.iter().filter(read);
        let evidence = columns.filter(|c| !PLACE.contains(&c.as_str())).cloned();
        Self {
            evidence: evidence.collect(),
            applies_sources: applies
                .as_ref()
                .map(|a| sources(&a.columns))
                .unwrap_or_default(),
            holds_sources: sources(&holds.columns),
            applies,
            holds,
            frame,
        }
    }
}

/// A predicate that came with the binary: over the columns that its check is known to read.
fn shipped_predicate(
    planned: &PlannedCheck,
    applies: Option<ShippedExpr<'static>>,
    holds: ShippedExpr<'static>,
    report: &mut dyn FnMut(SqlProblem, u32, usize),
) -> Option<Predicate> {
    let none = BTreeSet::new();
    let columns = planned.needs.get(&planned.check.resource).unwrap_or(&none);
    match Frame::new(&planned.table.arrow, columns) {
        Ok(frame) => {
            let applies = applies.map(ShippedExpr::compiled);
            Some(Predicate::over(
                &planned.table,
                frame,
                applies,
                holds.compiled(),
            ))
        }
        Err(problem) => {
            report(problem, 1, 0);
            None
        }
    }
}

/// A query that came with the binary.
fn shipped_query(
    planner: &Planner,
    query: ShippedQuery<'static>,
    report: &mut dyn FnMut(SqlProblem, u32, usize),
) -> Option<Query> {
    let schema = query.schema().map_err(|e| SqlProblem::new(plain(&e)));
    let made = schema.and_then(|schema| Ok((output(&schema)?, output_frame(&schema)?)));
    let (verdict, frame) = made.map_err(|problem| report(problem, 1, 0)).ok()?;
    Some(Query {
        verdict,
        evidence: evidence(&frame),
        columns_of: columns_of(planner, &query.scans),
        scans: query.scans,
        apart: query.apart,
        row_wise: query.row_wise,
        region_bound: query.region_bound,
        frame,
        emptiness: query.emptiness,
        source: Source::Written(query.executable, query.reach),
        executable: Mutex::default(),
        has_run: AtomicBool::new(false),
    })
}

/// The columns of a query's output that are shown.
fn evidence(frame: &Frame) -> Vec<String> {
    let own = |c: &&String| {
        !KEY.contains(&c.as_str()) && !["pass", "status", REASON].contains(&c.as_str())
    };
    frame.columns.iter().filter(own).cloned().collect()
}

/// The full schemas of the tables that a query reads.
fn columns_of(
    planner: &Planner,
    scans: &BTreeMap<String, Scan>,
) -> BTreeMap<String, Arc<TableSchema>> {
    let known = scans.keys().filter_map(|name| {
        let known = planner.tables.table(name).ok()?;
        Some((name.clone(), Arc::clone(&known.columns)))
    });
    known.collect()
}

/// What findings that pass, and that fail, say.
fn messages(
    planner: &Planner,
    check: &Check,
    values: Values<'_>,
    schema: &DFSchemaRef,
    report: &mut dyn FnMut(SqlProblem, u32, usize),
) -> Option<Messages> {
    let mut message = |template: &(String, u32)| {
        let made = Message::new(&template.0, |sql| {
            let resolved = Resolved::over(planner, sql, values, schema)?;
            resolved.check(planner, schema)?;
            Ok(Compiled::new(resolved))
        });
        made.map_err(|(problem, sql)| report(problem, template.1, shift(&template.0, &sql)))
            .ok()
    };
    let (pass, fail) = (message(&check.pass_message), message(&check.fail_message));
    Some(Messages {
        pass: OnceLock::from(pass?),
        fail: OnceLock::from(fail?),
    })
}

/// What findings of a shipped check say, in which nothing is wrong, is left for later.
fn plan_query(
    planner: &Planner,
    check: &Check,
    values: Values<'_>,
    shipped: bool,
    report: &mut dyn FnMut(SqlProblem, u32, usize),
) -> Option<(Query, Messages, Needs)> {
    let (text, line) = &check.sql;
    let planned = sql::parse_query(text, values).and_then(|query| {
        if let Some(span) = sql::top_wildcard(&query) {
            let problem = SqlProblem::new("`*` is not possible in the output of a check");
            return Err(problem
                .at(span.start.line, span.start.column)
                .hint("name the columns"));
        }
        let plan = planner.query(query)?;
        planner
            .optimize(plan)
            .map_err(|e| SqlProblem::new(plain(&e).replace('\'', "`")))
    });
    let plan = match planned {
        Ok(plan) => plan,
        Err(problem) => {
            report(problem, *line, 0);
            return None;
        }
    };
    let schema = plan.schema().as_arrow();
    let made = output(schema).and_then(|verdict| Ok((verdict, output_frame(schema)?)));
    let (verdict, frame) = match made {
        Ok(made) => made,
        Err(problem) => {
            report(problem, *line, 0);
            return None;
        }
    };
    let messages = match shipped {
        true => Some(Messages::default()),
        false => messages(planner, check, values, &frame.df, report),
    };
    let read = scans(&plan).and_then(|scans| Ok((scans, scans::apart(&plan)?)));
    let (scans, apart) = match read {
        Ok(read) => read,
        Err(e) => {
            report(SqlProblem::new(plain(&e)), *line, 0);
            return None;
        }
    };
    let needs = scans::needs_of(&scans);
    let row_wise = is_row_wise(&plan, &check.resource);
    let region_bound = is_region_bound(&plan);
    Some((
        Query {
            verdict,
            evidence: evidence(&frame),
            columns_of: columns_of(planner, &scans),
            scans,
            apart,
            row_wise,
            region_bound,
            frame,
            emptiness: Emptiness::of(&plan),
            source: Source::Optimised(plan),
            executable: Mutex::default(),
            has_run: AtomicBool::new(false),
        },
        messages?,
        needs,
    ))
}

/// Output column with the message of rows that neither pass nor fail.
pub(crate) const REASON: &str = "reason";

fn output(schema: &Schema) -> Result<Verdict, SqlProblem> {
    let fields = schema.fields();
    let find = |name: &str| {
        fields
            .iter()
            .find(|f| f.name() == name)
            .map(|f| f.data_type())
    };
    let is_text = |ty: &DataType| ty.is_string() || ty.is_null();
    let missing: Vec<String> = KEY
        .iter()
        .filter(|k| find(k).is_none())
        .map(|k| format!("`{k}`"))
        .collect();
    if !missing.is_empty() {
        return Err(
            SqlProblem::new(format!("the query does not return {}", missing.join(", ")))
                .hint("a full query returns account_id, region, arn, id and pass or status"),
        );
    }
    for key in KEY {
        if let Some(ty) = find(key).filter(|ty| !is_text(ty)) {
            let ty = crate::error::type_name(ty);
            return Err(SqlProblem::new(format!("`{key}` must be text, it is {ty}"))
                .hint("write `::text` after it"));
        }
    }
    match (find("pass"), find("status")) {
        (Some(DataType::Boolean | DataType::Null), None) => Ok(Verdict::Pass),
        (None, Some(ty)) if is_text(ty) => Ok(Verdict::Status),
        (Some(_), Some(_)) => Err(SqlProblem::new(
            "the query returns both `pass` and `status`",
        )),
        (None, None) => Err(SqlProblem::new(
            "the query returns neither `pass` nor `status`",
        )),
        (Some(ty), None) => Err(SqlProblem::new(format!(
            "`pass` must be true or false, it is {}",
            crate::error::type_name(ty)
        ))),
        (None, Some(ty)) => Err(SqlProblem::new(format!(
            "`status` must be text, it is {}",
            crate::error::type_name(ty)
        ))),
    }
}

fn output_frame(schema: &Schema) -> Result<Frame, SqlProblem> {
    let names: BTreeSet<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
    if names.len() < schema.fields().len() {
        return Err(SqlProblem::new("the query returns two columns of one name"));
    }
    Frame::new(schema, &names)
}

/// Where an expression stands in its line: `pass: ` and a backtick come before the template.
fn shift(template: &str, sql: &str) -> usize {
    const BEFORE: usize = 7;
    let chars = template
        .find(sql)
        .and_then(|at| template.get(..at))
        .map_or(0, |t| t.chars().count());
    BEFORE + chars
}
