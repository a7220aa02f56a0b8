"""Measure the baselines of a problem: ``python -m benchmarks.baselines --problem heat1d --output heat1d.json``."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.baselines import classical, conversion, pinn
from benchmarks.baselines.setting import Field, Setting, mass_drift, setting
from benchmarks.parts.zoo import compiled, relative_l2
from pisnn_deploy.physics.problems import NAMES
from pisnn_deploy.project.zoo import names

SERIES = 41
"""Number of times up to twice the horizon at which errors are kept."""
MULTIPLES = (1, 2, 10, 100)
TIME_STEPS = (64, 256, 1024)
"""Time steps over which spikes are counted; the longest only in one dimension, because it is slow."""
RATE_CODED_SERIES = 9
CACHE = Path("build/baselines")


def times(case: Setting, series: int = SERIES) -> list[float]:
    """Times at which a baseline is compared: a series up to twice the horizon, and later ones."""
    horizon = case.problem.horizon
    if case.is_steady:
        return [horizon]
    return [*np.linspace(0, 2 * horizon, series).tolist(), *(m * horizon for m in MULTIPLES[2:])]


def measured(
    name: str, case: Setting, at: Callable[[float], Field], when: list[float], **details: object
) -> dict[str, Any]:
    """Errors and drifts of one baseline.

    Parameters
    ----------
    name : str
        As the pages call the baseline.
    at : callable
        Cell averages at a time.
    when : list of float
        The times.
    """
    started = time.perf_counter()
    own_start = at(0.0)
    rows = [row(case, own_start, t, at(t)) for t in when]
    return {"name": name, "rows": rows, "seconds": time.perf_counter() - started, **details}


def row(case: Setting, own_start: Field, time_: float, field: Field) -> dict[str, float | None]:
    """Error at one time, and drift from the method's own start; a steady state has no drift."""
    drift = None if case.is_steady else mass_drift(field, own_start)
    return {"time": time_, "relative_l2": relative_l2(field, case.exact(time_)), "drift": drift}


def finite_volumes(case: Setting, time_step: float) -> list[dict[str, Any]]:
    """Run classical schemes with the time step of the deployed network."""
    if case.is_steady:
        solution = classical.direct_laplace(case)
        return [measured("two-point finite volumes, direct", case, lambda _: solution, times(case))]
    results = []
    for name, (step, limit) in classical.schemes(case).items():
        multiples = sorted({*np.linspace(0, 2, SERIES), *MULTIPLES})
        counts = [round(multiple * case.problem.horizon / time_step) for multiple in multiples]
        fields = {}
        for number, field in classical.trajectory(step, limit, case.initial(), time_step, max(counts)):
            if number in counts:
                fields[number] = field
        rows = [row(case, case.initial(), number * time_step, field) for number, field in sorted(fields.items())]
        results.append({"name": name, "rows": rows, "substeps": classical.substeps(limit, time_step)})
    return results


def networks(case: Setting, quick: bool) -> list[dict[str, Any]]:
    """Run the conventional PINN and its conversions."""
    network = pinn.trained(case, CACHE, *((50, 0) if quick else ()))
    horizon = case.problem.horizon
    corner = np.ones(len(case.mesh.shape))
    upper = corner if case.is_steady else np.append(corner, horizon)
    lower = np.zeros_like(upper)
    imbalance = {"flux_imbalance": pinn.flux_imbalance(network)} if case.is_steady else {}
    results = [
        measured(
            "PINN (DeepXDE)",
            case,
            lambda t: pinn.field(network, case, t),
            times(case),
            training_seconds=network.seconds,
            **imbalance,
        )
    ]
    small = conversion.int8(network, lower, upper)
    results.append(measured("PINN, int8 (onnxruntime)", case, lambda t: pinn.field(small, case, t), times(case)))
    layers = conversion.student(network, lower, upper)
    for steps in (16,) if quick else TIME_STEPS[: 4 - len(case.mesh.shape)]:
        coded = conversion.RateCoded(layers, steps, lower, upper)
        name = f"PINN, rate-coded, {steps} time steps (lava-dl)"
        results.append(
            measured(name, case, partial(pinn.field, coded, case, centres=True), times(case, RATE_CODED_SERIES))
        )
    return results


def deployed_time_step(case: Setting) -> float:
    """Time step of the zoo's model of a problem, compiled for its mesh."""
    return compiled(case.problem.name).time_step


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problem", choices=[name for name in NAMES if name in names()], required=True)
    parser.add_argument("--output", type=Path, help="build/results/baselines/PROBLEM.json unless given")
    parser.add_argument("--time-step", type=float, help="for finite volumes; that of the deployed network unless given")
    parser.add_argument("--quick", action="store_true", help="train almost nothing, to see that it runs")
    arguments = parser.parse_args()
    case = setting(arguments.problem)
    time_step = arguments.time_step or deployed_time_step(case)
    results = finite_volumes(case, time_step) + networks(case, arguments.quick)
    versions = {name: importlib.metadata.version(name) for name in ("deepxde", "onnxruntime", "lava-dl", "torch")}
    output = arguments.output or Path("build/results/baselines") / f"{arguments.problem}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({"problem": arguments.problem, "versions": versions, "baselines": results}))


if __name__ == "__main__":
    main()
