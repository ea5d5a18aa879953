//! Plans that come with the binary. Planning what a scan of one account runs costs more than running it, and what comes of
//! it follows from the checks, the tables and the values of parameters, which are those that were shipped: it is written
//! down when these are changed (`docs/reference/plans.zst`, which a test keeps fresh), as DataFusion writes plans to send them to
//! other machines. What depends on anything else (`$now`, a user's parameters, checks or tables) is not there, and planned
//! when it is run.
use crate::engine::Engine;
use crate::error::QueryError;
use crate::evaluate::{self, Emptiness};
use crate::expr::{Compiled, Frame};
use crate::iam::Computed;
use crate::message::{Message, Part};
use crate::plan::{Needs, PlannedCheck, Query};
use crate::reach::{Reach, reach};
use crate::scans::{Apart, Scan, needs_of};
use crate::session::{Planner, Tables};
use crate::table_exec::{Reads, TableExec};
use datafusion::arrow::datatypes::Schema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result, exec_datafusion_err, not_impl_err, plan_err};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::from_proto::parse_physical_expr;
use datafusion_proto::physical_plan::to_proto::serialize_physical_expr;
use datafusion_proto::physical_plan::{
    AsExecutionPlan, PhysicalExtensionCodec, PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf::{self, PhysicalExprNode, PhysicalPlanNode};
use palisade_catalog::{Catalog, Check};
use palisade_core::Timestamp;
use prost::Message as _;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

/// What planning makes of a check.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Shipped<'b> {
    #[serde(borrow)]
    pub kind: ShippedKind<'b>,
    #[serde(borrow)]
    pass: Vec<ShippedPart<'b>>,
    #[serde(borrow)]
    fail: Vec<ShippedPart<'b>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ShippedKind<'b> {
    Predicate {
        #[serde(borrow)]
        applies: Option<ShippedExpr<'b>>,
        #[serde(borrow)]
        holds: ShippedExpr<'b>,
    },
    #[serde(borrow)]
    Query(ShippedQuery<'b>),
}

/// An expression, and the columns that it reads.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ShippedExpr<'b> {
    #[serde(borrow)]
    columns: Vec<Cow<'b, str>>,
    /// As DataFusion writes it.
    #[serde(borrow)]
    physical: Cow<'b, [u8]>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ShippedQuery<'b> {
    /// What runs it, as DataFusion writes it.
    #[serde(borrow)]
    pub executable: Cow<'b, [u8]>,
    /// Of its output, in the same way.
    #[serde(borrow)]
    schema: Cow<'b, [u8]>,
    pub scans: BTreeMap<String, Scan>,
    pub apart: Option<Apart>,
    pub emptiness: Emptiness,
    pub row_wise: bool,
    pub region_bound: bool,
    pub reach: Reach,
}

#[derive(Debug, Serialize, Deserialize)]
enum ShippedPart<'b> {
    Text(#[serde(borrow)] Cow<'b, str>),
    Value(#[serde(borrow)] ShippedExpr<'b>),
}

/// All that is written down.
#[derive(Debug, Default, Serialize, Deserialize)]
struct File<'b> {
    #[serde(borrow)]
    checks: BTreeMap<&'b str, Entry<'b>>,
}

/// What is written down of a check.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry<'b> {
    /// That it serves, as `framework/requirement`.
    #[serde(borrow)]
    requirements: Vec<&'b str>,
    /// Of the texts that its plan was made of.
    text: u64,
    /// A [`Shipped`]; nothing where it is to be planned.
    #[serde(borrow)]
    plan: Option<&'b [u8]>,
}

fn file() -> &'static File<'static> {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    static FILE: OnceLock<File<'static>> = OnceLock::new();
    const EMBEDDED: &[u8] = include_bytes!("../../../docs/reference/plans.zst");
    FILE.get_or_init(|| {
        // what cannot be read is stale: it is planned
        let bytes = BYTES.get_or_init(|| zstd::decode_all(EMBEDDED).unwrap_or_default());
        postcard::from_bytes(bytes).unwrap_or_default()
    })
}

/// What is written down of a check that came with the binary.
pub(crate) fn entry(check: &Check) -> Option<&'static Entry<'static>> {
    file().checks.get(check.id.as_str())
}

impl Entry<'static> {
    /// The requirements that the check serves.
    pub(crate) fn requirements(&self) -> Vec<String> {
        self.requirements.iter().map(ToString::to_string).collect()
    }

    /// The plan, where the texts that it was made of are still the same.
    pub(crate) fn plan(&self, check: &Check, catalog: &Catalog) -> Option<&'static [u8]> {
        self.plan
            .filter(|_| self.text == fingerprint(check, catalog))
    }
}

impl Shipped<'static> {
    pub(crate) fn read(plan: &'static [u8]) -> Option<Self> {
        postcard::from_bytes(plan).ok()
    }

    /// What findings say that pass, or fail.
    pub(crate) fn message(self, passes: bool) -> Message {
        let parts = match passes {
            true => self.pass,
            false => self.fail,
        };
        let part = |part| match part {
            ShippedPart::Text(text) => Part::Text(text.into_owned()),
            ShippedPart::Value(expr) => Part::Value(expr.compiled()),
        };
        Message {
            parts: parts.into_iter().map(part).collect(),
        }
    }
}

impl ShippedKind<'_> {
    /// The columns that it reads.
    pub(crate) fn needs(&self, check: &Check) -> Needs {
        match self {
            Self::Query(query) => needs_of(&query.scans),
            Self::Predicate { applies, holds } => {
                let columns = applies.iter().chain([holds]).flat_map(|e| &e.columns);
                let columns: BTreeSet<String> = columns.map(ToString::to_string).collect();
                Needs::from([(check.resource.clone(), columns)])
            }
        }
    }
}

impl ShippedExpr<'static> {
    pub(crate) fn compiled(self) -> Compiled {
        let columns = self.columns.into_iter().map(Cow::into_owned).collect();
        Compiled::written(columns, self.physical)
    }
}

impl ShippedQuery<'_> {
    /// Of its output.
    pub(crate) fn schema(&self) -> Result<Schema> {
        let schema = protobuf::Schema::decode(&*self.schema).map_err(failed)?;
        Schema::try_from(&schema).map_err(failed)
    }
}

/// What runs a query.
pub(crate) fn executable(planner: &Planner, written: &[u8]) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = PhysicalPlanNode::try_decode(written)?;
    let codec = Codec(Some((Arc::clone(&planner.tables), planner.now())));
    plan.try_into_physical_plan(planner.functions(), &codec)
}

/// What computes an expression over some columns.
pub(crate) fn expression(
    planner: &Planner,
    written: &[u8],
    schema: &Schema,
) -> Result<Arc<dyn PhysicalExpr>> {
    let expr = PhysicalExprNode::decode(written).map_err(failed)?;
    let expr = parse_physical_expr(&expr, planner.functions(), schema, &Codec(None))?;
    // It reads columns by their places. Were it written for others, it would say something of them.
    expr.apply(|part| {
        let Some(column) = part.downcast_ref::<Column>() else {
            return Ok(TreeNodeRecursion::Continue);
        };
        match schema.fields().get(column.index()) {
            Some(field) if field.name() == column.name() => Ok(TreeNodeRecursion::Continue),
            _ => plan_err!("`{}` is not where it was", column.name()),
        }
    })?;
    Ok(expr)
}

/// The texts that a plan is made of, as a number: a check that has others is planned. Views may read each other.
fn fingerprint(check: &Check, catalog: &Catalog) -> u64 {
    let params = check.params.iter();
    let params: Vec<String> = params
        .map(|(name, p)| format!("{name} {:?}", p.default))
        .collect();
    let texts = [
        &check.resource,
        &check.sql.0,
        &check.pass_message.0,
        &check.fail_message.0,
    ];
    let applies = check.applies.iter().map(|(text, _)| text);
    let names_a_view = catalog.views.keys().any(|name| check.sql.0.contains(name));
    let views = catalog.views.values().filter(|_| names_a_view);
    let views = views.map(|view| &view.sql);
    let texts = texts.into_iter().chain(applies).chain(&params).chain(views);
    texts.fold(0, |hash, text| mixed(hash, text))
}

/// A number with a text in it: eight bytes at a time, as FxHash does, in the end how many they were.
fn mixed(hash: u64, text: &str) -> u64 {
    let mix =
        |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    let rest = rest.iter().map(|byte| u64::from(*byte));
    let hash = words.chain(rest).fold(hash, mix);
    mix(hash, u64::try_from(text.len()).unwrap_or(u64::MAX))
}

/// The file with what there is to write down of some checks. Two engines that differ in their time say which plans depend on
/// it.
///
/// # Errors
/// When it cannot be packed.
pub fn shipped_plans(engines: [Engine; 2], checks: &[Arc<Check>]) -> Result<Vec<u8>, QueryError> {
    const LEVEL: i32 = 19;
    let written = evaluate::on_deep_stacks(engines.into(), |engine| all_written(engine, checks))?;
    let [first, second] = written.as_slice() else {
        return Err(QueryError::Run("plans are missing".to_owned()));
    };
    let mut checks = BTreeMap::new();
    for (check, written) in first {
        let other = second.get(check).and_then(|w| w.plan.as_deref());
        let entry = Entry {
            requirements: written.requirements.iter().map(String::as_str).collect(),
            text: written.text,
            plan: written.plan.as_deref().filter(|plan| other == Some(plan)),
        };
        checks.insert(check.as_str(), entry);
    }
    let failed = |e: String| QueryError::Run(e);
    let bytes = postcard::to_allocvec(&File { checks }).map_err(|e| failed(e.to_string()))?;
    zstd::encode_all(bytes.as_slice(), LEVEL).map_err(|e| failed(e.to_string()))
}

/// An [`Entry`] that is being made.
struct Written {
    requirements: Arc<[String]>,
    text: u64,
    plan: Option<Vec<u8>>,
}

fn all_written(mut engine: Engine, checks: &[Arc<Check>]) -> BTreeMap<String, Written> {
    let one = |check: &Arc<Check>| {
        // one after the other, each by itself: what is made up in a plan has numbers
        engine.planner.forget_numbers();
        let (plan, _) = engine.plan(std::slice::from_ref(check));
        let planned = plan.checks.first()?;
        // what has a part that cannot be written is planned
        let shipped = write(&engine.planner, planned).ok();
        let written = Written {
            requirements: Arc::clone(&planned.requirements),
            text: fingerprint(check, &engine.catalog),
            plan: shipped.and_then(|shipped| postcard::to_allocvec(&shipped).ok()),
        };
        Some((check.id.clone(), written))
    };
    checks.iter().filter_map(one).collect()
}

fn write(planner: &Planner, planned: &PlannedCheck) -> Result<Shipped<'static>> {
    let expr = |value: &Compiled, frame: &Frame| -> Result<ShippedExpr<'static>> {
        let physical = value.executable(planner, frame)?;
        let physical = serialize_physical_expr(physical, &Codec(None))?;
        let columns = value.columns.iter();
        Ok(ShippedExpr {
            columns: columns.map(|c| Cow::Owned(c.clone())).collect(),
            physical: Cow::Owned(physical.encode_to_vec()),
        })
    };
    let (kind, frame) = match (planned.predicate(planner), planned.query(planner)) {
        (Some(predicate), _) => {
            let predicate = predicate.map_err(failed)?;
            let frame = &predicate.frame;
            let applies = predicate.applies.as_ref().map(|a| expr(a, frame));
            let kind = ShippedKind::Predicate {
                applies: applies.transpose()?,
                holds: expr(&predicate.holds, frame)?,
            };
            (kind, frame)
        }
        (None, Some(query)) => {
            let query = query.map_err(failed)?;
            let kind = ShippedKind::Query(written_query(planner, planned, query)?);
            (kind, &query.frame)
        }
        (None, None) => return not_impl_err!("neither a predicate nor a query"),
    };
    let parts = |passes| -> Result<Vec<ShippedPart<'static>>> {
        let part = |part: &Part| {
            Ok(match part {
                Part::Text(text) => ShippedPart::Text(Cow::Owned(text.clone())),
                Part::Value(value) => ShippedPart::Value(expr(value, frame)?),
            })
        };
        let message = planned.message(planner, passes);
        message.parts.iter().map(part).collect()
    };
    Ok(Shipped {
        pass: parts(true)?,
        fail: parts(false)?,
        kind,
    })
}

fn written_query(
    planner: &Planner,
    planned: &PlannedCheck,
    query: &Query,
) -> Result<ShippedQuery<'static>> {
    let executable = evaluate::block_here(query.executable(planner)).map_err(failed)?;
    let executable = executable.map_err(failed)?;
    let executable = PhysicalPlanNode::try_from_physical_plan(executable, &Codec(None))?;
    let schema = protobuf::Schema::try_from(query.frame.arrow.as_ref()).map_err(failed)?;
    Ok(ShippedQuery {
        executable: Cow::Owned(executable.encode_to_vec()),
        schema: Cow::Owned(schema.encode_to_vec()),
        scans: query.scans.clone(),
        apart: query.apart.clone(),
        emptiness: query.emptiness.clone(),
        row_wise: query.row_wise,
        region_bound: query.region_bound,
        reach: reach(planner, planned),
    })
}

fn failed(e: impl std::fmt::Display) -> DataFusionError {
    exec_datafusion_err!("{e}")
}

/// What is written of the operator that is ours.
#[derive(Debug, Serialize, Deserialize)]
enum Leaf<'b> {
    /// Columns of a table of the catalogue.
    Table(#[serde(borrow)] Vec<&'b str>),
    Computed(Computed),
}

/// Writes the operator that is ours, and reads it with the tables that there are, as of a time. Functions are known by their
/// names.
#[derive(Debug)]
struct Codec(Option<(Arc<Tables>, Timestamp)>);

impl PhysicalExtensionCodec for Codec {
    fn try_decode(
        &self,
        bytes: &[u8],
        _: &[Arc<dyn ExecutionPlan>],
        _: &TaskContext,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (table, leaf): (&str, Leaf<'_>) = postcard::from_bytes(bytes).map_err(failed)?;
        let Some((tables, now)) = &self.0 else {
            return not_impl_err!("a table within an expression");
        };
        let columns = match leaf {
            Leaf::Table(columns) => columns,
            Leaf::Computed(what) => {
                let known = tables.computed(table, *now);
                return Ok(Arc::new(known.ok_or_else(|| failed(table))?.exec(what)?));
            }
        };
        let known = tables.table(table).map_err(failed)?;
        let fields = columns.iter().map(|c| {
            let field = known.arrow.fields().find(c);
            field
                .map(|(_, field)| Arc::clone(field))
                .ok_or_else(|| failed(c))
        });
        let schema = Schema::new(fields.collect::<Result<Vec<_>>>()?);
        Ok(Arc::new(TableExec::of_table(table, Arc::new(schema))))
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        bytes: &mut Vec<u8>,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let Some(exec) = node.downcast_ref::<TableExec>() else {
            return not_impl_err!("`{}` is not written", node.name());
        };
        let schema = node.schema();
        let written = match exec.reads() {
            Reads::Table(name) => {
                let columns = schema.fields().iter().map(|f| f.name().as_str()).collect();
                postcard::to_allocvec(&(name, Leaf::Table(columns)))
            }
            Reads::Computed(computation) => {
                let what = Leaf::Computed(computation.what.clone());
                postcard::to_allocvec(&(computation.table(), what))
            }
        };
        let written = written.map_err(failed)?;
        bytes.extend(written);
        Ok(())
    }
}

#[cfg(test)]
#[path = "shipped_tests.rs"]
mod tests;
