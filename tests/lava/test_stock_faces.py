"""What Lava's SigmaDelta does with the one state that grows."""

from __future__ import annotations

import numpy as np
from lava.proc.sdn.models import PySigmaDeltaModelFixed
from lava.proc.sdn.process import ActivationMode

from pisnn_deploy.graph.integer import Integers

LAST = 2**31 - 1


def face(sigma: int, threshold: int) -> PySigmaDeltaModelFixed:
    """Lava's own model, without a runtime, of two faces that have passed so much already."""
    model = object.__new__(PySigmaDeltaModelFixed)
    model.sigma = model.act = np.full(2, sigma, np.int32)
    model.residue, model.error = np.zeros(2, np.int32), np.zeros(2, np.int32)
    model.vth, model.bias = np.array([threshold], np.int32), np.zeros(2, np.int32)
    model.cum_error, model.act_mode = np.array([False]), ActivationMode.UNIT
    return model


def test_packets_do_not_notice_that_the_sum_of_drives_wraps() -> None:
    drives: Integers = np.random.default_rng(3).integers(-(2**22), 2**22, (200, 2))
    drives[:20] = np.abs(drives[:20])  # past the end of the word at once
    fresh, old = face(0, 1_000_000), face(LAST - 10, 1_000_000)
    for drive in drives.astype(np.int32):
        assert np.array_equal(fresh.dynamics(drive), old.dynamics(drive))
        assert np.array_equal(fresh.residue, old.residue)
    assert (old.sigma < 0).all() and (fresh.sigma > 0).all()


def test_what_is_sent_and_kept_adds_up_to_the_drives() -> None:
    drives: Integers = np.random.default_rng(4).integers(-5000, 5000, (300, 2))
    model, sent = face(0, 4000), np.zeros(2, np.int64)
    for drive in drives.astype(np.int32):
        sent += model.dynamics(drive)
    assert np.array_equal(sent + model.residue, drives.sum(axis=0)) and (np.abs(model.residue) < 4000).all()
