//! From an event to the rows that it touched.
use crate::Event;
use crate::names::{self, Named, arn_pattern, fits, normal, noun, subject};
use palisade_catalog::{Catalog, EventSource, Scope, TableSpec};
use palisade_collect::{Narrowing, Rows};
use palisade_model::Models;
use palisade_table::Schemas;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// More rows of a table than this are not picked out of it one by one.
const MOST_IDS: usize = 256;

/// What an event touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touch {
    /// Nothing that is read.
    Nothing(&'static str),
    /// Rows of tables.
    Rows(Narrowing),
}

/// What is known of the tables that are watched.
#[derive(Debug)]
pub struct Index {
    catalog: Arc<Catalog>,
    tables: BTreeMap<String, Watched>,
    /// Source of events → its tables.
    sources: BTreeMap<String, BTreeSet<String>>,
    /// Table → those whose rows are listed for its rows.
    children: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Debug)]
struct Watched {
    spec: Arc<TableSpec>,
    names: BTreeSet<String>,
    subject: String,
    arn: Option<Vec<String>>,
    /// Its rows are of the region that it is asked in.
    placed: bool,
}

impl Index {
    /// Over the tables that are read.
    pub fn new(
        catalog: Arc<Catalog>,
        models: &Models,
        schemas: &dyn Schemas,
        tables: &BTreeSet<String>,
    ) -> Self {
        let mut watched = BTreeMap::new();
        let mut sources: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut children: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for name in tables {
            let Some((spec, schema)) = schemas.table(name) else {
                continue;
            };
            let of_model = labels
                .entry(spec.model.clone())
                .or_insert_with(|| labels_of(&catalog, models, &spec.model));
            for label in of_model.iter() {
                sources
                    .entry(label.clone())
                    .or_default()
                    .insert(name.clone());
            }
            // a table below another is below all that are above
            let mut above = spec.list.as_ref().and_then(|l| l.parent.clone());
            let mut placed = spec.scope == Scope::Regional && spec.region.is_empty();
            let mut seen = BTreeSet::new();
            while let Some(parent) = above.filter(|p| seen.insert(p.clone())) {
                children
                    .entry(parent.clone())
                    .or_default()
                    .insert(name.clone());
                let spec = catalog.tables.get(&parent);
                placed &= spec.is_some_and(|s| s.scope == Scope::Regional && s.region.is_empty());
                above = spec.and_then(|s| s.list.as_ref()?.parent.clone());
            }
            let one = Watched {
                names: names::names(&spec, &schema, &catalog),
                subject: subject(&spec),
                arn: arn_pattern(&spec),
                placed,
                spec,
            };
            watched.insert(name.clone(), one);
        }
        Self {
            catalog,
            tables: watched,
            sources,
            children,
        }
    }

    /// What an event touched.
    pub fn touch(&self, event: &Event) -> Touch {
        let told = self.catalog.events.get(&event.source);
        let told = told.map(Arc::as_ref);
        let rules: Vec<_> = told
            .into_iter()
            .flat_map(|t| &t.rules)
            .filter(|r| r.names(&event.name))
            .collect();
        if rules.iter().any(|r| r.ignore) {
            return Touch::Nothing("it changes nothing that is read");
        }
        let mut found = Narrowing::new();
        for table in rules.iter().flat_map(|r| &r.tables) {
            self.add(&mut found, table, None, event);
        }
        if !rules.iter().any(|r| r.only) {
            self.derive(&mut found, told, event);
        }
        for table in found.keys().cloned().collect::<Vec<_>>() {
            for child in self.children.get(&table).into_iter().flatten() {
                self.add(&mut found, child, None, event);
            }
        }
        if found.is_empty() {
            Touch::Nothing("no table that is read is of its service")
        } else {
            Touch::Rows(found)
        }
    }

    /// What follows from the models and the service files.
    fn derive(&self, found: &mut Narrowing, told: Option<&EventSource>, event: &Event) {
        for arn in &event.arns {
            for (name, table) in &self.tables {
                if self.has_arn(name, table, arn) {
                    self.add(found, name, Some(arn), event);
                }
            }
        }
        let none = BTreeSet::new();
        let tables = self.sources.get(&event.source).unwrap_or(&none);
        let mut named = Named::new();
        for name in tables {
            for word in self.tables.get(name).into_iter().flat_map(|t| &t.names) {
                named.entry(word.clone()).or_default().insert(name.clone());
            }
        }
        for (member, tables) in told.into_iter().flat_map(|t| &t.members) {
            let known = tables.iter().filter(|t| self.tables.contains_key(*t));
            named
                .entry(normal(member))
                .or_default()
                .extend(known.cloned());
        }
        for (member, value) in &event.values {
            for table in named.get(&normal(member)).into_iter().flatten() {
                self.add(found, table, Some(value), event);
            }
        }
        // the tables that the event's name names, where no row of them was found
        let noun = noun(&event.name);
        let subjects = tables.iter().filter_map(|name| {
            let table = self.tables.get(name)?;
            let said = !table.subject.is_empty() && noun.contains(&table.subject);
            said.then_some((table.subject.len(), name))
        });
        let subjects: Vec<(usize, &String)> = subjects.collect();
        let longest = subjects.iter().map(|(length, _)| *length).max();
        for (length, name) in subjects {
            if Some(length) == longest && !found.contains_key(name) {
                self.add(found, name, None, event);
            }
        }
        if !tables.iter().any(|t| found.contains_key(t)) {
            for table in tables {
                self.add(found, table, None, event);
            }
        }
    }

    /// Whether an ARN may be that of a row: it fits the table's template, or, where that is a member of the answer, says
    /// service and kind of the table.
    fn has_arn(&self, name: &str, table: &Watched, arn: &str) -> bool {
        if let Some(pieces) = &table.arn {
            return fits(arn, pieces);
        }
        let mut parts = arn.splitn(6, ':').skip(2);
        let service = parts.next().and_then(|label| self.sources.get(label));
        let kind = parts.nth(2).and_then(|r| r.split(['/', ':']).next());
        table.spec.arn.is_some()
            && service.is_some_and(|tables| tables.contains(name))
            && kind.is_some_and(|kind| normal(kind) == normal(&table.subject))
    }

    /// Adds a row of a table, or all in the event's region.
    fn add(&self, found: &mut Narrowing, table: &str, id: Option<&str>, event: &Event) {
        let Some(watched) = self.tables.get(table) else {
            return;
        };
        let one = |text: &str| BTreeSet::from([text.to_owned()]);
        // tables with one row have no ids to be told apart by
        let single = watched.spec.list.is_none();
        let rows = Rows {
            ids: id.filter(|_| !single).map(one),
            regions: watched.placed.then(|| one(&event.region)),
        };
        add_rows(found, table, rows);
    }
}

/// Adds what is wanted of a table to what was wanted before.
pub(crate) fn add_rows(found: &mut Narrowing, table: &str, rows: Rows) {
    match found.get_mut(table) {
        None => {
            found.insert(table.to_owned(), rows);
        }
        Some(known) => known.add(&rows),
    }
    if let Some(known) = found.get_mut(table)
        && known.ids.as_ref().is_some_and(|ids| ids.len() > MOST_IDS)
    {
        known.ids = None;
    }
}

impl Touch {
    /// Adds what was touched to what was before.
    pub fn add_to(self, all: &mut Narrowing) {
        if let Self::Rows(rows) = self {
            for (table, rows) in rows {
                add_rows(all, &table, rows);
            }
        }
    }
}

/// The sources of events that concern an API model.
fn labels_of(catalog: &Catalog, models: &Models, model: &str) -> BTreeSet<String> {
    let told = catalog.events.values();
    let mut labels: BTreeSet<String> = told
        .filter(|t| t.models.iter().any(|m| m == model))
        .map(|t| t.name.clone())
        .collect();
    labels.insert(model.to_owned());
    if let Ok(model) = models.get(model) {
        // `api.ecr` is the endpoint of what calls itself `ecr`
        let endpoint = model.endpoint_prefix.rsplit('.').next();
        labels.extend(endpoint.map(str::to_owned));
        labels.insert(model.signing_name.clone());
    }
    labels
}
