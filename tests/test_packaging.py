"""The package as users install it: from a wheel, in an empty environment, outside the checkout."""

from __future__ import annotations

import configparser
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import pisnn_deploy

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


def run(*command: str | Path, folder: Path) -> str:
    """Run a command that must succeed, without the paths that would let it find the checkout, and give its stdout."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def build_wheel(tree: Path, target: Path) -> Path:
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", target, tree, folder=tree)
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


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(name: str, extras: frozenset[str] = frozenset(), seen: set[str] | None = None) -> set[str]:
    """Give the distributions that one needs here, those that they need, and so on."""
    found: set[str] = set() if seen is None else seen
    for text in importlib.metadata.requires(name) or ():
        needed = Requirement(text)
        marker = needed.marker
        if marker is not None and not any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            continue
        if canonical(needed.name) not in found:
            found.add(canonical(needed.name))
            requirements(needed.name, frozenset(needed.extras), found)
    return found


def installed() -> set[str]:
    """What `make setup` installs besides this package."""
    return requirements("pisnn-deploy", frozenset({"all", "dev", "docs"})) - {"pisnn-deploy"}


def pins(text: str) -> set[str]:
    return {canonical(line.partition("==")[0]) for line in text.splitlines() if "==" in line}


def unpinned(text: str) -> set[str]:
    return installed() - pins(text)


def test_constraints_pin_every_version_that_is_installed() -> None:
    text = (ROOT / "constraints.txt").read_text()
    assert unpinned(text) == set()
    needed = installed()
    for line in text.splitlines():
        name, equals, version = line.partition("==")
        assert equals, line
        # A pin that another platform needs is no requirement here.
        assert canonical(name) not in needed or importlib.metadata.version(name) == version, line


def test_a_version_that_is_not_pinned_is_seen() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    # `pip freeze` never lists argparse, which unittest2, a requirement of lava-dl, installs.
    assert unpinned("\n".join(line for line in lines if not line.startswith("argparse=="))) == {"argparse"}
    assert unpinned("\n".join(re.sub("^torch==", "torch>=", line) for line in lines)) == {"torch"}


def test_the_version_is_the_same_everywhere() -> None:
    version = importlib.metadata.version("pisnn-deploy")
    assert version == pisnn_deploy.__version__
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {version} " in (ROOT / "CHANGELOG.md").read_text()


def test_the_paper_is_named_with_its_authors() -> None:
    title = "Physics-Informed Spiking Neural Networks via Conservative Flux Quantization"
    article = yaml.safe_load((ROOT / "CITATION.cff").read_text())["references"][0]
    assert article["title"] == title
    assert [f"{author['given-names']} {author['family-names']}" for author in article["authors"]] == [
        "Chi Zhang",
        "Lin Wang",
    ]
    for page in ("README.md", "docs/architecture.md", "docs/explanation/related_work.md", "docs/explanation/faq.md"):
        text = " ".join((ROOT / page).read_text().split())
        assert f"Chi Zhang and Lin Wang, *{title}*" in text and "2511.21784" in text


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


def test_what_a_used_checkout_leaves_behind_stays_out_of_the_wheel(wheel: Path, tmp_path: Path) -> None:
    tree = copy_tree(tmp_path / "tree", links=True)
    for name in ("models/__pycache__/__init__.pyc", "models/heat1d/model.state", "hardware_profiles/__pycache__/a.pyc"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).touch()
    assert members(build_wheel(tree, tmp_path / "dist")) == members(wheel)


def test_twine_and_check_wheel_contents_accept_both_distributions(wheel: Path, tmp_path: Path) -> None:
    tree = copy_tree(tmp_path / "tree", links=True)
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "-o", tmp_path, tree, folder=tree)
    (sdist,) = tmp_path.glob("*.tar.gz")
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist, folder=tmp_path)
    run(Path(sys.executable).with_name("check-wheel-contents"), wheel, folder=tmp_path)


@pytest.fixture
def empty_environment(tmp_path: Path) -> Iterator[Path]:
    """The programs' folder of a new virtual environment."""
    environment = tmp_path / "env"
    venv.create(environment, with_pip=True)
    yield environment / "bin"
    shutil.rmtree(environment)


@pytest.mark.timeout(900)
def test_the_wheel_runs_in_an_empty_environment(wheel: Path, empty_environment: Path, tmp_path: Path) -> None:
    pip = (empty_environment / "python", "-m", "pip", "install", "-q", "--no-compile", "-c", ROOT / "constraints.txt")
    run(*pip, wheel, folder=tmp_path)
    command = empty_environment / "pisnn-deploy"
    run(command, "compile", "heat1d", "-q", "-o", "heat.pisnn", folder=tmp_path)
    for words in (("verify", "heat.pisnn"), ("check", "heat.pisnn", "--profile", "loihi2"), ("inspect", "heat.pisnn")):
        run(command, *words, folder=tmp_path)
    printed = run(command, "simulate", "heat.pisnn", "--steps", "20", "--json", folder=tmp_path)
    result = json.loads(printed)
    assert (result["verdict"], result["backend"]) == ("conserved", "fast")
