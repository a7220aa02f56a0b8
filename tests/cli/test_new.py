"""Starters work as they stand, and nothing is overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import run_command

from pisnn_deploy.project.starters import STARTERS
from pisnn_deploy.training.recipe import read_recipe

NEXT: dict[str, list[tuple[str, ...]]] = {
    "law": [("law", "show", "mine.yaml", "-q"), ("compile", "mine.yaml", "--mesh", "16", "-q", "-o", "mine.pisnn")],
    "profile": [("profiles", "validate", "mine.yaml"), ("compile", "heat1d", "--mesh", "16", "--profile", "mine.yaml")],
    "plan": [("campaign", "mine.yaml", "--dry-run")],
    "recipe": [],
}


@pytest.mark.parametrize("kind", STARTERS)
def test_starters_work_as_they_stand(kind: str, tmp_path: Path) -> None:
    done = run_command("new", kind, "mine", folder=tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("wrote mine.yaml; next:\n  pisnn-deploy ")
    for words in NEXT[kind]:
        done = run_command(*words, folder=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), words
    if kind == "recipe":
        assert read_recipe(tmp_path / "mine.yaml").model.name == "mine"
    text = (tmp_path / "mine.yaml").read_text()
    assert text.startswith("# ") and "@" not in text and all(len(line) <= 120 for line in text.splitlines())


@pytest.mark.parametrize("name", ["on", "true", "null"])
def test_names_stay_text(name: str, tmp_path: Path) -> None:
    run_command("new", "law", name, "-q", folder=tmp_path)
    done = run_command("law", "show", f"{name}.yaml", "--json", folder=tmp_path)
    assert json.loads(done.stdout)["name"] == name


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("precious")
    done = run_command("new", "law", "mine", folder=tmp_path)
    assert (done.returncode, path.read_text()) == (2, "precious")
    assert done.stderr == "error: mine.yaml: exists; choose another name, or overwrite it with --force\n"
    (tmp_path / "link.yaml").symlink_to("nowhere.yaml")
    assert run_command("new", "law", "link", folder=tmp_path).returncode == 2
    done = run_command("new", "law", "mine", "--force", "--json", folder=tmp_path)
    assert json.loads(done.stdout)["commands"] == ["pisnn-deploy law show mine.yaml", "pisnn-deploy compile mine.yaml"]
    assert path.read_text().startswith("# A conservation law")


@pytest.mark.parametrize("name", ["Mine", "../mine", "", "a b", "9a", "mine.yaml", "a" * 65, "a\nb"])
def test_wrong_names(name: str, tmp_path: Path) -> None:
    done = run_command("new", "law", name, folder=tmp_path)
    assert done.returncode == 2 and "expected a letter followed by at most 63 lower-case letters" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_kind_or_suffix(tmp_path: Path) -> None:
    assert run_command("new", "model", "mine", folder=tmp_path).returncode == 2
    done = run_command("new", "law", "mine", "-o", "mine.txt", folder=tmp_path)
    assert done.stderr == "error: mine.txt: is no name of a YAML file; end it in .yaml\n"
