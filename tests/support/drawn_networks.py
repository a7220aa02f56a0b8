"""Random NIR graphs and networks of lava-dl's blocks, with what torch and lava-dl make of them."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import Any

import h5py
import nir
import numpy as np
import torch
from numpy.typing import NDArray

from fuzz.flux_files import nir_file
from pisnn_deploy.training.lava_dl import slayer

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DrawnGraph:
    """A NIR file, and its nodes in order; of a line, `place` is that of the first whole window's flux."""

    data: bytes
    nodes: tuple[Any, ...]
    shape: tuple[int, ...]
    place: int | None = None

    def answers(self, field: Floats) -> Floats:
        """What torch answers to one input."""
        x = torch.from_numpy(field.reshape(self.shape))
        for node in self.nodes:
            if isinstance(node, nir.Affine | nir.Linear):
                bias = torch.from_numpy(node.bias) if isinstance(node, nir.Affine) else None
                x = torch.nn.functional.linear(x.reshape(-1), torch.from_numpy(node.weight), bias)
            elif isinstance(node, nir.Scale):
                x = x * torch.from_numpy(node.scale)
            elif isinstance(node, nir.Flatten):
                x = torch.flatten(x)
            else:
                weight, bias = torch.from_numpy(node.weight), torch.from_numpy(node.bias)
                options: dict[str, Any] = {"padding": node.padding, "dilation": node.dilation}
                with warnings.catch_warnings():
                    # That an even kernel may take a copy.
                    warnings.simplefilter("ignore", UserWarning)
                    x = torch.nn.functional.conv1d(x[None], weight, bias, **options)[0]
        return np.asarray(x.numpy().reshape(-1), np.float64)


def drawn_graph(seed: int) -> DrawnGraph:
    """A chain of affine primitives on a window, on a line, or convolutions before dense weights."""
    rng = np.random.default_rng([seed, 5])
    kind = ("window", "line", "both")[int(rng.integers(3))]
    cells = int(rng.choice([2, 4, 6]))
    shape: tuple[int, ...] = (cells,) if kind == "window" else (1, 14) if kind == "line" else (1, cells)
    nodes: list[Any] = []
    size, channels, before = cells, 1, 0
    for at in range(int(rng.integers(1, 4))):
        if kind == "window":
            if rng.random() < 0.4:
                nodes.append(nir.Scale(rng.normal(size=size)))
            outputs = int(rng.integers(1, 5))
            nodes.append(_dense(rng, outputs, size))
            size = outputs
        elif at == 0 or kind == "line":
            width, dilation = int(rng.integers(1, min(cells, 4) + 1)), 1
            padding: Any = ("same", "valid", 0, 1, 2)[int(rng.integers(5))]
            if kind == "line" and rng.random() < 0.3:
                dilation = 2
            more = (width - 1) * dilation if padding == "same" else 0 if padding == "valid" else 2 * padding
            outputs = int(rng.integers(1, 3))
            weight = rng.normal(size=(outputs, channels, width))
            seen = shape[1] if kind == "line" else cells
            nodes.append(nir.Conv1d(seen, weight, 1, padding, dilation, 1, rng.normal(size=outputs)))
            before += more // 2
            channels, size = outputs, outputs * (cells + more - width + 1)
    if kind == "line":
        nodes.append(nir.Conv1d(14, rng.normal(size=(1, channels, 2)), 1, 0, 1, 1, np.zeros(1)))
    else:
        nodes += [nir.Flatten({"input": np.array([1, size])}, 0, -1), _dense(rng, 1, size)]
    return DrawnGraph(_file(rng, nodes, shape), tuple(nodes), shape, before if kind == "line" else None)


def _dense(rng: np.random.Generator, outputs: int, inputs: int) -> Any:
    weight = rng.normal(size=(outputs, inputs))
    return nir.Linear(weight) if rng.random() < 0.5 else nir.Affine(weight, rng.normal(size=outputs))


def _file(rng: np.random.Generator, nodes: list[Any], shape: tuple[int, ...]) -> bytes:
    """The chain, some of it in graphs within the graph."""
    shapes = [shape]
    for node in nodes:
        shapes.append(_shape_behind(node, shapes[-1]))
        if isinstance(node, nir.Flatten):
            node.input_type = {"input": np.array(shapes[-2])}
    inner = list(nodes)
    for _ in range(int(rng.integers(3))):
        start = int(rng.integers(len(inner)))
        end = int(rng.integers(start, len(inner))) + 1
        inner[start:end] = [_chain(inner[start:end], shapes[start], shapes[end])]
        shapes[start + 1 : end] = []
    return nir_file(_chain(inner, shapes[0], shapes[-1]))


def _shape_behind(node: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    if isinstance(node, nir.Affine | nir.Linear):
        return (len(node.weight),)
    if isinstance(node, nir.Flatten):
        return (int(np.prod(shape)),)
    if isinstance(node, nir.Conv1d):
        outputs, _, width = node.weight.shape
        node.input_shape = shape[1]
        padding = {"valid": 0, "same": (width - 1) * node.dilation}.get(node.padding)
        more = 2 * node.padding if padding is None else padding
        return (outputs, shape[1] + more - (width - 1) * node.dilation)
    return shape


def _chain(nodes: list[Any], before: tuple[int, ...], behind: tuple[int, ...]) -> Any:
    names = {
        "input": nir.Input(np.array(before)),
        **{f"n{at}": node for at, node in enumerate(nodes)},
        "output": nir.Output(np.array(behind)),
    }
    order = list(names)
    return nir.NIRGraph(names, list(zip(order, order[1:], strict=False)), type_check=False)


def identity(x: torch.Tensor) -> torch.Tensor:
    """What lava-dl exports by its name."""
    return x


@dataclass(frozen=True)
class DrawnBlocks:
    """Blocks of lava-dl and their export; they answer constant fields over time."""

    blocks: tuple[Any, ...]
    shape: tuple[int, ...]
    steps: int
    spikes: bool
    data: bytes
    rounding: float

    def answers(self, windows: Floats) -> Floats:
        """Fluxes: of sigma-delta networks what has been sent in all, of spiking ones the mean."""
        field = torch.zeros(len(windows), *self.shape, self.steps)
        values = torch.from_numpy(windows.astype(np.float32)).reshape(len(windows), *self.shape)
        encodes = type(self.blocks[0]).__name__ == "Input"
        field[..., : self.steps if encodes or self.spikes else 1] = values[..., None]
        with torch.no_grad():
            for block in self.blocks:
                field = block(field)
        sent = field.reshape(len(windows), -1).numpy().astype(np.float64)
        if type(self.blocks[-1]).__name__ == "Output":
            return np.asarray(sent[:, -1])
        return np.asarray(sent[:, 2:].mean(axis=1) if self.spikes else sent.sum(axis=1))


def drawn_blocks(seed: int) -> DrawnBlocks:
    """Sigma-delta layers with rectifiers, norms, an encoder, convolutions; or one layer of graded spikes."""
    rng = np.random.default_rng([seed, 7])
    torch.manual_seed(seed)
    cells = int(rng.choice([2, 4]))
    if rng.random() < 0.3:
        threshold = float(rng.choice([0.25, 0.5, 1.0]))
        neuron = {"threshold": threshold, "current_decay": 1.0, "voltage_decay": 0.0, "graded_spike": True}
        block = _weighted(rng, slayer.block.cuba.Dense({**neuron, **_norm(rng)}, cells, 1))
        return _exported((block,), (cells,), 400, True, rng, (threshold + 4) / 398)
    blocks: list[Any] = []
    shape: tuple[int, ...] = (cells,)
    size = cells
    sigma_delta = slayer.block.sigma_delta
    if rng.random() < 0.4:
        blocks.append(sigma_delta.Input({"threshold": 0.0, "activation": identity}))
    if rng.random() < 0.4:
        width, outputs = int(rng.integers(1, cells + 1)), int(rng.integers(1, 3))
        shape = (1, cells, 1)
        blocks.append(_weighted(rng, sigma_delta.Conv(_sigma(rng), 1, outputs, (width, 1))))
        blocks.append(sigma_delta.Flatten())
        size = outputs * (cells - width + 1)
    for _ in range(int(rng.integers(0, 3))):
        outputs = int(rng.integers(1, 5))
        blocks.append(_weighted(rng, sigma_delta.Dense(_sigma(rng), size, outputs)))
        size = outputs
    last = sigma_delta.Output if rng.random() < 0.5 else sigma_delta.Dense
    plain = {"threshold": 0.0, "activation": identity}
    blocks.append(_weighted(rng, last(plain if last is sigma_delta.Output else {**plain, **_norm(rng)}, size, 1)))
    return _exported(tuple(blocks), shape, 3, False, rng, 0.0)


def _sigma(rng: np.random.Generator) -> dict[str, Any]:
    activation = torch.relu if rng.random() < 0.6 else identity
    return {"threshold": 0.0, "activation": activation, **_norm(rng)}


def _norm(rng: np.random.Generator) -> dict[str, Any]:
    return {"norm": slayer.neuron.norm.WgtScaleBatchNorm} if rng.random() < 0.4 else {}


def _weighted(rng: np.random.Generator, block: Any) -> Any:
    """Even mantissas below 64, and a norm that divides by some power of two."""
    weight = block.synapse.weight
    weight.data = torch.from_numpy(2 * rng.integers(-30, 31, tuple(weight.shape)) / 64).float()
    if getattr(block.neuron, "norm", None) is not None:
        block.neuron.norm.running_var.fill_(4.0 ** int(rng.integers(-3, 5)) * 0.9)
        block.neuron.norm.running_mean = torch.zeros(block.synapse.out_channels)
        block.eval()
    return block


def _exported(
    blocks: tuple[Any, ...], shape: tuple[int, ...], steps: int, spikes: bool, rng: np.random.Generator, rounding: float
) -> DrawnBlocks:
    field = torch.zeros(1, *shape, 2)
    buffer = io.BytesIO()
    # A delta sends whole multiples of 1/4096, rounded down.
    left_out = 0.0
    with torch.no_grad(), h5py.File(buffer, "w") as file:
        for number, block in enumerate(blocks):
            field = block(field)
            block.export_hdf5(file.create_group(f"layer/{number}"))
            if hasattr(block, "synapse"):
                weight = np.abs(block.synapse.weight.numpy()).reshape(block.synapse.weight.shape[0], -1).sum(axis=1)
                norm = getattr(block.neuron, "norm", None)
                scale = 1.0 if norm is None else 2.0 ** -float(np.clip(norm.weight_exp, -3, 3))
                left_out = left_out * float(weight.max()) * scale
            left_out += steps / 4096 if hasattr(block, "neuron") else 0.0
    return DrawnBlocks(blocks, shape, steps, spikes, buffer.getvalue(), rounding + left_out + 1e-5)
