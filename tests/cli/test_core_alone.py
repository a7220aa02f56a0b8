"""Commands with nothing but the packages of the core: what works, and the one line that names the extra otherwise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pisnn_deploy.checks.example_graphs import heat_graph
from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import PisnnError
from pisnn_deploy.core.optional import EXTRA_OF, INTERPRETER_VARIABLE
from pisnn_deploy.graph.artifact import write_artifact

Call = Callable[..., Result]
METIS = ("--profile", "loihi2", "--placement", "metis")
WORKING = (
    ("compile", "heat1d", "--mesh", "32", "-q", "-o", "heat.pisnn"),
    ("verify", "heat.pisnn"),
    ("check", "heat.pisnn", "--profile", "loihi2"),
    ("inspect", "heat.pisnn"),
    ("inspect", "heat.pisnn", "--format", "dot"),
    ("profiles", "list"),
    ("models", "show", "heat1d"),
    ("doctor",),
    ("simulate", "heat.pisnn", "--json", "-q"),
)
PROGRAM = f"""
import json, sys
sys.modules.update(dict.fromkeys({[*EXTRA_OF]}))
from click.testing import CliRunner
from pisnn_deploy.checks.example_graphs import heat_graph
from pisnn_deploy.cli.main import group
for words in {WORKING}:
    result = CliRunner().invoke(group, words)
    print(json.dumps([result.exit_code, result.stdout, result.stderr, repr(result.exception)]))
"""


def test_the_core_compiles_checks_proves_shows_and_runs(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != INTERPRETER_VARIABLE}
    # A process of its own, in which nothing was imported before.
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    results = [json.loads(line) for line in done.stdout.splitlines()]
    *others, (code, output, errors, _) = results
    for words, result in zip(WORKING, others, strict=False):
        assert (result[0], result[2]) == (0, ""), (words, result)
    run = json.loads(output)
    assert (code, run["verdict"], run["backend"]) == (0, "conserved", "fast")
    assert errors == (
        "running in plain numpy, which gives the same integers slowly: cpu needs lava-nc, which is not installed: "
        "pip install 'pisnn-deploy[lava]'; fast needs llvmlite, which is not installed: "
        "pip install 'pisnn-deploy[fast]'\n"
    )


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Call commands in an empty folder, where no package of an extra can be imported."""
    for module in EXTRA_OF:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delenv(INTERPRETER_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(group, words)


@pytest.mark.parametrize(
    ("words", "purpose", "package", "extra"),
    [
        (("simulate", "--backend", "cpu"), "cpu backend: Lava", "lava-nc", "lava"),
        (("simulate", "--backend", "onnx"), "backend onnx", "onnx", "onnx"),
        (("simulate", "--backend", "torch"), "backend torch", "torch", "torch"),
        (("simulate", "--plot", "run.png"), "--plot", "matplotlib", "report"),
        (("simulate", "--report", "run.html"), "--report", "matplotlib", "report"),
        (("inspect", "heat.pisnn", "--format", "png", "-o", "a.png"), "--format png", "matplotlib", "report"),
        (("campaign", "plan.yaml"), "campaign", "dask", "cluster"),
        (("train", "heat1d"), "train", "lava-dl", "train"),
        (("export", "heat.pisnn", "--to", "onnx"), "export --to onnx", "onnx", "onnx"),
        (("export", "heat1d", "--to", "netx"), "export --to netx", "h5py", "netx"),
        (("export", "heat1d", "--to", "nir"), "export --to nir", "nir", "nir"),
        (("compile", "heat1d", "--mesh", "4096", *METIS), "placement by METIS", "pymetis", "meshes"),
        (("compile", "flux.onnx"), "flux.onnx: reading ONNX", "onnx", "onnx"),
        (("compile", "flux.nir"), "flux.nir: reading HDF5", "h5py", "netx"),
        (("compile", "heat2d", "--mesh", "plate.vtk"), "plate.vtk: reading a mesh", "scipy", "meshes"),
    ],
)
def test_a_door_without_its_package_names_the_extra(
    call: Call, words: tuple[str, ...], purpose: str, package: str, extra: str
) -> None:
    write_artifact(Path("heat.pisnn"), heat_graph(), {})
    Path("plan.yaml").write_text("models: [heat1d]\n")
    Path("flux.onnx").write_bytes(b"\x08\x08")
    Path("flux.nir").write_bytes(b"\x89HDF\r\n\x1a\n")
    Path("plate.vtk").write_text("# vtk DataFile Version 3.0\n")
    result = call(*words)
    assert isinstance(result.exception, PisnnError) and result.exception.exit_code == 2, result.exception
    assert str(result.exception) == (
        f"{purpose} needs {package}, which is not installed: pip install 'pisnn-deploy[{extra}]'"
    )
    assert not Path("run.png").exists() and not Path("run.html").exists()
