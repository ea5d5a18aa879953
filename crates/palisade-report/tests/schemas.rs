//! What is written holds against the official schemas (`schemas/README.md`), for ordinary and for nasty findings.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod sample;

use palisade_core::{Assessment, Category, Severity, Status};
use palisade_report::{asff, compliance_csv, csv, json, jsonl, junit, ocsf, prometheus, sarif};
use serde_json::Value;

fn written(
    write: fn(&Assessment, &mut dyn std::io::Write) -> std::io::Result<()>,
    assessment: &Assessment,
) -> String {
    let mut out = Vec::new();
    write(assessment, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn assessments() -> Vec<Assessment> {
    let mut all_kinds = sample::sample();
    for severity in Severity::ALL {
        for status in Status::ALL {
            all_kinds
                .findings
                .push(sample::finding("s3-c", *status, *severity, "x", ""));
        }
        let mut check = sample::summary(&format!("s3-{severity}"), *severity);
        check.why = String::new();
        check.fix = String::new();
        all_kinds.checks.push(check);
    }
    for category in Category::ALL {
        all_kinds.checks[0].category = *category;
    }
    let empty = sample::assessment(vec![]);
    vec![sample::sample(), sample::nasty(), all_kinds, empty]
}

fn schema(text: &str) -> jsonschema::Validator {
    jsonschema::validator_for(&serde_json::from_str(text).unwrap()).unwrap()
}

fn hold(validator: &jsonschema::Validator, document: &Value) {
    let errors: Vec<String> = validator
        .iter_errors(document)
        .map(|e| format!("{}: {e}", e.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}\n{document:#}");
}

/// Our own schema, without what it leaves to later versions: a member that it does not know is one that nobody wrote down.
fn closed(node: &mut Value) {
    if let Value::Object(members) = node {
        if members.contains_key("properties") {
            members.insert("additionalProperties".to_owned(), false.into());
        }
        members.values_mut().for_each(closed);
    } else if let Value::Array(items) = node {
        items.iter_mut().for_each(closed);
    }
}

#[test]
fn json_and_jsonl_hold_against_the_documented_schema() {
    let mut whole: Value =
        serde_json::from_str(include_str!("../../../docs/specs/report.schema.json")).unwrap();
    closed(&mut whole);
    let document = jsonschema::validator_for(&whole).unwrap();
    let mut line = whole["$defs"]["finding"].clone();
    line["$defs"] = whole["$defs"].clone();
    let line = jsonschema::validator_for(&line).unwrap();
    let mut all = assessments();
    all.push(sample::judged());
    for assessment in all {
        let text = written(json::write, &assessment);
        hold(&document, &serde_json::from_str(&text).unwrap());
        for text in written(jsonl::write, &assessment).lines() {
            hold(&line, &serde_json::from_str(text).unwrap());
        }
    }
    // It refuses what is wrong.
    let mut wrong: Value = serde_json::from_str(&written(json::write, &sample::sample())).unwrap();
    wrong["findings"][0]["status"] = "green".into();
    assert!(!document.is_valid(&wrong));
    let mut wrong: Value = serde_json::from_str(&written(json::write, &sample::sample())).unwrap();
    wrong["schema"] = "palisade/2".into();
    assert!(!document.is_valid(&wrong));
}

/// RFC 4180 as a strict reader has it: every row has as many fields as the header, whose names differ.
#[test]
fn csv_holds_against_rfc_4180() {
    for assessment in assessments() {
        for write in [csv::write, compliance_csv::write] {
            let text = written(write, &assessment);
            let mut strict = ::csv::ReaderBuilder::new();
            let mut reader = strict.flexible(false).from_reader(text.as_bytes());
            let header = reader.headers().unwrap().clone();
            let names: std::collections::BTreeSet<&str> = header.iter().collect();
            assert_eq!(names.len(), header.len(), "{header:?}");
            for row in reader.records() {
                assert_eq!(row.unwrap().len(), header.len());
            }
        }
    }
}

#[test]
fn ocsf_events_hold_against_the_class() {
    let validator = schema(include_str!("schemas/ocsf-compliance-finding-1.8.0.json"));
    for assessment in assessments() {
        let events: Vec<Value> = serde_json::from_str(&written(ocsf::write, &assessment)).unwrap();
        assert_eq!(events.len(), assessment.findings.len());
        events.iter().for_each(|event| hold(&validator, event));
    }
    // the schema refuses what is wrong: this test can fail
    let events: Vec<Value> =
        serde_json::from_str(&written(ocsf::write, &sample::sample())).unwrap();
    let mut wrong = events[0].clone();
    wrong["compliance"]["status_id"] = 17.into();
    assert!(!validator.is_valid(&wrong));
    let mut wrong = events[0].clone();
    wrong.as_object_mut().unwrap().shift_remove("cloud");
    assert!(!validator.is_valid(&wrong));
}

#[test]
fn sarif_logs_hold_against_the_schema() {
    let text = include_str!("schemas/sarif-2.1.0.json");
    // one pattern, of a property that is not written, is no regular expression of ECMA-262: its bracket is unbalanced
    let broken = r#""pattern": "^[a-zA-Z]{2}|^[a-zA-Z]{2}-[a-zA-Z]{2}]?$""#;
    assert!(text.contains(broken));
    let validator = schema(&text.replace(broken, r#""minLength": 2"#));
    for assessment in assessments() {
        let log: Value = serde_json::from_str(&written(sarif::write, &assessment)).unwrap();
        hold(&validator, &log);
        let run = &log["runs"][0];
        let results = run["results"].as_array().unwrap();
        assert_eq!(results.len(), assessment.findings.len());
        for result in results {
            if let Some(index) = result["ruleIndex"].as_u64() {
                let rule = &run["tool"]["driver"]["rules"][usize::try_from(index).unwrap()];
                assert_eq!(rule["id"], result["ruleId"]);
            }
            // SARIF 3.27.10: a level other than none is for fails only
            assert_eq!(result["kind"] == "fail", result["level"] != "none");
        }
        let mut wrong = log.clone();
        wrong["version"] = "2.0.0".into();
        assert!(!validator.is_valid(&wrong));
    }
}

/// Every way in which a value is not of an AWS shape.
fn violations(shapes: &Value, name: &str, value: &Value, path: &str, found: &mut Vec<String>) {
    let shape = &shapes[name];
    let mut wrong = |what: String| found.push(format!("{path}: {what}"));
    match shape["type"].as_str().unwrap() {
        "structure" => {
            let Some(object) = value.as_object() else {
                return wrong(format!("{value} is no structure {name}"));
            };
            for required in shape["required"].as_array().into_iter().flatten() {
                if !object.contains_key(required.as_str().unwrap()) {
                    wrong(format!("{required} is missing"));
                }
            }
            for (key, value) in object {
                match shape["members"][key]["shape"].as_str() {
                    Some(member) => {
                        violations(shapes, member, value, &format!("{path}.{key}"), found)
                    }
                    None => found.push(format!("{path}.{key}: no member of {name}")),
                }
            }
        }
        "list" => {
            let Some(items) = value.as_array() else {
                return wrong(format!("{value} is no list"));
            };
            let member = shape["member"]["shape"].as_str().unwrap();
            for (i, item) in items.iter().enumerate() {
                violations(shapes, member, item, &format!("{path}[{i}]"), found);
            }
        }
        "map" => {
            for (key, value) in value.as_object().unwrap() {
                let (k, v) = (&shape["key"]["shape"], &shape["value"]["shape"]);
                violations(
                    shapes,
                    k.as_str().unwrap(),
                    &key.clone().into(),
                    path,
                    found,
                );
                violations(
                    shapes,
                    v.as_str().unwrap(),
                    value,
                    &format!("{path}.{key}"),
                    found,
                );
            }
        }
        "string" => {
            let Some(text) = value.as_str() else {
                return wrong(format!("{value} is no string"));
            };
            // the only pattern among these shapes: `.*\S.*`
            match shape["pattern"].as_str() {
                None => {}
                Some(r".*\S.*") if text.trim().is_empty() => wrong("is blank".into()),
                Some(r".*\S.*") => {}
                Some(other) => panic!("no rule for {other}"),
            }
            if let Some(words) = shape["enum"].as_array()
                && !words.contains(value)
            {
                wrong(format!("{value} is none of {words:?}"));
            }
        }
        "boolean" => assert!(value.is_boolean(), "{path}"),
        "integer" | "long" | "double" => assert!(value.is_number(), "{path}"),
        other => panic!("no rule for {other}"),
    }
}

#[test]
fn asff_findings_hold_against_aws_model() {
    let shapes: Value = serde_json::from_str(include_str!("schemas/asff-shapes.json")).unwrap();
    let check = |finding: &Value| {
        let mut found = Vec::new();
        violations(&shapes, "AwsSecurityFinding", finding, "", &mut found);
        found
    };
    for assessment in assessments() {
        let findings: Vec<Value> =
            serde_json::from_str(&written(asff::write, &assessment)).unwrap();
        assert_eq!(findings.len(), assessment.findings.len());
        for finding in &findings {
            assert_eq!(check(finding), Vec::<String>::new(), "{finding:#}");
            // limits that are documented and not in the model
            let length = |v: &Value| v.as_str().unwrap().chars().count();
            assert!(length(&finding["Id"]) <= 512 && length(&finding["Title"]) <= 256);
            assert!(
                length(&finding["Description"]) <= 1024
                    && length(&finding["Resources"][0]["Id"]) <= 512
            );
            assert!(length(&finding["GeneratorId"]) <= 512);
            let fields = finding["ProductFields"].as_object().unwrap();
            assert!(fields.len() <= 50 && fields.values().all(|v| length(v) <= 2048));
        }
    }
    let findings: Vec<Value> =
        serde_json::from_str(&written(asff::write, &sample::sample())).unwrap();
    for (member, value) in [
        ("Compliance", serde_json::json!({"Status": "OK"})),
        ("Title", " ".into()),
        ("Colour", "x".into()),
    ] {
        let mut wrong = findings[0].clone();
        wrong[member] = value;
        assert_eq!(check(&wrong).len(), 1, "{member}");
    }
    let known = shapes["ResourceDetails"]["members"].as_object().unwrap();
    for (table, name) in asff::RESOURCE_TYPES {
        assert!(known.contains_key(*name), "{table}: {name}");
    }
}

/// The rules of the XSD of Apache Ant's JUnit reports: which elements, in which order, with which attributes.
#[test]
fn junit_suites_hold_against_the_rules_of_the_xsd() {
    use quick_xml::events::Event;
    for assessment in assessments() {
        let text = written(junit::write, &assessment);
        let mut reader = quick_xml::Reader::from_str(&text);
        let mut path: Vec<(String, Vec<String>)> = vec![(String::new(), vec![])];
        let (mut tests, mut suites) = (0, 0);
        loop {
            let (event, empty) = match reader.read_event().unwrap() {
                Event::Empty(e) => (e, true),
                Event::Start(e) => (e, false),
                Event::End(_) => {
                    let (name, children) = path.pop().unwrap();
                    if name == "testsuite" {
                        let cases = children.iter().filter(|c| *c == "testcase").count();
                        let mut order = vec!["properties".to_owned()];
                        order.extend(std::iter::repeat_n("testcase".to_owned(), cases));
                        order.extend(["system-out".into(), "system-err".into()]);
                        assert_eq!(children, order);
                    }
                    if name == "testcase" {
                        assert!(children.len() <= 1);
                    }
                    continue;
                }
                Event::Text(t) => {
                    let text = t.decode().unwrap();
                    let parent = path.last().unwrap().0.as_str();
                    let may = ["failure", "error"].contains(&parent);
                    assert!(may || text.trim().is_empty(), "text in {parent}: {text}");
                    continue;
                }
                Event::Eof => break,
                Event::Decl(_) | Event::GeneralRef(_) => continue,
                other => panic!("{other:?}"),
            };
            let name = String::from_utf8(event.name().as_ref().to_vec()).unwrap();
            let attributes: std::collections::BTreeMap<String, String> = event
                .attributes()
                .map(|a| {
                    let a = a.unwrap();
                    (
                        String::from_utf8(a.key.as_ref().to_vec()).unwrap(),
                        a.unescape_value().unwrap().into_owned(),
                    )
                })
                .collect();
            let (required, optional): (&[&str], &[&str]) =
                match (path.last().unwrap().0.as_str(), name.as_str()) {
                    ("", "testsuites")
                    | ("testsuite", "properties" | "system-out" | "system-err") => (&[], &[]),
                    ("testsuites", "testsuite") => (
                        &[
                            "package",
                            "id",
                            "name",
                            "timestamp",
                            "hostname",
                            "tests",
                            "failures",
                            "errors",
                            "time",
                        ],
                        &["skipped"],
                    ),
                    ("properties", "property") => (&["name", "value"], &[]),
                    ("testsuite", "testcase") => (&["name", "classname", "time"], &[]),
                    ("testcase", "failure" | "error") => (&["type"], &["message"]),
                    ("testcase", "skipped") => (&[], &["message"]),
                    (parent, name) => panic!("`{name}` in `{parent}`"),
                };
            required
                .iter()
                .for_each(|r| assert!(attributes.contains_key(*r), "{name} without {r}"));
            let known =
                |a: &String| required.contains(&a.as_str()) || optional.contains(&a.as_str());
            assert!(attributes.keys().all(known), "{name}: {attributes:?}");
            if name == "testsuite" {
                assert_eq!(attributes["id"], suites.to_string());
                let stamp = &attributes["timestamp"];
                assert!(stamp.len() == 19 && stamp.as_bytes()[10] == b'T', "{stamp}");
                suites += 1;
            }
            tests += usize::from(name == "testcase");
            path.last_mut().unwrap().1.push(name.clone());
            if !empty {
                path.push((name, vec![]));
            }
        }
        assert_eq!(tests, assessment.findings.len());
    }
}

/// The grammar of the text format: comments, then `name{label="value",…} number`.
#[test]
fn prometheus_lines_hold_against_the_grammar() {
    for assessment in assessments() {
        let text = written(prometheus::write, &assessment);
        assert!(text.ends_with('\n'));
        let (mut declared, mut total) = (std::collections::BTreeSet::new(), 0);
        for line in text.lines() {
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert!(
                    declared.insert(name.to_owned()) && kind == "gauge",
                    "{line}"
                );
                continue;
            }
            if line.starts_with("# HELP ") {
                continue;
            }
            let (series, value) = line.rsplit_once(' ').unwrap();
            let value: f64 = value.parse().unwrap();
            let name = series.split('{').next().unwrap();
            assert!(declared.contains(name), "{line}");
            if let Some(labels) = series.strip_prefix(name).and_then(|l| l.strip_prefix('{')) {
                let mut rest = labels.strip_suffix('}').unwrap();
                while !rest.is_empty() {
                    let (label, after) = rest.split_once("=\"").unwrap();
                    assert!(
                        label.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                        "{line}"
                    );
                    let mut escaped = false;
                    let end = after
                        .find(|c| {
                            let ends = c == '"' && !escaped;
                            escaped = c == '\\' && !escaped;
                            ends
                        })
                        .unwrap();
                    rest = &after[end + 1..];
                    rest = rest.strip_prefix(',').unwrap_or(rest);
                }
            }
            if name == "palisade_findings" {
                total += value as usize;
            }
        }
        assert_eq!(total, assessment.findings.len());
    }
}
