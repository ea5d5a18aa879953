//! Retiring a key in steps of their own: disable, observe its use for a set time, and only then schedule its deletion.
//! What is not known is no permission: whatever cannot be read, or is too much to be read, refuses.
use crate::journal::{Event, Run};
use crate::read::answer;
use crate::{Call, Read};
use palisade_core::Timestamp;
use palisade_model::{Api, Models};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

/// A key is observed at least so many days.
pub const LEAST_DAYS: u32 = 7;

/// CloudTrail's event history holds so many days.
pub const MOST_DAYS: u32 = 90;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// What is retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A KMS key.
    KmsKey,
    /// An access key of a user.
    AccessKey,
}

/// Why a key's deletion may be scheduled. Part of the plan that does it, and of its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retirement {
    /// What it is.
    pub kind: Kind,
    /// Its id.
    pub key: String,
    /// Region.
    pub region: String,
    /// When it was disabled.
    pub disabled: Timestamp,
    /// How that is known.
    pub known_by: String,
    /// Days that it was observed at least.
    pub days: u32,
    /// Until when.
    pub until: Timestamp,
    /// Events that were looked at.
    pub events: usize,
}

/// How far a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// It works: disabling it comes first.
    Active,
    /// Disabled, not used since, for long enough.
    Ready(Retirement),
    /// Not to be gone on with now: why.
    Refused(String),
}

/// A key, and where its use is looked for.
pub struct Observe<'a> {
    /// Reads only.
    pub reader: &'a dyn Api,
    /// The API models.
    pub models: &'a Models,
    /// What it is.
    pub kind: Kind,
    /// KMS: the key's id. Access key: its id.
    pub key: &'a str,
    /// The access key's user.
    pub user: &'a str,
    /// Region of the calls.
    pub region: &'a str,
    /// Journals, of which one may say when the key was disabled.
    pub runs: &'a [Run],
    /// What an earlier look found out about when the key was disabled.
    pub known: Option<(Timestamp, String)>,
    /// Days without use.
    pub days: u32,
    /// The time.
    pub now: Timestamp,
}

impl std::fmt::Debug for Observe<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observe")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// An event of CloudTrail that names the key.
struct Seen {
    time: Timestamp,
    name: String,
    who: String,
    text: String,
}

/// A reason to stop, or something that is known.
type Known<T> = Result<T, String>;

impl Observe<'_> {
    /// Looks how far the key is.
    pub async fn stage(&self) -> Stage {
        self.look().await.unwrap_or_else(Stage::Refused)
    }

    async fn look(&self) -> Known<Stage> {
        if !(LEAST_DAYS..=MOST_DAYS).contains(&self.days) {
            return Err(format!(
                "use is observed for {LEAST_DAYS} to {MOST_DAYS} days, not {}: CloudTrail's event history holds {MOST_DAYS}",
                self.days
            ));
        }
        if self.is_active().await? {
            return Ok(Stage::Active);
        }
        let (disabled, known_by) = self.disabled().await?;
        let wanted = i64::from(self.days) * MICROS_PER_DAY;
        let ready = Timestamp::from_micros(disabled.as_micros().saturating_add(wanted));
        if self.now < ready {
            return Err(format!(
                "disabled {disabled} ({known_by}): use is observed for {} days, until {ready}",
                self.days
            ));
        }
        let from = disabled.max(Timestamp::from_micros(self.now.as_micros() - wanted));
        let (attribute, value) = match self.kind {
            Kind::KmsKey => ("EventSource", "kms.amazonaws.com"),
            Kind::AccessKey => ("AccessKeyId", self.key),
        };
        let events = self.events(attribute, value, from).await?;
        let uses: Vec<&Seen> = events.iter().filter(|e| self.is_use(e)).collect();
        if let Some(last) = uses.last() {
            return Err(format!(
                "somebody still wants it: {} events since {from}, the last {} by {} at {}",
                uses.len(),
                last.name,
                last.who,
                last.time
            ));
        }
        if self.kind == Kind::AccessKey {
            self.not_used_since(disabled).await?;
        }
        Ok(Stage::Ready(Retirement {
            kind: self.kind,
            key: self.key.to_owned(),
            region: self.region.to_owned(),
            disabled,
            known_by,
            days: self.days,
            until: self.now,
            events: events.len(),
        }))
    }

    async fn ask(&self, service: &str, operation: &str, params: Json) -> Known<Json> {
        let params = params.as_object().cloned().unwrap_or_default();
        let read = Read {
            call: Call {
                service: service.to_owned(),
                operation: operation.to_owned(),
                params,
            },
            from: ".".to_owned(),
            absent: Vec::new(),
        };
        let answered = answer(self.reader, self.models, self.region, &read).await;
        let answered = answered.map_err(|e| {
            format!(
                "it is not known whether the key is used: {service}:{operation} failed with {e}"
            )
        })?;
        Ok(answered.unwrap_or(Json::Null))
    }

    async fn is_active(&self) -> Known<bool> {
        match self.kind {
            Kind::KmsKey => {
                let answered = self
                    .ask("kms", "DescribeKey", json!({"KeyId": self.key}))
                    .await?;
                let key = answered.get("KeyMetadata").unwrap_or(&Json::Null);
                let text = |name: &str| key.get(name).and_then(Json::as_str).unwrap_or_default();
                if text("KeyManager") != "CUSTOMER" {
                    return Err("the key is AWS's own: it cannot be deleted".to_owned());
                }
                let replicas = key
                    .pointer("/MultiRegionConfiguration/ReplicaKeys")
                    .and_then(Json::as_array)
                    .is_some_and(|r| !r.is_empty());
                let primary = key
                    .pointer("/MultiRegionConfiguration/MultiRegionKeyType")
                    .and_then(Json::as_str)
                    == Some("PRIMARY");
                if primary && replicas {
                    return Err(
                        "the key has replicas in other regions: retire those first".to_owned()
                    );
                }
                match text("KeyState") {
                    "Enabled" => Ok(true),
                    "Disabled" => Ok(false),
                    other => Err(format!("the key's state is `{other}`, not `Disabled`")),
                }
            }
            Kind::AccessKey => {
                let answered = self
                    .ask("iam", "ListAccessKeys", json!({"UserName": self.user}))
                    .await?;
                let keys = answered.get("AccessKeyMetadata").and_then(Json::as_array);
                let of_key =
                    |k: &&Json| k.get("AccessKeyId").and_then(Json::as_str) == Some(self.key);
                let key = keys.into_iter().flatten().find(of_key);
                let key =
                    key.ok_or_else(|| format!("`{}` has no access key `{}`", self.user, self.key))?;
                match key.get("Status").and_then(Json::as_str) {
                    Some("Active") => Ok(true),
                    Some("Inactive") => Ok(false),
                    other => Err(format!("the key's status is {other:?}")),
                }
            }
        }
    }

    /// Since when the key does not work, and how that is known: the latest time that a journal or CloudTrail says.
    async fn disabled(&self) -> Known<(Timestamp, String)> {
        let operation = match self.kind {
            Kind::KmsKey => "DisableKey",
            Kind::AccessKey => "UpdateAccessKey",
        };
        let from =
            Timestamp::from_micros(self.now.as_micros() - i64::from(MOST_DAYS) * MICROS_PER_DAY);
        let events = self.events("EventName", operation, from).await?;
        let named = events.iter().filter(|e| {
            let inactive = self.kind == Kind::KmsKey || e.text.contains("Inactive");
            e.text.contains(self.key) && inactive && !is_failed(e)
        });
        let in_events = named.map(|e| (e.time, format!("CloudTrail: {operation} by {}", e.who)));
        let in_runs = self.runs.iter().flat_map(|run| {
            let at = run
                .events
                .iter()
                .filter_map(|event| self.made(run, event, operation));
            at.map(|time| (time, format!("run {}", run.name)))
        });
        let known = in_events.chain(in_runs).chain(self.known.clone());
        known.max().ok_or_else(|| {
            format!(
                "it is not known since when the key is disabled: no journal says it, and CloudTrail has no `{operation}` of it in {MOST_DAYS} days. Enable it and begin again"
            )
        })
    }

    /// When a journal says that its run disabled the key.
    fn made(&self, run: &Run, event: &Event, operation: &str) -> Option<Timestamp> {
        let Event::State {
            time,
            item,
            step,
            undo: false,
            reached: true,
            ..
        } = event
        else {
            return None;
        };
        let item = run.plan.items.iter().find(|i| i.number == *item)?;
        let call = &item.steps.get(*step)?.call;
        let names = |name: &str| call.params.get(name).and_then(Json::as_str);
        let of_key = ["KeyId", "AccessKeyId"].iter().any(|n| {
            names(n).is_some_and(|id| id == self.key || id.ends_with(&format!("/{}", self.key)))
        });
        (call.operation == operation && of_key && names("Status") != Some("Active"))
            .then_some(*time)
    }

    /// Events of CloudTrail, the oldest first.
    async fn events(&self, attribute: &str, value: &str, from: Timestamp) -> Known<Vec<Seen>> {
        let params = json!({
            "LookupAttributes": [{"AttributeKey": attribute, "AttributeValue": value}],
            "StartTime": from.as_micros() / 1_000_000,
            "EndTime": self.now.as_micros() / 1_000_000 + 1,
            "MaxResults": 50,
        });
        let answered = self.ask("cloudtrail", "LookupEvents", params).await?;
        let mut seen = Vec::new();
        for event in answered
            .get("Events")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
        {
            let text = |name: &str| {
                let text = event.get(name).and_then(Json::as_str);
                text.unwrap_or_default().to_owned()
            };
            let time = event.get("EventTime").cloned().unwrap_or(Json::Null);
            let time: Timestamp = serde_json::from_value(time).map_err(|e| {
                format!("it is not known whether the key is used: an event has no time: {e}")
            })?;
            let who = Some(text("Username")).filter(|w| !w.is_empty());
            seen.push(Seen {
                time,
                name: text("EventName"),
                who: who.unwrap_or_else(|| "somebody".to_owned()),
                text: text("CloudTrailEvent"),
            });
        }
        seen.sort_by(|a, b| (a.time, &a.name, &a.text).cmp(&(b.time, &b.name, &b.text)));
        Ok(seen)
    }

    /// Whether an event says that somebody wants the key: also one that failed because it is disabled. Whoever reads about
    /// it does not use it; what is not known by name counts as use.
    fn is_use(&self, event: &Seen) -> bool {
        if self.kind == Kind::AccessKey {
            return true;
        }
        let name = event.name.as_str();
        let reads = ["Describe", "List", "Get"]
            .iter()
            .any(|verb| name.starts_with(verb))
            && name != "GetPublicKey";
        let about = [
            "DisableKey",
            "TagResource",
            "UntagResource",
            "UpdateKeyDescription",
        ];
        event.text.contains(self.key) && !reads && !about.contains(&name)
    }

    async fn not_used_since(&self, disabled: Timestamp) -> Known<()> {
        let answered = self
            .ask(
                "iam",
                "GetAccessKeyLastUsed",
                json!({"AccessKeyId": self.key}),
            )
            .await?;
        let last = answered.pointer("/AccessKeyLastUsed/LastUsedDate").cloned();
        let Some(last) = last.filter(|l| !l.is_null()) else {
            return Ok(());
        };
        let last: Timestamp = serde_json::from_value(last)
            .map_err(|e| format!("it is not known when the key was used last: {e}"))?;
        if last > disabled {
            return Err(format!(
                "it was used {last}, after it was disabled {disabled}"
            ));
        }
        Ok(())
    }
}

fn is_failed(event: &Seen) -> bool {
    let parsed: Result<Map<String, Json>, _> = serde_json::from_str(&event.text);
    parsed.is_ok_and(|e| e.get("errorCode").is_some_and(|c| !c.is_null()))
}
