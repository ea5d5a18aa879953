//! AWS Security Finding Format (schema version 2018-10-08), as `securityhub:BatchImportFindings` takes it: one
//! array, one finding a line. (The call itself takes at most 100 findings at once.)
//!
//! Lengths are those of AWS's documentation ("AWS Security Finding Format", required top-level attributes).
use crate::shared::{Checks, each_in_array, fix_word, partition, shorten, uid};
use palisade_core::{Assessment, Finding, Findings, Severity, Status, Timestamp};
use serde::Serialize;
use serde::ser::SerializeMap;
use std::io::Write;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'a> {
    schema_version: &'static str,
    id: String,
    product_arn: String,
    generator_id: &'a str,
    aws_account_id: &'a str,
    types: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    first_observed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_observed_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
    severity: SeverityOf,
    title: Text<'a>,
    description: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remediation: Option<Remediation<'a>>,
    product_fields: Fields<'a>,
    resources: [Resource<'a>; 1],
    compliance: Compliance<'a>,
    workflow: Workflow,
    record_state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<Note<'a>>,
}
type Text<'a> = std::borrow::Cow<'a, str>;
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SeverityOf {
    label: &'static str,
    original: &'static str,
}
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Remediation<'a> {
    recommendation: Recommendation<'a>,
}
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Recommendation<'a> {
    text: Text<'a>,
}
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Resource<'a> {
    #[serde(rename = "Type")]
    kind: &'static str,
    id: Text<'a>,
    partition: &'static str,
    region: &'a str,
}
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Compliance<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    related_requirements: &'a [String],
}
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Workflow {
    status: &'static str,
}
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Note<'a> {
    text: Text<'a>,
    updated_by: Text<'a>,
    updated_at: Timestamp,
}

/// What the format has no field for, by our names; keys and values are strings there.
struct Fields<'a>(&'a Finding, &'a str);
impl Serialize for Fields<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(finding, version) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("ProviderName", "Palisade")?;
        map.serialize_entry("ProviderVersion", version)?;
        map.serialize_entry("palisade/check", &finding.check)?;
        map.serialize_entry("palisade/status", &finding.status)?;
        map.serialize_entry("palisade/resource_type", &finding.resource_type)?;
        map.serialize_entry("palisade/fix", fix_word(finding.fix))?;
        // the workflow is the hub's; this says what we said of it
        if finding.muted.is_some() {
            map.serialize_entry("palisade/muted", "true")?;
        }
        if !finding.evidence.is_empty() {
            let text =
                serde_json::to_string(&finding.evidence).map_err(serde::ser::Error::custom)?;
            // longest value that the service keeps (AWS: ProductFields, 2,048 characters)
            map.serialize_entry("palisade/evidence", &shorten(&text, 2048))?;
        }
        if !finding.missing_permissions.is_empty() {
            let text = finding.missing_permissions.join(", ");
            map.serialize_entry("palisade/missing_permissions", &shorten(&text, 2048))?;
        }
        map.end()
    }
}

/// What the identifiers of all our findings begin with.
pub const ID_PREFIX: &str = "palisade/";

/// The top-level fields that records have.
pub const FIELDS: &[&str] = &[
    "SchemaVersion",
    "Id",
    "ProductArn",
    "GeneratorId",
    "AwsAccountId",
    "Types",
    "FirstObservedAt",
    "LastObservedAt",
    "CreatedAt",
    "UpdatedAt",
    "Severity",
    "Title",
    "Description",
    "Remediation",
    "ProductFields",
    "Resources",
    "Compliance",
    "Workflow",
    "RecordState",
    "Note",
];

/// The default product of an account, which `BatchImportFindings` accepts without a subscription.
pub fn product_arn(region: &str, account: &str) -> String {
    let partition = partition(region);
    format!("arn:{partition}:securityhub:{region}:{account}:product/{account}/default")
}

/// The records of some findings of an assessment, in their order.
pub fn records<'a>(
    assessment: &'a Assessment,
    findings: impl Iterator<Item = &'a Finding>,
) -> impl Iterator<Item = (&'a Finding, serde_json::Value)> {
    let checks = Checks::of(assessment);
    findings.filter_map(move |finding| {
        // texts and maps of texts: it cannot fail
        let record = serde_json::to_value(document(finding, &checks, assessment)).ok()?;
        Some((finding, record))
    })
}

/// Writes every finding.
///
/// # Errors
/// When the writer fails.
pub fn write(assessment: &Assessment, out: &mut dyn Write) -> std::io::Result<()> {
    write_from(assessment, &assessment.findings, out)
}

/// The same with findings that are elsewhere: those of the assessment are not looked at.
///
/// # Errors
/// When the writer fails, or the findings cannot be read.
pub fn write_from(
    assessment: &Assessment,
    findings: &dyn Findings,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let checks = Checks::of(assessment);
    each_in_array(out, findings, &mut |finding, out| {
        crate::json_text::compact(out, &document(finding, &checks, assessment))
    })?;
    writeln!(out)
}

fn document<'a>(
    finding: &'a Finding,
    checks: &Checks<'a>,
    assessment: &'a Assessment,
) -> Document<'a> {
    let (account, region) = (&*finding.account_id, &*finding.region);
    let partition = partition(region);
    let resource = if finding.resource.is_empty() {
        format!("AWS::::Account:{account}").into()
    } else {
        shorten(&finding.resource, 512)
    };
    let at = assessment.started_at;
    Document {
        schema_version: "2018-10-08",
        id: format!(
            "{ID_PREFIX}{}/{account}/{region}/{}",
            shorten(&finding.check, 200),
            uid(finding)
        ),
        product_arn: product_arn(region, account),
        generator_id: &finding.check,
        aws_account_id: account,
        types: ["Software and Configuration Checks/AWS Security Best Practices"],
        first_observed_at: finding.history.as_deref().map(|h| h.first_seen),
        last_observed_at: finding.history.as_deref().map(|h| h.last_seen),
        created_at: at,
        updated_at: at,
        severity: SeverityOf {
            label: label(finding),
            original: finding.severity.as_str(),
        },
        title: shorten(checks.title(&finding.check), 256),
        description: if finding.message.trim().is_empty() {
            shorten(checks.title(&finding.check), 1024)
        } else {
            shorten(&finding.message, 1024)
        },
        remediation: checks
            .get(&finding.check)
            .filter(|c| !c.fix.trim().is_empty())
            .map(|c| Remediation {
                recommendation: Recommendation {
                    text: shorten(&c.fix, 512),
                },
            }),
        product_fields: Fields(finding, &assessment.version),
        resources: [Resource {
            kind: if finding.resource.is_empty() {
                "AwsAccount"
            } else {
                resource_type(&finding.resource_type)
            },
            id: resource,
            partition,
            region,
        }],
        compliance: Compliance {
            status: match finding.status {
                Status::Pass => "PASSED",
                Status::Fail => "FAILED",
                Status::Manual => "WARNING",
                Status::Unknown | Status::NotApplicable => "NOT_AVAILABLE",
            },
            // at most 32 (AWS: Compliance.RelatedRequirements)
            related_requirements: finding
                .requirements
                .get(..32)
                .unwrap_or(&finding.requirements),
        },
        workflow: Workflow {
            status: match (finding.status, finding.muted.is_some()) {
                (_, true) => "SUPPRESSED",
                (Status::Pass, _) => "RESOLVED",
                _ => "NEW",
            },
        },
        record_state: "ACTIVE",
        note: finding.muted.as_deref().map(|m| Note {
            text: if m.reason.trim().is_empty() {
                "muted".into()
            } else {
                shorten(&m.reason, 512)
            },
            updated_by: if m.owner.trim().is_empty() {
                "palisade".into()
            } else {
                shorten(&m.owner, 512)
            },
            updated_at: at,
        }),
    }
}

/// What passed is no risk: Security Hub's own controls have INFORMATIONAL there too.
const fn label(finding: &Finding) -> &'static str {
    if matches!(finding.status, Status::Pass | Status::NotApplicable) {
        return "INFORMATIONAL";
    }
    match finding.severity {
        Severity::Informational => "INFORMATIONAL",
        Severity::Low => "LOW",
        Severity::Medium => "MEDIUM",
        Severity::High => "HIGH",
        Severity::Critical => "CRITICAL",
    }
}

/// Table → Security Hub's name of the resource type; what it has no name for is `Other`.
pub const RESOURCE_TYPES: &[(&str, &str)] = &[
    ("acm_certificate", "AwsCertificateManagerCertificate"),
    ("apigateway_rest_api", "AwsApiGatewayRestApi"),
    ("apigateway_rest_stage", "AwsApiGatewayStage"),
    ("apigatewayv2_api", "AwsApiGatewayV2Api"),
    ("apigatewayv2_stage", "AwsApiGatewayV2Stage"),
    ("athena_workgroup", "AwsAthenaWorkGroup"),
    ("autoscaling_group", "AwsAutoScalingAutoScalingGroup"),
    ("backup_recovery_point", "AwsBackupRecoveryPoint"),
    ("backup_vault", "AwsBackupBackupVault"),
    ("cloudformation_stack", "AwsCloudFormationStack"),
    ("cloudfront_distribution", "AwsCloudFrontDistribution"),
    ("cloudtrail_trail", "AwsCloudTrailTrail"),
    ("cloudwatch_alarm", "AwsCloudWatchAlarm"),
    ("dynamodb_table", "AwsDynamoDbTable"),
    ("ec2_address", "AwsEc2Eip"),
    ("ec2_instance", "AwsEc2Instance"),
    ("ec2_launch_template", "AwsEc2LaunchTemplate"),
    ("ec2_network_acl", "AwsEc2NetworkAcl"),
    ("ec2_network_interface", "AwsEc2NetworkInterface"),
    ("ec2_security_group", "AwsEc2SecurityGroup"),
    ("ec2_subnet", "AwsEc2Subnet"),
    ("ec2_volume", "AwsEc2Volume"),
    ("ec2_vpc", "AwsEc2Vpc"),
    ("ec2_vpc_peering_connection", "AwsEc2VpcPeeringConnection"),
    ("ecr_repository", "AwsEcrRepository"),
    ("ecs_cluster", "AwsEcsCluster"),
    ("ecs_service", "AwsEcsService"),
    ("ecs_task_definition", "AwsEcsTaskDefinition"),
    ("eks_cluster", "AwsEksCluster"),
    ("elb_load_balancer", "AwsElbLoadBalancer"),
    ("elbv2_load_balancer", "AwsElbv2LoadBalancer"),
    ("events_bus", "AwsEventsEventbus"),
    ("guardduty_detector", "AwsGuardDutyDetector"),
    ("iam_access_key", "AwsIamAccessKey"),
    ("iam_group", "AwsIamGroup"),
    ("iam_policy", "AwsIamPolicy"),
    ("iam_role", "AwsIamRole"),
    ("iam_user", "AwsIamUser"),
    ("kinesis_stream", "AwsKinesisStream"),
    ("kms_key", "AwsKmsKey"),
    ("lambda_function", "AwsLambdaFunction"),
    ("opensearch_domain", "AwsOpenSearchServiceDomain"),
    ("rds_db_cluster", "AwsRdsDbCluster"),
    ("rds_db_cluster_snapshot", "AwsRdsDbClusterSnapshot"),
    ("rds_db_instance", "AwsRdsDbInstance"),
    ("rds_db_snapshot", "AwsRdsDbSnapshot"),
    ("rds_event_subscription", "AwsRdsEventSubscription"),
    ("redshift_cluster", "AwsRedshiftCluster"),
    ("route53_hosted_zone", "AwsRoute53HostedZone"),
    ("s3_bucket", "AwsS3Bucket"),
    ("secretsmanager_secret", "AwsSecretsManagerSecret"),
    ("sns_topic", "AwsSnsTopic"),
    ("sqs_queue", "AwsSqsQueue"),
    ("stepfunctions_state_machine", "AwsStepFunctionStateMachine"),
    ("wafv2_web_acl", "AwsWafv2WebAcl"),
];

fn resource_type(table: &str) -> &'static str {
    RESOURCE_TYPES
        .iter()
        .find(|(t, _)| *t == table)
        .map_or("Other", |(_, name)| name)
}
