"""Where data lies: S3, RDS, DynamoDB, EFS, ElastiCache, Redshift, OpenSearch, Backup."""

import json

from .base import HOME, deny, document, tags

BLOCK_ALL = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}


def only_tls(bucket):
    """The statement that refuses requests without TLS."""
    resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    return deny("s3:*", resources, principal="*", condition={"Bool": {"aws:SecureTransport": "false"}}, sid="OnlyTls")


def bucket(account, name, region=HOME, versioning=None, mfa_delete=False, key=None, log_to=None, block=None, acl=None,
           policy=(), tls=False, lifecycle=False, lock=False, website=False, objects=(), own="BucketOwnerEnforced", **labels):
    """A bucket; `policy` are further statements, `tls` adds the one that refuses plain HTTP. `own`: as AWS's default
    since April 2023; `None` for older buckets, that had no such setting."""
    s3 = account.client("s3", region)
    extra = {} if region == HOME else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    if lock:
        extra["ObjectLockEnabledForBucket"] = True
    s3.create_bucket(Bucket=name, **extra)
    if own:
        s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls={"Rules": [{"ObjectOwnership": own}]})
    if versioning:
        configuration = {"Status": versioning} | ({"MFADelete": "Enabled"} if mfa_delete else {})
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=configuration)
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key} if key else {"SSEAlgorithm": "AES256"}
    # AWS encrypts every bucket by default since 2023; moto does not.
    rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": bool(key)}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    if block:
        s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=block)
    if acl:
        s3.put_bucket_acl(Bucket=name, ACL=acl)
    statements = list(policy) + ([only_tls(name)] if tls else [])
    if statements:
        s3.put_bucket_policy(Bucket=name, Policy=document(*statements))
    if log_to:
        s3.put_bucket_logging(Bucket=name, BucketLoggingStatus={"LoggingEnabled": {"TargetBucket": log_to, "TargetPrefix": f"{name}/"}})
    if lifecycle:
        rule = {"ID": "expire", "Status": "Enabled", "Filter": {"Prefix": ""}, "NoncurrentVersionExpiration": {"NoncurrentDays": 90},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}
        s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [rule]})
    if website:
        s3.put_bucket_website(Bucket=name, WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}})
    if labels:
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags(**labels)})
    for key_name in objects:
        s3.put_object(Bucket=name, Key=key_name, Body=b"demo")


def database(account, region, name, engine="postgres", version="16.3", public=False, encrypted=True, key=None, multi_zone=True,
             backup_days=14, protect=True, minor_upgrades=True, groups=(), subnet_group=None, iam=False, copy_tags=True,
             logs=(), kind="db.t3.medium", port=5432, **labels):
    rds = account.client("rds", region)
    extra = {"KmsKeyId": key} if key else {}
    if subnet_group:
        extra["DBSubnetGroupName"] = subnet_group
    rds.create_db_instance(
        DBInstanceIdentifier=name, Engine=engine, EngineVersion=version, DBInstanceClass=kind, AllocatedStorage=100,
        MasterUsername="app", MasterUserPassword="not-a-real-password", Port=port,
        PubliclyAccessible=public, StorageEncrypted=encrypted, MultiAZ=multi_zone, BackupRetentionPeriod=backup_days,
        DeletionProtection=protect, AutoMinorVersionUpgrade=minor_upgrades, VpcSecurityGroupIds=list(groups),
        EnableIAMDatabaseAuthentication=iam, CopyTagsToSnapshot=copy_tags, EnableCloudwatchLogsExports=list(logs),
        Tags=tags(name, **labels), **extra,
    )


def database_snapshot(account, region, of, name, shared_with=None):
    """`shared_with`: an account id, or `all` for everybody."""
    rds = account.client("rds", region)
    rds.create_db_snapshot(DBInstanceIdentifier=of, DBSnapshotIdentifier=name)
    if shared_with:
        rds.modify_db_snapshot_attribute(DBSnapshotIdentifier=name, AttributeName="restore", ValuesToAdd=[shared_with])


def database_cluster(account, region, name, engine="aurora-postgresql", version="16.4", encrypted=True, key=None, backup_days=14,
                     protect=True, iam=True, groups=(), subnet_group=None, members=1, logs=()):
    rds = account.client("rds", region)
    extra = {"KmsKeyId": key} if key else {}
    if subnet_group:
        extra["DBSubnetGroupName"] = subnet_group
    rds.create_db_cluster(
        DBClusterIdentifier=name, Engine=engine, EngineVersion=version, MasterUsername="app", MasterUserPassword="not-a-real-password",
        StorageEncrypted=encrypted, BackupRetentionPeriod=backup_days, DeletionProtection=protect,
        EnableIAMDatabaseAuthentication=iam, VpcSecurityGroupIds=list(groups), CopyTagsToSnapshot=True, Tags=tags(name),
        EnableCloudwatchLogsExports=list(logs), **extra,
    )
    inside = {"DBSubnetGroupName": subnet_group} if subnet_group else {}
    for number in range(1, members + 1):
        rds.create_db_instance(
            DBInstanceIdentifier=f"{name}-{number}", DBClusterIdentifier=name, Engine=engine, DBInstanceClass="db.r6g.large",
            PubliclyAccessible=False, AutoMinorVersionUpgrade=True, AvailabilityZone=region + "ab"[number % 2 - 1],
            Tags=tags(f"{name}-{number}"), **inside,
        )


def table(account, region, name, recovery=False, protect=False, key=None, on_demand=True, **labels):
    dynamo = account.client("dynamodb", region)
    extra = {"SSESpecification": {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}} if key else {}
    if on_demand:
        extra["BillingMode"] = "PAY_PER_REQUEST"
    else:
        extra |= {"BillingMode": "PROVISIONED", "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}}
    dynamo.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        DeletionProtectionEnabled=protect,
        Tags=tags(name, **labels),
        **extra,
    )
    if recovery:
        dynamo.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})


def file_system(account, region, name, subnets, groups, encrypted=True, key=None, backups=True, policy=None):
    efs = account.client("efs", region)
    extra = {"KmsKeyId": key} if key else {}
    made = efs.create_file_system(CreationToken=name, Encrypted=encrypted, Backup=backups, Tags=tags(name), **extra)["FileSystemId"]
    for subnet in subnets:
        efs.create_mount_target(FileSystemId=made, SubnetId=subnet, SecurityGroups=list(groups))
    if policy:
        efs.put_file_system_policy(FileSystemId=made, Policy=policy)
    return made


def cache(account, region, name, rest=True, transit=True, automatic=True, retention=7, groups=(), token=None):
    extra = {"AuthToken": token} if token else {}
    account.client("elasticache", region).create_replication_group(
        ReplicationGroupId=name, ReplicationGroupDescription=name, Engine="redis", CacheNodeType="cache.t3.small",
        NumCacheClusters=2 if automatic else 1, AutomaticFailoverEnabled=automatic, MultiAZEnabled=automatic,
        AtRestEncryptionEnabled=rest, TransitEncryptionEnabled=transit, SnapshotRetentionLimit=retention,
        SecurityGroupIds=list(groups), Tags=tags(name), **extra,
    )


def warehouse(account, region, name, public=False, encrypted=True, key=None, log_bucket=None, upgrades=True, retention=7, groups=(), routing=False):
    redshift = account.client("redshift", region)
    extra = {"KmsKeyId": key} if key else {}
    redshift.create_cluster(
        ClusterIdentifier=name, NodeType="ra3.large", ClusterType="multi-node", NumberOfNodes=2, DBName="reports",
        MasterUsername="loader", MasterUserPassword="Not-a-real-password-1", PubliclyAccessible=public, Encrypted=encrypted,
        AllowVersionUpgrade=upgrades, AutomatedSnapshotRetentionPeriod=retention, VpcSecurityGroupIds=list(groups),
        EnhancedVpcRouting=routing, Tags=tags(name), **extra,
    )
    if log_bucket:
        redshift.enable_logging(ClusterIdentifier=name, BucketName=log_bucket, S3KeyPrefix="redshift/")


def search_domain(account, region, name, encrypted=True, node_to_node=True, https=True, policy=None, subnets=(), groups=(),
                  tls="Policy-Min-TLS-1-2-PFS-2023-10", nodes=3):
    extra = {"AccessPolicies": policy} if policy else {}
    if subnets:
        extra["VPCOptions"] = {"SubnetIds": list(subnets), "SecurityGroupIds": list(groups)}
    account.client("opensearch", region).create_domain(
        DomainName=name, EngineVersion="OpenSearch_2.17",
        ClusterConfig={"InstanceType": "r6g.large.search", "InstanceCount": nodes, "ZoneAwarenessEnabled": nodes > 1},
        EBSOptions={"EBSEnabled": True, "VolumeType": "gp3", "VolumeSize": 100},
        EncryptionAtRestOptions={"Enabled": encrypted},
        NodeToNodeEncryptionOptions={"Enabled": node_to_node},
        DomainEndpointOptions={"EnforceHTTPS": https, "TLSSecurityPolicy": tls},
        TagList=tags(name), **extra,
    )


def backup_plan(account, region, name, vault, days=35, vault_key=None):
    backup = account.client("backup", region)
    extra = {"EncryptionKeyArn": vault_key} if vault_key else {}
    backup.create_backup_vault(BackupVaultName=vault, **extra)
    rule = {"RuleName": "daily", "TargetBackupVaultName": vault, "ScheduleExpression": "cron(0 3 * * ? *)", "Lifecycle": {"DeleteAfterDays": days}}
    backup.create_backup_plan(BackupPlan={"BackupPlanName": name, "Rules": [rule]})


def anyone(resource, action="es:*"):
    """A resource policy for everybody."""
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": action, "Resource": resource}]})
