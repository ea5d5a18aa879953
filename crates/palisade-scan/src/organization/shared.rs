//! What is the same whichever account of an organisation asks: asked once, of the account whose credentials were given.
use palisade_core::CallErrorKind;
use palisade_model::{Api, ApiError, CallFuture, CallRequest, OperationStatistics, Page};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// Calls that only the management account and delegated administrators may make and whose answer is about the
/// organisation, not about the account that asks. Of AWS Organizations that is every call.
const SHARED: &[(&str, &str)] = &[
    ("guardduty", "ListOrganizationAdminAccounts"),
    ("iam", "ListOrganizationsFeatures"),
    ("securityhub", "ListOrganizationAdminAccounts"),
];

/// Whether a call is answered for the whole organisation.
pub fn is_shared(service: &str, operation: &str) -> bool {
    service == "organizations" || SHARED.contains(&(service, operation))
}

type Key = (String, String, String, String);
type Answer = Arc<OnceCell<Result<Page, ApiError>>>;

/// The account whose credentials were given. What it answers about the organisation is kept: it is asked once, whoever
/// wants to know.
pub struct SharedAnswers {
    api: Arc<dyn Api>,
    known: Mutex<BTreeMap<Key, Answer>>,
}

impl SharedAnswers {
    /// Over the account's own API.
    pub fn new(api: Arc<dyn Api>) -> Self {
        Self {
            api,
            known: Mutex::default(),
        }
    }

    fn place(&self, request: CallRequest<'_>) -> Answer {
        let params = serde_json::to_string(request.params).unwrap_or_default();
        let key = (
            request.service.to_owned(),
            request.operation.to_owned(),
            request.region.to_owned(),
            params,
        );
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(key).or_default())
    }
}

impl Api for SharedAnswers {
    fn call<'a>(&'a self, request: CallRequest<'a>) -> CallFuture<'a> {
        if !is_shared(request.service, request.operation) {
            return self.api.call(request);
        }
        Box::pin(async move {
            let place = self.place(request);
            // whoever asks while another is waiting for the answer waits for the same answer
            place.get_or_init(|| self.api.call(request)).await.clone()
        })
    }

    fn statistics(&self) -> Vec<OperationStatistics> {
        self.api.statistics()
    }
}

/// Another account of the organisation: it is asked itself for everything but what is the same for all.
pub struct MemberApi {
    own: Arc<dyn Api>,
    organization: Arc<SharedAnswers>,
}

impl MemberApi {
    /// Over the account's own API and what is known of the organisation.
    pub fn new(own: Arc<dyn Api>, organization: Arc<SharedAnswers>) -> Self {
        Self { own, organization }
    }
}

impl Api for MemberApi {
    fn call<'a>(&'a self, request: CallRequest<'a>) -> CallFuture<'a> {
        if !is_shared(request.service, request.operation) {
            return self.own.call(request);
        }
        Box::pin(async move {
            match self.organization.call(request).await {
                // The account whose credentials were given may not know, and this one may: it is asked as a scan of it
                // alone would ask it.
                Err(ApiError {
                    kind: CallErrorKind::Denied | CallErrorKind::Other,
                    ..
                }) => self.own.call(request).await,
                answered => answered,
            }
        })
    }

    fn statistics(&self) -> Vec<OperationStatistics> {
        self.own.statistics()
    }
}
