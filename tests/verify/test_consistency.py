"""The checker compares packets at constant states with the law itself: whatever changes a flux is refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from law_recipes import recipe, shallow_water, traffic
from mutations import judged, leaf, leaves, mutated_leaves, replaced

from pisnn_deploy.compiler import CompileOptions, compile_law
from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.graph.connections import Explicit
from pisnn_deploy.graph.document import document
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.programs import Table
from pisnn_deploy.target import load_profile
from pisnn_deploy.verify import check_certificate
from pisnn_deploy.verify.consistency import Step


def reacting() -> LawSpec:
    return recipe(
        {
            "fields": ["u", "v"],
            "parameters": {"k": 0.7, "c": 0.3},
            "flux": {"u": "c*u"},
            "diffusion": {"v": "0.01"},
            "sources": {"v": {"kill": "-0.2*exp(-v)"}},
            "exchange": [{"from": "u", "to": "v", "rate": "k*u*v**2", "name": "turning"}],
        },
        initial={"u": "0.5", "v": "0.3"},
        range={"u": [0, 1], "v": [0, 1]},
        mesh=[16],
    )


@cache
def compiled(name: str) -> IntegerGraph:
    spec, cells = {
        "traffic": (traffic("muscl"), 16),
        "smooth traffic": (traffic("taylor"), 16),
        "water": (shallow_water(), 24),
        "reaction": (reacting(), 16),
    }[name]
    return compile_law(spec, (cells,), CompileOptions(None, load_profile("loihi2")))


def failed(graph: IntegerGraph) -> dict[str, str]:
    return {finding.claim: finding.text for finding in check_certificate(graph) if not finding.holds}


def with_table(graph: IntegerGraph, population: str, change: int) -> IntegerGraph:
    """The graph with the largest entry of a table halved or so, which leaves every bound."""
    old = graph.population(population)
    (table, *others) = old.program.tables
    entries = list(table.entries)
    middle = len(entries) // 2
    entries[middle - 40 : middle + 40] = [entry - change for entry in entries[middle - 40 : middle + 40]]
    program = replace(old.program, tables=(Table(table.name, tuple(entries)), *others))
    return graph.with_populations(replace(old, program=program))


@pytest.mark.parametrize("name", ["traffic", "smooth traffic", "water", "reaction"])
def test_fluxes_and_rates_of_constant_states_are_those_of_the_law(name: str) -> None:
    graph = compiled(name)
    assert graph.certificate is not None
    claim = graph.certificate.equation
    assert claim is not None and (claim.status, claim.method) == ("proved", "constant-states")
    assert claim.figures["terms"] == len(graph.channels)
    assert 0 < claim.figures["flux_error"] < 1e-3
    (finding,) = (finding for finding in check_certificate(graph) if finding.claim == "equation")
    assert finding.holds and finding.is_claimed and finding.text == claim.details
    assert claim.details.startswith(f"at {claim.figures['states']} constant states the packets of all ")


@pytest.mark.parametrize("name", ["traffic", "water", "reaction"])
def test_another_time_step_is_refused(name: str) -> None:
    graph = compiled(name)
    text = failed(replace(graph, time_step=1.01 * graph.time_step))["equation"]
    assert text.startswith("fluxes and rates of constant states are up to 0.0")


@pytest.mark.parametrize("channels", ["u-flux", "kill", "turning"])
def test_a_program_that_computes_another_term_is_refused(channels: str) -> None:
    graph = compiled("reaction")
    population = graph.population(channels)
    louder = replace(population, parameters={"bias": population.parameters["bias"] + (1 << 12)})
    assert "equation" in failed(graph.with_populations(louder))


def test_another_table_is_refused_even_where_every_bound_holds() -> None:
    graph = compiled("reaction")
    names = [population.name for population in graph.populations if population.program.tables]
    assert names
    for name in names:
        changed = with_table(graph, name, 400)
        texts = failed(changed)
        assert set(texts) == {"equation"}, texts


def test_a_single_neuron_that_differs_is_refused() -> None:
    graph = compiled("traffic")
    population = graph.population("u-flux")
    bias = population.parameters["bias"].copy()
    bias[7] += 1 << 10
    changed = graph.with_populations(replace(population, parameters={"bias": bias}))
    assert "equation" in failed(changed)


@pytest.mark.parametrize(
    "claim",
    [
        Claim("none", "no-theorem"),
        Claim("proved", "constant-states"),
        Claim("proved", "constant-states", {"states": 27, "terms": 1, "flux_error": 0.0}),
        Claim("proved", "constant-states", {"states": 27, "terms": 1, "flux_error": 0.01}),
        Claim("proved", "constant-states", {"states": 27, "terms": 2, "flux_error": 0.01}),
        Claim("none", "other-law", {"states": 27, "terms": 1, "flux_error": 0.2}),
    ],
)
def test_claims_on_the_equation_that_were_not_proved_are_refused(claim: Claim) -> None:
    graph = compiled("traffic")
    assert graph.certificate is not None
    changed = replace(graph, certificate=replace(graph.certificate, equation=claim))
    assert set(failed(changed)) == {"equation"}


def test_the_checker_steps_as_the_reference_does() -> None:
    graph = compiled("water")
    state = {"h": (graph.field_of("h").window.lower + graph.field_of("h").window.upper) // 2, "q": 1234}
    currents = Step(graph).currents(state)
    semantics = Semantics(replace(graph, bounds=()))
    masses = {name: np.full(24, mass, np.int64) for name, mass in state.items()}
    _, results = semantics.advance(semantics.begin(masses))
    for channels in graph.channels:
        assert currents[channels.population].tolist() == results[channels.population].values["current"].tolist()


@pytest.mark.parametrize("name", ["traffic", "reaction"])
def test_a_neuron_that_looks_elsewhere_than_its_neighbours_is_refused(name: str) -> None:
    graph = compiled(name)
    inner = [synapse for synapse in graph.synapses if synapse.target not in graph.holders]
    assert len(inner) > 5
    for synapse in inner:
        columns, mantissas = synapse.columns.copy(), synapse.mantissas.copy()
        row = slice(*synapse.row_starts[[8, 9]])
        assert columns[row].size
        shifted = (columns[row] + 1) % 16
        order = np.argsort(shifted)
        columns[row], mantissas[row] = shifted[order], mantissas[row][order]
        moved = replace(synapse, connections=Explicit(synapse.row_starts, columns, mantissas, synapse.inputs))
        changed = replace(graph, synapses=tuple(moved if s is synapse else s for s in graph.synapses))
        assert defects(changed) == []
        assert "alike" in failed(changed), synapse.name


def test_weights_of_a_single_neuron_are_compared_with_its_neighbours() -> None:
    graph = compiled("traffic")
    (synapse,) = (s for s in graph.synapses if s.source == "u-slope-x" and s.port == "arrival" and s.target == "face-x")
    mantissas = synapse.mantissas.copy()
    mantissas[9] += 2
    synapses = tuple(synapse.with_mantissas(mantissas) if s is synapse else s for s in graph.synapses)
    texts = failed(replace(graph, synapses=synapses))
    assert texts["alike"].startswith("u-flux [") and texts["alike"].endswith("] do not compute alike")


def of_another_law(graph: IntegerGraph, old: str, new: str) -> IntegerGraph:
    """The graph with other words in the section `law` of its recipe."""
    assert graph.spec.equation == "law"
    content = graph.spec.model_dump_json()
    assert old in content
    return replace(graph, spec=LawSpec.model_validate_json(content.replace(old, new)))


@pytest.mark.parametrize(
    ("name", "old", "new", "what"),
    [
        ("reaction", '"v":"0.01"', '"v":"0.0101"', "diffusive fluxes are up to 0.0099 off, but the claim says "),
        ("reaction", "0.2*exp(-v)", "0.21*exp(-v)", "fluxes and rates of constant states are up to 0.0"),
        ("reaction", '"k":0.7', '"k":0.71', "fluxes and rates of constant states are up to 0.0"),
        ("reaction", '"u":"c*u"', '"u":"-c*u"', "fluxes and rates of constant states are up to 2 off"),
        ("water", "g*h**2/2", "g*h**2/2.1", "fluxes and rates of constant states are up to 0.0"),
        ("traffic", "v*u*(1 - u/most)", "v*u*(1 - u**2/most)", "fluxes and rates of constant states are up to "),
        ("smooth traffic", "v*u*(1 - u/most)", "v*u*(1.1 - u/most)", "fluxes and rates of constant states are up to "),
    ],
)
def test_another_law_is_refused(name: str, old: str, new: str, what: str) -> None:
    texts = failed(of_another_law(compiled(name), old, new))
    assert set(texts) == {"equation"} and texts["equation"].startswith(what), texts


def test_diffusive_fluxes_are_compared_at_constant_gradients() -> None:
    certificate = compiled("reaction").certificate
    assert certificate is not None and certificate.equation is not None
    figures = certificate.equation.figures
    assert figures["gradients"] == 1 and figures["gradient_error"] < 1e-3
    assert certificate.equation.details.endswith(
        "% of the largest off at most, and so are 1 diffusive fluxes at constant gradients, 0.00% off at most; other "
        "differences in space, and the sides, are not covered"
    )


NO_CLAIM = {
    "spec.name": "a name",
    "spec.time": "the final time of runs",
    "spec.mesh": "the default mesh; the graph has its own",
    "spec.scheme": "a name of how it was constructed",
    "spec.range": "windows may exceed the range by 32 quanta",
    "noted": "the compiler's own measurements",
    "placement": "`check` counts it again",
    "profile": "a name",
    "populations.u.start": "the start of runs",
    "synapses.u-slope-x": "weights of slopes, all alike: differences in space are not covered",
    "synapses.predictor-x": "weights of predictors, all alike",
    "synapses.u-0-to-u-slope-x": "a slope of 0 does not show which neighbour it is of",
}
"""Parts of the graph of a law without a claim, and why."""


def test_every_change_is_refused_or_has_no_claim() -> None:
    described, certificate, arrays = document(compiled("traffic"))
    random, fates = np.random.default_rng(3), Counter[str]()
    paths = [path for path in leaves(described) if path[0] not in ("bounds", "noted", "placement")]
    for path in paths:
        for value in mutated_leaves(leaf(described, path), random)[:1]:
            fate, _ = judged(replaced(described, path, value), certificate, arrays)
            where = ".".join(map(str, path))
            assert fate != "accepted" or where.startswith(tuple(NO_CLAIM)), (where, value)
            fates[fate] += 1
    for member, array in arrays.items():
        if array.size and not member.startswith("placement"):
            single = array.copy()
            single.flat[random.integers(single.size)] += random.choice([-2000, -4, 4, 2000])
            for changed in (array + 1, array - 2, array[:-1], single):
                fate, _ = judged(described, certificate, {**arrays, member: changed})
                assert fate != "accepted" or member.startswith(tuple(NO_CLAIM)), member
                fates[fate] += 1
    assert fates["refused"] > 100 and fates["rejected"] > 30, fates
