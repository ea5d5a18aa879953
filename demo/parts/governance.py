"""Organizations, CloudFormation, SSM documents and patching."""

import json

from .base import tags


def organization(account, units, policies):
    """`units`: name to account names; `policies`: name to (document, where: `root` or a unit's name)."""
    client = account.client("organizations")
    client.create_organization(FeatureSet="ALL")
    root = client.list_roots()["Roots"][0]["Id"]
    made = {"root": root}
    for unit, members in units.items():
        made[unit] = client.create_organizational_unit(ParentId=root, Name=unit)["OrganizationalUnit"]["Id"]
        for name in members:
            member = client.create_account(AccountName=name, Email=f"aws+{name}@tidewater.example")["CreateAccountStatus"]["AccountId"]
            client.move_account(AccountId=member, SourceParentId=root, DestinationParentId=made[unit])
    client.enable_policy_type(RootId=root, PolicyType="SERVICE_CONTROL_POLICY")
    for name, (text, where) in policies.items():
        policy = client.create_policy(Content=text, Description=name, Name=name, Type="SERVICE_CONTROL_POLICY")["Policy"]["PolicySummary"]["Id"]
        client.attach_policy(PolicyId=policy, TargetId=made[where])
    return made


def stack(account, region, name, protect=False, parameters=None, role=None, topics=()):
    """A stack that makes one log group; `parameters` are plain-text inputs."""
    declared = {key: {"Type": "String", "Default": value} for key, value in (parameters or {}).items()}
    template = {"Resources": {"Log": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": f"/stacks/{name}"}}}}
    if declared:
        template["Parameters"] = declared
    extra = {"RoleARN": role} if role else {}
    account.client("cloudformation", region).create_stack(
        StackName=name, TemplateBody=json.dumps(template), EnableTerminationProtection=protect, Tags=tags(name),
        NotificationARNs=list(topics), **extra,
    )


def shared_document(account, region, name, shared_with=None):
    """An SSM document; `shared_with` an account id, or `all` for everybody."""
    ssm = account.client("ssm", region)
    content = {"schemaVersion": "2.2", "description": name,
               "mainSteps": [{"action": "aws:runShellScript", "name": "run", "inputs": {"runCommand": ["systemctl restart app"]}}]}
    ssm.create_document(Content=json.dumps(content), Name=name, DocumentType="Command", DocumentFormat="JSON")
    if shared_with:
        ssm.modify_document_permission(Name=name, PermissionType="Share", AccountIdsToAdd=[shared_with])


def patching(account, region, name, days=7, window=True):
    """A patch baseline, and a maintenance window that runs it."""
    ssm = account.client("ssm", region)
    approval = {"PatchRules": [{"PatchFilterGroup": {"PatchFilters": [{"Key": "CLASSIFICATION", "Values": ["Security"]}]},
                                "ComplianceLevel": "CRITICAL", "ApproveAfterDays": days, "EnableNonSecurity": False}]}
    ssm.create_patch_baseline(Name=name, OperatingSystem="AMAZON_LINUX_2023", ApprovalRules=approval, Description=name)
    if window:
        ssm.create_maintenance_window(Name=name, Schedule="cron(0 2 ? * SUN *)", Duration=3, Cutoff=1, AllowUnassociatedTargets=False)
