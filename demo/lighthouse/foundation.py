"""Lighthouse's identities, organization, keys, logs, and what watches the account."""

import json

from parts import data, governance, keys, watch
from parts.base import ACCOUNT, allow, deny, document, trust
from parts.identity import role, role_arn

HOME, EUROPE = "us-east-1", "eu-west-1"
REGIONS = (HOME, EUROPE)
LOGS, ACCESS_LOGS = "lighthouse-audit-logs", "lighthouse-access-logs"


def identity(account, facts):
    """People come by single sign-on: there are roles, and no users."""
    iam = account.client("iam")
    iam.create_account_alias(AccountAlias="lighthouse")
    iam.update_account_password_policy(
        MinimumPasswordLength=16, RequireSymbols=True, RequireNumbers=True, RequireUppercaseCharacters=True,
        RequireLowercaseCharacters=True, AllowUsersToChangePassword=True, PasswordReusePrevention=24, MaxPasswordAge=90,
    )
    sign_on = iam.create_saml_provider(
        Name="single-sign-on", SAMLMetadataDocument="<EntityDescriptor entityID='https://login.lighthouse.example'>" + "x" * 1000 + "</EntityDescriptor>",
    )["SAMLProviderArn"]
    people = trust({"Federated": sign_on}, {"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}}, action="sts:AssumeRoleWithSAML")
    role(account, "security-auditor", people, ["SecurityAudit"], team="security")
    role(account, "support", people, ["AWSSupportAccess"], team="platform")
    facts["backup_role"] = role(account, "backup", service_trust("backup"), ["service-role/AWSBackupServiceRolePolicyForBackup"], team="platform")
    facts["trail_role"] = role(account, "trail-to-logs", service_trust("cloudtrail"), inline={
        "write": document(allow(["logs:CreateLogStream", "logs:PutLogEvents"], f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:/audit/cloudtrail:*"))}, team="security")
    facts["flow_role"] = role(account, "flow-logs", service_trust("vpc-flow-logs"), inline={
        "write": document(allow(["logs:CreateLogStream", "logs:PutLogEvents"], f"arn:aws:logs:*:{ACCOUNT}:log-group:/network/*"))}, team="platform")
    for service, name in (("config", "AWSServiceRoleForConfig"), ("guardduty", "AWSServiceRoleForAmazonGuardDuty")):
        iam.create_service_linked_role(AWSServiceName=f"{service}.amazonaws.com")
        facts[name] = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/{service}.amazonaws.com/{name}"


def service_trust(service):
    """A service may assume the role, and only on behalf of this account."""
    return trust({"Service": f"{service}.amazonaws.com"}, {"StringEquals": {"aws:SourceAccount": ACCOUNT}})


def organization(account, facts):
    governance.organization(account, {"Workloads": ["lighthouse-lab"], "Security": ["lighthouse-logs"]}, {
        "guardrails": (document(deny(["organizations:LeaveOrganization", "cloudtrail:StopLogging", "cloudtrail:DeleteTrail"])), "root"),
        "regions": (json.dumps({"Version": "2012-10-17", "Statement": [{
            "Sid": "OnlyOurRegions", "Effect": "Deny", "NotAction": ["iam:*", "organizations:*", "sts:*", "support:*", "route53:*", "cloudfront:*"], "Resource": "*",
            "Condition": {"StringNotEquals": {"aws:RequestedRegion": list(REGIONS)}}}]}), "root"),
    })
    for region in REGIONS:
        account.client("emr", region).put_block_public_access_configuration(BlockPublicAccessConfiguration={
            "BlockPublicSecurityGroupRules": True, "PermittedPublicSecurityGroupRuleRanges": [{"MinRange": 22, "MaxRange": 22}]})
        account.client("guardduty", region).enable_organization_admin_account(AdminAccountId=ACCOUNT)
    account.client("s3control").put_public_access_block(AccountId=ACCOUNT, PublicAccessBlockConfiguration=data.BLOCK_ALL)


def keys_of(account, facts):
    by_account = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    for region in REGIONS:
        services = [allow(["kms:GenerateDataKey*", "kms:Decrypt", "kms:DescribeKey"], principal={"Service": f"{name}.amazonaws.com"}, condition=by_account)
                    for name in ("cloudtrail", f"logs.{region}", "sns", "cloudwatch", "delivery.logs", "backup")]
        facts["key", region] = keys.key(account, region, "lighthouse", "data and logs", rotation=True, policy=keys.own_policy(*services), owner="security")
        account.client("ec2", region).enable_ebs_encryption_by_default()


def logs(account, facts):
    delivery = [allow("s3:PutObject", f"arn:aws:s3:::{ACCESS_LOGS}/*", principal={"Service": f"{name}.amazonaws.com"}, condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}})
                for name in ("logging.s3", "logdelivery.elasticloadbalancing")]
    common = dict(versioning="Enabled", block=data.BLOCK_ALL, tls=True, lifecycle=True, lock=True, owner="security")
    data.bucket(account, ACCESS_LOGS, policy=delivery, log_to=ACCESS_LOGS, **common)
    data.bucket(account, LOGS, key=facts["key", HOME], log_to=ACCESS_LOGS, policy=watch.log_delivery(LOGS, "cloudtrail") + watch.log_delivery(LOGS, "config"), **common)
    facts["alarms"] = watch.topic(account, HOME, "security-alarms", key=facts["key", HOME], only_tls=True, subscribers=[("email", "security@lighthouse.example")])


def event(*names, source=None):
    """A filter on the names of events."""
    any_of = " || ".join(f"($.eventName = {name})" for name in names)
    return f"{{ ($.eventSource = {source}) && ({any_of}) }}" if source else f"{{ {any_of} }}"


# What CIS AWS Foundations wants an alarm for.
ALARMS = {
    "unauthorized-calls": '{ ($.errorCode = "*UnauthorizedOperation") || ($.errorCode = "AccessDenied*") }',
    "login-without-mfa": '{ ($.eventName = "ConsoleLogin") && ($.additionalEventData.MFAUsed != "Yes") }',
    "root-use": '{ $.userIdentity.type = "Root" && $.userIdentity.invokedBy NOT EXISTS && $.eventType != "AwsServiceEvent" }',
    "policy-changes": event(
        "DeleteGroupPolicy", "DeleteRolePolicy", "DeleteUserPolicy", "PutGroupPolicy", "PutRolePolicy", "PutUserPolicy", "CreatePolicy", "DeletePolicy", "CreatePolicyVersion",
        "DeletePolicyVersion", "AttachRolePolicy", "DetachRolePolicy", "AttachUserPolicy", "DetachUserPolicy", "AttachGroupPolicy", "DetachGroupPolicy"),
    "trail-changes": event("CreateTrail", "UpdateTrail", "DeleteTrail", "StartLogging", "StopLogging"),
    "failed-logins": '{ ($.eventName = ConsoleLogin) && ($.errorMessage = "Failed authentication") }',
    "keys-disabled": event("DisableKey", "ScheduleKeyDeletion", source="kms.amazonaws.com"),
    "bucket-policy-changes": event(
        "PutBucketAcl", "PutBucketPolicy", "PutBucketCors", "PutBucketLifecycle", "PutBucketReplication", "DeleteBucketPolicy", "DeleteBucketCors", "DeleteBucketLifecycle",
        "DeleteBucketReplication", source="s3.amazonaws.com"),
    "config-changes": event("StopConfigurationRecorder", "DeleteDeliveryChannel", "PutDeliveryChannel", "PutConfigurationRecorder", source="config.amazonaws.com"),
    "security-group-changes": event(
        "AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress", "RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress", "CreateSecurityGroup", "DeleteSecurityGroup"),
    "network-acl-changes": event(
        "CreateNetworkAcl", "CreateNetworkAclEntry", "DeleteNetworkAcl", "DeleteNetworkAclEntry", "ReplaceNetworkAclEntry", "ReplaceNetworkAclAssociation"),
    "gateway-changes": event(
        "CreateCustomerGateway", "DeleteCustomerGateway", "AttachInternetGateway", "CreateInternetGateway", "DeleteInternetGateway", "DetachInternetGateway"),
    "route-changes": event(
        "CreateRoute", "CreateRouteTable", "ReplaceRoute", "ReplaceRouteTableAssociation", "DeleteRouteTable", "DeleteRoute", "DisassociateRouteTable", source="ec2.amazonaws.com"),
    "vpc-changes": event(
        "CreateVpc", "DeleteVpc", "ModifyVpcAttribute", "AcceptVpcPeeringConnection", "CreateVpcPeeringConnection", "DeleteVpcPeeringConnection", "RejectVpcPeeringConnection",
        "AttachClassicLinkVpc", "DetachClassicLinkVpc", "DisableVpcClassicLink", "EnableVpcClassicLink"),
    "organization-changes": event(
        "AcceptHandshake", "AttachPolicy", "CreateAccount", "CreateOrganizationalUnit", "CreatePolicy", "DeclineHandshake", "DeleteOrganization", "DeleteOrganizationalUnit",
        "DeletePolicy", "DetachPolicy", "DisablePolicyType", "EnablePolicyType", "InviteAccountToOrganization", "LeaveOrganization", "MoveAccount",
        "RemoveAccountFromOrganization", "UpdatePolicy", "UpdateOrganizationalUnit", source="organizations.amazonaws.com"),
}


def watch_over(account, facts):
    key = facts["key", HOME]
    group = watch.log_group(account, HOME, "/audit/cloudtrail", days=400, key=key)
    watch.trail(account, HOME, "organization", LOGS, key=key, log_group=group, role=facts["trail_role"], data_events=True)
    account.client("cloudtrail").update_trail(Name="organization", IsOrganizationTrail=True)
    account.client("config").put_configuration_aggregator(ConfigurationAggregatorName="organization", OrganizationAggregationSource={
        "RoleArn": facts["AWSServiceRoleForConfig"], "AllAwsRegions": True})
    account.client("cloudtrail").put_insight_selectors(TrailName="organization", InsightSelectors=[{"InsightType": "ApiCallRateInsight"}, {"InsightType": "ApiErrorRateInsight"}])
    for name, pattern in ALARMS.items():
        watch.metric_alarm(account, HOME, "/audit/cloudtrail", name, pattern, facts["alarms"])
    for region in REGIONS:
        watch.recorder(account, region, facts["AWSServiceRoleForConfig"], LOGS, globals_too=region == HOME)
        watch.detector(account, region, features=watch.PROTECTION)
        guarded = account.client("guardduty", region)
        agents = [{"Name": name, "Status": "ENABLED"} for name in ("EKS_ADDON_MANAGEMENT", "ECS_FARGATE_AGENT_MANAGEMENT", "EC2_AGENT_MANAGEMENT")]
        guarded.update_detector(DetectorId=guarded.list_detectors()["DetectorIds"][0], Features=[{"Name": name, "Status": "ENABLED"} for name in watch.PROTECTION if name != "RUNTIME_MONITORING"] + [
            {"Name": "RUNTIME_MONITORING", "Status": "ENABLED", "AdditionalConfiguration": agents}])
        account.client("inspector2", region).enable(accountIds=[ACCOUNT], resourceTypes=["EC2", "ECR", "LAMBDA", "LAMBDA_CODE"])


def activity(account):
    account.activity(root={"created": "2024-11-02T08:00:00Z", "mfa": True}, users={}, roles={
        name: ["2026-01-14T10:00:00Z", HOME] for name in ("security-auditor", "support", "backup", "trail-to-logs", "flow-logs", "orders-api")})
