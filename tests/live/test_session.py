"""Runs that are steered have the integers of runs that are not."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import closing

import numpy as np
import pytest
from laws_compiled import compiled_law
from models_under_test import compiled, compiled_box, plane_model, space_model

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.faults.spec import parse_fault
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.live.history import MOST_POINTS, History
from pisnn_deploy.live.scene import Observer, described
from pisnn_deploy.live.session import Session
from pisnn_deploy.runs import Run, RunOptions, run_graph


@pytest.fixture(scope="module")
def graph() -> IntegerGraph:
    """A line between two reservoirs."""
    return compiled(cells=16, boundary="dirichlet=0,1")


@pytest.fixture
def session(graph: IntegerGraph) -> Iterator[Session]:
    """A session at its start."""
    with closing(Session(graph, graph.initial)) as running:
        yield running


def whole_run(graph: IntegerGraph, steps: int, *faults: str, recovers: bool = False) -> Run:
    options = RunOptions(steps, faults=tuple(map(parse_fault, faults)), recovers=recovers)
    return run_graph("fast", graph, graph.initial, options)


def test_steps_give_the_integers_of_a_run(graph: IntegerGraph, session: Session) -> None:
    for steps in (1, 7, 2):
        session.advance(steps)
    end = whole_run(graph, 10).end
    assert end is not None and session.now.step == 10 and session.before.step == 9
    for name in ("mass", "current", "residue", "transported"):
        assert np.array_equal(getattr(session.now, name), getattr(end, name))
    session.reset()
    assert session.now.step == 0 and np.array_equal(session.now.mass[:16], graph.initial)


@pytest.mark.parametrize("done", [0, 5])
@pytest.mark.parametrize("spec", ["flip:membrane[9].bit5", "drop:packet[3].target", "flip:residue[4].bit2"])
def test_a_fault_stops_the_run_where_simulate_does(graph: IntegerGraph, session: Session, spec: str, done: int) -> None:
    if done:
        session.advance(done)
    fault = session.inject(spec, recovers=False)
    assert fault == parse_fault(f"{spec}@{done + 1}")
    session.advance(20)
    run = whole_run(graph, 20, str(fault))
    assert run.failure and str(session.violation) == run.failure and session.now.step == run.steps
    (outcome,) = session.outcomes
    assert outcome.detected and outcome.spec == str(fault) and outcome.step is not None
    with pytest.raises(UsageError, match="the run has ended; reset it first"):
        session.inject(spec, recovers=False)
    session.reset()
    session.advance(20)
    assert session.violation is None and session.outcomes == ()


def test_a_repaired_run_goes_on_as_if_nothing_had_happened(graph: IntegerGraph, session: Session) -> None:
    session.advance(5)
    session.inject("flip:membrane[9].bit5", recovers=True)
    session.advance(3)
    session.inject("duplicate:packet[3].target", recovers=True)
    session.advance(22)
    run = whole_run(graph, 30, "flip:membrane[9].bit5@6", "duplicate:packet[3].target@9", recovers=True)
    assert run.end is not None and np.array_equal(session.now.mass, run.end.mass)
    assert session.now.events == run.end.events
    assert [outcome.healed for outcome in session.outcomes] == [True, True]


def test_faults_that_cannot_be_are_refused(session: Session) -> None:
    session.advance(3)
    for spec, problem in (
        ("flip:membrane[9].bit5@7", "leave out @"),
        ("flip:membrane[999].bit5", "numbered from 0"),
        ("melt:core[0]", "unknown kind"),
        ("x" * 500, "expected KIND"),
    ):
        with pytest.raises(UsageError, match=problem):
            session.inject(spec, recovers=False)
    session.inject("delay:packet[3].target+9", recovers=True)
    session.advance(2)
    with pytest.raises(UsageError, match="a delayed packet is on its way; wait until PDE step 14"):
        session.inject("flip:membrane[9].bit5", recovers=True)


def test_a_scene_has_the_figures_of_the_run(graph: IntegerGraph, session: Session) -> None:
    observer = Observer(session)
    session.advance(10)
    scene, run = observer.scene().document(""), whole_run(graph, 10)
    (balance,) = run.verdict.balances
    assert scene["balances"][0]["final"] == str(balance.final) and scene["balances"][0]["drift"] == "0"
    assert {row["name"]: row["quanta"] for row in scene["ledgers"]} == {
        name: str(gain.quanta) for name, gain in run.ledgers()["u"].items()
    }
    assert any(row[:2] == ["flux", "packet"] for row in scene["widths"])
    assert scene["verdict"] == "conserved" and scene["field"] == "u"


def test_histories_are_thinned_and_keep_both_ends() -> None:
    history = History()
    for step in range(5000):
        history.add([float(step)])
    history.add([4999.0])
    steps = [point[0] for point in history.points]
    assert len(steps) <= MOST_POINTS and (steps[0], steps[-1]) == (0, 4999) and steps == sorted(set(steps))


@pytest.mark.parametrize(
    ("make", "drawn"),
    [
        (lambda: compiled_box(plane_model(), (6, 5), "periodic"), 30),
        (lambda: compiled_box(space_model(), (5, 4, 3), "no-flux"), 12),
        (lambda: compiled_law("gray_scott2d", (6, 6)), 36),
    ],
    ids=["plane", "box", "several fields"],
)
def test_any_graph_is_shown_and_every_offered_fault_fits(make: Callable[[], IntegerGraph], drawn: int) -> None:
    graph = make()
    with closing(Session(graph, graph.initial)) as session:
        observer = Observer(session)
        session.advance(3)
        json.dumps(described(graph, observer.view, session.last_step), allow_nan=False)
        scene = observer.scene()
        for number, field in enumerate(graph.fields):
            values = np.frombuffer(base64.b64decode(scene.document(field.name)["values"]), "<f4")
            cells = session.now.mass[_first_holder(graph, number) :][: graph.mesh.cells]
            assert values.size == drawn
            assert np.array_equal(values, field.values(cells)[observer.view.cells].astype("<f4"))
        for offered in scene.document("")["offered"]:
            session.reset()
            session.advance(3)
            session.inject(offered["spec"], recovers=True)
            session.advance(3)
            json.dumps(observer.scene().document(""), allow_nan=False)


def _first_holder(graph: IntegerGraph, number: int) -> int:
    return sum(field.size for field in graph.fields[:number])
