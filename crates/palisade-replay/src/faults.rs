//! What a server does instead of, or before, giving the recorded answer.
//!
//! Every decision by chance is drawn from the seed, the request and the number of times that this same request came
//! before: it does not depend on the order in which a concurrent client's requests arrive, so a test with faults
//! gives the same result in every run.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::key::Key;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// The request is read and never answered.
    Hang,
    /// Credentials are refused in this region.
    RegionRefused,
    /// The caller lacks the permission.
    Denied,
    /// The caller asks too fast.
    Throttled,
    /// The service fails with status 500.
    ServerError,
    /// The connection ends before `Content-Length` bytes were sent.
    Truncated,
    /// The connection ends before the last chunk of a chunked body.
    TruncatedChunked,
    /// The body arrives whole, and is not what its content type says.
    Malformed,
}

/// Faults to give. A fault is aimed with a pattern: `iam` (a signing name), `iam:ListUsers`, `s3:GET /{bucket}?acl`
/// (an operation as [`Key::operation`] names it), `lambda:GET /2015-03-31/functions/web/*` (method and path as
/// sent), with `*` for any text. Shares are probabilities from 0 to 1.
///
/// When several apply, the first of [`Fault`]'s order is given.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    seed: u64,
    latency: Duration,
    jitter: Duration,
    rate: Option<Rate>,
    service_rates: BTreeMap<String, Rate>,
    refused_regions: Vec<String>,
    aimed: Vec<(Fault, String, f64)>,
}

/// A token bucket's measures.
#[derive(Clone, Copy, Debug)]
struct Rate {
    per_second: f64,
    burst: f64,
}

impl Faults {
    /// No faults: every answer as recorded and at once.
    pub fn none() -> Self {
        Self::default()
    }

    /// Seeds the decisions made by chance; 0 unless told.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Waits this long before every answer.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Waits up to this much longer, drawn evenly.
    #[must_use]
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// One token bucket per service and region, as AWS has one per account, service and region: `burst` requests at
    /// once, refilled with `per_second`.
    #[must_use]
    pub fn rate_limit(mut self, per_second: f64, burst: f64) -> Self {
        self.rate = Some(Rate { per_second, burst });
        self
    }

    /// The same for one service (a signing name), in place of the general limit.
    #[must_use]
    pub fn service_rate_limit(mut self, service: &str, per_second: f64, burst: f64) -> Self {
        self.service_rates
            .insert(service.to_owned(), Rate { per_second, burst });
        self
    }

    /// Throttles a share of the matching requests.
    #[must_use]
    pub fn throttle(self, pattern: &str, share: f64) -> Self {
        self.aim(Fault::Throttled, pattern, share)
    }

    /// Denies all matching requests.
    #[must_use]
    pub fn deny(self, pattern: &str) -> Self {
        self.aim(Fault::Denied, pattern, 1.0)
    }

    /// Refuses the credentials of every request signed for this region, as AWS does where a region is not enabled.
    #[must_use]
    pub fn refuse_region(mut self, region: &str) -> Self {
        self.refused_regions.push(region.to_owned());
        self
    }

    /// Answers a share of the matching requests with status 500.
    #[must_use]
    pub fn server_errors(self, pattern: &str, share: f64) -> Self {
        self.aim(Fault::ServerError, pattern, share)
    }

    /// Never answers a share of the matching requests.
    #[must_use]
    pub fn hang(self, pattern: &str, share: f64) -> Self {
        self.aim(Fault::Hang, pattern, share)
    }

    /// Announces the whole body of a share of the matching requests, sends half of it and closes the connection.
    #[must_use]
    pub fn truncate(self, pattern: &str, share: f64) -> Self {
        self.aim(Fault::Truncated, pattern, share)
    }

    /// Sends half of the body in chunks and closes the connection before the last chunk.
    #[must_use]
    pub fn truncate_chunked(self, pattern: &str, share: f64) -> Self {
        self.aim(Fault::TruncatedChunked, pattern, share)
    }

    /// Spoils the body of a share of the matching requests so that no parser takes it.
    #[must_use]
    pub fn malformed(self, pattern: &str, share: f64) -> Self {
        self.aim(Fault::Malformed, pattern, share)
    }

    fn aim(mut self, fault: Fault, pattern: &str, share: f64) -> Self {
        self.aimed.push((fault, pattern.to_owned(), share));
        self
    }

    /// The wait before the answer to this request, of which `attempt` came before.
    pub(crate) fn wait(&self, key_hash: u64, attempt: u32) -> Duration {
        if self.jitter.is_zero() {
            return self.latency;
        }
        self.latency + self.jitter.mul_f64(self.draw(key_hash, attempt, u64::MAX))
    }

    /// The fault for this request, if any.
    pub(crate) fn decide(
        &self,
        key: &Key,
        operation: &str,
        key_hash: u64,
        attempt: u32,
        buckets: &mut Buckets,
        now: Instant,
    ) -> Option<Fault> {
        let mut found = self
            .refused_regions
            .contains(&key.region)
            .then_some(Fault::RegionRefused);
        let mut literal = None;
        for (number, (fault, pattern, share)) in (0..).zip(&self.aimed) {
            let literal = || {
                literal
                    .get_or_insert_with(|| format!("{}:{} {}", key.service, key.method, key.path))
                    .clone()
            };
            if found.is_none_or(|found| *fault < found)
                && matches(pattern, &key.service, operation, literal)
                && self.draw(key_hash, attempt, number) < *share
            {
                found = Some(*fault);
            }
        }
        // Only a request that gets as far as the bucket takes a token from it.
        let reaches_bucket = found.is_none_or(|found| found >= Fault::Throttled);
        let rate = self.service_rates.get(&key.service).or(self.rate.as_ref());
        if let Some(rate) = rate
            && reaches_bucket
            && !buckets.take(key, *rate, now)
        {
            return Some(Fault::Throttled);
        }
        found
    }

    /// A number from 0 to below 1.
    fn draw(&self, key_hash: u64, attempt: u32, purpose: u64) -> f64 {
        let mixed = mix(mix(mix(self.seed ^ key_hash) ^ u64::from(attempt)) ^ purpose);
        // 53 bits are what an f64 holds exactly.
        #[expect(clippy::cast_precision_loss, reason = "both fit the mantissa")]
        let share = (mixed >> 11) as f64 / (1_u64 << 53) as f64;
        share
    }
}

/// Whether `pattern` names this service or operation.
fn matches(
    pattern: &str,
    service: &str,
    operation: &str,
    literal: impl FnOnce() -> String,
) -> bool {
    match pattern.split_once(':') {
        None => glob(pattern, service),
        Some(_) => glob(pattern, &format!("{service}:{operation}")) || glob(pattern, &literal()),
    }
}

/// Whether `pattern`, where `*` is any text, covers the whole of `text`.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(start) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, after)) = text.split_once(part) else {
            return false;
        };
        text = after;
    }
    text.ends_with(end)
}

/// The token buckets, one per service and region.
#[derive(Debug, Default)]
pub(crate) struct Buckets(HashMap<(String, String), Bucket>);

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Buckets {
    fn take(&mut self, key: &Key, rate: Rate, now: Instant) -> bool {
        let bucket = self
            .0
            .entry((key.service.clone(), key.region.clone()))
            .or_insert(Bucket {
                tokens: rate.burst,
                filled: now,
            });
        let elapsed = now.saturating_duration_since(bucket.filled).as_secs_f64();
        bucket.tokens = (bucket.tokens + elapsed * rate.per_second).min(rate.burst);
        bucket.filled = now;
        let enough = bucket.tokens >= 1.0;
        if enough {
            bucket.tokens -= 1.0;
        }
        enough
    }
}

/// SplitMix64's finaliser: stable between releases, which the standard library's hasher does not promise.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A stable hash of a key (FNV-1a).
pub(crate) fn stable_hash(key: &Key) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut feed = |bytes: &[u8]| {
        for byte in bytes.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for part in [
        &key.service,
        &key.region,
        &key.target,
        &key.method,
        &key.path,
    ] {
        feed(part.as_bytes());
    }
    for (name, value) in &key.query {
        feed(name.as_bytes());
        feed(value.as_bytes());
    }
    feed(&key.body);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_service_operation_and_path() {
        let literal = || "lambda:GET /2015-03-31/functions/web/policy".to_owned();
        let on = |pattern| {
            matches(
                pattern,
                "lambda",
                "GET /2015-03-31/functions/{}/policy",
                literal,
            )
        };
        for pattern in [
            "*",
            "lambda",
            "lam*",
            "lambda:*",
            "lambda:*policy",
            "*:GET *",
            "lambda:GET /2015-03-31/functions/web/*",
        ] {
            assert!(on(pattern), "{pattern}");
        }
        for pattern in [
            "",
            "iam",
            "lambda:",
            "lambda:GET",
            "lambda:*policies",
            "*:POST *",
        ] {
            assert!(!on(pattern), "{pattern}");
        }
    }

    #[test]
    fn draws_are_even_and_repeatable() {
        let faults = Faults::none().seed(7);
        let below = (0..10_000)
            .filter(|number| faults.draw(*number, 0, 1) < 0.3)
            .count();
        assert!((2_800..3_200).contains(&below), "{below}");
        assert!((faults.draw(1, 2, 3) - Faults::none().seed(7).draw(1, 2, 3)).abs() < f64::EPSILON);
        assert!((faults.draw(1, 2, 3) - Faults::none().seed(8).draw(1, 2, 3)).abs() > f64::EPSILON);
        assert!((faults.draw(1, 0, 3) - faults.draw(1, 1, 3)).abs() > f64::EPSILON);
    }

    #[test]
    fn a_bucket_gives_its_burst_and_refills() {
        let (mut buckets, now) = (Buckets::default(), Instant::now());
        let rate = Rate {
            per_second: 10.0,
            burst: 2.0,
        };
        let key = Key::default();
        let mut take = |after: u64| buckets.take(&key, rate, now + Duration::from_millis(after));
        assert_eq!(
            [take(0), take(0), take(0), take(50), take(150), take(151)],
            [true, true, false, false, true, false]
        );
        // A long pause fills the bucket to its burst and no further.
        assert_eq!(
            [take(10_000), take(10_000), take(10_000)],
            [true, true, false]
        );
    }
}
