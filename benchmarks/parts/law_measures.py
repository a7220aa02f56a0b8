"""Measurements of laws for their page, each kept as JSON under ``build/`` until it is asked for again."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import pisnn_deploy as pd
from benchmarks.common import BUILD, ROOT, times
from benchmarks.laws import FIGURES, LONG, WORD, l1, widest
from pisnn_deploy.project import zoo
from pisnn_deploy.runs import RunOptions
from pisnn_deploy.runs.comparison import compare

Figures = dict[str, Any]
FOLDER = BUILD / "laws"
EXAMPLES = ROOT / "examples" / "laws"
LAVA_STEPS = 200
PROFILES = {"shallow_water2d": "kapoho_point"}
"""Laws that loihi2, the default, has too few cores for on the mesh of their goal."""
MESHES = {"shallow_water2d": "128x128"}
"""Meshes of goals that are not those of the recipe."""


def figure(name: str) -> Figures:
    """Rows of a figure of `benchmarks.laws`."""
    rows = []
    for row in {**FIGURES, **LONG}[name]():
        bits = widest(row.ran.graph)
        rows.append(
            {
                "name": row.name,
                "mesh": times(row.ran.graph.mesh.shape),
                "steps": row.ran.steps,
                "measure": row.measure,
                "error": row.error,
                "goal": row.goal,
                "compared": row.compared,
                "drift": row.ran.drift,
                "bits": bits,
                "reached": row.reaches and bits <= WORD,
                "seconds": row.ran.seconds,
            }
        )
    return {"rows": rows}


def lava(name: str) -> Figures:
    """The first PDE steps on Lava and on `fast`, every integer compared, and the time that Lava takes."""
    artifact = compiled(name)
    graph = artifact.graph
    begun = time.perf_counter()
    compared = compare(("cpu", "fast"), graph, graph.initial, RunOptions(LAVA_STEPS, deadline_seconds=7200.0))
    seconds = time.perf_counter() - begun
    difference = compared.difference
    return {
        "mesh": times(graph.mesh.shape),
        "neurons": graph.neurons,
        "coding": graph.coding,
        "steps": compared.steps,
        "integers": compared.integers,
        "different": "" if difference is None else difference.sentence("cpu", "fast"),
        "failures": [failure for failure in compared.failures if failure],
        "seconds": seconds,
    }


def example(name: str) -> Figures:
    """A law outside the zoo from recipe to verified run on `fast`, to its final time."""
    begun = time.perf_counter()
    artifact = compiled(name)
    compiling = time.perf_counter() - begun
    begun = time.perf_counter()
    verified = all(finding.holds for finding in artifact.verify())
    verifying = time.perf_counter() - begun
    begun = time.perf_counter()
    run = artifact.simulate(backend="fast")
    error, ledgers = run.to_dict()["error"], run.to_dict()["ledgers"]
    return {
        "mesh": times(artifact.graph.mesh.shape),
        "steps": run.steps,
        "verdict": run.verdict,
        "drift": run.drift,
        "errors": {field: each["relative_l2"] for field, each in error["fields"].items()},
        "known_to": {field: each["reference_error"] for field, each in error["fields"].items()},
        "reference": error["reference"],
        "ledgers": {f"{field} {name}": each["amount"] for field, by in ledgers.items() for name, each in by.items()},
        "exact": stefan_errors(run) if name == "melting" else None,
        "verified": verified,
        "seconds": {"compile": compiling, "verify": verifying, "simulate": time.perf_counter() - begun},
    }


def stefan_errors(run: pd.SimulationRun) -> dict[str, float]:
    """Relative errors of `melting` beside Neumann's solution: L1 of the heat of cells, and the heat that came in.

    Ice at its melting point, whose latent heat is 1, is held at a temperature of 1 on its left: it has melted up to
    ``2 rate sqrt(t)``.
    """
    rate = 0.62006256
    assert abs(math.sqrt(math.pi) * rate * math.exp(rate**2) * math.erf(rate) - 1) < 1e-6
    moment = run.steps * run.graph.time_step
    width = 2 * math.sqrt(moment)
    front = rate * width

    def heat_up_to(x: float) -> float:
        z = min(x, front) / width
        of_erf = width * (z * math.erf(z) + (math.exp(-z * z) - 1) / math.sqrt(math.pi))
        return 2 * min(x, front) - of_erf / math.erf(rate)

    values = run.graph.values(run.mass[-1])
    edges = np.linspace(0, run.graph.grid.lengths[0], values.size + 1)
    known = np.diff([heat_up_to(edge) for edge in edges]) / np.diff(edges)
    total = heat_up_to(math.inf)
    return {"l1": l1(values, known), "heat": abs(values.mean() * edges[-1] / total - 1), "front": front}


def compiled(name: str) -> pd.CompiledArtifact:
    """A law of the zoo or an example, compiled for Loihi 2."""
    model = name if name in zoo.laws() else EXAMPLES / f"{name}.yaml"
    return pd.compile(model, profile=PROFILES.get(name, "loihi2"), mesh=MESHES.get(name))


EXAMPLE_NAMES = ("gas_tube", "melting", "on_ramp")
MEASURES: dict[str, Callable[[], Figures]] = {
    **{f"figure {name}": lambda name=name: figure(name) for name in (*FIGURES, *LONG)},
    **{f"example {name}": lambda name=name: example(name) for name in EXAMPLE_NAMES},
    **{f"lava {name}": lambda name=name: lava(name) for name in (*zoo.laws(), *EXAMPLE_NAMES)},
}


def measured(key: str) -> Figures:
    """Figures of a measurement, a key of `MEASURES`; taken if they are not kept."""
    path = path_of(key)
    if not path.exists():
        sys.stderr.write(f"measuring {key}\n")
        FOLDER.mkdir(parents=True, exist_ok=True)
        figures = MEASURES[key]()
        path.write_text(json.dumps(figures, indent=1))
    kept: Figures = json.loads(path.read_text())
    return kept


def path_of(key: str) -> Path:
    """Where the figures of a measurement are kept."""
    return FOLDER / f"{key.replace(' ', '-')}.json"
