//! Filling templates: of fix blocks from rows, of change files from parameters.
use palisade_catalog::{Check, TemplatePart, parse_template, placeholders};
use serde_json::{Map, Value as Json};

/// What reports show is cut after so many characters, and ends with a dot of three then.
const LONGEST: usize = 500;

/// A fix call's parameters with a row's values and the check's parameters.
pub(crate) fn fill_row(
    params: &Map<String, Json>,
    row: &Map<String, Json>,
    check: &Check,
) -> Result<Map<String, Json>, String> {
    let filled = row_value(&Json::Object(params.clone()), row, check)?;
    match filled {
        Json::Object(map) => Ok(map),
        _ => Ok(Map::new()),
    }
}

fn row_value(value: &Json, row: &Map<String, Json>, check: &Check) -> Result<Json, String> {
    match value {
        Json::String(text) => row_text(text, row, check),
        Json::Array(items) => items.iter().map(|v| row_value(v, row, check)).collect(),
        Json::Object(map) => map
            .iter()
            .map(|(name, v)| Ok((name.clone(), row_value(v, row, check)?)))
            .collect::<Result<Map<_, _>, String>>()
            .map(Json::Object),
        other => Ok(other.clone()),
    }
}

fn row_text(text: &str, row: &Map<String, Json>, check: &Check) -> Result<Json, String> {
    let parts = parse_template(text).map_err(|e| e.to_string())?;
    let value = |part: &TemplatePart| -> Result<Json, String> {
        let found = match part {
            TemplatePart::Text(text) => return Ok(Json::from(text.as_str())),
            TemplatePart::Column(name) => row.get(name).cloned(),
            TemplatePart::Parameter(name) => check.params.get(name).map(|p| p.default.to_json()),
            TemplatePart::Parent(name) => return Err(format!("`parent.{name}` is not known here")),
        };
        if let (TemplatePart::Parameter(name), Some(Json::String(text))) = (part, &found)
            && text.is_empty()
        {
            return Err(format!(
                "says where or what only you know: `--param {}.{name}=…`",
                check.id
            ));
        }
        match found {
            None | Some(Json::Null) => Err(format!("the row has no value for `{text}`")),
            Some(Json::String(long)) if long.ends_with('…') && long.chars().count() > LONGEST => {
                Err(format!("the value for `{text}` is too long to be sure of"))
            }
            Some(value) => Ok(value),
        }
    };
    if let [only] = parts.as_slice() {
        return value(only);
    }
    let mut out = String::new();
    for part in &parts {
        out.push_str(&plain(&value(part)?));
    }
    Ok(Json::String(out))
}

/// What `${…}` of a change file stands for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) params: &'a Map<String, Json>,
    pub(crate) items: Option<&'a Json>,
    pub(crate) item: Option<&'a Json>,
    /// The state before, for `${before.Path}`.
    pub(crate) before: Option<&'a Json>,
}

impl<'a> Scope<'a> {
    pub(crate) fn of(params: &'a Map<String, Json>) -> Self {
        Self {
            params,
            items: None,
            item: None,
            before: None,
        }
    }

    fn value(&self, name: &str) -> Option<&'a Json> {
        if let Some(path) = name.strip_prefix("before.") {
            return self
                .before
                .and_then(|b| path.split('.').try_fold(b, |at, n| at.get(n)));
        }
        match name {
            "items" => self.items,
            "item" => self.item,
            _ => crate::json::param(self.params, name),
        }
    }

    /// A text with its placeholders filled.
    pub(crate) fn text(&self, text: &str) -> Result<String, String> {
        let mut out = text.to_owned();
        for name in placeholders(text).unwrap_or_default() {
            let value = self
                .value(name)
                .ok_or_else(|| format!("the call has no `{name}`"))?;
            out = out.replace(&format!("${{{name}}}"), &plain(value));
        }
        Ok(out)
    }

    /// A value with its placeholders filled; a text that is one placeholder takes the value as it is.
    pub(crate) fn json(&self, value: &Json) -> Result<Json, String> {
        match value {
            Json::String(text) => {
                let only = text
                    .strip_prefix("${")
                    .and_then(|t| t.strip_suffix('}'))
                    .filter(|name| !name.contains('$'));
                if let Some(name) = only {
                    return self
                        .value(name)
                        .cloned()
                        .ok_or_else(|| format!("the call has no `{name}`"));
                }
                self.text(text).map(Json::String)
            }
            Json::Array(items) => items.iter().map(|v| self.json(v)).collect(),
            Json::Object(map) => self.map(map).map(Json::Object),
            other => Ok(other.clone()),
        }
    }

    pub(crate) fn map(&self, map: &Map<String, Json>) -> Result<Map<String, Json>, String> {
        map.iter()
            .map(|(name, v)| Ok((name.clone(), self.json(v)?)))
            .collect()
    }
}

fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}
