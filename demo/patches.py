"""Where moto answers other than AWS documents, put right before the server starts.

IAM:
- The credential report has a row for the root user, first, named `<root_account>`.
- It tells when passwords and keys were last used; the seed says so through `POST /palisade/activity`.
- GetAccountAuthorizationDetails leaves out AWS's managed policies that are attached to nothing.
- The account summary counts the root user's access keys.

Elsewhere:
- Keys that AWS makes for its own services are managed by AWS, and rotated.
- A listener without TLS has no TLS policy.
- GetBucketPolicyStatus answers.
- ElastiCache takes a number for `MaxRecords`.
- The URL of a queue is AWS's, whatever address moto listens on.
"""

import json
from datetime import datetime, timedelta, timezone

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.elasticache import models as caches
from moto.elbv2 import models as balancers
from moto.iam import models, responses
from moto.kms import models as keys
from moto.s3 import models as buckets
from moto.sqs import models as queues

COLUMNS = (
    "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,mfa_active,"
    "access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service,"
    "access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,"
    "cert_1_active,cert_1_last_rotated,cert_2_active,cert_2_last_rotated"
).split(",")

ROOT = {"created": "2021-02-09T08:12:44Z", "mfa": False}


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc).replace(tzinfo=None)


def shown(when):
    return when.strftime("%Y-%m-%dT%H:%M:%S+00:00") if when else "N/A"


def key_cells(row, number, key):
    """The five cells of an access key; AWS shows a missing key as inactive and `N/A`."""
    cell = f"access_key_{number}_"
    used = key.last_used if key else None
    row[cell + "active"] = "true" if key and key.status == "Active" else "false"
    row[cell + "last_rotated"] = shown(key.create_date) if key else "N/A"
    row[cell + "last_used_date"] = shown(used.timestamp) if used else "N/A"
    row[cell + "last_used_region"] = used.region if used else "N/A"
    row[cell + "last_used_service"] = used.service if used else "N/A"


def user_row(backend, user):
    keys = list(user.access_keys) + [None, None]
    row = dict.fromkeys(COLUMNS, "N/A") | {
        "user": user.name, "arn": user.arn, "user_creation_time": shown(user.create_date),
        "mfa_active": "true" if user.mfa_devices else "false", "cert_1_active": "false", "cert_2_active": "false",
    }
    if user.password:
        age = backend.account_password_policy and backend.account_password_policy.max_password_age
        changed = user.create_date
        row |= {
            "password_enabled": "true", "password_last_changed": shown(changed),
            "password_last_used": shown(user.password_last_used) if user.password_last_used else "no_information",
        }
        if age:
            row["password_next_rotation"] = shown(changed + timedelta(days=age))
    else:
        row |= {"password_enabled": "false", "password_last_used": "N/A"}
    key_cells(row, 1, keys[0])
    key_cells(row, 2, keys[1])
    return row


def root_row(account):
    created = moment(ROOT["created"])
    row = dict.fromkeys(COLUMNS, "N/A") | {
        "user": "<root_account>", "arn": f"arn:aws:iam::{account}:root", "user_creation_time": shown(created),
        "password_enabled": "not_supported", "password_last_changed": "not_supported", "password_next_rotation": "not_supported",
        "password_last_used": shown(moment(ROOT["password_used"])) if "password_used" in ROOT else "no_information",
        "mfa_active": "true" if ROOT["mfa"] else "false", "cert_1_active": "false", "cert_2_active": "false",
    }
    key_cells(row, 1, None)
    key_cells(row, 2, None)
    if key := ROOT.get("key"):
        row |= {
            "access_key_1_active": "true", "access_key_1_last_rotated": shown(moment(key["created"])),
            "access_key_1_last_used_date": shown(moment(key["used"])), "access_key_1_last_used_region": key["region"],
            "access_key_1_last_used_service": key["service"],
        }
    return row


def credential_report(backend):
    if not backend.credential_report:
        raise models.ReportNotPresentException("Credential report not present")
    rows = [root_row(backend.account_id)] + [user_row(backend, user) for user in backend.users.values()]
    return "\n".join([",".join(COLUMNS)] + [",".join(str(row[column]) for column in COLUMNS) for row in rows])


def credential_report_answer(response):
    return ActionResult({"Content": response.backend.get_credential_report(), "ReportFormat": "text/csv", "GeneratedTime": utcnow()})


def attached_only(original):
    def details(backend, policy_filter):
        found = original(backend, policy_filter)
        found["managed_policies"] = [
            policy for policy in found["managed_policies"] if policy.attachment_count or ":aws:policy/" not in policy.arn
        ]
        return found

    return details


def activity(account, facts):
    """`{"root": {...}, "users": {name: {"password": when, "keys": [[when, service, region]]}}, "roles": {name: [when, region]}}`"""
    backend = models.iam_backends[account]["aws"]
    ROOT.update(facts.get("root", {}))
    backend.account_summary._account_access_keys_present = 1 if ROOT.get("key") else 0
    backend.account_summary._account_mfa_enabled = 1 if ROOT["mfa"] else 0
    for name, used in facts.get("users", {}).items():
        user = backend.get_user(name)
        if "password" in used:
            user.password_last_used = moment(used["password"])
        for key, (when, service, region) in zip(user.access_keys, used.get("keys", []), strict=True):
            key.last_used = models.AccessKeyLastUsed(moment(when), service, region)
    for name, (when, region) in facts.get("roles", {}).items():
        role = backend.get_role(name)
        role.last_used, role.last_used_region = moment(when), region


def service_keys(original):
    def create_key(backend, *arguments, **named):
        key = original(backend, *arguments, **named)
        if key.description.startswith(("Default key", "Default master key")):
            key.key_manager, key.key_rotation_status = "AWS", True
        return key

    return create_key


def without_tls(original):
    def listener(self, *arguments, **named):
        original(self, *arguments, **named)
        if self.protocol not in ("HTTPS", "TLS"):
            self.ssl_policy = None

    return listener


def with_number(original):
    def describe(backend, max_records=None, **named):
        return original(backend, max_records=int(max_records) if max_records else None, **named)

    return describe


def queue_url(queue, _request_url):
    return f"https://sqs.{queue.region}.amazonaws.com/{queue.account_id}/{queue.name}"


def policy_status(account, name):
    """Status and body of GetBucketPolicyStatus: public when somebody unnamed is allowed something without a condition."""
    error = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{0}</Code><Message>{1}</Message><BucketName>{2}</BucketName></Error>'
    bucket = buckets.s3_backends[account]["aws"].buckets.get(name)
    if not bucket:
        return "404 Not Found", error.format("NoSuchBucket", "The specified bucket does not exist", name)
    if not bucket.policy:
        return "404 Not Found", error.format("NoSuchBucketPolicy", "The bucket policy does not exist", name)
    public = any(
        statement["Effect"] == "Allow" and statement["Principal"] in ("*", {"AWS": "*"}) and "Condition" not in statement
        for statement in json.loads(bucket.policy)["Statement"]
    )
    body = '<PolicyStatus xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsPublic>{}</IsPublic></PolicyStatus>'
    return "200 OK", '<?xml version="1.0" encoding="UTF-8"?>\n' + body.format("true" if public else "false")


def apply():
    caches.ElastiCacheBackend.describe_replication_groups = with_number(caches.ElastiCacheBackend.describe_replication_groups)
    queues.Queue.url = queue_url
    keys.KmsBackend.create_key = service_keys(keys.KmsBackend.create_key)
    balancers.FakeListener.__init__ = without_tls(balancers.FakeListener.__init__)
    models.IAMBackend.get_credential_report = credential_report
    models.IAMBackend.get_account_authorization_details = attached_only(models.IAMBackend.get_account_authorization_details)
    responses.IamResponse.get_credential_report = credential_report_answer
