//! What is read of a row, compiled to positions.
use super::needs::Need;
use super::{Cell, Reader};
use crate::error::PlanError;
use crate::template::{Part, Template};
use palisade_catalog::{
    Batch, CallSpec, Column, ListSpec, Origin, Step, TableSpec, TemplatePart, Transform,
    parse_path, parse_template,
};
use palisade_model::{Model, ShapeId, ShapeKind};
use palisade_table::{Access, PathError, TAGGING, ValueShape, output_shape};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Compiles the cells of one table.
pub(super) struct Cells<'n> {
    pub need: &'n Need,
    pub model: Option<Arc<Model>>,
    /// Slot positions by source number.
    pub slots: BTreeMap<usize, usize>,
    /// Positions of the parent's values by column.
    pub parent: BTreeMap<String, usize>,
    pub done: Vec<Cell>,
    pub by_name: BTreeMap<String, usize>,
    open: Vec<String>,
}

impl<'n> Cells<'n> {
    pub(super) fn new(need: &'n Need, model: Option<Arc<Model>>) -> Self {
        let numbers = need.sources.iter().enumerate();
        let parent = need.parent_columns.iter().enumerate();
        Self {
            need,
            model,
            slots: numbers.map(|(slot, number)| (*number, slot)).collect(),
            parent: parent.map(|(index, name)| (name.clone(), index)).collect(),
            done: Vec::new(),
            by_name: BTreeMap::new(),
            open: Vec::new(),
        }
    }

    fn spec(&self) -> &'n TableSpec {
        &self.need.spec
    }

    pub(super) fn path_error(&self, operation: &str) -> impl Fn(PathError) -> PlanError + use<> {
        let (table, operation) = (self.need.spec.name.clone(), operation.to_owned());
        move |error| PlanError::Path {
            table: table.clone(),
            operation: operation.clone(),
            error,
        }
    }

    pub(super) fn refused(&self, reason: impl Into<String>) -> PlanError {
        PlanError::Table {
            table: self.need.spec.name.clone(),
            reason: reason.into(),
        }
    }

    pub(super) fn model(&self) -> Result<&Arc<Model>, PlanError> {
        self.model
            .as_ref()
            .ok_or_else(|| self.refused("an answer is read, and no call is made"))
    }

    pub(super) fn steps(&self, path: &str) -> Result<Vec<Step>, PlanError> {
        parse_path(path).map_err(|e| self.refused(e.to_string()))
    }

    /// The position of a column's cell.
    pub(super) fn cell(&mut self, name: &str) -> Result<usize, PlanError> {
        if let Some(index) = self.by_name.get(name) {
            return Ok(*index);
        }
        let column = self.need.schema.column(name).cloned();
        let column = column.ok_or_else(|| self.refused(format!("there is no column `{name}`")))?;
        if self.open.iter().any(|n| n == name) {
            return Err(PlanError::Cycle {
                table: self.need.spec.name.clone(),
                what: format!("the columns {}", self.open.join(", ")),
            });
        }
        self.open.push(name.to_owned());
        let cell = self.compile(&column)?;
        self.open.pop();
        let index = self.done.len();
        self.done.push(cell);
        self.by_name.insert(name.to_owned(), index);
        Ok(index)
    }

    fn compile(&mut self, column: &Column) -> Result<Cell, PlanError> {
        let mut transform = Transform::None;
        let mut of = ValueShape::default();
        let mut sources = column.sources.clone();
        let reader = match &column.origin {
            Origin::AccountId => Reader::AccountId,
            Origin::Region => Reader::Region,
            Origin::Partition => Reader::Partition,
            Origin::Arn => match &self.spec().arn {
                Some(template) => self.template_reader(template, &mut sources, &mut of)?,
                None => Reader::Nothing,
            },
            Origin::Template { template } => {
                self.template_reader(template, &mut sources, &mut of)?
            }
            Origin::Csv { header } => Reader::Csv(header.clone()),
            Origin::Tagging => {
                sources.push(TAGGING);
                Reader::Tagging
            }
            Origin::Outer { member } => {
                let list = self.list()?;
                let (_, outer) = self.rows(list)?;
                let model = Arc::clone(self.model()?);
                let start = outer
                    .shape
                    .ok_or_else(|| self.refused("nothing encloses the rows"))?;
                let access = Access::new(&model, start, &[Step::Member(member.clone())])
                    .map_err(self.path_error(&list.call))?;
                of = shape_of(&model, &access);
                sources.push(0);
                Reader::Outer(access)
            }
            Origin::Answer {
                source: 0,
                path,
                transform: as_,
                ..
            } => {
                let list = self.list()?;
                let (rows, _) = self.rows(list)?;
                let model = Arc::clone(self.model()?);
                let start = rows
                    .shape
                    .ok_or_else(|| self.refused("the rows have no shape"))?;
                let access =
                    Access::new(&model, start, path).map_err(self.path_error(&list.call))?;
                of = shape_of(&model, &access);
                transform = *as_;
                sources.push(0);
                Reader::Row(access)
            }
            Origin::Answer {
                source,
                path,
                transform: as_,
                ..
            } => {
                let call = self.call(*source)?;
                let start = self.answer_shape(call)?;
                let model = Arc::clone(self.model()?);
                let mut full = self.steps(&call.from)?;
                full.extend(path.iter().cloned());
                let access =
                    Access::new(&model, start, &full).map_err(self.path_error(&call.call))?;
                of = shape_of(&model, &access);
                transform = *as_;
                sources.push(*source);
                let slot = self.slots.get(source).copied();
                let slot =
                    slot.ok_or_else(|| self.refused(format!("call {source} is not planned")))?;
                Reader::Answer(slot, access)
            }
            Origin::Derived {
                column: base,
                path,
                transform: as_,
            } => {
                let base = self.cell(base)?;
                let cell = self
                    .done
                    .get(base)
                    .ok_or_else(|| self.refused("a column is missing"))?;
                sources.extend(cell.sources.iter().copied());
                let access = match &cell.of.shape {
                    Some((model, shape)) if cell.transform == Transform::None => {
                        let access = Access::new(model, *shape, path)
                            .map_err(self.path_error(&column.name))?;
                        of = shape_of(model, &access);
                        of.sensitive |= cell.of.sensitive;
                        access
                    }
                    _ => {
                        of.sensitive = cell.of.sensitive;
                        Access::keys(path)
                    }
                };
                transform = *as_;
                Reader::Derived(base, access)
            }
        };
        sources.sort_unstable();
        sources.dedup();
        Ok(Cell {
            name: column.name.clone(),
            ty: column.ty.clone(),
            reader,
            transform,
            of,
            slots: sources
                .iter()
                .filter_map(|n| self.slots.get(n).copied())
                .collect(),
            sources,
        })
    }

    fn template_reader(
        &mut self,
        template: &str,
        sources: &mut Vec<usize>,
        of: &mut ValueShape,
    ) -> Result<Reader, PlanError> {
        let compiled = self.template(template)?;
        for cell in compiled.cells().filter_map(|c| self.done.get(c)) {
            sources.extend(cell.sources.iter().copied());
            of.sensitive |= cell.of.sensitive;
        }
        if compiled.0.iter().any(|p| matches!(p, Part::Parent(_))) {
            sources.push(0);
        }
        Ok(Reader::Template(compiled))
    }

    /// A template with its names resolved.
    pub(super) fn template(&mut self, template: &str) -> Result<Template, PlanError> {
        let wrong = |reason: &str| PlanError::Template {
            table: self.need.spec.name.clone(),
            template: template.to_owned(),
            reason: reason.to_owned(),
        };
        let parsed = parse_template(template).map_err(|e| wrong(e.reason))?;
        let mut parts = Vec::with_capacity(parsed.len());
        for part in parsed {
            parts.push(match part {
                TemplatePart::Text(text) => Part::Text(text.into()),
                TemplatePart::Column(name) => match name.as_str() {
                    "account_id" => Part::AccountId,
                    "region" => Part::Region,
                    "partition" => Part::Partition,
                    name => Part::Cell(self.cell(name)?),
                },
                TemplatePart::Parent(name) => {
                    let index = self.parent.get(&name).copied();
                    Part::Parent(index.ok_or_else(|| {
                        self.refused(format!("the parent's column `{name}` is not planned"))
                    })?)
                }
                TemplatePart::Parameter(_) => {
                    return Err(PlanError::Template {
                        table: self.need.spec.name.clone(),
                        template: template.to_owned(),
                        reason: "names a parameter, which only checks have".to_owned(),
                    });
                }
            });
        }
        Ok(Template(parts))
    }

    pub(super) fn list(&self) -> Result<&'n ListSpec, PlanError> {
        let list = self.spec().list.as_ref();
        list.ok_or_else(|| self.refused("a column comes from the list call, and there is none"))
    }

    pub(super) fn call(&self, source: usize) -> Result<&'n CallSpec, PlanError> {
        let call = source.checked_sub(1).and_then(|i| self.spec().calls.get(i));
        call.ok_or_else(|| self.refused(format!("there is no call {source}")))
    }

    /// Where the rows are, and what encloses them: the structure whose member is the innermost list.
    pub(super) fn rows(&self, list: &ListSpec) -> Result<(Access, Access), PlanError> {
        let model = self.model()?;
        let wrong = self.path_error(&list.call);
        let output = output_shape(model, &list.call).map_err(&wrong)?;
        let steps = self.steps(&list.rows)?;
        let rows = Access::new(model, output, &steps).map_err(&wrong)?;
        let last = steps.iter().rposition(|s| matches!(s, Step::Member(_)));
        let enclosing = steps.get(..last.unwrap_or(0)).unwrap_or_default();
        let outer = Access::new(model, output, enclosing).map_err(&wrong)?;
        Ok((rows, outer))
    }

    /// The shape of what a call answers for one row.
    fn answer_shape(&self, call: &CallSpec) -> Result<ShapeId, PlanError> {
        let model = self.model()?;
        match &call.batch {
            None => output_shape(model, &call.call).map_err(self.path_error(&call.call)),
            Some(batch) => self.batch_rows(call, batch).map(|(_, _, shape)| shape),
        }
    }

    /// Where a batch's answer has the answers for rows, what they are matched by, and their shape.
    pub(super) fn batch_rows(
        &self,
        call: &CallSpec,
        batch: &Batch,
    ) -> Result<(Access, Option<Access>, ShapeId), PlanError> {
        let model = self.model()?;
        let wrong = self.path_error(&call.call);
        let output = output_shape(model, &call.call).map_err(&wrong)?;
        let rows = Access::new(model, output, &self.steps(&batch.rows)?).map_err(&wrong)?;
        let reached = rows
            .shape
            .ok_or_else(|| self.refused("the batch's answers have no shape"))?;
        if batch.matching.is_empty() {
            let shape = model.shape(reached).filter(|s| s.kind == ShapeKind::Map);
            let value = shape.and_then(|s| s.element.as_ref()).map(|m| m.shape);
            let value = value
                .ok_or_else(|| self.refused("a batch without `match` needs a map of answers"))?;
            return Ok((rows, None, value));
        }
        let matching =
            Access::new(model, reached, &self.steps(&batch.matching)?).map_err(&wrong)?;
        Ok((rows, Some(matching), reached))
    }
}

fn shape_of(model: &Arc<Model>, access: &Access) -> ValueShape {
    ValueShape {
        shape: access.shape.map(|s| (Arc::clone(model), s)),
        each: access.is_each(),
        sensitive: access.sensitive,
    }
}
