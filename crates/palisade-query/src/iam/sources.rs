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

/// Where in a column the policy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PolicyAt {
    /// The column is its text.
    Column,
    /// The column is a map, and this member is its text.
    Member(&'static str),
    /// The column is a map of which every member is the text of a policy.
    Members,
}

/// A table whose rows have a resource policy.
pub(super) struct ResourceTable {
    /// Its name.
    pub table: &'static str,
    /// The service in the ARNs of the resources that its policies decide about; [`ACCESS_POINTS`] for those.
    pub service: &'static str,
    /// The column with the policy.
    pub column: &'static str,
    /// Where in the column.
    pub at: PolicyAt,
    /// Whether every resource of the service that can have a policy is a row.
    pub is_whole_service: bool,
    /// The resources in words.
    pub what: &'static str,
}

/// Access points are resources of S3 with policies of their own, which no request on a bucket needs.
const ACCESS_POINTS: &str = "s3:accesspoint";

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
        at: PolicyAt::Column,
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
        at: PolicyAt::Member("Policy"),
        is_whole_service,
        what,
    }
}

pub(super) const RESOURCES: &[ResourceTable] = &[
    table(
        "apigateway_rest_api",
        "execute-api",
        "policy",
        true,
        "REST APIs",
    ),
    // Recovery points are under the policy of their vault, which their ARNs do not name.
    table("backup_vault", "backup", "policy", false, "backup vaults"),
    table(
        "codeartifact_domain",
        "codeartifact",
        "policy",
        false,
        "CodeArtifact domains",
    ),
    table(
        "codeartifact_repository",
        "codeartifact",
        "policy",
        false,
        "CodeArtifact repositories",
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
    table("events_bus", "events", "policy", true, "event buses"),
    table("glacier_vault", "glacier", "policy", true, "Glacier vaults"),
    table("glue_catalog", "glue", "policy", true, "Glue catalogues"),
    table("kms_key", "kms", "policy", true, "KMS keys"),
    table(
        "lambda_function",
        "lambda",
        "policy",
        false,
        "Lambda functions",
    ),
    table(
        "opensearch_domain",
        "es",
        "access_policies",
        true,
        "OpenSearch domains",
    ),
    table("s3_bucket", "s3", "policy", true, "buckets"),
    table(
        "s3control_access_point",
        ACCESS_POINTS,
        "policy",
        false,
        "access points",
    ),
    table(
        "secretsmanager_secret",
        "secretsmanager",
        "policy",
        true,
        "secrets",
    ),
    ResourceTable {
        table: "sesv2_identity",
        service: "ses",
        column: "policies",
        at: PolicyAt::Members,
        is_whole_service: false,
        what: "SES identities",
    },
    attribute("sns_topic", "sns", true, "SNS topics"),
    attribute("sqs_queue", "sqs", true, "SQS queues"),
];

/// What is asked, as far as it decides what must be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IamQuestion<'a> {
    /// About requests on one resource, an ARN; `*` when none is named.
    Request(&'a str),
    /// About principals and their policies alone.
    Principals,
    /// About everything that has a policy.
    Everything,
    /// About ways from one principal to another.
    Escalation,
    /// About the guardrails of an organisation alone.
    Guardrails,
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
    for (table, columns) in GUARDRAIL_COLUMNS {
        add(table, columns);
    }
    if question == IamQuestion::Guardrails {
        return needs;
    }
    for (table, columns) in IDENTITY_COLUMNS {
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
            IamQuestion::Request(arn) => policy_service(arn) == Some(resource.service),
            _ => false,
        };
        if wanted {
            add(resource.table, &[resource.column]);
        }
    }
    needs
}

/// The service whose policies decide about requests on a resource.
fn policy_service(arn: &str) -> Option<&str> {
    let mut fields = arn.splitn(6, ':');
    let service = fields.nth(2)?;
    let is_access_point = service == "s3" && fields.nth(2)?.starts_with("accesspoint/");
    Some(if is_access_point {
        ACCESS_POINTS
    } else {
        service
    })
}
