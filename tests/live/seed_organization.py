"""An organisation on a moto server: root → workloads → production → a member account, with a service control policy at
each level, and a user in the member account. Prints the id of the member account and what it is in.

    AWS_ENDPOINT_URL=http://127.0.0.1:PORT python tests/live/seed_organization.py
"""

import json

import boto3


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def deny(action):
    return {"Effect": "Deny", "Action": action, "Resource": "*"}


def main():
    organizations = boto3.client("organizations")
    organizations.create_organization(FeatureSet="ALL")
    root = organizations.list_roots()["Roots"][0]["Id"]
    organizations.enable_policy_type(RootId=root, PolicyType="SERVICE_CONTROL_POLICY")
    unit = lambda parent, name: organizations.create_organizational_unit(ParentId=parent, Name=name)["OrganizationalUnit"]["Id"]
    workloads = unit(root, "workloads")
    production = unit(workloads, "production")
    other = unit(root, "other")
    account = organizations.create_account(AccountName="shop", Email="shop@example.com")["CreateAccountStatus"]["AccountId"]
    organizations.move_account(AccountId=account, SourceParentId=root, DestinationParentId=production)
    for name, action, target in [
        ("keep-keys", "kms:ScheduleKeyDeletion", root),
        ("no-queues", "sqs:*", workloads),
        ("no-topics", "sns:*", production),
        ("no-functions", "lambda:*", account),
        ("no-machines", "ec2:*", other),
    ]:
        made = organizations.create_policy(Name=name, Description=name, Type="SERVICE_CONTROL_POLICY", Content=document(deny(action)))
        organizations.attach_policy(PolicyId=made["Policy"]["PolicySummary"]["Id"], TargetId=target)

    role = f"arn:aws:iam::{account}:role/OrganizationAccountAccessRole"
    session = boto3.client("sts").assume_role(RoleArn=role, RoleSessionName="seed")["Credentials"]
    iam = boto3.client(
        "iam",
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    )
    iam.create_user(UserName="dev")
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    iam.put_user_policy(UserName="dev", PolicyName="everything", PolicyDocument=document(everything))
    print(json.dumps({"account": account, "role": role, "chain": [root, workloads, production, account]}))


main()
