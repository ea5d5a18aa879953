"""The demo account: Tidewater, a mid-sized shop that grew quickly. Good and bad side by side, in three regions.

    AWS_ENDPOINT_URL=http://127.0.0.1:PORT python demo/seed.py

The company, its domains (`.example`), its accounts and its secrets are made up. Needs `demo/server.py`, whose clock it
moves: the account has grown since 2022, and it is 15 January 2026 there.
"""

import json
import sys

from company import apps, data, foundation, network, people
from parts.base import Account

LEGACY, PLATFORM, LATELY, YESTERDAY, NOW = (
    "2022-06-14T08:30:00Z",
    "2024-02-20T10:00:00Z",
    "2025-09-03T13:15:00Z",
    "2026-01-14T16:40:00Z",
    "2026-01-15T12:00:00Z",
)


def main():
    account = Account()
    account.without_docker()
    account.reseed(42)
    facts = {}
    for moment, steps in (
        (LEGACY, [foundation.organization, people.legacy, foundation.keys_of, foundation.log_buckets, network.legacy, data.legacy, apps.legacy]),
        (PLATFORM, [people.platform, foundation.watch_over, network.platform, data.platform, apps.platform, apps.edge]),
        (LATELY, [people.lately, network.outlet, data.outlet, apps.outlet]),
        (YESTERDAY, [data.backups, people.yesterday]),
    ):
        account.clock(moment)
        for step in steps:
            print(f"{moment[:10]} {step.__module__.split('.')[-1]}.{step.__name__}", file=sys.stderr, flush=True)
            step(account, facts)
    account.clock(NOW)
    people.activity(account)
    account.correct()
    print(json.dumps({"account": "123456789012", "now": NOW, "regions": ["us-east-1", "eu-west-1", "ap-southeast-2"]}))


if __name__ == "__main__":
    main()
