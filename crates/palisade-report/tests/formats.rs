//! Every format against one small assessment: golden text, nothing dropped, nothing that steers its reader.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod sample;

use palisade_core::{Assessment, Finding, Severity, Status};
use palisade_report::{
    asff, compliance_csv, csv, html, json, jsonl, junit, markdown, ocsf, prometheus, sarif, text,
};
use proptest::prelude::*;
use sample::{NASTY, any_assessment, assessment, finding, nasty, sample};
use std::io::Write;

type Writer = fn(&Assessment, &mut dyn Write) -> std::io::Result<()>;

fn plain_text(assessment: &Assessment, out: &mut dyn Write) -> std::io::Result<()> {
    text::write(
        assessment,
        text::Options {
            width: 80,
            ..text::Options::default()
        },
        out,
    )
}

fn all_text(assessment: &Assessment, out: &mut dyn Write) -> std::io::Result<()> {
    text::write(
        assessment,
        text::Options {
            width: 80,
            all: true,
            ..text::Options::default()
        },
        out,
    )
}

const FORMATS: &[(&str, Writer)] = &[
    ("asff", asff::write),
    ("compliance_csv", compliance_csv::write),
    ("csv", csv::write),
    ("html", html::write),
    ("json", json::write),
    ("jsonl", jsonl::write),
    ("junit", junit::write),
    ("markdown", markdown::write),
    ("ocsf", ocsf::write),
    ("prometheus", prometheus::write),
    ("sarif", sarif::write),
    ("text", plain_text),
];

fn written(write: Writer, assessment: &Assessment) -> String {
    let mut out = Vec::new();
    write(assessment, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The data of an HTML page.
fn data(page: &str) -> serde_json::Value {
    use base64::Engine;
    let (_, rest) = page
        .split_once(r#"<script type="application/octet-stream" id="data">"#)
        .unwrap();
    let packed = base64::engine::general_purpose::STANDARD
        .decode(rest.split_once("</script>").unwrap().0)
        .unwrap();
    serde_json::from_reader(flate2::read::GzDecoder::new(packed.as_slice())).unwrap()
}

/// The policy names this script and this style, and there is no other way to run or load anything.
#[test]
fn the_page_is_closed() {
    use base64::Engine;
    use sha2::Digest;
    let page = written(html::write, &nasty());
    let hash = |open: &str, close: &str| {
        let text = page
            .rsplit_once(open)
            .unwrap()
            .1
            .split_once(close)
            .unwrap()
            .0;
        let digest = sha2::Sha256::digest(text.as_bytes());
        format!(
            "'sha256-{}'",
            base64::engine::general_purpose::STANDARD.encode(digest)
        )
    };
    let script = hash("<script>", "</script>");
    let style = hash("<style>", "</style>");
    assert!(page.contains(&format!(
        "default-src 'none'; script-src {script}; style-src {style};"
    )));
    assert_eq!(page.matches("<script").count(), 2);
    for bad in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "src=",
        "@import",
        "url(",
        "fetch(",
    ] {
        assert!(!page.contains(bad), "{bad}");
    }
    assert!(
        !page.contains("http://")
            || page.matches("http://").count()
                == page.matches("http://www.w3.org/2000/svg").count()
    );
    assert!(!page.contains("https://"));
}

#[test]
fn golden() {
    for (name, write) in FORMATS {
        // of the page, what it knows: the rest is the same for all
        let text = if *name == "html" {
            format!("{:#}", data(&written(*write, &sample())))
        } else {
            written(*write, &sample())
        };
        insta::assert_snapshot!(*name, text);
    }
}

#[test]
fn the_same_bytes_each_time() {
    for (name, write) in FORMATS {
        for assessment in [sample(), nasty()] {
            assert_eq!(
                written(*write, &assessment),
                written(*write, &assessment.clone()),
                "{name}"
            );
        }
    }
}

/// No format lets a control character through, but for the line ends that are its own.
#[test]
fn nothing_from_the_account_can_steer_a_terminal() {
    for (name, write) in FORMATS.iter().chain(&[("text --all", all_text as Writer)]) {
        let text = written(*write, &nasty());
        let bad = |c: &char| c.is_control() && *c != '\n';
        // the cells of a CSV keep line ends and tabs of a text inside quotes, as it is data
        let found: Vec<char> = if name.contains("csv") {
            csv_controls(&text)
        } else {
            text.chars().filter(bad).collect()
        };
        assert_eq!(found, Vec::<char>::new(), "{name}");
    }
}

fn csv_controls(text: &str) -> Vec<char> {
    text.chars()
        .filter(|c| c.is_control() && !"\n\r\t".contains(*c))
        .collect()
}

#[test]
fn no_line_of_text_steers_a_reader_by_its_direction_or_its_lines() {
    let text = written(all_text, &nasty());
    assert!(
        !text.contains('\u{202e}') && !text.contains('\u{2028}'),
        "{text}"
    );
}

#[test]
fn formulas_are_inert_in_csv() {
    for write in [csv::write as Writer, compliance_csv::write] {
        let text = written(write, &nasty());
        let mut rows = ::csv::Reader::from_reader(text.as_bytes());
        for row in rows.records() {
            for cell in &row.unwrap() {
                assert!(
                    !cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']),
                    "{cell}"
                );
            }
        }
    }
}

#[test]
fn markup_is_inert_in_markdown_and_xml() {
    let text = written(junit::write, &nasty());
    assert!(!text.contains("<script") && !text.contains("<img") && !text.contains("]]>"));
    // in Markdown everything that others chose is inside of code
    for line in written(markdown::write, &nasty()).lines() {
        let mut outside = String::new();
        let mut rest = line;
        while let Some(start) = rest.find('`') {
            outside.push_str(&rest[..start]);
            let fence = rest[start..].len() - rest[start..].trim_start_matches('`').len();
            let mut search = start + fence;
            // the closing run has the same length
            rest = loop {
                let at = search
                    + rest[search..]
                        .find('`')
                        .unwrap_or_else(|| panic!("open code: {line}"));
                let run = rest[at..].len() - rest[at..].trim_start_matches('`').len();
                if run == fence {
                    break &rest[at + run..];
                }
                search = at + run;
            };
        }
        outside.push_str(rest);
        for bad in ["<script", "<img", "@everyone", "](http", "jndi"] {
            assert!(!outside.contains(bad), "{line}");
        }
    }
}

#[test]
fn a_summary_stays_small() {
    let long = "x".repeat(3000);
    let findings = (0..2000)
        .map(|i| {
            let mut one = finding(
                &format!("s3-{}", i % 40),
                Status::Fail,
                Severity::High,
                &format!("{i}{long}"),
                &long,
            );
            one.missing_permissions = vec![format!("s3:Get{i}")];
            one
        })
        .collect();
    let mut large = assessment(findings);
    large.checks = (0..40)
        .map(|i| sample::summary(&format!("s3-{i}"), Severity::High))
        .collect();
    let text = written(markdown::write, &large);
    assert!(text.len() < 60_000, "{}", text.len());
    assert!(
        text.contains("2000 failed findings") && text.contains("25 more checks"),
        "{text}"
    );
}

/// Readable at 80 columns with nothing wrong and with 10,000 failures.
#[test]
fn a_terminal_of_80_columns_is_enough() {
    let closed: Vec<_> = (0..10)
        .map(|i| {
            finding(
                "s3-a",
                Status::Pass,
                Severity::High,
                &format!("b{i}"),
                "closed",
            )
        })
        .collect();
    let mut clean = assessment(closed);
    clean.coverage.failures.clear();
    let text = written(plain_text, &clean);
    assert!(
        text.contains("Nothing failed") && !text.contains("could not be read"),
        "{text}"
    );
    let many: Vec<_> = (0..10_000)
        .map(|i| {
            finding(
                "s3-a",
                Status::Fail,
                Severity::High,
                &format!("bucket-{i}"),
                "open to the world, and to everyone else who asks",
            )
        })
        .collect();
    let mut many = assessment(many);
    many.checks[0].title = "A title that is so long that it does not fit one line of a narrow terminal, whatever is done".into();
    for text in [
        text,
        written(plain_text, &sample()),
        written(plain_text, &many),
    ] {
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert!(text.lines().count() < 60, "{text}");
    }
    let all = written(all_text, &many);
    let listed: std::collections::BTreeSet<&str> = all
        .split_whitespace()
        .filter(|w| w.starts_with("bucket-"))
        .collect();
    assert_eq!(listed.len(), 10_000);
}

fn strings(values: &serde_json::Value, pointer: &str) -> Vec<String> {
    let text = |v: &serde_json::Value| v.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    values.as_array().unwrap().iter().map(text).collect()
}

/// Where a column of the CSV is.
fn csv_column(name: &str) -> usize {
    let text = written(csv::write, &assessment(vec![]));
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap();
    header
        .iter()
        .position(|h| h.eq_ignore_ascii_case(name))
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn every_finding_is_in_every_format(assessment in any_assessment()) {
        let findings = &assessment.findings;
        let resources: Vec<String> = findings.iter().map(|f| f.resource.clone()).collect();
        let messages: Vec<String> = findings.iter().map(|f| f.message.clone()).collect();

        let read: Vec<Finding> = written(jsonl::write, &assessment).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        prop_assert_eq!(&read, findings);

        let read: Assessment = serde_json::from_str(&written(json::write, &assessment)).unwrap();
        prop_assert_eq!(&read, &assessment);

        let json = |write: Writer| serde_json::from_str::<serde_json::Value>(&written(write, &assessment)).unwrap();
        let ocsf = json(ocsf::write);
        prop_assert_eq!(&strings(&ocsf, "/resources/0/uid"), &resources);
        prop_assert_eq!(&strings(&ocsf, "/message"), &messages);
        prop_assert_eq!(
            strings(&ocsf, "/unmapped/palisade_status"),
            findings.iter().map(|f| f.status.to_string()).collect::<Vec<_>>()
        );

        let page = data(&written(html::write, &assessment));
        prop_assert_eq!(&strings(&page["findings"], "/10"), &resources);
        prop_assert_eq!(&strings(&page["findings"], "/12"), &messages);
        let status = |f: &serde_json::Value| (f[1].as_u64().unwrap(), f[8].as_i64().unwrap() >= 0);
        prop_assert_eq!(
            page["findings"].as_array().unwrap().iter().map(status).collect::<Vec<_>>(),
            findings.iter().map(|f| (f.status as u64, f.muted.is_some())).collect::<Vec<_>>()
        );

        let asff = json(asff::write);
        prop_assert_eq!(&strings(&asff, "/Resources/0/Id"), &resources);
        let suppressed = strings(&asff, "/Workflow/Status").iter().filter(|s| *s == "SUPPRESSED").count();
        prop_assert_eq!(suppressed, findings.iter().filter(|f| f.muted.is_some()).count());

        let sarif = json(sarif::write);
        prop_assert_eq!(&strings(&sarif["runs"][0]["results"], "/locations/0/logicalLocations/0/fullyQualifiedName"), &resources);

        let xml = written(junit::write, &assessment);
        prop_assert_eq!(xml.matches("<testcase ").count(), findings.len());
        let fails = findings.iter().filter(|f| f.counts_as_failed()).count();
        prop_assert_eq!(xml.matches("<failure ").count(), fails);

        let table = |write: Writer, column: usize| -> Vec<String> {
            let text = written(write, &assessment);
            let mut rows = ::csv::Reader::from_reader(text.as_bytes());
            rows.records().map(|r| r.unwrap()[column].to_owned()).collect()
        };
        // a mark before what a spreadsheet would take for a formula may be added, and what steers a reader is replaced
        let inert = |text: &String| palisade_report::printable(text).trim_start_matches('\'').to_owned();
        prop_assert_eq!(
            table(csv::write, csv_column("resource")).iter().map(inert).collect::<Vec<_>>(),
            resources.iter().map(inert).collect::<Vec<_>>()
        );
        prop_assert_eq!(
            table(csv::write, csv_column("status")),
            findings.iter().map(|f| f.status.to_string()).collect::<Vec<_>>()
        );

        // the summaries count: what failed is named, or is among those that are counted as more
        let text = written(all_text, &assessment);
        for finding in findings.iter().filter(|f| f.counts_as_failed()) {
            prop_assert!(text.contains(&*finding.check), "{}", finding.check);
        }
        let total = format!("{:<16} {:>7} ", "all", fails);
        prop_assert!(text.contains(&total), "{text}");
        let summary = written(markdown::write, &assessment);
        prop_assert!(summary.contains(&fails.to_string()), "{summary}");
        let times = |requirement: &str| findings.iter().filter(|f| f.requirements.iter().any(|r| r == requirement)).count();
        prop_assert_eq!(table(compliance_csv::write, 1).len(), times("cis-aws-5.0/2.1.4") + times("cis-aws-5.0/2.1.10"));

        let metrics = written(prometheus::write, &assessment);
        let counted: usize = metrics.lines().filter(|l| l.starts_with("palisade_check_findings{")).map(|l| l.rsplit_once(' ').unwrap().1.parse::<usize>().unwrap()).sum();
        prop_assert_eq!(counted, findings.len());
    }
}

/// What the scan judged is what the reports say: also of requirements that no finding serves.
#[test]
fn selected_frameworks_are_complete() {
    let judged = sample::judged();
    let text = written(compliance_csv::write, &judged);
    let mut rows = ::csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<::csv::StringRecord> = rows.records().map(|r| r.unwrap()).collect();
    let of = |id: &str| -> Vec<&::csv::StringRecord> {
        rows.iter()
            .filter(|r| &r[0] == "cis-aws-5.0" && &r[1] == id)
            .collect()
    };
    let counted = |id: &str| {
        let requirement = format!("cis-aws-5.0/{id}");
        let serves = |f: &&Finding| f.requirements.contains(&requirement);
        judged.findings.iter().filter(serves).count()
    };
    assert!(counted("2.1.4") > 0);
    assert_eq!(of("2.1.4").len(), counted("2.1.4"));
    assert!(
        of("2.1.4")
            .iter()
            .all(|r| &r[14] == "failed" && &r[13] == "about 2.1.4")
    );
    for (id, status) in [("2.1.1", "passed"), ("3.1", "not_covered"), ("3.2", "aws")] {
        assert_eq!(of(id).len(), 1, "{id}");
        assert_eq!((&of(id)[0][2], &of(id)[0][14]), ("", status));
    }
    let page = data(&written(html::write, &judged));
    assert_eq!(
        page["rollup"][0]["requirements"][2]["status"],
        "not_covered"
    );
    assert_eq!(
        page["rollup"][0]["requirements"].as_array().unwrap().len(),
        4
    );
}

#[test]
fn every_nasty_name_survives_as_data() {
    let read: Vec<Finding> = written(jsonl::write, &nasty())
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert!(
        NASTY
            .iter()
            .zip(&read)
            .all(|(text, finding)| finding.message == *text)
    );
}
