"""The one process of neurons and the audit of any graph: several fields, ports, outputs and depths, random programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from graphs_by_hand import random_graph, reaction, sink, two_fields
from lava_in_turns import InTurns
from scheduled_graphs import scheduled

from pisnn_deploy.core.errors import InvariantViolation, UsageError
from pisnn_deploy.graph.integer import Coding, IntegerGraph, Integers
from pisnn_deploy.graph.semantics import Semantics

CASES = int(os.environ.get("PISNN_CASES", "25"))
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


@pytest.mark.parametrize(("name", "coding"), [("two_fields", "delta"), ("reaction", "dense")])
def test_two_fields_run_on_lava(name: str, coding: Coding) -> None:
    command = [sys.executable, str(SUPPORT / "lava_by_hand.py"), name, coding, str(STEPS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    graph = {"two_fields": two_fields, "reaction": reaction}[name]()
    assert np.array_equal(json.loads(done.stdout.splitlines()[-1]), expected(graph))


def silent_ledgers(graph: IntegerGraph) -> IntegerGraph:
    """The graph without synapses from reservoirs, which never send."""

    def of_cells(synapse):  # type: ignore[no-untyped-def]
        if synapse.source not in graph.holders:
            return synapse
        heard = synapse.columns < graph.field_of(synapse.source).cells
        return synapse.with_mantissas(np.where(heard, synapse.mantissas, 0))

    return replace(graph, synapses=tuple(map(of_cells, graph.synapses)))


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
