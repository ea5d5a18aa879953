//! `age_days(timestamp)` and `days_until(timestamp)`: whole days before and after the scan.
use super::scalar::{Answer, Function, timestamp};
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;
use palisade_core::Timestamp;

const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// Whole days that have passed, rounded down: -1 for a time later today.
pub(crate) fn age_days(now: Timestamp) -> ScalarUDF {
    days("age_days", now, move |t| now.as_micros().saturating_sub(t))
}

/// Whole days that are left, rounded down: -1 when the time has passed.
pub(crate) fn days_until(now: Timestamp) -> ScalarUDF {
    days("days_until", now, move |t| {
        t.saturating_sub(now.as_micros())
    })
}

fn days(
    name: &'static str,
    now: Timestamp,
    difference: impl Fn(i64) -> i64 + Send + Sync + 'static,
) -> ScalarUDF {
    Function::new(name, vec![timestamp()], DataType::Int64, move |row| {
        Ok(Answer::Integer(Some(
            difference(row.integer(0)).div_euclid(DAY),
        )))
    })
    .counting_from(now)
    .into_udf()
}
