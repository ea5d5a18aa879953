//! Puts a table's columns together.
use super::walk::{Naming, Reached, walk};
use super::{Problem, params, types};
use crate::{
    Batch, CallSpec, Catalog, Column, ColumnType, Diagnostic, ListSpec, Origin, Step, TableSchema,
    TableSpec, Transform, parse_path, suggest,
};
use indexmap::IndexMap;
use palisade_model::{Location, Model, Models, Operation, ShapeId, ShapeKind};
use std::sync::Arc;

/// A column before it is known which calls it needs.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub(super) ty: ColumnType,
    pub(super) origin: Origin,
}

/// Work on one table.
pub(super) struct Builder<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) spec: &'a TableSpec,
    pub(super) model: Option<Arc<Model>>,
    /// Of the model's shapes.
    pub(super) types: Arc<types::Types>,
    pub(super) parent: Option<Arc<TableSchema>>,
    /// What the calls give, first come first served; also names that the columns of every table take.
    pub(super) raw: IndexMap<String, Raw>,
    pub(super) problems: Vec<Diagnostic>,
    /// A call could not be understood, so that it is not known which columns there are.
    pub(super) incomplete: bool,
}

pub(super) fn build(
    catalog: &Catalog,
    spec: &TableSpec,
    models: &Models,
    parent: Option<Arc<TableSchema>>,
) -> Result<TableSchema, Vec<Diagnostic>> {
    let mut builder = Builder {
        catalog,
        spec,
        model: None,
        types: catalog.schemas.types_of(&spec.model),
        parent,
        raw: IndexMap::new(),
        problems: Vec::new(),
        incomplete: false,
    };
    if spec.list.is_some() || !spec.calls.is_empty() {
        match models.get(&spec.model) {
            Ok(model) => builder.model = Some(model),
            Err(e) => {
                let hint = suggest::nearest(&spec.model, models.names())
                    .map(|n| format!("did you mean `model = \"{n}\"`?"));
                builder.problem(
                    "",
                    Problem {
                        message: e.to_string(),
                        hint,
                    },
                );
                return Err(builder.problems);
            }
        }
    }
    if let Some(model) = builder.model.clone() {
        if let Some(list) = &spec.list {
            builder.incomplete |= builder.list(&model, list).is_none();
        }
        for (index, call) in spec.calls.iter().enumerate() {
            builder.incomplete |= builder.call(&model, index, call).is_none();
        }
    }
    let columns = builder.columns();
    let schema = builder.resolve(columns);
    if builder.problems.is_empty() {
        Ok(schema)
    } else {
        builder.problems.sort();
        builder.problems.dedup();
        Err(builder.problems)
    }
}

impl Builder<'_> {
    pub(super) fn problem(&mut self, part: &str, problem: Problem) {
        let diagnostic = self.catalog.problem_in(self.spec, part, problem);
        self.problems.push(diagnostic);
    }

    fn operation<'m>(&mut self, model: &'m Model, name: &str, part: &str) -> Option<&'m Operation> {
        let found = model.operation(name);
        if found.is_none() {
            let known = model.operations.iter().map(|o| o.name.as_str());
            let problem = Problem {
                message: format!("`{}` has no operation `{name}`", model.name),
                hint: suggest::nearest(name, known).map(|n| format!("did you mean `{n}`?")),
            };
            self.problem(part, problem);
        }
        found
    }

    fn output(&mut self, operation: &Operation, part: &str) -> Option<ShapeId> {
        let shape = operation.output.as_ref().map(|o| o.shape);
        if shape.is_none() {
            self.problem(
                part,
                Problem::new(format!("`{}` answers with nothing", operation.name)),
            );
        }
        shape
    }

    /// Follows a path of the service file; what is wrong with it is reported at `part`.
    fn follow(&mut self, model: &Model, from: ShapeId, path: &str, part: &str) -> Option<Reached> {
        let reached = parse_path(path)
            .map_err(|e| Problem::new(e.to_string()))
            .and_then(|steps| walk(model, from, &steps, Naming::Model));
        match reached {
            Ok(reached) => Some(reached),
            Err(problem) => {
                self.problem(part, problem);
                None
            }
        }
    }

    /// `None`: it is not known which columns the call gives.
    fn list(&mut self, model: &Arc<Model>, list: &ListSpec) -> Option<()> {
        if let Some(before) = &list.before
            && let Some(operation) = self.operation(model, &before.call, "list.before")
            && let Some(output) = self.output(operation, "list.before")
        {
            for member in before.until.keys() {
                self.follow(model, output, member, "list.before");
            }
        }
        let operation = self.operation(model, &list.call, "list.call")?;
        for problem in params::problems(model, operation, &list.params, &[]) {
            self.problem("list.params", problem);
        }
        let output = self.output(operation, "list.call")?;
        if let Some(csv) = &list.csv {
            if let Some(reached) = self.follow(model, output, csv, "list.csv") {
                let kind = model.shape(reached.shape).map(|s| s.kind);
                if !matches!(kind, Some(ShapeKind::Blob | ShapeKind::String)) || reached.opened > 0
                {
                    let message = format!("`{csv}` holds neither bytes nor text");
                    self.problem("list.csv", Problem::new(message));
                }
            }
            return Some(());
        }
        let rows = self.follow(model, output, &list.rows, "list.rows")?;
        self.outer(model, list, output);
        self.rows(model, list, &rows, operation)
    }

    /// The columns of the elements that a list call gives.
    fn rows(
        &mut self,
        model: &Model,
        list: &ListSpec,
        rows: &Reached,
        operation: &Operation,
    ) -> Option<()> {
        let shape = model.shape(rows.shape)?;
        let wrong = match (&list.scalar, shape.kind) {
            (None, ShapeKind::Structure | ShapeKind::Union) => {
                let whole = rows.path.is_empty().then_some(operation);
                self.members(model, rows.shape, 0, whole);
                return Some(());
            }
            (_, ShapeKind::List) => (
                "list.rows",
                Problem::hinted(
                    format!("`{}` is a list; its elements are rows", list.rows),
                    format!("write `{}[]`", list.rows),
                ),
            ),
            (_, ShapeKind::Map) => (
                "list.rows",
                Problem::new(format!("`{}` is a map; rows come from lists", list.rows)),
            ),
            (Some(_), ShapeKind::Structure | ShapeKind::Union) => (
                "list.scalar",
                Problem::new(format!(
                    "`scalar` is for plain values; the rows are structures (`{}`)",
                    shape.name
                )),
            ),
            (Some(name), _) => {
                self.add(name.clone(), model, 0, Vec::new(), rows.shape, false);
                return Some(());
            }
            (None, _) => (
                "list.rows",
                Problem::hinted(
                    format!("the elements of `{}` are plain values", list.rows),
                    "name their column with `scalar = \"…\"`",
                ),
            ),
        };
        let (part, problem) = wrong;
        self.problem(part, problem);
        None
    }

    fn outer(&mut self, model: &Model, list: &ListSpec, output: ShapeId) {
        if list.outer.is_empty() {
            return;
        }
        let Some(enclosing) = self.enclosing(model, list, output) else {
            let part = list.outer.keys().next().cloned().unwrap_or_default();
            self.problem(
                &format!("list.outer.{part}"),
                Problem::new(format!("nothing encloses the rows of `{}`", list.rows)),
            );
            return;
        };
        for (column, member) in &list.outer {
            let part = format!("list.outer.{column}");
            let step = [Step::Member(member.clone())];
            match walk(model, enclosing, &step, Naming::Model) {
                Err(problem) => self.problem(&part, problem),
                Ok(reached) => {
                    let origin = Origin::Outer {
                        member: member.clone(),
                    };
                    let ty = self.types.of(model, reached.shape);
                    self.insert(column.clone(), Raw { ty, origin }, &part);
                }
            }
        }
    }

    /// The structure whose member is the innermost list of the rows.
    fn enclosing(&self, model: &Model, list: &ListSpec, output: ShapeId) -> Option<ShapeId> {
        let steps = parse_path(&list.rows).ok()?;
        let last = steps.iter().rposition(|s| matches!(s, Step::Member(_)))?;
        let reached = walk(model, output, steps.get(..last)?, Naming::Model).ok()?;
        let shape = model.shape(reached.shape)?;
        shape.is_structure().then_some(reached.shape)
    }

    /// `None`: it is not known which columns the call gives.
    fn call(&mut self, model: &Arc<Model>, index: usize, call: &CallSpec) -> Option<()> {
        let part = |name: &str| format!("call.{index}.{name}");
        let operation = self.operation(model, &call.call, &part("call"))?;
        let batch = call.batch.as_ref();
        let added: Vec<&str> = batch.iter().map(|b| b.param.as_str()).collect();
        for problem in params::problems(model, operation, &call.params, &added) {
            self.problem(&part("params"), problem);
        }
        let output = self.output(operation, &part("call"))?;
        let base = match batch {
            Some(batch) => self.batch(model, operation, output, call, batch, &part("batch")),
            None => Some(output),
        };
        let reached = self.follow(model, base?, &call.from, &part("from"))?;
        let source = index + 1;
        if let Some(into) = &call.into {
            if self.raw.contains_key(into) {
                let problem = Problem::new(format!("an earlier call gives `{into}` already"));
                self.problem(&part("into"), problem);
            }
            let several = reached.opened > 0;
            self.add(
                into.clone(),
                model,
                source,
                Vec::new(),
                reached.shape,
                several,
            );
            return Some(());
        }
        let is_structure = model.shape(reached.shape).is_some_and(|s| s.is_structure());
        if reached.opened > 0 || !is_structure {
            let place = if call.from.is_empty() { "call" } else { "from" };
            self.problem(
                &part(place),
                Problem::hinted(
                    "the answer is not one structure whose members could become columns",
                    "name its column with `into = \"…\"`",
                ),
            );
            return None;
        }
        let whole = (reached.path.is_empty() && batch.is_none()).then_some(operation);
        self.members(model, reached.shape, source, whole);
        Some(())
    }

    /// The shape of one answer of a batch.
    fn batch(
        &mut self,
        model: &Model,
        operation: &Operation,
        output: ShapeId,
        call: &CallSpec,
        batch: &Batch,
        part: &str,
    ) -> Option<ShapeId> {
        let input = operation.input.as_ref().and_then(|i| model.shape(i.shape));
        match input.and_then(|i| i.member(&batch.param)) {
            None => {
                let known: Vec<&str> = input
                    .map(|i| i.members.iter().map(|m| m.name.as_str()).collect())
                    .unwrap_or_default();
                let problem = Problem {
                    message: format!(
                        "`{}` is not a parameter of `{}`",
                        batch.param, operation.name
                    ),
                    hint: suggest::hint(&batch.param, known),
                };
                self.problem(part, problem);
            }
            Some((_, member)) => {
                let shape = model.shape(member.shape);
                let element = shape
                    .and_then(|s| s.element.as_ref().filter(|_| s.kind == ShapeKind::List))
                    .and_then(|e| model.shape(e.shape));
                if element.is_none_or(|e| e.kind != ShapeKind::String) {
                    let message = format!("`{}` does not take a list of texts", batch.param);
                    self.problem(part, Problem::new(message));
                }
                if call.params.contains_key(&batch.param) {
                    let message = format!("`{}` is given in `params` as well", batch.param);
                    self.problem(part, Problem::new(message));
                }
            }
        }
        let reached = self.follow(model, output, &batch.rows, part)?;
        let shape = model.shape(reached.shape)?;
        if batch.matching.is_empty() {
            let value = shape
                .element
                .as_ref()
                .filter(|_| shape.kind == ShapeKind::Map);
            if value.is_none() {
                self.problem(
                    part,
                    Problem::hinted(
                        format!("`{}` is not a map whose keys could be matched", batch.rows),
                        "say which member of an answer equals `of`: `match = \"…\"`",
                    ),
                );
            }
            return value.map(|v| v.shape);
        }
        if reached.opened == 0 || !shape.is_structure() {
            let message = format!("`{}` does not give a list of structures", batch.rows);
            self.problem(part, Problem::new(message));
            return None;
        }
        let step = [Step::Member(batch.matching.clone())];
        match walk(model, reached.shape, &step, Naming::Model) {
            Err(problem) => self.problem(part, problem),
            Ok(matched) => {
                let kind = model.shape(matched.shape).map(|s| s.kind);
                if kind != Some(ShapeKind::String) {
                    let message =
                        format!("`{}` is not a text that could be matched", batch.matching);
                    self.problem(part, Problem::new(message));
                }
            }
        }
        Some(reached.shape)
    }

    /// Each member becomes a column. Of a whole answer, tokens and marks of further pages do not.
    fn members(&mut self, model: &Model, shape: ShapeId, source: usize, whole: Option<&Operation>) {
        let Some(structure) = model.shape(shape) else {
            return;
        };
        let pages = whole.and_then(|o| o.pagination.as_ref());
        let fields = types::field_names(structure);
        for (field, member) in fields.into_iter().zip(&structure.members) {
            let page = pages.is_some_and(|p| {
                p.output_tokens.contains(&member.name)
                    || p.more_results.as_ref() == Some(&member.name)
            });
            if page || member.location == Location::StatusCode {
                continue;
            }
            let name = if types::is_tag_member(model, &member.name, member.shape) {
                "tags".to_owned()
            } else {
                field
            };
            let path = vec![Step::Member(member.name.clone())];
            self.add(name, model, source, path, member.shape, false);
        }
    }

    /// Adds a column of an answer, unless an earlier call gives one of that name.
    fn add(
        &mut self,
        name: String,
        model: &Model,
        source: usize,
        path: Vec<Step>,
        shape: ShapeId,
        several: bool,
    ) {
        if self.raw.contains_key(&name) {
            return;
        }
        let tags = name == "tags" && !several && types::holds_tags(model, shape);
        let (ty, transform) = if tags {
            (ColumnType::Map(Arc::new(ColumnType::Text)), Transform::Tags)
        } else {
            (self.types.of(model, shape), Transform::None)
        };
        let ty = if several {
            ColumnType::List(Arc::new(ty))
        } else {
            ty
        };
        let origin = Origin::Answer {
            source,
            path,
            shape: Some(shape),
            transform,
        };
        self.raw.insert(name, Raw { ty, origin });
    }

    /// Adds a column that the service file names.
    pub(super) fn insert(&mut self, name: String, raw: Raw, part: &str) {
        if self.raw.contains_key(&name) {
            self.problem(
                part,
                Problem::new(format!("the rows have a column `{name}` already")),
            );
            return;
        }
        self.raw.insert(name, raw);
    }

    /// The columns in their final order, without their sources.
    fn resolve(&mut self, columns: IndexMap<String, Raw>) -> TableSchema {
        let sources = self.references(&columns);
        let columns = columns.into_iter().zip(sources);
        TableSchema {
            columns: columns
                .map(|((name, raw), sources)| Column {
                    name,
                    ty: raw.ty,
                    origin: raw.origin,
                    sources,
                })
                .collect(),
        }
    }
}
