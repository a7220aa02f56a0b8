"""Meshes of others: every valid file reads, a face counts in each of its groups, and what cannot be held is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pisnn_deploy.cli.main import group
from pisnn_deploy.errors import UsageError
from pisnn_deploy.graph.artifact import read_artifact
from pisnn_deploy.mesh import CellMesh, read_mesh_file

Case = Callable[[str], Path]
COLD_AND_HOT = "cold=dirichlet=0 hot=dirichlet=1"


def compiled(mesh: str, boundary: str | None, *words: str) -> str:
    """What ``compile`` prints."""
    sides = () if boundary is None else ("--boundary", boundary)
    done = CliRunner().invoke(
        group, ["compile", "heat2d", "--mesh", mesh, "--range", "0,1", *sides, *words, "-o", "a.pisnn"]
    )
    assert done.exit_code == 0, done.exception
    return done.output


def refusal(mesh: str, boundary: str, *words: str) -> str:
    """The one line that ``compile`` refuses with."""
    done = CliRunner().invoke(
        group, ["compile", "heat2d", "--mesh", mesh, "--range", "0,1", "--boundary", boundary, *words, "-o", "a.pisnn"]
    )
    assert isinstance(done.exception, UsageError) and done.exception.exit_code == 2
    assert not Path("a.pisnn").exists()
    return str(done.exception)


def at_rest(steps: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Values of the cells after so many steps."""
    words = ["simulate", "a.pisnn", "--backend", "fast", "--steps", str(steps), "--save", "a.npz", "--every", str(steps)]
    assert CliRunner().invoke(group, words).exit_code == 0
    graph = read_artifact(Path("a.pisnn")).graph
    with np.load("a.npz", allow_pickle=False) as trace:
        return np.asarray(graph.values(trace["mass"][-1]), np.float64)


@pytest.mark.parametrize("name", ["partial41.msh", "order41.msh"])
def test_a_curve_in_two_groups_counts_in_each(name: str, case: Case) -> None:
    case("msh41_two_groups")
    mesh = read_mesh_file(Path(name))
    faces = {name: int((mesh.boundary_group == k).sum()) for k, name in enumerate(mesh.group_names)}
    assert faces == {"cold": 10, "floor": 8, "hot": 2, "sensor": 8}
    compiled(name, COLD_AND_HOT)
    graph = read_artifact(Path("a.pisnn")).graph
    assert isinstance(graph.mesh, CellMesh) and graph.mesh.group_names == ("cold", "hot")
    assert np.bincount(graph.mesh.group).tolist() == [10, 2]
    assert at_rest(3000).mean() == pytest.approx(0.135, abs=0.01)


@pytest.mark.parametrize(
    ("name", "boundary", "faces"),
    [
        ("samename22.msh", "left=dirichlet=0 steel=dirichlet=1", {"left": 2, "steel": 2}),
        ("saveall41.msh", COLD_AND_HOT, {"cold": 2, "hot": 2}),
        ("extra22.msh", COLD_AND_HOT, {"cold": 2, "hot": 2}),
        ("param22.msh", "left=dirichlet=0 plate=dirichlet=1", {"left": 2, "plate": 2}),
        ("space22.msh", "cold side=dirichlet=0  heiß=1=dirichlet=1", {"cold side": 2, "heiß=1": 2}),
    ],
)
def test_every_valid_file_of_gmsh_compiles(name: str, boundary: str, faces: dict[str, int], case: Case) -> None:
    case("msh_names")
    compiled(name, boundary)
    mesh = read_artifact(Path("a.pisnn")).graph.mesh
    assert isinstance(mesh, CellMesh)
    assert dict(zip(mesh.group_names, np.bincount(mesh.group).tolist(), strict=True)) == faces


def test_a_name_with_a_space(case: Case) -> None:
    case("msh_names")
    Path("sides.yaml").write_text("cold side: {dirichlet: 0}\nheiß=1: {dirichlet: 1}\n")
    compiled("space22.msh", "sides.yaml")
    named = read_artifact(Path("a.pisnn")).graph
    compiled("space22.msh", "cold side=dirichlet=0 heiß=1=dirichlet=1")
    assert (read_artifact(Path("a.pisnn")).graph.membrane.reservoirs == named.membrane.reservoirs).all()
    Path("a.pisnn").unlink()
    assert refusal("space22.msh", "cold=dirichlet=0") == (
        "boundary: unknown group 'cold'; the mesh has 'cold side', 'heiß=1', 'rest'; names with spaces can be given in "
        "a YAML file"
    )


def test_a_group_inside_the_mesh(case: Case) -> None:
    case("interior_group")
    assert refusal("interior22.msh", "cold=dirichlet=0 probe=dirichlet=1") == (
        "boundary: group 'probe' (2 edges) lies inside the mesh; only sides can be held"
    )
    assert refusal("interior22.msh", "cold=dirichlet=0 plate=dirichlet=1") == (
        "boundary: group 'plate' (32 triangles) names cells; only sides can be held"
    )
