"""Pass `quantise`: a float graph becomes an integer graph."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.arithmetic import MEMORYLESS, signed_width
from pisnn_deploy.compiler.facts import LOWERED, QUANTISED, Fact
from pisnn_deploy.compiler.intervals import network_intervals
from pisnn_deploy.compiler.symbol import diffusion_error
from pisnn_deploy.errors import CompileError
from pisnn_deploy.graph import FloatGraph, Flux, IntegerGraph, IntegerLayer, Membrane, OperatingWindow, Quantisation
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, Integers, Rectifier
from pisnn_deploy.graph.layout import pointwise_matrix, route_matrix, synapses, window_matrix
from pisnn_deploy.model import OperatingRange, flux_moments

FINEST_QUANTUM_EXPONENT = 40
SEARCHED_WEIGHTS = 6
"""The search visits 3^n kernels for n independent weights; wider stencils keep the nearest integers."""


@dataclass(frozen=True)
class _Kernel:
    chosen: Integers
    rounded: tuple[int, ...] = ()
    error_rounded: float | None = None
    error_chosen: float | None = None


@dataclass(frozen=True)
class Quantise:
    """Choose the integers.

    1. Weights are ``round(weight * 2^exponent)``. For a linear, memoryless, antisymmetric diffusive kernel all
       kernels within one unit of these are tried, and the one whose amplification factors are closest to exact
       diffusion *at its own diffusion number* is taken: moments first, nearest integers last.
    2. The quantum is the smallest power of two of the cell value for which every state fits `state_bits`, by interval
       analysis over the operating range.
    3. Biases are rounded in units of that quantum.
    4. The time step follows from the integer weights: ``dt = r h^2 / diffusivity`` where ``r`` is their first moment
       times ``4096 / leak``. A network with hidden layers has no such moment; it keeps the one it was trained for.
    5. A linear diffusive kernel must sum to zero, else a constant field would not be at rest; refused otherwise.

    Parameters
    ----------
    state_bits : int
        Signed width of a state of the target.
    operating_range : OperatingRange or None
        Replaces the model's own.
    """

    name: ClassVar[str] = "quantise"
    requires: ClassVar[tuple[Fact, ...]] = (LOWERED,)
    ensures: ClassVar[tuple[Fact, ...]] = (QUANTISED,)

    state_bits: int
    operating_range: OperatingRange | None = None

    def __call__(self, graph: FloatGraph) -> IntegerGraph:
        """Quantise `graph`.

        Raises
        ------
        CompileError
            No quantum lets the states fit, or the integers no longer describe the equation.
        """
        spec, mesh = graph.spec, graph.mesh
        weights = [
            np.rint(layer.weight * 2.0**exponent).astype(np.int64)
            for layer, exponent in zip(graph.layers, spec.weight_exponents, strict=True)
        ]
        kernel = self._kernel(graph, weights[0][0]) if graph.is_linear else None
        if kernel is not None:
            weights[0] = kernel.chosen[None, :]
        time_step = self._time_step(graph, weights[0][0])
        limits = self.operating_range or spec.operating_range
        exponent = self._quantum_exponent(graph, weights, limits)
        operator = _operator(graph, weights, exponent)
        window = _window(limits, mesh.spacing[0], exponent)
        connections = [window_matrix(operator[0].weight, graph.window, mesh.cells)]
        connections += [pointwise_matrix(layer.weight, mesh.faces) for layer in operator[1:]]
        hidden = tuple(
            Rectifier(f"hidden{number}", np.tile(layer.bias, mesh.faces), layer.shift)
            for number, layer in enumerate(operator[:-1], 1)
        )
        chain = (MEMBRANE, *(population.name for population in hidden), FLUX)
        links = [
            synapse
            for source, target, matrix in zip(chain, chain[1:], connections, strict=False)
            for synapse in synapses(source, target, matrix)
        ]
        return IntegerGraph(
            spec=spec,
            mesh=mesh,
            quantum=2.0**-exponent * mesh.volume,
            time_step=time_step,
            membrane=Membrane(np.rint(graph.initial * 2.0**exponent).astype(np.int64)),
            hidden=hidden,
            flux=Flux(np.tile(operator[-1].bias, mesh.faces), spec.weight_exponents[-1], spec.leak),
            synapses=(*links, *synapses(FLUX, MEMBRANE, route_matrix(mesh))),
            window=window,
            quantisation=Quantisation(
                steps=0,
                relative_l2_float=None,
                relative_l2_integer=None,
                kernel_rounded=kernel.rounded if kernel else (),
                kernel_chosen=tuple(int(w) for w in kernel.chosen) if kernel else (),
                symbol_error_rounded=kernel.error_rounded if kernel else None,
                symbol_error_chosen=kernel.error_chosen if kernel else None,
            ),
            operator=operator,
        )

    def summary(self, graph: IntegerGraph) -> str:
        """One sentence on what the pass made."""
        found = graph.quantisation
        text = f"value of a quantum {graph.value_per_quantum:g}, time step {graph.time_step:.6g}"
        if found.symbol_error_chosen is not None:
            text += f", kernel {found.kernel_chosen} (decay rate off by {found.symbol_error_chosen:.1e}"
            text += f", nearest integers {found.symbol_error_rounded:.1e})"
        return text

    def _kernel(self, graph: FloatGraph, rounded: Integers) -> _Kernel:
        if int(rounded.sum()) != 0:
            raise CompileError(
                self.name,
                f"the integer flux kernel {tuple(int(w) for w in rounded)} sums to {int(rounded.sum())}, so a constant "
                "field would not be at rest",
                remedy="train with an antisymmetric kernel",
            )
        half_width = graph.spec.half_width
        scale = 2.0 ** graph.spec.weight_exponents[0]
        if graph.spec.leak < MEMORYLESS or half_width > SEARCHED_WEIGHTS or (rounded != -rounded[::-1]).any():
            return _Kernel(rounded)
        offsets = np.array(list(itertools.product((0, -1, 1), repeat=half_width)), np.int64)
        lower = rounded[:half_width] + offsets
        candidates = np.concatenate([lower, -lower[:, ::-1]], axis=1)
        errors = diffusion_error(candidates / scale)
        best = int(np.argmin(errors))
        if not math.isfinite(errors[best]):
            return _Kernel(rounded)
        return _Kernel(
            candidates[best],
            tuple(int(w) for w in rounded),
            float(errors[0]) if math.isfinite(errors[0]) else None,
            float(errors[best]),
        )

    def _time_step(self, graph: FloatGraph, kernel: Integers) -> float:
        spec = graph.spec
        number = spec.diffusion_number
        if graph.is_linear:
            _, first = flux_moments(kernel.astype(np.float64), spec.half_width)
            number = first / 2.0 ** spec.weight_exponents[0] * MEMORYLESS / spec.leak
            if number <= 0:
                raise CompileError(
                    self.name,
                    f"the integer flux kernel has diffusion number {number:g}; diffusion needs a positive one",
                    remedy="train the model further",
                )
        return number * graph.mesh.spacing[0] ** 2 / spec.diffusivity

    def _quantum_exponent(self, graph: FloatGraph, weights: list[Integers], limits: OperatingRange) -> int:
        width = graph.mesh.spacing[0]
        for exponent in range(FINEST_QUANTUM_EXPONENT, -1, -1):
            if self._widest(graph, weights, _window(limits, width, exponent), exponent) <= self.state_bits:
                return exponent
        raise CompileError(
            self.name,
            f"cell values from {limits.lower:g} to {limits.upper:g} need states wider than {self.state_bits} bits even "
            "with a quantum of 1",
            remedy="narrow the operating range or choose a target with wider states",
        )

    def _widest(self, graph: FloatGraph, weights: list[Integers], window: OperatingWindow, exponent: int) -> int:
        spec = graph.spec
        widest = signed_width(window.lower, window.upper)
        if widest > self.state_bits:
            return widest
        found = network_intervals(_operator(graph, weights, exponent), window, spec.weight_exponents[-1], spec.leak)
        states = [found.current, found.potential, found.residue]
        return max(widest, *(signed_width(low, high) for low, high in (*states, *found.drives, *found.activations)))


def _operator(graph: FloatGraph, weights: list[Integers], quantum_exponent: int) -> tuple[IntegerLayer, ...]:
    exponents: tuple[int, ...] = graph.spec.weight_exponents
    biases: list[NDArray[np.float64]] = [layer.bias for layer in graph.layers]
    return tuple(
        IntegerLayer(
            weight,
            np.rint(bias * 2.0 ** (exponent + quantum_exponent)).astype(np.int64),
            exponent if number + 1 < len(weights) else 0,
        )
        for number, (weight, bias, exponent) in enumerate(zip(weights, biases, exponents, strict=True))
    )


def _window(limits: OperatingRange, cell_width: float, quantum_exponent: int) -> OperatingWindow:
    scale = 2.0**quantum_exponent
    difference = None if limits.slope is None else math.ceil(limits.slope * cell_width * scale)
    return OperatingWindow(math.floor(limits.lower * scale), math.ceil(limits.upper * scale), difference)
