//! From failed findings to a plan.
use crate::cli_line::cli_line;
use crate::compile::{NoStep, compile, read_of, risk_of};
use crate::guard::{Protection, Subject, Touched};
use crate::json::{as_input, param, same, set};
use crate::read::{answer, state_of};
use crate::template::fill_row;
use crate::{About, Call, FORMAT, FixError, Item, ItemCheck, Left, Plan, Read, Retirement, Step};
use futures::StreamExt;
use palisade_catalog::{
    Catalog, Change, Check, Equivalents, FixCall, Parameter, ParameterValue, Risk, parse_state_path,
};
use palisade_core::{Category, Finding, Timestamp};
use palisade_model::{Api, Models};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Reads in flight at once.
const READS: usize = 64;

/// A failed finding, with what its fix may name.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The finding.
    pub finding: Finding,
    /// Its check, with the parameters that it was evaluated with.
    pub check: Arc<Check>,
    /// The check's id in the catalogue.
    pub catalog_id: String,
    /// The resource's columns.
    pub row: Map<String, Json>,
    /// The resource's tags.
    pub tags: Tags,
    /// What is known to use it.
    pub uses: Vec<String>,
}

/// A call that somebody decided on, and no check asked for.
#[derive(Debug, Clone)]
pub struct Decided {
    /// Its name in plans and reports.
    pub id: String,
    /// What it does, in words.
    pub title: String,
    /// Why.
    pub about: String,
    /// The file that asks for it, and the line.
    pub file: (String, u32),
    /// The call.
    pub call: FixCall,
    /// What `${param.…}` of the call stand for.
    pub params: BTreeMap<String, String>,
}

impl Candidate {
    /// The engine takes calls from checks: this is one without SQL.
    pub fn decided(decided: Decided, finding: Finding, row: Map<String, Json>) -> Self {
        let params = decided.params.into_iter().map(|(name, value)| {
            let parameter = Parameter {
                default: ParameterValue::Text(value),
                about: String::new(),
            };
            (name, parameter)
        });
        let (file, line) = decided.file;
        let check = Check {
            id: decided.id,
            service: decided.call.service.clone(),
            file,
            title: decided.title.clone(),
            severity: finding.severity,
            resource: String::new(),
            category: Category::Governance,
            since: String::new(),
            same_as: Equivalents::default(),
            sufficient: None,
            params: params.collect(),
            variants: Vec::new(),
            why: decided.about,
            fix: decided.title,
            fix_calls: vec![decided.call],
            applies: None,
            sql: (String::new(), line),
            is_query: false,
            pass_message: (String::new(), line),
            fail_message: (String::new(), line),
            fixtures: Vec::new().into(),
        };
        Self {
            finding,
            check: Arc::new(check),
            catalog_id: String::new(),
            row,
            tags: Tags::Unknown,
            uses: Vec::new(),
        }
    }
}

/// A resource's tags.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tags {
    /// The type has none in the tables.
    None,
    /// As they were read.
    Known(BTreeMap<String, String>),
    /// They could not be read.
    #[default]
    Unknown,
}

/// What a plan is made under.
#[derive(Debug, Clone)]
pub struct Options {
    /// When it is made.
    pub now: Timestamp,
    /// Until when it may be applied.
    pub expires: Timestamp,
    /// Accounts, sorted.
    pub accounts: Vec<String>,
    /// Regions, sorted.
    pub regions: Vec<String>,
    /// Whose credentials read the states.
    pub planned_by: String,
    /// What may not be touched.
    pub protection: Protection,
    /// Nothing riskier than this is planned.
    pub most_risk: Risk,
    /// What was observed, for the last step of retiring a key.
    pub retirement: Option<Retirement>,
}

/// What a candidate's calls are, before the states are read.
struct Draft<'c> {
    candidate: &'c Candidate,
    calls: Vec<(Arc<Change>, Map<String, Json>, Read)>,
    risk: Risk,
}

/// A read in one region of one account.
type ReadKey = (String, String, String);

/// Makes a plan. `apis` gives who reads in an account; `unknown` are findings that could not be decided.
///
/// # Errors
/// When an API model is damaged. Whatever concerns one finding is told in the plan.
pub async fn plan(
    candidates: &[Candidate],
    unknown: &[Finding],
    catalog: &Catalog,
    models: &Models,
    apis: &dyn Fn(&str) -> Option<Arc<dyn Api>>,
    options: &Options,
) -> Result<Plan, FixError> {
    let mut guided = Vec::new();
    let mut protected = Vec::new();
    let mut drafts = Vec::new();
    for candidate in candidates {
        match draft(candidate, catalog, models, options) {
            Err(reason) => guided.push(left(&candidate.finding, reason)),
            Ok(draft) => match forbidden(&draft, &options.protection) {
                Some(why) => protected.push(left(&candidate.finding, why)),
                None => drafts.push(draft),
            },
        }
    }
    drafts.sort_by(|a, b| {
        let key = |d: &Draft<'_>| (d.risk, d.candidate.finding.check.clone());
        (key(a), a.candidate.finding.sort_key()).cmp(&(key(b), b.candidate.finding.sort_key()))
    });
    let mut states = read_all(&drafts, models, apis).await;
    let mut builder = Builder {
        catalog,
        models,
        states: &mut states,
        touched: BTreeMap::new(),
        by_calls: BTreeMap::new(),
        replacing: BTreeMap::new(),
        items: Vec::new(),
        guided,
    };
    for draft in &drafts {
        builder.add(draft)?;
    }
    let Builder { items, guided, .. } = builder;
    let mut guided = guided;
    guided.sort();
    protected.sort();
    let mut unknown: Vec<Left> = unknown.iter().map(|f| left(f, f.message.clone())).collect();
    unknown.sort();
    let permissions: BTreeSet<String> = items
        .iter()
        .flat_map(|i| i.permissions.iter().cloned())
        .collect();
    let mut plan = Plan {
        format: FORMAT,
        palisade: env!("CARGO_PKG_VERSION").to_owned(),
        created: options.now,
        expires: options.expires,
        accounts: options.accounts.clone(),
        regions: options.regions.clone(),
        planned_by: options.planned_by.clone(),
        items,
        guided,
        unknown,
        protected,
        permissions: permissions.into_iter().collect(),
        retirement: options.retirement.clone(),
        hash: String::new(),
    };
    plan.hash = plan.content_hash();
    Ok(plan)
}

/// Why what a draft changes may not be touched.
fn forbidden(draft: &Draft<'_>, protection: &Protection) -> Option<String> {
    let Candidate { finding, tags, .. } = draft.candidate;
    let subject = Subject {
        resource: &finding.resource,
        id: &finding.resource_id,
        account: &finding.account_id,
        tags,
    };
    let touched = draft.calls.iter().map(|(change, params, read)| Touched {
        service: &change.service,
        params,
        read: &read.call.params,
    });
    protection.forbids(subject, touched)
}

fn left(finding: &Finding, reason: String) -> Left {
    Left {
        check: finding.check.to_string(),
        account_id: finding.account_id.to_string(),
        region: finding.region.to_string(),
        resource: finding.resource.clone(),
        reason,
    }
}

/// What would be called, as far as the row and the change files say it.
fn draft<'c>(
    candidate: &'c Candidate,
    catalog: &Catalog,
    models: &Models,
    options: &Options,
) -> Result<Draft<'c>, String> {
    let check = &candidate.check;
    if check.fix_calls.is_empty() {
        return Err("needs judgement: the check's page says what to do".to_owned());
    }
    let mut calls = Vec::new();
    let mut risk = Risk::None;
    for call in &check.fix_calls {
        let name = format!("{}:{}", call.service, call.operation);
        let change = catalog
            .changes
            .get(&call.service)
            .and_then(|of| of.get(&call.operation));
        let Some(change) = change else {
            return Err(format!(
                "`{name}` is not a change that palisade can take back: the check's page says what to do"
            ));
        };
        if change.retires.is_some() && options.retirement.is_none() {
            return Err(format!(
                "`{name}` destroys: it is the last step of `palisade fix retire`, after the key's use was observed"
            ));
        }
        let params = fill_row(&call.params, &candidate.row, check)?;
        let model = models.get(&call.service).map_err(|e| e.to_string())?;
        let params = as_input(&model, &call.operation, &params)?;
        let constraints = models.constraints().map_err(|e| e.to_string())?;
        if let Some(refused) = call.filled_not_taken(&constraints, &params).first() {
            return Err(refused.to_string());
        }
        let read = read_of(change, &params)?;
        risk = risk.max(risk_of(change, &params));
        calls.push((Arc::clone(change), params, read));
    }
    if risk > options.most_risk {
        return Err(format!(
            "its risk is `{risk}`, and the plan is for `{}` at most",
            options.most_risk
        ));
    }
    Ok(Draft {
        candidate,
        calls,
        risk,
    })
}

fn key(finding: &Finding, read: &Read) -> ReadKey {
    let call = serde_json::to_string(&(&read.call, &read.absent)).unwrap_or_default();
    (
        finding.account_id.to_string(),
        finding.region.to_string(),
        call,
    )
}

type Answers = BTreeMap<ReadKey, Result<Option<Json>, String>>;

/// Makes every read once, several at a time.
async fn read_all(
    drafts: &[Draft<'_>],
    models: &Models,
    apis: &dyn Fn(&str) -> Option<Arc<dyn Api>>,
) -> Answers {
    let mut reads: BTreeMap<ReadKey, (&Read, &str)> = BTreeMap::new();
    for draft in drafts {
        let finding = &draft.candidate.finding;
        for (_, _, read) in &draft.calls {
            reads.insert(key(finding, read), (read, &finding.region));
        }
    }
    let answers = reads.into_iter().map(|(key, (read, region))| async move {
        let Some(api) = apis(&key.0) else {
            let reason = format!("there are no credentials for account {}", key.0);
            return (key, Err(reason));
        };
        let answered = answer(api.as_ref(), models, region, read).await;
        let answered = answered.map_err(|e| format!("{} failed with {e}", read.call.name()));
        (key, answered)
    });
    futures::stream::iter(answers)
        .buffer_unordered(READS)
        .collect()
        .await
}

/// A call that replaces a whole: what else it shall set is set by the same call.
struct Replacing {
    item: usize,
    params: Map<String, Json>,
    /// What AWS described before.
    answer: Option<Json>,
}

struct Builder<'a> {
    catalog: &'a Catalog,
    models: &'a Models,
    /// What AWS says, with what earlier items will have made of it.
    states: &'a mut Answers,
    /// Reads whose answer an item changes → the last such item.
    touched: BTreeMap<ReadKey, usize>,
    /// Filled calls in an account and region → the item that makes them.
    by_calls: BTreeMap<(String, String, String), usize>,
    /// Calls that replace a whole, by what they replace.
    replacing: BTreeMap<(String, String, String), Replacing>,
    items: Vec<Item>,
    guided: Vec<Left>,
}

impl Builder<'_> {
    fn add(&mut self, draft: &Draft<'_>) -> Result<(), FixError> {
        let candidate = draft.candidate;
        let finding = &candidate.finding;
        let calls: Vec<_> = draft
            .calls
            .iter()
            .map(|(c, params, _)| (&c.service, &c.operation, params))
            .collect();
        let calls = (
            finding.account_id.to_string(),
            finding.region.to_string(),
            serde_json::to_string(&calls).unwrap_or_default(),
        );
        if let Some(same) = self.by_calls.get(&calls)
            && let Some(item) = self.items.get_mut(*same)
        {
            item.add(candidate);
            return Ok(());
        }
        let replaced = self.replaced(draft);
        if let Some(place) = &replaced
            && self.replacing.contains_key(place)
        {
            return self.extend(draft, place);
        }
        // as AWS describes it, before this item makes something else of it
        let answer = draft.calls.first().and_then(|(_, _, read)| {
            let answer = self.states.get(&key(finding, read))?;
            answer.as_ref().ok().cloned()
        });
        let first = draft.calls.first();
        let untouched = first.is_some_and(|(_, _, r)| !self.touched.contains_key(&key(finding, r)));
        let replaced = replaced.filter(|_| untouched);
        match self.steps(draft)? {
            Ok(steps) => {
                self.by_calls.insert(calls, self.items.len());
                if let (Some(place), [(_, params, _)]) = (replaced, draft.calls.as_slice()) {
                    let answer = answer.flatten();
                    let (item, params) = (self.items.len(), params.clone());
                    let replacing = Replacing {
                        item,
                        params,
                        answer,
                    };
                    self.replacing.insert(place, replacing);
                }
                self.push(draft, steps);
            }
            Err(NoStep::Nothing) => {
                let covered = draft
                    .calls
                    .iter()
                    .find_map(|(_, _, read)| self.touched.get(&key(finding, read)));
                match covered.and_then(|index| self.items.get_mut(*index)) {
                    Some(item) => item.add(candidate),
                    None => self.guided.push(left(
                        finding,
                        "AWS describes the setting as it is wanted already: what fails is something else".to_owned(),
                    )),
                }
            }
            Err(NoStep::Unclear(reason)) => self.guided.push(left(finding, reason)),
        }
        Ok(())
    }

    /// What a draft's only call replaces as a whole: one call sets everything that several checks want of it.
    fn replaced(&self, draft: &Draft<'_>) -> Option<(String, String, String)> {
        let [(change, params, _)] = draft.calls.as_slice() else {
            return None;
        };
        let key: Vec<_> = change.key.iter().map(|k| param(params, k)).collect();
        let key = serde_json::to_string(&(&change.service, &change.operation, key));
        let finding = &draft.candidate.finding;
        let place = (finding.account_id.to_string(), finding.region.to_string());
        change
            .replaces
            .then(|| (place.0, place.1, key.unwrap_or_default()))
    }

    /// Has an earlier call set more.
    fn extend(
        &mut self,
        draft: &Draft<'_>,
        place: &(String, String, String),
    ) -> Result<(), FixError> {
        let finding = &draft.candidate.finding;
        let ([(change, params, read)], Some(replacing)) =
            (draft.calls.as_slice(), self.replacing.get_mut(place))
        else {
            return Ok(());
        };
        let mut all = replacing.params.clone();
        for (name, value) in params {
            let old = all.entry(name.clone()).or_insert_with(|| value.clone());
            if !same(old, value) {
                let reason = format!("another check wants `{name}` to be {old}, not {value}");
                self.guided.push(left(finding, reason));
                return Ok(());
            }
        }
        let model = self.models.get(&change.service)?;
        let state = state_of(replacing.answer.as_ref(), &read.from).map_err(NoStep::Unclear);
        let step = state.and_then(|state| compile(change, &model, &all, &state));
        let Some(item) = self.items.get_mut(replacing.item) else {
            return Ok(());
        };
        match step {
            Ok(mut step) => {
                step.cli = cli_line(&step.call, &finding.region);
                let now = after(replacing.answer.clone(), &step);
                replacing.params = all;
                item.risk = item.risk.max(draft.risk);
                item.steps = vec![step];
                item.add(draft.candidate);
                self.states.insert(key(finding, read), Ok(Some(now)));
            }
            Err(NoStep::Unclear(reason)) => self.guided.push(left(finding, reason)),
            Err(NoStep::Nothing) => item.add(draft.candidate),
        }
        Ok(())
    }

    /// The steps, and the states as they will be after them.
    fn steps(&mut self, draft: &Draft<'_>) -> Result<Result<Vec<Step>, NoStep>, FixError> {
        let finding = &draft.candidate.finding;
        let mut steps = Vec::new();
        let mut made = Vec::new();
        for (change, params, read) in &draft.calls {
            let model = self.models.get(&change.service)?;
            let key = key(finding, read);
            let answered = match made.iter().rev().find(|(k, _)| *k == key) {
                Some((_, answer)) => Ok(Some(answer)),
                None => match self.states.get(&key) {
                    Some(Ok(answer)) => Ok(answer.as_ref()),
                    Some(Err(reason)) => Err(reason.clone()),
                    None => Err("the state was not read".to_owned()),
                },
            };
            let step = answered
                .and_then(|answer| Ok((answer.cloned(), state_of(answer, &read.from)?)))
                .map_err(NoStep::Unclear)
                .and_then(|(answer, state)| Ok((answer, compile(change, &model, params, &state)?)));
            match step {
                Ok((answer, mut step)) => {
                    step.cli = cli_line(&step.call, &finding.region);
                    let chained =
                        self.touched.contains_key(&key) || made.iter().any(|(k, _)| *k == key);
                    step.attributes.iter_mut().for_each(|a| a.chained = chained);
                    made.push((key, after(answer, &step)));
                    steps.push(step);
                }
                // one of several calls has nothing to do
                Err(NoStep::Nothing) if draft.calls.len() > 1 => {}
                Err(no) => return Ok(Err(no)),
            }
        }
        if steps.is_empty() {
            return Ok(Err(NoStep::Nothing));
        }
        for (key, answer) in made {
            self.touched.insert(key.clone(), self.items.len());
            self.states.insert(key, Ok(Some(answer)));
        }
        Ok(Ok(steps))
    }

    fn push(&mut self, draft: &Draft<'_>, steps: Vec<Step>) {
        let candidate = draft.candidate;
        let finding = &candidate.finding;
        let mut permissions = BTreeSet::new();
        for step in &steps {
            let inverse = step.inverse.iter();
            for call in [&step.call, &step.read.call].into_iter().chain(inverse) {
                permissions.extend(self.permissions(call));
            }
        }
        self.items.push(Item {
            number: self.items.len() + 1,
            checks: vec![item_check(candidate)],
            account_id: finding.account_id.to_string(),
            region: finding.region.to_string(),
            resource: finding.resource.clone(),
            resource_id: finding.resource_id.clone(),
            resource_type: finding.resource_type.to_string(),
            tags: candidate.tags.clone(),
            risk: draft.risk,
            uses: candidate.uses.clone(),
            steps,
            permissions: permissions.into_iter().collect(),
        });
    }

    fn permissions(&self, call: &Call) -> Vec<String> {
        self.catalog.permissions(&call.service, &call.operation)
    }
}

fn item_check(candidate: &Candidate) -> ItemCheck {
    let check = &candidate.check;
    let params = check.params.iter();
    ItemCheck {
        id: check.id.clone(),
        check: candidate.catalog_id.clone(),
        title: check.title.clone(),
        severity: candidate.finding.severity,
        found: candidate.finding.message.clone(),
        params: params
            .map(|(name, p)| (name.clone(), p.default.to_json()))
            .collect(),
        about: None,
    }
}

impl Item {
    /// One more check that the item repairs.
    fn add(&mut self, candidate: &Candidate) {
        let finding = &candidate.finding;
        let about = About {
            region: finding.region.to_string(),
            resource: finding.resource.clone(),
            resource_id: finding.resource_id.clone(),
        };
        let mut check = item_check(candidate);
        let same = self.about(&check) == about;
        check.about = Some(about).filter(|_| !same);
        self.checks.push(check);
    }
}

/// The answer as it will be after a step.
fn after(answer: Option<Json>, step: &Step) -> Json {
    let mut answer = answer.unwrap_or_else(|| Json::Object(Map::new()));
    let Ok(start) = parse_state_path(&step.read.from) else {
        return answer;
    };
    for attribute in &step.attributes {
        if let Ok(path) = parse_state_path(&attribute.from) {
            let steps: Vec<_> = start.iter().cloned().chain(path).collect();
            set(&mut answer, &steps, &attribute.after);
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use palisade_catalog::{Source, load};
    use palisade_core::{FixAvailability, Severity, Status};
    use palisade_model::{CallFuture, CallRequest, OperationStatistics, Page, Record, Value};
    use serde_json::json;

    /// Buckets without versions.
    struct Buckets(Arc<palisade_model::Model>);

    impl Api for Buckets {
        fn call<'a>(&'a self, request: CallRequest<'a>) -> CallFuture<'a> {
            assert_eq!(request.operation, "GetBucketVersioning");
            let shape = self
                .0
                .operation(request.operation)
                .and_then(|o| o.output.as_ref())
                .unwrap()
                .shape;
            let members = self.0.shape(shape).unwrap().members.len();
            let value = Value::Struct(Box::new(Record {
                shape,
                fields: vec![Value::Null; members],
            }));
            Box::pin(async move { Ok(Page { value, next: None }) })
        }
        fn statistics(&self) -> Vec<OperationStatistics> {
            Vec::new()
        }
    }

    fn candidates(catalog: &Catalog, count: usize) -> Vec<Candidate> {
        let check = Arc::clone(&catalog.checks["s3-bucket-versioning"]);
        (0..count)
            .map(|n| {
                let name = format!("bucket-{n:05}");
                let row =
                    json!({"name": name, "account_id": "123456789012", "region": "us-east-1"});
                Candidate {
                    finding: Finding {
                        check: check.id.as_str().into(),
                        status: Status::Fail,
                        severity: Severity::Medium,
                        account_id: "123456789012".into(),
                        region: "us-east-1".into(),
                        resource: format!("arn:aws:s3:::{name}"),
                        resource_id: name,
                        resource_type: "s3_bucket".into(),
                        message: "versioning is off".to_owned(),
                        evidence: Map::new(),
                        requirements: Arc::from([]),
                        fix: FixAvailability::Automatic,
                        history: None,
                        missing_permissions: Vec::new(),
                        muted: None,
                    },
                    check: Arc::clone(&check),
                    catalog_id: check.id.clone(),
                    row: row.as_object().unwrap().clone(),
                    tags: Tags::Known(BTreeMap::new()),
                    uses: Vec::new(),
                }
            })
            .collect()
    }

    #[test]
    fn ten_thousand_findings_give_the_same_plan_in_any_order() {
        let catalog = load(&[Source::embedded()]).catalog;
        let models = Models::embedded();
        let api: Arc<dyn Api> = Arc::new(Buckets(models.get("s3").unwrap()));
        let apis = |_: &str| Some(Arc::clone(&api));
        let options = Options {
            now: Timestamp::from_micros(0),
            expires: Timestamp::from_micros(1),
            accounts: vec!["123456789012".to_owned()],
            regions: vec!["us-east-1".to_owned()],
            planned_by: "arn:aws:iam::123456789012:user/a".to_owned(),
            protection: Protection::default(),
            most_risk: Risk::MayBreakAccess,
            retirement: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let make = |all: &[Candidate]| {
            runtime
                .block_on(plan(all, &[], &catalog, &models, &apis, &options))
                .unwrap()
        };
        let mut all = candidates(&catalog, 10_000);
        let made = make(&all);
        assert_eq!(made.items.len(), 10_000);
        assert_eq!(Plan::parse(&made.to_json()).unwrap(), made);
        all.reverse();
        assert_eq!(make(&all).to_json(), made.to_json());
    }

    fn options() -> Options {
        Options {
            now: Timestamp::from_micros(0),
            expires: Timestamp::from_micros(1),
            accounts: Vec::new(),
            regions: Vec::new(),
            planned_by: String::new(),
            protection: Protection::default(),
            most_risk: Risk::MayBreakAccess,
            retirement: None,
        }
    }

    #[test]
    fn a_value_that_aws_refuses_in_its_place_is_not_planned() {
        let catalog = load(&[Source::embedded()]).catalog;
        let mut one = candidates(&catalog, 1).remove(0);
        let values = [(
            "log_group".to_owned(),
            palisade_catalog::ParameterValue::Text("a b".to_owned()),
        )];
        let check = &catalog.checks["transfer-server-logging"];
        one.check = Arc::new(check.with_params(&values.into_iter().collect()));
        one.row = json!({"server_id": "s-0123456789abcdef0", "account_id": "123456789012", "region": "us-east-1", "partition": "aws"})
            .as_object()
            .unwrap()
            .clone();
        let options = options();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let (all, models) = ([one], Models::embedded());
        let made = plan(&all, &[], &catalog, &models, &|_| None, &options);
        let made = runtime.block_on(made).unwrap();
        assert!(made.items.is_empty());
        let reason = &made.guided[0].reason;
        assert!(
            reason
                .contains("takes a text that matches `arn:\\S+` for `StructuredLogDestinations[]`")
                && reason.contains("log-group:a b"),
            "{reason}"
        );
    }

    /// An account without a password policy.
    struct NoPolicy;

    impl Api for NoPolicy {
        fn call<'a>(&'a self, request: CallRequest<'a>) -> CallFuture<'a> {
            assert_eq!(request.operation, "GetAccountPasswordPolicy");
            Box::pin(async {
                Err(palisade_model::ApiError {
                    kind: palisade_core::CallErrorKind::Other,
                    code: "NoSuchEntity".to_owned(),
                    message: String::new(),
                })
            })
        }
        fn statistics(&self) -> Vec<OperationStatistics> {
            Vec::new()
        }
    }

    #[test]
    fn one_call_replaces_a_whole_for_several_checks() {
        let catalog = load(&[Source::embedded()]).catalog;
        let of = |id: &str| {
            let mut one = candidates(&catalog, 1).remove(0);
            one.check = Arc::clone(&catalog.checks[id]);
            one.catalog_id = id.to_owned();
            one.finding.check = id.into();
            one.finding.resource = String::new();
            one.finding.resource_id = "123456789012".to_owned();
            one
        };
        let mut other = of("iam-password-policy-reuse");
        let values = [(
            "count".to_owned(),
            palisade_catalog::ParameterValue::Integer(5),
        )];
        other.check = Arc::new(other.check.with_params(&values.into_iter().collect()));
        let all = [
            of("iam-password-policy-length"),
            of("iam-password-policy-strong"),
            of("iam-password-policy-symbol"),
            other,
        ];
        let options = options();
        let api: Arc<dyn Api> = Arc::new(NoPolicy);
        let apis = |_: &str| Some(Arc::clone(&api));
        let models = Models::embedded();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let made = plan(&all, &[], &catalog, &models, &apis, &options);
        let made = runtime.block_on(made).unwrap();
        let [item] = made.items.as_slice() else {
            panic!("{:#?}", made.items);
        };
        assert_eq!(item.checks.len(), 3);
        let step = &item.steps[0];
        let sent = Json::Object(step.call.params.clone());
        // the first in order says how many passwords are remembered; who wants another number is told
        assert_eq!(sent["PasswordReusePrevention"], 5);
        assert_eq!(sent["MinimumPasswordLength"], 14);
        assert_eq!(sent["RequireSymbols"], true);
        assert_eq!(
            step.inverse.as_ref().unwrap().operation,
            "DeleteAccountPasswordPolicy"
        );
        assert!(
            made.guided[0]
                .reason
                .contains("another check wants `PasswordReusePrevention`")
        );
    }
}
