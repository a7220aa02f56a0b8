"""Long runs: counts go beyond 64 bits, sums that cannot are refused, and a full ledger stops the run at its step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from models_under_test import compiled, heat_model, hidden_model

from pisnn_deploy.compiler.passes.bound import LARGEST_LEDGER, LEDGER_BITS
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.integer import FLUX, IntegerGraph
from pisnn_deploy.runs import RunOptions, run_graph
from pisnn_deploy.runs.kernels import stepper
from pisnn_deploy.runs.recording import recording
from pisnn_deploy.runs.run import Run, RunState, start_of

STEPS = 6
FULL = 2**63 - 2
"""One more packet, and 64 bits are full."""


def from_state(backend: str, graph: IntegerGraph, start: RunState, steps: int = STEPS) -> Run:
    return run_graph(backend, graph, graph.initial, RunOptions(start.step + steps, start=start))


def counts(run: Run) -> dict[str, int]:
    return {"packets": run.packets_sent, "quanta": run.quanta_sent, **run.events}


@pytest.mark.parametrize(("backend", "hidden"), [("fast", False), ("fast", True), ("cpu", True)])
def test_counts_go_on_beyond_64_bits(backend: str, hidden: bool) -> None:
    graph = compiled(hidden_model((3,)) if hidden else heat_model(), cells=6, boundary="no-flux")
    start = start_of(graph, graph.initial)
    full = replace(start, packets_sent=FULL, quanta_sent=FULL, events=dict.fromkeys(graph.chain, FULL))
    plain, found = from_state(backend, graph, start), from_state(backend, graph, full)
    assert plain.packets_sent > 1 and all(plain.events.values())
    assert counts(found) == {name: FULL + count for name, count in counts(plain).items()}
    assert found.end is not None and found.end.quanta_sent == found.quanta_sent > 2**63


@pytest.mark.parametrize("hidden", [False, True])
def test_moved_counts_are_the_counts(hidden: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = compiled(hidden_model((3,)) if hidden else heat_model(), cells=6)
    expected = counts(run_graph("fast", graph, graph.initial, RunOptions(40)))
    monkeypatch.setattr(stepper, "SNAPSHOT_SECONDS", 0.0)  # counts are moved before every slice of work
    assert counts(run_graph("fast", graph, graph.initial, RunOptions(40, every=1))) == expected


def test_a_recording_keeps_counts_beyond_64_bits(tmp_path: Path) -> None:
    graph = compiled(cells=6)
    plain = run_graph("fast", graph, graph.initial, RunOptions(3))
    assert plain.end is not None
    end = replace(plain.end, packets_sent=2**70, quanta_sent=2**71, events=dict.fromkeys(graph.chain, 2**72))
    with recording(tmp_path / "run.partial", graph, {}) as record:
        record.begin()
        record.append(plain.trace, 0, end, 1.0)
        held = record.progressed()
    assert held is not None
    assert (held.state.packets_sent, held.state.quanta_sent) == (2**70, 2**71)
    assert held.state.events == dict.fromkeys(graph.chain, 2**72)


@pytest.mark.parametrize("sign", [1, -1])
def test_sums_of_packets_that_may_wrap_are_refused(sign: int) -> None:
    graph = compiled(cells=6)
    bits = graph.bits(FLUX, "packet")
    start = start_of(graph, graph.initial)
    nearly = np.zeros(6, np.int64)
    nearly[4] = sign * (2**63 - 1 - (STEPS << (bits - 1)))
    state = replace(start, step=100, transported=nearly)
    run = from_state("fast", graph, state)
    plain = from_state("fast", graph, replace(start, step=100))
    assert run.conserved and run.end is not None and plain.end is not None
    assert np.array_equal(run.end.transported, nearly + plain.end.transported)
    with pytest.raises(UsageError) as refused:
        from_state("fast", graph, state, STEPS + 1)
    assert str(refused.value) == (
        f"{100 + STEPS + 1} PDE steps: sums of {bits}-bit packets may exceed 64 bits after PDE step {100 + STEPS}; "
        "run at most that many"
    )


@pytest.mark.parametrize("backend", ["fast", "cpu", "torch", "onnx"])
def test_a_full_ledger_stops_the_run_at_its_step(backend: str) -> None:
    graph = compiled(cells=6, boundary="dirichlet=0,1")
    start, cells, last = start_of(graph, graph.initial), graph.mesh.cells, 4
    ledgers = run_graph("fast", graph, graph.initial, RunOptions(STEPS)).trace.ledger
    taken = ledgers[:, 0]
    assert (np.diff(taken) > 0).all()  # cold, so it takes in every step
    mass = start.mass.copy()
    mass[cells] = LARGEST_LEDGER - taken[last]
    run = from_state(backend, graph, replace(start, mass=mass))
    assert run.failure == (
        f"overflow: membrane ledger [0] is {LARGEST_LEDGER - taken[last] + taken[last + 1]} at PDE step {last + 1}, "
        f"outside its {LEDGER_BITS} signed bits"
    )
    assert run.violations == {"global": 0, "local": 0, "flux": 0, "overflow": 1, "range": 0}
    full = from_state(backend, graph, replace(start, mass=mass), last)
    assert full.conserved and full.end is not None and full.end.mass[cells] == LARGEST_LEDGER
