//! Tables that are computed: permissions, escalation, access from outside, findings of the policy linter.
use super::sources::{IamQuestion, iam_needs};
use super::{IamScope, iam_accounts};
use crate::error::QueryError;
use crate::plan::Needs;
use crate::provider::Rows;
use async_trait::async_trait;
use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use palisade_core::Timestamp;
use palisade_iam::{Catalogue, Graph, Model, Rules, attempt_context};
use palisade_table::{Dataset, Schemas};
use serde_json::{Value, json};
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

use DerivedType::{Boolean, Integer, Text, Texts};

/// The computed tables, in order of name.
pub const DERIVED_TABLES: &[DerivedSpec] = &[
    DerivedSpec {
        name: "iam_escalation_path",
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

/// A computed table by name.
pub(crate) fn derived(name: &str) -> Option<&'static DerivedSpec> {
    DERIVED_TABLES.iter().find(|d| d.name == name)
}

impl DerivedSpec {
    /// What must be collected for it.
    pub fn needs(&self) -> Needs {
        let question = match self.name {
            "iam_escalation_path" => IamQuestion::Escalation,
            _ => IamQuestion::Everything,
        };
        let mut needs = iam_needs(question);
        // Guardrails decide nothing about these, and members of an organisation cannot list them.
        if matches!(self.name, "iam_external_access" | "iam_policy_finding") {
            needs.retain(|table, _| {
                !table.starts_with("organizations_") || table == "organizations_organization"
            });
        }
        needs
    }

    fn schema(&self) -> SchemaRef {
        let field = |(name, ty): &(&str, DerivedType)| {
            let ty = match ty {
                Text => DataType::Utf8,
                Boolean => DataType::Boolean,
                Integer => DataType::Int64,
                Texts => crate::functions::texts(),
            };
            Field::new(*name, ty, true)
        };
        Arc::new(Schema::new(
            self.columns.iter().map(field).collect::<Vec<_>>(),
        ))
    }
}

/// A computed table as DataFusion sees it: rows are made when a query runs over a dataset.
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

    fn batch(&self, dataset: &Dataset) -> Result<RecordBatch> {
        let failed = |e: String| DataFusionError::Execution(e);
        let found = iam_accounts(dataset, self.schemas.as_ref(), &scope(dataset));
        // Accounts that could not be listed have no rows, as in any table; the failed call is told by its own table.
        let model = &found.model;
        let now = self.now.as_micros() / 1000;
        let rows = match self.spec.name {
            "iam_escalation_path" => escalations(model, now),
            "iam_external_access" => Ok(external(model)),
            "iam_policy_finding" => findings(model),
            _ => permissions(model, now),
        };
        to_batch(&self.schema, &rows.map_err(failed)?)
    }
}

/// Where something was collected: as far as rows and failures tell.
fn scope(dataset: &Dataset) -> IamScope {
    let mut accounts = std::collections::BTreeSet::new();
    let mut regions = std::collections::BTreeSet::new();
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

#[async_trait]
impl TableProvider for DerivedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
    fn table_type(&self) -> TableType {
        TableType::View
    }
    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        // without rows there is no answer, not an empty one
        let rows = state.config().get_extension::<Rows>().ok_or_else(|| {
            DataFusionError::External(Box::new(QueryError::TableMissing(
                self.spec.name.to_owned(),
            )))
        })?;
        let batch = rows.derived(self.spec.name, |dataset| self.batch(dataset))?;
        let batch = match projection {
            Some(indices) => batch.project(indices)?,
            None => batch,
        };
        let schema = batch.schema();
        Ok(MemorySourceConfig::try_new_exec(
            &[vec![batch]],
            schema,
            None,
        )?)
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

fn escalations(model: &Model, now: i64) -> std::result::Result<Vec<Vec<Value>>, String> {
    let rules = Rules::embedded().map_err(|e| e.to_string())?;
    let rows = Graph::new(model, rules, now)
        .all()
        .into_iter()
        .map(|found| {
            let account = model
                .entity(&found.principal)
                .map_or("", |e| e.account.as_str());
            let mut row = place(&found.principal, account);
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
            ]);
            row
        });
    Ok(rows.collect())
}

fn external(model: &Model) -> Vec<Vec<Value>> {
    let row = |access: palisade_iam::ExternalAccess| {
        let account = model.owner_of(&access.resource).unwrap_or_default();
        let mut row = place(&access.resource, account);
        row.extend([json!(access.kind.as_str()), json!(access.who)]);
        row
    };
    model.external().into_iter().map(row).collect()
}

fn findings(model: &Model) -> std::result::Result<Vec<Vec<Value>>, String> {
    let catalogue = Catalogue::embedded().map_err(|e| e.to_string())?;
    let mut rows = Vec::new();
    for document in model.documents() {
        let owner = document.owner.as_deref();
        for finding in palisade_iam::lint(&document.text, document.kind, owner, catalogue) {
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

fn permissions(model: &Model, now: i64) -> std::result::Result<Vec<Vec<Value>>, String> {
    let catalogue = Catalogue::embedded().map_err(|e| e.to_string())?;
    let context = attempt_context(now);
    let mut rows = Vec::new();
    for entity in &model.entities {
        for (action, grant) in model.what_can(&entity.arn, &context, catalogue) {
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
