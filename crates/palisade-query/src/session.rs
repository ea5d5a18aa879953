//! What SQL is planned and run with: our functions and tables, and nothing of the host.
use crate::error::{QueryError, SqlProblem, nearest, plain};
use crate::functions::{self, STANDARD};
use crate::iam::{DERIVED_TABLES, DerivedTable, derived};
use crate::lake::{Lake, LakeTable, one_snapshot_only, with_snapshot};
use crate::over_time::{STORE_TABLES, needs_a_store, store_table};
use crate::provider::{CatalogTable, Rows};
use crate::relation::RelationProvider;
use crate::rules::{OneStream, Rules};
use crate::sql::{self, Values};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{
    DFSchema, DataFusionError, Result, SchemaError, TableReference, plan_err,
};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::execution::SessionStateDefaults;
use datafusion::execution::TaskContext;
use datafusion::execution::context::SessionState;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner, TypePlanner};
use datafusion::logical_expr::{
    AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, ScalarUDF, TableSource, WindowUDF,
};
use datafusion::physical_optimizer::limit_pushdown::LimitPushdown;
use datafusion::physical_optimizer::output_requirements::OutputRequirements;
use datafusion::prelude::SessionConfig;
use datafusion::sql::planner::{ParserOptions, PlannerContext, SqlToRel};
use datafusion::sql::sqlparser::ast::{self, VisitMut};
use palisade_catalog::{Catalog, TableSchema, TableSpec};
use palisade_core::Timestamp;
use palisade_table::Schemas;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Tables and views by name, made when first asked for.
pub(crate) struct Tables {
    pub(crate) catalog: Arc<Catalog>,
    schemas: Arc<dyn Schemas + Send + Sync>,
    known: Mutex<BTreeMap<String, Arc<Known>>>,
}

/// A table that was asked for.
pub(crate) struct Known {
    pub spec: Arc<TableSpec>,
    pub columns: Arc<TableSchema>,
    pub arrow: SchemaRef,
    /// For predicates: columns with and without the table's name.
    pub df: Arc<DFSchema>,
    pub source: Arc<dyn TableSource>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known")
            .field("name", &self.spec.name)
            .finish_non_exhaustive()
    }
}
impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tables").finish_non_exhaustive()
    }
}

impl Tables {
    pub(crate) fn new(catalog: Arc<Catalog>, schemas: Arc<dyn Schemas + Send + Sync>) -> Self {
        Self {
            catalog,
            schemas,
            known: Mutex::default(),
        }
    }

    pub(crate) fn table(&self, name: &str) -> Result<Arc<Known>, SqlProblem> {
        if let Some(known) = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
        {
            return Ok(Arc::clone(known));
        }
        let Some((spec, columns)) = self.schemas.table(name) else {
            return Err(self.unknown(name));
        };
        let names: Vec<&str> = columns.columns.iter().map(|c| c.name.as_str()).collect();
        let arrow = palisade_table::arrow_schema(&columns, &names)
            .map_err(|e| SqlProblem::new(e.to_string()))?;
        let df = DFSchema::try_from_qualified_schema(name, &arrow)
            .map_err(|e| SqlProblem::new(plain(&e)))?;
        let provider = CatalogTable {
            name: name.to_owned(),
            schema: Arc::clone(&arrow),
        };
        let source = provider_as_source(Arc::new(RelationProvider(provider)));
        let known = Arc::new(Known {
            spec,
            columns,
            arrow,
            df: Arc::new(df),
            source,
        });
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned(), Arc::clone(&known));
        Ok(known)
    }

    /// A computed table.
    pub(crate) fn computed(&self, name: &str, now: Timestamp) -> Option<DerivedTable> {
        let spec = derived(name)?;
        Some(DerivedTable::new(spec, Arc::clone(&self.schemas), now))
    }

    fn unknown(&self, name: &str) -> SqlProblem {
        let tables = self.schemas.names();
        let views = self.catalog.views.keys();
        let names = tables.iter().chain(views).map(String::as_str);
        let computed = DERIVED_TABLES.iter().chain(STORE_TABLES);
        let names = names.chain(computed.map(|d| d.name));
        let problem = SqlProblem::new(format!("no table `{name}`"));
        match nearest(name, names) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint("`palisade tables` lists them"),
        }
    }
}

/// Plans SQL.
pub(crate) struct Planner {
    pub state: SessionState,
    pub tables: Arc<Tables>,
    /// What plans that come with the binary are read with, made when first needed.
    functions: OnceLock<Arc<TaskContext>>,
    /// Where rows come from, when it is not the session.
    pub lake: Option<Arc<dyn Lake>>,
    rules: Rules,
    views: Mutex<BTreeMap<String, Arc<dyn TableSource>>>,
    now: Timestamp,
}

impl std::fmt::Debug for Planner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Planner")
            .field("tables", &self.tables)
            .finish_non_exhaustive()
    }
}

impl Planner {
    pub(crate) fn new(
        catalog: Arc<Catalog>,
        schemas: Arc<dyn Schemas + Send + Sync>,
        now: Timestamp,
    ) -> Result<Self, QueryError> {
        let mut config = SessionConfig::new()
            .with_target_partitions(1)
            .with_batch_size(8192)
            .with_information_schema(false);
        config.options_mut().optimizer.max_passes = 1;
        let options = config.options_mut();
        options.sql_parser.enable_ident_normalization = false;
        options.sql_parser.collect_spans = true;
        options.sql_parser.map_string_types_to_utf8view = false;
        options.execution.time_zone = Some(palisade_table::UTC.to_owned());
        let mut standard = SessionStateDefaults::default_scalar_functions();
        standard.retain(|f| STANDARD.contains(&f.name()));
        let mut state = SessionStateBuilder::new()
            .with_config(config)
            // no formats of files: what is not in it cannot be read by it
            .with_expr_planners(SessionStateDefaults::default_expr_planners())
            .with_scalar_functions(standard)
            .with_higher_order_functions(SessionStateDefaults::default_higher_order_functions())
            .with_aggregate_functions(SessionStateDefaults::default_aggregate_functions())
            .with_window_functions(SessionStateDefaults::default_window_functions())
            // What a plan needs to be right over one partition; the others save work on files and clusters, or look for
            // the smaller side of a join where nobody knows how many rows there will be.
            .with_physical_optimizer_rules(vec![
                Arc::new(OutputRequirements::new_add_mode()),
                Arc::new(OneStream),
                Arc::new(OutputRequirements::new_remove_mode()),
                Arc::new(LimitPushdown::new()),
            ])
            .build();
        let start = |e: DataFusionError| QueryError::Start(plain(&e));
        use datafusion::execution::FunctionRegistry;
        for function in functions::all(now) {
            state.register_udf(Arc::new(function)).map_err(start)?;
        }
        let rules = Rules::new(&state.optimizer().rules);
        Ok(Self {
            state,
            rules,
            tables: Arc::new(Tables::new(catalog, schemas)),
            functions: OnceLock::new(),
            lake: None,
            views: Mutex::default(),
            now,
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Columns that plans make up are counted from one again.
    pub(crate) fn forget_numbers(&mut self) {
        self.state.execution_props_mut().alias_generator = Arc::default();
    }

    /// The functions by their names.
    pub(crate) fn functions(&self) -> &TaskContext {
        self.functions.get_or_init(|| self.state.task_ctx())
    }

    /// The state, with the rows that its queries read.
    pub(crate) fn state_over(&self, rows: Arc<Rows>) -> SessionState {
        let config = self.state.config().clone().with_extension(rows);
        let mut state = self.state.clone();
        *state.config_mut() = config;
        state
    }

    fn options(&self) -> ParserOptions {
        ParserOptions::default()
            .with_enable_ident_normalization(false)
            .with_collect_spans(true)
            .with_map_string_types_to_utf8view(false)
    }

    /// An expression over `schema`, names resolved, types not yet adapted.
    pub(crate) fn expression(
        &self,
        text: &str,
        values: Values<'_>,
        schema: &DFSchema,
    ) -> Result<Expr, SqlProblem> {
        let mut tree = sql::parse_expression(text, values)?;
        let planned = SqlToRel::new_with_options(self, self.options()).sql_to_expr(
            tree.clone(),
            schema,
            &mut PlannerContext::new(),
        );
        planned.map_err(|e| problem(&e, &mut tree))
    }

    /// A query, names resolved, not yet optimised.
    pub(crate) fn query(&self, query: Box<ast::Query>) -> Result<LogicalPlan, SqlProblem> {
        let mut tree = query.clone();
        let statement = ast::Statement::Query(query);
        let planned =
            SqlToRel::new_with_options(self, self.options()).sql_statement_to_plan(statement);
        planned.map_err(|e| problem(&e, &mut tree))
    }

    /// A query as it is run: types adapted, sub-queries made joins, what is not used left out. What a query reads is asked
    /// of this.
    pub(crate) fn optimize(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let analyzed = self.analyze(plan)?;
        let rules = self.rules.of(&analyzed)?;
        let optimised = rules.optimize(analyzed, &self.state, |_, _| {})?;
        match leftover(&optimised)? {
            None => Ok(optimised),
            Some(what) => plan_err!(
                "{what} is possible in WHERE only, and with `=` between inside and outside"
            ),
        }
    }

    pub(crate) fn analyze(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let analyzer = self.state.analyzer();
        analyzer.execute_and_check(plan, self.state.config_options(), |_, _| {})
    }

    fn view(&self, name: &str) -> Option<Result<Arc<dyn TableSource>>> {
        let spec = self.tables.catalog.views.get(name)?;
        if let Some(source) = self
            .views
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
        {
            return Some(Ok(Arc::clone(source)));
        }
        let none = BTreeMap::new();
        let values = Values {
            now: self.now,
            params: &none,
        };
        let planned = sql::parse_query(&spec.sql, values).and_then(|query| self.query(query));
        let plan = match planned {
            Ok(plan) => plan,
            Err(p) => return Some(plan_err!("the view `{name}` is broken: {p}")),
        };
        let source = provider_as_source(Arc::new(ViewTable::new(plan, None)));
        self.views
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned(), Arc::clone(&source));
        Some(Ok(source))
    }
}

impl ContextProvider for Planner {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        let name = name.table();
        let many = self.lake.as_ref().is_some_and(|lake| lake.is_many());
        if many && (self.tables.catalog.views.contains_key(name) || derived(name).is_some()) {
            return Err(DataFusionError::External(Box::new(MissingTable {
                name: name.to_owned(),
                problem: one_snapshot_only(name),
            })));
        }
        if let Some(lake) = &self.lake
            && let Some(schema) = lake.tables().remove(name)
        {
            return Ok(provider_as_source(Arc::new(RelationProvider(LakeTable {
                name: name.to_owned(),
                schema,
                lake: Arc::clone(lake),
            }))));
        }
        if store_table(name).is_some() {
            return Err(DataFusionError::External(Box::new(MissingTable {
                name: name.to_owned(),
                problem: needs_a_store(name),
            })));
        }
        if let Some(view) = self.view(name) {
            return view;
        }
        if let Some(table) = self.tables.computed(name, self.now) {
            return Ok(provider_as_source(Arc::new(RelationProvider(table))));
        }
        match self.tables.table(name) {
            Ok(known) => match &self.lake {
                None => Ok(Arc::clone(&known.source)),
                Some(lake) => Ok(provider_as_source(Arc::new(RelationProvider(LakeTable {
                    name: name.to_owned(),
                    schema: with_snapshot(&known.arrow),
                    lake: Arc::clone(lake),
                })))),
            },
            Err(problem) => Err(DataFusionError::External(Box::new(MissingTable {
                name: name.to_owned(),
                problem,
            }))),
        }
    }
    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.state.expr_planners()
    }
    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        None
    }
    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.state.scalar_functions().get(name).cloned()
    }
    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.state.higher_order_functions().get(name).cloned()
    }
    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(name).cloned()
    }
    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.state.window_functions().get(name).cloned()
    }
    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }
    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }
    fn udf_names(&self) -> Vec<String> {
        sorted(self.state.scalar_functions().keys())
    }
    fn higher_order_function_names(&self) -> Vec<String> {
        sorted(self.state.higher_order_functions().keys())
    }
    fn udaf_names(&self) -> Vec<String> {
        sorted(self.state.aggregate_functions().keys())
    }
    fn udwf_names(&self) -> Vec<String> {
        sorted(self.state.window_functions().keys())
    }
}

/// A sub-query that no rule has made a join: it cannot be run.
fn leftover(plan: &LogicalPlan) -> Result<Option<&'static str>> {
    let mut found = None;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|e| {
                match e {
                    Expr::Exists(_) => found = Some("EXISTS"),
                    Expr::InSubquery(_) => found = Some("IN (SELECT …)"),
                    Expr::ScalarSubquery(s) if !s.outer_ref_columns.is_empty() => {
                        found = Some("such a sub-query")
                    }
                    Expr::OuterReferenceColumn(..) => {
                        found = Some("UNNEST or a sub-query over an outer column")
                    }
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}

fn sorted<'n>(names: impl Iterator<Item = &'n String>) -> Vec<String> {
    let mut names: Vec<String> = names.cloned().collect();
    names.sort();
    names
}

/// Carries our own message through DataFusion's planner.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
struct MissingTable {
    name: String,
    problem: SqlProblem,
}

/// An error of the planner, with its place in the SQL and what to do.
pub(crate) fn problem(error: &DataFusionError, tree: &mut impl VisitMut) -> SqlProblem {
    let root = root(error);
    let mut place = error
        .diagnostic()
        .and_then(|d| d.span)
        .map(|span| (span.start.line, span.start.column))
        .filter(|(line, _)| *line > 0);
    let mut out = match root {
        DataFusionError::External(inner) => match inner.downcast_ref::<MissingTable>() {
            Some(missing) => {
                place = place.or_else(|| sql::place_of(tree, &missing.name));
                missing.problem.clone()
            }
            None => SqlProblem::new(plain(error)),
        },
        DataFusionError::SchemaError(schema, _) => {
            let problem = SqlProblem::new(plain(error));
            match schema.as_ref() {
                SchemaError::FieldNotFound {
                    field,
                    valid_fields,
                } => {
                    place = sql::place_of(tree, &field.name).or(place);
                    let mut names: Vec<&str> =
                        valid_fields.iter().map(|c| c.name.as_str()).collect();
                    names.sort_unstable();
                    names.dedup();
                    problem.hint(names_hint(&field.name, &names))
                }
                SchemaError::AmbiguousReference { field } => {
                    place = place.or_else(|| sql::place_of(tree, &field.name));
                    problem
                }
                _ => problem,
            }
        }
        other => {
            let text = plain(other);
            // The planner names the function or field in quotes; its place follows from the name.
            place = place.or_else(|| {
                let quoted = text.split('\'').nth(1);
                let field = text
                    .strip_prefix("field ")
                    .and_then(|t| t.split(' ').next());
                quoted.or(field).and_then(|name| sql::place_of(tree, name))
            });
            let hint = other
                .message()
                .lines()
                .nth(1)
                .map(|l| l.trim().trim_end_matches('.').replace('\'', "`"));
            let problem = SqlProblem::new(text.replace('\'', "`"));
            match hint.filter(|h| h.starts_with("Did you mean")) {
                Some(hint) => problem.hint(format!(
                    "did you mean{}",
                    hint.trim_start_matches("Did you mean")
                )),
                None => problem,
            }
        }
    };
    if let Some((line, column)) = place {
        out = out.at(line, column);
    }
    out
}

fn root(error: &DataFusionError) -> &DataFusionError {
    match error.find_root() {
        DataFusionError::Diagnostic(_, inner) => root(inner),
        DataFusionError::Collection(errors) => errors.first().map_or(error, root),
        other => other,
    }
}

/// The nearest name, else all when there are few, else where to find them.
fn names_hint(wanted: &str, names: &[&str]) -> String {
    if let Some(near) = nearest(wanted, names.iter().copied()) {
        return format!("did you mean `{near}`?");
    }
    const MOST: usize = 40;
    let shown = names
        .iter()
        .take(MOST)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    let more = if names.len() > MOST { ", …" } else { "" };
    format!("there is {shown}{more}")
}
