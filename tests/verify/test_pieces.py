"""A flux network along a line: compiler and checker find the same pieces, and the integers keep to them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from models_under_test import compiled, hidden_model

from pisnn_deploy.compiler import CompileOptions, Lower, compile_model
from pisnn_deploy.compiler.analysis import kinks
from pisnn_deploy.compiler.analysis.kinks import drives_along
from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.mesh import parse_boundary
from pisnn_deploy.target import load_profile
from pisnn_deploy.verify import check_certificate, pieces
from pisnn_deploy.verify.pieces import along


def network(channels: tuple[int, ...], seed: int) -> IntegerGraph:
    """Random layers whose kinks lie on the line."""
    graph, rng = compiled(hidden_model(channels, seed), 8), np.random.default_rng(seed)
    layers = [
        replace(
            layer,
            weight=rng.integers(-127, 128, layer.weight.shape),
            bias=rng.integers(-20_000, 20_000, layer.bias.shape),
        )
        for layer in graph.operator
    ]
    return replace(graph, operator=tuple(layers))


def drive(graph: IntegerGraph, seen: Integers) -> Integers:
    for layer in graph.operator[:-1]:
        seen = np.maximum(layer.weight @ seen + layer.bias[:, None], 0) >> layer.shift
    last = graph.operator[-1]
    return np.asarray((last.weight @ seen + last.bias[:, None])[0])


@pytest.mark.parametrize("channels", [(6,), (5, 4), (4, 5, 3)])
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("direction", [[1, 1, 1, 1], [-3, -1, 1, 3]])
def test_both_sides_follow_the_integers_along_a_line(
    channels: tuple[int, ...], seed: int, direction: list[int]
) -> None:
    graph, start = network(channels, seed), [7, -30, 12, 5]
    ours = drives_along(graph.operator, np.array(start, object), np.array(direction, object), -300, 400)
    theirs = along(graph, start, direction, -300, 400)
    assert ours is not None and theirs is not None and len(ours.places) > 4
    assert ours.places == theirs.ends and (ours.below, ours.above) == (theirs.lost, theirs.won)
    assert [ours.at(place) for place in ours.places] == [theirs.at(place) for place in ours.places]
    steps = np.arange(-300, 401)
    answers = drive(graph, np.array(start)[:, None] + np.array(direction)[:, None] * steps)
    for step, answer in zip(steps.tolist(), answers.tolist(), strict=True):
        smooth = ours.at(Fraction(step))
        assert smooth == theirs.at(Fraction(step))
        assert smooth + ours.below <= answer <= smooth + ours.above


@pytest.mark.parametrize("limit", ["MOST_PRODUCTS", "kinks"])
def test_lines_with_too_many_kinks_are_not_followed(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    for module, name in ((kinks, "MOST_KINKS"), (pieces, "MOST_PLACES")):
        monkeypatch.setattr(module, name if limit == "kinks" else limit, 5)
    graph = network((6,), 1)
    assert drives_along(graph.operator, np.zeros(4, object), np.ones(4, object), -300, 400) is None
    assert along(graph, [0] * 4, [1] * 4, -300, 400) is None
    # not from the cache, which has the graph without these limits
    options = CompileOptions(Lower((8,), parse_boundary("periodic", 1)), load_profile("loihi2"))
    issued = compile_model(hidden_model((6,), 1), options)
    assert issued.certificate is not None and issued.certificate.equation == Claim("none", "too-many-kinks")
    assert issued.certificate.equation.details == "the flux network has too many kinks to examine"
    assert all(finding.holds for finding in check_certificate(issued))
