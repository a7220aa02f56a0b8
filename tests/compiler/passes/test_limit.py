"""Pass `limit`: which limit it gives, and which graphs it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from models_under_test import (
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
from pisnn_deploy.compiler.passes.limit import Limit, most_faces
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.graph.artifact import artifact_bytes, read_artifact, write_artifact
from pisnn_deploy.graph.integer import ARRIVAL
from pisnn_deploy.graph.kinds import known_face, with_faces
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.mesh import read_mesh_file
from pisnn_deploy.runs import RunOptions, run_graph
from pisnn_deploy.runs.comparison import compare
from pisnn_deploy.target import load_profile
from pisnn_deploy.verify import check_certificate

EXAMPLES = Path(__file__).parents[3] / "examples" / "plate_with_hole"


@pytest.mark.parametrize(
    ("make", "faces", "shift"),
    [
        (lambda: compiled(), 2, 1),
        (lambda: compiled(cells=2, boundary="no-flux"), 1, 0),
        (lambda: compiled_box(plane_model(), (5, 6), "no-flux"), 4, 2),
        (lambda: compiled_box(space_model(), (6, 5, 7), "periodic"), 6, 3),
    ],
)
def test_shares_are_the_faces_of_a_cell_rounded_up(make: Callable[[], IntegerGraph], faces: int, shift: int) -> None:
    graph = Limit()(make())
    assert most_faces(graph) == faces and known_face(graph).share_bits == shift
    assert [synapse.port for synapse in graph.synapses if synapse.port != ARRIVAL] == ["source_mass", "target_mass"]
    assert not defects(replace(graph, bounds=(), placement=None))
    assert Limit().summary(graph) == (
        f"a cell of at most {faces} faces gives at most m >> {shift} through each; masses from 0 on"
    )


def test_the_certificate_says_what_it_proved() -> None:
    graph = compiled(oscillating_model(), 12, "no-flux", limiter="positivity")
    assert graph.certificate is not None and graph.certificate.positivity is not None
    assert graph.certificate.positivity == Claim("proved", "shares", {"shift": 1, "most_faces": 2})
    assert graph.certificate.positivity.details == (
        "a cell has at most 2 faces and gives at most 2^-1 of its mass through each, so no cell ever holds less than "
        "0, or less than it started with if that was negative"
    )
    assert graph.certificate.stability == Claim("proved", "constant-sum")
    assert graph.certificate.overflow.status == "assumed" and graph.window.lower == 0
    beside = compiled(oscillating_model(), 12, "dirichlet=0,1", limiter="positivity").certificate
    assert beside is not None and beside.stability == Claim("none", "limited")
    assert beside.stability.details == "the limiter makes the update nonlinear"


@pytest.mark.parametrize(
    ("cells", "boundary"), [(1, "periodic"), (2, "periodic"), (2, "no-flux"), (1, "dirichlet=0,1")]
)
def test_the_smallest_meshes_are_proved_again(cells: int, boundary: str) -> None:
    graph = compiled(heat_model(), cells, boundary, limiter="positivity")
    assert all(finding.holds for finding in check_certificate(graph))
    run = reference_run(graph, graph.initial, RunOptions(5))
    assert run.conserved and run.trace.mass.min() >= 0


def test_cells_of_any_shape_share_what_they_have() -> None:
    mesh = read_mesh_file(EXAMPLES / "plate.msh")
    materials = {"steel": Material(16.0, 3.8), "copper": Material(390.0, 3.4)}
    lower = LowerTwoPoint(mesh, {"hole": 1.0, "left": 0.0}, materials)
    options = CompileOptions(lower, load_profile("loihi2"), GraphOptions(limiter="positivity", placement="none"))
    graph = compile_model(plane_model(), options)
    assert most_faces(graph) == 3 and known_face(graph).share_bits == 2
    assert all(finding.holds for finding in check_certificate(graph))
    mass = np.zeros(graph.mesh.cells, np.int64)
    mass[7] = graph.window.upper // int(graph.sole_field.inverse_volume[7]) if graph.materials else 0
    found = compare(("fast", "onnx"), graph, mass, RunOptions(20))
    assert found.difference is None and found.failures == ("", "")
    assert run_graph("fast", graph, mass, RunOptions(20)).trace.mass.min() == 0


def test_negative_ranges_and_reservoirs_are_refused() -> None:
    graph = compiled(hidden_model((2,)), 8, "no-flux")
    below = graph.with_field(window=replace(graph.window, lower=-9, upper=0))
    with pytest.raises(CompileError) as raised:
        Limit()(below)
    assert str(raised.value) == (
        "limit: the operating range ends at 0 quanta, but the limiter allows no values below 0; choose another "
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
    assert known_face(read).share_bits == 1 and read.certificate == graph.certificate
    assert b"share_shift" not in artifact_bytes(compiled(oscillating_model((46 / 128,)), 9), {})


def altered_ports(graph: IntegerGraph) -> dict[str, IntegerGraph]:
    source, target = (synapse for synapse in graph.synapses if synapse.port != ARRIVAL)
    others = tuple(synapse for synapse in graph.synapses if synapse.port == ARRIVAL)
    return {
        "no synapse leads to port target_mass of flux": replace(graph, synapses=(*others, source)),
        "synapse membrane-to-source: the program of flux has no port source_mass": with_faces(graph, share_bits=None),
        "synapse membrane-to-source: the program of membrane has no port source_mass": replace(
            graph, synapses=(*others, replace(source, target="membrane"), target)
        ),
        "flux: source_share = asr(source_positive, 31) shifts by 31 bits; at most 30 are supported": with_faces(
            graph, share_bits=31
        ),
    }


def test_wrong_ports_are_not_well_formed() -> None:
    graph = compiled(oscillating_model(), 9, "no-flux", limiter="positivity")
    for sentence, wrong in altered_ports(graph).items():
        assert sentence in defects(wrong)
