"""Fault campaigns on `fast` and `cpu`: writes ``docs/results/faults.md``.

Run it from the root of a checkout: ``python -m benchmarks.faults``. The script
decides by its own bookkeeping whether a mass total or an invariant was broken, and compares that with the audit.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

import numpy as np

from benchmarks.common import BUILD, PAGES, line, table, times
from benchmarks.parts.fault_books import Witness, judge, rows_broken
from benchmarks.parts.fault_sampling import FAMILIES, random_fault
from benchmarks.parts.zoo import compiled, relative_l2, zoo_model
from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.faults.injection import Injector
from pisnn_deploy.faults.outcome import outcomes
from pisnn_deploy.faults.spec import Fault
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import Coding
from pisnn_deploy.runs import RunOptions, run_graph
from pisnn_deploy.runs.faulty import FaultyStepper
from pisnn_deploy.runs.run import RunState, start_of
from pisnn_deploy.runs.stepping import ReferenceStepper, stepped_run
from pisnn_deploy.target import load_profile

PAGE = PAGES / "faults.md"
FAST, CPU, HEALED = 10_500, 200, 1_500
"""Injections on `fast`, on `cpu`, and on `fast` with recovery."""
LATEST = 24
"""PDE step before which faults are injected."""
AFTER = 20
"""PDE steps after a fault at which its error is measured."""
PARTS = 4
"""Number of parts of the campaign on `fast`; each has its own seed."""
AFTER_ON_CPU = 4
"""PDE steps of a run on `cpu` after its last fault."""
APART = 5
"""PDE steps between two faults of a run on `cpu`."""
LASTING = ("flip weight of the route", "dead core", "sign mode of the route")
"""Families that recovery cannot heal."""


@dataclass(frozen=True)
class Setting:
    """A graph to inject faults into, on small cores, so that one of several can die."""

    model: str
    shape: tuple[int, ...]
    boundary: str
    coding: Coding
    neurons_a_core: int
    leak: int = MEMORYLESS

    @property
    def text(self) -> str:
        """Description of the setting, one line."""
        leak = "" if self.leak == MEMORYLESS else f", a current that keeps {1 - self.leak / MEMORYLESS:.0%}"
        return f"{self.model} on {times(self.shape)} cells, {self.boundary}, {self.coding} coding{leak}"


SETTINGS = (
    Setting("heat1d", (48,), "periodic", "delta", 32),
    Setting("heat1d", (33,), "x-=no-flux x+=dirichlet=1", "dense", 24),
    Setting("heat1d", (40,), "no-flux", "delta", 32, leak=1024),
    Setting("heat2d", (8, 8), "x=dirichlet=0.5,1 y=periodic", "delta", 64, leak=2048),
    Setting("burgers1d", (256,), "periodic", "delta", 3000),
)
TURNS = (*SETTINGS[:-1], *SETTINGS[:-1], SETTINGS[-1])
"""The last one is rarer: its hidden layer takes most of the time."""


@lru_cache
def graph_of(setting: Setting) -> IntegerGraph:
    """Compile the graph of a setting."""
    profile = load_profile("loihi2")
    limit = profile.core.neurons_max.model_copy(update={"value": setting.neurons_a_core, "low": setting.neurons_a_core})
    small = profile.model_copy(update={"core": profile.core.model_copy(update={"neurons_max": limit})})
    model = zoo_model(setting.model)
    model = replace(model, spec=model.spec.model_copy(update={"leak": setting.leak}))
    return compiled(model, setting.shape, setting.boundary, small, coding=setting.coding)


@lru_cache
def states_of(setting: Setting) -> tuple[RunState, ...]:
    """Run a setting without faults."""
    return faultless(graph_of(setting))


def faultless(graph: IntegerGraph) -> tuple[RunState, ...]:
    """Run a graph without faults, by the reference semantics."""
    stepper = ReferenceStepper(graph, start_of(graph, graph.initial), LATEST + AFTER)
    stepper.begin()
    states = [stepper.state()]
    for _ in range(LATEST + AFTER):
        stepper.advance(1)
        states.append(stepper.state())
    return tuple(states)


@dataclass
class Verdict:
    """Outcome of one injection: ``detected``, ``silent``, ``no effect`` or ``missed``."""

    family: str
    fault: str
    verdict: str
    kind: str = ""
    breaks: bool = False
    error: float = 0.0
    healed: int = 0
    equal: bool = True


def on_fast(
    graph: IntegerGraph, states: Sequence[RunState], family: str, fault: Fault, *, recovers: bool = False
) -> Verdict:
    """Inject a fault into a run that continues from the state before it."""
    start = max(0, fault.step - 1)
    end = fault.step + AFTER
    injector = Injector(graph, (fault,), end)
    stepper = FaultyStepper(graph, states[start], injector, recovers=recovers, machine=Witness)
    witness = stepper.machine
    assert isinstance(witness, Witness)
    options = RunOptions(end, max(1, end), start=states[start] if start else None)
    run = stepped_run("fast", graph, stepper, options)
    stopped = next((detection for detection in run.detections if not detection.healed), None)
    last = stepper.state()
    true = states[last.step]
    changed = any(
        not np.array_equal(getattr(last, name), getattr(true, name)) for name in ("mass", "residue", "current")
    )
    first = run.detections[0] if run.detections else None
    # If the run continued, its first violation is long past: compare PDE step and place, not the phase.
    is_past = first is not None and first.healed and witness.broken is not None
    verdict = judge(witness.broken, witness.broken.time if is_past and witness.broken else witness.last, first, changed)
    if sum(last.mass.tolist()) != sum(true.mass.tolist()) and stopped is None:
        verdict = "missed"
    distance = relative_l2(last.mass.astype(np.float64), true.mass.astype(np.float64))
    return Verdict(
        family,
        str(fault),
        verdict if not recovers or verdict == "missed" else "stopped" if stopped else "healed" if first else verdict,
        "" if first is None else first.kind,
        witness.broken is not None,
        0.0 if stopped else distance,
        sum(detection.healed for detection in run.detections),
        not changed,
    )


def on_cpu(setting: Setting, names: Sequence[str], faults: Sequence[Fault]) -> list[Verdict]:
    """Inject faults into one run on Lava that recovers after each, and compare it with the same run on `fast`."""
    graph = graph_of(setting)
    options = RunOptions(faults[-1].step + AFTER_ON_CPU, everything=True, faults=tuple(faults), recovers=True)
    run = run_graph("cpu", graph, graph.initial, options)
    twin = run_graph("fast", graph, graph.initial, options)
    is_equal = run.detections == twin.detections and np.array_equal(run.trace.mass, twin.trace.mass)
    is_right = is_equal and not rows_broken(graph, run)
    # A value that leaves its width stops a run; later faults were not injected.
    reached = options.steps if not run.failure else run.detections[-1].step - 1
    return [
        Verdict(
            name,
            str(fault),
            "missed" if not is_right else "detected" if outcome.detected else "not detected",
            outcome.kind or "",
            equal=is_equal,
            healed=int(outcome.healed),
        )
        for name, fault, outcome in zip(names, faults, outcomes(graph, faults, run.detections), strict=True)
        if outcome.detected or fault.step <= reached
    ]


def injections(count: int, seed: int) -> Iterator[tuple[Setting, str, Fault]]:
    """Random faults, all families and settings in turn."""
    generator = np.random.default_rng(seed)
    names = list(FAMILIES)
    for number in range(count):
        setting = TURNS[number // len(names) % len(TURNS)]
        family = names[number % len(names)]
        step = int(generator.integers(0 if number % 7 == 0 else 1, LATEST))
        yield setting, family, random_fault(graph_of(setting), family, step, generator)


def sequences(seed: int) -> Iterator[tuple[Setting, list[str], list[Fault]]]:
    """Draw random faults for one run each: all transient kinds, then a permanent one."""
    generator = np.random.default_rng(seed)
    passing = [name for name in FAMILIES if name not in LASTING]
    for number in itertools.count():
        setting = SETTINGS[number % len(SETTINGS)]
        names = [*generator.permutation(passing).tolist(), LASTING[number % len(LASTING)]]
        steps = [2 + APART * place for place in range(len(names))]
        faults = [random_fault(graph_of(setting), *drawn, generator) for drawn in zip(names, steps, strict=True)]
        yield setting, names, faults


def campaign(name: str, count: int, seed: int) -> list[Verdict]:
    """Judge injections; earlier verdicts are read from the folder ``build``."""
    path = BUILD / f"faults-{name}-{seed}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    judged = [Verdict(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []
    drawn = list(itertools.islice(injections(count, seed), len(judged), None))
    for number, (setting, family, fault) in enumerate(drawn, len(judged)):
        graph, states = graph_of(setting), states_of(setting)
        verdict = on_fast(graph, states, family, fault, recovers=name == "healed")
        judged.append(verdict)
        with path.open("a") as stream:
            stream.write(json.dumps(asdict(verdict)) + "\n")
        if verdict.verdict == "missed":
            sys.stderr.write(f"missed on {setting.text}: {verdict}\n")
        if number % 50 == 0:
            sys.stderr.write(f"{name} {number}/{count}\n")
    return judged[:count]


def campaign_on_cpu(count: int, seed: int) -> list[Verdict]:
    """Judge at least `count` injections into Lava; earlier runs are read from the folder ``build``."""
    path = BUILD / f"faults-cpu-{seed}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    done = path.read_text().splitlines() if path.exists() else []
    judged: list[Verdict] = []
    for number, (setting, names, faults) in enumerate(sequences(seed)):
        if number < len(done):
            judged += [Verdict(**fields) for fields in json.loads(done[number])]
        else:
            verdicts = on_cpu(setting, names, faults)
            with path.open("a") as stream:
                stream.write(json.dumps([asdict(verdict) for verdict in verdicts]) + "\n")
            judged += verdicts
            sys.stderr.write(f"cpu {len(judged)}/{count}\n")
        if len(judged) >= count:
            return judged
    raise AssertionError("sequences never end")


def fast_table(verdicts: Sequence[Verdict]) -> list[str]:
    """Format the table of injections on `fast`."""
    rows = []
    for family in (*FAMILIES, "all"):
        own = [verdict for verdict in verdicts if family in (verdict.family, "all")]
        counts = [sum(v.verdict == name for v in own) for name in ("detected", "silent", "no effect", "missed")]
        rows.append(line(family, len(own), *counts, errors(own, "silent")))
    silent = "error if silent, median / largest"
    return table(("fault", "injected", "detected", "silent", "no effect", "missed", silent), rows)


def cpu_table(verdicts: Sequence[Verdict]) -> list[str]:
    """Format the table of injections on Lava."""
    rows = []
    for family in (*FAMILIES, "all"):
        own = [verdict for verdict in verdicts if family in (verdict.family, "all")]
        counts = [sum(v.verdict == name for v in own) for name in ("detected", "not detected", "missed")]
        rows.append(line(family, len(own), *counts))
    return table(("fault", "injected", "detected", "not detected, mass conserved", "missed"), rows)


def errors(verdicts: Sequence[Verdict], kind: str) -> str:
    """Median and largest error."""
    values = [verdict.error for verdict in verdicts if verdict.verdict == kind]
    return f"{np.median(values):.1e} / {max(values):.1e}" if values else ""


def healed_table(verdicts: Sequence[Verdict]) -> list[str]:
    """Format the table of recovery."""
    rows = []
    for family in FAMILIES:
        own = [verdict for verdict in verdicts if verdict.family == family]
        healed = [verdict for verdict in own if verdict.verdict == "healed"]
        stopped, missed = (sum(v.verdict == name for v in own) for name in ("stopped", "missed"))
        if healed or stopped:
            equal = sum(verdict.equal for verdict in healed)
            rows.append(line(family, len(own), len(healed), equal, stopped, missed, errors(own, "healed")))
    exactly = "healed exactly"
    return table(("fault", "injected", "healed", exactly, "stopped", "missed", "error if healed"), rows)


def page(fast: Sequence[Verdict], cpu: Sequence[Verdict], healed: Sequence[Verdict]) -> str:
    """Format the page."""
    kinds = [verdict.kind for verdict in fast if verdict.verdict == "detected"]
    return _PAGE.format(
        settings="\n".join(f"* {setting.text}, {_cores(setting)} cores" for setting in SETTINGS),
        fast=len(fast),
        after=AFTER,
        breaking=sum(verdict.breaks for verdict in fast),
        by_kind=", ".join(f"{kind} {kinds.count(kind):,}" for kind in sorted(set(kinds))),
        fast_table="\n".join(fast_table(fast)),
        cpu=len(cpu),
        cpu_table="\n".join(cpu_table(cpu)),
        healed=len(healed),
        healed_table="\n".join(healed_table(healed)),
    )


def _cores(setting: Setting) -> int:
    placement = graph_of(setting).placement
    return 0 if placement is None else placement.cores


_PAGE = """# Fault campaigns

One random fault per run ([grammar](../explanation/faults.md)), at a random place, bit and time step, all kinds in turn,
on:

{settings}

*Missed*: according to the script's own bookkeeping, a mass total or one of I1 to I3 was wrong, and the audit reported
nothing, reported it in a later time step, or named the wrong place. *Silent*: no invariant was broken and mass is
conserved, but the field differs from the run without the fault; the error is the relative L2 distance of the two. *No
effect*: all integers equal those of the run without the fault.

## `fast`: {fast:,} injections

Errors are measured {after} PDE steps after the fault. {breaking:,} injections broke a total or an invariant. Detected
as: {by_kind}.

{fast_table}

## `cpu`: {cpu:,} injections into Lava

Each run has several faults, continues after each (`--recover`), and ends with a permanent one. The script checks
masses, packets, currents and residues of every PDE step and compares the run with the same one on `fast`: if kind, PDE
step or place of a detection, or any mass differs, all faults of the run count as missed.

{cpu_table}

## `--recover` on `fast`: {healed:,} injections

*Healed*: the run continued to its end, without drift. *Stopped*: the fault is permanent, or a value left its declared
width or the operating range. Faults that broke nothing are not listed.

{healed_table}

Made by `python -m benchmarks.faults`.
"""


def main() -> int:
    """Run the campaigns and write the page; 1 if anything was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("fast", "cpu", "healed"), help="run one campaign, without the page")
    parser.add_argument("--part", type=int, choices=range(PARTS), help="run one part of the campaign on `fast`")
    arguments = parser.parse_args()
    parts_to_do = (arguments.only,) if arguments.only else ("cpu", "fast", "healed")
    verdicts: dict[str, list[Verdict]] = {}
    for name in parts_to_do:
        if name == "cpu":
            verdicts[name] = campaign_on_cpu(CPU, 7)
        elif name == "healed":
            verdicts[name] = campaign(name, HEALED, 17)
        else:
            parts = range(PARTS) if arguments.part is None else [arguments.part]
            verdicts[name] = [verdict for part in parts for verdict in campaign(name, FAST // PARTS, part)]
        sys.stderr.write(f"{name}: {sum(verdict.verdict == 'missed' for verdict in verdicts[name])} missed\n")
    if arguments.only is None:
        PAGE.write_text(page(verdicts["fast"], verdicts["cpu"], verdicts["healed"]))
    return int(any(verdict.verdict == "missed" for judged in verdicts.values() for verdict in judged))


if __name__ == "__main__":
    sys.exit(main())
