//! Dates as policies write them: ISO 8601 in W3C's profile, or seconds since 1970.

const DAY: i64 = 86_400_000;

/// Reads a date; the answer is milliseconds since 1970-01-01T00:00:00Z.
///
/// Accepted: a whole number of seconds, or `YYYY[-MM[-DD]][Thh[:mm[:ss[.fraction]]]][Z|+hh[:mm]]`,
/// as loosely as AWS takes it (one-digit hours, a `T` with nothing after it).
pub fn parse_date(text: &str) -> Option<i64> {
    if is_integer(text) {
        return text
            .parse::<i64>()
            .ok()
            .map(|seconds| seconds.saturating_mul(1000));
    }
    let (date, time) = match text.split_once(['T', 't']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut fields = date.splitn(3, '-');
    let year: i64 = number(fields.next()?, 1, 9)?;
    let month = fields.next().map(|m| number(m, 1, 2)).unwrap_or(Some(1))?;
    let day = fields.next().map(|d| number(d, 1, 2)).unwrap_or(Some(1))?;
    if !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    let at = days(year, month, day).checked_mul(DAY)?;
    at.checked_add(match time {
        Some(time) => clock(time)?,
        None => 0,
    })
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

fn number(text: &str, least: usize, most: usize) -> Option<i64> {
    if (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

/// Milliseconds of the day, with the zone taken off.
fn clock(text: &str) -> Option<i64> {
    let (time, zone) = match text.find(['Z', 'z', '+', '-']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let offset = match zone.chars().next() {
        None => 0,
        Some('Z' | 'z') => {
            if zone.len() > 1 {
                return None;
            }
            0
        }
        Some(sign) => {
            let body = zone.get(1..)?;
            let (hours, minutes) = match body.split_once(':') {
                Some((h, m)) => (number(h, 2, 2)?, number(m, 2, 2)?),
                None if body.len() == 4 => {
                    (number(body.get(..2)?, 2, 2)?, number(body.get(2..)?, 2, 2)?)
                }
                None => (number(body, 2, 2)?, 0),
            };
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if sign == '-' { -60_000 } else { 60_000 }
        }
    };
    if time.is_empty() {
        return Some(-offset);
    }
    let mut fields = time.splitn(3, ':');
    let hours = number(fields.next()?, 1, 2)?;
    let minutes = fields.next().map(|m| number(m, 1, 2)).unwrap_or(Some(0))?;
    let (seconds, fraction) = match fields.next() {
        None => (0, 0),
        Some(text) => match text.split_once(['.', ',']) {
            None => (number(text, 1, 2)?, 0),
            Some((seconds, fraction)) => {
                number(fraction, 1, 9)?;
                let milliseconds: String = fraction.chars().chain("000".chars()).take(3).collect();
                (number(seconds, 1, 2)?, milliseconds.parse().ok()?)
            }
        },
    };
    if hours > 24 || minutes > 59 || seconds > 60 {
        return None;
    }
    Some(((hours * 60 + minutes) * 60 + seconds) * 1000 + fraction - offset)
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A date as AWS writes it in requests: `YYYY-MM-DDThh:mm:ssZ`.
pub fn format_date(milliseconds: i64) -> String {
    let seconds = milliseconds.div_euclid(1000);
    let (day, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // The inverse of `days`: eras of 400 years that begin in March.
    let shifted = day + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}Z",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    )
}

#[cfg(test)]
mod tests {
    use super::{format_date, parse_date};

    #[test]
    fn dates_come_back() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2024-02-29T23:59:59Z",
            "2026-11-22T20:40:00Z",
            "1969-12-31T00:00:01Z",
        ] {
            assert_eq!(format_date(parse_date(text).unwrap()), text);
        }
    }

    #[test]
    fn dates() {
        assert_eq!(parse_date("1970-01-02T00:00:00Z"), Some(86_400_000));
        assert_eq!(parse_date("2026-06-01T00:00:00Z"), parse_date("1780272000"));
        assert_eq!(
            parse_date("2024-02-29T12:30:15.25+02:00"),
            parse_date("2024-02-29T10:30:15.250Z")
        );
        for good in [
            "01T",
            "2016-12-13t2:00:00.593194+23",
            "-292275054",
            "2019-07-01T13:20:15Z",
            "2020",
            "2020-05",
        ] {
            assert!(parse_date(good).is_some(), "{good}");
        }
        for bad in [
            "sdfdsf",
            "234-13",
            "2016-12-13t2:00:00.593194+1",
            "2016-12-13t2:00:00.1999999999+10:59",
            "9223372036854775808",
            "",
            "2023-02-29",
            "1:2",
            "é",
        ] {
            assert!(parse_date(bad).is_none(), "{bad}");
        }
    }
}
