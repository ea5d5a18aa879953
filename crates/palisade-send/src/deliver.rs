//! One destination gets what it has to be told.
use crate::changes::{Changes, Closed, Scope, known};
use crate::destination::{Destination, Kind};
use crate::http::{Http, HttpError};
use crate::state::{Known, State};
use crate::{eventbridge, jira, securityhub, slack, sns, webhook};
use palisade_core::{Assessment, Finding};
use palisade_model::{Api, ApiError, CallRequest, Models};
use serde_json::{Map, Value as Json, json};

/// Someone who makes calls to AWS, and for whom.
#[derive(Clone, Copy)]
pub struct Aws<'a> {
    /// Makes the calls, with retries.
    pub api: &'a dyn Api,
    /// What answers look like.
    pub models: &'a Models,
    /// The default region.
    pub region: &'a str,
    /// Whose credentials they are.
    pub account_id: &'a str,
}

impl std::fmt::Debug for Aws<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Aws")
            .field("account_id", &self.account_id)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

/// Why a destination got nothing, or not all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// It needs credentials of AWS, and nobody brought any.
    #[error("it needs credentials of AWS")]
    NoCredentials,
    /// A call to AWS failed.
    #[error("{operation} in {region} failed with {code}: {message}")]
    Call {
        /// `service:Operation`.
        operation: String,
        /// Where.
        region: String,
        /// AWS's error code.
        code: String,
        /// AWS's message.
        message: String,
    },
    /// A request over HTTP failed. The message has neither URL nor secret in it.
    #[error("{message}")]
    Request {
        /// What went wrong.
        message: String,
        /// Whether the server may have done what was asked all the same.
        ambiguous: bool,
        /// Whether every other request would fail alike.
        lasting: bool,
    },
    /// The answer makes no sense.
    #[error("{0}")]
    Answer(String),
    /// The destination is described wrongly.
    #[error("{0}")]
    Settings(String),
}

impl From<HttpError> for SendError {
    fn from(error: HttpError) -> Self {
        Self::Request {
            message: error.to_string(),
            ambiguous: error.is_ambiguous(),
            lasting: error.is_lasting(),
        }
    }
}

/// What became of a delivery.
#[derive(Debug, Default)]
pub struct Sent {
    /// In a dry run: every request that would have changed something, in order.
    pub requests: Vec<Json>,
    /// Findings that were told, new or changed.
    pub told: usize,
    /// Findings that were told to be over.
    pub closed: usize,
    /// Findings that the destination knew already.
    pub unchanged: usize,
    /// What did not work, one line each. Empty when all did.
    pub problems: Vec<String>,
    /// What to remember for the next time, where the destination cannot be asked.
    pub state: State,
}

impl Sent {
    /// Notes what a destination has been told.
    pub(crate) fn remember(
        &mut self,
        open: &[(String, &Finding)],
        closed: &[(String, Known, Closed)],
    ) {
        self.told += open.len();
        self.closed += closed.len();
        for (id, finding) in open {
            self.state.0.insert(id.clone(), known(finding));
        }
        for (id, ..) in closed {
            self.state.0.remove(id);
        }
    }
}

/// Sends the findings of one assessment.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// What is told.
    pub assessment: &'a Assessment,
    /// For destinations in AWS.
    pub aws: Option<Aws<'a>>,
    /// For the others.
    pub http: &'a Http,
    /// Change nothing; give the requests that would have been made.
    pub dry_run: bool,
}

impl Sender<'_> {
    /// Tells a destination what it does not know yet. `before` is what it was told, where it cannot be asked.
    ///
    /// # Errors
    /// When nothing could be told. What was told in part is in [`Sent::problems`].
    pub async fn send(&self, destination: &Destination, before: &State) -> Result<Sent, SendError> {
        let mut sent = Sent::default();
        self.send_into(destination, before, &mut sent).await?;
        Ok(sent)
    }

    /// The same, noting as it goes: whoever stops waiting still has what was told until then.
    ///
    /// # Errors
    /// As [`Sender::send`].
    pub async fn send_into(
        &self,
        destination: &Destination,
        before: &State,
        sent: &mut Sent,
    ) -> Result<(), SendError> {
        let scope = Scope::of(self.assessment, &destination.filter);
        *sent = Sent {
            state: before.clone(),
            ..Sent::default()
        };
        let changes = Changes::of(&scope, before);
        if destination.kind.needs_state() {
            sent.unchanged = changes.unchanged;
            if changes.is_empty() {
                return Ok(());
            }
        }
        match &destination.kind {
            Kind::SecurityHub(to) => securityhub::send(self, to, &scope, sent).await?,
            Kind::Sns(to) => sns::send(self, to, &changes, sent).await?,
            Kind::EventBridge(to) => eventbridge::send(self, to, &changes, sent).await?,
            Kind::Slack(to) => slack::send(self, to, &changes, sent).await?,
            Kind::Webhook(to) => webhook::send(self, to, &changes, sent).await?,
            Kind::Jira(to) => jira::send(self, to, &scope, sent).await?,
        }
        Ok(())
    }

    pub(crate) fn aws(&self) -> Result<Aws<'_>, SendError> {
        self.aws.ok_or(SendError::NoCredentials)
    }
}

impl Aws<'_> {
    /// Makes a call and gives the answer by the API's own names, and the parameters of the next page.
    pub(crate) async fn call(
        &self,
        service: &str,
        operation: &str,
        region: &str,
        params: &Map<String, Json>,
    ) -> Result<(Json, Option<Map<String, Json>>), SendError> {
        let failed = |code: String, message: String| SendError::Call {
            operation: format!("{service}:{operation}"),
            region: region.to_owned(),
            code,
            message,
        };
        let request = CallRequest {
            service,
            operation,
            region,
            params,
        };
        let page = self
            .api
            .call(request)
            .await
            .map_err(|ApiError { code, message, .. }| failed(code, message))?;
        let model = self
            .models
            .get(service)
            .map_err(|e| failed("UnknownService".to_owned(), e.to_string()))?;
        Ok((page.value.to_json(&model), page.next))
    }
}

/// A request of a dry run, as a call to AWS.
pub(crate) fn shown_call(
    service: &str,
    operation: &str,
    region: &str,
    params: &Map<String, Json>,
) -> Json {
    json!({ "call": format!("{service}:{operation}"), "region": region, "params": params })
}

/// A request of a dry run, over HTTP; URLs may be secret and are not shown.
pub(crate) fn shown_request(what: &str, body: &[u8]) -> Json {
    let body = serde_json::from_slice(body).unwrap_or(Json::Null);
    json!({ "request": what, "body": body })
}
