"""Files for SANA-FE: what it would read are the spikes that a run counts, the synapses of the graph and its cores."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from commands import run_command
from lava.proc.io.sink import RingBuffer as Sink
from models_under_test import binary_box, compiled, heat_model, hidden_model, seeing_box

from pisnn_deploy.api.artifact import CompiledArtifact
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.formats.sanafe import writer
from pisnn_deploy.graph.artifact import write_artifact
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.lines import stored_synapses
from pisnn_deploy.lava import CLIFNetwork, Session
from pisnn_deploy.project.spike_trains import spike_trains
from pisnn_deploy.runs import RunOptions, run_graph

STEPS = 4


def scattered(graph: IntegerGraph) -> IntegerGraph:
    """The graph with its neurons on nine cores, one after the other."""
    assert graph.placement is not None
    cores = {name: np.arange(graph.size(name), dtype=np.int64) % 9 for name in graph.chain}
    return replace(graph, placement=replace(graph.placement, core=cores, cores=9, chip=np.zeros(9, np.int64)))


GRAPHS: dict[str, Callable[[], IntegerGraph]] = {
    "rod": lambda: compiled(cells=8, boundary="dirichlet=0,1"),
    "dense, hidden layers": lambda: compiled(hidden_model((3, 2)), cells=6, boundary="dirichlet=-1,1", coding="dense"),
    "limiter": lambda: compiled(cells=8, limiter="positivity", boundary="dirichlet=0,1"),
    "residues": lambda: seeing_box(shape=(8,)),
    "binary spikes": lambda: binary_box(heat_model(), (8,), "dirichlet=0,1"),
    "rod on several cores": lambda: scattered(compiled(cells=8, boundary="dirichlet=0,1")),
}


def read(graph: IntegerGraph, folder: Path) -> tuple[Any, Any, Any]:
    """Architecture, network and counts of an export."""
    CompiledArtifact(graph, {}).export("sanafe", folder, steps=STEPS)
    architecture, network = (
        yaml.safe_load((folder / name).read_text()) for name in ("architecture.yaml", "network.yaml")
    )
    return architecture["architecture"], network, json.loads((folder / "counts.json").read_text())


def spikes_of(network: Any) -> dict[str, int]:
    """Spikes that the neurons of each group replay."""
    found: dict[str, int] = {}
    for group in network["network"]["groups"]:
        for neuron in group["neurons"]:
            for attributes in neuron.values():
                for attribute in attributes:
                    found[group["name"]] = found.get(group["name"], 0) + sum(attribute.get("spikes", ()))
    return found


@pytest.mark.parametrize("name", GRAPHS)
def test_what_it_replays_are_the_spikes_that_lava_counts(name: str, tmp_path: Path) -> None:
    graph = GRAPHS[name]()
    _, network, counts = read(graph, tmp_path / "out")
    replayed = spikes_of(network)
    run = run_graph("cpu", replace(graph, placement=None), graph.initial, RunOptions(STEPS))
    by_population = {
        population: sum(count for group, count in replayed.items() if re.fullmatch(rf"{population}_sends_\d", group))
        for population in graph.chain
    }
    assert by_population == run.events == counts["spikes"] and sum(run.events.values()) > 0
    assert counts["time_steps"] == run.time_steps


@pytest.mark.parametrize("name", ["rod", "dense, hidden layers", "limiter", "binary spikes"])
def test_spikes_are_replayed_at_the_time_steps_of_lava(name: str) -> None:
    graph = GRAPHS[name]()
    trains, _ = spike_trains(graph, STEPS)
    network = CLIFNetwork(CompiledArtifact(graph, {}), STEPS)
    sinks = {}
    for population, output in trains:
        port = network.spikes(population, graph.population(population).program.sends[output])
        sinks[population, output] = Sink(shape=port.shape, buffer=network.time_steps)
        port.connect(sinks[population, output].a_in)
    with Session(network) as session:
        session.run(network.time_steps)
        for key, train in trains.items():
            assert np.array_equal(sinks[key].data.get().T != 0, train), key


@pytest.mark.parametrize("name", ["limiter", "binary spikes", "rod on several cores"])
def test_edges_are_the_synapses_and_cores_those_of_the_placement(name: str, tmp_path: Path) -> None:
    graph = GRAPHS[name]()
    architecture, network, counts = read(graph, tmp_path / "out")
    expected = sorted(
        (f"{line.synapse.source}_sends_{line.synapse.output}.{line.number * line.synapse.inputs + pre}",
         f"{line.synapse.target}.{post}", weight)
        for line in stored_synapses(graph)
        for post, pre, weight in zip(
            line.synapse.connections.rows.row_of.tolist(),
            line.synapse.connections.rows.columns.tolist(),
            line.synapse.connections.rows.values.tolist(),
            strict=True,
        )
    )  # fmt: skip
    edges = [
        (*edge.split(" -> "), attributes[0]["weight"])
        for e in network["network"]["edges"]
        for edge, attributes in e.items()
    ]
    assert sorted(edges) == expected
    sent: dict[str, int] = {}
    for group in network["network"]["groups"]:
        for neuron in group["neurons"]:
            for number, attributes in neuron.items():
                sent[f"{group['name']}.{number}"] = sum(sum(a.get("spikes", ())) for a in attributes)
    assert counts["synaptic_operations"] == sum(sent[source] for source, _, _ in edges)
    assert graph.placement is not None
    assert (graph.placement.cores > 1) == name.endswith("several cores")
    per_tile, units = 4, set()
    for entry in network["mappings"]:
        for neuron, attributes in entry.items():
            place = {key: value for attribute in attributes for key, value in attribute.items()}
            tile, core = map(int, str(place["core"]).split("."))
            group, number = neuron.split(".")
            population = re.sub(r"_sends_\d", "", group)
            placed = graph.placement.core[population]
            assert tile * per_tile + core == placed[int(number) % placed.size]
            if "sends" in group:
                units.add((tile, core, place["soma"]))
    assert len(units) == sum(1 for neuron in sent if "_sends_" in neuron)
    tiles = int(re.fullmatch(r"tile\[0\.\.(\d+)\]", architecture["tile"][0]["name"])[1]) + 1  # type: ignore[index]
    assert tiles * per_tile >= graph.placement.cores


def test_the_same_artifact_gives_the_same_files(tmp_path: Path) -> None:
    write_artifact(tmp_path / "a.pisnn", GRAPHS["rod"](), {})
    for name in ("one.zip", "two.zip"):
        done = run_command("export", tmp_path / "a.pisnn", "--to", "sanafe", "-o", tmp_path / name, "-q")
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_what_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = GRAPHS["rod"]()
    with pytest.raises(
        UsageError, match=r"^sanafe: heat1d has no cores; compile it for a profile with cores, and with "
    ):
        CompiledArtifact(replace(graph, placement=None), {}).export("sanafe", tmp_path / "out")
    artifact = CompiledArtifact(graph, {})
    with pytest.raises(UsageError, match=r"^`steps`: needs `to` sanafe$"):
        artifact.export("c", tmp_path / "out", steps=3)
    with pytest.raises(UsageError, match=r"^`steps` 0: expected 1 to 1048576$"):
        artifact.export("sanafe", tmp_path / "out", steps=0)
    monkeypatch.setattr(writer, "MOST_BITS", 100)
    message = (
        r"^sanafe: \d+ connections, and 209 time steps of neurons, are too many for text; at most 1048576 and 100 "
    )
    with pytest.raises(UsageError, match=message):
        artifact.export("sanafe", tmp_path / "out", steps=5)
    assert not (tmp_path / "out").exists()


def test_spikes_that_were_not_written_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer._Network, "counts", lambda self: {"spikes": {"flux": 1}})
    with pytest.raises(AssertionError, match=r"^sanafe: \{'flux': 1\} spikes written, the run has "):
        CompiledArtifact(GRAPHS["rod"](), {}).export("sanafe", tmp_path / "out")
