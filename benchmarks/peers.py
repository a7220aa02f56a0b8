"""Kernels of `fast` beside peers: writes ``docs/results/peers.md`` and ``benchmarks/recorded/peers.json``.

Run it from the root of a checkout: ``python -m benchmarks.peers`` (``make bench``). Each ratio is the median of rounds
in turns within this run. A ratio that is more than a fifth worse than the recorded one is shown, nothing is recorded,
and the exit code is 1; ``--accept`` records it.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import PAGES, cores, in_turns, line, load, page_parser, publish, seconds, table
from benchmarks.parts.zoo import compiled
from benchmarks.performance import fipy_implicit, py_pde_stepper
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.runs.kernels import stepper as kernel_steppers
from pisnn_deploy.runs.kernels.stepper import KernelStepper
from pisnn_deploy.runs.kernels.threads import available
from pisnn_deploy.runs.run import start_of

PAGE = PAGES / "peers.md"
RECORDED = Path(__file__).parent / "recorded" / "peers.json"
COMPARATOR = Path(__file__).parent / "parts" / "heat2d.c"
COMPILER = ("cc", "-O3", "-march=native")
ROUNDS = 5
RUN_SECONDS = 0.3
PLANE, LARGE_PLANE, LINE = (1024, 1024), (2048, 2048), 128
COMPARATOR_STEPS, FIPY_STEPS, PY_PDE_TIME = 100, 20, 500.0
LOSS = 0.2
"""Share of a recorded ratio that may be lost."""
LONGEST = 1 << 40


@dataclass(frozen=True)
class Ratio:
    """Speed of ours over that of a peer.

    Attributes
    ----------
    ours, peer : str
        Names of measurements.
    goal : float, optional
        What it should be.
    """

    ours: str
    peer: str
    goal: float | None = None

    @property
    def name(self) -> str:
        """Name in the file and on the page."""
        return f"{self.ours} / {self.peer}"


@dataclass(frozen=True)
class Group:
    """Measurements in turns of one problem.

    Attributes
    ----------
    unit : str
        What is counted in a second.
    measures : dict of str to callable
        Speeds by name.
    """

    title: str
    unit: str
    measures: Mapping[str, Callable[[], float]]
    ratios: tuple[Ratio, ...]


def rate(stepper: KernelStepper, amount: float, clock: Callable[[], float]) -> Callable[[], float]:
    """Return what measures a stepper; `amount` is counted in each PDE step."""
    stepper.advance(2 * kernel_steppers.SWEPT)
    steps = kernel_steppers.SWEPT
    while (took := seconds(partial(stepper.advance, steps))) < RUN_SECONDS / 2:
        steps *= 2
    steps = max(1, round(steps * RUN_SECONDS / took / kernel_steppers.SWEPT)) * kernel_steppers.SWEPT
    return lambda: steps * amount / seconds(partial(stepper.advance, steps), clock)


def stepper_of(graph: IntegerGraph, threads: int, *, audited: bool = True, swept: bool = True) -> KernelStepper:
    """Return a stepper that never ends; `swept` is whether it may run several PDE steps in a sweep."""
    largest = kernel_steppers.LARGE
    kernel_steppers.LARGE = largest if swept else 1 << 62
    try:
        return KernelStepper(graph, start_of(graph, graph.initial), LONGEST, threads, audited=audited)
    finally:
        kernel_steppers.LARGE = largest


def _two_point(old, new, number):
    rows, columns = old.shape
    for y in range(rows):
        above, below = (y - 1) % rows, (y + 1) % rows
        for x in range(1, columns - 1):
            others = old[above, x] + old[below, x] + old[y, x - 1] + old[y, x + 1]
            new[y, x] = old[y, x] + number * (others - 4 * old[y, x])
        for x in (0, columns - 1):
            others = old[above, x] + old[below, x] + old[y, (x - 1) % columns] + old[y, (x + 1) % columns]
            new[y, x] = old[y, x] + number * (others - 4 * old[y, x])


@lru_cache(maxsize=1)
def _compiled_two_point() -> Callable[..., None]:
    from numba import njit  # of the extra `baselines`

    step: Callable[..., None] = njit(nogil=True)(_two_point)
    return step


def plain_stencil(shape: tuple[int, int]) -> float:
    """Million cells per second of processor time of a plain float64 stencil in numba."""
    fields, steps = [np.random.default_rng(1).random(shape) for _ in range(2)], 40
    step_of = _compiled_two_point()
    step_of(*fields, 0.2)

    def run() -> None:
        for step in range(steps):
            step_of(fields[step % 2], fields[1 - step % 2], 0.2)

    return steps * shape[0] * shape[1] / 1e6 / seconds(run, time.thread_time)


def comparator(program: Path) -> float:
    """Million cells per second of processor time of the comparator in C.

    Raises
    ------
    SystemExit
        It finds a violation.
    """
    words = [str(program), str(PLANE[0]), str(COMPARATOR_STEPS), "audit"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{COMPARATOR.name}: {done.stdout or done.stderr}")
    return float(done.stdout.split()[0])


def plane(folder: Path) -> Group:
    """heat2d beside the comparator in C and a plain stencil."""
    program = folder / "heat2d"
    subprocess.run([*COMPILER, str(COMPARATOR), "-o", str(program)], check=True)
    graph = compiled("heat2d", PLANE)
    cells, many = graph.mesh.cells / 1e6, available()
    single = stepper_of(graph, 1)
    bare = stepper_of(graph, 1, audited=False)
    threads = f"fast, {many} threads"
    measures: dict[str, Callable[[], float]] = {
        "fast": rate(single, cells, time.process_time),
        "fast, no audit": rate(bare, cells, time.process_time),
        "C": partial(comparator, program),
        "numba stencil": partial(plain_stencil, PLANE),
        threads: rate(stepper_of(graph, many), cells, time.perf_counter),
    }
    ratios = (
        Ratio(threads, "C", 1.6),
        Ratio("fast", "C"),
        Ratio("fast", "numba stencil"),
        Ratio("fast", "fast, no audit", 1 / 1.15),
    )
    return Group(f"heat2d, {PLANE[0]}x{PLANE[1]}", "million cells/s", measures, ratios)


def large_plane() -> Group:
    """heat2d with and without sweeps."""
    graph = compiled("heat2d", LARGE_PLANE, search=False)
    cells, many = graph.mesh.cells / 1e6, available()
    measures: dict[str, Callable[[], float]] = {
        name: rate(stepper_of(graph, count, swept=swept), cells, time.process_time if count == 1 else time.perf_counter)
        for name, count, swept in (
            ("fast", 1, True),
            ("fast, single steps", 1, False),
            (f"fast, {many} threads", many, True),
            (f"fast, {many} threads, single steps", many, False),
        )
    }
    ratios = tuple(Ratio(name, f"{name}, single steps", 1.3) for name in ("fast", f"fast, {many} threads"))
    return Group(f"heat2d, {LARGE_PLANE[0]}x{LARGE_PLANE[1]}", "million cells/s", measures, ratios)


def short_line() -> Group:
    """heat1d beside py-pde and FiPy, in PDE steps of each."""
    graph = compiled("heat1d", (LINE,))
    start = np.asarray(graph.values(graph.initial), np.float64)
    diffusivity = graph.model_spec.diffusivity
    steps = round(diffusivity * LINE**2 / 0.4)
    stepper, field = py_pde_stepper(start, diffusivity, steps, "numba")
    stepper(field, 0.0, 1.0)  # compiles

    def peer(action: Callable[[], object], count: int) -> float:
        return count / seconds(action, time.process_time)

    measures: dict[str, Callable[[], float]] = {
        "fast": rate(stepper_of(graph, 1), 1, time.process_time),
        "py-pde, numba": lambda: peer(lambda: stepper(field, 0.0, PY_PDE_TIME), round(steps * PY_PDE_TIME)),
        "FiPy": lambda: peer(lambda: fipy_implicit(start, diffusivity, FIPY_STEPS), FIPY_STEPS),
    }
    return Group(
        f"heat1d, {LINE}", "PDE steps/s", measures, (Ratio("fast", "py-pde, numba", 1.0), Ratio("fast", "FiPy"))
    )


def losses(recorded: Mapping[str, float], found: Mapping[str, float]) -> list[str]:
    """Sentences on the ratios that are more than `LOSS` worse than the recorded ones, or missing."""
    sentences = []
    for name, before in recorded.items():
        if name not in found:
            sentences.append(f"{name}: recorded as {before:.2f}, not measured")
        elif found[name] < (1 - LOSS) * before:
            sentences.append(f"{name}: {found[name]:.2f}, recorded as {before:.2f}")
    return sentences


def measured(groups: list[Callable[[], Group]]) -> tuple[dict[str, Any], dict[str, float], list[str]]:
    """Speeds by problem, ratios by name, and rows of the table of ratios."""
    speeds: dict[str, Any] = {}
    ratios: dict[str, float] = {}
    rows = []
    for make in groups:
        group = make()
        values = in_turns(group.measures, ROUNDS)
        medians = {name: statistics.median(each) for name, each in values.items()}
        speeds[group.title] = {"unit": group.unit, "speeds": medians}
        for ratio in group.ratios:
            pairs = zip(values[ratio.ours], values[ratio.peer], strict=True)
            found = statistics.median(ours / peer for ours, peer in pairs)
            ratios[f"{group.title}: {ratio.name}"] = found
            goal = ("", "") if ratio.goal is None else (f"{ratio.goal:.2f}", "yes" if found >= ratio.goal else "no")
            ours, peer = (f"{medians[name]:,.0f}" for name in (ratio.ours, ratio.peer))
            rows.append(line(group.title, ratio.ours, ratio.peer, group.unit, ours, peer, f"{found:.2f}", *goal))
            sys.stderr.write(f"{rows[-1]}\n")
    return speeds, ratios, rows


def main() -> int:
    """Measure, compare, write; return the exit code."""
    parser = page_parser(__doc__)
    parser.add_argument("--accept", action="store_true", help="record ratios that are worse")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        speeds, ratios, rows = measured([lambda: plane(Path(folder)), large_plane, short_line])
    columns = ("problem", "ours", "peer", "unit", "speed of ours", "speed of the peer", "ratio", "goal", "met")
    lines = "\n".join(table(columns, rows))
    text = f"""# Kernels beside peers

Kernels of `fast`, audited at every PDE step but where it says so, beside others, without compilation: medians of
{ROUNDS} rounds in turns on {cores()} cores, load average {load():.1f} at the end. One thread is measured by processor
time, several by the clock. *C* computes the integers and the audit of heat2d, written by hand for this model
(`benchmarks/parts/heat2d.c`). The *numba stencil* is a float64 step with two-point fluxes, without an audit; py-pde and
FiPy are explicit and implicit solvers in float64, whose PDE steps are others than ours. *Single steps* are runs without
[sweeps](../architecture.md#the-fast-backend).

{lines}

`make bench` compares these ratios with `benchmarks/recorded/peers.json`, and fails if one is more than
{LOSS:.0%} worse. Made by `python -m benchmarks.peers`.
"""
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))["ratios"] if RECORDED.exists() else {}
    lost = losses(recorded, ratios)
    for sentence in lost:
        sys.stderr.write(f"worse: {sentence}\n")
    is_kept = arguments.dry_run or bool(lost and not arguments.accept)
    publish(PAGE, text, dry_run=is_kept)
    if not is_kept:
        RECORDED.parent.mkdir(exist_ok=True)
        RECORDED.write_text(json.dumps({"ratios": ratios, "speeds": speeds}, indent=1) + "\n", encoding="utf-8")
    return int(bool(lost))


if __name__ == "__main__":
    sys.exit(main())
