//! The front matter of a check page.
use crate::section::{self, Located, Section, integer_of};
use crate::text::Reporter;
use crate::{Equivalents, Parameter, ParameterValue, Sufficient, Variant, names, words};
use palisade_core::{Category, Severity};
use std::collections::BTreeMap;
use toml::de::DeValue;

/// Longest title, in characters.
const LONGEST_TITLE: usize = 100;

pub(super) struct Front {
    pub(super) title: String,
    pub(super) severity: Severity,
    pub(super) resource: String,
    pub(super) category: Category,
    pub(super) since: String,
    pub(super) same_as: Equivalents,
    pub(super) sufficient: Option<Located<Sufficient>>,
    pub(super) params: BTreeMap<String, Located<Parameter>>,
    pub(super) variants: Vec<Variant>,
}

impl std::str::FromStr for Sufficient {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "pass" => Ok(Self::Pass),
            "fail" => Ok(Self::Fail),
            _ => Err(()),
        }
    }
}

pub(super) fn parse(reporter: &Reporter<'_>, toml: &str, base: usize) -> Option<Front> {
    let document = section::parse(reporter, toml, base)?;
    let top = Section::top(reporter, document.get_ref(), base);
    let title = top.required("title");
    if let Some(title) = &title {
        check_title(reporter, title);
    }
    let severities: Vec<&str> = Severity::ALL.iter().map(|s| s.as_str()).collect();
    let severity = top.required_word("severity", &severities);
    let resource = top.required("resource");
    let categories: Vec<&str> = Category::ALL.iter().map(|c| c.as_str()).collect();
    let category = top.required_word("category", &categories);
    let since = top.required("since");
    if let Some(since) = since.as_ref().filter(|s| !is_version(&s.value)) {
        reporter.error(
            since.at,
            format!("`{}` is not a version such as `0.1.0`", since.value),
        );
    }
    let same_as = same_as(reporter, &top);
    let sufficient = top
        .word("sufficient", &["pass", "fail"])
        .map(|value| Located {
            value,
            at: top.place("sufficient"),
        });
    let params = params(reporter, &top);
    let variants = variants(reporter, &top, &same_as, &params);
    top.finish();
    Some(Front {
        title: title?.value,
        severity: severity?,
        resource: resource?.value,
        category: category?,
        since: since?.value,
        same_as,
        sufficient,
        params,
        variants,
    })
}

fn check_title(reporter: &Reporter<'_>, title: &Located<String>) {
    let text = &title.value;
    if text.ends_with('.') {
        reporter.error(title.at, "the title ends with a period");
    }
    if text.contains('\n') {
        reporter.error(title.at, "the title has more than one line");
    }
    let length = text.chars().count();
    if length > LONGEST_TITLE {
        reporter.error(
            title.at,
            format!("the title has {length} characters; at most {LONGEST_TITLE} are allowed"),
        );
    }
    if let Some(word) = words::banned(text) {
        reporter.error(
            title.at,
            format!("the title uses `{word}`; it states what is true when the check passes"),
        );
    }
}

/// `1.2.3`
fn is_version(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    parts.len() == 3
        && parts
            .iter()
            .all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
}

fn same_as(reporter: &Reporter<'_>, top: &Section<'_>) -> Equivalents {
    let Some(s) = top.section("same_as") else {
        return Equivalents::default();
    };
    let list = |key: &'static str, fits: fn(&str) -> bool, form: &str| {
        let mut ids: Vec<String> = Vec::new();
        for id in s.texts(key) {
            if !fits(&id.value) {
                reporter.error(
                    id.at,
                    format!(
                        "`{}` does not have the form of an id of {key}, such as `{form}`",
                        id.value
                    ),
                );
            }
            if ids.contains(&id.value) {
                reporter.error(id.at, format!("`{}` is given twice", id.value));
            }
            ids.push(id.value);
        }
        ids
    };
    let control = |id: &str| {
        id.split_once('.').is_some_and(|(service, number)| {
            service.bytes().all(|b| b.is_ascii_alphanumeric())
                && service.starts_with(|c: char| c.is_ascii_uppercase())
                && !number.is_empty()
                && number.bytes().all(|b| b.is_ascii_digit())
        })
    };
    let equivalents = Equivalents {
        prowler: list("prowler", names::is_snake, "s3_bucket_object_versioning"),
        security_hub: list("security_hub", control, "S3.14"),
        config: list("config", names::is_kebab, "s3-bucket-versioning-enabled"),
    };
    s.finish();
    equivalents
}

fn params(reporter: &Reporter<'_>, top: &Section<'_>) -> BTreeMap<String, Located<Parameter>> {
    let mut params = BTreeMap::new();
    for (name, s) in top.entries("params") {
        if !names::is_snake(&name.value) {
            reporter.error(
                name.at,
                format!("the parameter's name `{}` is not in snake case", name.value),
            );
        }
        if name.value == "now" {
            reporter.error(name.at, "`now` is the time of the scan, not a parameter");
        }
        let about = s.required("about");
        let default = match s.value("default") {
            None => {
                reporter.error(
                    name.at,
                    format!("parameter `{}` has no `default`", name.value),
                );
                None
            }
            Some((value, at)) => {
                let default = parameter_value(value);
                if default.is_none() {
                    reporter.error(
                        at,
                        "`default` must be a whole number, a text, a boolean, or a list of whole numbers or of texts",
                    );
                }
                default
            }
        };
        s.finish();
        if let (Some(default), Some(about)) = (default, about) {
            params.insert(
                name.value,
                Located {
                    value: Parameter {
                        default,
                        about: about.value,
                    },
                    at: name.at,
                },
            );
        }
    }
    params
}

/// `[[variant]]`: the parameters with which the check is another tool's requirement.
fn variants(
    reporter: &Reporter<'_>,
    top: &Section<'_>,
    same_as: &Equivalents,
    params: &BTreeMap<String, Located<Parameter>>,
) -> Vec<Variant> {
    let mut variants: Vec<Variant> = Vec::new();
    for s in top.sections("variant") {
        let at = s.place("params");
        let mut values = BTreeMap::new();
        for (name, json) in s.json("params") {
            let value = ParameterValue::from_json(&json);
            match (params.get(&name), value) {
                (None, _) => {
                    reporter.error(at, format!("the check has no parameter `{name}`"));
                }
                (Some(known), Some(value)) if known.value.default.same_kind(&value) => {
                    values.insert(name, value);
                }
                _ => reporter.error(
                    at,
                    format!("the value of `{name}` does not have the type of its default"),
                ),
            }
        }
        for id in s.texts("as") {
            let known = id
                .value
                .split_once(':')
                .is_some_and(|(tool, id)| same_as.has(tool, id));
            if !known {
                reporter.error(
                    id.at,
                    format!(
                        "`{}` is not in `same_as`; `prowler:ID` and the like are expected",
                        id.value
                    ),
                );
            } else if variants.iter().any(|v| v.same_as == id.value) {
                reporter.error(id.at, format!("`{}` has two variants", id.value));
            } else {
                variants.push(Variant {
                    same_as: id.value,
                    params: values.clone(),
                });
            }
        }
        s.finish();
    }
    variants
}

fn parameter_value(value: &DeValue<'_>) -> Option<ParameterValue> {
    Some(match value {
        DeValue::Integer(_) => ParameterValue::Integer(integer_of(value)?),
        DeValue::String(text) => ParameterValue::Text(text.to_string()),
        DeValue::Boolean(b) => ParameterValue::Boolean(*b),
        DeValue::Array(items) => {
            let texts: Option<Vec<String>> = items
                .iter()
                .map(|i| i.get_ref().as_str().map(str::to_owned))
                .collect();
            match texts {
                Some(texts) => ParameterValue::Texts(texts),
                None => ParameterValue::Integers(
                    items
                        .iter()
                        .map(|i| integer_of(i.get_ref()))
                        .collect::<Option<_>>()?,
                ),
            }
        }
        _ => return None,
    })
}
