"""Tidewater's users, groups, roles and policies."""

from parts.base import ACCOUNT, allow, deny, document, trust
from parts.identity import group, policy, role, user

PARTNER = "210987654321"
MONITORING = "345678901234"


def legacy(account, facts):
    """2022: everybody an administrator, keys for everything."""
    iam = account.client("iam")
    iam.create_account_alias(AccountAlias="tidewater-production")
    iam.update_account_password_policy(
        MinimumPasswordLength=8, RequireSymbols=False, RequireNumbers=True, RequireUppercaseCharacters=False,
        RequireLowercaseCharacters=True, AllowUsersToChangePassword=True, PasswordReusePrevention=3,
    )
    group(account, "administrators", ["AdministratorAccess"])
    group(account, "developers", ["PowerUserAccess"], {"own-keys": document(allow("iam:*AccessKey*", f"arn:aws:iam::{ACCOUNT}:user/${{aws:username}}"))})
    group(account, "billing", ["job-function/Billing"])
    group(account, "former-agency", ["AmazonS3FullAccess"])

    user(account, "ops-admin", ["administrators"], password=True, mfa=True, team="operations")
    user(account, "ops-second", ["administrators"], password=True, team="operations")
    user(account, "developer-checkout", ["developers"], password=True, keys=1, team="checkout")
    user(account, "developer-search", ["developers"], password=True, mfa=True, keys=2, team="search")
    user(account, "finance-reports", ["billing"], password=True, team="finance")
    user(account, "agency-designer", ["former-agency"], password=True, keys=1, team="agency")
    user(account, "ci-deploy", attached=["AdministratorAccess"], keys=2, team="platform")
    user(account, "nightly-backup", keys=1, inactive_keys=1, inline={
        "backup": document(allow(["s3:*"], "*"), allow(["ec2:CreateSnapshot", "ec2:DescribeVolumes"], "*")),
    }, team="operations")
    user(account, "mail-sender", inline={"send": document(allow("ses:SendRawEmail", "*"))}, keys=1, team="marketing")

    everything = policy(account, "legacy-operations", document(allow("*", "*", sid="Everything")))
    policy(account, "old-support-access", document(allow("*", "*")))  # attached to nothing
    group(account, "operations-legacy", [everything])
    user(account, "ops-oncall", ["operations-legacy"], password=True, mfa=True, team="operations")

    role(account, "legacy-app", "ec2", ["AdministratorAccess"], profile=True)
    # A vendor's role without an external id: any customer of the vendor can ask for it.
    role(account, "inventory-vendor", trust({"AWS": f"arn:aws:iam::{PARTNER}:root"}), ["AmazonS3ReadOnlyAccess", "AmazonRDSReadOnlyAccess"])
    role(account, "anybody-in-organization", trust({"AWS": "*"}, {"StringEquals": {"aws:PrincipalOrgID": facts["organization"]}}), ["ReadOnlyAccess"])
    role(account, "open-import", trust({"AWS": "*"}), inline={"import": document(allow("s3:PutObject", "arn:aws:s3:::tidewater-imports/*"))})


def platform(account, facts):
    """2024: roles in place of keys, boundaries, a pipeline with its own identity."""
    iam = account.client("iam")
    boundary = policy(account, "workload-boundary", document(
        allow(["s3:*", "dynamodb:*", "sqs:*", "sns:*", "logs:*", "kms:Decrypt", "kms:GenerateDataKey", "xray:*"]),
        deny(["iam:*", "organizations:*", "account:*"]),
    ))
    facts["boundary"] = boundary
    identity = iam.create_open_id_connect_provider(
        Url="https://token.actions.githubusercontent.com", ClientIDList=["sts.amazonaws.com"], ThumbprintList=["6938fd4d98bab03faadb97b34396831e3780aea1"],
    )["OpenIDConnectProviderArn"]
    iam.create_saml_provider(Name="workforce", SAMLMetadataDocument="<EntityDescriptor entityID='https://login.tidewater.example'>" + "x" * 1000 + "</EntityDescriptor>")

    def from_pipeline(repository):
        return trust({"Federated": identity}, {
            "StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"},
            "StringLike": {"token.actions.githubusercontent.com:sub": repository},
        }, "sts:AssumeRoleWithWebIdentity")

    role(account, "pipeline-checkout", from_pipeline("repo:tidewater/checkout:ref:refs/heads/main"), inline={
        "deploy": document(allow(["ecs:UpdateService", "ecs:RegisterTaskDefinition", "ecs:DescribeServices"], "*"),
                           allow("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/checkout-task", condition={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}})),
    }, boundary=boundary)
    # Any repository of any organisation may take this one.
    role(account, "pipeline-infrastructure", from_pipeline("repo:*"), ["AdministratorAccess"], hours=12)

    workforce = trust({"Federated": f"arn:aws:iam::{ACCOUNT}:saml-provider/workforce"}, {"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}}, "sts:AssumeRoleWithSAML")
    role(account, "workforce-administrator", workforce, ["AdministratorAccess"], hours=4)
    role(account, "workforce-auditor", workforce, ["SecurityAudit", "job-function/ViewOnlyAccess"])
    role(account, "workforce-support", workforce, ["AWSSupportAccess"])
    role(account, "monitoring-vendor", trust({"AWS": f"arn:aws:iam::{MONITORING}:role/collector"}, {"StringEquals": {"sts:ExternalId": "tidewater-4711"}}), ["job-function/ViewOnlyAccess"], vendor="monitoring")
    role(account, "break-glass", trust({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, {"Bool": {"aws:MultiFactorAuthPresent": "true"}}), ["AdministratorAccess"])

    for name, actions, resources in (
        ("orders-api", ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"], f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/orders"),
        ("thumbnails", ["s3:GetObject", "s3:PutObject"], "arn:aws:s3:::tidewater-product-images/*"),
        ("newsletter", ["ses:*", "s3:*"], "*"),
    ):
        role(account, f"{name}-function", "lambda", ["service-role/AWSLambdaBasicExecutionRole"], {name: document(allow(actions, resources))}, boundary=boundary if resources != "*" else None)
    role(account, "checkout-task", "ecs-tasks", ["service-role/AmazonECSTaskExecutionRolePolicy"], {
        "checkout": document(allow(["sqs:SendMessage"], f"arn:aws:sqs:us-east-1:{ACCOUNT}:orders"), allow("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:checkout/*")),
    }, boundary=boundary)
    role(account, "kubernetes-control", "eks", ["AmazonEKSClusterPolicy"])
    role(account, "web-server", "ec2", ["AmazonSSMManagedInstanceCore", "CloudWatchAgentServerPolicy"], profile=True)
    role(account, "reporting-job", "ec2", inline={"reports": document(allow(["redshift:*", "s3:GetObject", "s3:ListBucket"], "*"), allow("iam:PassRole", "*"))}, profile=True)
    role(account, "config-recorder", "config", ["service-role/AWS_ConfigRole"])
    role(account, "trail-to-logs", "cloudtrail", inline={"logs": document(allow(["logs:CreateLogStream", "logs:PutLogEvents"], f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/audit/cloudtrail:*"))})
    role(account, "flow-logs", "vpc-flow-logs", inline={"logs": document(allow(["logs:CreateLogStream", "logs:PutLogEvents"], f"arn:aws:logs:*:{ACCOUNT}:log-group:/network/*"))})
    role(account, "order-flow", "states", inline={"invoke": document(allow("lambda:InvokeFunction", f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:*"))})


def lately(account, facts):
    """2025: a new country, done in a hurry."""
    user(account, "outlet-admin", attached=["AdministratorAccess", "IAMUserChangePassword"], password=True, keys=1, team="outlet")
    user(account, "data-export", keys=1, inline={"export": document(allow(["s3:GetObject", "s3:ListBucket"], ["arn:aws:s3:::tidewater-reports", "arn:aws:s3:::tidewater-reports/*"]))}, boundary=facts["boundary"], team="data")
    user(account, "developer-outlet", ["developers"], password=True, mfa=True, team="outlet")
    # Not an administrator by name: it can make itself one.
    support = policy(account, "outlet-support", document(allow(["iam:CreatePolicyVersion", "iam:AttachUserPolicy", "iam:PassRole", "lambda:CreateFunction", "lambda:InvokeFunction"], "*")))
    user(account, "outlet-support", attached=[support], password=True, keys=1, team="outlet")
    role(account, "outlet-instance", "ec2", ["AmazonS3FullAccess"], profile=True)
    role(account, "outlet-function", "lambda", ["AdministratorAccess"])


def yesterday(account, facts):
    """A new colleague, who has not signed in yet."""
    user(account, "new-analyst", password=True, team="data")


def activity(account):
    """When passwords, keys and roles were last used, seen from 15 January 2026."""
    account.activity(
        root={
            "mfa": False,
            "password_used": "2026-01-04T19:22:10Z",
            "key": {"created": "2021-02-09T08:30:00Z", "used": "2025-11-28T02:00:03Z", "region": "us-east-1", "service": "s3"},
        },
        users={
            "ops-admin": {"password": "2026-01-15T07:58:00Z"},
            "ops-second": {"password": "2025-12-30T09:12:00Z"},
            "developer-checkout": {"password": "2026-01-14T12:40:00Z", "keys": [["2026-01-14T13:01:00Z", "ecr", "us-east-1"]]},
            "developer-search": {"password": "2025-10-02T08:00:00Z", "keys": [["2026-01-13T15:20:00Z", "es", "eu-west-1"], ["2023-04-02T10:00:00Z", "s3", "us-east-1"]]},
            "finance-reports": {"password": "2025-06-30T17:05:00Z"},
            "agency-designer": {"password": "2023-08-11T11:11:00Z", "keys": [["2023-09-01T09:30:00Z", "s3", "us-east-1"]]},
            "ci-deploy": {"keys": [["2026-01-15T11:47:00Z", "cloudformation", "us-east-1"], ["2024-03-01T10:00:00Z", "ecs", "us-east-1"]]},
            "mail-sender": {"keys": [["2026-01-15T06:00:00Z", "ses", "us-east-1"]]},
            "ops-oncall": {"password": "2026-01-10T03:14:00Z"},
            "outlet-admin": {"password": "2026-01-15T02:30:00Z", "keys": [["2026-01-15T02:45:00Z", "ec2", "ap-southeast-2"]]},
            "data-export": {"keys": [["2026-01-15T04:00:00Z", "s3", "us-east-1"]]},
            "developer-outlet": {"password": "2026-01-14T23:10:00Z"},
        },
        roles={
            "legacy-app": ["2026-01-15T11:00:00Z", "us-east-1"],
            "inventory-vendor": ["2024-05-17T09:00:00Z", "us-east-1"],
            "pipeline-checkout": ["2026-01-15T10:20:00Z", "us-east-1"],
            "pipeline-infrastructure": ["2026-01-12T14:02:00Z", "us-east-1"],
            "workforce-administrator": ["2026-01-15T08:01:00Z", "us-east-1"],
            "workforce-auditor": ["2025-12-19T10:30:00Z", "us-east-1"],
            "monitoring-vendor": ["2026-01-15T11:59:00Z", "eu-west-1"],
            "orders-api-function": ["2026-01-15T11:59:00Z", "us-east-1"],
            "thumbnails-function": ["2026-01-15T11:58:00Z", "us-east-1"],
            "checkout-task": ["2026-01-15T11:59:00Z", "us-east-1"],
            "web-server": ["2026-01-15T11:59:00Z", "us-east-1"],
            "outlet-instance": ["2026-01-15T11:57:00Z", "ap-southeast-2"],
        },
    )
