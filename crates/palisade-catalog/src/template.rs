//! Templates of service files and fix blocks: text with `${column}` and `${parent.column}`.

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplatePart {
    /// Copied as it is.
    Text(String),
    /// `${name}`: a column, or `account_id`, `region`, `partition`.
    Column(String),
    /// `${parent.name}`: a column of the parent table's row.
    Parent(String),
    /// `${param.name}`: a check's parameter (fix blocks).
    Parameter(String),
}

/// Not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{template}` is not a template: {reason}")]
pub struct TemplateError {
    /// What was found.
    pub template: String,
    /// What is wrong with it.
    pub reason: &'static str,
    /// Byte where it is wrong.
    pub offset: usize,
}

/// The parts of a template, in order; neighbouring texts are one part.
///
/// # Errors
/// When `${` is not closed, or what it encloses is not a name.
pub fn parse_template(template: &str) -> Result<Vec<TemplatePart>, TemplateError> {
    let mut parts = Vec::new();
    let mut rest = template;
    let wrong = |reason, rest: &str| TemplateError {
        template: template.to_owned(),
        reason,
        offset: template.len() - rest.len(),
    };
    while let Some((text, after)) = rest.split_once("${") {
        if !text.is_empty() {
            parts.push(TemplatePart::Text(text.to_owned()));
        }
        let Some((inner, tail)) = after.split_once('}') else {
            return Err(wrong("`${` is not closed", after));
        };
        let is_name = |n: &str| {
            !n.is_empty()
                && n.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        parts.push(match inner.split_once('.') {
            None if is_name(inner) => TemplatePart::Column(inner.to_owned()),
            Some(("parent", name)) if is_name(name) => TemplatePart::Parent(name.to_owned()),
            Some(("param", name)) if is_name(name) => TemplatePart::Parameter(name.to_owned()),
            _ => {
                return Err(wrong(
                    "`${…}` takes a column, `parent.<column>` or `param.<name>`",
                    after,
                ));
            }
        });
        rest = tail;
    }
    if !rest.is_empty() {
        parts.push(TemplatePart::Text(rest.to_owned()));
    }
    Ok(parts)
}

/// All templates in a JSON value's texts, depth first.
pub(crate) fn texts_of<'v>(value: &'v serde_json::Value, out: &mut Vec<&'v str>) {
    match value {
        serde_json::Value::String(text) => out.push(text),
        serde_json::Value::Array(items) => items.iter().for_each(|v| texts_of(v, out)),
        serde_json::Value::Object(map) => map.values().for_each(|v| texts_of(v, out)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn write(parts: &[TemplatePart]) -> String {
        parts
            .iter()
            .map(|part| match part {
                TemplatePart::Text(text) => text.clone(),
                TemplatePart::Column(name) => format!("${{{name}}}"),
                TemplatePart::Parent(name) => format!("${{parent.{name}}}"),
                TemplatePart::Parameter(name) => format!("${{param.{name}}}"),
            })
            .collect()
    }

    #[test]
    fn parts() {
        assert_eq!(
            parse_template("arn:${partition}:s3:::${name}/${parent.id}").unwrap(),
            [
                TemplatePart::Text("arn:".into()),
                TemplatePart::Column("partition".into()),
                TemplatePart::Text(":s3:::".into()),
                TemplatePart::Column("name".into()),
                TemplatePart::Text("/".into()),
                TemplatePart::Parent("id".into()),
            ]
        );
        assert_eq!(parse_template("a${b").unwrap_err().offset, 3);
        for bad in [
            "${",
            "${}",
            "${A}",
            "${a b}",
            "${a.b}",
            "${parent.}",
            "x${a.b.c}",
        ] {
            assert!(parse_template(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn written_and_read(text in "(\\PC|\\$\\{[a-z_]{1,4}\\}|\\$\\{parent\\.a\\}){0,12}") {
            if let Ok(parts) = parse_template(&text) {
                prop_assert_eq!(write(&parts), text);
            }
        }
    }
}
