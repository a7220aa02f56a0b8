"""Faults inside Lava processes: the same kind, step and place as on `fast`, and the same masses after a recovery."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from fields_by_hand import first_masses
from graphs_by_hand import reaction, side_by_side, sink, two_fields
from models_under_test import binary_box, compiled, heat_model, hidden_model, oscillating_model
from scheduled_graphs import scheduled

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.faults.spec import parse_fault
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.lava import backend as cpu
from pisnn_deploy.runs import Run, RunOptions, fast


def leaky() -> IntegerGraph:
    return compiled(hidden_model((3,), leak=2048), cells=8, boundary="no-flux")


def dense() -> IntegerGraph:
    return compiled(hidden_model((3,)), cells=8, coding="dense")


def binary() -> IntegerGraph:
    return binary_box(heat_model(), (9,), "dirichlet=0,1")


def same_runs(graph: IntegerGraph, steps: int, *texts: str, recovers: bool) -> Run:
    faults = tuple(parse_fault(text) for text in texts)
    options = RunOptions(steps, everything=True, faults=faults, recovers=recovers)
    mass = first_masses(graph)
    found, expected = cpu.run(graph, mass, options), fast.run(graph, mass, options)
    assert found.detections == expected.detections and found.failure == expected.failure
    assert found.violations == expected.violations and found.steps == expected.steps
    assert found.events == expected.events and found.quanta_sent == expected.quanta_sent
    for field in ("mass", "ledger", "transported", "in_flight"):
        assert np.array_equal(getattr(found.trace, field), getattr(expected.trace, field)), field
    return found


def limited() -> IntegerGraph:
    return compiled(oscillating_model(), 9, "no-flux", limiter="positivity")


def fields() -> IntegerGraph:
    """Three graphs of one or two fields, in which channels have two depths."""
    return scheduled(side_by_side([two_fields(4), sink(4), reaction(4)]), "delta")


@pytest.mark.parametrize(
    ("graph", "texts"),
    [
        (
            fields,
            (
                "flip:membrane[g0-h,2].bit3@1",
                "drop:packet[g2-rate,3]@2",
                "misroute:packet[g2-rate,1].source->3@4",
                "delay:packet[g1-decay,3].target+1@6",
                "stale:g0-flux-q[1]@6",
                "flip:residue[g1-decay,1].bit2@8.2",
                "flip:current[g0-flux-h,1].bit2@9.1",
                "flip:g2-product.product[1].bit4@10",
                "stale:g0-q[1]@10",
                "flip:g0-flux-q.residue[1].bit2@12",
                "sign-mode:weight[g1-decay-0-to-u-arrival]@13",
            ),
        ),
        (
            limited,
            (
                "flip:flux.source_mass[3].bit2@1",
                "flip:flux.drive[2].bit3@2",
                "stale:flux[4]@3",
                "flip:flux.fired[3].bit2@5",
                "flip:residue[5].bit1@8.1",
                "flip:membrane.mass[3].bit3@11",
                "flip:flux.packet[4].bit1@14",
                "drop:packet[3]@17",
                "sign-mode:weight[route]@20",
            ),
        ),
        (
            leaky,
            (
                "flip:weight[membrane-to-hidden1,5].bit3@1",
                "stale:flux[3]@1",
                "stale:hidden1[4]@2",
                "sign-mode:weight[hidden1-to-flux]@2.1",
                "flip:current[2].bit3@3.2",
                "flip:membrane[5].bit5@4",
                "flip:membrane[5].bit5@6.1",
                "flip:current[3].bit2@8",
                "flip:residue[3].bit2@10.1",
                "flip:residue[3].bit2@12.2",
                "drop:packet[3]@14",
                "drop:packet[3].target@16",
                "duplicate:packet[3].source@18",
                "delay:packet[3]+2@20",
                "misroute:packet[3]->6@24",
                "stale:membrane[3]@27",
                "flip:hidden1.activation[4].bit0@28",
                "sign-mode:weight[route]@30",
            ),
        ),
        (dense, ("stale:flux[3]@1", "stale:hidden1[4]@2", "flip:membrane[5].bit5@3", "dead:core[0]@6")),
        (
            binary,
            (
                "flip:weight[membrane-to-flux-bit1,5].bit1@1",
                "drop:packet[3]@2",
                "delay:packet[0].source+1@5",
                "flip:weight[route-bit0,2].bit2@9",
            ),
        ),
    ],
)
def test_all_kinds_with_recovery(graph: Callable[[], IntegerGraph], texts: tuple[str, ...]) -> None:
    run = same_runs(graph(), 34, *texts, recovers=True)
    assert len(run.detections) > 2 and run.detections[0].healed and not run.detections[-1].healed


@pytest.mark.parametrize("text", ["flip:membrane[5].bit5@4.1", "flip:membrane[5].bit23@4", "dead:core[0]@4.2"])
def test_a_violation_stops_the_run(text: str) -> None:
    run = same_runs(leaky(), 8, text, recovers=False)
    assert len(run.detections) == 1 and not run.conserved


def test_a_wrong_place_is_refused_before_lava_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "worker_command", lambda: pytest.fail("the worker was started"))
    graph = binary()
    with pytest.raises(UsageError, match=r"^fault 'drop:packet\[99\]@1': the 10 faces are numbered from 0$"):
        cpu.run(graph, graph.initial, RunOptions(3, faults=(parse_fault("drop:packet[99]@1"),)))
