//! Questions about policy documents, answered by `palisade-iam`. A document that cannot be read is an error of the
//! row, never an answer.
use super::scalar::{Answer, Function, Row, texts};
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;
use palisade_core::Timestamp;
use palisade_iam as iam;

/// `now` is the time at which conditions of policies are looked at.
pub(crate) fn all(now: Timestamp) -> Vec<ScalarUDF> {
    vec![
        yes_no("policy_is_public", 2, |r| {
            iam::policy_is_public(r.text(0), r.text(1)).map(|p| p.is_public())
        }),
        yes_no("policy_grants_admin", 1, |r| {
            iam::policy_grants_admin(r.text(0))
        }),
        yes_no("policy_allows_everything", 1, |r| {
            iam::policy_allows_everything(r.text(0))
        }),
        yes_no("policy_grants_service_wildcard", 1, |r| {
            iam::policy_grants_service_wildcard(r.text(0))
        }),
        yes_no("policy_requires_tls", 1, |r| {
            iam::policy_requires_tls(r.text(0))
        }),
        yes_no("policy_passes_any_role", 1, |r| {
            iam::policy_passes_any_role(r.text(0))
        }),
        yes_no("policy_allows_action", 3, |r| {
            iam::policy_allows_action(r.text(0), r.text(1), r.text(2))
        }),
        yes_no("policy_allows", 3, |r| {
            iam::policy_allows(r.text(0), r.text(1), r.text(2))
        }),
        yes_no("policy_assumes_any_role", 1, |r| {
            iam::policy_assumes_any_role(r.text(0))
        }),
        yes_no("policy_requires_tls_for", 2, |r| {
            iam::policy_requires_tls_for(r.text(0), r.text(1))
        }),
        names("trust_policy_open_issuers", 1, |r| {
            iam::trust_policy_open_issuers(r.text(0))
        }),
        yes_no("policy_grants_beyond", 2, |r| {
            iam::policy_grants_beyond(r.text(0), r.text(1))
        }),
        yes_no("trust_policy_lacks_external_id", 2, |r| {
            iam::trust_policy_lacks_external_id(r.text(0), r.text(1))
        }),
        yes_no("trust_policy_confused_deputy", 1, |r| {
            iam::trust_policy_confused_deputy(r.text(0))
        }),
        yes_no("trust_policy_allows_service", 2, |r| {
            iam::trust_policy_allows_service(r.text(0), r.text(1))
        }),
        names("policy_actions_matching", 2, |r| {
            iam::policy_actions_matching(r.text(0), r.text(1))
        }),
        names("policy_public_actions", 1, |r| {
            iam::policy_is_public(r.text(0), "").map(|p| p.actions)
        }),
        names("policy_external_accounts", 2, |r| {
            iam::policy_external_accounts(r.text(0), r.text(1))
        }),
        names("policy_service_wildcards", 1, |r| {
            iam::policy_service_wildcards(r.text(0))
        }),
        policy_escalation_ways(now),
    ]
}

/// `policy_escalation_ways(document)`: the ways to more permissions that the policy opens by itself at the time of the scan,
/// in an account that has what they need; their public identifiers with their actions.
fn policy_escalation_ways(now: Timestamp) -> ScalarUDF {
    let now_millis = now.as_micros() / 1000;
    Function::new(
        "policy_escalation_ways",
        vec![DataType::Utf8],
        texts(),
        move |row| {
            let policy = iam::Policy::parse(row.text(0)).map_err(unreadable)?;
            let rules = iam::Rules::embedded().map_err(|e| e.to_string())?;
            let paths = iam::policy_escalation_paths(&[policy], rules, now_millis);
            let ways = rules
                .rules
                .iter()
                .filter(|rule| paths.contains(&rule.path))
                .map(|rule| format!("{} ({})", rule.path, rule.actions.join(" + ")));
            Ok(Answer::Texts(Some(ways.collect())))
        },
    )
    .counting_from(now)
    .remembers()
    .into_udf()
}

fn yes_no(
    name: &'static str,
    arguments: usize,
    body: impl Fn(&Row<'_>) -> Result<bool, iam::PolicyError> + Send + Sync + 'static,
) -> ScalarUDF {
    Function::new(
        name,
        vec![DataType::Utf8; arguments],
        DataType::Boolean,
        move |row| {
            body(row)
                .map(|b| Answer::Boolean(Some(b)))
                .map_err(unreadable)
        },
    )
    .remembers()
    .into_udf()
}

fn names(
    name: &'static str,
    arguments: usize,
    body: impl Fn(&Row<'_>) -> Result<Vec<String>, iam::PolicyError> + Send + Sync + 'static,
) -> ScalarUDF {
    Function::new(name, vec![DataType::Utf8; arguments], texts(), move |row| {
        body(row)
            .map(|b| Answer::Texts(Some(b)))
            .map_err(unreadable)
    })
    .remembers()
    .into_udf()
}

fn unreadable(error: iam::PolicyError) -> String {
    format!("the policy document cannot be read: {error}")
}
