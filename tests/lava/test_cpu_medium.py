"""The Lava backend where cells differ: a plate of two materials, on triangles from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from compiled_once import compile_once
from models_under_test import plane_model
from network_runs import assert_same

from pisnn_deploy.compiler import CompileOptions, GraphOptions, LowerTwoPoint, Material
from pisnn_deploy.graph.integer import Coding
from pisnn_deploy.lava import backend as cpu
from pisnn_deploy.mesh import read_mesh_file
from pisnn_deploy.runs import RunOptions, fast
from pisnn_deploy.target import load_profile

PLATE = Path(__file__).parents[2] / "examples" / "plate_with_hole" / "plate.msh"
MATERIALS = {"steel": Material(16.0, 3.8), "copper": Material(390.0, 3.4)}


@pytest.mark.parametrize("coding", ["delta", "dense"])
def test_a_plate_of_two_materials_gives_the_same_integers_at_every_step(coding: Coding) -> None:
    lower = LowerTwoPoint(read_mesh_file(PLATE), {"left": 0.25, "hole": 1.75}, MATERIALS)
    graph = compile_once(plane_model(), CompileOptions(lower, load_profile("loihi2"), GraphOptions(coding=coding)))
    assert any(synapse.exponent == 6 for synapse in graph.synapses), "weights are split over synapses"
    mass = graph.mass(np.random.default_rng(4).uniform(0.2, 1.8, graph.mesh.cells))
    expected = fast.run(graph, mass, RunOptions(25))
    assert expected.conserved and expected.packets_sent > 10_000 and expected.trace.step.size == 26
    assert expected.trace.ledger[-1].all()
    assert_same(cpu.run(graph, mass, RunOptions(25)), expected)
