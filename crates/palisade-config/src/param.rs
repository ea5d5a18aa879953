//! `--param CHECK.NAME=VALUE`
use palisade_catalog::{Catalog, ParameterValue};

/// Why a parameter cannot be set so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParamError {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Check id (or another tool's), parameter and value from `CHECK.NAME=VALUE`. The value has the type of the parameter's
/// default; lists are separated by commas.
///
/// # Errors
/// When the check, its parameter or the value is not what it has to be.
pub fn parse_param(
    catalog: &Catalog,
    text: &str,
) -> Result<(String, String, ParameterValue), ParamError> {
    let wrong = |message: String, hint: Option<String>| ParamError { message, hint };
    let parts = text
        .split_once('=')
        .and_then(|(path, value)| Some((path.rsplit_once('.')?, value)));
    let Some(((check, name), value)) = parts else {
        let hint = "for example `--param iam-access-key-rotated.days=60`".to_owned();
        let message = format!("`{text}` is not of the form CHECK.NAME=VALUE");
        return Err(wrong(message, Some(hint)));
    };
    let checks = catalog.resolve_check(check).map_err(|unknown| {
        let hint = match unknown.suggestions.as_slice() {
            [] => None,
            some => Some(format!("did you mean `{}`?", some.join("` or `"))),
        };
        wrong(format!("unknown check `{check}` in `--param {text}`"), hint)
    })?;
    if check.contains(['*', '?']) {
        let message = format!("`{check}` is a pattern; --param sets a parameter of one check");
        return Err(wrong(message, None));
    }
    let Some(parameter) = checks.iter().find_map(|c| c.params.get(name)) else {
        let known: Vec<&str> = checks
            .iter()
            .flat_map(|c| c.params.keys())
            .map(String::as_str)
            .collect();
        let hint = palisade_catalog::reading::hint(name, known.iter().copied())
            .unwrap_or_else(|| "the check has no parameters".to_owned());
        let message = format!("`{check}` has no parameter `{name}`");
        return Err(wrong(message, Some(hint)));
    };
    let items = || value.split(',').map(str::trim).filter(|t| !t.is_empty());
    let parsed = match &parameter.default {
        ParameterValue::Integer(_) => value.trim().parse().ok().map(ParameterValue::Integer),
        ParameterValue::Boolean(_) => value.trim().parse().ok().map(ParameterValue::Boolean),
        ParameterValue::Text(_) => Some(ParameterValue::Text(value.to_owned())),
        ParameterValue::Integers(_) => {
            let numbers: Option<Vec<i64>> = items().map(|t| t.parse().ok()).collect();
            numbers.map(ParameterValue::Integers)
        }
        ParameterValue::Texts(_) => {
            Some(ParameterValue::Texts(items().map(str::to_owned).collect()))
        }
    };
    let value = parsed.ok_or_else(|| {
        let kind = parameter.default.kind();
        let message = format!("`{name}` of `{check}` must be {kind}, not `{value}`");
        wrong(
            message,
            Some(format!("for example `{}`", parameter.default)),
        )
    })?;
    Ok((check.to_owned(), name.to_owned(), value))
}
