//! What can only be said about change files with the API models at hand: operations, parameters and paths exist.
use crate::change::{parse_state_path, placeholders};
use crate::schema::{Problem, params};
use crate::{
    Catalog, Change, Diagnostic, DiagnosticLevel, Inverse, Items, StateStep, snake_case, suggest,
};
use palisade_model::{Model, Models, Operation, ShapeId, ShapeKind};
use serde_json::{Map, Value as Json};

/// Everything that is wrong with the change files.
pub(crate) fn problems(catalog: &Catalog, models: &Models, found: &mut Vec<Diagnostic>) {
    for (service, changes) in &catalog.changes {
        let model = match models.get(service) {
            Ok(model) => model,
            Err(e) => {
                let hint = suggest::nearest(service, models.names());
                let hint = hint.map(|n| format!("did you mean `{n}.toml`?"));
                if let Some(change) = changes.values().next() {
                    found.push(at(change, e.to_string(), hint));
                }
                continue;
            }
        };
        for change in changes.values() {
            let mut of_change = Of {
                model: &model,
                change,
                found,
            };
            of_change.change();
        }
    }
}

fn at(change: &Change, message: String, hint: Option<String>) -> Diagnostic {
    Diagnostic {
        file: change.file.clone(),
        line: change.line,
        column: 1,
        level: DiagnosticLevel::Error,
        message,
        hint,
    }
}

struct Of<'a> {
    model: &'a Model,
    change: &'a Change,
    found: &'a mut Vec<Diagnostic>,
}

impl Of<'_> {
    fn wrong(&mut self, message: String, hint: Option<String>) {
        let message = format!("`{}`: {message}", self.change.operation);
        self.found.push(at(self.change, message, hint));
    }

    fn operation(&mut self, name: &str) -> Option<Operation> {
        let found = self.model.operation(name).cloned();
        if found.is_none() {
            let known = self.model.operations.iter().map(|o| o.name.as_str());
            let hint = suggest::nearest(name, known).map(|n| format!("did you mean `{n}`?"));
            let message = format!("`{}` has no operation `{name}`", self.model.name);
            self.wrong(message, hint);
        }
        found
    }

    fn change(&mut self) {
        let change = self.change;
        let Some(operation) = self.operation(&change.operation) else {
            return;
        };
        let input = operation.input.as_ref().map(|i| i.shape);
        let each = change.items.as_ref().and_then(|i| i.each.as_ref());
        let named = change.key.iter().chain(&change.fixed);
        let of_state = change.settings.keys().chain(change.requires.keys());
        for path in named.chain(of_state).chain(&change.ignored).chain(each) {
            self.parameter(input, path);
        }
        if change.replaces {
            self.replaces(input);
        }
        if let Some(before) = &change.retires {
            self.operation(before);
            // what it schedules can be called off
            if change.inverse.is_empty() {
                let message = "`retires` needs an `inverse`: the call that cancels it";
                self.wrong(message.to_owned(), None);
            }
        }
        for place in change.code.keys() {
            self.place(input, place);
        }
        let Some(read) = self.operation(&change.read.call) else {
            return;
        };
        self.params(&read, &change.read.params);
        let output = read.output.as_ref().map(|o| o.shape);
        let Some(state) = self.state(output, &change.read.from) else {
            return;
        };
        for setting in change.settings.values() {
            self.state(Some(state), &setting.from);
            if let Some(pending) = &setting.pending {
                self.state(Some(state), pending);
            }
        }
        for path in change.requires.values().flat_map(Map::keys) {
            self.state(Some(state), path);
        }
        for (path, _) in &change.makes {
            self.state(Some(state), path);
        }
        if let Some(items) = &change.items {
            self.items(items, input, state);
        }
        for inverse in &change.inverse {
            self.inverse(inverse, state);
        }
    }

    /// The list in the state is one, and so is the parameter where its elements are structures; both have the members that
    /// tell elements apart.
    fn items(&mut self, items: &Items, input: Option<ShapeId>, state: ShapeId) {
        let Some(list) = self.state(Some(state), &items.from) else {
            return;
        };
        if self.kind(list) != Some(ShapeKind::List) {
            self.wrong(format!("`{}` is not a list", items.from), None);
            return;
        }
        if items.by.is_empty() {
            return;
        }
        let each = items.each.as_deref().unwrap_or_default();
        let given = each.split('.').try_fold(input, |at, name| {
            let (_, member) = self.model.shape(at?)?.member(name)?;
            Some(Some(member.shape))
        });
        for (place, list) in [(items.from.as_str(), Some(list)), (each, given.flatten())] {
            let element = self.element(place, list, &items.by);
            for (name, inner) in &items.inner {
                let of = element.and_then(|e| self.model.shape(e)?.member(name).map(|m| m.1.shape));
                let members: Vec<String> = inner.by.iter().chain(&inner.with).cloned().collect();
                self.element(&format!("{place}[].{name}"), of, &members);
            }
        }
    }

    /// The shape of a list's elements, which must be structures with these members.
    fn element(
        &mut self,
        place: &str,
        list: Option<ShapeId>,
        members: &[String],
    ) -> Option<ShapeId> {
        let list = list.and_then(|l| self.model.shape(l));
        let element = list.and_then(|l| l.element.as_ref()).map(|e| e.shape);
        let Some(of) = element.and_then(|e| self.model.shape(e)).cloned() else {
            self.wrong(format!("`{place}` is not a list"), None);
            return None;
        };
        for name in members {
            if of.member(name).is_none() {
                let hint = suggest::hint(name, of.members.iter().map(|m| m.name.as_str()));
                self.wrong(format!("elements of `{place}` have no `{name}`"), hint);
            }
        }
        element
    }

    /// An operation that resets what it is not given: every parameter that it takes must be spoken of.
    fn replaces(&mut self, input: Option<ShapeId>) {
        let change = self.change;
        let spoken: Vec<&String> = change
            .key
            .iter()
            .chain(&change.fixed)
            .chain(&change.ignored)
            .chain(change.settings.keys())
            .collect();
        let Some(input) = input.and_then(|i| self.model.shape(i)).cloned() else {
            return;
        };
        for member in &input.members {
            let inside = format!("{}.", member.name);
            if spoken.iter().any(|p| **p == member.name) {
                continue;
            }
            let of = self.model.shape(member.shape).cloned();
            let inner: Vec<String> = match of {
                Some(of) if spoken.iter().any(|p| p.starts_with(&inside)) => {
                    let names = of.members.iter().map(|m| format!("{inside}{}", m.name));
                    names.collect()
                }
                _ => vec![member.name.clone()],
            };
            for path in inner {
                let below = format!("{path}.");
                if !spoken.iter().any(|p| **p == path || p.starts_with(&below)) {
                    self.wrong(
                        format!("`{path}` would be reset: it must be a setting, or `ignored`"),
                        None,
                    );
                }
            }
        }
    }

    fn inverse(&mut self, inverse: &Inverse, state: ShapeId) {
        let paths = inverse.missing.iter().chain(inverse.when.keys());
        for path in paths.chain(inverse.leaves.keys()) {
            self.state(Some(state), path);
        }
        if let Some(operation) = self.operation(&inverse.call) {
            self.params(&operation, &inverse.params);
        }
    }

    fn kind(&self, id: ShapeId) -> Option<ShapeKind> {
        self.model.shape(id).map(|s| s.kind)
    }

    /// Whether a dotted path leads into the input.
    fn parameter(&mut self, input: Option<ShapeId>, path: &str) {
        let mut shape = input;
        for name in path.split('.') {
            let Some(of) = shape.and_then(|s| self.model.shape(s)) else {
                self.wrong(format!("takes no parameter `{path}`"), None);
                return;
            };
            if of.kind == ShapeKind::Map {
                shape = of.element.as_ref().map(|e| e.shape);
                continue;
            }
            let Some((_, member)) = of.member(name) else {
                let known = of.members.iter().map(|m| m.name.as_str());
                let hint = suggest::hint(name, known);
                self.wrong(format!("takes no parameter `{path}`"), hint);
                return;
            };
            shape = Some(member.shape);
        }
    }

    /// Whether an entry of `code` is for a parameter: `.`, `Key=value`, or a path that passes through lists.
    fn place(&mut self, input: Option<ShapeId>, place: &str) {
        let of_key = place.split_once('=').map(|(name, _)| name);
        let by_key = of_key.is_some_and(|name| self.change.key.iter().any(|k| k == name));
        if place == "." || by_key {
            return;
        }
        let mut shape = input;
        for step in parse_state_path(place).unwrap_or_default() {
            let StateStep::Member(name) = step else {
                continue;
            };
            let mut of = shape.and_then(|s| self.model.shape(s));
            while let Some(list) = of.filter(|s| s.kind == ShapeKind::List) {
                of = list
                    .element
                    .as_ref()
                    .and_then(|e| self.model.shape(e.shape));
            }
            let Some(of) = of else {
                self.wrong(format!("`code` names no parameter: `{place}`"), None);
                return;
            };
            if of.kind == ShapeKind::Map {
                shape = of.element.as_ref().map(|e| e.shape);
                continue;
            }
            let Some((_, member)) = of.member(&name) else {
                let hint = suggest::hint(&name, of.members.iter().map(|m| m.name.as_str()));
                self.wrong(format!("`code` names no parameter: `{place}`"), hint);
                return;
            };
            shape = Some(member.shape);
        }
    }

    /// What a path into the state leads to.
    fn state(&mut self, start: Option<ShapeId>, path: &str) -> Option<ShapeId> {
        let mut shape = start?;
        // The file's parser has told what is no path.
        for step in parse_state_path(path).ok()? {
            let of = self.model.shape(shape)?;
            let element = of.element.as_ref().map(|e| e.shape);
            let next = match (&step, of.kind) {
                (StateStep::Member(_), ShapeKind::Map) => element,
                (StateStep::Member(name), ShapeKind::Structure | ShapeKind::Union) => {
                    of.member(name).map(|(_, m)| m.shape)
                }
                (StateStep::Only | StateStep::Every, ShapeKind::List) => element,
                (StateStep::Where(name, _), ShapeKind::List) => {
                    let inner = element.and_then(|e| self.model.shape(e));
                    element.filter(|_| inner.is_some_and(|i| i.member(name).is_some()))
                }
                _ => None,
            };
            let Some(next) = next else {
                let (place, members) = (of.name.clone(), of.members.clone());
                let hint = match &step {
                    StateStep::Member(name) => {
                        suggest::hint(name, members.iter().map(|m| m.name.as_str()))
                    }
                    _ => None,
                };
                let message =
                    format!("the path `{path}` does not fit the answer: `{place}` stops it");
                self.wrong(message, hint);
                return None;
            };
            shape = next;
        }
        Some(shape)
    }

    fn params(&mut self, operation: &Operation, params: &Map<String, Json>) {
        let input = self
            .model
            .operation(&self.change.operation)
            .and_then(|o| o.input.as_ref())
            .and_then(|i| self.model.shape(i.shape))
            .cloned();
        let mut texts = Vec::new();
        params
            .values()
            .for_each(|v| crate::template::texts_of(v, &mut texts));
        for text in texts {
            for name in placeholders(text).unwrap_or_default() {
                let first = name.split('.').next().unwrap_or_default();
                let known = matches!(name, "items")
                    || first == "before"
                    || input.as_ref().is_some_and(|i| i.member(first).is_some());
                if !known {
                    let message = format!("`${{{name}}}` is no parameter of the operation");
                    self.wrong(message, None);
                }
            }
        }
        let params: Map<String, Json> = params
            .iter()
            .map(|(name, value)| (name.clone(), lowered(value)))
            .collect();
        let of_call: Vec<Problem> = params::problems(self.model, operation, &params, &[]);
        for problem in of_call {
            self.wrong(problem.message, problem.hint);
        }
    }
}

/// The same with placeholders as templates of tables are written, which the check of parameters knows.
fn lowered(value: &Json) -> Json {
    match value {
        Json::String(text) => {
            let mut text = text.clone();
            let names: Vec<String> = placeholders(&text)
                .unwrap_or_default()
                .into_iter()
                .map(str::to_owned)
                .collect();
            for name in names {
                let plain = snake_case(&name.replace('.', "_"));
                text = text.replace(&format!("${{{name}}}"), &format!("${{{plain}}}"));
            }
            Json::String(text)
        }
        Json::Array(items) => items.iter().map(lowered).collect(),
        Json::Object(map) => Json::Object(
            map.iter()
                .map(|(name, value)| (name.clone(), lowered(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}
