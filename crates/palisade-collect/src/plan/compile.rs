//! From what is needed to the plan.
use super::cells::Cells;
use super::needs::{Need, Needs};
use super::order::{heights, listed_only, order_slots};
use super::{
    BatchPlan, BeforePlan, CallPlan, ListPlan, OperationPlan, Plan, RowsPlan, Slot, SlotKind,
    TablePlan, TaggingPlan,
};
use crate::error::PlanError;
use crate::request::Request;
use crate::template::{Params, Part, canonical};
use palisade_catalog::{CallSpec, ListSpec, Scope, parse_path};
use palisade_model::{Model, Models, Protocol};
use palisade_table::{Access, PathError, Schemas, TAGGING, arrow_schema, output_shape};
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const TAGGING_SERVICE: &str = "resourcegroupstaggingapi";
const TAGGING_OPERATION: &str = "GetResources";

struct Compiler<'p> {
    schemas: &'p dyn Schemas,
    models: &'p Models,
    operations: Vec<OperationPlan>,
    /// How many parts of the plan call each operation.
    uses: Vec<usize>,
    tables: Vec<TablePlan>,
    lists: Vec<ListPlan>,
    /// Lists by what makes them the same call.
    list_keys: BTreeMap<(usize, String, Scope, Option<usize>), usize>,
    positions: BTreeMap<String, usize>,
}

pub(super) fn compile(
    schemas: &dyn Schemas,
    models: &Models,
    request: &Request,
    needs: &Needs,
) -> Result<Plan, PlanError> {
    let mut compiler = Compiler {
        schemas,
        models,
        operations: Vec::new(),
        uses: Vec::new(),
        tables: Vec::new(),
        lists: Vec::new(),
        list_keys: BTreeMap::new(),
        positions: BTreeMap::new(),
    };
    for name in parents_first(needs) {
        if let Some(need) = needs.get(&name) {
            let output = request.tables.contains_key(&name);
            compiler.table(need, output)?;
        }
    }
    let tagging = compiler.tagging()?;
    heights(&mut compiler.tables, &mut compiler.lists)?;
    for (operation, uses) in compiler.operations.iter_mut().zip(&compiler.uses) {
        operation.keep = *uses > 1;
    }
    Ok(Plan {
        tables: compiler.tables,
        lists: compiler.lists,
        operations: compiler.operations,
        tagging,
    })
}

fn parents_first(needs: &Needs) -> Vec<String> {
    let mut ordered: Vec<String> = Vec::new();
    for name in needs.keys() {
        let mut chain = vec![name.clone()];
        let mut at = name;
        while let Some(parent) = needs
            .get(at)
            .and_then(|n| n.spec.list.as_ref()?.parent.as_ref())
        {
            if chain.contains(parent) {
                break;
            }
            chain.push(parent.clone());
            at = parent;
        }
        for table in chain.into_iter().rev() {
            if !ordered.contains(&table) {
                ordered.push(table);
            }
        }
    }
    ordered
}

impl Compiler<'_> {
    fn operation(&mut self, model: &Arc<Model>, service: &str, name: &str) -> usize {
        let found = self
            .operations
            .iter()
            .position(|o| o.model.name == model.name && o.name == name);
        let index = found.unwrap_or_else(|| {
            self.operations.push(OperationPlan {
                model: Arc::clone(model),
                name: name.to_owned(),
                permissions: self.schemas.permissions(service, name),
                keep: false,
            });
            self.uses.push(0);
            self.operations.len() - 1
        });
        if let Some(uses) = self.uses.get_mut(index) {
            *uses += 1;
        }
        index
    }

    fn table(&mut self, need: &Need, output: bool) -> Result<(), PlanError> {
        let spec = &need.spec;
        let model = if spec.list.is_some() || !need.sources.is_empty() {
            let model = self.models.get(&spec.model);
            Some(model.map_err(|error| PlanError::Model {
                table: spec.name.clone(),
                error,
            })?)
        } else {
            None
        };
        let parent = spec.list.as_ref().and_then(|l| l.parent.as_ref());
        let parent = parent.and_then(|name| self.positions.get(name).copied());
        let mut cells = Cells::new(need, model.clone());
        // In the schema's order, so that positions do not depend on what was asked first.
        for column in &need.schema.columns {
            if need.columns.contains(&column.name) {
                cells.cell(&column.name)?;
            }
        }
        let mut slots = Vec::new();
        for number in &need.sources {
            slots.push(self.slot(&mut cells, *number)?);
        }
        let rows = spec
            .list
            .as_ref()
            .map(|list| rows_plan(&cells, list))
            .transpose()?;
        let list_params = spec
            .list
            .as_ref()
            .map(|list| list_params(&mut cells, list))
            .transpose()?;
        let cell = |name: &str| cells.by_name.get(name).copied();
        let region_cells: Vec<usize> = spec.region.iter().filter_map(|name| cell(name)).collect();
        let arn = cell("arn").filter(|_| need.columns.contains("arn"));
        let id = cell(&spec.id);
        // The columns of the output, in the schema's order.
        let mut columns = Vec::new();
        for column in need
            .schema
            .columns
            .iter()
            .filter(|c| need.output.contains(&c.name))
        {
            columns.extend(cell(&column.name));
        }
        let names: Vec<&str> = need
            .schema
            .columns
            .iter()
            .map(|c| c.name.as_str())
            .collect();
        let names: Vec<&str> = names
            .into_iter()
            .filter(|n| need.output.contains(*n))
            .collect();
        let arrow =
            arrow_schema(&need.schema, &names).map_err(|error| PlanError::UnknownColumn {
                table: spec.name.clone(),
                error,
            })?;
        let parent_cells = match parent.and_then(|p| self.tables.get(p)) {
            Some(table) => {
                let find = |name: &String| table.cells.iter().position(|c| &c.name == name);
                let found: Option<Vec<usize>> = need.parent_columns.iter().map(find).collect();
                found.ok_or_else(|| cells.refused("a column of the parent is not planned"))?
            }
            None => Vec::new(),
        };
        let position = self.tables.len();
        let list = match (&spec.list, list_params, &model) {
            (Some(list), Some(params), Some(model)) => {
                let index = self.list(
                    model,
                    spec.scope,
                    &spec.service,
                    list,
                    params,
                    parent,
                    &cells,
                )?;
                if let Some(plan) = self.lists.get_mut(index) {
                    plan.tables.push(position);
                }
                if let Some(above) = parent.and_then(|p| self.tables.get_mut(p)) {
                    let slots = parent_cells.iter().filter_map(|c| above.cells.get(*c));
                    let deps: BTreeSet<usize> =
                        slots.flat_map(|c| c.slots.iter().copied()).collect();
                    if !above.children.contains(&index) {
                        above.children.push(index);
                    }
                    if let Some(plan) = self.lists.get_mut(index) {
                        plan.deps.extend(deps);
                        plan.deps.sort_unstable();
                        plan.deps.dedup();
                    }
                }
                Some(index)
            }
            _ => None,
        };
        let mut table = TablePlan {
            spec: Arc::clone(spec),
            output,
            columns,
            arrow,
            cells: std::mem::take(&mut cells.done),
            slots,
            list,
            rows,
            parent_cells,
            children: Vec::new(),
            arn,
            id,
            region_cells,
            region_slots: Vec::new(),
        };
        order_slots(&mut table)?;
        if spec.unique && (parent.is_some() || !listed_only(&table)) {
            let reason = "`unique` needs a list without parent whose rows name region and `arn`";
            return Err(cells.refused(reason));
        }
        self.positions.insert(spec.name.clone(), position);
        self.tables.push(table);
        Ok(())
    }

    fn slot(&mut self, cells: &mut Cells<'_>, number: usize) -> Result<Slot, PlanError> {
        let kind = if number == TAGGING {
            SlotKind::Tagging
        } else {
            let call = cells.call(number)?;
            SlotKind::Call(Box::new(self.call(cells, call)?))
        };
        Ok(Slot {
            number,
            kind,
            deps: Vec::new(),
            tells_region: false,
            height: 1,
        })
    }

    fn call(&mut self, cells: &mut Cells<'_>, call: &CallSpec) -> Result<CallPlan, PlanError> {
        let model = Arc::clone(cells.model()?);
        let operation = self.operation(&model, &cells.need.spec.service, &call.call);
        let input = input_of(&model, &call.call, cells)?;
        let json = Json::Object(call.params.clone());
        let params = Params::compile(&json, &model, input, &mut |t| cells.template(t))?;
        let when = match &call.when {
            Some(when) => Some((cells.cell(&when.column)?, when.is.clone())),
            None => None,
        };
        let batch = match &call.batch {
            Some(batch) => {
                let (rows, matching, _) = cells.batch_rows(call, batch)?;
                if batch.size == 0 {
                    return Err(cells.refused(format!("`{}` has a batch of size 0", call.call)));
                }
                Some(BatchPlan {
                    param: batch.param.clone(),
                    of: cells.cell(&batch.of)?,
                    size: batch.size,
                    rows,
                    matching,
                })
            }
            None => None,
        };
        let repeats = batch.is_none() && !names_row(&params, cells);
        Ok(CallPlan {
            operation,
            params,
            absent: call.absent.clone(),
            when,
            batch,
            repeats,
        })
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "all of them make the list's identity"
    )]
    fn list(
        &mut self,
        model: &Arc<Model>,
        scope: Scope,
        service: &str,
        list: &ListSpec,
        params: Params,
        parent: Option<usize>,
        cells: &Cells<'_>,
    ) -> Result<usize, PlanError> {
        let found = self
            .operations
            .iter()
            .position(|o| o.model.name == model.name && o.name == list.call);
        let scope = if parent.is_some() {
            Scope::Regional
        } else {
            scope
        };
        let text = canonical(&list.params);
        if let Some(known) = found.and_then(|o| {
            self.list_keys
                .get(&(o, text.clone(), scope, parent))
                .copied()
        }) {
            // Templates of the parent have their own positions in each child.
            let same = self.lists.get(known).is_some_and(|l| l.params == params);
            let before = self.before(model, service, list, cells)?;
            if same && self.lists.get(known).is_some_and(|l| l.before == before) {
                return Ok(known);
            }
        }
        let operation = self.operation(model, service, &list.call);
        let before = self.before(model, service, list, cells)?;
        let index = self.lists.len();
        self.list_keys
            .insert((operation, text, scope, parent), index);
        let repeats = match parent.and_then(|p| self.tables.get(p)) {
            Some(above) => !names_parent(&params, above, cells),
            None => false,
        };
        self.lists.push(ListPlan {
            operation,
            params,
            scope,
            parent,
            tables: Vec::new(),
            before,
            deps: Vec::new(),
            height: 1,
            repeats,
        });
        Ok(index)
    }

    fn before(
        &mut self,
        model: &Arc<Model>,
        service: &str,
        list: &ListSpec,
        cells: &Cells<'_>,
    ) -> Result<Option<BeforePlan>, PlanError> {
        let Some(before) = &list.before else {
            return Ok(None);
        };
        let wrong = cells.path_error(&before.call);
        let output = output_shape(model, &before.call).map_err(&wrong)?;
        let mut until = Vec::new();
        for (member, value) in &before.until {
            let access = Access::new(model, output, &cells.steps(member)?).map_err(&wrong)?;
            until.push((access, value.clone()));
        }
        Ok(Some(BeforePlan {
            operation: self.operation(model, service, &before.call),
            until,
        }))
    }

    /// The bulk tagging call, with the parameters of a planned list of the same operation, so that both are one call.
    fn tagging(&mut self) -> Result<Option<TaggingPlan>, PlanError> {
        let wanted = |t: &&TablePlan| t.slots.iter().any(|s| matches!(s.kind, SlotKind::Tagging));
        let Some(table) = self.tables.iter().find(wanted).map(|t| t.spec.name.clone()) else {
            return Ok(None);
        };
        let model = self.models.get(TAGGING_SERVICE);
        let model = model.map_err(|error| PlanError::Model {
            table: table.clone(),
            error,
        })?;
        let operation = self.operation(&model, TAGGING_SERVICE, TAGGING_OPERATION);
        let listed = self
            .lists
            .iter()
            .find(|l| l.operation == operation && l.scope == Scope::Regional);
        let params = match listed.map(|l| &l.params) {
            Some(Params::Object(members)) => members
                .iter()
                .filter_map(|(name, value)| match value {
                    Params::Constant(json) => Some((name.clone(), json.clone())),
                    _ => None,
                })
                .collect(),
            // The most that one page may hold (Resource Groups Tagging API Reference, `GetResources`).
            _ => Map::from_iter([("ResourcesPerPage".to_owned(), Json::from(100))]),
        };
        let wrong = |error: PathError| PlanError::Path {
            table: table.clone(),
            operation: TAGGING_OPERATION.to_owned(),
            error,
        };
        let access = |start: Option<palisade_model::ShapeId>, path: &str| {
            let steps = parse_path(path).unwrap_or_default();
            let unknown = || PathError::Unknown {
                model: TAGGING_SERVICE.to_owned(),
                name: path.to_owned(),
            };
            Access::new(&model, start.ok_or_else(unknown).map_err(wrong)?, &steps).map_err(wrong)
        };
        let output = output_shape(&model, TAGGING_OPERATION).map_err(wrong)?;
        let entries = access(Some(output), "ResourceTagMappingList[]")?;
        let tags = access(entries.shape, "Tags[]")?;
        Ok(Some(TaggingPlan {
            operation,
            params,
            arn: access(entries.shape, "ResourceARN")?,
            key: access(tags.shape, "Key")?,
            value: access(tags.shape, "Value")?,
            entries,
            tags,
        }))
    }
}

fn input_of(
    model: &Model,
    operation: &str,
    cells: &Cells<'_>,
) -> Result<Option<palisade_model::ShapeId>, PlanError> {
    let unknown = || PathError::Unknown {
        model: model.name.clone(),
        name: operation.to_owned(),
    };
    let found = model
        .operation(operation)
        .ok_or_else(unknown)
        .map_err(cells.path_error(operation))?;
    Ok(found.input.as_ref().map(|i| i.shape))
}

fn list_params(cells: &mut Cells<'_>, list: &ListSpec) -> Result<Params, PlanError> {
    let model = Arc::clone(cells.model()?);
    let input = input_of(&model, &list.call, cells)?;
    let json = Json::Object(list.params.clone());
    let params = Params::compile(&json, &model, input, &mut |t| cells.template(t))?;
    let mut own = false;
    params.visit(&mut |part| own |= matches!(part, Part::Cell(_)));
    if own {
        return Err(cells.refused("parameters of the list name columns of the rows that it gives"));
    }
    Ok(params)
}

fn rows_plan(cells: &Cells<'_>, list: &ListSpec) -> Result<RowsPlan, PlanError> {
    let (rows, outer) = cells.rows(list)?;
    let model = cells.model()?;
    let csv = match &list.csv {
        Some(path) => {
            let output = output_shape(model, &list.call).map_err(cells.path_error(&list.call))?;
            let access = Access::new(model, output, &cells.steps(path)?);
            Some(access.map_err(cells.path_error(&list.call))?)
        }
        None => None,
    };
    // XML leaves out empty lists; JSON and CBOR answers hold every required member.
    let explicit = model.protocols.first();
    let explicit = matches!(
        explicit,
        Some(Protocol::Json | Protocol::RestJson | Protocol::Cbor)
    );
    Ok(RowsPlan {
        must_be_present: explicit && rows.required && rows.is_each(),
        is_answer: rows.text().is_empty(),
        rows,
        outer,
        csv,
        absent: list.absent.clone(),
    })
}

/// True when the parameters hold what identifies the row, so that no other row asks the same.
fn names_row(params: &Params, cells: &Cells<'_>) -> bool {
    let spec = &cells.need.spec;
    let mut found = false;
    params.visit(&mut |part| {
        if let Part::Cell(index) = part
            && let Some(cell) = cells.done.get(*index)
        {
            found |= identifies(&cell.name, spec);
        }
    });
    found
}

fn names_parent(params: &Params, above: &TablePlan, cells: &Cells<'_>) -> bool {
    let mut found = false;
    params.visit(&mut |part| {
        if let Part::Parent(index) = part {
            let column = cells.need.parent_columns.iter().nth(*index);
            found |= column.is_some_and(|name| identifies(name, &above.spec));
        }
    });
    found
}

fn identifies(column: &str, spec: &palisade_catalog::TableSpec) -> bool {
    let scalar = spec.list.as_ref().and_then(|l| l.scalar.as_deref());
    let arn = spec
        .arn
        .as_deref()
        .and_then(|t| t.strip_prefix("${"))
        .and_then(|t| t.strip_suffix('}'));
    column == spec.id || column == "arn" || scalar == Some(column) || arn == Some(column)
}
