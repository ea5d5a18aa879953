//! SQL over a snapshot as a plan for many machines: each table is a [`WorkExec`] that reads a part of the accounts in
//! each partition; all else is DataFusion's and Ballista's.
use crate::error::{ClusterError, cluster_error};
use crate::exec::WorkExec;
use crate::job::{Job, Task, Work};
use ballista_core::extension::SessionConfigExt;
use ballista_core::optimizer::ballista_default_optimizer_rules;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::datasource::provider_as_source;
use datafusion::execution::context::SessionState;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use palisade_core::Timestamp;
use palisade_query::{
    Engine, Only, Relation, RelationProvider, Wanted, computed_needs, on_deep_stack, only,
};
use palisade_scan::SNAPSHOTS;
use std::sync::Arc;

/// A table of a snapshot.
#[derive(Debug)]
struct LakeTable {
    name: String,
    schema: SchemaRef,
    job: Job,
    parts: Vec<Vec<String>>,
    computed: bool,
    engine: Arc<Engine>,
}

impl LakeTable {
    fn wanted(&self, filters: &[Expr]) -> Wanted {
        match self.computed {
            true => self.engine.wanted(&self.name, filters),
            false => Wanted::new(),
        }
    }

    fn now(&self) -> Timestamp {
        self.engine.now()
    }

    /// The accounts of each piece of work that reads rows.
    fn pieces(&self, only: &Only) -> Vec<Vec<String>> {
        // the snapshots are listed once, by whom does not matter
        if self.name == SNAPSHOTS {
            return vec![Vec::new()];
        }
        let wanted = |account: &&String| {
            let of = only.get("account_id");
            of.is_none_or(|accounts| accounts.contains(*account))
        };
        let mut pieces: Vec<Vec<String>> = self
            .parts
            .iter()
            .map(|part| part.iter().filter(wanted).cloned().collect())
            .filter(|part: &Vec<String>| !part.is_empty())
            .collect();
        if pieces.is_empty() {
            // a plan has a partition, also without rows
            pieces.push(Vec::new());
        }
        pieces
    }
}

impl Relation for LakeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
    fn is_saved_by(&self, filter: &Expr) -> bool {
        let alone = std::slice::from_ref(filter);
        match self.computed {
            true => !self.wanted(alone).is_empty(),
            false => !only(alone).is_empty(),
        }
    }
    fn plan(
        &self,
        schema: SchemaRef,
        _: Option<&[usize]>,
        filters: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut job = self.job.clone();
        let work = |(number, accounts): (usize, &Vec<String>)| Work {
            number,
            accounts: accounts.clone(),
            within: false,
            checks: Vec::new(),
        };
        let works: Vec<Work> = if self.computed {
            job.task = Task::Computed {
                now: self.now(),
                table: self.name.clone(),
                wanted: self.wanted(filters),
            };
            // who may reach whom does not end at an account
            let mut accounts: Vec<String> = self.parts.iter().flatten().cloned().collect();
            accounts.sort();
            vec![work((0, &accounts))]
        } else {
            let only = only(filters);
            let pieces = self.pieces(&only);
            job.task = Task::Rows {
                table: self.name.clone(),
                only,
            };
            pieces.iter().enumerate().map(work).collect()
        };
        Ok(Arc::new(WorkExec::over(job, schema, &works)?))
    }
}

/// The plan of a query, and the configuration that it runs with.
pub(crate) async fn lake_plan(
    engine: Engine,
    sql: &str,
    job: &Job,
    parts: &[Vec<String>],
    partitions: usize,
) -> std::result::Result<(Arc<dyn ExecutionPlan>, SessionConfig), ClusterError> {
    let resolved = engine.query_plan(sql)?;
    let engine = Arc::new(engine);
    let state = state(engine.session_state(), partitions);
    // The planner is recursive: it gets a stack for the longest SQL, and a runtime that lives as long as it does.
    let planned = on_deep_stack(|| {
        let planned = optimised(&state, resolved, &engine, job, parts);
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        planned.and_then(|plan| {
            let planner = state.query_planner();
            runtime.block_on(planner.create_physical_plan(&plan, &state))
        })
    })?;
    let plan = planned.map_err(|e| cluster_error(&e))?;
    Ok((plan, state.config().clone()))
}

/// Our functions and dialect with the rules that make plans which can be cut.
fn state(embedded: &SessionState, partitions: usize) -> SessionState {
    let mut config = embedded
        .config()
        .clone()
        .upgrade_for_ballista()
        .with_target_partitions(partitions);
    config.options_mut().optimizer.max_passes = 3;
    SessionStateBuilder::new_from_existing(embedded.clone())
        .with_config(config)
        .with_optimizer_rules(ballista_default_optimizer_rules())
        .with_physical_optimizer_rules(PhysicalOptimizer::new().rules)
        .build()
}

fn optimised(
    state: &SessionState,
    resolved: LogicalPlan,
    engine: &Arc<Engine>,
    job: &Job,
    parts: &[Vec<String>],
) -> Result<LogicalPlan> {
    let placed = resolved.transform_up_with_subqueries(|node| {
        let LogicalPlan::TableScan(scan) = node else {
            return Ok(Transformed::no(node));
        };
        // a view brings its plan along
        if scan.source.get_logical_plan().is_some() {
            return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
        }
        let name = scan.table_name.table().to_owned();
        let table = LakeTable {
            computed: computed_needs(&name).is_some(),
            name,
            schema: scan.source.schema(),
            job: job.clone(),
            parts: parts.to_vec(),
            engine: Arc::clone(engine),
        };
        Ok(Transformed::yes(LogicalPlan::TableScan(TableScan {
            source: provider_as_source(Arc::new(RelationProvider(table))),
            ..scan
        })))
    })?;
    state.optimize(&placed.data)
}
