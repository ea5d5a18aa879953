//! An AWS that answers from a script, and a catalogue to ask it with.
use crate::*;
use palisade_catalog::{Catalog, Source, load};
use palisade_core::CallErrorKind;
use palisade_model::{
    Api, ApiError, CallFuture, CallRequest, Model, Models, OperationStatistics, Page, Record,
    ShapeId, ShapeKind, Value,
};
use palisade_table::{Dataset, Table};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

pub static MODELS: LazyLock<Models> = LazyLock::new(Models::embedded);

/// JSON as an answer of the shape.
pub fn value(model: &Model, shape: ShapeId, json: &Json) -> Value {
    let shape_of = model.shape(shape).unwrap();
    match (shape_of.kind, json) {
        (_, Json::Null) => Value::Null,
        (ShapeKind::Structure | ShapeKind::Union, Json::Object(members)) => {
            for name in members.keys() {
                assert!(
                    shape_of.member(name).is_some(),
                    "{} has no member {name}",
                    shape_of.name
                );
            }
            let field = |m: &palisade_model::Member| {
                value(model, m.shape, members.get(&m.name).unwrap_or(&Json::Null))
            };
            Value::Struct(Box::new(Record {
                shape,
                fields: shape_of.members.iter().map(field).collect(),
            }))
        }
        (ShapeKind::List, Json::Array(items)) => {
            let item = shape_of.element.as_ref().unwrap().shape;
            Value::List(items.iter().map(|v| value(model, item, v)).collect())
        }
        (ShapeKind::Map, Json::Object(members)) => {
            let item = shape_of.element.as_ref().unwrap().shape;
            Value::Map(
                members
                    .iter()
                    .map(|(k, v)| (k.as_str().into(), value(model, item, v)))
                    .collect(),
            )
        }
        (ShapeKind::Blob, Json::String(t)) => Value::Blob(t.as_bytes().into()),
        (ShapeKind::Timestamp, Json::String(t)) => {
            Value::Timestamp(t.parse::<palisade_core::Timestamp>().unwrap().as_micros())
        }
        // Anything else is taken as it is, also where it does not fit: answers may be wrong.
        (_, Json::String(t)) => Value::String(t.as_str().into()),
        (_, Json::Bool(b)) => Value::Bool(*b),
        (_, Json::Number(n)) => n
            .as_i64()
            .map_or_else(|| Value::Float(n.as_f64().unwrap()), Value::Int),
        (_, Json::Array(items)) => {
            Value::List(items.iter().map(|v| value(model, shape, v)).collect())
        }
        (_, Json::Object(_)) => Value::Map(Vec::new()),
    }
}

/// What a value is that AWS marks sensitive; valid base64.
pub const SENSITIVE: &str = "S3NSITIVExxx";

/// An answer in which everything is there, down to a depth.
pub fn full(model: &Model, shape: ShapeId, name: &str, sensitive: bool, depth: usize) -> Value {
    let of = model.shape(shape).unwrap();
    let sensitive = sensitive || of.traits.sensitive;
    if depth > 12 {
        return Value::Null;
    }
    let part = |m: &palisade_model::Member, name: &str| {
        full(
            model,
            m.shape,
            name,
            sensitive || m.traits.sensitive,
            depth + 1,
        )
    };
    match of.kind {
        ShapeKind::Structure | ShapeKind::Union => Value::Struct(Box::new(Record {
            shape,
            fields: of.members.iter().map(|m| part(m, &m.name)).collect(),
        })),
        ShapeKind::List => Value::List(vec![part(of.element.as_ref().unwrap(), name)]),
        ShapeKind::Map => Value::Map(vec![(
            "key".into(),
            part(of.element.as_ref().unwrap(), name),
        )]),
        ShapeKind::Boolean => Value::Bool(true),
        ShapeKind::Integer => Value::Int(7),
        ShapeKind::Double => Value::Float(7.5),
        ShapeKind::Timestamp => Value::Timestamp(1_700_000_000_000_000),
        ShapeKind::Blob if sensitive => Value::Blob(SENSITIVE.as_bytes().into()),
        ShapeKind::Blob => Value::Blob(b"bytes".as_slice().into()),
        ShapeKind::Document => Value::Json(Box::new(json!({"a": 1}))),
        ShapeKind::String if sensitive => Value::String(SENSITIVE.into()),
        ShapeKind::String if name.to_lowercase().ends_with("region") => {
            Value::String("us-east-1".into())
        }
        ShapeKind::String => Value::String("YWJj".into()),
        ShapeKind::BigInteger | ShapeKind::BigDecimal => Value::String("1".into()),
    }
}

pub struct Reply {
    pub answer: Result<Json, ApiError>,
    pub next: Option<Json>,
}

pub fn ok(answer: Json) -> Reply {
    Reply {
        answer: Ok(answer),
        next: None,
    }
}

pub fn page(answer: Json, next: Json) -> Reply {
    Reply {
        answer: Ok(answer),
        next: Some(next),
    }
}

pub fn refuse(kind: CallErrorKind, code: &str) -> Reply {
    let error = ApiError {
        kind,
        code: code.to_owned(),
        message: format!("{code} happened"),
    };
    Reply {
        answer: Err(error),
        next: None,
    }
}

pub fn denied() -> Reply {
    refuse(CallErrorKind::Denied, "AccessDenied")
}

pub struct Seen<'a> {
    pub region: &'a str,
    pub params: &'a Map<String, Json>,
    /// How often the operation was called before.
    pub times: usize,
}

impl Seen<'_> {
    pub fn text(&self, name: &str) -> String {
        self.params
            .get(name)
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_owned()
    }
}

type Handler = Box<dyn Fn(&Seen<'_>) -> Reply + Send + Sync>;
type Latency = Box<dyn Fn(usize) -> Duration + Send + Sync>;

/// One call as it was made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Made {
    pub operation: String,
    pub region: String,
    pub params: String,
}

pub struct Fake {
    handlers: BTreeMap<String, Handler>,
    /// Operations without a handler answer with everything there is.
    pub fills: bool,
    latency: Latency,
    pub made: Mutex<Vec<Made>>,
    times: Mutex<BTreeMap<String, usize>>,
    running: AtomicUsize,
    pub most: AtomicUsize,
}

impl Fake {
    pub fn new() -> Self {
        Self {
            handlers: BTreeMap::new(),
            fills: false,
            latency: Box::new(|_| Duration::from_millis(60)),
            made: Mutex::new(Vec::new()),
            times: Mutex::new(BTreeMap::new()),
            running: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        }
    }
    /// `service:Operation`
    pub fn on(
        mut self,
        operation: &str,
        handler: impl Fn(&Seen<'_>) -> Reply + Send + Sync + 'static,
    ) -> Self {
        self.handlers
            .insert(operation.to_owned(), Box::new(handler));
        self
    }
    pub fn answers(self, operation: &str, answer: Json) -> Self {
        self.on(operation, move |_| ok(answer.clone()))
    }
    pub fn slow(mut self, latency: impl Fn(usize) -> Duration + Send + Sync + 'static) -> Self {
        self.latency = Box::new(latency);
        self
    }
    /// The calls so far, sorted.
    pub fn calls(&self) -> Vec<Made> {
        let mut made = self.made.lock().unwrap().clone();
        made.sort();
        made
    }
    pub fn count(&self, operation: &str) -> usize {
        self.made
            .lock()
            .unwrap()
            .iter()
            .filter(|m| m.operation == operation)
            .count()
    }
    pub fn assert_no_call_twice(&self) {
        let calls = self.calls();
        for pair in calls.windows(2) {
            assert_ne!(pair[0], pair[1]);
        }
    }
}

impl Api for Fake {
    fn call<'a>(&'a self, request: CallRequest<'a>) -> CallFuture<'a> {
        Box::pin(async move {
            let name = format!("{}:{}", request.service, request.operation);
            let made = Made {
                operation: name.clone(),
                region: request.region.to_owned(),
                params: crate::template::canonical(request.params),
            };
            let (times, number) = {
                let mut all = self.made.lock().unwrap();
                all.push(made);
                let mut times = self.times.lock().unwrap();
                let times = times.entry(name.clone()).or_default();
                *times += 1;
                let times = *times - 1;
                (times, all.len())
            };
            let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(running, Ordering::SeqCst);
            tokio::time::sleep((self.latency)(number)).await;
            self.running.fetch_sub(1, Ordering::SeqCst);
            let model = MODELS.get(request.service).unwrap();
            let output = model
                .operation(request.operation)
                .unwrap()
                .output
                .as_ref()
                .map(|o| o.shape);
            let Some(handler) = self.handlers.get(&name) else {
                assert!(self.fills, "{name} was not expected");
                let value = output.map_or(Value::Null, |shape| full(&model, shape, "", false, 0));
                return Ok(Page { value, next: None });
            };
            let reply = handler(&Seen {
                region: request.region,
                params: request.params,
                times,
            });
            let answer = reply.answer?;
            Ok(Page {
                value: output.map_or(Value::Null, |shape| value(&model, shape, &answer)),
                next: reply.next.map(|n| n.as_object().unwrap().clone()),
            })
        })
    }
    fn statistics(&self) -> Vec<OperationStatistics> {
        let mut all: BTreeMap<String, OperationStatistics> = BTreeMap::new();
        for made in self.made.lock().unwrap().iter() {
            let (service, operation) = made.operation.split_once(':').unwrap();
            let entry = all
                .entry(made.operation.clone())
                .or_insert_with(|| OperationStatistics {
                    service: service.to_owned(),
                    operation: operation.to_owned(),
                    ..OperationStatistics::default()
                });
            entry.requests += 1;
        }
        all.into_values().collect()
    }
}

/// A catalogue of one service file.
pub fn catalog(service: &str, toml: &str) -> Catalog {
    let loaded = load(&[Source::from_texts([(
        format!("services/{service}.toml"),
        toml,
    )])]);
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    loaded.catalog
}

pub fn everything(tables: &[&str]) -> Request {
    let mut request = Request::default();
    tables.iter().for_each(|t| request.add_all(t));
    request
}

pub fn some(table: &str, columns: &[&str]) -> Request {
    let mut request = Request::default();
    request.add(table, columns.iter().copied());
    request
}

pub fn targets(fake: &Arc<Fake>, regions: &[&str]) -> Targets {
    accounts(fake, &["111111111111"], regions)
}

pub fn accounts(fake: &Arc<Fake>, ids: &[&str], regions: &[&str]) -> Targets {
    let account = |id: &&str| AccountTarget {
        account_id: (*id).to_owned(),
        partition: "aws".to_owned(),
        home_region: "us-east-1".to_owned(),
        api: Arc::clone(fake) as Arc<dyn Api>,
        regions: regions.iter().map(|r| r.parse().unwrap()).collect(),
    };
    Targets {
        accounts: ids.iter().map(account).collect(),
        regions: MODELS.regions().unwrap(),
    }
}

pub struct Ran {
    pub collected: Collected,
    pub elapsed: Duration,
    /// When each table was whole.
    pub told: BTreeMap<String, Duration>,
}

/// Runs with a clock that jumps to the next event.
pub fn collect(catalog: &Catalog, request: &Request, targets: &Targets) -> Ran {
    collect_within(catalog, request, targets, &Limits::default(), None)
}

pub fn collect_within(
    catalog: &Catalog,
    request: &Request,
    targets: &Targets,
    limits: &Limits,
    cancel_after: Option<Duration>,
) -> Ran {
    let plan = plan(catalog, &MODELS, request).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let (collected, elapsed, told) = runtime.block_on(async {
        let (sender, receiver) = watch::channel(false);
        if let Some(after) = cancel_after {
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                sender.send(true).unwrap();
                // Kept until the end: a closed channel means that nobody will cancel.
                tokio::time::sleep(Duration::from_secs(3600)).await;
            });
        }
        let begun = Instant::now();
        let told = Told(Mutex::default(), begun);
        let collected = run_telling(&plan, targets, limits, &Silent, receiver, &told).await;
        let times = assert_told(told, &collected.dataset);
        (collected, begun.elapsed(), times)
    });
    Ran {
        collected,
        elapsed,
        told,
    }
}

/// Tables as they became whole, with when.
struct Told(Mutex<Vec<(String, Table, Duration)>>, Instant);

impl Early for Told {
    fn whole(&self, account_id: &str, table: Table) {
        let at = self.1.elapsed();
        self.0
            .lock()
            .unwrap()
            .push((account_id.to_owned(), table, at));
    }
}

/// What was handed over early is what was collected: each account's table once, and whole. Gives when the last account's
/// table was whole.
fn assert_told(told: Told, dataset: &Dataset) -> BTreeMap<String, Duration> {
    let mut early: BTreeMap<String, Vec<(String, Table, Duration)>> = BTreeMap::new();
    for one in told.0.into_inner().unwrap() {
        early.entry(one.1.spec.name.clone()).or_default().push(one);
    }
    let names: Vec<&String> = early.keys().collect();
    assert_eq!(names, dataset.tables.keys().collect::<Vec<_>>());
    let mut times = BTreeMap::new();
    for (name, mut parts) in early {
        parts.sort_by(|a, b| a.0.cmp(&b.0));
        assert!(
            parts.is_sorted_by(|a, b| a.0 < b.0),
            "`{name}` was told twice"
        );
        let whole = &dataset.tables[&name];
        let gaps: Vec<_> = parts.iter().flat_map(|p| p.1.gaps.clone()).collect();
        assert_eq!(gaps, whole.gaps, "{name}");
        let batches: Vec<_> = parts.iter().flat_map(|p| &p.1.batches).collect();
        assert_eq!(batches.len(), whole.batches.len(), "{name}");
        for (one, other) in batches.iter().zip(&whole.batches) {
            assert_eq!(one.rows, other.rows, "{name}");
            assert_eq!(one.failures, other.failures, "{name}");
        }
        times.insert(name, parts.iter().map(|p| p.2).max().unwrap());
    }
    times
}

impl Ran {
    /// A column's cells as JSON, in order.
    pub fn column(&self, table: &str, column: &str) -> Vec<Json> {
        self.rows(table)
            .into_iter()
            .map(|mut row| row.remove(column).unwrap_or_default())
            .collect()
    }
    pub fn rows(&self, table: &str) -> Vec<Map<String, Json>> {
        let mut rows = Vec::new();
        for batch in &self.collected.dataset.tables[table].batches {
            let mut writer = arrow::json::WriterBuilder::new()
                .with_explicit_nulls(true)
                .build::<_, arrow::json::writer::JsonArray>(Vec::new());
            writer.write(&batch.rows).unwrap();
            writer.finish().unwrap();
            let text = writer.into_inner();
            if !text.is_empty() {
                rows.extend(serde_json::from_slice::<Vec<Map<String, Json>>>(&text).unwrap());
            }
        }
        rows
    }
    /// Failures as `(column of the row, source, code)`.
    pub fn failures(&self, table: &str, column: &str) -> Vec<(Json, usize, String)> {
        let names = self.column(table, column);
        let mut offset = 0;
        let mut found = Vec::new();
        for batch in &self.collected.dataset.tables[table].batches {
            for failure in &batch.failures {
                found.push((
                    names[offset + failure.row].clone(),
                    failure.source,
                    failure.error.code.clone(),
                ));
            }
            offset += batch.rows.num_rows();
        }
        found
    }
    pub fn gaps(&self, table: &str) -> Vec<(String, String)> {
        let gaps = self.collected.dataset.tables[table].gaps.iter();
        gaps.map(|g| {
            (
                g.region.clone(),
                format!("{}:{}", g.error.operation, g.error.code),
            )
        })
        .collect()
    }
    /// `(planned, succeeded, failed)` of an operation.
    pub fn counts(&self, operation: &str) -> (usize, usize, usize) {
        let found = self
            .collected
            .coverage
            .calls
            .iter()
            .find(|c| c.operation == operation);
        found.map_or((0, 0, 0), |c| (c.planned, c.succeeded, c.failed))
    }
    /// Everything, as text that can be compared.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, table) in &self.collected.dataset.tables {
            text.push_str(&format!("{name} {}\n", json!(self.rows(name))));
            for batch in &table.batches {
                text.push_str(&format!("{} {:?}\n", batch.rows.num_rows(), batch.failures));
            }
            text.push_str(&format!("{:?}\n", table.gaps));
        }
        let mut coverage = self.collected.coverage.clone();
        // Polls may be repeated more or less often.
        coverage.calls.iter_mut().for_each(|c| c.requests = 0);
        text + &format!("{coverage:?}")
    }
}
