//! Which tables and columns an answer about IAM needs.
use crate::plan::Needs;

/// Tables of users, groups, roles and policies, with the lists that they are in AWS's JSON.
pub(super) const IDENTITY: &[(&str, &str)] = &[
    ("iam_policy", "Policies"),
    ("iam_group", "GroupDetailList"),
    ("iam_user", "UserDetailList"),
    ("iam_role", "RoleDetailList"),
];

/// Whether a table lists users, groups, roles or policies: without it there are no accounts to ask about.
pub fn is_identity(table: &str) -> bool {
    IDENTITY.iter().any(|(name, _)| *name == table)
}

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
    /// The column with the ARN of the resource that has the policy.
    pub arn: &'static str,
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

/// Policies that are asked for only when everything is: no request names these resources.
const NO_REQUEST: &str = "";

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
        arn: "arn",
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
        arn: "arn",
        column: "attributes",
        at: PolicyAt::Member("Policy"),
        is_whole_service,
        what,
    }
}

pub(super) const RESOURCES: &[ResourceTable] = &[
    table(
        "acm_pca_authority",
        "acm-pca",
        "policy",
        true,
        "certificate authorities",
    ),
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
        "cloudtrail_event_data_store",
        "cloudtrail",
        "policy",
        false,
        "event data stores",
    ),
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
        "codebuild_project",
        "codebuild",
        "policy",
        false,
        "build projects",
    ),
    table(
        "codebuild_report_group",
        "codebuild",
        "policy",
        false,
        "report groups",
    ),
    table(
        "dynamodb_table",
        "dynamodb",
        "policy",
        false,
        "DynamoDB tables",
    ),
    ResourceTable {
        table: "dynamodb_table",
        service: "dynamodb",
        arn: "latest_stream_arn",
        column: "stream_policy",
        at: PolicyAt::Column,
        is_whole_service: false,
        what: "DynamoDB streams",
    },
    table(
        "ecr_registry",
        NO_REQUEST,
        "policy",
        false,
        "ECR registries",
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
    table("kafka_cluster", "kafka", "policy", true, "MSK clusters"),
    // Consumers have policies of their own.
    table(
        "kinesis_stream",
        "kinesis",
        "policy",
        false,
        "Kinesis streams",
    ),
    table("kms_key", "kms", "policy", true, "KMS keys"),
    table(
        "lambda_function",
        "lambda",
        "policy",
        false,
        "Lambda functions",
    ),
    table(
        "lambda_layer_version",
        "lambda",
        "policy",
        false,
        "Lambda layers",
    ),
    table(
        "logs_destination",
        NO_REQUEST,
        "access_policy",
        false,
        "destinations of logs",
    ),
    table(
        "logs_resource_policy",
        NO_REQUEST,
        "policy_document",
        false,
        "log groups",
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
        "s3control_multi_region_access_point",
        ACCESS_POINTS,
        "policy",
        false,
        "multi-Region access points",
    ),
    table(
        "schemas_registry",
        "schemas",
        "policy",
        true,
        "schema registries",
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
        arn: "arn",
        column: "policies",
        at: PolicyAt::Members,
        is_whole_service: false,
        what: "SES identities",
    },
    attribute("sns_topic", "sns", true, "SNS topics"),
    attribute("sqs_queue", "sqs", true, "SQS queues"),
    table(
        "vpclattice_service",
        "vpc-lattice",
        "policy",
        false,
        "VPC Lattice services",
    ),
    table(
        "vpclattice_service_network",
        "vpc-lattice",
        "policy",
        false,
        "VPC Lattice service networks",
    ),
];

/// What decides on S3 besides policies.
const S3_COLUMNS: &[(&str, &[&str])] = &[
    ("s3_bucket", &["public_access_block"]),
    ("s3control_account", &["public_access_block"]),
];

/// The same for access points, and the buckets behind them.
const ACCESS_POINT_COLUMNS: &[(&str, &[&str])] = &[
    ("s3_bucket", &["policy"]),
    (
        "s3control_access_point",
        &[
            "bucket",
            "bucket_account_id",
            "network_origin",
            "vpc_configuration",
            "public_access_block",
        ],
    ),
    (
        "s3control_multi_region_access_point",
        &["regions", "public_access_block"],
    ),
];

const KMS_COLUMNS: &[(&str, &[&str])] = &[("kms_key", &["grants"])];

/// What is asked, as far as it decides what must be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IamQuestion<'a> {
    /// About requests on one resource, an ARN; `*` when none is named.
    Request(&'a str),
    /// About principals and their policies alone.
    Principals,
    /// About everything that has a policy.
    Everything,
    /// About everything that somebody outside can be let in to, with or without a policy.
    External,
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
    let mut add_all =
        |of: &[(&str, &[&str])]| of.iter().for_each(|(table, columns)| add(table, columns));
    add_all(GUARDRAIL_COLUMNS);
    if question == IamQuestion::Guardrails {
        return needs;
    }
    add_all(IDENTITY_COLUMNS);
    if question == IamQuestion::Escalation {
        add_all(COMPUTE_COLUMNS);
    }
    let everything = matches!(question, IamQuestion::Everything | IamQuestion::External);
    let is_asked = |service: &str| match question {
        IamQuestion::Request(arn) => policy_service(arn) == Some(service),
        _ => everything,
    };
    if is_asked("s3") || is_asked(ACCESS_POINTS) {
        add_all(S3_COLUMNS);
    }
    if is_asked(ACCESS_POINTS) {
        add_all(ACCESS_POINT_COLUMNS);
    }
    if is_asked("kms") {
        add_all(KMS_COLUMNS);
    }
    if question == IamQuestion::External {
        add_all(super::shares::COLUMNS);
        for share in super::shares::TABLES {
            add_all(&[(share.table, share.columns)]);
        }
    }
    for resource in RESOURCES {
        if is_asked(resource.service) {
            add_all(&[(resource.table, &[resource.arn, resource.column])]);
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
