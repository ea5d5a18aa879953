//! Paths into answers, compiled once to positions so that rows are read without looking at names.
use palisade_catalog::Step;
use palisade_model::{Member, Model, Operation, Shape, ShapeId, ShapeKind, Value};
use std::borrow::Cow;

/// A value that does not have the form that the API model promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at `{place}`, found {found}")]
pub struct Mismatch {
    /// What the model promises.
    pub expected: &'static str,
    /// What the answer holds; never the value itself.
    pub found: &'static str,
    /// Where, as far as it is known.
    pub place: String,
}

impl Mismatch {
    /// A mismatch between what was expected and a value.
    pub fn new(expected: &'static str, found: &Value, place: &str) -> Self {
        Self {
            expected,
            found: kind_name(found),
            place: place.to_owned(),
        }
    }
}

/// What a value is, in words.
pub fn kind_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Int(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::String(_) => "text",
        Value::Timestamp(_) => "a timestamp",
        Value::Blob(_) => "bytes",
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
        Value::Struct(_) => "a structure",
        Value::Json(_) => "a document",
    }
}

/// A path that the API model does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A structure has no such member.
    #[error("`{shape}` has no member `{member}`; valid members are {valid}")]
    Member {
        /// The structure.
        shape: String,
        /// The member asked for.
        member: String,
        /// The members that exist, joined by commas.
        valid: String,
    },
    /// `[]` on something that is no list, or a member of something that has none.
    #[error("`{step}` cannot be applied to `{shape}`")]
    Step {
        /// The step, as written.
        step: String,
        /// What it was applied to.
        shape: String,
    },
    /// The operation or shape is not in the model.
    #[error("the API model `{model}` has no `{name}`")]
    Unknown {
        /// The model.
        model: String,
        /// What was looked for.
        name: String,
    },
}

/// The steps of a path such as `Reservations[].Instances[]`. Empty text and `.` are the value itself.
pub fn parse_path(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in text.split('.').filter(|p| !p.is_empty()) {
        let name = part.trim_end_matches("[]");
        if !name.is_empty() {
            steps.push(Step::Member(name.to_owned()));
        }
        let lists = (part.len() - name.len()) / 2;
        steps.extend(std::iter::repeat_n(Step::Each, lists));
    }
    steps
}

/// The output structure of an operation.
///
/// # Errors
/// When the model has no such operation, or the operation answers nothing.
pub fn output_shape(model: &Model, operation: &str) -> Result<ShapeId, PathError> {
    let output = model
        .operation(operation)
        .and_then(|o: &Operation| o.output.as_ref());
    output.map(|o| o.shape).ok_or_else(|| PathError::Unknown {
        model: model.name.clone(),
        name: operation.to_owned(),
    })
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hop {
    Field(usize),
    Key(Box<str>),
    Each,
    /// The elements of a list whose members, by position or key, are these texts.
    Where(Box<[(Place, Box<str>)]>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Field(usize),
    Key(Box<str>),
}

impl Hop {
    fn opens(&self) -> bool {
        matches!(self, Self::Each | Self::Where(_))
    }

    /// Whether an element of the list that the hop opens is meant.
    fn wants(&self, item: &Value) -> bool {
        let Self::Where(conditions) = self else {
            return true;
        };
        conditions.iter().all(|(place, wanted)| {
            let found = match (place, item) {
                (Place::Field(index), Value::Struct(record)) => record.fields.get(*index),
                (Place::Key(key), Value::Map(entries)) => {
                    entries.iter().find(|(k, _)| k == key).map(|(_, v)| v)
                }
                _ => None,
            };
            matches!(found, Some(Value::String(text)) if **text == **wanted)
        })
    }
}

/// A path compiled to positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    hops: Box<[Hop]>,
    text: Box<str>,
    /// The shape at its end, where the model knows it.
    pub shape: Option<ShapeId>,
    /// True when AWS marks something on the way as sensitive.
    pub sensitive: bool,
    /// True when a member on the way, or at the end, must be present by the model.
    pub required: bool,
}

impl Access {
    /// Compiles a path of model names, or of their snake case, from a value of shape `start`.
    ///
    /// # Errors
    /// When the model has no such member or list.
    pub fn new(model: &Model, start: ShapeId, path: &[Step]) -> Result<Self, PathError> {
        let mut at = start;
        let mut hops = Vec::with_capacity(path.len());
        let mut sensitive = false;
        let mut required = true;
        for step in path {
            let shape = model.shape(at).ok_or_else(|| PathError::Unknown {
                model: model.name.clone(),
                name: format!("shape {}", at.0),
            })?;
            sensitive |= shape.traits.sensitive;
            let wrong = |step: &str| PathError::Step {
                step: step.to_owned(),
                shape: shape.name.clone(),
            };
            match (step, shape.kind) {
                (Step::Member(name), ShapeKind::Structure | ShapeKind::Union) => {
                    let (index, member) =
                        find_member(shape, name).ok_or_else(|| PathError::Member {
                            shape: shape.name.clone(),
                            member: name.clone(),
                            valid: names(&shape.members),
                        })?;
                    hops.push(Hop::Field(index));
                    sensitive |= member.traits.sensitive;
                    required &= shape.required.contains(&member.name);
                    at = member.shape;
                }
                (Step::Member(name), ShapeKind::Map) => {
                    let value = shape.element.as_ref().ok_or_else(|| wrong(name))?;
                    hops.push(Hop::Key(name.as_str().into()));
                    sensitive |= value.traits.sensitive;
                    required = false;
                    at = value.shape;
                }
                (Step::Each, ShapeKind::List) => {
                    let item = shape.element.as_ref().ok_or_else(|| wrong("[]"))?;
                    hops.push(Hop::Each);
                    sensitive |= item.traits.sensitive;
                    at = item.shape;
                }
                (Step::Where(conditions), ShapeKind::List) => {
                    let item = shape.element.as_ref().ok_or_else(|| wrong("[]"))?;
                    let of = model.shape(item.shape).ok_or_else(|| wrong("[]"))?;
                    let mut places = Vec::with_capacity(conditions.len());
                    for (name, value) in conditions {
                        let (index, _) =
                            find_member(of, name).ok_or_else(|| PathError::Member {
                                shape: of.name.clone(),
                                member: name.clone(),
                                valid: names(&of.members),
                            })?;
                        places.push((Place::Field(index), value.as_str().into()));
                    }
                    hops.push(Hop::Where(places.into()));
                    sensitive |= item.traits.sensitive;
                    at = item.shape;
                }
                (Step::Member(name), _) => return Err(wrong(name)),
                (Step::Each | Step::Where(_), _) => return Err(wrong("[]")),
            }
        }
        sensitive |= model.shape(at).is_some_and(|s| s.traits.sensitive);
        Ok(Self {
            hops: hops.into(),
            text: path_text(path).into(),
            shape: Some(at),
            sensitive,
            required,
        })
    }

    /// Entries of maps, one in the other; `[]` opens lists.
    pub fn keys(path: &[Step]) -> Self {
        let hop = |step: &Step| match step {
            Step::Member(name) => Hop::Key(name.as_str().into()),
            Step::Each => Hop::Each,
            Step::Where(conditions) => {
                let key = |(name, value): &(String, String)| {
                    (Place::Key(name.as_str().into()), value.as_str().into())
                };
                Hop::Where(conditions.iter().map(key).collect())
            }
        };
        Self {
            hops: path.iter().map(hop).collect(),
            text: path_text(path).into(),
            shape: None,
            sensitive: false,
            required: false,
        }
    }

    /// The value itself.
    pub fn identity(shape: Option<ShapeId>) -> Self {
        Self {
            hops: [].into(),
            text: "".into(),
            shape,
            sensitive: false,
            required: true,
        }
    }

    /// True when the path goes through lists: what is reached is a list of all values found.
    pub fn is_each(&self) -> bool {
        self.hops.iter().any(Hop::opens)
    }

    /// The path as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the path reaches. Absent members give NULL; a path through lists gives one flat list.
    ///
    /// # Errors
    /// When a value on the way does not have the form that the model promises.
    pub fn get<'v>(&self, value: &'v Value) -> Result<Cow<'v, Value>, Mismatch> {
        if !self.is_each() {
            return self.one(value, &self.hops).map(Cow::Borrowed);
        }
        let mut found = Vec::new();
        let mut seen = false;
        self.each(value, &self.hops, &mut Vec::new(), &mut |_, v| {
            seen = true;
            found.push(v.clone());
        })?;
        // A list that is not there is NULL; a list that is empty is empty.
        let absent = !seen && self.first_list(value)?.is_null();
        Ok(Cow::Owned(if absent {
            Value::Null
        } else {
            Value::List(found)
        }))
    }

    /// True when the value that the path leads to, or the first list on it, is not there.
    ///
    /// # Errors
    /// As [`Access::get`].
    pub fn is_absent(&self, value: &Value) -> Result<bool, Mismatch> {
        self.first_list(value).map(Value::is_null)
    }

    /// Visits what the path reaches, with the index in each list on the way.
    ///
    /// # Errors
    /// As [`Access::get`].
    pub fn visit<'v>(
        &self,
        value: &'v Value,
        visitor: &mut dyn FnMut(&[u32], &'v Value),
    ) -> Result<(), Mismatch> {
        self.each(value, &self.hops, &mut Vec::new(), visitor)
    }

    /// The value at the given indexes, as [`Access::visit`] gave them.
    pub fn at<'v>(&self, value: &'v Value, indexes: &[u32]) -> Option<&'v Value> {
        let mut indexes = indexes.iter();
        let mut at = value;
        for hop in &self.hops {
            at = match (hop, at) {
                (hop, Value::List(items)) if hop.opens() => items.get(*indexes.next()? as usize)?,
                (Hop::Field(index), Value::Struct(record)) => record.fields.get(*index)?,
                (Hop::Key(key), Value::Map(entries)) => {
                    entries.iter().find(|(k, _)| k == key).map(|(_, v)| v)?
                }
                _ => return None,
            };
        }
        Some(at)
    }

    /// The value at the path, to be changed; `None` where something on the way is absent, and for paths through lists.
    pub fn at_mut<'v>(&self, value: &'v mut Value) -> Option<&'v mut Value> {
        let mut at = value;
        for hop in &self.hops {
            at = match (hop, at) {
                (Hop::Field(index), Value::Struct(record)) => record.fields.get_mut(*index)?,
                (Hop::Key(key), Value::Map(entries)) => {
                    entries.iter_mut().find(|(k, _)| k == key).map(|(_, v)| v)?
                }
                _ => return None,
            };
        }
        Some(at)
    }

    fn first_list<'v>(&self, value: &'v Value) -> Result<&'v Value, Mismatch> {
        let end = self.hops.iter().position(Hop::opens);
        let before = self.hops.get(..end.unwrap_or(self.hops.len()));
        self.one(value, before.unwrap_or_default())
    }

    fn one<'v>(&self, value: &'v Value, hops: &[Hop]) -> Result<&'v Value, Mismatch> {
        let mut at = value;
        for hop in hops {
            if at.is_null() {
                return Ok(at);
            }
            at = self.hop(hop, at)?;
        }
        Ok(at)
    }

    fn hop<'v>(&self, hop: &Hop, at: &'v Value) -> Result<&'v Value, Mismatch> {
        const NULL: &Value = &Value::Null;
        match (hop, at) {
            (Hop::Field(index), Value::Struct(record)) => record
                .fields
                .get(*index)
                .ok_or_else(|| Mismatch::new("a structure with this member", at, &self.text)),
            (Hop::Key(key), Value::Map(entries)) => Ok(entries
                .iter()
                .find(|(k, _)| k == key)
                .map_or(NULL, |(_, v)| v)),
            (Hop::Field(_), _) => Err(Mismatch::new("a structure", at, &self.text)),
            (Hop::Key(_), _) => Err(Mismatch::new("a map", at, &self.text)),
            (Hop::Each | Hop::Where(_), _) => Err(Mismatch::new("a list", at, &self.text)),
        }
    }

    fn each<'v>(
        &self,
        value: &'v Value,
        hops: &[Hop],
        indexes: &mut Vec<u32>,
        visitor: &mut dyn FnMut(&[u32], &'v Value),
    ) -> Result<(), Mismatch> {
        let Some((hop, rest)) = hops.split_first() else {
            visitor(indexes, value);
            return Ok(());
        };
        match (hop, value) {
            (_, Value::Null) => Ok(()),
            (hop, Value::List(items)) if hop.opens() => {
                let wanted = items.iter().enumerate().filter(|(_, item)| hop.wants(item));
                for (index, item) in wanted {
                    let index = u32::try_from(index)
                        .map_err(|_| Mismatch::new("a shorter list", value, &self.text))?;
                    indexes.push(index);
                    self.each(item, rest, indexes, visitor)?;
                    indexes.pop();
                }
                Ok(())
            }
            _ => self.each(self.hop(hop, value)?, rest, indexes, visitor),
        }
    }
}

fn names(members: &[Member]) -> String {
    let names: Vec<&str> = members.iter().map(|m| m.name.as_str()).collect();
    names.join(", ")
}

/// The member of that name, or whose name in snake case it is.
pub(crate) fn find_member<'s>(shape: &'s Shape, name: &str) -> Option<(usize, &'s Member)> {
    let similar = || {
        shape
            .members
            .iter()
            .enumerate()
            .find(|(_, m)| same_name(name, &m.name))
    };
    shape.member(name).or_else(similar)
}

/// Whether two names differ only in case and separators, as a member and its column do.
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    let letters = |t: &str| {
        let kept = t.chars().filter(|c| c.is_alphanumeric());
        kept.flat_map(char::to_lowercase).collect::<String>()
    };
    letters(a) == letters(b)
}

/// A path as it is written in service files.
pub fn path_text(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Member(name) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(name);
            }
            Step::Each => text.push_str("[]"),
            Step::Where(conditions) => {
                text.push_str(&palisade_catalog::write_conditions(conditions))
            }
        }
    }
    text
}
