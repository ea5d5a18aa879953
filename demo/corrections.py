"""Answers in place of moto's, while the demo account is recorded: the reviewed list is `rules()`, at the end.

Each rule names an operation as botocore does and gives what AWS documents for the state that the seed describes:
operations that moto lacks, services that are not enabled, and a few calls that the recording's user may not make, so
that the demo shows what cannot be read. Of a service that moto lacks altogether the seed can have made nothing: its
list operations answer with empty lists without a rule. The answers are written in the operation's own protocol by moto's serializers.
"""

import json
import re
from importlib.util import find_spec
from urllib.parse import parse_qsl, unquote

from botocore.exceptions import UnknownServiceError
from moto.backend_index import backend_url_patterns
from moto.backends import get_backend
from moto.core.serialize import SERIALIZERS
from moto.core.utils import get_service_model

ACCOUNT = "123456789012"
HOME, EUROPE, SYDNEY = "us-east-1", "eu-west-1", "ap-southeast-2"
# The board's papers: its policy lets nobody else in, auditors included.
CLOSED_BUCKET = "tidewater-board"
# For errors that an API does not declare.
STATUS = {"AccessDenied": 403, "AccessDeniedException": 403, "InvalidAccessException": 401}


class ApiError(Exception):
    """An error answer."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code, self.message = code, message


class Request:
    """What a rule may look at: the signed region, the operation's parameters as far as they are flat."""

    def __init__(self, environ, body):
        scope = re.search(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/aws4_request", environ.get("HTTP_AUTHORIZATION", ""))
        self.region, self.signing_name = scope.groups() if scope else ("", "")
        self.method, self.path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.target = environ.get("HTTP_X_AMZ_TARGET", "")
        self.form = dict(parse_qsl(body.decode("utf-8", "replace"))) if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form") else {}
        try:
            self.params = json.loads(body) if body.startswith(b"{") else dict(self.form)
        except ValueError:
            self.params = {}


class Rule:
    """An answer for one operation: a value, or a function of the request; in all regions or in some.

    `http` is method and path where the pinned botocore has others than AWS has by now.
    """

    def __init__(self, service, operation, answer, regions=None, http=None):
        self.service, self.operation, self.answer, self.regions = service, operation, answer, regions
        self.used = False
        self.model = get_service_model(service)
        self.signing_name = self.model.signing_name
        self.operation_model = self.model.operation_model(operation)
        self.method, uri = http or (self.operation_model.http["method"], self.operation_model.http["requestUri"])
        pattern = re.split(r"[?#]", uri)[0].rstrip("/")
        self.uri = re.compile("".join(
            "(?P<%s>[^/]+)" % part[1:-1] if part.startswith("{") and not part.endswith("+}") else "(.+)" if part.startswith("{") else re.escape(part)
            for part in re.split(r"(\{[^}]+\})", pattern)
        ) + "/?")

    def matches(self, request):
        if request.signing_name != self.signing_name or self.regions and request.region not in self.regions:
            return False
        protocol = self.model.protocol
        if protocol == "json":
            return request.target == f"{self.model.metadata['targetPrefix']}.{self.operation}"
        if protocol in ("query", "ec2"):
            return request.form.get("Action") == self.operation
        found = request.method == self.method and self.uri.fullmatch(request.path)
        if found:
            request.params = {key: unquote(value) for key, value in found.groupdict().items()} | request.params
        return bool(found)

    def respond(self, request):
        """Status, headers and body."""
        self.used = True
        answer = self.answer
        try:
            answer = answer(request) if callable(answer) else answer
        except ApiError as error:
            answer = error
        protocol = self.model.protocol
        written = SERIALIZERS[protocol](operation_model=self.operation_model).serialize(answer)
        status = written["status_code"]
        if isinstance(answer, ApiError) and protocol != "json":
            status = STATUS.get(answer.code, status)
        return status, dict(written["headers"]), written["body"].encode()


class Corrections:
    """The rules that count, first match first; `closed` is a bucket that may not be read."""

    def __init__(self, found=None, closed=CLOSED_BUCKET):
        self.rules = rules() if found is None else found
        self.absent = {}
        self.closed = closed
        self.closed_bucket_used = closed is None

    def find(self, environ, body):
        """The corrected answer to a request, or nothing."""
        request = Request(environ, body)
        if request.signing_name == "s3" and request.path.split("/")[1] == self.closed:
            self.closed_bucket_used = True
            text = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
            return 403, {"Content-Type": "application/xml"}, b"" if request.method == "HEAD" else text.encode()
        for rule in self.rules:
            if rule.matches(request):
                return rule.respond(request)
        return self.of_absent_service(request)

    def of_absent_service(self, request):
        """The empty answer of a list operation, when moto has no such service."""
        service = request.signing_name
        if not service or in_moto(service):
            return None
        if service not in self.absent:
            self.absent[service] = list_rules(service)
        for rule in self.absent[service]:
            if rule.matches(request):
                return rule.respond(request)
        return None

    def assumed(self):
        """Services that answered with empty lists because moto lacks them."""
        return sorted(service for service, rules in self.absent.items() if any(rule.used for rule in rules))

    def unused(self):
        """Rules that answered nothing: no table makes these calls any more."""
        found = [f"{rule.service}:{rule.operation} {','.join(rule.regions or [])}".strip() for rule in self.rules if not rule.used]
        return found + ([] if self.closed_bucket_used else [f"s3 {CLOSED_BUCKET}"])


def fail(code, message):
    return ApiError(code, message)


def instances(region, *names):
    """Instances by their names, as moto keeps them."""
    found = {}
    for reservation in get_backend("ec2")[ACCOUNT][region].all_reservations():
        for instance in reservation.instances:
            name = next((tag["value"] for tag in instance.get_tags() if tag["key"] == "Name"), "")
            found[name] = instance
    return [found[name] for name in names if name in found] if names else list(found.values())


MANAGED = {HOME: ("search-1", "search-2", "reporting-job"), EUROPE: ("analyst",), SYDNEY: ()}
# Of the managed machines: patches that are missing, and that failed.
PATCHES = {"search-1": (0, 0), "search-2": (0, 0), "reporting-job": (7, 1), "analyst": (3, 0)}


def managed_nodes(request):
    return {"InstanceInformationList": [
        {"InstanceId": instance.id, "PingStatus": "Online" if name != "analyst" else "ConnectionLost", "LastPingDateTime": 1768478100.0,
         "AgentVersion": "3.3.987.0" if name != "analyst" else "3.2.582.0", "IsLatestVersion": name != "analyst", "PlatformType": "Linux",
         "PlatformName": "Amazon Linux", "PlatformVersion": "2023", "ResourceType": "EC2Instance", "IPAddress": instance.private_ip, "ComputerName": f"{name}.internal"}
        for name in MANAGED[request.region] for instance in instances(request.region, name)
    ]}


def patch_states(request):
    states = []
    for name in MANAGED[request.region]:
        for instance in instances(request.region, name):
            missing, failed = PATCHES[name]
            if instance.id in request.params.get("InstanceIds", [instance.id]):
                states.append({"InstanceId": instance.id, "PatchGroup": "", "BaselineId": "pb-0e392de35e7c563b7", "OperationStartTime": 1768183200.0,
                               "OperationEndTime": 1768183500.0, "Operation": "Scan", "InstalledCount": 214, "MissingCount": missing, "FailedCount": failed,
                               "CriticalNonCompliantCount": 1 if failed else 0, "SecurityNonCompliantCount": missing, "OtherNonCompliantCount": 0})
    return {"InstancePatchStates": states}


def compliance(request):
    kind = request.params["Filters"][0]["Values"][0]
    items = []
    for name in MANAGED[request.region]:
        for instance in instances(request.region, name):
            bad = sum(PATCHES[name]) if kind == "Patch" else 0
            items.append({
                "ComplianceType": kind, "ResourceType": "ManagedInstance", "ResourceId": instance.id, "Status": "NON_COMPLIANT" if bad else "COMPLIANT",
                "OverallSeverity": "HIGH" if bad else "UNSPECIFIED", "ExecutionSummary": {"ExecutionTime": 1768183500.0},
                "CompliantSummary": {"CompliantCount": 214 if kind == "Patch" else 2}, "NonCompliantSummary": {"NonCompliantCount": bad},
            })
    return {"ResourceComplianceSummaryItems": items}


def patch_baseline(request):
    wanted = request.params["BaselineId"]
    for baseline in get_backend("ssm")[ACCOUNT][request.region].baselines.values():
        if wanted in (baseline.id, baseline.arn if hasattr(baseline, "arn") else baseline.id):
            return {"BaselineId": baseline.id, "Name": baseline.name, "OperatingSystem": baseline.operating_system,
                    "GlobalFilters": {"PatchFilters": []}, "ApprovalRules": baseline.approval_rules or {"PatchRules": []}, "ApprovedPatches": [],
                    "ApprovedPatchesComplianceLevel": "UNSPECIFIED", "RejectedPatches": [], "RejectedPatchesAction": "ALLOW_AS_DEPENDENCY", "PatchGroups": []}
    raise ApiError("DoesNotExistException", f"The patch baseline {wanted} does not exist")


def service_setting(request):
    setting = request.params["SettingId"]
    value = {"/ssm/documents/console/public-sharing-permission": "Disable" if request.region == HOME else "Enable",
             "/ssm/managed-instance/default-ec2-instance-management-role": "AWSSystemsManagerDefaultEC2InstanceManagementRole" if request.region == HOME else "$None",
             "/ssm/automation/customer-script-log-destination": "CloudWatch" if request.region == HOME else ""}
    return {"ServiceSetting": {"SettingId": setting, "SettingValue": value.get(setting, "$None"), "Status": "Customized" if request.region == HOME else "Default",
                               "LastModifiedUser": "System", "ARN": f"arn:aws:ssm:{request.region}:{ACCOUNT}:servicesetting{setting}"}}


def image_of_each_instance(request):
    images = {image.id: image for image in get_backend("ec2")[ACCOUNT][request.region].amis.values()}
    return {"InstanceImageMetadata": [
        {"InstanceId": instance.id, "InstanceType": instance.instance_type, "OwnerId": ACCOUNT, "State": {"Name": instance._state.name, "Code": instance._state.code},
         "ImageMetadata": {"ImageId": instance.image_id, "Name": images[instance.image_id].name, "OwnerId": ACCOUNT, "State": "available",
                           "CreationDate": images[instance.image_id].creation_date, "IsPublic": images[instance.image_id].is_public}}
        for instance in instances(request.region) if instance.image_id in images
    ]}


def alternate_contact(request):
    if request.params["AlternateContactType"] != "BILLING":
        raise ApiError("ResourceNotFoundException", "No contact of the inputted alternate contact type found.")
    return {"AlternateContact": {"AlternateContactType": "BILLING", "EmailAddress": "accounts@tidewater.example", "Name": "Accounts payable", "PhoneNumber": "+1 555 0101", "Title": "Finance"}}


DEFAULT_REGIONS = ("ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-southeast-1 ap-southeast-2 ca-central-1 eu-central-1 eu-north-1 eu-west-1 "
                   "eu-west-2 eu-west-3 sa-east-1 us-east-1 us-east-2 us-west-1 us-west-2").split()
OPT_IN_REGIONS = "af-south-1 ap-east-1 ap-south-2 ap-southeast-3 ap-southeast-4 ca-west-1 eu-central-2 eu-south-1 eu-south-2 il-central-1 me-central-1 me-south-1".split()


def function_urls(request):
    name = request.params["FunctionName"].split(":")[-1]
    if name not in ("webhook", "outlet-import"):
        return {"FunctionUrlConfigs": []}
    function = f"arn:aws:lambda:{request.region}:{ACCOUNT}:function:{name}"
    return {"FunctionUrlConfigs": [{"FunctionUrl": f"https://{name}0example.lambda-url.{request.region}.on.aws/", "FunctionArn": function, "AuthType": "NONE",
                                    "CreationTime": "2025-09-03T13:15:00Z", "LastModifiedTime": "2025-09-03T13:15:00Z", "InvokeMode": "BUFFERED"}]}


def protected_by(request):
    shop = ":regional/webacl/shop/" in request.params["WebACLArn"] and request.params.get("ResourceType", "APPLICATION_LOAD_BALANCER") == "APPLICATION_LOAD_BALANCER"
    balancers = get_backend("elbv2")[ACCOUNT][request.region].load_balancers.values()
    return {"ResourceArns": [balancer.arn for balancer in balancers if shop and balancer.name == "shop"]}


def selections(request):
    plan = request.params["backupPlanId"]
    return {"BackupSelectionsList": [{"SelectionId": "5c1f1a52-0001-4000-8000-000000000001", "SelectionName": "tagged-critical", "BackupPlanId": plan, "CreationDate": 1708423200,
                                      "IamRoleArn": f"arn:aws:iam::{ACCOUNT}:role/service-role/AWSBackupDefaultServiceRole"}]}


def recovery_points(request):
    vault = request.params["backupVaultName"]
    if vault != "main":
        return {"RecoveryPoints": []}
    return {"RecoveryPoints": [
        {"RecoveryPointArn": f"arn:aws:backup:{request.region}:{ACCOUNT}:recovery-point:{number:08d}-0000-4000-8000-000000000000", "BackupVaultName": vault,
         "BackupVaultArn": f"arn:aws:backup:{request.region}:{ACCOUNT}:backup-vault:{vault}", "ResourceArn": resource, "ResourceType": kind,
         "Status": "COMPLETED", "CreationDate": 1768446000, "CompletionDate": 1768447000, "IsEncrypted": sealed, "Lifecycle": {"DeleteAfterDays": 35}}
        for number, (resource, kind, sealed) in enumerate((
            (f"arn:aws:dynamodb:{request.region}:{ACCOUNT}:table/orders", "DynamoDB", True),
            (f"arn:aws:rds:{request.region}:{ACCOUNT}:db:catalogue", "RDS", True),
            (f"arn:aws:rds:{request.region}:{ACCOUNT}:db:old-shop", "RDS", False)), 1)
    ]}


def delivery_status(request):
    """At home the history arrives; in Europe the recorder stopped, and nothing was delivered since."""
    if request.region == SYDNEY:
        return {"DeliveryChannelsStatus": []}
    delivered = {"lastStatus": "SUCCESS", "lastAttemptTime": 1768467600 if request.region == HOME else 1708437600}
    delivered["lastSuccessfulTime"] = delivered["lastAttemptTime"]
    return {"DeliveryChannelsStatus": [{"name": "default", "configSnapshotDeliveryInfo": {}, "configHistoryDeliveryInfo": delivered, "configStreamDeliveryInfo": {"lastStatus": "NOT_APPLICABLE"}}]}


def analyzer_findings(request):
    resources = (("AWS::S3::Bucket", "arn:aws:s3:::tidewater-imports"), ("AWS::IAM::Role", f"arn:aws:iam::{ACCOUNT}:role/open-import"), ("AWS::IAM::Role", f"arn:aws:iam::{ACCOUNT}:role/inventory-vendor"))
    return {"findings": [{"id": f"{number:08d}-0000-4000-8000-000000000000", "analyzedAt": "2026-01-15T03:00:00Z", "createdAt": "2024-02-21T03:00:00Z", "updatedAt": "2024-02-21T03:00:00Z",
                          "resource": resource, "resourceOwnerAccount": ACCOUNT, "resourceType": kind, "status": "ACTIVE", "findingType": "ExternalAccess"}
                         for number, (kind, resource) in enumerate(resources, 1)]}


def covered(request):
    scanned = [{"resourceType": "AWS_EC2_INSTANCE", "resourceId": instance.id, "accountId": ACCOUNT, "scanType": "PACKAGE",
                "scanStatus": {"statusCode": "ACTIVE", "reason": "SUCCESSFUL"}} for instance in instances(HOME, *MANAGED[HOME])]
    missed = [{"resourceType": "AWS_EC2_INSTANCE", "resourceId": instance.id, "accountId": ACCOUNT, "scanType": "PACKAGE",
               "scanStatus": {"statusCode": "INACTIVE", "reason": "UNMANAGED_EC2_INSTANCE"}} for instance in instances(HOME, "old-shop", "accounting", "bastion")]
    return {"coveredResources": scanned + missed}


def nothing(service, operation):
    """The answer of a list operation where nothing exists: its lists are there and empty."""
    members = get_service_model(service).operation_model(operation).output_shape.members
    return {name: [] for name, shape in members.items() if shape.type_name == "list"}


def in_moto(service):
    """Whether moto has the service of this signing name, by its modules or by the addresses that it knows."""
    address = f"https://{service}.{HOME}.amazonaws.com/"
    return bool(find_spec(f"moto.{service.replace('-', '')}")) or any(re.match(pattern, address) for _, pattern in backend_url_patterns)


def list_rules(service):
    """An empty answer for every operation of a service that answers with lists."""
    try:
        model = get_service_model(service)
    except UnknownServiceError:
        return []
    return [Rule(service, name, nothing(service, name)) for name in model.operation_names
            if model.operation_model(name).output_shape and nothing(service, name)]


def in_home(answer, elsewhere):
    return lambda request: (answer if request.region == HOME else elsewhere) if not callable(answer) else (answer(request) if request.region == HOME else elsewhere)


def rules():
    elsewhere = [EUROPE, SYDNEY]
    not_subscribed = fail("InvalidAccessException", f"Account {ACCOUNT} is not subscribed to AWS Security Hub")
    no_macie = fail("AccessDeniedException", "Macie is not enabled")
    not_found = lambda message: fail("ResourceNotFoundException", message)
    denied = lambda action: fail("AccessDeniedException", f"User: arn:aws:iam::{ACCOUNT}:user/auditor is not authorized to perform: {action} because no identity-based policy allows the {action} action")
    product = f"arn:aws:securityhub:{HOME}:{ACCOUNT}:product-subscription/aws"
    standard = "aws-foundational-security-best-practices/v/1.0.0"
    empty = lambda service, *operations: [Rule(service, operation, nothing(service, operation)) for operation in operations]
    no_support_plan = fail("SubscriptionRequiredException", "Amazon Web Services Premium Support Subscription is required to use this service.")
    return [
        # Calls that the recording's user may not make.
        Rule("wellarchitected", "ListWorkloads", denied("wellarchitected:ListWorkloads")),
        Rule("wellarchitected", "ListLenses", denied("wellarchitected:ListLenses")),
        *[Rule("inspector2", operation, denied(f"inspector2:{operation}"), [SYDNEY])
          for operation in ("BatchGetAccountStatus", "ListCoverage", "ListFindings")],

        # Services that are on at home and off elsewhere.
        Rule("securityhub", "DescribeHub", in_home({"HubArn": f"arn:aws:securityhub:{HOME}:{ACCOUNT}:hub/default", "SubscribedAt": "2024-02-20T10:00:00.000Z", "AutoEnableControls": True, "ControlFindingGenerator": "SECURITY_CONTROL"}, not_subscribed)),
        Rule("securityhub", "GetEnabledStandards", in_home({"StandardsSubscriptions": [{"StandardsSubscriptionArn": f"arn:aws:securityhub:{HOME}:{ACCOUNT}:subscription/{standard}", "StandardsArn": f"arn:aws:securityhub:{HOME}::standards/{standard}", "StandardsInput": {}, "StandardsStatus": "READY"}]}, not_subscribed)),
        Rule("securityhub", "ListEnabledProductsForImport", in_home({"ProductSubscriptions": [f"{product}/guardduty", f"{product}/access-analyzer"]}, not_subscribed)),
        Rule("securityhub", "ListOrganizationAdminAccounts", {"AdminAccounts": []}),
        Rule("securityhub", "DescribeOrganizationConfiguration", fail("InvalidAccessException", f"Account {ACCOUNT} is not an administrator for this organization")),
        Rule("securityhub", "GetAdministratorAccount", not_subscribed, elsewhere),
        Rule("macie2", "GetMacieSession", in_home({"status": "ENABLED", "findingPublishingFrequency": "SIX_HOURS", "createdAt": "2024-02-20T10:00:00Z", "updatedAt": "2024-02-20T10:00:00Z", "serviceRole": f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/macie.amazonaws.com/AWSServiceRoleForAmazonMacie"}, no_macie)),
        Rule("macie2", "GetAutomatedDiscoveryConfiguration", in_home({"status": "DISABLED", "classificationScopeId": "", "sensitivityInspectionTemplateId": ""}, no_macie)),
        Rule("accessanalyzer", "ListAnalyzers", in_home({"analyzers": [{"arn": f"arn:aws:access-analyzer:{HOME}:{ACCOUNT}:analyzer/account", "name": "account", "type": "ACCOUNT", "status": "ACTIVE", "createdAt": "2024-02-20T10:00:00Z", "tags": {}}]}, {"analyzers": []})),
        Rule("accessanalyzer", "ListFindingsV2", analyzer_findings, [HOME]),
        Rule("inspector2", "ListCoverage", in_home(covered, {"coveredResources": []})),
        Rule("inspector2", "ListFindingAggregations", in_home({"aggregationType": "ACCOUNT", "responses": [{"accountAggregation": {"accountId": ACCOUNT, "severityCounts": {"all": 41, "critical": 2, "high": 9, "medium": 30}}}]}, {"aggregationType": "ACCOUNT", "responses": []})),
        Rule("guardduty", "DescribeOrganizationConfiguration", fail("BadRequestException", "The request is rejected because the current account is not the delegated administrator.")),
        Rule("guardduty", "GetFindingsStatistics", in_home({"FindingStatistics": {"CountBySeverity": {"8.0": 1}}}, {"FindingStatistics": {"CountBySeverity": {}}})),
        *empty("guardduty", "ListMembers"),
        Rule("shield", "GetSubscriptionState", {"SubscriptionState": "INACTIVE"}),
        Rule("shield", "DescribeDRTAccess", not_found("The subscription does not exist.")),

        # The account's contacts and regions.
        Rule("account", "GetContactInformation", {"ContactInformation": {"FullName": "Cloud team", "CompanyName": "Tidewater", "AddressLine1": "1 Harbour Street", "City": "Exampleville", "PostalCode": "00000", "CountryCode": "US", "PhoneNumber": "+1 555 0100"}}),
        Rule("account", "GetAlternateContact", alternate_contact),
        Rule("account", "ListRegions", {"Regions": [{"RegionName": name, "RegionOptStatus": "ENABLED_BY_DEFAULT"} for name in DEFAULT_REGIONS] + [{"RegionName": name, "RegionOptStatus": "DISABLED"} for name in OPT_IN_REGIONS]}),

        # EC2's settings of a region.
        Rule("ec2", "GetEbsDefaultKmsKeyId", {"KmsKeyId": "alias/aws/ebs"}),
        Rule("ec2", "GetSnapshotBlockPublicAccessState", in_home({"State": "block-new-sharing", "ManagedBy": "account"}, {"State": "unblocked", "ManagedBy": "account"})),
        Rule("ec2", "GetImageBlockPublicAccessState", in_home({"ImageBlockPublicAccessState": "block-new-sharing", "ManagedBy": "account"}, {"ImageBlockPublicAccessState": "unblocked", "ManagedBy": "account"})),
        Rule("ec2", "GetInstanceMetadataDefaults", in_home({"AccountLevel": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2, "ManagedBy": "account"}}, {"AccountLevel": {}})),
        Rule("ec2", "GetSerialConsoleAccessStatus", lambda request: {"SerialConsoleAccessEnabled": request.region == SYDNEY, "ManagedBy": "account"}),
        Rule("ec2", "DescribeVpcBlockPublicAccessOptions", lambda request: {"VpcBlockPublicAccessOptions": {"AwsAccountId": ACCOUNT, "AwsRegion": request.region, "State": "default-state", "InternetGatewayBlockMode": "off", "ManagedBy": "account", "ExclusionsAllowed": "allowed"}}),
        Rule("ec2", "GetAllowedImagesSettings", {"State": "disabled", "ManagedBy": "account"}),
        Rule("ec2", "DescribeInstanceImageMetadata", image_of_each_instance),
        *empty("ec2", "DescribeClientVpnEndpoints"),

        # Managed machines and their patches.
        Rule("ssm", "DescribeInstanceInformation", managed_nodes),
        Rule("ssm", "DescribeInstancePatchStates", patch_states),
        Rule("ssm", "ListResourceComplianceSummaries", compliance),
        Rule("ssm", "GetPatchBaseline", patch_baseline),
        Rule("ssm", "GetServiceSetting", service_setting),
        *empty("ssm", "DescribePatchGroups"),

        # Backups.
        Rule("backup", "ListBackupSelections", in_home(selections, {"BackupSelectionsList": []})),
        Rule("backup", "ListRecoveryPointsByBackupVault", recovery_points),
        Rule("backup", "ListProtectedResources", in_home({"Results": [{"ResourceArn": f"arn:aws:dynamodb:{HOME}:{ACCOUNT}:table/orders", "ResourceType": "DynamoDB", "LastBackupTime": 1768446000}, {"ResourceArn": f"arn:aws:rds:{HOME}:{ACCOUNT}:db:catalogue", "ResourceType": "RDS", "LastBackupTime": 1768446000}, {"ResourceArn": f"arn:aws:rds:{HOME}:{ACCOUNT}:db:old-shop", "ResourceType": "RDS", "LastBackupTime": 1768446000}]}, {"Results": []})),
        Rule("backup", "GetBackupVaultAccessPolicy", not_found("Cannot find resource access policy of the backup vault")),
        Rule("backup", "GetBackupVaultNotifications", not_found("Failed reading notifications from database for Backup vault")),
        *empty("backup", "ListReportPlans", "ListRestoreTestingPlans", "ListRestoreJobs"),

        # Parts of services that nobody at Tidewater uses.
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

        # Mail: out of the sandbox at home; nothing is set up elsewhere.
        Rule("sesv2", "GetAccount", in_home({"DedicatedIpAutoWarmupEnabled": False, "EnforcementStatus": "HEALTHY", "ProductionAccessEnabled": True, "SendingEnabled": True, "SendQuota": {"Max24HourSend": 50000.0, "MaxSendRate": 14.0, "SentLast24Hours": 812.0}},
                                           {"DedicatedIpAutoWarmupEnabled": False, "EnforcementStatus": "HEALTHY", "ProductionAccessEnabled": False, "SendingEnabled": True, "SendQuota": {"Max24HourSend": 200.0, "MaxSendRate": 1.0, "SentLast24Hours": 0.0}})),
        Rule("sesv2", "ListConfigurationSets", {"ConfigurationSets": []}, http=("POST", "/v2/email/list-configuration-sets")),
        Rule("sesv2", "ListEmailIdentities", {"EmailIdentities": []}, http=("POST", "/v2/email/list-identities")),

        # The account has no support plan that includes these.
        Rule("support", "DescribeSeverityLevels", no_support_plan),
        Rule("health", "DescribeEvents", no_support_plan),
        Rule("trustedadvisor", "ListRecommendations", denied("trustedadvisor:ListRecommendations")),

        # Databases.
        *empty("rds", "DescribeOptionGroups"),
        *empty("elasticache", "DescribeCacheSubnetGroups"),
        Rule("rds", "DescribeCertificates", lambda request: {"Certificates": [
            {"CertificateIdentifier": name, "CertificateType": "CA", "ValidFrom": start, "ValidTill": end, "CertificateArn": f"arn:aws:rds:{request.region}::cert:{name}"}
            for name, start, end in (("rds-ca-2019", "2019-08-22T17:08:50Z", "2024-08-22T17:08:50Z"), ("rds-ca-rsa2048-g1", "2021-05-25T22:34:57Z", "2061-05-25T23:34:57Z"))]}),
        Rule("rds", "DescribeDBEngineVersions", {"DBEngineVersions": [{"Engine": engine, "EngineVersion": version, "Status": "deprecated"} for engine, version in (("mysql", "5.7.44"), ("mysql", "8.0.32"), ("postgres", "11.22"), ("postgres", "13.11"))]}),
        Rule("rds", "DescribePendingMaintenanceActions", in_home({"PendingMaintenanceActions": [{"ResourceIdentifier": f"arn:aws:rds:{HOME}:{ACCOUNT}:db:loyalty", "PendingMaintenanceActionDetails": [{"Action": "system-update", "Description": "New operating system update is available", "AutoAppliedAfterDate": "2026-02-01T00:00:00Z"}]}]}, {"PendingMaintenanceActions": []})),
        *empty("elasticache", "DescribeServerlessCaches"),

        # Identity.
        Rule("organizations", "DescribeResourcePolicy", fail("ResourcePolicyNotFoundException", "You specified a resource policy that does not exist.")),
        Rule("iam", "ListOrganizationsFeatures", lambda _: {"OrganizationId": get_backend("organizations")[ACCOUNT]["aws"].org.id, "EnabledFeatures": []}),
        Rule("iam", "ListServiceSpecificCredentials", {"ServiceSpecificCredentials": [{"UserName": "developer-search", "Status": "Active", "ServiceUserName": f"developer-search-at-{ACCOUNT}", "CreateDate": "2022-06-14T08:30:00Z", "ServiceSpecificCredentialId": "ACCAEXAMPLE1234567890", "ServiceName": "codecommit.amazonaws.com"}]}),
        Rule("cognito-idp", "DescribeRiskConfiguration", lambda request: {"RiskConfiguration": {"UserPoolId": request.params["UserPoolId"]}}),

        # Applications and the edge.
        Rule("config", "DescribeDeliveryChannelStatus", delivery_status),
        Rule("route53", "GetDNSSEC", {"Status": {"ServeSignature": "NOT_SIGNING"}, "KeySigningKeys": []}),
        Rule("lambda", "ListFunctionUrlConfigs", function_urls),
        Rule("eks", "ListAddons", in_home({"addons": ["coredns", "kube-proxy", "vpc-cni"]}, {"addons": []})),
        Rule("wafv2", "ListResourcesForWebACL", protected_by),
        *empty("apigatewayv2", "GetAuthorizers"),
        *empty("cloudtrail", "ListEventDataStores"),
        *empty("events", "ListEndpoints"),
        *empty("s3control", "ListMultiRegionAccessPoints"),
    ]
