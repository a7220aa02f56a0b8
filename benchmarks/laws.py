"""Errors of constructed laws beside float64 schemes on the same mesh: prints a table.

Run it from the root of a checkout: ``python -m benchmarks.laws [NAME ...]``. Integers are stepped by the reference
semantics. `same scheme` is a float64 run from the same rounded start; other baselines start from the exact averages and
take the same number of steps. A row ends with FAIL where its error exceeds the goal, a joined set of holders drifts by
a quantum, or a state or payload needs more than 24 bits.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import ROOT
from pisnn_deploy.compiler.compile import compile_integers
from pisnn_deploy.compiler.construct import construct
from pisnn_deploy.compiler.options import CompileOptions, GraphOptions
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.semantics import Semantics, States
from pisnn_deploy.graph.shape import joined
from pisnn_deploy.laws.baselines import SCHEMES, baseline
from pisnn_deploy.laws.finite_volumes import FiniteVolumes
from pisnn_deploy.laws.problem import exact
from pisnn_deploy.laws.reference import reference
from pisnn_deploy.laws.spec import LawSpec, read_law
from pisnn_deploy.laws.start import grid_of
from pisnn_deploy.target import load_profile

Floats = NDArray[np.float64]
Fields = Mapping[str, Floats]
RECIPES = ROOT / "models"
WORD = 24


def recipe(name: str, **changes: Any) -> LawSpec:
    """A recipe with changed entries."""
    spec = read_law(RECIPES / name / "recipe.yaml")
    return LawSpec.model_validate({**spec.model_dump(mode="json", by_alias=True), **changes}) if changes else spec


@dataclass(frozen=True)
class Ran:
    """A graph after some PDE steps.

    Attributes
    ----------
    start, end : dict of str to float64 array
        Cell averages of each field, in the shape of the mesh.
    drift : int
        Largest change of the sum of a joined set of holders, in quanta.
    moved : int
        Largest change of a holder, in quanta.
    is_fixed : bool
        Whether the last step changed no state at all, so that no later one will.
    """

    graph: IntegerGraph
    steps: int
    start: Fields
    end: Fields
    drift: int
    moved: int
    is_fixed: bool
    seconds: float

    @property
    def time(self) -> float:
        """Physical time at the end."""
        return self.steps * self.graph.time_step


def run(graph: IntegerGraph, steps: int, shape: tuple[int, ...], watch: Callable[[Fields], None] | None = None) -> Ran:
    """Step a graph; `watch` sees the fields every 50 steps."""
    semantics = Semantics(graph)
    first = states = semantics.begin()
    before = first
    begun = time.perf_counter()
    for step in range(steps):
        before = states
        states, _ = semantics.advance(states, step)
        if watch is not None and step % 50 == 49:
            watch(_fields(graph, states, shape))
    seconds = time.perf_counter() - begun
    sums = [_sums(graph, each) for each in (first, states)]
    drift = max(abs(after - before) for before, after in zip(*sums, strict=True))
    moved = max(int(np.abs(_holders(states, name) - _holders(first, name)).max()) for name in graph.holders)
    start, end = (_fields(graph, each, shape) for each in (first, states))
    is_fixed = all(
        np.array_equal(values, before[name][state]) for name, kept in states.items() for state, values in kept.items()
    )
    return Ran(graph, steps, start, end, drift, moved, is_fixed, seconds)


def _holders(states: States, name: str) -> NDArray[np.int64]:
    return next(iter(states[name].values()))


def _sums(graph: IntegerGraph, states: States) -> list[int]:
    labels = joined(graph)
    sums: dict[int, int] = {}
    for name, numbers in labels.items():
        for label in np.unique(numbers).tolist():
            sums[label] = sums.get(label, 0) + sum(_holders(states, name)[numbers == label].tolist())
    return [sums[label] for label in sorted(sums)]


def _fields(graph: IntegerGraph, states: States, shape: tuple[int, ...]) -> Fields:
    return {
        field.name: (_holders(states, field.holder)[: field.cells] * field.value_per_quantum).reshape(shape)
        for field in graph.fields
    }


def widest(graph: IntegerGraph) -> int:
    """Proved width of the widest state or payload, for loihi2 with dense coding."""
    options = CompileOptions(None, load_profile("loihi2"), GraphOptions(coding="dense", placement="none"))
    bounded = compile_integers(graph, options)
    return max(bound.bits for bound in bounded.bounds if bound.is_state_or_payload)


def same_scheme(spec: LawSpec, ran: Ran, scheme: str = "central") -> Fields:
    """Float64 run of a scheme from the rounded start of a run."""
    shape = next(iter(ran.start.values())).shape
    volumes = FiniteVolumes(spec.parsed(), grid_of(spec, shape), spec.conditions, 2)
    state = np.stack([ran.start[name] for name in spec.parsed().fields])
    for _ in range(ran.steps):
        state = SCHEMES[scheme].step(volumes, state, ran.graph.time_step)
    return dict(zip(spec.parsed().fields, state, strict=True))


def l1(values: Floats, expected: Floats) -> float:
    """Relative L1 difference."""
    return float(np.abs(values - expected).sum() / np.abs(expected).sum())


def l2(values: Floats, expected: Floats) -> float:
    """Relative L2 difference."""
    return float(np.linalg.norm(values - expected) / np.linalg.norm(expected))


@dataclass(frozen=True)
class Row:
    """A figure: what was compared, the error, the goal, and the same for a float64 scheme."""

    name: str
    ran: Ran
    measure: str
    error: float
    goal: float
    compared: str

    @property
    def reaches(self) -> bool:
        """Whether the goal is reached and nothing drifted."""
        return self.error <= self.goal and self.ran.drift == 0


def dam_break() -> list[Row]:
    """Shallow water after Stoker."""
    rows = []
    for cells, goal in ((128, 4.7e-3), (256, 2.1e-3), (512, 1.1e-3)):
        spec, shape = recipe("shallow_water1d"), (cells,)
        ran = _to_the_end(spec, shape)
        solution = _exact(spec, shape, ran.time)
        floats = baseline("muscl", spec, shape, ran.time, ran.steps).fields
        rows.append(
            Row(
                f"dam break {cells}",
                ran,
                "L1(h)",
                l1(ran.end["h"], solution["h"]),
                goal,
                f"float MUSCL {l1(floats['h'], solution['h']):.2e}",
            )
        )
    return rows


def lake() -> list[Row]:
    """Still water over a sloping bed: once a step changes no state, no later one does."""
    ran = run(construct(recipe("lake1d"), (128,)), 100, (128,))
    text = f"the last step changed {'no state' if ran.is_fixed else 'a state'}"
    return [Row("lake at rest", ran, "quanta moved", float(ran.moved), 0.0, text)]


def lake_long() -> list[Row]:
    """The same for 100,000 steps, without any argument."""
    ran = run(construct(recipe("lake1d"), (128,)), 100_000, (128,))
    return [Row("lake at rest, long", ran, "quanta moved", float(ran.moved), 0.0, "all steps run")]


def porous_medium() -> list[Row]:
    """Barenblatt's profile with differences of two and of four levels."""
    rows = []
    near = {"law": {"fields": ["u"], "level": {"u": "u**2"}}, "range": {"u": [0, 0.6]}, "scheme": "auto"}
    kinds: tuple[tuple[str, bool, dict[str, Any], float], ...] = (
        ("without products", False, near, 1.1e-3),
        ("products", True, near, 1.1e-3),
        ("products, wide", True, {}, 5e-5),
    )
    plain, shape = recipe("porous_medium", **near), (256,)
    for name, multiplies, changes, goal in kinds:
        spec = recipe("porous_medium", **changes)
        graph = construct(spec, shape, multiplies=multiplies)
        ran = run(graph, round(spec.time / graph.time_step), shape)
        solution = _exact(plain, shape, ran.time)
        floats = same_scheme(plain, ran)
        compared = f"float, two levels {l2(floats['u'], solution['u']):.2e}"
        rows.append(Row(f"porous medium, {name}", ran, "L2", l2(ran.end["u"], solution["u"]), goal, compared))
    return rows


def cahn_hilliard() -> list[Row]:
    """Phase separation for 5,000 steps beside float64 in the same scheme; the energy must not rise."""
    rows, shape = [], (64, 64)
    for name, multiplies, goal in (("without products", False, 3.5e-4), ("products", True, 1.1e-4)):
        spec = recipe("cahn_hilliard2d")
        energies: list[float] = []
        ran = run(
            construct(spec, shape, multiplies=multiplies),
            5000,
            shape,
            lambda fields, energies=energies: energies.append(_energy(fields["u"])),
        )
        rise = max(after - before for before, after in zip(energies[:-1], energies[1:], strict=True))
        floats = same_scheme(spec, ran)
        error = l2(ran.end["u"], floats["u"]) if rise <= 0 else np.inf
        text = f"same scheme in float; largest change of the energy in 50 steps {rise:+.2e}"
        rows.append(Row(f"Cahn-Hilliard, {name}", ran, "L2 to float", error, goal, text))
    return rows


def _energy(u: Floats) -> float:
    jumps = (u - np.roll(u, 1, 0)) ** 2 + (u - np.roll(u, 1, 1)) ** 2
    return float((0.25 * (u * u - 1) ** 2 + 0.5 * jumps).sum())


def gray_scott() -> list[Row]:
    """Reaction with feed and kill for 3,000 steps beside float64 in the same scheme."""
    spec, shape = recipe("gray_scott2d"), (64, 64)
    ran = run(construct(spec, shape), 3000, shape)
    floats = same_scheme(spec, ran)
    return [
        Row(f"Gray-Scott {name}", ran, "L2 to float", l2(ran.end[name], floats[name]), 3e-5, "same scheme in float")
        for name in ("u", "v")
    ]


def traffic() -> list[Row]:
    """Cars on a ring."""
    spec, shape = recipe("lwr"), (128,)
    ran = _to_the_end(spec, shape)
    solution = _exact(spec, shape, ran.time)["rho"]
    floats = l1(baseline("muscl", spec, shape, ran.time, ran.steps).fields["rho"], solution)
    # To three figures.
    goal = 1.005 * floats
    return [Row("LWR 128", ran, "L1", l1(ran.end["rho"], solution), goal, f"float MUSCL {floats:.3e}")]


def burgers() -> list[Row]:
    """Viscous Burgers flow in the plane."""
    spec, shape = recipe("burgers2d"), (64, 64)
    ran = _to_the_end(spec, shape)
    solution = _exact(spec, shape, ran.time)["u"]
    floats = l1(baseline("muscl", spec, shape, ran.time, ran.steps).fields["u"], solution)
    return [Row("Burgers 64x64", ran, "L1", l1(ran.end["u"], solution), 1.005 * floats, f"float MUSCL {floats:.3e}")]


def wave() -> list[Row]:
    """Sound for one period; the energy must not rise."""
    spec, shape = recipe("wave1d"), (128,)
    ran = _to_the_end(spec, shape)
    solution = _exact(spec, shape, ran.time)
    error = max(l2(ran.end[name], solution[name]) for name in ("p", "v"))
    energy = [sum(float((field**2).sum()) for field in fields.values()) for fields in (ran.start, ran.end)]
    floats = baseline("lax-wendroff", spec, shape, ran.time, ran.steps).fields
    compared = f"float Lax-Wendroff {l2(floats['p'], solution['p']):.2e}; energy {energy[1] / energy[0] - 1:+.1e}"
    return [Row("wave (p, v) 128", ran, "L2", error, 1e-3, compared)]


def dye() -> list[Row]:
    """A cloud that flows out."""
    spec, shape = recipe("advection_diffusion2d"), (64, 64)
    ran = _to_the_end(spec, shape)
    solution = _exact(spec, shape, ran.time)["u"]
    floats = l2(baseline("lax-wendroff", spec, shape, ran.time, ran.steps).fields["u"], solution)
    error = l2(ran.end["u"], solution)
    return [Row("advection-diffusion 64x64", ran, "L2", error, floats, f"float Lax-Wendroff {floats:.2e}")]


def radial() -> list[Row]:
    """A round column of water beside float MUSCL and the solver on a finer grid."""
    spec, shape = recipe("shallow_water2d"), (128, 128)
    ran = _to_the_end(spec, shape)
    solver = reference(spec, shape, ran.time, 2)
    floats = l1(baseline("muscl", spec, shape, ran.time, ran.steps).fields["h"], solver.fields["h"])
    compared = f"float MUSCL {floats:.3e}; solver's own error {max(solver.errors.values()):.1e}"
    return [
        Row("radial dam break 128x128", ran, "L1(h)", l1(ran.end["h"], solver.fields["h"]), 1.005 * floats, compared)
    ]


def heat() -> list[Row]:
    """Heat in a box beside the same scheme in float64."""
    rows, shape = [], (16, 16, 16)
    for scheme in ("auto", "linear"):
        spec = recipe("heat3d", scheme=scheme)
        ran = _to_the_end(spec, shape)
        solution = _exact(spec, shape, ran.time)["u"]
        floats = l2(same_scheme(spec, ran)["u"], solution)
        error = l2(ran.end["u"], solution)
        rows.append(Row(f"heat 16x16x16, {scheme}", ran, "L2", error, 1.01 * floats, f"float central {floats:.2e}"))
    return rows


def _to_the_end(spec: LawSpec, shape: tuple[int, ...]) -> Ran:
    graph = construct(spec, shape)
    return run(graph, round(spec.time / graph.time_step), shape)


def _exact(spec: LawSpec, shape: tuple[int, ...], moment: float) -> Fields:
    solution = exact(spec, shape, moment)
    assert solution is not None
    return solution.fields


FIGURES: dict[str, Callable[[], list[Row]]] = {
    "dam-break": dam_break,
    "lake": lake,
    "porous-medium": porous_medium,
    "cahn-hilliard": cahn_hilliard,
    "gray-scott": gray_scott,
    "lwr": traffic,
    "burgers": burgers,
    "wave": wave,
    "dye": dye,
    "heat": heat,
    "radial": radial,
}
LONG: dict[str, Callable[[], list[Row]]] = {"lake-long": lake_long}
"""Figures that take minutes, only on demand."""


def main() -> int:
    """Print a row for each figure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join({**FIGURES, **LONG})}")
    chosen = parser.parse_args().names or [*FIGURES]
    failed = 0
    for name in chosen:
        for row in {**FIGURES, **LONG}[name]():
            bits = widest(row.ran.graph)
            is_good = row.reaches and bits <= WORD
            failed += not is_good
            print(
                f"{row.name:34} {row.ran.steps:6} steps  {row.measure} {row.error:.2e} (at most {row.goal:.2e})  "
                f"{row.compared}; drift {row.ran.drift}, {bits} bits, {row.ran.seconds:.1f} s"
                + ("" if is_good else "  FAIL"),
                flush=True,
            )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
