"""The Python API, and the examples that use it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import path_with_commands, run_command
from matplotlib.figure import Figure

import pisnn_deploy as pd
from pisnn_deploy.core.errors import FileError, UsageError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def artifact() -> pd.CompiledArtifact:
    return pd.compile("heat1d", mesh=32, boundary="dirichlet=0,1")


def test_importing_loads_nothing_heavy() -> None:
    program = (
        "import sys, pisnn_deploy as pd; pd.__version__; "
        "print(sorted({'numpy', 'torch', 'lava', 'pydantic'} & set(sys.modules)), pd.compile.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[] compile\n"
    results = {"CompiledArtifact", "ConvergenceStudy", "SimulationRun"}
    assert set(dir(pd)) == {*results, "__version__", "compile", "converge", "load", "train"}
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        pd.nothing  # noqa: B018


def test_what_is_saved_is_what_the_command_line_writes_and_loads_again(
    artifact: pd.CompiledArtifact, tmp_path: Path
) -> None:
    path = tmp_path / "heat.pisnn"
    assert artifact.save(path) == artifact.sha256
    words = ["compile", "heat1d", "--mesh", "32", "--boundary", "dirichlet=0,1", "-q", "-o", "other.pisnn"]
    assert run_command(*words, folder=tmp_path).returncode == 0
    assert (tmp_path / "other.pisnn").read_bytes() == path.read_bytes()
    loaded = pd.load(path)
    assert loaded.sha256 == artifact.sha256
    assert all(finding.holds for finding in loaded.verify())
    assert loaded.check("loihi2").passed
    assert not loaded.check("loihi1").passed


def test_a_run_is_numpy_xarray_and_a_picture(artifact: pd.CompiledArtifact, tmp_path: Path) -> None:
    run = artifact.simulate(9, backend="fast", every=3)
    assert (run.verdict, run.failure, run.drift, run.steps) == ("conserved", "", 0, 9)
    assert run.run.trace.step.tolist() == [0, 3, 6, 9]
    assert run.mass.shape == run.values.shape == (4, 32) and run.mass.dtype == np.int64
    assert np.array_equal(run.values, run.mass * artifact.graph.value_per_quantum)
    assert run.times.tolist() == [step * artifact.graph.time_step for step in (0, 3, 6, 9)]
    assert run.relative_l2 is not None and run.relative_l2 < 1e-3

    data = run.to_xarray()
    assert dict(data.sizes) == {"time": 4, "x": 32, "face": 33, "reservoir": 2}
    assert (data["mass"].sum("x") + data["ledger"].sum("reservoir")).values.tolist() == [int(run.mass[0].sum())] * 4
    assert data["x"].values.tolist() == [(cell + 0.5) / 32 for cell in range(32)]
    assert data.attrs["verdict"] == "conserved"

    figure = run.plot(tmp_path / "run.png")
    assert isinstance(figure, Figure) and (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")


def test_planes_have_both_axes() -> None:
    run = pd.compile("heat2d", mesh=(16, 16)).simulate(1, backend="fast")
    assert run.values.shape == (2, 16, 16)
    assert dict(run.to_xarray().sizes) == {"time": 2, "x": 16, "y": 16, "face": 512}


def test_a_start_is_a_name_or_an_array(artifact: pd.CompiledArtifact) -> None:
    line = np.linspace(0, 1, 32)
    run = artifact.simulate(2, backend="fast", initial=line.astype(">f4"))
    assert np.abs(run.values[0] - line).max() < 1e-4
    assert run.reference is None and run.relative_l2 is None
    periodic = pd.compile("heat1d", mesh=32)
    assert periodic.simulate(2, backend="fast", initial="bump").reference is not None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"initial": np.zeros(31)}, "`initial`: has shape (31,), the mesh has (32,)"),
        ({"initial": np.full(32, np.nan)}, "`initial`: cell 0 is not finite"),
        ({"initial": [["a"]]}, "`initial`: not an array of numbers (could not convert string to float: 'a')"),
        ({"steps": -1}, "`steps` -1: expected 0 to 1099511627776"),
        ({"every": 0}, "`every` 0: expected 1 to 1099511627776"),
        ({"backend": "gpu"}, "backend 'gpu': unknown; use cpu, fast, onnx, torch"),
    ],
)
def test_wrong_words_are_refused(artifact: pd.CompiledArtifact, words: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        artifact.simulate(**{"steps": 1, "backend": "fast"} | words)  # type: ignore[arg-type]
    assert str(refused.value) == message


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"none\.pisnn: cannot be read"):
        pd.load(tmp_path / "none.pisnn")


def test_a_violation_is_told(artifact: pd.CompiledArtifact) -> None:
    run = artifact.simulate(9, backend="fast")
    broken = pd.SimulationRun(run.graph, type(run.run)(**vars(run.run) | {"failure": "<lost>"}), run.reference)
    assert broken.verdict == "violated" and broken.failure == "<lost>"
    assert "<tr><th" in broken._repr_html_() and "&lt;lost&gt;" in broken._repr_html_()


def test_what_notebooks_and_consoles_show(artifact: pd.CompiledArtifact) -> None:
    run = artifact.simulate(1, backend="fast")
    assert repr(artifact).startswith("<CompiledArtifact heat1d; mesh: 32 cells, 33 faces, ")
    assert repr(run).startswith(
        "<SimulationRun heat1d; verdict: conserved, steps: 1 PDE steps on fast, drift: 0 quanta"
    )
    assert "<caption>heat1d</caption>" in artifact._repr_html_()


@pytest.mark.parametrize(
    ("name", "words", "told"),
    [
        ("heat_on_a_chip", ["fast"], "fits loihi2: True"),
        ("laplace_with_a_leak", [], "given by the reservoirs:"),
    ],
)
def test_examples_in_python_run(name: str, words: list[str], told: str, tmp_path: Path) -> None:
    program = ROOT / "examples" / name / "run.py"
    done = subprocess.run([sys.executable, program, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert told in done.stdout and "verdict: conserved" in done.stdout
    assert (tmp_path / f"{name}.png").exists()


def test_the_example_from_a_recipe_to_ci_runs(tmp_path: Path) -> None:
    folder = ROOT / "examples" / "own_model_to_ci"
    recipe = (folder / "rod.yaml").read_text().replace("epochs: 400", "epochs: 40")
    (tmp_path / "rod.yaml").write_text(recipe)
    environment = {"PATH": path_with_commands(), "HOME": str(tmp_path)}
    done = subprocess.run(
        ["sh", folder / "run.sh"], cwd=tmp_path, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert {"rod.pt", "rod.pisnn", "run.json", "check.xml", "baseline.json"} <= {p.name for p in tmp_path.iterdir()}


def test_text_of_an_artifact_is_printable_in_a_notebook_and_at_a_prompt(artifact: pd.CompiledArtifact) -> None:
    hostile = replace(artifact, graph=replace(artifact.graph, profile="\x9b31m\u202e<b>\n"))
    assert r"target: \x9b31m\u202e<b>\n," in repr(hostile)
    assert r">\x9b31m\u202e&lt;b&gt;\n</td>" in hostile._repr_html_()


def test_points_of_a_mesh_are_welded() -> None:
    mesh = str(Path(__file__).parents[1] / "cases" / "unwelded" / "unwelded22.msh")
    apart, welded = (pd.compile("heat2d", mesh=mesh, value_range=(0, 1), weld=weld) for weld in (None, 1e-6))
    assert apart.provenance["warnings"][0].startswith("mesh: the cells form 2 disconnected parts")
    assert welded.provenance["welded_points"] == 3 and welded.graph.mesh.faces == apart.graph.mesh.faces + 2
