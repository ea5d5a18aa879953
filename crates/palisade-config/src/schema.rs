//! The JSON schema of `palisade.toml`, from the table of settings and the catalogue.
use crate::keys::{KEYS, Key, Kind};
use crate::review::REVIEWS;
use crate::send::{SEND_TYPES, keys_of};
use palisade_catalog::{Catalog, ParameterValue};
use palisade_core::Severity;
use serde_json::{Map, Value as Json, json};

/// The schema (JSON Schema 2020-12): closed, with every parameter of every check.
pub fn schema(catalog: &Catalog) -> Json {
    let mut properties = Map::new();
    for key in KEYS {
        let table = properties.entry(key.table).or_insert_with(
            || json!({ "type": "object", "additionalProperties": false, "properties": {} }),
        );
        if let Some(Json::Object(keys)) = table.get_mut("properties") {
            keys.insert(key.name.to_owned(), value(key));
        }
    }
    let mut params = Map::new();
    for check in catalog.checks.values().filter(|c| !c.params.is_empty()) {
        let mut of_check = Map::new();
        for (name, parameter) in &check.params {
            let mut schema = parameter_type(&parameter.default);
            if let Json::Object(object) = &mut schema {
                object.insert("description".to_owned(), parameter.about.as_str().into());
                object.insert("default".to_owned(), parameter.default.to_json());
            }
            of_check.insert(name.clone(), schema);
        }
        let object = json!({ "type": "object", "description": check.title, "additionalProperties": false, "properties": of_check });
        params.insert(check.id.clone(), object);
    }
    // other tools' ids and patterns
    let others = json!({ "[:*?]": { "type": "object" } });
    properties.insert(
        "params".to_owned(),
        json!({ "type": "object", "description": "Parameters of checks, by check id, pattern, or another tool's id.", "properties": params, "patternProperties": others, "additionalProperties": false }),
    );
    let severities: Vec<&str> = Severity::ALL.iter().map(|s| s.as_str()).collect();
    properties.insert(
        "severities".to_owned(),
        json!({ "type": "object", "description": "Other severities, by check id or another tool's id.", "additionalProperties": { "enum": severities } }),
    );
    let destinations: Vec<Json> = SEND_TYPES.iter().map(|kind| destination(kind)).collect();
    properties.insert(
        "send".to_owned(),
        json!({ "type": "object", "description": "Where findings are sent, by name.", "propertyNames": { "pattern": "^[A-Za-z0-9_-]{1,64}$" }, "additionalProperties": { "oneOf": destinations } }),
    );
    let cadence = json!({ "type": "string", "pattern": "^[1-9][0-9]{0,3}[dwmy]$" });
    let reviews: Map<String, Json> = REVIEWS
        .iter()
        .map(|r| ((*r).to_owned(), cadence.clone()))
        .collect();
    properties.insert(
        "review".to_owned(),
        json!({ "type": "object", "description": "How often each review has to be done.", "additionalProperties": false, "properties": reviews }),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "palisade.toml",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

/// `[send.NAME]` of one type.
fn destination(kind: &str) -> Json {
    let mut properties = Map::new();
    properties.insert("type".to_owned(), json!({ "const": kind }));
    let mut required = vec!["type"];
    for of_kind in keys_of(kind) {
        properties.insert(of_kind.key.name.to_owned(), value(&of_kind.key));
        if of_kind.required {
            required.push(of_kind.key.name);
        }
    }
    if kind == "webhook" {
        let variable = json!({ "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" });
        properties.insert(
            "headers".to_owned(),
            json!({ "type": "object", "description": "Header and the environment variable with its value.", "additionalProperties": variable }),
        );
    }
    json!({ "type": "object", "additionalProperties": false, "required": required, "properties": properties })
}

fn value(key: &Key) -> Json {
    let mut schema = match key.kind {
        Kind::Text => json!({ "type": "string", "minLength": 1 }),
        Kind::Word(words) => json!({ "enum": words }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Words(words) => json!({ "type": "array", "items": { "enum": words } }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Integer(from, to) => json!({ "type": "integer", "minimum": from, "maximum": to }),
    };
    if let Json::Object(object) = &mut schema {
        object.insert("description".to_owned(), key.about.into());
        if let Ok(default) = serde_json::from_str::<Json>(key.default) {
            object.insert("default".to_owned(), default);
        }
    }
    schema
}

fn parameter_type(value: &ParameterValue) -> Json {
    match value {
        ParameterValue::Integer(_) => json!({ "type": "integer" }),
        ParameterValue::Text(_) => json!({ "type": "string" }),
        ParameterValue::Boolean(_) => json!({ "type": "boolean" }),
        ParameterValue::Integers(_) => json!({ "type": "array", "items": { "type": "integer" } }),
        ParameterValue::Texts(_) => json!({ "type": "array", "items": { "type": "string" } }),
    }
}
