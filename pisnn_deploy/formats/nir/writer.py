"""Write NIR graphs: a whole integer graph with its C-LIF neurons, or only a linear flux network.

NIR has no rectifiers, no graded spikes and no reset that keeps a remainder. All three are divisions by a power of two,
and a division is a sequence of thresholds: from the highest bit down, values that reach the bit's value have it
subtracted. A C-LIF neuron is therefore composed of ``I``, ``Threshold``, ``Scale``, ``Linear`` and ``Delay``, and gives
the integers of the numerics contract in any arithmetic that represents them exactly, such as float64.
docs/reference/formats.md shows the composition.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy import __version__
from pisnn_deploy.core.arithmetic import LEAK_BITS, MEMORYLESS
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.optional import require
from pisnn_deploy.formats.flux_model import model_of
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import certificate_bytes
from pisnn_deploy.graph.integer import FLUX, MEMBRANE
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.physics.model import Model
from pisnn_deploy.programs.neurons import face_constants, rectifier_shift

SCHEMA = "pisnn-deploy/nir"
LARGEST_DENSE = 1 << 24
"""Maximum number of weights of all connections, which are dense in NIR: 128 MiB in float64."""
HALF = 0.5
"""Thresholds lie between integers, so that it does not matter whether equality fires."""

Floats = NDArray[np.float64]


def network_file(model: Model) -> bytes:
    """Write a linear flux network as a NIR graph, from a window of cell values to the flux through the face.

    Returns
    -------
    bytes
        HDF5 file, reproducible byte for byte.

    Raises
    ------
    UsageError
        The network has hidden layers, or nir is not installed.
    """
    if model.spec.hidden:
        raise UsageError(
            f"{model.spec.name}: NIR has no rectifier for real numbers; compile the model and export the artifact "
            "instead"
        )
    nir = _nir()
    weight, bias = model.weights[0], model.biases[0]
    nodes = {
        "window": nir.Input(np.array([weight.shape[1]])),
        "flux": nir.Affine(weight=weight, bias=bias) if bias.any() else nir.Linear(weight=weight),
        "flux_out": nir.Output(np.array([1])),
    }
    edges = [("window", "flux"), ("flux", "flux_out")]
    return _written(nir, nir.NIRGraph(nodes=nodes, edges=edges, metadata=_metadata(model, is_integer=False)))


def _refuse_unknown(graph: IntegerGraph) -> None:
    """Refuse channels that do more than fire the sum of their currents, and other populations than rectifiers."""
    for channels in graph.channels:
        face = face_constants(graph.population(channels.population).program)
        if face is None or face.is_late or face.limiter is not None:
            raise UsageError(
                f"nir: {channels.population} does more than fire its current (a limiter, delayed packets, another "
                "program), which NIR's primitives cannot express; export the graph to ONNX"
            )
    for population in graph.between_fields:
        if rectifier_shift(population.program) is None:
            raise UsageError(
                f"nir: {population.name} runs another program than a rectifier, which NIR's primitives cannot express; "
                "export the graph to ONNX"
            )


def graph_file(graph: IntegerGraph) -> bytes:
    """Write a whole integer graph as a NIR graph; one NIR time step is one PDE step.

    Input ``mass_in`` adds quanta to cells and ledgers: the initial masses at the first time step, then nothing. Outputs
    are ``packets_out``, the packets of each face in a PDE step, and ``mass_out``, the masses before it.

    Parameters
    ----------
    graph : IntegerGraph
        Graph with bounds.

    Returns
    -------
    bytes
        HDF5 file, reproducible byte for byte.

    Raises
    ------
    UsageError
        The graph has too many cells for dense connections, cells differ, or nir is not installed.
    """
    _refuse_unknown(graph)
    chain = graph.chain
    dense = sum(graph.size(a) * graph.size(b) for a, b in zip(chain, (*chain[1:], MEMBRANE), strict=True))
    if dense > LARGEST_DENSE:
        raise UsageError(
            f"nir: {graph.mesh.cells} cells need {dense} weights, more than {LARGEST_DENSE}, because NIR's connections "
            "are dense; choose a coarser mesh"
        )
    model = model_of(graph)
    nir = _nir()
    builder = _Builder(nir, graph)
    builder.build()
    metadata = _metadata(model, is_integer=True) | {
        "certificate_sha256": hashlib.sha256(certificate_bytes(graph)).hexdigest(),
        "quantum": float(graph.quantum),
        "value_per_quantum": float(graph.value_per_quantum),
        "time_step": float(graph.time_step),
        "initial": graph.sole_field.holdings(graph.initial),
    }
    return _written(nir, nir.NIRGraph(nodes=builder.nodes, edges=builder.edges, metadata=metadata))


def _bias(population: Population) -> Floats:
    return population.parameters["bias"].astype(np.float64)


def _nir() -> Any:
    require("export --to nir", "nir")
    import nir

    return nir


def _metadata(model: Model, *, is_integer: bool) -> dict[str, Any]:
    """Metadata from which a model can be read back; arrays are in units of the cell value."""
    metadata: dict[str, Any] = {
        "integer": int(is_integer),
        "schema": SCHEMA,
        "package": f"pisnn-deploy {__version__}",
        "spec": json.dumps(model.spec.model_dump(mode="json"), sort_keys=True),
    }
    for number, (weight, bias) in enumerate(zip(model.weights, model.biases, strict=True)):
        metadata |= {f"weight_{number}": weight, f"bias_{number}": bias}
    return metadata


def _written(nir: Any, graph: Any) -> bytes:
    buffer = io.BytesIO()
    nir.write(buffer, graph)
    return buffer.getvalue()


@dataclass
class _Builder:
    """Nodes and edges of one PDE step; NIR adds the edges that end at a node."""

    nir: Any
    graph: IntegerGraph
    nodes: dict[str, Any] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)

    def node(self, name: str, node: Any, *sources: str) -> str:
        self.nodes[name] = node
        self.edges += [(source, name) for source in sources]
        return name

    def scaled(self, name: str, factor: float, size: int, *sources: str) -> str:
        return self.node(name, self.nir.Scale(np.full(size, float(factor))), *sources)

    def delayed(self, name: str, size: int, source: str) -> str:
        return self.node(name, self.nir.Delay(np.ones(size)), source)

    def affine(self, name: str, weight: Floats, bias: Floats, source: str) -> str:
        return self.node(name, self.nir.Affine(weight=weight, bias=bias), source)

    def divided(self, name: str, source: str, size: int, unit: int, bits: int, offset: int = 0) -> list[str]:
        """``max(x + offset, 0) // unit``, as nodes for its bits.

        Parameters
        ----------
        bits : int
            Bits of the quotient, which is below ``2^bits``.
        offset : int
            Offset, below the unit.

        Returns
        -------
        list of str
            Nodes whose values, each that of a bit or 0, add up to the quotient.
        """
        worths: list[str] = []
        rest: tuple[str, ...] = (source,)
        for bit in reversed(range(bits)):
            left = rest[0] if len(rest) == 1 else self.scaled(f"{name}_rest{bit}", 1, size, *rest)
            threshold = np.full(size, (unit << bit) - offset - HALF)
            fired = self.node(f"{name}_bit{bit}", self.nir.Threshold(threshold), left)
            worth = self.scaled(f"{name}_worth{bit}", 1 << bit, size, fired)
            worths.append(worth)
            if bit:
                rest = (left, self.scaled(f"{name}_taken{bit}", -unit, size, worth))
        return worths

    def divided_oddly(self, name: str, source: str, size: int, unit: int, bits: int, offset: int = 0) -> str:
        """``sign(x) * ((|x| + offset) // unit)``."""
        negated = self.scaled(f"{name}_negated", -1, size, source)
        positive = self.divided(f"{name}_positive", source, size, unit, bits, offset)
        negative = self.divided(f"{name}_negative", negated, size, unit, bits, offset)
        against = self.scaled(f"{name}_against", -1, size, *negative)
        return self.scaled(name, 1, size, *positive, against)

    def weights(self, source: str, target: str) -> Floats:
        return self.graph.matrix(source, target).toarray().astype(np.float64)

    def bits(self, population: str, quantity: str) -> int:
        """Bits of a magnitude, without the sign bit of the declared width."""
        return self.graph.bits(population, quantity) - 1

    def build(self) -> None:
        """Add all nodes, in their order of evaluation within a time step."""
        graph, nir = self.graph, self.nir
        holders, channels, face = graph.sole_field.size, graph.sole_channels, known_face(graph)
        faces = channels.size
        self.node("mass_in", nir.Input(np.array([holders])))
        activation = self.node(MEMBRANE, nir.I(r=np.ones(holders)), "mass_in")
        source = MEMBRANE
        for population in graph.between_fields:
            name, size = population.name, population.size
            shift = rectifier_shift(population.program)
            assert shift is not None
            drive = self.affine(f"{name}_drive", self.weights(source, name), _bias(population), activation)
            count = self.bits(name, "activation")
            worths = self.divided(name, drive, size, 1 << shift, count)
            activation, source = self.scaled(name, 1, size, *worths), name
        drive = self.affine("drive", self.weights(source, FLUX), _bias(channels), activation)
        current = self.scaled("current", 1, faces, drive)
        if face.leak < MEMORYLESS:
            product = self.scaled("kept_product", MEMORYLESS - face.leak, faces, current)
            remaining = self.divided_oddly("kept", product, faces, 1 << LEAK_BITS, self.bits(FLUX, "current"))
            self.edges.append((self.delayed("kept_delay", faces, remaining), current))
        potential = self.node("potential", nir.I(r=np.ones(faces)), current)
        theta = 1 << face.exponent
        fired = self.divided_oddly("packets", potential, faces, theta, self.bits(FLUX, "packet"), theta // 2 - 1)
        carried = self.delayed("packets_delay", faces, fired)
        self.edges.append((self.scaled("reset", -theta, faces, carried), potential))
        route = self.node("route", nir.Linear(weight=self.weights(FLUX, MEMBRANE)), carried)
        self.edges.append((route, MEMBRANE))
        self.node("packets_out", nir.Output(np.array([faces])), fired)
        self.node("mass_out", nir.Output(np.array([holders])), MEMBRANE)
