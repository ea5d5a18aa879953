"""EC2's network: VPCs, subnets, routes, gateways, groups, lists, endpoints, flow logs."""

from .base import tag_specification

ANYWHERE = "0.0.0.0/0"
ANYWHERE_6 = "::/0"


def vpc(account, region, name, cidr, ipv6=False, **labels):
    ec2 = account.client("ec2", region)
    made = ec2.create_vpc(CidrBlock=cidr, AmazonProvidedIpv6CidrBlock=ipv6, TagSpecifications=tag_specification("vpc", name, **labels))
    vpc_id = made["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc_id, EnableDnsHostnames={"Value": True})
    return vpc_id


def subnet(account, region, vpc_id, name, cidr, zone, public=False):
    ec2 = account.client("ec2", region)
    made = ec2.create_subnet(VpcId=vpc_id, CidrBlock=cidr, AvailabilityZone=region + zone, TagSpecifications=tag_specification("subnet", name))
    subnet_id = made["Subnet"]["SubnetId"]
    if public:
        ec2.modify_subnet_attribute(SubnetId=subnet_id, MapPublicIpOnLaunch={"Value": True})
    return subnet_id


def internet_gateway(account, region, vpc_id, name):
    ec2 = account.client("ec2", region)
    gateway = ec2.create_internet_gateway(TagSpecifications=tag_specification("internet-gateway", name))["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc_id)
    return gateway


def nat_gateway(account, region, subnet_id, name):
    ec2 = account.client("ec2", region)
    address = ec2.allocate_address(Domain="vpc", TagSpecifications=tag_specification("elastic-ip", name))["AllocationId"]
    made = ec2.create_nat_gateway(SubnetId=subnet_id, AllocationId=address, TagSpecifications=tag_specification("natgateway", name))
    return made["NatGateway"]["NatGatewayId"]


def route_table(account, region, vpc_id, name, subnets, routes):
    """`routes`: pairs of a destination and what `create_route` takes as target."""
    ec2 = account.client("ec2", region)
    table = ec2.create_route_table(VpcId=vpc_id, TagSpecifications=tag_specification("route-table", name))["RouteTable"]["RouteTableId"]
    for destination, target in routes:
        kind = "DestinationIpv6CidrBlock" if ":" in destination else "DestinationCidrBlock"
        ec2.create_route(RouteTableId=table, **{kind: destination}, **target)
    for subnet_id in subnets:
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnet_id)
    return table


def rule(ports, sources, protocol="tcp", about=None):
    """One permission; ports a number, a pair or None (all), sources CIDR blocks or group ids."""
    out = {"IpProtocol": protocol}
    if ports is not None:
        out["FromPort"], out["ToPort"] = ports if isinstance(ports, tuple) else (ports, ports)
    note = {"Description": about} if about else {}
    for source in sources:
        if source.startswith("sg-"):
            out.setdefault("UserIdGroupPairs", []).append({"GroupId": source} | note)
        elif ":" in source:
            out.setdefault("Ipv6Ranges", []).append({"CidrIpv6": source} | note)
        else:
            out.setdefault("IpRanges", []).append({"CidrIp": source} | note)
    return out


def security_group(account, region, vpc_id, name, about, ingress=(), egress=None):
    """Egress stays AWS's default (everything) unless given."""
    ec2 = account.client("ec2", region)
    group = ec2.create_security_group(GroupName=name, Description=about, VpcId=vpc_id, TagSpecifications=tag_specification("security-group", name))["GroupId"]
    if ingress:
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=list(ingress))
    if egress is not None:
        ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[rule(None, [ANYWHERE], "-1")])
        if egress:
            ec2.authorize_security_group_egress(GroupId=group, IpPermissions=list(egress))
    return group


def default_group(account, region, vpc_id):
    ec2 = account.client("ec2", region)
    filters = [{"Name": "vpc-id", "Values": [vpc_id]}, {"Name": "group-name", "Values": ["default"]}]
    return ec2.describe_security_groups(Filters=filters)["SecurityGroups"][0]["GroupId"]


def close_default_group(account, region, vpc_id):
    """Takes every rule out of the VPC's default group."""
    ec2 = account.client("ec2", region)
    group = default_group(account, region, vpc_id)
    found = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    if found["IpPermissions"]:
        ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=found["IpPermissions"])
    if found["IpPermissionsEgress"]:
        ec2.revoke_security_group_egress(GroupId=group, IpPermissions=found["IpPermissionsEgress"])
    return group


def network_acl(account, region, vpc_id, name, entries):
    """`entries`: number, allow or deny, protocol number, ports or None, CIDR block, egress."""
    ec2 = account.client("ec2", region)
    acl = ec2.create_network_acl(VpcId=vpc_id, TagSpecifications=tag_specification("network-acl", name))["NetworkAcl"]["NetworkAclId"]
    for number, action, protocol, ports, cidr, egress in entries:
        extra = {"PortRange": {"From": ports[0], "To": ports[1]}} if ports else {}
        kind = "Ipv6CidrBlock" if ":" in cidr else "CidrBlock"
        ec2.create_network_acl_entry(
            NetworkAclId=acl, RuleNumber=number, RuleAction=action, Protocol=protocol, Egress=egress, **{kind: cidr}, **extra
        )
    return acl


def flow_log(account, region, vpc_id, bucket=None, log_group=None, role=None, traffic="ALL"):
    ec2 = account.client("ec2", region)
    if bucket:
        extra = {"LogDestinationType": "s3", "LogDestination": f"arn:aws:s3:::{bucket}"}
    else:
        extra = {"LogDestinationType": "cloud-watch-logs", "LogGroupName": log_group, "DeliverLogsPermissionArn": role}
    ec2.create_flow_logs(ResourceIds=[vpc_id], ResourceType="VPC", TrafficType=traffic, **extra)


def endpoint(account, region, vpc_id, service, tables=(), subnets=(), groups=(), policy=None):
    ec2 = account.client("ec2", region)
    extra = {"PolicyDocument": policy} if policy else {}
    name = f"com.amazonaws.{region}.{service}"
    if tables:
        extra |= {"VpcEndpointType": "Gateway", "RouteTableIds": list(tables)}
    else:
        extra |= {"VpcEndpointType": "Interface", "SubnetIds": list(subnets), "SecurityGroupIds": list(groups), "PrivateDnsEnabled": True}
    made = ec2.create_vpc_endpoint(VpcId=vpc_id, ServiceName=name, TagSpecifications=tag_specification("vpc-endpoint", service), **extra)
    return made["VpcEndpoint"]["VpcEndpointId"]
