"""Effect of ``--limiter positivity`` on laws: writes ``docs/results/limited_laws.md``.

Run it from the root of a checkout: ``python -m benchmarks.limited_laws``. Each law runs with and without the limiter on
the same mesh, quanta and time step.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import PAGES, line, page_parser, publish, table, times
from pisnn_deploy.compiler import CompileOptions, GraphOptions
from pisnn_deploy.compiler.compile import compile_law
from pisnn_deploy.compiler.options import Limiter
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.laws.problem import compare, solution
from pisnn_deploy.laws.spec import LawSpec, read_law
from pisnn_deploy.runs import Run, RunOptions, run_graph
from pisnn_deploy.target import load_profile
from pisnn_deploy.verify import check_certificate

PAGE = PAGES / "limited_laws.md"
RECIPES = Path("models")
LIMITERS: tuple[Limiter, ...] = ("none", "positivity")
HEAD = """# The limiter of laws

With `compile --limiter positivity`, the fluxes of each field that a law calls `positive` ask the cells that they take
from, and no cell ever falls below 0. Each law runs with and without it on the same mesh, quanta and time step.
Without, a run stops where a cell falls more than 32 quanta below the range. Errors are relative L2 against exact cell
averages; *of its own start* means after whole periods. The lowest mass is that of a positive field, in quanta. Where
the integers are the same, nothing was withheld.

"""
COLUMNS = ("law", "cells", "limiter", "PDE steps", "lowest mass", "relative L2", "mass drift", "positivity")


@dataclass(frozen=True)
class Case:
    """A law to run.

    Attributes
    ----------
    returns : bool
        Whether its solution at the end is its start.
    """

    title: str
    spec: LawSpec
    returns: bool = False


def zoo(name: str, **changes: Any) -> LawSpec:
    """Recipe of a law of the zoo, with other sections."""
    spec = read_law(RECIPES / name / "recipe.yaml")
    return LawSpec.model_validate({**spec.model_dump(exclude_unset=True, by_alias=True), **changes})


def cases() -> Iterator[Case]:
    """Laws in the order of the page."""
    boxes = {"a": "where(abs(x - 0.3) < 0.15, 1, 0)", "b": "where(abs(x - 0.7) < 0.1, 1, 0)"}
    two = {"fields": ["a", "b"], "flux": {"a": "a", "b": "-0.5*b"}, "positive": ["a", "b"]}
    yield Case(
        "two boxes that pass through each other",
        LawSpec.model_validate(
            {
                "name": "boxes",
                "law": two,
                "domain": {"lengths": [1.0], "boundary": "periodic"},
                "initial": boxes,
                "range": {"a": [0, 1.5], "b": [0, 1.5]},
                "time": 2.0,
                "mesh": [128],
            }
        ),
        returns=True,
    )
    yield Case("porous_medium, range from -0.001 (the zoo's)", zoo("porous_medium"))
    law = {"fields": ["u"], "level": {"u": "u**2"}, "positive": ["u"]}
    yield Case("porous_medium, range from 0, `u**2`", zoo("porous_medium", law=law, range={"u": [0, 0.6]}))
    yield Case("lwr", zoo("lwr"))
    yield Case("shallow_water1d", zoo("shallow_water1d"))


def rows_of(case: Case) -> tuple[list[str], bool]:
    """Rows of a case, and whether its integers are the same with and without the limiter."""
    rows, runs = [], []
    for limiter in LIMITERS if case.spec.law.positive else LIMITERS[:1]:
        options = CompileOptions(None, load_profile("loihi2"), GraphOptions(limiter=limiter, placement="none"))
        graph = compile_law(case.spec, case.spec.mesh, options)
        steps = round(case.spec.time / graph.time_step)
        run = run_graph("fast", graph, graph.initial, RunOptions(steps))
        runs.append(run)
        rows.append(row(case, graph, run, steps, limiter))
    same = len(runs) > 1 and not runs[0].failure and np.array_equal(runs[0].trace.mass, runs[1].trace.mass)
    return rows, same


def row(case: Case, graph: IntegerGraph, run: Run, steps: int, limiter: Limiter) -> str:
    """Row of the table for a run."""
    positive = case.spec.law.positive or case.spec.law.fields
    parts = zip(graph.fields, np.split(run.trace.mass, len(graph.fields), axis=1), strict=True)
    lowest = min(int(part.min()) for field, part in parts if field.name in positive)
    ended = f"{run.steps} of {steps}: stopped" if run.failure else str(steps)
    claims = {} if graph.certificate is None else graph.certificate.claims
    holds = all(finding.holds for finding in check_certificate(graph))
    proof = f"{claims['positivity'].status}{'' if holds else ', refuted'}" if "positivity" in claims else ""
    error = "" if run.failure else error_of(case, graph, run)
    drift = max(abs(balance.drift) for balance in run.trace.balances())
    return line(case.title, times(graph.mesh.shape), limiter, ended, lowest, error, drift, proof)


def error_of(case: Case, graph: IntegerGraph, run: Run) -> str:
    """Largest relative L2 error of a field at the end of a run."""
    first, last = (np.split(run.trace.mass[at], len(graph.fields)) for at in (0, -1))
    if case.returns:
        errors = [np.linalg.norm(end - start) / np.linalg.norm(start) for start, end in zip(first, last, strict=True)]
        return f"{max(errors):.2e} of its own start"
    exact = solution(case.spec, graph.mesh.shape, run.steps * graph.time_step)
    if exact is None:
        return ""
    values = {
        field.name: (field.levels(mass) * field.value_per_quantum).reshape(graph.mesh.shape)
        for field, mass in zip(graph.fields, last, strict=True)
    }
    return f"{max(difference.l2 for difference in compare(values, exact.fields).values()):.2e}"


def main() -> None:
    """Measure, and write the page."""
    arguments = page_parser(__doc__).parse_args()
    rows, same = [], []
    for case in cases():
        sys.stderr.write(f"{case.title}\n")
        case_rows, is_same = rows_of(case)
        rows += case_rows
        same += [case.title] * is_same
    text = HEAD + "\n".join(table(COLUMNS, rows))
    text += f"\n\nSame integers at every PDE step with and without the limiter: {', '.join(same) or 'none'}.\n"
    publish(PAGE, text + "\nMade by `make results`.\n", dry_run=arguments.dry_run)


if __name__ == "__main__":
    main()
