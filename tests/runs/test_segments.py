"""A recorded run: cut, killed, resumed, damaged, and always the bytes of the undivided one."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from models_under_test import compiled, heat_model

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.graph.artifact import write_artifact
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.runs import RunOptions, fast, segments
from pisnn_deploy.runs.recording import Recording, discard, recording
from pisnn_deploy.runs.segments import run_in_segments

PARTS = ("step", "mass", "ledger", "transported", "in_flight")


def leaky_graph() -> IntegerGraph:
    return compiled(heat_model(leak=1024), cells=9, boundary="dirichlet=0,1")


@pytest.mark.parametrize(
    ("steps", "every", "first_segment"), [(50, 1, 7), (50, 7, 3), (50, 20, 50), (0, 1, 5), (6, 9, 6)]
)
def test_segments_make_the_undivided_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int, every: int, first_segment: int
) -> None:
    monkeypatch.setattr(segments, "FIRST_SEGMENT", first_segment)
    monkeypatch.setattr(segments, "FASTEST_GROWTH", 1.5)
    graph = leaky_graph()
    mass, options = graph.initial, RunOptions(steps, every)
    expected = fast.run(graph, mass, options)
    with recording(tmp_path / "run.partial", graph, {"run": 1}) as record:
        found = run_in_segments("fast", graph, mass, options, record)
        for part in PARTS:
            assert np.array_equal(getattr(found.trace, part), getattr(expected.trace, part)), part
        for counted in ("steps", "time_steps", "violations", "packets_sent", "quanta_sent", "events"):
            assert getattr(found, counted) == getattr(expected, counted), counted
        # One that was recorded to its end is not run again.
        again = run_in_segments("fast", graph, mass, options, record, resume=True)
        assert np.array_equal(again.trace.mass, expected.trace.mass) and again.events == expected.events


def test_a_stopped_run_keeps_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "FIRST_SEGMENT", 4)
    graph = compiled(cells=6)
    route = graph.synapses[-1]
    mantissas = route.mantissas.copy()
    mantissas[4] *= 2
    broken = replace(graph, synapses=(*graph.synapses[:-1], route.with_mantissas(mantissas)))
    options = RunOptions(30)
    expected = fast.run(broken, graph.initial, options)
    assert expected.failure
    with recording(tmp_path / "run.partial", broken, {}) as record:
        found = run_in_segments("fast", broken, graph.initial, options, record)
    assert found.failure == expected.failure and found.violations == expected.violations
    assert np.array_equal(found.trace.mass, expected.trace.mass)


def test_a_second_run_does_not_get_the_folder(tmp_path: Path) -> None:
    graph = compiled(cells=4)
    with recording(tmp_path / "a", graph, {}), pytest.raises(FileError, match="is in use: another run records there"):
        recording(tmp_path / "a", graph, {}).__enter__()


def recorded(folder: Path) -> tuple[IntegerGraph, RunOptions]:
    graph, options = leaky_graph(), RunOptions(20, 2)
    with recording(folder, graph, {"steps": 20}) as record:
        run_in_segments("fast", graph, graph.initial, options, record)
    return graph, options


def test_another_run_is_not_resumed(tmp_path: Path) -> None:
    graph, _ = recorded(tmp_path / "a")
    with pytest.raises(FileError, match="records another run, with a different value of steps"):
        Recording(tmp_path / "a", graph, {"steps": 21}).progressed()


@pytest.mark.parametrize("name", ["snapshot.npz", "mass.int64", "step.int64"])
def test_a_damaged_recording_is_one_line(tmp_path: Path, name: str) -> None:
    graph, _ = recorded(tmp_path / "a")
    path = tmp_path / "a" / name
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(FileError, match="is damaged"):
        Recording(tmp_path / "a", graph, {"steps": 20}).progressed()


def test_rows_beyond_the_last_snapshot_are_cut_off(tmp_path: Path) -> None:
    graph, options = recorded(tmp_path / "a")
    with (tmp_path / "a" / "mass.int64").open("ab") as stream:
        stream.write(b"half a row of a segment that was killed")
    record = Recording(tmp_path / "a", graph, {"steps": 20})
    held = record.progressed()
    assert held is not None
    expected = fast.run(graph, graph.initial, options)
    assert np.array_equal(record.trace(held.rows).mass, expected.trace.mass)
    discard(tmp_path / "a")
    assert not (tmp_path / "a").exists()


COMMAND = [sys.executable, "-m", "pisnn_deploy.cli.main", "simulate", "run.pisnn", "--backend", "fast", "-q"]
COMMAND += ["--steps", "600000", "--every", "5000", "--record-every", "0.2", "--save"]


def test_killed_at_random_moments_it_ends_with_the_same_bytes(tmp_path: Path) -> None:
    write_artifact(tmp_path / "run.pisnn", leaky_graph(), {})
    subprocess.run([*COMMAND, "whole.npz"], cwd=tmp_path, check=True)
    snapshot = tmp_path / "killed.npz.partial" / "snapshot.npz"
    chance = random.Random(4)
    resumed = 0
    for _ in range(4):
        before = snapshot.stat().st_mtime_ns if snapshot.exists() else None
        run = subprocess.Popen([*COMMAND, "killed.npz", "--resume"], cwd=tmp_path)
        try:
            # Each run gets at least one segment further, however slow the machine is.
            while run.poll() is None and (not snapshot.exists() or snapshot.stat().st_mtime_ns == before):
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 0.3))
        except FileNotFoundError:  # the run has ended, and removed what it recorded
            pass
        run.kill()
        run.wait()
        resumed += snapshot.exists()
    assert resumed > 0
    subprocess.run([*COMMAND, "killed.npz", "--resume"], cwd=tmp_path, check=True)
    assert (tmp_path / "killed.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    assert not (tmp_path / "killed.npz.partial").exists()


def damage(folder: Path, **changes: object) -> None:
    """Change what the snapshot says."""
    path = folder / "snapshot.npz"
    with np.load(path) as held:
        arrays = {name: held[name] for name in held.files}
    said = json.loads(arrays.pop("said").astype(np.uint8).tobytes())
    for name, value in changes.items():
        (arrays if name in arrays else said)[name] = value
    text = np.frombuffer(json.dumps(said).encode(), np.uint8).astype(np.int64)
    np.savez(path, **{"said": text, **arrays})


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"step": 2**70}, "an invalid count"),
        ({"rows": -1}, "an invalid count"),
        ({"in_flight": True}, "an invalid count"),
        ({"seconds": float("nan")}, "an invalid time"),
        ({"events": []}, "'list' object has no attribute 'items'"),
        ({"events": {"membrane": 1}}, "its counts belong to another run"),
        ({"step": 21}, "its counts belong to another run"),
        ({"rows": 3}, "its counts belong to another run"),
        ({"mass": np.ones(11, np.int64)}, "masses do not match the packets: membrane [0] is 1, not 1080"),
        (
            {"transported": np.arange(10) << 40},
            "masses do not match the packets: membrane [0] is 1080, not -1099511623495",
        ),
        ({"residue": np.full(10, 2**40)}, "a residue above half of theta, 64: flux [0] has 1099511627776"),
        ({"residue": np.zeros(3, np.int64)}, "arrays of another mesh"),
        ({"residue": np.zeros(10)}, "must be a little-endian int64 array in C order"),
        ({"residue": np.zeros(1 << 18, np.int64)}, "larger than 1049392 bytes"),
    ],
)
def test_a_forged_snapshot_is_one_line(tmp_path: Path, changes: dict[str, object], problem: str) -> None:
    graph, options = recorded(tmp_path / "a")
    damage(tmp_path / "a", **changes)
    with recording(tmp_path / "a", graph, {"steps": 20}) as record, pytest.raises(FileError) as caught:
        run_in_segments("fast", graph, graph.initial, options, record, resume=True)
    said = str(caught.value).removeprefix(f"{tmp_path}/a").removeprefix("/snapshot.npz")
    assert said == f": is damaged ({problem}); start anew without `resume`"


def test_rows_of_other_steps_are_refused(tmp_path: Path) -> None:
    graph, options = recorded(tmp_path / "a")
    np.arange(11).tofile(tmp_path / "a" / "step.int64")
    with recording(tmp_path / "a", graph, {"steps": 20}) as record, pytest.raises(FileError) as caught:
        run_in_segments("fast", graph, graph.initial, options, record, resume=True)
    assert (
        str(caught.value)
        == f"{tmp_path}/a: is damaged (rows of other PDE steps: step, row 1: 1, not 2); start anew without `resume`"
    )


def test_a_snapshot_that_unpacks_to_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    graph, _ = recorded(tmp_path / "a")
    with np.load(tmp_path / "a" / "snapshot.npz") as held:
        np.savez_compressed(tmp_path / "a" / "snapshot.npz", **dict(held))
    with pytest.raises(FileError, match="a member is compressed, or larger than the file"):
        Recording(tmp_path / "a", graph, {"steps": 20}).progressed()


@pytest.mark.parametrize("name", ["snapshot.npz", "mass.int64", "lock"])
def test_a_link_in_a_recording_is_not_followed(tmp_path: Path, name: str) -> None:
    graph, _ = recorded(tmp_path / "a")
    precious, link = tmp_path / "precious", tmp_path / "a" / name
    precious.write_text("precious")
    link.unlink(missing_ok=True)
    link.symlink_to(precious)
    with pytest.raises(FileError) as caught:
        recording(tmp_path / "a", graph, {}).__enter__()
    assert str(caught.value) == no_file_of_a_recording(link)
    assert precious.read_text() == "precious"


def test_a_link_to_a_folder_is_no_recording(tmp_path: Path) -> None:
    graph, _ = recorded(tmp_path / "a")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(FileError, match=r"b: is not the folder of a recording; save to another file$"):
        recording(tmp_path / "b", graph, {}).__enter__()


def no_file_of_a_recording(path: Path) -> str:
    return f"{path}: is not a file of a recording; move it out of {path.parent}, or save to another file"


FOREIGN = [
    "thesis.txt",
    "mass.npy",
    "mass.int64~",
    ".hidden",
    ".thesis.txt.0123456789abcdef.part",
    "lock.old",
    "rows.jsonl",
]


@pytest.mark.parametrize("name", [*FOREIGN, "folder/"])
@pytest.mark.parametrize("is_recorded", [True, False])
def test_a_folder_with_files_of_somebody_is_refused_and_left_alone(
    tmp_path: Path, name: str, is_recorded: bool
) -> None:
    graph, folder = compiled(cells=4), tmp_path / "a"
    if is_recorded:
        recorded(folder)
    else:
        folder.mkdir()
    foreign = folder / name
    if name.endswith("/"):
        foreign.mkdir()
    else:
        foreign.write_text("mine")
    before = sorted(folder.iterdir())
    with pytest.raises(FileError) as caught:
        recording(folder, graph, {}).__enter__()
    assert str(caught.value) == no_file_of_a_recording(foreign)
    assert sorted(folder.iterdir()) == before


def test_what_a_killed_writer_left_is_taken_and_removed(tmp_path: Path) -> None:
    recorded(tmp_path / "a")
    (tmp_path / "a" / ".snapshot.npz.0123456789abcdef.part").write_text("half")
    with recording(tmp_path / "a", compiled(cells=4), {}):
        discard(tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_file_that_is_put_there_during_the_run_stays(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    with recording(folder, compiled(cells=4), {}) as record:
        record.begin()
        (folder / "thesis.txt").write_text("mine")
        discard(folder)
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]
    assert (folder / "thesis.txt").read_text() == "mine"


def test_a_recording_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for name, reason in (
        ("file", "File exists"),
        ("file/a", "Not a directory"),
        ("none/a", "No such file or directory"),
    ):
        with pytest.raises(FileError) as caught:
            recording(tmp_path / name, compiled(cells=4), {}).__enter__()
        assert str(caught.value) == f"{tmp_path / name}: cannot be written ({reason})"


def test_a_run_that_ends_takes_its_own_recording_only(tmp_path: Path) -> None:
    graph = compiled(cells=4)
    for _ in range(3):
        with recording(tmp_path / "a", graph, {}) as record:
            record.begin()
            discard(tmp_path / "a")
            assert not (tmp_path / "a").exists()
            # The folder of the next run is another one, although the first still holds its lock.
            with recording(tmp_path / "a", graph, {}) as other:
                other.begin()
                assert (tmp_path / "a" / "mass.int64").exists()


def test_two_commands_with_one_output_at_once(tmp_path: Path) -> None:
    write_artifact(tmp_path / "run.pisnn", leaky_graph(), {})
    command = [*COMMAND, "both.npz"]
    runs = [subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ends = sorted((run.communicate()[1], run.returncode) for run in runs)
    lost = "error: both.npz.partial: is in use: another run records there; save to another file\n"
    # Where one has ended before the other began, both have run.
    assert ends in ([("", 0), (lost, 2)], [("", 0), ("", 0)])
    with np.load(tmp_path / "both.npz") as trace:
        assert trace["step"][-1] == 600000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["both.npz", "run.pisnn"]
