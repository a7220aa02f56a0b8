"""Every rule: a graph that just passes and one that just fails."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from checked_graphs import (
    heat_graph,
    placed,
    with_bits,
    with_claims,
    with_exponent,
    with_figure,
    with_ledger_steps,
    with_level,
    with_mantissas,
    with_start,
)
from hypothesis import given
from hypothesis import strategies as st
from models_under_test import with_lines

from pisnn_deploy.checks import RULES, Finding, Report, check
from pisnn_deploy.graph import Bound, Claim, IntegerGraph, Synapse
from pisnn_deploy.graph.connections import Explicit
from pisnn_deploy.graph.kinds import rectifiers, with_faces
from pisnn_deploy.target import Profile, load_profile

LOIHI1 = load_profile("loihi1")
LOIHI2 = load_profile("loihi2")
GENERIC = load_profile("generic-int")
HEAT = heat_graph()
EIGHT = list(range(8))
NOTHING = Claim("none", "nonlinear")
BIASED = replace(with_faces(HEAT, np.full(8, -512)), coding="dense")
INFORMATION = {("PD117", "spike-counters"), ("PD207", "programs-known")}
"""Rules that only ever inform; tests/checks/test_limits.py has them."""


def core(key: str, value: int) -> Profile:
    return with_figure(LOIHI2, f"core.{key}", value)


def generic(key: str, value: int) -> Profile:
    return with_figure(GENERIC, key, value)


TABLE = with_level(HEAT, "table t = 0 1 4 9 16 25 36 49", "level = table(near, t)")
SQUARE = with_level(HEAT, "level = mul_shr(near, near, 1)")
UNPLACED = "the graph is not placed; a single core would need"


@dataclass(frozen=True)
class Case:
    """One rule at its limit."""

    code: str
    name: str
    passing: tuple[Any, ...]
    failing: tuple[Any, ...]
    place: str
    value: int | str | None
    limit: int | str | None
    message: str


CASES = [
    Case(
        "PD001",
        "weight-mantissas",
        (with_mantissas(HEAT, [254, -256]), LOIHI2),
        (with_mantissas(HEAT, [256, -256]), LOIHI2),
        "drive",
        256,
        254,
        "1 of 16 mantissas are outside -256 to 254 (mixed mode); the first is 256 from neuron 0 to neuron 0",
    ),
    Case(
        "PD001",
        "weight-mantissas",
        (with_mantissas(HEAT, [254, -256]), LOIHI2),
        (with_mantissas(HEAT, [2, -2, 6, -258]), LOIHI2),
        "drive",
        -258,
        -256,
        "1 of 16 mantissas are outside -256 to 254 (mixed mode); the first is -258 from neuron 2 to neuron 1",
    ),
    Case(
        "PD001",
        "weight-mantissas",
        (with_mantissas(HEAT, [2, -4]), LOIHI2),
        (with_mantissas(HEAT, [2, -3, 5]), LOIHI2),
        "drive",
        -3,
        2,
        "2 of 16 mantissas are not multiples of 2 (mixed mode); the first is -3 from neuron 1 to neuron 0",
    ),
    Case(
        "PD001",
        "weight-mantissas",
        (with_mantissas(HEAT, [255] * 16), LOIHI2),
        (with_mantissas(HEAT, [255] * 15 + [256]), LOIHI2),
        "drive",
        256,
        255,
        "1 of 16 mantissas are outside -255 to 255 (single-sign mode); the first is 256 from neuron 7 to neuron 7",
    ),
    Case(
        "PD002",
        "weight-exponent",
        (with_exponent(HEAT, -8), LOIHI2),
        (with_exponent(HEAT, -9), LOIHI2),
        "drive",
        -9,
        -8,
        "the weight exponent is -9, but must be from -8 to 7",
    ),
    Case(
        "PD002",
        "weight-exponent",
        (with_exponent(HEAT, 7), LOIHI2),
        (with_exponent(HEAT, 8), LOIHI2),
        "drive",
        8,
        7,
        "the weight exponent is 8, but must be from -8 to 7",
    ),
    Case(
        "PD003",
        "bounds-declared",
        (HEAT, LOIHI2),
        (replace(HEAT, bounds=HEAT.bounds[1:]), LOIHI2),
        "membrane",
        None,
        None,
        "the mass has no declared width, so it was not checked",
    ),
    Case(
        "PD003",
        "bounds-declared",
        (with_bits(HEAT, "flux", "residue", 9), LOIHI2),
        (with_bits(HEAT, "flux", "residue", 8), LOIHI2),
        "flux",
        9,
        8,
        "the residue ranges from -128 to 128 and needs 9 bits, but 8 are declared",
    ),
    Case(
        "PD003",
        "bounds-declared",
        (HEAT, LOIHI2),
        (replace(HEAT, bounds=(*HEAT.bounds[:-1], Bound("route", "accumulator", 5, 4, 12))), LOIHI2),
        "route",
        5,
        4,
        "the interval of the accumulator is empty: 5 to 4",
    ),
    *(
        Case(
            "PD004",
            "state-width",
            (with_bits(HEAT, population, quantity, 24), LOIHI2),
            (with_bits(HEAT, population, quantity, 25), LOIHI2),
            population,
            25,
            24,
            f"the {quantity} needs 25 signed bits, but a state holds 24",
        )
        for population, quantity in (
            ("membrane", "mass"),
            ("flux", "drive"),
            ("flux", "current"),
            ("flux", "residue"),
        )
    ),
    *(
        Case(
            "PD005",
            "payload-width",
            (with_bits(HEAT, population, quantity, 24), LOIHI2),
            (with_bits(HEAT, population, quantity, 25), LOIHI2),
            population,
            25,
            24,
            f"the {quantity} needs 25 signed bits, but a spike carries at most 24",
        )
        for population, quantity in (("membrane", "payload"), ("flux", "packet"))
    ),
    Case(
        "PD006",
        "graded-spikes",
        (HEAT, with_figure(LOIHI1, "payload.graded", value=True)),
        (HEAT, LOIHI1),
        "membrane",
        "graded",
        "binary",
        "its spikes carry integers, but loihi1 has only binary spikes",
    ),
    Case(
        "PD006",
        "graded-spikes",
        (with_lines(HEAT, {"membrane": 16, "flux": 16}), LOIHI1),
        (HEAT, LOIHI1),
        "membrane",
        "graded",
        "binary",
        "its spikes carry integers, but loihi1 has only binary spikes",
    ),
    Case(
        "PD009",
        "programmable-neurons",
        (HEAT, with_figure(LOIHI1, "state.programmable", value=True)),
        (HEAT, LOIHI1),
        "membrane",
        "program",
        "integrate-and-fire",
        "it is not an integrate-and-fire neuron, but loihi1 has no others",
    ),
    Case(
        "PD007",
        "accumulator-width",
        (with_bits(HEAT, "drive", "accumulator", 32), LOIHI2),
        (with_bits(HEAT, "drive", "accumulator", 33), LOIHI2),
        "drive",
        33,
        32,
        "the accumulator needs 33 signed bits, but holds 32",
    ),
    Case(
        "PD008",
        "decay-constant",
        (with_faces(HEAT, leak=4096), LOIHI2),
        (with_faces(HEAT, leak=4097), LOIHI2),
        "flux",
        4097,
        4096,
        "the leak is 4097, but must be from 1 to 4096",
    ),
    Case(
        "PD008",
        "decay-constant",
        (with_faces(HEAT, leak=1), LOIHI2),
        (with_faces(HEAT, leak=0), LOIHI2),
        "flux",
        0,
        1,
        "the leak is 0, but must be from 1 to 4096",
    ),
    Case(
        "PD010",
        "threshold-width",
        (HEAT, with_figure(LOIHI2, "threshold.bits", 9)),
        (HEAT, with_figure(LOIHI2, "threshold.bits", 8)),
        "flux",
        9,
        8,
        "the threshold needs 9 bits, but 8 are available",
    ),
    Case(
        "PD011",
        "bias-width",
        (replace(BIASED, coding="delta"), with_figure(LOIHI2, "bias.bits", 9)),
        (BIASED, with_figure(LOIHI2, "bias.bits", 9)),
        "flux",
        10,
        9,
        "a bias needs 10 signed bits, but 9 are available",
    ),
    Case(
        "PD101",
        "placement-valid",
        (placed(HEAT, [0] * 8, [1] * 8), LOIHI2),
        (placed(HEAT, [0] * 8, [1] * 7), LOIHI2),
        "graph",
        None,
        None,
        "invalid placement: population flux has 8 neurons but 7 core numbers",
    ),
    Case(
        "PD101",
        "placement-valid",
        (placed(HEAT, [0] * 8, [1] * 8), LOIHI2),
        (placed(HEAT, [0] * 7 + [-1], [1] * 8), LOIHI2),
        "graph",
        None,
        None,
        "invalid placement: population membrane has a negative core number, -1",
    ),
    Case(
        "PD102",
        "neurons-per-core",
        (HEAT, core("neurons_max", 16)),
        (HEAT, core("neurons_max", 15)),
        "graph",
        16,
        15,
        f"{UNPLACED} 16 neurons, but holds 15",
    ),
    Case(
        "PD102",
        "neurons-per-core",
        (placed(HEAT, [0] * 6 + [4] * 2, [0] * 2 + [4] * 6), core("neurons_max", 8)),
        (placed(HEAT, [0] * 6 + [4] * 2, [0] * 1 + [4] * 7), core("neurons_max", 8)),
        "core 4",
        9,
        8,
        "9 neurons, but a core holds 8",
    ),
    Case(
        "PD103",
        "neuron-groups-per-core",
        (placed(HEAT, [0] * 8, [1] * 8), core("neuron_groups_max", 1)),
        (placed(HEAT, [0] * 8, [1] * 7 + [0]), core("neuron_groups_max", 1)),
        "core 0",
        2,
        1,
        "2 neuron groups, but a core holds 1",
    ),
    Case(
        # Two synapses an axon: 2 * 20 + 10 bits are one word, for 16 axons.
        "PD104",
        "synaptic-memory",
        (HEAT, core("synaptic_memory_words", 16)),
        (HEAT, core("synaptic_memory_words", 15)),
        "graph",
        16,
        15,
        f"{UNPLACED} 16 words of synaptic memory, but holds 15",
    ),
    Case(
        "PD105",
        "synapse-list",
        (HEAT, generic("synapse.axon_words_max", 2)),
        (HEAT, generic("synapse.axon_words_max", 1)),
        "drive",
        2,
        1,
        "its longest input axon takes 2 words, but at most 1 are allowed",
    ),
    Case(
        # Core 1 holds all faces: 8 axons. With a face on core 0, core 0 has 8 of the route and 2 of that face.
        "PD106",
        "input-axons",
        (placed(HEAT, [0] * 8, [1] * 8), core("input_axons_max", 8)),
        (placed(HEAT, [0] * 8, [1] * 7 + [0]), core("input_axons_max", 8)),
        "core 0",
        10,
        8,
        "10 input axons, but a core holds 8",
    ),
    Case(
        # On another chip each of the eight axons costs two entries.
        "PD107",
        "output-axons",
        (placed(HEAT, [0] * 8, [127] * 8), with_figure(LOIHI1, "core.output_axons_max", 8)),
        (placed(HEAT, [0] * 8, [128] * 8, 2), with_figure(LOIHI1, "core.output_axons_max", 8)),
        "core 0",
        16,
        8,
        "16 output axon entries, but a core holds 8",
    ),
    Case(
        "PD108",
        "axon-map",
        (HEAT, core("axon_map_words", 16)),
        (HEAT, core("axon_map_words", 15)),
        "graph",
        16,
        15,
        f"{UNPLACED} 16 words of axon map, but holds 15",
    ),
    Case(
        # Faces alternate between two cores, so each cell has one axon beyond its first: 8 of half a word.
        "PD109",
        "axon-memory",
        (placed(HEAT, [2] * 8, [0, 1] * 4), core("axon_memory_words", 4)),
        (placed(HEAT, [2] * 8, [0, 1] * 4), core("axon_memory_words", 3)),
        "core 2",
        4,
        3,
        "4 words of axon memory, but a core holds 3",
    ),
    Case(
        # 16 input axons, 16 neurons, 16 words of synapses, 16 of axon map.
        "PD110",
        "total-memory",
        (HEAT, core("total_words", 64)),
        (HEAT, core("total_words", 63)),
        "graph",
        64,
        63,
        f"{UNPLACED} 64 words in total, but holds 63",
    ),
    Case(
        "PD111",
        "cores",
        (placed(HEAT, [0] * 8, [119] * 8), LOIHI2),
        (placed(HEAT, [0] * 8, [120] * 8), LOIHI2),
        "graph",
        121,
        120,
        "the placement needs 121 cores, but 120 are usable (120 on each of its chips)",
    ),
    Case(
        "PD112",
        "chips",
        (placed(HEAT, [0] * 8, [119] * 8, 1), LOIHI2),
        (placed(HEAT, [0] * 8, [120] * 8, 2), LOIHI2),
        "graph",
        2,
        1,
        "the placement uses 2 chips, but loihi2 has 1",
    ),
    Case(
        "PD113",
        "state-words",
        (HEAT, core("neuron_state_words", 16)),
        (HEAT, core("neuron_state_words", 15)),
        "graph",
        16,
        15,
        f"{UNPLACED} 16 words of neuron states, but holds 15",
    ),
    Case(
        "PD114",
        "neuron-addresses",
        (HEAT, with_figure(LOIHI2, "synapse.index_bits", 4)),
        (HEAT, with_figure(LOIHI2, "synapse.index_bits", 3)),
        "graph",
        16,
        8,
        "16 neurons, but indices of 3 bits address only 8",
    ),
    Case(
        "PD115",
        "axons-per-neuron",
        (placed(HEAT, [2] * 8, [0, 1] * 4), generic("core.neuron_output_axons_max", 2)),
        (placed(HEAT, [2] * 8, [0, 1] * 4), generic("core.neuron_output_axons_max", 1)),
        "membrane",
        2,
        1,
        "one of its neurons takes 2 output axon entries, but may take at most 1",
    ),
    Case(
        "PD116",
        "delay-slots",
        (HEAT, with_figure(LOIHI1, "delay.accumulators_max", 128)),
        (HEAT, with_figure(LOIHI1, "delay.accumulators_max", 127)),
        "graph",
        128,
        127,
        f"{UNPLACED} 128 delay slots, but holds 127",
    ),
    Case(
        "PD201",
        "certificate-present",
        (HEAT, LOIHI2),
        (replace(HEAT, certificate=None), LOIHI2),
        "graph",
        "none",
        "present",
        "the graph has no certificate",
    ),
    Case(
        "PD202",
        "conservation-proved",
        (HEAT, LOIHI2),
        (with_claims(HEAT, conservation=Claim("assumed", "nonlinear")), LOIHI2),
        "graph",
        "assumed",
        "proved",
        "conservation is not proved: the flux network is not linear",
    ),
    Case(
        "PD203",
        "overflow-bounded",
        (with_claims(HEAT, overflow=Claim("assumed", "operating-window")), LOIHI2),
        (with_claims(HEAT, overflow=NOTHING), LOIHI2),
        "graph",
        "none",
        "assumed",
        "states and payloads are not bounded: the flux network is not linear",
    ),
    Case(
        "PD204",
        "certificate-valid",
        (HEAT, LOIHI2, ()),
        (HEAT, LOIHI2, (("bounds", "flux packet ranges from -9 to 9, but its bound is -8 to 8"),)),
        "graph",
        "bounds",
        "proved",
        "bounds: flux packet ranges from -9 to 9, but its bound is -8 to 8",
    ),
    Case(
        "PD205",
        "ledgers-last",
        (with_ledger_steps(HEAT, 1_000_000), LOIHI2),
        (with_ledger_steps(HEAT, 999_999), LOIHI2),
        "membrane",
        999_999,
        1_000_000,
        "a ledger may wrap after 999999 PDE steps, but 1000000 are planned",
    ),
    Case(
        "PD206",
        "start-in-range",
        (with_start(HEAT, 2**20), LOIHI2),
        (with_start(HEAT, 2**20 + 1), LOIHI2),
        "membrane",
        2**20 + 1,
        2**20,
        "cell 3 starts at 1048577, outside 0 to 1048576",
    ),
    Case(
        "PD206",
        "start-in-range",
        (with_start(HEAT, 100, 100), LOIHI2),
        (with_start(HEAT, 101, 100), LOIHI2),
        "flux",
        101,
        100,
        "the start differs by 101 across face 2, but at most 100 is allowed",
    ),
    Case(
        "PD118",
        "lookup-tables",
        (TABLE, with_figure(LOIHI2, "microcode.table_words", 4, confidence="documented")),
        (TABLE, with_figure(LOIHI2, "microcode.table_words", 3, confidence="documented")),
        "graph",
        4,
        3,
        f"{UNPLACED} 4 words of tables, but holds 3",
    ),
    Case(
        "PD119",
        "products",
        (SQUARE, LOIHI2),
        (SQUARE, with_figure(LOIHI2, "microcode.multiply", value=False)),
        "level",
        "product",
        "none",
        "its program multiplies two values, but programs of loihi2 cannot",
    ),
    Case(
        "PD119",
        "products",
        (SQUARE, with_figure(LOIHI2, "microcode.product_bits", 8, confidence="documented")),
        (SQUARE, with_figure(LOIHI2, "microcode.product_bits", 7, confidence="documented")),
        "level",
        8,
        7,
        "a full product needs 8 signed bits, but 7 are available",
    ),
]


def found(report: Report, code: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.rule == code and finding.severity != "info"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.place}")
def test_rule_at_its_limit(case: Case) -> None:
    assert [f for f in found(check(*case.passing), case.code) if f.severity == "error"] == []
    report = check(*case.failing)
    assert not report.passed
    first = found(report, case.code)[0]
    fix = next(rule.fix for rule in RULES if rule.code == case.code)
    assert first == Finding(case.code, case.name, "error", case.place, case.value, case.limit, case.message, fix)


def test_every_rule_is_tested_at_its_limit() -> None:
    assert {(case.code, case.name) for case in CASES} | INFORMATION == {(rule.code, rule.name) for rule in RULES}


def test_sound_graph_passes_loihi2_and_generic_int() -> None:
    assert check(HEAT, GENERIC).findings == ()
    report = check(HEAT, LOIHI2)
    assert report.passed
    assert [(f.rule, f.severity, f.message, f.fix) for f in report.findings] == [
        ("PD105", "info", "not checked: no limit for the words of one input axon is published for loihi2", ""),
        ("PD115", "info", "not checked: no limit for output axons of a neuron is published for loihi2", ""),
        ("PD116", "info", "not checked: no limit for delay slots in a core is published for loihi2", ""),
    ]


def test_tables_and_products_without_a_published_limit_are_counted() -> None:
    for graph, code, message in (
        (TABLE, "PD118", "not checked: the tables of a core take up to 4 words, no limit is published for loihi2"),
        (SQUARE, "PD119", "not checked: the widest product has 8 bits, no limit is published for loihi2"),
    ):
        report = check(graph, LOIHI2)
        assert report.passed
        assert [(f.severity, f.message) for f in report.findings if f.rule == code] == [("info", message)]
        assert [f for f in check(graph, GENERIC).findings if f.rule == code] == []


def test_a_leak_is_no_product() -> None:
    leaky = with_faces(HEAT, leak=900)
    assert not [
        f for f in check(leaky, with_figure(LOIHI2, "microcode.multiply", value=False)).findings if f.rule == "PD119"
    ]


def test_loihi1_names_every_population_that_sends() -> None:
    report = check(HEAT, LOIHI1)
    assert not report.passed
    assert [f.population for f in found(report, "PD006")] == ["membrane", "flux"]


def test_loihi1_accumulator() -> None:
    narrow = with_bits(HEAT, "drive", "accumulator", 16)
    assert found(check(narrow, LOIHI1), "PD007") == []
    wide = check(with_bits(HEAT, "drive", "accumulator", 17), LOIHI1)
    assert [f.message for f in found(wide, "PD007")] == ["the accumulator needs 17 signed bits, but holds 16"]


def test_violations_of_several_rules_are_all_reported() -> None:
    broken = with_bits(with_bits(with_mantissas(HEAT, [3, -3]), "membrane", "mass", 30), "flux", "current", 31)
    broken = replace(broken, certificate=None)
    places = [(f.rule, f.population) for f in check(broken, LOIHI2).findings if f.severity == "error"]
    assert places == [("PD001", "drive"), ("PD004", "membrane"), ("PD004", "flux"), ("PD201", "graph")]


def test_every_overfull_core_is_reported() -> None:
    graph = placed(HEAT, [0] * 8, [5] * 8)
    report = check(graph, core("neurons_max", 7))
    assert [(f.population, f.value) for f in found(report, "PD102")] == [("core 0", 8), ("core 5", 8)]


def test_limit_on_which_sources_disagree_warns() -> None:
    disputed = with_figure(LOIHI2, "core.synaptic_memory_words", 16, low=15, high=20)
    report = check(HEAT, disputed)
    assert report.passed
    assert [(f.severity, f.limit, f.message) for f in found(report, "PD104")] == [
        ("warning", 15, f"{UNPLACED} 16 words of synaptic memory, but holds 15 by one source")
    ]


def test_disputed_accumulator_warns() -> None:
    report = check(with_bits(HEAT, "drive", "accumulator", 25), LOIHI2)
    assert report.passed
    assert [(f.severity, f.message) for f in found(report, "PD007")] == [
        ("warning", "the accumulator needs 25 signed bits, but holds 24 by one source")
    ]


def test_drive_is_no_state_in_dense_coding() -> None:
    dense = replace(with_bits(HEAT, "flux", "drive", 25), coding="dense")
    assert found(check(dense, LOIHI2), "PD004") == []


def test_hidden_population_needs_its_widths() -> None:
    cells, faces = HEAT.populations
    hidden = replace(HEAT, populations=(cells, rectifiers("hidden1", np.zeros(8, np.int64), 2), faces))
    messages = [(f.population, f.message) for f in found(check(hidden, LOIHI2), "PD003")]
    assert messages == [
        ("hidden1", f"the {quantity} has no declared width, so it was not checked")
        for quantity in ("drive", "activation", "payload")
    ]


def test_report_as_json() -> None:
    report = check(HEAT, LOIHI2)
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert sorted(data) == ["comparison", "estimates", "findings", "pass", "profile", "resources"]
    assert data["profile"] == "loihi2"
    assert data["pass"] is True
    assert sorted(data["findings"][0]) == [
        "fix",
        "limit",
        "message",
        "name",
        "population",
        "rule",
        "severity",
        "value",
    ]
    assert data["resources"] == {
        "cores": 1,
        "chips": 1,
        "neurons": 16,
        "synapses": 32,
        "synaptic_memory_words": 16,
        "input_axons": 16,
        "output_axons": 16,
        "utilisation": {
            "neurons": 16 / 4095,
            "synaptic_memory": 16 / 16000,
            "input_axons": 16 / 16000,
            "total_memory": 64 / 20000,
            "cores": 1 / 120,
            "chips": 1.0,
        },
    }


def test_resources_of_a_placement() -> None:
    resources = check(placed(HEAT, [0] * 4 + [3] * 4, [0] * 4 + [3] * 4), LOIHI2).resources
    assert (resources.cores, resources.chips, resources.synapses) == (2, 1, 32)
    # Each core holds four cells and four faces, and hears of five faces and five cells.
    assert resources.synaptic_memory_words == 20
    assert resources.utilisation["input_axons"] == 10 / 16000


def brute_force_axons(graph: IntegerGraph) -> dict[tuple[int, str, int], int]:
    """Synapses of each (core, synapse population, source neuron), counted one by one."""
    assert graph.placement is not None
    result: dict[tuple[int, str, int], int] = {}
    for synapse in graph.synapses:
        for row in range(synapse.outputs):
            for entry in range(int(synapse.row_starts[row]), int(synapse.row_starts[row + 1])):
                key = (int(graph.placement.core[synapse.target][row]), synapse.name, int(synapse.columns[entry]))
                result[key] = result.get(key, 0) + 1
    return result


@given(
    membrane=st.lists(st.integers(0, 3), min_size=8, max_size=8),
    flux=st.lists(st.integers(0, 3), min_size=8, max_size=8),
)
def test_counts_equal_counting_one_by_one(membrane: list[int], flux: list[int]) -> None:
    graph = placed(HEAT, membrane, flux)
    axons = brute_force_axons(graph)
    report = check(graph, core("synaptic_memory_words", 0))
    expected: dict[str, int] = {}
    for (number, _, _), synapses in axons.items():
        name = f"core {number}"
        expected[name] = expected.get(name, 0) + -(-(20 * synapses + 10) // 64)
    assert {f.population: f.value for f in found(report, "PD104")} == expected
    report = check(graph, core("input_axons_max", 0))
    numbers = [number for number, _, _ in axons]
    assert {f.population: f.value for f in found(report, "PD106")} == {
        f"core {number}": numbers.count(number) for number in numbers
    }


def dense_graph(faces: int) -> IntegerGraph:
    """A graph with one more synapse population, from cell 0 to all faces."""
    graph = heat_graph(faces)
    starts = np.arange(faces + 1, dtype=np.int64)
    connections = Explicit(starts, np.zeros(faces, np.int64), np.full(faces, 2, np.int64), faces)
    everything = Synapse("all", "membrane", "flux", connections, -1)
    return replace(graph, synapses=(*graph.synapses, everything))


@pytest.mark.parametrize(("synapses", "words"), [(10, 4), (50, 16), (64, 21), (200, 63), (256, 81)])
def test_packing_gives_the_words_that_public_logs_print(synapses: int, words: int) -> None:
    assert check(dense_graph(synapses), LOIHI2).resources.synaptic_memory_words == 2 * synapses + words


def test_packing_of_loihi1_adds_headers_and_a_word_at_some_residues() -> None:
    # 18 bits a synapse and 10 an entry of 60: 3 synapses are 64 bits, so two words; 61 are 1,118 bits, so 18 and 30 in
    # the last word. The other axons have two synapses: one word.
    assert check(dense_graph(3), LOIHI1).resources.synaptic_memory_words == 2 * 3 + 2
    assert check(dense_graph(61), LOIHI1).resources.synaptic_memory_words == 2 * 61 + 18


def test_placement_of_an_unknown_population() -> None:
    graph = placed(HEAT, [0] * 8, [0] * 8)
    assert graph.placement is not None
    cores = {"membrane": graph.placement.core["membrane"], "ghost": graph.placement.core["flux"]}
    report = check(replace(graph, placement=replace(graph.placement, core=cores)), LOIHI2)
    assert [f.message for f in found(report, "PD101")] == [
        "invalid placement: population flux is on no core",
        "invalid placement: population ghost is placed but not in the graph",
    ]


def test_a_placement_that_overfills_one_of_its_chips() -> None:
    graph = placed(HEAT, [0] * 8, [239] * 8, 2)
    assert graph.placement is not None
    lopsided = replace(graph.placement, chip=np.array([0] * 119 + [1] * 121, np.int64))
    found_ = found(check(replace(graph, placement=lopsided), LOIHI2), "PD111")
    assert [(f.population, f.value, f.limit, f.message) for f in found_] == [
        ("chip 1", 121, 120, "121 cores, but 120 of a chip are usable")
    ]
    assert found(check(graph, LOIHI2), "PD111") == []


def test_a_placement_with_a_core_on_no_chip() -> None:
    graph = placed(HEAT, [0] * 8, [1] * 8)
    assert graph.placement is not None
    short = replace(graph.placement, chip=np.zeros(1, np.int64))
    assert [f.message for f in found(check(replace(graph, placement=short), LOIHI2), "PD101")] == [
        "invalid placement: population flux is on core 1, which is on no chip"
    ]


def test_rule_texts_are_complete() -> None:
    for rule in RULES:
        assert rule.statement.endswith("."), rule.code
        assert rule.paragraphs[-1].startswith("Fix: "), rule.code
        assert rule.fix.endswith("."), rule.code
    assert len({rule.code for rule in RULES}) == len(RULES)
    assert [rule.code for rule in RULES] == sorted(rule.code for rule in RULES)


def test_counts_of_a_large_graph() -> None:
    graph = heat_graph(50_000)
    halves = [0] * 25_000 + [1] * 25_000
    resources = check(placed(graph, halves, halves), LOIHI2).resources
    assert resources.synaptic_memory_words == 2 * (50_000 + 2)
