//! From a fix call, the change that describes it and the state that was read, to a step: before → after, and the inverse.
use crate::json::{find, input_shape, is_ambiguous, merge, param, prune, reached, set_param};
use crate::read::{State, is_free};
use crate::template::Scope;
use crate::{Attribute, Call, Read, Step, policy};
use palisade_catalog::{Change, Inverse, Items, Risk, Setting, parse_state_path};
use palisade_model::Model;
use serde_json::{Map, Value as Json};

/// Why there is no step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoStep {
    /// The state is as it is wanted.
    Nothing,
    /// It cannot be said exactly what would happen.
    Unclear(String),
}

impl From<String> for NoStep {
    fn from(reason: String) -> Self {
        Self::Unclear(reason)
    }
}

/// The call that describes the state of a call.
///
/// # Errors
/// When the call lacks a parameter that the read needs.
pub(crate) fn read_of(change: &Change, params: &Map<String, Json>) -> Result<Read, String> {
    let scope = Scope::of(params);
    Ok(Read {
        call: Call {
            service: change.service.clone(),
            operation: change.read.call.clone(),
            params: scope.map(&change.read.params)?,
        },
        from: scope.text(&change.read.from)?,
        absent: change.read.absent.clone(),
    })
}

/// The risk of a call, as far as it is known before the state is read.
pub(crate) fn risk_of(change: &Change, params: &Map<String, Json>) -> Risk {
    let named = change
        .settings
        .iter()
        .filter(|(path, _)| param(params, path).is_some());
    let worst = named.filter_map(|(_, s)| s.risk).max();
    worst.unwrap_or(change.risk).max(change.risk)
}

/// Whether the change says what every parameter of a call is for.
///
/// # Errors
/// The parameter that it says nothing about.
pub fn covers(change: &Change, params: &Map<String, Json>) -> Result<(), String> {
    wanted(change, params).map(|_| ())
}

/// Makes the step.
pub(crate) fn compile(
    change: &Change,
    model: &Model,
    params: &Map<String, Json>,
    state: &State,
) -> Result<Step, NoStep> {
    let mut work = Work {
        change,
        model,
        params,
        state,
        call: params.clone(),
        attributes: Vec::new(),
        back: Ok(Map::new()),
        items: None,
        lost: change.lost.iter().cloned().collect(),
    };
    work.requires()?;
    work.settings()?;
    work.makes()?;
    let listed = |i: &&Items| i.each.as_ref().is_none_or(|e| param(params, e).is_some());
    if let Some(items) = change.items.as_ref().filter(listed) {
        if work.attributes.iter().any(|a| !a.guard) {
            let name = &change.operation;
            return Err(NoStep::Unclear(format!(
                "`{name}` can either set something or change a list, not both at once"
            )));
        }
        work.items(items)?;
    }
    let changes = |a: &Attribute| !reached(&a.before, &a.after);
    if !work.attributes.iter().any(changes) {
        return Err(NoStep::Nothing);
    }
    let inverse = work.inverse()?;
    let call = Call {
        service: change.service.clone(),
        operation: change.operation.clone(),
        params: work.call,
    };
    // of elements that are named by their members only those are sent that are there
    let narrowed = change.items.as_ref().is_some_and(|i| !i.by.is_empty());
    let named = if narrowed { &call.params } else { params };
    let mut lost = work.lost;
    lost.dedup();
    Ok(Step {
        about: change.about.clone(),
        cli: String::new(),
        // a user's change file may say nothing about some of the parameters
        code: change.code_of(named).unwrap_or_default(),
        read: read_of(change, params)?,
        call,
        attributes: work.attributes,
        inverse,
        lost,
        settle: change.settle,
    })
}

/// The settings that a call names, with the values that it wants.
pub(crate) fn wanted<'c, 'p>(
    change: &'c Change,
    params: &'p Map<String, Json>,
) -> Result<Vec<(&'c str, &'c Setting, &'p Json)>, String> {
    let mut found = Vec::new();
    let mut open: Vec<(String, &'p Json)> = params.iter().map(|(n, v)| (n.clone(), v)).collect();
    open.reverse();
    while let Some((path, value)) = open.pop() {
        let each = change.items.as_ref().and_then(|i| i.each.as_deref());
        if change.key.contains(&path) || change.fixed.contains(&path) || each == Some(path.as_str())
        {
            continue;
        }
        if let Some((name, setting)) = change.settings.get_key_value(&path) {
            found.push((name.as_str(), setting, value));
        } else if let Some(map) = value.as_object().filter(|m| !m.is_empty()) {
            let inner = map.iter().map(|(n, v)| (format!("{path}.{n}"), v));
            open.extend(inner.rev());
        } else {
            return Err(format!(
                "the change file of `{}:{}` says nothing about its parameter `{path}`",
                change.service, change.operation
            ));
        }
    }
    Ok(found)
}

struct Work<'a> {
    change: &'a Change,
    model: &'a Model,
    params: &'a Map<String, Json>,
    state: &'a State,
    /// What is sent.
    call: Map<String, Json>,
    attributes: Vec<Attribute>,
    /// The settings' parameters of the inverse call, or why there is none.
    back: Result<Map<String, Json>, String>,
    /// What was added or taken away.
    items: Option<Json>,
    lost: Vec<String>,
}

impl Work<'_> {
    /// The value in the state, and the path that leads there.
    fn at(&self, path: &str) -> Result<(String, Option<Json>), String> {
        let path = Scope::of(self.params).text(path)?;
        let steps = parse_state_path(&path)?;
        let found = find(self.state.json(), &steps).map_err(|lost| lost.to_string())?;
        Ok((path, found))
    }

    /// What the state must be for the call to do only what it says.
    fn requires(&mut self) -> Result<(), NoStep> {
        for (parameter, states) in &self.change.requires {
            if param(self.params, parameter).is_none() {
                continue;
            }
            for (path, required) in states {
                let (from, found) = self.at(path)?;
                let found = found.unwrap_or(Json::Null);
                if !is_free(&found, required) {
                    return Err(NoStep::Unclear(format!(
                        "`{path}` is {found}: the call would change more than it says"
                    )));
                }
                self.attributes.push(Attribute {
                    name: path.clone(),
                    from,
                    before: required.clone(),
                    after: required.clone(),
                    back: None,
                    pending: None,
                    chained: false,
                    guard: true,
                });
            }
        }
        Ok(())
    }

    fn settings(&mut self) -> Result<(), NoStep> {
        let wanted = wanted(self.change, self.params)?;
        for (path, setting, value) in &wanted {
            self.setting(path, setting, value)?;
        }
        if self.change.replaces {
            for (path, setting) in &self.change.settings {
                if param(self.params, path).is_none() {
                    self.kept(path, setting)?;
                }
            }
        }
        Ok(())
    }

    /// A setting that the call would reset: it is sent as it is.
    fn kept(&mut self, path: &str, setting: &Setting) -> Result<(), NoStep> {
        let (from, before) = self.at(&setting.from)?;
        let value = before.clone().unwrap_or(Json::Null);
        if let Some(before) = &before {
            let sent = self.as_param(setting, before)?;
            set_param(&mut self.call, path, sent.clone());
            self.back_with(path, sent);
        }
        self.attributes.push(Attribute {
            name: path.to_owned(),
            from,
            before: value.clone(),
            after: value,
            back: None,
            pending: None,
            chained: false,
            guard: false,
        });
        Ok(())
    }

    fn setting(&mut self, path: &str, setting: &Setting, wanted: &Json) -> Result<(), NoStep> {
        if let Some(why) = &setting.forever {
            self.back = Err(why.clone());
        }
        let (from, before) = self.at(&setting.from)?;
        if let Some(pending) = &setting.pending
            && let Some(waiting) = self.at(pending)?.1
        {
            return Err(NoStep::Unclear(format!(
                "`{path}` is about to become {waiting} already: wait until it is"
            )));
        }
        if let Some(by) = setting.by.as_deref().filter(|_| !setting.whole) {
            return self.elements(path, setting, wanted, by, &from, before.as_ref());
        }
        let shape = input_shape(self.model, &self.change.operation, path);
        let kept = before.as_ref().map(|b| prune(self.model, shape, b));
        let document = wanted.as_str().filter(|t| t.starts_with('{'));
        let (sent, after) = if let Some(text) = document.filter(|_| setting.policy) {
            let there = before.as_ref().and_then(Json::as_str);
            match policy::with_statements(there, text)? {
                Some(merged) => (Json::from(merged.as_str()), Json::from(merged)),
                None => (
                    before.clone().unwrap_or(Json::Null),
                    before.clone().unwrap_or(Json::Null),
                ),
            }
        } else if setting.whole {
            let there = kept.as_ref().unwrap_or(&Json::Null);
            if is_ambiguous(there, wanted, setting.by.as_deref()) {
                return Err(NoStep::Unclear(format!(
                    "`{path}` is a list of several, and it cannot be said which one is meant"
                )));
            }
            let whole = merge(
                kept.as_ref().unwrap_or(&Json::Null),
                wanted,
                setting.by.as_deref(),
            );
            (whole.clone(), whole)
        } else {
            (wanted.clone(), described(setting, wanted)?)
        };
        set_param(&mut self.call, path, sent);
        let mut back = None;
        match (&before, &setting.absent) {
            (Some(before), _) => {
                let value = match kept.filter(|_| setting.whole) {
                    Some(whole) => whole,
                    None => self.as_param(setting, before)?,
                };
                self.back_with(path, value);
            }
            (None, _) if self.change.replaces => {}
            (None, Some(absent)) => {
                back = Some(described(setting, absent)?);
                self.back_with(path, absent.clone());
            }
            (None, None) => {
                if self.back.is_ok() {
                    self.back = Err(format!(
                        "`{path}` was not set, and the call cannot unset it"
                    ));
                }
            }
        }
        if setting.absent.is_none() || before.is_none() {
            self.lost.extend(setting.lost.clone());
        }
        self.attributes.push(Attribute {
            name: path.to_owned(),
            from,
            before: before.unwrap_or(Json::Null),
            after,
            back,
            pending: setting.pending.clone(),
            chained: false,
            guard: false,
        });
        Ok(())
    }

    /// A list of which the call touches only the elements that it names: each is an attribute of its own.
    fn elements(
        &mut self,
        path: &str,
        setting: &Setting,
        wanted: &Json,
        by: &str,
        from: &str,
        before: Option<&Json>,
    ) -> Result<(), NoStep> {
        let none = Vec::new();
        let there = before.and_then(Json::as_array).unwrap_or(&none);
        let elements = wanted
            .as_array()
            .ok_or_else(|| format!("`{path}` is no list"))?;
        let mut back = Vec::new();
        for element in elements {
            let (Some(key), Some(members)) =
                (element.get(by).and_then(Json::as_str), element.as_object())
            else {
                return Err(NoStep::Unclear(format!(
                    "an element of `{path}` has no `{by}`"
                )));
            };
            let old = there
                .iter()
                .find(|e| e.get(by).and_then(Json::as_str) == Some(key));
            let mut prior = Map::new();
            prior.insert(by.to_owned(), Json::from(key));
            for (member, value) in members.iter().filter(|(m, _)| *m != by) {
                let was = old.and_then(|o| o.get(member)).filter(|v| !v.is_null());
                let unset = setting.absent.as_ref().and_then(|a| a.get(member));
                match was.or(unset) {
                    Some(was) => {
                        prior.insert(member.clone(), was.clone());
                    }
                    None if self.back.is_ok() => {
                        self.back = Err(format!(
                            "`{key}` of `{path}` was not set, and the call cannot unset it"
                        ));
                    }
                    None => {}
                }
                self.attributes.push(Attribute {
                    name: format!("{path}[{by}={key}].{member}"),
                    from: format!("{from}[{by}={key}].{member}"),
                    before: was.cloned().unwrap_or(Json::Null),
                    after: value.clone(),
                    back: unset.filter(|_| was.is_none()).cloned(),
                    pending: None,
                    chained: false,
                    guard: false,
                });
            }
            back.push(Json::Object(prior));
        }
        self.lost.extend(setting.lost.clone());
        self.back_with(path, Json::Array(back));
        Ok(())
    }

    fn back_with(&mut self, path: &str, value: Json) {
        if let Ok(back) = &mut self.back {
            set_param(back, path, value);
        }
    }

    /// What the parameter takes to make the state say this.
    fn as_param(&self, setting: &Setting, state: &Json) -> Result<Json, String> {
        if setting.values.is_empty() {
            return Ok(state.clone());
        }
        let text = state.as_str().unwrap_or_default();
        let known = setting.values.get(text).cloned();
        known.ok_or_else(|| format!("AWS says `{text}`, which the change file does not know"))
    }

    fn makes(&mut self) -> Result<(), NoStep> {
        for (path, after) in &self.change.makes {
            let (from, before) = self.at(path)?;
            self.attributes.push(Attribute {
                name: path.clone(),
                from,
                before: before.unwrap_or(Json::Null),
                after: after.clone(),
                back: None,
                pending: None,
                chained: false,
                guard: false,
            });
        }
        if !self.change.makes.is_empty() {
            self.back = Err("no call takes it back".to_owned());
        }
        Ok(())
    }

    fn items(&mut self, items: &Items) -> Result<(), NoStep> {
        let (from, before) = self.at(&items.from)?;
        let there = match &before {
            Some(Json::Array(list)) => list.clone(),
            _ => Vec::new(),
        };
        let made = crate::items::make(items, self.params, &there)?;
        if let (Some(sent), Some(each)) = (made.sent, &items.each) {
            set_param(&mut self.call, each, Json::Array(sent));
        }
        self.attributes.push(Attribute {
            name: from.clone(),
            from,
            before: Json::Array(there),
            after: Json::Array(made.after),
            back: None,
            pending: None,
            chained: false,
            guard: false,
        });
        self.items = Some(Json::Array(made.affected));
        self.back = Err("no call takes it back".to_owned());
        Ok(())
    }

    fn inverse(&mut self) -> Result<Option<Call>, NoStep> {
        for inverse in &self.change.inverse {
            if !self.holds(inverse)? {
                continue;
            }
            let scope = Scope {
                items: self.items.as_ref(),
                before: Some(self.state.json()),
                ..Scope::of(self.params)
            };
            let params = scope.map(&inverse.params)?;
            self.lost.extend(inverse.lost.clone());
            for (path, value) in &inverse.leaves {
                let attribute = self.attributes.iter_mut().find(|a| a.from == *path);
                if let Some(attribute) = attribute {
                    attribute.back = Some(value.clone());
                }
            }
            return Ok(Some(Call {
                service: self.change.service.clone(),
                operation: inverse.call.clone(),
                params,
            }));
        }
        match &self.back {
            Ok(back) => {
                let mut params = Map::new();
                for path in self.change.key.iter().chain(&self.change.fixed) {
                    if let Some(value) = param(self.params, path) {
                        set_param(&mut params, path, value.clone());
                    }
                }
                for (name, value) in back {
                    match (params.get_mut(name), value) {
                        (Some(Json::Object(there)), Json::Object(more)) => {
                            there.extend(more.clone());
                        }
                        _ => {
                            params.insert(name.clone(), value.clone());
                        }
                    }
                }
                Ok(Some(Call {
                    service: self.change.service.clone(),
                    operation: self.change.operation.clone(),
                    params,
                }))
            }
            Err(why) => {
                if self.change.lost.is_none() {
                    self.lost.push(why.clone());
                }
                Ok(None)
            }
        }
    }

    fn holds(&self, inverse: &Inverse) -> Result<bool, String> {
        let of_items = Json::Object(inverse.params.clone())
            .to_string()
            .contains("${items}");
        if of_items && self.items.is_none() {
            return Ok(false);
        }
        if inverse.absent && !self.is_absent() {
            return Ok(false);
        }
        for path in &inverse.missing {
            if self.at(path)?.1.is_some() {
                return Ok(false);
            }
        }
        for (path, value) in &inverse.when {
            if self.at(path)?.1.as_ref() != Some(value) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Nothing at all was set: no state, or a state in which every attribute is missing.
    fn is_absent(&self) -> bool {
        let mut set = self.attributes.iter().filter(|a| !a.guard);
        *self.state == State::Absent || set.all(|a| a.before.is_null())
    }
}

/// What the state says when the parameter has this value.
fn described(setting: &Setting, value: &Json) -> Result<Json, String> {
    if setting.values.is_empty() {
        return Ok(value.clone());
    }
    let known = setting.values.iter().find(|(_, v)| *v == value);
    known
        .map(|(text, _)| Json::from(text.as_str()))
        .ok_or_else(|| format!("the change file does not know the value `{value}`"))
}
