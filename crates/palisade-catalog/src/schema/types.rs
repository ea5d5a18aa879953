//! Column types of the API model's shapes.
use crate::{ColumnType, names};
use palisade_model::{Model, Shape, ShapeId, ShapeKind};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The types of one model's shapes, each worked out once.
#[derive(Debug, Default)]
pub(super) struct Types(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// By the shape, and whether what encloses it is sensitive.
    types: BTreeMap<(ShapeId, bool), ColumnType>,
    recursive: BTreeMap<ShapeId, bool>,
}

impl Types {
    /// The type of a column that holds values of this shape.
    ///
    /// A structure's fields stand one for one, in order, for the shape's members, with names in snake case. Text stands for
    /// strings, numbers of any size, bytes (base64), documents, shapes that contain themselves and structures without
    /// members (the last three as JSON), and for every value of a sensitive shape and of what it contains.
    pub(super) fn of(&self, model: &Model, shape: ShapeId) -> ColumnType {
        self.typed(model, shape, false)
    }

    fn typed(&self, model: &Model, id: ShapeId, hidden: bool) -> ColumnType {
        if let Some(known) = self.known().types.get(&(id, hidden)) {
            return known.clone();
        }
        let ty = self.work_out(model, id, hidden);
        let mut known = self.known();
        known.types.entry((id, hidden)).or_insert(ty).clone()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_recursive(&self, model: &Model, id: ShapeId) -> bool {
        is_recursive(model, id, &mut self.known().recursive)
    }

    fn work_out(&self, model: &Model, id: ShapeId, hidden: bool) -> ColumnType {
        let Some(shape) = model.shape(id) else {
            return ColumnType::Text;
        };
        let hidden = hidden || shape.traits.sensitive;
        let element = || {
            let element = shape.element.as_ref();
            Arc::new(element.map_or(ColumnType::Text, |e| self.typed(model, e.shape, hidden)))
        };
        match shape.kind {
            ShapeKind::Boolean if !hidden => ColumnType::Boolean,
            ShapeKind::Integer if !hidden => ColumnType::Integer,
            ShapeKind::Double if !hidden => ColumnType::Float,
            ShapeKind::Timestamp if !hidden => ColumnType::Timestamp,
            ShapeKind::List if !self.is_recursive(model, id) => ColumnType::List(element()),
            ShapeKind::Map if !self.is_recursive(model, id) => ColumnType::Map(element()),
            ShapeKind::Structure | ShapeKind::Union
                if !shape.members.is_empty() && !self.is_recursive(model, id) =>
            {
                let fields = field_names(shape).into_iter().zip(&shape.members);
                let fields = fields.map(|(name, m)| (name, self.typed(model, m.shape, hidden)));
                ColumnType::Struct(Arc::new(fields.collect()))
            }
            _ => ColumnType::Text,
        }
    }
}

/// Field names of a structure, in the order of its members. Two members whose names differ only in their writing get
/// different fields: the later one's ends in `_2`.
pub(crate) fn field_names(shape: &Shape) -> Vec<String> {
    let mut fields: Vec<String> = Vec::with_capacity(shape.members.len());
    for member in &shape.members {
        let name = names::snake_case(&member.name);
        let mut unique = name.clone();
        let mut number = 2;
        while fields.contains(&unique) {
            unique = format!("{name}_{number}");
            number += 1;
        }
        fields.push(unique);
    }
    fields
}

/// True for a shape that contains itself, however far down. Its values become JSON text. What comes to light of all that the
/// shape contains is remembered.
pub(super) fn is_recursive(
    model: &Model,
    id: ShapeId,
    known: &mut BTreeMap<ShapeId, bool>,
) -> bool {
    if !known.contains_key(&id) {
        let mut search = Circles {
            model,
            known,
            path: Vec::new(),
        };
        search.enter(id);
    }
    known.get(&id).copied().unwrap_or_default()
}

/// Tarjan's search for strongly connected components, "Depth-first search and linear graph algorithms" (1972): shapes that
/// contain each other are one.
struct Circles<'m> {
    model: &'m Model,
    /// Shapes of which all that they contain was looked at: whether they contain themselves.
    known: &'m mut BTreeMap<ShapeId, bool>,
    /// Those that were entered and are not known yet.
    path: Vec<ShapeId>,
}

impl Circles<'_> {
    /// Looks at a shape that is neither known nor on the path. Says how far back on the path something leads that it
    /// contains.
    fn enter(&mut self, id: ShapeId) -> usize {
        let place = self.path.len();
        self.path.push(id);
        let (mut back, mut in_itself) = (place, false);
        let shape = self.model.shape(id);
        let parts = shape.map(|s| s.members.iter().chain(s.element.as_deref()));
        for part in parts.into_iter().flatten() {
            in_itself |= part.shape == id;
            if self.known.contains_key(&part.shape) {
                continue;
            }
            let entered = self.path.iter().position(|on_path| *on_path == part.shape);
            back = back.min(entered.unwrap_or_else(|| self.enter(part.shape)));
        }
        if back == place {
            let circle = self.path.split_off(place);
            let recursive = in_itself || circle.len() > 1;
            self.known
                .extend(circle.into_iter().map(|s| (s, recursive)));
        }
        back
    }
}

/// The names that a list's element, or a map, goes by where it holds tags.
const TAG_MEMBERS: [&str; 4] = ["TagSet", "TagList", "Tags", "tags"];

/// True for a member that becomes the column `tags`.
pub(super) fn is_tag_member(model: &Model, name: &str, shape: ShapeId) -> bool {
    TAG_MEMBERS.contains(&name) && holds_tags(model, shape)
}

/// True for a list of key and value, and for a map of texts.
pub(super) fn holds_tags(model: &Model, id: ShapeId) -> bool {
    let kind = |id: ShapeId| model.shape(id).map(|s| s.kind);
    let Some(shape) = model.shape(id) else {
        return false;
    };
    let Some(element) = &shape.element else {
        return false;
    };
    match shape.kind {
        ShapeKind::Map => kind(element.shape) == Some(ShapeKind::String),
        ShapeKind::List => model.shape(element.shape).is_some_and(|tag| {
            let has = |names: [&str; 4]| {
                tag.members.iter().any(|m| {
                    names.contains(&m.name.as_str()) && kind(m.shape) == Some(ShapeKind::String)
                })
            };
            tag.is_structure()
                && has(["Key", "key", "TagKey", "tagKey"])
                && has(["Value", "value", "TagValue", "tagValue"])
        }),
        _ => false,
    }
}
