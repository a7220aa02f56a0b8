"""Fault campaigns on systems, levels, products, limiters and residues: writes ``docs/results/faults_of_kinds.md``.

Run it from the root of a checkout: ``python -m benchmarks.faults_of_kinds``. One fault a run, as in
`benchmarks.faults`, whose bookkeeping judges the audit. On Lava each fault has a run of its own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import BUILD, PAGES, line, table, times
from benchmarks.faults import AFTER, Verdict, faultless, on_fast
from benchmarks.parts.fault_books import rows_broken
from benchmarks.parts.fault_sampling import FAMILIES, random_fault
from pisnn_deploy.compiler.passes.place import Place
from pisnn_deploy.faults.outcome import outcomes
from pisnn_deploy.faults.spec import Fault
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.residues import sees_residues
from pisnn_deploy.project.compilation import compile_requested
from pisnn_deploy.project.request import compile_request
from pisnn_deploy.runs import RunOptions, run_graph
from pisnn_deploy.runs.run import RunState
from pisnn_deploy.target import load_profile

PAGE = PAGES / "faults_of_kinds.md"
COUNT, COUNT_ON_CPU = 10_000, 300
LATEST = 24
"""PDE step before which faults are injected."""
LATEST_ON_CPU, AFTER_ON_CPU = 6, 3
PARTS = 5
"""Number of parts of the campaign on `fast`; each has its own seed."""
KINDS = ("system", "levels", "products", "limiter", "residues")


@dataclass(frozen=True)
class Setting:
    """A graph to inject faults into.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    model : str
        A model or a law of the zoo.
    varied : bool
        Whether conductivity and heat capacity differ from cell to cell.
    cores : int
        Cores that the graph is cut into, so that one of several can die.
    """

    kind: str
    model: str
    shape: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    varied: bool = False
    cores: int = 3

    @property
    def text(self) -> str:
        """Description of the setting, one line."""
        words = [f"{name} {value}" for name, value in self.options.items()]
        varied = ["conductivity and capacity of each cell"] if self.varied else []
        return ", ".join([f"*{self.kind}*: {self.model} on {times(self.shape)} cells", *varied, *words])


SETTINGS = (
    Setting("system", "wave1d", (24,), {"coding": "delta"}),
    Setting("system", "shallow_water1d", (16,), {"coding": "dense"}),
    Setting("system", "gray_scott2d", (4, 4), {"coding": "dense"}),
    Setting("levels", "heat1d", (24,), {"boundary": "dirichlet=0.5,1", "digits": "one"}, varied=True),
    Setting("levels", "heat2d", (6, 6), {"boundary": "no-flux", "coding": "dense", "digits": "many"}, varied=True),
    Setting("products", "viscous_burgers1d", (24,), {"coding": "delta"}),
    Setting("products", "porous_medium", (24,), {"coding": "dense"}),
    Setting("limiter", "heat1d", (24,), {"boundary": "dirichlet=0,1", "limiter": "positivity", "slope": 60.0}),
    Setting("limiter", "advection_diffusion1d", (256,), {"limiter": "bounds", "coding": "dense"}),
    Setting("residues", "heat1d", (24,), {"boundary": "dirichlet=0,1", "residues": "seen", "slope": 60.0}),
    Setting(
        "residues", "heat2d", (6, 6), {"boundary": "x=dirichlet=0.5,1 y=periodic", "residues": "seen", "slope": 60.0}
    ),
)


@lru_cache
def graph_of(number: int) -> IntegerGraph:
    """Compile the graph of a setting, by its number."""
    setting = SETTINGS[number]
    with tempfile.TemporaryDirectory() as folder:
        files: dict[str, Any] = {}
        generator = np.random.default_rng(5)
        for name, limits in (("conductivity", (0.005, 0.02)), ("capacity", (1.0, 2.0))) if setting.varied else ():
            files[name] = Path(folder) / f"{name}.npy"
            np.save(files[name], generator.uniform(*limits, setting.shape))
        request = compile_request(setting.model, mesh=times(setting.shape), **files, **setting.options)
        graph, _ = compile_requested(request)
    profile = load_profile("generic-int")
    neurons = -(-graph.neurons // setting.cores) + graph.neurons // graph.mesh.cells
    limit = profile.core.neurons_max.model_copy(update={"value": neurons, "low": neurons})
    small = profile.model_copy(update={"core": profile.core.model_copy(update={"neurons_max": limit})})
    return Place(small)(graph)


@lru_cache
def states_of(number: int) -> tuple[RunState, ...]:
    """Run a setting without faults."""
    return faultless(graph_of(number))


def on_cpu(number: int, family: str, fault: Fault) -> Verdict:
    """Inject a fault into a run on Lava, and compare it with the same run on `fast`."""
    graph = graph_of(number)
    options = RunOptions(fault.step + AFTER_ON_CPU, everything=True, faults=(fault,))
    run = run_graph("cpu", graph, graph.initial, options)
    twin = run_graph("fast", graph, graph.initial, options)
    is_equal = run.detections == twin.detections and np.array_equal(run.trace.mass, twin.trace.mass)
    (outcome,) = outcomes(graph, (fault,), run.detections)
    is_missed = not is_equal or (not run.failure and rows_broken(graph, run))
    verdict = "missed" if is_missed else "detected" if outcome.detected else "not detected"
    return Verdict(family, str(fault), verdict, outcome.kind or "", equal=is_equal)


def injections(seed: int, latest: int, numbers: Sequence[int]) -> Iterator[tuple[int, str, Fault]]:
    """Random faults, all families and settings in turn."""
    generator = np.random.default_rng(seed)
    names = list(FAMILIES)
    for turn in itertools.count():
        number, family = numbers[turn // len(names) % len(numbers)], names[turn % len(names)]
        step = int(generator.integers(0 if turn % 7 == 0 else 1, latest))
        yield number, family, random_fault(graph_of(number), family, step, generator)


def campaign(name: str, count: int, seed: int) -> list[tuple[int, Verdict]]:
    """Judge injections; earlier verdicts are read from the folder ``build``."""
    path = BUILD / f"faults-of-kinds-{name}-{seed}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    # Lava's faulty processes do not see residues.
    numbers = [n for n in range(len(SETTINGS)) if name == "fast" or not sees_residues(graph_of(n))]
    lines = path.read_text().splitlines() if path.exists() else []
    judged = [(number, Verdict(**fields)) for number, fields in map(json.loads, lines)]
    drawn = injections(seed, LATEST if name == "fast" else LATEST_ON_CPU, numbers)
    for turn, (number, family, fault) in enumerate(itertools.islice(drawn, len(judged), count), len(judged)):
        if name == "fast":
            verdict = on_fast(graph_of(number), states_of(number), family, fault)
        else:
            verdict = on_cpu(number, family, fault)
        judged.append((number, verdict))
        with path.open("a") as stream:
            stream.write(json.dumps([number, asdict(verdict)]) + "\n")
        if verdict.verdict == "missed":
            sys.stderr.write(f"missed on {SETTINGS[number].text}: {verdict}\n")
        if turn % 50 == 0:
            sys.stderr.write(f"{name} {seed} {turn}/{count}\n")
    return judged[:count]


def kinds_table(judged: Sequence[tuple[int, Verdict]], names: Sequence[str]) -> list[str]:
    """Format verdicts by kind of graph."""
    rows = []
    for kind in (*KINDS, "all"):
        own = [verdict for number, verdict in judged if kind in (SETTINGS[number].kind, "all")]
        if own:
            rows.append(line(kind, len(own), *(sum(v.verdict == name for v in own) for name in names)))
    return table(("graphs", "injected", *names), rows)


def families_table(judged: Sequence[tuple[int, Verdict]], names: Sequence[str]) -> list[str]:
    """Format verdicts by family of faults."""
    rows = []
    for family in FAMILIES:
        own = [verdict for _, verdict in judged if verdict.family == family]
        rows.append(line(family, len(own), *(sum(v.verdict == name for v in own) for name in names)))
    return table(("fault", "injected", *names), rows)


_PAGE = """# Fault campaigns on further kinds of graphs

As in [fault campaigns](faults.md), one random fault per run, all kinds in turn, here on:

{settings}

*Missed*: according to the script's own bookkeeping, the total of a set of joined fields, the masses after the packets,
or the balance of a channel (whole packets that a limiter withholds left out) was wrong, and the audit reported
nothing, reported it in a later time step, or named the wrong place. *Silent*: none of them was wrong, but the field
differs from the run without the fault. *No effect*: all integers equal those of the run without the fault.

## `fast`: {fast:,} injections

Judged {after} PDE steps after the fault. {breaking:,} injections broke a total or an invariant. Detected
as: {by_kind}.

{fast_kinds}

{fast_families}

## `cpu`: {cpu:,} injections into Lava, one in each run

The script checks masses, packets, currents and residues of every PDE step, and compares the run with the same one on
`fast`: if kind, PDE step or place of the detection, or any mass differs, the fault counts as missed. Lava's processes
with faults do not see residues, so `pisnn-deploy simulate` refuses such runs.

{cpu_kinds}

{cpu_families}

Made by `python -m benchmarks.faults_of_kinds`.
"""


def page(fast: Sequence[tuple[int, Verdict]], cpu: Sequence[tuple[int, Verdict]]) -> str:
    """Format the page."""
    kinds = [verdict.kind for _, verdict in fast if verdict.verdict == "detected"]
    on_fast_names, on_cpu_names = ("detected", "silent", "no effect", "missed"), ("detected", "not detected", "missed")
    return _PAGE.format(
        settings="\n".join(f"* {setting.text}" for setting in SETTINGS),
        fast=len(fast),
        after=AFTER,
        breaking=sum(verdict.breaks for _, verdict in fast),
        by_kind=", ".join(f"{kind} {kinds.count(kind):,}" for kind in sorted(set(kinds))),
        fast_kinds="\n".join(kinds_table(fast, on_fast_names)),
        fast_families="\n".join(families_table(fast, on_fast_names)),
        cpu=len(cpu),
        cpu_kinds="\n".join(kinds_table(cpu, on_cpu_names)),
        cpu_families="\n".join(families_table(cpu, on_cpu_names)),
    )


def main() -> int:
    """Run the campaigns and write the page; 1 if anything was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("fast", "cpu"), help="run one campaign, without the page")
    parser.add_argument("--part", type=int, choices=range(PARTS), help="run one part of the campaign on `fast`")
    parser.add_argument("--count-on-cpu", type=int, default=COUNT_ON_CPU, help="injections into Lava")
    arguments = parser.parse_args()
    judged: dict[str, list[tuple[int, Verdict]]] = {}
    for name in (arguments.only,) if arguments.only else ("fast", "cpu"):
        if name == "cpu":
            judged[name] = campaign(name, arguments.count_on_cpu, 7)
        else:
            parts = range(PARTS) if arguments.part is None else [arguments.part]
            judged[name] = [each for part in parts for each in campaign(name, COUNT // PARTS, part)]
    if arguments.only is None:
        PAGE.write_text(page(judged["fast"], judged["cpu"]))
    return int(any(verdict.verdict == "missed" for own in judged.values() for _, verdict in own))


if __name__ == "__main__":
    sys.exit(main())
