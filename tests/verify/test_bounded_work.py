"""A claim may be anyone's, and the checker's work on it is bounded."""

from __future__ import annotations

from dataclasses import replace

import pytest
from models_under_test import compiled

from pisnn_deploy.graph import Claim
from pisnn_deploy.verify import check_certificate
from pisnn_deploy.verify.waves import MOST_CELLS_ALONG


@pytest.mark.parametrize("cells", [MOST_CELLS_ALONG, MOST_CELLS_ALONG + 1])
def test_eigenvalues_of_a_long_axis_are_not_taken(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # 130 kB with such a claim would keep the checker busy for hours.
    checked: list[int] = []
    monkeypatch.setattr("pisnn_deploy.verify.checker.axis_gains", lambda graph: checked.append(graph.mesh.cells))
    monkeypatch.setattr("pisnn_deploy.verify.checker.modulus", lambda gains, leak: 1.0)
    graph = compiled(cells=cells)
    assert graph.certificate is not None
    claim = Claim("proved", "axis-eigenvalues", {"modulus": 1.0})
    forged = replace(graph, certificate=replace(graph.certificate, stability=claim))
    (stability,) = (finding for finding in check_certificate(forged) if finding.claim == "stability")
    assert stability.holds == bool(checked) == (cells <= MOST_CELLS_ALONG)
    assert checked or stability.text == "the claim differs from what the checker proved"
