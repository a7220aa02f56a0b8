"""Pass `see-residues`: faces weight what faces near them have not fired yet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from pisnn_deploy.compiler.facts import QUANTISED, Fact
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.graph import IntegerGraph, kinds
from pisnn_deploy.graph.integer import FLUX, MEMBRANE
from pisnn_deploy.graph.residues import residue_synapses

if TYPE_CHECKING:
    from pisnn_deploy.compiler.options import CompileOptions
    from pisnn_deploy.compiler.runner import Floating

_LEVELS = "materials of different capacity or of several digits, whose levels round to a quantum or more"


@dataclass(frozen=True)
class SeeResidues:
    """Let faces see the residues of the faces near them.

    1. A face sends its residue besides its packet, and corrects its drive by ``(low + theta/2) >> F``, where ``low``
       weights the residues at the faces of the cells that it sees, like the masses of these cells.
    2. Refused for hidden layers, whose rectifiers would have to see residues before they act; for cells that faces see
       as levels, which round to a quantum or more, where each face holds back half of one at most; and for binary
       spikes.

    Parameters
    ----------
    binary : bool
        Whether spikes will be binary.
    """

    name: ClassVar[str] = "see-residues"
    requires: ClassVar[tuple[Fact, ...]] = (QUANTISED,)
    ensures: ClassVar[tuple[Fact, ...]] = (QUANTISED,)

    binary: bool = False

    @classmethod
    def asked(cls, options: CompileOptions, floating: Floating | None) -> SeeResidues | None:
        """Run if options ask for it; the search asks where options leave it to the measurement."""
        return cls(options.has_binary_spikes) if options.graph.residues == "seen" else None

    def __call__(self, graph: IntegerGraph) -> IntegerGraph:
        """Add the synapses of the residues.

        Raises
        ------
        CompileError
            A hidden layer, levels, or binary spikes.
        """
        sees_masses, of_materials = any(graph.between(MEMBRANE, FLUX)), graph.materials is not None
        for is_so, what in (
            (not sees_masses and of_materials, _LEVELS),
            (not sees_masses and not of_materials, "hidden layers, whose rectifiers act before faces do"),
            (self.binary, "binary spikes, which send no changes of residues"),
        ):
            if is_so:
                raise CompileError(
                    self.name, f"faces see no residues with {what}", remedy="compile it with `residues` unseen"
                )
        *others, route = graph.synapses
        seeing = kinds.with_faces(graph, sees_residues=True)
        heard = residue_synapses(graph.matrix(MEMBRANE, FLUX), graph.mesh)
        return replace(seeing, synapses=(*others, *heard, route))

    def summary(self, graph: IntegerGraph) -> str:
        """One sentence that describes the result."""
        entries = sum(synapse.entries for synapse in graph.synapses if synapse.port == "low")
        return f"{entries} connections bring faces the residues of others"
