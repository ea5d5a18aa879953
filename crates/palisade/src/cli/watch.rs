//! `palisade watch`
use super::{NoiseArgs, Selection, StoreArgs, Target};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(
    after_help = "Events come through an EventBridge rule into a queue of Amazon SQS: packaging/ has both as a template. One watch a store.\nExit codes: 0 ended as asked; 2 usage; 1 anything else."
)]
pub struct Watch {
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub store: StoreArgs,
    /// URL of the queue with events; its messages are deleted when their result is stored
    #[arg(
        long,
        value_name = "URL",
        help_heading = "What to watch",
        env = "PALISADE_QUEUE",
        hide_env = true,
        conflicts_with = "events"
    )]
    pub queue: Option<String>,
    /// Events from a file instead, one JSON object a line; `-` is stdin. Ends with the file
    #[arg(long, value_name = "FILE", help_heading = "What to watch")]
    pub events: Option<PathBuf>,
    /// Read everything again so often: `6h`, `30m`, `1d`; up to a tenth later, so that many do not do it at once
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "What to watch")]
    pub every: Option<std::time::Duration>,
    /// Do not begin with reading everything when the store has a snapshot that is younger than --every
    #[arg(long, help_heading = "What to watch")]
    pub no_initial: bool,
    /// Work on what is there, and end
    #[arg(long, help_heading = "What to watch")]
    pub once: bool,
    /// Wait so long for further events before work on the first one begins
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "2s", help_heading = "What to watch")]
    pub debounce: std::time::Duration,
    /// Where changed findings go, one JSON object a line; a file is appended to, each change once. `-` is stdout
    #[arg(
        long,
        value_name = "FILE",
        default_value = "-",
        help_heading = "Report"
    )]
    pub changes: PathBuf,
    /// Also send the findings to a destination when some changed: the NAME of `[send.NAME]` in the configuration file,
    /// or `securityhub`; may repeat
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = "Report",
        env = "PALISADE_SEND",
        hide_env = true
    )]
    pub send: Vec<String>,
    /// A parameter of a check, over what the configuration file says; may repeat
    #[arg(long, value_name = "CHECK.NAME=VALUE", help_heading = "Which checks")]
    pub param: Vec<String>,
    /// File with attestations; default: `attestations.toml` in the working directory, when there is one
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Which checks",
        env = "PALISADE_ATTESTATIONS",
        hide_env = true
    )]
    pub attestations: Option<PathBuf>,
    #[command(flatten)]
    pub noise: NoiseArgs,
}

/// `90s`, `30m`, `6h`, `1d`.
fn time(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || "give a number and one of `s`, `m`, `h`, `d`".to_owned();
    let end = text.len().checked_sub(1).ok_or_else(wrong)?;
    let (number, unit) = text.split_at_checked(end).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let longest = 366 * 86_400;
    match number.checked_mul(seconds) {
        Some(seconds) if seconds <= longest => Ok(std::time::Duration::from_secs(seconds)),
        _ => Err("that is longer than a year".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn times() {
        for (text, seconds) in [
            ("0s", 0),
            ("90s", 90),
            ("30m", 1800),
            ("6h", 21_600),
            ("1d", 86_400),
        ] {
            assert_eq!(time(text).map(|d| d.as_secs()), Ok(seconds), "{text}");
        }
        for text in [
            "",
            "s",
            "6",
            "6x",
            "-1h",
            "1.5h",
            "99999999999999999999d",
            "400d",
            "6ü",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
