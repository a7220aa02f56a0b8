"""Conservation and accuracy over millions of PDE steps: writes ``docs/results/long_horizons.md``.

Run it from the root of a checkout: ``python -m benchmarks.long_horizons`` (30 minutes). Runs are recorded under
``build/long_horizons``: an interrupted run resumes, and a finished one is reused while its artifact is the same. Apart
from speeds, the page has only counts that do not depend on the machine.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import PAGES, ROOT, line, table
from benchmarks.parts.fine_line import FINE_CELLS, floating
from benchmarks.parts.zoo import exact, horizon_steps, relative_l2
from pisnn_deploy.audit.invariants import KINDS
from pisnn_deploy.graph.artifact import artifact_bytes
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph
from pisnn_deploy.project.compilation import compile_requested
from pisnn_deploy.project.request import compile_request
from pisnn_deploy.runs import RunOptions
from pisnn_deploy.runs.recording import Recording, recording
from pisnn_deploy.runs.run import RunState, Trace
from pisnn_deploy.runs.segments import run_in_segments

Field = NDArray[np.float64]

PAGE = PAGES / "long_horizons.md"
DATA = ROOT / "build" / "long_horizons"
WORD = 2**63 - 1
"""Largest count in 64 bits."""
LARGEST_ERROR = 5e-5


@dataclass(frozen=True)
class Case:
    """A run: a model on a mesh, a backend, PDE steps (None: to the horizon), and the steps between kept rows."""

    model: str
    cells: int
    boundary: str
    backend: str
    steps: int | None
    every: int

    @property
    def name(self) -> str:
        """Stem of the run's files."""
        return f"{self.model}-{self.cells}-{self.boundary.replace('=', '-').replace(',', '-')}-{self.backend}"


CASES = (
    Case("heat1d", FINE_CELLS, "periodic", "fast", None, 50_000),
    Case("heat1d", 128, "periodic", "fast", 10**7, 1000),
    Case("heat1d", 128, "dirichlet=0,1", "fast", 10**7, 1000),
    Case("burgers1d", 256, "periodic", "fast", 10**7, 1000),
    Case("heat1d", 128, "periodic", "cpu", 10**5, 1000),
    Case("burgers1d", 256, "periodic", "cpu", 10**5, 1000),
)


def measured(case: Case, *, run_on: bool = True) -> dict[str, Any] | None:
    """Figures of a run, which is started, resumed or read; without `run_on`, only what is recorded."""
    graph, provenance = compile_requested(
        compile_request(
            case.model, mesh=str(case.cells), boundary=None if case.boundary == "periodic" else case.boundary
        )
    )
    digest = hashlib.sha256(artifact_bytes(graph, provenance)).hexdigest()
    path = DATA / f"{case.name}.json"
    steps = case.steps or horizon_steps(graph)
    identity = {"artifact": digest, "steps": steps, "every": case.every}
    if path.exists():
        figures: dict[str, Any] = json.loads(path.read_text())
        if figures["identity"] == identity:
            return figures
    folder = DATA / f"{case.name}.partial"
    if not run_on:
        record = Recording(folder, graph, identity)
        progress = record.progressed()
        if progress is None:
            return None
        none = dict.fromkeys(KINDS, 0)  # a violation would have ended the run
        return _figures(graph, identity, record.trace(progress.rows), progress.state, none, progress.seconds)
    options = RunOptions(steps, case.every, deadline_seconds=24 * 3600.0)
    reported = [time.monotonic()]

    def report(done: int) -> None:
        if time.monotonic() - reported[0] > 10:
            reported[0] = time.monotonic()
            sys.stderr.write(f"{case.name}: {done:,} of {steps:,}\n")

    with recording(folder, graph, identity) as record:
        run = run_in_segments(case.backend, graph, graph.initial, options, record, report, resume=True)
        if run.end is None:
            raise SystemExit(f"{case.name}: {run.failure}")
        figures = _figures(graph, identity, run.trace, run.end, run.violations, run.wall_seconds)
    path.write_text(json.dumps(figures, indent=1))
    return figures


def _figures(
    graph: IntegerGraph,
    identity: dict[str, Any],
    trace: Trace,
    end: RunState,
    violations: dict[str, int],
    seconds: float,
) -> dict[str, Any]:
    totals = trace.totals()
    return {
        "identity": identity,
        "done": end.step,
        "drift": max(abs(total - totals[0]) for total in totals),
        "rows": trace.step.size,
        "violations": violations,
        "time_step": graph.time_step,
        "value_per_quantum": graph.value_per_quantum,
        "seconds": seconds,
        "errors": _errors(graph, trace.step, trace.mass),
        "counters": _counters(graph, end),
        "masses": hashlib.sha256(np.ascontiguousarray(trace.mass[:_COMMON_ROWS]).tobytes()).hexdigest(),
    }


_COMMON_ROWS = 101
"""Rows that the runs on `cpu` and `fast` share; their masses are compared."""


def _errors(graph: IntegerGraph, steps: NDArray[np.int64], masses: NDArray[np.int64]) -> list[dict[str, float]]:
    """Errors against the exact solution at the first kept step, at each power of ten, and at the end."""
    shown = {int(steps[1]), int(steps[-1])} | {10**n for n in range(3, 8)}
    errors = []
    for row, step in enumerate(steps.tolist()):
        if step not in shown:
            continue
        reached = step * graph.time_step
        values, truth = graph.values(masses[row]), exact(graph, reached)
        errors.append(
            {
                "step": step,
                "time": reached,
                "relative_l2": relative_l2(values, truth),
                "quanta": float(np.abs(values - truth).max() / graph.value_per_quantum),
                "left": float(np.abs(truth - _rest(graph, truth)).max()),
            }
        )
    return errors


def _rest(graph: IntegerGraph, truth: Field) -> Field:
    """Rest state of the exact solution: the mean, or the line between two reservoirs."""
    levels = graph.reservoir_values()
    if not levels.size:
        return np.full_like(truth, truth.mean())
    centres = (np.arange(truth.size) + 0.5) / truth.size
    return np.asarray(levels[0] + (levels[1] - levels[0]) * centres, np.float64)


def _counters(graph: IntegerGraph, end: RunState) -> list[dict[str, Any]]:
    """Value of each counter, its bound by the proved widths, and the capacity of its word."""
    bounds = {(bound.population, bound.quantity): bound for bound in graph.bounds}
    packet = max(abs(end) for end in (bounds[FLUX, "packet"].lower, bounds[FLUX, "packet"].upper))
    faces, cells = graph.mesh.faces, graph.mesh.cells
    mass = bounds[MEMBRANE, "mass"]
    steps = end.step
    counters = [
        ("packets through a face, summed", int(np.abs(end.transported).max()), packet * steps, WORD),
        ("packets sent", end.packets_sent, faces * steps, WORD),
        ("quanta sent", end.quanta_sent, faces * packet * steps, WORD),
        *(
            (f"events of {name}", count, (steps + 1) * _neurons(graph, name), WORD)
            for name, count in end.events.items()
        ),
        ("mass of all cells", sum(end.mass[:cells].tolist()), cells * max(abs(mass.lower), abs(mass.upper)), WORD),
    ]
    if graph.mesh.reservoirs:
        ledger = bounds[MEMBRANE, "ledger"]
        counters.append(("a ledger", int(np.abs(end.mass[cells:]).max()), packet * steps, ledger.upper))
    return [dict(zip(("counter", "value", "most", "holds"), row, strict=True)) for row in counters]


def _neurons(graph: IntegerGraph, population: str) -> int:
    sizes = {hidden.name: hidden.size for hidden in graph.between_fields}
    return sizes.get(population, graph.mesh.faces if population == FLUX else graph.mesh.cells)


def page(results: dict[Case, dict[str, Any]], floats: list[dict[str, Any]]) -> str:
    """Format the page."""
    parts = [BEFORE, _fine(results, floats), _runs(results), _error_table(results), _counter_table(results)]
    done = {case: results[case]["done"] if case in results else 0 for case in CASES if case.steps}
    short = [
        f"{_title(case)}, `{case.backend}`: {steps:,} of {case.steps:,} PDE steps"
        for case, steps in done.items()
        if case.steps and steps < case.steps
    ]
    if short:
        parts.append("Not finished when this page was written: " + "; ".join(short) + ".\n")
    return "\n".join([*parts, AFTER])


BEFORE = """# Long horizons

Conservation and accuracy over millions of PDE steps. The zoo's models, compiled for `loihi2`, run from the problems'
own initial fields; every PDE step is audited (I1 to I3, widths, operating range).
"""
AFTER = """Made by `python -m benchmarks.long_horizons`.
"""


def _fine(results: dict[Case, dict[str, Any]], floats: list[dict[str, Any]]) -> str:
    case = CASES[0]
    if case not in results:
        return ""
    figures = results[case]
    end = figures["errors"][-1]
    rows = [line("heat1d, integers", f"{end['step']:,}", f"{end['relative_l2']:.1e}", figures["drift"])]
    for row in floats:
        errors = (f"{row['relative_l2']:.1e}", f"{row['drift']:.1e}")
        rows.append(line(f"{row['solver']}, {row['dtype']}", f"{row['steps']:,}", *errors))
    verdict = "met" if end["relative_l2"] <= LARGEST_ERROR and figures["drift"] == 0 else "missed"
    return f"""## {FINE_CELLS} cells to t = 1

The heat equation on a fine periodic line. Drift is the relative change of the total mass. Goal: error at most
{LARGEST_ERROR:.0e}, drift 0: {verdict}.

{chr(10).join(table(("solver", "PDE steps", "relative L2 error", "drift"), rows))}

This needs no wider states: 24 bits and a quantum of {figures["value_per_quantum"]:.2g}. A residue keeps what a face did
not fire, so a face never lags its currents by more than half a quantum, however many PDE steps it takes (I3). A float
loses its rounding error in each step.
"""


def _runs(results: dict[Case, dict[str, Any]]) -> str:
    rows = []
    for case, figures in results.items():
        steps = figures["done"]
        broken = sum(figures["violations"].values())
        reached, speed = f"{steps * figures['time_step']:,.4g}", f"{steps / figures['seconds']:,.0f}"
        kept = (figures["drift"], f"{figures['rows']:,}", broken)
        rows.append(line(_title(case), case.backend, f"{steps:,}", reached, *kept, speed))
    text = """## Runs

Violations are counted over all PDE steps. Drift is the largest change of the mass of cells and ledgers, in quanta, over
the kept rows.

"""
    columns = ("model", "backend", "PDE steps", "time", "drift", "rows", "violations", "PDE steps per second")
    same = [
        f"{twin.model} on {case.cells} cells: the masses of the first {_COMMON_ROWS} rows are "
        f"{'equal on' if figures['masses'] == results[twin]['masses'] else 'DIFFERENT on'} `cpu` and `fast`."
        for case, figures in results.items()
        for twin in results
        if (case.backend, twin.backend) == ("cpu", "fast")
        and (case.model, case.cells, case.boundary) == (twin.model, twin.cells, twin.boundary)
    ]
    return text + "\n".join(table(columns, rows)) + "\n\n" + "\n".join(same) + "\n"


def _title(case: Case) -> str:
    return f"{case.model}, {case.cells} cells, {case.boundary}"


def _error_table(results: dict[Case, dict[str, Any]]) -> str:
    rows = [
        line(
            *(_title(case), f"{row['step']:,}", f"{row['time']:.4g}", f"{row['relative_l2']:.1e}"),
            *(f"{row['quanta']:.2g}", f"{row['left']:.1e}"),
        )
        for case, figures in results.items()
        if case.backend == "fast"
        for row in figures["errors"]
    ]
    return f"""## Errors

Against exact cell averages. *Left* is the distance of the exact solution from its rest state. Once it is less than a
quantum, the field has decayed, and the error measures how well the rest state is kept.

{chr(10).join(table(("model", "PDE step", "time", "relative L2 error", "largest error (quanta)", "left"), rows))}
"""


def _counter_table(results: dict[Case, dict[str, Any]]) -> str:
    rows = [
        line(
            *(_title(case), row["counter"], f"{row['value']:,}", f"{row['most']:,}"),
            f"{row['holds'].bit_length() + 1} bits, {row['holds'] / row['most']:.1e} times the bound",
        )
        for case, figures in results.items()
        if case.backend == "fast"
        for row in figures["counters"]
    ]
    return f"""## Counters

Final values of counters, and their upper bounds: the proved widths of packets and masses times the PDE steps. The last
column compares the capacity of their words with the bound. Counts of packets, quanta and events are moved into Python's
integers every second, so they cannot overflow; a run whose sums of packets could leave 64 bits is refused before it
starts; a ledger that leaves its 48 bits stops the run (`tests/runs/test_counters.py`).

{chr(10).join(table(("model", "counter", "value", "bound", "word"), rows))}
"""


def main() -> None:
    """Run, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="CASE", help="run only this case, and write no page")
    parser.add_argument("--so-far", action="store_true", help="write the page from recorded runs only")
    arguments = parser.parse_args()
    DATA.mkdir(parents=True, exist_ok=True)
    cases = [case for case in CASES if arguments.only in (None, case.name)]
    measured_so_far = {case: measured(case, run_on=not arguments.so_far) for case in cases}
    results = {case: figures for case, figures in measured_so_far.items() if figures is not None}
    if not arguments.only:
        PAGE.write_text(page(results, floating(DATA / "floating.json")))


if __name__ == "__main__":
    main()
