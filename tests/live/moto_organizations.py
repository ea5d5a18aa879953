"""moto with two things that its Organizations API lacks: the paths of accounts ("Account", member `Paths`), and the
filter of `ListPolicies`.

    python tests/live/moto_organizations.py PORT
"""

import json
import sys

from moto.organizations import models, responses
from moto.server import main

described = models.FakeAccount.describe


def describe(account):
    organization = account.master_account_id, account.organization_id
    backend = next(iter(models.organizations_backends[organization[0]].values()))
    chain, child = [account.id], account.id
    while not child.startswith("r-"):
        child = backend.list_parents(ChildId=child)["Parents"][0]["Id"]
        chain.insert(0, child)
    return {**described(account), "Paths": ["/".join([organization[1], *chain]) + "/"]}


def list_policies(response):
    kind = response._get_param("Filter")
    policies = response.organizations_backend.list_policies()["Policies"]
    return json.dumps({"Policies": [p for p in policies if p["Type"] == kind]})


models.FakeAccount.describe = describe
responses.OrganizationsResponse.list_policies = list_policies
main(["-H", "127.0.0.1", "-p", sys.argv[1]])
