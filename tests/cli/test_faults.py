"""``simulate --fault``: what is printed, exit codes, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from models_under_test import compiled

from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import PisnnError
from pisnn_deploy.graph.artifact import write_artifact


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("faults") / "heat.pisnn"
    write_artifact(path, compiled(), {})
    return path


def simulate(artifact: Path, *words: str) -> Result:
    return CliRunner().invoke(group, ["simulate", str(artifact), "--backend", "fast", "--steps", "12", "-q", *words])


def error(ended: Result) -> PisnnError:
    assert isinstance(ended.exception, PisnnError)
    return ended.exception


def test_a_fault_that_is_detected_ends_with_a_check_that_failed(artifact: Path) -> None:
    ended = simulate(artifact, "--json", "--fault", "flip:membrane[3].bit2@4.1", "--fault", "stale:flux[3]@2")
    assert error(ended).exit_code == 1 and str(error(ended)).startswith("local invariant broken: membrane [3] at PDE ")
    found = json.loads(ended.output)
    assert found["verdict"] == "violated" and found["healed"] == 0
    assert found["faults"] == [
        {
            "spec": "flip:membrane[3].bit2@4.1",
            "detected": True,
            "kind": "local",
            "step": 4,
            "place": "membrane [3]",
            "healed": False,
        },
        {"spec": "stale:flux[3]@2", "detected": False, "kind": None, "step": None, "place": None, "healed": False},
    ]


def test_a_fault_that_is_healed_ends_well(artifact: Path, tmp_path: Path) -> None:
    trace = tmp_path / "run.npz"
    ended = simulate(artifact, "--json", "--fault", "drop:packet[3]@4", "--recover", "--save", str(trace))
    assert ended.exit_code == 0 and trace.exists() and [path.name for path in tmp_path.iterdir()] == ["run.npz"]
    found = json.loads(ended.output)
    assert found["verdict"] == "conserved" and found["healed"] == 1 and found["mass"]["drift"] == 0
    assert found["faults"][0]["healed"] and found["faults"][0]["step"] == 5


def test_the_table_names_every_fault(artifact: Path) -> None:
    words = ["simulate", str(artifact), "--backend", "fast", "--steps", "9", "--fault", "stale:flux[3]@2"]
    ended = CliRunner().invoke(group, words)
    assert ended.exit_code == 0 and "stale:flux[3]@2: not detected" in ended.output


def test_a_run_without_faults_says_nothing_of_them(artifact: Path) -> None:
    assert not {"faults", "healed"} & set(json.loads(simulate(artifact, "--json").output))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--recover",), "--recover: needs --fault; nothing else breaks a simulated run"),
        (("--fault", "drop:packet[3]@4", "--against", "onnx"), "--fault: does not go with --against"),
        (
            ("--domains", "2"),
            "--domains: does not exist; divide a run by MPI instead: "
            "mpirun -n 8 pisnn-deploy simulate ... --backend fast",
        ),
        (
            ("--fault", "drop:packet[3]@4", "--resume", "--save", "a.npz"),
            "--fault: does not go with --resume",
        ),
        (
            ("--fault", "drop:packet[99]@4"),
            "fault 'drop:packet[99]@4': the 16 faces are numbered from 0",
        ),
        (
            ("--fault", "drop:packet[3]@4", "--backend", "onnx"),
            "backend onnx: does not support faults; use cpu or fast",
        ),
    ],
)
def test_what_is_refused(artifact: Path, words: tuple[str, ...], message: str) -> None:
    ended = simulate(artifact, *words)
    assert str(error(ended)) == message and error(ended).exit_code == 2
