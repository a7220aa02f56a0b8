"""Every rule that compares a figure with a limit flips exactly there, whatever the figure and whatever the limit.

Two tables: in one the limit of a profile moves around what a fixed graph uses, in the other the graph grows around a
limit that stays. Distances are -1, 0 and 1 as often as all others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from checked_graphs import (
    heat_graph,
    placed,
    with_bits,
    with_exponent,
    with_figure,
    with_ledger_steps,
    with_level,
    with_mantissas,
    with_start,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st
from models_under_test import compiled, heat_model, hidden_model

from pisnn_deploy.checks import RULES, check
from pisnn_deploy.compiler.options import Limiter
from pisnn_deploy.graph import IntegerGraph, Synapse
from pisnn_deploy.graph.connections import Explicit
from pisnn_deploy.graph.integer import Coding
from pisnn_deploy.graph.kinds import with_faces
from pisnn_deploy.physics.model import Model
from pisnn_deploy.target import Profile, load_profile
from pisnn_deploy.target.states import state_bits

LOIHI1, LOIHI2, GENERIC = (load_profile(name) for name in ("loihi1", "loihi2", "generic-int"))
HEAT = heat_graph()
ALONE = placed(HEAT, [0] * 8, [0] * 8)
APART = placed(HEAT, [0] * 8, [1] * 8)
SPREAD = placed(HEAT, [2] * 8, [0, 1] * 4)
TABLE = with_level(HEAT, "table t = 0 1 4 9 16 25 36 49", "level = table(near, t)")
SQUARE = with_level(HEAT, "level = mul_shr(near, near, 1)")
BIASED = replace(with_faces(HEAT, np.full(8, -512)), coding="dense")
ANY_WIDTH = with_figure(LOIHI2, "payload.legal_widths_bits", tuple(range(64)))

NEAR = st.one_of(st.sampled_from([-1, 0, 1]), st.integers(-40, 40))
"""Distances."""
few = settings(max_examples=25)
"""For the tables of limits: drawing takes most of the time, and distances of -1, 0 and 1 are tried in any case."""

Outcome = tuple[str, object, object] | None
"""Severity, value and limit of the first finding of a rule; None where it finds nothing."""


def outcome(graph: IntegerGraph, profile: Profile, code: str, place: str, horizon: int = 1_000_000) -> Outcome:
    found = [
        (finding.severity, finding.value, finding.limit)
        for finding in check(graph, profile, horizon=horizon).findings
        if (finding.rule, finding.population) == (code, place) and finding.severity != "info"
    ]
    assert len(found) <= 1, found
    return found[0] if found else None


@dataclass(frozen=True)
class Capacity:
    """An upper limit of a profile, and a graph that uses a known amount of it."""

    code: str
    key: str
    graph: IntegerGraph
    profile: Profile
    place: str
    used: int


def exponents(sign: int) -> IntegerGraph:
    return with_exponent(HEAT, 5 * sign)


CAPACITIES = [
    # Counted by hand: eight cells and eight faces in a ring.
    Capacity("PD004", "state.bits", with_bits(HEAT, "membrane", "mass", 31), LOIHI2, "membrane", 31),
    Capacity("PD005", "payload.bits", with_bits(HEAT, "flux", "packet", 21), ANY_WIDTH, "flux", 21),
    Capacity("PD007", "accumulator.bits", with_bits(HEAT, "drive", "accumulator", 25), LOIHI2, "drive", 25),
    Capacity("PD102", "core.neurons_max", ALONE, LOIHI2, "core 0", 16),
    Capacity("PD102", "core.neurons_max", HEAT, LOIHI2, "graph", 16),
    Capacity("PD103", "core.neuron_groups_max", ALONE, LOIHI2, "core 0", 2),
    # Each core hears eight neurons of two synapses each: 2 * 20 + 10 bits are one word.
    Capacity("PD104", "core.synaptic_memory_words", APART, LOIHI2, "core 1", 8),
    # 2 * 32 bits are two words of 32 bits.
    Capacity("PD105", "synapse.axon_words_max", HEAT, GENERIC, "drive", 2),
    Capacity("PD106", "core.input_axons_max", ALONE, LOIHI2, "core 0", 16),
    Capacity("PD107", "core.output_axons_max", APART, LOIHI2, "core 0", 8),
    # With the entry that Loihi 1 takes on top for each axon to another chip.
    Capacity("PD107", "core.output_axons_max", placed(HEAT, [0] * 8, [128] * 8, 2), LOIHI1, "core 0", 16),
    Capacity("PD108", "core.axon_map_words", APART, LOIHI2, "core 0", 8),
    # Each cell reaches two cores: eight axons beyond the first, of half a word.
    Capacity("PD109", "core.axon_memory_words", SPREAD, LOIHI2, "core 2", 4),
    Capacity("PD110", "core.total_words", ALONE, LOIHI2, "core 0", 64),
    Capacity("PD111", "chip.cores_usable", placed(HEAT, [0] * 8, [29] * 8), LOIHI2, "graph", 30),
    Capacity("PD112", "system.chips", placed(HEAT, [0] * 8, [120] * 8, 2), LOIHI2, "graph", 2),
    Capacity("PD002", "weights.exponent_highest", exponents(1), LOIHI2, "drive", 5),
    # The threshold of the graph is 2^8.
    Capacity("PD010", "threshold.bits", HEAT, LOIHI2, "flux", 9),
    Capacity("PD011", "bias.bits", BIASED, LOIHI2, "flux", 10),
    # A word for each cell's mass, and one for each face's drive and residue.
    Capacity("PD113", "core.neuron_state_words", ALONE, LOIHI2, "core 0", 16),
    Capacity("PD113", "core.neuron_state_words", APART, with_figure(LOIHI2, "core.word_bits", 16), "core 1", 16),
    # Each cell reaches two cores; with an entry on top for another chip.
    Capacity("PD115", "core.neuron_output_axons_max", SPREAD, LOIHI1, "membrane", 2),
    Capacity("PD115", "core.neuron_output_axons_max", placed(HEAT, [0] * 8, [128] * 8, 2), LOIHI1, "membrane", 2),
    Capacity("PD116", "delay.accumulators_max", ALONE, LOIHI1, "core 0", 128),
    # Two entries of 24 bits in each word of 64.
    Capacity("PD118", "microcode.table_words", TABLE, LOIHI2, "graph", 4),
    # A square of 0 to 8.
    Capacity("PD119", "microcode.product_bits", SQUARE, LOIHI2, "level", 8),
]
NAMES = [f"{one.code}-{one.key}-{one.place}" for one in CAPACITIES]


@pytest.mark.parametrize("one", CAPACITIES, ids=NAMES)
@few
@given(distance=NEAR, disputed=st.none() | NEAR, higher=st.integers(0, 9))
@example(distance=-1, disputed=None, higher=0)
@example(distance=0, disputed=None, higher=0)
@example(distance=1, disputed=-1, higher=0)
@example(distance=1, disputed=0, higher=0)
@example(distance=1, disputed=1, higher=0)
def test_a_limit_of_the_profile_flips_the_outcome_exactly_there(
    one: Capacity, distance: int, disputed: int | None, higher: int
) -> None:
    limit = max(1, one.used + distance)
    low = None if disputed is None else min(limit, max(1, one.used + disputed))
    profile = with_figure(one.profile, one.key, limit, low=low, high=None if low is None else limit + higher)
    expected: Outcome = None
    if one.used > limit:
        expected = ("error", one.used, limit)
    elif low is not None and one.used > low:
        expected = ("warning", one.used, low)
    assert outcome(one.graph, profile, one.code, one.place) == expected


@given(distance=NEAR, disputed=st.none() | NEAR)
def test_a_lower_limit_of_the_profile_flips_exactly_there(distance: int, disputed: int | None) -> None:
    limit = -5 + distance
    high = None if disputed is None else max(limit, -5 + disputed)
    low = None if high is None else limit - 3
    profile = with_figure(LOIHI2, "weights.exponent_lowest", limit, low=low, high=high)
    profile = with_figure(profile, "weights.exponent_highest", 100)
    expected: Outcome = None
    if limit > -5:
        expected = ("error", -5, limit)
    elif high is not None and high > -5:
        expected = ("warning", -5, high)
    assert outcome(exponents(-1), profile, "PD002", "drive") == expected


@pytest.mark.parametrize(
    ("key", "mantissas", "sign"),
    [
        ("weights.mantissa_limit_mixed", [100, -50] * 8, 1),
        ("weights.mantissa_lowest_mixed", [50, -100] * 8, -1),
        ("weights.mantissa_limit_single", [100] + [50] * 15, 1),
        ("weights.mantissa_limit_single", [-100] + [-50] * 15, -1),
    ],
)
@given(distance=NEAR)
def test_mantissas(key: str, mantissas: list[int], sign: int, distance: int) -> None:
    limit = 100 + distance
    single = key.endswith("single")
    profile = with_figure(LOIHI2, key, limit if single else sign * limit)
    found = check(with_mantissas(HEAT, mantissas), profile).findings
    wrong = [(f.severity, f.value, f.limit) for f in found if f.rule == "PD001"]
    assert wrong == ([("error", sign * 100, sign * limit)] if limit < 100 else [])


@given(bits=st.integers(0, 6), distance=NEAR)
def test_addresses(bits: int, distance: int) -> None:
    cells = max(3, (1 << bits) + distance)
    expected = None if cells <= 1 << bits else ("error", cells, 1 << bits)
    profile = with_figure(LOIHI2, "synapse.index_bits", bits)
    assert outcome(on_two_cores(cells), profile, "PD114", "core 1") == expected


@given(counters=st.integers(1, 30), distance=NEAR)
def test_counters_are_information(counters: int, distance: int) -> None:
    cells = max(3, 3 * counters + distance)
    report = check(heat_graph(cells), with_figure(LOIHI2, "io.spike_counters", counters))
    found = [(f.severity, f.value, f.limit) for f in report.findings if f.rule == "PD117"]
    assert found == ([("info", cells, 3 * counters)] if cells > 3 * counters else [])


@given(bits=st.integers(1, 12), distance=NEAR)
def test_leak(bits: int, distance: int) -> None:
    leak, profile = (1 << bits) + distance, with_figure(LOIHI2, "decay.bits", bits)
    graph = with_faces(HEAT, leak=leak)
    expected = None if 1 <= leak <= 1 << bits else ("error", leak, 1 if leak < 1 else 1 << bits)
    assert outcome(graph, profile, "PD008", "flux") == expected


# From here on the graph changes and the limit stays.


def on_two_cores(cells: int) -> IntegerGraph:
    """All cells on core 0, all faces on core 1."""
    return placed(heat_graph(cells), [0] * cells, [1] * cells)


def fan_out(faces: int) -> IntegerGraph:
    """A ring whose cell 0 reaches every face through a synapse population of its own; faces on core 1."""
    graph = on_two_cores(faces)
    starts = np.arange(faces + 1, dtype=np.int64)
    everything = Explicit(starts, np.zeros(faces, np.int64), np.full(faces, 2, np.int64), faces)
    return replace(graph, synapses=(*graph.synapses, Synapse("all", "membrane", "flux", everything, -1)))


@dataclass(frozen=True)
class Growth:
    """A graph that grows, what it then uses, and the limit that stays."""

    code: str
    key: str
    place: str
    graph: Callable[[int], IntegerGraph]
    uses: Callable[[int], int]
    profile: Profile
    sizes: tuple[int, int]


GROWTHS = [
    Growth("PD102", "core.neurons_max", "core 0", on_two_cores, lambda n: n, LOIHI2, (3, 120)),
    Growth("PD106", "core.input_axons_max", "core 1", on_two_cores, lambda n: n, LOIHI2, (3, 120)),
    Growth("PD107", "core.output_axons_max", "core 0", on_two_cores, lambda n: n, LOIHI2, (3, 120)),
    Growth("PD104", "core.synaptic_memory_words", "core 1", on_two_cores, lambda n: n, LOIHI2, (3, 120)),
    # A word for each of the ring's axons, and 20 bits for each synapse of the long one, after 10 of its header.
    Growth(
        "PD104",
        "core.synaptic_memory_words",
        "core 1",
        fan_out,
        lambda n: n + -(-(20 * n + 10) // 64),
        LOIHI2,
        (3, 120),
    ),
    Growth("PD105", "synapse.axon_words_max", "all", fan_out, lambda n: n, GENERIC, (3, 120)),
    Growth(
        "PD005",
        "payload.bits",
        "flux",
        lambda n: with_bits(HEAT, "flux", "packet", n),
        lambda n: n,
        ANY_WIDTH,
        (16, 60),
    ),
    Growth(
        "PD005",
        "payload.bits",
        "membrane",
        lambda n: with_bits(HEAT, "membrane", "payload", n),
        lambda n: n,
        ANY_WIDTH,
        (16, 60),
    ),
    Growth(
        "PD007",
        "accumulator.bits",
        "route",
        lambda n: with_bits(HEAT, "route", "accumulator", n),
        lambda n: n,
        LOIHI2,
        (12, 60),
    ),
    Growth(
        "PD004",
        "state.bits",
        "membrane",
        lambda n: with_bits(HEAT, "membrane", "mass", n),
        lambda n: n,
        LOIHI2,
        (22, 60),
    ),
]


@pytest.mark.parametrize("one", GROWTHS, ids=[f"{one.code}-{one.key}-{one.place}" for one in GROWTHS])
@few
@given(data=st.data())
def test_a_graph_that_grows_flips_the_outcome_exactly_at_the_limit(one: Growth, data: st.DataObject) -> None:
    size, far = data.draw(st.integers(*one.sizes)), data.draw(NEAR)
    graph, used = one.graph(size), one.uses(size)
    # Limits that graphs of about this size meet, so that every side of them is visited.
    for distance in (-1, 0, 1, far):
        limit = max(1, one.uses(size + distance))
        expected: Outcome = ("error", used, limit) if used > limit else None
        assert outcome(graph, with_figure(one.profile, one.key, limit), one.code, one.place) == expected


@given(width=st.sampled_from([8, 16, 24, 32]), distance=NEAR)
def test_a_payload_is_sent_in_a_legal_width(width: int, distance: int) -> None:
    bits = min(max(1, width + distance), 60)
    profile = with_figure(LOIHI2, "payload.bits", width + 7)
    expected: Outcome = ("error", bits, width) if bits > width else None
    assert outcome(with_bits(HEAT, "flux", "packet", bits), profile, "PD005", "flux") == expected


@given(horizon=st.integers(0, 1 << 48), distance=NEAR)
def test_ledgers_last_exactly_as_long_as_the_horizon(horizon: int, distance: int) -> None:
    steps = max(0, horizon + distance)
    expected: Outcome = ("error", steps, horizon) if steps < horizon else None
    assert outcome(with_ledger_steps(HEAT, steps), LOIHI2, "PD205", "membrane", horizon) == expected


@given(distance=NEAR, lower=st.booleans())
def test_a_start_leaves_the_range_exactly_at_its_ends(distance: int, lower: bool) -> None:
    window = HEAT.window
    mass = (window.lower if lower else window.upper) + distance
    expected: Outcome = None
    if not window.lower <= mass <= window.upper:
        expected = ("error", mass, window.lower if lower else window.upper)
    assert outcome(with_start(HEAT, mass), LOIHI2, "PD206", "membrane") == expected


@given(difference=st.integers(50, 5000), distance=NEAR)
def test_a_start_is_too_steep_exactly_beyond_the_largest_difference(difference: int, distance: int) -> None:
    mass = difference + distance
    expected: Outcome = ("error", mass, difference) if mass > difference else None
    assert outcome(with_start(HEAT, mass, difference), LOIHI2, "PD206", "flux") == expected


@given(chips=st.integers(1, 5), over=NEAR, disputed=st.booleans())
def test_cores_of_several_chips(chips: int, over: int, disputed: bool) -> None:
    needed = 30 * chips + over
    if needed < 1:
        return
    graph = placed(HEAT, [0] * 8, [needed - 1] * 8)
    assert graph.placement is not None
    # Spread evenly, so that only the sum can be too large.
    placement = replace(graph.placement, chips=chips, chip=np.arange(needed, dtype=np.int64) % chips)
    profile = with_figure(LOIHI2, "chip.cores_usable", 40 if disputed else 30, **({"low": 30} if disputed else {}))
    expected: Outcome = None
    if disputed and needed > 40 * chips:
        expected = ("error", needed, 40 * chips)
    elif needed > 30 * chips:
        expected = ("warning" if disputed else "error", needed, 30 * chips)
    assert outcome(replace(graph, placement=placement), profile, "PD111", "graph") == expected


@given(held=st.integers(1, 60), disputed=st.booleans())
def test_cores_of_one_chip_of_several(held: int, disputed: bool) -> None:
    graph = placed(HEAT, [0] * 8, [79] * 8)
    assert graph.placement is not None
    lopsided = replace(
        graph.placement, chips=4, chip=np.repeat([0, 1, 2, 3], [held, 10, 10, 60 - held]).astype(np.int64)
    )
    profile = with_figure(LOIHI2, "chip.cores_usable", 40 if disputed else 30, **({"low": 30} if disputed else {}))
    expected: Outcome = None
    if disputed and held > 40:
        expected = ("error", held, 40)
    elif held > 30:
        expected = ("warning" if disputed else "error", held, 30)
    assert outcome(replace(graph, placement=lopsided), profile, "PD111", "chip 0") == expected


def test_every_figure_that_a_rule_compares_is_here() -> None:
    """A rule that reads a limit of the profile and is in no table is not tested at its limit."""
    tested = (
        {one.code for one in CAPACITIES}
        | {one.code for one in GROWTHS}
        | {"PD001", "PD008", "PD114", "PD117", "PD205", "PD206"}
    )
    without_a_limit = {"PD003", "PD006", "PD009", "PD101", "PD201", "PD202", "PD203", "PD204", "PD207"}
    assert tested | without_a_limit == {rule.code for rule in RULES}
    assert not tested & without_a_limit


LIMITERS: tuple[Limiter, Limiter] = ("none", "positivity")


@pytest.mark.parametrize(
    ("model", "coding"),
    [(heat_model(), "delta"), (heat_model(), "dense"), (hidden_model((2,)), "dense")],
    ids=["delta", "dense", "dense, hidden layer"],
)
def test_faces_with_a_limiter_keep_what_they_use_after_the_answers(model: Model, coding: Coding) -> None:
    free, graph = (compiled(model, 8, "no-flux", coding, limiter) for limiter in LIMITERS)
    ports = [port for port in graph.population("flux").program.ports if port.endswith("_mass")]
    kept = sum(graph.bits("flux", port.replace("_", "-")) for port in ports)
    drive = graph.bits("flux", "drive") if coding == "dense" else 0  # with delta coding it is kept anyway
    assert state_bits(graph)["flux"] == state_bits(free)["flux"] + kept + drive
