//! Following a path through the shapes of an API model.
use super::Problem;
use super::types::field_names;
use crate::{Step, suggest, write_path};
use palisade_model::{Model, Shape, ShapeId, ShapeKind};

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) shape: ShapeId,
    /// How many lists the path opens: with one or more it gives a list of values.
    pub(super) opened: usize,
    /// The path in the model's names.
    pub(super) path: Vec<Step>,
}

/// How a path names members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// As the model does.
    Model,
    /// As columns and fields do.
    Column,
}

/// Follows a path from a shape.
pub(super) fn walk(
    model: &Model,
    from: ShapeId,
    steps: &[Step],
    naming: Naming,
) -> Result<Reached, Problem> {
    let mut reached = Reached {
        shape: from,
        opened: 0,
        path: Vec::with_capacity(steps.len()),
    };
    for (index, step) in steps.iter().enumerate() {
        let so_far = || write_path(steps.get(..index).unwrap_or_default());
        let Some(shape) = model.shape(reached.shape) else {
            return Err(Problem::new("the API model is damaged"));
        };
        match step {
            Step::Each => {
                let (ShapeKind::List, Some(element)) = (shape.kind, &shape.element) else {
                    return Err(Problem::new(format!("`{}` is not a list", so_far())));
                };
                reached.shape = element.shape;
                reached.opened += 1;
                reached.path.push(Step::Each);
            }
            Step::Where(conditions) => {
                let (ShapeKind::List, Some(element)) = (shape.kind, &shape.element) else {
                    return Err(Problem::new(format!("`{}` is not a list", so_far())));
                };
                let item = model
                    .shape(element.shape)
                    .filter(|s| matches!(s.kind, ShapeKind::Structure | ShapeKind::Union))
                    .ok_or_else(|| {
                        Problem::new(format!("the elements of `{}` have no members", so_far()))
                    })?;
                let mut known = Vec::with_capacity(conditions.len());
                for (name, value) in conditions {
                    let (named, of) =
                        member(item, name, naming).ok_or_else(|| unknown(item, name, naming))?;
                    if model.shape(of).is_none_or(|s| s.kind != ShapeKind::String) {
                        return Err(Problem::new(format!("`{name}` is not a text")));
                    }
                    known.push((named, value.clone()));
                }
                reached.shape = element.shape;
                reached.opened += 1;
                reached.path.push(Step::Where(known));
            }
            Step::Member(name) => {
                let (member, next) = match (shape.kind, &shape.element) {
                    (ShapeKind::Map, Some(element)) => (name.clone(), element.shape),
                    (ShapeKind::Structure | ShapeKind::Union, _) => {
                        member(shape, name, naming).ok_or_else(|| unknown(shape, name, naming))?
                    }
                    (ShapeKind::List, _) => {
                        return Err(Problem::hinted(
                            format!(
                                "`{}` is a list, and `{name}` a member of its elements",
                                so_far()
                            ),
                            format!("write `{}[].{name}`", so_far()),
                        ));
                    }
                    _ => {
                        return Err(Problem::new(format!("`{}` has no members", so_far())));
                    }
                };
                reached.shape = next;
                reached.path.push(Step::Member(member));
            }
        }
    }
    Ok(reached)
}

fn member(shape: &Shape, name: &str, naming: Naming) -> Option<(String, ShapeId)> {
    let found = match naming {
        Naming::Model => shape.member(name).map(|(_, m)| m),
        Naming::Column => {
            let index = field_names(shape).iter().position(|f| f == name)?;
            shape.members.get(index)
        }
    }?;
    Some((found.name.clone(), found.shape))
}

fn unknown(shape: &Shape, name: &str, naming: Naming) -> Problem {
    let known: Vec<String> = match naming {
        Naming::Model => shape.members.iter().map(|m| m.name.clone()).collect(),
        Naming::Column => field_names(shape),
    };
    Problem {
        message: format!("`{name}` is not a member of `{}`", shape.name),
        hint: suggest::hint(name, known.iter().map(String::as_str)),
    }
}
