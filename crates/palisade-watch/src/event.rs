//! Messages of a queue, and what they say.
use crate::WatchError;
use palisade_core::AccountId;
use serde_json::{Map, Value as Json};

/// Something that happened in an account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// AWS's id of it: the same in every copy.
    pub id: String,
    /// Its name, for example `PutBucketPolicy`.
    pub name: String,
    /// First label of its source, for example `s3`.
    pub source: String,
    /// Twelve digits.
    pub account_id: String,
    /// Where it happened.
    pub region: String,
    /// When, as AWS writes it.
    pub time: String,
    /// ARNs of the resources that it names.
    pub arns: Vec<String>,
    /// Members of its request and its answer, with their texts.
    pub values: Vec<(String, String)>,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Something that may have changed a resource.
    Event(Event),
    /// Something that changed nothing.
    Nothing(Seen),
}

/// An event that needs no work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// AWS's id of it; empty when it has none.
    pub id: String,
    /// Why it needs none.
    pub reason: &'static str,
}

/// Values of one event that are looked at; more name nothing that fewer do not.
const MOST_VALUES: usize = 4096;

/// Reads a message as EventBridge delivers it, alone or inside a notification of Amazon SNS; also a bare record of
/// CloudTrail.
///
/// # Errors
/// When it is none.
pub fn read(body: &str) -> Result<Message, WatchError> {
    let wrong = |message: String| WatchError::Message(message);
    let json: Json = serde_json::from_str(body).map_err(|e| wrong(format!("not JSON: {e}")))?;
    let json = match json.get("Message").and_then(Json::as_str) {
        Some(inner) if json.get("Type").and_then(Json::as_str) == Some("Notification") => {
            serde_json::from_str(inner)
                .map_err(|e| wrong(format!("the notification's message is not JSON: {e}")))?
        }
        _ => json,
    };
    if json.get("eventName").is_some() {
        return record(&json, &Json::Null);
    }
    let kind = text(&json, "detail-type");
    if kind.is_empty() {
        return Err(wrong(
            "it has neither `detail-type` nor `eventName`".to_owned(),
        ));
    }
    let detail = json.get("detail").unwrap_or(&Json::Null);
    if detail.get("eventName").is_some() {
        return record(detail, &json);
    }
    if kind.ends_with("via CloudTrail") {
        return Err(wrong(format!("`{kind}` without `detail.eventName`")));
    }
    // an event of a service itself: what it is about is in `resources` and in its detail
    let source = text(&json, "source");
    let Some(source) = source.strip_prefix("aws.") else {
        let seen = Seen {
            id: text(&json, "id").to_owned(),
            reason: "it is no event of AWS",
        };
        return Ok(Message::Nothing(seen));
    };
    let mut event = Event {
        id: text(&json, "id").to_owned(),
        name: kind.to_owned(),
        source: source.to_owned(),
        account_id: text(&json, "account").to_owned(),
        region: text(&json, "region").to_owned(),
        time: text(&json, "time").to_owned(),
        ..Event::default()
    };
    let resources = json.get("resources").and_then(Json::as_array);
    for arn in resources.into_iter().flatten().filter_map(Json::as_str) {
        event.arns.push(arn.to_owned());
    }
    collect("", detail, &mut event.values);
    complete(event)
}

/// A record of CloudTrail.
fn record(record: &Json, envelope: &Json) -> Result<Message, WatchError> {
    let or = |first: &str, second: &str| match first {
        "" => second.to_owned(),
        some => some.to_owned(),
    };
    let id = or(text(record, "eventID"), text(envelope, "id"));
    let nothing = |reason| {
        Ok(Message::Nothing(Seen {
            id: id.clone(),
            reason,
        }))
    };
    let is = |name: &str| match record.get(name) {
        Some(Json::Bool(b)) => *b,
        Some(Json::String(t)) => t == "true",
        _ => false,
    };
    if is("readOnly") {
        return nothing("it changed nothing");
    }
    if !text(record, "errorCode").is_empty() {
        return nothing("it failed");
    }
    let identity = record.get("userIdentity").unwrap_or(&Json::Null);
    let source = text(record, "eventSource");
    let mut event = Event {
        name: text(record, "eventName").to_owned(),
        source: source.split('.').next().unwrap_or_default().to_owned(),
        account_id: or(
            text(record, "recipientAccountId"),
            &or(text(envelope, "account"), text(identity, "accountId")),
        ),
        region: or(text(record, "awsRegion"), text(envelope, "region")),
        time: or(text(record, "eventTime"), text(envelope, "time")),
        id: id.clone(),
        ..Event::default()
    };
    let resources = record.get("resources").and_then(Json::as_array);
    for resource in resources.into_iter().flatten() {
        let arn = or(text(resource, "ARN"), text(resource, "arn"));
        if !arn.is_empty() {
            event.arns.push(arn);
        }
    }
    for part in [
        "requestParameters",
        "responseElements",
        "serviceEventDetails",
    ] {
        collect(
            "",
            record.get(part).unwrap_or(&Json::Null),
            &mut event.values,
        );
    }
    complete(event)
}

/// An event without account, source, name or region cannot be worked on, and must not look as if it had been.
fn complete(event: Event) -> Result<Message, WatchError> {
    let missing = [
        ("an event source", event.source.is_empty()),
        ("a name", event.name.is_empty()),
        ("an account", event.account_id.parse::<AccountId>().is_err()),
        ("a region", event.region.is_empty()),
        ("an id", event.id.is_empty()),
    ];
    match missing.iter().find(|(_, missing)| *missing) {
        Some((what, _)) => Err(WatchError::Message(format!("it does not have {what}"))),
        None => Ok(Message::Event(event)),
    }
}

fn text<'j>(json: &'j Json, name: &str) -> &'j str {
    json.get(name).and_then(Json::as_str).unwrap_or_default()
}

/// The texts below a member, each with the name of the member that it is the value of. The `items` of Amazon EC2's sets
/// are named as the set.
fn collect(name: &str, json: &Json, into: &mut Vec<(String, String)>) {
    // a stack of our own: what is nested deeply is still read
    let mut open = vec![(name.to_owned(), json)];
    while let Some((name, json)) = open.pop() {
        if into.len() >= MOST_VALUES {
            return;
        }
        match json {
            Json::String(text) if !name.is_empty() && !text.is_empty() => {
                into.push((name, text.clone()));
            }
            Json::Array(items) => open.extend(items.iter().rev().map(|i| (name.clone(), i))),
            Json::Object(members) => push_members(&name, members, &mut open),
            _ => {}
        }
    }
}

fn push_members<'j>(
    name: &str,
    members: &'j Map<String, Json>,
    open: &mut Vec<(String, &'j Json)>,
) {
    for (member, value) in members.iter().rev() {
        let same = matches!(member.as_str(), "item" | "items" | "member" | "members");
        let name = if same { name } else { member };
        open.push((name.to_owned(), value));
    }
}

/// The messages of a file with one event a line; blank lines count as none. Each with its line, from 1.
pub fn read_lines(text: &str) -> impl Iterator<Item = (usize, Result<Message, WatchError>)> + '_ {
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(number, line)| (number + 1, read(line)))
}
