//! The progress line on a terminal: services, calls, throttles, an estimate. Nothing in a pipe.
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use palisade_collect::Progress;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Draws what the collector tells.
#[derive(Debug)]
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar on stderr, or nothing at all.
    pub fn new(visible: bool) -> Self {
        if !visible {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
        if let Ok(style) = ProgressStyle::with_template(
            "{spinner} {bar:24} {pos}/{len} calls  {msg}{prefix}  {elapsed}, about {eta} left",
        ) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(bar)
    }
    /// Removes the line.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl Progress for Bar {
    fn planned(&self, _: &str, steps: usize) {
        self.0.inc_length(to_u64(steps));
    }
    fn finished(&self, service: &str, steps: usize, _: bool) {
        self.0.inc(to_u64(steps));
        self.0.set_message(service.to_owned());
    }
    fn throttled(&self, total: u64) {
        if total > 0 {
            self.0.set_prefix(format!("  {total} throttled"));
        }
    }
}

/// One line for accounts that are read at the same time.
#[derive(Debug)]
pub struct Accounts {
    bar: Bar,
    of: usize,
    /// How many are done, and throttled answers by account.
    told: Mutex<(usize, BTreeMap<String, u64>)>,
}

impl Accounts {
    /// A line for so many accounts.
    pub fn new(visible: bool, of: usize) -> Self {
        Self {
            bar: Bar::new(visible),
            of,
            told: Mutex::default(),
        }
    }
    /// What one account tells.
    pub fn part(self: &Arc<Self>, account: &str) -> Part {
        Part {
            whole: Arc::clone(self),
            account: account.to_owned(),
        }
    }
    /// An account is done.
    pub fn done(&self) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).0 += 1;
        self.show();
    }
    /// Removes the line.
    pub fn finish(&self) {
        self.bar.finish();
    }
    fn show(&self) {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let (done, throttled) = (told.0, told.1.values().sum::<u64>());
        let mut text = format!("  {done} of {} accounts", self.of);
        if throttled > 0 {
            text.push_str(&format!("  {throttled} throttled"));
        }
        self.bar.0.set_prefix(text);
    }
}

/// The line of all accounts, as one account fills it.
#[derive(Debug)]
pub struct Part {
    whole: Arc<Accounts>,
    account: String,
}

impl Progress for Part {
    fn planned(&self, service: &str, steps: usize) {
        self.whole.bar.planned(service, steps);
    }
    fn finished(&self, service: &str, steps: usize, failed: bool) {
        self.whole.bar.finished(service, steps, failed);
    }
    fn throttled(&self, total: u64) {
        let mut told = self
            .whole
            .told
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        told.1.insert(self.account.clone(), total);
        drop(told);
        self.whole.show();
    }
}

fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
