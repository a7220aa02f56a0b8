"""The grammar of faults: what is written is read again, and what is wrong is named."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models_under_test import binary_box, compiled, heat_model, hidden_model

from benchmarks.parts.fault_sampling import FAMILIES, random_fault
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.faults.injection import Injector
from pisnn_deploy.faults.spec import EXAMPLES, Fault, parse_fault
from pisnn_deploy.graph.integer import IntegerGraph

GRAPHS: tuple[Callable[[], IntegerGraph], ...] = (
    lambda: compiled(hidden_model((3, 2)), cells=7, boundary="no-flux"),
    lambda: binary_box(heat_model(), (9,), "dirichlet=0,1"),
)


@cache
def graph_of(number: int) -> IntegerGraph:
    """A graph, compiled when the first test needs it."""
    return GRAPHS[number]()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(FAMILIES)), st.integers(0, 2**32 - 1), st.integers(0, 1), st.integers(0, 39))
def test_every_fault_is_read_as_it_is_written(family: str, seed: int, number: int, step: int) -> None:
    graph = graph_of(number)
    fault = random_fault(graph, family, step, np.random.default_rng(seed))
    assert parse_fault(str(fault)) == fault
    Injector(graph, (fault,), 40)
    assert random_fault(graph, family, step, np.random.default_rng(seed)) == fault


@pytest.mark.parametrize("example", EXAMPLES.values())
def test_examples_are_written_as_they_are_read(example: str) -> None:
    assert str(parse_fault(example)) == example


@pytest.mark.parametrize(
    "text",
    [
        "flip:membrane[h,17].bit5@40.1",
        "flip:residue[h-flux,3].bit2@1",
        "misroute:packet[k_1,3].source->17@12",
        "stale:q[3]@4",
    ],
)
def test_populations_are_written_as_they_are_read(text: str) -> None:
    assert str(parse_fault(text)) == text


def test_all_parts_of_a_spec() -> None:
    assert parse_fault("flip:weight[route,12].bit3@10.1") == Fault("flip", "weight", 12, 10, 1, "route", 3)
    assert parse_fault("delay:packet[3].source+2@12") == Fault("delay", "packet", 3, 12, end="source", delay=2)
    assert parse_fault("drop:packet[h-flux,3]@12") == Fault("drop", "packet", 3, 12, of="h-flux")
    assert parse_fault("misroute:packet[3]->17@12") == Fault("misroute", "packet", 3, 12, end="target", other=17)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected KIND:PLACE[INDEX]@STEP; for example flip:membrane[17].bit5@40"),
        ("flip:membrane[17].bit5", "expected KIND:PLACE[INDEX]@STEP; for example flip:membrane[17].bit5@40"),
        (
            "flop:membrane[17]@4",
            "unknown kind 'flop'; use flip, drop, duplicate, delay, misroute, dead, sign-mode, stale; "
            "for example flip:membrane[17].bit5@40",
        ),
        (
            "flip:packet[3].bit1@4",
            "flip cannot hit 'packet'; use membrane, current, residue, weight, or a value of a program such as "
            "flux.potential; for example flip:membrane[17].bit5@40",
        ),
        (
            "stale:flux.packet[3]@4",
            "stale cannot hit 'flux.packet'; use a population such as membrane, flux or hidden1; "
            "for example stale:flux[9]@12",
        ),
        ("flip:membrane[17]@4", "unexpected '' after the place; for example flip:membrane[17].bit5@40"),
        ("delay:packet[3]+0@4", "unexpected '+0' after the place; for example delay:packet[3]+2@12"),
        ("misroute:packet[3]@4", "unexpected '' after the place; for example misroute:packet[3]->17@12"),
        ("drop:packet[-3]@4", "'-3' is not a nonnegative integer; for example drop:packet[3]@12"),
        (
            "flip:weight[route].bit1@4",
            "[route] must be the name of a synapse and the number of a connection; "
            "for example flip:weight[membrane-to-flux,12].bit3@10",
        ),
        (
            "sign-mode:weight[route,3]@4",
            "[route,3] must be the name of a synapse; for example sign-mode:weight[route]@10",
        ),
        (
            "drop:packet[h flux,3]@4",
            "[h flux,3] must be a number, or the name of a population and a number; for example drop:packet[3]@12",
        ),
        ("drop:packet[3]@soon", "@soon is not a PDE step; for example drop:packet[3]@12"),
        (
            "drop:packet[3]@4.1",
            "drop has a fixed time step within the PDE step; write @4; for example drop:packet[3]@12",
        ),
    ],
)
def test_what_is_wrong_with_a_spec_is_named(text: str, problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_fault(text)
    assert str(caught.value) == f"fault {text!r}: {problem}"


def test_a_very_long_spec_is_not_repeated_whole() -> None:
    with pytest.raises(UsageError) as caught:
        parse_fault("flip:membrane[" + "1" * 100_000 + "].bit5@40")
    assert len(str(caught.value)) < 400


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    with contextlib.suppress(UsageError):
        fault = parse_fault(text)
        assert parse_fault(str(fault)) == fault
    with pytest.raises(UsageError):
        parse_fault(f"flip:membrane[{text}].bit{text}@{text}x")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("flip:membrane[7].bit1@4", "the 7 neurons of membrane are numbered from 0"),
        ("flip:membrane[3].bit24@4", "the word has the bits 0 to 23"),
        ("flip:residue[6].bit1@4", "the 6 faces are numbered from 0"),
        ("flip:residue[5].bit1@41", "the run has only 40 PDE steps; the last such fault is possible at 40"),
        ("flip:residue[5].bit1@40.1", "the run has only 40 PDE steps; the last such fault is possible at 39"),
        ("flip:residue[5].bit1@4.4", "a PDE step has only the time steps 0 to 3"),
        ("drop:packet[5]@40", "the run has only 40 PDE steps; the last such fault is possible at 39"),
        ("misroute:packet[5]->7@4", "the 7 cells and reservoirs are numbered from 0"),
        ("dead:core[1]@4", "the 1 cores are numbered from 0"),
        ("stale:hidden3[0]@4", "there is no such population; use membrane, hidden1, hidden2, flux"),
        (
            "sign-mode:weight[rout]@4",
            "there is no synapse 'rout'; use membrane-to-hidden1, hidden1-to-hidden2, hidden2-to-flux, route",
        ),
        ("flip:weight[route,12].bit1@4", "its 12 connections are numbered from 0"),
        ("flip:weight[route,11].bit8@4", "a stored weight has the bits 0 to 7"),
    ],
)
def test_a_place_or_time_that_a_run_has_not_is_named(text: str, problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        Injector(graph_of(0), (parse_fault(text),), 40)
    assert str(caught.value) == f"fault {text!r}: {problem}"
