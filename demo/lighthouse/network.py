"""Lighthouse's network: private subnets, endpoints instead of the internet, flow logs."""

from parts import network as parts
from parts import watch
from parts.base import ACCOUNT, allow, document

from .foundation import EUROPE, HOME, REGIONS


def network(account, facts):
    for region in REGIONS:
        ec2 = account.client("ec2", region)
        # Nobody needs the VPC that AWS makes in every region.
        for default in ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]:
            for subnet in ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [default["VpcId"]]}])["Subnets"]:
                ec2.delete_subnet(SubnetId=subnet["SubnetId"])
            for gateway in ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [default["VpcId"]]}])["InternetGateways"]:
                ec2.detach_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"], VpcId=default["VpcId"])
                ec2.delete_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"])
            ec2.delete_vpc(VpcId=default["VpcId"])
        # moto keeps its access list; it lets nothing through any more.
        for left in ec2.describe_network_acls()["NetworkAcls"]:
            for egress in (False, True):
                ec2.delete_network_acl_entry(NetworkAclId=left["NetworkAclId"], RuleNumber=100, Egress=egress)
    vpc = parts.vpc(account, HOME, "orders", "10.20.0.0/16", owner="platform")
    facts["vpc"] = vpc
    facts["subnets"] = [parts.subnet(account, HOME, vpc, f"private-{zone}", f"10.20.{number}.0/24", zone) for number, zone in enumerate("ab")]
    ec2 = account.client("ec2", HOME)
    for subnet in facts["subnets"]:
        ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": False})
    for acl in ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["NetworkAcls"]:
        for egress in (False, True):
            ec2.replace_network_acl_entry(NetworkAclId=acl["NetworkAclId"], RuleNumber=100, RuleAction="allow", Protocol="-1", Egress=egress, CidrBlock="10.20.0.0/16")
    table = parts.route_table(account, HOME, vpc, "private", facts["subnets"], [])
    parts.close_default_group(account, HOME, vpc)
    facts["log_group", "flow"] = watch.log_group(account, HOME, "/network/orders", days=400, key=facts["key", HOME])
    parts.flow_log(account, HOME, vpc, log_group="/network/orders", role=facts["flow_role"])
    inside = parts.rule(443, ["10.20.0.0/16"], about="HTTPS from inside")
    facts["endpoint_group"] = parts.security_group(account, HOME, vpc, "endpoints", "interface endpoints", [inside], egress=[parts.rule(443, ["10.20.0.0/16"], about="answers inside")])
    facts["app_group"] = parts.security_group(account, HOME, vpc, "orders-api", "the orders function", [], egress=[parts.rule(443, ["10.20.0.0/16"], about="endpoints")])
    own = document(allow("*", "*", principal={"AWS": "*"}, condition={"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}))
    for service in ("s3", "dynamodb"):
        parts.endpoint(account, HOME, vpc, service, tables=[table], policy=own)
    for service in ("ec2", "ecr.api", "ecr.dkr", "ssm", "ssmmessages", "ec2messages", "kms", "sqs", "logs", "secretsmanager", "sts"):
        parts.endpoint(account, HOME, vpc, service, subnets=facts["subnets"], groups=[facts["endpoint_group"]], policy=own)
