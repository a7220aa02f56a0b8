"""docs/reference/ci.md, action.yml and the pre-commit hook do what they say, as far as that goes without a network."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click
import pytest
import yaml
from commands import path_with_commands
from models_under_test import compiled

import pisnn_deploy
from pisnn_deploy.checks.formats import FORMATS
from pisnn_deploy.cli.commands.check import command
from pisnn_deploy.cli.commands.simulate import command as simulate
from pisnn_deploy.graph.artifact import write_artifact

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "ci.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
(HOOK,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
INSTALL = 'pip install "$PISNN_DEPLOY"'


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


@pytest.fixture()
def folder(tmp_path: Path) -> Path:
    """A checkout with an artifact and the report of an earlier check."""
    write_artifact(tmp_path / "heat.pisnn", compiled(cells=16), {})
    done = run(tmp_path, "pisnn-deploy check heat.pisnn --profile loihi2 --format json --output heat.json -q")
    assert done.returncode == 0
    return tmp_path


def run(folder: Path, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    environment = {**os.environ, "PATH": path_with_commands(), **variables}
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def dictionaries(value: Any) -> Iterator[dict[Any, Any]]:
    """Every mapping of a document, at any depth."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from dictionaries(inner)


def documents() -> list[Any]:
    return [yaml.safe_load(text) for text in blocks("yaml")]


def test_the_page_has_a_snippet_for_each_place() -> None:
    assert {name: len(blocks(name)) for name in ("sh", "make", "yaml")} == {"sh": 3, "make": 1, "yaml": 4}
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == set(FORMATS)


@pytest.mark.parametrize("text", blocks("sh"))
def test_shell_snippets_run(text: str, folder: Path) -> None:
    for line in text.splitlines():
        done = run(folder, line)
        assert done.returncode == 0, done.stderr


def test_the_make_snippet_runs_and_fails_on_growth(folder: Path) -> None:
    (text,) = blocks("make")
    (folder / "Makefile").write_text(text)
    assert run(folder, "make check").returncode == 0
    write_artifact(folder / "heat.pisnn", compiled(cells=24), {})
    done = run(folder, "make check")
    assert done.returncode == 2 and "error: heat.pisnn: grew: neurons went from 32 to 48" in done.stderr


def test_commands_of_the_yaml_snippets_run(folder: Path) -> None:
    scripts = []
    for part in (part for document in documents() for part in dictionaries(document)):
        scripts += part.get("script", []) + ([part["run"]] if "run" in part else [])
    commands = [script for script in scripts if script != INSTALL]
    assert len(commands) == 2 and scripts.count(INSTALL) == 2
    for script in commands:
        assert script.startswith("pisnn-deploy check ")
        done = run(folder, script)
        assert done.returncode == 0, done.stderr
    (reports,) = [part["reports"] for document in documents() for part in dictionaries(document) if "reports" in part]
    assert ElementTree.parse(folder / reports["junit"]).getroot().tag == "testsuites"


def uses_of_the_action() -> list[dict[str, str]]:
    parts = [part for document in documents() for part in dictionaries(document)]
    return [part["with"] for part in parts if str(part.get("uses")).startswith("OWNER/pisnn-deploy@")]


def run_action(folder: Path, **given: str) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
    """The last step of the action with its inputs filled in as GitHub does, and what it put out."""
    step = ACTION["runs"]["steps"][-1]
    inputs = {name: entry.get("default", "") for name, entry in ACTION["inputs"].items()} | given
    variables = {}
    for name, text in step["env"].items():
        key = re.fullmatch(r"\$\{\{ inputs\.([\w-]+) \}\}", text)
        assert key is not None
        variables[name] = inputs[key[1]]
    output = folder / "github_output"
    output.write_text("")
    done = run(folder, step["run"], GITHUB_OUTPUT=str(output), **variables)
    return done, dict(line.split("=", 1) for line in output.read_text().splitlines())


def test_the_action_is_used_as_it_is_declared(folder: Path) -> None:
    (given,) = uses_of_the_action()
    assert set(given) <= set(ACTION["inputs"])
    assert {name for name, entry in ACTION["inputs"].items() if entry.get("required")} <= set(given)
    done, outputs = run_action(folder, **given)
    assert done.returncode == 0, done.stderr
    (uploaded,) = re.findall(r"sarif_file: (.*)", PAGE)
    assert outputs == {"report": uploaded} and '"version": "2.1.0"' in (folder / uploaded).read_text()


def test_the_action_fails_and_still_writes_its_report(folder: Path) -> None:
    done, outputs = run_action(folder, artifact="heat.pisnn", profile="loihi2\nloihi1\n")
    assert done.returncode == 1 and "does not fit loihi1" in done.stderr
    assert '"level": "error"' in (folder / outputs["report"]).read_text()
    done, outputs = run_action(folder, artifact="heat.pisnn", profile="loihi1", format="github")
    assert done.returncode == 1 and outputs == {} and done.stdout.startswith("::error file=heat.pisnn,")


def test_the_action_checks_several_files_with_some_rules(folder: Path) -> None:
    shutil.copy(folder / "heat.pisnn", folder / "second.pisnn")
    for artifact in ("heat.pisnn second.pisnn", "heat.pisnn\nsecond.pisnn\n", "*.pisnn"):
        done, _ = run_action(folder, artifact=artifact, profile="loihi1", format="github", ignore="PD105")
        assert done.returncode == 1
        assert all(f"::error file={name}," in done.stdout for name in ("heat.pisnn", "second.pisnn"))
    codes = sorted(set(re.findall(r"::error file=heat.pisnn,title=(PD\d+)", done.stdout)))
    ignored, _ = run_action(folder, artifact="heat.pisnn", profile="loihi1", format="github", ignore=",".join(codes))
    selected, _ = run_action(folder, artifact="heat.pisnn", profile="loihi1", format="github", select=codes[0])
    assert (ignored.returncode, selected.returncode) == (0, 1)


def test_the_page_names_the_version_as_the_tag() -> None:
    assert set(re.findall(r"pisnn-deploy@v([\d.]+)", PAGE)) == {pisnn_deploy.__version__}
    revisions = set(re.findall(r"rev: v([\d.]+)", PAGE))
    assert revisions <= {pisnn_deploy.__version__}


def test_inputs_of_the_action_are_no_commands(folder: Path) -> None:
    hostile = '$(touch owned); `touch owned` "; touch owned #'
    for name in ("artifact", "profile", "format", "output", "baseline", "max-growth", "select", "ignore", "fail-on"):
        done, _ = run_action(folder, **{"artifact": "heat.pisnn", "baseline": "heat.json", name: hostile})
        assert done.returncode in (0, 2) and not (folder / "owned").exists()
    assert not any("${{" in step.get("run", "") for step in ACTION["runs"]["steps"])
    assert run_action(folder, artifact="--help")[0].returncode == 2


def test_the_action_installs_this_repository_on_a_python_that_it_supports() -> None:
    steps = ACTION["runs"]["steps"]
    assert ACTION["inputs"]["python-version"]["default"] == "3.13"
    assert steps[0]["with"]["cache"] == "pip"
    assert steps[0]["with"]["cache-dependency-path"].endswith("/setup.cfg")
    assert steps[1]["run"].endswith('pip install --quiet --disable-pip-version-check "$GITHUB_ACTION_PATH"')


def test_the_hook_checks_every_artifact_of_a_commit(folder: Path) -> None:
    (hook,) = (part for document in documents() for part in dictionaries(document) if part.get("id") == HOOK["id"])
    write_artifact(folder / "other heat.pisnn", compiled(cells=24), {})
    names = sorted(path.name for path in folder.iterdir() if re.search(HOOK["files"], path.name))
    assert names == ["heat.pisnn", "other heat.pisnn"]
    assert run(folder, shlex.join([*shlex.split(HOOK["entry"]), *hook["args"], *names])).returncode == 0
    done = run(folder, shlex.join([*shlex.split(HOOK["entry"]), "--profile", "loihi1", *names]))
    assert done.returncode == 1
    assert done.stderr == "error: heat.pisnn: does not fit loihi1; other heat.pisnn: does not fit loihi1\n"


def test_every_option_in_use_exists() -> None:
    options = [option for one in (command, simulate) for option in one.params if isinstance(option, click.Option)]
    known = {name for option in options for name in option.opts}
    hook = " ".join(HOOK["entry"].split())
    for text in (PAGE, ACTION["runs"]["steps"][-1]["run"], hook):
        assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)) <= known
    used = {name for name in known if name.startswith("--") and name in PAGE}
    assert {"--profile", "--format", "--output", "--baseline", "--max-growth", "--ignore"} <= used
