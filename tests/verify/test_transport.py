"""Velocity and diffusivity of linear laws: certified, verified, and refused where they are another law's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import pisnn_deploy as pd
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.verify.checker import check_certificate

RECIPE = """name: transport
law:
  fields: [u]
  flux: {u: u}
  diffusion: {u: DIFFUSIVITY}
domain: {lengths: [1.0], boundary: periodic}
initial: {u: "1.0 + 0.5*sin(2*pi*x)"}
range: {u: [0.0, 2.0]}
time: 0.1
mesh: [64]
courant: 0.5
"""


def transport(folder: Path, diffusivity: float) -> IntegerGraph:
    path = folder / "transport.yaml"
    path.write_text(RECIPE.replace("DIFFUSIVITY", repr(diffusivity)))
    return pd.compile(path).graph


@pytest.mark.parametrize("diffusivity", [0.0, 1 / (64 * 50), 0.01])
def test_linear_laws_state_their_coefficients(tmp_path: Path, diffusivity: float) -> None:
    graph = transport(tmp_path, diffusivity)
    assert graph.certificate is not None and graph.certificate.equation is not None
    claim = graph.certificate.equation
    assert claim.status == "proved" and claim.figures["wanted_diffusivity"] == diffusivity
    assert claim.figures["velocity"] == pytest.approx(1.0, rel=1e-6)
    assert claim.figures["diffusivity"] == pytest.approx(diffusivity, rel=0.01, abs=1e-4 / 64)
    assert all(finding.holds for finding in check_certificate(graph))


def test_another_figure_is_found(tmp_path: Path) -> None:
    graph = transport(tmp_path, 0.01)
    assert graph.certificate is not None and graph.certificate.equation is not None
    claim = graph.certificate.equation
    for name in ("velocity", "diffusivity", "wanted_diffusivity"):
        figures = {**claim.figures, name: 1.001 * claim.figures[name]}
        other = replace(graph, certificate=replace(graph.certificate, equation=replace(claim, figures=figures)))
        findings = {finding.claim: finding for finding in check_certificate(other)}
        assert f"the {name} of the integers is" in findings["equation"].text and not findings["equation"].holds


def test_weights_that_diffuse_otherwise_are_found(tmp_path: Path) -> None:
    graph = transport(tmp_path, 0.01)
    synapses = tuple(
        replace(s, connections=s.connections.revalued(lambda weights: 2 * weights)) if "port1" in s.name else s
        for s in graph.synapses
    )
    assert any("port1" in synapse.name for synapse in synapses)
    findings = {finding.claim: finding.holds for finding in check_certificate(replace(graph, synapses=synapses))}
    assert not findings["equation"]
