"""Commands that tests run in a fork end and print as the installed one, and leave nothing to the next."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import run_command, run_installed
from models_under_test import compiled

from pisnn_deploy.graph.artifact import write_artifact


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("--help", 0),
        ("models show heat1d --json", 0),
        ("check a.pisnn --profile loihi1", 1),
        ("verify none.pisnn", 2),
        ("simulate a.pisnn --backend fast --steps x", 2),
        ("--log-level debug verify none.pisnn", 2),
    ],
)
def test_a_fork_ends_and_prints_as_the_installed_command(words: str, code: int, tmp_path: Path) -> None:
    write_artifact(tmp_path / "a.pisnn", compiled(cells=16), {})
    fork, installed = (run(*words.split(), folder=tmp_path) for run in (run_command, run_installed))
    assert (fork.args, fork.returncode, fork.stdout, fork.stderr) == (
        installed.args,
        code,
        installed.stdout,
        installed.stderr,
    )


def test_nothing_passes_from_one_command_to_the_next(tmp_path: Path) -> None:
    write_artifact(tmp_path / "a.pisnn", compiled(cells=16), {})
    (tmp_path / "pisnn.toml").write_text('[check]\nprofile = "generic-int"\n')
    variables = {"COMP_WORDS": "pisnn-deploy doc", "COMP_CWORD": "1", "_PISNN_DEPLOY_COMPLETE": "bash_complete"}
    assert run_command(folder=tmp_path, **variables).stdout == "plain,doctor\n"
    assert "takes from pisnn.toml" in run_command("check", "a.pisnn", folder=tmp_path).stderr
    (tmp_path / "pisnn.toml").unlink()
    done = run_command("check", "a.pisnn", "-q", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_text_that_is_no_unicode_is_passed_on(tmp_path: Path) -> None:
    done = run_command("verify", "\udcff", folder=tmp_path)
    assert done.returncode == 2 and done.stderr == "error: \\udcff: cannot be read (No such file or directory)\n"
