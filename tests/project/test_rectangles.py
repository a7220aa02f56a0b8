"""Grids of cells that are not square, domains of other lengths, and diffusivities that differ from axis to axis."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import pisnn_deploy as pd
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.cell_graph import has_own_materials
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.mesh import structured_mesh
from pisnn_deploy.physics.problems import problem
from pisnn_deploy.project.converge_request import converge_request
from pisnn_deploy.project.convergence import converge
from pisnn_deploy.verify import check_certificate

PERIODIC = (("periodic", "periodic"),) * 2


def compiled(**options: Any) -> pd.CompiledArtifact:
    return pd.compile("heat2d", placement="none", **options)


@pytest.fixture(scope="module")
def wide() -> pd.CompiledArtifact:
    return compiled(mesh="32x16")


def test_cells_that_are_not_square_have_integers_as_good_as_floats(wide: pd.CompiledArtifact) -> None:
    graph, measured = wide.graph, wide.graph.quantisation
    assert graph.operator == () and not has_own_materials(graph) and graph.grid.spacing == (1 / 32, 1 / 16)
    assert measured.relative_l2_float is not None and measured.relative_l2_integer is not None
    assert measured.relative_l2_integer < 1.3 * measured.relative_l2_float < 1e-4
    assert graph.certificate is not None and graph.certificate.stability.status == "proved"
    assert all(finding.holds for finding in wide.verify())
    weights = abs(graph.matrix("membrane", "flux").values).reshape(-1, 2)
    across, along = (weights[graph.grid.axis == axis] for axis in (0, 1))
    assert (across == 4 * int(along[0, 0])).all() and (along == along[0, 0]).all()


@pytest.mark.parametrize("other", ["onnx", "torch"])
def test_every_backend_has_the_same_integers(wide: pd.CompiledArtifact, other: str) -> None:
    run = wide.simulate(8, backend="fast", against=other)
    assert run.verdict == "conserved" and run.comparison is not None and run.comparison.difference is None


def test_a_run_is_compared_with_the_exact_solution(wide: pd.CompiledArtifact) -> None:
    run = wide.simulate(backend="fast")
    assert run.verdict == "conserved" and run.relative_l2 == pytest.approx(
        wide.graph.quantisation.relative_l2_integer, rel=1e-3
    )


def test_errors_fall_at_second_order() -> None:
    result = converge(converge_request("heat2d", "16x8,32x16", time=0.5))
    result.require_order(1.9)
    assert result.floats == "two-point fluxes in float64"


def test_a_diffusivity_along_each_axis_is_a_stretched_domain() -> None:
    stretched, along = compiled(mesh="16x16", lengths=(1, 2)), compiled(mesh="16x16", diffusivity="0.01,0.0025")
    assert along.graph.materials is not None and along.graph.materials.along == (1.0, 0.25)
    assert along.graph.time_step == pytest.approx(stretched.graph.time_step)
    ours, theirs = (each.simulate(20, backend="fast").mass for each in (along, stretched))
    assert np.array_equal(ours, theirs)
    square = compiled(mesh="16x16", diffusivity=(0.01, 0.01)).graph
    assert square.operator != () and square.materials is None


def test_the_exact_solution_decays_by_the_diffusivity_of_each_axis() -> None:
    square, tall = (structured_mesh((8, 8), lengths, PERIODIC) for lengths in ((1.0, 1.0), (1.0, 2.0)))  # type: ignore[arg-type]
    own = problem("heat2d", 0.01, 0.0, (1.0, 0.25))
    others = problem("heat2d", 0.01).reference(tall, np.zeros(0), 0.7)
    assert np.allclose(own.reference(square, np.zeros(0), 0.7), others, rtol=1e-14)  # type: ignore[arg-type]
    assert own.equation == "u_t = 0.01 u_xx + 0.0025 u_yy"


def test_ratios_that_no_small_integers_have_cost_little() -> None:
    graph = compiled(mesh="15x11", diffusivity="0.02,0.013").graph
    assert graph.certificate is not None
    assert graph.certificate.claims["equation"].figures["conductance_error"] < 1e-3


def test_factors_are_stored_and_checked(tmp_path: Path) -> None:
    compiled(mesh="16x8", diffusivity="0.02,0.01").save(tmp_path / "a.pisnn")
    graph = pd.load(tmp_path / "a.pisnn").graph
    materials = graph.materials
    assert materials is not None and materials.along == (1.0, 0.5)
    assert all(finding.holds for finding in check_certificate(graph))
    for along in ((1.0, 0.6), (0.5, 1.0), ()):
        forged = replace(graph, materials=replace(materials, along=along))
        assert not all(finding.holds for finding in check_certificate(forged)), along
    forged = replace(graph, materials=replace(materials, along=(1.0,)))
    assert [*defects(forged)] == ["materials have another number of factors along axes than the mesh has axes"]


def test_square_cells_of_a_long_domain_keep_the_trained_kernel() -> None:
    graph = compiled(mesh="32x16", lengths="2,1").graph
    assert graph.operator != () and graph.grid.lengths == (2.0, 1.0)
    assert graph.quantisation.relative_l2_integer is not None and graph.quantisation.relative_l2_integer < 5e-5
    assert all(finding.holds for finding in check_certificate(graph))


def test_one_diffusivity_is_that_of_the_clock() -> None:
    own, faster = (pd.compile("heat1d", mesh=32, placement="none", diffusivity=d).graph for d in (None, 0.02))
    assert faster.operator[0].weight.tolist() == own.operator[0].weight.tolist()
    assert faster.time_step == own.time_step / 2 and faster.model_spec.diffusivity == 0.02


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("heat2d", {"lengths": "2"}, "`lengths` 2: expected 2, one for each axis of heat2d"),
        ("heat2d", {"lengths": "2,x"}, "`lengths` '2,x': expected a positive number for each axis, such as 2,1"),
        ("heat2d", {"lengths": (1, -1)}, "`lengths` '1,-1': expected a positive number for each axis, such as 2,1"),
        ("heat2d", {"diffusivity": "1,2,3"}, "`diffusivity` 1,2,3: expected one number, or 2"),
        ("heat2d", {"diffusivity": "nan"}, "`diffusivity` 'nan': expected a positive number for each axis, such as "),
        ("heat2d", {"diffusivity": 1, "conductivity": "k.npy"}, "`diffusivity`: `conductivity` replaces it"),
        ("heat2d", {"lengths": "1,1", "mesh": "a.msh"}, "`lengths`: a mesh from a file has its own lengths and mat"),
        ("burgers1d", {"lengths": 2}, "`lengths`: the equation burgers of burgers1d has a length of its own"),
        ("laplace2d", {"diffusivity": 2}, "`diffusivity`: laplace2d is no linear model of diffusion"),
        ("laplace2d", {"mesh": "32x16"}, "lower: cells are 0.03125 x 0.0625, they must be equally wide along every "),
        ("lwr", {"lengths": 2}, "`lengths`: the recipe of a law says it itself; change "),
        ("heat2d", {"mesh": "8x8", "lengths": "1000,1"}, "quantise-two-point: face 64 conducts 1e+06 times as much as"),
    ],
)
def test_what_is_refused_says_so_in_a_line(model: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        pd.compile(model, **options)
    assert str(refused.value).startswith(message)


def test_a_law_has_a_spacing_along_each_axis(tmp_path: Path) -> None:
    path = tmp_path / "plate.yaml"
    recipe = {
        "name": "plate",
        "law": {"fields": ["u"], "diffusion": {"u": "0.01"}},
        "domain": {"lengths": [2.0, 1.0], "boundary": "periodic"},
        "initial": {"u": "1 + 0.5*cos(pi*x)*cos(2*pi*y)"},
        "range": {"u": [0, 2]},
        "time": 1.0,
        "mesh": [32, 8],
        "reference": "modes",
    }
    path.write_text(yaml.safe_dump(recipe))
    result = converge(converge_request(path, "32x8,64x16"))
    result.require_order(1.9)
    result.require_conserved()
