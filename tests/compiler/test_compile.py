"""Compiling whole models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from checked_graphs import with_figure
from models_under_test import compiled, compiled_box, heat_model, heat_spec, hidden_model, laplace_model, plane_model

from pisnn_deploy.compiler import CompileOptions, Lower, compile_model
from pisnn_deploy.compiler.passes.bound import Bounds
from pisnn_deploy.compiler.passes.place import Place
from pisnn_deploy.compiler.passes.prove import Prove
from pisnn_deploy.compiler.passes.schedule import Schedule
from pisnn_deploy.compiler.runner import run_passes
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.mesh import parse_boundary, window_cells
from pisnn_deploy.physics.model import Model, OperatingRange
from pisnn_deploy.target import load_profile

LOIHI2 = load_profile("loihi2")


def refusal(model: Model, shape: tuple[int, ...] = (16,), boundary: str = "periodic") -> str:
    options = CompileOptions(Lower(shape, parse_boundary(boundary, len(shape))), load_profile("loihi2"))
    with pytest.raises(CompileError) as caught:
        compile_model(model, options)
    return str(caught.value)


def advection_model() -> Model:
    spec = heat_spec(
        name="advection_diffusion1d",
        equation="advection-diffusion",
        problem="advection_diffusion1d",
        velocity=1.0,
        cell_width=1 / 16,
        half_width=1,
        operating_range=OperatingRange(lower=0.0, upper=2.0),
    )
    return Model(spec, (np.array([[52.0, -20.0]]) / 128,), (np.zeros(1),))


@pytest.mark.parametrize("cells", [1, 2, 3, 7, 128])
@pytest.mark.parametrize("boundary", ["periodic", "no-flux", "dirichlet=0.5,1.5", "x-=dirichlet=1 x+=no-flux"])
@pytest.mark.parametrize("model", [heat_model(), hidden_model((3, 2))], ids=["linear", "hidden"])
def test_any_mesh_compiles(model: Model, cells: int, boundary: str) -> None:
    if cells == 1 and boundary == "no-flux":
        assert refusal(model, (1,), "no-flux") == (
            "lower: the mesh has no face, so nothing could move; use at least two cells"
        )
        return
    graph = compiled(model, cells, boundary)
    assert defects(graph) == []
    assert graph.period == 2 + len(graph.between_fields)
    assert graph.certificate is not None and graph.certificate.conservation.status == "proved"


def test_states_use_the_width_of_the_target_and_no_more() -> None:
    graph = compiled(cells=128)
    states = [bound for bound in graph.bounds if bound.quantity != "accumulator"]
    assert max(bound.bits for bound in states) == 24
    assert graph.value_per_quantum == 2.0**-20


def test_moments_come_first_and_nearest_integers_last() -> None:
    found = compiled(cells=128).quantisation
    assert found.kernel_rounded == (1, 4, 18, 46, -46, -18, -4, -1)
    assert found.symbol_error_chosen is not None and found.symbol_error_rounded is not None
    assert found.symbol_error_chosen < found.symbol_error_rounded
    assert max(abs(np.subtract(found.kernel_chosen, found.kernel_rounded))) <= 1
    options = CompileOptions(Lower((128,), parse_boundary("periodic", 1)), load_profile("loihi2"), search=False)
    nearest = compile_model(heat_model(), options).quantisation
    assert nearest.kernel_chosen == found.kernel_rounded
    assert nearest.relative_l2_integer is not None and found.relative_l2_integer is not None
    assert found.relative_l2_integer < nearest.relative_l2_integer / 2


def test_the_time_step_is_what_the_integers_say() -> None:
    graph = compiled(cells=100)
    kernel = graph.operator[0].weight[0]
    number = -float(kernel @ (np.arange(-3, 5) - 0.5)) / 128
    assert graph.time_step == pytest.approx(number / 100**2 / 0.01, rel=1e-14)
    leaky = compiled(heat_model(leak=1024), cells=100)
    rounded = leaky.operator[0].weight[0]
    number = -float(rounded @ (np.arange(-3, 5) - 0.5)) / 128
    assert leaky.time_step == pytest.approx(4 * number / 100**2 / 0.01, rel=1e-14)


def test_accuracy_of_heat1d_as_the_project_promises() -> None:
    found = compiled(cells=128).quantisation
    assert found.steps <= 200
    assert found.relative_l2_integer is not None and found.relative_l2_integer <= 2e-6
    between_reservoirs = compiled(cells=128, boundary="dirichlet=0,1").quantisation
    assert between_reservoirs.relative_l2_integer is not None and between_reservoirs.relative_l2_integer <= 2e-6


def test_weights_beyond_eight_bits_take_a_second_synapse() -> None:
    graph = compiled(heat_model((0.0, 0.0, 0.02, 0.36), weight_exponents=(9,)), boundary="no-flux")
    names = [synapse.name for synapse in graph.synapses]
    assert names == ["membrane-to-flux", "membrane-to-flux-2", "route"]
    assert graph.certificate is not None and graph.certificate.stability.status == "proved"


def test_stability_says_what_it_rests_on() -> None:
    maximum = compiled().certificate
    assert maximum is not None and maximum.stability.details.startswith("discrete maximum principle")
    symbol = compiled(heat_model(leak=2000)).certificate
    assert symbol is not None and symbol.stability.status == "proved"
    assert symbol.stability.details.startswith("all amplification factors lie in the unit disc")
    held = compiled(heat_model((0.25,)), boundary="dirichlet=0,1").certificate
    assert held is not None and held.stability.details.endswith("including what reservoirs add")
    fine = compiled_box(laplace_model(), (32, 32), "dirichlet=0,1").certificate
    assert fine is not None and fine.stability.status == "proved"
    assert refusal(laplace_model(), (16, 16), "dirichlet=0,1").startswith(
        "lower: the float network laplace2d is unstable by itself, before any rounding: from a start within the "
        "operating range -0.5 to 1.5, cell 255 has the value 8.99745 at PDE step 17; "
    )
    hidden = compiled(hidden_model()).certificate
    assert hidden is not None and hidden.stability.status == "none"


def test_refusals() -> None:
    assert refusal(heat_model(), (16, 16)) == (
        "lower: the model heat1d has 1 dimensions, the mesh 2 and the boundary 2; give `mesh` and `boundary` one entry "
        "per dimension"
    )
    lopsided = Model(heat_spec(), (np.array([[1, 4, 18, 46, -45, -18, -4, -1]]) / 128,), (np.zeros(1),))
    assert refusal(lopsided) == (
        "quantise: the integer flux kernel (1, 4, 18, 46, -45, -18, -4, -1) sums to 1, so a constant field would not "
        "be at rest; train with an antisymmetric kernel"
    )
    backwards = heat_model((-1 / 128, -4 / 128, -18 / 128, -46 / 128))
    assert refusal(backwards) == (
        "quantise: the integer flux kernel has diffusion number -0.992188 and Courant number 0; with these, diffusion "
        "runs backwards in time; train the model further"
    )
    for widest in ("1e+09", "1e+300"):
        wide = heat_model(operating_range=OperatingRange(lower=-float(widest), upper=float(widest)))
        assert refusal(wide) == (
            f"quantise: cell values from -{widest} to {widest} need states wider than 24 bits even with a quantum of "
            "1; narrow the operating range or choose a target with wider states"
        )
    assert refusal(heat_model(), (16,), "dirichlet=0,2.5") == (
        "quantise: reservoir 1 holds the value 2.5, outside the operating range 0 to 2; widen the range with "
        "`value_range` LOWER,UPPER"
    )
    assert refusal(laplace_model(), (1, 1), "dirichlet=0,1") == (
        "lower: quadratic ghost cells need two cells beside a reservoir; use at least two cells"
    )
    assert refusal(advection_model(), (128,)) == (
        "lower: the model advection_diffusion1d was trained for cells 0.0625 wide, these are 0.0078125: "
        "advection-diffusion has a length of its own, so its flux depends on the cell width; compile it for 16 cells, "
        "or train it for this mesh"
    )
    assert refusal(advection_model(), (16,), "no-flux") == (
        "lower: the model advection_diffusion1d transports mass through the sides, but nothing lies upstream of a "
        "wall or reservoir; compile it with `boundary` periodic"
    )
    biased = laplace_model()
    biased = Model(biased.spec, biased.weights, (np.full(1, 0.1),))
    assert refusal(biased, (8, 4), "dirichlet=0,1") == (
        "lower: cells are 0.125 x 0.25, they must be equally wide along every axis: only a linear flux of diffusion or "
        "laplace has a kernel for each; choose `mesh` in proportion to the domain"
    )
    assert refusal(laplace_model(), (64, 2), "dirichlet=0,1") == (
        "lower: cells are 0.015625 x 0.5, and diffusion is 1.02e+03 times as fast along one axis as along another, "
        "more than 256; choose a mesh whose cells are nearer to squares"
    )


def test_the_quantum_is_coarsened_until_accumulators_fit() -> None:
    options = CompileOptions(Lower((16,), parse_boundary("periodic", 1)), load_profile("loihi1"))
    graph = compile_model(heat_model(), options)
    assert max(bound.bits for bound in graph.bounds) == 16
    assert compiled(heat_model()).value_per_quantum < graph.value_per_quantum


def test_a_start_that_the_model_is_not_meant_for_is_moved_into_its_range() -> None:
    narrow = compiled(heat_model(operating_range=OperatingRange(lower=0.9, upper=1.1, slope=0.7)))
    wide = compiled()
    assert not narrow.starts_inside and wide.starts_inside
    assert narrow.quantisation.steps == wide.quantisation.steps and narrow.quantisation.relative_l2_integer is not None
    assert wide.quantisation.relative_l2_integer is not None
    # A tenth of the variation on the same mean has about a tenth of the relative error.
    ratio = narrow.quantisation.relative_l2_integer / wide.quantisation.relative_l2_integer
    assert 0.02 < ratio < 0.2
    summaries = {record.text.partition("{")[0]: record.summary for record in narrow.history}
    assert summaries["measure"].endswith(", from the problem's start moved into the operating range")
    held = compiled(heat_model(operating_range=OperatingRange(lower=0.9, upper=1.1)), boundary="dirichlet=0.95,1.05")
    assert held.quantisation.relative_l2_integer is None, "between reservoirs a moved start has no known future"
    steep = compiled_box(laplace_model(), (32, 32), "periodic")
    assert steep.quantisation.relative_l2_integer is None


def test_a_route_that_does_not_conserve_is_refused() -> None:
    graph = compiled()
    route = graph.synapses[-1]
    mantissas = route.mantissas.copy()
    mantissas[0] -= 2
    broken = replace(graph, synapses=(*graph.synapses[:-1], route.with_mantissas(mantissas)))
    with pytest.raises(CompileError) as caught:
        Prove()(broken)
    assert str(caught.value) == (
        "prove: the route of face 0, as the target stores it, does not carry its packets from cell 0 to cell 1"
    )


def test_the_truncation_of_mixed_signs_is_part_of_the_proof() -> None:
    graph = compiled()
    route = graph.synapses[-1]
    naive = replace(route.with_mantissas(route.mantissas // 2), exponent=0)
    broken = replace(graph, synapses=(*graph.synapses[:-1], naive))
    assert np.array_equal(naive.matrix().toarray(), route.matrix().toarray())
    with pytest.raises(CompileError, match="as the target stores it, does not carry its packets"):
        Prove()(broken)


def test_a_pass_that_breaks_the_graph_is_blamed() -> None:
    class Vandal(Schedule):
        def __call__(self, graph: IntegerGraph) -> IntegerGraph:
            return replace(super().__call__(graph), time_step=-1.0)

    with pytest.raises(CompileError) as caught:
        run_passes(compiled(), [Vandal()])
    assert str(caught.value) == (
        "schedule: left a graph that is not well formed: time_step is -1.0, it must be positive"
    )


def test_a_pass_out_of_order_is_refused() -> None:
    unbounded = replace(compiled(), bounds=())
    with pytest.raises(CompileError) as caught:
        run_passes(unbounded, [Prove()])
    assert str(caught.value) == "prove: requires a graph that is bounded, but it is not"


def test_a_width_beyond_the_target_is_named() -> None:
    with pytest.raises(CompileError) as caught:
        Bounds(state_bits=20, payload_bits=24, accumulator_bits=32)(compiled())
    assert str(caught.value) == (
        "bound: flux drive may reach 7226100, which takes 24 signed bits; the target has 20; narrow the operating "
        "range, or choose another target"
    )


@pytest.mark.parametrize(("cells", "limit"), [(16, 4095), (100, 16), (7, 2), (33, 5)])
def test_no_core_holds_more_than_it_can(cells: int, limit: int) -> None:
    profile = with_figure(with_figure(LOIHI2, "core.neurons_max", limit), "chip.cores_usable", 4)
    placement = Place(profile)(compiled(cells=cells)).placement
    assert placement is not None
    load = sum(np.bincount(core, minlength=placement.cores) for core in placement.core.values())
    assert int(np.max(load)) <= limit and int(np.min(load)) > 0
    assert placement.chips == -(-placement.cores // 4)


def test_the_history_names_each_pass_and_its_options() -> None:
    graph = compiled()
    assert [record.text for record in graph.history] == [
        "lower{shape=16 boundary=periodic}",
        "quantise{state-bits=24 operating-range=None search=True}",
        "schedule{coding=delta}",
        "bound{state-bits=24 payload-bits=24 accumulator-bits=32}",
        "prove",
        "measure",
        "search",
        "place{profile=loihi2 method=auto seed=0}",
    ]


def test_the_integer_operator_is_what_the_synapses_hold() -> None:
    graph = compiled(hidden_model((3,)), 9, "no-flux")
    mass = np.arange(9, dtype=np.int64) * 1000
    window = window_cells(graph.grid, graph.model_spec.half_width, 0, np.zeros(0)).cell[:, :, 0]
    expected = (mass[window] @ graph.operator[0].weight.T).reshape(-1)
    assert np.array_equal(graph.matrix("membrane", "hidden1") @ mass, expected)


def test_no_core_holds_more_synapses_than_it_can() -> None:
    graph = compiled_box(plane_model(), (10, 12), "x=dirichlet=1,1 y=periodic")
    placement = Place(with_figure(LOIHI2, "core.synaptic_memory_words", 120))(graph).placement
    assert placement is not None
    assert 60 < int(placement.utilisation["synaptic_words"].max()) <= 120
    assert placement.utilisation["synapses"].sum() == sum(synapse.entries for synapse in graph.synapses)
    with pytest.raises(
        CompileError, match=r"place: a cell and its faces take \d+ words of synaptic memory, a core holds 3; "
    ):
        Place(with_figure(LOIHI2, "core.synaptic_memory_words", 3))(graph)
