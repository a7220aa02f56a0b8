"""Probes: the same rows on Lava and in kernels, whose spikes are the events of the run; cut, resumed and forged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from limited_laws import limited_law
from models_under_test import binary_box, compiled, heat_model, hidden_model, seeing_box, stock_box
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError, UsageError
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.lines import spikes
from pisnn_deploy.runs import RunOptions, run_graph, segments
from pisnn_deploy.runs.probes import Probed, probed_of, probes_of
from pisnn_deploy.runs.recording import recording
from pisnn_deploy.runs.run import Run, row_bytes
from pisnn_deploy.runs.segments import run_in_segments

GRAPHS: dict[str, Callable[[], IntegerGraph]] = {
    "reservoirs": lambda: compiled(cells=8, boundary="dirichlet=0,1"),
    "leaky, dense": lambda: compiled(heat_model(leak=1024), cells=9, boundary="dirichlet=0,1", coding="dense"),
    "two hidden layers": lambda: compiled(hidden_model((3, 2)), cells=6, boundary="dirichlet=-1,1"),
    "hidden layer, dense, reservoirs": lambda: compiled(
        hidden_model((3,)), cells=6, boundary="dirichlet=-1,1", coding="dense"
    ),
    "binary spikes": lambda: binary_box(heat_model(), (8,), "dirichlet=0,1"),
    "faces that see residues": lambda: seeing_box(shape=(8,)),
    "limiter": lambda: compiled(cells=8, limiter="positivity", boundary="dirichlet=0,1"),
}
STEPS = 9


def masses(graph: IntegerGraph) -> NDArray[np.int64]:
    """Masses from which hidden neurons fire, too; the graph's own where nothing is hidden."""
    if graph.spec.equation == "law" or not graph.between_fields:
        return graph.initial
    middle, quarter = (graph.window.lower + graph.window.upper) // 2, (graph.window.upper - graph.window.lower) // 8
    return np.random.default_rng(5).integers(middle - quarter, middle + quarter, graph.mesh.cells)


def probed_run(backend: str, graph: IntegerGraph, **options: object) -> Run:
    given = RunOptions(STEPS, probes=probes_of(graph, graph.chain))
    run = run_graph(backend, graph, masses(graph), replace(given, **options))  # type: ignore[arg-type]
    assert not run.failure
    return run


def same(found: tuple[Probed, ...], expected: tuple[Probed, ...]) -> None:
    assert [probed.probe.text for probed in found] == [probed.probe.text for probed in expected]
    for one, other in zip(found, expected, strict=True):
        assert list(one.values) == list(other.values)
        for name, rows in other.values.items():
            assert np.array_equal(one.values[name], rows), (other.probe.population, name)


def events(graph: IntegerGraph, probed: Probed) -> int:
    """Spikes of all outputs in all rows."""
    sent = [rows for name, rows in probed.values.items() if name not in probed.states]
    return sum(spikes(graph, probed.probe.population, payload) for rows in sent for payload in rows)


@pytest.mark.parametrize("name", GRAPHS)
def test_lava_and_kernels_record_the_same_and_it_is_what_a_run_counts(name: str) -> None:
    graph = GRAPHS[name]()
    fast, cpu = probed_run("fast", graph), probed_run("cpu", graph)
    same(cpu.trace.probes, fast.trace.probes)
    assert {p.probe.population: events(graph, p) for p in cpu.trace.probes} == cpu.events == fast.events
    assert sum(cpu.events.values()) > 0
    for probed in cpu.trace.probes:
        if probed.probe.population in graph.holders:
            assert np.array_equal(probed.states["mass"][:, : graph.mesh.cells], cpu.trace.mass)
            assert np.array_equal(probed.states["mass"][:, graph.mesh.cells :], cpu.trace.ledger)


@pytest.mark.parametrize("name", ["hidden layer, dense, reservoirs", "two hidden layers", "limiter"])
@pytest.mark.parametrize("backend", ["cpu", "fast"])
def test_a_run_in_two_parts_has_the_rows_of_the_whole(backend: str, name: str) -> None:
    graph = GRAPHS[name]()
    whole = probed_run("fast", graph, every=2)
    first = probed_run(backend, graph, every=2, until=4)
    second = probed_run(backend, graph, every=2, start=first.end)
    for one, two, expected in zip(first.trace.probes, second.trace.probes, whole.trace.probes, strict=True):
        joint = {name: np.concatenate([rows, two.values[name]]) for name, rows in one.values.items()}
        same((Probed(one.probe, joint),), (expected,))


def test_fields_of_a_law_are_probed_by_their_populations() -> None:
    graph = limited_law("asked at different times")
    run = probed_run("fast", graph)
    assert {p.probe.population: events(graph, p) for p in run.trace.probes} == run.events


def test_what_a_probe_names() -> None:
    graph = compiled(cells=8)
    (flux,) = probes_of(graph, ["flux:0-2,6", "flux: 7", "flux:1"])
    assert flux.neurons.tolist() == [0, 1, 2, 6, 7] and flux.text == "flux:0-2,6-7"
    membrane, flux = probes_of(graph, ["flux", "membrane:3"])
    assert (membrane.text, flux.text) == ("membrane:3", "flux:0-7")
    assert row_bytes(graph, probes=(membrane,)) - row_bytes(graph) == 2 * 8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fluks", "`probe` fluks: no population has the name 'fluks'; did you mean flux?"),
        ("zzz:1", "`probe` zzz:1: no population has the name 'zzz'; the graph has membrane, flux"),
        (
            "flux:",
            "`probe` flux:: '' is not a neuron; expected numbers from 0 and ranges, such as 0-9,63",
        ),
        (
            "flux:-1",
            "`probe` flux:-1: '-1' is not a neuron; expected numbers from 0 and ranges, such as 0-9,63",
        ),
        ("flux:8", "`probe` flux:8: there is no neuron 8; the population has neurons 0 to 7"),
        ("flux:0-99", "`probe` flux:0-99: there is no neuron 99; the population has neurons 0 to 7"),
        ("flux:5-2", "`probe` flux:5-2: the range 5-2 ends before it starts; expected 2-5"),
    ],
)
def test_a_wrong_probe_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        probes_of(compiled(cells=8), [text])
    assert str(refused.value) == message


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_a_backend_that_cannot_says_so(backend: str) -> None:
    with pytest.raises(UsageError) as refused:
        probed_run(backend, compiled(cells=4))
    assert str(refused.value) == (
        f"backend {backend}: cannot record probes (it returns masses, packets, currents and residues, and not what "
        "other neurons send); use cpu or fast"
    )


def test_lavas_own_processes_cannot_be_probed_but_their_graph_can() -> None:
    graph = stock_box(shape=(8,))
    with pytest.raises(
        UsageError, match=r"^backend cpu with probes: cannot handle a graph whose faces .* `backend` fast$"
    ):
        probed_run("cpu", graph)
    run = probed_run("fast", graph)
    assert {p.probe.population: events(graph, p) for p in run.trace.probes} == run.events


def test_outputs_are_asked_for_by_name() -> None:
    graph = GRAPHS["faces that see residues"]()
    probes = probed_run("fast", graph).trace.probes
    flux = probed_of(probes, "flux")
    assert flux.spikes("packet").any() and flux.spikes("residue").any()
    for output in (None, "speed"):
        with pytest.raises(UsageError, match=r"^flux: has the outputs packet, residue; name one of them$"):
            flux.spikes(output)
    with pytest.raises(UsageError, match=r"^membrane: has a single output without a name$"):
        probed_of(probes, "membrane").spikes("packet")
    with pytest.raises(UsageError, match=r"^'fluks' was not probed; did you mean flux\?$"):
        probed_of(probes, "fluks")
    with pytest.raises(UsageError, match=r"^'flux' was not probed; simulate with `probe` flux$"):
        probed_of((), "flux")


@pytest.fixture
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "FIRST_SEGMENT", 4)
    monkeypatch.setattr(segments, "FASTEST_GROWTH", 1.0)


@pytest.mark.usefixtures("short_segments")
@pytest.mark.parametrize("backend", ["cpu", "fast"])
def test_a_recorded_run_has_the_rows_of_the_undivided_one(tmp_path: Path, backend: str) -> None:
    graph = GRAPHS["two hidden layers"]()
    options = RunOptions(STEPS, probes=probes_of(graph, graph.chain))
    with recording(tmp_path / "r.partial", graph, {}, options.probes) as record:
        found = run_in_segments(backend, graph, masses(graph), options, record)
        same(found.trace.probes, probed_run("fast", graph).trace.probes)
        again = run_in_segments(backend, graph, masses(graph), options, record, resume=True)
        same(again.trace.probes, found.trace.probes)


def interrupted(folder: Path, graph: IntegerGraph, change: Callable[[Run], None] = lambda run: None) -> RunOptions:
    """Leave a recording of two segments, the second of which was changed before it was sealed."""
    options = RunOptions(STEPS, probes=probes_of(graph, ["flux:2", "membrane"]))
    first = run_graph("fast", graph, graph.initial, replace(options, until=3))
    second = run_graph("fast", graph, graph.initial, replace(options, start=first.end, until=6))
    change(second)
    with recording(folder, graph, {}, options.probes) as record:
        record.begin()
        rows = record.append(first.trace, 0, first.end, 0.5)
        record.append(second.trace, rows, second.end, 1.0, first.end)
    return options


def resumed(folder: Path, graph: IntegerGraph, options: RunOptions) -> Run:
    with recording(folder, graph, {}, options.probes) as record:
        run = run_in_segments("fast", graph, graph.initial, options, record, resume=True)
        return replace(run, trace=run.trace.at(np.arange(run.trace.step.size)))


def test_a_run_goes_on_with_its_probes(tmp_path: Path) -> None:
    graph = compiled(cells=8)
    options = interrupted(tmp_path / "r.partial", graph)
    expected = run_graph("fast", graph, graph.initial, options)
    same(resumed(tmp_path / "r.partial", graph, options).trace.probes, expected.trace.probes)


def test_a_damaged_row_of_a_probe_is_refused(tmp_path: Path) -> None:
    graph, folder = compiled(cells=8), tmp_path / "r.partial"
    options = interrupted(folder, graph)
    path = folder / "probe.flux.spikes.int64"
    content = bytearray(path.read_bytes())
    content[8] ^= 1
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"r\.partial: is damaged \(its hash differs from the snapshot's\)"):
        resumed(folder, graph, options)
    path.write_bytes(content[:-8])
    with pytest.raises(FileError, match=r"probe\.flux\.spikes\.int64: is damaged \(fewer than 7 rows\)"):
        resumed(folder, graph, options)


def test_a_forged_row_of_a_probe_in_the_last_segment_is_refused(tmp_path: Path) -> None:
    def change(run: Run) -> None:
        probed_of(run.trace.probes, "flux").values["residue"][1] += 1

    graph, folder = compiled(cells=8), tmp_path / "r.partial"
    options = interrupted(folder, graph, change)
    message = r"repeating PDE steps 3 to 6 gives another result: residue of flux at PDE step 5 differs"
    with pytest.raises(FileError, match=message):
        resumed(folder, graph, options)


def test_a_recording_of_other_probes_is_removed_when_a_run_starts_anew(tmp_path: Path) -> None:
    graph, folder = compiled(cells=8), tmp_path / "r.partial"
    interrupted(folder, graph)
    with recording(folder, graph, {}) as record:
        record.begin()
        assert not list(folder.glob("probe.*"))


def test_spikes_are_counted_even_where_a_run_keeps_few_rows() -> None:
    graph = compiled(cells=8)
    run = probed_run("fast", graph, every=4)
    expected = probed_run("fast", graph)
    rows = SimpleNamespace(kept=np.array([0, 4, 8, 9]))
    same(run.trace.probes, tuple(probed.at(rows.kept) for probed in expected.trace.probes))
