"""What `simulate --json` printed, read for its events."""

import json
import math
from pathlib import Path

from fuzz.compiled import profile_named, small_graph
from fuzz.mutations import json_changed
from fuzz.oracle import require
from fuzz.target import Target
from pisnn_deploy.checks import check
from pisnn_deploy.estimates.activity import read_activity


def _seeds(folder: Path) -> list[bytes]:
    events = dict.fromkeys(small_graph().chain, 100)
    return [json.dumps({"verdict": "conserved", "steps": 20, "events": events, "mass": {"drift": 0}}).encode()]


def _read(path: Path) -> None:
    activity = read_activity(path, small_graph())
    shares = activity.fraction.values()
    require(all(math.isfinite(share) and 0 <= share <= 1 for share in shares), "more events than neurons")
    check(small_graph(), profile_named("loihi2"), activity=activity)


TARGET = Target("input.json", _read, _seeds, json_changed, size=1024)
