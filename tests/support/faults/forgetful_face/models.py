"""Stock faces that forget what they kept."""

from __future__ import annotations

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.sdn.models import PySigmaDeltaModelFixed
from lava.proc.sdn.process import SigmaDelta

from pisnn_deploy.graph.integer import Integers


@implements(proc=SigmaDelta, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ForgetfulFaceModel(PySigmaDeltaModelFixed):
    """Keeps no residue."""

    def delta_dynamics(self, act_data: Integers) -> Integers:
        """Fire, and lose what is below the threshold."""
        sent: Integers = super().delta_dynamics(act_data)
        self.residue[:] = 0
        return sent


REPLACED_MODELS = {SigmaDelta: ForgetfulFaceModel}
