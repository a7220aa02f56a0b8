"""Ctrl-C, whenever it comes: exit code 130, one word, no traceback."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from models_under_test import compiled

from pisnn_deploy.cli.interrupts import Interrupts
from pisnn_deploy.graph.artifact import write_artifact

AT_AN_IMPORT = """
import importlib.abc, signal, sys
name = sys.argv.pop(1)

class Interrupting(importlib.abc.MetaPathFinder):
    def find_spec(self, found, path=None, target=None):
        if found == name:
            signal.raise_signal(signal.SIGINT)

from pisnn_deploy.cli import start
sys.meta_path.insert(0, Interrupting())
start.main()
"""


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("click", "--help"),
        ("pisnn_deploy.core.surroundings", "verify a.pisnn"),
        ("numpy", "verify a.pisnn"),
        ("numpy.core.multiarray", "verify a.pisnn"),
        ("pydantic_core", "verify a.pisnn"),
        ("matplotlib", "inspect a.pisnn --format png -o a.png"),
        ("llvmlite.binding", "simulate a.pisnn --backend fast --steps 2"),
    ],
)
def test_while_something_is_imported(module: str, words: str, tmp_path: Path) -> None:
    write_artifact(tmp_path / "a.pisnn", compiled(cells=16), {})
    done = subprocess.run(
        [sys.executable, "-c", AT_AN_IMPORT, module, *words.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "interrupted")
    assert [path.name for path in tmp_path.iterdir()] == ["a.pisnn"]


def test_an_import_is_ended_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "interrupted_here", None)
    monkeypatch.delitem(sys.modules, "interrupted_here")
    (tmp_path / "interrupted_here.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\nwhole = True\n")
    interrupts = Interrupts()
    with interrupts.heard():
        interrupts.has_begun = True
        with pytest.raises(KeyboardInterrupt):
            importlib.import_module("interrupted_here")
            for _ in range(1000):
                time.sleep(0.01)
    assert interrupts.happened and sys.modules["interrupted_here"].whole


class _Interrupted:
    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def test_what_a_destructor_swallows_is_raised_again(capfd: pytest.CaptureFixture[str]) -> None:
    interrupts = Interrupts()
    with interrupts.heard():
        held = [_Interrupted()]
        with pytest.raises(KeyboardInterrupt):
            held.clear()
            for _ in range(1000):
                time.sleep(0.01)
    assert capfd.readouterr().err == ""


def test_nothing_is_raised_once_the_command_has_ended() -> None:
    interrupts = Interrupts()
    with interrupts.heard():
        interrupts.end()
        signal.raise_signal(signal.SIGINT)
    assert not interrupts.happened


def test_signals_that_are_ignored_or_not_ours_stay_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a shell's background jobs
    try:
        with Interrupts().heard():
            signal.raise_signal(signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    interrupts = Interrupts()

    def elsewhere() -> None:
        with interrupts.heard():
            pass

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGINT) is before
