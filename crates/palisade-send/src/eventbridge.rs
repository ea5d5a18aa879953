//! Amazon EventBridge: one event a finding.
use crate::changes::{Changes, Closed};
use crate::deliver::{Aws, SendError, Sender, Sent, shown_call};
use crate::destination::EventBridge;
use crate::document::{Titles, closed, finding};
use crate::state::Known;
use palisade_core::Finding;
use palisade_report::shorten;
use serde_json::{Map, Value as Json, json};
use std::time::Duration;

/// Entries of one call, and their bytes together (EventBridge API Reference, "PutEvents"; User Guide, "Calculating
/// event entry size").
const ENTRIES: usize = 10;
const BYTES: usize = 256 * 1024;
/// Entries that failed are sent again this often.
const ATTEMPTS: usize = 5;

enum Change<'c, 'a> {
    Open(&'c (String, &'a Finding)),
    Closed(&'c (String, Known, Closed)),
}

struct Entry<'c, 'a> {
    change: Change<'c, 'a>,
    params: Json,
    bytes: usize,
}

pub(crate) async fn send(
    sender: &Sender<'_>,
    to: &EventBridge,
    changes: &Changes<'_>,
    sent: &mut Sent,
) -> Result<(), SendError> {
    let aws = sender.aws()?;
    let of_arn = to.bus.split(':').nth(3).filter(|r| !r.is_empty());
    let region = to.region.as_deref().or(of_arn).unwrap_or(aws.region);
    let titles = Titles::of(sender.assessment);
    let time = sender.assessment.started_at.to_string();
    let opened = changes.open.iter().map(|c| {
        let (id, found) = c;
        let detail = with_change(finding(id, found, &titles), found);
        (Change::Open(c), detail, found.resource.as_str())
    });
    let over = changes.closed.iter().map(|c| {
        let (id, known, why) = c;
        let mut detail = closed(id, known, *why);
        if let Json::Object(detail) = &mut detail {
            detail.insert("change".to_owned(), "closed".into());
        }
        (Change::Closed(c), detail, known.resource.as_str())
    });
    let mut entries = Vec::new();
    for (change, detail, resource) in opened.chain(over) {
        let (params, bytes) = entry(to, &time, resource, &detail);
        if bytes > BYTES {
            let what = palisade_report::printable(&shorten(resource, 100));
            sent.problems
                .push(format!("`{what}` is too large for an event: {bytes} bytes"));
            continue;
        }
        entries.push(Entry {
            change,
            params,
            bytes,
        });
    }
    let before = sent.told + sent.closed;
    let mut rest = entries.as_slice();
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(fitting(rest));
        rest = after;
        if sender.dry_run {
            sent.requests.push(shown_call(
                "events",
                "PutEvents",
                region,
                &params(batch.iter()),
            ));
            batch.iter().for_each(|e| note(e, sent));
            continue;
        }
        match put(&aws, region, batch, sent).await {
            Ok(()) => {}
            Err(error) if sent.told + sent.closed == 0 && sent.problems.is_empty() => {
                return Err(error);
            }
            // the rest would fail alike; what was told is remembered
            Err(error) => {
                let left = entries.len() - (sent.told + sent.closed - before);
                sent.problems
                    .push(format!("{left} events were not sent: {error}"));
                break;
            }
        }
    }
    Ok(())
}

/// Sends a batch until all of it is taken, or the same entries keep failing.
async fn put(
    aws: &Aws<'_>,
    region: &str,
    batch: &[Entry<'_, '_>],
    sent: &mut Sent,
) -> Result<(), SendError> {
    let mut waiting: Vec<&Entry<'_, '_>> = batch.iter().collect();
    let mut wait = Duration::from_millis(200);
    for attempt in 1..=ATTEMPTS {
        let sending = params(waiting.iter().copied());
        let (answer, _) = aws.call("events", "PutEvents", region, &sending).await?;
        let results = answer.get("Entries").and_then(Json::as_array);
        let failed = answer.get("FailedEntryCount").and_then(Json::as_u64);
        let mut again = Vec::new();
        for (at, entry) in waiting.iter().enumerate() {
            let error = results
                .and_then(|r| r.get(at))
                .and_then(|r| r.get("ErrorCode"))
                .and_then(Json::as_str);
            match error {
                // an answer that counts failures and does not name them says nothing about any entry
                None if failed.unwrap_or(0) == 0 || results.is_some() => note(entry, sent),
                None => again.push((*entry, "an error that the answer does not name".to_owned())),
                Some(code) => {
                    let message = results
                        .and_then(|r| r.get(at))
                        .and_then(|r| r.get("ErrorMessage"))
                        .and_then(Json::as_str)
                        .unwrap_or_default();
                    let message = palisade_report::printable(&shorten(message, 200));
                    again.push((*entry, format!("{code}: {message}")));
                }
            }
        }
        if again.is_empty() {
            return Ok(());
        }
        if attempt == ATTEMPTS {
            for (entry, error) in again {
                sent.problems.push(format!("{}: {error}", name(entry)));
            }
            return Ok(());
        }
        waiting = again.into_iter().map(|(entry, _)| entry).collect();
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
    Ok(())
}

fn note(entry: &Entry<'_, '_>, sent: &mut Sent) {
    match entry.change {
        Change::Open(one) => sent.remember(std::slice::from_ref(one), &[]),
        Change::Closed(one) => sent.remember(&[], std::slice::from_ref(one)),
    }
}

fn name(entry: &Entry<'_, '_>) -> String {
    let (check, resource) = match entry.change {
        Change::Open((_, f)) => (&*f.check, f.resource.as_str()),
        Change::Closed((_, known, _)) => (known.check.as_str(), known.resource.as_str()),
    };
    let resource = palisade_report::printable(&shorten(resource, 200));
    format!("`{check}` of `{resource}`")
}

fn with_change(mut detail: Json, finding: &Finding) -> Json {
    if let Json::Object(detail) = &mut detail {
        detail.insert("change".to_owned(), "open".into());
        // a number, so that rules can ask for "high or worse"
        let rank = finding.severity as u8;
        detail.insert("severity_rank".to_owned(), rank.into());
    }
    detail
}

fn entry(to: &EventBridge, time: &str, resource: &str, detail: &Json) -> (Json, usize) {
    let detail = String::from_utf8(palisade_report::to_json(detail)).unwrap_or_default();
    let kind = "Palisade Finding";
    let mut bytes = 14 + to.source.len() + kind.len() + detail.len();
    let mut entry = json!({
        "Time": time,
        "Source": to.source,
        "DetailType": kind,
        "Detail": detail,
        "EventBusName": to.bus,
    });
    if resource.starts_with("arn:")
        && let Json::Object(entry) = &mut entry
    {
        bytes += resource.len();
        entry.insert("Resources".to_owned(), json!([resource]));
    }
    (entry, bytes)
}

/// How many of the entries fit into one call: at least one.
fn fitting(entries: &[Entry<'_, '_>]) -> usize {
    let mut bytes = 0;
    let fits = |e: &&Entry<'_, '_>| {
        bytes += e.bytes;
        bytes <= BYTES
    };
    entries.iter().take(ENTRIES).take_while(fits).count().max(1)
}

fn params<'e, 'c: 'e, 'a: 'c>(
    entries: impl Iterator<Item = &'e Entry<'c, 'a>>,
) -> Map<String, Json> {
    let entries: Vec<Json> = entries.map(|e| e.params.clone()).collect();
    Map::from_iter([("Entries".to_owned(), Json::Array(entries))])
}
