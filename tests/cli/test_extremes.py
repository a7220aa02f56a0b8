"""Commands where the world around them is poor: no home, no terminal, no room, no memory, no docstrings, no Unicode."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from commands import COMMAND
from models_under_test import compiled
from numpy.typing import NDArray

from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import FileError, UsageError
from pisnn_deploy.core.limits import available_memory, is_lack_of_memory
from pisnn_deploy.fields.npy_file import read_field
from pisnn_deploy.graph.artifact import write_artifact
from pisnn_deploy.mesh import parse_shape

ASCII = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture()
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with an artifact of 8 cells in it."""
    monkeypatch.chdir(tmp_path)
    write_artifact(tmp_path / "a.pisnn", compiled(cells=8), {})
    return tmp_path


def ended(
    words: list[str], environment: Mapping[str, str] | None = None, before: Callable[[], None] | None = None
) -> tuple[int, str, str]:
    done = subprocess.run(
        [COMMAND, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        env=None if environment is None else dict(environment),
        preexec_fn=before,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


FIELD = np.linspace(0.75, 1.25, 8)


@pytest.mark.parametrize("kind", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "i1", "<i4", ">i8", ">u2"])
def test_initial_fields_of_any_number_format(kind: str, tmp_path: Path) -> None:
    values = (FIELD * 4).astype(kind)
    np.save(tmp_path / "u.npy", values)
    read = read_field(tmp_path / "u.npy", (8,))
    assert read.dtype == np.dtype("=f8") and np.array_equal(read, values.astype(np.float64))


def test_initial_fields_of_any_memory_layout(tmp_path: Path) -> None:
    plane = np.arange(24.0).reshape(4, 6)
    for number, values in enumerate(
        (np.asfortranarray(plane), plane[::-1, ::2], plane.T, np.broadcast_to(1.0, (4, 6)))
    ):
        path = tmp_path / f"{number}.npy"
        np.save(path, values)
        assert np.array_equal(read_field(path, values.shape), values)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (np.ones((8, 1)), "has shape (8, 1), the mesh has (8,)"),
        (np.ones(0), "has shape (0,), the mesh has (8,)"),
        (np.float64(1), "has shape (), the mesh has (8,)"),
        (np.ones(8, np.complex64), "holds complex64, it must hold floats of at most 64 bits"),
        (np.ones(8, np.bool_), "holds bool, it must hold floats of at most 64 bits"),
        (np.ones(8, np.longdouble), f"holds {np.dtype(np.longdouble)}, it must hold floats of at most 64 bits"),
        (np.where(np.arange(8) == 5, np.nan, 1.0), "cell 5: value nan is not finite"),
        (np.where(np.arange(8) == 2, -np.inf, 1.0).astype(">f2"), "cell 2: value -inf is not finite"),
    ],
)
def test_initial_fields_that_are_none(values: NDArray[np.generic], problem: str, tmp_path: Path) -> None:
    path = tmp_path / "u.npy"
    np.save(path, values)
    with pytest.raises(FileError) as refused:
        read_field(path, (8,))
    assert str(refused.value) == f"{path}: {problem}"


def test_an_empty_domain_is_refused() -> None:
    with pytest.raises(UsageError) as refused:
        parse_shape("0")
    assert str(refused.value) == "mesh '0': 0 cells, expected 1 to 67108864"


def test_no_home_no_terminal_no_unicode(folder: Path) -> None:
    place = folder / "Räume mit → Leerzeichen"
    place.mkdir()
    (folder / "a.pisnn").rename(place / "ä.pisnn")
    np.save(place / "ü.npy", np.ones(8))
    words = ["simulate", f"{place}/ä.pisnn", "--backend", "fast", "--steps", "2", "-q"]
    words += ["--initial", f"{place}/ü.npy", "--save", f"{place}/ö.npz", "--plot", f"{place}/ß.png"]
    assert ended(words, {**ASCII, "HOME": "/dev/null"}) == (0, "", "")
    assert {path.name for path in place.iterdir()} == {"ä.pisnn", "ü.npy", "ö.npz", "ß.png"}
    code, said, errors = ended(["inspect", f"{place}/ä.pisnn"], ASCII)
    assert (code, errors) == (0, "") and said.isascii() and "heat1d, 8" in said
    code, said, errors = ended(["verify", f"{place}/fehlt.pisnn"], ASCII)
    assert (code, said) == (2, "") and errors.endswith("fehlt.pisnn: cannot be read (No such file or directory)\n")
    assert errors.count("\n") == 1


def test_lava_runs_below_a_folder_of_any_name(folder: Path) -> None:
    temporary = folder / "ü v"
    temporary.mkdir()
    environment = {**os.environ, **ASCII, "HOME": "/dev/null", "TMPDIR": str(temporary), "PYTHONOPTIMIZE": "2"}
    assert ended(["simulate", "a.pisnn", "--steps", "2", "-q"], environment) == (0, "", "")
    assert not list(temporary.iterdir())


ODD_VARIABLES = {
    **{"NUMBA_CPU_NAME": "nonsense", "NUMBA_NUM_THREADS": "0", "NUMBA_OPT": "99", "NUMBA_DEBUG": "1"},
    **{"NUMBA_CACHE_DIR": "/dev/null", "OMP_NUM_THREADS": "abc", "OPENBLAS_NUM_THREADS": "-3", "PYTHONOPTIMIZE": "2"},
    **{"MPLBACKEND": "module://nonsense", "MPLCONFIGDIR": "/proc/none", "HOME": "/none", "TMPDIR": "/none"},
    **{"XDG_CACHE_HOME": "/proc/none", "PYTHONWARNINGS": "error", "LC_ALL": "xx_YY"},
}


def test_odd_environment_variables_change_nothing(folder: Path) -> None:
    words = ["simulate", "a.pisnn", "--backend", "fast", "--steps", "2", "-q", "--plot", "p.png"]
    assert ended(words, {**os.environ, **ODD_VARIABLES}) == (0, "", "")


REDIRECTIONS = (
    ("verify a.pisnn >&-", 0, ""),
    ("inspect a.pisnn >&- 2>&- <&-", 0, ""),
    ("check a.pisnn --format json >/dev/full", 2, "error: output cannot be written (No space left on device)\n"),
    ("models list >/dev/full", 2, "error: output cannot be written (No space left on device)\n"),
    ("simulate a.pisnn --backend fast --steps 1 --json <&- >/dev/full 2>/dev/full", 2, ""),
)


@pytest.mark.parametrize(("words", "code", "said"), REDIRECTIONS)
def test_streams_that_are_closed_or_full(words: str, code: int, said: str, folder: Path) -> None:
    command = f"exec {shlex.quote(COMMAND)} {words}"
    done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, said)


OUTPUTS = (
    "compile heat1d --mesh 4 -o {}/b.pisnn",
    "simulate a.pisnn --backend fast --steps 1 --save {}/t.npz",
    "simulate a.pisnn --backend fast --steps 1 --plot {}/t.png",
    "check a.pisnn --output {}/report",
    "inspect a.pisnn --format dot -o {}/a.dot",
    "export a.pisnn --to onnx -o {}/a.onnx",
)


@pytest.mark.parametrize("words", OUTPUTS)
def test_outputs_below_a_file_are_refused(words: str, folder: Path) -> None:
    before = (folder / "a.pisnn").read_bytes()
    place = words.format("a.pisnn").split()
    refused = CliRunner().invoke(group, place)
    assert isinstance(refused.exception, FileError) and refused.output == ""
    assert str(refused.exception) == f"{place[-1]}: cannot be written (Not a directory)"
    assert (folder / "a.pisnn").read_bytes() == before and len(list(folder.iterdir())) == 1


def test_outputs_in_a_folder_that_cannot_be_written_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_only = folder / "ro"
    read_only.mkdir()
    opened = os.open

    def refuses(path: object, flags: int, *rest: Any, **named: Any) -> int:
        if flags & os.O_CREAT and Path(os.fsdecode(path)).parent.name == "ro":  # type: ignore[arg-type]
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return opened(path, flags, *rest, **named)  # type: ignore[arg-type]

    # The tests may run as root, whom no permission stops; a mount that is read-only answers like this.
    monkeypatch.setattr(os, "open", refuses)
    for words in OUTPUTS:
        place = words.format("ro").split()
        refused = CliRunner().invoke(group, place)
        assert isinstance(refused.exception, FileError) and refused.output == ""
        assert str(refused.exception) == f"{place[-1]}: cannot be written (Read-only file system)"
    assert not list(read_only.iterdir())


def limited(bytes_: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (bytes_, bytes_))


@pytest.mark.parametrize(
    ("limit", "sentence"),
    [
        (1 << 30, r"16777216 cells take about 8 GB to compile, \d GB are free; choose a coarser --mesh, or "),
        (4 << 30, r"16777216 cells take about 8 GB to compile, \d GB are free; choose a coarser --mesh, or "),
    ],
)
def test_limited_memory_is_one_line(limit: int, sentence: str, folder: Path) -> None:
    code, said, errors = ended(["compile", "heat1d", "--mesh", "16777216"], before=limited(limit))
    assert (code, said) == (2, "") and errors.count("\n") == 1
    assert re.match(f"error: {sentence}", errors), errors
    assert [path.name for path in folder.iterdir()] == ["a.pisnn"]


def test_small_work_needs_little_memory(folder: Path) -> None:
    for words in (["inspect", "a.pisnn", "-q"], ["verify", "a.pisnn", "-q"], ["check", "a.pisnn", "-q"]):
        assert ended(words, before=limited(1 << 29)) == (0, "", "")


def test_the_limit_of_the_process_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    free = available_memory()
    assert free is not None and free > 1 << 20
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (1 << 20, 1 << 20))
    assert available_memory() == 0


@pytest.mark.parametrize(
    ("error", "lacks"),
    [
        (MemoryError(), True),
        (OSError(12, "Cannot allocate memory"), True),
        (ImportError("libtorch.so: failed to map segment from shared object"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."), True),
        (OSError(28, "No space left on device"), False),
        (RuntimeError("anything else"), False),
    ],
)
def test_lack_of_memory_is_told_from_other_errors(error: Exception, lacks: bool) -> None:
    assert is_lack_of_memory(error) is lacks


WITHOUT_DOCSTRINGS = """
import json, sys
from click.testing import CliRunner
from pisnn_deploy.cli.main import documented, group
assert False, "asserts must be gone"
documented(group)
outputs = {words: CliRunner().invoke(group, words.split()).output for words in sys.argv[1:]}
sys.stdout.write(json.dumps(outputs))
"""
WORDS = ("-h", "simulate -h", "models list -h", "profiles schema", "check a.pisnn --profile loihi1 --format json")


def test_nothing_rests_on_docstrings_or_asserts(folder: Path) -> None:
    environment = {**os.environ, "PYTHONOPTIMIZE": "2"}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DOCSTRINGS, *WORDS], capture_output=True, text=True, env=environment, check=True
    )
    found = json.loads(done.stdout)
    for words in WORDS:
        expected = CliRunner().invoke(group, words.split()).output
        if expected.startswith("{"):  # the order of keys may differ
            assert json.loads(found[words]) == json.loads(expected), words
        else:
            assert found[words] == expected, words
    assert "Examples:" in found["simulate -h"] and '"fix": "' in found[WORDS[-1]]
