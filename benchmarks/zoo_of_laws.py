"""Errors and costs of the laws of the zoo beside float64 schemes on the same mesh: writes ``docs/results/laws.md``.

Run it from the root of a checkout: ``python -m benchmarks.zoo_of_laws [NAME ...]``. With names, only these laws are
measured, and the page is printed and not written. Integers run on `fast`; schemes are those of
`pisnn_deploy.laws.baselines`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from textwrap import wrap

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import PAGES, ROOT, fill, line, publish, table, times
from benchmarks.parts.held_out import SHARES, HeldOut, held_out, truth_of
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.laws.baselines import baseline
from pisnn_deploy.laws.expression import Number
from pisnn_deploy.laws.problem import Solution, compare, solution
from pisnn_deploy.laws.spec import LawSpec, read_law
from pisnn_deploy.laws.start import Fields, initial
from pisnn_deploy.project.compilation import compile_requested
from pisnn_deploy.project.request import compile_request
from pisnn_deploy.project.zoo import laws, recipe_path
from pisnn_deploy.runs import Run, RunOptions, run_graph

PAGE = PAGES / "laws.md"
STEPS = {"cahn_hilliard2d": 5000, "gray_scott2d": 3000}
"""PDE steps of laws without a flux, which are compared with the same scheme in float64: their solver would take
hours."""
WITH_FLUX, WITHOUT_FLUX = ("godunov", "lax-wendroff", "muscl", "weno5"), ("central", "weno5")

HEAD = """# Laws

Each law of the zoo runs to its final time on its own mesh, constructed from its recipe without training. Errors are
sums of absolute differences to the reference, relative to that of the reference, for each field in turn. Drift is the
largest change of a conserved sum, ledgers included, in quanta.

Beside the integers stand float64 schemes on the same mesh: once with as many time steps as the integers take, once
with as few as their own Courant number allows. Cost is the number of numerical fluxes per face: Runge-Kutta methods
take several in a time step. A scheme that is unstable with the steps of the integers has no error. The reference's own
error is the largest one of a cell average.

Held-out starts are drawn by `benchmarks/parts/held_out.py` and are in no recipe: four random waves for each field, and
a jump where the speeds of waves depend on the fields, so that shocks form. Integers run as many steps from them as from
the recipe's own start, and float64 schemes take as few as their Courant number allows. Nothing is fitted to any start,
so both tables should look alike.

FluxNet (arXiv 2602.01941v2, ICML 2026) learns transport for four problems of these kinds: 1D convection-diffusion, 2D
shallow water, 1D traffic and 2D Cahn-Hilliard. Its abstract states exact conservation and bounds by structure; the
tables of this version were not to be had when this page was written, so no figure of it is quoted.

"""
HELD_OUT_COLUMNS = ("start", "method", "time steps", "relative L1 error", "drift")
OF_HELD_OUT = ("godunov", "muscl", "weno5")
COLUMNS = ("method", "time steps", "fluxes per face", "relative L1 error", "drift")


def main() -> None:
    """Measure laws and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="laws to measure (default: all)")
    parser.add_argument("--dry-run", action="store_true", help="print the page and write nothing")
    arguments = parser.parse_args()
    is_dry = arguments.dry_run or bool(arguments.names)
    sections = []
    for name in arguments.names or laws():
        lines, figures = section(name)
        sections.append("\n".join(lines))
        if not is_dry:
            fill(ROOT / "models" / name / "card.md", "figures", figures)
    publish(PAGE, HEAD + "\n".join(sections), dry_run=is_dry)


def section(name: str) -> tuple[list[str], str]:
    """Lines of the page about one law, and the figures of its card."""
    with recipe_path(name) as path:
        spec = read_law(path)
    graph, _ = compile_requested(compile_request(name))
    steps = STEPS.get(name) or round(spec.time / graph.time_step)
    run = run_graph("fast", graph, graph.initial, RunOptions(steps, every=steps))
    assert run.conserved, run.failure
    fields, moment = _fields(graph, run), steps * graph.time_step
    rows = []
    if name in STEPS:
        floats = baseline("central", spec, spec.mesh, moment, steps)
        truth = Solution(floats.fields, dict.fromkeys(floats.fields, 0.0), "the same scheme in float64")
    else:
        known = solution(spec, spec.mesh, moment)
        assert known is not None
        truth = known
        rows = list(_beside(spec, truth, moment, steps))
    widest = max(bound.bits for bound in graph.bounds if bound.is_state_or_payload)
    errors, drift = _errors(fields, truth), run.verdict.drift
    error = max(truth.errors.values())
    basis = truth.basis + (f", known to {error:.0e}" if error else "")
    text = f"{times(spec.mesh)} cells to time {moment:.4g}; reference: {basis}."
    text += f" States and payloads have at most {widest} bits."
    own = line("**integers**", steps, steps, errors, drift)
    card = f"Mesh {times(spec.mesh)}, {steps} PDE steps: relative L1 error {errors}, drift {drift}; reference: {basis}."
    card = "\n".join(wrap(f"{card} Measured by `make results`; more in docs/results/laws.md.", 124))
    drawn = [row for start in held_out(spec, SHARES[0]) for row in _from(start, graph, spec, steps)]
    return [
        *(f"## {name}", "", text, "", *table(COLUMNS, [own, *rows]), ""),
        *("Held-out starts:", "", *table(HELD_OUT_COLUMNS, drawn), ""),
    ], card


def _from(start: HeldOut, graph: IntegerGraph, spec: LawSpec, steps: int) -> Iterator[str]:
    """Rows of a start that no recipe has, with the largest waves with which the integers stay in the range."""
    for share in SHARES:
        start = next(each for each in held_out(spec, share) if each.name == start.name)
        run = run_graph("fast", graph, _masses(start.spec, graph), RunOptions(steps, every=steps))
        if run.conserved:
            break
    assert run.conserved, run.failure
    moment = steps * graph.time_step
    if spec.name in STEPS:
        floats = baseline("central", start.spec, spec.mesh, moment, steps)
        truth = Solution(floats.fields, dict.fromkeys(floats.fields, 0.0), "the same scheme in float64")
    else:
        truth = truth_of(start, moment)
    basis = f"{start.name}; {truth.basis}, known to {max(truth.errors.values()):.0e}"
    yield line(basis, "**integers**", steps, _errors(_fields(graph, run), truth), run.verdict.drift)
    for scheme in OF_HELD_OUT if spec.name not in STEPS else ():
        try:
            result = baseline(scheme, start.spec, spec.mesh, moment)
        except UsageError:
            yield line("", scheme, "-", "unstable", "-")
        else:
            yield line("", scheme, result.steps, _errors(result.fields, truth), "-")


def _masses(spec: LawSpec, graph: IntegerGraph) -> NDArray[np.int64]:
    """Masses of a start, field by field."""
    averages = initial(spec, graph.mesh.shape)
    masses = [np.rint(averages[field.name].reshape(-1) / field.value_per_quantum) for field in graph.fields]
    return np.asarray(np.concatenate(masses), np.int64)


def _fields(graph: IntegerGraph, run: Run) -> Fields:
    """Cell averages of each field at the end of a run."""
    masses, shape = run.trace.mass[-1], graph.mesh.shape
    return {part.name: part.field.values(masses[part.cells]).reshape(shape) for part in columns_of(graph).fields}


def _beside(spec: LawSpec, truth: Solution, moment: float, steps: int) -> Iterator[str]:
    has_flux = any(flux != Number(0.0) for fluxes in spec.parsed().flux for flux in fluxes.values())
    for scheme in WITH_FLUX if has_flux else WITHOUT_FLUX:
        counts = set()
        for count in (steps, None):
            try:
                result = baseline(scheme, spec, spec.mesh, moment, count)
            except UsageError:
                yield line(scheme, count, "-", "unstable", "-")
                continue
            if result.steps not in counts:
                errors = _errors(result.fields, truth) if _is_near(result.fields, truth) else "unstable"
                yield line(scheme, result.steps, result.flux_evaluations, errors, "-")
            counts.add(result.steps)


def _errors(fields: Fields, truth: Solution) -> str:
    errors = compare(fields, truth.fields).items()
    return ", ".join(f"{name} {part.l1:.2e}" if part.l1 < _GONE else f"{name} dies out" for name, part in errors)


_GONE = 1e6
"""Relative errors beyond this are those of a field of which nothing is left but rounding."""


def _is_near(fields: Fields, truth: Solution) -> bool:
    return all(part.l1 < 10 or part.largest < 1 for part in compare(fields, truth.fields).values())


if __name__ == "__main__":
    main()
