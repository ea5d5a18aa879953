//! What the service files say about comparing: which values change by themselves, and which lists have an order.
use palisade_catalog::{Step, TableSpec, parse_path};
use std::collections::BTreeMap;

/// Marks below a column or a field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// The value changes by itself.
    pub(crate) volatile: bool,
    /// The list's order means something.
    pub(crate) ordered: bool,
    members: BTreeMap<String, Marks>,
    each: Option<Box<Marks>>,
}

static NONE: Marks = Marks {
    volatile: false,
    ordered: false,
    members: BTreeMap::new(),
    each: None,
};

impl Marks {
    /// Those of a table: its columns are the members.
    pub(crate) fn of(spec: &TableSpec) -> Self {
        let mut marks = Self::default();
        for path in &spec.volatile {
            marks.at(path).volatile = true;
        }
        for path in &spec.ordered {
            marks.at(path).ordered = true;
        }
        marks
    }

    fn at(&mut self, path: &str) -> &mut Self {
        let mut at = self;
        // the loader has refused what is no path
        for step in parse_path(path).unwrap_or_default() {
            at = match step {
                Step::Member(name) => at.members.entry(name).or_default(),
                Step::Each | Step::Where(_) => at.each.get_or_insert_default(),
            };
        }
        at
    }

    /// Of a column or a field.
    pub(crate) fn member(&self, name: &str) -> &Self {
        self.members.get(name).unwrap_or(&NONE)
    }

    /// Of the elements of a list.
    pub(crate) fn each(&self) -> &Self {
        self.each.as_deref().unwrap_or(&NONE)
    }

    /// Of the values of a map: whatever name the path has there stands for every key.
    pub(crate) fn any(&self) -> &Self {
        self.members.values().next().unwrap_or(&NONE)
    }

    /// No marks at all.
    pub(crate) fn none() -> &'static Self {
        &NONE
    }
}
