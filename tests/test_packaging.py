"""The package as users install it: from a wheel, in an empty environment, outside the checkout."""

from __future__ import annotations

import configparser
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import pisnn_deploy
from release import __main__ as making
from release import materials
from release.building import build
from release.materials import bill

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


EPOCH = 1_000_000_000


def build_wheel(tree: Path, target: Path) -> Path:
    (wheel,) = build(tree, target, EPOCH, "wheel")
    return wheel


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    (sdist,) = build(copy_tree(folder / "tree", links=True), folder / "dist", EPOCH, "sdist")
    return sdist


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


def test_a_checkout_without_links_with_other_times_and_modes_builds_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    tree = copy_tree(tmp_path / "tree", links=False)
    for path in tree.rglob("*"):
        if path.is_file():
            os.utime(path, (2_000_000_000, 2_000_000_000))
            path.chmod(0o600)
    other = build_wheel(tree, tmp_path / "dist")
    assert members(other) == members(wheel)
    assert other.read_bytes() == wheel.read_bytes()


def test_two_source_distributions_are_the_same_bytes(sdist: Path, tmp_path: Path) -> None:
    tree = copy_tree(tmp_path / "tree", links=True)
    for path in tree.rglob("*"):
        if path.is_file() and not path.is_symlink():
            os.utime(path, (2_000_000_000, 2_000_000_000))
    (other,) = build(tree, tmp_path / "dist", EPOCH, "sdist")
    assert other.read_bytes() == sdist.read_bytes()
    with tarfile.open(sdist) as archive:
        assert {(member.mtime, member.uname, member.uid) for member in archive} == {(EPOCH, "", 0)}


@pytest.mark.parametrize("is_same", [True, False])
def test_a_release_is_built_twice_and_compared(
    is_same: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    built: list[Path] = []

    def once(tree: Path, target: Path, epoch: int) -> tuple[Path, ...]:
        target.mkdir(parents=True)
        paths = (target / "a-1.tar.gz", target / "a-1-py3-none-any.whl")
        for path in paths:
            path.write_bytes(b"" if is_same else bytes([len(built)]))
            built.append(path)
        return paths

    monkeypatch.setattr(making, "build", once)
    monkeypatch.setattr(making, "export_commit", lambda checkout, tree: None)
    monkeypatch.setattr(making, "DIST", tmp_path / "dist")
    assert making.main() == (0 if is_same else 1) and len(built) == 4
    if is_same:
        names = ["SHA256SUMS", "a-1-py3-none-any.whl", "a-1.cdx.json", "a-1.tar.gz"]
        assert sorted(path.name for path in (tmp_path / "dist").iterdir()) == names
        sums = (tmp_path / "dist" / "SHA256SUMS").read_text()
        assert f"{hashlib.sha256(b'').hexdigest()}  a-1.tar.gz\n" in sums
    else:
        sentence = "two builds of the same commit differ: a-1-py3-none-any.whl, a-1.tar.gz\n"
        assert capsys.readouterr().err == sentence
        assert not (tmp_path / "dist").exists()


def test_the_bill_of_materials_lists_what_a_release_installs(sdist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = bill([sdist], EPOCH)
    assert text == bill([sdist], EPOCH)
    plain = json.loads(text)
    assert plain["bomFormat"] == "CycloneDX" and plain["metadata"]["timestamp"] == "2001-09-09T01:46:40+00:00"
    release = plain["metadata"]["component"]
    assert (release["name"], release["version"]) == ("pisnn-deploy", pisnn_deploy.__version__)
    digest = {"name": f"sha256:{sdist.name}", "value": hashlib.sha256(sdist.read_bytes()).hexdigest()}
    assert digest in release["properties"]
    listed = {component["name"]: component for component in plain["components"]}
    assert listed.keys() == requirements("pisnn-deploy", frozenset({"all"})) - {"pisnn-deploy"}
    pinned = (ROOT / "constraints.txt").read_text().lower().replace("_", "-").splitlines()
    assert {f"{name}=={component['version']}" for name, component in listed.items()} <= {
        f"{canonical(name)}=={version}" for name, _, version in (line.partition("==") for line in pinned)
    }
    needed = {each["ref"]: each.get("dependsOn", []) for each in plain["dependencies"]}
    assert f"numpy=={listed['numpy']['version']}" in needed[release["bom-ref"]]
    monkeypatch.setattr(materials, "EXTRAS", ())
    assert "torch" not in {component["name"] for component in json.loads(bill([sdist], EPOCH))["components"]}


def test_what_a_used_checkout_leaves_behind_stays_out_of_the_wheel(wheel: Path, tmp_path: Path) -> None:
    tree = copy_tree(tmp_path / "tree", links=True)
    for name in ("models/__pycache__/__init__.pyc", "models/heat1d/model.state", "hardware_profiles/__pycache__/a.pyc"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).touch()
    assert members(build_wheel(tree, tmp_path / "dist")) == members(wheel)


def test_twine_and_check_wheel_contents_accept_both_distributions(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist, folder=tmp_path)
    run(Path(sys.executable).with_name("check-wheel-contents"), wheel, folder=tmp_path)


@pytest.fixture
def empty_environment(tmp_path: Path) -> Iterator[Path]:
    """The programs' folder of a new virtual environment."""
    environment = tmp_path / "env"
    venv.create(environment)
    yield environment / "bin"
    shutil.rmtree(environment)


@pytest.mark.timeout(900)
def test_the_wheel_runs_in_an_empty_environment(wheel: Path, empty_environment: Path, tmp_path: Path) -> None:
    pip = (sys.executable, "-m", "pip", "--python", empty_environment / "python", "install", "-q", "--no-compile")
    run(*pip, "-c", ROOT / "constraints.txt", wheel, folder=tmp_path)
    command = empty_environment / "pisnn-deploy"
    run(command, "compile", "heat1d", "-q", "-o", "heat.pisnn", folder=tmp_path)
    for words in (("verify", "heat.pisnn"), ("check", "heat.pisnn", "--profile", "loihi2"), ("inspect", "heat.pisnn")):
        run(command, *words, folder=tmp_path)
    printed = run(command, "simulate", "heat.pisnn", "--steps", "20", "--json", folder=tmp_path)
    result = json.loads(printed)
    assert (result["verdict"], result["backend"]) == ("conserved", "fast")
