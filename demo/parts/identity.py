"""IAM: users, groups, roles, policies, providers."""

from .base import ACCOUNT, trust

AWS_POLICY = "arn:aws:iam::aws:policy/"


def group(account, name, attached=(), inline=None):
    iam = account.client("iam")
    iam.create_group(GroupName=name)
    for policy in attached:
        iam.attach_group_policy(GroupName=name, PolicyArn=arn(policy))
    for policy, text in (inline or {}).items():
        iam.put_group_policy(GroupName=name, PolicyName=policy, PolicyDocument=text)


def user(account, name, groups=(), attached=(), inline=None, keys=0, inactive_keys=0, password=False, mfa=False, boundary=None, **labels):
    iam = account.client("iam")
    extra = {"PermissionsBoundary": boundary} if boundary else {}
    iam.create_user(UserName=name, Tags=[{"Key": k, "Value": v} for k, v in labels.items()], **extra)
    for group_name in groups:
        iam.add_user_to_group(UserName=name, GroupName=group_name)
    for policy in attached:
        iam.attach_user_policy(UserName=name, PolicyArn=arn(policy))
    for policy, text in (inline or {}).items():
        iam.put_user_policy(UserName=name, PolicyName=policy, PolicyDocument=text)
    for number in range(keys + inactive_keys):
        key = iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
        if number >= keys:
            iam.update_access_key(UserName=name, AccessKeyId=key, Status="Inactive")
    if password:
        iam.create_login_profile(UserName=name, Password="Not-A-Real-Password-1", PasswordResetRequired=False)
    if mfa:
        enable_mfa(account, name)


def enable_mfa(account, name):
    iam = account.client("iam")
    serial = iam.create_virtual_mfa_device(VirtualMFADeviceName=name)["VirtualMFADevice"]["SerialNumber"]
    iam.enable_mfa_device(UserName=name, SerialNumber=serial, AuthenticationCode1="123456", AuthenticationCode2="654321")


def policy(account, name, text, path="/"):
    """A managed policy of the account; returns its ARN."""
    return account.client("iam").create_policy(PolicyName=name, PolicyDocument=text, Path=path)["Policy"]["Arn"]


def role(account, name, trusted, attached=(), inline=None, path="/", boundary=None, profile=False, hours=1, **labels):
    """A role; `trusted` is a service (`ec2`), or a whole trust policy. Returns its ARN."""
    iam = account.client("iam")
    if not trusted.startswith("{"):
        trusted = trust({"Service": f"{trusted}.amazonaws.com"})
    extra = {"PermissionsBoundary": boundary} if boundary else {}
    made = iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=trusted,
        Path=path,
        MaxSessionDuration=hours * 3600,
        Tags=[{"Key": k, "Value": v} for k, v in labels.items()],
        **extra,
    )
    for policy_name in attached:
        iam.attach_role_policy(RoleName=name, PolicyArn=arn(policy_name))
    for policy_name, text in (inline or {}).items():
        iam.put_role_policy(RoleName=name, PolicyName=policy_name, PolicyDocument=text)
    if profile:
        iam.create_instance_profile(InstanceProfileName=name)
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    return made["Role"]["Arn"]


def arn(policy_name):
    """AWS's managed policy of this name, or the ARN that it is already."""
    return policy_name if policy_name.startswith("arn:") else AWS_POLICY + policy_name


def role_arn(name):
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"
