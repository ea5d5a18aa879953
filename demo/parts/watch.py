"""CloudTrail, Config, GuardDuty, Security Hub, logs, alarms, topics, queues."""

from .base import ACCOUNT, allow, deny, document, tags


def trail(account, region, name, bucket, everywhere=True, validation=True, key=None, log_group=None, role=None, logging=True, data_events=False, topic=None):
    cloudtrail = account.client("cloudtrail", region)
    extra = {}
    if key:
        extra["KmsKeyId"] = key
    if log_group:
        extra |= {"CloudWatchLogsLogGroupArn": log_group, "CloudWatchLogsRoleArn": role}
    if topic:
        extra["SnsTopicName"] = topic
    cloudtrail.create_trail(
        Name=name, S3BucketName=bucket, IsMultiRegionTrail=everywhere, IncludeGlobalServiceEvents=everywhere,
        EnableLogFileValidation=validation, TagsList=tags(name), **extra,
    )
    if logging:
        cloudtrail.start_logging(Name=name)
    if data_events:
        selector = {"ReadWriteType": "All", "IncludeManagementEvents": True,
                    "DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}]}
        cloudtrail.put_event_selectors(TrailName=name, EventSelectors=[selector])


def log_delivery(bucket, service, prefix="AWSLogs"):
    """What a log bucket must allow AWS's service to do."""
    principal = {"Service": f"{service}.amazonaws.com"}
    return [
        allow("s3:GetBucketAcl", f"arn:aws:s3:::{bucket}", principal=principal),
        allow("s3:PutObject", f"arn:aws:s3:::{bucket}/{prefix}/*", principal=principal,
              condition={"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}),
    ]


def recorder(account, region, role, bucket, running=True, globals_too=False):
    config = account.client("config", region)
    group = {"allSupported": True, "includeGlobalResourceTypes": globals_too}
    config.put_configuration_recorder(ConfigurationRecorder={"name": "default", "roleARN": role, "recordingGroup": group})
    config.put_delivery_channel(DeliveryChannel={"name": "default", "s3BucketName": bucket})
    if running:
        config.start_configuration_recorder(ConfigurationRecorderName="default")


PROTECTION = ["S3_DATA_EVENTS", "EKS_AUDIT_LOGS", "EBS_MALWARE_PROTECTION", "RDS_LOGIN_EVENTS", "LAMBDA_NETWORK_LOGS", "RUNTIME_MONITORING"]


def detector(account, region, enabled=True, s3=True, kubernetes=True, features=()):
    account.client("guardduty", region).create_detector(
        Enable=enabled, FindingPublishingFrequency="SIX_HOURS",
        Features=[{"Name": name, "Status": "ENABLED" if name in features else "DISABLED"} for name in PROTECTION],
        DataSources={"S3Logs": {"Enable": s3}, "Kubernetes": {"AuditLogs": {"Enable": kubernetes}}},
    )


def log_group(account, region, name, days=None, key=None):
    logs = account.client("logs", region)
    extra = {"kmsKeyId": key} if key else {}
    logs.create_log_group(logGroupName=name, **extra)
    if days:
        logs.put_retention_policy(logGroupName=name, retentionInDays=days)
    return f"arn:aws:logs:{region}:{ACCOUNT}:log-group:{name}:*"


def metric_alarm(account, region, log_group_name, name, pattern, topic=None):
    """A metric filter on a log group, and the alarm on its metric."""
    account.client("logs", region).put_metric_filter(
        logGroupName=log_group_name, filterName=name, filterPattern=pattern,
        metricTransformations=[{"metricName": name, "metricNamespace": "Audit", "metricValue": "1"}],
    )
    if topic:
        alarm(account, region, name, "Audit", name, topic)


def alarm(account, region, name, namespace, metric, topic=None, threshold=1, dimensions=()):
    account.client("cloudwatch", region).put_metric_alarm(
        AlarmName=name, Namespace=namespace, MetricName=metric, Statistic="Sum", Period=300, EvaluationPeriods=1,
        Threshold=threshold, ComparisonOperator="GreaterThanOrEqualToThreshold", AlarmActions=[topic] if topic else [],
        ActionsEnabled=True, Dimensions=list(dimensions),
    )


def topic(account, region, name, key=None, policy=None, subscribers=(), only_tls=False):
    sns = account.client("sns", region)
    attributes = {"KmsMasterKeyId": key} if key else {}
    arn = sns.create_topic(Name=name, Attributes=attributes, Tags=tags(name))["TopicArn"]
    statements = list(policy or [])
    if only_tls:
        statements.append(deny("sns:Publish", arn, principal="*", condition={"Bool": {"aws:SecureTransport": "false"}}, sid="OnlyTls"))
    if statements:
        sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=document(*statements))
    for protocol, target in subscribers:
        sns.subscribe(TopicArn=arn, Protocol=protocol, Endpoint=target)
    return arn


def queue(account, region, name, key=None, managed=True, policy=(), dead_letters=None, only_tls=False):
    sqs = account.client("sqs", region)
    arn = f"arn:aws:sqs:{region}:{ACCOUNT}:{name}"
    attributes = {"KmsMasterKeyId": key} if key else {"SqsManagedSseEnabled": "true" if managed else "false"}
    statements = list(policy)
    if only_tls:
        statements.append(deny("sqs:*", arn, principal="*", condition={"Bool": {"aws:SecureTransport": "false"}}, sid="OnlyTls"))
    if statements:
        attributes["Policy"] = document(*statements)
    if dead_letters:
        attributes["RedrivePolicy"] = f'{{"deadLetterTargetArn":"{dead_letters}","maxReceiveCount":5}}'
    sqs.create_queue(QueueName=name, Attributes=attributes, tags={"Name": name})
    return arn
