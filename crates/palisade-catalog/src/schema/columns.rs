//! `[table.<name>.column]`, and the columns that every table has.
use super::Problem;
use super::build::{Builder, Raw};
use super::walk::{Naming, walk};
use crate::service_file::BASE_COLUMNS;
use crate::{ColumnSpec, ColumnType, Origin, Step, Transform, parse_path, suggest};
use indexmap::IndexMap;
use std::sync::Arc;

/// Columns made from columns made from columns: more than this is a circle.
const DEEPEST: usize = 8;

impl Builder<'_> {
    /// All columns in their order: those of every table, those of the calls, those that are written down.
    pub(super) fn columns(&mut self) -> IndexMap<String, Raw> {
        let mut written: IndexMap<&str, Option<Raw>> = IndexMap::new();
        let spec = self.spec;
        for (name, column) in &spec.columns {
            let part = format!("column.{name}");
            let raw = match column {
                ColumnSpec {
                    hide: true,
                    from: None,
                    ..
                } if name.contains(['.', '[']) => continue,
                ColumnSpec {
                    hide: true,
                    from: None,
                    ..
                } => {
                    if !self.raw.contains_key(name) && !self.incomplete {
                        let known = self.raw.keys().map(String::as_str);
                        let problem = Problem {
                            message: format!("there is no column `{name}` to hide"),
                            hint: suggest::hint(name, known),
                        };
                        self.problem(&part, problem);
                    }
                    None
                }
                ColumnSpec {
                    from: Some(from), ..
                } => match self.derived(from, column.transform.as_deref(), DEEPEST) {
                    Ok(raw) => (!column.hide).then_some(raw),
                    // A column that is not there may be one of a call that could not be understood.
                    Err(_) if self.incomplete => continue,
                    Err(problem) => {
                        self.problem(&part, problem);
                        continue;
                    }
                },
                ColumnSpec {
                    value: Some(value), ..
                } => Some(Raw {
                    ty: ColumnType::Text,
                    origin: Origin::Template {
                        template: value.clone(),
                    },
                }),
                ColumnSpec {
                    csv: Some(header), ..
                } => {
                    if spec.list.as_ref().is_none_or(|l| l.csv.is_none()) {
                        self.problem(&part, Problem::new("the list call gives no CSV"));
                    }
                    Some(csv(header, column.kind.as_deref()))
                }
                _ => continue,
            };
            written.insert(name, raw);
        }
        let mut columns = IndexMap::new();
        for base in BASE_COLUMNS {
            columns.insert((*base).to_owned(), self.base(base));
        }
        for (name, raw) in &self.raw {
            if columns.contains_key(name) || is_base(name) {
                continue;
            }
            match written.shift_remove(name.as_str()) {
                Some(Some(replaced)) => columns.insert(name.clone(), replaced),
                Some(None) => None,
                None => columns.insert(name.clone(), raw.clone()),
            };
        }
        for (name, raw) in written {
            if let Some(raw) = raw {
                columns.insert(name.to_owned(), raw);
            }
        }
        self.hide_fields(&mut columns);
        if spec.tags_from_tagging {
            columns.insert(
                "tags".to_owned(),
                Raw {
                    ty: ColumnType::Map(Arc::new(ColumnType::Text)),
                    origin: Origin::Tagging,
                },
            );
        }
        columns
    }

    /// `"a.b[].c" = { hide = true }`: the field leaves the column's type, and with it the table.
    fn hide_fields(&mut self, columns: &mut IndexMap<String, Raw>) {
        let spec = self.spec;
        for (path, _) in spec
            .columns
            .iter()
            .filter(|(n, c)| c.hide && n.contains(['.', '[']))
        {
            let steps = parse_path(path).unwrap_or_default();
            let hidden = match steps.split_first() {
                Some((Step::Member(column), inside)) => match columns.get_mut(column) {
                    Some(raw) => without(&mut raw.ty, inside),
                    // The whole column is hidden.
                    None if spec.columns.get(column).is_some_and(|c| c.hide) => Ok(()),
                    None => Err(Problem {
                        message: format!("there is no column `{column}`"),
                        hint: suggest::hint(column, columns.keys().map(String::as_str)),
                    }),
                },
                _ => Err(Problem::new(format!("`{path}` names no column"))),
            };
            if let Err(problem) = hidden
                && !self.incomplete
            {
                self.problem(&format!("column.{path}"), problem);
            }
        }
    }

    fn base(&self, name: &str) -> Raw {
        let own_arn = self.raw.get("arn").filter(|raw| raw.ty == ColumnType::Text);
        // An answer's own ARN needs no template.
        let answered = self.spec.arn.as_deref().is_none_or(|a| a == "${arn}");
        if name == "arn"
            && answered
            && let Some(raw) = own_arn
        {
            return raw.clone();
        }
        Raw {
            ty: ColumnType::Text,
            origin: match name {
                "account_id" => Origin::AccountId,
                "region" => Origin::Region,
                "partition" => Origin::Partition,
                _ => Origin::Arn,
            },
        }
    }

    /// `from` and `as`: a path over what the calls gave. A path into an answer is written in the model's names, so that
    /// nothing depends on whether the column that it begins with is there.
    fn derived(&self, from: &str, transform: Option<&str>, deeper: usize) -> Result<Raw, Problem> {
        let steps = parse_path(from).map_err(|e| Problem::new(e.to_string()))?;
        let Some((Step::Member(column), inside)) = steps.split_first() else {
            return Err(Problem::new(format!("`{from}` names no column")));
        };
        let transform = match transform {
            None => Transform::None,
            Some("secrets") => Transform::Secrets,
            Some("base64") => Transform::Base64,
            Some("json") => Transform::Json,
            Some("keys") => Transform::Keys,
            Some("count") => Transform::Count,
            Some(other) => return Err(Problem::new(format!("unknown `as` `{other}`"))),
        };
        let raw = match self.raw.get(column) {
            Some(raw) => Some(raw.clone()),
            None => self.written(column, deeper)?,
        };
        let Some(raw) = raw else {
            let known = self.raw.keys().map(String::as_str);
            return Err(Problem {
                message: format!("there is no column `{column}`"),
                hint: suggest::hint(column, known),
            });
        };
        let (ty, origin) = match (&raw.origin, &self.model) {
            (
                Origin::Answer {
                    source,
                    path,
                    shape: Some(shape),
                    transform: Transform::None,
                },
                Some(model),
            ) => {
                // A list that `from` of the call opened is opened once more to go further in.
                let opened = path.is_empty() && is_list_of(&raw.ty, &self.types.of(model, *shape));
                let inside = match inside.split_first() {
                    Some((Step::Each, rest)) if opened => rest,
                    Some(_) if opened => {
                        return Err(Problem::hinted(
                            format!("`{column}` is a list"),
                            format!("write `{column}[]…`"),
                        ));
                    }
                    _ => inside,
                };
                let reached = walk(model, *shape, inside, Naming::Column)?;
                let ty = self.types.of(model, reached.shape);
                let several = opened || reached.opened > 0;
                let mut full = path.clone();
                full.extend(reached.path);
                let origin = Origin::Answer {
                    source: *source,
                    path: full,
                    shape: Some(reached.shape),
                    transform,
                };
                let ty = if several {
                    ColumnType::List(Arc::new(ty))
                } else {
                    ty
                };
                (ty, origin)
            }
            // What looks like a credential is looked for in the decoded text, which need not be a column.
            (
                Origin::Answer {
                    source,
                    path,
                    shape,
                    transform: Transform::Base64,
                },
                _,
            ) if inside.is_empty() && transform == Transform::Secrets => {
                let origin = Origin::Answer {
                    source: *source,
                    path: path.clone(),
                    shape: *shape,
                    transform: Transform::SecretsOfBase64,
                };
                (raw.ty.clone(), origin)
            }
            _ => {
                let ty = inside_type(&raw.ty, inside).ok_or_else(|| {
                    Problem::new(format!("`{from}` does not exist in `{column}`"))
                })?;
                let hidden = self.spec.columns.get(column).is_some_and(|c| c.hide);
                if hidden {
                    return Err(Problem::new(format!("`{column}` is hidden")));
                }
                let origin = Origin::Derived {
                    column: column.clone(),
                    path: inside.to_vec(),
                    transform,
                };
                (ty, origin)
            }
        };
        Ok(Raw {
            ty: transformed(transform, ty, from)?,
            origin,
        })
    }

    /// A column that is written down.
    fn written(&self, name: &str, deeper: usize) -> Result<Option<Raw>, Problem> {
        let Some(column) = self.spec.columns.get(name) else {
            return Ok(is_base(name).then(|| self.base(name)));
        };
        if let Some(from) = &column.from {
            let deeper = deeper
                .checked_sub(1)
                .ok_or_else(|| Problem::new(format!("`{name}` is made from itself")))?;
            return self
                .derived(from, column.transform.as_deref(), deeper)
                .map(Some);
        }
        let template = column.value.as_ref().map(|value| Raw {
            ty: ColumnType::Text,
            origin: Origin::Template {
                template: value.clone(),
            },
        });
        let header = column.csv.as_ref();
        Ok(template.or_else(|| header.map(|h| csv(h, column.kind.as_deref()))))
    }
}

fn is_base(name: &str) -> bool {
    BASE_COLUMNS.contains(&name)
}

fn csv(header: &str, kind: Option<&str>) -> Raw {
    Raw {
        ty: match kind {
            Some("boolean") => ColumnType::Boolean,
            Some("integer") => ColumnType::Integer,
            Some("timestamp") => ColumnType::Timestamp,
            _ => ColumnType::Text,
        },
        origin: Origin::Csv {
            header: header.to_owned(),
        },
    }
}

/// True when the column is a list of the shape, not the shape itself.
fn is_list_of(ty: &ColumnType, shape: &ColumnType) -> bool {
    matches!(ty, ColumnType::List(inner) if **inner == *shape) && shape != ty
}

fn inside_type(ty: &ColumnType, steps: &[Step]) -> Option<ColumnType> {
    let mut ty = ty;
    for step in steps {
        ty = match (step, ty) {
            (Step::Each | Step::Where(_), ColumnType::List(inner)) => inner,
            (Step::Member(_), ColumnType::Map(inner)) => inner,
            (Step::Member(name), ColumnType::Struct(fields)) => {
                &fields.iter().find(|(n, _)| n == name)?.1
            }
            _ => return None,
        };
    }
    let ty = ty.clone();
    let opened = steps.iter().any(Step::opens);
    Some(if opened {
        ColumnType::List(Arc::new(ty))
    } else {
        ty
    })
}

/// Takes the field at the end of a path out of a type.
fn without(ty: &mut ColumnType, steps: &[Step]) -> Result<(), Problem> {
    match (steps.split_first(), ty) {
        (Some((Step::Each, rest)), ColumnType::List(inner)) => without(Arc::make_mut(inner), rest),
        (Some((Step::Member(_), rest)), ColumnType::Map(inner)) if !rest.is_empty() => {
            without(Arc::make_mut(inner), rest)
        }
        (Some((Step::Member(name), rest)), ColumnType::Struct(fields)) => {
            let fields = Arc::make_mut(fields);
            let Some(index) = fields.iter().position(|(n, _)| n == name) else {
                return Err(Problem {
                    message: format!("there is no field `{name}`"),
                    hint: suggest::hint(name, fields.iter().map(|(n, _)| n.as_str())),
                });
            };
            if rest.is_empty() {
                if fields.len() == 1 {
                    return Err(Problem::new(format!(
                        "`{name}` is the only field; hide what encloses it"
                    )));
                }
                fields.remove(index);
                return Ok(());
            }
            match fields.get_mut(index) {
                Some((_, inner)) => without(inner, rest),
                None => Ok(()),
            }
        }
        _ => Err(Problem::new("the path does not lead to a field")),
    }
}

/// The type after the transform, which has to fit what is there.
fn transformed(transform: Transform, ty: ColumnType, from: &str) -> Result<ColumnType, Problem> {
    let wrong = |needs: &str| Err(Problem::new(format!("`{from}` is not {needs}")));
    match transform {
        Transform::None | Transform::Tags => Ok(ty),
        Transform::Json => Ok(ColumnType::Text),
        Transform::Base64 => match ty {
            ColumnType::Text => Ok(ColumnType::Text),
            ColumnType::List(item) if *item == ColumnType::Text => Ok(ColumnType::List(item)),
            _ => wrong("a text, which `as = \"base64\"` decodes"),
        },
        Transform::Keys => match ty {
            ColumnType::Map(_) => Ok(ColumnType::List(Arc::new(ColumnType::Text))),
            _ => wrong("a map, whose keys `as = \"keys\"` lists"),
        },
        Transform::Count => match ty {
            ColumnType::List(_) => Ok(ColumnType::Integer),
            _ => wrong("a list, whose elements `as = \"count\"` counts"),
        },
        Transform::Secrets | Transform::SecretsOfBase64 => match ty {
            ColumnType::Text | ColumnType::List(_) | ColumnType::Map(_) | ColumnType::Struct(_) => {
                let field = |name: &str| (name.to_owned(), ColumnType::Text);
                let found = ColumnType::Struct(Arc::new(vec![field("name"), field("kind")]));
                Ok(ColumnType::List(Arc::new(found)))
            }
            _ => wrong("a text or a collection, which `as = \"secrets\"` searches"),
        },
    }
}
