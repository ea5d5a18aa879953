"""What Lighthouse runs: a function behind a queue, a table, a bucket, images."""

import json

from parts import apps, data, keys, watch
from parts.base import ACCOUNT, allow, document
from parts.identity import role

from .foundation import ACCESS_LOGS, EUROPE, HOME, REGIONS, service_trust


def data_stores(account, facts):
    key = facts["key", HOME]
    data.bucket(account, "lighthouse-orders", versioning="Enabled", key=key, log_to=ACCESS_LOGS, block=data.BLOCK_ALL, tls=True, lifecycle=True, lock=True, owner="orders")
    data.table(account, HOME, "orders", recovery=True, protect=True, key=key, owner="orders")
    account.client("backup", EUROPE).create_backup_vault(BackupVaultName="copies", EncryptionKeyArn=facts["key", EUROPE])
    account.client("backup", HOME).create_backup_vault(BackupVaultName="main", EncryptionKeyArn=key)
    account.client("backup", HOME).create_backup_plan(BackupPlan={"BackupPlanName": "daily", "Rules": [{
        "RuleName": "daily", "TargetBackupVaultName": "main", "ScheduleExpression": "cron(0 3 * * ? *)", "Lifecycle": {"DeleteAfterDays": 35},
        "CopyActions": [{"DestinationBackupVaultArn": f"arn:aws:backup:{EUROPE}:{ACCOUNT}:backup-vault:copies", "Lifecycle": {"DeleteAfterDays": 35}}]}]})


def regional_settings(account, facts):
    """What AWS leaves open in every region until somebody sets it."""
    for region in REGIONS:
        key = facts["key", region]
        account.client("ecr", region).put_registry_scanning_configuration(scanType="ENHANCED", rules=[
            {"scanFrequency": "CONTINUOUS_SCAN", "repositoryFilters": [{"filter": "*", "filterType": "WILDCARD"}]}])
        account.client("glue", region).put_data_catalog_encryption_settings(DataCatalogEncryptionSettings={
            "EncryptionAtRest": {"CatalogEncryptionMode": "SSE-KMS", "SseAwsKmsKeyId": key},
            "ConnectionPasswordEncryption": {"ReturnConnectionPasswordEncrypted": True, "AwsKmsKeyId": key}})
        watch.log_group(account, region, "/audit/bedrock", days=400, key=key)
        sessions = watch.log_group(account, region, "/audit/sessions", days=400, key=key)
        account.client("ssm", region).create_document(Name="SSM-SessionManagerRunShell", DocumentType="Session", DocumentFormat="JSON", Content=json.dumps({
            "schemaVersion": "1.0", "description": "Recorded sessions", "sessionType": "Standard_Stream", "inputs": {
                "cloudWatchLogGroupName": sessions.split(":")[6], "cloudWatchEncryptionEnabled": True, "kmsKeyId": key, "idleSessionTimeout": "20"}}))


def applications(account, facts):
    key = facts["key", HOME]
    letters = watch.queue(account, HOME, "orders-failed", key=key, only_tls=True)
    queue = watch.queue(account, HOME, "orders", key=key, dead_letters=letters, only_tls=True)
    orders = role(account, "orders-api", service_trust("lambda"), inline={"work": document(
        allow(["dynamodb:GetItem", "dynamodb:PutItem"], f"arn:aws:dynamodb:{HOME}:{ACCOUNT}:table/orders"),
        allow(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], queue),
        allow("sqs:SendMessage", letters),
        allow(["logs:CreateLogStream", "logs:PutLogEvents"], f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:/aws/lambda/orders-api:*"),
        allow(["kms:Decrypt", "kms:GenerateDataKey"], key))}, team="orders")
    watch.log_group(account, HOME, "/aws/lambda/orders-api", days=400, key=key)
    apps.function(account, HOME, "orders-api", orders, runtime="python3.13", subnets=facts["subnets"], groups=[facts["app_group"]], traced=True, dead_letters=letters, key=key, owner="orders")
    apps.repository(account, HOME, "orders", key=key)
    keys.parameter(account, HOME, "/orders/table", "orders")
