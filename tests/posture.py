#!/usr/bin/env python3
"""Runs Palisade on one posture scenario (`cargo xtask conformance`): `posture.py CATALOG palisade … scan …`.

The scenario's thresholds (`SCENARIO_CONFIG`, under another scanner's names) and whether unused resources are judged
(`SCENARIO_SCAN_UNUSED`) become the parameters of the check that is asked for: a catalogue overlay with other defaults.
Findings that are unknown or do not apply are left out: the scenarios' rules count them as not reported."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

# threshold → parameter of ours
PARAMETERS = {
    "log_group_retention_days": "days",
    "max_ec2_instance_age_in_days": "days",
    "max_ec2_instance_stopped_days": "days",
    "max_security_group_rules": "rules",
    "max_unused_access_keys_days": "days",
    "elbv2_listener_pqc_tls_allowed_policies": "policies",
    "organizations_trusted_delegated_administrators": "trusted",
    "trusted_account_ids": "trusted",
}


def main():
    catalog, *command = sys.argv[1:]
    asked = os.environ.get("SCENARIO_CHECK", "").split(",")
    wanted = {
        PARAMETERS[key]: value
        for key, value in json.loads(os.environ.get("SCENARIO_CONFIG") or "{}").items()
        if key in PARAMETERS and value != []
    }
    golden = json.loads(os.environ.get("SCENARIO_CONFIG") or "{}").get("enclave_golden_pcr_values", {})
    measurements = [f"{register.lower()}={value}" for register, values in golden.items() for value in values]
    if measurements:
        wanted["measurements"] = measurements
    wanted["unused"] = os.environ.get("SCENARIO_SCAN_UNUSED", "1") != "0"
    with tempfile.TemporaryDirectory() as overlay:
        if write_overlay(pathlib.Path(catalog), pathlib.Path(overlay), asked, wanted):
            command += ["--catalog", overlay]  # the last one wins
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    for line in done.stdout.splitlines():
        if not line.startswith("{") or json.loads(line).get("status") not in ("unknown", "not_applicable"):
            print(line)
    return done.returncode


def write_overlay(catalog, overlay, asked, wanted):
    """Copies the checks that answer for one of `asked`, with `wanted` as defaults; whether any differs."""
    differs = False
    for path in sorted(catalog.glob("checks/*/*.md")):
        text = path.read_text()
        front = text.split("\n+++\n", 1)[0]
        if not any(f'"{check}"' in front for check in asked):
            continue
        changed = text
        for name, value in wanted.items():
            default = re.compile(rf"^(\[params\.{name}\]\ndefault = ).*$", re.MULTILINE)
            changed = default.sub(lambda m, v=value: m[1] + json.dumps(v), changed, count=1)
        if changed != text:
            copy = overlay / path.relative_to(catalog)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(changed)
            differs = True
    return differs


if __name__ == "__main__":
    sys.exit(main())
