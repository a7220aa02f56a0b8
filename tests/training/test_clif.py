"""The C-LIF neuron of lava-dl against the integer contract."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pisnn_deploy.core.arithmetic import decay, packets
from pisnn_deploy.training.clif import CLIF
from pisnn_deploy.training.lava_dl import Neuron

drives = st.lists(st.lists(st.integers(-(2**23), 2**23), min_size=3, max_size=3), min_size=1, max_size=8)


@given(drives, st.integers(1, 4096), st.integers(1, 12))
@settings(deadline=None)
def test_every_integer_equals_the_contract(rows: list[list[int]], leak: int, exponent: int) -> None:
    neuron = CLIF(exponent, leak)
    state = neuron.rest(torch.zeros(1, 3, dtype=torch.float64))
    current, residue = np.zeros(3, np.int64), np.zeros(3, np.int64)
    for row in rows:
        fired, state = neuron(torch.tensor([row], dtype=torch.float64), state)
        current = decay(current, leak) + np.array(row)
        residue = residue + current
        expected = packets(residue, exponent)
        residue = residue - (expected << exponent)
        assert fired[0].detach().numpy().tolist() == expected.tolist()
        assert state.current[0].detach().numpy().tolist() == current.tolist()
        assert state.residue[0].detach().numpy().tolist() == residue.tolist()


def test_it_is_a_slayer_neuron_with_device_parameters() -> None:
    neuron = CLIF(7, 410)
    assert isinstance(neuron, Neuron)
    assert neuron.device_params == {"type": "CLIF", "iDecay": 410, "vThMant": 256, "thresholdExponent": 7}


def test_gradients_pass_through_packets_and_leak() -> None:
    neuron = CLIF(7, 2000, requires_grad=True, scale_grad=0.5)
    drive = torch.full((1, 1), 1000.0, dtype=torch.float64, requires_grad=True)
    state = neuron.rest(drive)
    first, state = neuron(drive, state)
    first.sum().backward(retain_graph=True)
    assert drive.grad is not None and drive.grad.item() == 0.5 / 128
    second, _ = neuron(drive.detach(), state)
    second.sum().backward()
    assert neuron.leak.grad is not None and neuron.leak.grad.item() < 0


def test_the_leak_stays_within_its_bits() -> None:
    neuron = CLIF(7, 4096, requires_grad=True)
    with torch.no_grad():
        neuron.leak.fill_(9000.0)
    neuron.clamp()
    assert neuron.device_params["iDecay"] == 4096


def test_without_quantisation_nothing_is_rounded() -> None:
    neuron = CLIF(7, 4096, quantised=False)
    drive = torch.tensor([[100.0, -3.5]], dtype=torch.float64)
    fired, state = neuron(drive, neuron.rest(drive))
    assert torch.equal(fired * 128, drive) and not state.residue.any()
