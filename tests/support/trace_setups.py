"""Set-ups of every kind whose integers are pinned."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from compiled_files import compile_file

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.runs.fast import run as run_fast
from pisnn_deploy.runs.run import RunOptions, start_of
from pisnn_deploy.runs.stepping import ReferenceStepper, stepped_run

PLATE = Path(__file__).parents[2] / "examples" / "plate_with_hole"
STEPS = 25

SetUp = Callable[[Path], IntegerGraph]


def _compiled(name: str, **options: Any) -> SetUp:
    return lambda folder: compile_file(name, **options)[0]


def _on_cells(name: str, shape: tuple[int, ...], *, capacity: bool, **options: Any) -> SetUp:
    def compile_it(folder: Path) -> IntegerGraph:
        rng = np.random.default_rng(5)
        np.save(folder / "k.npy", rng.uniform(0.005, 0.02, shape))
        np.save(folder / "c.npy", rng.uniform(1.0, 2.0, shape))
        files: dict[str, Any] = {
            "conductivity": folder / "k.npy",
            **({"capacity": folder / "c.npy"} if capacity else {}),
        }
        mesh = "x".join(map(str, shape))
        return compile_file(name, mesh=mesh, **files, **options)[0]

    return compile_it


def _plate(**options: Any) -> SetUp:
    return _compiled(
        "heat2d",
        mesh=str(PLATE / "plate.msh"),
        materials=PLATE / "materials.yaml",
        boundary="hole=dirichlet=1 left=dirichlet=0 right=dirichlet=0",
        value_range="0,1",
        **options,
    )


def set_ups() -> Iterator[tuple[str, SetUp]]:
    """Name and maker of each set-up; a maker gets a folder of its own."""
    meshes = {"heat1d": "32", "heat2d": "16x16", "laplace2d": "32x32"}
    for model in ("heat1d", "heat2d", "laplace2d", "advection_diffusion1d", "burgers1d"):
        mesh = meshes.get(model)
        for coding in ("delta", "dense"):
            yield f"{model} {coding}", _compiled(model, mesh=mesh, coding=coding)
        yield f"{model} generic-int", _compiled(model, mesh=mesh, profile="generic-int")
    for model in ("heat1d", "heat2d", "advection_diffusion1d"):
        yield f"{model} limiter", _compiled(model, mesh=meshes.get(model), limiter="positivity")
    for coding in ("delta", "dense"):
        yield (
            f"heat1d limiter between reservoirs {coding}",
            _compiled("heat1d", mesh="32", boundary="dirichlet=0,1", limiter="positivity", coding=coding, slope=60.0),
        )
    for boundary in ("no-flux", "dirichlet=0,1"):
        yield f"heat1d {boundary}", _compiled("heat1d", mesh="48", boundary=boundary)
    for boundary in ("x=periodic y=dirichlet=0,1", "x=dirichlet=0,1 y=dirichlet=0,1", "no-flux"):
        yield f"heat2d {boundary}", _compiled("heat2d", mesh="12x12", boundary=boundary, slope=60.0)
    for model in ("heat1d", "heat2d", "advection_diffusion1d"):
        yield f"{model} stock", _compiled(model, mesh=meshes.get(model), processes="stock")
    yield "heat1d stock with a send threshold", _compiled("heat1d", mesh="32", processes="stock", send_threshold=3)
    for model, coding in (("heat1d", "dense"), ("heat2d", "delta"), ("laplace2d", "delta")):
        mesh = meshes[model]
        yield f"{model} seen residues {coding}", _compiled(model, mesh=mesh, coding=coding, residues="seen")
    yield "heat1d binary", _compiled("heat1d", mesh="32", profile="loihi1")
    yield "heat1d binary for loihi2", _compiled("heat1d", mesh="32", spikes="binary")
    for capacity in (False, True):
        named = "conductivity and capacity" if capacity else "conductivity"
        yield f"heat1d {named}", _on_cells("heat1d", (32,), capacity=capacity, boundary="no-flux", digits="one")
        yield f"heat2d {named}", _on_cells("heat2d", (10, 10), capacity=capacity, digits="one")
    limited: dict[str, Any] = {"limiter": "positivity", "digits": "one"}
    yield "heat1d capacity with a limiter", _on_cells("heat1d", (32,), capacity=True, **limited)
    yield "plate", _plate(digits="one")
    yield "plate with a limiter", _plate(**limited)
    yield "heat2d conductivity with many digits", _on_cells("heat2d", (10, 10), capacity=False, digits="many")
    yield "plate with many digits", _plate(digits="many")
    stretched = str(Path(__file__).parents[1] / "cases" / "tpfa_stretched" / "stretch.msh")
    boundary = "cold=dirichlet=0 hot=dirichlet=1"
    yield "multi-point fluxes", _compiled("heat2d", mesh=stretched, boundary=boundary, value_range="0,1")


def trace_hash(graph: IntegerGraph) -> str:
    """SHA-256 of every integer of every PDE step, on which reference and kernels agree.

    These are masses, ledgers, sums of packets, and packets, currents and residues.
    """
    options = RunOptions(STEPS, everything=True)
    reference = ReferenceStepper(graph, start_of(graph, graph.initial), STEPS)
    runs = (run_fast(graph, graph.initial, options), stepped_run("reference", graph, reference, options))
    digests = []
    for run in runs:
        assert not run.failure and run.trace.flux is not None, run.failure
        digest = hashlib.sha256()
        for array in (run.trace.mass, run.trace.ledger, run.trace.transported, run.trace.flux):
            digest.update(np.ascontiguousarray(array, "<i8").tobytes())
        digests.append(digest.hexdigest())
    assert digests[0] == digests[1]
    return digests[0]
