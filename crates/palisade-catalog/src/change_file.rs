//! Parsing of `catalog/changes/<model>.toml`.
use crate::change::{parse_state_path, placeholders};
use crate::change_code;
use crate::section::{self, Located, Section};
use crate::template::texts_of;
use crate::text::Reporter;
use crate::{Change, ChangeRead, Declared, Inner, Inverse, Items, Risk, Setting, Uses, verbs};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

/// What one change file says.
#[derive(Debug, Default)]
pub(crate) struct ChangeFile {
    pub(crate) changes: Vec<Change>,
    /// Operation → IAM actions, where they are not `<prefix>:<Operation>`.
    pub(crate) permissions: BTreeMap<String, Vec<String>>,
    pub(crate) uses: Vec<Uses>,
}

const RISKS: &[&str] = &["none", "brief-interruption", "may-break-access"];

/// Seconds that a described state is waited for when a file says nothing else.
const SETTLE: i64 = 10;

/// Parses one file; its diagnostics are in the reporter. `None` when it cannot be used.
pub(crate) fn parse(reporter: &Reporter<'_>, service: &str, text: &str) -> Option<ChangeFile> {
    let document = section::parse(reporter, text, 0)?;
    let top = Section::top(reporter, document.get_ref(), 0);
    let mut file = ChangeFile::default();
    for (operation, actions) in top.lists("permissions") {
        if actions.is_empty() {
            let message = format!("permissions of `{}` are empty", operation.value);
            reporter.error(operation.at, message);
        }
        file.permissions.insert(operation.value, actions);
    }
    for section in top.sections("uses") {
        let (table, about) = (section.required("table"), section.required("about"));
        let sql = section.required("sql");
        section.finish();
        if let (Some(table), Some(about), Some(sql)) = (table, about, sql) {
            file.uses.push(Uses {
                table: table.value,
                about: about.value,
                sql: sql.value,
            });
        }
    }
    for (header, section) in top.entries("change") {
        let parser = Parser { reporter, service };
        file.changes.extend(parser.change(&header, &section));
        section.finish();
    }
    top.finish();
    (!reporter.has_errors()).then_some(file)
}

struct Parser<'r> {
    reporter: &'r Reporter<'r>,
    service: &'r str,
}

impl Parser<'_> {
    fn change(&self, header: &Located<String>, s: &Section<'_>) -> Option<Change> {
        let retires = s.text("retires").map(|t| t.value);
        self.mutating(header, retires.is_some());
        let about = s.required("about");
        let risk = s.required_word::<Risk>("risk", RISKS);
        let lost = s.text("lost").map(|t| t.value);
        let key = s.strings("key");
        let fixed = s.strings("fixed");
        let replaces = s.boolean("replaces").unwrap_or_default();
        let ignored = s.strings("ignored");
        let mut requires = BTreeMap::new();
        for (parameter, section) in s.entries("requires") {
            let mut states = Map::new();
            for (path, value, at) in section.values() {
                self.path(&path.value, at);
                states.insert(path.value, section::json_of(value));
            }
            requires.insert(parameter.value, states);
        }
        let settle = s.integer("settle").map_or(SETTLE, |n| n.value);
        let read = self.read(s);
        let mut settings = BTreeMap::new();
        for (name, section) in s.entries("setting") {
            let setting = self.setting(&name, &section);
            section.finish();
            settings.insert(name.value, setting);
        }
        let mut makes = Vec::new();
        if let Some(section) = s.section("makes") {
            for (path, value, at) in section.values() {
                self.path(&path.value, at);
                makes.push((path.value, section::json_of(value)));
            }
        }
        let items = [("adds", true), ("removes", false)]
            .into_iter()
            .find_map(|(key, adds)| Some(self.items(&s.section(key)?, adds)));
        let inverse = s
            .sections("inverse")
            .iter()
            .filter_map(|section| {
                let inverse = self.inverse(&header.value, section);
                section.finish();
                inverse
            })
            .collect();
        let mut code = BTreeMap::new();
        for (place, section) in s.entries("code") {
            let declared = self.declared(&place, &section);
            section.finish();
            code.insert(place.value, declared);
        }
        let of_parameters = !settings.is_empty() || items.is_some();
        if of_parameters != makes.is_empty() {
            self.reporter.error(
                header.at,
                format!(
                    "`{}` must have `setting`, `adds` or `removes`, or else `makes`",
                    header.value
                ),
            );
        }
        Some(Change {
            service: self.service.to_owned(),
            operation: header.value.clone(),
            file: self.reporter.file.to_owned(),
            line: self.reporter.line(header.at),
            about: about?.value,
            risk: risk?,
            lost,
            key,
            fixed,
            replaces,
            ignored,
            requires,
            read: read?,
            settings,
            makes,
            items,
            inverse,
            retires,
            code,
            settle: u32::try_from(settle).unwrap_or_default(),
        })
    }

    fn mutating(&self, operation: &Located<String>, retires: bool) {
        if verbs::refused(&operation.value).is_none() {
            let message = format!("`{}` only reads: it changes nothing", operation.value);
            self.reporter.error(operation.at, message);
        }
        let destructive = verbs::destructive(&operation.value);
        if let Some(verb) = destructive.filter(|verb| !(retires && *verb == "Schedule")) {
            let message = format!(
                "`{}` destroys (`{verb}`): only what can be taken back may be a change",
                operation.value
            );
            self.reporter.error(operation.at, message);
        }
    }

    fn read(&self, s: &Section<'_>) -> Option<ChangeRead> {
        let Some(r) = s.section("read") else {
            if !s.has("read") {
                let message = "`read` is missing: the call that describes the state";
                self.reporter.error(s.at, message);
            }
            return None;
        };
        let call = r.required("call");
        if let Some(call) = &call
            && let Some(why) = verbs::refused(&call.value)
        {
            self.reporter
                .error(call.at, format!("`{}` {why}", call.value));
        }
        let params = r.json("params");
        self.templates(&params, r.place("params"));
        let from = r.text("from");
        if let Some(from) = &from {
            self.path(&from.value, from.at);
        }
        let absent = r.strings("absent");
        r.finish();
        Some(ChangeRead {
            call: call?.value,
            params,
            from: from.map_or_else(|| ".".to_owned(), |f| f.value),
            absent,
        })
    }

    fn setting(&self, name: &Located<String>, s: &Section<'_>) -> Setting {
        let from = s.text("from");
        let path = from
            .as_ref()
            .map_or_else(|| name.value.clone(), |f| f.value.clone());
        self.path(&path, from.as_ref().map_or(name.at, |f| f.at));
        let pending = s.text("pending");
        if let Some(pending) = &pending {
            self.path(&pending.value, pending.at);
        }
        Setting {
            from: path,
            whole: s.boolean("whole").unwrap_or_default(),
            by: s.text("by").map(|t| t.value),
            policy: s.boolean("policy").unwrap_or_default(),
            absent: s.value("absent").map(|(v, _)| section::json_of(v)),
            values: s.json("values").into_iter().collect(),
            pending: pending.map(|p| p.value),
            risk: s.word::<Risk>("risk", RISKS),
            lost: s.text("lost").map(|t| t.value),
            forever: s.text("forever").map(|t| t.value),
        }
    }

    fn items(&self, s: &Section<'_>, adds: bool) -> Items {
        let from = s.required("from");
        if let Some(from) = &from {
            self.path(&from.value, from.at);
        }
        let item = s.value("item").map(|(v, _)| section::json_of(v));
        let each = s.text("each").map(|t| t.value);
        let by = s.strings("by");
        let mut inner = BTreeMap::new();
        for (name, section) in s.entries("inner") {
            let list = Inner {
                by: section.strings("by"),
                with: section.strings("with"),
            };
            if list.by.is_empty() {
                let message = format!("`{}` needs `by`: what tells its elements apart", name.value);
                self.reporter.error(name.at, message);
            }
            section.finish();
            inner.insert(name.value, list);
        }
        let structures = !by.is_empty() || !inner.is_empty();
        if structures && (adds || each.is_none() || by.is_empty() || item.is_some()) {
            let message = "`by` and `inner` belong to `removes` with `each`, `inner` to `by`, and none of them to `item`";
            self.reporter.error(s.at, message);
        }
        let items = Items {
            adds,
            each,
            from: from.map(|f| f.value).unwrap_or_default(),
            item: item.unwrap_or_else(|| Json::from("${item}")),
            by,
            inner,
        };
        s.finish();
        items
    }

    fn inverse(&self, operation: &str, s: &Section<'_>) -> Option<Inverse> {
        let absent = s.boolean("absent").unwrap_or_default();
        let missing = s.strings("missing");
        let when = s.json("when");
        let leaves = s.json("leaves");
        for path in missing.iter().chain(when.keys()).chain(leaves.keys()) {
            self.path(path, s.at);
        }
        let call = s.text("call");
        let named = call
            .as_ref()
            .map_or_else(|| operation.to_owned(), |c| c.value.clone());
        let at = call.as_ref().map_or(s.at, |c| c.at);
        let nothing_was_there = absent || !missing.is_empty();
        if let Some(verb) = verbs::destructive(&named)
            && !nothing_was_there
        {
            let message = format!(
                "`{named}` destroys (`{verb}`): it may only take back what was not there before (`absent`, `missing`)"
            );
            self.reporter.error(at, message);
        }
        if verbs::destructive(&named).is_some_and(|verb| verb != "Delete") {
            let message = format!("`{named}` destroys: it cannot take a change back");
            self.reporter.error(at, message);
        }
        let params = s.json("params");
        self.templates(&params, s.place("params"));
        Some(Inverse {
            absent,
            missing,
            when,
            call: named,
            params,
            leaves,
            lost: s.text("lost").map(|t| t.value),
        })
    }

    fn declared(&self, place: &Located<String>, s: &Section<'_>) -> Declared {
        let text = |key: &'static str, problem: fn(&str) -> Option<&'static str>| {
            let text = s.text(key)?;
            if let Some(problem) = problem(&text.value) {
                let message = format!("`{}` is no place: it {problem}", text.value);
                self.reporter.error(text.at, message);
            }
            Some(text.value)
        };
        let declared = Declared {
            terraform: text("terraform", change_code::terraform_problem),
            cloudformation: text("cloudformation", change_code::cloudformation_problem),
            without: s.text("without").map(|t| t.value),
            removed: s.boolean("removed").unwrap_or_default(),
        };
        let is_whole = declared.terraform.is_some() && declared.cloudformation.is_some();
        if is_whole == declared.without.is_some() {
            let message = format!(
                "`{}` must have `terraform` and `cloudformation`, or `without`: why one is missing",
                place.value
            );
            self.reporter.error(place.at, message);
        }
        declared
    }

    fn path(&self, path: &str, at: usize) {
        if let Err(message) = parse_state_path(path) {
            self.reporter.error(at, message);
        }
    }

    fn templates(&self, params: &Map<String, Json>, at: usize) {
        let mut texts = Vec::new();
        params.values().for_each(|v| texts_of(v, &mut texts));
        for text in texts {
            if placeholders(text).is_none() {
                self.reporter
                    .error(at, format!("`{text}`: `${{` is not closed"));
            }
        }
    }
}
