//! Which tables and columns an answer about IAM needs.
use crate::plan::Needs;

/// Tables of users, groups, roles and policies, with the lists that they are in AWS's JSON.
pub(super) const IDENTITY: &[(&str, &str)] = &[
    ("iam_policy", "Policies"),
    ("iam_group", "GroupDetailList"),
    ("iam_user", "UserDetailList"),
    ("iam_role", "RoleDetailList"),
];

const IDENTITY_COLUMNS: &[(&str, &[&str])] = &[
    ("iam_policy", &["arn", "policy_name", "policy_version_list"]),
    (
        "iam_group",
        &[
            "arn",
            "group_name",
            "group_policy_list",
            "attached_managed_policies",
        ],
    ),
    (
        "iam_user",
        &[
            "arn",
            "user_name",
            "user_id",
            "user_policy_list",
            "group_list",
            "attached_managed_policies",
            "permissions_boundary",
            "tags",
        ],
    ),
    (
        "iam_role",
        &[
            "arn",
            "role_name",
            "role_id",
            "assume_role_policy_document",
            "role_policy_list",
            "attached_managed_policies",
            "permissions_boundary",
            "tags",
            "instance_profile_list",
        ],
    ),
];

const GUARDRAIL_COLUMNS: &[(&str, &[&str])] = &[
    ("organizations_organization", &["organization"]),
    ("organizations_account", &["id", "paths"]),
    ("organizations_scp", &["name", "content", "targets"]),
    ("organizations_rcp", &["name", "content", "targets"]),
];

const COMPUTE_COLUMNS: &[(&str, &[&str])] = &[
    ("lambda_function", &["role"]),
    ("ec2_instance", &["iam_instance_profile"]),
];

/// A table whose rows have a resource policy.
pub(super) struct ResourceTable {
    /// Its name.
    pub table: &'static str,
    /// The service in the ARNs of its rows.
    pub service: &'static str,
    /// The column with the policy.
    pub column: &'static str,
    /// The member of the column that is the policy, when the column is a map.
    pub member: Option<&'static str>,
    /// Whether every resource of the service that can have a policy is a row.
    pub is_whole_service: bool,
    /// The resources in words.
    pub what: &'static str,
}

const fn table(
    table: &'static str,
    service: &'static str,
    column: &'static str,
    is_whole_service: bool,
    what: &'static str,
) -> ResourceTable {
    ResourceTable {
        table,
        service,
        column,
        member: None,
        is_whole_service,
        what,
    }
}

const fn attribute(
    table: &'static str,
    service: &'static str,
    is_whole_service: bool,
    what: &'static str,
) -> ResourceTable {
    ResourceTable {
        table,
        service,
        column: "attributes",
        member: Some("Policy"),
        is_whole_service,
        what,
    }
}

pub(super) const RESOURCES: &[ResourceTable] = &[
    table("backup_vault", "backup", "policy", true, "backup vaults"),
    table(
        "codeartifact_domain",
        "codeartifact",
        "policy",
        false,
        "CodeArtifact domains",
    ),
    table(
        "dynamodb_table",
        "dynamodb",
        "policy",
        false,
        "DynamoDB tables",
    ),
    table("ecr_repository", "ecr", "policy", true, "ECR repositories"),
    table(
        "efs_file_system",
        "elasticfilesystem",
        "policy",
        true,
        "EFS file systems",
    ),
    table("glacier_vault", "glacier", "policy", true, "Glacier vaults"),
    table("kms_key", "kms", "policy", true, "KMS keys"),
    table(
        "lambda_function",
        "lambda",
        "policy",
        false,
        "Lambda functions",
    ),
    table("s3_bucket", "s3", "policy", true, "buckets"),
    table(
        "secretsmanager_secret",
        "secretsmanager",
        "policy",
        true,
        "secrets",
    ),
    attribute("sns_topic", "sns", true, "SNS topics"),
    attribute("sqs_queue", "sqs", true, "SQS queues"),
];

/// What is asked, as far as it decides what must be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IamQuestion<'a> {
    /// About requests on resources of one service (as in ARNs; `None` when the resource is not named).
    Request(Option<&'a str>),
    /// About principals and their policies alone.
    Principals,
    /// About everything that has a policy.
    Everything,
    /// About ways from one principal to another.
    Escalation,
}

/// The tables and columns that a question needs.
pub fn iam_needs(question: IamQuestion<'_>) -> Needs {
    let mut needs = Needs::new();
    let mut add = |table: &str, columns: &[&str]| {
        needs
            .entry(table.to_owned())
            .or_default()
            .extend(columns.iter().map(|c| (*c).to_owned()));
    };
    for (table, columns) in IDENTITY_COLUMNS.iter().chain(GUARDRAIL_COLUMNS) {
        add(table, columns);
    }
    if question == IamQuestion::Escalation {
        for (table, columns) in COMPUTE_COLUMNS {
            add(table, columns);
        }
    }
    for resource in RESOURCES {
        let wanted = match question {
            IamQuestion::Everything => true,
            IamQuestion::Request(service) => service == Some(resource.service),
            _ => false,
        };
        if wanted {
            add(resource.table, &[resource.column]);
        }
    }
    needs
}
