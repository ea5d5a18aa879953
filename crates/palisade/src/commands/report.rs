//! Where the outputs of an assessment go, and in which format.
use super::connect::Connection;
use crate::cli::Format;
use crate::error::Failure;
use crate::output::{FileOutput, Terminal, to_stdout};
use palisade_aws::CallFailure;
use palisade_core::{Assessment, Finding, Findings, Listing};
use palisade_report as report;
use palisade_scan::{ScanError, Spool};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

/// One output that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    format: Format,
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Stdout,
    File(PathBuf),
    Object { bucket: String, key: String },
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stdout => f.write_str("stdout"),
            Self::File(path) => write!(f, "`{}`", path.display()),
            Self::Object { bucket, key } => write!(f, "`s3://{bucket}/{key}`"),
        }
    }
}

/// How the findings of many accounts are held until they are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// In memory, those that are listed; the others are counted.
    Listed(Listing),
    /// Apart, all of them.
    Apart,
}

/// What was judged.
pub struct Judged {
    /// The assessment. Its findings are all there are, or what is added to those that are kept apart.
    pub assessment: Assessment,
    /// Findings that are kept apart.
    pub apart: Option<Spool>,
}

impl Judged {
    /// An assessment that has its findings.
    pub fn whole(assessment: Assessment) -> Self {
        Self {
            assessment,
            apart: None,
        }
    }

    /// All findings.
    pub fn findings(&self) -> &dyn Findings {
        match &self.apart {
            Some(spool) => spool,
            None => &self.assessment.findings,
        }
    }

    /// How many findings there are, listed, kept apart or only counted.
    pub fn total(&self) -> usize {
        match &self.apart {
            Some(spool) => spool.count(),
            None => self.assessment.total(),
        }
    }

    /// Changes each finding.
    ///
    /// # Errors
    /// When findings that are kept apart cannot be.
    pub fn change(&mut self, change: impl FnMut(&mut Finding)) -> Result<(), Failure> {
        match &mut self.apart {
            Some(spool) => Ok(spool.change(change).map_err(ScanError::Spool)?),
            None => {
                self.assessment.findings.iter_mut().for_each(change);
                Ok(())
            }
        }
    }

    /// Puts findings that were added to the assessment where the others are.
    ///
    /// # Errors
    /// When findings that are kept apart cannot be.
    pub fn collect(&mut self) -> Result<(), Failure> {
        let Some(spool) = &mut self.apart else {
            return Ok(());
        };
        let added = std::mem::take(&mut self.assessment.findings);
        Ok(spool.extend(added).map_err(ScanError::Spool)?)
    }

    /// Of findings that are kept apart, lists in the assessment what is needed there, and counts the others.
    ///
    /// # Errors
    /// When findings that are kept apart cannot be.
    pub fn list(&mut self, listing: Listing) -> Result<(), Failure> {
        self.collect()?;
        match &self.apart {
            Some(spool) => Ok(spool
                .list(listing, &mut self.assessment)
                .map_err(ScanError::Spool)?),
            None => Ok(()),
        }
    }
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
        let mut all: Vec<Output> = outputs
            .iter()
            .map(|o| parse(o, format))
            .collect::<Result<_, _>>()?;
        if all.is_empty() {
            all.push(Output {
                format,
                place: Place::Stdout,
            });
        }
        let mut places = BTreeSet::new();
        for output in &all {
            if !places.insert(&output.place) {
                return Err(Failure::Usage {
                    message: format!("two outputs go to {}", output.place),
                    hint: Some("give each --output its own place".to_owned()),
                });
            }
            if let Place::File(path) = &output.place {
                FileOutput::probe(path)?;
            }
        }
        Ok(Self { all, list_all })
    }

    /// No output at all.
    pub fn none() -> Self {
        Self {
            all: Vec::new(),
            list_all: false,
        }
    }

    /// Whether one of them is stdout.
    pub fn on_stdout(&self) -> bool {
        self.all.iter().any(|o| o.place == Place::Stdout)
    }

    /// How the findings of many accounts are best held for them. A report that lists only the worst needs a number of the
    /// others, most that list all are written finding by finding, and some need all at once.
    pub fn holding(&self) -> Holding {
        let whole = |o: &Output| matches!(o.format, Format::Html | Format::ComplianceCsv);
        let brief = |o: &Output| matches!(o.format, Format::Text | Format::Markdown);
        if self.all.iter().any(whole) {
            Holding::Listed(Listing::All)
        } else if self.all.iter().all(brief) {
            Holding::Listed(self.listing())
        } else {
            Holding::Apart
        }
    }

    /// The findings that an assessment lists for them when all are kept apart.
    pub fn listing(&self) -> Listing {
        let has = |format: Format| self.all.iter().any(|o| o.format == format);
        if has(Format::Text) && self.list_all {
            Listing::NotPassed
        } else if has(Format::Text) || has(Format::Markdown) {
            Listing::First(report::text::RESOURCES.max(report::markdown::RESOURCES))
        } else if has(Format::Prometheus) {
            // the score counts what a baseline has and not what is muted
            Listing::First(0)
        } else {
            Listing::Nothing
        }
    }

    /// Whether any of them is an object in Amazon S3.
    pub fn in_s3(&self) -> bool {
        self.objects().next().is_some()
    }

    fn objects(&self) -> impl Iterator<Item = (&Output, &str, &str)> {
        self.all.iter().filter_map(|o| match &o.place {
            Place::Object { bucket, key } => Some((o, bucket.as_str(), key.as_str())),
            _ => None,
        })
    }

    /// Finds out whether the buckets are there. What may be written to them is not known before it is written.
    ///
    /// # Errors
    /// When one does not exist.
    pub fn probe(&self, connection: &Connection) -> Result<(), Failure> {
        let (client, _) = connection.client();
        let buckets: BTreeSet<&str> = self.objects().map(|(_, bucket, _)| bucket).collect();
        for bucket in buckets {
            let params = serde_json::Map::from_iter([("Bucket".to_owned(), bucket.into())]);
            let asked = client.call("s3", "HeadBucket", client.region(), &params);
            // who may only put objects is denied this
            if let Err(CallFailure {
                status: Some(404), ..
            }) = connection.wait(asked)
            {
                return Err(Failure::Upload {
                    place: format!("s3://{bucket}"),
                    message: "there is no such bucket".to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Writes all of them. Files appear together, whole, when every one could be written; then stdout, then objects.
    ///
    /// # Errors
    /// When one cannot be written. No file was touched when a file could not be written; files stay, and objects are put,
    /// when stdout could not be written or another object not be put.
    pub fn write(
        &self,
        judged: &Judged,
        connection: Option<&Connection>,
        terminal: &Terminal,
    ) -> Result<(), Failure> {
        let files = self.all.iter().filter_map(|o| match &o.place {
            Place::File(path) => Some((o.format, path)),
            _ => None,
        });
        let mut written = Vec::new();
        for (format, path) in files {
            let file = FileOutput::write(path, |out| {
                self.one(format, judged, Terminal::COLUMNS, false, out)
            })?;
            written.push((path, file));
        }
        let findings = judged.total();
        for (path, file) in written {
            file.persist()?;
            terminal.note(&format!(
                "{findings} findings written to {}",
                path.display()
            ));
        }
        let mut failed: Option<Failure> = None;
        if let Some(output) = self.all.iter().find(|o| o.place == Place::Stdout) {
            failed = to_stdout(|out| {
                self.one(
                    output.format,
                    judged,
                    terminal.width(),
                    terminal.color(),
                    out,
                )
            })
            .err();
        }
        for (output, bucket, key) in self.objects() {
            let place = format!("s3://{bucket}/{key}");
            let put = match connection {
                Some(connection) => self.upload(output.format, judged, connection, (bucket, key)),
                None => Err("there is no connection to AWS".to_owned()),
            };
            match put {
                Ok(()) => terminal.note(&format!("{findings} findings written to {place}")),
                Err(message) => {
                    let failure = Failure::Upload { place, message };
                    // the last is told by whoever called
                    if let Some(before) = failed.replace(failure)
                        && !before.is_closed_pipe()
                    {
                        terminal.failure(&before);
                    }
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// The report is in memory once: the signature needs its digest, and every attempt sends the same bytes.
    fn upload(
        &self,
        format: Format,
        judged: &Judged,
        connection: &Connection,
        (bucket, key): (&str, &str),
    ) -> Result<(), String> {
        let mut body = Vec::new();
        self.one(format, judged, Terminal::COLUMNS, false, &mut body)
            .map_err(|e| e.to_string())?;
        let (client, _) = connection.client();
        let put = client.put_object(bucket, key, content_type(format), body.into());
        connection.wait(put).map_err(|e| e.to_string())
    }

    fn one(
        &self,
        format: Format,
        judged: &Judged,
        width: usize,
        color: bool,
        out: &mut dyn Write,
    ) -> std::io::Result<()> {
        let (assessment, findings) = (&judged.assessment, judged.findings());
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
            Format::Json => report::json::write_from(assessment, findings, out),
            Format::Jsonl => report::jsonl::write_from(findings, out),
            Format::Csv => report::csv::write_from(assessment, findings, out),
            Format::ComplianceCsv => report::compliance_csv::write(assessment, out),
            Format::Html => report::html::write(assessment, out),
            Format::Markdown => report::markdown::write(assessment, out),
            Format::Ocsf => report::ocsf::write_from(assessment, findings, out),
            Format::Asff => report::asff::write_from(assessment, findings, out),
            Format::Sarif => report::sarif::write_from(assessment, findings, out),
            Format::Junit => report::junit::write_from(assessment, findings, out),
            Format::Prometheus => report::prometheus::write_from(assessment, findings, out),
        }
    }
}

/// `FORMAT=PATH` or `PATH`; `-` is stdout, `s3://BUCKET/KEY` an object. A path that begins like a format is written as
/// `./html=…`.
fn parse(text: &str, default: Format) -> Result<Output, Failure> {
    use clap::ValueEnum;
    let named = text
        .split_once('=')
        .and_then(|(name, path)| Some((Format::from_str(name, false).ok()?, path)));
    let (format, path) = named.unwrap_or((default, text));
    let place = match path.split_once("://") {
        _ if path == "-" => Place::Stdout,
        Some(("s3", object)) => object_of(object, path)?,
        Some((scheme, _)) => {
            return Err(Failure::Usage {
                message: format!("cannot write to `{path}`: `{scheme}` is neither a file nor `s3`"),
                hint: None,
            });
        }
        None => Place::File(PathBuf::from(path)),
    };
    Ok(Output { format, place })
}

/// `BUCKET/KEY`, by the rules of names (Amazon S3 User Guide, "General purpose bucket naming rules", "Naming objects").
fn object_of(object: &str, whole: &str) -> Result<Place, Failure> {
    let wrong = |what: &str| Failure::Usage {
        message: format!("cannot write to `{whole}`: {what}"),
        hint: Some("an object is named as `s3://BUCKET/KEY`".to_owned()),
    };
    let (bucket, key) = object.split_once('/').unwrap_or((object, ""));
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    let bounded = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    if !(3..=63).contains(&bucket.len())
        || !bucket.bytes().all(good)
        || !bounded(bucket.bytes().next())
        || !bounded(bucket.bytes().next_back())
    {
        return Err(wrong(&format!("`{bucket}` is no name of a bucket")));
    }
    if key.is_empty() || key.ends_with('/') {
        return Err(wrong("the object's name is missing"));
    }
    if key.len() > 1024 || key.chars().any(char::is_control) {
        return Err(wrong(
            "the object's name is longer than 1,024 bytes or has control characters",
        ));
    }
    if key.split('/').any(|part| part == "." || part == "..") {
        return Err(wrong(
            "a part of the object's name is `.` or `..`, which clients take out of paths",
        ));
    }
    Ok(Place::Object {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
    })
}

const fn content_type(format: Format) -> &'static str {
    match format {
        Format::Text => "text/plain; charset=utf-8",
        Format::Json | Format::Ocsf | Format::Asff => "application/json",
        Format::Jsonl => "application/jsonl",
        Format::Csv | Format::ComplianceCsv => "text/csv; charset=utf-8",
        Format::Html => "text/html; charset=utf-8",
        Format::Markdown => "text/markdown; charset=utf-8",
        Format::Sarif => "application/sarif+json",
        Format::Junit => "application/xml",
        Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn place(text: &str) -> Option<(Format, Place)> {
        parse(text, Format::Json).ok().map(|o| (o.format, o.place))
    }

    #[test]
    fn outputs_are_a_format_and_a_place() {
        let file = |path: &str| Place::File(PathBuf::from(path));
        for (text, format, expected) in [
            ("html=r.html", Format::Html, file("r.html")),
            ("jsonl=-", Format::Jsonl, Place::Stdout),
            ("-", Format::Json, Place::Stdout),
            ("a=b.json", Format::Json, file("a=b.json")),
            ("./html=x", Format::Json, file("./html=x")),
        ] {
            assert_eq!(place(text), Some((format, expected)), "{text}");
        }
        let object = Place::Object {
            bucket: "my.bucket-1".to_owned(),
            key: "a/b=c d.html".to_owned(),
        };
        assert_eq!(
            place("html=s3://my.bucket-1/a/b=c d.html"),
            Some((Format::Html, object))
        );
        for wrong in [
            "s3://bucket",
            "s3://bucket/",
            "s3://bucket/folder/",
            "s3://Bucket/key",
            "s3://-bucket/key",
            "s3://b/key",
            "s3:///key",
            "s3://bucket/a/../b",
            "s3://bucket/a\nb",
            "gs://bucket/key",
        ] {
            assert_eq!(place(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn two_outputs_have_two_places() {
        let outputs = |list: &[&str]| {
            let list: Vec<String> = list.iter().map(|s| (*s).to_owned()).collect();
            Outputs::new(Format::Text, &list, false)
        };
        assert!(outputs(&["json=-", "csv=-"]).is_err());
        assert!(outputs(&["json=x", "csv=x"]).is_err());
        assert!(outputs(&["json=s3://bucket/key", "csv=s3://bucket/key"]).is_err());
        assert!(outputs(&["json=s3://bucket/key", "csv=s3://bucket/key2"]).is_ok());
        assert!(outputs(&["json=/nonexistent/x"]).is_err());
        assert!(outputs(&["json=x", "csv=-"]).is_ok());
    }
}
