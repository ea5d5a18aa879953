use super::*;
use palisade_core::{CallErrorKind, LeftOutAccount};
use palisade_model::{Api, ApiError, CallFuture, CallRequest, OperationStatistics, Page};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn member(id: &str, units: &[(&str, &str)], tags: &[(&str, &str)]) -> Member {
    let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    Member {
        id: id.to_owned(),
        units: units.iter().map(owned).collect(),
        tags: tags.iter().map(owned).collect(),
        state: "ACTIVE".to_owned(),
        ..Member::default()
    }
}

#[test]
fn filters_of_one_kind_add_up_and_kinds_narrow_down() {
    let a = member(
        "1",
        &[("r-1", "Root"), ("ou-1", "Prod"), ("ou-2", "Shop")],
        &[("stage", "prod")],
    );
    let texts = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let tag = |k: &str, v: &str| vec![(k.to_owned(), v.to_owned())];
    let units = |include: &[&str], exclude: &[&str]| Filters {
        include_units: texts(include),
        exclude_units: texts(exclude),
        ..Filters::default()
    };
    for (filters, meant) in [
        (Filters::default(), true),
        (units(&["ou-1"], &[]), true),
        (units(&["Root/Prod"], &[]), true),
        (units(&["Root/Prod/Shop/"], &[]), true),
        (units(&["Root/Pro"], &[]), false),
        (units(&["Prod"], &[]), false),
        (units(&["ou-9", "r-1"], &[]), true),
        (units(&["r-1"], &["ou-2"]), false),
        (units(&[], &["Root/Test"]), true),
        (
            Filters {
                include_tags: tag("stage", "prod"),
                include_accounts: texts(&["2"]),
                ..Filters::default()
            },
            false,
        ),
        (
            Filters {
                exclude_tags: tag("stage", "test"),
                include_accounts: texts(&["1", "2"]),
                ..Filters::default()
            },
            true,
        ),
    ] {
        assert_eq!(filters.refusal(&a).is_none(), meant, "{filters:?}");
    }
}

/// Counts what it is asked, and knows or does not.
struct Fake {
    knows: bool,
    asked: AtomicUsize,
}

impl Api for Fake {
    fn call<'a>(&'a self, _: CallRequest<'a>) -> CallFuture<'a> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            tokio::task::yield_now().await;
            if self.knows {
                return Ok(Page::default());
            }
            Err(ApiError {
                kind: CallErrorKind::Denied,
                code: "AccessDeniedException".to_owned(),
                message: String::new(),
            })
        })
    }
    fn statistics(&self) -> Vec<OperationStatistics> {
        Vec::new()
    }
}

fn fake(knows: bool) -> Arc<Fake> {
    Arc::new(Fake {
        knows,
        asked: AtomicUsize::new(0),
    })
}

#[tokio::test]
async fn what_is_the_same_for_all_is_asked_once() {
    for (organization_knows, own_knows, of_organization, of_own) in [
        (true, false, 1, 0),
        (false, true, 1, 4),
        (false, false, 1, 4),
    ] {
        let (organization, own) = (fake(organization_knows), fake(own_knows));
        let shared = Arc::new(SharedAnswers::new(Arc::clone(&organization) as Arc<dyn Api>));
        let api = MemberApi::new(Arc::clone(&own) as Arc<dyn Api>, shared);
        let params = serde_json::Map::new();
        let request = CallRequest {
            service: "organizations",
            operation: "ListPolicies",
            region: "us-east-1",
            params: &params,
        };
        let (a, b, c, d) = tokio::join!(
            api.call(request),
            api.call(request),
            api.call(request),
            api.call(request)
        );
        let known = organization_knows || own_knows;
        for answered in [a, b, c, d] {
            assert_eq!(answered.is_ok(), known);
        }
        assert_eq!(organization.asked.load(Ordering::Relaxed), of_organization);
        assert_eq!(own.asked.load(Ordering::Relaxed), of_own);
    }
}

#[tokio::test]
async fn what_is_an_accounts_own_is_asked_of_it() {
    let (organization, own) = (fake(true), fake(true));
    let shared = Arc::new(SharedAnswers::new(Arc::clone(&organization) as Arc<dyn Api>));
    let api = MemberApi::new(Arc::clone(&own) as Arc<dyn Api>, shared);
    let params = serde_json::Map::new();
    let request = CallRequest {
        service: "s3",
        operation: "ListBuckets",
        region: "us-east-1",
        params: &params,
    };
    assert!(api.call(request).await.is_ok());
    assert!(api.call(request).await.is_ok());
    assert_eq!(organization.asked.load(Ordering::Relaxed), 0);
    assert_eq!(own.asked.load(Ordering::Relaxed), 2);
}

#[test]
fn the_order_of_accounts_does_not_show() {
    let error = |account: &str| palisade_core::CallError {
        service: "sts".to_owned(),
        operation: "AssumeRole".to_owned(),
        account_id: account.to_owned(),
        region: "us-east-1".to_owned(),
        kind: CallErrorKind::Denied,
        code: "AccessDenied".to_owned(),
        message: String::new(),
        permissions: Vec::new(),
    };
    let left = |id: &str| palisade_core::Coverage {
        left_out: vec![LeftOutAccount {
            account_id: id.to_owned(),
            name: String::new(),
            reason: String::new(),
        }],
        ..palisade_core::Coverage::default()
    };
    let merged = |order: [&str; 3]| {
        let mut merge = Merge::default();
        for account in order {
            merge.add_failure(error(account));
            merge.add_coverage(left(account));
        }
        merge.finish(palisade_core::Timestamp::from_micros(0))
    };
    let first = merged(["1", "2", "3"]);
    assert_eq!(first, merged(["3", "1", "2"]));
    assert!(!first.coverage.is_complete());
    assert_eq!(first.coverage.calls.len(), 1);
    assert_eq!(first.coverage.calls.first().map(|c| c.failed), Some(3));
}
