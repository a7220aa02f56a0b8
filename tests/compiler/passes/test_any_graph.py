"""The passes on integers take any graph that runs: several fields, ledgers, exchange, random stateless populations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from graphs_by_hand import reaction, runnable_graph, sink, two_fields
from law_recipes import shallow_water

from pisnn_deploy.checks import check
from pisnn_deploy.compiler import CompileOptions, GraphOptions, compile_law
from pisnn_deploy.compiler.compile import compile_integers
from pisnn_deploy.compiler.passes.cuts import even_runs
from pisnn_deploy.compiler.passes.homes import home_cells
from pisnn_deploy.compiler.passes.prove import Prove
from pisnn_deploy.core.errors import CompileError, DoesNotFit, UsageError
from pisnn_deploy.graph import IntegerGraph, OperatingWindow
from pisnn_deploy.graph.integer import Coding
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.target import load_profile


def in_range(graph: IntegerGraph, largest: int = 2000) -> IntegerGraph:
    """The graph with a window of its own."""
    window = OperatingWindow(-largest, largest, None)
    return replace(graph, fields=tuple(replace(field, window=window) for field in graph.fields))


def compiled(graph: IntegerGraph, profile: str = "loihi2", **options: object) -> IntegerGraph:
    return compile_integers(graph, CompileOptions(None, load_profile(profile), GraphOptions(**options)))  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [two_fields, sink, reaction])
@pytest.mark.parametrize("coding", ["dense", "delta"])
@pytest.mark.parametrize("placement", ["blocks", "metis", "index"])
def test_graphs_by_hand_are_scheduled_bounded_proved_and_placed(
    make: Callable[[], IntegerGraph], coding: Coding, placement: str
) -> None:
    graph = compiled(in_range(make()), coding=coding, placement=placement)
    assert defects(graph) == []
    assert graph.period == 1 + max(graph.depths.values()) and graph.coding == coding
    assert [record.name for record in graph.history] == ["schedule", "bound", "prove", "place"]
    assert graph.certificate is not None and graph.placement is not None
    assert graph.placement.method == placement
    assert {name: claim.status for name, claim in graph.certificate.claims.items()} == {
        "conservation": "proved",
        "overflow": "assumed",
        "stability": "none",
        "equation": "none",
    }


def test_the_claim_on_conservation_counts_channels_sets_and_ledgers() -> None:
    expected = {
        two_fields: {"channels": 12, "sets": 2, "reservoirs": 0},
        reaction: {"channels": 4, "sets": 4, "reservoirs": 0},
    }
    for make, figures in expected.items():
        certificate = compiled(in_range(make())).certificate
        assert certificate is not None and dict(certificate.conservation.figures) == figures
    graph = compiled(in_range(sink()))
    certificate = graph.certificate
    assert certificate is not None
    (packet,) = (bound for bound in graph.bounds if (bound.population, bound.quantity) == ("decay", "packet"))
    steps = (2**47 - 1) // max(-packet.lower, packet.upper)
    assert dict(certificate.conservation.figures) == {"channels": 10, "sets": 1, "reservoirs": 5, "ledger_steps": steps}
    assert certificate.conservation.details == (
        "as the target stores them, the packets of all 10 channels leave one holder and enter another, so the mass of "
        f"each of 1 joined sets of holders is constant; the ledgers of 5 reservoirs cannot wrap within {steps} steps"
    )
    assert certificate.overflow.details == (
        f"all {len(graph.bounds)} widths hold while the masses of all 1 fields stay in their operating windows; every "
        "run checks this at every PDE step and stops at the first value outside"
    )


@pytest.mark.parametrize("seed", range(20))
def test_random_graphs_are_compiled(seed: int) -> None:
    graph = in_range(runnable_graph(seed), 200)
    try:
        done = compiled(graph, "generic-int", coding="dense" if seed % 2 else "delta")
    except DoesNotFit:  # random programs have values of any width
        return
    assert defects(done) == []
    assert done.certificate is not None and done.certificate.conservation.status == "proved"


def test_binary_spikes_have_lines_for_every_output() -> None:
    graph = compiled(in_range(reaction(), 30), spikes="binary")
    assert all(population.lines for population in graph.populations)
    assert defects(graph) == []


def test_a_route_that_the_target_would_truncate_is_refused() -> None:
    graph = compiled(in_range(sink()))
    (route,) = (s for s in graph.synapses if s.source == "decay")
    odd = route.with_mantissas(route.mantissas // 2)
    broken = replace(graph, synapses=tuple(replace(odd, exponent=0) if s is route else s for s in graph.synapses))
    with pytest.raises(CompileError) as raised:
        Prove()(broken)
    assert str(raised.value) == (
        "prove: the route of decay [0], as the target stores it, does not carry its packets to and from their ends in u"
    )


@pytest.mark.parametrize("option", [{"limiter": "positivity"}, {"processes": "stock"}])
def test_what_only_flux_networks_support_is_refused(option: dict[str, str]) -> None:
    ((name, value),) = option.items()
    with pytest.raises(UsageError, match=f"^`{name}` {value}: only graphs of a flux network support it$"):
        compiled(in_range(sink()), "loihi2", **option)


def test_neurons_live_with_the_cell_that_they_serve() -> None:
    homes = {name: home.tolist() for name, home in home_cells(reaction()).items()}
    assert homes == {name: [0, 1, 2, 3] for name in ("a", "b", "level-a", "level-b", "product", "rate")}
    homes = {name: home.tolist() for name, home in home_cells(sink()).items()}
    cells = np.arange(5)
    assert homes["u"] == [*cells, *cells] and homes["decay"] == [*cells]
    assert homes["flux"] == sink().mesh.source.tolist()


def test_no_core_has_more_populations_than_it_may() -> None:
    graph = compile_law(shallow_water(), (24,), CompileOptions(None, load_profile("loihi2")))
    assert len(graph.populations) > 8 and graph.placement is not None
    groups = [{name for name, core in graph.placement.core.items() if (core == n).any()} for n in range(2)]
    assert graph.placement.cores == 2 and max(map(len, groups)) <= 8
    (first,) = (group for group in groups if "h" in group)
    assert {"h", "q", "h-flux", "q-flux"} <= first
    report = check(graph, load_profile("loihi2"))
    assert [finding for finding in report.findings if finding.severity == "error"] == []


@pytest.mark.parametrize(
    ("loads", "runs", "longest", "ends"),
    [
        ([1, 1, 1, 1], 2, 8, [2, 4]),
        ([9, 1, 1, 1], 2, 8, [1, 4]),
        ([1, 1, 1, 9], 2, 2, [2, 4]),
        ([5, 5, 1, 5, 5], 3, 2, [1, 3, 5]),
    ],
)
def test_runs_are_even(loads: list[int], runs: int, longest: int, ends: list[int]) -> None:
    assert even_runs(loads, runs, longest) == ends
