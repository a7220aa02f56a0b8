"""Earlier reports of `check`, used as baselines."""

import json
from pathlib import Path

from fuzz.compiled import profile_named, small_graph
from fuzz.mutations import json_changed
from fuzz.target import Target
from pisnn_deploy.checks import RULES, check
from pisnn_deploy.checks.baseline import Baseline
from pisnn_deploy.checks.formats import FORMATS
from pisnn_deploy.checks.outcome import Outcome


def _seeds(folder: Path) -> list[bytes]:
    outcomes = [
        Outcome(Path("a"), check(small_graph(), profile_named(name)), RULES, None) for name in ("loihi2", "loihi1")
    ]
    return [FORMATS["json"](outcomes[:1]).encode(), FORMATS["json"](outcomes).encode()]


def _read(path: Path) -> None:
    earlier, report = Baseline(path), check(small_graph(), profile_named("loihi2"))
    for growth in earlier.growths(report.profile, report.resources, 5.0):
        json.dumps(growth.to_dict(), allow_nan=False)
        str(growth.message)


TARGET = Target("input.json", _read, _seeds, json_changed, size=1 << 13)
