"""Grids whose cells hold alike: the plain integers for one material, two-point fluxes of masses for several."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compiled_files import compile_file
from models_under_test import level_shift
from numpy.typing import NDArray

from pisnn_deploy.compiler import CompileOptions, LowerTwoPoint, Material, compile_model
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.formats.reading import Request
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import artifact_bytes
from pisnn_deploy.graph.integer import LEVEL
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.mesh import parse_boundary
from pisnn_deploy.project.model_file import read_model
from pisnn_deploy.target import load_profile
from pisnn_deploy.verify import check_certificate

Field = NDArray[np.float64]


def compiled(folder: Path, model: str, conductivity: Field, **options: Any) -> IntegerGraph:
    np.save(folder / "k.npy", conductivity)
    mesh = "x".join(map(str, conductivity.shape))
    graph, _ = compile_file(model, mesh=mesh, conductivity=folder / "k.npy", **options)
    return graph


@pytest.mark.parametrize(
    ("model", "mesh", "boundary"),
    [("heat1d", (128,), None), ("heat1d", (40,), "dirichlet=0.5,1"), ("heat2d", (20, 20), "x=no-flux y=periodic")],
)
def test_the_models_own_conductivity_gives_the_plain_artifact(
    tmp_path: Path, model: str, mesh: tuple[int, ...], boundary: str | None
) -> None:
    plain, _ = compile_file(model, mesh="x".join(map(str, mesh)), boundary=boundary)
    uniform = compiled(tmp_path, model, np.full(mesh, 0.01), boundary=boundary)
    assert artifact_bytes(uniform, {}) == artifact_bytes(plain, {})


def test_another_material_everywhere_is_another_clock(tmp_path: Path) -> None:
    plain, _ = compile_file("heat1d")
    faster = compiled(tmp_path, "heat1d", np.full(128, 0.04))
    assert faster.time_step == plain.time_step / 4 and faster.model_spec.diffusivity == 0.04
    assert replace(faster.quantisation, steps=0) == replace(plain.quantisation, steps=0)


LINE = (np.arange(96) + 0.5) / 96
MATERIALS = {
    "smooth": 0.01 * (1 + 0.5 * np.sin(2 * np.pi * LINE)),
    "layers": np.where(LINE < 0.4, 0.01, 0.0137),
    "1 to 60": np.where(LINE < 0.4, 0.002, 0.12),
    "random": 0.01 * np.exp(np.random.default_rng(4).uniform(-1, 1, 96)),
    "nearly one": 0.01 * (1 + 1e-3 * np.sin(2 * np.pi * LINE)),
}


@pytest.mark.parametrize("profile", ["loihi2", "generic-int"])
@pytest.mark.parametrize("name", MATERIALS)
def test_several_materials_are_as_exact_as_a_quantum(tmp_path: Path, name: str, profile: str) -> None:
    """Beside explicit steps in float64 on the same mesh: within a quantum's worth on average, two at most."""
    conductivity = MATERIALS[name]
    graph = compiled(tmp_path, "heat1d", conductivity, boundary="no-flux", profile=profile)
    assert all(finding.holds for finding in check_certificate(graph))
    assert all(synapse.entries for synapse in graph.synapses)
    assert graph.resolution == graph.value_per_quantum * (2 if LEVEL in graph.chain else 1)
    start = 1 + 0.5 * np.cos(np.pi * LINE) + 0.25 * np.cos(3 * np.pi * LINE)
    steps = min(round(1.0 / graph.time_step), 3000)
    between = 2 / (1 / conductivity[1:] + 1 / conductivity[:-1]) * 96**2 * graph.time_step
    values = start
    for _ in range(steps):
        flux = between * (values[:-1] - values[1:])
        values = values + np.concatenate([[0], flux]) - np.concatenate([flux, [0]])
    found = graph.values(Semantics(graph).masses_after(graph.mass(start), steps))
    away = np.abs(found - values) / graph.resolution
    assert away.max() <= 2 and np.sqrt((away**2).mean()) <= 1
    assert graph.resolution <= 2.0**-12


def test_no_wave_changes_its_sign(tmp_path: Path) -> None:
    """A hot cell stays the hottest, as in the plain model: its neighbours never pass it."""
    start = np.zeros(32)
    start[10] = 1.0
    for capacity in (None, 1 + (np.arange(32) == 20)):
        options: dict[str, Any] = {}
        if capacity is not None:
            np.save(tmp_path / "c.npy", capacity)
            options["capacity"] = tmp_path / "c.npy"
        conductivity = np.where(np.arange(32) < 25, 0.01, 0.02)
        graph = compiled(
            tmp_path, "heat1d", conductivity, boundary="no-flux", value_range="-1,2", slope=192.0, **options
        )
        semantics = Semantics(graph)
        state = semantics.start(graph.mass(start))
        for step in range(20):
            state = semantics.step(state, step)
            values = graph.values(state.mass)
            assert values.argmax() == 10 and values.min() > -0.01


def test_a_mirrored_grid_has_mirrored_masses() -> None:
    model = read_model("heat2d", Request(None, None, None)).model
    rng = np.random.default_rng(8)
    conductivity = np.exp(rng.uniform(-1, 1, (6, 6)))
    start = rng.integers(0, 2**10, (6, 6))

    def masses(field: Field, mass: NDArray[np.int64], boundary: str) -> NDArray[np.int64]:
        lower = LowerTwoPoint((6, 6), parse_boundary(boundary, 2), {"default": Material(0.01)}, field)
        graph = compile_model(model, CompileOptions(lower, load_profile("loihi2")))
        return Semantics(graph).masses_after(mass.reshape(-1), 30)[:36].reshape(6, 6)

    found = masses(conductivity, start, "x-=dirichlet=1 x+=no-flux y=periodic")
    turned = masses(conductivity.T, start.T, "y-=dirichlet=1 y+=no-flux x=periodic")
    mirrored = masses(conductivity[::-1], start[::-1], "x-=no-flux x+=dirichlet=1 y=periodic")
    assert np.array_equal(found, turned.T) and np.array_equal(found, mirrored[::-1])


def test_what_shows_in_the_levels_is_the_resolution(tmp_path: Path) -> None:
    np.save(tmp_path / "c.npy", 1.0 + np.arange(16) % 2)
    graph, _ = compile_file("heat1d", mesh="16", capacity=tmp_path / "c.npy")
    assert graph.resolution == graph.value_per_quantum * 2.0 ** level_shift(graph)


@pytest.mark.parametrize(
    ("conductivity", "options", "sentence"),
    [
        (
            np.where(np.arange(16) < 8, 1.0, 1e-6),
            {},
            "quantise-two-point: face 0 conducts 1e+06 times as much as face 8, but weights range from 1 to 16319; use "
            "materials that differ less",
        ),
        (
            np.where(np.arange(16) < 8, 1.0, 0.5),
            {"value_range": "1e9,2e9", "digits": "one"},
            "quantise-two-point: cell values from 1e+09 to 2e+09, between cells that differ by a factor of 2, need "
            "states wider than 24 bits; narrow the operating range, or choose a target with wider states",
        ),
    ],
)
def test_refusals_name_faces_and_range(
    tmp_path: Path, conductivity: Field, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UsageError) as caught:
        compiled(tmp_path, "heat1d", conductivity, boundary="no-flux", **options)
    assert str(caught.value) == sentence
