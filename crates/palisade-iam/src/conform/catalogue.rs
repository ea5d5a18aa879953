//! Cases about the action catalogue.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Fields, Refusal, get, one, text};
use crate::catalogue::{Catalogue, Expansion};
use crate::glob::Pattern;
use crate::policy::{Effect, Policy};

fn catalogue() -> Result<&'static Catalogue, Refusal> {
    Catalogue::embedded().map_err(|e| Refusal::Broken(e.to_string()))
}

pub(super) fn expand_action(case: &Value) -> Fields {
    let error = |name: &str| one("error", name);
    match catalogue()?.expand(text(case, &["request", "pattern"])?) {
        Expansion::Malformed => error("ValueError"),
        Expansion::UnknownService => error("UnknownPrefixException"),
        Expansion::UnknownAction => error("UnknownActionException"),
        Expansion::Actions(actions) => {
            let mut out = Map::new();
            out.insert("count".to_owned(), json!(actions.len()));
            out.insert(
                "actions".to_owned(),
                if actions.len() > 50 {
                    Value::Null
                } else {
                    json!(actions)
                },
            );
            Ok(out)
        }
    }
}

/// The actions that a policy leaves after its denies, without regard to resources and conditions.
pub(super) fn effective_actions(case: &Value) -> Fields {
    let catalogue = catalogue()?;
    let (mut allowed, mut denied) = (BTreeSet::new(), BTreeSet::new());
    for document in get(case, &["policies", "identity"])
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        // A document that AWS refuses gives nothing.
        let Ok(policy) = Policy::parse(&document.to_string()) else {
            continue;
        };
        for statement in &policy.statements {
            let into = if statement.effect == Effect::Allow {
                &mut allowed
            } else {
                &mut denied
            };
            if statement.action.negated {
                into.extend(
                    catalogue
                        .matching(&Pattern::Any)
                        .into_iter()
                        .filter(|a| statement.action.matches(&a.to_ascii_lowercase())),
                );
            } else {
                into.extend(
                    statement
                        .action
                        .patterns
                        .iter()
                        .flat_map(|p| catalogue.matching(p)),
                );
            }
        }
    }
    one(
        "actions",
        allowed.difference(&denied).cloned().collect::<Vec<_>>(),
    )
}
