"""What the integers of an artifact stand for, in physical units, cannot be changed behind its back.

The forgers here are strong: they seal what they changed anew, and have the compiler issue every claim again that it
still makes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from models_under_test import (
    binary_box,
    compiled,
    compiled_box,
    heat_model,
    heat_spec,
    hidden_model,
    plane_model,
    stock_box,
    zoo_graph,
)
from two_point_graphs import base as two_point_base

from pisnn_deploy.compiler.passes.prove import Prove
from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.graph.kinds import with_faces
from pisnn_deploy.graph.layout import window_biases
from pisnn_deploy.mesh import CellMesh, structured_mesh
from pisnn_deploy.physics.model import Model, OperatingRange
from pisnn_deploy.verify import check_certificate

Forgery = Callable[[IntegerGraph], IntegerGraph]
PLAIN = ("heat", "reservoirs", "leak", "stock", "binary", "limited")
NAMES = (*PLAIN, "laplace", "advection_diffusion1d", "burgers1d")
TWO_POINT = ("line", "plane", "triangles", "alike")


@cache
def base(name: str) -> IntegerGraph:
    if name in TWO_POINT:
        return two_point_base(name)
    if name in ("advection_diffusion1d", "burgers1d"):
        return zoo_graph(name)
    if name == "laplace":
        return zoo_graph("laplace2d", (24, 24))
    if name == "stock":
        return stock_box()
    if name == "binary":
        return binary_box(heat_model(), (12,), "no-flux")
    if name == "reservoirs":
        return compiled(heat_model((4 / 128, 18 / 128, 46 / 128)), 12, "dirichlet=0.5,1")
    if name == "limited":
        return compiled(heat_model(), 12, "dirichlet=0.5,1", limiter="positivity")
    return compiled(heat_model(leak=900)) if name == "leak" else compiled()


def rejected(graph: IntegerGraph) -> dict[str, str]:
    return {finding.claim: finding.text for finding in check_certificate(graph) if not finding.holds}


def issued_again(graph: IntegerGraph) -> IntegerGraph:
    """The graph with every claim that the compiler makes of it as it is."""
    return Prove()(graph)


def with_spec(**changes: Any) -> Forgery:
    return lambda graph: replace(graph, spec=graph.spec.model_copy(update=changes))


def wider(graph: IntegerGraph) -> IntegerGraph:
    limits = graph.model_spec.operating_range
    return with_spec(operating_range=OperatingRange(**{**limits.model_dump(), "upper": 2 * limits.upper}))(graph)


def longer(graph: IntegerGraph) -> IntegerGraph:
    lengths = tuple(2 * length for length in graph.spec.lengths)
    changed = with_spec(lengths=lengths)(graph)
    if isinstance(graph.mesh, CellMesh):
        return replace(changed, mesh=replace(graph.mesh, points=2 * graph.mesh.points))
    return replace(changed, mesh=structured_mesh(graph.grid.shape, lengths, graph.grid.boundary))


def slower(graph: IntegerGraph) -> IntegerGraph:
    twice = with_spec(diffusion_number=2 * graph.model_spec.diffusion_number)(graph)
    return replace(twice, time_step=2 * graph.time_step)


def with_other_values(graph: IntegerGraph) -> IntegerGraph:
    return graph.with_field(held=graph.sole_field.held + 0.125)


def shown(graph: IntegerGraph) -> IntegerGraph:
    return graph.with_field(reservoirs=graph.sole_field.reservoirs + 1)


def quantum(graph: IntegerGraph) -> IntegerGraph:
    return graph.with_field(quantum=2 * graph.quantum)


def time_step(graph: IntegerGraph) -> IntegerGraph:
    return replace(graph, time_step=graph.time_step * (1 + 1e-6))


def window(graph: IntegerGraph) -> IntegerGraph:
    return graph.with_field(window=replace(graph.window, upper=graph.window.upper + 1))


@pytest.mark.parametrize("name", (*NAMES, *TWO_POINT))
@pytest.mark.parametrize("forgery", [quantum, time_step, window, wider, longer, slower])
@pytest.mark.parametrize("again", [False, True])
def test_no_forgery_of_the_meaning_passes(name: str, forgery: Forgery, again: bool) -> None:
    graph = base(name)
    assert not rejected(graph)
    changed = issued_again(forgery(graph)) if again else forgery(graph)
    assert changed.certificate is not None and changed.certificate.equation is not None
    assert rejected(changed) or changed.certificate.equation.method == "other-law"
    assert again or rejected(changed)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("field", ["diffusivity", "velocity", "damping", "cell_width"])
def test_no_other_coefficient_passes(name: str, field: str) -> None:
    value = getattr(base(name).spec, field)
    for factor in (1 + 1e-6, 2.0) if value else ():
        assert rejected(with_spec(**{field: value * factor})(base(name)))


@pytest.mark.parametrize("name", ["reservoirs", "limited", "line", "triangles", "laplace"])
def test_a_reservoir_shows_what_it_holds(name: str) -> None:
    assert rejected(issued_again(with_other_values(base(name))))["units"].startswith("reservoir 0 has the value ")
    assert "layout" in rejected(shown(base(name)))


def test_burgers_with_another_quantum_and_range_is_another_equation() -> None:
    # Range, window and quantum agree; the fluxes of constant states are then half of the law's.
    changed = quantum(wider(base("burgers1d")))
    limits = changed.model_spec.operating_range
    changed = with_spec(
        operating_range=OperatingRange(lower=2 * limits.lower, upper=limits.upper, slope=2 * (limits.slope or 1))
    )(changed)
    changed = issued_again(changed)
    assert changed.certificate is not None and changed.certificate.equation is not None
    assert changed.certificate.equation.status == "none"
    assert not rejected(changed) and "the integers solve a different law" in changed.certificate.equation.details
    kept = replace(changed, certificate=base("burgers1d").certificate)
    assert "equation" in rejected(kept)


def test_another_diffusivity_beside_advection_is_another_equation() -> None:
    changed = issued_again(with_spec(diffusivity=0.1)(base("advection_diffusion1d")))
    assert changed.certificate is not None and changed.certificate.equation is not None
    claim = changed.certificate.equation
    assert claim.status == "none" and claim.details == (
        "the integers solve a different law from the model's: velocity 1 (model: 1), diffusivity 0.000999511 "
        "(model: 0.1)"
    )
    named = replace(claim, status="proved", method="moments")
    found = rejected(replace(changed, certificate=replace(changed.certificate, equation=named)))
    assert found == {"equation": "coefficients deviate 99.00% from the law, but the claim says proved"}


def test_coefficients_are_those_that_were_measured_on_paper() -> None:
    figures = {}
    for name in ("heat", "advection_diffusion1d", "burgers1d", "laplace"):
        certificate = base(name).certificate
        assert certificate is not None and certificate.equation is not None
        figures[name] = certificate.equation.figures
    assert figures["heat"] == {"diffusivity": 0.01, "wanted_diffusivity": 0.01}
    # r - C^2 / 2 is 0.25388 where 0.254 is wanted.
    step = base("advection_diffusion1d").time_step
    assert figures["advection_diffusion1d"]["diffusivity"] * step * 256**2 == pytest.approx(0.25388, abs=5e-6)
    assert 0.001 * step * 256**2 == pytest.approx(0.254, abs=5e-6)
    assert figures["burgers1d"]["flux_error"] < 0.005
    assert figures["burgers1d"]["diffusivity_lower"] < 1 / (100 * np.pi) < figures["burgers1d"]["diffusivity_upper"]
    assert figures["laplace"]["wave_speed"] == pytest.approx(1, abs=1e-15)


def test_a_network_that_solves_nothing_known_says_so() -> None:
    graph = compiled(hidden_model((3,)))
    assert graph.certificate is not None and graph.certificate.equation is not None
    assert (graph.certificate.equation.status, graph.certificate.equation.method) == ("none", "other-law")
    assert not rejected(graph)


@pytest.mark.parametrize("equation", [None, Claim("none", "nonlinear"), Claim("assumed", "moments", {})])
def test_a_claim_on_the_equation_is_the_one_that_was_proved(equation: Claim | None) -> None:
    for name in ("heat", "burgers1d", "triangles"):
        certificate = base(name).certificate
        assert certificate is not None
        forged = replace(base(name), certificate=replace(certificate, equation=equation))
        assert list(rejected(forged)) == ["equation"]


def test_the_equation_of_a_limited_graph_says_where_it_holds() -> None:
    certificate = base("limited").certificate
    assert certificate is not None and certificate.equation is not None
    claim = certificate.equation
    assert claim.details == (
        "the integer weights have diffusivity 0.01 (model: 0.01); this holds where the limiter withholds nothing"
    )
    for figures in ({n: v for n, v in claim.figures.items() if n != "limited"}, {**claim.figures, "limited": 0}):
        forged = replace(certificate, equation=replace(claim, figures=figures))
        assert rejected(replace(base("limited"), certificate=forged)) == {
            "equation": "the claim does not say whether a limiter may withhold packets"
        }


def biased(graph: IntegerGraph, bias: int) -> IntegerGraph:
    """A constant flux through every face, laid out as the compiler would."""
    (layer,), spec, mesh = graph.operator, graph.model_spec, graph.grid
    operator = replace(layer, bias=np.array([bias]))
    laid_out = window_biases(
        operator.weight, operator.bias, mesh, spec.half_width, spec.transverse, graph.sole_field.reservoirs, spec.wall
    )
    changed = replace(with_faces(graph, laid_out), operator=(operator,))
    # The time step of a network with a bias is the spec's.
    return with_spec(diffusion_number=graph.time_step * graph.model_spec.diffusivity * graph.mesh.cells**2)(changed)


@pytest.mark.parametrize("boundary", ["no-flux", "dirichlet=0.5,1", "x-=no-flux x+=dirichlet=1"])
@pytest.mark.parametrize("bias", [1, -3000, 100000])
def test_a_constant_flux_beside_walls_is_another_equation(boundary: str, bias: int) -> None:
    plain = compiled(heat_model(), 16, boundary)
    changed = issued_again(biased(plain, bias))
    assert changed.certificate is not None and changed.certificate.equation is not None
    claim = changed.certificate.equation
    assert (claim.status, claim.method) == ("none", "other-law") and "equation" not in rejected(changed)
    assert "a constant flux accumulates " in claim.details
    named = replace(claim, status="proved", method="states")
    forged = replace(changed, certificate=replace(changed.certificate, equation=named))
    assert rejected(forged)["equation"].endswith("from the law, but the claim says proved")
    for figures in ({**claim.figures, "flux_error": 0.0}, {**claim.figures, "drift": 0.0}):
        nothing = replace(named, figures=figures)
        forged = replace(changed, certificate=replace(changed.certificate, equation=nothing))
        assert "equation" in rejected(forged)


def test_a_constant_flux_around_a_ring_moves_nothing() -> None:
    changed = issued_again(biased(base("heat"), 3000))
    assert changed.certificate is not None and changed.certificate.equation is not None
    assert changed.certificate.equation.status == "proved" and "equation" not in rejected(changed)


def hidden_heat(*units: tuple[list[float], float, float]) -> Model:
    """A heat model whose kernel goes through two hidden units, with more of (row, bias, weight) beside them."""
    (kernel,) = heat_model().weights[0]
    rows = np.array([kernel, -kernel, *(row for row, _, _ in units)])
    biases = np.array([0.0, 0.0, *(bias for _, bias, _ in units)])
    outputs = np.array([[1.0, -1.0, *(weight for _, _, weight in units)]])
    spec = heat_spec(hidden=(len(rows),), weight_exponents=(7, 7), diffusion_number=heat_number(kernel))
    return Model(spec, (rows, outputs), (biases, np.zeros(1)))


def heat_number(kernel: np.ndarray[Any, Any]) -> float:
    return float(-kernel @ (np.arange(kernel.size) - (kernel.size - 1) / 2))


MEAN = [1 / 8] * 8


@pytest.mark.parametrize("boundary", ["periodic", "no-flux"])
def test_a_flux_between_the_states_that_are_looked_at_is_seen(boundary: str) -> None:
    # A hat for means from 0.94 to 0.96, where the operating range 0 to 2 has samples at 0.875 and 1.
    plain = compiled(hidden_heat((MEAN, 0.0, 0.0), (MEAN, 0.0, 0.0), (MEAN, 0.0, 0.0)), 16, boundary)
    hat = compiled(hidden_heat((MEAN, -0.94, 20 / 8), (MEAN, -0.95, -40 / 8), (MEAN, -0.96, 20 / 8)), 16, boundary)
    assert plain.certificate is not None and plain.certificate.equation is not None
    assert hat.certificate is not None and hat.certificate.equation is not None
    assert not rejected(plain) and plain.certificate.equation.status == "proved"
    assert not rejected(hat) and hat.certificate.equation.method == "other-law"
    assert hat.certificate.equation.figures["flux_error"] > 0.05
    kept = replace(hat, certificate=replace(hat.certificate, equation=plain.certificate.equation))
    assert rejected(kept)["equation"].startswith("the flux error is ")


def test_a_flux_that_saturates_on_steep_slopes_is_seen() -> None:
    (kernel,) = heat_model().weights[0]
    steep = compiled(hidden_heat((kernel.tolist(), -0.2, -1.0), ((-kernel).tolist(), -0.2, 1.0)), 16, "no-flux")
    plain = compiled(hidden_heat((kernel.tolist(), -0.2, 0.0), ((-kernel).tolist(), -0.2, 0.0)), 16, "no-flux")
    assert steep.certificate is not None and steep.certificate.equation is not None
    assert plain.certificate is not None and plain.certificate.equation is not None
    assert not rejected(steep) and steep.certificate.equation.method == "other-law"
    assert not rejected(plain) and plain.certificate.equation.status == "proved"
    figures = steep.certificate.equation.figures
    assert figures["diffusivity_lower"] < 0.008 < figures["diffusivity_upper"]
    assert figures["steepest_slope"] > 2 * figures["gentlest_slope"]
    gentle = {**figures, "diffusivity_lower": figures["diffusivity_upper"]}
    kept = replace(steep.certificate, equation=Claim("proved", "states", gentle))
    assert rejected(replace(steep, certificate=kept))["equation"].startswith("the diffusivity lower is ")


def test_a_slope_across_a_face_moves_nothing() -> None:
    assert not rejected(base("laplace"))
    graph = issued_again(compiled_plane_that_leans())
    assert graph.certificate is not None and graph.certificate.equation is not None
    assert "slopes across a face move " in graph.certificate.equation.details


def compiled_plane_that_leans() -> IntegerGraph:
    graph = compiled_box(plane_model(), (5, 6), "x=no-flux y=periodic")
    (layer,) = graph.operator
    return replace(graph, operator=(replace(layer, weight=layer.weight + np.array([[9, 0, -9, 0, 0, 0]])),))


# Cells that differ ----------------------------------------------------------------------------------------------------


def with_materials(name: str, factor: float, cell: slice) -> Forgery:
    def changed(graph: IntegerGraph) -> IntegerGraph:
        assert graph.materials is not None
        values = getattr(graph.materials, name).copy()
        values[cell] *= factor
        return replace(graph, materials=replace(graph.materials, **{name: values}))

    return changed


@pytest.mark.parametrize("name", TWO_POINT)
@pytest.mark.parametrize("what", ["conductivity", "capacity"])
@pytest.mark.parametrize("factor", [1.01, 2.0, 1 + 1e-6])
def test_materials_are_those_of_the_integers(name: str, what: str, factor: float) -> None:
    assert "equation" in rejected(with_materials(what, factor, slice(None))(base(name)))
    if factor > 1.001:
        assert "equation" in rejected(issued_again(with_materials(what, factor, slice(1))(base(name))))


@pytest.mark.parametrize("factor", [0.5, 1 + 1e-6, 2.0])
def test_a_unit_of_volume_is_that_of_the_cells(factor: float) -> None:
    for name in TWO_POINT:
        graph = base(name)
        assert graph.materials is not None
        unit = graph.sole_field.unit_volume * factor
        other = graph.with_field(unit_volume=unit, quantum=graph.quantum * factor)
        assert rejected(other)["equation"].startswith("the unit ")


def triangles(**changes: Any) -> IntegerGraph:
    graph = base("triangles")
    assert isinstance(graph.mesh, CellMesh)
    return replace(graph, mesh=replace(graph.mesh, **changes))


def test_points_are_where_the_integers_say() -> None:
    mesh = base("triangles").mesh
    assert isinstance(mesh, CellMesh)
    moved = mesh.points.copy()
    moved[4, 0] += 0.01
    assert "equation" in rejected(triangles(points=moved))
    # Turned by a right angle, it is the same mesh; mirrored too.
    assert not rejected(triangles(points=mesh.points[:, ::-1] * [-1, 1]))
    assert not rejected(triangles(points=mesh.points * [1, -1] + 3.0))


def test_faces_are_sides_of_their_cells() -> None:
    mesh = base("triangles").mesh
    assert isinstance(mesh, CellMesh)
    faces = mesh.face_corners
    for wrong, reason in (
        (faces[[1, 0, *range(2, len(faces))]], "face 0 is not a side of its target cell"),
        (np.array([[3, 4], *faces[1:].tolist()]), "face 0 is not a side of its source cell"),
        (np.array([[4, 4], *faces[1:].tolist()]), "a face repeats a corner or another face"),
    ):
        assert rejected(triangles(face_corners=wrong))["equation"] == reason


def test_a_flat_cell_is_rejected() -> None:
    mesh = base("triangles").mesh
    assert isinstance(mesh, CellMesh)
    flat = mesh.points.copy()
    flat[4] = [0.5, 0.0]
    assert rejected(triangles(points=flat))["equation"] == "cell 0 has no volume"


def test_cells_of_a_material_are_alike() -> None:
    graph = base("triangles")
    assert isinstance(graph.mesh, CellMesh)
    assert rejected(triangles(material=np.array([0, 1, 1, 1])))["equation"] == (
        "cell 2 differs in conductivity from other cells of its material"
    )


def test_reservoirs_of_a_group_are_alike() -> None:
    graph = triangles(group=np.array([0, 1, 1]))
    assert rejected(graph) == {"units": "reservoir 2 differs in value from other reservoirs of its group"}


@pytest.mark.parametrize("figure", ["mean_angle", "largest_angle", "conductance_error", "capacity_error"])
def test_figures_of_two_point_fluxes_are_worked_out_again(figure: str) -> None:
    graph = base("triangles")
    assert graph.certificate is not None and graph.certificate.equation is not None
    claim = graph.certificate.equation
    assert claim.figures["largest_angle"] > claim.figures["mean_angle"] > 1
    forged = replace(claim, figures={**claim.figures, figure: 0.5 * claim.figures[figure]})
    found = rejected(replace(graph, certificate=replace(graph.certificate, equation=forged)))
    assert list(found) == ["equation"] and found["equation"].startswith(f"the {figure.replace('_', ' ')} is ")
