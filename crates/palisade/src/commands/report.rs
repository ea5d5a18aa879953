//! Where the outputs of an assessment go, and in which format.
use crate::cli::Format;
use crate::error::Failure;
use crate::output::{FileOutput, Terminal, to_stdout};
use palisade_core::Assessment;
use palisade_report as report;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

/// One output that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    format: Format,
    /// None is stdout.
    path: Option<PathBuf>,
}

/// All outputs that were asked for; nothing is asked of AWS before it is known that they can be written.
#[derive(Debug)]
pub struct Outputs {
    all: Vec<Output>,
    /// Every failed resource in the text report.
    list_all: bool,
}

impl Outputs {
    /// From `--format` and every `--output`.
    ///
    /// # Errors
    /// When two outputs have one place, a place is not a file, or its folder cannot be written.
    pub fn new(format: Format, outputs: &[String], list_all: bool) -> Result<Self, Failure> {
        let mut all: Vec<Output> = outputs.iter().map(|o| parse(o, format)).collect();
        if all.is_empty() {
            all.push(Output { format, path: None });
        }
        let mut places = BTreeSet::new();
        for output in &all {
            let Some(path) = &output.path else {
                if !places.insert(PathBuf::from("-")) {
                    return Err(twice("stdout"));
                }
                continue;
            };
            if let Some(scheme) = path
                .to_str()
                .and_then(|p| p.split_once("://"))
                .map(|(s, _)| s)
            {
                return Err(Failure::Usage {
                    message: format!(
                        "cannot write to `{}`: `{scheme}` is no file",
                        path.display()
                    ),
                    hint: Some(
                        "write to a file and copy it, for example with `aws s3 cp`".to_owned(),
                    ),
                });
            }
            if !places.insert(path.clone()) {
                return Err(twice(&format!("`{}`", path.display())));
            }
            FileOutput::probe(path)?;
        }
        Ok(Self { all, list_all })
    }

    /// Writes all of them. Files appear together, whole, when every one could be written; then stdout.
    ///
    /// # Errors
    /// When one cannot be written: no file was touched then.
    pub fn write(&self, assessment: &Assessment, terminal: &Terminal) -> Result<(), Failure> {
        let files = self
            .all
            .iter()
            .filter_map(|o| o.path.as_ref().map(|path| (o.format, path)));
        let mut written = Vec::new();
        for (format, path) in files {
            let file =
                FileOutput::write(path, |out| self.one(format, assessment, 100, false, out))?;
            written.push((path, file));
        }
        for (path, file) in written {
            file.persist()?;
            let findings = assessment.findings.len();
            terminal.note(&format!(
                "{findings} findings written to {}",
                path.display()
            ));
        }
        match self.all.iter().find(|o| o.path.is_none()) {
            Some(output) => to_stdout(|out| {
                self.one(
                    output.format,
                    assessment,
                    terminal.width(),
                    terminal.color(),
                    out,
                )
            }),
            None => Ok(()),
        }
    }

    fn one(
        &self,
        format: Format,
        assessment: &Assessment,
        width: usize,
        color: bool,
        out: &mut dyn Write,
    ) -> std::io::Result<()> {
        match format {
            Format::Text => {
                let options = report::text::Options {
                    color,
                    width,
                    all: self.list_all,
                    ..report::text::Options::default()
                };
                report::text::write(assessment, options, out)
            }
            Format::Json => report::json::write(assessment, out),
            Format::Jsonl => report::jsonl::write(assessment, out),
            Format::Csv => report::csv::write(assessment, out),
            Format::ComplianceCsv => report::compliance_csv::write(assessment, out),
            Format::Html => report::html::write(assessment, out),
            Format::Markdown => report::markdown::write(assessment, out),
            Format::Ocsf => report::ocsf::write(assessment, out),
            Format::Asff => report::asff::write(assessment, out),
            Format::Sarif => report::sarif::write(assessment, out),
            Format::Junit => report::junit::write(assessment, out),
            Format::Prometheus => report::prometheus::write(assessment, out),
        }
    }
}

/// `FORMAT=PATH` or `PATH`; `-` is stdout. A path that begins like a format is written as `./html=…`.
fn parse(text: &str, default: Format) -> Output {
    use clap::ValueEnum;
    let named = text
        .split_once('=')
        .and_then(|(name, path)| Some((Format::from_str(name, false).ok()?, path)));
    let (format, path) = named.unwrap_or((default, text));
    Output {
        format,
        path: (path != "-").then(|| PathBuf::from(path)),
    }
}

fn twice(what: &str) -> Failure {
    Failure::Usage {
        message: format!("two outputs go to {what}"),
        hint: Some("give each --output its own place".to_owned()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_a_format_and_a_place() {
        let output = |format, path: Option<&str>| Output {
            format,
            path: path.map(PathBuf::from),
        };
        assert_eq!(
            parse("html=r.html", Format::Text),
            output(Format::Html, Some("r.html"))
        );
        assert_eq!(parse("jsonl=-", Format::Text), output(Format::Jsonl, None));
        assert_eq!(parse("-", Format::Csv), output(Format::Csv, None));
        assert_eq!(
            parse("a=b.json", Format::Json),
            output(Format::Json, Some("a=b.json"))
        );
        assert_eq!(
            parse("./html=x", Format::Json),
            output(Format::Json, Some("./html=x"))
        );
    }

    #[test]
    fn two_outputs_have_two_places() {
        let outputs = |list: &[&str]| {
            let list: Vec<String> = list.iter().map(|s| (*s).to_owned()).collect();
            Outputs::new(Format::Text, &list, false)
        };
        assert!(outputs(&["json=-", "csv=-"]).is_err());
        assert!(outputs(&["json=x", "csv=x"]).is_err());
        assert!(outputs(&["json=s3://bucket/key"]).is_err());
        assert!(outputs(&["json=/nonexistent/x"]).is_err());
        assert!(outputs(&["json=x", "csv=-"]).is_ok());
    }
}
