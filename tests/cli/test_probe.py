"""`simulate --probe` and `--raster`, and the same in Python."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from commands import run_command
from models_under_test import compiled

import pisnn_deploy as pd
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.artifact import write_artifact


@pytest.fixture(autouse=True)
def _artifact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_artifact(Path("a.pisnn"), compiled(cells=16, boundary="dirichlet=0,1"), {})


def test_a_saved_trace_has_spikes_and_states_of_every_step_and_python_gives_the_same() -> None:
    words = (
        "simulate",
        "a.pisnn",
        "--backend",
        "fast",
        "--steps",
        "12",
        "-q",
        "--probe",
        "flux:0-3",
        "--probe",
        "membrane",
    )
    assert run_command(*words, "--save", "a.npz", "--raster", "a.png").returncode == 0
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")
    run = pd.load("a.pisnn").simulate(12, backend="fast", probe=["flux:0-3", "membrane"])
    with np.load("a.npz") as saved:
        assert saved["probe.flux.neurons"].tolist() == [0, 1, 2, 3]
        assert np.array_equal(saved["probe.flux.spikes"], run.spikes("flux"))
        assert run.spikes("flux").shape == (13, 4) and run.spikes("flux").any()
        assert set(run.states("flux")) == {"current", "residue"}
        for name, rows in run.states("flux").items():
            assert np.array_equal(saved[f"probe.flux.{name}"], rows)
        assert np.array_equal(saved["probe.membrane.mass"][:, :16], saved["mass"])


def test_figures_of_probes_are_in_json_report_and_dataset() -> None:
    words = (
        "simulate",
        "a.pisnn",
        "--backend",
        "fast",
        "--steps",
        "12",
        "--probe",
        "flux:0-3",
        "--probe",
        "membrane:2",
    )
    ended = run_command(*words, "--json", "--report", "a.html")
    assert ended.returncode == 0, ended.stderr
    run = pd.load("a.pisnn").simulate(12, backend="fast", probe=["flux:0-3", "membrane:2"])
    spikes, mass = run.spikes("flux"), run.states("membrane")["mass"]
    held, faces = json.loads(ended.stdout)["probes"]
    assert (held["population"], held["neurons"], held["rows"]) == ("membrane", 1, 13)
    assert held["states"] == {"mass": {"least": int(mass.min()), "largest": int(mass.max())}}
    assert faces["spikes"] == {
        "": {
            "sent": int(np.count_nonzero(spikes)),
            "neurons": int((spikes != 0).any(axis=0).sum()),
            "least": min(0, int(spikes.min())),
            "largest": max(0, int(spikes.max())),
        }
    }
    assert set(faces["states"]) == {"current", "residue"}
    page = Path("a.html").read_text()
    assert "Table of probes" in page and f"<td>{np.count_nonzero(spikes)}</td>" in page
    data = run.to_xarray()
    assert data["probe.flux.neurons"].values.tolist() == [0, 1, 2, 3]
    assert np.array_equal(data["probe.flux.spikes"].values, spikes)
    assert data["probe.membrane.mass"].dims == ("time", "probe.membrane.neurons")
    unprobed = run_command("simulate", "a.pisnn", "--backend", "fast", "--steps", "2", "--json", "--report", "b.html")
    assert "probes" not in json.loads(unprobed.stdout) and "Table of probes" not in Path("b.html").read_text()


def test_a_raster_without_a_probe_is_of_all_neurons() -> None:
    words = ("simulate", "a.pisnn", "--backend", "fast", "--steps", "6", "-q")
    assert run_command(*words, "--raster", "all.png").returncode == 0
    assert run_command(*words, "--probe", "flux", "--probe", "membrane", "--raster", "named.png").returncode == 0
    assert Path("all.png").read_bytes() == Path("named.png").read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--probe", "fluxx"), "--probe fluxx: no population has the name 'fluxx'; did you mean flux?"),
        (("--probe", "flux:17"), "--probe flux:17: there is no neuron 17; the population has neurons 0 to 16"),
        (("--probe", "flux", "--fault", "drop:packet[3]@2"), "--fault: does not go with --probe"),
    ],
)
def test_what_cannot_be_probed_is_refused(words: tuple[str, ...], message: str) -> None:
    done = run_command("simulate", "a.pisnn", "--backend", "fast", "--steps", "5", *words)
    assert (done.returncode, done.stderr) == (2, f"error: {message}\n")


def test_wrong_probes_in_python_are_refused() -> None:
    artifact = pd.load("a.pisnn")
    with pytest.raises(UsageError, match=r"^`probe` 3: expected texts, such as flux:0-9$"):
        artifact.simulate(1, backend="fast", probe=[3])  # type: ignore[list-item]
    with pytest.raises(UsageError, match=r"^`probe` 3: expected a text or a path$"):
        artifact.simulate(1, backend="fast", probe=3)  # type: ignore[arg-type]
    run = artifact.simulate(1, backend="fast", probe="flux")
    with pytest.raises(UsageError, match=r"^'membrane' was not probed; simulate with `probe` membrane$"):
        run.spikes("membrane")
