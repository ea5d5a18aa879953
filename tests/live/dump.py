"""The whole account as AWS describes it, as JSON with sorted keys: what `palisade fix undo` must leave byte for byte.

    AWS_ENDPOINT_URL=http://127.0.0.1:PORT python tests/live/dump.py

Every call is {"service:Operation key": answer}. Times at which somebody looked or last changed something are left out:
they are no settings. Lists are sorted: AWS gives most in no order.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "demo"))

from parts.base import ACCOUNT, Account  # noqa: E402

VOLATILE = {
    "ResponseMetadata", "LatestRestorableTime", "LatestRestorableDateTime", "EarliestRestorableDateTime", "LastModifiedDate", "LastModified",
    "lastModified", "StartLoggingTime", "StopLoggingTime", "TimeLoggingStarted", "TimeLoggingStopped", "LatestDeliveryTime",
    "LatestDeliveryAttemptTime", "LatestDeliveryAttemptSucceeded", "LastModifiedTimestamp", "AlarmConfigurationUpdatedTimestamp",
    "StateUpdatedTimestamp", "UpdatedAt", "updatedAt", "lastUpdatedTime", "LastModifiedDate", "EarliestRestorableTime", "CreateDate",
    "UpdateDate", "RoleLastUsed", "PasswordLastUsed", "ApproximateNumberOfMessages", "LastModifiedTimestamp", "Uptime", "LastUpdatedTime",
    "LastModifiedUser", "CreationTime", "Timestamp", "NextRotationDate",
}

# service, operation, list of (path to items, name of the item's key, parameter, [operations that take it])
CALLS = [
    ("ec2", "describe_instances", {}), ("ec2", "describe_subnets", {}), ("ec2", "describe_vpcs", {}), ("ec2", "describe_security_groups", {}),
    ("ec2", "describe_network_interfaces", {}), ("ec2", "describe_volumes", {}), ("ec2", "describe_network_acls", {}),
    ("ec2", "get_ebs_encryption_by_default", {}), ("ec2", "describe_route_tables", {}), ("ec2", "describe_transit_gateways", {}),
    ("ec2", "get_snapshot_block_public_access_state", {}), ("ec2", "get_image_block_public_access_state", {}),
    ("ec2", "get_serial_console_access_status", {}), ("ec2", "get_instance_metadata_defaults", {}),
    ("rds", "describe_db_instances", {}), ("rds", "describe_db_clusters", {}), ("rds", "describe_db_snapshots", {}),
    ("rds", "describe_db_cluster_snapshots", {}), ("iam", "get_account_authorization_details", {"Filter": ["User", "Role", "Group", "LocalManagedPolicy"]}),
    ("iam", "get_account_password_policy", {}), ("cloudtrail", "describe_trails", {}), ("cloudformation", "describe_stacks", {}),
    ("logs", "describe_log_groups", {}), ("elbv2", "describe_load_balancers", {}), ("elb", "describe_load_balancers", {}),
    ("ecr", "describe_repositories", {}), ("efs", "describe_file_systems", {}), ("cloudwatch", "describe_alarms", {}),
    ("redshift", "describe_clusters", {}), ("autoscaling", "describe_auto_scaling_groups", {}), ("ram", "get_resource_shares", {"resourceOwner": "SELF"}),
    ("dms", "describe_replication_instances", {}), ("elasticache", "describe_cache_clusters", {}), ("elasticache", "describe_replication_groups", {}),
    ("ecs", "describe_clusters", {"clusters": ["fix-containers"], "include": ["SETTINGS"]}), ("s3control", "get_public_access_block", {"AccountId": ACCOUNT}),
    ("ssm", "get_service_setting", {"SettingId": "/ssm/documents/console/public-sharing-permission"}), ("macie2", "get_automated_discovery_configuration", {}),
]

EACH = [
    ("s3", "list_buckets", "Buckets", "Name", "Bucket", [
        "get_bucket_versioning", "get_public_access_block", "get_bucket_encryption", "get_bucket_ownership_controls", "get_bucket_policy",
        "get_bucket_notification_configuration", "get_bucket_acl", "get_bucket_logging", "get_bucket_tagging", "get_bucket_location",
        "get_bucket_lifecycle_configuration", "get_bucket_cors", "get_bucket_website", "get_object_lock_configuration"]),
    ("kms", "list_keys", "Keys", "KeyId", "KeyId", ["describe_key", "get_key_rotation_status"]),
    ("dynamodb", "list_tables", "TableNames", None, "TableName", ["describe_table", "describe_continuous_backups"]),
    ("cloudtrail", "describe_trails", "trailList", "TrailARN", "Name", ["get_trail_status"]),
    ("cloudtrail", "describe_trails", "trailList", "TrailARN", "TrailName", ["get_insight_selectors", "get_event_selectors"]),
    ("sns", "list_topics", "Topics", "TopicArn", "TopicArn", ["get_topic_attributes"]),
    ("elbv2", "describe_load_balancers", "LoadBalancers", "LoadBalancerArn", "LoadBalancerArn", ["describe_load_balancer_attributes"]),
    ("elb", "describe_load_balancers", "LoadBalancerDescriptions", "LoadBalancerName", "LoadBalancerName", ["describe_load_balancer_attributes"]),
    ("efs", "describe_file_systems", "FileSystems", "FileSystemId", "FileSystemId", ["describe_backup_policy"]),
    ("rds", "describe_db_snapshots", "DBSnapshots", "DBSnapshotIdentifier", "DBSnapshotIdentifier", ["describe_db_snapshot_attributes"]),
    ("rds", "describe_db_cluster_snapshots", "DBClusterSnapshots", "DBClusterSnapshotIdentifier", "DBClusterSnapshotIdentifier",
     ["describe_db_cluster_snapshot_attributes"]),
    ("kinesis", "list_streams", "StreamNames", None, "StreamName", ["describe_stream_summary"]),
    ("firehose", "list_delivery_streams", "DeliveryStreamNames", None, "DeliveryStreamName", ["describe_delivery_stream"]),
    ("athena", "list_work_groups", "WorkGroups", "Name", "WorkGroup", ["get_work_group"]),
    ("eks", "list_clusters", "clusters", None, "name", ["describe_cluster"]),
    ("guardduty", "list_detectors", "DetectorIds", None, "DetectorId", ["get_detector"]),
    ("iam", "list_users", "Users", "UserName", "UserName", ["list_access_keys", "list_attached_user_policies"]),
    ("opensearch", "list_domain_names", "DomainNames", "DomainName", "DomainName", ["describe_domain"]),
    ("mq", "list_brokers", "BrokerSummaries", "BrokerId", "BrokerId", ["describe_broker"]),
    ("sesv2", "list_configuration_sets", "ConfigurationSets", None, "ConfigurationSetName", ["get_configuration_set"]),
]


def main():
    account = Account()
    state = {}

    def call(service, operation, **params):
        key = f"{service}:{operation} {json.dumps(params, sort_keys=True)}"
        try:
            answer = getattr(account.client(service), operation)(**params)
        except Exception as error:  # an error is a state as well: "there is no policy"
            state[key] = getattr(error, "response", {}).get("Error", {}).get("Code", type(error).__name__)
            return {}
        state[key] = plain(answer)
        return answer

    for service, operation, params in CALLS:
        call(service, operation, **params)
    for service, listing, path, key, param, operations in EACH:
        for item in call(service, listing).get(path, []):
            for operation in operations:
                call(service, operation, **{param: item[key] if key else item})
    for snapshot in call("ec2", "describe_snapshots", OwnerIds=["self"]).get("Snapshots", []):
        call("ec2", "describe_snapshot_attribute", SnapshotId=snapshot["SnapshotId"], Attribute="createVolumePermission")
    for image in call("ec2", "describe_images", Owners=["self"]).get("Images", []):
        call("ec2", "describe_image_attribute", ImageId=image["ImageId"], Attribute="launchPermission")
    for url in call("sqs", "list_queues").get("QueueUrls", []):
        call("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["All"])
    call("ssm", "describe_document_permission", Name="fix-document", PermissionType="Share")
    call("codebuild", "batch_get_projects", names=["fix-project"])
    json.dump(state, sys.stdout, indent=1, sort_keys=True, default=str)
    print()


def plain(value):
    """Without what is no setting."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items() if name not in VOLATILE}
    if isinstance(value, list):
        return sorted((plain(inner) for inner in value), key=lambda inner: json.dumps(inner, sort_keys=True, default=str))
    return value


if __name__ == "__main__":
    main()
