"""What grows is refused where it is seen to grow, and told where it grows too slowly: never passed as fine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from models_under_test import compiled, compiled_box, heat_model, heat_spec, hidden_model, laplace_model, stock_box

from pisnn_deploy.compiler import CompileOptions, GraphOptions, Lower, compile_model
from pisnn_deploy.compiler.analysis.departure import follow
from pisnn_deploy.compiler.analysis.growth import growth_text, worst_wave
from pisnn_deploy.compiler.options import Limiter
from pisnn_deploy.compiler.passes.prove import Prove
from pisnn_deploy.compiler.passes.quantise import Quantise
from pisnn_deploy.compiler.warnings import unproved_stability
from pisnn_deploy.core.errors import UnstableError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.mesh import parse_boundary
from pisnn_deploy.physics.model import Model, OperatingRange
from pisnn_deploy.project import zoo
from pisnn_deploy.target import load_profile
from pisnn_deploy.training.checkpoint import read_checkpoint

LOIHI2 = load_profile("loihi2")
NEAR, FAR = OperatingRange(lower=0.0, upper=2.0), OperatingRange(lower=10.0, upper=30.0)


def refusal(model: Model, boundary: str = "periodic") -> str:
    options = CompileOptions(Lower((16,), parse_boundary(boundary, 1)), LOIHI2, search=False)
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
    assert known_face(graph).exponent == 12
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
        "stability: waves of 2 cells along x grow by a factor of 1.00097656 in each PDE step, doubling in 711; long "
        "runs may leave the operating range"
    ]


def test_what_is_proved_is_neither_run_nor_told() -> None:
    graph = compiled()
    assert growth_text(graph, 100) == "" and list(unproved_stability(graph, LOIHI2)) == []


def test_a_network_with_a_hidden_layer_is_looked_at_around_constant_fields() -> None:
    with zoo.model_path("burgers1d") as path:
        model = read_checkpoint(path)
    graph = compile_model(model, CompileOptions(Lower((256,), parse_boundary("periodic", 1)), LOIHI2, search=False))
    assert list(unproved_stability(graph, LOIHI2)) == [
        "stability: not proved: the flux network is not linear; around constant fields no wave grows, the largest "
        "factor is 0.999992"
    ]
    louder = Model(model.spec, (model.weights[0], model.weights[1] * 8), model.biases)
    options = CompileOptions(Lower((256,), parse_boundary("periodic", 1)), LOIHI2, search=False)
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


@pytest.mark.parametrize(
    ("weight", "sentence"),
    [
        (1.5, "lower: the float network heat1d is unstable by itself, before any rounding: "),
        (0.4999, "measure: waves of 2 cells along x grow: "),
    ],
)
def test_a_limiter_hides_neither_unstable_floats_nor_unstable_integers(weight: float, sentence: str) -> None:
    """It bounds masses, and modes grow until it cuts them."""
    model = heat_model((0.0, 0.0, 0.0, weight), operating_range=NEAR, weight_exponents=(4,))
    model = replace_rounding(model, 9 / 16) if weight < 1 else model
    texts = []
    limiters: tuple[Limiter, ...] = ("none", "positivity")
    for limiter in limiters:
        options = CompileOptions(
            Lower((16,), parse_boundary("no-flux", 1)), LOIHI2, GraphOptions(limiter=limiter), search=False
        )
        with pytest.raises(UnstableError) as caught:
            compile_model(model, options)
        texts.append(str(caught.value))
    assert texts[0].startswith(sentence) and texts[1] == texts[0]


def test_a_wave_that_grows_slowly_behind_a_limiter_is_told() -> None:
    model = heat_model((0.0, 0.0, 0.0, 4097 / 8192), weight_exponents=(13,), operating_range=NEAR)
    options = CompileOptions(
        Lower((16,), parse_boundary("no-flux", 1)), LOIHI2, GraphOptions(limiter="positivity"), search=False
    )
    assert list(unproved_stability(compile_model(model, options), LOIHI2)) == [
        "stability: waves of 2 cells along x grow by a factor of 1.00048828 in each PDE step, doubling in 1420; long "
        "runs may leave the operating range"
    ]


def hat_model(width: float) -> Model:
    """A diffusion through units of two signs, and a hat of the flux around the mean 0.93."""
    kernel, mean = np.array([0.1, 0.3, -0.3, -0.1]), np.full(4, 0.25)
    biases = np.array([0.0, 0.0, width - 0.93, -0.93, -width - 0.93])
    spec = heat_spec(half_width=2, hidden=(5,), weight_exponents=(7, 7), operating_range=NEAR)
    first, last = np.stack([kernel, -kernel, mean, mean, mean]), np.array([[1.0, -1.0, 20.0, -40.0, 20.0]])
    return Model(spec, (first, last), (biases, np.zeros(1)))


@pytest.mark.parametrize(("width", "level"), [(0.01, "0.925"), (0.001, "0.93")])
def test_a_flux_that_is_steep_around_a_few_constants_is_refused(width: float, level: str) -> None:
    """The narrower hat lies between two constants of the grid: kinks lead there."""
    options = CompileOptions(Lower((32,), parse_boundary("no-flux", 1)), LOIHI2, search=False)
    with pytest.raises(UnstableError) as caught:
        compile_model(hat_model(width), options)
    assert str(caught.value) == (
        f"measure: waves of 2.67 cells along x around the value {level} grow by a factor of 10 in each PDE step; "
        "choose a finer mesh or another model"
    )


def test_values_differences_and_widths_are_looked_at() -> None:
    graph = compiled(boundary="dirichlet=1,1")
    one = round(1 / graph.value_per_quantum)
    assert graph.window.difference is not None
    level = np.full(16, one)
    peak, steep, huge = level.copy(), level.copy(), level.copy()
    peak[3], steep[3], huge[3] = 3 * one, one + graph.window.difference + 1, 1 << 40
    assert follow(graph, level, 2).departure == "" and follow(graph, level, 2).step == 2
    assert follow(graph, peak, 2).departure == (
        "cell 3 has the value 3, outside the operating range 0 to 2, at PDE step 0"
    )
    assert follow(graph, steep, 2).departure == (
        "values differ by 0.437561 across face 3 beside cells 2 and 3, where the operating range allows 0.437546, at "
        "PDE step 0"
    )
    wide = follow(graph, huge, 2)
    assert wide.overflowed and wide.departure.startswith("overflow: membrane mass [3] is 1099511627776 at PDE step 0, ")
    beside = level.copy()
    beside[0] += graph.window.difference // 2 + 1
    assert "across face 0 beside cell 0, where" in follow(graph, beside, 2).departure
