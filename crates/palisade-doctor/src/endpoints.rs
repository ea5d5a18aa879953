//! Whether the services' endpoints answer.
use crate::{Examination, State};
use futures::StreamExt;
use palisade_aws::{CallFailure, Client, Reached};
use std::collections::BTreeMap;
use std::time::Duration;

/// Time for an answer.
const WITHIN: Duration = Duration::from_secs(10);
/// Endpoints asked at the same time.
const AT_ONCE: usize = 16;

/// Every endpoint that was asked: URL → its services and what came back.
#[derive(Debug, Default)]
pub struct Answers {
    /// By URL.
    pub by_url: BTreeMap<String, (Vec<String>, Result<Reached, CallFailure>)>,
    /// Services that have no endpoint of their own without parameters.
    pub none: Vec<String>,
    /// A server's time and ours, read together, of the first that told it.
    pub clock: Option<(i64, i64)>,
}

/// Asks the endpoint of every service in the default region, each endpoint once. `now` reads the clock, in seconds since
/// 1970.
pub async fn reach(client: &Client, services: &[String], now: impl Fn() -> i64) -> Answers {
    let mut answers = Answers::default();
    let mut urls: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for service in services {
        match client.endpoint(service) {
            Ok(url) => urls.entry(url).or_default().push(service.clone()),
            Err(_) => answers.none.push(service.clone()),
        }
    }
    let asked = futures::stream::iter(urls).map(|(url, services)| async {
        let reached = client.reach(&url, WITHIN).await;
        (url, services, reached, now())
    });
    let mut asked = asked.buffered(AT_ONCE);
    while let Some((url, services, reached, at)) = asked.next().await {
        let date = reached.as_ref().ok().and_then(|r| r.date);
        answers.clock = answers.clock.or(date.map(|date| (date, at)));
        answers.by_url.insert(url, (services, reached));
    }
    answers
}

/// What the answers say.
pub fn endpoints(answers: &Answers, region: &str) -> Examination {
    let failed: Vec<String> = answers
        .by_url
        .iter()
        .filter_map(|(url, (services, reached))| {
            let error = reached.as_ref().err()?;
            Some(format!(
                "{} ({url}): {}",
                services.join(", "),
                error.message
            ))
        })
        .collect();
    let total = answers.by_url.len();
    if total == 0 {
        let message = "no service has an endpoint to ask";
        return Examination::new("endpoints", State::NotExamined, message);
    }
    if failed.is_empty() {
        let message = format!("{total} endpoints answer in {region}");
        return Examination::new("endpoints", State::Fine, message);
    }
    let message = format!(
        "{} of {total} endpoints do not answer in {region}",
        failed.len()
    );
    Examination::new("endpoints", State::Broken, message)
        .hint("is the network up, does the proxy let them through, does it bring its own certificates (SSL_CERT_FILE), are --endpoint-url, AWS_ENDPOINT_URL and the region right?")
        .details(failed)
}
