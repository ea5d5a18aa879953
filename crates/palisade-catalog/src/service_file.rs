//! Parsing of `catalog/services/<service>.toml`.
mod calls;

use crate::places::Places;
use crate::section::{self, Located, Section};
use crate::template::{TemplatePart, parse_template};
use crate::text::Reporter;
use crate::{ColumnSpec, Scope, Service, TableSpec, ViewSpec, names, suggest, verbs};
use std::collections::BTreeMap;

/// What one service file says.
#[derive(Debug)]
pub(crate) struct ServiceFile {
    pub(crate) service: Service,
    pub(crate) tables: Vec<TableSpec>,
    pub(crate) views: Vec<ViewSpec>,
    pub(crate) places: Places,
}

/// Everything about the file that the parts of it need.
struct Context<'r> {
    reporter: &'r Reporter<'r>,
    service: &'r str,
    model: String,
    scope: Scope,
    places: Places,
}

const SCOPES: &[&str] = &["global", "regional"];

/// Columns that every table has.
pub(crate) const BASE_COLUMNS: &[&str] = &["account_id", "region", "partition", "arn"];

/// The names of tables and views that the text declares, whether or not the rest of it can be used.
pub(crate) fn declared(text: &str) -> Vec<String> {
    let (document, _) = toml::de::DeTable::parse_recoverable(text);
    let mut names = Vec::new();
    for key in ["table", "view"] {
        let entries = document.get_ref().get(key);
        if let Some(toml::de::DeValue::Table(entries)) = entries.map(toml::Spanned::get_ref) {
            names.extend(entries.keys().map(|k| k.get_ref().to_string()));
        }
    }
    names
}

/// Parses one file; its diagnostics are in the reporter. `None` when it cannot be used.
pub(crate) fn parse(reporter: &Reporter<'_>, name: &str, text: &str) -> Option<ServiceFile> {
    if !names::is_kebab(name) {
        reporter.error(
            0,
            format!("the file's name `{name}` is not in kebab case, such as `cognito-idp`"),
        );
    }
    let document = section::parse(reporter, text, 0)?;
    let top = Section::top(reporter, document.get_ref(), 0);
    let title = top.required("title");
    let model = top.text("model").map_or(name.to_owned(), |m| m.value);
    let iam = top.text("iam").map(|i| i.value);
    let scope = top.word("scope", SCOPES).unwrap_or(Scope::Regional);
    let mut permissions = BTreeMap::new();
    let mut places = Places::default();
    for (operation, actions) in top.lists("permissions") {
        if actions.is_empty() || actions.iter().any(|a| !is_action(a)) {
            reporter.error(
                operation.at,
                format!(
                    "permissions of `{}` must be IAM actions such as `s3:ListAllMyBuckets`",
                    operation.value
                ),
            );
        }
        let place = reporter.position(operation.at);
        places.insert(&format!("service {name}"), operation.value.clone(), place);
        permissions.insert(operation.value, actions);
    }
    let mut context = Context {
        reporter,
        service: name,
        model: model.clone(),
        scope,
        places,
    };
    let mut tables: Vec<TableSpec> = Vec::new();
    for (header, section) in top.entries("table") {
        context.check_name(&header);
        tables.extend(context.table(&header, &section));
        section.finish();
    }
    let mut views = Vec::new();
    for (header, section) in top.entries("view") {
        context.check_name(&header);
        if tables.iter().any(|t| t.name == header.value) {
            reporter.error(
                header.at,
                format!("`{}` is the name of a table as well", header.value),
            );
        }
        views.extend(context.view(&header, &section));
        section.finish();
    }
    top.finish();
    let places = context.places;
    (!reporter.has_errors()).then(|| ServiceFile {
        service: Service {
            name: name.to_owned(),
            file: reporter.file.to_owned(),
            title: title.map(|t| t.value).unwrap_or_default(),
            model,
            iam,
            scope,
            permissions,
            tables: tables.iter().map(|t| t.name.clone()).collect(),
        },
        tables,
        views,
        places,
    })
}

fn is_action(action: &str) -> bool {
    action.split_once(':').is_some_and(|(prefix, name)| {
        names::is_kebab(prefix)
            && !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric())
    })
}

impl Context<'_> {
    fn note(&mut self, table: &str, part: impl Into<String>, at: usize) {
        self.places
            .insert(table, part.into(), self.reporter.position(at));
    }

    /// Tables and views begin with the service.
    fn check_name(&self, header: &Located<String>) {
        let prefix = self.service.replace('-', "_");
        let rest = header
            .value
            .strip_prefix(&prefix)
            .and_then(|r| r.strip_prefix('_'));
        if !names::is_snake(&header.value) || rest.is_none_or(str::is_empty) {
            self.reporter.error(
                header.at,
                format!(
                    "the name `{}` does not begin with the service: `{prefix}_…` in snake case is expected",
                    header.value
                ),
            );
        }
    }

    fn view(&self, header: &Located<String>, section: &Section<'_>) -> Option<ViewSpec> {
        let about = section.required("about");
        let sql = section.required("sql");
        Some(ViewSpec {
            name: header.value.clone(),
            service: self.service.to_owned(),
            place: (self.reporter.file.to_owned(), self.reporter.line(header.at)),
            about: about?.value,
            sql: sql?.value,
        })
    }

    fn table(&mut self, header: &Located<String>, section: &Section<'_>) -> Option<TableSpec> {
        let reporter = self.reporter;
        let name = header.value.clone();
        self.note(&name, "", header.at);
        let about = section.required("about");
        let id = section.required("id");
        let arn = section.text("arn");
        let region = section.texts("region");
        let foreign = section.text("foreign");
        let tags = section.text("tags");
        for (key, found, only) in [("foreign", &foreign, "keep"), ("tags", &tags, "tagging")] {
            if let Some(found) = found.as_ref().filter(|f| f.value != only) {
                reporter.error_hint(
                    found.at,
                    format!("unknown {key} `{}`", found.value),
                    format!("only `{key} = \"{only}\"` has a meaning"),
                );
            }
        }
        if foreign.is_some() && region.is_empty() {
            reporter.error(
                section.place("foreign"),
                "`foreign` means nothing without `region` columns",
            );
        }
        let unique = section.boolean("unique").unwrap_or(false);
        let volatile = self.compared(&name, section, "volatile");
        let ordered = self.compared(&name, section, "ordered");
        let scope = section.word("scope", SCOPES).unwrap_or(self.scope);
        let model = section
            .text("model")
            .map_or(self.model.clone(), |m| m.value);
        let list = section.section("list").and_then(|s| {
            self.note(&name, "list", s.at);
            let list = self.list(&name, &s);
            s.finish();
            list
        });
        let parent = list.as_ref().and_then(|l| l.parent.clone());
        let has_list = section.has("list");
        let mut calls = Vec::new();
        for (index, s) in section.sections("call").iter().enumerate() {
            self.note(&name, format!("call.{index}"), s.at);
            let call = self.call(&name, index, s, parent.is_some(), has_list);
            s.finish();
            calls.extend(call);
        }
        if !has_list && !section.has("call") && self.service != "aws" {
            reporter.error(
                header.at,
                format!("table `{name}` has no `list` and no `call`: nothing would fill it"),
            );
        }
        let columns = self.columns(&name, section, parent.is_some());
        for (key, part) in [("id", &id), ("arn", &arn)] {
            if let Some(part) = part {
                self.note(&name, key, part.at);
            }
        }
        if let Some(arn) = &arn {
            self.template(arn, parent.is_some());
        }
        let mut region_columns = Vec::new();
        for (index, column) in region.into_iter().enumerate() {
            self.note(&name, format!("region.{index}"), column.at);
            self.column_name(&column);
            if column.value == "region" {
                reporter.error_hint(
                    column.at,
                    "`region` names itself",
                    "give the answer's member another name in `[table.….column]`: `home = { from = \"region\" }`"
                        .to_owned(),
                );
            }
            region_columns.push(column.value);
        }
        if let Some(id) = &id {
            self.column_name(id);
        }
        Some(TableSpec {
            name,
            service: self.service.to_owned(),
            model,
            place: (reporter.file.to_owned(), reporter.line(header.at)),
            about: about?.value,
            scope,
            id: id?.value,
            arn: arn.map(|a| a.value),
            region: region_columns,
            keep_foreign: foreign.is_some(),
            unique,
            tags_from_tagging: tags.is_some(),
            volatile,
            ordered,
            list,
            calls,
            columns,
        })
    }

    /// `volatile` and `ordered`: paths that say how two states are compared.
    fn compared(&mut self, table: &str, section: &Section<'_>, key: &'static str) -> Vec<String> {
        let mut paths: Vec<String> = Vec::new();
        for (index, path) in section.texts(key).into_iter().enumerate() {
            self.note(table, format!("{key}.{index}"), path.at);
            self.path(&path, false);
            if paths.contains(&path.value) {
                self.reporter
                    .error(path.at, format!("`{}` is there twice", path.value));
            }
            paths.push(path.value);
        }
        paths
    }

    /// `[table.<name>.column]`
    fn columns(
        &mut self,
        table: &str,
        section: &Section<'_>,
        has_parent: bool,
    ) -> BTreeMap<String, ColumnSpec> {
        let reporter = self.reporter;
        let mut columns = BTreeMap::new();
        for (header, s) in section.entries("column") {
            self.note(table, format!("column.{}", header.value), header.at);
            // `a.b[].c` hides a field inside a column.
            let inside = header.value.contains(['.', '[']);
            if inside {
                self.path(&header, false);
            } else {
                self.column_name(&header);
            }
            let from = s.text("from");
            let transform = s.text("as");
            let value = s.text("value");
            let hide = s.boolean("hide");
            let csv = s.text("csv");
            let kind = s.text("type");
            s.finish();
            let name = &header.value;
            if inside && hide != Some(true) {
                reporter.error(
                    header.at,
                    format!("`{name}` is inside a column, where only `hide = true` has a meaning"),
                );
            }
            // A column that others begin with may itself be hidden.
            let given = [
                from.is_some(),
                value.is_some(),
                hide == Some(true) && from.is_none(),
                csv.is_some(),
            ];
            if given.iter().filter(|g| **g).count() != 1 {
                reporter.error(
                    header.at,
                    format!(
                        "column `{name}` needs one of `from`, `value`, `csv` and `hide = true`"
                    ),
                );
            }
            if hide == Some(false) {
                reporter.error(s.place("hide"), "`hide = false` means nothing");
            }
            if let Some(transform) = &transform {
                const KNOWN: [&str; 5] = ["secrets", "base64", "json", "keys", "count"];
                if from.is_none() {
                    reporter.error(transform.at, "`as` needs `from`");
                }
                self.closed("as", transform, &KNOWN);
            }
            match (&csv, &kind) {
                (_, Some(kind)) => {
                    const KNOWN: [&str; 4] = ["text", "boolean", "integer", "timestamp"];
                    if csv.is_none() {
                        reporter.error(kind.at, "`type` is for columns with `csv`");
                    }
                    self.closed("type", kind, &KNOWN);
                }
                (Some(csv), None) => {
                    reporter.error(csv.at, format!("column `{name}` needs a `type`"));
                }
                (None, None) => {}
            }
            if let Some(from) = &from {
                self.path(from, false);
            }
            if let Some(value) = &value {
                self.template(value, has_parent);
            }
            let base = BASE_COLUMNS.contains(&name.as_str());
            if base {
                reporter.error_hint(
                    header.at,
                    format!("`{name}` is a column of every table"),
                    (name == "arn").then(|| "give the table an `arn` template".to_owned()),
                );
            }
            columns.insert(
                header.value.clone(),
                ColumnSpec {
                    from: from.map(|f| f.value),
                    transform: transform.map(|t| t.value),
                    value: value.map(|v| v.value),
                    hide: hide.unwrap_or(false),
                    csv: csv.map(|c| c.value),
                    kind: kind.map(|k| k.value),
                },
            );
        }
        columns
    }

    fn closed(&self, key: &str, found: &Located<String>, known: &[&str]) {
        if !known.contains(&found.value.as_str()) {
            self.reporter.error_hint(
                found.at,
                format!("unknown `{key}` `{}`", found.value),
                suggest::hint(&found.value, known.iter().copied()),
            );
        }
    }

    fn column_name(&self, name: &Located<String>) {
        if !names::is_snake(&name.value) && !name.value.is_empty() {
            self.reporter.error(
                name.at,
                format!("`{}` is not a column name in snake case", name.value),
            );
        }
    }

    fn path(&self, path: &Located<String>, whole_answer: bool) {
        match crate::parse_path(&path.value) {
            Err(e) => self.reporter.error(path.at, e.to_string()),
            Ok(steps) if steps.is_empty() && !whole_answer => self
                .reporter
                .error(path.at, "the path names no member".to_owned()),
            Ok(_) => {}
        }
    }

    /// A template over the row's columns.
    fn template(&self, template: &Located<String>, has_parent: bool) {
        self.template_text(&template.value, template.at, has_parent, true);
    }

    /// `columns`: the row's own columns exist where the template is used.
    fn template_text(&self, template: &str, at: usize, has_parent: bool, columns: bool) {
        let parts = match parse_template(template) {
            Ok(parts) => parts,
            Err(e) => return self.reporter.error(at, e.to_string()),
        };
        for part in parts {
            match part {
                TemplatePart::Parent(name) if !has_parent => self.reporter.error(
                    at,
                    format!("`${{parent.{name}}}` needs `parent` in the list call"),
                ),
                TemplatePart::Parameter(name) => self.reporter.error(
                    at,
                    format!("`${{param.{name}}}` is for fix blocks of checks"),
                ),
                TemplatePart::Column(name)
                    if !columns
                        && !["account_id", "region", "partition"].contains(&name.as_str()) =>
                {
                    self.reporter.error_hint(
                        at,
                        format!("`${{{name}}}`: there are no rows yet when the list call is made"),
                        "`${account_id}`, `${region}`, `${partition}` and `${parent.<column>}` are known"
                            .to_owned(),
                    );
                }
                _ => {}
            }
        }
    }

    fn operation(&self, operation: &Located<String>) {
        if let Some(reason) = verbs::refused(&operation.value) {
            self.reporter.error(
                operation.at,
                format!("`{}` {reason}; a scan must not call it", operation.value),
            );
        }
    }
}
