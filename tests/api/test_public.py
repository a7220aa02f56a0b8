"""What the Python API consists of, and that it can do what the command line can."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import click
import numpy as np
import pytest

import pisnn_deploy as pd
from pisnn_deploy.cli.commands import check, converge, export, simulate, train
from pisnn_deploy.cli.commands import compile as compiling
from pisnn_deploy.cli.messages import with_options
from pisnn_deploy.core.errors import CheckError, UsageError
from pisnn_deploy.project.checking import CheckKeywords, check_request
from pisnn_deploy.project.converge_request import ConvergeKeywords
from pisnn_deploy.project.keywords import leaves
from pisnn_deploy.project.request import CompileKeywords, CompileRequest, compile_request
from pisnn_deploy.project.simulate_request import SimulateKeywords, SimulateRequest, simulate_request

SIGNATURES: dict[str, tuple[Callable[..., Any], list[str]]] = {
    "train": (pd.train, ["recipe", "output", "seed", "resume", "progress"]),
    "compile": (pd.compile, ["model", "strict", "options"]),
    "converge": (
        pd.converge,
        ["model", "meshes", "progress", "options"],
    ),
    "load": (pd.load, ["path"]),
    "save": (pd.CompiledArtifact.save, ["self", "path"]),
    "simulate": (pd.CompiledArtifact.simulate, ["self", "steps", "initial", "strict", "progress", "options"]),
    "explain": (pd.CompiledArtifact.explain, ["self"]),
    "verify": (pd.CompiledArtifact.verify, ["self"]),
    "check": (pd.CompiledArtifact.check, ["self", "profile", "options"]),
    "check_outcomes": (pd.CompiledArtifact.check_outcomes, ["self", "profiles", "name", "options"]),
    "export": (pd.CompiledArtifact.export, ["self", "to", "output", "loop", "serial", "streamed", "steps"]),
    "synthesise": (pd.CompiledArtifact.synthesise, ["self", "part", "layout"]),
    "plot": (pd.SimulationRun.plot, ["self", "path", "plane"]),
    "report": (pd.SimulationRun.report, ["self", "path"]),
    "raster": (pd.SimulationRun.raster, ["self", "path"]),
    "spikes": (pd.SimulationRun.spikes, ["self", "population", "output"]),
    "states": (pd.SimulationRun.states, ["self", "population"]),
    "to_dict": (pd.SimulationRun.to_dict, ["self"]),
    "to_xarray": (pd.SimulationRun.to_xarray, ["self"]),
}
ON_SCREEN = {"--json", "--quiet", "--help"}
"""What a command prints is what a function returns."""
ELSEWHERE = {
    "compile": {
        "--output": "CompiledArtifact.save",
        "--explain": "CompiledArtifact.explain",
        "--plot": "report.accuracy_picture.draw_waterfall",
    },
    "converge": {"--plot": "ConvergenceStudy.plot", "--min-order": "ConvergenceStudy.require_order"},
    "simulate": {
        "--plot": "SimulationRun.plot",
        "--plane": "SimulationRun.plot",
        "--synthesise": "CompiledArtifact.synthesise",
        "--raster": "SimulationRun.raster",
        "--report": "SimulationRun.report",
    },
    "check": {
        "--format": "checks.formats.FORMATS",
        "--output": "checks.formats.FORMATS",
        "--fail-on": "checks.Finding",
        "--explain": "checks.ALL_RULES",
    },
}
"""Options whose counterpart is no keyword of the function that is called like the command."""


def parameters(function: Callable[..., Any], keywords: type | None = None) -> set[str]:
    """Every keyword that a function takes."""
    return {*inspect.signature(function).parameters, *(() if keywords is None else get_type_hints(keywords))}


def options(command: click.Command) -> set[str]:
    """Long names of the options of a command; hidden ones only say what took their place."""
    shown = (each for each in command.params if isinstance(each, click.Option) and not each.hidden)
    return {max(each.opts, key=len) for each in shown}


@pytest.mark.parametrize("name", SIGNATURES)
def test_names_and_signatures(name: str) -> None:
    function, expected = SIGNATURES[name]
    assert list(inspect.signature(function).parameters) == expected
    assert inspect.getdoc(function)


@pytest.mark.parametrize(
    ("command", "keywords"),
    [
        (compiling.command, parameters(pd.compile, CompileKeywords)),
        (simulate.command, parameters(pd.CompiledArtifact.simulate, SimulateKeywords)),
        (check.command, parameters(pd.CompiledArtifact.check_outcomes, CheckKeywords) | {"profile"}),
        (export.command, parameters(pd.CompiledArtifact.export)),
        (train.command, parameters(pd.train)),
        (converge.command, parameters(pd.converge, ConvergeKeywords)),
    ],
)
def test_every_option_has_its_counterpart(command: click.Command, keywords: set[str]) -> None:
    wanted = options(command) - ON_SCREEN - set(ELSEWHERE.get(str(command.name), ()))
    assert wanted - {with_options(f"`{name}`") for name in keywords} == set()


def test_requests_have_a_field_for_each_keyword() -> None:
    assert set(leaves(compile_request("m"))) == {"model", *get_type_hints(CompileKeywords)}
    assert set(leaves(simulate_request())) == {"steps", "initial", *get_type_hints(SimulateKeywords)}
    assert set(leaves(check_request())) == {"profiles", *get_type_hints(CheckKeywords)}
    assert CompileRequest("m") == compile_request("m") and SimulateRequest() == simulate_request()


@pytest.mark.parametrize("request_", [compile_request("m"), simulate_request(), check_request()])
def test_groups_say_what_each_keyword_means(request_: Any) -> None:
    groups = [request_, *(value for value in vars(request_).values() if is_dataclass(value))]
    for group in groups:
        text = inspect.getdoc(type(group)) or ""
        lines = {word for line in text.splitlines() if " : " in line for word in line.partition(" : ")[0].split(", ")}
        keywords = {entry.name for entry in fields(group) if not is_dataclass(getattr(group, entry.name))}
        assert keywords - lines == set()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"mesh": 1.5}, "`mesh` 1.5: expected a text or a path"),
        ({"slope": "steep"}, "`slope` 'steep': expected a number"),
        ({"value_range": 5}, "`value_range` 5: expected two numbers, such as 0,2"),
        ({"value_range": "0"}, "`value_range` '0': expected two numbers, such as 0,2"),
        ({"coding": "rate"}, "`coding` 'rate': expected one of auto, delta, dense"),
        ({"send_threshold": 2}, "`send_threshold`: needs `processes` stock"),
        (
            {"processes": "stock", "send_threshold": 0},
            "`send_threshold` 0: expected quanta from 1 to 1048576",
        ),
        (
            {"processes": "stock", "limiter": "positivity"},
            "`processes` stock: SigmaDelta cannot limit what it sends; use c-lif",
        ),
        ({"weld": 1e-3}, "`weld` is for meshes from files"),
        (
            {"materials": "metals.yaml"},
            "`materials` are for meshes from files; give a grid `conductivity` and `capacity`",
        ),
        (
            {"mesh": "plate.msh", "capacity": "c.npy"},
            "`conductivity` and `capacity` are for grids; name the mesh's `materials` instead",
        ),
    ],
)
def test_a_request_says_what_is_wrong_with_which_field(words: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        compile_request("heat1d", **words)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"value_range": (0, float("nan"))}, "`value_range` must be finite, not NaN"),
        ({"value_range": (1, 0)}, "`value_range`: lower 1.0 must be below upper 0.0"),
        ({"slope": -1.0}, "`slope` must be greater than 0, not -1.0"),
        ({"flux": -1}, "`flux` must be greater than 0, not -1"),
    ],
)
def test_ranges_that_are_none_are_refused_by_the_name_of_the_keyword(words: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        pd.compile("heat1d", mesh=16, **words)
    assert str(refused.value) == message


def test_a_keyword_that_does_not_exist_is_no_keyword() -> None:
    with pytest.raises(TypeError, match=r"^'mash' is not an option; did you mean 'mesh'\? expected one of boundary, "):
        compile_request("heat1d", mash=3)  # type: ignore[call-arg]


def test_numbers_paths_and_texts_make_the_same_request(tmp_path: Path) -> None:
    assert compile_request("m", mesh=64) == compile_request("m", mesh=(64,)) == compile_request(Path("m"), mesh="64")
    assert compile_request("m", value_range=(0, 2.5)).limits.bounds == (0.0, 2.5)
    assert compile_request("m", conductivity="k.npy") == compile_request("m", conductivity=Path("k.npy"))


@pytest.mark.parametrize(
    ("of_numpy", "plain"),
    [
        ({"mesh": np.int64(64)}, {"mesh": 64}),
        ({"mesh": (np.int32(64),)}, {"mesh": 64}),
        ({"value_range": (0, np.float64(2.5))}, {"value_range": (0, 2.5)}),
        ({"slope": np.float64(3)}, {"slope": 3.0}),
        ({"processes": "stock", "send_threshold": np.int64(5)}, {"processes": "stock", "send_threshold": 5}),
    ],
)
def test_numbers_of_numpy_are_numbers(of_numpy: dict[str, Any], plain: dict[str, Any]) -> None:
    assert compile_request("m", **of_numpy) == compile_request("m", **plain)


@pytest.fixture(scope="module")
def artifact() -> pd.CompiledArtifact:
    return pd.compile("heat1d", mesh=16)


def test_a_run_has_what_simulate_can_do(artifact: pd.CompiledArtifact, tmp_path: Path) -> None:
    run = artifact.simulate(6, backend="fast", faults=["drop:packet[3]@2"], recover=True, everything=True)
    assert run.verdict == "conserved" and run.to_dict()["healed"] == 1
    run.report(tmp_path / "run.html")
    assert b"drop:packet[3]@2" in (tmp_path / "run.html").read_bytes()
    run = artifact.simulate(6, backend="fast", against="onnx", save=tmp_path / "run.npz", every=3)
    assert run.comparison is not None and run.comparison.difference is None and run.comparison.integers > 0
    with np.load(tmp_path / "run.npz") as trace:
        assert trace["step"].tolist() == [0, 3, 6]
    np.save(tmp_path / "u.npy", np.ones(16))
    assert artifact.simulate(1, backend="fast", initial=tmp_path / "u.npy").mass[0].min() > 0
    with pytest.raises(CheckError, match=r"^local invariant broken: "):
        artifact.simulate(6, backend="fast", faults=["drop:packet[3]@2"], strict=True)


def test_a_run_of_somebody_else_has_no_report(artifact: pd.CompiledArtifact, tmp_path: Path) -> None:
    run = artifact.simulate(1, backend="fast")
    with pytest.raises(UsageError, match=r"^the request is unknown, because the run does not come from "):
        pd.SimulationRun(run.graph, run.run, run.reference).report(tmp_path / "run.html")


def test_an_artifact_has_what_check_and_export_can_do(artifact: pd.CompiledArtifact, tmp_path: Path) -> None:
    passed = [outcome.passed for outcome in artifact.check_outcomes(["loihi2", "loihi1"], select="PD001,PD103")]
    assert len(passed) == 2 and passed[0]
    assert artifact.check("loihi2", ignore="PD105").passed
    with pytest.raises(UsageError, match=r"^`select` 'X1': no such rule; known are PD001, "):
        artifact.check(select="x1")
    facts = artifact.export("onnx", tmp_path / "heat.onnx", loop=True)
    assert facts["bytes"] == (tmp_path / "heat.onnx").stat().st_size
    with pytest.raises(UsageError, match=r"^`loop`: needs `to` onnx$"):
        artifact.export("nir", tmp_path / "heat.nir", loop=True)


def test_warnings_can_be_forbidden() -> None:
    assert pd.compile("heat1d", mesh=16, strict=True).warnings == ()
    with pytest.raises(
        CheckError, match=r"^1 warning: start: not measured, because a run from the problem's own start stops: "
    ):
        pd.compile("heat1d", mesh=32, boundary="dirichlet=4,9", value_range=(3, 9), strict=True)
