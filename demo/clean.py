"""A well-kept account: Lighthouse, a small company that did what the checks ask for. It is what "nothing to complain
about" looks like, and holds the checks to it: a scan of its recording finds nothing above `low`.

    AWS_ENDPOINT_URL=http://127.0.0.1:PORT python demo/clean.py

Nothing in it is real. Needs `demo/server.py`, as `seed.py` does.
"""

import json
import sys

from lighthouse import apps, foundation, network
from parts.base import Account

START, NOW = "2025-12-20T09:00:00Z", "2026-01-15T12:00:00Z"


def main():
    account = Account()
    account.without_docker()
    account.reseed(7)
    facts = {}
    account.clock(START)
    for step in (foundation.identity, foundation.organization, foundation.keys_of, foundation.logs, foundation.watch_over, network.network, apps.data_stores, apps.regional_settings, apps.applications):
        print(f"{step.__module__.split('.')[-1]}.{step.__name__}", file=sys.stderr, flush=True)
        step(account, facts)
    account.clock(NOW)
    foundation.activity(account)
    account.correct("lighthouse")
    print(json.dumps({"account": "123456789012", "now": NOW, "regions": ["us-east-1", "eu-west-1"]}))


if __name__ == "__main__":
    main()
