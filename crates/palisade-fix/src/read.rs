//! Reading a state afresh.
use crate::json::{find, get};
use crate::{Attribute, Read};
use palisade_catalog::parse_state_path;
use palisade_core::CallErrorKind;
use palisade_model::{Api, ApiError, CallRequest, Models};
use serde_json::{Map, Value as Json};

/// Pages of one answer that are read before it is given up.
const MOST_PAGES: usize = 500;

/// What AWS describes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum State {
    /// Nothing is set.
    Absent,
    /// The state.
    Present(Json),
}

impl State {
    /// The state; null when nothing is set.
    pub(crate) fn json(&self) -> &Json {
        match self {
            Self::Absent => &Json::Null,
            Self::Present(state) => state,
        }
    }
}

/// Makes the call that describes a state.
///
/// # Errors
/// When the call fails with an error that does not mean "nothing is set": what happened.
pub(crate) async fn answer(
    api: &dyn Api,
    models: &Models,
    region: &str,
    read: &Read,
) -> Result<Option<Json>, ApiError> {
    let call = &read.call;
    let model = models.get(&call.service).map_err(|e| ApiError {
        kind: CallErrorKind::Other,
        code: "NoModel".to_owned(),
        message: e.to_string(),
    })?;
    let mut params = call.params.clone();
    let mut whole = Json::Null;
    for _ in 0..MOST_PAGES {
        let request = CallRequest {
            service: &call.service,
            operation: &call.operation,
            region,
            params: &params,
        };
        let page = match api.call(request).await {
            Ok(page) => page,
            Err(e) if read.absent.contains(&e.code) => return Ok(None),
            Err(e) => return Err(e),
        };
        append(&mut whole, plain(page.value.to_json(&model)));
        match page.next {
            Some(next) => params = next,
            None => return Ok(Some(whole)),
        }
    }
    Err(ApiError {
        kind: CallErrorKind::Malformed,
        code: "TooManyPages".to_owned(),
        message: format!("{} has more than {MOST_PAGES} pages", call.name()),
    })
}

/// IAM describes policies percent-encoded (RFC 3986): as they were written.
fn plain(value: Json) -> Json {
    match value {
        Json::String(text) if text.starts_with("%7B") => Json::String(decoded(&text)),
        Json::Array(items) => items.into_iter().map(plain).collect(),
        Json::Object(map) => map.into_iter().map(|(name, v)| (name, plain(v))).collect(),
        other => other,
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        let code = after.get(..2).and_then(|c| u8::from_str_radix(c, 16).ok());
        match code {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(b'%');
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// Lists of later pages continue those of the first.
fn append(whole: &mut Json, page: Json) {
    match (whole, page) {
        (Json::Object(whole), Json::Object(page)) => {
            for (name, value) in page {
                match whole.get_mut(&name) {
                    Some(old) => append(old, value),
                    None => {
                        whole.insert(name, value);
                    }
                }
            }
        }
        (Json::Array(whole), Json::Array(page)) => whole.extend(page),
        (whole @ Json::Null, page) => *whole = page,
        _ => {}
    }
}

/// The state in an answer.
///
/// # Errors
/// When the answer describes none, or several: which.
pub(crate) fn state_of(answer: Option<&Json>, from: &str) -> Result<State, String> {
    let Some(answer) = answer else {
        return Ok(State::Absent);
    };
    let steps = parse_state_path(from)?;
    match get(answer, &steps) {
        Ok(Some(state)) => Ok(State::Present(state.clone())),
        Ok(None) => Ok(State::Absent),
        Err(lost) => Err(lost.to_string()),
    }
}

/// Reads a state and takes the attributes from it, by their names.
///
/// # Errors
/// When it cannot be read: the failed call, or what is wrong with the answer.
pub(crate) async fn observe(
    api: &dyn Api,
    models: &Models,
    region: &str,
    read: &Read,
    attributes: &[Attribute],
) -> Result<Observed, String> {
    let answer = answer(api, models, region, read)
        .await
        .map_err(|e| format!("{} failed with {e}", read.call.name()))?;
    let state = state_of(answer.as_ref(), &read.from)?;
    let mut observed = Observed::default();
    for attribute in attributes {
        let value = |path: &str| -> Result<Json, String> {
            let steps = parse_state_path(path)?;
            let found = find(state.json(), &steps).unwrap_or(None);
            Ok(found.unwrap_or(Json::Null))
        };
        observed
            .values
            .insert(attribute.name.clone(), value(&attribute.from)?);
        if let Some(pending) = &attribute.pending {
            let waiting = value(pending)?;
            if !waiting.is_null() {
                observed.pending.insert(attribute.name.clone(), waiting);
            }
        }
    }
    Ok(observed)
}

/// Whether a state says nothing beyond what is required: AWS leaves out what is empty.
pub(crate) fn is_free(value: &Json, required: &Json) -> bool {
    value.is_null() || crate::json::same(value, required)
}

/// The attributes that a call or its inverse sets. What was not set and is not to be may get AWS's default by the way.
fn settable(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    let unset = |a: &Attribute| a.before.is_null() && a.after.is_null();
    attributes.iter().filter(move |a| !a.guard && !unset(a))
}

/// Whether a value is the one before.
fn is_former(value: &Json, attribute: &Attribute) -> bool {
    crate::json::same(value, &attribute.before)
        || (attribute.chained
            && !attribute.before.is_null()
            && crate::json::reached(value, &attribute.before)
            && !crate::json::reached(value, &attribute.after))
}

/// What the journal says was read after a call: values, and values that waited, by the attribute's name.
pub(crate) type Saved<'a> = (&'a Map<String, Json>, &'a Map<String, Json>);

/// Values of attributes as AWS describes them.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Observed {
    /// By the attribute's name.
    pub(crate) values: Map<String, Json>,
    /// Values that will hold later, by the attribute's name.
    pub(crate) pending: Map<String, Json>,
}

impl Observed {
    fn value(&self, name: &str) -> &Json {
        self.values.get(name).unwrap_or(&Json::Null)
    }
    /// The value that will hold when nothing else happens.
    fn coming(&self, name: &str) -> &Json {
        self.pending.get(name).unwrap_or_else(|| self.value(name))
    }
    /// Whether everything is as it was when the plan was made, and nothing else waits.
    pub(crate) fn is_before(&self, attributes: &[Attribute]) -> bool {
        attributes.iter().all(|a| {
            let value = self.value(&a.name);
            if a.guard {
                return is_free(value, &a.before);
            }
            let waiting = self.pending.get(&a.name);
            is_former(value, a) && waiting.is_none_or(|p| crate::json::same(p, &a.before))
        })
    }
    /// Whether everything is, or will be, as it is wanted. A value that waits decides alone.
    pub(crate) fn is_after(&self, attributes: &[Attribute]) -> bool {
        settable(attributes).all(|a| crate::json::reached(self.coming(&a.name), &a.after))
    }
    /// Whether everything is, or will be, what the inverse makes of it. A value that waits decides alone.
    pub(crate) fn is_back(&self, attributes: &[Attribute]) -> bool {
        settable(attributes).all(|a| {
            let value = self.coming(&a.name);
            let back = a.back.as_ref();
            is_former(value, a) || back.is_some_and(|b| crate::json::same(value, b))
        })
    }
    /// Whether this is what the run left, and nothing that somebody made of it since: what is there goes with the way
    /// back, so it is compared to the last member with what was read after the call. `saved` is that, with what waited.
    pub(crate) fn is_left(&self, saved: Option<Saved<'_>>, attributes: &[Attribute]) -> bool {
        attributes.iter().all(|a| {
            let now = self.value(&a.name);
            let waits = self.pending.get(&a.name);
            let then = saved.map(|(values, _)| values.get(&a.name).unwrap_or(&Json::Null));
            if a.guard {
                let as_left = then.is_some_and(|then| crate::json::same(now, then));
                return as_left || is_free(now, &a.before);
            }
            let waited = saved.and_then(|(_, pending)| pending.get(&a.name));
            let Some(then) = then else {
                return crate::json::same(self.coming(&a.name), &a.after);
            };
            match (waits, waited) {
                (None, None) => {
                    let plain = !now.is_object() && !now.is_array();
                    // a plain value that followed after it was looked at for the last time
                    crate::json::same(now, then) || (plain && crate::json::same(now, &a.after))
                }
                (Some(waits), Some(waited)) => {
                    crate::json::same(waits, waited) && crate::json::same(now, then)
                }
                (None, Some(waited)) => crate::json::same(now, waited),
                (Some(waits), None) => {
                    crate::json::same(waits, &a.after) && crate::json::same(now, then)
                }
            }
        })
    }
}
