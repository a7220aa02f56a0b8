"""Programs whose values have no bound are refused in one line, whatever they do."""

from __future__ import annotations

import pytest
from models_under_test import compiled, heat_model, hidden_model
from unknown_programs import proved, with_program

from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.programs import parse

GROWS = (
    "bound: flux: state residue_before of other may grow without limit; let the program keep it "
    "in bounds: fire, min with max, or a leak"
)
FIRE = "packet, rest = fire(potential, 8)"


@pytest.fixture(scope="module")
def graph() -> IntegerGraph:
    return compiled(heat_model((0.25,)), 8, "dirichlet=0,1")


@pytest.mark.parametrize(
    "lines",
    [
        (
            *("fired, rest = fire(potential, 8)", "size = abs(potential)", "is_large = ge(size, 200)"),
            *("packet = select(is_large, fired, 0)", "residue = select(is_large, rest, potential)"),
        ),
        (FIRE, "residue = add(potential, 0)"),
        (FIRE, "residue = neg(potential)"),
        (FIRE, "residue = min(potential, 5)"),
        (FIRE, "residue = copysign(potential, current)"),
    ],
)
def test_a_state_without_a_bound_is_refused(lines: tuple[str, ...], graph: IntegerGraph) -> None:
    with pytest.raises(CompileError) as caught:
        proved(with_face(graph, lines))
    assert str(caught.value) == GROWS


def test_a_packet_beyond_every_word_is_refused(graph: IntegerGraph) -> None:
    lines = ("fired, residue = fire(potential, 8)", "packet = shl(fired, 60)")
    message = r"^bound: flux packet may take \d+ signed bits before it is rounded; 64 are possible; let the program "
    with pytest.raises(CompileError, match=message):
        proved(with_face(graph, lines))


def test_what_arrives_beyond_every_word_is_refused() -> None:
    hidden = compiled(hidden_model((3,)), 9, "no-flux")
    text = str(hidden.population("hidden1").program)
    wide = text.replace("activation = asr(positive, ", "activation = shl(positive, 38)\nunused = asr(positive, ")
    message = r"^bound: flux: what arrives at arrival from hidden1 may be too large for any word; "
    with pytest.raises(CompileError, match=message):
        proved(with_program(hidden, "hidden1", parse(wide)))


def with_face(graph: IntegerGraph, lines: tuple[str, ...]) -> IntegerGraph:
    head = (
        *("neuron other(arrival; residue_before; bias)", "drive = add(arrival, bias)", "current = add(drive, 0)"),
        "potential = add(residue_before, current)",
    )
    return with_program(
        graph, "flux", parse("\n".join((*head, *lines, "keep residue_before = residue", "send packet")))
    )
