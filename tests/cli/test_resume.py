"""`--resume` and the folder of a recording: nothing starts anew, is given up or removed without a word."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from models_under_test import compiled

from pisnn_deploy.cli.main import main
from pisnn_deploy.graph.artifact import write_artifact
from pisnn_deploy.project import simulation

Call = Callable[..., tuple[object, str]]
WORDS = ("simulate", "a.pisnn", "--backend", "fast", "--steps", "20", "-q", "--save", "x.npz")


@pytest.fixture(autouse=True)
def _artifact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_artifact(Path("a.pisnn"), compiled(cells=16), {})


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    def called(*words: str) -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", ["pisnn-deploy", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, capsys.readouterr().err

    return called


def test_a_run_that_has_no_recording_says_that_it_starts_anew(call: Call) -> None:
    warning = "warning: --resume: nothing is recorded in x.npz.partial; starting at PDE step 0\n"
    assert call(*WORDS, "--resume") == (0, warning)
    first = Path("x.npz").read_bytes()
    # Neither does a run that was ended: its recording is gone.
    assert call(*WORDS, "--resume") == (0, warning)
    assert Path("x.npz").read_bytes() == first and not Path("x.npz.partial").exists()


def test_a_run_that_is_recorded_says_what_becomes_of_it(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(simulation, "discard", lambda folder: None)
        assert call(*WORDS) == (0, "")
    assert Path("x.npz.partial/snapshot.npz").exists()
    with monkeypatch.context() as patch:
        patch.setattr(simulation, "discard", lambda folder: None)
        assert call(*WORDS, "--resume") == (0, "")
    told = "warning: x.npz.partial: discarding the earlier recording; use --resume to continue it\n"
    assert call(*WORDS) == (0, told)
    assert not Path("x.npz.partial").exists()


def test_a_folder_of_somebody_is_not_removed(call: Call) -> None:
    folder = Path("x.npz.partial")
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    reason = "is not a file of a recording; move it out of x.npz.partial, or save to another file"
    assert call(*WORDS) == (2, f"error: x.npz.partial/thesis.txt: {reason}\n")
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"] and not Path("x.npz").exists()
    assert (folder / "thesis.txt").read_text() == "mine"
