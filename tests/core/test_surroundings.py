"""Nothing of the current folder is imported, run, unpickled or read as settings, by any process of a command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import COMMAND
from models_under_test import compiled

import pisnn_deploy
from pisnn_deploy.core import surroundings
from pisnn_deploy.graph.artifact import write_artifact

MODULES = (
    *("multiprocessing", "threading", "numba", "llvmlite", "lava", "onnxruntime", "onnx", "torch", "numpy", "scipy"),
    *("matplotlib", "yaml", "click", "rich", "pydantic", "dask", "distributed", "tornado", "pyarrow", "h5py", "nir"),
    *("sitecustomize", "usercustomize", "readline", "pdb", "json", "signal", "random", "ctypes", "trap", "cuda"),
    *("pisnn_deploy", "pickle", "cloudpickle", "tqdm", "networkx", "psutil", "cryptography", "meshio", "pymetis"),
)
PROGRAMS = ("uname", "which", "nvcc", "hipconfig", "sh", "gcc", "cc", "ldconfig", "objdump", "bash")
SETTINGS = {
    "matplotlibrc": "backend: module://trap\ntext.usetex: True\n",
    "dask.yaml": "distributed: {worker: {preload: [trap]}, scheduler: {preload: [trap]}}\n",
    "distributed.yaml": "distributed: {worker: {preload: [trap]}, nanny: {preload: [trap]}}\n",
    ".env": "PISNN_KERNELS=.\nPYTHONPATH=.\n",
    "pyproject.toml": "[tool.pisnn-deploy]\n",
    "pip.conf": "[global]\n",
    "pyvenv.cfg": "home = .\n",
    "pybuilddir.txt": ".\n",
    "python310._pth": ".\n",
}
PLAN = "models: [heat1d]\nmeshes: [16]\nsteps: [2]\nbackends: [fast]\n"


@pytest.fixture()
def trapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder full of what libraries, Python and shells might take for theirs; what runs writes the file PWNED."""
    folder = tmp_path / "trapped"
    folder.mkdir()
    mark = f"open({str(folder / 'PWNED')!r}, 'a').write(__name__ + chr(10))\n"
    for name in MODULES:
        (folder / f"{name}.py").write_text(mark)
    for name in ("multiprocessing", "encodings"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(mark)
        (folder / name / "resource_tracker.py").write_text(mark)
    for name in PROGRAMS:
        (folder / name).write_text(f"#!/bin/sh\necho {name} >> {folder}/PWNED\n")
        (folder / name).chmod(0o755)
    for name, text in SETTINGS.items():
        (folder / name).write_text(text)
    (folder / "plan.yaml").write_text(PLAN)
    write_artifact(folder / "a.pisnn", compiled(cells=16), {})
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    "words",
    [
        "simulate a.pisnn --steps 2 -q --plot p.png",
        "simulate heat1d --backend torch --steps 2 -q",
        "campaign plan.yaml -q",
        "doctor --run -q",
    ],
)
def test_traps_of_the_current_folder_catch_nothing(words: str, trapped: Path) -> None:
    environment = {**os.environ, "PATH": os.pathsep.join(["", ".", os.environ["PATH"]]), "LD_LIBRARY_PATH": ""}
    done = subprocess.run([COMMAND, *words.split()], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert not (trapped / "PWNED").exists(), (trapped / "PWNED").read_text()


def test_the_module_may_be_started_by_name(trapped: Path) -> None:
    # What Python itself imports before the first line of ours is beyond us; here it is runpy.
    done = subprocess.run(
        [sys.executable, "-m", "pisnn_deploy.cli.main", "inspect", "a.pisnn", "-q"], capture_output=True, check=False
    )
    assert (trapped / "PWNED").read_text() == "pisnn_deploy\n" and done.returncode != 0


LOGGED = """
import json, os, pathlib, sys
here, looked = os.getcwd(), set()

def note(path):
    if isinstance(path, (str, bytes, os.PathLike)):
        whole = os.path.join(os.getcwd(), os.fsdecode(path))
        if whole.startswith(here + os.sep):
            looked.add(whole[len(here) + 1:])

def logged(function):
    def called(path, *rest, **named):
        note(path)
        return function(path, *rest, **named)
    return called

for name in ("stat", "lstat", "open", "scandir", "listdir", "access", "readlink"):
    setattr(os, name, logged(getattr(os, name)))
    if name != "open" and hasattr(getattr(pathlib, "_NormalAccessor", None), name):  # Python 3.10 has them twice
        setattr(pathlib._NormalAccessor, name, staticmethod(getattr(os, name)))
sys.addaudithook(lambda event, given: note(given[0]) if event in ("open", "os.listdir", "os.scandir") else None)

from pisnn_deploy.cli.main import group
from pisnn_deploy.core.surroundings import shut_out_current_folder
shut_out_current_folder()
for words in json.load(sys.stdin):
    group.main(words, standalone_mode=False)
json.dump(sorted(looked), sys.stdout)
"""
IN_ONE_PROCESS = (
    "models show heat1d",
    "verify a.pisnn -q",
    "check a.pisnn -q",
    "inspect a.pisnn -q --format png -o given/a.png",
    "export a.pisnn --to onnx -o given/a.onnx -q",
    "export heat1d --to netx -o given/a.net -q",
    "export heat1d --to nir -o given/a.nir -q",
    "compile given/a.net -o given/n.pisnn -q",
    "simulate a.pisnn --backend fast --steps 2 -q --save given/t.npz --plot given/t.png --report given/t.html",
    "simulate a.pisnn --backend onnx --steps 2 -q",
    "simulate heat1d --backend torch --steps 2 -q",
)


def test_nothing_else_is_looked_for_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_artifact(tmp_path / "a.pisnn", compiled(cells=16), {})
    (tmp_path / "given").mkdir()
    commands = [words.split() for words in IN_ONE_PROCESS]
    done = subprocess.run(
        [sys.executable, "-c", LOGGED], input=json.dumps(commands), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    looked = json.loads(done.stdout[done.stdout.rindex('["') :])
    given = {"a.pisnn", "heat1d", "given", "loihi2"}  # a name may be one of a file
    assert {path for path in looked if not path.startswith("given/")} == {
        *(*given, ".", "pisnn.toml", "setup.cfg"),
        ".git",  # whether the folder is a checkout, whose name SARIF's paths begin with
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("/bin::/usr/bin", "/bin:/usr/bin"),
        (":/bin", "/bin"),
        (".:/bin:tools/bin", "/bin"),
        ("", None),
        (".:", None),
        ("/bin", "/bin"),
    ],
)
def test_search_paths_keep_what_is_absolute(before: str, after: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", before)
    surroundings._keep_absolute("PATH")
    assert os.environ.get("PATH") == after


def test_the_import_path_loses_the_current_folder_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    usual = [path for path in sys.path if path]
    for entry in ("", ".", str(tmp_path)):
        monkeypatch.setattr(sys, "path", [entry, *usual])
        surroundings._clean_import_path()
        assert sys.path == usual
    monkeypatch.setenv("PYTHONPATH", f"{os.pathsep}src{os.pathsep}.")  # the user asked for these two
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "src"), *usual])
    surroundings._clean_import_path()
    assert sys.path == [str(tmp_path), str(tmp_path / "src"), *usual]
    assert os.environ["PYTHONPATH"] == os.pathsep.join([str(tmp_path / "src"), str(tmp_path)])
    homes = (Path(os.__file__).parent, Path(pytest.__file__).parent.parent, Path(pisnn_deploy.__file__).parent.parent)
    for home in homes:  # Python, its packages, and this one
        monkeypatch.chdir(home)
        monkeypatch.setattr(sys, "path", ["", *usual])
        surroundings._clean_import_path()
        assert sys.path == usual


def test_child_processes_import_this_very_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one that lies first on the user's path, nor our folders as if they were packages of others."""
    (tmp_path / "pisnn_deploy").mkdir()
    (tmp_path / "pisnn_deploy" / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    program = "import importlib.util, pisnn_deploy; print(pisnn_deploy.__file__, importlib.util.find_spec('estimates'))"
    done = subprocess.run(
        surroundings.python_command(program),
        env=surroundings.child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == (f"{pisnn_deploy.__file__} None\n", 0)


def test_a_folder_that_was_deleted_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    write_artifact(tmp_path / "a.pisnn", compiled(cells=16), {})
    monkeypatch.chdir(gone)
    words = (
        f"rmdir ../gone; exec {COMMAND} simulate {tmp_path}/a.pisnn --backend fast --steps 2 -q --plot {tmp_path}/p.png"
    )
    done = subprocess.run(["sh", "-c", words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
