"""Paths from the root of a repository, wherever one stands and however one got there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pisnn_deploy.cli.repository import WORKSPACE, in_repository


@pytest.fixture(autouse=True)
def _no_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(WORKSPACE, raising=False)


@pytest.fixture()
def root(tmp_path: Path) -> Path:
    """A repository with two folders, and a file beside it."""
    root = tmp_path / "my repository"
    for folder in (root / "sub folder", root / "other" / "deep"):
        folder.mkdir(parents=True)
        (folder / "heat.pisnn").touch()
    (root / "heat.pisnn").touch()
    (tmp_path / "heat.pisnn").touch()
    return root


def require_places(root: Path) -> None:
    """From everywhere within the repository a file has one path."""
    for here in (root, root / "sub folder", root / "other" / "deep"):
        for path in ("heat.pisnn", "sub folder/heat.pisnn", "other/deep/heat.pisnn"):
            below = os.path.relpath(root / path, here)
            asked = (root / path, Path(below), Path("..") / here.name / below)
            for one in asked:
                assert in_repository(one, here) == Path(path), (one, here)


def test_the_folder_with_git_is_the_root(root: Path) -> None:
    (root / ".git").mkdir()
    require_places(root)


def test_a_worktree_has_a_file_of_that_name(root: Path) -> None:
    (root / ".git").write_text("gitdir: elsewhere\n")
    require_places(root)


def test_the_workspace_is_the_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORKSPACE, str(root))
    require_places(root)
    # It counts more than another repository within it.
    (root / "sub folder" / ".git").mkdir()
    require_places(root)


def test_a_workspace_that_is_not_there_names_no_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / ".git").mkdir()
    for name in (str(root / "none"), ""):
        monkeypatch.setenv(WORKSPACE, name)
        require_places(root)


def test_a_repository_reached_by_a_link(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = tmp_path / "link"
    link.symlink_to(root)
    (root / ".git").mkdir()
    require_places(link)
    assert in_repository(link / "heat.pisnn", root) == Path("heat.pisnn")
    for workspace, here in ((link, root), (root, link)):
        monkeypatch.setenv(WORKSPACE, str(workspace))
        require_places(here)


def test_a_linked_file_is_where_its_link_lies(root: Path, tmp_path: Path) -> None:
    (root / ".git").mkdir()
    (root / "link.pisnn").symlink_to(tmp_path / "heat.pisnn")
    assert in_repository(Path("link.pisnn"), root) == Path("link.pisnn")
    (root / "folder").symlink_to(root / "other")
    assert in_repository(Path("folder/deep/heat.pisnn"), root) == Path("other/deep/heat.pisnn")
    (root / "outside").symlink_to(tmp_path)
    assert in_repository(Path("outside/heat.pisnn"), root) == Path("outside/heat.pisnn")


def test_a_file_outside_has_its_whole_path(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / ".git").mkdir()
    assert in_repository(Path("../heat.pisnn"), root) == tmp_path / "heat.pisnn"
    monkeypatch.setenv(WORKSPACE, str(root / "other"))
    assert in_repository(Path("heat.pisnn"), root) == root / "heat.pisnn"


def test_without_a_repository_paths_count_from_the_current_folder(root: Path) -> None:
    if any((folder / ".git").exists() for folder in root.parents):
        pytest.fail("the temporary folder lies in a repository")
    assert in_repository(Path("heat.pisnn"), root / "sub folder") == Path("heat.pisnn")
    assert in_repository(Path("../heat.pisnn"), root / "sub folder") == root / "heat.pisnn"


def test_the_repository_of_a_file_elsewhere(root: Path, tmp_path: Path) -> None:
    (root / ".git").mkdir()
    assert in_repository(root / "sub folder" / "heat.pisnn", tmp_path) == Path("sub folder/heat.pisnn")
