"""Lowering to Lava's own processes: what it gives, what it proves, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from models_under_test import (
    binary_box,
    compiled,
    heat_model,
    hidden_model,
    laplace_model,
    plane_model,
    stock_box,
)

from pisnn_deploy.compiler import CompileOptions, GraphOptions, Lower, compile_model
from pisnn_deploy.compiler.passes.prove import Prove
from pisnn_deploy.compiler.passes.stock import frozen_quanta
from pisnn_deploy.compiler.warnings import warnings_of
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.kinds import known_face, with_faces
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.graph.stock import stored_exponent
from pisnn_deploy.mesh import parse_boundary
from pisnn_deploy.physics.model import Model
from pisnn_deploy.physics.symbol import delayed_root
from pisnn_deploy.runs import RunOptions, fast, run_graph
from pisnn_deploy.target import load_profile
from pisnn_deploy.verify import check_certificate

REMEDY = "; compile it with `processes` c-lif"


def refused(model: Model, boundary: str = "periodic", shape: tuple[int, ...] = (16,)) -> str:
    with pytest.raises(CompileError) as caught:
        stock_box(model, shape, boundary)
    return str(caught.value)


def test_a_step_is_a_third_of_the_trained_one_and_as_accurate() -> None:
    stock, clif = stock_box(shape=(128,)), compiled(cells=128)
    assert (stock.period, stock.coding, known_face(stock).exponent) == (1, "dense", 7)
    assert 0.28 < stock.time_step / clif.time_step < 0.38
    found = stock.quantisation
    # FTCS in float64 has 5e-5 on this mesh.
    assert (found.relative_l2_float or 1) < 2e-6 and (found.relative_l2_integer or 1) < 1e-5
    assert [stored_exponent(stock, synapse) for synapse in stock.synapses] == [-8, -1]
    claims = stock.certificate
    assert claims is not None
    assert [claims.conservation.status, claims.overflow.status, claims.stability.status] == [
        "proved",
        "assumed",
        "proved",
    ]
    assert all(finding.holds for finding in check_certificate(stock))


def test_the_factor_is_the_root_of_the_recurrence() -> None:
    graph = stock_box(shape=(32,))
    kernel = graph.operator[0].weight[0] / 2.0 ** known_face(graph).exponent
    update = np.zeros((64, 64))  # of the masses of two steps
    weights = graph.matrix("membrane", "flux").toarray() / 2.0 ** known_face(graph).exponent
    update[:32, :32], update[32:, :32] = np.eye(32), np.eye(32)
    update[:32, 32:] = graph.matrix("flux", "membrane").toarray() @ weights
    largest = np.abs(np.linalg.eigvals(update)).max()
    gains = -4 * sum(
        w * np.sin((2 * j + 1) * np.pi * np.arange(33) / 32) * np.sin(np.pi * np.arange(33) / 32)
        for j, w in enumerate(kernel[: kernel.size // 2][::-1])
    )
    assert np.isclose(largest, np.abs(delayed_root(gains.astype(np.complex128))).max(), rtol=1e-12)


@pytest.mark.parametrize("boundary", ["periodic", "no-flux"])
@pytest.mark.parametrize("threshold", [1, 1000])
def test_bounds_hold_what_a_run_makes(boundary: str, threshold: int) -> None:
    graph = stock_box(shape=(16,), boundary=boundary, send_threshold=threshold)
    assert all(finding.holds for finding in check_certificate(graph))
    semantics = Semantics(graph)
    state = semantics.start(graph.initial)
    bounds = {bound.quantity: bound for bound in graph.bounds if bound.population == "flux"}
    for step in range(50):
        state = semantics.step(state, step)
        for name, values in (("current", state.current), ("packet", state.packets), ("residue", state.residue)):
            assert bounds[name].lower <= values.min() <= values.max() <= bounds[name].upper, name


def test_planes_and_means_are_kept() -> None:
    graph = stock_box(plane_model(), (10, 12), "x=periodic y=no-flux")
    assert all(finding.holds for finding in check_certificate(graph))
    run = fast.run(graph, graph.initial, RunOptions(400, every=100))
    assert run.conserved and len({*run.trace.totals()}) == 1
    flat = np.full(graph.mesh.cells, int(graph.initial.mean()), np.int64)
    assert fast.run(graph, flat, RunOptions(5)).packets_sent == 0


def test_growth_is_seen_by_proof_and_by_checker() -> None:
    stable, steep = stock_box(), replace(stock_box(), bounds=())
    (layer,) = steep.operator
    kernel = np.zeros_like(layer.weight)
    kernel[0, layer.weight.size // 2 - 1 : layer.weight.size // 2 + 1] = (40, -40)  # z^2 - z + 4 * 40 / 128 = 0
    grown = replace(steep, operator=(replace(layer, weight=kernel),), bounds=stable.bounds)
    proved = Prove()(grown).certificate
    assert proved is not None and proved.stability.status == "none"
    assert proved.stability.figures["modulus"] == pytest.approx(np.sqrt(1.25))
    claimed = replace(grown, certificate=stable.certificate)
    assert "layout" in [finding.claim for finding in check_certificate(claimed) if not finding.holds]


def test_what_lava_cannot_express_is_refused() -> None:
    assert refused(heat_model(leak=1024)) == (
        "stock: heat1d has a leak, but neither Sigma nor SigmaDelta keeps part of a current" + REMEDY
    )
    assert refused(laplace_model(), "no-flux", (20, 20)) == (
        "stock: laplace2d has a leak, but neither Sigma nor SigmaDelta keeps part of a current" + REMEDY
    )
    assert refused(hidden_model()) == (
        "stock: the hidden layers of heat1d need phases of their own, which Sigma and SigmaDelta lack" + REMEDY
    )
    assert refused(heat_model(), "dirichlet=0,1") == (
        "stock: a Dirichlet side needs a ledger of 48 bits, but a Sigma has one word" + REMEDY
    )
    biased = replace(heat_model(), biases=(np.ones(1),))
    assert refused(biased) == (
        "stock: the flux of heat1d has a bias, but a SigmaDelta adds one once, not in every step" + REMEDY
    )
    assert refused(heat_model((3.5,))) == (
        "quantise: a weight of 149 takes 2 synapses, each of which would round its own sum" + REMEDY
    )


def test_binary_spikes_are_refused() -> None:
    options = CompileOptions(
        Lower((16,), parse_boundary("periodic", 1)), load_profile("loihi1"), GraphOptions(processes="stock")
    )
    with pytest.raises(CompileError) as caught:
        compile_model(heat_model(), options)
    assert str(caught.value) == (
        "stock: cells send their whole states, and spikes for loihi1 are binary; compile it with `processes` c-lif, or "
        "for graded spikes"
    )
    assert not known_face(binary_box(heat_model(), (16,), "periodic")).is_late


def mutated() -> dict[str, IntegerGraph]:
    graph = stock_box(send_threshold=9)
    drive, route = graph.synapses
    mantissas = route.mantissas.copy()
    mantissas[3] += 2
    packets = tuple(replace(b, upper=b.upper - 8) if b.quantity == "packet" else b for b in graph.bounds)
    sums = tuple(replace(b, upper=b.upper - 1) if b.quantity == "accumulator" else b for b in graph.bounds)
    return {
        "conservation": replace(graph, synapses=(drive, route.with_mantissas(mantissas))),
        "bounds": with_faces(graph, send_threshold=10),
        "bounds of packets": replace(graph, bounds=packets),
        "bounds of sums": replace(graph, bounds=sums),
        "clock": replace(graph, time_step=3 * graph.time_step),
        "clock of the period": replace(graph, period=2),
        "bounds of C-LIF": replace(with_faces(graph, send_threshold=None), period=2),
    }


def test_the_checker_rejects_what_is_not_so() -> None:
    for name, graph in mutated().items():
        claims = [finding.claim for finding in check_certificate(graph) if not finding.holds]
        assert name.partition(" of ")[0] in claims, (name, claims)


@pytest.mark.parametrize(("cells", "boundary"), [(32, "no-flux"), (64, "no-flux"), (64, "periodic")])
def test_what_stays_frozen_is_as_large_as_it_is_said_to_be(cells: int, boundary: str) -> None:
    graph = stock_box(heat_model(), (cells,), boundary)
    frozen = frozen_quanta(graph)
    assert frozen is not None
    ends = (np.arange(cells) + 0.5) / cells
    shape = np.cos((np.pi if boundary == "no-flux" else 2 * np.pi) * ends)
    for start in (1 + 0.3 * shape, 1 + 0.01 * np.sign(shape)):
        run = run_graph("fast", graph, graph.mass(start), RunOptions(4 * cells**2))
        last = run.trace.mass[-1]
        again = run_graph("fast", graph, last, RunOptions(50)).trace.mass[-1]
        assert np.array_equal(again, last), "the field is at rest"
        away = float(np.abs(last - last.mean()).max())
        assert 0.5 * frozen <= away <= frozen
    assert frozen_quanta(with_faces(graph, send_threshold=None)) is None


def test_frozen_slopes_are_warned_of_where_they_are_much() -> None:
    graph, target = stock_box(heat_model(), (64,), "no-flux"), load_profile("loihi2")
    assert warnings_of(graph, target) == ()
    narrow = graph.with_field(window=replace(graph.window, lower=0, upper=100_000))
    (sentence,) = warnings_of(narrow, target)
    quanta = frozen_quanta(graph)
    assert quanta is not None
    value = quanta * graph.value_per_quantum
    assert sentence == (
        f"stock: a field at rest may stay up to {quanta:.0f} quanta (value {value:.2g}) from its mean for ever, "
        "because faces round what they carry; this grows with the number of cells; choose --processes c-lif, fewer "
        "cells or a narrower range"
    )
    stiff = with_faces(graph, send_threshold=5)
    assert frozen_quanta(stiff) == quanta + 8
