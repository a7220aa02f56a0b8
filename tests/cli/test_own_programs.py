"""Graphs whose neurons run programs of one's own, through every command that takes an artifact."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from models_under_test import compiled, heat_model, hidden_model
from unknown_programs import SIZE, floors, proved, with_program

from pisnn_deploy.api import load
from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import CheckError, UsageError
from pisnn_deploy.formats.nir.writer import graph_file
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import write_artifact
from pisnn_deploy.graph.kinds import face_of, known_face
from pisnn_deploy.graph.semantics import Semantics

STEPS = 3
"""Faces that forget the sign of what they hear soon leave the operating range."""


@cache
def without_a_fire() -> IntegerGraph:
    return proved(with_program(compiled(heat_model((0.25,)), 8, "no-flux"), "flux", floors(7)))


def of_sizes() -> IntegerGraph:
    graph = with_program(compiled(hidden_model((3,)), 9, "no-flux"), "hidden1", SIZE)
    first, last = graph.operator
    return replace(graph, operator=(replace(first, bias=np.zeros_like(first.bias)), last))


@cache
def without_bias_and_shift() -> IntegerGraph:
    return proved(of_sizes())


@cache
def with_both() -> IntegerGraph:
    return proved(with_program(of_sizes(), "flux", floors(7)))


GRAPHS = {"flux": without_a_fire, "hidden1": without_bias_and_shift, "both": with_both}


@pytest.fixture(params=GRAPHS)
def graph(request: pytest.FixtureRequest) -> IntegerGraph:
    return GRAPHS[request.param]()


@pytest.fixture
def artifact(graph: IntegerGraph, tmp_path: Path) -> Path:
    path = tmp_path / "a.pisnn"
    write_artifact(path, graph, {})
    return path


def ended(*words: object) -> str:
    """What a command prints that ends well."""
    result = CliRunner().invoke(group, [*map(str, words)])
    assert result.exception is None and result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("form", ["text", "json", "dot"])
def test_inspect_prints_them(artifact: Path, form: str) -> None:
    assert "flux" in ended("inspect", artifact, "--format", form)


def test_they_are_verified_and_checked(artifact: Path) -> None:
    assert "not claimed" in ended("verify", artifact)
    assert "PD207" in ended("check", artifact, "--profile", "generic-int")


@pytest.mark.parametrize("backend", ["fast", "onnx", "torch"])
def test_every_backend_runs_them_as_the_reference_and_a_report_is_written(
    artifact: Path, graph: IntegerGraph, tmp_path: Path, backend: str
) -> None:
    page, trace = tmp_path / "run.html", tmp_path / "run.npz"
    words = ("--backend", backend, "--steps", STEPS, "--report", page, "--save", trace)
    result = json.loads(ended("simulate", artifact, *words, "--json"))
    assert result["steps"] == STEPS and not any(result["violations"].values())
    with np.load(trace) as saved:
        meta = json.loads(saved["meta"].tobytes())
        assert saved["mass"][-1].tolist() == Semantics(graph).masses_after(graph.initial, STEPS).tolist()
    face = face_of(graph)
    assert meta["theta"] == (None if face is None else 1 << face.exponent)
    numbers = "<dd>" if face is None else f"leak {face.leak} of 4096, "
    assert f"{numbers}period {graph.period} time steps" in page.read_text("utf-8")


def test_lava_runs_them_and_so_does_a_chip_with_faults(tmp_path: Path) -> None:
    path = tmp_path / "a.pisnn"
    write_artifact(path, with_both(), {})
    ended("simulate", path, "--backend", "cpu", "--against", "fast", "--steps", STEPS)
    faulty = ("simulate", path, "--backend", "fast", "--steps", STEPS, "--fault", "drop:packet[3]@1", "--json")
    result = CliRunner().invoke(group, [*map(str, faulty)])
    assert isinstance(result.exception, CheckError)
    assert str(result.exception) == "local invariant broken: membrane [3] at PDE step 2: expected 243, found -255"
    assert [fault["detected"] for fault in json.loads(result.stdout)["faults"]] == [True]


def test_python_says_what_they_are(artifact: Path) -> None:
    assert repr(load(artifact))


def test_exports_that_know_no_such_neurons_refuse_them() -> None:
    with pytest.raises(UsageError) as caught:
        graph_file(without_bias_and_shift())
    assert str(caught.value) == (
        "nir: hidden1 runs another program than a rectifier, which NIR's primitives cannot express; export the "
        "graph to ONNX"
    )
    with pytest.raises(TypeError, match=r"^no analysis knows faces of the program floors$"):
        known_face(without_a_fire())
