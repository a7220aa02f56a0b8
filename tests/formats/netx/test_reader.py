"""Flux networks from lava-dl's layout: what its own blocks export, and what this package writes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from models_under_test import heat_model, hidden_model, laplace_model

from fuzz.flux_files import KERNEL, SIGMA, dense_layer, lava_dl_bytes, tree_of
from pisnn_deploy.core.errors import FileError
from pisnn_deploy.formats.netx.reader import read_netx
from pisnn_deploy.formats.netx.writer import netx_file
from pisnn_deploy.formats.reading import Network, Request
from pisnn_deploy.training.lava_dl import slayer

PATH = Path("flux.net")
EVEN = 2 * np.array([0.0, 2.0, 8.0, 24.0, -24.0, -8.0, -2.0, 0.0]) / 64
"""A kernel of lava-dl's even mantissas."""
CUBA = {"type": "CUBA", "iDecay": 4096, "vDecay": 0, "vThMant": 64, "refDelay": 1, "gradedSpike": False}


def read(data: bytes) -> Network:
    return read_netx(PATH, tree_of(data))


def identity(x: torch.Tensor) -> torch.Tensor:
    """What lava-dl exports by its name."""
    return x


def exported(blocks: list[Any], seen: tuple[int, ...]) -> bytes:
    """Blocks of lava-dl, exported as its tutorials do."""
    field = torch.rand(1, *seen, 2)
    with torch.no_grad():
        for block in blocks:
            field = block(field)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for number, block in enumerate(blocks):
            block.export_hdf5(file.create_group(f"layer/{number}"))
    return buffer.getvalue()


def with_weights(block: Any, weights: Any) -> Any:
    block.synapse.weight.data = torch.tensor(np.asarray(weights), dtype=torch.float32).reshape(
        block.synapse.weight.shape
    )
    return block


def test_blocks_that_lava_dl_exported() -> None:
    sigma_delta, cuba = slayer.block.sigma_delta, slayer.block.cuba
    plain = {"threshold": 0.1, "activation": identity}
    integrator = {"threshold": 0.5, "current_decay": 0.25, "voltage_decay": 0.0}
    dense = read(exported([with_weights(sigma_delta.Dense(plain, 8, 1), EVEN)], (8,)))
    conv = read(exported([with_weights(sigma_delta.Conv(plain, 1, 1, (8, 1)), EVEN)], (1, 12, 1)))
    spiking = read(exported([with_weights(cuba.Dense(integrator, 8, 1), EVEN)], (8,)))
    for network, factor in ((dense, 1), (conv, 1), (spiking, 2)):
        assert network.window == (8,) and np.array_equal(network.layers[0].weight, factor * EVEN[None, :])
    assert dense.spec_fields == {} and spiking.spec_fields == {"leak": 1024}
    assert dense.notes == ("the sending threshold of layer/0/neuron (6/64) was omitted: every change is sent",)
    assert spiking.notes == ("layer/0/neuron became C-LIF, with signed packets and a reset that keeps the residue",)


def test_hidden_layers_that_lava_dl_exported() -> None:
    sigma_delta, relu = slayer.block.sigma_delta, {"threshold": 0.0, "activation": torch.relu}
    first = np.stack([EVEN[:4], EVEN[4:]])
    blocks = [
        with_weights(sigma_delta.Conv(relu, 1, 2, (4, 1)), first),
        sigma_delta.Flatten(),
        with_weights(sigma_delta.Output(relu, 2, 1), [0.5, -0.5]),
    ]
    network = read(exported(blocks, (1, 4, 1)))
    assert np.array_equal(network.layers[0].weight, first) and np.array_equal(network.layers[1].weight, [[0.5, -0.5]])


def test_layers_in_other_spellings() -> None:
    for layers in (
        [{"type": "input", "shape": np.array([8]), "weight": 128}, dense_layer(KERNEL / 2)],
        [dense_layer(weight=(64 * KERNEL).astype(np.float32))],
        [dense_layer(np.eye(8), neuron={**SIGMA, "vThMant": 3}), dense_layer()],
        [dense_layer(neuron={"type": "SDNN", "activation": "unit"}, delay=np.zeros(1), bias=np.zeros(1))],
        [{k: v for k, v in dense_layer().items() if k != "neuron"}],
    ):
        assert np.array_equal(read(lava_dl_bytes(layers)).layers[0].weight[0], KERNEL)


RATE = (
    "the spikes of layer/0/neuron were replaced by their rate, a rectifier up to 1; lava-dl's reset discards the "
    "excess over the threshold, so its rates are 1, 1/2, 1/3, ..."
)


def test_spikes_of_a_hidden_layer_are_taken_by_their_rate() -> None:
    spiking = lava_dl_bytes([dense_layer(np.eye(8), neuron={**CUBA, "vThMant": 32}), dense_layer()])
    network = read(spiking)
    eye = 2 * np.eye(8)
    assert np.array_equal(network.layers[0].weight, np.concatenate([eye, eye])) and len(network.layers) == 2
    assert np.array_equal(network.layers[0].bias, np.repeat([0.0, -1.0], 8))
    assert np.array_equal(network.layers[1].weight[0], np.concatenate([KERNEL, -KERNEL]))
    assert network.notes == (RATE,) and network.clips == ("layer/0/neuron fires at most once in a time step",)
    # Cell values whose rates stay below 1 need no more units.
    small = read_netx(PATH, tree_of(spiking), Request("heat1d", limits=(0.0, 0.5)))
    assert np.array_equal(small.layers[0].weight, eye) and small.clips == ()


def test_graded_spikes_carry_the_voltage() -> None:
    graded = {**CUBA, "vThMant": 32, "gradedSpike": True}
    last = read(lava_dl_bytes([dense_layer(neuron=graded)]))
    assert np.array_equal(last.layers[0].weight[0], KERNEL)
    hidden = read(lava_dl_bytes([dense_layer(np.eye(8), neuron=graded), dense_layer()]))
    assert np.array_equal(hidden.layers[0].weight, np.eye(8)) and hidden.clips == ()
    assert hidden.notes == ("the graded spikes of layer/0/neuron were replaced by their mean, a rectifier",)


def test_a_norm_divides_by_a_power_of_two() -> None:
    for neuron in ({**SIGMA, "weight_exp": np.array([2.0])}, {**CUBA, "weight_exp": np.array([2.0])}):
        network = read(lava_dl_bytes([dense_layer(neuron=neuron)]))
        assert np.array_equal(network.layers[0].weight[0], KERNEL / 4)
        assert "the weights of layer/0/neuron were divided by 2^2, its weight_exp" in network.notes


def test_blocks_that_encode_cell_values() -> None:
    encoder = {"type": "input", "shape": np.array([8]), "neuron": {**SIGMA, "vThMant": 6}}
    del encoder["neuron"]["sigma_output"]  # type: ignore[attr-defined]
    data = lava_dl_bytes([encoder, dense_layer()])
    network = read_netx(PATH, tree_of(data), Request("heat1d", limits=(0.0, 5.0)))
    assert np.array_equal(network.layers[0].weight[0], KERNEL) and network.notes == (
        "the sending threshold of layer/0/neuron (6/64) was omitted: every change is sent",
        "the rounding of cell values to 1/32 by layer/0/neuron was omitted: the compiler rounds them",
        "the clipping of cell values to -4 to 3.96875 by layer/0/neuron was omitted: the operating range is 0 to 5",
    )
    assert len(read_netx(PATH, tree_of(data), Request("heat1d")).notes) == 2


@pytest.mark.parametrize("model", [heat_model(leak=410), hidden_model((3, 2)), laplace_model()])
def test_what_was_written_comes_back(model: Any) -> None:
    network = read(netx_file(model))
    for layer, weight, bias in zip(network.layers, model.weights, model.biases, strict=True):
        assert np.array_equal(layer.weight, weight) and np.array_equal(layer.bias, bias)
    assert network.spec_fields == model.spec.model_dump(mode="json") and not network.is_integer
    assert netx_file(model) == netx_file(model) and read(netx_file(model, is_integer=True)).is_integer


def changed(name: str, value: Any) -> bytes:
    buffer = io.BytesIO(netx_file(heat_model()))
    with h5py.File(buffer, "r+") as file:
        del file[name]
        if value is not None:
            file[name] = value
    return buffer.getvalue()


def test_edited_mantissas_are_noticed() -> None:
    mantissas = np.array([[2, 8, 36, 92, -92, -36, -8, -4]], np.float32)
    with pytest.raises(FileError) as caught:
        read(changed("layer/1/weight", mantissas))
    assert str(caught.value) == (
        "flux.net: layer/1/weight: differs from layer/1/pisnn/weight, rounded; delete the groups pisnn to import the "
        "mantissas as a network of lava-dl"
    )
    found = read(changed("pisnn", None)).layers[0].weight[0]
    assert np.array_equal(found, 2 * heat_model().weights[0][0] * 128 / 64)


def conv_layer(**changes: Any) -> dict[str, Any]:
    plain = {"type": "conv", "weight": np.ones((1, 1, 3, 1)), "shape": np.array([1, 8, 1]), "neuron": SIGMA}
    return {**plain, **changes}


KNOWN = "use input, dense, conv or flatten"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (changed("layer/1/pisnn/weightExponent", 99), "layer/1/pisnn/weightExponent: must be from 1 to 14, not 99"),
        (changed("layer/1/pisnn/bias", np.zeros(3)), "layer/1/pisnn/weight: has shape (1, 8), but its bias (3,)"),
        (changed("layer/1", None), "layer: has no layer with weights"),
        (changed("pisnn/version", 2), "pisnn/schema: must be pisnn-deploy/netx, version 1"),
        (
            changed("pisnn/spec", "{"),
            "pisnn/spec: must be a JSON object with fields of a spec; see docs/reference/formats.md",
        ),
        (
            lava_dl_bytes([{"type": "pool"}, dense_layer()]),
            f"layer/0/type: 'pool' is not supported; {KNOWN}",
        ),
        (lava_dl_bytes([{"type": "flatten"}]), "layer: has no dense or conv layer"),
        (
            lava_dl_bytes([dense_layer(neuron={"type": "RF"})]),
            "layer/0/neuron/type: 'RF' is not supported; use SDNN, CUBA",
        ),
        (
            lava_dl_bytes([dense_layer(neuron={"type": "SDNN", "activation": "tanh"})]),
            "layer/0/neuron/activation: 'tanh' is not supported; use relu, identity, linear, unit",
        ),
        (
            lava_dl_bytes([dense_layer(neuron={**CUBA, "vDecay": 128})]),
            "layer/0/neuron/vDecay: must be 0, not 128: a leaking voltage would lose mass",
        ),
        (
            lava_dl_bytes([dense_layer(neuron={**CUBA, "iDecay": 0})]),
            "layer/0/neuron/iDecay: must be from 1 to 4096, not 0",
        ),
        (
            lava_dl_bytes([dense_layer(np.eye(8), neuron={**CUBA, "iDecay": 9}), dense_layer()]),
            "layer/0/neuron/iDecay: must be 4096, not 9: hidden layers with memory are not supported",
        ),
        (
            lava_dl_bytes([dense_layer(neuron={**CUBA, "vThMant": 0})]),
            "layer/0/neuron/vThMant: must be positive, not 0",
        ),
        (
            lava_dl_bytes([dense_layer(delay=np.ones(8))]),
            "layer/0/delay: must be 0, because a flux depends on cells of the same PDE step",
        ),
        (
            lava_dl_bytes([dense_layer(bias=np.ones(1))]),
            "layer/0/bias: has an unknown unit, because slayer adds it unscaled and netx as a mantissa; train "
            "without norm",
        ),
        (
            lava_dl_bytes([dense_layer(neuron={**SIGMA, "weight_exp": np.array([5.0])})]),
            "layer/0/neuron/weight_exp: is 5, but lava-dl's norm uses at most 3 and writes the number unclamped, so "
            "the scale is unknown; train without norm",
        ),
        (
            lava_dl_bytes([dense_layer(neuron={**SIGMA, "weight_exp": np.array([np.nan])})]),
            "layer/0/neuron/weight_exp: must be a single integer",
        ),
        (
            lava_dl_bytes([dense_layer(neuron={**CUBA, "refDelay": 2})]),
            "layer/0/neuron/refDelay: must be 1, not 2: refractory neurons are not supported",
        ),
        (
            lava_dl_bytes([dense_layer(neuron={**CUBA, "vThMant": 262143})]),
            "layer/0/neuron/vThMant: is 262143, which marks neurons of lava-dl's Affine block, whose output is the "
            "voltage",
        ),
        (
            lava_dl_bytes([dense_layer(neuron={**CUBA, "noise": 1})]),
            "layer/0/neuron/noise: is unknown and might change the network; known are gradedSpike, iDecay, "
            "refDelay, type, vDecay, vThMant, weight_exp",
        ),
        (
            lava_dl_bytes([dense_layer(messageBits=24)]),
            "layer/0/messageBits: is unknown and might change the network; known are bias, delay, inFeatures, "
            "neuron, outFeatures, pisnn, shape, type, weight",
        ),
        (lava_dl_bytes([dense_layer(inFeatures=7)]), "layer/0/inFeatures: is 7, but the weight has 8"),
        (lava_dl_bytes([dense_layer(shape=np.array([3]))]), "layer/0/shape: is 3, but the weight has 1 outputs"),
        (
            lava_dl_bytes([{"type": "input", "shape": np.array([7])}, dense_layer()]),
            "layer/0/shape: is 7, but the next layer has 8 inputs",
        ),
        (
            lava_dl_bytes([conv_layer(shape=np.array([2, 8, 1])), dense_layer(np.ones(8))]),
            "layer/0/shape: is 2 x 8 x 1, expected 1 outputs and two axes of cells",
        ),
        (
            lava_dl_bytes([conv_layer(padding=np.array([-1, 0])), dense_layer(np.ones(8))]),
            "layer/0/padding: must be one or two numbers from 0 to 4096",
        ),
        (
            lava_dl_bytes([{"type": "input", "neuron": CUBA}, dense_layer()]),
            "layer/0/neuron/type: 'CUBA' is not supported for inputs; use SDNN",
        ),
        (
            lava_dl_bytes([dense_layer(np.eye(8)), {"type": "input"}, dense_layer()]),
            "layer/1/type: 'input' must be the first layer, not layer 1",
        ),
        (lava_dl_bytes([dense_layer(weight={"real": 1})]), "layer/0/weight: must be real, not complex"),
        (lava_dl_bytes([dense_layer(weight="x")]), "layer/0/weight: is missing or not an array of numbers"),
        (
            lava_dl_bytes([dense_layer(np.ones((3, 8)))]),
            "layer/0: the network has 3 outputs per window, but a face has one flux",
        ),
        (
            lava_dl_bytes([dense_layer(np.eye(8)), dense_layer(KERNEL[:6])]),
            "layer/1: weights of shape (1, 6) do not fit a tensor of shape (8,)",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_flux_network_is_named(data: bytes, message: str) -> None:
    with pytest.raises(FileError) as caught:
        read(data)
    assert str(caught.value) == f"flux.net: {message}"


def conv(**changes: Any) -> bytes:
    plain = {"type": "conv", "weight": EVEN.reshape(1, 1, 8, 1) * 64, "neuron": SIGMA}
    return lava_dl_bytes([{**plain, **changes}])


def test_a_window_before_dense_layers_has_the_declared_shape() -> None:
    kernel = np.array([16.0, 32.0, 16.0]).reshape(1, 1, 3, 1)
    smooth = {
        "type": "conv",
        "weight": kernel,
        "padding": np.array([1, 0]),
        "shape": np.array([1, 8, 1]),
        "neuron": SIGMA,
    }
    network = read(lava_dl_bytes([smooth, {"type": "flatten"}, dense_layer()]))
    smoothing = np.array([np.convolve(row, [0.25, 0.5, 0.25], "same") for row in np.eye(8)]).T
    assert np.array_equal(network.layers[0].weight[0], KERNEL @ smoothing)
    assert network.window == (8,) and network.notes == ()


def test_kernels_of_convolutions() -> None:
    padded = read(conv(padding=np.array([4, 0]), stride=np.ones(2), dilation=1))
    assert padded.notes == ("the padding of layer/0 was omitted: --boundary sets the boundary conditions",)
    wide = read(conv(weight=(64 * KERNEL).reshape(1, 1, 1, 8, 1)))
    assert np.array_equal(wide.layers[0].weight[0], KERNEL) and wide.window == (8,)
    for data, message in (
        (conv(stride=np.array([2, 1])), "layer/0/stride: must be 1, because each face needs a flux"),
        (conv(groups=2), "layer/0/groups: must be 1, not 2"),
        (conv(dilation=np.array([0, 1])), "layer/0/dilation: must be one or two numbers from 1 to 64"),
        (conv(weight=np.ones(3)), "layer/0/weight: has shape (3,), expected outputs, channels and two axes"),
    ):
        with pytest.raises(FileError) as caught:
            read(data)
        assert str(caught.value) == f"flux.net: {message}"
