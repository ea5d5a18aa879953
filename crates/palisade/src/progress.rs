//! The progress line on a terminal: services, calls, throttles, an estimate. Nothing in a pipe.
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use palisade_collect::Progress;
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

fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
