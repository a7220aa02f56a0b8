"""Pass `quantise`: a float graph becomes an integer graph."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.analysis.axis_kernels import nearest_along
from pisnn_deploy.compiler.analysis.intervals import declared_names, network_ranges, operator_stages
from pisnn_deploy.compiler.analysis.kernels import least_error, neighbours
from pisnn_deploy.compiler.analysis.rows import LinearRows, face_rows
from pisnn_deploy.compiler.facts import LOWERED, QUANTISED, Fact
from pisnn_deploy.compiler.passes.lower import Lower
from pisnn_deploy.core.arithmetic import MEMORYLESS, signed_width
from pisnn_deploy.core.errors import CompileError, DoesNotFit
from pisnn_deploy.graph import FloatGraph, IntegerGraph, IntegerLayer, OperatingWindow, Quantisation, kinds
from pisnn_deploy.graph.connections import Blocks, Connections, Incidence
from pisnn_deploy.graph.fields import Field, equal_volumes
from pisnn_deploy.graph.integer import FIELD, FLUX, MEMBRANE, Integers
from pisnn_deploy.graph.layout import synapses, window_biases, window_stencil
from pisnn_deploy.physics.clock import damped_leak, nominal_time_step, time_step
from pisnn_deploy.physics.model import OperatingRange, flux_moments, symmetry_basis
from pisnn_deploy.programs.intervals import Excluded, Unbounded
from pisnn_deploy.programs.neurons import FaceConstants, rectifier

if TYPE_CHECKING:
    from pisnn_deploy.compiler.options import CompileOptions
    from pisnn_deploy.compiler.runner import Floating

FINEST_QUANTUM_EXPONENT = 40
LARGEST_BIAS = 2.0**52
"""Largest bias; larger ones exceed any target's states, and products with them could wrap."""
ROUNDING = 3
"""Quanta by which rounding may steepen a face beyond the declared slope: one at either end, and one for packets. They
count where quanta are coarse; currents get a quantum's worth too."""
SEARCHED_WEIGHTS = 8
"""The search visits 3^n kernels for n independent weights; wider stencils keep the nearest integers."""


@dataclass(frozen=True)
class _Kernel:
    """Integer kernel of all axes, int64 [1, positions], or one for each, and how far from the equation it is."""

    chosen: Integers
    rounded: tuple[int, ...] = ()
    error_rounded: float | None = None
    error_chosen: float | None = None


@dataclass(frozen=True)
class Quantise:
    """Choose the integers.

    1. Weights are ``round(weight * 2^exponent)``, even ones where quadratic ghost cells bring halves. For a linear
       kernel with the symmetry of its equation all kernels within one unit of these are tried, and the one whose
       amplification factors are closest to the equation *over its own time step* is taken: moments first, nearest
       integers last. Kernels of several axes are chosen together (`axis_kernels.nearest_along`).
    2. The quantum is the smallest power of two of the cell value for which every state fits `state_bits`, by interval
       analysis over the operating range.
    3. Biases are rounded in units of that quantum, and so are the reservoirs' values, whose odd reflections add to the
       biases of the faces that see them.
    4. The time step follows from the moments of the integer weights (`pisnn_deploy.physics.clock`). A network with
       hidden layers has no such moments; it keeps the one it was trained for.
    5. A linear diffusive kernel must sum to zero, else a constant field would not be at rest; refused otherwise.
    6. Where the model has a damping, the leak follows from it and the time step.
    7. For stock processes, one synapse must hold every weight between cells and faces; refused otherwise.

    Parameters
    ----------
    state_bits : int
        Signed width of a state of the target.
    operating_range : OperatingRange or None
        Replaces the model's own, also in the spec of the graph.
    search : bool
        Whether to search; otherwise the nearest integers are used.
    """

    name: ClassVar[str] = "quantise"
    requires: ClassVar[tuple[Fact, ...]] = (LOWERED,)
    ensures: ClassVar[tuple[Fact, ...]] = (QUANTISED,)

    state_bits: int
    operating_range: OperatingRange | None = None
    search: bool = True

    @classmethod
    def asked(cls, options: CompileOptions, floating: Floating | None) -> Quantise | None:
        """Run after `Lower`."""
        is_grid = isinstance(options.lower, Lower)
        return cls(options.state_bits, options.operating_range, options.search) if is_grid else None

    def __call__(self, graph: FloatGraph) -> IntegerGraph:
        """Quantise `graph`.

        Raises
        ------
        CompileError
            States fit with no quantum, or the integers do not describe the equation.
        """
        spec, mesh = graph.spec, graph.mesh
        units = (spec.weight_unit, *(1,) * len(spec.hidden))
        weights = [
            unit * np.rint(layer.weight * 2.0**exponent / unit).astype(np.int64)
            for layer, exponent, unit in zip(graph.layers, spec.weight_exponents, units, strict=True)
        ]
        self._require_reservoirs_in_range(graph)
        kernel = self._kernel(graph, weights[0]) if graph.is_linear else None
        if kernel is not None:
            weights[0] = kernel.chosen
        time_step = self._time_step(graph, spec.kernels(weights[0])[spec.clock_axis])
        leak = damped_leak(spec, time_step)
        limits = self.operating_range or spec.operating_range
        exponent = self._quantum_exponent(graph, weights, limits, leak)
        operator = _operator(graph, weights, exponent)
        window = _operating_window(graph, limits, exponent)
        reservoirs = np.rint(graph.reservoirs * 2.0**exponent).astype(np.int64)
        reach = (spec.half_width, spec.transverse)
        first = spec.by_axis(operator[0].weight)
        connections: list[Connections] = [window_stencil(first, mesh, *reach, spec.wall)]
        connections += [Blocks(layer.weight, mesh.faces) for layer in operator[1:]]
        biases = [window_biases(first, operator[0].bias, mesh, *reach, reservoirs, spec.wall)]
        biases += [np.tile(layer.bias, mesh.faces) for layer in operator[1:]]
        hidden = tuple(
            kinds.rectifiers(f"hidden{number}", bias, layer.shift)
            for number, (layer, bias) in enumerate(zip(operator[:-1], biases, strict=False), 1)
        )
        chain = (MEMBRANE, *(population.name for population in hidden), FLUX)
        links = [
            synapse
            for source, target, connection in zip(chain, chain[1:], connections, strict=False)
            for synapse in synapses(source, target, connection)
        ]
        if graph.is_late and len(links) > 1:
            raise CompileError(
                self.name,
                f"a weight of {int(np.abs(connections[0].distinct[1]).max())} takes {len(links)} synapses, each of "
                "which would round its own sum",
                remedy="compile it with `processes` c-lif",
            )
        volumes, unit = equal_volumes(mesh.cells), mesh.volume
        field = Field(FIELD, MEMBRANE, 2.0**-exponent * unit, window, volumes, unit, reservoirs, graph.reservoirs)
        faces = kinds.faces(mesh, _face(graph, leak), biases[-1])
        return IntegerGraph(
            spec=spec.model_copy(update={"operating_range": limits}),
            mesh=mesh,
            time_step=time_step,
            populations=(kinds.holders(field, np.rint(graph.initial * 2.0**exponent).astype(np.int64)), *hidden, faces),
            fields=(field,),
            channels=(kinds.face_channels(mesh),),
            synapses=(*links, *synapses(FLUX, MEMBRANE, Incidence(mesh.source, mesh.target, mesh.holders, 1))),
            quantisation=Quantisation(
                steps=0,
                relative_l2_float=None,
                relative_l2_integer=None,
                kernel_rounded=kernel.rounded if kernel else (),
                kernel_chosen=_flat(kernel.chosen) if kernel else (),
                symbol_error_rounded=kernel.error_rounded if kernel else None,
                symbol_error_chosen=kernel.error_chosen if kernel else None,
            ),
            operator=operator,
        )

    def summary(self, graph: IntegerGraph) -> str:
        """One sentence that describes the result."""
        quantisation = graph.quantisation
        text = f"value of a quantum {graph.value_per_quantum:g}, time step {graph.time_step:.6g}"
        if quantisation.symbol_error_chosen is not None:
            text += f", kernel {quantisation.kernel_chosen} (decay rate off by {quantisation.symbol_error_chosen:.1e}"
            nearest = quantisation.symbol_error_rounded
            text += f", nearest integers {'unstable' if nearest is None else f'{nearest:.1e}'})"
        return text

    def _require_reservoirs_in_range(self, graph: FloatGraph) -> None:
        limits = self.operating_range or graph.spec.operating_range
        outside = np.flatnonzero((graph.reservoirs < limits.lower) | (graph.reservoirs > limits.upper))
        if outside.size:
            number = int(outside[0])
            raise CompileError(
                self.name,
                f"reservoir {number} holds the value {graph.reservoirs[number]:g}, outside the operating range "
                f"{limits.lower:g} to {limits.upper:g}",
                remedy="widen the range with `value_range` LOWER,UPPER",
            )

    def _kernel(self, graph: FloatGraph, rounded: Integers) -> _Kernel:
        spec = graph.spec
        for each in rounded if spec.equation != "advection-diffusion" else ():
            if int(each.sum()) != 0:
                raise CompileError(
                    self.name,
                    f"the integer flux kernel {_flat(each)} sums to {int(each.sum())}, so a constant field would not "
                    "be at rest",
                    remedy="train with an antisymmetric kernel",
                )
        basis = symmetry_basis(spec)
        supports = np.abs(basis).sum(axis=1)
        spanned = ((rounded @ basis.T // supports) @ basis == rounded).all()
        searchable = self.search and (spec.leak == MEMORYLESS or spec.equation == "laplace")
        if not (searchable and spanned and len(basis) <= SEARCHED_WEIGHTS):
            return _Kernel(rounded)
        if spec.rates:
            chosen, own, least = nearest_along(spec, rounded, delayed=graph.is_late)
            if not math.isfinite(least):
                return _Kernel(rounded)
            return _Kernel(chosen, _flat(rounded), _shown(own) if math.isfinite(own) else None, _shown(least))
        candidates = neighbours(rounded[0], spec.weight_unit * basis)
        scaled, spacing = candidates / 2.0 ** spec.weight_exponents[0], graph.mesh.spacing[0]
        best, (own, least) = least_error(scaled, spec, spacing, delayed=graph.is_late)
        if not math.isfinite(least):
            return _Kernel(rounded)
        return _Kernel(
            candidates[best][None], _flat(rounded), _shown(own) if math.isfinite(own) else None, _shown(least)
        )

    def _time_step(self, graph: FloatGraph, kernel: Integers) -> float:
        spec, spacing = graph.spec, graph.mesh.spacing[graph.spec.clock_axis]
        if not graph.is_linear:
            return nominal_time_step(spec, spacing)
        zeroth, first = flux_moments(kernel / 2.0 ** spec.weight_exponents[0], spec.positions)
        step = float(time_step(spec, zeroth, first, spacing, spec.leak))
        if step <= 0 or first <= 0:
            raise CompileError(
                self.name,
                f"the integer flux kernel has diffusion number {first:g} and Courant number {zeroth:g}; with these, "
                f"{spec.equation} runs backwards in time",
                remedy="train the model further",
            )
        return step

    def _quantum_exponent(self, graph: FloatGraph, weights: list[Integers], limits: OperatingRange, leak: int) -> int:
        widest_range = 2.0**self.state_bits
        finest = FINEST_QUANTUM_EXPONENT if max(abs(limits.lower), abs(limits.upper)) < widest_range else -1
        known: dict[bytes, LinearRows] = {}

        def rows_of(layer: IntegerLayer, reservoirs: Integers) -> LinearRows:
            """Rows of all faces, which are the same for all exponents without a bias and reservoirs."""
            key = layer.weight.tobytes() + layer.bias.tobytes() + reservoirs.tobytes()
            if key not in known:
                known[key] = face_rows(graph.mesh, graph.spec, layer, reservoirs)
            return known[key]

        # All intervals grow with the exponent, so the largest that fits is found by bisection.
        exponents = range(finest + 1)
        position = bisect.bisect_left(
            exponents, True, key=lambda e: self._widest(graph, weights, (limits, leak, e), rows_of) > self.state_bits
        )
        if position == 0:
            raise DoesNotFit(
                self.name,
                f"cell values from {limits.lower:g} to {limits.upper:g} need states wider than {self.state_bits} bits "
                "even with a quantum of 1",
                remedy="narrow the operating range or choose a target with wider states",
            )
        return exponents[position - 1]

    def _widest(
        self,
        graph: FloatGraph,
        weights: list[Integers],
        choice: tuple[OperatingRange, int, int],
        rows_of: Callable[[IntegerLayer, Integers], LinearRows],
    ) -> int:
        """Widest state or message with an operating range, a leak and a quantum's exponent."""
        spec, (limits, leak, exponent) = graph.spec, choice
        window = _operating_window(graph, limits, exponent)
        largest_bias = max(float(np.abs(layer.bias).max(initial=0.0)) for layer in graph.layers)
        widest = signed_width(window.lower, window.upper)
        if widest > self.state_bits or largest_bias * 2.0 ** (exponent + max(spec.weight_exponents)) > LARGEST_BIAS:
            return max(widest, self.state_bits + 1)
        operator = _operator(graph, weights, exponent)
        reservoirs = np.rint(graph.reservoirs * 2.0**exponent).astype(np.int64)
        rows = rows_of(operator[0], reservoirs)
        names = (*(f"hidden{number}" for number in range(1, len(operator))), FLUX)
        programs = (*(rectifier(layer.shift) for layer in operator[:-1]), _face(graph, leak).program)
        stages = operator_stages(rows, operator, window, [*zip(names, programs, strict=True)])
        try:
            ranges = network_ranges(stages)
        except Excluded:
            return widest  # the range leaves a quantity without values, which `bound` refuses
        except Unbounded:
            return max(widest, self.state_bits + 1)
        widths = [
            ranges[name].values[value].bits
            for name, program in zip(names, programs, strict=True)
            for value in declared_names(program)
        ]
        return max(widest, *widths)


def _flat(kernels: Integers) -> tuple[int, ...]:
    return tuple(int(weight) for weight in kernels.reshape(-1))


def _face(graph: FloatGraph, leak: int) -> FaceConstants:
    return FaceConstants(graph.spec.weight_exponents[-1], leak, send_threshold=graph.send_threshold)


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


def _operating_window(graph: FloatGraph, limits: OperatingRange, quantum_exponent: int) -> OperatingWindow:
    scale = 2.0**quantum_exponent
    theta = 1 << _face(graph, MEMORYLESS).packet_exponent
    flux_units = scale * theta
    difference = None if limits.slope is None else math.ceil(limits.slope * max(graph.mesh.spacing) * scale) + ROUNDING
    current = None if limits.flux is None else math.ceil(limits.flux * flux_units) + theta
    return OperatingWindow(math.floor(limits.lower * scale), math.ceil(limits.upper * scale), difference, current)


def _shown(error: float) -> float:
    """Round to four digits, because the last ones differ between machines."""
    return float(f"{error:.3e}")
