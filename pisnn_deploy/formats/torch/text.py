"""Text of a generated module."""

MODULE = '''"""One PDE step of a spiking network as int64 tensors. Written by pisnn-deploy {version}.

    network = Network()
    state = network.begin(4)  # four runs at once
    for _ in range(100):
        *state, packets = network(*state)

`mass` [..., holders] has the cells and then the ledgers of the reservoirs of one field after the other, in quanta;
`current` and `residue` [..., channels] are the memory of the channels, and `packets` [..., channels] what crossed them
in the step. The sum of `mass` never changes: compare it with ==. `python network.py` checks the first steps.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

ARTIFACT_SHA256 = {sha256}
TIME_STEP = {time_step}
VALUES_PER_QUANTUM = {quanta}
"""Value of one quantum in a cell of inverse volume 1, by field."""
STATES = "{states}".split(", ")


def joined(like: torch.Tensor, *parts: torch.Tensor) -> torch.Tensor:
    """Concatenate tensors that may lack the batch."""
    return torch.cat([part.expand(*like.shape[:-1], part.shape[-1]) for part in parts], -1)


class Network(torch.nn.Module):
    """The network.

    Parameters
    ----------
    numbers : Path
        File of the constants.
    """

    def __init__(self, numbers: Path = Path(__file__).with_name("numbers.npz")) -> None:
        super().__init__()
        with np.load(numbers, allow_pickle=False) as arrays:
            for name in arrays.files:
                self.register_buffer(name, torch.from_numpy(arrays[name]))

    def begin(self, *batch: int) -> list[torch.Tensor]:
        """State before the first step, from the artifact's masses, int64 [*batch, ...] each."""
        mass, current = (tensor.repeat(*batch, 1) for tensor in (self.start_mass, self.start_current))
        state = {{"mass": mass, "current": current, "residue": torch.zeros_like(current)}}
        state["step"] = mass.new_zeros(*batch, 1)
        return [state[name] for name in STATES]

    def forward(self{arguments}) -> tuple[torch.Tensor, ...]:
        """Do one PDE step and return the next state and the packets."""
{statements}
        return tuple(joined(mass, tensor) for tensor in ({results}))


def test() -> None:
    """Compare the masses after the first steps with those of the compiler's reference."""
    network = Network()
    state = network.begin()
    for _ in range(int(network.tested_steps)):
        *state, _ = network(*state)
    if not torch.equal(state[0], network.tested_mass):
        raise SystemExit(f"differs after {{int(network.tested_steps)}} steps")
    print(f"{{int(network.tested_steps)}} steps equal, sum of masses {{int(state[0].sum())}}")


if __name__ == "__main__":
    test()
'''
