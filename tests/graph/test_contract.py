"""Graphs in which a name or a port means different things to different backends are refused when they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from graphs_by_hand import of_a_law, reaction, sink, synapse, two_fields
from models_under_test import compiled, hidden_model, oscillating_model, plane_model, stock_box

from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import CheckError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import read_artifact, read_sealed_artifact, write_artifact
from pisnn_deploy.graph.connections import Ends
from pisnn_deploy.graph.contract import contract_defects
from pisnn_deploy.graph.document import document
from pisnn_deploy.graph.fields import Ledger
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.mesh import structured_mesh
from pisnn_deploy.programs import parse
from pisnn_deploy.programs.neurons import sigma_delta
from pisnn_deploy.verify import check_certificate

ONES = np.ones(9, np.int64)


@pytest.fixture(scope="module")
def plain() -> IntegerGraph:
    return compiled(cells=9)


@pytest.fixture(scope="module")
def limited() -> IntegerGraph:
    return compiled(oscillating_model(), 9, "dirichlet=0,0.5", limiter="positivity")


@pytest.fixture(scope="module")
def hidden() -> IntegerGraph:
    return compiled(hidden_model((2,)), 9)


def changed(graph: IntegerGraph, name: str, **changes: object) -> IntegerGraph:
    """The graph with other attributes of one population."""
    populations = (replace(p, **changes) if p.name == name else p for p in graph.populations)  # type: ignore[arg-type]
    return replace(graph, populations=tuple(populations))


def reworded(graph: IntegerGraph, *changes: tuple[str, str], name: str = "flux") -> IntegerGraph:
    """The graph with other words in the program of one population."""
    text = str(graph.population(name).program)
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return changed(graph, name, program=parse(text))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ([("packet", "sent")], "flux: the program of channels must send one value that it computes, named packet"),
        (
            [
                ("packet, residue", "lifted, residue"),
                ("keep", "packet = eq(0, 1)\nkeep"),
                ("send packet", "send lifted"),
            ],
            "flux: the program of channels must send one value that it computes, named packet",
        ),
        (
            [("send packet", "send packet, residue")],
            "flux: the program of channels must send one value that it computes, named packet",
        ),
        (
            [("residue =", "rest ="), ("= residue", "= rest")],
            "flux: the last state of channels must become a value that the program computes, named residue",
        ),
        (
            [("(arrival; residue_before", "(arrival; residue_before, size"), ("keep ", "keep size = drive, ")],
            "flux: the last state of channels must become a value that the program computes, named residue",
        ),
        (
            [("(arrival; ", "(arrival; size, "), ("keep ", "keep size = drive, ")],
            "flux: the first of two states of channels must be, or become, the value named current",
        ),
        (
            [("(arrival; ", "(arrival; kept, size, "), ("keep ", "keep kept = current, size = drive, ")],
            "flux: the program of channels has 3 states; 1 or 2 are supported",
        ),
        ([("current", "size")], "flux: the program of channels computes no value named current"),
        (
            [("residue_before, current", "residue_before, drive")],
            "flux: the value named current is not what the program of channels adds to residue_before",
        ),
        (
            [
                ("add(residue_before, current)", "add(residue_before, drive)"),
                ("keep", "raised = add(residue_before, current)\nkeep"),
            ],
            "flux: the value named current is not what the program of channels adds to residue_before",
        ),
    ],
)
def test_names_that_runs_go_by_are_those_of_the_values(
    changes: list[tuple[str, str]], sentence: str, plain: IntegerGraph
) -> None:
    assert defects(reworded(plain, *changes)) == [sentence]


def test_what_the_compiler_makes_satisfies_the_contract(
    plain: IntegerGraph, limited: IntegerGraph, hidden: IntegerGraph
) -> None:
    for graph in (plain, limited, hidden, stock_box(plane_model(), (5, 6), "x=periodic y=no-flux", send_threshold=40)):
        assert [*contract_defects(graph)] == []


@pytest.mark.parametrize("port", ["source_mass", "target_mass"])
def test_channels_hear_exactly_the_masses_at_their_ends(port: str, limited: IntegerGraph) -> None:
    sentence = f"port {port} of flux must receive the mass at that end of each face, and nothing else"
    (ends,) = limited.into("flux", port)
    others = tuple(s for s in limited.synapses if s is not ends)
    assert isinstance(ends.connections, Ends)
    spelled_out = ends.with_mantissas(ends.mantissas)
    assert [*contract_defects(replace(limited, synapses=(*others, spelled_out)))] == []
    twice, first_twice = 2 * ends.mantissas, ends.mantissas.copy()
    first_twice[0] *= 2
    for wrong in (
        ends.with_mantissas(twice),
        ends.with_mantissas(first_twice),
        replace(ends, connections=replace(ends.connections, value=2 * ends.connections.value)),
        replace(ends, connections=replace(ends.connections, holder=np.roll(ends.connections.holder, 1))),
        replace(ends, connections=ends.connections, exponent=ends.exponent + 1),
    ):
        assert [*contract_defects(replace(limited, synapses=(*others, wrong)))] == [sentence]
    again = replace(ends, name="again")
    assert [*contract_defects(replace(limited, synapses=(*others, ends, again)))] == [sentence]


def test_ports_hear_masses_and_no_hidden_population() -> None:
    graph = compiled(hidden_model((1,)), 9, limiter="positivity")
    (ends,) = graph.into("flux", "source_short")
    synapses = tuple(replace(s, source="hidden1") if s is ends else s for s in graph.synapses)
    assert defects(replace(graph, synapses=synapses)) == ["flux must hear the answers of one population, which it asks"]


def test_requests_and_answers_go_where_the_ends_say(limited: IntegerGraph) -> None:
    joining = [s for s in limited.synapses if "answers" in (s.source, s.target)]
    assert len(joining) == 6
    for one in joining:
        others = tuple(s for s in limited.synapses if s is not one)
        twice = one.with_mantissas(2 * one.mantissas)
        assert [*contract_defects(replace(limited, synapses=(*others, twice)))] == [
            f"port {one.port} of {one.target} must receive value {one.output} of {one.source} from the ends of the "
            "channels, and nothing else"
        ]
        again = replace(one, name="again")
        assert len([*contract_defects(replace(limited, synapses=(*others, one, again)))]) == 1
    assert [*contract_defects(reworded(limited, ("max(short_rest, 0)", "max(short_rest, 1)"), name="answers"))] == [
        "answers does not run the program that answers flux"
    ]


def test_channels_are_the_faces_of_the_mesh(plain: IntegerGraph) -> None:
    (channels,) = plain.channels
    turned = replace(channels, source=channels.target, target=channels.source)
    assert [*contract_defects(replace(plain, channels=(turned,)))] == [
        "channels of flux do not join the holders on both sides of each mesh face"
    ]


def test_populations_between_have_no_states_and_are_heard(hidden: IntegerGraph, plain: IntegerGraph) -> None:
    counting = reworded(hidden, ("(arrival; ;", "(arrival; z;"), ("send", "keep z = activation\nsend"), name="hidden1")
    assert defects(counting) == ["hidden1 is neither holder nor channel, but its program has states and is no clock"]
    level = parse("neuron level(arrival; ; )\nactivation = asr(arrival, 2)\nsend activation")
    idle = replace(hidden.population("hidden1"), name="idle", size=9, program=level, parameters={}, start={})
    with_idle = replace(
        plain,
        populations=(plain.populations[0], idle, plain.populations[1]),
        synapses=(*plain.synapses, synapse("membrane", "idle", np.eye(9, dtype=np.int64))),
    )
    assert [*contract_defects(with_idle)] == ["idle sends to no other population"]


def test_states_of_channels_start_at_zero(plain: IntegerGraph) -> None:
    assert defects(changed(plain, "flux", start={"residue_before": 0 * ONES})) == []
    assert defects(changed(plain, "flux", start={"residue_before": ONES})) == [
        "flux: residue_before does not start at 0, where runs start it"
    ]


def test_late_faces_compute_their_first_current() -> None:
    graph = stock_box(plane_model(), (5, 6), "x=periodic y=no-flux", send_threshold=40)
    started = changed(graph, "flux", start={"current": np.ones(graph.size("flux"), np.int64)})
    assert defects(started) == ["flux: current does not start at 0, where runs start it"]


def renamed(graph: IntegerGraph) -> IntegerGraph:
    """The graph with other names of its holders and channels."""
    names = {"membrane": "cells", "flux": "faces"}
    return replace(
        graph,
        certificate=None,
        bounds=(),
        placement=None,
        populations=tuple(replace(p, name=names.get(p.name, p.name)) for p in graph.populations),
        synapses=tuple(
            replace(s, source=names.get(s.source, s.source), target=names.get(s.target, s.target))
            for s in graph.synapses
        ),
        fields=tuple(replace(f, holder="cells") for f in graph.fields),
        channels=tuple(
            replace(c, population="faces", source_holder="cells", target_holder="cells") for c in graph.channels
        ),
    )


def test_a_flux_network_has_one_field_under_its_names() -> None:
    assert defects(renamed(compiled(cells=9))) == [
        "a flux network needs one field with holders membrane, and channels flux"
    ]


@pytest.mark.parametrize("build", [two_fields, sink, reaction])
def test_graphs_of_several_fields_are_read(build: Callable[[], IntegerGraph], tmp_path: Path) -> None:
    path = tmp_path / "a.pisnn"
    graph = replace(build(), certificate=compiled(cells=9).certificate)
    write_artifact(path, graph, {})
    read = read_sealed_artifact(path).graph
    assert [(f.name, f.ledgers) for f in read.fields] == [(f.name, f.ledgers) for f in graph.fields]
    (finding,) = check_certificate(read)
    assert (finding.holds, finding.text) == (
        False,
        "the graph of a model is one with several fields or channels, or with names other than membrane and flux",
    )
    done = CliRunner().invoke(group, ["check", str(path), "-q"])
    assert isinstance(done.exception, CheckError) and str(done.exception) == f"{path}: does not fit loihi2"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda graph: reworded(graph, ("packet", "sent"), name="decay"),
            "decay: the program of channels must send one value that it computes, named packet",
        ),
        (
            lambda graph: changed(graph, "decay", start={"residue_before": np.ones(5, np.int64)}),
            "decay: residue_before does not start at 0, where runs start it",
        ),
        (
            lambda graph: graph.with_field(ledgers=()),
            "field u: 5 reservoirs have no ledger with a name",
        ),
        (
            lambda graph: graph.with_field(ledgers=(Ledger("left", 2), Ledger("sun", 2))),
            "field u: its ledgers name 4 reservoirs, it has 5",
        ),
        (
            lambda graph: graph.with_field(ledgers=(Ledger("left", 2), Ledger("left", 3))),
            "field u: two ledgers have the same name",
        ),
        (
            lambda graph: replace(
                changed(graph, "decay", program=sigma_delta(3, 4), parameters={}), synapses=graph.synapses
            ),
            "decay: what arrives takes effect one step late, which only a flux network of stock processes may do",
        ),
    ],
)
def test_channels_of_any_field_satisfy_the_contract(
    change: Callable[[IntegerGraph], IntegerGraph], sentence: str
) -> None:
    assert defects(sink()) == []
    assert defects(change(sink()))[0] == sentence


def test_channels_without_any_population_are_no_graph() -> None:
    graph = sink()
    holders = (graph.population("u"),)
    assert defects(replace(graph, populations=holders, channels=(), synapses=())) == ["no channel carries mass"]


def test_ledgers_have_the_names_of_sides_or_their_own() -> None:
    line = compiled(cells=9, boundary="dirichlet=0,0.5")
    assert {name: reservoirs.tolist() for name, reservoirs in line.ledgers_of(line.sole_field).items()} == {
        "left": [0],
        "right": [1],
    }
    own = sink().with_field(ledgers=(Ledger("left", 2), Ledger("sun", 3)))
    assert {name: reservoirs.tolist() for name, reservoirs in own.ledgers_of(own.sole_field).items()} == {
        "left": [0, 1],
        "sun": [2, 3, 4],
    }
    assert compiled(cells=9).ledgers_of(compiled(cells=9).sole_field) == {}
    plane = structured_mesh((2, 3), (1.0, 1.0), (("dirichlet", "no-flux"), ("dirichlet", "dirichlet")))
    assert {side: reservoirs.tolist() for side, reservoirs in plane.reservoirs_by_side.items()} == {
        "left": [0, 1, 2],
        "bottom": [3, 5],
        "top": [4, 6],
    }


@pytest.mark.parametrize("build", [two_fields, sink, reaction])
def test_the_recipe_of_a_law_is_stored(build: Callable[[], IntegerGraph], tmp_path: Path) -> None:
    graph = of_a_law(build(), -100, 100)
    write_artifact(tmp_path / "a.pisnn", graph, {})
    read = read_artifact(tmp_path / "a.pisnn").graph
    assert read.spec == graph.spec and read.spec.equation == "law"
    with pytest.raises(TypeError, match="the graph of the law by-hand has no model"):
        _ = read.model_spec


def test_ledgers_and_unit_are_stored_where_there_are_any(tmp_path: Path) -> None:
    graph = sink().with_field(ledgers=(Ledger("left", 2), Ledger("sun", 3)), unit="kg/m")
    write_artifact(tmp_path / "a.pisnn", graph, {})
    read = read_artifact(tmp_path / "a.pisnn").graph.sole_field
    assert (read.ledgers, read.unit) == (graph.sole_field.ledgers, "kg/m")
    described = document(two_fields())[0]
    assert all("ledgers" not in field and "unit" not in field for field in described["fields"])
