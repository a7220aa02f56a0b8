"""Grids of cells that are not square, domains of other lengths, and diffusivities that differ from axis to axis."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from generated_c import library

import pisnn_deploy as pd
from benchmarks.parts.rectangles import PLATE
from pisnn_deploy.compiler import CompileOptions, GraphOptions, LowerTwoPoint, compile_model
from pisnn_deploy.core.errors import SeveralErrors, UsageError
from pisnn_deploy.formats.reading import Request
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.laws.equations import equations
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.mesh import parse_boundary, structured_mesh
from pisnn_deploy.physics.problems import problem
from pisnn_deploy.project.converge_request import converge_request
from pisnn_deploy.project.convergence import converge
from pisnn_deploy.project.model_file import read_model
from pisnn_deploy.target import load_profile
from pisnn_deploy.training.recipe import read_recipe
from pisnn_deploy.verify import check_certificate

PERIODIC = (("periodic", "periodic"),) * 2


def compiled(**options: Any) -> pd.CompiledArtifact:
    return pd.compile("heat2d", placement="none", **options)


@pytest.fixture(scope="module")
def wide() -> pd.CompiledArtifact:
    return compiled(mesh="32x16")


def test_cells_that_are_not_square_keep_the_trained_kernel(wide: pd.CompiledArtifact) -> None:
    graph, measured = wide.graph, wide.graph.quantisation
    assert graph.model_spec.rates == (1.0, 0.25) and graph.grid.spacing == (1 / 32, 1 / 16)
    assert graph.operator[0].weight.shape == (2, 18) and graph.materials is None
    assert measured.relative_l2_integer is not None and measured.relative_l2_integer < 1e-5
    assert graph.certificate is not None and graph.certificate.stability.status == "proved"
    assert graph.certificate.claims["equation"].figures["axes_error"] == 0
    assert all(finding.holds for finding in wide.verify())


def test_two_point_fluxes_are_worse(wide: pd.CompiledArtifact) -> None:
    two_points = LowerTwoPoint((32, 16), parse_boundary("periodic", 2), {}, None, None)
    options = CompileOptions(two_points, load_profile("loihi2"), GraphOptions(placement="none"))
    graph = compile_model(read_model("heat2d", Request()).model, options)
    error, better = graph.quantisation.relative_l2_integer, wide.graph.quantisation.relative_l2_integer
    assert error is not None and better is not None and error > 10 * better


@pytest.mark.parametrize("other", ["onnx", "torch"])
def test_every_backend_has_the_same_integers(wide: pd.CompiledArtifact, other: str) -> None:
    run = wide.simulate(8, backend="fast", against=other)
    assert run.verdict == "conserved" and run.comparison is not None and run.comparison.difference is None


def test_lava_has_the_same_integers(wide: pd.CompiledArtifact) -> None:
    run = wide.simulate(4, backend="cpu", against="fast")
    assert run.verdict == "conserved" and run.comparison is not None and run.comparison.difference is None


def test_c_has_the_same_integers(wide: pd.CompiledArtifact, tmp_path: Path) -> None:
    compiled_c = library(wide.graph, tmp_path)
    compiled_c.loaded.pisnn_reset()
    for _ in range(8):
        compiled_c.loaded.pisnn_step()
        assert compiled_c.audit() == (0, 0, 0, 0)
    _, masses = next(compiled_c.state())
    assert masses == wide.simulate(8, backend="fast").run.trace.mass[-1].tolist()


@pytest.mark.parametrize(
    "options",
    [
        {"mesh": "12x10", "boundary": "x=no-flux y=dirichlet=1,1", "diffusivity": "0.004,0.01"},
        {"mesh": "16x12", "limiter": "positivity"},
        {"mesh": "16x12", "processes": "stock"},
        {"mesh": "16x12", "residues": "seen"},
        {"mesh": "16x8", "lengths": "1,3"},
    ],
)
def test_every_claim_is_proved_by_the_checker(options: dict[str, Any]) -> None:
    artifact = compiled(**options)
    assert artifact.graph.model_spec.rates
    assert [finding for finding in artifact.verify() if not finding.holds] == []
    assert artifact.simulate(6, backend="onnx").verdict == "conserved"


def test_laplace_has_rectangular_cells() -> None:
    artifact = pd.compile("laplace2d", mesh="24x16", placement="none")
    measured = artifact.graph.quantisation
    assert measured.relative_l2_integer is not None and measured.relative_l2_integer < 1e-3
    assert artifact.graph.model_spec.rates == pytest.approx((1.0, 4 / 9))
    assert [finding for finding in artifact.verify() if not finding.holds] == []


def test_a_run_is_compared_with_the_exact_solution(wide: pd.CompiledArtifact) -> None:
    run = wide.simulate(backend="fast")
    assert run.verdict == "conserved" and run.relative_l2 == pytest.approx(
        wide.graph.quantisation.relative_l2_integer, rel=1e-3
    )


def test_errors_fall_at_second_order() -> None:
    result = converge(converge_request("heat2d", "16x8,32x16", time=0.5))
    result.require_order(1.9)
    assert result.floats == "trained network in float64"


def test_a_diffusivity_along_each_axis_is_a_stretched_domain() -> None:
    stretched, along = compiled(mesh="16x16", lengths=(1, 2)), compiled(mesh="16x16", diffusivity="0.01,0.0025")
    assert along.graph.model_spec.along == (1.0, 0.25) == along.graph.model_spec.rates
    assert along.graph.time_step == pytest.approx(stretched.graph.time_step)
    assert np.array_equal(along.graph.operator[0].weight, stretched.graph.operator[0].weight)
    square = compiled(mesh="16x16", diffusivity=(0.01, 0.01)).graph
    assert square.model_spec.rates == () and len(square.operator[0].weight) == 1
    skewed = compiled(mesh="16x8", diffusivity="0.01,0.0025").graph
    assert skewed.model_spec.rates == (1.0, 0.0625)
    back = compiled(mesh="16x8", diffusivity="0.0025,0.01").graph
    assert back.model_spec.rates == () and back.model_spec.along == (0.25, 1.0)


def test_the_exact_solution_decays_by_the_diffusivity_of_each_axis() -> None:
    square, tall = (structured_mesh((8, 8), lengths, PERIODIC) for lengths in ((1.0, 1.0), (1.0, 2.0)))  # type: ignore[arg-type]
    own = problem("heat2d", 0.01, 0.0, (1.0, 0.25))
    others = problem("heat2d", 0.01).reference(tall, np.zeros(0), 0.7)
    assert np.allclose(own.reference(square, np.zeros(0), 0.7), others, rtol=1e-14)  # type: ignore[arg-type]
    assert own.equation == "u_t = 0.01 u_xx + 0.0025 u_yy"


def test_ratios_that_no_small_integers_have_cost_little() -> None:
    graph = compiled(mesh="15x11", diffusivity="0.02,0.013").graph
    assert graph.certificate is not None
    assert graph.certificate.claims["equation"].figures["axes_error"] < 5e-3


def test_factors_are_stored_and_checked(tmp_path: Path) -> None:
    compiled(mesh="16x8", diffusivity="0.02,0.01").save(tmp_path / "a.pisnn")
    graph = pd.load(tmp_path / "a.pisnn").graph
    spec = graph.model_spec
    assert spec.along == (1.0, 0.5) and spec.rates == (1.0, 0.125)
    assert all(finding.holds for finding in check_certificate(graph))
    for changes in ({"along": (1.0, 0.6)}, {"along": (0.5, 1.0)}, {"along": ()}, {"rates": (1.0, 0.2)}):
        forged = replace(graph, spec=spec.model_copy(update=changes))
        assert not all(finding.holds for finding in check_certificate(forged)), changes


def test_a_kernel_for_another_axis_is_found() -> None:
    graph = compiled(mesh="16x8").graph
    (layer,) = graph.operator
    forged = replace(graph, operator=(replace(layer, weight=layer.weight[::-1].copy()),))
    broken = {finding.claim for finding in check_certificate(forged) if not finding.holds}
    assert {"layout", "clock", "equation"} <= broken


def test_axes_that_differ_too_much_have_two_point_fluxes() -> None:
    graph = compiled(mesh="8x8", diffusivity="0.02,0.00001").graph
    assert graph.materials is not None and graph.materials.along == (1.0, 0.0005)
    assert all(finding.holds for finding in check_certificate(graph))
    for along in ((1.0, 0.0006), (0.5, 1.0), ()):
        forged = replace(graph, materials=replace(graph.materials, along=along))
        assert not all(finding.holds for finding in check_certificate(forged)), along
    forged = replace(graph, materials=replace(graph.materials, along=(1.0,)))
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
        ("laplace2d", {"mesh": "64x2"}, "lower: cells are 0.015625 x 0.5, and diffusion is 1.02e+03 times as fast "),
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


SHORT_PLATE = {**PLATE, "training": {**PLATE["training"], "epochs": 100}}


def test_a_diffusivity_for_each_axis_is_trained(tmp_path: Path) -> None:
    (tmp_path / "plate.yaml").write_text(yaml.safe_dump(SHORT_PLATE))
    pd.train(tmp_path / "plate.yaml", tmp_path / "plate.safetensors")
    artifact = pd.compile(tmp_path / "plate.safetensors", mesh=(24, 32), placement="none")
    spec, measured, certificate = artifact.graph.model_spec, artifact.graph.quantisation, artifact.graph.certificate
    assert (spec.diffusivity, spec.along) == (0.02, (1.0, 0.5)) and spec.rates == pytest.approx((1.0, 8 / 9))
    trained = read_model(str(tmp_path / "plate.safetensors"), Request()).model.weights[0] * 2.0**8
    assert abs(trained - artifact.graph.operator[0].weight).max() < 2  # compiled from its own kernels
    assert measured.relative_l2_float is not None and measured.relative_l2_float < 5e-4
    assert measured.relative_l2_integer is not None and measured.relative_l2_integer < 5e-4
    assert certificate is not None and certificate.stability.status == "proved"
    assert [finding for finding in artifact.verify() if not finding.holds] == []
    assert artifact.simulate(10, backend="onnx").verdict == "conserved"
    square = pd.compile(tmp_path / "plate.safetensors", mesh=(16, 16), diffusivity=0.01, placement="none").graph
    assert square.model_spec.rates == () and len(square.operator[0].weight) == 1


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("model", {"diffusivity": [3, 2, 1]}, "model.diffusivity: has 3 entries for 2 axes"),
        ("model", {"diffusivity": [0.02, 0]}, "model.diffusivity: "),
        (
            "model",
            {"diffusivity": [1, 2], "equation": "laplace"},
            "model.diffusivity: must be the same along all axes ",
        ),
        ("model", {"hidden": [8], "weight_exponents": [8, 8]}, "model.hidden: must be empty where axes differ: only "),
        ("training", {"cells": [12, 16, 8]}, "training.cells: has 3 entries for 2 axes"),
        ("training", {"cells": [12, 1]}, "training.cells"),
        ("training", {"cells": [12, 3]}, "training.cells: must be at least 4, the width of a face's window, not 3"),
    ],
)
def test_recipes_that_contradict_themselves_are_refused(
    part: str, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "plate.yaml"
    path.write_text(yaml.safe_dump({**PLATE, part: {**PLATE[part], **changes}}))
    with pytest.raises(SeveralErrors) as refused:
        read_recipe(path)
    assert f"{path}: {message}" in str(refused.value)


def grain(**changes: Any) -> dict[str, Any]:
    """A law that diffuses four times as fast along x as along y, on cells that are not square."""
    law = {"fields": ["u"], "diffusion": {"u": ["2*k", "k/2"]}, "parameters": {"k": 0.01}}
    return {
        "name": "grain",
        "law": {**law, **changes.pop("law", {})},
        "domain": {"lengths": [1.0, 2.0], "boundary": "periodic"},
        "initial": {"u": "1 + 0.3*cos(2*pi*x)*cos(pi*y) + 0.2*cos(2*pi*y)"},
        "range": {"u": [0, 2]},
        "time": 0.5,
        "mesh": [16, 16],
        "reference": "modes",
        **changes,
    }


@pytest.mark.parametrize(("scheme", "error"), [("muscl", 5e-3), ("linear", 5e-4)])
def test_a_law_diffuses_differently_along_each_axis(scheme: str, error: float, tmp_path: Path) -> None:
    path = tmp_path / "grain.yaml"
    path.write_text(yaml.safe_dump(grain(scheme=scheme)))
    result = converge(converge_request(path, "8x8,16x16"))
    result.require_order(1.5)
    order, last = result.fitted_order("u", "floats"), result.values("u", "integers")[-1]
    assert order is not None and order > 1.5 and last is not None and last < error
    artifact = pd.compile(path, placement="none")
    assert [finding for finding in artifact.verify() if not finding.holds] == []
    spec = artifact.graph.spec
    assert isinstance(spec, LawSpec) and equations(spec.parsed().numeric()) == ("u_t = 0.02 u_xx + 0.005 u_yy",)
    recipe = spec.model_dump()
    forged = LawSpec.model_validate({**recipe, "law": {**recipe["law"], "diffusion": {"u": ["2*k", "k"]}}})
    broken = check_certificate(replace(artifact.graph, spec=forged))
    assert not all(finding.holds for finding in broken)


@pytest.mark.parametrize("scheme", ["muscl", "taylor"])
def test_a_flow_spreads_differently_along_each_axis(scheme: str, tmp_path: Path) -> None:
    path, law = tmp_path / "grain.yaml", {"flux": {"u": "u**2/20"}, "flux_y": {"u": "0"}}
    path.write_text(yaml.safe_dump(grain(law=law, scheme=scheme, reference="solver")))
    artifact = pd.compile(path, placement="none")
    run = artifact.simulate(backend="fast")
    assert run.verdict == "conserved" and run.relative_l2 is not None and run.relative_l2 < 5e-3
    equal = grain(law={**law, "diffusion": {"u": "2*k"}}, scheme=scheme, reference="solver")
    path.write_text(yaml.safe_dump(equal))
    assert abs(pd.compile(path, placement="none").simulate(backend="fast").values[-1] - run.values[-1]).max() > 0.01


def test_a_gaussian_spreads_differently_along_each_axis(tmp_path: Path) -> None:
    path = tmp_path / "grain.yaml"
    start = {"u": "exp(-((x - 0.5)**2 + (y - 1)**2) / 0.02)"}
    path.write_text(
        yaml.safe_dump(grain(initial=start, reference="gaussian", mesh=[24, 48], time=0.2, scheme="linear"))
    )
    run = pd.compile(path, placement="none").simulate(backend="fast")
    assert run.relative_l2 is not None and run.relative_l2 < 2e-3


@pytest.mark.parametrize(
    ("law", "message"),
    [
        ({"diffusion": {"u": ["k"]}}, "law.diffusion.u: has 1 entries for 2 axes"),
        (
            {"diffusion": {"u": ["k", "u"]}},
            "law.diffusion.u: must be a positive constant along each axis if axes differ",
        ),
        (
            {"diffusion": {"u": ["k", "-k"]}},
            "law.diffusion.u: must be a positive constant along each axis if axes differ",
        ),
        ({"diffusion": {"u": ["k", "k*"]}}, "law.diffusion.u.y: "),
        ({"diffusion": {"v": ["k", "k"]}}, "law.diffusion.v: "),
    ],
)
def test_diffusivities_that_no_law_has_are_refused(law: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "grain.yaml"
    path.write_text(yaml.safe_dump(grain(law=law)))
    with pytest.raises(UsageError) as refused:
        pd.compile(path)
    assert message in str(refused.value)
