//! Palisade's functions in SQL, one file each. NULL in, NULL out; the same answer in every run.
mod age;
mod cidr;
mod json_text;
mod lint;
mod policy;
mod port;
mod scalar;
mod standard;
mod statements;

pub(crate) use scalar::texts;
pub(crate) use standard::STANDARD;

use datafusion::logical_expr::ScalarUDF;
use palisade_core::Timestamp;

/// Of a function of ours what ages are counted from, the epoch when that does not matter; `None` for others.
pub(crate) fn time_of(function: &ScalarUDF) -> Option<Timestamp> {
    let inner: &dyn std::any::Any = function.inner().as_ref();
    let ours = inner.downcast_ref::<scalar::Function>()?;
    Some(ours.time().unwrap_or(Timestamp::from_micros(0)))
}

/// All of them, as of a time.
pub(crate) fn all(now: Timestamp) -> Vec<ScalarUDF> {
    let mut functions = vec![
        age::age_days(now),
        age::days_until(now),
        cidr::cidr_contains(),
        cidr::cidr_is_public(),
        json_text::json_text(),
        lint::policy_lint(),
        port::port_in_range(),
        statements::policy_statements(),
        statements::wildcard_matches(),
    ];
    functions.extend(policy::all(now));
    functions
}

#[cfg(test)]
mod standard_tests;
#[cfg(test)]
pub(crate) mod tests;
