"""What several scripts share: models of the zoo and their errors, seconds in turns, the machine, tables and pages."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler import CompileOptions, GraphOptions, Lower, compile_model
from pisnn_deploy.core import distance
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.mesh import Boundary, parse_boundary
from pisnn_deploy.physics.model import Model, OperatingRange
from pisnn_deploy.physics.problems import Problem, problem
from pisnn_deploy.project.zoo import model_path
from pisnn_deploy.runs import Run
from pisnn_deploy.target import Profile, load_profile
from pisnn_deploy.training.checkpoint import read_checkpoint

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pisnn_deploy.compiler.options import GraphKeywords

Field = NDArray[np.float64]
Key = TypeVar("Key", bound=Hashable)

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "results"
BUILD = ROOT / "build" / "results"
"""What is kept from one run to the next; git ignores it."""
COMMAND = (str(Path(sys.executable).with_name("pisnn-deploy")),)
"""The command line as users start it."""


def zoo_model(name: str) -> Model:
    """A model of the zoo."""
    with model_path(name) as path:
        return read_checkpoint(path)


def compiled(
    model: str | Model,
    shape: tuple[int, ...] = (),
    boundary: str = "",
    profile: str | Profile = "loihi2",
    *,
    search: bool = True,
    limits: OperatingRange | None = None,
    **options: Unpack[GraphKeywords],
) -> IntegerGraph:
    """Compile a model.

    Parameters
    ----------
    model : str or Model
        A name is one of the zoo.
    shape : tuple of int, optional
        Cells along each axis; the problem's own unless given.
    boundary : str, optional
        As ``--boundary`` takes it; the problem's own unless given.
    profile : str or Profile
        A name is one of the library.
    search : bool
        Whether to search for better integers than the nearest.
    limits : OperatingRange, optional
        Replaces the model's own.
    **options
        Fields of `pisnn_deploy.compiler.GraphOptions`.
    """
    read = zoo_model(model) if isinstance(model, str) else model
    own = problem(read.spec.problem)
    cells = shape or own.default_shape
    sides: Boundary = parse_boundary(boundary, len(cells)) if boundary else own.default_boundary(cells)
    target = load_profile(profile) if isinstance(profile, str) else profile
    return compile_model(read, CompileOptions(Lower(cells, sides), target, GraphOptions(**options), limits, search))


def problem_of(graph: IntegerGraph) -> Problem:
    """The problem that a graph solves, with the coefficients of its model."""
    return problem(graph.spec.problem, graph.spec.diffusivity, graph.spec.velocity)


def horizon_steps(graph: IntegerGraph) -> int:
    """PDE steps to the problem's horizon."""
    return round(problem_of(graph).horizon / graph.time_step)


def exact(graph: IntegerGraph, time_: float) -> Field:
    """Exact cell averages at a time, float64 [cells]."""
    solution = problem_of(graph).reference(graph.grid, graph.reservoir_values(), time_)
    assert solution is not None, f"{graph.spec.problem} has no reference"
    return solution


def relative_l2(values: Field, truth: Field) -> float:
    """Relative L2 distance of two fields."""
    away = distance.relative_l2(values, truth)
    assert away is not None
    return away


def error(graph: IntegerGraph, mass: Integers, steps: int) -> float:
    """Relative L2 error of masses after some PDE steps from the problem's own start."""
    return relative_l2(graph.values(mass), exact(graph, steps * graph.time_step))


def drift(run: Run) -> int:
    """Change of the sum of all masses and ledgers, in quanta."""
    totals = run.trace.totals()
    return totals[-1] - totals[0]


def seconds(action: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that an action takes."""
    begun = clock()
    action()
    return clock() - begun


def in_turns(measures: Mapping[Key, Callable[[], float]], rounds: int) -> dict[Key, list[float]]:
    """Take measures in turns, so that all of them see the same machine; the values of each, round by round."""
    values: dict[Key, list[float]] = {key: [] for key in measures}
    for _ in range(rounds):
        for key, measure in measures.items():
            values[key].append(measure())
    return values


def medians_in_turns(measures: Mapping[Key, Callable[[], float]], rounds: int) -> dict[Key, float]:
    """Medians of measures that were taken in turns."""
    return {key: statistics.median(values) for key, values in in_turns(measures, rounds).items()}


def command(*words: str) -> None:
    """Run a command of ours in a process of its own."""
    subprocess.run([*COMMAND, *words], capture_output=True, check=True)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def load() -> float:
    """Load average of the last minute."""
    return os.getloadavg()[0]


def times(shape: Iterable[int]) -> str:
    """Cells along each axis, as ``--mesh`` takes them."""
    return "x".join(map(str, shape))


def line(*cells: object) -> str:
    """A line of a table in Markdown."""
    return f"| {' | '.join(map(str, cells))} |"


def table(columns: Iterable[str], rows: Iterable[str]) -> list[str]:
    """The lines of a table in Markdown, from its columns and from lines that `line` gave."""
    names = tuple(columns)
    return [line(*names), line(*["---"] * len(names)), *rows]


def page_parser(doc: str | None) -> argparse.ArgumentParser:
    """Parser of a script that writes a page, which has ``--dry-run``; `doc` is the script's docstring."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--dry-run", action="store_true", help="print the page and write nothing")
    return parser


def publish(page: Path, text: str, *, dry_run: bool) -> None:
    """Print a page, and write it unless it is a dry run."""
    sys.stdout.write(text)
    if not dry_run:
        page.write_text(text, encoding="utf-8")


def fill(path: Path, name: str, text: str) -> None:
    """Put `text` between the marks ``<!-- NAME -->`` and ``<!-- /NAME -->`` of a file.

    Raises
    ------
    ValueError
        It does not have both marks once, in this order.
    """
    opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, *middle = path.read_text(encoding="utf-8").split(opening)
    parts = middle[0].split(closing) if len(middle) == 1 else []
    if len(parts) != 2:
        raise ValueError(f"{path}: must have {opening} and {closing} once")
    path.write_text(f"{before}{opening}\n{text}\n{closing}{parts[1]}", encoding="utf-8")
