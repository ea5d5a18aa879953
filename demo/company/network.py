"""Tidewater's VPCs: the old shop, the platform, analytics in Europe, the outlet in Sydney."""

from parts.base import ACCOUNT, allow, document
from parts.network import (
    ANYWHERE, ANYWHERE_6, close_default_group, default_group, endpoint, flow_log, internet_gateway, nat_gateway,
    network_acl, route_table, rule, security_group, subnet, vpc,
)

from .foundation import EUROPE, HOME, LOGS, SYDNEY


def legacy(account, facts):
    """One flat public network without logs, groups open to the world."""
    ec2 = account.client("ec2")
    net = vpc(account, HOME, "legacy", "10.1.0.0/16", ipv6=True)
    facts["legacy_vpc"] = net
    facts["legacy_subnets"] = [subnet(account, HOME, net, f"legacy-{zone}", f"10.1.{number}.0/24", zone, public=True) for number, zone in enumerate("ab")]
    gateway = internet_gateway(account, HOME, net, "legacy")
    route_table(account, HOME, net, "legacy", facts["legacy_subnets"], [(ANYWHERE, {"GatewayId": gateway}), (ANYWHERE_6, {"GatewayId": gateway})])
    ec2.authorize_security_group_ingress(GroupId=default_group(account, HOME, net), IpPermissions=[rule(22, [ANYWHERE], about="quick fix")])
    facts["legacy_web"] = security_group(account, HOME, net, "legacy-web", "old shop", [rule(80, [ANYWHERE, ANYWHERE_6]), rule(22, [ANYWHERE])])
    facts["legacy_windows"] = security_group(account, HOME, net, "legacy-windows", "accounting server", [rule(3389, [ANYWHERE]), rule((135, 139), ["10.0.0.0/8"])])
    facts["legacy_database"] = security_group(account, HOME, net, "legacy-database", "old database", [rule(5432, [ANYWHERE_6]), rule(5432, ["10.1.0.0/16"])])
    security_group(account, HOME, net, "migration-temporary", "for the move, remove afterwards", [rule(None, [ANYWHERE], "-1")])
    network_acl(account, HOME, net, "legacy-open", [
        (100, "allow", "6", (22, 22), ANYWHERE, False), (110, "allow", "6", (3389, 3389), ANYWHERE, False), (120, "allow", "-1", None, ANYWHERE, True)])


def platform(account, facts):
    """Three tiers, endpoints, logs; and analytics in Europe."""
    net = vpc(account, HOME, "platform", "10.0.0.0/16", team="platform", environment="production")
    facts["vpc"] = net
    for tier, base in (("public", 0), ("private", 16), ("data", 32)):
        facts[f"{tier}_subnets"] = [subnet(account, HOME, net, f"{tier}-{zone}", f"10.0.{base + number}.0/24", zone) for number, zone in enumerate("ab")]
    gateway = internet_gateway(account, HOME, net, "platform")
    nat = nat_gateway(account, HOME, facts["public_subnets"][0], "platform")
    route_table(account, HOME, net, "public", facts["public_subnets"], [(ANYWHERE, {"GatewayId": gateway})])
    private = route_table(account, HOME, net, "private", facts["private_subnets"], [(ANYWHERE, {"NatGatewayId": nat})])
    isolated = route_table(account, HOME, net, "data", facts["data_subnets"], [])
    close_default_group(account, HOME, net)

    facts["balancer_group"] = security_group(account, HOME, net, "balancer", "from the internet", [rule(443, [ANYWHERE], about="customers"), rule(80, [ANYWHERE], about="redirect")])
    facts["app_group"] = security_group(account, HOME, net, "app", "from the balancer", [rule(8080, [facts["balancer_group"]])], egress=[rule(443, [ANYWHERE]), rule(5432, ["10.0.32.0/20"])])
    facts["data_group"] = security_group(account, HOME, net, "data", "from the app", [rule(5432, [facts["app_group"]]), rule(6379, [facts["app_group"]])], egress=[])
    facts["bastion_group"] = security_group(account, HOME, net, "bastion", "way in for operations", [rule(22, [ANYWHERE, ANYWHERE_6], about="any network")])
    endpoints = security_group(account, HOME, net, "endpoints", "AWS endpoints", [rule(443, ["10.0.0.0/16"])], egress=[])

    only_own = document(allow("s3:*", "*", principal="*", condition={"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}))
    endpoint(account, HOME, net, "s3", tables=[private, isolated], policy=only_own)
    endpoint(account, HOME, net, "ssm", subnets=facts["private_subnets"], groups=[endpoints])
    endpoint(account, HOME, net, "secretsmanager", subnets=facts["private_subnets"], groups=[endpoints])
    flow_log(account, HOME, net, log_group="/network/shop", role=f"arn:aws:iam::{ACCOUNT}:role/flow-logs")
    peering = account.client("ec2").create_vpc_peering_connection(VpcId=net, PeerVpcId=facts["legacy_vpc"])["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    account.client("ec2").accept_vpc_peering_connection(VpcPeeringConnectionId=peering)
    account.client("ec2").allocate_address(Domain="vpc")  # belongs to nothing

    europe = vpc(account, EUROPE, "analytics", "10.2.0.0/16", team="data")
    facts["europe_vpc"] = europe
    facts["europe_subnets"] = [subnet(account, EUROPE, europe, f"private-{zone}", f"10.2.{number}.0/24", zone) for number, zone in enumerate("ab")]
    facts["europe_public"] = [subnet(account, EUROPE, europe, f"public-{zone}", f"10.2.{number + 8}.0/24", zone, public=True) for number, zone in enumerate("ab")]
    gateway = internet_gateway(account, EUROPE, europe, "analytics")
    route_table(account, EUROPE, europe, "public", facts["europe_public"], [(ANYWHERE, {"GatewayId": gateway})])
    close_default_group(account, EUROPE, europe)
    facts["warehouse_group"] = security_group(account, EUROPE, europe, "warehouse", "partners load data", [rule(5439, [ANYWHERE])])
    facts["search_group"] = security_group(account, EUROPE, europe, "search", "search", [rule(443, ["10.2.0.0/16"])])
    facts["office_group"] = security_group(account, EUROPE, europe, "office", "from the office", [rule(22, ["198.51.100.0/24"], about="office"), rule(443, ["198.51.100.0/24"])])
    flow_log(account, EUROPE, europe, bucket=LOGS, traffic="REJECT")


def outlet(account, facts):
    """Sydney: everything public, in the default network and one more."""
    ec2 = account.client("ec2", SYDNEY)
    net = vpc(account, SYDNEY, "outlet", "10.3.0.0/16", team="outlet")
    facts["sydney_vpc"] = net
    facts["sydney_subnets"] = [subnet(account, SYDNEY, net, f"outlet-{zone}", f"10.3.{number}.0/24", zone, public=True) for number, zone in enumerate("ab")]
    gateway = internet_gateway(account, SYDNEY, net, "outlet")
    route_table(account, SYDNEY, net, "outlet", facts["sydney_subnets"], [(ANYWHERE, {"GatewayId": gateway})])
    facts["outlet_group"] = security_group(account, SYDNEY, net, "outlet-all", "outlet", [
        rule((0, 65535), [ANYWHERE], about="until the launch"), rule(3306, [ANYWHERE, ANYWHERE_6]), rule(27017, [ANYWHERE]), rule(9200, [ANYWHERE])])
    facts["outlet_kubernetes"] = security_group(account, SYDNEY, net, "outlet-kubernetes", "cluster", [rule((10250, 10255), [ANYWHERE]), rule(53, [ANYWHERE], "udp")])
    default = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    facts["sydney_telnet"] = security_group(account, SYDNEY, default, "till-system", "tills", [rule(23, [ANYWHERE]), rule(21, [ANYWHERE])])
