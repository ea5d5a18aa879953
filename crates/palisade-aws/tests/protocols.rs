//! botocore's protocol suites through our encoders and decoders.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests"
)]
mod common;
#[path = "common/known.rs"]
mod known;

use aws_smithy_runtime_api::http::{Headers, Request};
use palisade_aws::{decode, encode};
use palisade_model::botocore::Source;
use palisade_model::{Model, Operation, Protocol, ShapeId, ShapeKind, Value};
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Cases in the archive, the older suites not counted.
const CASES: usize = 732;

#[test]
fn protocol_suites() {
    let Some(files) = common::suites("protocols/") else {
        return;
    };
    let (mut run, mut failures) = (0, BTreeMap::new());
    for (path, file) in &files {
        let Some(direction) = ["input", "output"]
            .into_iter()
            .find(|d| path.starts_with(&format!("protocols/{d}/")))
        else {
            continue;
        };
        let name = path.rsplit('/').next().unwrap().trim_end_matches(".json");
        for suite in file.as_array().unwrap() {
            for case in suite["cases"].as_array().unwrap() {
                run += 1;
                let result = if direction == "input" {
                    input(suite, case)
                } else {
                    output(suite, case)
                };
                if let Err(found) = result {
                    failures.insert(
                        format!("{direction}/{name}/{}", case["id"].as_str().unwrap()),
                        found,
                    );
                }
            }
        }
    }
    assert_eq!(run, CASES);
    eprintln!("{} of {run} protocol cases agree", run - failures.len());
    let listed: BTreeSet<&str> = known::FAILURES.iter().map(|(id, _)| *id).collect();
    assert_eq!(
        listed.len(),
        known::FAILURES.len(),
        "a case is listed twice"
    );
    let mut wrong = Vec::new();
    for (id, found) in &failures {
        if !listed.contains(id.as_str()) {
            wrong.push(format!("not listed: {id}: {found}"));
        }
    }
    for id in listed.iter().filter(|id| !failures.contains_key(**id)) {
        wrong.push(format!("listed, but passes or is not there: {id}"));
    }
    assert!(
        wrong.is_empty(),
        "{} differences\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(run - failures.len() >= 692);
}

#[test]
fn the_list_of_failures_is_documented() {
    let page = std::fs::read_to_string(common::root().join("docs/conformance-aws.md")).unwrap();
    for (id, reason) in known::FAILURES {
        assert!(
            page.contains(&format!("| `{id}` | {reason} |")),
            "{id} is not in docs/conformance-aws.md"
        );
    }
}

fn model(suite: &Json, case: &Json) -> (Arc<Model>, Operation, Protocol) {
    let given = &case["given"];
    let name = given["name"].as_str().unwrap_or("OperationName").to_owned();
    let mut service = suite.clone();
    service["operations"] = json!({ name.clone(): given });
    let source = Source {
        service,
        ..Source::default()
    };
    let model = Model::from_botocore("test", &source).unwrap();
    let operation = model.operation(&name).unwrap().clone();
    let protocol = Protocol::from_name(suite["metadata"]["protocol"].as_str().unwrap()).unwrap();
    (Arc::new(model), operation, protocol)
}

fn input(suite: &Json, case: &Json) -> Result<(), String> {
    let (model, operation, protocol) = model(suite, case);
    let mut params = case["params"].clone();
    if let Some(reference) = &operation.input {
        blobs(&model, reference.shape, &mut params);
    }
    let params = params.as_object().cloned().unwrap_or_default();
    let params = with_token(&model, &operation, params);
    let request =
        encode::request(&model, &operation, protocol, &params).map_err(|e| e.to_string())?;
    let wanted = &case["serialized"];
    if let Some(method) = wanted["method"].as_str().filter(|m| *m != request.method()) {
        return Err(format!("method {} instead of {method}", request.method()));
    }
    let (path, query) = split(wanted["uri"].as_str().unwrap());
    let (found_path, found_query) = split(request.uri());
    // The orchestrator appends the request's path to the endpoint's.
    let base = suite["clientEndpoint"]
        .as_str()
        .and_then(|e| e.strip_prefix("https://")?.split_once('/'));
    let found_path = base
        .map_or("", |(_, path)| path)
        .trim_end_matches('/')
        .to_owned()
        + &found_path;
    let found_path = if found_path.starts_with('/') {
        found_path
    } else {
        format!("/{found_path}")
    };
    if path != found_path || query != found_query {
        return Err(format!(
            "uri {} instead of {}",
            request.uri(),
            wanted["uri"]
        ));
    }
    headers(wanted, &request)?;
    if let Some(host) = wanted["host"].as_str() {
        let endpoint = suite["clientEndpoint"]
            .as_str()
            .unwrap_or("https://example.com");
        let prefix = operation
            .host_prefix
            .as_deref()
            .map(|p| encode::host_prefix(p, &params));
        let prefix = prefix
            .transpose()
            .map_err(|e| e.to_string())?
            .unwrap_or_default();
        let found = format!(
            "{prefix}{}",
            endpoint
                .trim_start_matches("https://")
                .trim_end_matches('/')
        );
        if found != host {
            return Err(format!("host {found} instead of {host}"));
        }
    }
    let body = request.body().bytes().unwrap_or_default();
    match wanted["body"].as_str() {
        Some(wanted) => same_body(protocol, wanted, body),
        None => Ok(()),
    }
}

/// The suites expect this token where the caller gives none.
fn with_token(
    model: &Model,
    operation: &Operation,
    mut params: Map<String, Json>,
) -> Map<String, Json> {
    let input = operation.input.as_ref().and_then(|r| model.shape(r.shape));
    for member in input
        .into_iter()
        .flat_map(|s| &s.members)
        .filter(|m| m.traits.idempotency_token)
    {
        params
            .entry(member.name.clone())
            .or_insert(json!("00000000-0000-4000-8000-000000000000"));
    }
    params
}

/// Path, and the query's pairs in any order.
fn split(uri: &str) -> (String, Vec<String>) {
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let mut pairs: Vec<String> = query
        .split('&')
        .filter(|p| !p.is_empty())
        .map(str::to_owned)
        .collect();
    for pair in &mut pairs {
        // `a` and `a=` are the same
        if !pair.contains('=') {
            pair.push('=');
        }
    }
    pairs.sort();
    (path.to_owned(), pairs)
}

fn headers(wanted: &Json, request: &Request) -> Result<(), String> {
    for (name, value) in wanted["headers"].as_object().into_iter().flatten() {
        let found = request
            .headers()
            .get_all(name)
            .collect::<Vec<_>>()
            .join(", ");
        if found != value.as_str().unwrap() {
            return Err(format!("header {name}: {found} instead of {value}"));
        }
    }
    for name in wanted["requireHeaders"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap();
        let by_the_runtime = name.eq_ignore_ascii_case("content-length");
        if !by_the_runtime && request.headers().get(name).is_none() {
            return Err(format!("no header {name}"));
        }
    }
    for name in wanted["forbidHeaders"].as_array().into_iter().flatten() {
        if request.headers().get(name.as_str().unwrap()).is_some() {
            return Err(format!("header {name}"));
        }
    }
    Ok(())
}

fn same_body(protocol: Protocol, wanted: &str, found: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(found).into_owned();
    let same = match protocol {
        Protocol::Query | Protocol::Ec2 => {
            split(&format!("?{wanted}")).1 == split(&format!("?{text}")).1
        }
        Protocol::Cbor => cbor(&aws_smithy_types::base64::decode(wanted).unwrap()) == cbor(found),
        Protocol::Json | Protocol::RestJson => {
            let parse = |t: &str| serde_json::from_str::<Json>(t).ok();
            wanted == text || (parse(wanted).is_some() && parse(wanted) == parse(&text))
        }
        Protocol::RestXml => wanted == text || (xml(wanted).is_some() && xml(wanted) == xml(&text)),
    };
    if same {
        Ok(())
    } else {
        Err(format!("body {text} instead of {wanted}"))
    }
}

/// An XML document in a form in which order of attributes and blanks between elements do not count.
fn xml(text: &str) -> Option<Vec<String>> {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut out = Vec::new();
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                let mut attributes: Vec<String> = start
                    .attributes()
                    .map(|a| a.map(|a| format!("{:?}={:?}", a.key, a.value)))
                    .collect::<Result<_, _>>()
                    .ok()?;
                attributes.sort();
                out.push(format!("<{:?} {attributes:?}", start.name()));
            }
            Event::End(end) => out.push(format!(">{:?}", end.name())),
            Event::Text(text) if !text.iter().all(u8::is_ascii_whitespace) => {
                out.push(text.decode().ok()?.into_owned())
            }
            Event::GeneralRef(name) => out.push(format!("&{};", name.decode().ok()?)),
            Event::Eof => return (!out.is_empty()).then_some(out),
            _ => {}
        }
    }
}

/// CBOR as JSON, keys sorted; blobs and numbers by their debug form.
fn cbor(bytes: &[u8]) -> Option<Json> {
    let mut input = aws_smithy_cbor::Decoder::new(bytes);
    let value = cbor_value(&mut input)?;
    (input.position() == bytes.len()).then_some(value)
}

fn cbor_value(input: &mut aws_smithy_cbor::Decoder<'_>) -> Option<Json> {
    use aws_smithy_cbor::data::Type;
    let done = |input: &mut aws_smithy_cbor::Decoder<'_>, left: &mut Option<u64>| match left {
        Some(0) => Some(true),
        Some(n) => {
            *n -= 1;
            Some(false)
        }
        None if input.datatype().ok()? == Type::Break => {
            input.skip().ok()?;
            Some(true)
        }
        None => Some(false),
    };
    Some(match input.datatype().ok()? {
        Type::Map | Type::MapIndef => {
            let mut left = input.map().ok()?;
            let mut out = BTreeMap::new();
            while !done(input, &mut left)? {
                let key = input.str().ok()?.into_owned();
                out.insert(key, cbor_value(input)?);
            }
            json!(out)
        }
        Type::Array | Type::ArrayIndef => {
            let mut left = input.list().ok()?;
            let mut out = Vec::new();
            while !done(input, &mut left)? {
                out.push(cbor_value(input)?);
            }
            Json::Array(out)
        }
        Type::String | Type::StringIndef => json!(input.string().ok()?),
        Type::Bool => json!(input.boolean().ok()?),
        Type::Bytes | Type::BytesIndef => json!(format!("{:?}", input.blob().ok()?)),
        Type::F16 | Type::F32 => json!(format!("{:?}", f64::from(input.float().ok()?))),
        Type::F64 => json!(format!("{:?}", input.double().ok()?)),
        Type::Tag => json!(format!("{:?}", input.timestamp().ok()?)),
        Type::Null => {
            input.null().ok()?;
            Json::Null
        }
        _ => json!(format!("{:?}", input.long().ok()?)),
    })
}

/// The suites write blobs as text.
fn blobs(model: &Model, shape: ShapeId, value: &mut Json) {
    let shape = model.shape(shape).unwrap();
    match (shape.kind, value) {
        (ShapeKind::Blob, Json::String(text)) => {
            *text = aws_smithy_types::base64::encode(text.as_bytes())
        }
        (ShapeKind::Structure | ShapeKind::Union, Json::Object(members)) => {
            for (name, value) in members {
                if let Some((_, member)) = shape.member(name) {
                    blobs(model, member.shape, value);
                }
            }
        }
        (ShapeKind::List, Json::Array(items)) => {
            items
                .iter_mut()
                .for_each(|v| blobs(model, shape.element.as_ref().unwrap().shape, v));
        }
        (ShapeKind::Map, Json::Object(entries)) => {
            entries
                .values_mut()
                .for_each(|v| blobs(model, shape.element.as_ref().unwrap().shape, v));
        }
        _ => {}
    }
}

fn output(suite: &Json, case: &Json) -> Result<(), String> {
    let (model, operation, protocol) = model(suite, case);
    let response = &case["response"];
    let status = u16::try_from(response["status_code"].as_u64().unwrap()).unwrap();
    let mut found = Headers::new();
    for (name, value) in response["headers"].as_object().into_iter().flatten() {
        found.insert(name.clone(), value.as_str().unwrap().to_owned());
    }
    let text = response["body"].as_str().unwrap_or_default();
    let body = match protocol {
        Protocol::Cbor => aws_smithy_types::base64::decode(text).unwrap(),
        _ => text.as_bytes().to_vec(),
    };
    let decoder = decode::Decoder::new(Arc::clone(&model), protocol);
    if status >= 300 {
        let error = decoder.error(status, &found, &body);
        if let Some(code) = case["errorCode"].as_str().filter(|c| *c != error.code) {
            return Err(format!("code {} instead of {code}", error.code));
        }
        if let Some(message) = case["errorMessage"]
            .as_str()
            .filter(|m| *m != error.message)
        {
            return Err(format!("message {} instead of {message}", error.message));
        }
        let members = decoder.error_members(&error.code, status, &found, &body);
        let members = members.or_else(|| {
            // With awsQueryCompatible the code is another than the shape's name.
            let shape = case["given"]["errors"][0]["shape"].as_str()?;
            decoder.error_members(shape, status, &found, &body)
        });
        let nothing = case["error"].as_object().is_none_or(Map::is_empty);
        return match members {
            Some(members) => same(&model, &members, &case["error"]),
            None if nothing => Ok(()),
            None => Err("no error members".to_owned()),
        };
    }
    match decoder
        .answer(&operation, status, &found, &body)
        .map_err(|e| e.to_string())?
    {
        decode::Answer::Output(Value::Null) if operation.output.is_none() => Ok(()),
        decode::Answer::Output(value) => same(&model, &value, &case["result"]),
        decode::Answer::Error(error) => Err(format!("{error:?}")),
    }
}

fn same(model: &Model, value: &Value, wanted: &Json) -> Result<(), String> {
    let wrong = || Err(format!("{} instead of {wanted}", value.to_json(model)));
    match (value, wanted) {
        (Value::Null, Json::Null) => Ok(()),
        (Value::Bool(a), Json::Bool(b)) if a == b => Ok(()),
        (Value::Int(a), Json::Number(b))
            if b.as_i64() == Some(*a) || b.as_f64() == Some(*a as f64) =>
        {
            Ok(())
        }
        (Value::Float(a), Json::Number(b))
            if b.as_f64() == Some(*a) || b.as_f64() == Some(f64::from(*a as f32)) =>
        {
            Ok(())
        }
        (Value::Float(a), Json::String(b))
            if format!("{a:?}").to_lowercase() == b.to_lowercase().replace("infinity", "inf") =>
        {
            Ok(())
        }
        // botocore's tests compare whole seconds
        (Value::Timestamp(a), Json::Number(b))
            if b.as_f64().unwrap().floor() == (*a as f64 / 1e6).floor() =>
        {
            Ok(())
        }
        (Value::String(a), Json::String(b)) if **a == **b => Ok(()),
        (Value::String(a), Json::Number(b)) if **a == b.to_string() => Ok(()),
        (Value::Blob(a), Json::String(b)) if **a == *b.as_bytes() => Ok(()),
        (Value::Json(a), b) if **a == *b => Ok(()),
        (Value::List(a), Json::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).try_for_each(|(a, b)| same(model, a, b))
        }
        (Value::Map(a), Json::Object(b)) if a.len() == b.len() => {
            a.iter().try_for_each(|(key, a)| match b.get(&**key) {
                Some(b) => same(model, a, b),
                None => wrong(),
            })
        }
        (Value::Struct(record), Json::Object(b)) => {
            let shape = model.shape(record.shape).unwrap();
            for (member, value) in shape.members.iter().zip(&record.fields) {
                same(model, value, b.get(&member.name).unwrap_or(&Json::Null))?;
            }
            if b.keys().any(|k| shape.member(k).is_none()) {
                wrong()
            } else {
                Ok(())
            }
        }
        (Value::Struct(record), Json::Null) if record.fields.iter().all(Value::is_null) => Ok(()),
        _ => wrong(),
    }
}
