//! String templates: `{name}`, `{name#attribute#inner}`, and doubled braces for themselves.
use super::functions::attribute;
use super::rules::Scope;
use serde_json::Value as Json;

pub(super) fn fill(template: &str, scope: &Scope) -> String {
    let mut out = String::with_capacity(template.len() + 16);
    let mut rest = template;
    while let Some((before, after)) = rest.find(['{', '}']).and_then(|i| rest.split_at_checked(i)) {
        out.push_str(before);
        if after.starts_with("{{") || after.starts_with("}}") {
            out.extend(after.chars().next());
            rest = after.get(2..).unwrap_or_default();
            continue;
        }
        let Some((reference, after)) = after.strip_prefix('{').and_then(|a| a.split_once('}'))
        else {
            rest = after;
            break;
        };
        let (name, path) = reference
            .split_once('#')
            .map_or((reference, None), |(n, p)| (n, Some(p)));
        let value = scope
            .get(name)
            .and_then(|v| path.map_or(Some(v), |path| attribute(v, path, '#')));
        match value {
            Some(Json::String(text)) => out.push_str(text),
            Some(other) => out.push_str(&other.to_string()),
            None => {}
        }
        rest = after;
    }
    out.push_str(rest);
    out
}
