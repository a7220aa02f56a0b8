"""Run exports in SANA-FE, in a Python of its own, and compare what it counts: ``python -m benchmarks.sanafe PYTHON``.

PYTHON is an interpreter that has the package ``sanafe``; nothing here imports it. Writes ``docs/reference/sanafe.md``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pisnn_deploy as pd

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "sanafe.md"
MARK = "<!-- sanafe -->\n", "<!-- /sanafe -->\n"
STEPS = 20
CASES: dict[str, dict[str, Any]] = {
    "heat1d": {"profile": "loihi2"},
    "heat1d, dense": {"profile": "loihi2", "coding": "dense"},
    "heat1d, 2,000 cells": {"profile": "loihi2", "mesh": 2000},
    "heat1d, limiter": {"profile": "loihi2", "limiter": "positivity"},
    "heat1d for loihi1": {"profile": "loihi1", "mesh": 64},
}
PROGRAM = """
import importlib.metadata, json, sanafe, sys
counts = json.load(open("counts.json"))
architecture = sanafe.load_arch("architecture.yaml")
chip = sanafe.SpikingChip(architecture)
chip.load(sanafe.load_net("network.yaml", architecture))
result = chip.sim(counts["time_steps"])
names = ("neurons_fired", "spikes", "packets_sent", "sim_time")
figures = {name: result[name] for name in names} | {"energy": result["energy"]["total"]}
json.dump(figures | {"version": importlib.metadata.version("sanafe")}, open("result.json", "w"))
"""


def row(python: str, name: str) -> tuple[str, str]:
    """Row of the table of one export, and the version of SANA-FE."""
    with tempfile.TemporaryDirectory() as folder:
        artifact = pd.compile("heat1d", **CASES[name])
        facts = artifact.export("sanafe", Path(folder, "out"), steps=STEPS)
        subprocess.run([python, "-c", PROGRAM], cwd=Path(folder, "out"), check=True, stdout=subprocess.DEVNULL)
        counts = json.loads(Path(folder, "out", "result.json").read_text())
    assert artifact.graph.placement is not None
    is_equal = (counts["neurons_fired"], counts["spikes"]) == (facts["spikes"], facts["synaptic_operations"])
    cells = (
        name,
        f"{artifact.graph.placement.cores}",
        f"{facts['spikes']:,}",
        f"{counts['neurons_fired']:,}",
        f"{facts['synaptic_operations']:,}",
        f"{counts['spikes']:,}",
        "yes" if is_equal else "no",
        f"{counts['packets_sent']:,}",
        f"{counts['sim_time'] / STEPS * 1e6:.3g}",
        f"{counts['energy'] / STEPS * 1e9:.3g}",
    )
    return f"| {' | '.join(cells)} |", str(counts["version"])


def main() -> None:
    """Write the table into the page."""
    rows = [row(sys.argv[1], name) for name in CASES]
    header = (
        "| export | cores | spikes, ours | theirs | synaptic operations, ours | theirs | equal | messages "
        "| us a PDE step | nJ a PDE step |"
    )
    table = "\n".join(
        [f"SANA-FE {rows[0][1]}, {STEPS} PDE steps:\n", header, "| --- " * 10 + "|", *(r for r, _ in rows)]
    )
    before, rest = PAGE.read_text().split(MARK[0])
    _, after = rest.split(MARK[1])
    PAGE.write_text(f"{before}{MARK[0]}{table}\n{MARK[1]}{after}")


if __name__ == "__main__":
    main()
