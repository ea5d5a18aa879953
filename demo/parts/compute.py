"""EC2's machines and disks, Auto Scaling, load balancers."""

from .base import ACCOUNT, tag_specification, tags


def image(account, region, name, public=False, encrypted=False):
    """An own machine image; returns its id."""
    ec2 = account.client("ec2", region)
    made = ec2.register_image(
        Name=name,
        Description=f"{name} built by the image pipeline",
        Architecture="x86_64",
        RootDeviceName="/dev/xvda",
        VirtualizationType="hvm",
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 20, "Encrypted": encrypted}}],
        TagSpecifications=tag_specification("image", name),
    )["ImageId"]
    if public:
        ec2.modify_image_attribute(ImageId=made, LaunchPermission={"Add": [{"Group": "all"}]})
    return made


def instance(account, region, name, image_id, subnet, groups, kind="t3.medium", tokens="required", hops=1, public=False,
             profile=None, encrypted=True, user_data=None, monitoring=False, protect=False, **labels):
    ec2 = account.client("ec2", region)
    extra = {"IamInstanceProfile": {"Name": profile}} if profile else {}
    if user_data:
        extra["UserData"] = user_data
    made = ec2.run_instances(
        ImageId=image_id,
        InstanceType=kind,
        MinCount=1,
        MaxCount=1,
        KeyName="operations",
        MetadataOptions={"HttpTokens": tokens, "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": hops},
        NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet, "Groups": list(groups), "AssociatePublicIpAddress": public}],
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 20, "VolumeType": "gp3", "Encrypted": encrypted, "DeleteOnTermination": True}}],
        Monitoring={"Enabled": monitoring},
        TagSpecifications=tag_specification("instance", name, **labels),
        **extra,
    )["Instances"][0]["InstanceId"]
    # moto shows the groups of an interface on the instance only when they are set there, too.
    ec2.modify_instance_attribute(InstanceId=made, Groups=list(groups))
    if protect:
        ec2.modify_instance_attribute(InstanceId=made, DisableApiTermination={"Value": True})
    return made


def volume(account, region, name, size=50, encrypted=False, key=None, attach_to=None, zone="a"):
    ec2 = account.client("ec2", region)
    extra = {"KmsKeyId": key} if key else {}
    made = ec2.create_volume(
        AvailabilityZone=region + zone, Size=size, VolumeType="gp3", Encrypted=encrypted,
        TagSpecifications=tag_specification("volume", name), **extra,
    )["VolumeId"]
    if attach_to:
        ec2.attach_volume(VolumeId=made, InstanceId=attach_to, Device="/dev/sdf")
    return made


def snapshot(account, region, volume_id, name, public=False, shared_with=None):
    ec2 = account.client("ec2", region)
    made = ec2.create_snapshot(VolumeId=volume_id, Description=name, TagSpecifications=tag_specification("snapshot", name))["SnapshotId"]
    change = {"SnapshotId": made, "Attribute": "createVolumePermission", "OperationType": "add"}
    if public:
        ec2.modify_snapshot_attribute(GroupNames=["all"], **change)
    if shared_with:
        ec2.modify_snapshot_attribute(UserIds=[shared_with], **change)
    return made


def launch_template(account, region, name, image_id, groups, tokens="required", public=False, user_data=None):
    data = {
        "ImageId": image_id,
        "InstanceType": "t3.small",
        "MetadataOptions": {"HttpTokens": tokens, "HttpEndpoint": "enabled"},
        "NetworkInterfaces": [{"DeviceIndex": 0, "Groups": list(groups), "AssociatePublicIpAddress": public}],
    }
    if user_data:
        data["UserData"] = user_data
    return account.client("ec2", region).create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)["LaunchTemplate"]["LaunchTemplateId"]


def scaling_group(account, region, name, template, subnets, targets=(), health="EC2", most=4):
    scaling = account.client("autoscaling", region)
    scaling.create_auto_scaling_group(
        AutoScalingGroupName=name,
        LaunchTemplate={"LaunchTemplateId": template, "Version": "$Latest"},
        MinSize=0, DesiredCapacity=0, MaxSize=most,
        VPCZoneIdentifier=",".join(subnets),
        TargetGroupARNs=list(targets),
        HealthCheckType=health,
        HealthCheckGracePeriod=300,
        Tags=[{"Key": "Name", "Value": name, "PropagateAtLaunch": True}],
    )


def load_balancer(account, region, name, subnets, groups=(), internal=False, kind="application", **attributes):
    """Attributes as AWS names them, with dots written as double underscores."""
    elb = account.client("elbv2", region)
    extra = {"SecurityGroups": list(groups)} if kind == "application" else {}
    made = elb.create_load_balancer(
        Name=name, Subnets=list(subnets), Scheme="internal" if internal else "internet-facing", Type=kind, Tags=tags(name), **extra
    )["LoadBalancers"][0]["LoadBalancerArn"]
    if attributes:
        pairs = [{"Key": key.replace("__", "."), "Value": value} for key, value in attributes.items()]
        elb.modify_load_balancer_attributes(LoadBalancerArn=made, Attributes=pairs)
    return made


def target_group(account, region, name, vpc_id, protocol="HTTP", port=8080):
    made = account.client("elbv2", region).create_target_group(
        Name=name, Protocol=protocol, Port=port, VpcId=vpc_id, TargetType="instance", HealthCheckPath="/health"
    )
    return made["TargetGroups"][0]["TargetGroupArn"]


def listener(account, region, balancer, port, protocol, target=None, certificate=None, tls=None, redirect=False):
    extra = {}
    if certificate:
        extra["Certificates"] = [{"CertificateArn": certificate}]
    if tls:
        extra["SslPolicy"] = tls
    if redirect:
        action = {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}}
    else:
        action = {"Type": "forward", "TargetGroupArn": target}
    account.client("elbv2", region).create_listener(
        LoadBalancerArn=balancer, Protocol=protocol, Port=port, DefaultActions=[action], **extra
    )


def classic_balancer(account, region, name, subnets, groups, listeners, logs=None):
    elb = account.client("elb", region)
    elb.create_load_balancer(LoadBalancerName=name, Listeners=listeners, Subnets=list(subnets), SecurityGroups=list(groups), Tags=tags(name))
    if logs:
        attributes = {"AccessLog": {"Enabled": True, "S3BucketName": logs, "EmitInterval": 60}, "CrossZoneLoadBalancing": {"Enabled": True}}
        elb.modify_load_balancer_attributes(LoadBalancerName=name, LoadBalancerAttributes=attributes)


def key_pair(account, region, name="operations"):
    account.client("ec2", region).create_key_pair(KeyName=name, TagSpecifications=tag_specification("key-pair", name))


def instance_arn(region, instance_id):
    return f"arn:aws:ec2:{region}:{ACCOUNT}:instance/{instance_id}"
