//! Whether a plan's calls are what the change files make of them: a plan is a file, and a file can be written by hand.
use crate::compile::{covers, read_of, wanted};
use crate::json::param;
use crate::template::Scope;
use crate::{Attribute, Call, FixError, Item, LEAST_DAYS, Plan, Step};
use palisade_catalog::{Catalog, Change, Inverse, Items};
use serde_json::{Map, Value as Json};

/// Refuses what no change file describes, and what one describes otherwise.
///
/// # Errors
/// The call, and what about it does not fit.
pub(crate) fn check_calls(
    item: &Item,
    plan: Option<&Plan>,
    catalog: &Catalog,
) -> Result<(), FixError> {
    for step in &item.steps {
        let change = catalog
            .changes
            .get(&step.call.service)
            .and_then(|of| of.get(&step.call.operation))
            .ok_or_else(|| FixError::UnknownCall {
                item: item.number,
                call: step.call.name(),
            })?;
        if change.retires.is_some() {
            retires(item, step, plan)?;
        }
        fits(change, step).map_err(|reason| FixError::Unfit {
            item: item.number,
            call: step.call.name(),
            reason,
        })?;
    }
    Ok(())
}

/// A call that destroys after a while: only in a plan of its own, for the key that was observed.
fn retires(item: &Item, step: &Step, plan: Option<&Plan>) -> Result<(), FixError> {
    let alone = plan.filter(|p| p.items.len() == 1 && item.steps.len() == 1);
    let observed = alone.and_then(|p| p.retirement.as_ref());
    let named = |key: &str| step.call.params.values().any(|v| v.as_str() == Some(key));
    let holds = observed.is_some_and(|o| {
        let long = i64::from(o.days) * 86_400_000_000;
        o.days >= LEAST_DAYS
            && named(&o.key)
            && o.region == item.region
            && o.until.as_micros().saturating_sub(o.disabled.as_micros()) >= long
    });
    if holds {
        return Ok(());
    }
    Err(FixError::Retire(format!(
        "the plan's item {} calls `{}`, which destroys: only a plan of `palisade fix retire` may, after the key's use was observed",
        item.number,
        step.call.name()
    )))
}

fn fits(change: &Change, step: &Step) -> Result<(), String> {
    let params = &step.call.params;
    covers(change, params)?;
    if read_of(change, params)? != step.read {
        return Err("it reads another state than the one that it changes".to_owned());
    }
    attributes(change, step)?;
    match &step.inverse {
        None => Ok(()),
        Some(inverse) => takes_back(change, step, inverse),
    }
}

/// Everything that the call sets is compared before it is set, where AWS describes it.
fn attributes(change: &Change, step: &Step) -> Result<(), String> {
    let params = &step.call.params;
    let scope = Scope::of(params);
    let has = |name: &str, path: &str| -> Result<bool, String> {
        let from = scope.text(path)?;
        let elements = format!("{name}[");
        let inside = format!("{from}[");
        Ok(step.attributes.iter().filter(|a| !a.guard).any(|a| {
            (a.name == name && a.from == from)
                || (a.name.starts_with(&elements) && a.from.starts_with(&inside))
        }))
    };
    let missing = |name: &str| Err(format!("`{name}` is not compared before it is set"));
    for (name, setting, _) in wanted(change, params)? {
        if !has(name, &setting.from)? {
            return missing(name);
        }
    }
    for (path, _) in &change.makes {
        if !has(path, path)? {
            return missing(path);
        }
    }
    if let Some(items) = listed(change, params) {
        let from = scope.text(&items.from)?;
        let Some(list) = step.attributes.iter().find(|a| !a.guard && a.from == from) else {
            return missing(&from);
        };
        let made = crate::items::make(items, params, elements(&list.before))?;
        let each = items.each.as_deref().and_then(|each| param(params, each));
        let sent = made.sent.map(Json::Array);
        if list.after != Json::Array(made.after) || (sent.is_some() && sent.as_ref() != each) {
            return Err(format!(
                "it makes something else of `{from}` than the plan says"
            ));
        }
    }
    for (parameter, states) in &change.requires {
        if param(params, parameter).is_none() {
            continue;
        }
        for (path, required) in states {
            let from = scope.text(path)?;
            let guards = |a: &Attribute| a.guard && a.from == from && a.before == *required;
            if !step.attributes.iter().any(guards) {
                return missing(path);
            }
        }
    }
    Ok(())
}

/// The list that a call with these parameters changes.
fn listed<'c>(change: &'c Change, params: &Map<String, Json>) -> Option<&'c Items> {
    let named = |i: &&Items| i.each.as_ref().is_none_or(|e| param(params, e).is_some());
    change.items.as_ref().filter(named)
}

fn elements(value: &Json) -> &[Json] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// What a call adds to a list or takes from it.
fn affected(change: &Change, step: &Step) -> Option<Json> {
    let params = &step.call.params;
    let items = listed(change, params)?;
    let from = Scope::of(params).text(&items.from).ok()?;
    let list = step
        .attributes
        .iter()
        .find(|a| !a.guard && a.from == from)?;
    let made = crate::items::make(items, params, elements(&list.before)).ok()?;
    Some(Json::Array(made.affected))
}

/// The inverse is one that the change file has, for the same resource, and only where it may be.
fn takes_back(change: &Change, step: &Step, inverse: &Call) -> Result<(), String> {
    if inverse.service != change.service {
        return Err(format!("`{}` does not take it back", inverse.name()));
    }
    let items = affected(change, step);
    let declared = change.inverse.iter().any(|known| {
        known.call == inverse.operation && is_declared(known, step, inverse, items.as_ref())
    });
    if declared {
        return Ok(());
    }
    let plain = inverse.operation == change.operation
        && covers(change, &inverse.params).is_ok()
        && change
            .key
            .iter()
            .chain(&change.fixed)
            .all(|path| param(&inverse.params, path) == param(&step.call.params, path));
    if plain {
        return Ok(());
    }
    Err(format!(
        "`{}` with these parameters does not take it back",
        inverse.name()
    ))
}

fn is_declared(known: &Inverse, step: &Step, inverse: &Call, items: Option<&Json>) -> bool {
    let scope = Scope {
        items,
        ..Scope::of(&step.call.params)
    };
    let mut set = step.attributes.iter().filter(|a| !a.guard);
    let was_absent = !known.absent || set.all(|a| is_nothing(&a.before));
    let were_missing = known.missing.iter().all(|path| {
        scope.text(path).is_ok_and(|from| {
            let at = step.attributes.iter().find(|a| a.from == from);
            at.is_some_and(|a| is_nothing(&a.before))
        })
    });
    was_absent && were_missing && is_filled(&known.params, &inverse.params, scope)
}

fn is_nothing(value: &Json) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

/// Whether parameters are these templates, filled: with the call's parameters and what it adds or
/// takes away as they are, with the state freely.
fn is_filled(template: &Map<String, Json>, params: &Map<String, Json>, scope: Scope<'_>) -> bool {
    template.len() == params.len()
        && template.iter().all(|(name, template)| {
            params
                .get(name)
                .is_some_and(|value| is_value(template, value, scope))
        })
}

fn is_value(template: &Json, value: &Json, scope: Scope<'_>) -> bool {
    match (template, value) {
        (Json::Object(template), Json::Object(value)) => is_filled(template, value, scope),
        (Json::Array(template), Json::Array(value)) => {
            template.len() == value.len()
                && template
                    .iter()
                    .zip(value)
                    .all(|(t, v)| is_value(t, v, scope))
        }
        (Json::String(text), _) if text.starts_with("${before.") => true,
        _ => scope.json(template).is_ok_and(|filled| filled == *value),
    }
}
