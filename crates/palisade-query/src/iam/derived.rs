//! Tables that are computed: permissions, escalation, access from outside, findings of the policy linter.
use super::sources::{IamQuestion, iam_needs};
use super::{IamScope, iam_accounts};
use crate::plan::Needs;
use crate::provider::Rows;
use crate::relation::{Relation, projected};
use crate::table_exec::TableExec;
use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableType};
use datafusion::physical_plan::ExecutionPlan;
use palisade_core::Timestamp;
use palisade_iam::{Catalogue, Detail, Graph, Model, Rules, attempt_context};
use palisade_table::{Dataset, Schemas};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Type of a computed column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DerivedType {
    /// Text.
    Text,
    /// True or false.
    Boolean,
    /// A whole number.
    Integer,
    /// A list of texts.
    Texts,
    /// A point in time.
    Time,
}

impl DerivedType {
    /// As people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Texts => "[text]",
            Self::Time => "timestamp",
        }
    }

    /// As Arrow has it.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Boolean => DataType::Boolean,
            Self::Integer => DataType::Int64,
            Self::Texts => crate::functions::texts(),
            Self::Time => {
                DataType::Timestamp(TimeUnit::Microsecond, Some(palisade_table::UTC.into()))
            }
        }
    }
}

/// A table that is computed from others.
#[derive(Debug, Clone, Copy)]
pub struct DerivedSpec {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub about: &'static str,
    /// Its columns.
    pub columns: &'static [(&'static str, DerivedType)],
}

/// The column that says which guardrails deny an access.
const BLOCKED_BY: &str = "blocked_by";

use DerivedType::{Boolean, Integer, Text, Texts};

/// The table of ways to more permissions, which lead from account to account.
pub const ESCALATIONS: &str = "iam_escalation_path";

/// The computed tables, in order of name.
pub const DERIVED_TABLES: &[DerivedSpec] = &[
    DerivedSpec {
        name: ESCALATIONS,
        about: "Users and roles that can gain permissions: the shortest way to administrator, and what breaks its first step.",
        columns: &[
            ("account_id", Text),
            ("region", Text),
            ("arn", Text),
            ("id", Text),
            ("to_admin", Boolean),
            ("steps", Integer),
            ("title", Text),
            ("actions", Texts),
            ("resource", Text),
            ("leads_to", Text),
            ("break_by", Text),
            ("conditional", Boolean),
            ("assumed", Boolean),
            ("indirect", Boolean),
            ("reaches", Texts),
            ("paths", Texts),
            ("unread", Texts),
        ],
    },
    DerivedSpec {
        name: "iam_external_access",
        about: "What can be reached from outside its account: by everyone, other accounts, the organisation, identity providers.",
        columns: &[
            ("account_id", Text),
            ("region", Text),
            ("arn", Text),
            ("id", Text),
            ("kind", Text),
            ("who", Text),
            ("through", Text),
            (BLOCKED_BY, Texts),
        ],
    },
    DerivedSpec {
        name: "iam_policy_finding",
        about: "What the linter finds in the policies of users, groups, roles and resources.",
        columns: &[
            ("account_id", Text),
            ("region", Text),
            ("arn", Text),
            ("id", Text),
            ("rule", Text),
            ("weight", Text),
            ("message", Text),
            ("statement", Text),
            ("line", Integer),
            ("column", Integer),
        ],
    },
    DerivedSpec {
        name: "iam_principal_permission",
        about: "Every action that a user or role may do on some resource, within boundary and guardrails, with an example.",
        columns: &[
            ("account_id", Text),
            ("region", Text),
            ("arn", Text),
            ("id", Text),
            ("action", Text),
            ("access_level", Text),
            ("example_resource", Text),
            ("conditional", Boolean),
        ],
    },
];

/// The columns of [`ESCALATIONS`] that [`Detail::Shortest`] leaves out.
const LONG: &[&str] = &["reaches", "paths"];

/// Tables of an organisation's policies and what they are attached to.
fn is_guardrail(table: &str) -> bool {
    table.starts_with("organizations_") && table != "organizations_organization"
}

/// A computed table by name.
pub(crate) fn derived(name: &str) -> Option<&'static DerivedSpec> {
    DERIVED_TABLES.iter().find(|d| d.name == name)
}

impl DerivedSpec {
    /// What must be collected for it.
    pub fn needs(&self) -> Needs {
        let question = match self.name {
            ESCALATIONS => IamQuestion::Escalation,
            "iam_external_access" => IamQuestion::External,
            _ => IamQuestion::Everything,
        };
        let mut needs = iam_needs(question);
        // Guardrails decide nothing about what a policy says.
        if self.name == "iam_policy_finding" {
            needs.retain(|table, _| !is_guardrail(table));
        }
        needs
    }

    /// Whether a table that is collected for it decides what a query of these columns says. Members of an organisation
    /// cannot list guardrails, and that leaves nothing open but [`BLOCKED_BY`].
    pub(crate) fn decides(&self, table: &str, columns: &BTreeSet<String>) -> bool {
        self.name != "iam_external_access" || !is_guardrail(table) || columns.contains(BLOCKED_BY)
    }

    /// Its columns as Arrow has them.
    pub fn schema(&self) -> SchemaRef {
        let field = |(name, ty): &(&str, DerivedType)| Field::new(*name, ty.arrow(), true);
        Arc::new(Schema::new(
            self.columns.iter().map(field).collect::<Vec<_>>(),
        ))
    }
}

/// A computed table as DataFusion sees it: rows are made when a query runs over a dataset.
#[derive(Clone)]
pub(crate) struct DerivedTable {
    spec: &'static DerivedSpec,
    schema: SchemaRef,
    schemas: Arc<dyn Schemas + Send + Sync>,
    now: Timestamp,
}

impl std::fmt::Debug for DerivedTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DerivedTable")
            .field("name", &self.spec.name)
            .finish_non_exhaustive()
    }
}

impl DerivedTable {
    pub(crate) fn new(
        spec: &'static DerivedSpec,
        schemas: Arc<dyn Schemas + Send + Sync>,
        now: Timestamp,
    ) -> Self {
        Self {
            spec,
            schema: spec.schema(),
            schemas,
            now,
        }
    }

    /// What runs what was written down of it.
    ///
    /// # Errors
    /// It has no such columns.
    pub(crate) fn exec(self, what: Computed) -> Result<TableExec> {
        let schema = projected(&self.schema, what.projection.as_deref())?;
        let computation = Computation { table: self, what };
        Ok(TableExec::computed(computation, schema))
    }

    /// The filters that save work: those on whose permissions, and which.
    fn wanted(&self, filters: &[Expr]) -> Wanted {
        let mut wanted = Wanted::of(filters);
        let columns: &[&str] = match self.spec.name {
            "iam_principal_permission" => &["account_id", "arn", "action"],
            _ => &[],
        };
        wanted
            .0
            .retain(|column, _| columns.contains(&column.as_str()));
        wanted
    }

    /// The texts that filters leave, by column.
    pub(crate) fn wanted_texts(&self, filters: &[Expr]) -> BTreeMap<String, BTreeSet<String>> {
        self.wanted(filters).0
    }

    /// The rows that are wanted, and perhaps more.
    pub(crate) fn rows(
        &self,
        rows: &Rows,
        wanted: &BTreeMap<String, BTreeSet<String>>,
    ) -> Result<RecordBatch> {
        self.batch(rows, &Wanted(wanted.clone()), Detail::Everything)
    }

    /// What of the table a query reads: the long columns are left empty where it does not read them.
    fn detail(&self, projection: Option<&[usize]>) -> Detail {
        let column = |at: &usize| self.spec.columns.get(*at).map(|(name, _)| *name);
        let is_long = |at: &usize| column(at).is_some_and(|name| LONG.contains(&name));
        match projection {
            Some(read) if self.spec.name == ESCALATIONS && !read.iter().any(is_long) => {
                Detail::Shortest
            }
            _ => Detail::Everything,
        }
    }

    fn batch(&self, rows: &Rows, wanted: &Wanted, detail: Detail) -> Result<RecordBatch> {
        let failed = |e: String| DataFusionError::Execution(e);
        let found =
            rows.accounts(|dataset| iam_accounts(dataset, self.schemas.as_ref(), &scope(dataset)));
        // Accounts that could not be listed have no rows, as in any table; the failed call is told by its own table.
        let model = &found.model;
        let now = self.now.as_micros() / 1000;
        let rows = match self.spec.name {
            ESCALATIONS => return escalations(model, now, &self.schema, detail),
            "iam_external_access" => Ok(external(model)),
            "iam_policy_finding" => findings(model),
            _ => permissions(model, now, wanted),
        };
        to_batch(&self.schema, &rows.map_err(failed)?)
    }
}

/// What a query's filters leave of a table's rows, as far as it saves work to know: the texts that a column is compared
/// with; without an entry a column may have any value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted(BTreeMap<String, BTreeSet<String>>);

impl Wanted {
    /// Understands `column = 'text'` and `column IN ('text', …)`; other filters are left to the engine, as these are too.
    fn of(filters: &[Expr]) -> Self {
        let mut out = Self::default();
        for filter in filters {
            if let Some((column, texts)) = compared(filter) {
                let known = out.0.entry(column).or_insert_with(|| texts.clone());
                *known = known.intersection(&texts).cloned().collect();
            }
        }
        out
    }

    fn has(&self, column: &str, text: &str) -> bool {
        self.0.get(column).is_none_or(|texts| texts.contains(text))
    }
}

/// The column that a filter compares, and the texts.
fn compared(filter: &Expr) -> Option<(String, BTreeSet<String>)> {
    let text = |expr: &Expr| match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten().map(ToOwned::to_owned),
        _ => None,
    };
    match filter {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Eq,
            right,
        }) => match (&**left, &**right) {
            (Expr::Column(column), value) | (value, Expr::Column(column)) => {
                Some((column.name.clone(), BTreeSet::from([text(value)?])))
            }
            _ => None,
        },
        // An `IN` with few texts becomes this.
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Or,
            right,
        }) => {
            let ((column, mut texts), (other, more)) = (compared(left)?, compared(right)?);
            texts.extend(more);
            (column == other).then_some((column, texts))
        }
        Expr::InList(list) if !list.negated => {
            let Expr::Column(column) = &*list.expr else {
                return None;
            };
            let texts: Option<BTreeSet<String>> = list.list.iter().map(text).collect();
            Some((column.name.clone(), texts?))
        }
        _ => None,
    }
}

/// Where something was collected: as far as rows and failures tell.
fn scope(dataset: &Dataset) -> IamScope {
    let mut accounts = BTreeSet::new();
    let mut regions = BTreeSet::new();
    for table in dataset.tables.values() {
        let at = |name: &str| table.schema.index_of(name).ok();
        let (Some(account), Some(region)) = (at("account_id"), at("region")) else {
            continue;
        };
        for batch in &table.batches {
            let columns = batch.rows.columns();
            for row in 0..batch.rows.num_rows() {
                for (index, set) in [(account, &mut accounts), (region, &mut regions)] {
                    if let Some(Value::String(text)) =
                        columns.get(index).map(|c| crate::render::json(c, row))
                    {
                        set.insert(text);
                    }
                }
            }
        }
    }
    IamScope {
        accounts: accounts.into_iter().collect(),
        regions: regions.into_iter().collect(),
    }
}

impl Relation for DerivedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
    fn table_type(&self) -> TableType {
        TableType::View
    }
    fn is_saved_by(&self, filter: &Expr) -> bool {
        !self.wanted(std::slice::from_ref(filter)).0.is_empty()
    }
    fn plan(
        &self,
        schema: SchemaRef,
        projection: Option<&[usize]>,
        filters: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let what = Computed {
            projection: projection.map(<[usize]>::to_vec),
            wanted: self.wanted(filters),
        };
        let computation = Computation {
            table: self.clone(),
            what,
        };
        Ok(Arc::new(TableExec::computed(computation, schema)))
    }
}

/// What of a computed table is computed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Computed {
    /// Places of the columns; all of them where it says nothing.
    pub projection: Option<Vec<usize>>,
    pub wanted: Wanted,
}

/// A computed table, and what of it is computed.
#[derive(Debug)]
pub(crate) struct Computation {
    table: DerivedTable,
    pub what: Computed,
}

impl Computation {
    /// The table's name.
    pub(crate) fn table(&self) -> &'static str {
        self.table.spec.name
    }

    /// The rows that are wanted, and perhaps more.
    pub(crate) fn rows(&self, rows: &Rows) -> Result<RecordBatch> {
        let Computed { projection, wanted } = &self.what;
        let detail = self.table.detail(projection.as_deref());
        let make = || self.table.batch(rows, wanted, detail);
        let batch = match wanted.0.is_empty() {
            true => rows.derived(self.table(), detail, make)?,
            false => make()?,
        };
        Ok(match projection {
            Some(indices) => batch.project(indices)?,
            None => batch,
        })
    }
}

/// Account, region, ARN and id of a row.
fn place(arn: &str, account: &str) -> Vec<Value> {
    let mut fields = arn.splitn(6, ':');
    let (partition, region) = (fields.nth(1).unwrap_or("aws"), fields.nth(1).unwrap_or(""));
    let home = match partition {
        "aws-cn" => palisade_core::Partition::China,
        "aws-us-gov" => palisade_core::Partition::GovCloud,
        _ => palisade_core::Partition::Aws,
    }
    .home_region();
    let region = if region.is_empty() { home } else { region };
    let id = arn
        .rsplit(['/', ':'])
        .next()
        .filter(|t| !t.is_empty())
        .unwrap_or(arn);
    vec![json!(account), json!(region), json!(arn), json!(id)]
}

/// Rows of ways that are put into columns at once: each may name thousands of users and roles.
const WAYS: usize = 256;

fn escalations(model: &Model, now: i64, schema: &SchemaRef, detail: Detail) -> Result<RecordBatch> {
    let rules = Rules::embedded().map_err(|e| DataFusionError::Execution(e.to_string()))?;
    let graph = Graph::new(model, rules, now);
    let mut batches = Vec::new();
    let mut rows = Vec::new();
    let mut seen = BTreeSet::new();
    for found in graph.each(detail) {
        if rows.len() >= WAYS {
            batches.push(to_batch(schema, &std::mem::take(&mut rows))?);
        }
        let entity = model.entity(&found.principal);
        let mut row = place(&found.principal, entity.map_or("", |e| e.account.as_str()));
        let steps = found.to_admin.as_deref().unwrap_or_default();
        let first = steps.first();
        row.extend([
            json!(found.to_admin.is_some()),
            json!(found.to_admin.as_ref().map(Vec::len)),
            json!(first.map(|s| &s.title)),
            json!(first.map(|s| &s.actions)),
            json!(first.map(|s| &s.resource)),
            json!(first.map(|s| &s.to)),
            json!(first.map(|s| &s.break_by)),
            json!(steps.iter().any(|s| s.conditional)),
            json!(steps.iter().any(|s| s.assumed)),
            json!(steps.iter().any(|s| s.indirect)),
            json!(found.reaches),
            json!(found.paths),
            json!(entity.map_or(&[][..], |e| e.unreadable.as_slice())),
        ]);
        seen.insert(found.principal);
        rows.push(row);
    }
    // Nothing was found, and something was not read: whether there is a way is not known.
    for entity in &model.entities {
        if entity.unreadable.is_empty() || seen.contains(&entity.arn) || model.is_admin(entity) {
            continue;
        }
        let mut row = place(&entity.arn, &entity.account);
        row.resize(16, Value::Null);
        row.push(json!(entity.unreadable));
        rows.push(row);
    }
    batches.push(to_batch(schema, &rows)?);
    Ok(concat_batches(schema, &batches)?)
}

fn external(model: &Model) -> Vec<Vec<Value>> {
    let row = |access: palisade_iam::ExternalAccess| {
        let account = model.external_owner(&access.resource);
        let mut row = place(&access.resource, account);
        let known = model.known.as_ref();
        // whether a policy blocks it is not known where the policies are not
        let are_known = known.is_none_or(|k| k.has_rcp(account)) || !access.blocked_by.is_empty();
        row.extend([
            json!(access.kind.as_str()),
            json!(access.who),
            json!(access.through),
            json!(are_known.then_some(access.blocked_by)),
        ]);
        row
    };
    model.external().into_iter().map(row).collect()
}

fn findings(model: &Model) -> std::result::Result<Vec<Vec<Value>>, String> {
    let catalogue = Catalogue::embedded().map_err(|e| e.to_string())?;
    let mut rows = Vec::new();
    for (document, found) in model.lint(catalogue) {
        let owner = document.owner.as_deref();
        for finding in found {
            let mut row = place(&document.name, owner.unwrap_or_default());
            row.extend([
                json!(finding.rule.id),
                json!(finding.rule.weight.as_str()),
                json!(finding.message),
                json!(finding.statement),
                json!(finding.position.line),
                json!(finding.position.column),
            ]);
            rows.push(row);
        }
    }
    Ok(rows)
}

fn permissions(
    model: &Model,
    now: i64,
    wanted: &Wanted,
) -> std::result::Result<Vec<Vec<Value>>, String> {
    let catalogue = Catalogue::embedded().map_err(|e| e.to_string())?;
    let context = attempt_context(now);
    let mut rows = Vec::new();
    let entities = model
        .entities
        .iter()
        .filter(|e| wanted.has("arn", &e.arn) && wanted.has("account_id", &e.account));
    for entity in entities {
        let is_wanted = |action: &str| wanted.has("action", action);
        for (action, grant) in model.what_can_of(&entity.arn, &context, catalogue, &is_wanted) {
            let mut row = place(&entity.arn, &entity.account);
            let level = catalogue.access_level(&action).map(|l| l.as_str());
            row.extend([
                json!(action),
                json!(level),
                json!(grant.principal),
                json!(grant.conditional),
            ]);
            rows.push(row);
        }
    }
    Ok(rows)
}

fn to_batch(schema: &SchemaRef, rows: &[Vec<Value>]) -> Result<RecordBatch> {
    let column = |(at, field): (usize, &Arc<Field>)| -> ArrayRef {
        let values = rows.iter().map(|row| row.get(at).unwrap_or(&Value::Null));
        match field.data_type() {
            DataType::Boolean => Arc::new(values.map(Value::as_bool).collect::<BooleanArray>()),
            DataType::Int64 => Arc::new(values.map(Value::as_i64).collect::<Int64Array>()),
            DataType::Utf8 => Arc::new(values.map(Value::as_str).collect::<StringArray>()),
            _ => {
                let mut list = ListBuilder::new(StringBuilder::new());
                for value in values {
                    let items = value.as_array();
                    list.append_option(items.map(|i| i.iter().map(Value::as_str)));
                }
                Arc::new(list.finish())
            }
        }
    };
    let columns = schema.fields().iter().enumerate().map(column).collect();
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
