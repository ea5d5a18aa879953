//! Messages of findings: text with values in it.
use crate::error::SqlProblem;
use crate::expr::{Compiled, Frame};
use crate::render;
use crate::session::Planner;
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use palisade_catalog::MessagePart;
use std::collections::BTreeSet;

/// One template, resolved.
#[derive(Debug, Default)]
pub(crate) struct Message {
    pub parts: Vec<Part>,
}

#[derive(Debug)]
pub(crate) enum Part {
    Text(String),
    Value(Compiled),
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        let parts = vec![Part::Text(text)];
        Self { parts }
    }
}

impl Message {
    /// `resolve` gets each expression; an error carries the expression's text, for its place in the template.
    pub(crate) fn new(
        template: &str,
        mut resolve: impl FnMut(&str) -> Result<Compiled, SqlProblem>,
    ) -> Result<Self, (SqlProblem, String)> {
        let parts = palisade_catalog::parse_message(template)
            .map_err(|e| (SqlProblem::new(e.to_string()), String::new()))?;
        let parts = parts
            .into_iter()
            .map(|part| match part {
                MessagePart::Text(text) => Ok(Part::Text(text)),
                MessagePart::Expr(sql) => resolve(&sql).map(Part::Value).map_err(|p| (p, sql)),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { parts })
    }

    /// The columns that it shows.
    pub(crate) fn columns(&self) -> BTreeSet<String> {
        let values = self.parts.iter().filter_map(|p| match p {
            Part::Value(value) => Some(&value.columns),
            Part::Text(_) => None,
        });
        values.flatten().cloned().collect()
    }

    /// One text for each row. A value that cannot be computed is `unreadable`: it decides nothing.
    pub(crate) fn write(
        &self,
        planner: &Planner,
        frame: &Frame,
        rows: &RecordBatch,
    ) -> Vec<String> {
        let count = rows.num_rows();
        let mut out = vec![String::new(); count];
        for part in &self.parts {
            match part {
                Part::Text(text) => out.iter_mut().for_each(|message| message.push_str(text)),
                Part::Value(value) => {
                    let all = value.evaluate(planner, frame, rows);
                    for (row, message) in out.iter_mut().enumerate() {
                        match &all {
                            Ok(array) => message.push_str(&render::text(array, row)),
                            Err(_) => {
                                let one: Option<ArrayRef> =
                                    value.evaluate(planner, frame, &rows.slice(row, 1)).ok();
                                let text = one.map_or_else(
                                    || "unreadable".to_owned(),
                                    |a| render::text(&a, 0),
                                );
                                message.push_str(&text);
                            }
                        }
                    }
                }
            }
        }
        out
    }
}
