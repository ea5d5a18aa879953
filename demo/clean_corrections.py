"""Answers in place of moto's while the well-kept account is recorded, as in `corrections.py`: everything is on."""

import json

from corrections import ACCOUNT, DEFAULT_REGIONS, HOME, OPT_IN_REGIONS, Corrections, Rule, fail, nothing
from moto.backends import get_backend

MANAGEMENT = "210987654321"
STANDARDS = ("aws-foundational-security-best-practices/v/1.0.0", "cis-aws-foundations-benchmark/v/3.0.0")


def corrections():
    return Corrections(rules(), closed=None)


def standards(request):
    return {"StandardsSubscriptions": [
        {"StandardsSubscriptionArn": f"arn:aws:securityhub:{request.region}:{ACCOUNT}:subscription/{name}", "StandardsArn": f"arn:aws:securityhub:{request.region}::standards/{name}",
         "StandardsInput": {}, "StandardsStatus": "READY"} for name in STANDARDS]}


def analyzers(request):
    return {"analyzers": [
        {"arn": f"arn:aws:access-analyzer:{request.region}:{ACCOUNT}:analyzer/{name}", "name": name, "type": kind, "status": "ACTIVE", "createdAt": "2025-12-20T09:00:00Z", "tags": {}, **extra}
        for name, kind, extra in (("external", "ORGANIZATION", {}), ("unused", "ORGANIZATION_UNUSED_ACCESS", {"configuration": {"unusedAccess": {"unusedAccessAge": 90}}}))]}


def organization(_):
    made = get_backend("organizations")[ACCOUNT]["aws"].org.describe()["Organization"]
    own = {"MasterAccountId": MANAGEMENT, "MasterAccountEmail": "aws@lighthouse.example", "MasterAccountArn": made["MasterAccountArn"].replace(ACCOUNT, MANAGEMENT)}
    return {"Organization": made | own}


def work_group(request):
    settings = {"EnforceWorkGroupConfiguration": True, "PublishCloudWatchMetricsEnabled": True, "ResultConfiguration": {
        "OutputLocation": "s3://lighthouse-orders/athena/", "EncryptionConfiguration": {"EncryptionOption": "SSE_S3"}}}
    return {"WorkGroup": {"Name": request.params["WorkGroup"], "State": "ENABLED", "Configuration": settings, "CreationTime": 1766221200.0}}


def contact(request):
    kind = request.params["AlternateContactType"]
    return {"AlternateContact": {"AlternateContactType": kind, "EmailAddress": f"{kind.lower()}@lighthouse.example", "Name": f"{kind.title()} desk", "PhoneNumber": "+1 555 0111", "Title": kind.title()}}


def service_setting(request):
    value = {"/ssm/documents/console/public-sharing-permission": "Disable",
             "/ssm/managed-instance/default-ec2-instance-management-role": "AWSSystemsManagerDefaultEC2InstanceManagementRole",
             "/ssm/automation/customer-script-log-destination": "CloudWatch"}
    setting = request.params["SettingId"]
    return {"ServiceSetting": {"SettingId": setting, "SettingValue": value.get(setting, "$None"), "Status": "Customized", "LastModifiedUser": "System",
                               "ARN": f"arn:aws:ssm:{request.region}:{ACCOUNT}:servicesetting{setting}"}}


def delivered(_):
    return {"DeliveryChannelsStatus": [{"name": "default", "configSnapshotDeliveryInfo": {}, "configStreamDeliveryInfo": {"lastStatus": "NOT_APPLICABLE"},
                                        "configHistoryDeliveryInfo": {"lastStatus": "SUCCESS", "lastAttemptTime": 1768467600, "lastSuccessfulTime": 1768467600}}]}


def selections(request):
    return {"BackupSelectionsList": [{"SelectionId": "5c1f1a52-0001-4000-8000-000000000002", "SelectionName": "all", "BackupPlanId": request.params["backupPlanId"], "CreationDate": 1766221200,
                                      "IamRoleArn": f"arn:aws:iam::{ACCOUNT}:role/backup"}]}


def recovery_points(request):
    vault = request.params["backupVaultName"]
    return {"RecoveryPoints": [{
        "RecoveryPointArn": f"arn:aws:backup:{request.region}:{ACCOUNT}:recovery-point:00000001-0000-4000-8000-000000000000", "BackupVaultName": vault,
        "BackupVaultArn": f"arn:aws:backup:{request.region}:{ACCOUNT}:backup-vault:{vault}", "ResourceArn": f"arn:aws:dynamodb:{request.region}:{ACCOUNT}:table/orders",
        "ResourceType": "DynamoDB", "Status": "COMPLETED", "CreationDate": 1768446000, "CompletionDate": 1768447000, "IsEncrypted": True, "Lifecycle": {"DeleteAfterDays": 35}}]}


def rules():
    not_found = lambda message: fail("ResourceNotFoundException", message)
    empty = lambda service, *operations: [Rule(service, operation, nothing(service, operation)) for operation in operations]
    only_here = lambda answer: lambda request: answer if request.region == HOME else {key: [] for key in answer}
    no_support_plan = fail("SubscriptionRequiredException", "Amazon Web Services Premium Support Subscription is required to use this service.")
    return [
        # What watches.
        Rule("securityhub", "DescribeHub", lambda request: {"HubArn": f"arn:aws:securityhub:{request.region}:{ACCOUNT}:hub/default", "SubscribedAt": "2025-12-20T09:00:00.000Z", "AutoEnableControls": True, "ControlFindingGenerator": "SECURITY_CONTROL"}),
        Rule("securityhub", "GetEnabledStandards", standards),
        Rule("securityhub", "ListEnabledProductsForImport", lambda request: {"ProductSubscriptions": [f"arn:aws:securityhub:{request.region}:{ACCOUNT}:product-subscription/aws/guardduty"]}),
        Rule("securityhub", "ListOrganizationAdminAccounts", {"AdminAccounts": [{"AccountId": ACCOUNT, "Status": "ENABLED"}]}),
        Rule("securityhub", "DescribeOrganizationConfiguration", {"AutoEnable": True, "MemberAccountLimitReached": False, "AutoEnableStandards": "DEFAULT"}),
        Rule("macie2", "GetMacieSession", {"status": "ENABLED", "findingPublishingFrequency": "SIX_HOURS", "createdAt": "2025-12-20T09:00:00Z", "updatedAt": "2025-12-20T09:00:00Z", "serviceRole": f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/macie.amazonaws.com/AWSServiceRoleForAmazonMacie"}),
        Rule("macie2", "GetAutomatedDiscoveryConfiguration", {"status": "ENABLED", "classificationScopeId": "", "sensitivityInspectionTemplateId": ""}),
        Rule("accessanalyzer", "ListAnalyzers", analyzers),
        Rule("accessanalyzer", "ListFindingsV2", {"findings": []}),
        Rule("inspector2", "ListCoverage", {"coveredResources": []}),
        Rule("inspector2", "ListFindingAggregations", {"aggregationType": "ACCOUNT", "responses": []}),
        Rule("guardduty", "DescribeOrganizationConfiguration", {"AutoEnable": True, "MemberAccountLimitReached": False, "AutoEnableOrganizationMembers": "ALL", "Features": []}),
        Rule("guardduty", "GetFindingsStatistics", {"FindingStatistics": {"CountBySeverity": {}}}),
        *empty("guardduty", "ListMembers"),
        Rule("config", "DescribeDeliveryChannelStatus", delivered),
        Rule("shield", "GetSubscriptionState", {"SubscriptionState": "INACTIVE"}),
        Rule("shield", "DescribeDRTAccess", not_found("The subscription does not exist.")),
        *empty("wellarchitected", "ListWorkloads", "ListLenses"),

        # The account's contacts and regions.
        Rule("account", "GetContactInformation", {"ContactInformation": {"FullName": "Cloud team", "CompanyName": "Lighthouse", "AddressLine1": "2 Harbour Street", "City": "Exampleville", "PostalCode": "00000", "CountryCode": "US", "PhoneNumber": "+1 555 0110"}}),
        Rule("account", "GetAlternateContact", contact),
        Rule("account", "ListRegions", {"Regions": [{"RegionName": name, "RegionOptStatus": "ENABLED_BY_DEFAULT"} for name in DEFAULT_REGIONS] + [{"RegionName": name, "RegionOptStatus": "DISABLED"} for name in OPT_IN_REGIONS]}),

        # EC2's settings of a region.
        Rule("ec2", "GetEbsDefaultKmsKeyId", {"KmsKeyId": "alias/aws/ebs"}),
        Rule("ec2", "GetSnapshotBlockPublicAccessState", {"State": "block-all-sharing", "ManagedBy": "account"}),
        Rule("ec2", "GetImageBlockPublicAccessState", {"ImageBlockPublicAccessState": "block-new-sharing", "ManagedBy": "account"}),
        Rule("ec2", "GetInstanceMetadataDefaults", {"AccountLevel": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "ManagedBy": "account"}}),
        Rule("ec2", "GetSerialConsoleAccessStatus", {"SerialConsoleAccessEnabled": False, "ManagedBy": "account"}),
        Rule("ec2", "DescribeVpcBlockPublicAccessOptions", lambda request: {"VpcBlockPublicAccessOptions": {"AwsAccountId": ACCOUNT, "AwsRegion": request.region, "State": "update-complete", "InternetGatewayBlockMode": "block-bidirectional", "ManagedBy": "account", "ExclusionsAllowed": "not-allowed"}}),
        Rule("ec2", "GetAllowedImagesSettings", {"State": "enabled", "ManagedBy": "account", "ImageCriteria": [{"ImageProviders": ["amazon"]}]}),
        *empty("ec2", "DescribeInstanceImageMetadata", "DescribeClientVpnEndpoints"),

        # Machines: there are none.
        *empty("ssm", "DescribeInstanceInformation", "ListResourceComplianceSummaries", "DescribePatchGroups"),
        Rule("ssm", "GetServiceSetting", service_setting),

        # Backups.
        Rule("backup", "ListBackupSelections", selections),
        Rule("backup", "ListRecoveryPointsByBackupVault", recovery_points),
        Rule("backup", "ListProtectedResources", only_here({"Results": [{"ResourceArn": f"arn:aws:dynamodb:{HOME}:{ACCOUNT}:table/orders", "ResourceType": "DynamoDB", "LastBackupTime": 1768446000}]})),
        Rule("backup", "GetBackupVaultAccessPolicy", not_found("Cannot find resource access policy of the backup vault")),
        Rule("backup", "GetBackupVaultNotifications", not_found("Failed reading notifications from database for Backup vault")),
        *empty("backup", "ListReportPlans", "ListRestoreTestingPlans", "ListRestoreJobs"),

        # Parts of services that nobody at Lighthouse uses.
        Rule("auditmanager", "GetAccountStatus", {"status": "INACTIVE"}),
        *empty("directconnect", "DescribeVirtualInterfaces"),
        *empty("dms", "DescribeReplicationTasks"),
        *empty("emr", "ListSecurityConfigurations"),
        *empty("glue", "GetMLTransforms", "GetSecurityConfigurations"),
        *empty("lightsail", "GetInstances", "GetRelationalDatabases", "GetStaticIps"),
        *empty("network-firewall", "ListFirewallPolicies", "ListRuleGroups"),
        *empty("transfer", "ListServers", "ListConnectors"),
        *empty("sagemaker", "ListNotebookInstanceLifecycleConfigs"),
        *empty("bedrock", "ListGuardrails"),
        *empty("bedrock-agent", "ListPrompts"),
        *empty("codebuild", "ListReportGroups"),
        *[Rule("drs", operation, fail("UninitializedAccountException", "Account not initialized"))
          for operation in ("DescribeJobs", "DescribeReplicationConfigurationTemplates", "DescribeSourceServers")],
        *empty("ram", "ListPrincipals"),
        Rule("sesv2", "GetAccount", {"DedicatedIpAutoWarmupEnabled": False, "EnforcementStatus": "HEALTHY", "ProductionAccessEnabled": False, "SendingEnabled": True, "SendQuota": {"Max24HourSend": 200.0, "MaxSendRate": 1.0, "SentLast24Hours": 0.0}}),
        Rule("sesv2", "ListConfigurationSets", {"ConfigurationSets": []}, http=("POST", "/v2/email/list-configuration-sets")),
        Rule("sesv2", "ListEmailIdentities", {"EmailIdentities": []}, http=("POST", "/v2/email/list-identities")),
        Rule("support", "DescribeSeverityLevels", no_support_plan),
        Rule("health", "DescribeEvents", no_support_plan),
        *empty("trustedadvisor", "ListRecommendations"),
        *empty("rds", "DescribeOptionGroups", "DescribeCertificates", "DescribeDBEngineVersions", "DescribePendingMaintenanceActions"),
        *empty("elasticache", "DescribeCacheSubnetGroups", "DescribeServerlessCaches"),

        *empty("memorydb", "DescribeClusters"),
        Rule("bedrock", "GetModelInvocationLoggingConfiguration", lambda request: {"loggingConfig": {"cloudWatchConfig": {"logGroupName": "/audit/bedrock", "roleArn": f"arn:aws:iam::{ACCOUNT}:role/bedrock-logs"},
                                                                                                      "textDataDeliveryEnabled": True, "imageDataDeliveryEnabled": True, "embeddingDataDeliveryEnabled": True}}),

        # Identity. The account is not the organization's management account, which lets it read (`DescribeResourcePolicy`).
        Rule("organizations", "DescribeOrganization", organization),
        Rule("organizations", "DescribeResourcePolicy", {"ResourcePolicy": {"ResourcePolicySummary": {"Id": "rp-example1", "Arn": f"arn:aws:organizations::{MANAGEMENT}:resourcepolicy/o-example/rp-example1"},
             "Content": json.dumps({"Version": "2012-10-17", "Statement": [{"Sid": "SecurityReads", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                                    "Action": ["organizations:Describe*", "organizations:List*"], "Resource": "*"}]})}}),
        Rule("iam", "ListOrganizationsFeatures", lambda _: {"OrganizationId": get_backend("organizations")[ACCOUNT]["aws"].org.id, "EnabledFeatures": ["RootCredentialsManagement", "RootSessions"]}),
        Rule("iam", "ListServiceSpecificCredentials", {"ServiceSpecificCredentials": []}),

        # Applications.
        Rule("athena", "GetWorkGroup", work_group),
        Rule("lambda", "ListFunctionUrlConfigs", {"FunctionUrlConfigs": []}),
        *empty("cloudtrail", "ListEventDataStores"),
        *empty("events", "ListEndpoints"),
        *empty("s3control", "ListMultiRegionAccessPoints"),
    ]
