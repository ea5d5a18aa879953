"""A small account for the test of `palisade fix`, on any moto server: state A, in which fixable checks fail.

    AWS_ENDPOINT_URL=http://127.0.0.1:PORT python tests/live/seed_fix.py

Prints {"seeded": [part], "unsupported": {part: error}} as JSON: a part that this moto cannot make is named, not hidden.
"""

import io
import json
import sys
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "demo"))

from parts.base import ACCOUNT, HOME, Account, allow, document  # noqa: E402


def main():
    account = Account()
    account.without_docker()
    seeded, unsupported = [], {}
    for part in PARTS:
        try:
            part(account)
            seeded.append(part.__name__)
        except Exception as error:  # a part that fails is told, whatever is wrong
            unsupported[part.__name__] = f"{type(error).__name__}: {error}"[:200]
    print(json.dumps({"account": ACCOUNT, "region": HOME, "seeded": seeded, "unsupported": unsupported}, indent=1))


PARTS = []


def part(function):
    PARTS.append(function)
    return function


@part
def buckets(account):
    s3 = account.client("s3")
    for name in ("fix-bare", "fix-policy", "fix-partly"):
        s3.create_bucket(Bucket=name)
    s3.put_bucket_policy(Bucket="fix-policy", Policy=document(
        allow("s3:GetObject", "arn:aws:s3:::fix-policy/*", principal={"AWS": "arn:aws:iam::111122223333:root"}, sid="Reader")))
    s3.put_public_access_block(Bucket="fix-partly", PublicAccessBlockConfiguration={
        "BlockPublicAcls": True, "IgnorePublicAcls": False, "BlockPublicPolicy": False, "RestrictPublicBuckets": False})
    s3.put_bucket_versioning(Bucket="fix-partly", VersioningConfiguration={"Status": "Suspended"})
    s3.put_bucket_ownership_controls(Bucket="fix-partly", OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})


@part
def network(account):
    ec2 = account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.20.1.0/24")["Subnet"]["SubnetId"]
    ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
    interface = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, SourceDestCheck={"Value": False})


@part
def groups(account):
    """Rules that are open, among others in the same permission that are to stay."""
    ec2 = account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.40.0.0/16")["Vpc"]["VpcId"]
    peer = ec2.create_security_group(GroupName="fix-peer", Description="x", VpcId=vpc)["GroupId"]
    group = ec2.create_security_group(GroupName="fix-admin", Description="x", VpcId=vpc)["GroupId"]
    prefixes = ec2.create_managed_prefix_list(
        PrefixListName="fix-offices", MaxEntries=1, AddressFamily="IPv4", Entries=[{"Cidr": "192.0.2.0/24"}])["PrefixList"]["PrefixListId"]

    def rule(protocol, first, last, v4=(), v6=(), **more):
        ports = {} if protocol == "-1" else {"FromPort": first, "ToPort": last}
        ranges = [{"CidrIp": cidr, "Description": f"why {cidr}"} for cidr in v4]
        return {"IpProtocol": protocol, **ports, "IpRanges": ranges, "Ipv6Ranges": [{"CidrIpv6": cidr} for cidr in v6], **more}

    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
        rule("tcp", 20, 25, ["0.0.0.0/0", "10.0.0.0/8"], ["::/0"], UserIdGroupPairs=[{"GroupId": peer}], PrefixListIds=[{"PrefixListId": prefixes}]),
        rule("tcp", 3389, 3389, ["0.0.0.0/0"]), rule("udp", 3389, 3389, ["10.0.0.0/8"]), rule("tcp", 443, 443, ["0.0.0.0/0"], ["::/0"]),
        rule("-1", 0, 0, ["0.0.0.0/0", "52.94.76.5/32", "10.0.0.0/8"])])
    ec2.authorize_security_group_ingress(GroupId=peer, IpPermissions=[rule("tcp", 5432, 5432, ["0.0.0.0/0", "10.0.0.0/8"])])
    data = ec2.create_security_group(GroupName="fix-data", Description="x", VpcId=vpc)["GroupId"]
    ec2.authorize_security_group_egress(GroupId=data, IpPermissions=[rule("tcp", 443, 443, ["10.0.0.0/8", "0.0.0.0/0"])])
    account.client("rds").create_db_instance(
        DBInstanceIdentifier="fix-db-out", DBInstanceClass="db.t3.micro", Engine="postgres", AllocatedStorage=20, MasterUsername="admin1",
        MasterUserPassword="not-a-secret-1", VpcSecurityGroupIds=[data])


@part
def machines(account):
    ec2 = account.client("ec2")
    image = ec2.describe_images(Owners=["amazon"])["Images"]
    source = image[0]["ImageId"] if image else "ami-12c6146b"
    instance = ec2.run_instances(ImageId=source, MinCount=1, MaxCount=1, InstanceType="t3.micro")["Instances"][0]["InstanceId"]
    ec2.modify_instance_metadata_options(InstanceId=instance, HttpTokens="optional", HttpEndpoint="enabled", HttpPutResponseHopLimit=2)


@part
def images(account):
    ec2 = account.client("ec2")
    instance = ec2.describe_instances()["Reservations"][0]["Instances"][0]["InstanceId"]
    own = ec2.create_image(InstanceId=instance, Name="fix-image")["ImageId"]
    ec2.modify_image_attribute(ImageId=own, Attribute="launchPermission", OperationType="add", UserGroups=["all"])


@part
def snapshots(account):
    ec2 = account.client("ec2")
    volume = ec2.create_volume(AvailabilityZone=f"{HOME}a", Size=1)["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    ec2.modify_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission", OperationType="add", GroupNames=["all"])
    ec2.modify_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission", OperationType="add", UserIds=["111122223333"])


@part
def databases(account):
    rds = account.client("rds")
    rds.create_db_instance(
        DBInstanceIdentifier="fix-db", DBInstanceClass="db.t3.micro", Engine="postgres", AllocatedStorage=20, MasterUsername="admin1",
        MasterUserPassword="not-a-secret-1", PubliclyAccessible=True, BackupRetentionPeriod=1, DeletionProtection=False,
        AutoMinorVersionUpgrade=False, CopyTagsToSnapshot=False, MultiAZ=False, EnableIAMDatabaseAuthentication=False)


@part
def database_snapshots(account):
    rds = account.client("rds")
    rds.create_db_snapshot(DBSnapshotIdentifier="fix-snapshot", DBInstanceIdentifier="fix-db")
    rds.modify_db_snapshot_attribute(DBSnapshotIdentifier="fix-snapshot", AttributeName="restore", ValuesToAdd=["all", "111122223333"])


@part
def clusters(account):
    rds = account.client("rds")
    rds.create_db_cluster(
        DBClusterIdentifier="fix-cluster", Engine="aurora-mysql", MasterUsername="admin1", MasterUserPassword="not-a-secret-1",
        DeletionProtection=False, CopyTagsToSnapshot=False, BackupRetentionPeriod=1, EnableIAMDatabaseAuthentication=False)


@part
def cluster_snapshots(account):
    rds = account.client("rds")
    rds.create_db_cluster_snapshot(DBClusterSnapshotIdentifier="fix-cluster-snapshot", DBClusterIdentifier="fix-cluster")
    rds.modify_db_cluster_snapshot_attribute(
        DBClusterSnapshotIdentifier="fix-cluster-snapshot", AttributeName="restore", ValuesToAdd=["all"])


@part
def identity(account):
    iam = account.client("iam")
    iam.update_account_password_policy(MinimumPasswordLength=9, MaxPasswordAge=60, AllowUsersToChangePassword=True)
    iam.create_user(UserName="fix-user")
    iam.attach_user_policy(UserName="fix-user", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    iam.create_group(GroupName="fix-group")
    iam.attach_group_policy(GroupName="fix-group", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    trust = document(allow("sts:AssumeRole", resources=None, principal={"AWS": "arn:aws:iam::111122223333:root"}))
    trust = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "sts:AssumeRole"}]})
    iam.create_role(RoleName="fix-role", AssumeRolePolicyDocument=trust)
    iam.attach_role_policy(RoleName="fix-role", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")


@part
def bedrock_role(account):
    iam = account.client("iam")
    iam.attach_role_policy(RoleName="fix-role", PolicyArn="arn:aws:iam::aws:policy/AmazonBedrockFullAccess")


@part
def keys(account):
    kms = account.client("kms")
    kms.create_key(Description="fix-plain")
    doomed = kms.create_key(Description="fix-doomed")["KeyMetadata"]["KeyId"]
    kms.schedule_key_deletion(KeyId=doomed, PendingWindowInDays=30)


@part
def trails(account):
    s3 = account.client("s3")
    s3.create_bucket(Bucket="fix-trail-logs")
    trail = account.client("cloudtrail")
    trail.create_trail(Name="fix-trail", S3BucketName="fix-trail-logs", IsMultiRegionTrail=True, EnableLogFileValidation=False)


@part
def tables(account):
    account.client("dynamodb").create_table(
        TableName="fix-table", BillingMode="PAY_PER_REQUEST", AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])


@part
def stacks(account):
    account.client("cloudformation").create_stack(StackName="fix-stack", TemplateBody=json.dumps({
        "AWSTemplateFormatVersion": "2010-09-09", "Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "fix-stack-topic"}}}}))


@part
def log_groups(account):
    logs = account.client("logs")
    logs.create_log_group(logGroupName="/fix/forever")
    logs.create_log_group(logGroupName="/fix/short")
    logs.put_retention_policy(logGroupName="/fix/short", retentionInDays=3)


@part
def topics(account):
    account.client("sns").create_topic(Name="fix-topic")


@part
def queues(account):
    account.client("sqs").create_queue(QueueName="fix-queue", Attributes={"SqsManagedSseEnabled": "false"})


@part
def balancers(account):
    ec2 = account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.30.0.0/16")["Vpc"]["VpcId"]
    subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.30.{n}.0/24", AvailabilityZone=f"{HOME}{zone}")["Subnet"]["SubnetId"]
               for n, zone in enumerate("ab")]
    elbv2 = account.client("elbv2")
    elbv2.create_load_balancer(Name="fix-alb", Subnets=subnets, Type="application")
    elbv2.create_load_balancer(Name="fix-nlb", Subnets=subnets, Type="network")


@part
def classic_balancers(account):
    account.client("elb").create_load_balancer(
        LoadBalancerName="fix-classic", AvailabilityZones=[f"{HOME}a"],
        Listeners=[{"Protocol": "HTTP", "LoadBalancerPort": 80, "InstancePort": 80}])


@part
def repositories(account):
    account.client("ecr").create_repository(repositoryName="fix-repository")


@part
def file_systems(account):
    account.client("efs").create_file_system(CreationToken="fix-files")


@part
def documents(account):
    ssm = account.client("ssm")
    ssm.create_document(Name="fix-document", DocumentType="Command", Content=json.dumps({
        "schemaVersion": "2.2", "description": "x", "mainSteps": [
            {"action": "aws:runShellScript", "name": "run", "inputs": {"runCommand": ["true"]}}]}))
    ssm.modify_document_permission(Name="fix-document", PermissionType="Share", AccountIdsToAdd=["all"])


@part
def streams(account):
    account.client("kinesis").create_stream(StreamName="fix-stream", ShardCount=1)


@part
def delivery_streams(account):
    account.client("s3").create_bucket(Bucket="fix-delivery")
    account.client("firehose").create_delivery_stream(
        DeliveryStreamName="fix-delivery", S3DestinationConfiguration={
            "RoleARN": f"arn:aws:iam::{ACCOUNT}:role/fix-role", "BucketARN": "arn:aws:s3:::fix-delivery"})


@part
def workgroups(account):
    account.client("athena").create_work_group(Name="fix-workgroup", Configuration={
        "EnforceWorkGroupConfiguration": False, "PublishCloudWatchMetricsEnabled": False,
        "ResultConfiguration": {"OutputLocation": "s3://fix-bare/"}})


@part
def kubernetes(account):
    account.client("eks").create_cluster(
        name="fix-cluster", roleArn=f"arn:aws:iam::{ACCOUNT}:role/fix-role",
        resourcesVpcConfig={"subnetIds": [], "endpointPublicAccess": True, "endpointPrivateAccess": False})


@part
def containers(account):
    account.client("ecs").create_cluster(clusterName="fix-containers", settings=[{"name": "containerInsights", "value": "disabled"}])


@part
def alarms(account):
    account.client("cloudwatch").put_metric_alarm(
        AlarmName="fix-alarm", MetricName="x", Namespace="fix", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=1,
        ComparisonOperator="GreaterThanThreshold", ActionsEnabled=False, AlarmActions=[f"arn:aws:sns:{HOME}:{ACCOUNT}:fix-topic"])


@part
def warehouses(account):
    account.client("redshift").create_cluster(
        ClusterIdentifier="fix-warehouse", NodeType="dc2.large", MasterUsername="admin1", MasterUserPassword="Not-a-secret-1",
        PubliclyAccessible=True, AllowVersionUpgrade=False, AutomatedSnapshotRetentionPeriod=1, ClusterType="single-node")


@part
def detectors(account):
    account.client("guardduty").create_detector(Enable=True, FindingPublishingFrequency="SIX_HOURS")


@part
def groups(account):
    auto = account.client("autoscaling")
    auto.create_launch_configuration(LaunchConfigurationName="fix-launch", ImageId="ami-12c6146b", InstanceType="t3.micro")
    auto.create_auto_scaling_group(
        AutoScalingGroupName="fix-group", LaunchConfigurationName="fix-launch", MinSize=0, MaxSize=0, AvailabilityZones=[f"{HOME}a"])


@part
def searches(account):
    account.client("opensearch").create_domain(DomainName="fix-search", EngineVersion="OpenSearch_2.11")


@part
def brokers(account):
    account.client("mq").create_broker(
        BrokerName="fix-broker", EngineType="ACTIVEMQ", EngineVersion="5.18", HostInstanceType="mq.t3.micro", DeploymentMode="SINGLE_INSTANCE",
        PubliclyAccessible=False, AutoMinorVersionUpgrade=False, Users=[{"Username": "admin1", "Password": "Not-a-secret-1"}])


@part
def shares(account):
    account.client("ram").create_resource_share(name="fix-share", allowExternalPrincipals=True)


@part
def mail(account):
    account.client("sesv2").create_configuration_set(ConfigurationSetName="fix-mail")


@part
def migrations(account):
    account.client("dms").create_replication_instance(
        ReplicationInstanceIdentifier="fix-migration", ReplicationInstanceClass="dms.t3.micro", AutoMinorVersionUpgrade=False, MultiAZ=False)


@part
def caches(account):
    account.client("elasticache").create_cache_cluster(
        CacheClusterId="fix-cache", Engine="redis", CacheNodeType="cache.t3.micro", NumCacheNodes=1, AutoMinorVersionUpgrade=False)


@part
def cache_groups(account):
    account.client("elasticache").create_replication_group(
        ReplicationGroupId="fix-caches", ReplicationGroupDescription="x", AutomaticFailoverEnabled=False, NumCacheClusters=2,
        CacheNodeType="cache.t3.micro", Engine="redis", SnapshotRetentionLimit=0)


@part
def destinations(account):
    """Where logs and alarms may go: what the parameters of some fixes name."""
    account.client("s3").create_bucket(Bucket="fix-access-logs")
    account.client("s3").put_bucket_policy(Bucket="fix-access-logs", Policy=document(
        allow("s3:PutObject", "arn:aws:s3:::fix-access-logs/*", principal={"Service": "logging.s3.amazonaws.com"}, sid="Logs")))
    account.client("logs").create_log_group(logGroupName="fix-logs")
    account.client("cloudtrail").update_trail(
        Name="fix-trail", CloudWatchLogsLogGroupArn=f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:fix-logs:*",
        CloudWatchLogsRoleArn=f"arn:aws:iam::{ACCOUNT}:role/fix-trail")
    account.client("sns").subscribe(TopicArn=f"arn:aws:sns:{HOME}:{ACCOUNT}:fix-topic", Protocol="email", Endpoint="ops@example.com")


@part
def projects(account):
    account.client("codebuild").create_project(
        name="fix-project", source={"type": "S3", "location": "fix-bare/x.zip"}, artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "LINUX_CONTAINER", "image": "x", "computeType": "BUILD_GENERAL1_SMALL"},
        serviceRole=f"arn:aws:iam::{ACCOUNT}:role/service-role/fix-role")


def archive():
    """A ZIP file with one function."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("index.py", "def handler(event, context):\n    return None\n")
    return data.getvalue()


if __name__ == "__main__":
    main()
