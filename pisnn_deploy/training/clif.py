"""Conservative leaky integrate-and-fire (C-LIF) neurons of faces for lava-dl, with surrogate gradients."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.training.lava_dl import MANTISSAS_PER_WEIGHT, WEIGHT_SCALE, Neuron


class FluxState(NamedTuple):
    """State of flux compartments, in flux units.

    Attributes
    ----------
    current, residue : float64 tensor [batch, faces]
        Leaky sum of the drives, and the part that has not been fired.
    """

    current: torch.Tensor
    residue: torch.Tensor


class _Fire(torch.autograd.Function):
    """CFQ: ``sign(r) * floor((|r| + theta/2 - 1) / theta)``; the surrogate gradient is that of ``r / theta``."""

    @staticmethod
    def forward(context: Any, residue: torch.Tensor, threshold: float, scale: float) -> torch.Tensor:
        context.slope = scale / threshold
        return torch.sign(residue) * torch.floor((residue.abs() + threshold / 2 - 1) / threshold)

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> Any:
        return gradients[0] * context.slope, None, None


class CLIF(Neuron):
    """Conservative leaky integrate-and-fire flux compartments.

    One call is one PDE step::

        c <- decay(c) + d        r <- r + c        k = fire(r)        r <- r - theta k

    Every packet leaves one cell and enters its neighbour, and the part that does not fire stays in the residue, so
    nothing is lost. If quantised, all values are integers in float64 tensors and equal the numerics contract bit for
    bit (exact below 2^53). Otherwise ``k = r / theta`` and nothing is rounded.

    Parameters
    ----------
    threshold_exponent : int
        ``F``: theta is ``2^F`` flux units per quantum.
    leak : int
        Initial decay constant, 1 to 4096 (memoryless).
    quantised : bool
        Whether to round as the hardware does.
    scale_grad : float
        Scale of the surrogate gradient of firing, as in SLAYER.
    requires_grad : bool
        Whether the leak is learned.
    """

    def __init__(
        self,
        threshold_exponent: int,
        leak: int = MEMORYLESS,
        *,
        quantised: bool = True,
        scale_grad: float = 1.0,
        requires_grad: bool = False,
    ) -> None:
        super().__init__(
            threshold=MANTISSAS_PER_WEIGHT * 2.0**threshold_exponent / WEIGHT_SCALE,
            scale_grad=scale_grad,
            p_scale=MEMORYLESS,
            w_scale=WEIGHT_SCALE,
            s_scale=WEIGHT_SCALE,
            requires_grad=requires_grad,
        )
        self.threshold_exponent = threshold_exponent
        self.quantised = quantised
        self.leak = torch.nn.Parameter(torch.tensor(float(leak), dtype=torch.float64), requires_grad=requires_grad)

    @property
    def theta(self) -> float:
        """Flux units per quantum."""
        return 2.0**self.threshold_exponent

    @property
    def device(self) -> torch.device:
        """Device of the parameters."""
        return self.leak.device

    def clamp(self) -> None:
        """Clamp the leak to its valid range, 1 to 4096."""
        with torch.no_grad():
            self.leak.clamp_(1, MEMORYLESS)

    def integer_leak(self) -> torch.Tensor:
        """Rounded leak, with a straight-through gradient."""
        leak = self.leak.clamp(1, MEMORYLESS)
        return leak + (torch.round(leak) - leak).detach()

    @property
    def device_params(self) -> dict[str, Any]:
        """Parameters for the hardware, with lava-dl's names where these exist."""
        return {
            "type": "CLIF",
            "iDecay": int(self.integer_leak().item()),
            "vThMant": self.v_th_mant,
            "thresholdExponent": self.threshold_exponent,
        }

    def rest(self, like: torch.Tensor) -> FluxState:
        """State before the first PDE step.

        Parameters
        ----------
        like : tensor [batch, faces]
            Tensor with the shape, dtype and device of the state.
        """
        return FluxState(torch.zeros_like(like), torch.zeros_like(like))

    def forward(self, drive: torch.Tensor, state: FluxState) -> tuple[torch.Tensor, FluxState]:
        """Advance by one PDE step.

        Parameters
        ----------
        drive : float64 tensor [batch, faces]
            Outputs of the flux network, in flux units.

        Returns
        -------
        packets : float64 tensor [batch, faces]
            Signed quanta.
        state : FluxState
            State after the PDE step.
        """
        decayed = state.current * ((MEMORYLESS - self.integer_leak()) / MEMORYLESS)
        if self.quantised:
            decayed = decayed + (torch.trunc(decayed) - decayed).detach()
        current = decayed + drive
        residue = state.residue + current
        fire: Any = _Fire.apply
        packets = fire(residue, self.theta, self.scale_rho) if self.quantised else residue / self.theta
        return packets, FluxState(current, residue - self.theta * packets)
