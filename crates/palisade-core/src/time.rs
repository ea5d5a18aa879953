//! Points in time.
use serde::{Deserialize, Serialize};

/// A point in time: microseconds since 1970-01-01T00:00:00Z. Written and read as RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

/// Not an RFC 3339 timestamp.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a timestamp such as `2026-01-31T12:00:00Z`")]
pub struct TimestampError(String);

impl Timestamp {
    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }
    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }
}
impl std::str::FromStr for Timestamp {
    type Err = TimestampError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        chrono::DateTime::parse_from_rfc3339(text)
            .map(|t| Self(t.timestamp_micros()))
            .map_err(|_| TimestampError(text.to_owned()))
    }
}
impl TryFrom<String> for Timestamp {
    type Error = TimestampError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}
impl From<Timestamp> for String {
    fn from(time: Timestamp) -> Self {
        time.to_string()
    }
}
impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match chrono::DateTime::from_timestamp_micros(self.0) {
            Some(t) => f.pad(&t.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)),
            None => write!(f, "{} us since 1970", self.0),
        }
    }
}

/// A day of the calendar, in UTC. Written and read as `2026-01-31`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Date(chrono::NaiveDate);

/// Not a day of the calendar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a date such as `2026-01-31`")]
pub struct DateError(String);

impl Date {
    /// The day of a point in time. A time that no calendar holds is the first day of 1970.
    pub fn of(time: Timestamp) -> Self {
        let day = chrono::DateTime::from_timestamp_micros(time.as_micros());
        Self(day.unwrap_or_default().date_naive())
    }
    /// Days from this day to another; negative when the other is earlier.
    pub fn days_to(self, other: Self) -> i64 {
        other.0.signed_duration_since(self.0).num_days()
    }
    /// The day that many days later; the last day of the calendar when there is none.
    #[must_use]
    pub fn plus_days(self, days: u32) -> Self {
        let later = self.0.checked_add_days(chrono::Days::new(days.into()));
        Self(later.unwrap_or(chrono::NaiveDate::MAX))
    }
    /// The same day that many months later, or the last day of that month.
    #[must_use]
    pub fn plus_months(self, months: u32) -> Self {
        let later = self.0.checked_add_months(chrono::Months::new(months));
        Self(later.unwrap_or(chrono::NaiveDate::MAX))
    }
}
impl std::str::FromStr for Date {
    type Err = DateError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = |at: std::ops::Range<usize>| {
            text.get(at)
                .is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit()))
        };
        let shaped = text.len() == 10 && digits(0..4) && digits(5..7) && digits(8..10);
        let parsed = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
        let day = parsed.filter(|_| shaped);
        day.map(Self).ok_or_else(|| DateError(text.to_owned()))
    }
}
impl TryFrom<String> for Date {
    type Error = DateError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}
impl From<Date> for String {
    fn from(day: Date) -> Self {
        day.to_string()
    }
}
impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0.format("%Y-%m-%d").to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_the_calendar() {
        let day = |text: &str| text.parse::<Date>().unwrap();
        for bad in [
            "2026-02-30",
            "2026-1-31",
            "26-01-31",
            "2026-01-31T00:00:00Z",
            "",
            "+026-01-31",
        ] {
            assert!(bad.parse::<Date>().is_err(), "{bad}");
        }
        assert_eq!(day("2026-01-31").plus_months(1), day("2026-02-28"));
        assert_eq!(day("2026-02-28").plus_days(1), day("2026-03-01"));
        assert_eq!(day("2026-03-01").days_to(day("2026-02-28")), -1);
        let late: Timestamp = "2026-01-31T23:59:59Z".parse().unwrap();
        assert_eq!(Date::of(late), day("2026-01-31"));
    }

    #[test]
    fn rfc3339_both_ways() {
        let t: Timestamp = "2026-01-31T12:00:00+02:00".parse().unwrap();
        assert_eq!(t.to_string(), "2026-01-31T10:00:00Z");
        assert!("yesterday".parse::<Timestamp>().is_err());
    }
}
