//! IAM actions of API operations.
use crate::{Catalog, TableSpec};
use std::collections::BTreeSet;

/// IAM prefixes of the models whose prefix is not the model's name (Service Authorization Reference). All but the
/// last two groups' are also the model's signing name, which a test holds against the models.
const PREFIXES: &[(&str, &str)] = &[
    ("accessanalyzer", "access-analyzer"),
    ("apigatewayv2", "apigateway"),
    ("bedrock-agent", "bedrock"),
    ("docdb", "rds"),
    ("efs", "elasticfilesystem"),
    ("elb", "elasticloadbalancing"),
    ("elbv2", "elasticloadbalancing"),
    ("emr", "elasticmapreduce"),
    ("keyspaces", "cassandra"),
    ("kinesisanalyticsv2", "kinesisanalytics"),
    ("lex-models", "lex"),
    ("mwaa", "airflow"),
    ("neptune", "rds"),
    ("opensearch", "es"),
    ("opensearchserverless", "aoss"),
    ("pinpoint", "mobiletargeting"),
    ("resourcegroupstaggingapi", "tag"),
    ("s3control", "s3"),
    ("sesv2", "ses"),
    ("sso-admin", "sso"),
    ("stepfunctions", "states"),
    ("timestream-write", "timestream"),
];

fn prefix(model: &str) -> &str {
    PREFIXES
        .iter()
        .find(|(name, _)| *name == model)
        .map_or(model, |(_, prefix)| prefix)
}

impl Catalog {
    /// What a change file says of a mutating operation.
    pub fn change(&self, service: &str, operation: &str) -> Option<&std::sync::Arc<crate::Change>> {
        self.changes.get(service).and_then(|of| of.get(operation))
    }

    /// Whether a check's fix is one that can be planned, made and taken back: every call is described by a change file.
    pub fn is_machine_fix(&self, check: &crate::Check) -> bool {
        let mut calls = check.fix_calls.iter();
        !check.fix_calls.is_empty()
            && calls.all(|c| {
                let change = self.change(&c.service, &c.operation);
                change.is_some_and(|change| change.retires.is_none())
            })
    }

    /// The IAM actions that an operation needs, for example `s3:ListAllMyBuckets`: those that the service file names,
    /// else `<prefix>:<Operation>`. `service` is a service file's name or, where there is none of that name, an API
    /// model's.
    pub fn permissions(&self, service: &str, operation: &str) -> Vec<String> {
        let of_change = self.change_actions.get(service);
        if let Some(actions) = of_change.and_then(|o| o.get(operation)) {
            return actions.clone();
        }
        let of_model = || self.services.values().filter(|s| s.model == service);
        let named = self.services.get(service);
        let mut candidates = named.into_iter().chain(of_model());
        if let Some(actions) = candidates.find_map(|s| s.permissions.get(operation)) {
            return actions.clone();
        }
        let file = named.or_else(|| of_model().next());
        let prefix = match file {
            Some(file) => file.iam.as_deref().unwrap_or_else(|| prefix(&file.model)),
            None => prefix(service),
        };
        vec![format!("{prefix}:{operation}")]
    }

    /// The IAM actions that all columns of a table need, sorted.
    pub fn table_permissions(&self, table: &TableSpec) -> Vec<String> {
        let operations = (0..=table.calls.len()).filter_map(|source| table.call_of(source));
        let actions: BTreeSet<String> = operations
            .flat_map(|operation| self.permissions(&table.service, operation))
            .collect();
        actions.into_iter().collect()
    }
}

impl TableSpec {
    /// The operation behind a column's source: 0 is the list call, the others are the table's further calls, from 1.
    pub fn call_of(&self, source: usize) -> Option<&str> {
        match source.checked_sub(1) {
            None => self.list.as_ref().map(|l| l.call.as_str()),
            Some(index) => self.calls.get(index).map(|c| c.call.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Scope, Service};
    use palisade_model::Models;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    /// IAM prefixes that are not the signing name (Service Authorization Reference: "Amazon CloudWatch",
    /// "Amazon Resource Group Tagging API").
    const UNLIKE_SIGNING_NAME: &[(&str, &str)] = &[
        ("cloudwatch", "cloudwatch"),
        ("resourcegroupstaggingapi", "tag"),
    ];

    #[test]
    fn the_default_is_the_signing_name_of_every_shipped_model() {
        let models = Models::embedded();
        assert!(!models.names().is_empty());
        for name in models.names() {
            let model = models.get(name).unwrap();
            let exception = UNLIKE_SIGNING_NAME.iter().find(|(m, _)| *m == name);
            let expected = exception.map_or(model.signing_name.as_str(), |(_, p)| p);
            assert_eq!(prefix(name), expected, "{name}");
        }
        assert!(PREFIXES.is_sorted());
    }

    #[test]
    fn overrides_then_prefix() {
        let mut catalog = Catalog::default();
        let service = |name: &str, model: &str, iam: Option<&str>| {
            Arc::new(Service {
                name: name.into(),
                file: String::new(),
                title: String::new(),
                model: model.into(),
                iam: iam.map(str::to_owned),
                scope: Scope::Regional,
                permissions: BTreeMap::from([("A".to_owned(), vec!["x:B".to_owned()])]),
                tables: Vec::new(),
            })
        };
        catalog.services.insert(
            "tagging".into(),
            service("tagging", "resourcegroupstaggingapi", None),
        );
        catalog
            .services
            .insert("own".into(), service("own", "ec2", Some("mine")));
        assert_eq!(catalog.permissions("tagging", "A"), ["x:B"]);
        assert_eq!(
            catalog.permissions("tagging", "GetResources"),
            ["tag:GetResources"]
        );
        assert_eq!(
            catalog.permissions("resourcegroupstaggingapi", "A"),
            ["x:B"]
        );
        assert_eq!(catalog.permissions("own", "C"), ["mine:C"]);
        assert_eq!(catalog.permissions("ec2", "C"), ["mine:C"]);
        assert_eq!(
            catalog.permissions("efs", "DescribeFileSystems"),
            ["elasticfilesystem:DescribeFileSystems"]
        );
    }
}
