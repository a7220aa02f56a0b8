"""Reports that several tests look at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from compiled_once import compile_once
from models_under_test import compiled, compiled_box, plane_model
from reported_runs import Reported, report_of

from pisnn_deploy.compiler import CompileOptions, LowerTwoPoint, Material
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.mesh import read_mesh_file
from pisnn_deploy.target import load_profile

PLATE = Path(__file__).parents[2] / "examples" / "plate_with_hole" / "plate.msh"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the reports are."""
    return tmp_path_factory.mktemp("reports")


@pytest.fixture(scope="session")
def line(folder: Path) -> Reported:
    """A run of a line between two reservoirs."""
    return report_of(compiled(cells=32, boundary="dirichlet=0,1"), folder, "--steps", 40, name="line")


@pytest.fixture(scope="session")
def plane(folder: Path) -> Reported:
    """A run of a plane."""
    return report_of(compiled_box(plane_model(), (10, 12), "periodic"), folder, "--steps", 9, name="plane")


@pytest.fixture(scope="session")
def plate() -> IntegerGraph:
    """Triangles of two materials."""
    materials = {"steel": Material(16.0, 3.8), "copper": Material(390.0, 3.4)}
    lower = LowerTwoPoint(read_mesh_file(PLATE), {"left": 0.5, "hole": 1.5}, materials)
    return compile_once(plane_model(), CompileOptions(lower, load_profile("loihi2")))


@pytest.fixture(scope="session")
def triangles(plate: IntegerGraph, folder: Path) -> Reported:
    """A run of triangles."""
    return report_of(plate, folder, "--steps", 30, name="triangles")


@pytest.fixture(scope="session")
def violated(folder: Path) -> Reported:
    """A run whose route makes mass."""
    graph = compiled(cells=8)
    route = graph.synapses[-1]
    mantissas = np.array(route.mantissas)
    mantissas[3] *= 2
    broken = replace(graph, synapses=(*graph.synapses[:-1], route.with_mantissas(mantissas)))
    return report_of(broken, folder, "--steps", 9, name="<script>alert(1)<\u2215script>")
