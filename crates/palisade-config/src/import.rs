//! Thresholds of another scanner's configuration file, as parameters of ours. Its keys are an interface that users have
//! files for: `catalog` says whether the parameter of ours that a key maps to exists.
use palisade_catalog::{Catalog, ParameterValue};
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt::Write;

/// What became of one key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// The key.
    pub key: String,
    /// Why it was not taken over, or was with a difference.
    pub message: String,
}

/// What was taken over.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Imported {
    /// Check → parameter → value.
    pub params: BTreeMap<String, BTreeMap<String, ParameterValue>>,
    /// Check → key that it comes from, by check and parameter.
    from: BTreeMap<(String, String), String>,
    /// Keys that have no equivalent, in the order of the file.
    pub left: Vec<Note>,
}

/// How a value has to change.
#[derive(Debug, Clone, Copy)]
enum As {
    /// Not at all.
    Same,
    /// A list of accounts that are trusted besides the account itself. Ours begins with a placeholder that no account
    /// has, because a list is never empty.
    Accounts,
}

/// Their key, our checks that have the parameter, its name.
const KEYS: &[(&str, &[&str], &str, As)] = &[
    (
        "max_unused_access_keys_days",
        &["iam-access-key-used"],
        "days",
        As::Same,
    ),
    (
        "max_console_access_days",
        &["iam-user-console-used"],
        "days",
        As::Same,
    ),
    (
        "log_group_retention_days",
        &["logs-group-retention"],
        "days",
        As::Same,
    ),
    (
        "max_security_group_rules",
        &["ec2-security-group-few-rules"],
        "rules",
        As::Same,
    ),
    (
        "max_ec2_instance_age_in_days",
        &["ec2-instance-age"],
        "days",
        As::Same,
    ),
    (
        "max_ec2_instance_stopped_days",
        &["ec2-instance-stopped-removed"],
        "days",
        As::Same,
    ),
    (
        "ec2_high_risk_ports",
        &["ec2-security-group-sensitive-ports-restricted"],
        "ports",
        As::Same,
    ),
    (
        "ec2_sg_high_risk_ports",
        &["ec2-security-group-sensitive-ports-restricted"],
        "ports",
        As::Same,
    ),
    (
        "ec2_allowed_instance_owners",
        &["ec2-instance-image-trusted"],
        "trusted_owners",
        As::Same,
    ),
    (
        "days_to_expire_threshold",
        &["acm-certificate-not-expiring"],
        "days",
        As::Same,
    ),
    (
        "insecure_key_algorithms",
        &["acm-certificate-strong-key"],
        "weak",
        As::Same,
    ),
    (
        "obsolete_lambda_runtimes",
        &["lambda-function-runtime-supported"],
        "unsupported",
        As::Same,
    ),
    (
        "eks_cluster_oldest_version_supported",
        &["eks-cluster-version-supported"],
        "oldest",
        As::Same,
    ),
    (
        "eks_required_log_types",
        &["eks-cluster-logging"],
        "types",
        As::Same,
    ),
    (
        "max_days_secret_unused",
        &["secretsmanager-secret-used"],
        "days",
        As::Same,
    ),
    (
        "max_days_secret_unrotated",
        &["secretsmanager-secret-fresh"],
        "days",
        As::Same,
    ),
    (
        "max_idle_disconnect_timeout_in_seconds",
        &["appstream-fleet-idle-timeout"],
        "seconds",
        As::Same,
    ),
    (
        "max_disconnect_timeout_in_seconds",
        &["appstream-fleet-disconnect-timeout"],
        "seconds",
        As::Same,
    ),
    (
        "max_session_duration_seconds",
        &["appstream-fleet-session-duration"],
        "seconds",
        As::Same,
    ),
    (
        "minimum_snapshot_retention_period",
        &["elasticache-replication-group-backups"],
        "days",
        As::Same,
    ),
    (
        "min_kinesis_stream_retention_hours",
        &["kinesis-stream-retention"],
        "hours",
        As::Same,
    ),
    (
        "elbv2_listener_pqc_tls_allowed_policies",
        &["elbv2-load-balancer-post-quantum-tls"],
        "policies",
        As::Same,
    ),
    (
        "organizations_trusted_delegated_administrators",
        &["organizations-delegated-admins-trusted"],
        "trusted",
        As::Accounts,
    ),
    (
        "trusted_account_ids",
        &[
            "dynamodb-table-policy-trusted-accounts",
            "ec2-vpc-endpoint-policy-restricted",
            "ec2-vpc-endpoint-service-principals-trusted",
            "events-bus-trusted-accounts",
            "iam-role-trusted-accounts",
            "kms-key-trusted-accounts",
            "s3-bucket-policy-trusted-accounts",
        ],
        "trusted",
        As::Accounts,
    ),
];

/// No account has this id.
const NOBODY: &str = "000000000000";

/// Takes over what has an equivalent. The text is YAML (so JSON as well): keys at the top, or under `aws`.
///
/// # Errors
/// When the text is not YAML or holds no keys: one sentence, with line and column where the parser knows them.
pub fn import(catalog: &Catalog, text: &str) -> Result<Imported, String> {
    let documents = Yaml::load_from_str(text).map_err(|e| format!("not YAML: {e}"))?;
    let top = match documents.first() {
        Some(Yaml::Mapping(top)) => top,
        None => return Err("the file is empty".to_owned()),
        Some(_) => return Err("the file has no keys at its top".to_owned()),
    };
    let mut entries: Vec<(String, &Yaml<'_>)> = Vec::new();
    for (key, value) in top {
        let Some(name) = key.as_str() else {
            return Err("a key at the top of the file is not a text".to_owned());
        };
        match (name, value) {
            ("aws", Yaml::Mapping(inner)) => {
                for (key, value) in inner {
                    let Some(name) = key.as_str() else {
                        return Err("a key under `aws` is not a text".to_owned());
                    };
                    entries.push((name.to_owned(), value));
                }
            }
            (name, Yaml::Mapping(_)) => entries.push((format!("{name}.*"), value)),
            (name, value) => entries.push((name.to_owned(), value)),
        }
    }
    let mut imported = Imported::default();
    for (key, value) in entries {
        if let Err(message) = imported.take(catalog, &key, value) {
            imported.left.push(Note { key, message });
        }
    }
    Ok(imported)
}

impl Imported {
    fn take(&mut self, catalog: &Catalog, key: &str, value: &Yaml<'_>) -> Result<(), String> {
        let Some((_, checks, name, change)) = KEYS.iter().find(|(k, ..)| *k == key) else {
            return Err(if key.ends_with(".*") {
                "a section for another provider, or one that Palisade does not know".to_owned()
            } else {
                "Palisade has no parameter for it".to_owned()
            });
        };
        if matches!(value, Yaml::Value(Scalar::Null)) {
            return Err("it has no value".to_owned());
        }
        let mut json = json_of(value).ok_or("its value is not a number, a text or a list")?;
        if let (As::Accounts, Json::Array(items)) = (change, &mut json) {
            // account ids are often written as numbers: twelve digits, with the zeros that YAML drops
            for item in items.iter_mut() {
                if let Some(number) = item.as_u64() {
                    *item = Json::from(format!("{number:012}"));
                }
            }
            if items.is_empty() {
                items.push(Json::from(NOBODY));
            }
        }
        let mut taken = false;
        for id in *checks {
            let known = catalog.checks.get(*id).and_then(|c| c.params.get(*name));
            let Some(parameter) = known else {
                continue;
            };
            let fitting = match (&parameter.default, &json) {
                // `1.28` is a number to YAML and a version to its reader
                (ParameterValue::Text(_), Json::Number(n)) => {
                    Some(ParameterValue::Text(n.to_string()))
                }
                (default, json) => default.fitting(json),
            };
            let value = fitting
                .ok_or_else(|| format!("`{id}` takes {} for `{name}`", parameter.default.kind()))?;
            let of_check = self.params.entry((*id).to_owned()).or_default();
            of_check.insert((*name).to_owned(), value);
            self.from
                .insert(((*id).to_owned(), (*name).to_owned()), key.to_owned());
            taken = true;
        }
        if taken {
            Ok(())
        } else {
            Err("the catalogue has no check with this parameter".to_owned())
        }
    }

    /// As `palisade.toml`.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        for (check, values) in &self.params {
            if !out.is_empty() {
                out.push('\n');
            }
            // writing to a string cannot fail
            let _ = writeln!(out, "[params.{}]", Json::from(check.as_str()));
            for (name, value) in values {
                let from = self.from.get(&(check.clone(), name.clone()));
                let from = from.map(String::as_str).unwrap_or_default();
                let _ = writeln!(out, "{name} = {value} # {from}");
            }
        }
        out
    }
}

fn json_of(value: &Yaml<'_>) -> Option<Json> {
    match value {
        Yaml::Value(Scalar::Boolean(b)) => Some(Json::from(*b)),
        Yaml::Value(Scalar::Integer(n)) => Some(Json::from(*n)),
        Yaml::Value(Scalar::FloatingPoint(n)) => {
            serde_json::Number::from_f64(n.into_inner()).map(Json::Number)
        }
        Yaml::Value(Scalar::String(text)) => Some(Json::from(text.as_ref())),
        Yaml::Sequence(items) => items.iter().map(json_of).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use palisade_catalog::{Source, load};
    use proptest::prelude::*;

    fn catalog() -> Catalog {
        load(&[Source::embedded()]).catalog
    }

    #[test]
    fn every_key_has_a_parameter_in_the_catalogue() {
        let catalog = catalog();
        for (key, checks, name, _) in KEYS {
            for id in *checks {
                let check = catalog.checks.get(*id);
                let known = check.is_some_and(|c| c.params.contains_key(*name));
                assert!(known, "`{key}`: `{id}` has no `{name}`");
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in "\\PC{0,60}") {
            let _ = import(&Catalog::default(), &text);
        }
    }
}
