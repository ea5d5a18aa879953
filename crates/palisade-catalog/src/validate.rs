//! What can only be said with the API models at hand: columns, parameters, fixes, fixtures.
use crate::schema::{Problem, params};
use crate::template::{TemplatePart, parse_template, texts_of};
use crate::{
    Catalog, Check, ColumnType, Diagnostic, DiagnosticLevel, FixCall, Parameter, StepKind,
    TableSchema, fixture, suggest,
};
use palisade_core::Timestamp;
use palisade_model::Models;
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

/// Checks everything in the catalogue that depends on an API model: the columns of every table, overridden
/// permissions, the calls of every fix block, change files, and the fixtures' columns and types. Sorted.
pub fn validate_models(catalog: &Catalog, models: &Models) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for service in catalog.services.values() {
        permissions(catalog, service, models, &mut found);
    }
    for table in catalog.tables.keys() {
        if let Err(diagnostics) = catalog.table_schema(table, models) {
            found.extend(diagnostics);
        }
    }
    for check in catalog.checks.values() {
        for call in &check.fix_calls {
            for problem in fix_problems(catalog, check, call, models) {
                found.push(at(check, call.line, problem));
            }
        }
        fixtures(catalog, check, models, &mut found);
    }
    for playbook in catalog.playbooks.values() {
        for step in &playbook.steps {
            if let StepKind::Change { call, .. } = &step.kind {
                let problems = call_problems(call, models, &playbook.params);
                found.extend(problems.into_iter().map(|problem| Diagnostic {
                    file: playbook.file.clone(),
                    ..at_line(step.line, problem)
                }));
            }
        }
    }
    crate::validate_changes::problems(catalog, models, &mut found);
    found.sort();
    found.dedup();
    found
}

fn at(check: &Check, line: u32, problem: Problem) -> Diagnostic {
    Diagnostic {
        file: check.file.clone(),
        ..at_line(line, problem)
    }
}

fn at_line(line: u32, problem: Problem) -> Diagnostic {
    Diagnostic {
        file: String::new(),
        line,
        column: 1,
        level: DiagnosticLevel::Error,
        message: problem.message,
        hint: problem.hint,
    }
}

fn permissions(
    catalog: &Catalog,
    service: &crate::Service,
    models: &Models,
    found: &mut Vec<Diagnostic>,
) {
    // Tables report a model that cannot be read.
    let Ok(model) = models.get(&service.model) else {
        return;
    };
    for operation in service.permissions.keys() {
        if model.operation(operation).is_some() {
            continue;
        }
        let place = catalog
            .places
            .find(&format!("service {}", service.name), operation);
        let (line, column) = place.unwrap_or((0, 0));
        let known = model.operations.iter().map(|o| o.name.as_str());
        found.push(Diagnostic {
            file: service.file.clone(),
            line,
            column,
            level: DiagnosticLevel::Error,
            message: format!("`{}` has no operation `{operation}`", model.name),
            hint: suggest::nearest(operation, known).map(|n| format!("did you mean `{n}`?")),
        });
    }
}

/// What is wrong with a call by itself: operation, parameters, constants and the values that parameters have when nobody
/// says others.
fn call_problems(
    call: &FixCall,
    models: &Models,
    values: &BTreeMap<String, Parameter>,
) -> Vec<Problem> {
    let model = match models.get(&call.service) {
        Ok(model) => model,
        Err(e) => {
            return vec![Problem {
                message: e.to_string(),
                hint: suggest::nearest(&call.service, models.names())
                    .map(|n| format!("did you mean `{n}:{}`?", call.operation)),
            }];
        }
    };
    let Some(operation) = model.operation(&call.operation) else {
        let known = model.operations.iter().map(|o| o.name.as_str());
        return vec![Problem {
            message: format!("`{}` has no operation `{}`", model.name, call.operation),
            hint: suggest::nearest(&call.operation, known).map(|n| format!("did you mean `{n}`?")),
        }];
    };
    let mut problems = params::problems(&model, operation, &call.params, &[]);
    match models.constraints() {
        Ok(constraints) => {
            let value = |name: &str| values.get(name).map(|p| p.default.to_json());
            let given = call.values_not_taken(&constraints, value);
            let refused = call
                .constants_not_taken(&constraints)
                .into_iter()
                .chain(given);
            problems.extend(refused.map(|r| Problem::new(r.to_string())));
        }
        Err(e) => problems.push(Problem::new(e.to_string())),
    }
    problems
}

fn fix_problems(catalog: &Catalog, check: &Check, call: &FixCall, models: &Models) -> Vec<Problem> {
    let mut problems = call_problems(call, models, &check.params);
    // The columns of a full query are known only to the engine.
    if !check.is_query
        && let Ok(schema) = catalog.table_schema(&check.resource, models)
    {
        let mut texts = Vec::new();
        call.params.values().for_each(|v| texts_of(v, &mut texts));
        for text in texts {
            for part in parse_template(text).unwrap_or_default() {
                if let TemplatePart::Column(name) = part
                    && schema.column(&name).is_none()
                {
                    problems.push(no_column(&name, &check.resource, &schema));
                }
            }
        }
    }
    problems
}

fn no_column(name: &str, table: &str, schema: &TableSchema) -> Problem {
    let known = schema.columns.iter().map(|c| c.name.as_str());
    Problem {
        message: format!("`{table}` has no column `{name}`"),
        hint: suggest::hint(name, known),
    }
}

fn fixtures(catalog: &Catalog, check: &Check, models: &Models, found: &mut Vec<Diagnostic>) {
    for fixture in check.fixtures.iter() {
        let mut rows: BTreeMap<&str, Vec<&Map<String, Json>>> = BTreeMap::new();
        if check.is_query {
            for (table, value) in &fixture.data {
                let all = value.as_array().into_iter().flatten();
                rows.insert(table, all.filter_map(Json::as_object).collect());
            }
        } else {
            rows.insert(&check.resource, vec![&fixture.data]);
        }
        for (table, rows) in rows {
            // A table with errors is reported by itself.
            let Ok(schema) = catalog.table_schema(table, models) else {
                continue;
            };
            for row in rows {
                for (name, value) in row {
                    let Some(column) = schema.column(name) else {
                        found.push(at(check, fixture.line, no_column(name, table, &schema)));
                        continue;
                    };
                    if fixture::error_code(value).is_none()
                        && let Err(problem) = fits(&column.ty, value, name)
                    {
                        found.push(at(check, fixture.line, problem));
                    }
                }
            }
        }
    }
}

/// Whether a JSON value can stand in a cell of this type.
fn fits(ty: &ColumnType, value: &Json, place: &str) -> Result<(), Problem> {
    let wrong = |expected: &str| {
        Err(Problem {
            message: format!("`{place}` holds {expected}, not `{value}`"),
            hint: None,
        })
    };
    match (ty, value) {
        (_, Json::Null)
        | (ColumnType::Boolean, Json::Bool(_))
        | (ColumnType::Float, Json::Number(_))
        | (ColumnType::Text, Json::String(_)) => Ok(()),
        (ColumnType::Integer, Json::Number(n)) if n.is_i64() => Ok(()),
        (ColumnType::Timestamp, Json::String(text)) if is_time(text) => Ok(()),
        (ColumnType::List(inner), Json::Array(items)) => items
            .iter()
            .try_for_each(|item| fits(inner, item, &format!("{place}[]"))),
        (ColumnType::Map(inner), Json::Object(map)) => map
            .iter()
            .try_for_each(|(key, entry)| fits(inner, entry, &format!("{place}.{key}"))),
        (ColumnType::Struct(fields), Json::Object(map)) => {
            map.iter().try_for_each(|(key, entry)| {
                match fields.iter().find(|(name, _)| name == key) {
                    Some((_, ty)) => fits(ty, entry, &format!("{place}.{key}")),
                    None => Err(Problem {
                        message: format!("`{place}` has no field `{key}`"),
                        hint: suggest::hint(key, fields.iter().map(|(n, _)| n.as_str())),
                    }),
                }
            })
        }
        (ColumnType::Boolean, _) => wrong("true or false"),
        (ColumnType::Float, _) => wrong("a number"),
        (ColumnType::Integer, _) => wrong("a whole number"),
        (ColumnType::Text, _) => wrong("a text"),
        (ColumnType::Timestamp, _) => {
            wrong("a time such as \"2026-01-31T12:00:00Z\" or \"now-90d\"")
        }
        (ColumnType::List(_), _) => wrong("a list"),
        (ColumnType::Map(_) | ColumnType::Struct(_), _) => wrong("an object"),
    }
}

/// RFC 3339, or `now`, `now-90d`, `now+12h`, `now-5m`.
fn is_time(text: &str) -> bool {
    if let Some(offset) = text.strip_prefix("now") {
        let digits = offset
            .strip_prefix(['-', '+'])
            .and_then(|o| o.strip_suffix(['d', 'h', 'm']));
        return offset.is_empty()
            || digits.is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()));
    }
    text.parse::<Timestamp>().is_ok()
}
