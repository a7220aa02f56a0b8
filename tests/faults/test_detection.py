"""Every fault that breaks a total or an invariant is detected in its time step, and named."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws_compiled import compiled_law
from models_under_test import binary_box, compiled, heat_model, hidden_model, seeing_box
from two_point_graphs import base

from benchmarks.faults import faultless, on_fast
from benchmarks.parts.fault_books import Broken, judge
from benchmarks.parts.fault_sampling import FAMILIES, random_fault
from pisnn_deploy.audit import invariants
from pisnn_deploy.audit.recovery import Detection
from pisnn_deploy.core.errors import InvariantViolation, UsageError
from pisnn_deploy.faults.outcome import Outcome, outcomes
from pisnn_deploy.faults.spec import parse_fault
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.runs import RunOptions, fast, run_graph
from pisnn_deploy.runs.run import RunState

GRAPHS: tuple[Callable[[], IntegerGraph], ...] = (
    lambda: compiled(hidden_model((3,), leak=2048), cells=8, boundary="no-flux"),
    lambda: compiled(heat_model(leak=1024), cells=12),
    lambda: binary_box(heat_model(), (9,), "dirichlet=0,1", "dense"),
    lambda: compiled_law("wave1d", (12,)),
    lambda: compiled(cells=12, boundary="dirichlet=1,1", coding="dense", limiter="positivity"),
    lambda: seeing_box(shape=(12,), boundary="dirichlet=1,1"),
    lambda: base("line"),
)


@cache
def graph_of(number: int) -> IntegerGraph:
    """A graph, compiled when the first test needs it."""
    return GRAPHS[number]()


@cache
def states_of(number: int) -> tuple[RunState, ...]:
    """States of its run without a fault."""
    return faultless(graph_of(number))


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=12, deadline=None)
@given(number=st.integers(0, len(GRAPHS) - 1), seed=st.integers(0, 2**32 - 1), step=st.integers(0, 20))
def test_nothing_is_missed(family: str, number: int, seed: int, step: int) -> None:
    fault = random_fault(graph_of(number), family, step, np.random.default_rng(seed))
    assert on_fast(graph_of(number), states_of(number), family, fault).verdict != "missed", str(fault)


def quiet(*_: object, **__: object) -> None:
    """An audit that looks at nothing."""


@pytest.mark.parametrize(
    "text", ["flip:membrane[3].bit2@4", "drop:packet[3]@4", "dead:core[0]@4", "stale:membrane[3]@4"]
)
def test_an_audit_that_does_not_look_at_membranes_is_seen_to_miss(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invariants.Audit, "observe_membranes", quiet)
    # A dead core is then seen by its flux compartments, one time step too late.
    assert on_fast(graph_of(1), states_of(1), "", parse_fault(text)).verdict == "missed"


@pytest.mark.parametrize("text", ["flip:residue[3].bit2@4", "flip:residue[3].bit2@4.1"])
def test_an_audit_that_does_not_compare_residues_is_seen_to_miss(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = invariants.Audit._compare

    def blind(audit: invariants.Audit, kind: str, *others: Any) -> bool:
        return kind == "flux" or whole(audit, kind, *others)

    monkeypatch.setattr(invariants.Audit, "_compare", blind)
    assert on_fast(graph_of(1), states_of(1), "", parse_fault(text)).verdict == "missed"


def test_an_audit_that_names_a_wrong_place_is_seen_to_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = invariants.Audit.observe_membranes

    def confused(audit: invariants.Audit, step: int, mass: Integers, *, absorbing: bool) -> None:
        try:
            whole(audit, step, mass, absorbing=absorbing)
        except InvariantViolation as found:
            raise InvariantViolation(found.kind, found.population, found.index + 1, step, 0, 1) from found

    monkeypatch.setattr(invariants.Audit, "observe_membranes", confused)
    assert on_fast(graph_of(1), states_of(1), "", parse_fault("flip:membrane[3].bit2@4")).verdict == "missed"


def test_the_judge() -> None:
    broken = Broken((4, 1), frozenset({("membrane", 3), ("membrane", 7)}))
    assert judge(broken, (4, 1), None, True) == "missed"
    assert judge(broken, (5, 0), Detection("local", 5, "membrane [3]"), True) == "missed"
    assert judge(broken, (4, 1), Detection("local", 4, "membrane [4]"), True) == "missed"
    assert judge(broken, (4, 1), Detection("local", 4, "flux [3]"), True) == "missed"
    assert judge(broken, (4, 1), Detection("local", 4, "membrane [7]"), True) == "detected"
    assert judge(None, (4, 1), Detection("range", 4, "membrane [3]"), True) == "detected"
    assert judge(None, (4, 1), None, True) == "silent" and judge(None, (4, 1), None, False) == "no effect"


CASES: tuple[tuple[str, str | None, int, str], ...] = (
    ("flip:membrane[5].bit5@4", "local", 4, "membrane [5]"),
    ("flip:membrane[5].bit5@4.1", "local", 4, "membrane [5]"),
    ("flip:membrane[5].bit5@0", "local", 0, "membrane [5]"),
    ("flip:current[3].bit2@4", "flux", 4, "flux current [3]"),
    ("flip:current[3].bit2@4.1", None, 0, ""),
    ("flip:residue[3].bit2@4", "flux", 4, "flux residue [3]"),
    ("flip:residue[3].bit2@4.1", "flux", 4, "flux [3]"),
    ("flip:weight[membrane-to-flux,12].bit3@4", None, 0, ""),
    ("flip:weight[route,3].bit0@4", "local", 5, "membrane [1]"),
    ("drop:packet[3]@4", "local", 5, "membrane [3]"),
    ("drop:packet[3].target@4", "local", 5, "membrane [4]"),
    ("duplicate:packet[3].source@4", "local", 5, "membrane [3]"),
    ("delay:packet[3]+2@4", "local", 5, "membrane [3]"),
    ("misroute:packet[3]->9@4", "local", 5, "membrane [4]"),
    ("misroute:packet[3]->4@4", None, 0, ""),
    ("dead:core[0]@4", "local", 4, "membrane [0]"),
    ("dead:core[0]@4.1", "flux", 4, "flux [0]"),
    ("sign-mode:weight[route]@4", "local", 5, "membrane [0]"),
    ("sign-mode:weight[membrane-to-flux]@4", None, 0, ""),
    ("stale:membrane[3]@4", "local", 4, "membrane [3]"),
    ("stale:flux[3]@4", None, 0, ""),
)


@pytest.mark.parametrize(("text", "kind", "step", "place"), CASES)
def test_each_kind_at_its_step_and_place(text: str, kind: str | None, step: int, place: str) -> None:
    graph, fault = graph_of(1), parse_fault(text)
    run = fast.run(graph, graph.initial, RunOptions(12, faults=(fault,)))
    (outcome,) = outcomes(graph, (fault,), run.detections)
    if kind is None:
        assert outcome == Outcome(text, False) and run.conserved and run.steps == 12
    else:
        assert outcome == Outcome(text, True, kind, step, place) and not run.conserved
        assert run.failure.startswith(f"{kind} invariant broken: {place} at PDE step {step}: expected ")
        assert run.violations[kind] > 0 and run.steps < 12


def test_a_violation_is_put_down_to_the_fault_that_strikes_then() -> None:
    graph = graph_of(1)
    texts = ("stale:flux[3]@1", "flip:weight[membrane-to-flux,3].bit1@2", "flip:membrane[5].bit5@4", "drop:packet[1]@9")
    faults = tuple(parse_fault(text) for text in texts)
    run = fast.run(graph, graph.initial, RunOptions(12, faults=faults))
    assert [outcome.detected for outcome in outcomes(graph, faults, run.detections)] == [False, False, True, False]


def test_a_value_beyond_its_width_names_its_place() -> None:
    graph = graph_of(1)
    fault = parse_fault("flip:membrane[5].bit23@4")
    run = fast.run(graph, graph.initial, RunOptions(12, faults=(fault,)))
    (outcome,) = outcomes(graph, (fault,), run.detections)
    assert outcome == Outcome(str(fault), True, "overflow", 4, "membrane mass [5]")


def test_only_some_backends_can_be_hit() -> None:
    options = RunOptions(3, faults=(parse_fault("drop:packet[1]@1"),))
    with pytest.raises(UsageError, match=r"^backend onnx: does not support faults; use cpu or fast$"):
        run_graph("onnx", graph_of(1), graph_of(1).initial, options)
