"""Life after Lava: the wheel on Python 3.11 to 3.14, where neither Lava nor lava-dl nor this project's torch runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pisnn_deploy.core.optional import INTERPRETER_VARIABLE
from pisnn_deploy.graph.artifact import read_artifact

ROOT = Path(__file__).parents[1]
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
THIS = Path(sys.executable)


def interpreters() -> dict[str, str]:
    """Interpreters of this machine by version, from its path, pyenv and uv; those that can make environments."""
    found = {}
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    uv = Path.home() / ".local" / "share" / "uv" / "python"
    for version in VERSIONS:
        candidates = [
            shutil.which(f"python{version}"),
            *pyenv.glob(f"{version}*/bin/python"),
            *uv.glob(f"*{version}*/bin/python3"),
        ]
        for candidate in candidates:
            program = f"import ensurepip, sys; assert sys.version_info[:2] == ({version.replace('.', ', ')})"
            if (
                candidate
                and subprocess.run([candidate, "-c", program], capture_output=True, check=False).returncode == 0
            ):
                found[version] = str(candidate)
                break
    return found


INTERPRETERS = interpreters()
TRIED = sorted(INTERPRETERS) if os.environ.get("PISNN_ALL_PYTHONS") else sorted(INTERPRETERS)[-1:]
"""The newest of this machine; all of them with `make newer`."""


@dataclass(frozen=True)
class Ended:
    code: int
    output: str
    errors: str


@dataclass(frozen=True)
class Newer:
    """The package, installed from its wheel on a newer Python."""

    version: str
    programs: Path
    folder: Path

    def call(self, *words: str, **environment: str) -> Ended:
        clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", INTERPRETER_VARIABLE)}
        done = subprocess.run(
            [self.programs / "pisnn-deploy", *words],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=clean | environment,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module", params=TRIED)
def newer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newer]:
    folder = tmp_path_factory.mktemp("newer")
    environment = folder / "env"
    subprocess.run([INTERPRETERS[request.param], "-m", "venv", "--without-pip", environment], check=True)
    subprocess.run(
        [THIS, "-m", "build", "--wheel", "--no-isolation", "-o", folder, ROOT], check=True, capture_output=True
    )
    (wheel,) = folder.glob("*.whl")
    # Bytecode of what is never imported would take longer than everything that is tried.
    pip = (THIS, "-m", "pip", "--python", environment / "bin" / "python", "install", "-q", "--no-compile")
    constraints = ROOT / "constraints-newer.txt"
    words = (*pip, "-c", constraints, f"{wheel}[fast,onnx]")
    # With this checkout on the path it would count as installed.
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(words, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    yield Newer(request.param, environment / "bin", folder)
    shutil.rmtree(environment)


@pytest.mark.timeout(600)
def test_everything_but_lava_and_training_works(newer: Newer) -> None:
    here = THIS.with_name("pisnn-deploy")
    words = ("compile", "heat1d", "--mesh", "32", "-q", "-o")
    subprocess.run([here, *words, "here.pisnn"], cwd=newer.folder, check=True)
    assert newer.call(*words, "heat.pisnn") == Ended(0, "", "")
    compiled = [read_artifact(newer.folder / name).graph for name in ("here.pisnn", "heat.pisnn")]
    assert compiled[0].initial.tolist() == compiled[1].initial.tolist()
    for command_line in (["verify"], ["check"], ["inspect"], ["export", "--to", "onnx", "-o", "heat.onnx"]):
        command, *options = command_line
        ended = newer.call(command, "heat.pisnn", *options)
        assert (ended.code, ended.errors) == (0, ""), command_line
    lava = f"lava-nc, which only runs on Python 3.10, not {newer.version}"
    masses = {}
    for backend in ("fast", "onnx"):
        ended = newer.call("simulate", "heat.pisnn", "--backend", backend, "--save", f"{backend}.npz", "--json", "-q")
        run = json.loads(ended.output)
        assert run["verdict"] == "conserved" and ended.code == 0
        masses[backend] = run["mass"]
    assert masses["fast"] == masses["onnx"]
    with_lava = newer.call(
        "simulate",
        "heat.pisnn",
        "--backend",
        "cpu",
        "--against",
        "fast",
        "--json",
        "-q",
        **{INTERPRETER_VARIABLE: str(THIS)},
    )
    assert json.loads(with_lava.output)["against"]["difference"] is None

    usual = newer.call("simulate", "heat.pisnn", "-q")
    notice = f"running on fast, which gives the same integers: cpu needs {lava}\n"
    assert usual == Ended(0, "", notice)
    refused = newer.call("simulate", "heat.pisnn", "--backend", "cpu")
    message = (
        f"error: cpu backend: Lava needs Python 3.10 and this is {newer.version}; name a Python 3.10 interpreter that "
        f"has pisnn-deploy in {INTERPRETER_VARIABLE}, or use --backend fast\n"
    )
    assert (refused.code, refused.output, refused.errors) == (2, "", message)
    refused = newer.call("train", "heat1d")
    needed = f"lava-dl, which only runs on Python 3.10, not {newer.version}"
    assert refused == Ended(2, "", f"error: train needs {needed}\n")
    assert newer.call("doctor", "-q").code == 0
