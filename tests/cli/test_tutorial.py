"""The tutorial does what it says."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from commands import run_command

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "train_your_own.md"


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run_command(*words, folder=folder)


@pytest.fixture(scope="module")
def rod(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the tutorial was followed to its end."""
    folder = tmp_path_factory.mktemp("rod")
    text = PAGE.read_text()
    (recipe,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (commands,) = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    (folder / "rod.yaml").write_text(recipe)
    x = (np.arange(200) + 0.5) / 200
    np.save(folder / "start.npy", 12 + 16 * x + np.sin(np.pi * x))
    for line in commands.strip().splitlines():
        program, *words = line.split()
        assert program == "pisnn-deploy"
        done = run(folder, *words)
        assert done.returncode == 0, done.stderr
    assert "conserved" in done.stdout and (folder / "rod.png").stat().st_size > 10_000
    return folder


def test_the_shown_error_is_what_is_printed(tmp_path: Path) -> None:
    text = PAGE.read_text()
    (recipe,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (shown,) = re.findall(r"```console\n\$ .*?\n(.*?)```", text, re.DOTALL)
    (tmp_path / "rod.yaml").write_text(recipe.replace("half_width: 3", "half_width: 0"))
    refused = run(tmp_path, "train", "rod.yaml")
    assert (refused.returncode, refused.stderr) == (2, shown)


def test_what_leaves_the_rod_is_in_its_ledgers(rod: Path) -> None:
    with np.load(rod / "rod.npz") as trace:
        mass, ledger = trace["mass"], trace["ledger"]
    assert ledger.shape[1] == 2 and ledger[-1].any()
    assert (mass.sum(axis=1) + ledger.sum(axis=1) == mass[0].sum()).all()


def test_the_model_steps_heat_right(rod: Path) -> None:
    assert run(rod, "compile", "rod.pt", "--mesh", "100", "-o", "ring.pisnn", "-q").returncode == 0
    edges = np.arange(101) * 0.02
    start = 20 + np.diff(np.sin(np.pi * edges)) / np.pi / 0.02 * 5
    np.save(rod / "wave.npy", start)
    words = (
        "simulate",
        "ring.pisnn",
        "--initial",
        "wave.npy",
        "--steps",
        "800",
        "--save",
        "a.npz",
        "--backend",
        "fast",
    )
    assert run(rod, *words).returncode == 0
    with np.load(rod / "a.npz") as trace:
        meta = json.loads(trace["meta"].tobytes())
        values = trace["mass"][-1] * meta["quantum"] / 0.02
    exact = 20 + (start - 20) * np.exp(-0.05 * np.pi**2 * 800 * meta["time_step"])
    assert np.linalg.norm(values - exact) < 2e-5 * np.linalg.norm(exact)


def test_a_start_that_is_not_the_model_s_is_refused_in_one_line(rod: Path) -> None:
    assert run(rod, "compile", "rod.pt", "-o", "line.pisnn", "-q").returncode == 0
    refused = run(rod, "simulate", "line.pisnn", "--backend", "fast")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: the problem's own start: cell 0 has the value 1.7")
    assert refused.stderr.count("\n") == 1
