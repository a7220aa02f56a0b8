"""The one process of neurons and the audit of any graph: several fields, ports, outputs and depths, random programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs_by_hand import random_graph, reaction, silent_ledgers, sink, synapse, two_fields
from lava_by_hand import many_graphs
from lava_in_turns import InTurns
from scheduled_graphs import scheduled

from pisnn_deploy.core.errors import InvariantViolation, UsageError
from pisnn_deploy.graph.integer import Coding, IntegerGraph, Integers
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.lava import backend as cpu
from pisnn_deploy.lava.exchange import Exchange
from pisnn_deploy.programs import parse
from pisnn_deploy.runs import RunOptions

CASES = int(os.environ.get("PISNN_CASES", "25"))
GRAPHS_OF_NETWORK = 8
STEPS = 6
SUPPORT = Path(__file__).parents[1] / "support"


def expected(graph: IntegerGraph) -> Integers:
    """Masses and ledgers of all fields after each PDE step, by the reference."""
    semantics = Semantics(graph)
    states, rows = semantics.begin(), []
    for step in range(STEPS + 1):
        rows.append(np.concatenate([next(iter(states[holder].values())) for holder in graph.holders]))
        states, _ = semantics.advance(states, step)
    return np.stack(rows)


@pytest.mark.parametrize("coding", ["delta", "dense"])
@pytest.mark.parametrize("graph", [two_fields, sink, reaction])
def test_graphs_of_several_fields_give_the_integers_of_the_reference(
    graph: Callable[[], IntegerGraph], coding: Coding, tmp_path: Path
) -> None:
    whole = scheduled(graph(), coding)
    run = InTurns(whole, tmp_path, STEPS)
    assert np.array_equal(run.masses(STEPS), expected(whole))
    audit = run.audit._books.audit
    assert audit.packets_sent > 0 and not any(audit.counts.values())


def on_lava(coding: Coding, graphs: int, network: int = 0, *options: str) -> dict[str, Any]:
    """Masses after each PDE step, and the failure, of many graphs in one network of Lava."""
    numbers = map(str, (graphs, network, STEPS))
    command = [sys.executable, str(SUPPORT / "lava_by_hand.py"), coding, *numbers, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    run: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return run


@pytest.mark.parametrize("network", range(max(1, CASES // 25)))
@pytest.mark.parametrize("coding", ["delta", "dense"])
def test_many_graphs_run_on_lava(coding: Coding, network: int) -> None:
    run = on_lava(coding, GRAPHS_OF_NETWORK, network)
    assert run["failure"] == ""
    assert np.array_equal(run["masses"], expected(many_graphs(coding, GRAPHS_OF_NETWORK, network)))


def test_a_process_that_loses_a_quantum_is_caught_on_lava() -> None:
    failure = on_lava("delta", 3, 0, "forgetful")["failure"]
    assert failure.startswith("local invariant broken: g0-q [2] at PDE step 4: expected ")


@pytest.mark.parametrize("seed", range(CASES))
def test_random_graphs_of_random_programs_give_the_integers_of_the_reference(seed: int, tmp_path: Path) -> None:
    whole = scheduled(silent_ledgers(random_graph(seed)), "dense" if seed % 2 else "delta")
    try:
        run = InTurns(whole, tmp_path, STEPS)
    except UsageError as refusal:
        assert "receives both packets and changes of values" in str(refusal)
        run = InTurns(scheduled(whole, "dense"), tmp_path, STEPS)
    assert np.array_equal(run.masses(STEPS), expected(whole))


def test_mass_that_vanishes_from_one_of_two_fields_is_seen(tmp_path: Path) -> None:
    whole = scheduled(two_fields(), "delta")
    run = InTurns(whole, tmp_path, STEPS)
    for time_step in (1, 2):
        run.step(time_step)
    run.models["q"].kept[0, 2] -= 1
    with pytest.raises(InvariantViolation, match=r"^local invariant broken: q \[2\] at PDE step 1"):
        run.step(3)
    assert run.audit._books.audit.counts["global"] == 1


def early_and_late(cells: int = 4) -> IntegerGraph:
    """A sink of depth 1, beside faces of depth 3 behind two levels: when a run ends, levels answer what sinks must not.

    The first level has two outputs, the second two ports.
    """
    graph = sink(cells)
    each = np.concatenate([np.eye(cells, dtype=np.int64), np.zeros((cells, cells), np.int64)], axis=1)
    level = parse("neuron level(arrival; ; )\nlevel = asr(arrival, 1)\nhalf = asr(level, 1)\nsend level, half")
    pair = parse("neuron pair(first, second; ; )\nlevel = max(first, second)\nsend level")
    populations = [Population("level", cells, level), Population("pair", cells, pair)]
    one = each[:, :cells]
    synapses = [
        *(s for s in graph.synapses if s.target != "flux"),
        synapse("u", "level", each),
        synapse("level", "pair", one, "first"),
        synapse("level", "pair", np.roll(one, 1, 0), "second", 1),
        synapse("pair", "flux", 3 * (one - np.roll(one, 1, 0))),
    ]
    whole = replace(graph, populations=(*graph.populations, *populations), synapses=tuple(synapses))
    return replace(whole, populations=tuple(map(whole.population, whole.depths)))


@pytest.mark.parametrize("coding", ["delta", "dense"])
def test_no_channel_fires_after_the_last_step(coding: Coding, tmp_path: Path) -> None:
    whole = scheduled(early_and_late(), coding)
    run = InTurns(whole, tmp_path, STEPS)
    assert np.array_equal(run.masses(STEPS), expected(whole))
    events = Exchange(tmp_path).events(whole.chain)
    answers = STEPS * int(whole.period or 0) + 2
    for time_step in range(answers, answers + whole.depths["pair"]):
        run.step(time_step)
    later = Exchange(tmp_path).events(whole.chain)
    assert later["pair"] > events["pair"] and later["level"] > events["level"]
    assert all(later[name] == events[name] for name in ("u", "flux", "decay"))


@pytest.mark.parametrize(
    ("ports", "outputs", "coding", "sentence"),
    [
        (9, 1, "dense", "has 9 ports; a Lava process has at most 8, use `backend` fast"),
        (8, 5, "dense", "has 5 outputs; a Lava process has at most 4, use `backend` fast"),
        (
            1,
            1,
            "delta",
            "port p0 receives both packets and changes of values, which cannot be added; compile with `coding` dense, "
            "or use `backend` fast",
        ),
    ],
)
def test_what_no_process_can_run_is_refused(ports: int, outputs: int, coding: Coding, sentence: str) -> None:
    graph, names = sink(4), [f"p{number}" for number in range(ports)]
    program = parse(f"neuron many({', '.join(names)}; ; )\nsum = add(p0, 1)\nsend {', '.join(['sum'] * outputs)}")
    each = np.eye(4, dtype=np.int64)
    synapses = [synapse("u", "many", np.concatenate([each, 0 * each], axis=1), name) for name in names]
    synapses += [synapse("flux", "many", each, "p0")] if coding == "delta" else []
    many = Population("many", 4, program)
    whole = replace(graph, populations=(*graph.populations, many), synapses=(*graph.synapses, *synapses))
    with pytest.raises(UsageError) as refusal:
        cpu.run(scheduled(whole, coding), whole.initial, RunOptions(1))
    assert str(refusal.value) == f"cpu backend: population many: {sentence}"
