//! How fast and how many: one adaptive rate limit and one bound of concurrency for each service in each
//! region of an account, below a bound for everything.
//!
//! AWS's runtime has an adaptive limiter, too, but it measures in half-second windows and starts from
//! 0.5 requests a second: a burst that is throttled within its first window is cut to that, and a scan
//! that lasts seconds never recovers. This one measures over what was really sent, and follows the same
//! idea: no limit until the first throttles, a multiplicative cut then, a cubic way back. A service that lets through
//! so many a second refuses the share that is beyond: where hardly any are refused, the rate is about right, and they
//! are only sent again.
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What is left of the rate after a throttle.
const CUT: f64 = 0.7;
/// How steep the way back is, as a share of the last ceiling per second cubed.
const SCALE: f64 = 0.02;
/// Never slower, in requests a second.
const SLOWEST: f64 = 1.0;
/// The first cut leaves at least this many requests a second: what a throttle says of the rate before there are answers is
/// that others, too, are asking.
const FIRST: f64 = 10.0;
/// The share of answers that may be throttling without the rate being cut.
const TOLERATED: f64 = 0.05;
/// So few say nothing of the rate: whoever is above it is refused again at once.
const FEW: usize = 2;
/// Throttles of one burst count once within this time.
const QUIET: Duration = Duration::from_millis(500);
/// Who waits looks again after this time.
const PATIENCE: Duration = Duration::from_millis(250);
/// The rate is measured over at most this time.
const WINDOW: Duration = Duration::from_secs(2);
/// And over at least this time, so that a burst does not look faster than it is.
const SHORTEST: Duration = Duration::from_millis(250);

/// An adaptive limit. Times are tokio's.
#[derive(Debug, Default)]
pub struct RateLimit {
    state: Mutex<State>,
    queue: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// When the answered requests of the window were answered without throttling.
    answered: VecDeque<Instant>,
    /// When those of the window were throttled.
    refused: VecDeque<Instant>,
    started: Option<Instant>,
    /// `None` until the first cut.
    bucket: Option<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    /// Requests a second.
    rate: f64,
    tokens: f64,
    filled: Instant,
    throttled: Instant,
    /// The rate at which the last cut came.
    ceiling: f64,
}

impl RateLimit {
    /// Waits until a request may be sent, first come, first served. Cancelling leaves the queue.
    pub async fn acquire(&self) {
        if self.take(Instant::now()).is_ok() {
            return;
        }
        // Only the first in the queue looks at the bucket, so that a change of rate reaches all who wait.
        let _turn = self.queue.lock().await;
        while let Err(delay) = self.take(Instant::now()) {
            tokio::time::sleep(delay.min(PATIENCE)).await;
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a token, or says how long one takes.
    fn take(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.state();
        state.started.get_or_insert(now);
        let Some(bucket) = &mut state.bucket else {
            return Ok(());
        };
        bucket.fill(now);
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        // A little more than is missing: rounding down would make the wait spin.
        let missing = (1.0 - bucket.tokens) / bucket.rate;
        Err(Duration::from_secs_f64(missing) + Duration::from_millis(1))
    }

    /// An answer that was not throttling.
    pub fn succeeded(&self) {
        let now = Instant::now();
        let mut state = self.state();
        state.answered.push_back(now);
        state.forget(now);
        let measured = state.measured(now);
        if let Some(bucket) = &mut state.bucket {
            bucket.fill(now);
            let since = now.duration_since(bucket.throttled).as_secs_f64();
            // The curve of CUBIC (RFC 9438): slow near the rate that was too much, then faster beyond.
            let turn = ((1.0 - CUT) / SCALE).cbrt();
            let grown = bucket.ceiling * (1.0 + SCALE * (since - turn).powi(3));
            // Never far from what is really sent: an idle bucket must not grow.
            bucket.rate = grown.min(2.0 * measured).max(bucket.rate);
        }
    }

    /// An answer that was throttling: the rate is cut where it is not the exception.
    pub fn throttled(&self) {
        let now = Instant::now();
        let mut state = self.state();
        state.refused.push_back(now);
        state.forget(now);
        let measured = state.measured(now);
        if state.hardly_any_refused() {
            return;
        }
        match &mut state.bucket {
            Some(bucket) if now.duration_since(bucket.throttled) < QUIET => {}
            Some(bucket) => {
                bucket.fill(now);
                bucket.ceiling = bucket.rate.min(measured.max(SLOWEST));
                bucket.rate = (bucket.ceiling * CUT).max(SLOWEST);
                bucket.throttled = now;
            }
            None => {
                let ceiling = measured.max(FIRST / CUT);
                let rate = ceiling * CUT;
                state.bucket = Some(Bucket {
                    rate,
                    tokens: 0.0,
                    filled: now,
                    throttled: now,
                    ceiling,
                });
            }
        }
    }

    /// Requests a second, when there is a limit.
    #[cfg(test)]
    fn rate(&self) -> Option<f64> {
        self.state().bucket.as_ref().map(|b| b.rate)
    }
}

impl State {
    fn forget(&mut self, now: Instant) {
        let is_past = |t: &Instant| now.duration_since(*t) > WINDOW;
        for times in [&mut self.answered, &mut self.refused] {
            while times.front().is_some_and(is_past) {
                times.pop_front();
            }
        }
    }

    /// Whether throttling is the exception of late.
    fn hardly_any_refused(&self) -> bool {
        let (refused, answered) = (self.refused.len() as f64, self.answered.len() as f64);
        self.refused.len() <= FEW || refused < TOLERATED * (refused + answered)
    }

    /// Answers a second of late.
    fn measured(&self, now: Instant) -> f64 {
        let running = self
            .started
            .map_or(Duration::ZERO, |s| now.duration_since(s));
        let time = running.clamp(SHORTEST, WINDOW);
        self.answered.len() as f64 / time.as_secs_f64()
    }
}

impl Bucket {
    fn fill(&mut self, now: Instant) {
        let gained = now.duration_since(self.filled).as_secs_f64() * self.rate;
        // Half a second's worth may be saved up.
        self.tokens = (self.tokens + gained).min((self.rate / 2.0).max(1.0));
        self.filled = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// A service that answers `allowed` requests a second, as AWS's token buckets do, asked by 32 at a time.
    async fn drive(allowed: f64, seconds: u64) -> (f64, f64) {
        let limit = Arc::new(RateLimit::default());
        let service = Arc::new(Mutex::new((allowed, Instant::now())));
        let end = Instant::now() + Duration::from_secs(seconds);
        let workers = (0..32).map(|_| {
            let (limit, service) = (Arc::clone(&limit), Arc::clone(&service));
            tokio::spawn(async move {
                let (mut good, mut bad) = (0, 0);
                while Instant::now() < end {
                    limit.acquire().await;
                    tokio::time::sleep(Duration::from_millis(60)).await;
                    let granted = {
                        let mut bucket = service.lock().unwrap();
                        let now = Instant::now();
                        let gained = now.duration_since(bucket.1).as_secs_f64() * allowed;
                        *bucket = ((bucket.0 + gained).min(allowed), now);
                        bucket.0 >= 1.0 && {
                            bucket.0 -= 1.0;
                            true
                        }
                    };
                    if granted {
                        limit.succeeded();
                        good += 1;
                    } else {
                        limit.throttled();
                        bad += 1;
                    }
                }
                (good, bad)
            })
        });
        let (mut good, mut bad) = (0, 0);
        for worker in workers.collect::<Vec<_>>() {
            let (g, b) = worker.await.unwrap();
            good += g;
            bad += b;
        }
        (
            f64::from(good) / seconds as f64,
            f64::from(bad) / f64::from(good + bad),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_no_limit_before_the_first_throttle() {
        let limit = RateLimit::default();
        let started = Instant::now();
        for _ in 0..10_000 {
            limit.acquire().await;
            limit.succeeded();
        }
        assert_eq!((started.elapsed(), limit.rate()), (Duration::ZERO, None));
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_settles_near_what_the_service_allows() {
        for allowed in [5.0, 20.0, 100.0] {
            let (rate, refused) = drive(allowed, 60).await;
            assert!(
                rate > 0.7 * allowed,
                "{rate} of {allowed} a second were used"
            );
            assert!(
                refused < 0.25,
                "{refused} of the requests to {allowed} a second were throttled"
            );
        }
    }

    /// Throttling that says nothing of the rate: one answer in fifty, as from a service that is busy with others.
    #[tokio::test(start_paused = true)]
    async fn scattered_throttling_does_not_slow_down() {
        let limit = Arc::new(RateLimit::default());
        let sent = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let started = Instant::now();
        let workers = (0..32).map(|_| {
            let (limit, sent) = (Arc::clone(&limit), Arc::clone(&sent));
            tokio::spawn(async move {
                for _ in 0..100 {
                    limit.acquire().await;
                    tokio::time::sleep(Duration::from_millis(60)).await;
                    let number = sent.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    match number % 50 == 49 {
                        true => limit.throttled(),
                        false => limit.succeeded(),
                    }
                }
            })
        });
        for worker in workers.collect::<Vec<_>>() {
            worker.await.unwrap();
        }
        assert!(
            started.elapsed() < Duration::from_secs(8),
            "{:?}",
            started.elapsed()
        );
    }

    /// A service that refuses its first answers, and a few of those that follow, is asked some times a second at least.
    #[tokio::test(start_paused = true)]
    async fn throttles_before_there_are_answers_are_no_crawl() {
        let limit = RateLimit::default();
        let started = Instant::now();
        for _ in 0..=FEW {
            limit.throttled();
        }
        for _ in 0..30 {
            limit.acquire().await;
            limit.succeeded();
        }
        assert!(
            started.elapsed() < Duration::from_secs(4),
            "{:?}",
            started.elapsed()
        );
        // and who goes on refusing is asked ever less
        for _ in 0..60 {
            limit.acquire().await;
            limit.throttled();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(limit.rate().unwrap() < 2.0, "{:?}", limit.rate());
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_recovers() {
        let limit = RateLimit::default();
        for _ in 0..100 {
            limit.acquire().await;
            limit.succeeded();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // more than now and then
        for _ in 0..10 {
            limit.throttled();
        }
        let low = limit.rate().unwrap();
        assert!((60.0..80.0).contains(&low), "{low}");
        for _ in 0..3_000 {
            limit.acquire().await;
            limit.succeeded();
        }
        assert!(limit.rate().unwrap() > 150.0, "{:?}", limit.rate());
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_wait_gives_its_place_back() {
        let limit = RateLimit::default();
        for refused in 0..=FEW {
            assert_eq!(limit.rate(), None, "{refused}");
            limit.throttled();
        }
        assert_eq!(limit.rate(), Some(FIRST));
        for _ in 0..50 {
            let wait = limit.acquire();
            assert!(
                tokio::time::timeout(Duration::from_millis(1), wait)
                    .await
                    .is_err()
            );
        }
        let started = Instant::now();
        limit.acquire().await;
        assert!(
            started.elapsed() <= Duration::from_millis(200),
            "{:?}",
            started.elapsed()
        );
    }
}
