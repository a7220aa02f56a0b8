"""Trained fluxes in integers: they follow the float network, keep its weights, and count what crosses the sides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from law_recipes import Floats, masses_after, recipe, shallow_water, total, values
from trained_laws import burgers_law, drawn, interpolated, traffic_law

from pisnn_deploy.compiler.construct import construct
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.contract import contract_defects
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.graph.shape import route_defects, shape_defects
from pisnn_deploy.laws.flux_network import TrainedLaw
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.programs.neurons import rectifier_shift


def built(law: TrainedLaw, shape: tuple[int, ...] | None = None) -> IntegerGraph:
    return construct(law.spec, shape or law.spec.mesh, trained=law.fluxes)


def in_floats(law: TrainedLaw, state: Floats) -> Floats:
    """A PDE step of a periodic law in float64, [fields, *mesh]."""
    scales = 2.0 ** np.array(law.fluxes.scale_exponents, np.float64).reshape(-1, *[1] * (state.ndim - 1))
    after = state.copy()
    for axis, network in enumerate(law.fluxes.networks, 1):
        window = np.stack(
            [np.roll(state / scales, tuple(-offset), tuple(range(1, state.ndim))) for offset in network.offsets]
        )
        seen = np.moveaxis(window.reshape(*window.shape[:2], -1), -1, 0).transpose(0, 2, 1)
        flux = (network.flux(seen).T.reshape(state.shape)) * scales
        after += np.roll(flux, 1, axis) - flux
    return after


def species(axes: int) -> LawSpec:
    """Two fields whose trained fluxes see each other."""
    law = {"fields": ["u", "v"], "flux": {"u": "u*v", "v": "v"}} | ({"flux_y": {"u": "u"}} if axes == 2 else {})
    wave = "sin(2*pi*x)" if axes == 1 else "sin(2*pi*x)*cos(2*pi*y)"
    return recipe(
        law,
        lengths=[1.0] * axes,
        initial={"u": f"0.5 + 0.2*{wave}", "v": f"1 - 0.3*{wave}"},
        range={"u": [-2, 3], "v": [-3, 5]},
        mesh=[12, 9][:axes],
        method="trained",
    )


@pytest.mark.parametrize(
    "law",
    [
        interpolated(traffic_law()),
        interpolated(burgers_law(2)),
        *(drawn(species(axes), np.random.default_rng(seed)) for axes in (1, 2) for seed in range(4)),
    ],
    ids=lambda law: law.spec.name,
)
def test_integers_follow_the_float_network(law: TrainedLaw) -> None:
    graph = built(law)
    before, after = masses_after(graph, 0), masses_after(graph, 6)
    assert total(graph, after) == total(graph, before)
    state = np.stack([part.reshape(law.spec.mesh) for part in values(graph, before).values()])
    for _ in range(6):
        state = in_floats(law, state)
    for field, expected in zip(graph.fields, state, strict=True):
        apart = np.abs(values(graph, after)[field.name] - expected.reshape(-1)).max()
        assert apart < 40 * field.value_per_quantum


def weights(graph: IntegerGraph, source: str, target: str) -> Integers:
    """Effective weights between two populations, dense."""
    parts = [s.matrix().toarray() for s in graph.synapses if (s.source, s.target) == (source, target)]
    return np.asarray(sum(parts), np.int64)


def test_weights_are_the_trained_integers() -> None:
    law = drawn(species(1), np.random.default_rng(3))
    graph, (network,) = built(law), law.fluxes.networks
    hidden, cells = network.bias.size, 12
    whole = network.weight * 2.0**network.weight_exponent
    for number, name in enumerate(("u", "v")):
        stored = weights(graph, name, "hidden-x").reshape(cells, hidden, cells)
        for face, cell in ((0, 0), (5, 5), (11, 11)):
            for position, (offset,) in enumerate(network.offsets.tolist()):
                assert np.array_equal(stored[face, :, (cell + offset) % cells], whole[:, number, position])
        sent = weights(graph, "hidden-x", f"{name}-flux").reshape(cells, cells, hidden)
        assert np.array_equal(sent[4, 4], network.output[number] * 2.0**network.output_exponent)
        assert not sent[4, 5].any()


def test_hidden_neurons_run_the_program_that_others_know_and_the_graph_is_well_formed() -> None:
    for law in (interpolated(traffic_law("wall")), drawn(species(2), np.random.default_rng(1))):
        graph = built(law)
        for population in graph.between_fields:
            assert rectifier_shift(population.program) is not None
        assert [*shape_defects(graph), *route_defects(graph), *contract_defects(graph)] == []


def test_a_wall_carries_nothing_and_held_values_let_in_what_the_law_says() -> None:
    graph = built(interpolated(traffic_law("wall"), 16))
    assert graph.channels[0].size == 31 and graph.fields[0].ledgers == ()
    law = interpolated(traffic_law({"left": {"held": 0.25}, "right": "outflow"}), 16)
    law = replace(law, spec=law.spec.model_copy(update={"initial": {"u": "0.25"}}))
    law = replace(law, spec=LawSpec.model_validate(law.spec.model_dump(mode="json")))
    graph = built(law)
    before, after = masses_after(graph, 0), masses_after(graph, 50)
    assert total(graph, after) == total(graph, before)
    came = -after["u"][32] * graph.fields[0].quantum  # u (1 - u) per time
    assert abs(came - 50 * graph.time_step * 0.25 * 0.75) < 0.01 * came
    assert np.abs(values(graph, after)["u"] - 0.25).max() < 1e-3


def test_a_wall_reflects_the_normal_component() -> None:
    spec = LawSpec.model_validate(shallow_water().model_dump(mode="json") | {"method": "trained"})
    graph = built(drawn(spec, np.random.default_rng(5)))
    ledgers = {field.name: [(entry.name, entry.reservoirs) for entry in field.ledgers] for field in graph.fields}
    assert ledgers == {"h": [], "q": [("left", 1), ("right", 1)]}
    # Only the faces that carry a field have hidden neurons: h crosses none of the walls, q both.
    network = drawn(spec, np.random.default_rng(5)).fluxes.networks[0]
    assert graph.size("hidden-x") == 9 * network.bias.size
    after = masses_after(graph, 4)
    assert total(graph, after) == total(graph, masses_after(graph, 0))
    mirrored = [weights(graph, name, "hidden-x")[7 * network.bias.size :] for name in ("h", "q")]
    assert all(np.isin(np.abs(part), range(256)).all() for part in mirrored)


def test_sources_exchanges_and_given_fluxes_join_trained_ones() -> None:
    spec = recipe(
        {
            "fields": ["u", "v"],
            "flux": {"u": "u", "v": "u*v"},
            "sources": {"u": {"decay": "-0.5*u"}},
            "exchange": [{"from": "u", "to": "v", "rate": "0.2*u*v", "name": "turning"}],
        },
        {"left": {"flux": 0.1}, "right": {"robin": [0.3, 0.4]}},
        initial={"u": "0.5", "v": "0.4"},
        range={"u": [-1, 2], "v": [-1, 2]},
        mesh=[12],
        method="trained",
    )
    law = drawn(spec, np.random.default_rng(2))
    graph = built(law)
    assert [channels.population for channels in graph.channels] == ["u-flux", "v-flux", "decay", "turning"]
    assert len({field.value_per_quantum for field in graph.fields}) == 1
    before, after = masses_after(graph, 0), masses_after(graph, 5)
    assert total(graph, after) == total(graph, before)
    came = -after["u"][12] * graph.fields[0].quantum
    assert abs(came - 5 * law.fluxes.time_step * 0.1) < 2 * graph.fields[0].quantum
    gone = -after["u"][14:26].sum() * graph.fields[0].quantum
    assert gone < 0  # the ledger of decay gains what u loses
    assert abs(-gone - 5 * law.fluxes.time_step * 0.25) < 0.05 * abs(gone)


def test_without_a_length_scale_the_time_step_goes_with_the_mesh() -> None:
    law = interpolated(traffic_law())
    assert built(law, (64,)).time_step == law.fluxes.time_step / 2
    assert built(law).time_step == law.fluxes.time_step
    heat = recipe(
        {"fields": ["u"], "diffusion": {"u": "u"}},
        initial={"u": "0.5"},
        range={"u": [0.1, 1]},
        mesh=[16],
        method="trained",
    )
    assert built(drawn(heat, np.random.default_rng(1)), (32,)).time_step == 0.01 / 4


def spec_with(law: dict[str, Any], boundary: Any = "periodic", **others: Any) -> TrainedLaw:
    fields = law["fields"]
    spec = recipe(
        law,
        boundary,
        initial=dict.fromkeys(fields, "0.5"),
        range={name: [0, 1] for name in fields},
        method="trained",
        **others,
    )
    return drawn(spec, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("law", "shape", "message"),
    [
        (
            spec_with({"fields": ["u"], "flux": {"u": "u"}, "diffusion": {"u": 0.1}}),
            (16,),
            "`mesh`: the fluxes are trained for cells of 0.125, not 0.0625; train them for this mesh, or leave `mesh` "
            "out",
        ),
        (spec_with({"fields": ["u"], "flux": {"u": "u"}, "sources": {"u": "-u"}}), (4,), "`mesh`: the fluxes are"),
        (interpolated(burgers_law(2)), (16, 8), "`mesh`: the fluxes are trained for cells of 0.0625 x 0.0625, not 0.0"),
        (
            spec_with({"fields": ["u"], "flux": {"u": "u"}}, scheme="muscl"),
            None,
            "scheme: muscl is one of constructed laws, but the method is trained",
        ),
        (
            spec_with(
                {"fields": ["u", "v"], "flux": {"u": "v", "v": "u"}}, {"left": {"held": 0.5}, "right": "outflow"}
            ),
            None,
            "domain.boundary.left: gives values of several fields, and trained fluxes cannot tell which waves enter; "
            "construct the law",
        ),
        (
            spec_with({"fields": ["u"], "flux": {"u": "x*u"}}),
            None,
            "law.flux.u: depends on x; trained fluxes depend on the fields alone",
        ),
        (
            spec_with({"fields": ["u"], "flux": {"u": "u"}}, quantum_bits={"u": 23}),
            None,
            "fluxes along x: a sum needs ",
        ),
    ],
)
def test_what_trained_fluxes_cannot_do_is_one_line(
    law: TrainedLaw, shape: tuple[int, ...] | None, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        built(law, shape)
    assert str(caught.value).startswith(message)


def test_a_trained_law_needs_fluxes_and_a_constructed_one_has_none() -> None:
    law = interpolated(traffic_law())
    with pytest.raises(UsageError, match="method trained: run `pisnn-deploy train` with the recipe, and compile the"):
        construct(law.spec, (32,))
    with pytest.raises(UsageError, match="method constructed: the recipe asks for no trained fluxes"):
        construct(law.spec.model_copy(update={"method": "constructed"}), (32,), trained=law.fluxes)
