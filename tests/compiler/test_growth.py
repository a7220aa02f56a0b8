"""What grows is refused where it is seen to grow, and told where it grows too slowly: never passed as fine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from models_under_test import compiled, compiled_box, heat_model, hidden_model, laplace_model, stock_box

from pisnn_deploy import zoo
from pisnn_deploy.compiler import CompileOptions, compile_model
from pisnn_deploy.compiler.growth import growth_text, worst_wave
from pisnn_deploy.compiler.prove import Prove
from pisnn_deploy.compiler.quantise import Quantise
from pisnn_deploy.compiler.warnings import unproved_stability
from pisnn_deploy.errors import UnstableError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.mesh import parse_boundary
from pisnn_deploy.model import Model, OperatingRange
from pisnn_deploy.profiles import load_profile
from pisnn_deploy.training.checkpoint import read_checkpoint

LOIHI2 = load_profile("loihi2")
NEAR, FAR = OperatingRange(lower=0.0, upper=2.0), OperatingRange(lower=10.0, upper=30.0)


def refusal(model: Model, boundary: str = "periodic") -> str:
    options = CompileOptions((16,), parse_boundary(boundary, 1), LOIHI2, search=False)
    with pytest.raises(UnstableError) as caught:
        compile_model(model, options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("limits", "boundary", "cell"),
    [
        (NEAR, "periodic", "cell 11 has the value 10.4212 at PDE step 3"),
        (FAR, "periodic", "cell 11 has the value 114.212 at PDE step 3"),
        (FAR, "dirichlet=12,14", "cell 0 has the value -298.285 at PDE step 3"),
    ],
)
def test_a_float_network_that_is_unstable_by_itself_is_called_so(
    limits: OperatingRange, boundary: str, cell: str
) -> None:
    model = heat_model((0.0, 0.0, 0.0, 1.5), operating_range=limits)
    assert refusal(model, boundary) == (
        "lower: the float network heat1d is unstable by itself, before any rounding: from a start within the operating "
        f"range {limits.lower:g} to {limits.upper:g}, {cell}; train it for a smaller time step, or choose a finer mesh "
        "if it has a damping"
    )


def test_weights_too_large_for_any_target_are_not_blamed_on_the_target() -> None:
    wild = heat_model((0.0, 0.0, 0.0, 3e5), operating_range=NEAR)
    assert refusal(wild).startswith("lower: the float network heat1d is unstable by itself, before any rounding: ")


@pytest.mark.parametrize("limits", [NEAR, FAR])
def test_integers_that_grow_where_the_floats_do_not_are_refused_wherever_the_start_is(limits: OperatingRange) -> None:
    """Rounded, 1/2 and a little less becomes a little more: the shortest wave grows."""
    model = heat_model((0.0, 0.0, 0.0, 0.4999), operating_range=limits, weight_exponents=(4,))
    text = refusal(replace_rounding(model, 9 / 16))
    assert text == (
        "measure: waves of 2 cells along x grow: 4.77 times as large at PDE step 7; choose a finer mesh or another "
        "model"
    )


def replace_rounding(model: Model, weight: float) -> Model:
    """The model, whose weights the quantiser is made to round to another value."""
    _ROUNDED["weight"] = weight
    return model


_ROUNDED: dict[str, float] = {}


@pytest.fixture(autouse=True)
def _rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad luck in rounding, made on purpose: no model of this size rounds so far off by itself."""
    _ROUNDED.clear()
    kernel = Quantise._kernel

    def unlucky(self: Quantise, graph: object, rounded: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> object:
        if "weight" in _ROUNDED:
            rounded = rounded.copy()
            rounded[rounded > 0] = round(_ROUNDED["weight"] * 16)
            rounded[rounded < 0] = -round(_ROUNDED["weight"] * 16)
        return kernel(self, graph, rounded)  # type: ignore[arg-type]

    monkeypatch.setattr(Quantise, "_kernel", unlucky)


def slow(graph: IntegerGraph) -> IntegerGraph:
    """The graph with a kernel under which the shortest wave grows by 1/2^10 in each PDE step, proved again."""
    (layer,) = graph.operator
    assert graph.flux.threshold_exponent == 12
    weight = np.zeros_like(layer.weight)
    weight[0, 3:5] = 2049, -2049
    changed = replace(graph, operator=(replace(layer, weight=weight),))
    return replace(changed, certificate=Prove()(graph).certificate)


def test_a_wave_that_grows_slowly_is_told_with_its_factor() -> None:
    graph = compiled(heat_model((0.0, 0.0, 0.0, 0.5), weight_exponents=(12,), operating_range=NEAR))
    changed = slow(graph)
    worst = worst_wave(changed)
    assert worst is not None and worst.text == "waves of 2 cells along x" and abs(worst.factor - 2050 / 2048) < 1e-12
    assert graph.certificate is not None
    claim = replace(graph.certificate.stability, status="none", method="growth", figures={"modulus": worst.factor})
    changed = replace(changed, certificate=replace(graph.certificate, stability=claim))
    assert list(unproved_stability(changed, LOIHI2)) == [
        "stability: waves of 2 cells along x grow by a factor of 1.00097656 in each PDE step, twofold in 711; long "
        "runs may leave the operating range"
    ]


def test_what_is_proved_is_neither_run_nor_told() -> None:
    graph = compiled()
    assert growth_text(graph, 100) == "" and list(unproved_stability(graph, LOIHI2)) == []


def test_a_network_with_a_hidden_layer_is_looked_at_around_constant_fields() -> None:
    with zoo.model_path("burgers1d") as path:
        model = read_checkpoint(path)
    graph = compile_model(model, CompileOptions((256,), parse_boundary("periodic", 1), LOIHI2, search=False))
    assert list(unproved_stability(graph, LOIHI2)) == [
        "stability: not proved: the flux network is not linear; around constant fields no wave grows, the largest "
        "factor is 0.999992"
    ]
    louder = Model(model.spec, (model.weights[0], model.weights[1] * 8), model.biases)
    options = CompileOptions((256,), parse_boundary("periodic", 1), LOIHI2, search=False)
    with pytest.raises(UnstableError) as caught:
        compile_model(louder, options)
    assert "is unstable by itself, before any rounding" in str(caught.value)


def test_the_kernel_of_a_hidden_network_gives_the_factor_that_its_integers_have() -> None:
    graph = compiled(hidden_model((5,), seed=3))
    worst = worst_wave(graph)
    assert worst is not None and worst.factor >= 0


def test_stock_processes_have_factors_of_their_own_recurrence() -> None:
    graph = stock_box(heat_model((0.25,), diffusion_number=0.25))
    worst = worst_wave(graph)
    assert worst is not None and worst.factor <= 1 + 1e-9 and growth_text(graph, 100) == ""


def test_parabolas_that_grow_are_followed_with_noise() -> None:
    graph = compiled_box(laplace_model(), (32, 32), "dirichlet=0,1")
    assert graph.certificate is not None and growth_text(graph, 100) == ""
    claim = replace(graph.certificate.stability, status="none", method="growth", figures={"modulus": 1.1})
    doubted = replace(graph, certificate=replace(graph.certificate, stability=claim))
    assert growth_text(doubted, 100) == "", "noise that decays is no growth, whatever the claim says"
