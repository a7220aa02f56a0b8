"""Networks followed through one window give what the network gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pisnn_deploy.formats.affine import LARGEST_ELEMENTS, FormError, form_of
from pisnn_deploy.formats.saturation import clipped
from pisnn_deploy.formats.windows import Limits


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2))
def test_convolutions_are_those_of_torch(seed: int, axes: int, channels: int, kernel: int, dilation: int) -> None:
    rng = np.random.default_rng(seed)
    span = (kernel - 1) * dilation + 1
    shape = (1, channels, *rng.integers(span, span + 3, axes))
    weight = rng.integers(-9, 9, (2, channels, *(kernel,) * axes)).astype(float)
    bias = rng.integers(-9, 9, 2).astype(float)
    field = rng.integers(-9, 9, shape).astype(float)
    form = form_of(shape).convolved(weight, bias, (dilation,) * axes)
    convolution: Any = (torch.conv1d, torch.conv2d, torch.conv3d)[axes - 1]
    expected = convolution(*(torch.from_numpy(a) for a in (field, weight, bias)), dilation=dilation)
    found = form.weight @ field.reshape(-1) + form.bias
    assert np.array_equal(found, expected.numpy())


def test_a_form_is_the_composition_of_its_operations() -> None:
    rng = np.random.default_rng(1)
    x, w, v = rng.integers(-5, 5, (2, 3)), rng.integers(-5, 5, (4, 3)), rng.integers(-5, 5, (2, 2))
    form = form_of((2, 3)).dense(w.astype(float), np.arange(4.0)).transposed((1, 0)).dense(v.astype(float))
    form = form.reshaped((2, -1)).scaled(-2.0).plus(form.reshaped((2, 4))).shifted(np.ones((1, 4)))
    inner = ((x @ w.T + np.arange(4)).T @ v.T).reshape(2, 4)
    assert np.array_equal(form.weight @ x.reshape(-1) + form.bias, -inner + 1)


def test_a_rectifier_ends_a_layer_once() -> None:
    form = form_of((2,)).dense(np.array([[1.0, -1.0]])).rectified()
    assert form.rectified() is form and len(form.below) == 1
    assert np.array_equal(form.below[0].weight, [[1, -1]]) and np.array_equal(form.weight, [[1]])


def test_what_does_not_fit_is_said() -> None:
    form = form_of((1, 4))
    other = form.rectified().reshaped((1, 4))
    wrongs: list[tuple[Callable[[], object], str]] = [
        (lambda: form.reshaped((3, -1)), "cannot reshape a tensor of shape (1, 4) to (3, -1)"),
        (lambda: form.reshaped((-1, -1)), "cannot reshape a tensor of shape (1, 4) to (-1, -1)"),
        (lambda: form.transposed((0, 0)), "(0, 0) is not a permutation of the axes of a tensor of shape (1, 4)"),
        (lambda: form.dense(np.ones((2, 3))), "weights of shape (2, 3) do not fit a tensor of shape (1, 4)"),
        (
            lambda: form.convolved(np.ones((1, 2, 3))),
            "a kernel of shape (1, 2, 3) does not fit a tensor of shape (1, 4)",
        ),
        (
            lambda: form.convolved(np.ones((1, 1, 5))),
            "a kernel that spans (5,) cells is larger than a tensor of shape (1, 4)",
        ),
        (lambda: form.shifted(np.ones((2, 4))), "a constant of shape (2, 4) does not fit a tensor of shape (1, 4)"),
        (lambda: form.shifted(np.ones(3)), "a constant of shape (3,) does not fit a tensor of shape (1, 4)"),
        (
            lambda: form.plus(other),
            "tensors can only be added if they have the same shape and depend on the same layer",
        ),
        (
            lambda: form_of((5000,)),
            f"needs 25000000 weights between two layers, more than {LARGEST_ELEMENTS}",
        ),
        (
            lambda: form_of((4000,)).dense(np.ones((5000, 4000))),
            f"needs 20000000 weights between two layers, more than {LARGEST_ELEMENTS}",
        ),
    ]
    for wrong, message in wrongs:
        with pytest.raises(FormError) as caught:
            wrong()
        assert str(caught.value) == message


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.booleans(), st.booleans())
def test_clipping_is_exact_within_the_operating_range(seed: int, known: bool, twice: bool, rectified: bool) -> None:
    rng = np.random.default_rng(seed)
    limits = Limits(-1.0, 2.0, 0.5, (4,)) if known else None
    form = form_of((4,), limits).dense(rng.normal(size=(3, 4)), rng.normal(size=3))
    windows = Limits(-1.0, 2.0, 0.5, (4,)).windows(40, seed)
    values = windows @ form.weight.T + form.bias
    steps: list[tuple[Any, Any]] = [(rng.normal(size=3) - 1, rng.normal(size=3) + 1.5)]
    if rectified:
        form, values = form.rectified(), np.maximum(values, 0)
    if twice:
        steps.append((-np.inf, 1.0))
    for lower, upper in steps:
        upper = np.maximum(lower, upper)
        form, values = clipped(form, lower, upper), np.clip(values, lower, upper)
    found = windows
    for layer in form.below:
        found = np.maximum(found @ layer.weight.T + layer.bias, 0)
    assert np.allclose(found @ form.weight.T + form.bias, values, rtol=0, atol=1e-12)
    lower, upper = form.bounds()
    assert (values >= lower - 1e-12).all() and (values <= upper + 1e-12).all()


def test_bounds_use_the_difference_of_neighbours() -> None:
    limits = Limits(0.0, 10.0, 0.5, (4,))
    form = form_of((4,), limits).dense(np.array([[1.0, 0.0, 0.0, -1.0], [0.0, 1.0, 0.0, 0.0]]))
    lower, upper = form.bounds()
    assert np.array_equal(lower, [-1.5, 0.0]) and np.array_equal(upper, [1.5, 10.0])
    plane = form_of((6,), Limits(0.0, 10.0, 0.5, (2, 3))).dense(np.array([[1.0, 0, 0, 0, 0, -1.0]]))
    assert [float(end[0]) for end in plane.bounds()] == [-1.5, 1.5]


def test_what_cancels_in_the_window_cancels_in_the_bound() -> None:
    limits = Limits(0.0, 2.0, 0.25, (2,))
    steep = form_of((2,), limits).dense(np.array([[0.6, -0.4], [-0.4, 0.6]])).rectified()
    lower, upper = steep.dense(np.array([[0.5, -0.5]])).bounds()
    # Half the difference of the cells is 0.125; of activations up to 0.45 it would be 0.225.
    assert 0.125 <= float(upper[0]) <= 0.17 and -0.17 <= float(lower[0]) <= -0.125


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_bounds_hold_for_all_windows(seed: int, depth: int) -> None:
    rng = np.random.default_rng(seed)
    limits = Limits(-1.0, 2.0, 0.5, (4,))
    form, values = form_of((4,), limits), limits.windows(200, seed)
    for _ in range(depth):
        weight, bias = rng.normal(size=(3, form.shape[-1])), rng.normal(size=3)
        form, values = form.dense(weight, bias), values @ weight.T + bias
        lower, upper = form.bounds()
        assert (values >= lower - 1e-9).all() and (values <= upper + 1e-9).all()
        form, values = clipped(form.rectified(), 0.0, 2.0), np.clip(values, 0, 2)


def test_what_is_left_out_is_bounded() -> None:
    limits = Limits(0.0, 1.0, epsilon=0.0)
    form = form_of((2,), limits).rounded(0.5).dense(np.array([[2.0, -3.0]])).rectified().scaled(-2.0)
    assert form.rounding is not None and form.rounding.tolist() == [5.0]
    near = clipped(form_of((1,), limits), 0.0, 0.75, tolerance=0.25)
    assert near.below == () and near.rounding is not None and near.rounding.tolist() == [0.25]


def test_depth_is_bounded() -> None:
    form = form_of((1,))
    for _ in range(8):
        form = form.rectified().shifted(-np.ones(1))
    with pytest.raises(FormError, match=r"^more than 8 hidden layers$"):
        form.rectified()
