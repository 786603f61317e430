"""Reads each dashboard with Grafana's foundation SDK and writes it again: what is dropped or changed on
the way is a key that Grafana does not know.

    python3 round_trip.py FILE.json ...
"""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


def differences(before, after, path):
    """What `after` lacks of `before`, or has otherwise."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key in after:
                yield from differences(value, after[key], f"{path}/{key}")
            else:
                yield f"{path}/{key} is dropped"
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for place, pair in enumerate(zip(before, after)):
            yield from differences(*pair, f"{path}[{place}]")
    elif before != after:
        yield f"{path} is {after!r} instead of {before!r}"


def main(files):
    register_default_plugins()
    found = []
    for file in files:
        with open(file, encoding="utf-8") as text:
            before = json.load(text)
        after = json.loads(json.dumps(Dashboard.from_json(before), cls=JSONEncoder))
        found += differences(before, after, file)
        print(f"{file}: {len(before['panels'])} panels")
    print("\n".join(found) or "no difference")
    return 1 if found or not files else 0


sys.exit(main(sys.argv[1:]))
