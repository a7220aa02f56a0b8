"""The package as users install it: from a wheel, in an empty environment, outside the checkout."""

from __future__ import annotations

import configparser
import json
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAPPED = ("cli", "hardware_profiles", "models")


def tracked() -> Iterator[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for line in listed.stdout.splitlines():
        if (ROOT / line).exists() or (ROOT / line).is_symlink():
            yield Path(line)


def copy_tree(target: Path, *, links: bool) -> Path:
    for path in tracked():
        destination = target / path
        destination.parent.mkdir(parents=True, exist_ok=True)
        if not (ROOT / path).is_symlink():
            shutil.copy2(ROOT / path, destination)
        elif links:
            destination.symlink_to((ROOT / path).readlink())
    return target


def build_wheel(tree: Path, target: Path) -> Path:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(target), str(tree)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = target.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    return build_wheel(copy_tree(folder / "tree", links=True), folder / "dist")


def members(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def test_setup_cfg_names_every_package() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    named = set(config["options"]["packages"].split())
    found = set()
    for base in ("pisnn_deploy", *MAPPED):
        for init in (ROOT / base).rglob("__init__.py"):
            words = init.parent.relative_to(ROOT).parts
            if not any(part.is_symlink() for part in (init.parent, *init.parents) if ROOT in part.parents):
                found.add(".".join(words if words[0] == "pisnn_deploy" else ("pisnn_deploy", *words)))
    assert named == found


def test_the_wheel_holds_all_modules_and_data_and_nothing_else(wheel: Path) -> None:
    expected = set()
    for path in tracked():
        if (ROOT / path).is_symlink() or path.parts[0] not in ("pisnn_deploy", *MAPPED):
            continue
        expected.add(str(path if path.parts[0] == "pisnn_deploy" else Path("pisnn_deploy") / path))
    assert members(wheel) == expected
    assert "pisnn_deploy/models/heat1d/model.pt" in expected


def test_a_checkout_without_links_builds_the_same(wheel: Path, tmp_path: Path) -> None:
    other = build_wheel(copy_tree(tmp_path / "tree", links=False), tmp_path / "dist")
    assert members(other) == members(wheel)


@pytest.mark.timeout(900)
def test_the_wheel_runs_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    binaries = tmp_path / "env" / "bin"
    install = [str(binaries / "python"), "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt"), str(wheel)]
    subprocess.run(install, check=True, cwd=tmp_path, capture_output=True)
    for words in (["simulate", "--steps", "20", "--json"], ["simulate", "--backend", "fast", "--json"]):
        done = subprocess.run(
            [binaries / "pisnn-deploy", *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["verdict"] == "conserved"
    shutil.rmtree(tmp_path / "env")
