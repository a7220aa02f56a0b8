"""A physics-informed network converted without physics: int8 after training, and rate-coded spikes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.baselines.pinn import SEED, Network

Field = NDArray[np.float64]

STUDENT_LAYERS = (64, 64, 64)
STUDENT_EPOCHS = 4000
CALIBRATION_POINTS = 2000


@dataclass(frozen=True)
class Int8:
    """Network on onnxruntime with int8 weights and activations."""

    session: Any

    def __call__(self, points: NDArray[Any]) -> NDArray[Any]:
        """Values at points, float64 [n]."""
        (values,) = self.session.run(None, {"x": points.astype(np.float32)})
        return np.asarray(values[:, 0], np.float64)


def int8(network: Network, lower: Field, upper: Field) -> Int8:
    """Quantise a network statically after training, per tensor, calibrated on uniform points.

    The quantised graph is evaluated without fusing: on processors without 8-bit dot products onnxruntime's fused
    kernels saturate at 16 bits, which is an error of the kernel and not of the quantisation.

    Parameters
    ----------
    lower, upper : float64 array [inputs]
        Corners of the domain, time last.
    """
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    points = np.random.default_rng(SEED).uniform(lower, upper, (CALIBRATION_POINTS, lower.size)).astype(np.float32)

    class Points(CalibrationDataReader):
        def __init__(self) -> None:
            self._rows: Iterator[dict[str, Any]] = iter([{"x": points}])

        def get_next(self) -> dict[str, Any] | None:
            return next(self._rows, None)

    with tempfile.TemporaryDirectory() as folder:
        whole, small = Path(folder) / "whole.onnx", Path(folder) / "int8.onnx"
        whole.write_bytes(_onnx(network))
        quantize_static(
            whole,
            small,
            Points(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
        )
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        return Int8(onnxruntime.InferenceSession(small.read_bytes(), options, providers=["CPUExecutionProvider"]))


@dataclass(frozen=True)
class RateCoded:
    """ReLU student of a network, as integrate-and-fire neurons of lava-dl whose firing rates are read.

    lava-dl's neurons reset to zero, so the excess of a potential over its threshold is lost. A threshold of
    ``sqrt(time_steps) / 2`` times the largest activation balances that loss against too few spikes.

    Attributes
    ----------
    layers : tuple of (float32 tensor [outputs, inputs], float32 tensor [outputs])
        Scaled so that the largest activation of each layer is 1.
    time_steps : int
        Time steps over which spikes are counted.
    lower, upper : float64 array [inputs]
        Range of the inputs before scaling.
    """

    layers: tuple[tuple[Any, Any], ...]
    time_steps: int
    lower: Field
    upper: Field

    def __call__(self, points: NDArray[Any]) -> NDArray[Any]:
        """Values at points, float64 [n]."""
        import torch

        from pisnn_deploy.training.lava_dl import slayer

        threshold = self.time_steps**0.5 / 2
        scaled = 2 * (points - self.lower) / (self.upper - self.lower) - 1
        outputs = []
        with torch.no_grad():
            for chunk in np.array_split(scaled, max(1, len(scaled) * self.time_steps // 200_000)):
                rate = torch.from_numpy(chunk.astype(np.float32))[:, :, None].expand(-1, -1, self.time_steps)
                for weight, bias in self.layers[:-1]:
                    neuron = slayer.neuron.cuba.Neuron(threshold=threshold, current_decay=1.0, voltage_decay=0.0)
                    spikes = neuron(torch.einsum("oi,bit->bot", weight, rate) + bias[:, None])
                    rate = threshold * spikes
                weight, bias = self.layers[-1]
                outputs.append((rate.mean(dim=2) @ weight.T + bias)[:, 0].double().numpy())
        return np.concatenate(outputs)


def student(network: Network, lower: Field, upper: Field) -> tuple[tuple[Any, Any], ...]:
    """Train a ReLU network that imitates `network`, balanced for firing rates.

    Parameters
    ----------
    lower, upper : float64 array [inputs]
        Corners of the domain, time last.

    Returns
    -------
    tuple of (float32 tensor [outputs, inputs], float32 tensor [outputs])
        Weights and biases of each layer, in order.
    """
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    sizes = (lower.size, *STUDENT_LAYERS, 1)
    layers = [torch.nn.Linear(a, b) for a, b in zip(sizes, sizes[1:], strict=False)]
    net = torch.nn.Sequential(*[m for layer in layers for m in (layer, torch.nn.ReLU())][:-1])
    points = np.random.default_rng(SEED).uniform(-1, 1, (8192, lower.size))
    target = torch.from_numpy(network(lower + (points + 1) / 2 * (upper - lower))).float()[:, None]
    inputs = torch.from_numpy(points).float()
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STUDENT_EPOCHS, 1e-5)
    for epoch in range(STUDENT_EPOCHS):
        batch = torch.arange(1024) + 1024 * (epoch % 8)
        loss = (net(inputs[batch]) - target[batch]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    balanced, scale, activation = [], 1.0, inputs
    with torch.no_grad():
        for layer in layers[:-1]:
            activation = torch.relu(layer(activation))
            largest = float(activation.max())
            balanced.append((layer.weight * (scale / largest), layer.bias / largest))
            scale = largest
        balanced.append((layers[-1].weight * scale, layers[-1].bias.clone()))
    return tuple(balanced)


def _onnx(network: Network) -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    nodes, stored, name = [], [], "x"
    last = len(network.weights) - 1
    for n, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        stored.append(numpy_helper.from_array(weight.T.astype(np.float32), f"w{n}"))
        stored.append(numpy_helper.from_array(bias.astype(np.float32), f"b{n}"))
        nodes.append(helper.make_node("MatMul", [name, f"w{n}"], [f"m{n}"]))
        nodes.append(helper.make_node("Add", [f"m{n}", f"b{n}"], ["y" if n == last else f"z{n}"]))
        if n < last:
            nodes.append(helper.make_node("Tanh", [f"z{n}"], [f"a{n}"]))
            name = f"a{n}"
    graph = helper.make_graph(
        nodes,
        "pinn",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, network.weights[0].shape[1]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
        stored,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    data: bytes = model.SerializeToString()
    return data
