"""Paths relative to the repository root, as code scanning and annotations expect them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

WORKSPACE = "GITHUB_WORKSPACE"
"""Environment variable with the root of the checkout in a GitHub workflow."""


def in_repository(path: Path, here: Path) -> Path:
    """Path relative to the root of the repository.

    The root is what `WORKSPACE` names, if there is such a folder; else the nearest folder above the current one that
    has a ``.git``, or above the file. A link to a file is where the link lies, because that is what the repository has;
    links to folders are followed, unless that leads out of the repository.

    Parameters
    ----------
    here : Path
        The current folder.

    Returns
    -------
    Path
        Relative to the root; without a repository relative to the current folder. Absolute for a file outside.
    """
    followed = Path(os.path.realpath((here / path).parent)) / path.name
    places = (followed, Path(os.path.normpath(here / path)))
    for root in _roots(here, followed):
        for place in places:
            for same in (Path(os.path.realpath(root)), root):
                if place.is_relative_to(same):
                    return place.relative_to(same)
    return followed


def _roots(here: Path, file: Path) -> Iterator[Path]:
    """Candidate root folders, best first."""
    workspace = os.environ.get(WORKSPACE, "")
    if workspace and Path(workspace).is_dir():
        yield Path(os.path.normpath(here / workspace))
        return
    for folders in ((here, *here.parents), Path(os.path.realpath(here)).parents, file.parents):
        yield from [folder for folder in folders if (folder / ".git").exists()][:1]
    yield here
