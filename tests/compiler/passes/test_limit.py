"""Pass `limit`: which limit it gives, and which graphs it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from models_under_test import (
    binary_box,
    compiled,
    compiled_box,
    heat_model,
    hidden_model,
    oscillating_model,
    plane_model,
    space_model,
)
from reference_runs import reference_run

from pisnn_deploy.compiler import CompileOptions, GraphOptions, LowerTwoPoint, Material, compile_model
from pisnn_deploy.compiler.options import Limiter
from pisnn_deploy.compiler.passes.limit import Limit
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.graph.artifact import artifact_bytes, read_artifact, write_artifact
from pisnn_deploy.graph.fields import OperatingWindow
from pisnn_deploy.graph.kinds import known_face, with_faces
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.mesh import read_mesh_file
from pisnn_deploy.runs import RunOptions, run_graph
from pisnn_deploy.runs.comparison import compare
from pisnn_deploy.target import load_profile
from pisnn_deploy.verify import check_certificate

EXAMPLES = Path(__file__).parents[3] / "examples" / "plate_with_hole"


SHORT = ["source_mass", "target_mass", "source_short", "target_short"]


@pytest.mark.parametrize(
    ("make", "upwind", "weight"),
    [
        (lambda: compiled(), "both", 128),
        (lambda: compiled(oscillating_model((66 / 128,)), 2, "no-flux"), "both", 66),
        (lambda: compiled_box(plane_model(), (5, 6), "no-flux"), "both", 23),
        (lambda: compiled_box(space_model(), (6, 5, 7), "periodic"), "both", 18),
    ],
)
def test_the_low_flux_of_diffusion_takes_no_more_than_a_cell_has(
    make: Callable[[], IntegerGraph], upwind: str, weight: int
) -> None:
    graph = Limit()(make())
    limiter = known_face(graph).limiter
    assert limiter is not None and (limiter.upwind, limiter.has_ceiling) == (upwind, False)
    assert limiter.weight == weight
    assert not defects(replace(graph, bounds=(), placement=None, period=None))
    assert graph.population("flux").program.ports == ("arrival", *SHORT)
    assert Limit().summary(graph) == f"masses from 0 on, a low flux of {weight} >> F"


def moving(window: tuple[int, int], boundary: str, courant: int = 60, cells: int = 8) -> IntegerGraph:
    """A graph whose constant fields flow, with the window given in quanta."""
    graph = compiled(oscillating_model(), cells, boundary)
    (layer,) = graph.operator
    weight = layer.weight.copy()
    weight[0, weight.size // 2 - 1] += courant
    return replace(graph, operator=(replace(layer, weight=weight),)).with_field(
        window=OperatingWindow(*window, None, None)
    )


@pytest.mark.parametrize("courant", [60, -60, 400])
def test_the_low_flux_of_a_flow_is_upwind(courant: int) -> None:
    graph = Limit("bounds")(moving((-500, 9000), "periodic", courant))
    limiter = known_face(graph).limiter
    assert limiter is not None and limiter.upwind == ("source" if courant > 0 else "target")
    assert limiter.weight == min(128, abs(courant)) and limiter.has_ceiling
    # At the floor the low flux is what fires, also where the weight cannot be the Courant number.
    fired = -(500 * abs(courant) >> 7) * (1 if courant > 0 else -1)
    low = -(500 * limiter.weight >> 7) * (1 if courant > 0 else -1)
    assert set(graph.sole_channels.parameters["base"]) == {fired - low}


def test_a_flow_against_a_wall_is_refused_where_it_would_leave_the_limits() -> None:
    Limit("positivity")(moving((0, 9000), "no-flux"))
    for limit, window in ((Limit("bounds"), (0, 9000)), (Limit("positivity"), (100, 9000))):
        with pytest.raises(CompileError) as raised:
            limit(moving(window, "no-flux"))
        assert str(raised.value).startswith("limit: the flow alone carries cell ")
        assert str(raised.value).endswith("so nothing is proved; choose another `boundary`, or a floor of 0 alone")


def test_the_certificate_says_what_it_proved() -> None:
    graph = compiled(oscillating_model(), 12, "no-flux", limiter="positivity")
    assert graph.certificate is not None and graph.certificate.positivity is not None
    assert graph.certificate.positivity == Claim("proved", "floor", {"floor": 0})
    assert graph.certificate.positivity.details == (
        "a cell grants at most what it has above 0 quanta per volume, and the low flux never takes more, so no cell "
        "ever holds less if none does at the start"
    )
    assert graph.certificate.stability == Claim("proved", "constant-sum")
    assert graph.certificate.overflow.status == "assumed" and graph.window.lower == 0
    beside = compiled(oscillating_model(), 12, "dirichlet=0,1", limiter="positivity").certificate
    assert beside is not None and beside.stability == Claim("none", "limited")
    assert beside.stability.details == "the limiter makes the update nonlinear"


def test_both_limits_prove_the_window_for_ever() -> None:
    graph = compiled(oscillating_model(), 12, "dirichlet=0,1", limiter="bounds")
    assert graph.certificate is not None and graph.certificate.positivity is not None
    window = graph.window
    figures = {"floor": window.lower, "ceiling": window.upper}
    assert graph.certificate.positivity == Claim("proved", "floor-and-ceiling", figures)
    assert graph.certificate.stability == Claim("proved", "between-limits")
    assert (graph.certificate.overflow.status, graph.certificate.overflow.method) == ("proved", "limited-range")
    assert all(finding.holds for finding in check_certificate(graph))


def test_limits_given_as_values_are_those_of_the_cells() -> None:
    graph = compiled(oscillating_model(), 8, "periodic")
    limited = Limit("bounds", 0.25, 3.0)(graph)
    unit = graph.value_per_quantum
    assert (limited.window.lower, limited.window.upper) == (round(0.25 / unit), round(3.0 / unit))
    assert set(limited.population("answers").parameters["least"]) == {limited.window.lower}
    assert set(limited.population("answers").parameters["most"]) == {limited.window.upper}
    assert limited.model_spec.operating_range.lower == 0.25 and limited.model_spec.operating_range.upper == 3.0


@pytest.mark.parametrize(
    ("cells", "boundary"), [(1, "periodic"), (2, "periodic"), (2, "no-flux"), (1, "dirichlet=0,1")]
)
def test_the_smallest_meshes_are_proved_again(cells: int, boundary: str) -> None:
    graph = compiled(heat_model(), cells, boundary, limiter="positivity")
    assert all(finding.holds for finding in check_certificate(graph))
    run = reference_run(graph, graph.initial, RunOptions(5))
    assert run.conserved and run.trace.mass.min() >= 0


@pytest.mark.parametrize("limiter", ["positivity", "bounds"])
def test_cells_of_any_shape_keep_their_limits(limiter: Limiter) -> None:
    mesh = read_mesh_file(EXAMPLES / "plate.msh")
    materials = {"steel": Material(16.0, 3.8), "copper": Material(390.0, 3.4)}
    lower = LowerTwoPoint(mesh, {"hole": 1.0, "left": 0.0}, materials)
    options = CompileOptions(lower, load_profile("loihi2"), GraphOptions(limiter=limiter, placement="none"))
    graph = compile_model(plane_model(), options)
    assert all(finding.holds for finding in check_certificate(graph))
    mass = np.zeros(graph.mesh.cells, np.int64)
    mass[7] = graph.window.upper // int(graph.sole_field.inverse_volume[7]) if graph.materials else 0
    found = compare(("fast", "onnx"), graph, mass, RunOptions(20))
    assert found.difference is None and found.failures == ("", "")
    volumes = graph.sole_field.inverse_volume
    levels = run_graph("fast", graph, mass, RunOptions(20)).trace.mass * volumes
    assert levels.min() >= graph.window.lower and levels.max() <= graph.window.upper


def test_negative_ranges_and_reservoirs_are_refused() -> None:
    graph = compiled(hidden_model((2,)), 8, "no-flux")
    below = graph.with_field(window=replace(graph.window, lower=-9, upper=0))
    with pytest.raises(CompileError) as raised:
        Limit()(below)
    assert str(raised.value) == (
        "limit: the operating range of -9 to 0 quanta leaves nothing between the limits, 0 and 0; choose another "
        "`value_range`, or compile without `limiter`"
    )
    with pytest.raises(CompileError) as raised:
        compiled(hidden_model((2,)), 8, "dirichlet=0,-1", limiter="positivity")
    assert str(raised.value).startswith("limit: reservoir 1 shows -")
    assert str(raised.value).endswith("; choose another `boundary`, or compile without `limiter`")


def test_an_artifact_with_a_limiter_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a.pisnn"
    graph = compiled(oscillating_model(), 9, "dirichlet=0,1", limiter="positivity")
    write_artifact(path, graph, {})
    read = read_artifact(path).graph
    assert artifact_bytes(read, {}) == path.read_bytes()
    assert known_face(read) == known_face(graph) and read.certificate == graph.certificate


def test_wrong_ports_are_not_well_formed() -> None:
    graph = compiled(oscillating_model(), 9, "no-flux", limiter="positivity")
    (last,) = graph.into("flux", "target_short")
    others = tuple(synapse for synapse in graph.synapses if synapse is not last)
    assert "no synapse leads to port target_short of flux" in defects(replace(graph, synapses=others))
    assert any("the program of flux has no port" in defect for defect in defects(with_faces(graph, limiter=None)))
    astray = replace(graph, synapses=(*others, replace(last, target="membrane")))
    assert f"synapse {last.name}: the program of membrane has no port target_short" in defects(astray)


def test_targets_without_products_and_binary_spikes_are_refused() -> None:
    with pytest.raises(CompileError, match=r"^limit: the target loihi1 has no products of two values"):
        binary_box(oscillating_model(), (8,), "no-flux", "delta", "positivity")
