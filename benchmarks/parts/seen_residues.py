"""What faces that see residues cost on `fast` and on a target, what they win between materials, and what their audit
misses.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

import pisnn_deploy as pd
from benchmarks.common import in_turns, line, seconds, times
from benchmarks.faults import LATEST, faultless, on_fast
from benchmarks.parts.fault_sampling import FAMILIES, random_fault
from benchmarks.parts.zoo import compiled, zoo_model
from pisnn_deploy.compiler import CompileOptions, GraphOptions, LowerTwoPoint, Material, compile_model
from pisnn_deploy.compiler.options import ResidueUse
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.mesh import parse_boundary
from pisnn_deploy.physics.model import Model
from pisnn_deploy.runs.kernels.stepper import KernelStepper
from pisnn_deploy.runs.run import start_of
from pisnn_deploy.target import load_profile
from pisnn_deploy.verify import check_certificate

USES: tuple[ResidueUse, ...] = ("unseen", "seen")
SPEED_COLUMNS = ("problem", "mesh", "steps/s unseen", "seen", "unseen / seen")
MESHES = (("heat1d", (1 << 16,)), ("heat2d", (128, 128)), ("laplace2d", (128, 128)), ("heat3d", (24, 24, 24)))
ROUNDS, TURN_SECONDS = 5, 0.1
COST_COLUMNS = ("command", "what the search says")
SEARCHED: tuple[tuple[str, float | None], ...] = (
    ("heat1d", None),
    ("heat2d", None),
    ("laplace2d", 4.0),
    ("burgers1d", None),
    ("advection_diffusion1d", None),
)
MATERIAL_COLUMNS = ("conductivities", "error of float fluxes", "unseen", "seen", "verified")
JUMPS = (2.0, 10.0, 100.0)
SLOPE = 60.0
"""Largest slope of the plate's field beside its reservoirs."""
INJECTIONS = 1_400


def _without_limits(graph: IntegerGraph) -> IntegerGraph:
    """A graph without a largest slope; on a fine line, where rounding adds more than slopes are, with wider words."""
    more = 6 if len(graph.grid.shape) == 1 else 0
    bounds = tuple(replace(bound, bits=max(bound.bits, min(bound.bits + more, 24))) for bound in graph.bounds)
    return replace(graph.with_field(window=replace(graph.window, difference=None, current=None)), bounds=bounds)


def _of_space() -> Model:
    """heat3d; the zoo has no trained model of it, so a face moves 19/128 of the difference of the cells beside it."""
    spec = zoo_model("heat2d").spec
    changes = {"name": "heat3d", "problem": "heat3d", "lengths": (1.0, 1.0, 1.0), "half_width": 1, "transverse": 0}
    changes |= {"weight_exponents": (7,), "diffusion_number": 19 / 128}
    return Model(spec.model_copy(update=changes), (np.array([[19.0, -19.0]]) / 128,), (np.zeros(1),))


def _steppers(name: str, shape: tuple[int, ...]) -> Iterator[tuple[str, KernelStepper]]:
    for use in USES:
        model = _of_space() if name == "heat3d" else name
        graph = _without_limits(compiled(model, shape, search=False, residues=use, placement="none"))
        yield use, KernelStepper(graph, start_of(graph, graph.initial), 2**40, 1)


def _rate(stepper: KernelStepper, steps: int) -> float:
    return steps / seconds(partial(stepper.advance, steps))


def speed_rows() -> Iterator[str]:
    """PDE steps per second on one thread, audited, measured in turns."""
    for name, shape in MESHES:
        steppers, steps = dict(_steppers(name, shape)), {}
        for key, stepper in steppers.items():
            stepper.prepare()
            stepper.advance(2)
            steps[key] = max(1, int(5 * TURN_SECONDS / seconds(partial(stepper.advance, 5))))
        rates = in_turns({key: partial(_rate, stepper, steps[key]) for key, stepper in steppers.items()}, ROUNDS)
        ratio = statistics.median(own / other for own, other in zip(rates["unseen"], rates["seen"], strict=True))
        typical = {key: f"{statistics.median(values):,.0f}" for key, values in rates.items()}
        yield line(name, times(shape), typical["unseen"], typical["seen"], f"{ratio:.2f}")


def cost_rows() -> Iterator[str]:
    """What the search chooses by itself, and for how much."""
    for name, slope in SEARCHED:
        history = {
            record.name: record.summary for record in pd.compile(name, slope=slope, residues="auto").graph.history
        }
        words = "" if slope is None else f" --slope {slope:g}"
        yield line(f"`compile {name} --residues auto{words}`", history["search-residues"].replace("`", ""))


def plate(jump: float, use: ResidueUse) -> IntegerGraph:
    """heat2d on 32 x 32 cells, of which one half conducts better."""
    conductivity = np.ones((32, 32))
    conductivity[16:] = jump
    sides = parse_boundary("x=dirichlet=0.5,1.5 y=no-flux", 2)
    lower = LowerTwoPoint((32, 32), sides, {"default": Material(0.01)}, conductivity)
    model, options = zoo_model("heat2d"), GraphOptions(residues=use, digits="one")
    limits = model.spec.operating_range.model_copy(update={"slope": SLOPE})
    return compile_model(model, CompileOptions(lower, load_profile("loihi2"), options, limits))


def material_rows() -> Iterator[str]:
    """Errors of materials of equal capacity, against the same fluxes exact in time."""
    for jump in JUMPS:
        graphs = {use: _plate_if_accepted(jump, use) for use in USES}
        measured = {use: graph.quantisation for use, graph in graphs.items() if graph is not None}
        errors = [_shown(measured[use].relative_l2_integer) if use in measured else "refused" for use in USES]
        of_floats = next((_shown(q.relative_l2_float) for q in measured.values() if q.relative_l2_float), "")
        seen = graphs["seen"]
        holds = seen is not None and all(finding.holds for finding in check_certificate(seen))
        yield line(f"1:{jump:g}", of_floats, *errors, "yes" if holds else "")


def _shown(error: float | None) -> str:
    return "left the range" if error is None else f"{error:.2e}"


def _plate_if_accepted(jump: float, use: ResidueUse) -> IntegerGraph | None:
    try:
        return plate(jump, use)
    except CompileError:
        return None


def faults() -> Counter[str]:
    """Verdicts of random faults of all families, with recovery in every second run."""
    graphs = [
        compiled("heat1d", (48,), residues="seen"),
        compiled("heat2d", (8, 8), "x=dirichlet=0.5,1 y=periodic", residues="seen", coding="dense"),
        plate(10.0, "seen"),
    ]
    states, families = [faultless(graph) for graph in graphs], [*FAMILIES]
    generator, verdicts = np.random.default_rng(18), Counter[str]()
    for number in range(INJECTIONS):
        chosen, family = number // len(families) % len(graphs), families[number % len(families)]
        step = int(generator.integers(1, LATEST))
        fault = random_fault(graphs[chosen], family, step, generator)
        recovers = number // (len(families) * len(graphs)) % 2 == 1
        verdicts[on_fast(graphs[chosen], states[chosen], family, fault, recovers=recovers).verdict] += 1
    return verdicts
