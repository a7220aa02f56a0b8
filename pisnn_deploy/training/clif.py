"""C-LIF for lava-dl: the conservative leaky integrate-and-fire neuron of a face, with surrogate gradients."""

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
        The drive with what is kept of earlier ones, and what has not been fired.
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

    What leaves through a face enters the neighbouring cell as the same number of quanta, and what did not fire stays in
    the residue, so nothing is lost. Quantised, all values are integers in float64 tensors and equal the numerics
    contract bit for bit (exact below 2^53). Not quantised, ``k = r / theta`` and nothing is rounded.

    Parameters
    ----------
    threshold_exponent : int
        ``F``: theta is ``2^F`` flux units per quantum.
    leak : int
        Decay constant at the start, 1 to 4096 (memoryless).
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
        """Keep the leak within its 12 bits, above 0."""
        with torch.no_grad():
            self.leak.clamp_(1, MEMORYLESS)

    def integer_leak(self) -> torch.Tensor:
        """The leak as the hardware has it, straight-through in the gradient."""
        leak = self.leak.clamp(1, MEMORYLESS)
        return leak + (torch.round(leak) - leak).detach()

    @property
    def device_params(self) -> dict[str, Any]:
        """Parameters for the hardware, in lava-dl's names where it has one."""
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
            Gives shape, type and device.
        """
        return FluxState(torch.zeros_like(like), torch.zeros_like(like))

    def forward(self, drive: torch.Tensor, state: FluxState) -> tuple[torch.Tensor, FluxState]:
        """One PDE step.

        Parameters
        ----------
        drive : float64 tensor [batch, faces]
            In flux units.

        Returns
        -------
        packets : float64 tensor [batch, faces]
            Signed quanta.
        state : FluxState
            After the PDE step.
        """
        kept = state.current * ((MEMORYLESS - self.integer_leak()) / MEMORYLESS)
        if self.quantised:
            kept = kept + (torch.trunc(kept) - kept).detach()
        current = kept + drive
        residue = state.residue + current
        fire: Any = _Fire.apply
        packets = fire(residue, self.theta, self.scale_rho) if self.quantised else residue / self.theta
        return packets, FluxState(current, residue - self.theta * packets)
