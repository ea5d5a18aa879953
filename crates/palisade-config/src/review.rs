//! What has to be looked at again, and when.
use crate::attest::Attestations;
use crate::file::Config;
use palisade_core::Date;
use std::collections::BTreeMap;

/// The reviews that there are, as files name them.
pub const REVIEWS: &[&str] = &[
    "posture",
    "permissions",
    "compliance_audit",
    "control_tests",
    "drills",
];

/// The forms of a cadence, for hints.
pub(crate) const FORMS: &str = "days, weeks, months or years: `30d`, `2w`, `6m`, `1y`";

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cadence {
    /// Every so many days.
    Days(u32),
    /// Every so many months.
    Months(u32),
}

/// Not a cadence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not say how often")]
pub struct CadenceError(String);

impl Cadence {
    /// The day on which it is due again.
    pub fn after(self, day: Date) -> Date {
        match self {
            Self::Days(n) => day.plus_days(n),
            Self::Months(n) => day.plus_months(n),
        }
    }
}

impl std::str::FromStr for Cadence {
    type Err = CadenceError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || CadenceError(text.to_owned());
        let unit = text.chars().last().ok_or_else(wrong)?;
        let number = text.get(..text.len() - unit.len_utf8()).ok_or_else(wrong)?;
        let number = Some(number)
            .filter(|n| n.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|n| n.parse::<u32>().ok())
            .filter(|n| (1..=3650).contains(n))
            .ok_or_else(wrong)?;
        match unit {
            'd' => Ok(Self::Days(number)),
            'w' => Ok(Self::Days(number * 7)),
            'm' => Ok(Self::Months(number)),
            'y' => Ok(Self::Months(number * 12)),
            _ => Err(wrong()),
        }
    }
}

impl std::fmt::Display for Cadence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Days(1) => f.write_str("every day"),
            Self::Days(n) => write!(f, "every {n} days"),
            Self::Months(1) => f.write_str("every month"),
            Self::Months(n) => write!(f, "every {n} months"),
        }
    }
}

/// How something stands on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// The day has passed, or it was never done.
    Overdue,
    /// The day is near.
    Due,
    /// The day is far.
    Done,
    /// It was done, and nobody said how often it has to be.
    NoCadence,
}

impl Standing {
    /// The word for users.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overdue => "overdue",
            Self::Due => "due soon",
            Self::Done => "done",
            Self::NoCadence => "no cadence",
        }
    }
}

/// One thing that has to be looked at again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// A review's name, or what is attested.
    pub what: String,
    /// `review` or `attestation`.
    pub kind: &'static str,
    /// How often, in words; empty for attestations.
    pub cadence: String,
    /// When it was done last.
    pub last: Option<Date>,
    /// Who did it.
    pub by: Option<String>,
    /// When it is due again. An attestation holds to the end of this day.
    pub due: Option<Date>,
    /// How it stands.
    pub standing: Standing,
}

/// What is due on a day: the reviews that the configuration gives a cadence or that were done, and what is attested. Worst
/// first. `within`: days before its day from which something is due soon.
pub fn review(
    config: Option<&Config>,
    attestations: &Attestations,
    today: Date,
    within: u32,
) -> Vec<Due> {
    let standing = |due: Date| {
        if due < today {
            Standing::Overdue
        } else if due <= today.plus_days(within) {
            Standing::Due
        } else {
            Standing::Done
        }
    };
    let mut all = Vec::new();
    for kind in REVIEWS {
        let cadence = config.and_then(|c| c.reviews.get(kind)).map(|(c, _)| *c);
        // a day that is still to come has not been done
        let last = attestations
            .reviews
            .iter()
            .filter(|r| r.kind == *kind && r.on <= today)
            .max_by_key(|r| r.on);
        if cadence.is_none() && last.is_none() {
            continue;
        }
        let due = cadence.zip(last).map(|(c, l)| c.after(l.on));
        all.push(Due {
            what: (*kind).to_owned(),
            kind: "review",
            cadence: cadence.map(|c| c.to_string()).unwrap_or_default(),
            last: last.map(|l| l.on),
            by: last.map(|l| l.by.clone()),
            due,
            standing: match (cadence, due) {
                (_, Some(due)) => standing(due),
                (Some(_), None) => Standing::Overdue,
                (None, None) => Standing::NoCadence,
            },
        });
    }
    // what is attested, by the attestation that holds longest
    let mut attested: BTreeMap<String, Due> = BTreeMap::new();
    for attestation in &attestations.attestations {
        let control = attestation.control.iter().map(|c| format!("control {c}"));
        let subjects = attestation.requirements.iter().cloned().chain(control);
        for subject in subjects {
            let of = match attestation.accounts.as_slice() {
                [] => String::new(),
                accounts => format!(" in {}", accounts.join(", ")),
            };
            let what = format!("{subject}{of}");
            let due = Due {
                what: what.clone(),
                kind: "attestation",
                cadence: String::new(),
                last: Some(attestation.on),
                by: Some(attestation.by.clone()),
                due: Some(attestation.valid_until),
                standing: standing(attestation.valid_until),
            };
            let later = attested.get(&what).is_none_or(|known| known.due < due.due);
            if attestation.on <= today && later {
                attested.insert(what, due);
            }
        }
    }
    all.extend(attested.into_values());
    all.sort_by_key(|d| (d.standing, d.due));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cadences() {
        let day: Date = "2026-01-31".parse().unwrap();
        for (text, next) in [
            ("1d", "2026-02-01"),
            ("2w", "2026-02-14"),
            ("1m", "2026-02-28"),
            ("1y", "2027-01-31"),
        ] {
            let cadence: Cadence = text.parse().unwrap();
            assert_eq!(cadence.after(day).to_string(), next, "{text}");
        }
        for bad in [
            "",
            "d",
            "0d",
            "-1d",
            "1",
            "1 d",
            "1h",
            "99999999999d",
            "ü",
            "1ü",
        ] {
            assert!(bad.parse::<Cadence>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_cadence_or_an_error(text in "\\PC{0,12}") {
            let _ = text.parse::<Cadence>();
        }
    }
}
