//! What exists where: every table that lists resources with an ARN, each resource once; by what they have in common, and
//! those that nobody tagged or that no stack made.
use crate::Scanner;
use palisade_catalog::{Catalog, TableSpec};
use palisade_collect::Request;
use palisade_query::CatalogSchemas;
use palisade_table::{Dataset, Schemas};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::str::FromStr;
use std::sync::Arc;

/// The tag that CloudFormation gives to what it makes (CloudFormation User Guide, "Resource tag").
const STACK_TAG: &str = "aws:cloudformation:stack-name";

/// What resources are counted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// `account`
    Account,
    /// `region`
    Region,
    /// `service`
    Service,
    /// `type`
    Type,
    /// `tag:KEY`
    Tag(String),
}

/// Not one of the words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of `account`, `region`, `service`, `type` and `tag:KEY`")]
pub struct UnknownBy(String);

impl FromStr for By {
    type Err = UnknownBy;
    fn from_str(text: &str) -> Result<Self, UnknownBy> {
        Ok(match text {
            "account" => Self::Account,
            "region" => Self::Region,
            "service" => Self::Service,
            "type" => Self::Type,
            _ => match text.strip_prefix("tag:").filter(|key| !key.is_empty()) {
                Some(key) => Self::Tag(key.to_owned()),
                None => return Err(UnknownBy(text.to_owned())),
            },
        })
    }
}

impl By {
    /// The column's name, as SQL has it.
    fn column(&self) -> String {
        match self {
            Self::Account => "account_id".to_owned(),
            Self::Region => "region".to_owned(),
            Self::Service => "service".to_owned(),
            Self::Type => "type".to_owned(),
            Self::Tag(key) => format!("\"tag:{}\"", key.replace('"', "\"\"")),
        }
    }
}

/// What is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Only tables of these services.
    pub services: Vec<String>,
    /// Every resource, instead of counts.
    pub list: bool,
    /// Counted by these; by service, type, account and region when empty.
    pub by: Vec<By>,
    /// Only resources without any tag, or, when tags are required, without one of these.
    pub untagged: bool,
    /// Keys of tags that every resource should have.
    pub required_tags: Vec<String>,
    /// Only resources that no CloudFormation stack made, by the tag that it gives.
    pub unmanaged: bool,
}

impl Options {
    /// Whether tags decide: then only types of resources count of which the tags are read.
    pub fn needs_tags(&self) -> bool {
        self.untagged || self.unmanaged || self.by.iter().any(|b| matches!(b, By::Tag(_)))
    }
}

/// An inventory over a catalogue.
pub struct Inventory {
    tables: Vec<Arc<TableSpec>>,
    /// Table → the calls that tell its tags.
    tagged: BTreeMap<String, Vec<usize>>,
    options: Options,
}

impl Inventory {
    /// Over the tables that list things which have an ARN.
    pub fn new(scanner: &Scanner, catalog: &Arc<Catalog>, options: Options) -> Self {
        let schemas = CatalogSchemas::new(Arc::clone(catalog), Arc::clone(scanner.models()));
        let services = &options.services;
        let tables: Vec<Arc<TableSpec>> = catalog
            .tables
            .values()
            .filter(|table| {
                table.arn.is_some()
                    && table.list.as_ref().is_some_and(|list| list.csv.is_none())
                    && (services.is_empty() || services.contains(&table.service))
            })
            .cloned()
            .collect();
        let mut tagged = BTreeMap::new();
        if options.needs_tags() {
            for table in &tables {
                if let Some((_, schema)) = schemas.table(&table.name)
                    && let Some(column) = schema.column("tags")
                {
                    tagged.insert(table.name.clone(), column.sources.clone());
                }
            }
        }
        Self {
            tables,
            tagged,
            options,
        }
    }

    /// Leaves out the tables of which something was not collected. How many, and the first.
    pub fn leave_out(&mut self, lacking: &[(String, String)]) -> Option<(usize, String)> {
        let before = self.tables.len();
        let lacks = |table: &TableSpec| lacking.iter().any(|(name, _)| *name == table.name);
        let first = self.tables.iter().find(|t| lacks(t))?.name.clone();
        self.tables.retain(|t| !lacks(t));
        self.tagged
            .retain(|name, _| self.tables.iter().any(|t| t.name == *name));
        Some((before - self.tables.len(), first))
    }

    fn counted(&self) -> impl Iterator<Item = &TableSpec> {
        let all = !self.options.needs_tags();
        self.tables
            .iter()
            .map(AsRef::as_ref)
            .filter(move |t| all || self.tagged.contains_key(&t.name))
    }

    /// How many types of resources are not counted, because their tags are not read.
    pub fn without_tags(&self) -> usize {
        self.tables.len() - self.counted().count()
    }

    /// What must be collected: the identity of every resource, and tags where they decide.
    pub fn request(&self) -> Request {
        let mut request = Request::default();
        for table in self.counted() {
            let tags = self.tagged.contains_key(&table.name);
            request.add(&table.name, tags.then_some("tags"));
        }
        request
    }

    /// Takes out resources of which the tags could not be read: nothing is said of them. How many there were.
    pub fn drop_unread(&self, dataset: &mut Dataset) -> usize {
        let mut dropped = 0;
        for (name, sources) in &self.tagged {
            if let Some(table) = dataset.tables.get_mut(name) {
                dropped += table.drop_unread(sources);
            }
        }
        dropped
    }

    /// The SQL of the inventory. Where two tables list the same resource (`ec2_snapshot`, `ec2_public_snapshot`), the one
    /// with the shorter name has it.
    pub fn sql(&self) -> String {
        let options = &self.options;
        let quoted = |key: &str| format!("'{}'", key.replace('\'', "''"));
        let mut extra = String::new();
        let mut by_tag = String::new();
        // writing to a string cannot fail
        for by in &options.by {
            if let By::Tag(key) = by {
                let name = by.column();
                let _ = write!(extra, ", coalesce(tags[{}], '') AS {name}", quoted(key));
                let _ = write!(by_tag, ", {name}");
            }
        }
        let mut conditions = Vec::new();
        if options.untagged && options.required_tags.is_empty() {
            conditions.push("(tags IS NULL OR cardinality(map_keys(tags)) = 0)".to_owned());
        } else if options.untagged {
            let missing: Vec<String> = options
                .required_tags
                .iter()
                .map(|key| format!("tags[{}] IS NULL", quoted(key)))
                .collect();
            conditions.push(format!("({})", missing.join(" OR ")));
        }
        if options.unmanaged {
            conditions.push(format!("tags['{STACK_TAG}'] IS NULL"));
        }
        // Which table has a resource is decided first: one that lists it without its tags does not make it untagged.
        let wanted = match conditions.as_slice() {
            [] => "true".to_owned(),
            some => some.join(" AND "),
        };
        let mut all = String::new();
        for table in self.counted() {
            let separator = if all.is_empty() { "" } else { " UNION ALL " };
            let (name, service, id) = (&table.name, &table.service, &table.id);
            let _ = write!(
                all,
                "{separator}SELECT '{service}' AS service, '{name}' AS type, account_id, region, CAST({id} AS VARCHAR) AS id, arn{extra}, ({wanted}) AS wanted FROM {name}"
            );
        }
        let each = format!(
            "SELECT *, row_number() OVER (PARTITION BY account_id, coalesce(arn, id) ORDER BY length(type), type, region) AS n FROM ({all})"
        );
        if options.list {
            return format!(
                "SELECT service, type, account_id, region, id, arn{by_tag} FROM ({each}) WHERE n = 1 AND wanted ORDER BY service, type, account_id, region, id, arn"
            );
        }
        let usual = [By::Service, By::Type, By::Account, By::Region];
        let by = if options.by.is_empty() {
            &usual[..]
        } else {
            &options.by
        };
        let names: Vec<String> = by.iter().map(By::column).collect();
        let names = names.join(", ");
        format!(
            "SELECT {names}, count(*) AS resources FROM ({each}) WHERE n = 1 AND wanted GROUP BY {names} ORDER BY {names}"
        )
    }
}
