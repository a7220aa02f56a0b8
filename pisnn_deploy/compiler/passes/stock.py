"""Pass `stock`: adapt a float graph to Lava's own processes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pisnn_deploy.compiler.facts import LOWERED, Fact
from pisnn_deploy.compiler.passes.lower import Lower
from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.core.errors import CompileError, UsageError
from pisnn_deploy.graph import FloatGraph, FloatLayer, IntegerGraph
from pisnn_deploy.graph.kinds import face_of
from pisnn_deploy.graph.layout import MIXED_SIGN_EXPONENT
from pisnn_deploy.mesh import PERIODIC
from pisnn_deploy.physics.model import flux_moments

if TYPE_CHECKING:
    from pisnn_deploy.compiler.options import CompileOptions
    from pisnn_deploy.compiler.runner import Floating

PART = 3
"""Divisor of the trained flux for a time step; see `LowerStock`."""
LARGEST_THRESHOLD = 14
"""Largest threshold exponent of the search."""
LOWEST_EXPONENT = MIXED_SIGN_EXPONENT - LARGEST_THRESHOLD
"""Assumed lowest exponent of a target that states none: the limit of the search."""


@dataclass(frozen=True)
class LowerStock:
    """Adapt a linear flux network to fluxes that are one step old.

    1. A network that multiplies a wave by ``1 - s = exp(-3 a)`` has ``s = 3 a - 9 a^2 / 2 + ...``. Where fluxes are one
       step old, ``z^2 - z + s = 0``, so ``z = exp(-a)`` needs ``s = z - z^2 = a - 3 a^2 / 2 + ...``: a third of it. So
       weights are divided by 3, and a step lasts a third of the time.
    2. The shift of the drive is in the exponent of the synapse before it, which the target limits.
    3. What Lava's own processes cannot express is refused: hidden layers and biases (there are
       no phases), a leak or damping (no current), reservoirs (their ledgers outgrow a state).

    Parameters
    ----------
    lowest_exponent : int
        Lowest exponent of the target's synapses.
    send_threshold : int
        A face keeps fewer quanta than this in its residue.
    """

    name: ClassVar[str] = "stock"
    requires: ClassVar[tuple[Fact, ...]] = (LOWERED,)
    ensures: ClassVar[tuple[Fact, ...]] = (LOWERED,)

    lowest_exponent: int
    send_threshold: int = 1

    @property
    def largest_shift(self) -> int:
        """Largest threshold exponent that the target can shift by."""
        return MIXED_SIGN_EXPONENT - self.lowest_exponent

    @classmethod
    def asked(cls, options: CompileOptions, floating: Floating | None) -> LowerStock | None:
        """Run for stock processes."""
        if options.graph.processes != "stock":
            return None
        if not isinstance(options.lower, Lower):
            raise UsageError(
                "`processes` stock: cells that differ need levels of their own, which Sigma lacks; use c-lif"
            )
        if options.has_binary_spikes:
            raise CompileError(
                cls.name,
                f"cells send their whole states, and spikes for {options.profile.name} are binary",
                remedy="compile it with `processes` c-lif, or for graded spikes",
            )
        lowest = options.profile.weights.exponent_lowest.value
        threshold = options.graph.send_threshold
        return cls(LOWEST_EXPONENT if lowest is None else lowest, 1 if threshold is None else threshold)

    def __call__(self, graph: FloatGraph) -> FloatGraph:
        """Adapt `graph`.

        Raises
        ------
        CompileError
            Lava's own processes cannot express it.
        """
        spec = graph.spec
        if spec.hidden:
            self._refuse(f"the hidden layers of {spec.name} need phases of their own, which Sigma and SigmaDelta lack")
        if not graph.is_linear:
            self._refuse(f"the flux of {spec.name} has a bias, but a SigmaDelta adds one once, not in every step")
        if spec.leak != MEMORYLESS or spec.damping is not None:
            self._refuse(f"{spec.name} has a leak, but neither Sigma nor SigmaDelta keeps part of a current")
        if graph.mesh.reservoirs:
            self._refuse("a Dirichlet side needs a ledger of 48 bits, but a Sigma has one word")
        exponents = tuple(min(exponent, self.largest_shift) for exponent in spec.weight_exponents)
        (layer,) = graph.layers
        return replace(
            graph,
            spec=spec.model_copy(update={"weight_exponents": exponents}),
            layers=(FloatLayer(layer.weight / PART, layer.bias),),
            send_threshold=self.send_threshold,
        )

    def summary(self, graph: FloatGraph) -> str:
        """One sentence that describes the result."""
        return f"Sigma, SigmaDelta and Sparse alone; a step lasts {graph.time_step:.6g}, a third of the trained one"

    def _refuse(self, problem: str) -> None:
        raise CompileError(self.name, problem, remedy="compile it with `processes` c-lif")


def frozen_quanta(graph: IntegerGraph) -> float | None:
    """Largest distance from rest at which a field of stock processes can stay for ever, in quanta.

    A drive is rounded before it is added up, so a face with half a quantum of it or less never sends: with the
    diffusion number ``r`` a slope of ``1 / (2 r)`` quanta a cell stays. Over ``n`` cells between walls that leads a
    cell up to ``n / (4 r)`` quanta from the mean, around a ring half of it; slopes along several axes add up. What
    faces keep below their threshold comes on top.

    Parameters
    ----------
    graph : IntegerGraph
        Quantised.

    Returns
    -------
    float or None
        None for other processes and other equations than diffusion, where nothing is ever at rest for want of a slope.
    """
    face = face_of(graph)
    if face is None or face.send_threshold is None or graph.spec.equation != "diffusion":
        return None
    spec, scaled = graph.model_spec, graph.operator[0].weight / 2.0**face.exponent
    numbers = [flux_moments(np.asarray(kernel, np.float64), spec.positions)[1] for kernel in spec.kernels(scaled)]
    lengths = [
        count / 2 if sides == (PERIODIC, PERIODIC) else float(count)
        for count, sides in zip(graph.grid.shape, graph.grid.boundary, strict=True)
    ]
    slack = 2 * len(lengths) * (face.send_threshold - 1)
    return sum(length / (4 * number) for length, number in zip(lengths, numbers, strict=True)) + slack
