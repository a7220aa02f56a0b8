"""Little memory and few files: one line, no traceback, nothing that waits for ever."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from models_under_test import compiled

from pisnn_deploy.core import limits
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.artifact import write_artifact

COMMAND = [sys.executable, "-c", "from pisnn_deploy.cli.start import main; main()"]
PLAN = "models: [heat1d]\nmeshes: [16]\nsteps: [2]\n"


@pytest.mark.parametrize(
    ("limit", "value", "words", "begins"),
    [
        (resource.RLIMIT_AS, 150, "verify a.pisnn", "memory ran out"),
        (resource.RLIMIT_AS, 200, "check a.pisnn", "memory ran out: check needs at least 215 MB"),
        (resource.RLIMIT_AS, 3070, "train heat1d", "memory ran out: training needs at least 3800 MB"),
        (resource.RLIMIT_AS, 260, "inspect a.pisnn --format png -o a.png", "memory ran out: pictures"),
        (resource.RLIMIT_AS, 300, "simulate a.pisnn --steps 3", "memory ran out: backend cpu needs"),
        (resource.RLIMIT_AS, 300, "simulate a.pisnn --backend torch --steps 3", "memory ran out"),
        (resource.RLIMIT_AS, 500, "campaign plan.yaml", "memory ran out: cluster needs at least 1200"),
        (resource.RLIMIT_NOFILE, 16, "simulate a.pisnn --steps 3", "cpu backend: Lava opens up to 128 files at once"),
        (resource.RLIMIT_NOFILE, 20, "campaign plan.yaml --workers 2", "a cluster of 2 workers opens up to 64 files"),
    ],
)
def test_what_cannot_end_well_does_not_begin(limit: int, value: int, words: str, begins: str, tmp_path: Path) -> None:
    write_artifact(tmp_path / "a.pisnn", compiled(cells=16), {})
    (tmp_path / "plan.yaml").write_text(PLAN)
    bound = value * limits.MEGABYTE if limit == resource.RLIMIT_AS else value
    done = subprocess.run(
        [*COMMAND, *words.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(limit, (bound, bound)),
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"error: {begins}"), done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pisnn", "plan.yaml"]


@pytest.mark.parametrize(
    ("limit", "value", "words"),
    [
        (resource.RLIMIT_AS, 230, "verify a.pisnn -q"),
        (resource.RLIMIT_AS, 400, "simulate a.pisnn --backend fast --steps 3 -q"),
        (resource.RLIMIT_NOFILE, 16, "simulate a.pisnn --backend fast --steps 3 -q"),
    ],
)
def test_what_suffices_is_taken(limit: int, value: int, words: str, tmp_path: Path) -> None:
    write_artifact(tmp_path / "a.pisnn", compiled(cells=16), {})
    bound = value * limits.MEGABYTE if limit == resource.RLIMIT_AS else value
    done = subprocess.run(
        [*COMMAND, *words.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(limit, (bound, bound)),
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_more_files_are_asked_for_where_that_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (64, 5000) if kind == resource.RLIMIT_NOFILE else (-1, -1))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, wanted: asked.append((kind, wanted)))
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    limits.live_within_limits()
    assert asked == [(resource.RLIMIT_NOFILE, (4096, 5000))] and os.environ["OMP_NUM_THREADS"] == "7"


def test_libraries_take_one_thread_where_memory_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (1 << 30, 1 << 30))
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    limits.live_within_limits()
    assert os.environ["OMP_NUM_THREADS"] == os.environ["OPENBLAS_NUM_THREADS"] == "1"
    with pytest.raises(UsageError) as refused:
        limits.require_memory("cluster")
    assert str(refused.value) == (
        "memory ran out: cluster needs at least 1200 MB of address space, but the limit is 1073 MB; raise it "
        "with ulimit -v"
    )
    limits.require_memory("backend cpu")
    limits.require_memory("completion")


def test_lack_of_files_is_told_from_other_errors() -> None:
    assert limits.is_lack_of_files(OSError(24, "Too many open files"))
    assert limits.is_lack_of_files(ImportError("libx.so: cannot open shared object file: Too many open files"))
    assert not limits.is_lack_of_files(OSError(2, "No such file or directory"))
