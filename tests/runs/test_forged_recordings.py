"""Recordings of which a word was changed and everything sealed again: refused, or the same run all the same."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from laws_compiled import compiled_law
from models_under_test import compiled, heat_model

from pisnn_deploy.core.errors import FileError, UsageError
from pisnn_deploy.graph.integer import MEMBRANE, IntegerGraph, Integers
from pisnn_deploy.runs import RunOptions, fast
from pisnn_deploy.runs.recording import recording
from pisnn_deploy.runs.registry import run_graph
from pisnn_deploy.runs.run import Run, RunState
from pisnn_deploy.runs.segments import run_in_segments

ROWS = ("step", "mass", "ledger", "transported", "in_flight")
ARRAYS = ("mass", "current", "residue", "transported")
NUMBERS = ("step", "in_flight", "packets_sent", "quanta_sent")
STEPS, STOPPED, EVERY = 40, 20, 6


def leaky() -> IntegerGraph:
    return compiled(heat_model(leak=1024), cells=9, boundary="dirichlet=0,1")


def memoryless() -> IntegerGraph:
    return compiled(cells=8)


def two_fields() -> IntegerGraph:
    """A graph of two joined fields with ledgers, and five populations of channels."""
    return compiled_law("gray_scott2d", (4, 4))


def recorded(folder: Path, graph: IntegerGraph, every: int = EVERY) -> Run:
    """Leave a recording of two segments that was interrupted, and give the run up to there."""
    mass = graph.initial
    first = fast.run(graph, mass, RunOptions(STEPS, every, until=STOPPED // 2))
    second = fast.run(graph, mass, RunOptions(STEPS, every, start=first.end, until=STOPPED))
    with recording(folder, graph, {"of": "this run"}) as record:
        record.begin()
        rows = record.append(first.trace, 0, first.end, 0.5)
        record.append(second.trace, rows, second.end, 1.0, first.end)
    return fast.run(graph, mass, RunOptions(STEPS, every, until=STOPPED))


def resumed(folder: Path, graph: IntegerGraph, every: int = EVERY) -> Run:
    with recording(folder, graph, {"of": "this run"}) as record:
        run = run_in_segments("fast", graph, graph.initial, RunOptions(STEPS, every), record, resume=True)
        return replace(run, trace=run.trace.at(np.arange(run.trace.step.size)))


class Forger:
    """Changes a recording and seals it again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with np.load(folder / "snapshot.npz") as held:
            self.arrays = {name: held[name] for name in held.files}
        self.facts: dict[str, Any] = json.loads(self.arrays.pop("said").astype(np.uint8).tobytes())
        self.rows = {name: np.fromfile(folder / f"{name}.int64", np.int64) for name in ROWS}

    def seal(self) -> None:
        for name, words in self.rows.items():
            words.tofile(self._folder / f"{name}.int64")
        self.facts["in_flight_sha256"] = hashlib.sha256(self.rows["in_flight"].tobytes()).hexdigest()
        text = np.frombuffer(json.dumps(self.facts).encode(), np.uint8).astype(np.int64)
        np.savez(self._folder / "snapshot.npz", **{"said": text, **self.arrays})


def other(word: int, chance: random.Random) -> int:
    """Another number of 64 bits: one more or less, a flipped bit, or anything."""
    choices = [word + 1, word - 1, word ^ 1 << chance.randrange(64), chance.getrandbits(64)]
    found = ((chance.choice(choices) + (1 << 63)) % (1 << 64)) - (1 << 63)
    return found if found != word else other(word, chance)


@pytest.mark.parametrize(
    ("made", "seed"),
    [*((made, seed) for made in (leaky, memoryless) for seed in range(4)), (two_fields, 0), (two_fields, 1)],
)
def test_a_changed_word_is_refused_or_harmless(tmp_path: Path, made: Callable[[], IntegerGraph], seed: int) -> None:
    graph, chance = made(), random.Random(seed)
    whole = fast.run(graph, graph.initial, RunOptions(STEPS, EVERY))
    for number in range(25):
        folder = tmp_path / str(number)
        recorded(folder, graph)
        forger = Forger(folder)
        kind = chance.choice(("rows", "arrays", "facts", "events"))
        facts = chance.choice((forger.facts, forger.facts["before"]))
        if kind == "events":
            name, population = "events", chance.choice(graph.chain)
            facts["events"][population] = other(facts["events"][population], chance)
        elif kind == "facts":
            name = chance.choice((*NUMBERS, "rows") if facts is forger.facts else NUMBERS)
            facts[name] = other(facts[name], chance)
        else:
            parts: dict[str, Integers] = getattr(forger, kind)
            name = chance.choice([part for part, words in parts.items() if words.size])
            place = chance.randrange(parts[name].size)
            parts[name][place] = other(int(parts[name][place]), chance)
        forger.seal()
        try:
            run = resumed(folder, graph)
        except FileError as error:
            assert str(error).startswith(f"{folder}") and "is damaged (" in str(error)
        else:
            assert run.conserved, (kind, name)
            # What was in flight in a row between others follows from nothing; it has no part in any balance.
            for part in ROWS[:-1] if (kind, name) == ("rows", "in_flight") else ROWS:
                assert np.array_equal(getattr(run.trace, part), getattr(whole.trace, part)), (kind, name, part)
            assert run.events == whole.events and run.quanta_sent == whole.quanta_sent


def test_what_was_not_changed_goes_on_to_the_undivided_run(tmp_path: Path) -> None:
    for number, (graph, every) in enumerate([(leaky(), 1), (leaky(), 6), (memoryless(), 20), (memoryless(), 50)]):
        recorded(tmp_path / str(number), graph, every)
        Forger(tmp_path / str(number)).seal()
        whole = fast.run(graph, graph.initial, RunOptions(STEPS, every))
        run = resumed(tmp_path / str(number), graph, every)
        for name in ROWS:
            assert np.array_equal(getattr(run.trace, name), getattr(whole.trace, name)), name


START = "the first row differs from the start"
UNEXPLAINED = "a row does not match its packets"


@pytest.mark.parametrize(
    ("name", "row", "index", "value", "problem"),
    [
        ("mass", 0, 3, lambda old: old + 89557, f"{START}: mass [3] of PDE step 0 is {{new}}, not {{old}}"),
        ("mass", 2, 3, lambda old: old - 1, f"{UNEXPLAINED}: mass [3] of PDE step 12 is {{new}}, not {{old}}"),
        ("ledger", 0, 1, lambda old: 5, f"{START}: ledger [1] of PDE step 0 is {{new}}, not {{old}}"),
        (
            "ledger",
            3,
            0,
            lambda old: old ^ 1 << 60,
            f"{UNEXPLAINED}: ledger [0] of PDE step 18 is {{new}}, not {{old}}",
        ),
        ("step", 1, 0, lambda old: 7, "rows of other PDE steps: step, row 1: 7, not 6"),
        ("in_flight", 0, 0, lambda old: 1, "packets in flight differ from those sent: in_flight of PDE step 0 is 1"),
        ("in_flight", 1, 0, lambda old: -1, "packets in flight differ from those sent: in_flight of PDE step 6 is -1"),
    ],
)
def test_a_changed_row_is_named(
    tmp_path: Path, name: str, row: int, index: int, value: Callable[[int], int], problem: str
) -> None:
    graph = leaky()
    recorded(tmp_path / "r", graph)
    forger = Forger(tmp_path / "r")
    width = forger.rows[name].size // forger.facts["rows"]
    place = row * width + index
    old = int(forger.rows[name][place])
    forger.rows[name][place] = value(old)
    forger.seal()
    text = problem.format(new=value(old), old=old)
    with pytest.raises(FileError) as caught:
        resumed(tmp_path / "r", graph)
    assert str(caught.value) == f"{tmp_path}/r: is damaged ({text}); start anew without `resume`"


def test_a_block_of_zeros_is_seen_in_every_part(tmp_path: Path) -> None:
    for name in ROWS:
        graph = leaky()
        recorded(tmp_path / name, graph)
        forger = Forger(tmp_path / name)
        forger.rows[name][forger.rows[name].size // 2 :] = 0
        forger.rows[name].tofile(tmp_path / name / f"{name}.int64")  # and nothing is sealed: nobody meant to do this
        with pytest.raises(FileError, match="is damaged"):
            resumed(tmp_path / name, graph)


def test_packets_in_flight_that_nobody_recorded_are_damage(tmp_path: Path) -> None:
    graph = memoryless()
    recorded(tmp_path / "r", graph)
    path = tmp_path / "r" / "in_flight.int64"
    words = np.fromfile(path, np.int64)
    words[2] += 1
    words.tofile(path)
    with pytest.raises(FileError) as caught:
        resumed(tmp_path / "r", graph)
    assert (
        str(caught.value) == f"{path}: is damaged (its hash differs from the snapshot's); start anew without `resume`"
    )


def test_rows_of_every_step_say_what_is_in_flight(tmp_path: Path) -> None:
    graph = leaky()
    recorded(tmp_path / "r", graph, every=1)
    forger = Forger(tmp_path / "r")
    forger.rows["in_flight"][4] += 2
    forger.seal()
    with pytest.raises(FileError, match=r"packets in flight differ from those sent: in_flight of PDE step 4 is "):
        resumed(tmp_path / "r", graph, every=1)


def test_masses_far_outside_the_window_that_packets_explain_are_refused(tmp_path: Path) -> None:
    graph = memoryless()
    recorded(tmp_path / "r", graph)
    forger = Forger(tmp_path / "r")
    source, target = int(graph.mesh.source[0]), int(graph.mesh.target[0])
    for words in (forger.arrays, {name: rows[-rows.size // 4 :] for name, rows in forger.rows.items()}):
        words["transported"][0] += 1 << 40
        words["mass"][source] -= 1 << 40
        words["mass"][target] += 1 << 40
    forger.seal()
    with pytest.raises(FileError, match=r"is damaged \(masses outside the operating range: overflow: membrane mass \["):
        resumed(tmp_path / "r", graph)


def stopped(graph: IntegerGraph) -> RunState:
    state = fast.run(graph, graph.initial, RunOptions(STEPS, until=STOPPED)).end
    assert state is not None
    return state


@pytest.mark.parametrize("backend", ["fast", "onnx"])
def test_a_state_that_a_caller_gives_is_not_cut(backend: str) -> None:
    graph = memoryless()
    assert graph.bits(MEMBRANE, "mass") < 32
    state = stopped(graph)
    mass = state.mass.copy()
    mass[2] += 1 << 32  # cut to 32 bits, this is the same number
    wrong = replace(state, mass=mass)
    with pytest.raises(UsageError) as caught:
        run_graph(backend, graph, graph.initial, RunOptions(STEPS, start=wrong))
    assert str(caught.value) == (
        f"the state at PDE step 20: masses outside the operating range: overflow: membrane mass [2] is {mass[2]} at "
        f"PDE step 20, outside its {graph.bits(MEMBRANE, 'mass')} signed bits"
    )


def test_a_start_beyond_the_arrays_of_the_kernels_is_a_violation_and_not_another_start() -> None:
    graph = memoryless()
    mass = graph.initial.copy()
    mass[2] += 1 << 32
    run = fast.run(graph, mass, RunOptions(STEPS))
    bits = graph.bits(MEMBRANE, "mass")
    assert not run.conserved and run.steps == 0
    assert run.failure == f"overflow: membrane mass [2] is {mass[2]} at PDE step 0, outside its {bits} signed bits"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"current": 3}, "a current that the leak should have removed: flux [0] has 3"),
        ({"residue": -(2**63)}, "a residue above half of theta, 64: flux [0] has -9223372036854775808"),
    ],
)
def test_a_state_is_named_by_what_is_wrong_with_it(change: dict[str, int], problem: str) -> None:
    graph = memoryless()
    state = stopped(graph)
    for name, value in change.items():
        if name in ARRAYS:
            words = getattr(state, name).copy()
            words[0] = value
            state = replace(state, **{name: words})
        else:
            state = replace(state, **{name: value})  # type: ignore[arg-type]
    with pytest.raises(UsageError) as caught:
        run_graph("fast", graph, graph.initial, RunOptions(STEPS, start=state))
    assert str(caught.value) == f"the state at PDE step 20: {problem}"
