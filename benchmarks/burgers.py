"""Burgers flows by Taylor series in integers beside float64 schemes: writes ``docs/results/burgers.md``.

Run it from the root of a checkout: ``python -m benchmarks.burgers``. Integers run on `fast`; float64 schemes are those
of `pisnn_deploy.laws.baselines`, on the same mesh, with as few time steps as their own Courant number allows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import PAGES, line, page_parser, publish, table
from pisnn_deploy.compiler import CompileOptions, compile_law
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.laws.baselines import baseline
from pisnn_deploy.laws.problem import solution
from pisnn_deploy.laws.spec import LawSpec, read_law
from pisnn_deploy.project.compilation import compile_requested
from pisnn_deploy.project.request import compile_request
from pisnn_deploy.project.zoo import recipe_path
from pisnn_deploy.runs import RunOptions, run_graph
from pisnn_deploy.target import load_profile

PAGE = PAGES / "burgers.md"
Field = NDArray[np.float64]
FLOATS = ("weno5", "muscl", "godunov")
VISCOSITIES = (0.03, 0.01, 0.003)
"""Viscosities times pi."""
MESHES = (64, 128, 256, 512)

HEAD = """# Burgers flows

`u_t + (u^2/2)_x = nu u_xx` on periodic lines, constructed from the law by the scheme `taylor`: third order in time,
with bounds that keep fronts monotone ([reference](../reference/laws.md#schemes)). Errors are relative L2 errors of cell
averages against the exact solution (Cole-Hopf). Integers are within 24 bits and have drift 0. Beside them stand float64
schemes on the same mesh, with as few time steps as their own Courant number allows; WENO5 takes three fluxes per face
in each.

"""


@dataclass(frozen=True)
class Start:
    """A flow on [-1, 1] from ``mean - amplitude sin(pi x)``."""

    mean: float
    amplitude: float
    time: float

    @property
    def text(self) -> str:
        """The start as in a table."""
        size = "" if self.amplitude == 1 else f"{self.amplitude:g} "
        return (f"{self.mean:g} - " if self.mean else "-") + f"{size}sin(pi x), time {self.time:g}"


CANONICAL = Start(0.0, 1.0, 0.5)
STARTS = (CANONICAL, Start(1.0, 0.5, 1.0))


def recipe(start: Start, viscosity: float, scheme: str = "taylor") -> LawSpec:
    """The recipe of a flow; the range has room for a twentieth of the amplitude."""
    most = 1.05 * start.amplitude
    return LawSpec.model_validate(
        {
            "name": "burgers",
            "law": {"fields": ["u"], "flux": {"u": "u**2/2"}, "diffusion": {"u": viscosity}},
            "domain": {"lengths": 2.0, "origin": -1.0, "boundary": "periodic"},
            "initial": {"u": f"{start.mean} - {start.amplitude}*sin(pi*x)"},
            "range": {"u": [start.mean - most, start.mean + most]},
            "time": start.time,
            "mesh": 128,
            "scheme": scheme,
            "reference": "cole-hopf",
        }
    )


@dataclass(frozen=True)
class Result:
    """Errors of a run.

    Attributes
    ----------
    steps : int
        Time steps.
    error : float
        Relative L2 error.
    overshoot : float
        How far cells leave the extremes of the exact solution, relative to their difference.
    """

    steps: int
    error: float
    overshoot: float

    @property
    def text(self) -> str:
        """Error and steps as in a table."""
        return f"{self.error:.1e} ({self.steps})"


def judged(steps: int, values: Field, exact: Field) -> Result:
    """Compare cell averages with the exact ones."""
    beyond = max(float(values.max() - exact.max()), float(exact.min() - values.min()), 0.0)
    error = float(np.linalg.norm(values - exact) / np.linalg.norm(exact))
    return Result(steps, error, beyond / float(exact.max() - exact.min()))


def exact_of(spec: LawSpec, cells: int, time: float) -> Field:
    """Exact cell averages."""
    known = solution(spec, (cells,), time)
    assert known is not None
    return known.fields["u"]


def in_integers(spec: LawSpec, graph: IntegerGraph) -> Result:
    """Run a graph to the final time."""
    steps = round(spec.time / graph.time_step)
    run = run_graph("fast", graph, graph.initial, RunOptions(steps, every=steps))
    assert run.conserved and run.verdict.drift == 0, run.failure
    assert max(bound.bits for bound in graph.bounds if bound.is_state_or_payload) <= 24
    field = graph.sole_field
    values = field.values(run.trace.mass[-1][: field.cells])
    return judged(steps, values, exact_of(spec, field.cells, steps * graph.time_step))


def compiled(spec: LawSpec, cells: int) -> IntegerGraph:
    """The graph of a recipe."""
    return compile_law(spec, (cells,), CompileOptions(None, load_profile("loihi2")))


def in_floats(spec: LawSpec, cells: int, scheme: str) -> Result:
    """Run a float64 scheme to the final time."""
    floats = baseline(scheme, spec, (cells,), spec.time)
    return judged(floats.steps, floats.fields["u"], exact_of(spec, cells, spec.time))


def of_zoo() -> Iterator[str]:
    """The problem of `burgers1d`: its law, its trained network, and schemes."""
    with recipe_path("viscous_burgers1d") as path:
        spec = read_law(path)
    yield "## The problem of burgers1d"
    yield ""
    yield "`1 + 0.5 sin(2 pi x)` on [0, 1], `nu = 0.01/pi`, 256 cells, to time 0.5."
    yield ""
    rows = []
    for name, text in (("viscous_burgers1d", "**taylor**"), ("burgers1d", "trained network"), ("", "muscl")):
        changed = spec.model_copy(update={"scheme": "muscl"})
        graph = compile_requested(compile_request(name))[0] if name else compiled(changed, 256)
        result = in_integers(spec, graph)
        rows.append(line(f"{text}, integers", result.steps, result.steps, f"{result.error:.2e}", graph.neurons))
    for scheme in FLOATS:
        result = in_floats(spec, 256, scheme)
        fluxes = result.steps * (3 if scheme == "weno5" else 1)
        rows.append(line(f"{scheme}, float64", result.steps, fluxes, f"{result.error:.2e}", "-"))
    yield from table(("method", "time steps", "fluxes per face", "relative L2 error", "neurons"), rows)
    yield ""


def of_shocks(meshes: Sequence[int] = (128, 256)) -> Iterator[str]:
    """The canonical problem, whose shock is narrower than a cell."""
    yield "## A shock narrower than a cell"
    yield ""
    yield "`-sin(pi x)` on [-1, 1], `nu = 0.01/pi`: the shock is a `tanh` with a width of `2 nu / u`, 0.0064. Overshoot"
    yield "is how far cells leave the extremes of the exact solution, relative to their difference. The goals are the"
    yield "error of WENO5, and 1 % of overshoot."
    yield ""
    rows = []
    for time in (0.5, 1.0):
        for cells in meshes:
            spec = recipe(Start(0.0, 1.0, time), 0.01 / math.pi)
            ours, weno = in_integers(spec, compiled(spec, cells)), in_floats(spec, cells, "weno5")
            verdict = "yes" if ours.error <= weno.error and ours.overshoot <= 0.01 else "**no**"
            others = [in_floats(spec, cells, scheme).text for scheme in FLOATS[1:]]
            overshoot = f"{ours.overshoot:.1e}"
            rows.append(line(time, cells, f"{2 / cells:.4f}", ours.text, overshoot, weno.text, verdict, *others))
    heads = ("time", "cells", "width", "integers (steps)", "overshoot", "weno5 (steps)", "reached", "muscl", "godunov")
    yield from table(heads, rows)
    yield ""


def of_all(meshes: Sequence[int] = MESHES) -> Iterator[str]:
    """Meshes, viscosities and amplitudes."""
    rows, nearer = [], 0
    for start in STARTS:
        for viscosity in VISCOSITIES:
            for cells in meshes:
                spec = recipe(start, viscosity / math.pi)
                ours = in_integers(spec, compiled(spec, cells))
                floats = [in_floats(spec, cells, scheme) for scheme in FLOATS]
                nearer += ours.error <= floats[0].error
                reynolds = start.amplitude * 2 / cells / viscosity * math.pi
                cell = (start.text, f"{viscosity:g}/pi", cells, f"{reynolds:.1f}", f"**{ours.text}**")
                rows.append(line(*cell, f"{ours.overshoot:.1e}", *(result.text for result in floats)))
    yield "## Meshes, viscosities and amplitudes"
    yield ""
    yield "On [-1, 1]. The cell Reynolds number is amplitude times width over viscosity. Integers are as near as WENO5"
    yield f"or nearer in {nearer} of {len(rows)} rows; where errors are below 1e-5, quanta limit them. Godunov's fluxes"
    yield "are exact for a shock that stays at a face."
    yield ""
    heads = ("start", "nu", "cells", "cell Reynolds number", "integers (steps)", "overshoot", *FLOATS)
    yield from table(heads, rows)


def main() -> None:
    """Measure and write the page."""
    arguments = page_parser(__doc__).parse_args()
    publish(PAGE, HEAD + "\n".join([*of_zoo(), *of_shocks(), *of_all()]) + "\n", dry_run=arguments.dry_run)


if __name__ == "__main__":
    main()
