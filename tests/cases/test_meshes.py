"""Meshes of others: every valid file reads, a face counts in each of its groups, and what cannot be held is told."""

from __future__ import annotations

import json

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.artifact import read_artifact
from pisnn_deploy.mesh import CellMesh, read_mesh_file
from pisnn_deploy.runs import RunOptions, run_graph
from pisnn_deploy.verify import check_certificate

Case = Callable[[str], Path]
COLD_AND_HOT = "cold=dirichlet=0 hot=dirichlet=1"


def compiled(mesh: str, boundary: str | None, *words: str) -> str:
    """What ``compile`` prints."""
    sides = () if boundary is None else ("--boundary", boundary)
    done = CliRunner().invoke(
        group, ["compile", "heat2d", "--mesh", mesh, "--range", "0,1", *sides, *words, "-o", "a.pisnn"]
    )
    assert done.exit_code == 0, done.exception
    return done.stdout


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
    assert (read_artifact(Path("a.pisnn")).graph.sole_field.reservoirs == named.sole_field.reservoirs).all()
    Path("a.pisnn").unlink()
    assert refusal("space22.msh", "cold=dirichlet=0") == (
        "boundary: unknown group 'cold'; the mesh has 'cold side', 'heiß=1', 'rest'; names with spaces can be given in "
        "a YAML file"
    )


def test_a_group_inside_the_mesh(case: Case) -> None:
    case("interior_group")
    assert refusal("interior22.msh", "cold=dirichlet=0 probe=dirichlet=1") == (
        "boundary: group 'probe' (2 edges) lies inside the mesh; only boundary faces can have a condition"
    )
    assert refusal("interior22.msh", "cold=dirichlet=0 plate=dirichlet=1") == (
        "boundary: group 'plate' (32 triangles) contains cells; only boundary faces can have a condition"
    )


PLATE = "plate: {conductivity: 1, capacity: 1}\n"
METALS = "steel: {conductivity: 1, capacity: 1}\ncopper: {conductivity: 1, capacity: 1}\n"


def test_bodies_that_touch_are_told_and_welded(case: Case) -> None:
    case("unwelded")
    Path("metals.yaml").write_text(METALS)
    words = ("--materials", "metals.yaml", "--json")
    told = json.loads(compiled("unwelded22.msh", COLD_AND_HOT, *words, "-q"))
    assert told["warnings"][:2] == [
        "mesh: the cells form 2 disconnected parts (16, 16 cells); nothing flows between them",
        "mesh: 4 cell faces lie on each other without sharing points, so nothing flows through them; 3 pairs of "
        "points coincide, the first at (2, 0); --weld 0.0001 joins them",
    ]
    welded = json.loads(compiled("unwelded22.msh", COLD_AND_HOT, *words, "--weld", "1e-6"))
    assert welded["welded_points"] == 3 and welded["faces"] == told["faces"] + 2
    assert not any("parts" in text or "coincide" in text for text in welded["warnings"])
    graph = read_artifact(Path("a.pisnn")).graph
    assert isinstance(graph.mesh, CellMesh)
    middle = graph.mesh.points[graph.mesh.corners].mean(axis=1)[:, 0]
    assert at_rest(5000) == pytest.approx(middle / 4, abs=0.05), "a ramp from 0 to 1"
    assert read_artifact(Path("a.pisnn")).provenance["options"]["weld"] == 1e-6
    same = json.loads(compiled("welded22.msh", COLD_AND_HOT, *words))
    assert not any("parts" in text or "coincide" in text for text in same["warnings"])
    assert same["faces"] == welded["faces"] and "welded_points" not in same


def test_cracks_doubles_and_overlaps(case: Case) -> None:
    case("unwelded")
    told = json.loads(compiled("crack22.msh", COLD_AND_HOT, "--json"))
    assert told["warnings"][0] == (
        "mesh: 2 cell faces lie on each other without sharing points, so nothing flows through them; 1 pair of "
        "points coincide, the first at (2, 0); --weld 0.0001 joins them"
    )
    Path("a.pisnn").unlink()
    assert refusal("double22.msh", "cold=dirichlet=0") == (
        "double22.msh: has 16 cells twice, with different points: first numbers 0 and 16 counted from 0, around "
        "(0.333333, 0.166667); keep one of each"
    )
    assert refusal("overlap22.msh", "no-flux") == (
        "overlap22.msh: has 8 cells twice, with different points: first numbers 4 and 16 counted from 0, around "
        "(1.33333, 0.166667); keep one of each"
    )


@pytest.mark.parametrize(
    ("name", "mean", "measured"), [("stretch.msh", 53.367, 0.3726), ("coarse.msh", 55.2, 0.3717)]
)
def test_angles_and_what_they_do_to_fluxes(name: str, mean: float, measured: float, case: Case) -> None:
    case("tpfa_stretched")
    Path("plate.yaml").write_text(PLATE)
    words = ("--materials", "plate.yaml")
    told = json.loads(compiled(name, COLD_AND_HOT, *words, "--fluxes", "two-point", "--json"))
    assert told["two_point"]["mean_degrees"] == mean and told["two_point"]["largest_degrees"] == 75.964
    low, high = told["two_point"]["flux_factors"]
    # Conducted along x: 0.2500 is right, `measured` is what the integers conduct.
    assert low < 0.77 and high == pytest.approx(measured / 0.25, rel=0.02)
    assert [text for text in told["warnings"] if text.startswith("mesh: fluxes are 0.75 to 1.50 times the exact ones")]
    assert told["quantisation"]["measured_against"] == "the same two-point fluxes exact in time"
    table = compiled(name, COLD_AND_HOT, *words, "--fluxes", "two-point")
    assert "relative L2 error" not in table and "rounding error" in table and "two-point fluxes" in table
    assert f"mean {mean:.1f}, largest 76.0 degrees" in table
    told = json.loads(compiled(name, COLD_AND_HOT, *words, "--json"))
    assert told["fluxes"] == "multi-point" and told["warnings"] == []
    assert told["quantisation"]["measured_against"] == "the same multi-point fluxes exact in time"
    assert told["certificate"]["stability"] == told["certificate"]["equation"] == "proved"


@pytest.mark.parametrize("name", ["stretch.msh", "coarse.msh"])
def test_fluxes_through_stretched_triangles_are_right(name: str, case: Case) -> None:
    case("tpfa_stretched")
    compiled(name, COLD_AND_HOT, "--materials", "materials.yaml")
    graph = read_artifact(Path("a.pisnn")).graph
    assert all(finding.holds for finding in check_certificate(graph))
    end, every = 40_000, 20_000
    run = run_graph("fast", graph, graph.initial, RunOptions(end, every=every))
    assert run.conserved and not run.failure
    gained = np.diff(run.trace.ledger, axis=0)[-1] * graph.quantum / (every * graph.time_step)
    for ledger, sign in (("cold", 1), ("hot", -1)):
        side = graph.ledgers_of(graph.sole_field)[ledger]
        assert gained[side].sum() == pytest.approx(sign * 0.25, rel=1e-4)


@pytest.mark.parametrize(
    ("folder", "name", "materials", "cells"),
    [
        ("abaqus_heat", "adc2d3.inp", "materials.yaml", {"COPPER": 2, "STEEL": 2}),
        ("abaqus_heat", "anodes.inp", "materials.yaml", {"COPPER": 2, "STEEL": 2}),
        ("abaqus_heat", "alower.inp", "materials_lower.yaml", {"copper": 2, "steel": 2}),
        ("vtu_materials", "mat.vtu", "materials.yaml", {"0": 8, "1": 8}),
    ],
)
def test_materials_of_other_formats(
    folder: str, name: str, materials: str, cells: dict[str, int], case: Case
) -> None:
    case(folder)
    compiled(name, None, "--materials", materials)
    graph = read_artifact(Path("a.pisnn")).graph
    assert isinstance(graph.mesh, CellMesh) and graph.mesh.cells == sum(cells.values())
    assert dict(zip(graph.mesh.material_names, np.bincount(graph.mesh.material).tolist(), strict=True)) == cells
