"""A small account in two regions for the live test, on any moto server: prints what must be found there as JSON.

    MOTO_EC2_LOAD_DEFAULT_AMIS=false MOTO_IAM_LOAD_MANAGED_POLICIES=true moto_server --port PORT
    AWS_ENDPOINT_URL=http://127.0.0.1:PORT python tests/live/seed_small.py

The output is {"account": …, "regions": […], "facts": {fact: [identifiers]}}. A fact is a plain statement about AWS's
state ("s3_public_policy"), not a check id: the test that uses it says which check must agree.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "demo"))

from parts import apps, compute, data, identity, keys, network, watch  # noqa: E402
from parts.base import ACCOUNT, HOME, Account, allow, document, trust  # noqa: E402

OTHER = "eu-west-1"


def main():
    account = Account()
    account.without_docker()
    facts = {}
    for part in (people, buckets, machines, databases, secrets, logs):
        part(account, facts)
    print(json.dumps({"account": ACCOUNT, "regions": [HOME, OTHER], "facts": {name: sorted(ids) for name, ids in sorted(facts.items())}}, indent=1))


def people(account, facts):
    identity.group(account, "admins", ["AdministratorAccess"])
    identity.user(account, "with-mfa", ["admins"], password=True, mfa=True)
    identity.user(account, "without-mfa", password=True, keys=1)
    identity.user(account, "two-keys", keys=2)
    everything = identity.policy(account, "everything", document(allow("*", "*")))
    identity.user(account, "direct", attached=[everything])
    identity.role(account, "open-role", trust({"AWS": "*"}))
    identity.role(account, "function", "lambda", ["service-role/AWSLambdaBasicExecutionRole"])
    facts["iam_users"] = ["with-mfa", "without-mfa", "two-keys", "direct"]
    facts["iam_console_without_mfa"] = ["without-mfa"]
    facts["iam_two_active_keys"] = ["two-keys"]
    facts["iam_attached_to_user"] = ["direct"]
    facts["iam_policy_everything"] = [everything]
    facts["iam_role_trusts_everybody"] = ["open-role"]


def buckets(account, facts):
    data.bucket(account, "live-good", versioning="Enabled", block=data.BLOCK_ALL, tls=True)
    data.bucket(account, "live-public", policy=[allow("s3:GetObject", "arn:aws:s3:::live-public/*", principal="*")])
    data.bucket(account, "live-europe", OTHER, acl="public-read", own="ObjectWriter")
    facts["s3_buckets"] = ["live-good", "live-public", "live-europe"]
    facts["s3_versioned"] = ["live-good"]
    facts["s3_only_tls"] = ["live-good"]
    facts["s3_block_public_access"] = ["live-good"]
    facts["s3_public_policy"] = ["live-public"]
    facts["s3_public_acl"] = ["live-europe"]


def machines(account, facts):
    facts["ec2_instances"], facts["ec2_imds_v1"], facts["ec2_public_instances"] = [], [], []
    facts["ec2_ssh_from_anywhere"], facts["ec2_vpcs"], facts["ec2_vpcs_without_flow_logs"] = [], [], []
    facts["ec2_volumes"], facts["ec2_volumes_not_encrypted"], facts["ec2_public_snapshots"] = [], [], []
    for region, cidr in ((HOME, "10.8.0.0/16"), (OTHER, "10.9.0.0/16")):
        ec2 = account.client("ec2", region)
        net = network.vpc(account, region, "live", cidr)
        subnet = network.subnet(account, region, net, "public", cidr.replace(".0.0/16", ".1.0/24"), "a", public=True)
        gateway = network.internet_gateway(account, region, net, "live")
        network.route_table(account, region, net, "public", [subnet], [(network.ANYWHERE, {"GatewayId": gateway})])
        ssh = network.security_group(account, region, net, "ssh", "open", [network.rule(22, [network.ANYWHERE_6 if region == OTHER else network.ANYWHERE])])
        inside = network.security_group(account, region, net, "inside", "closed", [network.rule(443, ["10.0.0.0/8"])])
        compute.key_pair(account, region)
        image = compute.image(account, region, "live")
        old = compute.instance(account, region, "old", image, subnet, [ssh], tokens="optional", public=True, encrypted=False)
        new = compute.instance(account, region, "new", image, subnet, [inside], tokens="required")
        spare = compute.volume(account, region, "spare")
        sealed = compute.volume(account, region, "sealed", encrypted=True)
        facts["ec2_public_snapshots"].append(compute.snapshot(account, region, spare, "shared", public=True))
        facts["ec2_instances"] += [old, new]
        facts["ec2_imds_v1"].append(old)
        facts["ec2_public_instances"].append(old)
        facts["ec2_ssh_from_anywhere"].append(ssh)
        facts["ec2_vpcs"] += [found["VpcId"] for found in ec2.describe_vpcs()["Vpcs"]]
        facts["ec2_vpcs_without_flow_logs"] = list(facts["ec2_vpcs"])
        for volume in ec2.describe_volumes()["Volumes"]:
            facts["ec2_volumes"].append(volume["VolumeId"])
            if not volume["Encrypted"]:
                facts["ec2_volumes_not_encrypted"].append(volume["VolumeId"])
        assert sealed not in facts["ec2_volumes_not_encrypted"]


def databases(account, facts):
    data.database(account, HOME, "live-good")
    data.database(account, OTHER, "live-bad", public=True, encrypted=False, multi_zone=False, backup_days=0, protect=False)
    data.table(account, HOME, "live-good", recovery=True, protect=True)
    data.table(account, OTHER, "live-plain")
    facts["rds_instances"] = ["live-good", "live-bad"]
    facts["rds_public"] = facts["rds_not_encrypted"] = facts["rds_one_zone"] = ["live-bad"]
    facts["dynamodb_tables"] = ["live-good", "live-plain"]
    facts["dynamodb_without_recovery"] = ["live-plain"]


def secrets(account, facts):
    rotated = keys.key(account, HOME, "live-rotated", "rotated", rotation=True)
    plain = keys.key(account, OTHER, "live-plain", "not rotated")
    keys.secret(account, HOME, "live/secret")
    facts["kms_rotated"], facts["kms_not_rotated"] = [rotated], [plain]
    facts["secretsmanager_not_rotated"] = ["live/secret"]


def logs(account, facts):
    data.bucket(account, "live-trail", policy=watch.log_delivery("live-trail", "cloudtrail"))
    facts["s3_buckets"].append("live-trail")
    watch.trail(account, HOME, "live", "live-trail", key=None)
    watch.log_group(account, HOME, "/live/kept", days=400)
    watch.log_group(account, OTHER, "/live/forever")
    watch.queue(account, OTHER, "live-open", policy=[allow("sqs:SendMessage", f"arn:aws:sqs:{OTHER}:{ACCOUNT}:live-open", principal="*")])
    topic = watch.topic(account, HOME, "live-plain")
    apps.function(account, HOME, "live-public", identity.role_arn("function"), public=True)
    apps.function(account, OTHER, "live-old", identity.role_arn("function"), runtime="python3.8")
    facts["cloudtrail_all_regions"] = ["live"]
    facts["logs_never_expire"] = ["/live/forever"]
    facts["sqs_open_policy"] = ["live-open"]
    facts["sns_not_encrypted"] = [topic]
    facts["lambda_public"] = ["live-public"]
    facts["lambda_old_runtime"] = ["live-old"]


if __name__ == "__main__":
    main()
