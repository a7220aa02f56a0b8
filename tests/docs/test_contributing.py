"""The pages for contributors are right: what they write, change and run works on a copy of the sources."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from page_blocks import Block, blocks

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "how-to" / "contribute"
PAGES = sorted(path.name for path in FOLDER.glob("*.md"))
WRITTEN = ("cli", "docs/reference", "fuzz", "pisnn_deploy", "tests")
"""What pages change, or what is looked for beside it."""
READ = ("hardware_profiles", "models")
COMMANDS = {"python": [], "pisnn-deploy": ["-m", "pisnn_deploy.cli.start"]}
"""By the first word of a command: what the interpreter is given instead."""


def copy_sources(folder: Path) -> None:
    """Copy what pages change, and link what they only read."""
    ignored = shutil.ignore_patterns("__pycache__", "cases")
    for name in WRITTEN:
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignored)
    for name in READ:
        (folder / name).symlink_to(ROOT / name)
    for name in ("setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)


def edited(text: str, change: str, where: str) -> str:
    """Apply a change in the form of a diff without line numbers: the old lines must stand in the text once.

    The last old line may be the beginning of a line.
    """
    lines = change.splitlines()
    assert all(line[:1] in ("", " ", "+", "-") for line in lines), f"{where}: a line begins with none of ' ', + and -"
    old = "\n".join(line[1:] for line in lines if line[:1] != "+")
    new = "\n".join(line[1:] for line in lines if line[:1] != "-")
    assert old != new, f"{where}: changes nothing"
    if f"\n{text}".count(f"\n{old}") != 1:
        raise AssertionError(f"{where}: these lines are not there once:\n{old}")
    return f"\n{text}".replace(f"\n{old}", f"\n{new}")[1:]


def run(block: Block, where: str, folder: Path) -> None:
    """Run the commands of a block."""
    # What the surroundings say of the sources under test would be said of other ones than these.
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    for line in block.text.replace("\\\n", " ").splitlines():
        program, *words = shlex.split(line, comments=True)
        assert program in COMMANDS, f"{where}: {program}: run it here, or say why not"
        done = subprocess.run(
            [sys.executable, *COMMANDS[program], *words],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{where}: {line}\n{done.stdout}{done.stderr}"


def follow(markdown: str, page: str, folder: Path) -> set[Path]:
    """Do what a page says in a copy of the sources.

    Markers of blocks: ``file: PATH`` writes a file, ``append: PATH`` adds to its end, ``edit: PATH`` changes it, ``not
    run: REASON`` passes over a block. Blocks of the language ``sh`` without a marker are run.

    Returns
    -------
    set of Path
        Python files that were written or changed.
    """
    changed = set()
    for block in blocks(markdown):
        where = f"{page}:{block.line}"
        marker, _, rest = block.marker.partition(": ")
        path = folder / rest
        if marker == "file":
            assert not path.exists(), f"{where}: {rest} is there already"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        elif marker == "append":
            path.write_text(f"{path.read_text()}\n\n{block.text}")
        elif marker == "edit":
            path.write_text(edited(path.read_text(), block.text.removesuffix("\n"), where))
        elif marker == "not run":
            continue
        else:
            assert block.marker == "" and block.language == "sh", f"{where}: say what becomes of this block"
            run(block, where, folder)
        if marker and path.suffix == ".py":
            changed.add(path)
    return changed


@pytest.mark.parametrize("page", PAGES)
def test_a_contribution_works_as_its_page_says(page: str, tmp_path: Path) -> None:
    copy_sources(tmp_path)
    changed = follow((FOLDER / page).read_text(), page, tmp_path)
    assert changed
    for words in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, *changed], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        ("<!-- edit: a.py -->\n```diff\n gone\n+new\n```\n", "page.md:3: these lines are not there once:\ngone"),
        ("<!-- edit: a.py -->\n```diff\n same\n+new\n```\n", "page.md:3: these lines are not there once:\nsame"),
        ("<!-- edit: a.py -->\n```diff\n once\n```\n", "page.md:3: changes nothing"),
        ("<!-- edit: a.py -->\n```diff\nonce\n```\n", "page.md:3: a line begins with none of"),
        ("<!-- file: a.py -->\n```python\nx = 1\n```\n", "page.md:3: a.py is there already"),
        ("```sh\npython -c 'raise SystemExit(3)'\n```\n", "page.md:2: python -c 'raise SystemExit(3)'"),
        ("```sh\nrm a.py\n```\n", "page.md:2: rm: run it here, or say why not"),
        ("```python\nx = 1\n```\n", "page.md:2: say what becomes of this block"),
    ],
)
def test_a_page_that_does_not_fit_the_sources_is_seen(page: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("same\nonce\nsame\n")
    with pytest.raises(AssertionError, match=re.escape(problem)):
        follow(page, "page.md", tmp_path)


def test_what_a_page_changes_is_changed(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("a\nb\nc = {1}\n")
    page = "<!-- edit: a.py -->\n```diff\n b\n-c = {\n+c = {0, \n```\n<!-- append: a.py -->\n```python\nd\n```\n"
    assert follow(page, "page.md", tmp_path) == {tmp_path / "a.py"}
    assert (tmp_path / "a.py").read_text() == "a\nb\nc = {0, 1}\n\n\nd\n"


NEEDS_NO_WORD = {"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", ".gitattributes", ".gitignore"}


def test_every_entry_at_the_top_is_explained() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    entries = {line.partition("/")[0] for line in listed.stdout.splitlines()}
    table = (ROOT / "CONTRIBUTING.md").read_text().partition("| --- | --- |\n")[2].partition("\n\n")[0]
    explained = {
        name.partition("/")[0] for row in table.splitlines() for name in re.findall(r"`([^`]+)`", row.split("|")[1])
    }
    assert explained | NEEDS_NO_WORD == entries
