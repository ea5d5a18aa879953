//! Scalars from text, and timestamps from anything.
use super::DecodeError;
use super::plan::Use;
use palisade_model::{ShapeKind, TimestampFormat, Value};
use std::borrow::Cow;

/// Reads a scalar from text as XML elements and HTTP headers carry it. An empty text is an absent number,
/// boolean or timestamp.
pub(super) fn from_text(using: &Use, text: Cow<'_, str>) -> Result<Value, DecodeError> {
    let wrong = |what: &str| {
        Err(DecodeError::new(format!(
            "`{}` is not {what}",
            shorten(&text)
        )))
    };
    let trimmed = text.trim();
    Ok(match using.kind {
        ShapeKind::Boolean | ShapeKind::Integer | ShapeKind::Double | ShapeKind::Timestamp
            if trimmed.is_empty() =>
        {
            Value::Null
        }
        ShapeKind::Boolean if trimmed.eq_ignore_ascii_case("true") => Value::Bool(true),
        ShapeKind::Boolean if trimmed.eq_ignore_ascii_case("false") => Value::Bool(false),
        ShapeKind::Boolean => return wrong("true or false"),
        ShapeKind::Integer => match trimmed.parse() {
            Ok(number) => Value::Int(number),
            Err(_) => match trimmed.parse().ok().and_then(whole) {
                Some(number) => Value::Int(number),
                None => return wrong("a whole number"),
            },
        },
        ShapeKind::Double => match trimmed.parse() {
            Ok(number) => Value::Float(number),
            Err(_) => return wrong("a number"),
        },
        ShapeKind::Timestamp => match timestamp(trimmed, using.timestamp) {
            Some(micros) => Value::Timestamp(micros),
            None => return wrong("a timestamp"),
        },
        ShapeKind::Blob => match aws_smithy_types::base64::decode(trimmed) {
            Ok(bytes) => Value::Blob(bytes.into()),
            Err(_) => return wrong("base64"),
        },
        ShapeKind::Document => match serde_json::from_str(&text) {
            Ok(json) => Value::Json(Box::new(json)),
            Err(_) => return wrong("JSON"),
        },
        _ if using.percent_encoded => Value::String(percent_decode(text).into()),
        _ => Value::String(text.into()),
    })
}

/// The whole number that a floating point number is, when it is one.
pub(super) fn whole(number: f64) -> Option<i64> {
    // 2^63 is the first that does not fit; every f64 below it in magnitude converts exactly.
    let fits = number.fract() == 0.0 && number.abs() < 9_223_372_036_854_775_808.0;
    fits.then_some(number as i64)
}

/// Seconds since 1970 as microseconds; `None` outside the range.
pub(super) fn seconds(number: f64) -> Option<i64> {
    whole((number * 1e6).round())
}

/// ISO 8601, RFC 822 or seconds since 1970, whatever the text looks like: services do not always keep to
/// their model.
pub(super) fn timestamp(text: &str, hint: Option<TimestampFormat>) -> Option<i64> {
    if text.as_bytes().get(4) == Some(&b'-') && hint != Some(TimestampFormat::UnixTimestamp) {
        return iso(text);
    }
    match text.parse::<f64>() {
        Ok(number) => seconds(number),
        Err(_) => {
            let format = aws_smithy_types::date_time::Format::HttpDate;
            let date = aws_smithy_types::DateTime::from_str(text, format).ok()?;
            let micros = i64::from(date.subsec_nanos()) / 1000;
            date.secs().checked_mul(1_000_000)?.checked_add(micros)
        }
    }
}

/// `2026-01-31`, `2026-01-31T12:00:00`, with fraction, with `Z` or an offset; a blank may stand for the `T`.
fn iso(text: &str) -> Option<i64> {
    let (date, time) = match text.split_at_checked(10)? {
        (date, "") => (date, ""),
        (date, time) => (date, time.strip_prefix(['T', 't', ' '])?),
    };
    let mut fields = date.split('-');
    let (year, month, day) = (fields.next()?, fields.next()?, fields.next()?);
    let date = chrono::NaiveDate::from_ymd_opt(
        year.parse().ok()?,
        month.parse().ok()?,
        day.parse().ok()?,
    )?;
    let (clock, offset) = match time
        .find(['Z', 'z', '+', '-'])
        .and_then(|i| time.split_at_checked(i))
    {
        Some((clock, zone)) => (clock, offset(zone)?),
        None => (time, 0),
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = clock.split(':');
    let mut next = || match parts.next() {
        None | Some("") => Some(0),
        Some(part) => part.parse::<u32>().ok(),
    };
    let time = chrono::NaiveTime::from_hms_opt(next()?, next()?, next()?.min(59))?;
    let micros = fraction.bytes().chain(std::iter::repeat(b'0')).take(6);
    let micros = micros
        .map(|b| char::from(b).to_digit(10))
        .try_fold(0, |all, digit| Some(all * 10 + i64::from(digit?)))?;
    let seconds = date.and_time(time).and_utc().timestamp() - offset;
    seconds.checked_mul(1_000_000)?.checked_add(micros)
}

/// Seconds east of UTC.
fn offset(zone: &str) -> Option<i64> {
    let sign = match zone.chars().next()? {
        'Z' | 'z' => return (zone.len() == 1).then_some(0),
        '-' => -1,
        _ => 1,
    };
    let digits: String = zone.chars().skip(1).filter(|c| *c != ':').collect();
    let number: i64 = digits.parse().ok()?;
    match digits.len() {
        2 => Some(sign * number * 3600),
        4 => Some(sign * (number / 100 * 3600 + number % 100 * 60)),
        _ => None,
    }
}

/// A policy document that still is JSON came without the encoding and stays as it is.
fn percent_decode(text: Cow<'_, str>) -> String {
    if text.trim_start().starts_with('{') || !text.contains('%') {
        return text.into_owned();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let digits = (byte == b'%')
            .then(|| Some((hex(ahead.next()?)?, hex(ahead.next()?)?)))
            .flatten();
        match digits {
            Some((high, low)) => {
                out.push(high << 4 | low);
                bytes = ahead;
            }
            None => out.push(byte),
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.into_owned())
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|d| u8::try_from(d).ok())
}

/// At most 40 letters, for messages.
pub(super) fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_in_every_form() {
        let noon = Some(1_769_860_800_000_000);
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31T12:00:00",
            "2026-01-31 12:00:00.000",
            "2026-01-31T14:00:00.000000+02:00",
            "2026-01-31T14:00:00+0200",
            "Sat, 31 Jan 2026 12:00:00 GMT",
            "1769860800",
            "1769860800.0",
            "1.7698608e9",
        ] {
            assert_eq!(timestamp(text, None), noon, "{text}");
        }
        assert_eq!(
            timestamp("2026-01-31T12:00:00.1234567Z", None),
            noon.map(|n| n + 123_456)
        );
        assert_eq!(timestamp("2026-01-31", None), Some(1_769_817_600_000_000));
        for text in [
            "",
            "soon",
            "2026-13-01T00:00:00Z",
            "2026-01-31T25:00:00Z",
            "1e400",
            "2026-01-31T1x",
        ] {
            assert_eq!(timestamp(text, None), None, "{text}");
        }
    }

    #[test]
    fn policies_are_decoded_once() {
        assert_eq!(
            percent_decode("%7B%22a%22%3A%22%25%22%7D".into()),
            r#"{"a":"%"}"#
        );
        assert_eq!(percent_decode(r#"{"a":"%20"}"#.into()), r#"{"a":"%20"}"#);
        assert_eq!(percent_decode("100%".into()), "100%");
    }
}
