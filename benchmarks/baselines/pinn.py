"""Conventional physics-informed neural networks, as DeepXDE's tutorials build them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.baselines.setting import Setting

Field = NDArray[np.float64]

LAYERS = (32, 32, 32, 32)
ADAM_ITERATIONS = 6000
LBFGS_ITERATIONS = 3000
SEED = 1


@dataclass(frozen=True)
class Network:
    """A trained tanh network as plain arrays.

    Attributes
    ----------
    weights : tuple of float64 array [outputs, inputs]
        Of each layer, in order.
    biases : tuple of float64 array [outputs]
        Of each layer, in order.
    seconds : float
        Wall time of the training.
    """

    weights: tuple[Field, ...]
    biases: tuple[Field, ...]
    seconds: float

    def __call__(self, points: NDArray[Any]) -> NDArray[Any]:
        """Values at points, array [n] from [n, inputs]; complex points give complex values."""
        activation = points
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            activation = np.tanh(activation @ weight.T + bias)
        return np.asarray((activation @ self.weights[-1].T + self.biases[-1])[:, 0])


def trained(setting: Setting, cache: Path, adam: int = ADAM_ITERATIONS, lbfgs: int = LBFGS_ITERATIONS) -> Network:
    """Train the network of a problem to its horizon, or load it from the cache.

    Parameters
    ----------
    cache : Path
        Folder of trained networks.
    adam, lbfgs : int
        Iterations.
    """
    path = cache / f"{setting.problem.name}-{adam}-{lbfgs}-{SEED}.npz"
    if not path.exists():
        network = _train(setting, adam, lbfgs)
        arrays = {f"weight{n}": w for n, w in enumerate(network.weights)}
        arrays |= {f"bias{n}": b for n, b in enumerate(network.biases)}
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, seconds=network.seconds, **arrays)
    with np.load(path) as stored:
        layers = range(len(LAYERS) + 1)
        weights, biases = (tuple(stored[f"{name}{n}"] for n in layers) for name in ("weight", "bias"))
        return Network(weights, biases, float(stored["seconds"]))


def field(
    network: Callable[[NDArray[Any]], NDArray[Any]], setting: Setting, at: float, *, centres: bool = False
) -> Field:
    """Cell averages at a time of a function of points, float64 [cells]; optionally only from the cells' centres."""
    points = setting.points()
    if centres:
        points = points.mean(axis=1, keepdims=True)
    flat = points.reshape(-1, points.shape[-1])
    if not setting.is_steady:
        flat = np.column_stack([flat, np.full(len(flat), at)])
    values = np.asarray(network(flat), np.float64).reshape(points.shape[:2])
    return values[:, 0] if centres else setting.averages(values)


def flux_imbalance(network: Network) -> float:
    """Net flux through the sides of the unit square, relative to the sum of the absolute fluxes.

    Derivatives are exact to rounding, by complex steps.
    """
    along = (np.arange(512) + 0.5) / 512
    total, size, step = 0.0, 0.0, 1e-30
    for axis in (0, 1):
        for side in (0.0, 1.0):
            points = np.empty((along.size, 2), np.complex128)
            points[:, axis], points[:, 1 - axis] = side + 1j * step, along
            slope = np.imag(network(points)) / step * (1 if side else -1)
            total, size = total + float(slope.mean()), size + float(np.abs(slope).mean())
    return abs(total) / size


def _train(setting: Setting, adam: int, lbfgs: int) -> Network:
    os.environ["DDE_BACKEND"] = "pytorch"
    import deepxde as dde
    import torch

    torch.set_num_threads(1)
    dde.config.set_random_seed(SEED)
    dde.config.set_default_float("float32")
    started = time.perf_counter()
    data, inputs = _data(setting, dde)
    net = dde.nn.FNN([inputs, *LAYERS, 1], "tanh", "Glorot normal")
    model = dde.Model(data, net)
    sys.stderr.write(f"training the PINN of {setting.problem.name}\n")
    model.compile("adam", lr=1e-3)
    model.train(iterations=adam, display_every=adam, verbose=0)
    if lbfgs:
        dde.optimizers.set_LBFGS_options(maxiter=lbfgs)
        model.compile("L-BFGS")
        model.train(display_every=lbfgs, verbose=0)
    layers = [(layer.weight, layer.bias) for layer in net.linears]
    weights, biases = (tuple(a.detach().double().numpy() for a in column) for column in zip(*layers, strict=True))
    return Network(weights, biases, time.perf_counter() - started)


def _data(setting: Setting, dde: Any) -> tuple[Any, int]:
    """DeepXDE's data, and the number of the network's inputs."""
    name, diffusivity, speed = setting.problem.name, setting.problem.diffusivity, setting.velocity
    dimensions = len(setting.mesh.shape)
    box = dde.geometry.Interval(0, 1) if dimensions == 1 else dde.geometry.Rectangle([0, 0], [1, 1])
    second = [lambda u, x, a=a: dde.grad.hessian(u, x, i=a, j=a) for a in range(dimensions)]
    if setting.is_steady:

        def sides(x: Any) -> Any:
            return np.sin(np.pi * x[:, :1]) * (x[:, 1:2] > 0.5)

        bc = dde.icbc.DirichletBC(box, sides, lambda _, on_boundary: on_boundary)
        return dde.data.PDE(box, lambda x, u: sum(s(u, x) for s in second), [bc], 4000, 400), dimensions

    def equation(x: Any, u: Any) -> Any:
        rate = dde.grad.jacobian(u, x, i=0, j=dimensions)
        slope = dde.grad.jacobian(u, x, i=0, j=0)
        carried = u * slope if name == "burgers1d" else speed * slope
        return rate + carried - diffusivity * sum(s(u, x) for s in second)

    domain = dde.geometry.GeometryXTime(box, dde.geometry.TimeDomain(0, setting.problem.horizon))
    conditions = [
        dde.icbc.PeriodicBC(domain, axis, lambda _, on_boundary: on_boundary, derivative_order=order)
        for axis in range(dimensions)
        for order in (0, 1)
    ]
    conditions.append(dde.icbc.IC(domain, lambda x: start(name, x), lambda _, on_initial: on_initial))
    return dde.data.TimePDE(domain, equation, conditions, 4000, 400, 400), dimensions + 1


def start(name: str, x: Field) -> Field:
    """Pointwise initial values, float64 [n, 1] from points [n, inputs]."""
    if name == "burgers1d":
        return np.asarray(1 + 0.5 * np.sin(2 * np.pi * x[:, :1]))
    first, third = np.cos(2 * np.pi * x[:, :1]), np.cos(6 * np.pi * x[:, :1])
    if name == "heat2d":
        first, third = first * np.cos(2 * np.pi * x[:, 1:2]), third * np.cos(6 * np.pi * x[:, 1:2])
    return np.asarray(1 + 0.5 * first + 0.25 * third)
