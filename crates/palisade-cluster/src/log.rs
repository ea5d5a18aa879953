//! What Ballista says, on the standard error.
use std::io::Write;

struct ToStderr;

impl log::Log for ToStderr {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        // a message that cannot be written is not worth more
        let _ = writeln!(
            std::io::stderr().lock(),
            "{} {}: {}",
            record.level().as_str().to_ascii_lowercase(),
            record.target(),
            record.args()
        );
    }
    fn flush(&self) {}
}

/// Sends the messages of schedulers and executors to the standard error: errors, and more when a level is named
/// (`warn`, `info`, `debug`, `off`).
pub fn log_to_stderr(level: Option<&str>) {
    let level = level
        .and_then(|l| l.parse().ok())
        .unwrap_or(log::LevelFilter::Error);
    if log::set_logger(&ToStderr).is_ok() {
        log::set_max_level(level);
    }
}
