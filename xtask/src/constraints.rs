//! What the members of inputs that the shipped repairs and playbooks set must be: `catalog/models/constraints.json`.
use anyhow::{Context, Result};
use palisade_catalog::{Catalog, FixCall};
use palisade_model::botocore::{Source, constraint, is_list};
use palisade_model::{Constraints, members};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Looks up every member that a call of the catalogue sets. `source` gives an API's files.
pub fn extract(catalog: &Catalog, source: impl Fn(&str) -> Result<Source>) -> Result<Constraints> {
    let mut sources: BTreeMap<&str, Source> = BTreeMap::new();
    let mut found = Constraints::default();
    for call in catalog.repairs() {
        let source = match sources.get(call.service.as_str()) {
            Some(known) => known,
            None => {
                let read = source(&call.service)?;
                sources.entry(&call.service).or_insert(read)
            }
        };
        let of_service = found.0.entry(call.service.clone()).or_default();
        let of_call = of_service.entry(call.operation.clone()).or_default();
        for path in paths(call, source) {
            let constraint = constraint(source, &call.operation, &path).with_context(|| {
                format!("{}:{} has no member `{path}`", call.service, call.operation)
            })?;
            of_call.insert(path, constraint);
        }
    }
    Ok(found)
}

/// The members that a call sets; of a list that a template gives, its elements too.
fn paths(call: &FixCall, source: &Source) -> Vec<String> {
    let mut paths = Vec::new();
    for (path, value) in members(&call.params) {
        let is_template = matches!(value, Json::String(text) if text.starts_with("${"));
        if is_template && is_list(source, &call.operation, &path) {
            paths.push(format!("{path}[]"));
        }
        paths.push(path);
    }
    paths
}
