//! Column types of the API model's shapes.
use crate::{ColumnType, names};
use palisade_model::{Model, Shape, ShapeId, ShapeKind};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// The types of one model's shapes, each worked out once: by the shape, and whether what encloses it is sensitive.
#[derive(Debug, Default)]
pub(super) struct Types(Mutex<BTreeMap<(ShapeId, bool), ColumnType>>);

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
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known().get(&(id, hidden)) {
            return known.clone();
        }
        let ty = self.work_out(model, id, hidden);
        known().entry((id, hidden)).or_insert(ty).clone()
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
            ShapeKind::List if !is_recursive(model, id) => ColumnType::List(element()),
            ShapeKind::Map if !is_recursive(model, id) => ColumnType::Map(element()),
            ShapeKind::Structure | ShapeKind::Union
                if !shape.members.is_empty() && !is_recursive(model, id) =>
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

/// True for a shape that contains itself, however far down. Its values become JSON text.
pub fn is_recursive(model: &Model, id: ShapeId) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![id];
    while let Some(next) = open.pop() {
        let Some(shape) = model.shape(next) else {
            continue;
        };
        let parts = shape.members.iter().chain(shape.element.as_deref());
        for part in parts {
            if part.shape == id {
                return true;
            }
            if seen.insert(part.shape) {
                open.push(part.shape);
            }
        }
    }
    false
}

/// True for a shape whose values, and all that they contain, AWS asks not to show: every text in them is `(hidden)`.
pub fn is_sensitive(model: &Model, id: ShapeId) -> bool {
    model.shape(id).is_some_and(|s| s.traits.sensitive)
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
