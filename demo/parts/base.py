"""What every part of a seed needs: clients, the clock, policy documents."""

import json
import os
import urllib.request

import boto3
from botocore.config import Config

ACCOUNT = "123456789012"
HOME = "us-east-1"


class Account:
    """Clients for one account on one moto server, and the server's clock."""

    def __init__(self, endpoint=None):
        self.endpoint = endpoint or os.environ["AWS_ENDPOINT_URL"]
        self.clients = {}
        self.now = None

    def client(self, service, region=HOME):
        key = (service, region)
        if key not in self.clients:
            self.clients[key] = boto3.client(
                service,
                region_name=region,
                endpoint_url=self.endpoint,
                aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
                aws_secret_access_key="demo",
                # A seed that needs a second attempt has something wrong with it.
                config=Config(retries={"total_max_attempts": 1}),
            )
            if service == "s3control":
                # It puts the account in front of the host name, which loopback cannot resolve.
                self.clients[key].meta.events.register("before-sign", self._without_prefix)
        return self.clients[key]

    def _without_prefix(self, request, **_):
        request.url = request.url.replace(f"//{ACCOUNT}.", "//")

    def clock(self, now):
        """Moves the server to this time (RFC 3339, UTC). Needs `demo/server.py`."""
        self.now = now
        self._post(f"/palisade/clock?now={now}")

    def reseed(self, number=42):
        """Starts moto's random identifiers over, so that every run gives the same."""
        self._post(f"/moto-api/seed?a={number}")

    def without_docker(self):
        """Functions are never run: moto would start containers for them."""
        self._post("/moto-api/config", json.dumps({"lambda": {"use_docker": False}, "batch": {"use_docker": False}}).encode())

    def activity(self, **facts):
        """Tells the server when credentials were last used; see `demo/patches.py`."""
        self._post("/palisade/activity", json.dumps(facts).encode())

    def correct(self, company="tidewater"):
        """From now on the server answers with the corrections of that company where they have an answer."""
        self._post(f"/palisade/corrections?company={company}")

    def _post(self, path, body=None):
        with urllib.request.urlopen(urllib.request.Request(self.endpoint + path, data=body, headers={"Content-Type": "application/json"}, method="POST")):
            pass


def document(*statements):
    """A policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions, resources="*", **rest):
    """An Allow statement; `principal`, `condition` and `sid` as keywords."""
    return statement("Allow", actions, resources, **rest)


def deny(actions, resources="*", **rest):
    """A Deny statement."""
    return statement("Deny", actions, resources, **rest)


def statement(effect, actions, resources, principal=None, condition=None, sid=None):
    out = {"Effect": effect}
    if sid:
        out["Sid"] = sid
    if principal is not None:
        out["Principal"] = principal
    out["Action"] = actions
    if resources is not None:
        out["Resource"] = resources
    if condition is not None:
        out["Condition"] = condition
    return out


def trust(principal, condition=None, action="sts:AssumeRole"):
    """A role's trust policy."""
    return document(allow(action, None, principal=principal, condition=condition))


def tags(name=None, upper=True, **values):
    """AWS's list form of tags."""
    pairs = ({"Name": name} if name else {}) | values
    key, value = ("Key", "Value") if upper else ("key", "value")
    return [{key: k, value: v} for k, v in pairs.items()]


def tag_specification(kind, name=None, **values):
    """Tags as EC2 takes them when something is made."""
    return [{"ResourceType": kind, "Tags": tags(name, **values)}]
