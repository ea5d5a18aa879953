//! `palisade config`
use super::settings;
use crate::Outcome;
use crate::cli::{Global, Scan};
use crate::error::Failure;
use crate::output::{Terminal, to_stdout};
use palisade_catalog::Catalog;
use palisade_config::{Found, Given};
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;

/// Says everything that is wrong with a file.
pub fn check(
    file: Option<&Path>,
    global: &Global,
    catalog: &Catalog,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let named = file.or(global.config.as_deref());
    let Some(found) = palisade_config::find(named, Path::new(".")) else {
        return Err(Failure::Usage {
            message: "there is no `palisade.toml` here".to_owned(),
            hint: Some("name the file: `palisade config check FILE`".to_owned()),
        });
    };
    let config = palisade_config::read(&found, catalog, &settings::formats())?;
    // what the file refers to belongs to it
    let merged = palisade_config::Settings::merge(&Given::default(), Some(&config), false, &[]);
    if merged.text("attest.file").is_some() {
        settings::attestations(&merged, catalog)?;
    }
    let Found(path) = found;
    terminal.note(&format!("{}: no errors", path.display()));
    Ok(Outcome::Done)
}

/// The effective values with their origin.
pub fn show(
    args: &Scan,
    as_json: bool,
    params: bool,
    given: &Given,
    global: &Global,
    catalog: &Catalog,
) -> Result<Outcome, Failure> {
    let config = settings::config(global, catalog)?;
    let effective = settings::effective(args, given, config.as_ref(), catalog)?;
    let hidden = |secret: bool, value: &Value| match (secret, value) {
        (true, Value::String(_)) => Value::from("(hidden)"),
        (_, value) => value.clone(),
    };
    let list = effective.list(catalog, params);
    to_stdout(|out| {
        if as_json {
            let all: Vec<Value> = list
                .iter()
                .map(|s| json!({ "key": s.key, "value": hidden(s.secret, &s.value), "origin": s.origin.to_string() }))
                .collect();
            serde_json::to_writer_pretty(&mut *out, &all)?;
            return writeln!(out);
        }
        let width = list.iter().map(|s| s.key.len()).max().unwrap_or(0);
        for setting in &list {
            let value = match hidden(setting.secret, &setting.value) {
                Value::Null => "-".to_owned(),
                value => value.to_string(),
            };
            writeln!(
                out,
                "{:<width$}  {value:<24}  {}",
                setting.key, setting.origin
            )?;
        }
        Ok(())
    })?;
    Ok(Outcome::Done)
}

/// The JSON schema of the file.
pub fn schema(catalog: &Catalog) -> Result<Outcome, Failure> {
    to_stdout(|out| {
        serde_json::to_writer_pretty(&mut *out, &palisade_config::schema(catalog))?;
        writeln!(out)
    })?;
    Ok(Outcome::Done)
}

/// Another scanner's thresholds as ours.
pub fn import(file: &Path, catalog: &Catalog, terminal: &Terminal) -> Result<Outcome, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(file).map(|t| text = t)
    };
    read.map_err(|source| Failure::Input {
        path: file.to_owned(),
        source,
    })?;
    let imported = palisade_config::import(catalog, &text).map_err(|message| Failure::Usage {
        message: format!("cannot take over `{}`: {message}", file.display()),
        hint: Some(
            "a YAML file with keys such as `max_unused_access_keys_days: 45` is expected"
                .to_owned(),
        ),
    })?;
    for note in &imported.left {
        terminal.warn(&format!(
            "`{}` is not taken over: {}",
            note.key, note.message
        ));
    }
    to_stdout(|out| out.write_all(imported.to_toml().as_bytes()))?;
    Ok(Outcome::Done)
}
