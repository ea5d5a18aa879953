//! What columns and calls say about columns: that they exist, and which calls each cell needs.
use super::Problem;
use super::build::{Builder, Raw};
use crate::service_file::BASE_COLUMNS;
use crate::template::{TemplatePart, parse_template, texts_of};
use crate::{ColumnType, Origin, Step, TAGGING_SOURCE, suggest};
use indexmap::IndexMap;
use std::collections::{BTreeMap, BTreeSet};

type Sources = BTreeSet<usize>;

/// Something whose sources are being looked for, to notice circles.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    Column(String),
    Call(usize),
}

/// The columns that a call or a template reads.
#[derive(Debug, Default)]
struct Reads {
    columns: Vec<String>,
    parent: bool,
}

impl Builder<'_> {
    /// Checks everything that names a column, and gives the sources of each column.
    pub(super) fn references(&mut self, columns: &IndexMap<String, Raw>) -> Vec<Vec<usize>> {
        self.names(columns);
        if !self.problems.is_empty() {
            // What follows would repeat them.
            return columns.keys().map(|_| Vec::new()).collect();
        }
        let mut known = BTreeMap::new();
        let mut all = Vec::new();
        let mut circles = BTreeSet::new();
        for name in columns.keys() {
            let node = Node::Column(name.clone());
            let found = self.sources(&node, columns, &mut known, &mut Vec::new(), &mut circles);
            all.push(found.into_iter().collect());
        }
        for (part, message) in circles {
            self.problem(&part, Problem::new(message));
        }
        all
    }

    fn names(&mut self, columns: &IndexMap<String, Raw>) {
        let spec = self.spec;
        let scalar = |ty: &ColumnType| matches!(ty, ColumnType::Text | ColumnType::Integer);
        match columns.get(&spec.id) {
            None => self.no_column("id", &spec.id, columns),
            Some(raw) if !scalar(&raw.ty) => {
                let message = format!("`{}` cannot identify a resource: it is not a text", spec.id);
                self.problem("id", Problem::new(message));
            }
            Some(_) => {}
        }
        for (index, name) in spec.region.iter().enumerate() {
            let part = format!("region.{index}");
            match columns.get(name) {
                None => self.no_column(&part, name, columns),
                Some(raw) if raw.ty != ColumnType::Text => {
                    self.problem(&part, Problem::new(format!("`{name}` is not a text")));
                }
                Some(_) => {}
            }
        }
        if let Some(arn) = spec.arn.as_deref().filter(|a| *a != "${arn}") {
            self.template("arn", arn, columns, true);
        } else if spec.arn.is_some()
            && !self.incomplete
            && matches!(columns.get("arn"), Some(raw) if raw.origin == Origin::Arn)
        {
            let message = "the rows have no text `arn` of their own";
            self.problem("arn", Problem::new(message));
        }
        for (name, column) in &spec.columns {
            if let Some(value) = &column.value {
                self.template(&format!("column.{name}"), value, columns, true);
            }
        }
        let mut texts = Vec::new();
        if let Some(list) = &spec.list {
            list.params.values().for_each(|v| texts_of(v, &mut texts));
            for text in &texts {
                self.template("list.params", text, columns, false);
            }
        }
        for (index, call) in spec.calls.iter().enumerate() {
            let mut texts = Vec::new();
            call.params.values().for_each(|v| texts_of(v, &mut texts));
            for text in texts {
                self.template(&format!("call.{index}.params"), text, columns, false);
            }
            if let Some(when) = &call.when {
                let part = format!("call.{index}.when");
                match columns.get(&when.column) {
                    None => self.no_column(&part, &when.column, columns),
                    Some(raw) if !is_plain(&raw.ty) => {
                        let message = format!("`{}` is not a plain value", when.column);
                        self.problem(&part, Problem::new(message));
                    }
                    Some(_) => {}
                }
            }
            if let Some(batch) = &call.batch {
                let part = format!("call.{index}.batch");
                match columns.get(&batch.of) {
                    None => self.no_column(&part, &batch.of, columns),
                    Some(raw) if raw.ty != ColumnType::Text => {
                        self.problem(&part, Problem::new(format!("`{}` is not a text", batch.of)));
                    }
                    Some(_) => {}
                }
            }
        }
        for (index, path) in spec.volatile.iter().enumerate() {
            self.compared(&format!("volatile.{index}"), path, false, columns);
        }
        for (index, path) in spec.ordered.iter().enumerate() {
            self.compared(&format!("ordered.{index}"), path, true, columns);
        }
        if spec.tags_from_tagging
            && spec.arn.is_none()
            && matches!(columns.get("arn"), Some(raw) if raw.origin == Origin::Arn)
        {
            let message = "`tags = \"tagging\"` joins by ARN; the table has no `arn`";
            self.problem("", Problem::new(message));
        }
    }

    /// `volatile` and `ordered`: the path leads to something, and to no column that identifies the row.
    fn compared(&mut self, part: &str, path: &str, list: bool, columns: &IndexMap<String, Raw>) {
        let steps = crate::parse_path(path).unwrap_or_default();
        let Some((Step::Member(name), inside)) = steps.split_first() else {
            return;
        };
        let Some(raw) = columns.get(name) else {
            return self.no_column(part, name, columns);
        };
        let identifies = BASE_COLUMNS.contains(&name.as_str()) || *name == self.spec.id;
        let found = if identifies {
            Err(Problem::new(format!("`{name}` says which resource it is")))
        } else {
            reached(&raw.ty, inside).and_then(|ty| match ty {
                ColumnType::List(_) => Ok(()),
                _ if list => Err(Problem::new(format!("`{path}` is not a list"))),
                _ => Ok(()),
            })
        };
        if let Err(problem) = found {
            self.problem(part, problem);
        }
    }

    fn no_column(&mut self, part: &str, name: &str, columns: &IndexMap<String, Raw>) {
        if self.incomplete {
            return;
        }
        let hidden = self.spec.columns.get(name).is_some_and(|c| c.hide);
        let problem = if hidden {
            Problem::new(format!("the column `{name}` is hidden"))
        } else {
            Problem {
                message: format!("there is no column `{name}`"),
                hint: suggest::hint(name, columns.keys().map(String::as_str)),
            }
        };
        self.problem(part, problem);
    }

    /// `text`: the result is a text, so that only plain values fit even alone.
    fn template(
        &mut self,
        part: &str,
        template: &str,
        columns: &IndexMap<String, Raw>,
        text: bool,
    ) {
        let parts = match parse_template(template) {
            Ok(parts) => parts,
            Err(e) => return self.problem(part, Problem::new(e.to_string())),
        };
        let mixed = text || parts.len() > 1;
        for piece in &parts {
            let (name, ty) = match piece {
                TemplatePart::Text(_) => continue,
                TemplatePart::Parameter(name) => {
                    let message = format!("`${{param.{name}}}` is for fix blocks of checks");
                    self.problem(part, Problem::new(message));
                    continue;
                }
                TemplatePart::Column(name) => match columns.get(name) {
                    None => {
                        self.no_column(part, name, columns);
                        continue;
                    }
                    Some(raw) => (name, raw.ty.clone()),
                },
                TemplatePart::Parent(name) => {
                    let Some(parent) = self.parent.clone() else {
                        let message = format!("`${{parent.{name}}}`: the table has no parent");
                        self.problem(part, Problem::new(message));
                        continue;
                    };
                    match parent.column(name) {
                        Some(column) => (name, column.ty.clone()),
                        None => {
                            let known = parent.columns.iter().map(|c| c.name.as_str());
                            let problem = Problem {
                                message: format!("the parent has no column `{name}`"),
                                hint: suggest::hint(name, known),
                            };
                            self.problem(part, problem);
                            continue;
                        }
                    }
                }
            };
            if mixed && !is_plain(&ty) {
                let message = format!("`{name}` is not a plain value that a text could hold");
                self.problem(part, Problem::new(message));
            }
        }
    }

    fn sources(
        &self,
        node: &Node,
        columns: &IndexMap<String, Raw>,
        known: &mut BTreeMap<Node, Sources>,
        open: &mut Vec<Node>,
        circles: &mut BTreeSet<(String, String)>,
    ) -> Sources {
        if let Some(sources) = known.get(node) {
            return sources.clone();
        }
        if open.contains(node) {
            let (part, what) = match node {
                Node::Column(name) if name == "arn" => ("arn".to_owned(), "`arn`".to_owned()),
                Node::Column(name) => (format!("column.{name}"), format!("`{name}`")),
                Node::Call(index) => (format!("call.{index}"), "this call".to_owned()),
            };
            circles.insert((part, format!("{what} needs itself")));
            return Sources::new();
        }
        open.push(node.clone());
        let mut sources = Sources::new();
        let mut next: Vec<Node> = Vec::new();
        let listed = self.spec.list.is_some();
        let mut read = |reads: Reads, sources: &mut Sources| {
            next.extend(reads.columns.into_iter().map(Node::Column));
            if reads.parent && listed {
                sources.insert(0);
            }
        };
        match node {
            Node::Call(index) => {
                sources.insert(index + 1);
                read(self.reads_of_call(*index), &mut sources);
            }
            Node::Column(name) => match columns.get(name).map(|raw| &raw.origin) {
                None | Some(Origin::AccountId | Origin::Partition) => {}
                Some(Origin::Region) => read(
                    Reads {
                        columns: self.spec.region.clone(),
                        parent: false,
                    },
                    &mut sources,
                ),
                Some(Origin::Arn) => {
                    let arn = self.spec.arn.as_deref().unwrap_or_default();
                    read(reads_of_text(arn), &mut sources);
                }
                Some(Origin::Template { template }) => {
                    read(reads_of_text(template), &mut sources);
                }
                Some(Origin::Answer { source, .. }) => match source.checked_sub(1) {
                    Some(index) => next.push(Node::Call(index)),
                    None => {
                        sources.insert(0);
                    }
                },
                Some(Origin::Outer { .. } | Origin::Csv { .. }) => {
                    sources.insert(0);
                }
                Some(Origin::Derived { column, .. }) => next.push(Node::Column(column.clone())),
                Some(Origin::Tagging) => {
                    sources.insert(TAGGING_SOURCE);
                    next.push(Node::Column("arn".to_owned()));
                }
            },
        }
        for node in next {
            sources.extend(self.sources(&node, columns, known, open, circles));
        }
        open.pop();
        known.insert(node.clone(), sources.clone());
        sources
    }

    fn reads_of_call(&self, index: usize) -> Reads {
        let mut reads = Reads::default();
        let Some(call) = self.spec.calls.get(index) else {
            return reads;
        };
        let mut texts = Vec::new();
        call.params.values().for_each(|v| texts_of(v, &mut texts));
        for text in texts {
            let more = reads_of_text(text);
            reads.columns.extend(more.columns);
            reads.parent |= more.parent;
        }
        reads
            .columns
            .extend(call.when.iter().map(|w| w.column.clone()));
        reads
            .columns
            .extend(call.batch.iter().map(|b| b.of.clone()));
        reads
    }
}

fn reads_of_text(template: &str) -> Reads {
    let mut reads = Reads::default();
    for part in parse_template(template).unwrap_or_default() {
        match part {
            TemplatePart::Column(name) => reads.columns.push(name),
            TemplatePart::Parent(_) => reads.parent = true,
            TemplatePart::Text(_) | TemplatePart::Parameter(_) => {}
        }
    }
    reads
}

/// The type at the end of a path.
fn reached<'t>(ty: &'t ColumnType, steps: &[Step]) -> Result<&'t ColumnType, Problem> {
    match (steps.split_first(), ty) {
        (None, _) => Ok(ty),
        (Some((Step::Each, rest)), ColumnType::List(inner))
        | (Some((Step::Member(_), rest)), ColumnType::Map(inner)) => reached(inner, rest),
        (Some((Step::Member(name), rest)), ColumnType::Struct(fields)) => {
            match fields.iter().find(|(n, _)| n == name) {
                Some((_, inner)) => reached(inner, rest),
                None => Err(Problem {
                    message: format!("there is no field `{name}`"),
                    hint: suggest::hint(name, fields.iter().map(|(n, _)| n.as_str())),
                }),
            }
        }
        (Some((Step::Where(_), _)), _) => Err(Problem::new(
            "the path goes through every element: write `[]`",
        )),
        (Some((Step::Each, _)), _) => Err(Problem::new("`[]` is for lists")),
        (Some((Step::Member(name), _)), _) => {
            Err(Problem::new(format!("`{name}` leads into a plain value")))
        }
    }
}

fn is_plain(ty: &ColumnType) -> bool {
    !matches!(
        ty,
        ColumnType::List(_) | ColumnType::Map(_) | ColumnType::Struct(_)
    )
}
