//! The clock of this machine, held against a server's.
use crate::{Examination, State};

/// Requests with a signature are refused when their time is this far off (IAM User Guide, "AWS Signature Version 4":
/// five minutes); the client notices and corrects it, other programs may not.
const REFUSED: i64 = 300;
const NOTICED: i64 = 30;

/// Compares seconds since 1970. `theirs` and `ours` were read at the same moment; none of them is a guess.
pub fn clock(pair: Option<(i64, i64)>) -> Examination {
    let Some((theirs, ours)) = pair else {
        return Examination::new("clock", State::NotExamined, "no server told the time");
    };
    let off = ours - theirs;
    let way = if off < 0 { "behind" } else { "ahead of" };
    let state = match off.abs() {
        REFUSED.. => State::Broken,
        NOTICED.. => State::Warning,
        _ => State::Fine,
    };
    let message = match off.abs() {
        0..=1 => "as the servers' clocks".to_owned(),
        off => format!("{off} seconds {way} the servers' clocks"),
    };
    let found = Examination::new("clock", state, message);
    if state == State::Fine {
        found
    } else {
        found.hint(
            "set the clock, for example with NTP; ages of keys and certificates are counted by it",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_may_be_off() {
        for (ours, state) in [
            (1000, State::Fine),
            (1029, State::Fine),
            (971, State::Fine),
            (1030, State::Warning),
            (701, State::Warning),
            (700, State::Broken),
            (5000, State::Broken),
        ] {
            assert_eq!(clock(Some((1000, ours))).state, state, "{ours}");
        }
        assert_eq!(
            clock(Some((1000, 700))).message,
            "300 seconds behind the servers' clocks"
        );
        assert_eq!(clock(None).state, State::NotExamined);
    }
}
