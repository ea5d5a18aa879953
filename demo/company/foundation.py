"""Tidewater's organization, keys, log buckets and what watches the account."""

from parts import data, governance, keys, watch
from parts.base import ACCOUNT, allow, deny, document

HOME, EUROPE, SYDNEY = "us-east-1", "eu-west-1", "ap-southeast-2"
LOGS = "tidewater-audit-logs"


def organization(account, facts):
    governance.organization(
        account,
        {"Production": ["tidewater-shop"], "Sandbox": ["tidewater-playground", "tidewater-training"], "Security": ["tidewater-log-archive"]},
        {
            "no-leaving": (document(deny("organizations:LeaveOrganization")), "root"),
            "sandbox-regions": (document(deny("*", "*", condition={"StringNotEquals": {"aws:RequestedRegion": [HOME, EUROPE]}})), "Sandbox"),
        },
    )
    facts["organization"] = account.client("organizations").describe_organization()["Organization"]["Id"]
    for region in (HOME, EUROPE, SYDNEY):
        # AWS's default, which moto leaves open.
        account.client("emr", region).put_block_public_access_configuration(BlockPublicAccessConfiguration={
            "BlockPublicSecurityGroupRules": True, "PermittedPublicSecurityGroupRuleRanges": [{"MinRange": 22, "MaxRange": 22}]})


def keys_of(account, facts):
    services = lambda *names: [allow(["kms:GenerateDataKey*", "kms:Decrypt"], principal={"Service": f"{name}.amazonaws.com"},
                                     condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}}) for name in names]
    facts["data_key"] = keys.key(account, HOME, "data", "data at rest", rotation=True, owner="platform")
    facts["audit_key"] = keys.key(account, HOME, "audit", "audit logs", rotation=True, owner="security", policy=keys.own_policy(
        *services("logs", "sns"), allow(["kms:GenerateDataKey*", "kms:DescribeKey"], principal={"Service": "cloudtrail.amazonaws.com"},
              condition={"StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": f"arn:aws:cloudtrail:*:{ACCOUNT}:trail/*"}})))
    keys.key(account, HOME, "legacy-exports", "exports of the old shop", policy=keys.own_policy(allow("kms:*", principal={"AWS": "*"}, sid="Everybody")))
    facts["old_backups"] = keys.key(account, HOME, "old-backups", "backups before 2022", rotation=True)
    keys.key(account, HOME, "unused", "made for a trial", disabled=True)
    keys.key(account, HOME, "release-signing", "signs releases", spec="RSA_4096")
    facts["europe_key"] = keys.key(account, EUROPE, "analytics", "analytics in Europe", rotation=True, multi_region=True, owner="data")
    # Whoever administers this key may also use it.
    keys.key(account, EUROPE, "partners", "files for partners", policy=keys.own_policy(
        allow(["kms:Create*", "kms:Put*", "kms:ScheduleKeyDeletion", "kms:Encrypt", "kms:Decrypt"], principal={"AWS": f"arn:aws:iam::{ACCOUNT}:role/inventory-vendor"})))
    facts["sydney_key"] = keys.key(account, SYDNEY, "outlet", "the outlet shop")


def log_buckets(account, facts):
    data.bucket(account, "tidewater-access-logs", versioning="Enabled", block=data.BLOCK_ALL, tls=True, lifecycle=True, owner="security",
                policy=[allow("s3:PutObject", "arn:aws:s3:::tidewater-access-logs/*", principal={"Service": "logging.s3.amazonaws.com"}, condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}})])
    data.bucket(account, LOGS, versioning="Enabled", key=facts["audit_key"], block=data.BLOCK_ALL, tls=True, lifecycle=True, lock=True,
                policy=watch.log_delivery(LOGS, "cloudtrail") + watch.log_delivery(LOGS, "config"), owner="security", classification="restricted")
    # The old trail still writes here: no versioning, no access log, no TLS-only policy.
    data.bucket(account, "tidewater-old-trail", own=None, policy=watch.log_delivery("tidewater-old-trail", "cloudtrail"))
    account.client("s3control").put_public_access_block(AccountId=ACCOUNT, PublicAccessBlockConfiguration={
        "BlockPublicAcls": True, "IgnorePublicAcls": False, "BlockPublicPolicy": False, "RestrictPublicBuckets": False})


ALARMS = {
    "root-login": '{ $.userIdentity.type = "Root" && $.userIdentity.invokedBy NOT EXISTS && $.eventType != "AwsServiceEvent" }',
    "unauthorized-calls": '{ ($.errorCode = "*UnauthorizedOperation") || ($.errorCode = "AccessDenied*") }',
    "login-without-mfa": '{ ($.eventName = "ConsoleLogin") && ($.additionalEventData.MFAUsed != "Yes") }',
    "policy-changes": '{ ($.eventName=DeleteGroupPolicy) || ($.eventName=PutUserPolicy) || ($.eventName=AttachRolePolicy) || ($.eventName=DetachRolePolicy) }',
    "trail-changes": '{ ($.eventName = CreateTrail) || ($.eventName = UpdateTrail) || ($.eventName = DeleteTrail) || ($.eventName = StartLogging) || ($.eventName = StopLogging) }',
    "security-group-changes": '{ ($.eventName = AuthorizeSecurityGroupIngress) || ($.eventName = AuthorizeSecurityGroupEgress) || ($.eventName = RevokeSecurityGroupIngress) || ($.eventName = CreateSecurityGroup) || ($.eventName = DeleteSecurityGroup) }',
}


def watch_over(account, facts):
    key = facts["audit_key"]
    group = watch.log_group(account, HOME, "/audit/cloudtrail", days=400, key=key)
    topic = watch.topic(account, HOME, "security-alarms", key=key, only_tls=True, subscribers=[("email", "security@tidewater.example")])
    facts["alarms"] = topic
    watch.trail(account, HOME, "organization", LOGS, key=key, log_group=group, role=f"arn:aws:iam::{ACCOUNT}:role/trail-to-logs", data_events=True)
    watch.trail(account, EUROPE, "europe-old", "tidewater-old-trail", everywhere=False, validation=False)
    watch.trail(account, SYDNEY, "outlet-trial", "tidewater-old-trail", everywhere=False, validation=False, logging=False)
    for number, (name, pattern) in enumerate(ALARMS.items()):
        # The last filter has no alarm: it counts, and nobody hears of it.
        watch.metric_alarm(account, HOME, "/audit/cloudtrail", name, pattern, topic if number < len(ALARMS) - 1 else None)
    recorder = f"arn:aws:iam::{ACCOUNT}:role/config-recorder"
    watch.recorder(account, HOME, recorder, LOGS, globals_too=True)
    watch.recorder(account, EUROPE, recorder, LOGS, running=False)
    # All plans but the two newest.
    watch.detector(account, HOME, features=watch.PROTECTION[:4])
    watch.detector(account, EUROPE, enabled=False)
    account.client("inspector2").enable(accountIds=[ACCOUNT], resourceTypes=["EC2", "ECR", "LAMBDA"])
    for region, name, days, encrypted in (
        (HOME, "/network/shop", 90, key), (HOME, "/ecs/checkout", 30, None), (HOME, "/apps/old-shop", None, None),
        (EUROPE, "/network/analytics", 365, None), (EUROPE, "/apps/reports", 3, None), (SYDNEY, "/apps/outlet", None, None),
    ):
        facts[name] = watch.log_group(account, region, name, days, encrypted)
    watch.topic(account, HOME, "orders", policy=[allow(["sns:Publish", "sns:Subscribe"], f"arn:aws:sns:{HOME}:{ACCOUNT}:orders", principal={"AWS": "*"}, sid="Everybody")])
    watch.topic(account, EUROPE, "reports-ready", key=facts["europe_key"])
    watch.topic(account, SYDNEY, "outlet-orders", subscribers=[("http", "http://hooks.tidewater.example/outlet")])
    letters = watch.queue(account, HOME, "orders-failed", only_tls=True)
    watch.queue(account, HOME, "orders", key=facts["data_key"], dead_letters=letters, only_tls=True)
    watch.queue(account, HOME, "thumbnails", managed=False)
    watch.queue(account, HOME, "partner-feed", policy=[allow("sqs:*", f"arn:aws:sqs:{HOME}:{ACCOUNT}:partner-feed", principal="*", sid="Everybody")])
    watch.queue(account, SYDNEY, "outlet-stock", managed=False, policy=[allow("sqs:SendMessage", f"arn:aws:sqs:{SYDNEY}:{ACCOUNT}:outlet-stock", principal={"AWS": "arn:aws:iam::210987654321:root"})])

