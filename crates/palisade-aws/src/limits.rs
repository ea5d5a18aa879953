//! How fast and how many: one adaptive rate limit and one bound of concurrency for each service in each
//! region of an account, below a bound for everything.
//!
//! AWS's runtime has an adaptive limiter, too, but it measures in half-second windows and starts from
//! 0.5 requests a second: a burst that is throttled within its first window is cut to that, and a scan
//! that lasts seconds never recovers. This one measures over what was really sent, and follows the same
//! idea: no limit until the first throttle, a multiplicative cut then, a cubic way back.
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What is left of the rate after a throttle.
const CUT: f64 = 0.7;
/// How steep the way back is, in requests a second per second cubed.
const SCALE: f64 = 0.4;
/// Never slower, in requests a second.
const SLOWEST: f64 = 1.0;
/// Throttles of one burst count once within this time.
const QUIET: Duration = Duration::from_millis(500);
/// The rate is measured over at most this time.
const WINDOW: Duration = Duration::from_secs(2);
/// And over at least this time, so that a burst does not look faster than it is.
const SHORTEST: Duration = Duration::from_millis(250);

/// An adaptive limit. Times are tokio's.
#[derive(Debug, Default)]
pub struct RateLimit {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the answered requests of the window were answered without throttling.
    answered: VecDeque<Instant>,
    started: Option<Instant>,
    /// `None` until the first throttle.
    bucket: Option<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    /// Requests a second.
    rate: f64,
    /// May be negative: then that many are already waiting.
    tokens: f64,
    filled: Instant,
    throttled: Instant,
    /// The rate at which the last throttle came.
    ceiling: f64,
}

impl RateLimit {
    /// Waits until a request may be sent. Cancelling gives the place back.
    pub async fn acquire(&self) {
        let Some(delay) = self.reserve(Instant::now()) else {
            return;
        };
        let place = Place(Some(self));
        tokio::time::sleep(delay).await;
        place.keep();
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reserve(&self, now: Instant) -> Option<Duration> {
        let mut state = self.state();
        state.started.get_or_insert(now);
        let bucket = state.bucket.as_mut()?;
        bucket.fill(now);
        bucket.tokens -= 1.0;
        let missing = (-bucket.tokens).max(0.0);
        (missing > 0.0).then(|| Duration::from_secs_f64(missing / bucket.rate))
    }

    /// An answer that was not throttling.
    pub fn succeeded(&self) {
        let now = Instant::now();
        let mut state = self.state();
        state.answered.push_back(now);
        state.forget(now);
        if let Some(bucket) = &mut state.bucket {
            bucket.fill(now);
            let since = now.duration_since(bucket.throttled).as_secs_f64();
            // The curve of CUBIC (RFC 9438): slow near the rate that was too much, then faster beyond.
            let turn = (bucket.ceiling * (1.0 - CUT) / SCALE).cbrt();
            bucket.rate = (SCALE * (since - turn).powi(3) + bucket.ceiling).max(bucket.rate);
        }
    }

    /// An answer that was throttling.
    pub fn throttled(&self) {
        let now = Instant::now();
        let mut state = self.state();
        state.forget(now);
        let measured = state.measured(now);
        match &mut state.bucket {
            Some(bucket) if now.duration_since(bucket.throttled) < QUIET => {}
            Some(bucket) => {
                bucket.fill(now);
                bucket.ceiling = bucket.rate.min(measured.max(SLOWEST));
                bucket.rate = (bucket.ceiling * CUT).max(SLOWEST);
                bucket.throttled = now;
            }
            None => {
                let ceiling = measured.max(SLOWEST);
                let rate = (ceiling * CUT).max(SLOWEST);
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
    pub fn rate(&self) -> Option<f64> {
        self.state().bucket.as_ref().map(|b| b.rate)
    }
}

impl State {
    fn forget(&mut self, now: Instant) {
        while self
            .answered
            .front()
            .is_some_and(|t| now.duration_since(*t) > WINDOW)
        {
            self.answered.pop_front();
        }
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

/// A place in the queue, given back when the one who waits goes away.
struct Place<'l>(Option<&'l RateLimit>);

impl Place<'_> {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(limit) = self.0
            && let Some(bucket) = &mut limit.state().bucket
        {
            bucket.tokens += 1.0;
        }
    }
}
