"""The checker proves graphs of several fields again, lists what is not claimed, and refuses whatever was changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from graphs_by_hand import of_a_law, reaction, sink, two_fields

from pisnn_deploy.compiler import CompileOptions
from pisnn_deploy.compiler.compile import compile_integers
from pisnn_deploy.compiler.passes.bound import Bounds
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.graph import Claim, IntegerGraph, OperatingWindow
from pisnn_deploy.graph.fields import Ledger
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.programs import parse
from pisnn_deploy.target import load_profile
from pisnn_deploy.verify import check_certificate
from pisnn_deploy.verify.conservation import joined_sets

OPTIONS = CompileOptions(None, load_profile("loihi2"))


def compiled(make: Callable[[], IntegerGraph]) -> IntegerGraph:
    return compile_integers(of_a_law(make(), -2000, 2000), OPTIONS)


def failed(graph: IntegerGraph) -> dict[str, str]:
    """What is wrong, by claim."""
    return {finding.claim: finding.text for finding in check_certificate(graph) if not finding.holds}


def with_program(graph: IntegerGraph, name: str, old: str, new: str) -> IntegerGraph:
    population = graph.population(name)
    text = str(population.program)
    assert old in text
    return graph.with_populations(replace(population, program=parse(text.replace(old, new))))


def with_bound(graph: IntegerGraph, population: str, quantity: str, **changes: int) -> IntegerGraph:
    bounds = (
        replace(b, **changes) if (b.population, b.quantity) == (population, quantity) else b  # type: ignore[arg-type]
        for b in graph.bounds
    )
    return replace(graph, bounds=tuple(bounds))


@pytest.mark.parametrize("make", [two_fields, sink, reaction])
def test_every_claim_is_proved_again_or_listed_as_not_claimed(make: Callable[[], IntegerGraph]) -> None:
    findings = check_certificate(compiled(make))
    assert [finding.claim for finding in findings if finding.holds and finding.is_claimed] == [
        *("seal", "fields", "layout", "units", "conservation", "bounds", "overflow")
    ]
    assert {finding.claim: finding.text for finding in findings if not finding.is_claimed} == {
        "alike": "not claimed: that channels of a kind compute alike; laws that depend on place do not say so",
        "clock": "not claimed: the time step; no theorem covers graphs of a law",
        "stability": "not claimed: whether modes grow; no theorem covers graphs of a law",
        "equation": "not claimed: that the integers compute the fluxes and rates of the law; simulate measures the "
        "error",
    }
    assert all(finding.holds for finding in findings)


def test_sets_that_channels_join_are_counted() -> None:
    assert [joined_sets(make()) for make in (two_fields, sink, reaction)] == [2, 1, 4]


def test_a_route_that_ends_elsewhere_is_refused() -> None:
    graph = compiled(reaction)
    (route,) = (s for s in graph.synapses if (s.source, s.target) == ("rate", "b"))
    mantissas = route.mantissas.copy()
    mantissas[2] += 2
    changed = replace(
        graph, synapses=tuple(route.with_mantissas(mantissas) if s is route else s for s in graph.synapses)
    )
    assert failed(changed)["conservation"] == "the stored route of rate [2] differs from its ends in b"
    (channels,) = graph.channels
    turned = replace(channels, target=np.roll(channels.target, 1))
    assert failed(replace(graph, channels=(turned,))) == {
        "conservation": "the stored route of rate [0] differs from its ends in b"
    }


@pytest.mark.parametrize(
    ("make", "population", "quantity"),
    [
        (reaction, "product", "product"),
        (reaction, "product", "first"),
        (reaction, "rate", "packet"),
        (two_fields, "flux-h", "current"),
        (sink, "decay", "potential"),
        (sink, "u", "payload"),
    ],
)
def test_bounds_that_were_narrowed_and_widths_that_were_cut_are_refused(
    make: Callable[[], IntegerGraph], population: str, quantity: str
) -> None:
    graph = compiled(make)
    (bound,) = (b for b in graph.bounds if (b.population, b.quantity) == (population, quantity))
    name = f"{population} {quantity}"
    assert failed(with_bound(graph, population, quantity, upper=bound.upper - 1))["bounds"] == (
        f"{name} ranges from {bound.lower} to {bound.upper}, but its bound is {bound.lower} to {bound.upper - 1}"
    )
    assert failed(with_bound(graph, population, quantity, bits=bound.bits - 1))["bounds"] == (
        f"{name} needs {bound.bits} bits, but its bound declares {bound.bits - 1}"
    )
    without = replace(graph, bounds=tuple(b for b in graph.bounds if b is not bound))
    assert failed(without)["bounds"] == f"{name} has two bounds, no bound, or does not exist in the graph"


def test_programs_parameters_and_tables_that_exceed_their_bounds_are_refused() -> None:
    graph = compiled(reaction)
    assert "bounds" in failed(with_program(graph, "product", "mul_shr(first, second, 4)", "mul_shr(first, second, 3)"))
    scale = graph.population("product").parameters["scale"].copy()
    scale[1] = 900
    louder = graph.with_populations(replace(graph.population("product"), parameters={"scale": scale}))
    assert failed(louder)["bounds"].startswith("product scaled ranges from ")

    def with_table(entries: str) -> IntegerGraph:
        text = "neuron level(arrival; ; )\ntable t = {}\nnear = asr(arrival, 8)\nlevel = table(near, t)\nsend level"
        made = of_a_law(reaction(), -2000, 2000)
        return made.with_populations(replace(made.population("level-a"), program=parse(text.format(entries))))

    table = compile_integers(with_table("3 1 4 1 5"), OPTIONS)
    assert not failed(table)
    changed = table.with_populations(with_table("3 1 4 9 5").population("level-a"))
    assert failed(changed)["bounds"] == "level-a level ranges from 1 to 9, but its bound is 1 to 5"


def test_windows_that_are_not_the_range_are_refused() -> None:
    graph = compiled(two_fields)
    wide = OperatingWindow(-2033, 2000, None)
    changed = replace(graph, fields=(replace(graph.fields[0], window=wide), graph.fields[1]))
    assert failed(changed)["units"] == (
        "the range -2000 to 2000 of h is -2000 to 2000 quanta, but its window is -2033 to 2000"
    )
    steep = replace(graph.fields[1], window=OperatingWindow(-2000, 2000, 9))
    assert failed(replace(graph, fields=(graph.fields[0], steep)))["units"] == (
        "the window of q limits differences or currents, but the law gives no limit of them"
    )
    half = replace(graph.fields[1], quantum=graph.fields[1].quantum / 2)
    assert failed(replace(graph, fields=(graph.fields[0], half)))["units"] == (
        "the range -2000 to 2000 of q is -4000 to 4000 quanta, but its window is -2000 to 2000"
    )


def test_ledgers_fields_and_units_of_another_law_are_refused() -> None:
    graph = compiled(sink)
    other = graph.with_field(ledgers=(Ledger("moon", 5),))
    sentence = "the ledger moon of u is neither an open side of the domain nor a source"
    assert failed(other)["fields"] == sentence
    assert failed(other)["bounds"] == "not checked: it depends on the layout, which failed"
    assert failed(graph.with_field(unit="kg"))["fields"] == "the unit of u is 'kg', but the law says ''"
    assert failed(graph.with_field(name="v"))["fields"] == "the graph has the fields v, but the law has u"
    held = graph.with_field(held=np.full(5, 3.0))
    assert failed(held)["units"] == "reservoir 0 of u has the value 3, but its quanta are worth 0"
    assert defects(graph.with_field(ledgers=(Ledger("outside", 4),))) == [
        "field u: its ledgers name 4 reservoirs, it has 5"
    ]


@pytest.mark.parametrize(
    ("claim", "changed"),
    [
        (
            "conservation",
            Claim("proved", "joined-holders", {"channels": 10, "sets": 2, "reservoirs": 5, "ledger_steps": 1}),
        ),
        (
            "conservation",
            Claim("assumed", "joined-holders", {"channels": 10, "sets": 1, "reservoirs": 5, "ledger_steps": 1}),
        ),
        ("overflow", Claim("proved", "operating-windows", {"bounds": 1, "fields": 1})),
        ("overflow", Claim("proved", "invariant-range")),
        ("stability", Claim("proved", "maximum-principle", {"reservoirs": 5})),
        ("equation", Claim("proved", "moments")),
        ("equation", None),
    ],
)
def test_claims_that_were_not_proved_are_refused(claim: str, changed: Claim | None) -> None:
    graph = compiled(sink)
    assert graph.certificate is not None
    certificate = replace(graph.certificate, **{claim: changed})  # type: ignore[arg-type]
    assert failed(replace(graph, certificate=certificate)) == {claim: "the claim differs from what the checker proved"}


def test_ledgers_that_last_less_and_positivity_are_refused() -> None:
    graph = compiled(sink)
    assert graph.certificate is not None
    claim = graph.certificate.conservation
    steps = int(claim.figures["ledger_steps"])
    more = replace(claim, figures={**claim.figures, "ledger_steps": steps + 1})
    changed = replace(graph, certificate=replace(graph.certificate, conservation=more))
    assert failed(changed) == {"conservation": f"a ledger may wrap after {steps} PDE steps, but the claim says more"}
    positive = Claim("proved", "floor", {"floor": 0})
    changed = replace(graph, certificate=replace(graph.certificate, positivity=positive))
    assert failed(changed) == {"positivity": "the claim needs a limiter"}


def test_a_schedule_that_leaves_no_time_for_a_population_is_refused() -> None:
    graph = compiled(reaction)
    assert failed(replace(graph, period=3)) == {
        "clock": "the graph has no coding, or its period does not match its populations"
    }


def test_neither_side_bounds_what_grows() -> None:
    graph = of_a_law(sink(), -2000, 2000)
    counts = graph.population("decay")
    text = (
        str(counts.program)
        .replace("fire(potential, 3)", "fire(drive, 3)")
        .replace("keep residue_before = residue", "keep residue_before = potential")
    )
    broken = graph.with_populations(replace(counts, program=parse(text)))
    with pytest.raises(CompileError, match=r"^bound: decay: state residue_before"):
        Bounds(24, 24, 32)(replace(broken, coding="delta", period=2))
